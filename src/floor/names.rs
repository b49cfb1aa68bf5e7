//! Names and places of one floor as small numbers, with a bound on how many there may be.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::domain::Key;
use crate::plan::{ChannelPlan, Plan};

/// Under this name counts what comes beyond the limit of keys.
pub const OTHER: &str = "other";

/// A queue (or none yet) and a channel (or none known).
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub queue: Option<u32>,
    pub channel: Option<u32>,
    /// Key numbers of pair, queue, channel, all: those whose names are known.
    pub keys: [Option<u32>; 4],
}

#[derive(Debug)]
pub(super) struct Names {
    plan: Arc<Plan>,
    numbers: HashMap<Arc<str>, u32, FixedState>,
    names: Vec<Arc<str>>,
    /// By number of name; `None` until it is used as a channel.
    channels: Vec<Option<Arc<ChannelPlan>>>,
    unknown: Option<Arc<ChannelPlan>>,
    places: Vec<Place>,
    place_numbers: HashMap<(Option<u32>, Option<u32>), u32, FixedState>,
    keys: Vec<Key>,
    key_numbers: HashMap<(Option<u32>, Option<u32>), u32, FixedState>,
    /// How many names or keys were put under `other`.
    pub overflowed: u64,
}

impl Names {
    pub fn new(plan: Arc<Plan>) -> Self {
        Names {
            plan,
            numbers: HashMap::default(),
            names: Vec::new(),
            channels: Vec::new(),
            unknown: None,
            places: Vec::new(),
            place_numbers: HashMap::default(),
            keys: Vec::new(),
            key_numbers: HashMap::default(),
            overflowed: 0,
        }
    }

    pub fn name(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        // Names are bounded like keys, so that a producer of ever new names cannot grow this without end.
        if self.names.len() >= self.plan.limits.keys && text != OTHER {
            self.overflowed += 1;
            return self.name(OTHER);
        }
        let number = self.names.len() as u32;
        let text: Arc<str> = text.into();
        self.names.push(text.clone());
        self.channels.push(None);
        self.numbers.insert(text, number);
        number
    }

    pub fn place(&mut self, queue: Option<u32>, channel: u32) -> u32 {
        self.place_of(queue, Some(channel))
    }

    /// Of an interaction of which neither channel nor queue is known: it counts over everything only.
    pub fn nowhere(&mut self) -> u32 {
        self.place_of(None, None)
    }

    /// The place of what is known of queue and channel: it counts in the keys that this names.
    pub fn place_of(&mut self, queue: Option<u32>, channel: Option<u32>) -> u32 {
        if let Some(number) = self.place_numbers.get(&(queue, channel)) {
            return *number;
        }
        let full = self.keys.len() + 4 > self.plan.limits.keys.max(8);
        let is_other = |name: Option<u32>| name.is_none() || name == self.numbers.get(OTHER).copied();
        if full && !(is_other(queue) && is_other(channel)) {
            self.overflowed += 1;
            let other = self.name(OTHER);
            // Not remembered by its own name: the table of places stays bounded.
            return self.place_of(queue.map(|_| other), channel.map(|_| other));
        }
        let mut key = |queue, channel| self.key(queue, channel);
        let keys = [
            queue.and(channel).map(|_| key(queue, channel)),
            queue.map(|_| key(queue, None)),
            channel.map(|_| key(None, channel)),
            Some(key(None, None)),
        ];
        let number = self.places.len() as u32;
        self.places.push(Place { queue, channel, keys });
        self.place_numbers.insert((queue, channel), number);
        number
    }

    /// The number of the key over everything.
    pub fn all(&mut self) -> u32 {
        self.key(None, None)
    }

    fn key(&mut self, queue: Option<u32>, channel: Option<u32>) -> u32 {
        if let Some(number) = self.key_numbers.get(&(queue, channel)) {
            return *number;
        }
        let text = |number: Option<u32>| number.and_then(|n| self.names.get(n as usize).cloned());
        let key = Key { queue: text(queue), channel: text(channel) };
        let number = self.keys.len() as u32;
        self.keys.push(key);
        self.key_numbers.insert((queue, channel), number);
        number
    }

    pub fn at(&self, place: u32) -> Place {
        // Places are only ever made by `place`, and never removed.
        self.places.get(place as usize).copied().unwrap_or(Place { queue: None, channel: None, keys: [None; 4] })
    }

    pub fn key_name(&self, key: u32) -> Key {
        self.keys.get(key as usize).cloned().unwrap_or_default()
    }

    /// The settings of the channel of a place; of an unknown channel, the defaults of messaging. It lists no threshold.
    pub fn channel_plan(&mut self, channel: Option<u32>) -> Arc<ChannelPlan> {
        let Some(index) = channel.map(|channel| channel as usize) else {
            let unknown = || Arc::new(ChannelPlan { thresholds: Vec::new(), ..self.plan.channel("") });
            return self.unknown.get_or_insert_with(unknown).clone();
        };
        if let Some(Some(plan)) = self.channels.get(index) {
            return plan.clone();
        }
        let name = self.names.get(index).cloned().unwrap_or_else(|| OTHER.into());
        let plan = Arc::new(self.plan.channel(&name));
        if let Some(slot) = self.channels.get_mut(index) {
            *slot = Some(plan.clone());
        }
        plan
    }
}

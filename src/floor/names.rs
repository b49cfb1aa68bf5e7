//! Names and places of one floor as small numbers, with a bound on how many there may be.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::contribution::{EVERY_KEY, PAIR_AND_CHANNEL};
use super::moment::NAMES_MAX;
use crate::domain::Key;
use crate::plan::{ChannelPlan, Plan};

mod snapshot;

/// Under this name counts what comes beyond the limit of keys.
pub const OTHER: &str = "other";

/// A queue (or none yet) and a channel (or none known).
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub queue: Option<u32>,
    pub channel: Option<u32>,
    /// Key numbers of pair, queue, channel, all: those whose names are known.
    pub keys: [Option<u32>; 4],
    /// Its channel's settings, a number of `Names::channels`.
    settings: u32,
}

/// A threshold measured in a channel, and in which keys of its places it counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// Index into [`Plan::thresholds`].
    pub threshold: usize,
    pub within: i64,
    pub mask: u8,
}

#[derive(Debug)]
struct Channel {
    plan: ChannelPlan,
    thresholds: Vec<Measured>,
}

#[derive(Debug)]
pub(super) struct Names {
    plan: Arc<Plan>,
    numbers: HashMap<Arc<str>, u32, FixedState>,
    names: Vec<Arc<str>>,
    /// The first is for what has no known channel.
    channels: Vec<Channel>,
    /// By number of name; `None` until it is used as a channel.
    channel_numbers: Vec<Option<u32>>,
    places: Vec<Place>,
    place_numbers: HashMap<(Option<u32>, Option<u32>), u32, FixedState>,
    keys: Vec<Key>,
    /// By number of key: the places that count in it.
    places_of: Vec<Vec<u32>>,
    key_numbers: HashMap<(Option<u32>, Option<u32>), u32, FixedState>,
    /// How many names or keys were put under `other`.
    pub overflowed: u64,
}

impl Names {
    pub fn new(plan: Arc<Plan>) -> Self {
        // What has no known channel has the defaults of messaging, and is held against no threshold and no hours.
        let unknown = Channel { plan: ChannelPlan { open: None, ..plan.channel("") }, thresholds: Vec::new() };
        Names {
            plan,
            numbers: HashMap::default(),
            names: Vec::new(),
            channels: vec![unknown],
            channel_numbers: Vec::new(),
            places: Vec::new(),
            place_numbers: HashMap::default(),
            keys: Vec::new(),
            places_of: Vec::new(),
            key_numbers: HashMap::default(),
            overflowed: 0,
        }
    }

    pub fn name(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        // Names are bounded like keys, so that a producer of ever new names cannot grow this without end.
        if self.names.len() >= self.plan.limits.keys.min(NAMES_MAX) && text != OTHER {
            self.overflowed += 1;
            return self.name(OTHER);
        }
        let number = self.names.len() as u32;
        let text: Arc<str> = text.into();
        self.names.push(text.clone());
        self.channel_numbers.push(None);
        self.numbers.insert(text, number);
        number
    }

    /// The number of a state's own name, where the configuration has it and it is not that of a class.
    pub fn own_state(&self, name: &str) -> Option<u32> {
        self.plan.agent_states.binary_search_by(|own| (**own).cmp(name)).ok().map(|index| index as u32)
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
        // A channel that is known stays: it says what answers a wait. It adds a key of its own beside `other` at most.
        let known = channel.filter(|channel| self.key_numbers.contains_key(&(None, Some(*channel))));
        if full && !(is_other(queue) && (known.is_some() || is_other(channel))) {
            self.overflowed += 1;
            let other = self.name(OTHER);
            // Not remembered by its own name: the table of places stays bounded.
            return self.place_of(queue.map(|_| other), channel.map(|_| known.unwrap_or(other)));
        }
        self.add_place(queue, channel)
    }

    /// Makes a place that there is not yet.
    fn add_place(&mut self, queue: Option<u32>, channel: Option<u32>) -> u32 {
        let mut key = |queue, channel| self.key(queue, channel);
        let keys = [
            queue.and(channel).map(|_| key(queue, channel)),
            queue.map(|_| key(queue, None)),
            channel.map(|_| key(None, channel)),
            Some(key(None, None)),
        ];
        let number = self.places.len() as u32;
        for key in keys.iter().flatten() {
            if let Some(places) = self.places_of.get_mut(*key as usize) {
                places.push(number);
            }
        }
        let settings = channel.map_or(0, |channel| self.settings(channel));
        self.places.push(Place { queue, channel, keys, settings });
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
        self.places_of.push(Vec::new());
        self.key_numbers.insert((queue, channel), number);
        number
    }

    pub fn at(&self, place: u32) -> &Place {
        const NOWHERE: &Place = &Place { queue: None, channel: None, keys: [None; 4], settings: 0 };
        // Places are only ever made by `place`, and never removed.
        self.places.get(place as usize).unwrap_or(NOWHERE)
    }

    /// The places that count in a key.
    pub fn places_of(&self, key: u32) -> &[u32] {
        self.places_of.get(key as usize).map_or(&[], |places| places)
    }

    pub fn key_name(&self, key: u32) -> Key {
        self.keys.get(key as usize).cloned().unwrap_or_default()
    }

    /// The settings of a place's channel; where none is known, the defaults of messaging.
    pub fn channel_of(&self, place: u32) -> &ChannelPlan {
        &self.channel(place).plan
    }

    /// The thresholds measured in a place's channel: one that only other channels list stays out of the roll-ups over
    /// channels.
    pub fn thresholds_of(&self, place: u32) -> &[Measured] {
        &self.channel(place).thresholds
    }

    fn channel(&self, place: u32) -> &Channel {
        let settings = self.places.get(place as usize).map_or(0, |place| place.settings);
        &self.channels[settings as usize]
    }

    /// The number of a channel's settings, made when it is first met.
    fn settings(&mut self, name: u32) -> u32 {
        if let Some(Some(number)) = self.channel_numbers.get(name as usize) {
            return *number;
        }
        let text = self.names.get(name as usize).map_or(OTHER, |name| name);
        let plan = self.plan.channel(text);
        let measured = plan.thresholds.iter().filter_map(|&threshold| {
            let within = self.plan.thresholds.get(threshold)?.within.0;
            let mask = if plan.unlisted.contains(&threshold) { PAIR_AND_CHANNEL } else { EVERY_KEY };
            Some(Measured { threshold, within, mask })
        });
        let thresholds = measured.collect();
        let number = self.channels.len() as u32;
        self.channels.push(Channel { plan, thresholds });
        if let Some(slot) = self.channel_numbers.get_mut(name as usize) {
            *slot = Some(number);
        }
        number
    }
}

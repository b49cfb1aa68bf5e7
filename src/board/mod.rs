//! Panes, windows, levels and histograms per key: deltas -> numbers.
//!
//! A board at instant T holds the contributions dated before T and no others: floors send what lies before their clock,
//! and the board's instant is moved to that clock. It never drops a step of a level as too late: one older than every
//! window goes into the totals alone. What a number means is not known here; [`View`] is what `indicators` reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::{Key, Timestamp};
use crate::floor::cells::PANE;
use crate::floor::Batch;
use crate::plan::Plan;

mod cells;
mod key;
mod view;
mod windows;

pub use view::View;

use key::KeyState;
use windows::Edges;

#[derive(Debug)]
pub struct Board {
    plan: Arc<Plan>,
    now: Timestamp,
    edges: Vec<Edges>,
    keys: BTreeMap<Key, usize>,
    states: Vec<KeyState>,
    channels: BTreeSet<Arc<str>>,
}

impl Board {
    pub fn new(plan: Arc<Plan>) -> Self {
        let now = Timestamp::MIN;
        Board {
            edges: windows::edges(&plan, now),
            plan,
            now,
            keys: BTreeMap::new(),
            states: Vec::new(),
            channels: BTreeSet::new(),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Moves the board's instant. Never back.
    pub fn advance(&mut self, now: Timestamp) {
        if now > self.now {
            self.now = now;
            self.edges = windows::edges(&self.plan, now);
        }
    }

    /// Adds what a floor contributed. `source` tells the floors apart.
    pub fn apply(&mut self, source: u32, batch: &Batch) {
        for delta in &batch.keys {
            let index = self.insert(&delta.key);
            let open_from = self.open_from();
            let state = &mut self.states[index];
            state.slide(&self.edges, open_from);
            state.apply(source, delta);
        }
    }

    /// Makes a key that exists before anything of it is seen, its counts at 0.
    pub fn insert(&mut self, key: &Key) -> usize {
        if let Some(index) = self.keys.get(key) {
            return *index;
        }
        if let Some(channel) = &key.channel {
            self.channels.insert(channel.clone());
        }
        self.states.push(KeyState::new(&self.edges));
        self.keys.insert(key.clone(), self.states.len() - 1);
        self.states.len() - 1
    }

    /// Every key seen, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.keys()
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The channels in which `key` has been seen.
    pub fn channels_of<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = &'a Arc<str>> {
        self.channels.iter().filter(move |channel| match (&key.queue, &key.channel) {
            (_, Some(own)) => own == *channel,
            (None, None) => true,
            (Some(_), None) => {
                self.keys.contains_key(&Key { queue: key.queue.clone(), channel: Some((*channel).clone()) })
            }
        })
    }

    /// The figures of a key over a window (`None`: of this instant only). A key never seen has none.
    pub fn view(&mut self, key: &Key, window: Option<usize>) -> Option<View<'_>> {
        let index = *self.keys.get(key)?;
        let open_from = self.open_from();
        let state = self.states.get_mut(index)?;
        state.slide(&self.edges, open_from);
        Some(View::new(&self.plan, state, &self.edges, self.now, window))
    }

    /// The start of the pane that the instant just before now lies in.
    fn open_from(&self) -> i64 {
        Timestamp(self.now.0 - 1).floor_to(PANE).0
    }
}


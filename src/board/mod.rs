//! Panes, windows, levels and histograms per key: deltas -> numbers.
//!
//! A board at instant T holds the contributions dated before T and no others: floors send what lies before their clock,
//! and the board's instant is moved to that clock. It never drops a step of a level as too late: one older than every
//! window goes into the totals alone. What a number means is not known here; [`View`] is what `indicators` reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::{Key, Timestamp};
use crate::floor::{Batch, KeyDelta};
use crate::plan::{Plan, WindowKind};

mod key;
mod packed;
mod snapshot;
mod view;
mod windows;

pub use view::View;

use key::KeyState;
use windows::Frame;

/// Where the figures of a key are on its board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(usize);

/// What the figures of a key were made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    pane: u64,
    applied: u64,
}

#[derive(Debug)]
pub struct Board {
    plan: Arc<Plan>,
    now: Timestamp,
    frame: Arc<Frame>,
    /// Every key that anything was ever sent for; `seen` says which of them exist for those who ask.
    keys: BTreeMap<Key, usize>,
    /// Of each of `states` its key.
    names: Vec<Key>,
    states: Vec<KeyState>,
    /// By source and number of key there: the state of the key that had it last.
    numbers: Vec<Vec<Option<usize>>>,
    /// How often something was applied to each of `states`.
    applied: Vec<u64>,
    /// Rises whenever a window's edge or the open pane does.
    pane: u64,
    /// Keys that exist whatever was seen.
    pinned: BTreeSet<Key>,
    seen: usize,
    /// Rises whenever a key begins or ceases to exist.
    generation: usize,
}

impl Board {
    pub fn new(plan: Arc<Plan>) -> Self {
        let now = Timestamp::MIN;
        Board {
            frame: Arc::new(Frame::at(&plan, now)),
            plan,
            now,
            keys: BTreeMap::new(),
            names: Vec::new(),
            states: Vec::new(),
            numbers: Vec::new(),
            applied: Vec::new(),
            pane: 1,
            pinned: BTreeSet::new(),
            seen: 0,
            generation: 0,
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
            let frame = Frame::at(&self.plan, now);
            if frame != *self.frame {
                self.frame = Arc::new(frame);
                self.pane += 1;
            }
        }
    }

    /// Adds what a floor contributed. `source` tells the floors apart.
    pub fn apply(&mut self, source: u32, batch: &Batch) {
        for delta in batch.keys() {
            let index = self.index_of(source, &delta);
            let state = &mut self.states[index];
            let before = state.is_seen();
            state.slide(&self.frame);
            state.apply(source, &delta);
            self.applied[index] += 1;
            if before != state.is_seen() && !self.pinned.contains(delta.key) {
                self.seen = if before { self.seen - 1 } else { self.seen + 1 };
                self.generation += 1;
            }
        }
    }

    /// Makes a key that exists before anything of it is seen, its counts at 0.
    pub fn pin(&mut self, key: &Key) {
        let index = self.index(key);
        if self.pinned.insert(key.clone()) && !self.states[index].is_seen() {
            self.seen += 1;
            self.generation += 1;
        }
    }

    /// The state of a key by the floor's own number of it, which saves comparing names.
    fn index_of(&mut self, source: u32, delta: &KeyDelta<'_>) -> usize {
        let (source, number) = (source as usize, delta.number as usize);
        if let Some(index) = self.numbers.get(source).and_then(|keys| keys.get(number)).copied().flatten()
            && self.names.get(index) == Some(delta.key)
        {
            return index;
        }
        let index = self.index(delta.key);
        if self.numbers.len() <= source {
            self.numbers.resize_with(source + 1, Vec::new);
        }
        if let Some(keys) = self.numbers.get_mut(source) {
            keys.resize(keys.len().max(number + 1), None);
            if let Some(known) = keys.get_mut(number) {
                *known = Some(index);
            }
        }
        index
    }

    fn index(&mut self, key: &Key) -> usize {
        if let Some(index) = self.keys.get(key) {
            return *index;
        }
        self.states.push(KeyState::new(&self.frame));
        self.names.push(key.clone());
        self.applied.push(0);
        self.keys.insert(key.clone(), self.states.len() - 1);
        self.states.len() - 1
    }

    fn exists(&self, key: &Key, index: usize) -> bool {
        self.states.get(index).is_some_and(KeyState::is_seen) || self.pinned.contains(key)
    }

    /// Every key that exists, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.places().map(|(key, _)| key)
    }

    /// A number that changes whenever [`Board::keys`] does.
    pub fn generation(&self) -> usize {
        self.generation
    }

    /// How many keys exist.
    pub fn len(&self) -> usize {
        self.seen
    }

    pub fn is_empty(&self) -> bool {
        self.seen == 0
    }

    /// The channels in which `key` has been seen.
    pub fn channels_of(&self, key: &Key) -> Vec<Arc<str>> {
        if let Some(own) = &key.channel {
            return vec![own.clone()];
        }
        // A roll-up over channels sorts before what it is rolled up from.
        let here = self.keys.range(key..).take_while(|(other, _)| other.queue == key.queue);
        let existing = here.filter(|(other, index)| self.exists(other, **index));
        existing.filter_map(|(other, _)| other.channel.clone()).collect()
    }

    /// Where the figures of a key are, to ask for them without looking for its name. It stays there; a key that nothing
    /// was ever sent for is nowhere.
    pub fn place(&self, key: &Key) -> Option<Place> {
        self.keys.get(key).map(|index| Place(*index))
    }

    /// Every key that exists, sorted, and where its figures are.
    pub fn places(&self) -> impl Iterator<Item = (&Key, Place)> {
        self.keys.iter().filter(|(key, index)| self.exists(key, **index)).map(|(key, index)| (key, Place(*index)))
    }

    /// The figures of a key over a window (`None`: of this instant only). A key never seen has none.
    pub fn view(&mut self, key: &Key, window: Option<usize>) -> Option<View<'_>> {
        self.view_at(self.place(key)?, window)
    }

    /// As [`Board::view`].
    pub fn view_at(&mut self, place: Place, window: Option<usize>) -> Option<View<'_>> {
        // What came after the last interval is in the one that runs.
        let last = window.is_some() && window == self.plan.window_index(WindowKind::LastInterval);
        let interval = self.plan.window_index(WindowKind::Interval).filter(|_| last);
        self.view_over(place, window.into_iter().chain(interval))?;
        Some(View::new(self, place.0, self.states.get(place.0)?, window))
    }

    /// The figures of this instant, from which [`View::over`] goes to any window.
    pub fn view_of_all(&mut self, place: Place) -> Option<View<'_>> {
        self.view_over(place, 0..self.plan.windows.len())?;
        Some(View::new(self, place.0, self.states.get(place.0)?, None))
    }

    /// Moves a key to where the windows are now, and sums up those that are about to be read.
    fn view_over(&mut self, place: Place, windows: impl Iterator<Item = usize>) -> Option<()> {
        let state = self.states.get_mut(place.0)?;
        state.slide(&self.frame);
        windows.for_each(|window| state.bring(window));
        Some(())
    }

    /// While this is the same, so is every figure of the key but those that change as time passes
    /// ([`View::is_of_this_instant`]).
    pub fn version(&self, place: Place) -> Option<Version> {
        self.applied.get(place.0).map(|applied| Version { pane: self.pane, applied: *applied })
    }
}

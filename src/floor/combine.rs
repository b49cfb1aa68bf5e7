//! Contributions combined until the next flush: one number per key, pane and cell, however many events made it.

use smallvec::SmallVec;

use super::batch::Batch;
use super::cells::{Cell, Cells, PANE};
use super::contribution::{Age, Contribution, EVERY_KEY, Target, What};
use super::names::{Names, Place};
use super::starts::Starts;
use crate::domain::Timestamp;

/// What is added to one pane.
#[derive(Debug, Default)]
struct Pane {
    start: i64,
    cells: Cells,
}

impl Pane {
    fn put_into(&self, batch: &mut Batch) {
        self.cells.each().for_each(|(cell, value)| batch.add(cell, value));
        batch.end_pane(self.start);
    }
}

/// Panes by number of place or key, those in use; what is given back is used again.
#[derive(Debug, Default)]
struct Panes {
    of: Vec<SmallVec<[u32; 2]>>,
    touched: Vec<u32>,
}

/// Every pane, in use or free.
#[derive(Debug, Default)]
struct Pool {
    panes: Vec<Pane>,
    free: Vec<u32>,
}

impl Pool {
    fn take(&mut self, start: i64) -> u32 {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.panes.push(Pane { start, ..Pane::default() });
                return self.panes.len() as u32 - 1;
            }
        };
        let pane = &mut self.panes[index as usize];
        pane.start = start;
        pane.cells.clear();
        index
    }

    fn give_back(&mut self, index: u32) {
        self.free.push(index);
    }
}

impl Panes {
    /// The pane of `number` that begins at `start`.
    fn find(&mut self, number: u32, start: i64, pool: &mut Pool) -> u32 {
        let known = self.of.get(number as usize).map_or(&[][..], |panes| panes);
        if let Some(index) = known.iter().rev().find(|index| pool.panes[**index as usize].start == start) {
            return *index;
        }
        let index = pool.take(start);
        self.put(number, index);
        index
    }

    /// Whether there is no pane yet.
    fn is_free(&self, number: u32) -> bool {
        self.of.get(number as usize).is_none_or(|panes| panes.is_empty())
    }

    /// Gives `number` one more pane.
    fn put(&mut self, number: u32, pane: u32) {
        let at = number as usize;
        if self.of.len() <= at {
            self.of.resize_with(at + 1, SmallVec::new);
        }
        let panes = &mut self.of[at];
        if panes.is_empty() {
            self.touched.push(number);
        }
        panes.push(pane);
    }

    fn drain(&mut self, number: u32) -> SmallVec<[u32; 2]> {
        self.of.get_mut(number as usize).map(std::mem::take).unwrap_or_default()
    }
}

/// Starts that run in one place: how many began at each instant. The least is the oldest.
#[derive(Debug, Default)]
struct Running {
    starts: Starts,
    /// The oldest as it was last flushed.
    told: Option<i64>,
    changed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Combiner {
    pool: Pool,
    /// What counts in every key of a place. Spread over the keys once a flush, not once an event.
    places: Panes,
    /// What counts in some keys of a place only.
    masked: Vec<(u32, u8, i64, Cell, i64)>,
    keys: Panes,
    running: Vec<[Running; Age::COUNT]>,
    changed: Vec<(u32, Age)>,
    /// The pane that was added to last: place, start and index. Most of what an event contributes goes to one.
    last: Option<(u32, i64, u32)>,
}

impl Combiner {
    #[inline]
    pub fn add(&mut self, contribution: Contribution) {
        let Contribution { at, target, what, weight } = contribution;
        let (place, mask) = match target {
            Target::Place(place, mask) => (place, mask),
            Target::Key(key) => {
                let start = pane_of(at);
                let index = self.keys.find(key, start, &mut self.pool);
                return put(&mut self.pool.panes[index as usize], at, what, weight);
            }
        };
        if let What::Age(age, start) = what {
            return self.run(place, age, start, weight);
        }
        if mask != EVERY_KEY {
            let start = pane_of(at);
            return match what {
                What::Add(cell) => self.masked.push((place, mask, start, cell, weight)),
                What::Step(cell) => {
                    self.masked.push((place, mask, start, cell, weight));
                    self.masked.push((place, mask, start, cell.moment(), weight * (at - start)));
                }
                What::Age(..) => {}
            };
        }
        let index = match self.last {
            Some((last, start, index)) if last == place && (start..start + PANE.0).contains(&at) => index,
            _ => {
                let start = pane_of(at);
                let index = self.places.find(place, start, &mut self.pool);
                self.last = Some((place, start, index));
                index
            }
        };
        put(&mut self.pool.panes[index as usize], at, what, weight);
    }

    /// Ages count in every key of a place.
    fn run(&mut self, place: u32, age: Age, start: i64, weight: i64) {
        let at = place as usize;
        if self.running.len() <= at {
            self.running.resize_with(at + 1, Default::default);
        }
        let running = &mut self.running[at][age as usize];
        running.starts.add(start, weight);
        if !running.changed {
            running.changed = true;
            self.changed.push((place, age));
        }
    }

    /// Whether nothing was added since the last flush.
    pub fn is_flushed(&self) -> bool {
        let panes = [&self.places, &self.keys];
        panes.iter().all(|panes| panes.touched.is_empty()) && self.masked.is_empty() && self.changed.is_empty()
    }

    /// Everything since the last flush.
    pub fn flush(&mut self, names: &Names) -> Batch {
        let Combiner { pool, places, masked, keys, last, .. } = self;
        *last = None;
        for place in std::mem::take(&mut places.touched) {
            for from in places.drain(place) {
                let start = pool.panes[from as usize].start;
                let mut last = None;
                for key in keys_of(names.at(place), EVERY_KEY) {
                    // The pair of a place has hardly another: it takes the pane over when the others have been told.
                    if last.is_none() && keys.is_free(key) {
                        last = Some(key);
                        continue;
                    }
                    let to = keys.find(key, start, pool);
                    if let Ok([from, to]) = pool.panes.get_disjoint_mut([from as usize, to as usize]) {
                        to.cells.add_all(&from.cells);
                    }
                }
                match last {
                    Some(key) => keys.put(key, from),
                    None => pool.give_back(from),
                }
            }
        }
        for (place, mask, start, cell, value) in masked.drain(..) {
            for key in keys_of(names.at(place), mask) {
                let to = keys.find(key, start, pool);
                pool.panes[to as usize].cells.add(cell, value);
            }
        }
        let mut registers = self.registers(names);
        let mut numbers = std::mem::take(&mut self.keys.touched);
        numbers.extend(registers.iter().map(|(key, ..)| *key));
        numbers.sort_unstable();
        numbers.dedup();
        let mut batch = Batch::default();
        let mut registers = registers.drain(..).peekable();
        for key in numbers {
            for index in self.keys.drain(key) {
                self.pool.panes[index as usize].put_into(&mut batch);
                self.pool.give_back(index);
            }
            while let Some((_, age, oldest)) = registers.next_if(|(of, ..)| *of == key) {
                batch.add_oldest(age, oldest);
            }
            batch.end_key(key, || names.key_name(key));
        }
        batch
    }

    /// The oldest start of every key and age in which it changed, sorted by key.
    fn registers(&mut self, names: &Names) -> Vec<(u32, Age, Option<Timestamp>)> {
        let mut of_keys: Vec<(u32, Age)> = Vec::new();
        for (place, age) in std::mem::take(&mut self.changed) {
            let Some(running) = self.running.get_mut(place as usize).map(|ages| &mut ages[age as usize]) else {
                continue;
            };
            running.changed = false;
            let oldest = running.starts.oldest();
            if std::mem::replace(&mut running.told, oldest) != oldest {
                of_keys.extend(keys_of(names.at(place), EVERY_KEY).map(|key| (key, age)));
            }
        }
        of_keys.sort_unstable();
        of_keys.dedup();
        let told = |place: &u32, age: Age| self.running.get(*place as usize).and_then(|ages| ages[age as usize].told);
        let oldest = |(key, age)| {
            let oldest = names.places_of(key).iter().filter_map(|place| told(place, age)).min();
            (key, age, oldest.map(Timestamp))
        };
        of_keys.into_iter().map(oldest).collect()
    }
}

/// Where the pane begins that an instant lies in.
fn pane_of(at: i64) -> i64 {
    Timestamp(at).floor_to(PANE).0
}

fn keys_of(place: &Place, mask: u8) -> impl Iterator<Item = u32> + use<> {
    place.keys.into_iter().enumerate().filter(move |(bit, _)| mask >> bit & 1 == 1).filter_map(|(_, key)| key)
}

#[inline]
fn put(pane: &mut Pane, at: i64, what: What, weight: i64) {
    match what {
        What::Add(cell) => pane.cells.add(cell, weight),
        What::Step(cell) => {
            let after = at - pane.start;
            pane.cells.add(cell, weight);
            pane.cells.add(cell.moment(), weight * after);
        }
        What::Age(..) => {}
    }
}

//! Contributions combined until the next flush: one number per key, pane and cell, however many events made it.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::cells::{Cell, PANE};
use super::contribution::{Age, Contribution, EVERY_KEY, Target, What};
use super::names::Names;
use crate::domain::{Key, Timestamp};

/// What a floor contributed since its last flush.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub keys: Vec<KeyDelta>,
}

/// The contributions to one key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyDelta {
    pub key: Key,
    pub panes: Vec<PaneDelta>,
    /// The oldest start that runs on this floor, of each age that changed; `None`: nothing runs.
    pub oldest: Vec<(Age, Option<Timestamp>)>,
}

/// The contributions to one key in the pane that begins at `start`; Σw·t of levels counts t from there.
#[derive(Clone, Debug, PartialEq)]
pub struct PaneDelta {
    pub start: Timestamp,
    pub cells: Vec<(Cell, i64)>,
}

/// Cells of one pane, in no order.
type Cells = SmallVec<[(Cell, i64); 8]>;
type Panes = SmallVec<[(i64, Cells); 1]>;

fn add(panes: &mut Panes, pane: i64, cell: Cell, value: i64) {
    let index = panes.iter().rposition(|(start, _)| *start == pane).unwrap_or_else(|| {
        panes.push((pane, Cells::new()));
        panes.len() - 1
    });
    let Some((_, cells)) = panes.get_mut(index) else { return };
    match cells.iter_mut().find(|(known, _)| *known == cell) {
        Some((_, sum)) => *sum += value,
        None => cells.push((cell, value)),
    }
}

/// Starts that run, by age kind: how many began at each instant. The least is the oldest.
#[derive(Debug, Default)]
struct Running {
    starts: BTreeMap<i64, i64>,
    changed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Combiner {
    /// By number of place: what counts in every key of it. Spread over the keys once a flush, not once an event.
    places: Vec<Panes>,
    touched_places: Vec<u32>,
    keys: Vec<Panes>,
    touched_keys: Vec<u32>,
    running: Vec<[Running; 3]>,
}

impl Combiner {
    pub fn add(&mut self, contribution: Contribution, names: &Names) {
        let Contribution { at, target, what, weight } = contribution;
        let pane = at - at.rem_euclid(PANE.0);
        match (target, what) {
            (Target::Place(place, mask), What::Age(age, start)) => {
                for key in keys_of(place, mask, names) {
                    self.run(key, age, start, weight);
                }
            }
            (Target::Key(key), What::Age(age, start)) => self.run(key, age, start, weight),
            (Target::Place(place, EVERY_KEY), what) => {
                let panes = slot(&mut self.places, &mut self.touched_places, place);
                put(panes, pane, at, what, weight);
            }
            (Target::Place(place, mask), what) => {
                for key in keys_of(place, mask, names) {
                    put(slot(&mut self.keys, &mut self.touched_keys, key), pane, at, what, weight);
                }
            }
            (Target::Key(key), what) => {
                put(slot(&mut self.keys, &mut self.touched_keys, key), pane, at, what, weight);
            }
        }
    }

    fn run(&mut self, key: u32, age: Age, start: i64, weight: i64) {
        // The key is in the flush even where nothing else of it changed.
        slot(&mut self.keys, &mut self.touched_keys, key);
        if self.running.len() <= key as usize {
            self.running.resize_with(key as usize + 1, Default::default);
        }
        let Some(running) = self.running.get_mut(key as usize).and_then(|ages| ages.get_mut(age as usize)) else {
            return;
        };
        let count = running.starts.entry(start).or_insert(0);
        *count += weight;
        if *count == 0 {
            running.starts.remove(&start);
        }
        running.changed = true;
    }

    pub fn flush(&mut self, names: &Names) -> Batch {
        for place in std::mem::take(&mut self.touched_places) {
            let Some(panes) = self.places.get_mut(place as usize).map(std::mem::take) else { continue };
            for key in keys_of(place, EVERY_KEY, names) {
                let to = slot(&mut self.keys, &mut self.touched_keys, key);
                for (pane, cells) in &panes {
                    for (cell, value) in cells {
                        add(to, *pane, *cell, *value);
                    }
                }
            }
        }
        let mut batch = Batch::default();
        let mut touched = std::mem::take(&mut self.touched_keys);
        touched.sort_unstable();
        touched.dedup();
        for key in touched {
            let panes = self.keys.get_mut(key as usize).map(std::mem::take).unwrap_or_default();
            let mut delta = KeyDelta { key: names.key_name(key), panes: Vec::new(), oldest: Vec::new() };
            for (start, mut cells) in panes {
                cells.retain(|(_, value)| *value != 0);
                if !cells.is_empty() {
                    delta.panes.push(PaneDelta { start: Timestamp(start), cells: cells.into_vec() });
                }
            }
            for (age, running) in [Age::Wait, Age::Unanswered, Age::Unqueued]
                .into_iter()
                .zip(self.running.get_mut(key as usize).into_iter().flatten())
            {
                if std::mem::take(&mut running.changed) {
                    // A start whose end came first stands below zero until it is known: it does not run.
                    let oldest =
                        running.starts.iter().find(|(_, count)| **count > 0).map(|(start, _)| Timestamp(*start));
                    delta.oldest.push((age, oldest));
                }
            }
            batch.keys.push(delta);
        }
        batch
    }
}

fn keys_of(place: u32, mask: u8, names: &Names) -> impl Iterator<Item = u32> + use<> {
    names.at(place).keys.into_iter().enumerate().filter(move |(bit, _)| mask >> bit & 1 == 1).filter_map(|(_, key)| key)
}

/// The panes of `number`, marked as touched.
fn slot<'a>(all: &'a mut Vec<Panes>, touched: &mut Vec<u32>, number: u32) -> &'a mut Panes {
    let index = number as usize;
    if all.len() <= index {
        all.resize_with(index + 1, Panes::new);
    }
    let panes = &mut all[index];
    if panes.is_empty() && touched.last() != Some(&number) {
        touched.push(number);
    }
    panes
}

fn put(panes: &mut Panes, pane: i64, at: i64, what: What, weight: i64) {
    match what {
        What::Add(cell) => add(panes, pane, cell, weight),
        What::Step(cell) => {
            add(panes, pane, cell, weight);
            add(panes, pane, cell.moment(), weight * (at - pane));
        }
        What::Age(..) => {}
    }
}

//! What a floor contributed since its last flush: for each key the panes that changed and the cells of each, flat.

use super::cells::Cell;
use super::contribution::Age;
use crate::domain::{Key, Timestamp};

mod bytes;

/// The changes of a floor, key by key. Laid out in four lists, each part ending where the next begins, so that a flush is a
/// few allocations however many keys it has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    keys: Vec<Entry>,
    panes: Vec<(i64, u32)>,
    cells: Vec<(Cell, i64)>,
    oldest: Vec<(Age, Option<Timestamp>)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    number: u32,
    key: Key,
    panes_end: u32,
    oldest_end: u32,
}

/// The contributions to one key.
#[derive(Clone, Copy, Debug)]
pub struct KeyDelta<'a> {
    batch: &'a Batch,
    /// The floor's own number of the key: the same key has the same number for as long as the floor lives.
    pub number: u32,
    pub key: &'a Key,
    panes: (u32, u32),
    /// The oldest start that runs on this floor, of each age that changed; `None`: nothing runs.
    pub oldest: &'a [(Age, Option<Timestamp>)],
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub fn keys(&self) -> impl Iterator<Item = KeyDelta<'_>> {
        let (mut panes, mut oldest) = (0, 0);
        self.keys.iter().map(move |entry| {
            let delta = KeyDelta {
                batch: self,
                number: entry.number,
                key: &entry.key,
                panes: (panes, entry.panes_end),
                oldest: self.oldest.get(oldest as usize..entry.oldest_end as usize).unwrap_or(&[]),
            };
            (panes, oldest) = (entry.panes_end, entry.oldest_end);
            delta
        })
    }

    /// Ends a key: all panes and registers added since the last one are its own. One without any is left out.
    pub(super) fn end_key(&mut self, number: u32, key: impl FnOnce() -> Key) {
        let begun = self.keys.last().map_or((0, 0), |last| (last.panes_end, last.oldest_end));
        let (panes_end, oldest_end) = (self.panes.len() as u32, self.oldest.len() as u32);
        if begun != (panes_end, oldest_end) {
            self.keys.push(Entry { number, key: key(), panes_end, oldest_end });
        }
    }

    /// Ends a pane that begins at `start`: all cells added since the last one are its own. They must be sorted.
    pub(super) fn end_pane(&mut self, start: i64) {
        let begun = self.panes.last().map_or(0, |(_, end)| *end as usize);
        if begun < self.cells.len() {
            debug_assert!(self.cells.get(begun..).is_some_and(|cells| cells.is_sorted_by(|a, b| a.0 < b.0)));
            self.panes.push((start, self.cells.len() as u32));
        }
    }

    pub(super) fn add(&mut self, cell: Cell, value: i64) {
        if value != 0 {
            self.cells.push((cell, value));
        }
    }

    pub(super) fn add_oldest(&mut self, age: Age, start: Option<Timestamp>) {
        self.oldest.push((age, start));
    }
}

impl<'a> KeyDelta<'a> {
    /// The panes that changed, each with its start and what was added to its cells, sorted. Σw·t of levels counts t from
    /// the pane's start.
    pub fn panes(&self) -> impl Iterator<Item = (Timestamp, &'a [(Cell, i64)])> + use<'a> {
        let batch = self.batch;
        let (from, to) = (self.panes.0 as usize, self.panes.1 as usize);
        let before = from.checked_sub(1).and_then(|last| batch.panes.get(last)).map_or(0, |(_, end)| *end);
        batch.panes.get(from..to).unwrap_or(&[]).iter().scan(before, move |begin, (start, end)| {
            let cells = batch.cells.get(*begin as usize..*end as usize).unwrap_or(&[]);
            *begin = *end;
            Some((Timestamp(*start), cells))
        })
    }
}

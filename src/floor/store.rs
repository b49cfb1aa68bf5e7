//! The interactions held: their time-lines, found by a hash of their id.

use std::collections::VecDeque;

use hashbrown::HashTable;

use super::event_id::LongIds;
use super::moment::Moment;

mod snapshot;

/// What is kept of an interaction: what happened, and when it has to be looked at again. What that means is folded anew
/// when it is needed.
#[derive(Debug)]
pub(super) struct Interaction {
    pub whose: u128,
    /// Sorted. Empty only while the slot is free.
    pub moments: Vec<Moment>,
    pub long_ids: LongIds,
    /// The earliest moment in the heap that is for it; `i64::MAX`: none.
    pub due: i64,
    /// Until when it was told what follows from the state that the last event left.
    pub told: i64,
    pub open: bool,
}

impl Interaction {
    fn new(whose: u128, moments: usize) -> Interaction {
        Interaction {
            whose,
            moments: Vec::with_capacity(moments),
            long_ids: LongIds::default(),
            due: i64::MAX,
            told: i64::MIN,
            open: false,
        }
    }

    pub fn last(&self) -> i64 {
        self.moments.last().map_or(i64::MIN, |moment| moment.time)
    }
}

/// Slots come in chunks, so that growing copies nothing.
const CHUNK: usize = 1 << 10;

fn held_in(chunks: &[Vec<Interaction>], slot: u32) -> Option<&Interaction> {
    chunks.get(slot as usize / CHUNK)?.get(slot as usize % CHUNK)
}

#[derive(Debug, Default)]
pub(super) struct Interactions {
    index: HashTable<u32>,
    chunks: Vec<Vec<Interaction>>,
    free: Vec<u32>,
    /// Closed ones by the time at which they were noted so. Some may be open again, or gone.
    closed: VecDeque<(i64, u32)>,
}

impl Interactions {
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn find(&self, whose: u128) -> Option<u32> {
        self.index.find(whose as u64, |slot| self.get(*slot).is_some_and(|held| held.whose == whose)).copied()
    }

    pub fn get(&self, slot: u32) -> Option<&Interaction> {
        held_in(&self.chunks, slot)
    }

    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Interaction> {
        self.chunks.get_mut(slot as usize / CHUNK)?.get_mut(slot as usize % CHUNK)
    }

    /// Makes a slot for one that is not held.
    pub fn insert(&mut self, whose: u128) -> u32 {
        let new = Interaction::new(whose, 4);
        let slot = self.free.pop().unwrap_or_else(|| self.next_slot());
        match self.get_mut(slot) {
            Some(free) => *free = new,
            None => self.add_slot(new),
        }
        self.note_slot(whose, slot);
        slot
    }

    /// The slot that would be the first new one.
    fn next_slot(&self) -> u32 {
        (self.chunks.last().map_or(0, Vec::len) + self.chunks.len().saturating_sub(1) * CHUNK) as u32
    }

    fn add_slot(&mut self, held: Interaction) {
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.push(held);
        }
    }

    /// From now on it is found by its hash.
    fn note_slot(&mut self, whose: u128, slot: u32) {
        let Interactions { index, chunks, .. } = self;
        let hash = |slot: &u32| held_in(chunks, *slot).map_or(0, |held| held.whose as u64);
        index.insert_unique(whose as u64, slot, hash);
    }

    pub fn remove(&mut self, slot: u32) {
        let Some(held) = self.get_mut(slot) else { return };
        let whose = held.whose;
        (held.moments, held.long_ids) = (Vec::new(), LongIds::default());
        (held.due, held.open) = (i64::MAX, false);
        if let Ok(entry) = self.index.find_entry(whose as u64, |known| *known == slot) {
            entry.remove();
            self.free.push(slot);
        }
    }

    /// Notes that one is closed, `open` being the others.
    pub fn note_closed(&mut self, slot: u32, last: i64, open: usize) {
        self.closed.push_back((last, slot));
        let closed = self.len().saturating_sub(open);
        if self.closed.len() > 2 * closed + CHUNK {
            let mut notes = std::mem::take(&mut self.closed);
            notes.retain(|note| self.is_closed(note));
            self.closed = notes;
        }
    }

    fn is_closed(&self, (last, slot): &(i64, u32)) -> bool {
        self.get(*slot).is_some_and(|held| !held.open && held.last() == *last)
    }

    /// The one that has been closed for longest.
    pub fn first_closed(&mut self) -> Option<u32> {
        loop {
            let note = self.closed.pop_front()?;
            if self.is_closed(&note) {
                return Some(note.1);
            }
        }
    }
}

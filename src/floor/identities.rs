//! The ids of the events taken last, whosever they were: a second event with an id already seen changes nothing.
//!
//! Bounded: the oldest give way. An interaction and an agent know the ids of their own events besides, for as long as they
//! are held, so a repeated event is recognised however long ago it came; only an id that another one reuses is not, once it
//! is older than the bound.

use std::collections::{HashSet, VecDeque};

use foldhash::fast::FixedState;

#[derive(Debug, Default)]
pub(super) struct Identities {
    seen: HashSet<u64, FixedState>,
    order: VecDeque<u64>,
    /// How many gave way.
    pub forgotten: u64,
}

impl Identities {
    pub fn contains(&self, id: u64) -> bool {
        self.seen.contains(&id)
    }

    pub fn insert(&mut self, id: u64, limit: usize) {
        if self.seen.insert(id) {
            self.order.push_back(id);
        }
        while self.order.len() > limit {
            if let Some(oldest) = self.order.pop_front() {
                self.seen.remove(&oldest);
                self.forgotten += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_give_way() {
        let mut ids = Identities::default();
        for id in 0..5 {
            ids.insert(id, 3);
            ids.insert(id, 3);
        }
        assert_eq!((0..5).filter(|id| ids.contains(*id)).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(ids.forgotten, 2);
    }
}

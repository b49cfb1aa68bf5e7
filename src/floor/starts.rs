//! How many of something began at each instant, and the earliest of them that still runs.

use std::collections::{BTreeMap, VecDeque};

/// A multiset of instants. Most are added behind the last and taken from near the front: they stand in a queue, and what
/// ends in the middle leaves a hole until the front passes it. What comes far out of order goes into a tree.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// Ascending; the first and the last are not holes. A count below zero is of an end that came before its beginning.
    queue: VecDeque<(i64, i64)>,
    holes: usize,
    tree: BTreeMap<i64, i64>,
}

/// So far from the end of the queue one may be put into it.
const NEAR: usize = 32;

impl Starts {
    pub fn add(&mut self, start: i64, weight: i64) {
        if self.queue.back().is_none_or(|(last, _)| *last < start) && !self.tree.contains_key(&start) {
            self.queue.push_back((start, weight));
            return;
        }
        match self.queue.binary_search_by_key(&start, |(start, _)| *start) {
            Ok(at) => {
                if let Some((_, count)) = self.queue.get_mut(at) {
                    let hole = *count == 0;
                    *count += weight;
                    self.holes -= usize::from(hole);
                    self.holes += usize::from(*count == 0);
                }
                self.close_holes();
            }
            Err(at) if self.queue.len() - at < NEAR && !self.tree.contains_key(&start) => {
                self.queue.insert(at, (start, weight));
            }
            Err(_) => {
                let count = self.tree.entry(start).or_insert(0);
                *count += weight;
                if *count == 0 {
                    self.tree.remove(&start);
                }
            }
        }
    }

    fn close_holes(&mut self) {
        while self.queue.pop_front_if(|(_, count)| *count == 0).is_some() {
            self.holes -= 1;
        }
        while self.queue.pop_back_if(|(_, count)| *count == 0).is_some() {
            self.holes -= 1;
        }
        if self.holes > NEAR && self.holes > self.queue.len() / 2 {
            self.queue.retain(|(_, count)| *count != 0);
            self.holes = 0;
        }
    }

    /// A start whose end came first stands below zero until it is known: it does not run.
    pub fn oldest(&self) -> Option<i64> {
        let runs = |(_, count): &(i64, i64)| *count > 0;
        let queued = self.queue.iter().copied().find(runs);
        let grown = self.tree.iter().map(|(start, count)| (*start, *count)).find(runs);
        queued.into_iter().chain(grown).map(|(start, _)| start).min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_multiset(steps in prop::collection::vec((0..400i64, prop::bool::weighted(0.6)), 0..600)) {
            let (mut starts, mut counts) = (Starts::default(), BTreeMap::<i64, i64>::new());
            for (step, (near, begins)) in steps.into_iter().enumerate() {
                let start = if near % 3 == 0 { near } else { step as i64 + near % 7 };
                let weight = if begins { 1 } else { -1 };
                starts.add(start, weight);
                *counts.entry(start).or_insert(0) += weight;
                let oldest = counts.iter().find(|(_, count)| **count > 0).map(|(start, _)| *start);
                prop_assert_eq!(starts.oldest(), oldest);
                prop_assert!(starts.queue.len() + starts.tree.len() <= 2 * counts.len() + NEAR);
            }
        }
    }
}

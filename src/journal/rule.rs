//! Which entries of the deltas log count: a pure function of the log, the same for every reader.
//!
//! A claim counts only if it comes after the current one; a batch only under the current claim, and only if it is the
//! next one and starts where the last one ended. So zombies, repeats and torn writes fall out, whoever wrote them and whenever they arrive.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Claim, Delta, SourcePartition};

/// Why an entry does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drop {
    /// A claim after one that is no longer, or not yet, the current one: somebody else was first.
    LateClaim,
    /// A batch of a writer that does not own the partition (any more).
    NotOwner,
    /// A batch that was applied already, whole or in part, or a snapshot that is not newer: sent twice, or late.
    Repeated,
    /// A batch that starts behind what is applied: one before it is missing.
    Gap,
    /// A batch that ends before it starts, or a snapshot with batches that do not count (yet); a part that is not of the decision
    /// that has begun.
    Torn,
    /// A decision of another version of the program.
    Unreadable,
}

impl Drop {
    pub fn name(self) -> &'static str {
        match self {
            Drop::LateClaim => "late_claim",
            Drop::NotOwner => "not_owner",
            Drop::Repeated => "repeated",
            Drop::Gap => "gap",
            Drop::Torn => "torn",
            Drop::Unreadable => "unreadable",
        }
    }
}

/// Counts by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped(BTreeMap<Drop, u64>);

impl Dropped {
    pub fn count(&mut self, reason: Drop) {
        *self.0.entry(reason).or_default() += 1;
    }
    pub fn get(&self, reason: Drop) -> u64 {
        self.0.get(&reason).copied().unwrap_or(0)
    }
    pub fn iter(&self) -> impl Iterator<Item = (Drop, u64)> + '_ {
        self.0.iter().map(|(reason, count)| (*reason, *count))
    }
}

/// Who owns a partition, and up to which offset its contributions are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub claim: Claim,
    pub applied: i64,
    /// How many batches counted, and how many of them the newest snapshot knows.
    pub batches: u64,
    pub kept: u64,
}

/// The state of the log, one owner per source partition. Bounded by the number of partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    owners: BTreeMap<SourcePartition, Owner>,
}

impl Rule {
    pub fn owner(&self, place: SourcePartition) -> Option<Owner> {
        self.owners.get(&place).copied()
    }

    /// Takes the next entry of the log. `Ok` with the owner after it when it counts.
    pub fn judge<B>(&mut self, entry: &Delta<B>) -> Result<Owner, Drop> {
        match entry {
            Delta::Claimed { place, claim, after, start } => {
                let current = self.owner(*place);
                if current.map_or(Claim::NOBODY, |owner| owner.claim) != *after || *claim == Claim::NOBODY {
                    return Err(Drop::LateClaim);
                }
                // What was applied stays applied, whoever goes on.
                let none = Owner { claim: Claim::NOBODY, applied: *start, batches: 0, kept: 0 };
                let owner = Owner { claim: *claim, ..current.unwrap_or(none) };
                self.owners.insert(*place, owner);
                Ok(owner)
            }
            Delta::Batch(batch) => {
                let owner = self.owners.get_mut(&batch.place).filter(|owner| owner.claim == batch.claim);
                let Some(owner) = owner else { return Err(Drop::NotOwner) };
                if batch.to < batch.from {
                    return Err(Drop::Torn);
                }
                match (batch.number, batch.from).cmp(&(owner.batches + 1, owner.applied)) {
                    Ordering::Less => return Err(Drop::Repeated),
                    Ordering::Greater => return Err(Drop::Gap),
                    Ordering::Equal => (owner.batches, owner.applied) = (batch.number, batch.to),
                }
                Ok(*owner)
            }
            Delta::Kept { place, claim, mark } => {
                let owner = self.owners.get_mut(place).filter(|owner| owner.claim == *claim);
                let Some(owner) = owner else { return Err(Drop::NotOwner) };
                if mark.batches > owner.batches {
                    return Err(Drop::Torn);
                }
                // Done twice, or late behind a newer one: two that differ are to be kept.
                if mark.batches <= owner.kept {
                    return Err(Drop::Repeated);
                }
                owner.kept = mark.batches;
                Ok(*owner)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Batch, Mark, Progress};
    use super::*;
    use crate::domain::Timestamp;

    const PLACE: SourcePartition = SourcePartition { source: 0, partition: 1 };

    fn claim(claim: u64, after: u64, start: i64) -> Delta<()> {
        Delta::Claimed { place: PLACE, claim: Claim(claim), after: Claim(after), start }
    }

    fn batch(claim: u64, number: u64, from: i64, to: i64) -> Delta<()> {
        let progress = Progress::default();
        Delta::Batch(Batch { place: PLACE, claim: Claim(claim), number, from, to, progress, payload: () })
    }

    fn kept(claim: u64, batches: u64) -> Delta<()> {
        let mark = Mark { snapshot: 1, batches, at: 0, wall: Timestamp(0), live: true };
        Delta::Kept { place: PLACE, claim: Claim(claim), mark }
    }

    #[test]
    fn the_order_of_the_log_decides() {
        let mut rule = Rule::default();
        let log: Vec<(Delta<()>, Result<i64, Drop>)> = vec![
            (batch(1, 1, 0, 5), Err(Drop::NotOwner)),
            (claim(1, 0, 100), Ok(100)),
            (batch(1, 1, 100, 105), Ok(105)),
            (batch(1, 2, 105, 105), Ok(105)), // idle
            (batch(1, 2, 105, 105), Err(Drop::Repeated)),
            (batch(1, 1, 100, 105), Err(Drop::Repeated)),
            (batch(1, 3, 110, 120), Err(Drop::Gap)),
            (batch(1, 4, 105, 105), Err(Drop::Gap)),
            (batch(1, 3, 105, 90), Err(Drop::Torn)),
            (claim(2, 1, 0), Ok(105)), // goes on from what is applied, whatever it would have started with
            (claim(3, 1, 0), Err(Drop::LateClaim)),
            (claim(4, 0, 0), Err(Drop::LateClaim)),
            (claim(0, 2, 0), Err(Drop::LateClaim)),
            (batch(1, 3, 105, 110), Err(Drop::NotOwner)), // the zombie
            (batch(3, 3, 105, 110), Err(Drop::NotOwner)),
            (kept(1, 2), Err(Drop::NotOwner)),
            (kept(2, 3), Err(Drop::Torn)), // of what does not count yet
            (kept(2, 2), Ok(105)),
            (kept(2, 2), Err(Drop::Repeated)),
            (kept(2, 1), Err(Drop::Repeated)),
            (batch(2, 3, 105, 110), Ok(110)),
        ];
        for (at, (entry, expected)) in log.iter().enumerate() {
            assert_eq!(rule.judge(entry).map(|owner| owner.applied), *expected, "entry {at}: {entry:?}");
        }
        assert_eq!(rule.owner(PLACE), Some(Owner { claim: Claim(2), applied: 110, batches: 3, kept: 2 }));
    }

    #[test]
    fn partitions_do_not_concern_each_other() {
        let mut rule = Rule::default();
        let other = SourcePartition { source: 0, partition: 2 };
        assert!(rule.judge(&claim(1, 0, 0)).is_ok());
        let entry: Delta<()> = Delta::Claimed { place: other, claim: Claim(9), after: Claim::NOBODY, start: 7 };
        assert_eq!(rule.judge(&entry).map(|owner| owner.applied), Ok(7));
        assert_eq!(rule.judge(&batch(1, 1, 0, 3)).map(|owner| owner.applied), Ok(3));
    }

    /// Whatever zombies, repeats and losses there are: what counts is one unbroken row of offsets.
    #[test]
    fn what_counts_is_contiguous_from_any_mixture() {
        use proptest::prelude::*;
        let entry = prop_oneof![
            (1u64..4, 0u64..4).prop_map(|(new, after)| claim(new, after, 0)),
            (1u64..4, 0u64..6).prop_map(|(by, batches)| kept(by, batches)),
            (1u64..4, 1u64..5, 0i64..6, 0i64..3).prop_map(|(by, number, from, len)| batch(
                by,
                number,
                from,
                from + len
            )),
        ];
        proptest!(|(log in proptest::collection::vec(entry, 0..200))| {
            let mut rule = Rule::default();
            let (mut applied, mut batches, mut marked, mut owner) = (0i64, 0, 0, Claim::NOBODY);
            for entry in &log {
                if rule.judge(entry).is_err() {
                    continue;
                }
                match entry {
                    Delta::Claimed { claim, after, .. } => {
                        prop_assert_eq!(*after, owner);
                        owner = *claim;
                    }
                    Delta::Batch(batch) => {
                        prop_assert_eq!(batch.claim, owner);
                        prop_assert_eq!((batch.number, batch.from), (batches + 1, applied));
                        (batches, applied) = (batch.number, batch.to);
                    }
                    Delta::Kept { claim, mark, .. } => {
                        prop_assert_eq!(*claim, owner);
                        prop_assert!(marked < mark.batches && mark.batches <= batches);
                        marked = mark.batches;
                    }
                }
            }
        });
    }
}

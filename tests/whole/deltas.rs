//! What of the deltas log counts, by a reading of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use atalaya::domain::Timestamp;
use atalaya::floor;
use atalaya::instance::Share;
use atalaya::journal::{Claim, Delta, SourcePartition};

/// A batch that counts: where it stands in the log, and which of its partition it is.
pub struct Counted {
    pub at: usize,
    pub place: SourcePartition,
    pub number: u64,
    pub claim: Claim,
    pub contributions: Arc<floor::Batch>,
}

#[derive(Default)]
pub struct Deltas {
    read: usize,
    /// Of each partition who tells of it, how many batches count, and the offset behind the last.
    turns: BTreeMap<SourcePartition, (Claim, u64, i64)>,
    pub counted: Vec<Counted>,
    /// Of each partition how many batches its newest snapshot knows, and the names of the last two; 0 is none.
    marks: BTreeMap<SourcePartition, (u64, [u64; 2])>,
    /// Up to when each partition is told of, whose end was reached.
    told: BTreeMap<SourcePartition, Timestamp>,
}

impl Deltas {
    /// What has been added to the log.
    pub fn read(&mut self, log: &[Delta<Share>]) {
        for (at, entry) in log.iter().enumerate().skip(self.read) {
            self.take(at, entry);
        }
        self.read = log.len();
    }

    fn take(&mut self, at: usize, entry: &Delta<Share>) {
        match entry {
            Delta::Claimed { place, claim, after, start } => {
                let (current, batches, to) = self.turns.get(place).copied().unwrap_or((Claim::NOBODY, 0, *start));
                if *after == current {
                    self.turns.insert(*place, (*claim, batches, to));
                }
            }
            Delta::Batch(batch) => {
                let turn = (batch.claim, batch.number - 1, batch.from);
                if self.turns.get(&batch.place) == Some(&turn) {
                    self.turns.insert(batch.place, (batch.claim, batch.number, batch.to));
                    if batch.payload.step.live {
                        self.told.insert(batch.place, batch.payload.step.end);
                    }
                    let contributions = batch.payload.contributions.clone();
                    let (place, number, claim) = (batch.place, batch.number, batch.claim);
                    self.counted.push(Counted { at, place, number, claim, contributions });
                }
            }
            Delta::Kept { place, claim, mark } => {
                let (batches, marks) = self.marks.entry(*place).or_default();
                if self.turns.get(place).is_some_and(|turn| turn.0 == *claim) && mark.batches > *batches {
                    (*batches, *marks) = (mark.batches, [marks[1], mark.snapshot]);
                }
            }
        }
    }

    /// The snapshots of a partition's floor that others may go on from.
    pub fn marks(&self, place: SourcePartition) -> impl Iterator<Item = u64> {
        let marks = self.marks.get(&place).map_or([0; 2], |(_, marks)| *marks);
        marks.into_iter().filter(|snapshot| *snapshot != 0)
    }

    /// Up to when all of so many partitions are told of.
    pub fn told(&self, partitions: usize) -> Option<Timestamp> {
        self.told.values().min().copied().filter(|_| self.told.len() == partitions)
    }

    /// Who tells of a partition, how many of its batches count, and up to which offset.
    pub fn owner(&self, place: SourcePartition) -> Option<(Claim, u64, i64)> {
        self.turns.get(&place).copied()
    }
}

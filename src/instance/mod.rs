//! One instance of many, without its I/O: which source partitions it works on, and what all of them came to.
//!
//! Instances share nothing but logs. Each reads the whole deltas log and keeps the board ([`replica`]), so that each can
//! answer for all; for the source partitions that are given to it, it keeps floors and tells the log what they contribute
//! ([`owner`]). Whatever fails - an instance dies, stands still and wakes up, is given a partition that another still works
//! on, sees the log late, or writes to it twice - the order of the log decides what counts ([`crate::journal::rule`]), and
//! everybody can tell by himself.
//!
//! Everything is a value that goes in by a method, or comes out as a [`Want`]: clocks, logs, topics and stores are the
//! caller's, who may be the service or a simulation. What a caller must keep to:
//!
//! * Entries of the deltas log come in their order, all of them, from [`Instance::position`] on.
//! * Records of a source partition come in the order of their offsets, from the offset that [`Want::Read`] named on.
//! * What is wanted may be lost, delayed or done twice, as it is in life. What was not seen done is wanted again.
//!
//! Which instance evaluates the matrices and sends, and what was decided, is [`decider`]'s matter, by another log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::board::Board;
use crate::domain::{Event, Timestamp};
use crate::floor::Taken;
use crate::journal::rule::Dropped;
use crate::journal::{Claim, Delta, Position, SourcePartition};
use crate::plan::Plan;
use crate::snapshot::SnapshotError;

mod course;
pub mod decider;
pub mod owner;
pub mod replica;

pub use course::{SKEW, STALE_AFTER, Step};
use owner::Owner;
use replica::Replica;

/// What a batch of the deltas log carries: a floor's contributions, and how its clock went while it made them.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    pub contributions: Arc<crate::floor::Batch>,
    pub step: Step,
}

/// What an instance asks of the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Want {
    /// To be added to the deltas log.
    Append(Delta<Share>),
    /// The bytes kept under this name, by [`Instance::loaded`].
    Load { place: SourcePartition, snapshot: u64 },
    /// The partition's records from here on; [`Instance::reading`] once nothing else can come any more.
    Read { place: SourcePartition, from: i64 },
    /// These bytes to be kept for good under this name; [`Instance::stored`] once they are.
    Store { place: SourcePartition, snapshot: u64, bytes: Vec<u8> },
}

#[derive(Debug)]
pub struct Instance {
    plan: Arc<Plan>,
    replica: Replica,
    owners: BTreeMap<SourcePartition, Owner>,
    wants: VecDeque<Want>,
    snapshot_every: u64,
}

/// A snapshot of a floor is due after so many records and batches, counted together.
const SNAPSHOT_EVERY: u64 = 100_000;

impl Instance {
    /// One that knows nothing yet, and reads the deltas log from its beginning.
    pub fn new(plan: Arc<Plan>) -> Self {
        Instance::of(Replica::new(plan.clone()), plan)
    }

    /// One that goes on from what another had seen of the deltas log.
    pub fn restore(plan: Arc<Plan>, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let replica = Replica::restore(plan.clone(), bytes)?;
        Ok(Instance::of(replica, plan))
    }

    fn of(replica: Replica, plan: Arc<Plan>) -> Self {
        let (owners, wants) = (BTreeMap::new(), VecDeque::new());
        Instance { plan, replica, owners, wants, snapshot_every: SNAPSHOT_EVERY }
    }

    /// The same, with snapshots of floors after so many records and batches.
    pub fn with_snapshot_every(self, snapshot_every: u64) -> Self {
        Instance { snapshot_every, ..self }
    }

    /// What it has seen of the deltas log, in bytes.
    pub fn snapshot(&mut self) -> Vec<u8> {
        self.replica.snapshot()
    }

    /// Just behind the last entry of the deltas log that it has seen.
    pub fn position(&self) -> Position {
        self.replica.position()
    }

    pub fn board(&mut self) -> &mut Board {
        self.replica.board()
    }

    /// What of the deltas log did not count, by reason.
    pub fn dropped(&self) -> &Dropped {
        self.replica.dropped()
    }

    /// A partition is given to it. `draw` gives random numbers.
    pub fn assigned(&mut self, place: SourcePartition, start: i64, now: Timestamp, draw: &mut dyn FnMut() -> u64) {
        let owner = self.owners.entry(place).or_insert_with(|| Owner::new(place, self.plan.clone(), start));
        owner.claim(self.replica.owner(place).map_or(Claim::NOBODY, |owner| owner.claim), now, draw, &mut self.wants);
    }

    /// A partition is taken away. What of it is not in the log is the next owner's to find again.
    pub fn revoked(&mut self, place: SourcePartition) {
        self.owners.remove(&place);
    }

    /// The next entry of the deltas log, which stands at `position`.
    pub fn entry(&mut self, position: Position, entry: &Delta<Share>, now: Timestamp) {
        let place = entry.place();
        let counts = self.replica.take(position, entry);
        let Some(owner) = self.owners.get_mut(&place) else { return };
        match entry {
            Delta::Claimed { claim, .. } if counts => match self.replica.history(place) {
                Some(history) if owner.is_claimed_by(*claim) => owner.accepted(history, &mut self.wants),
                _ => owner.superseded(now),
            },
            Delta::Claimed { claim, .. } if owner.is_claimed_by(*claim) => owner.refused(now),
            Delta::Batch(batch) if counts && owner.is_claimed_by(batch.claim) => owner.confirmed(now, &mut self.wants),
            _ => {}
        }
    }

    /// What was kept under a name; `None` where it is gone.
    pub fn loaded(&mut self, place: SourcePartition, snapshot: u64, bytes: Option<&[u8]>) {
        if let (Some(owner), Some(history)) = (self.owners.get_mut(&place), self.replica.history(place)) {
            owner.loaded(snapshot, bytes, history, &mut self.wants);
        }
    }

    pub fn stored(&mut self, place: SourcePartition, snapshot: u64) {
        if let Some(owner) = self.owners.get_mut(&place) {
            owner.stored(snapshot, &mut self.wants);
        }
    }

    /// The records of a partition come from this offset on, as was wanted.
    pub fn reading(&mut self, place: SourcePartition, from: i64) {
        if let Some(owner) = self.owners.get_mut(&place) {
            owner.reading(from);
        }
    }

    /// A record of a source partition, decoded; `None`: one without an event. `broker` is when the broker took it, and
    /// `clock` reads the wall clock. What became of it; `None` where it was taken before, or is not waited for.
    pub fn record(
        &mut self,
        place: SourcePartition,
        offset: i64,
        broker: Option<Timestamp>,
        event: Option<&Event<'_>>,
        clock: &mut dyn FnMut() -> Timestamp,
    ) -> Option<Taken> {
        self.owners.get_mut(&place)?.record(offset, broker, event, clock)
    }

    /// A partition was read to its end: the next record will have this offset or a later one.
    pub fn reached(&mut self, place: SourcePartition, offset: i64) {
        if let Some(owner) = self.owners.get_mut(&place) {
            owner.reached(offset);
        }
    }

    /// Tells the log what came since the last time, and asks again for what was not seen done.
    pub fn flush(&mut self, now: Timestamp, draw: &mut dyn FnMut() -> u64) {
        for (place, owner) in &mut self.owners {
            let current = self.replica.owner(*place).map_or(Claim::NOBODY, |owner| owner.claim);
            owner.flush(current, now, self.snapshot_every, draw, &mut self.wants);
        }
    }

    /// The floor of a partition as it stands just after a flush, in bytes; how many batches counted as far as it has seen, and
    /// how many it has told beyond them. `None` while it does not tell, or has gone on since.
    pub fn floor(&self, place: SourcePartition) -> Option<(u64, u64, Vec<u8>)> {
        self.owners.get(&place)?.floor()
    }

    /// The partitions that it cannot work on: of their floors no snapshot can be read, and what came before it is not known.
    pub fn stuck(&self) -> impl Iterator<Item = SourcePartition> {
        self.owners.iter().filter(|(_, owner)| owner.is_stuck()).map(|(place, _)| *place)
    }

    /// The next thing that is wanted.
    pub fn want(&mut self) -> Option<Want> {
        self.wants.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Millis;

    const PLACE: SourcePartition = SourcePartition { source: 0, partition: 0 };

    /// What an instance wants, with every entry for the log seen in it at once.
    fn settle(instance: &mut Instance, now: Timestamp) -> Vec<Want> {
        let mut done = Vec::new();
        while let Some(want) = instance.want() {
            match &want {
                Want::Append(delta) => instance.entry(instance.position(), delta, now),
                Want::Read { place, from } => instance.reading(*place, *from),
                Want::Load { .. } | Want::Store { .. } => {}
            }
            done.push(want);
        }
        done
    }

    /// Whether the floor's clock went with the wall's at the last flush.
    fn live(wants: &[Want]) -> bool {
        let mut steps = wants.iter().rev().filter_map(|want| match want {
            Want::Append(Delta::Batch(batch)) => Some(&batch.payload.step),
            _ => None,
        });
        steps.next().is_some_and(|step| step.live)
    }

    /// Records alone say nothing of how many are still to come: a floor that is hours behind must not take them for late.
    #[test]
    fn only_who_has_read_to_the_end_lives_by_the_wall_clock() {
        let mut instance = Instance::new(Arc::new(Plan::default()));
        let (mut now, mut number) = (Timestamp(1_767_225_600_000), 0);
        let mut draw = || {
            number += 1;
            number
        };
        instance.assigned(PLACE, 0, now, &mut draw);
        settle(&mut instance, now);
        let mut flush = |instance: &mut Instance, after: Millis| {
            now = now + after;
            instance.flush(now, &mut draw);
            live(&settle(instance, now))
        };
        assert_eq!(instance.record(PLACE, 0, None, None, &mut || Timestamp(0)), None);
        assert!(!flush(&mut instance, Millis::SECOND));
        instance.reached(PLACE, 1);
        assert!(flush(&mut instance, Millis::SECOND));
        // It stays so while it is read to its end every now and then, and no longer.
        instance.record(PLACE, 1, None, None, &mut || Timestamp(0));
        assert!(flush(&mut instance, Millis::SECOND));
        assert!(!flush(&mut instance, Millis::HOUR));
        instance.reached(PLACE, 1);
        assert!(!flush(&mut instance, Millis::SECOND), "that is not the end");
        instance.reached(PLACE, 2);
        assert!(flush(&mut instance, Millis::SECOND));
    }
}

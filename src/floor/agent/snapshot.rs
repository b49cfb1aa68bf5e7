//! An agent put down in bytes: hash of the id (16 bytes), since when late snapshots are taken, the moment due, what stood
//! before the last snapshot (key, cell, how many), and the snapshots themselves.
//!
//! What the last snapshot means follows from it. What stood before it may not: the ones before may be forgotten.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::{Fold, Posture, Snapshot, posture};
use crate::floor::Agent;
use crate::floor::cells::Cell;
use crate::floor::names::Names;
use crate::snapshot::{Reader, SnapshotError, Writer, ensure, instant};

#[derive(Serialize, Deserialize)]
pub(in crate::floor) struct Posted {
    whose: [u8; 16],
    /// `None`: since ever.
    known_from: Option<i64>,
    /// `None`: never.
    due: Option<i64>,
    posture: Vec<(u32, u32, i64)>,
    snapshots: Vec<Snapshot>,
}

impl Posted {
    pub fn put(whose: u128, agent: &Agent, to: &mut Writer) {
        let posture = agent.fold.posture.iter().map(|(key, cell, weight)| (*key, cell.0, *weight)).collect();
        to.put(&Posted {
            whose: whose.to_le_bytes(),
            known_from: Some(agent.known_from).filter(|from| *from > i64::MIN),
            due: Some(agent.due).filter(|due| *due < i64::MAX),
            posture,
            snapshots: agent.snapshots.clone(),
        });
    }

    pub fn take(names: &mut Names, from: &mut Reader<'_>) -> Result<(u128, Agent), SnapshotError> {
        let Posted { whose, known_from, due, posture, mut snapshots } = from.take("agent")?;
        for snapshot in &mut snapshots {
            instant(Some(snapshot.time), "agent's snapshot")?;
            ensure(snapshot.names().all(|name| names.has_name(name)), "agent's snapshot")?;
            snapshot.id_hash = xxh3_64(snapshot.id.as_bytes());
        }
        ensure(snapshots.is_sorted_by(|a, b| a.order() < b.order()), "order of an agent's snapshots")?;
        ensure(posture.iter().all(|(key, ..)| names.has_key(*key)), "agent's posture")?;
        let posture = posture.into_iter().map(|(key, cell, weight)| (key, Cell(cell), weight)).collect();
        let optional = |time: Option<i64>, other| time.map_or(Ok(other), |time| instant(Some(time), "agent"));
        let agent = Agent {
            known_from: optional(known_from, i64::MIN)?,
            due: optional(due, i64::MAX)?,
            fold: Fold::again(&snapshots, posture, names),
            snapshots,
        };
        Ok((u128::from_le_bytes(whose), agent))
    }
}

impl Snapshot {
    /// The numbers of all names in it.
    fn names(&self) -> impl Iterator<Item = u32> {
        let queues = self.queues.iter();
        let queues = queues.flat_map(|queues| {
            let pairs = queues.pairs.iter().flat_map(|entry| [entry.queue, entry.channel]);
            queues.names.iter().copied().chain(pairs)
        });
        queues.chain(self.channels.iter().flatten().copied())
    }
}

impl Fold {
    /// The fold over snapshots, before the last of which `before` stood.
    fn again(snapshots: &[Snapshot], before: Posture, names: &mut Names) -> Fold {
        let last = snapshots.iter().fold(None, |last: Option<Snapshot>, snapshot| {
            let mut next = snapshot.clone();
            if let Some(last) = last {
                next.inherit(&last);
            }
            Some(next)
        });
        Fold { next: last.as_ref().map(|last| posture(last, names)).unwrap_or_default(), last, posture: before }
    }
}

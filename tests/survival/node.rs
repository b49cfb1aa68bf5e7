//! A process of the simulated world: a replica, and the owners of the partitions that are given to it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use atalaya::board::Board;
use atalaya::domain::{Event, Millis, Timestamp};
use atalaya::instance::{Owner, Replica, Share, Want};
use atalaya::journal::rule::Dropped;
use atalaya::journal::{Claim, Delta, Position, SourcePartition};
use atalaya::plan::Plan;

pub struct Instance {
    plan: Arc<Plan>,
    replica: Replica,
    board: Board,
    owners: BTreeMap<SourcePartition, Owner>,
    wants: VecDeque<Want>,
    snapshot_every: u64,
}

impl Instance {
    /// `kept`: what an instance had seen of the deltas log.
    pub fn new(plan: Arc<Plan>, kept: Option<&[u8]>, snapshot_every: u64) -> Self {
        let (replica, board) = match kept {
            Some(bytes) => Replica::restore(plan.clone(), bytes).unwrap(),
            None => (Replica::default(), Board::new(plan.clone())),
        };
        let (owners, wants) = (BTreeMap::new(), VecDeque::new());
        Instance { plan, replica, board, owners, wants, snapshot_every }
    }

    pub fn snapshot(&mut self) -> Vec<u8> {
        self.replica.snapshot(&mut self.board)
    }

    pub fn position(&self) -> Position {
        self.replica.position()
    }

    pub fn board(&mut self) -> &mut Board {
        &mut self.board
    }

    pub fn dropped(&self) -> &Dropped {
        self.replica.dropped()
    }

    pub fn assigned(&mut self, place: SourcePartition, start: i64) {
        let new = || {
            Owner::new(place, self.plan.clone(), start)
                .with_snapshot_every(self.snapshot_every)
                .with_idle_every(Millis(0))
        };
        self.owners.entry(place).or_insert_with(new);
    }

    pub fn revoked(&mut self, place: SourcePartition) {
        self.owners.remove(&place);
    }

    pub fn entry(&mut self, position: Position, entry: &Delta<Share>, now: Timestamp) {
        if let Some(news) = self.replica.take(position, entry, &mut self.board)
            && let Some(owner) = self.owners.get_mut(&news.place)
        {
            owner.hear(news, now, &mut self.wants);
        }
    }

    pub fn loaded(&mut self, place: SourcePartition, snapshot: u64, bytes: Option<&[u8]>) {
        if let Some(owner) = self.owners.get_mut(&place) {
            owner.loaded(snapshot, bytes, &mut self.wants);
        }
    }

    pub fn stored(&mut self, place: SourcePartition, snapshot: u64) {
        if let Some(owner) = self.owners.get_mut(&place) {
            owner.stored(snapshot, &mut self.wants);
        }
    }

    pub fn reading(&mut self, place: SourcePartition, from: i64) {
        if let Some(owner) = self.owners.get_mut(&place) {
            owner.reading(from);
        }
    }

    pub fn record(
        &mut self,
        place: SourcePartition,
        offset: i64,
        broker: Timestamp,
        event: Option<&Event<'_>>,
        wall: Timestamp,
    ) {
        if let Some(owner) = self.owners.get_mut(&place) {
            owner.record(offset, Some(broker), event, &mut || wall);
        }
    }

    pub fn reached(&mut self, place: SourcePartition, offset: i64) {
        if let Some(owner) = self.owners.get_mut(&place) {
            owner.reached(offset);
        }
    }

    pub fn flush(&mut self, now: Timestamp, draw: &mut dyn FnMut() -> u64) {
        for (place, owner) in &mut self.owners {
            let current = self.replica.owner(*place).map_or(Claim::NOBODY, |owner| owner.claim);
            owner.flush(Some(current), now, draw, &mut self.wants);
        }
    }

    pub fn floor(&self, place: SourcePartition) -> Option<(u64, u64, Vec<u8>)> {
        self.owners.get(&place)?.snapshot()
    }

    pub fn stuck(&self) -> impl Iterator<Item = SourcePartition> {
        self.owners.iter().filter(|(_, owner)| owner.is_stuck()).map(|(place, _)| *place)
    }

    pub fn want(&mut self) -> Option<Want> {
        self.wants.pop_front()
    }
}

//! A process of the simulated world: a replica and its board, the owners of the partitions that are given to it, and a seat to
//! decide in. What the service does about them on its threads is done here by hand, with the same parts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use atalaya::domain::{Calendar, Event, Millis, Timestamp};
use atalaya::instance::decider::{self, Decider};
use atalaya::instance::{Expected, Owner, Replica, Seat, Share, Want};
use atalaya::journal::{Claim, Delta, Position, SourcePartition};
use atalaya::matrix::engine::{Feeds, Operation};
use atalaya::pipeline::Evaluator;

use crate::floor::{PARTITIONS, SET, Setting};

/// How many partitions the one source has.
const COUNTS: [i32; 1] = [PARTITIONS as i32];

/// What of a decision no log tells: the instant that the board had come to, and how the sources stood by the clock of who decided.
#[derive(Clone)]
pub struct Circumstances {
    pub instant: Timestamp,
    pub feeds: Feeds,
}

pub struct Instance {
    setting: Arc<Setting>,
    pub seat: Seat,
    replica: Replica,
    evaluator: Evaluator,
    owners: BTreeMap<SourcePartition, Owner>,
    wants: VecDeque<Want>,
    under: BTreeMap<u64, Claim>,
    snapshot_every: u64,
    started: Timestamp,
    operations: Position,
    /// Whether the deltas, the decisions and the operations have been read to their end once.
    pub read: [bool; 3],
    caught_up: Option<(Timestamp, Vec<(SourcePartition, i64)>)>,
    ready: bool,
    ticked: Timestamp,
}

impl Instance {
    /// `replica` and `decided`: what instances had seen of the deltas and of the decisions log.
    pub fn new(
        setting: Arc<Setting>,
        replica: Option<&[u8]>,
        decided: Option<&[u8]>,
        snapshot_every: u64,
        started: Timestamp,
    ) -> Self {
        let mut evaluator = Evaluator::new(setting.plan.clone(), SET.matrices.clone());
        let replica = match replica {
            Some(bytes) => {
                let (replica, board) = Replica::restore(setting.plan.clone(), bytes).unwrap();
                evaluator.put_board(board);
                replica
            }
            None => Replica::default(),
        };
        let decider = decided.map_or_else(Decider::new, |bytes| Decider::restore(bytes).unwrap());
        let decider = decider.with_part_bytes(setting.part_bytes);
        Instance {
            operations: decider.last().map_or(Position::default(), |last| last.operations),
            seat: Seat::new(decider),
            replica,
            evaluator,
            owners: BTreeMap::new(),
            wants: VecDeque::new(),
            under: BTreeMap::new(),
            snapshot_every,
            started,
            read: [false; 3],
            caught_up: None,
            ready: false,
            ticked: Timestamp::MIN,
            setting,
        }
    }

    /// What is kept of the deltas and of the decisions, by who decides.
    pub fn keeps(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        let ours = self.seat.term().is_some() && self.has_read_all();
        ours.then(|| (self.replica.snapshot(self.evaluator.board()), self.seat.decider.snapshot()))
    }

    /// What it reads next of the deltas, the decisions and the operations.
    pub fn positions(&self) -> [usize; 3] {
        [self.replica.position(), self.seat.decider.position(), self.operations].map(|position| position.0 as usize)
    }

    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    pub fn evaluator(&mut self) -> &mut Evaluator {
        &mut self.evaluator
    }

    pub fn assigned(&mut self, place: SourcePartition) {
        let new = || {
            Owner::new(place, self.setting.plan.clone(), 0)
                .with_snapshot_every(self.snapshot_every)
                .with_idle_every(self.setting.idle_every)
        };
        self.owners.entry(place).or_insert_with(new);
    }

    pub fn revoked(&mut self, place: SourcePartition) {
        self.owners.remove(&place);
    }

    pub fn delta(&mut self, position: Position, entry: &Delta<Share>, now: Timestamp) {
        let news = self.replica.take(position, entry, self.evaluator.board());
        if let Some(instant) = self.replica.instant(&COUNTS, self.ready) {
            self.evaluator.advance(instant);
        }
        if let Some(news) = news
            && let Some(owner) = self.owners.get_mut(&news.place)
        {
            let place = news.place;
            owner.hear(news, now, &mut self.wants);
            let claim = self.replica.owner(place).map_or(Claim::NOBODY, |owner| owner.claim);
            for want in &self.wants {
                if let Want::Store { snapshot, .. } = want {
                    self.under.entry(*snapshot).or_insert(claim);
                }
            }
        }
    }

    /// Under which claim a snapshot was wanted to be stored.
    pub fn under(&self, snapshot: u64) -> Option<Claim> {
        self.under.get(&snapshot).copied()
    }

    /// Whether another term has begun, or one has ended.
    pub fn decision(&mut self, position: Position, entry: &decider::Entry) -> bool {
        self.seat.decider.entry(position, entry);
        self.turns()
    }

    pub fn resign(&mut self) {
        self.seat.decider.resign();
        self.turns();
    }

    fn turns(&mut self) -> bool {
        let turns = self.seat.turns();
        if turns && self.seat.term().is_some() {
            self.seat.make_engine(&mut self.evaluator);
        }
        turns
    }

    pub fn operation(&mut self, position: Position, at: Timestamp, operation: Operation) {
        self.operations = Position(position.0 + 1);
        self.seat.operation(position, at, operation, &mut self.evaluator);
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
            owner.flush(Some(current).filter(|_| self.read[0]), now, draw, &mut self.wants);
        }
    }

    /// Up to where it has read its partitions is where they ended when it began, or later.
    pub fn catch_up(&mut self, reading: &BTreeMap<SourcePartition, usize>, now: Timestamp) {
        if self.ready {
            return;
        }
        let attended = self.replica.histories().filter(|(_, history)| history.last.is_some()).count();
        if self.caught_up.is_none() && attended == PARTITIONS {
            let read = reading.iter().map(|(place, next)| (*place, *next as i64));
            self.caught_up = Some((now, read.collect()));
        }
        if let Some((seen, read)) = &self.caught_up {
            self.ready = self.replica.shows(read, *seen, &COUNTS);
        }
    }

    /// Looks whether it could decide, and claims where nobody does.
    pub fn turn(&mut self, at_end: bool, wall: Timestamp, draw: &mut dyn FnMut() -> u64) {
        let able = self.is_able();
        self.seat.decider.able(able);
        if at_end {
            self.seat.decider.at_end(wall, draw);
        }
    }

    fn has_read_all(&self) -> bool {
        self.read == [true; 3]
    }

    fn shown(&self) -> Timestamp {
        self.evaluator.now().floor_to(Millis::SECOND)
    }

    fn is_behind(&self) -> bool {
        self.seat.decider.is_behind(self.shown(), self.replica.position())
    }

    fn is_able(&self) -> bool {
        self.ready && self.has_read_all() && (self.seat.term().is_some() || !self.is_behind())
    }

    /// Decides the second that the board shows, if that is due: which decision it is, and in what circumstances.
    pub fn tick(&mut self, wall: Timestamp) -> Option<((Claim, u64), Circumstances)> {
        let claim = self.seat.term()?;
        let shown = self.shown();
        if shown <= self.ticked || !self.is_able() || !self.seat.decider.may_decide() || self.is_behind() {
            return None;
        }
        self.ticked = shown;
        let expected = Expected {
            source: "events".into(),
            max_lag: Millis::MINUTE,
            silent_after: Some(Millis(10 * 60_000)),
            hours: Calendar::always(),
        };
        let standing = self.replica.standing(0, &COUNTS, self.started);
        let feeds = Feeds(vec![expected.feed(&standing, wall)]);
        let number = self.seat.decider.ledger().decisions() + 1;
        let (instant, _) = self.seat.tick(&feeds, self.replica.position(), &mut self.evaluator);
        Some(((claim, number), Circumstances { instant, feeds }))
    }

    /// Why it does not decide, for whoever reads of a failure.
    pub fn describe(&self) -> String {
        let lasts = self.replica.histories().map(|(place, history)| {
            let last = history.last.map(|last| (last.wall, last.live));
            format!("{}: {last:?} by {:?}", place.partition, self.replica.owner(place).map(|owner| owner.claim))
        });
        format!(
            "term {:?}, flight {}, ready {}, read {:?}, behind {}, shows {}, last {:?}, positions {:?}, partitions {:?}",
            self.seat.term(),
            !self.seat.decider.may_decide(),
            self.ready,
            self.read,
            self.is_behind(),
            self.evaluator.now(),
            self.seat.decider.last(),
            self.positions(),
            lasts.collect::<Vec<_>>()
        )
    }

    pub fn floor(&self, place: SourcePartition) -> Option<(u64, u64, Vec<u8>)> {
        self.owners.get(&place)?.snapshot()
    }

    pub fn tells(&self, place: SourcePartition) -> bool {
        self.owners.get(&place).is_some_and(Owner::tells)
    }

    pub fn stuck(&self) -> impl Iterator<Item = SourcePartition> {
        self.owners.iter().filter(|(_, owner)| owner.is_stuck()).map(|(place, _)| *place)
    }

    pub fn want(&mut self) -> Option<Want> {
        self.wants.pop_front()
    }
}

//! A floor that tells the log what it contributes.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::course::{Course, STALE_AFTER, Step};
use super::super::{Share, Want};
use super::{SLOTS, slot};
use crate::domain::{Event, Millis, Timestamp};
use crate::floor::Taken;
use crate::journal::{Batch, Claim, Mark, Progress, SourcePartition, TopicId};

#[derive(Debug)]
pub struct Telling {
    pub course: Course,
    /// The offset behind the last record taken, and behind the last that a batch is of.
    pub next: i64,
    pub written: i64,
    pub shift: i64,
    pub topic: TopicId,
    pub readings: Vec<(i64, Timestamp)>,
    /// A record came since the last flush.
    pub heard: bool,
    /// It was read to its end since the last flush; and when that was last so at a flush.
    pub reached: bool,
    pub confirmed: Timestamp,
    /// Batches that counted, and those that are on their way.
    pub batches: u64,
    pub unconfirmed: VecDeque<Batch<Share>>,
    /// Records and batches since the last snapshot, and its length.
    pub since_snapshot: u64,
    pub snapshot_bytes: u64,
    /// The names of the snapshots that the log names last, the newer first.
    pub kept: [Option<u64>; 2],
    pub snapshot: Option<Snapshot>,
}

/// A snapshot that the log does not name yet.
#[derive(Debug)]
pub struct Snapshot {
    pub mark: Mark,
    /// Until it is wanted to be stored, which is once all batches in it count.
    pub bytes: Option<Vec<u8>>,
    pub stored: bool,
    /// When it was last told to the log, or soon after that.
    pub told: Option<Timestamp>,
}

impl Telling {
    pub fn record(
        &mut self,
        offset: i64,
        broker: Option<Timestamp>,
        event: Option<&Event<'_>>,
        clock: &mut dyn FnMut() -> Timestamp,
    ) -> Option<Taken> {
        self.next = offset + 1;
        self.heard = true;
        self.since_snapshot += 1;
        let event = event?;
        if self.course.must_look(event) {
            let wall = clock();
            if self.course.look(wall) {
                self.readings.push((offset, wall));
            }
        }
        Some(self.course.take(event, broker))
    }

    /// Whether there may be anything to tell. What falls due while nothing comes waits for the next time.
    pub fn is_due(&self, now: Timestamp, idle_every: Millis) -> bool {
        let idle = self.next == self.written && self.course.live();
        let passed = now - self.course.wall();
        // A clock that was put back does not make it fall silent.
        !idle || passed >= idle_every || passed < Millis::ZERO
    }

    pub fn flush(&mut self, place: SourcePartition, claim: Claim, now: Timestamp) -> Batch<Share> {
        let reached = std::mem::take(&mut self.reached);
        if reached {
            self.confirmed = now;
        }
        // Too far behind to live by the wall clock: what lies behind must not become too late by it.
        let live = reached || self.course.live() && now - self.confirmed <= STALE_AFTER;
        let (contributions, moved) = self.course.end(now, live);
        let readings = std::mem::take(&mut self.readings);
        let Telling { next: to, shift, topic, .. } = *self;
        let step = Step { to, readings, end: self.course.wall(), live, moved, shift, topic };
        let floor = self.course.floor();
        let counters = floor.counters();
        let progress = Progress {
            caught_up: reached.then_some(now),
            stream_time: floor.stream_time(),
            heard: std::mem::take(&mut self.heard).then_some(now),
            interactions: counters.interactions > 0,
            agents: counters.agents > 0,
        };
        let payload = Share { contributions: Arc::new(contributions), step };
        let number = self.batches + self.unconfirmed.len() as u64 + 1;
        let batch = Batch { place, claim, number, from: self.written, to: self.next, progress, payload };
        self.written = self.next;
        self.since_snapshot += 1;
        self.unconfirmed.push_back(batch.clone());
        batch
    }

    /// Of the state just after a flush. Of the three places it takes that of neither of the two that the log names.
    pub fn take_snapshot(&mut self, drawn: u64) {
        self.since_snapshot = 0;
        let taken = self.kept.map(|kept| kept.map(slot));
        let free = (0..SLOTS).find(|slot| !taken.contains(&Some(*slot))).unwrap_or_default();
        let snapshot = (drawn >> 1) / SLOTS * SLOTS + free;
        let batches = self.batches + self.unconfirmed.len() as u64;
        let mark = Mark { snapshot, batches, at: self.next, wall: self.course.wall(), live: self.course.live() };
        let bytes = self.course.snapshot();
        self.snapshot_bytes = bytes.len() as u64;
        self.snapshot = Some(Snapshot { mark, bytes: Some(bytes), stored: false, told: None });
    }

    /// Stores the snapshot, once all that is in it counts.
    pub fn store(&mut self, place: SourcePartition, wants: &mut VecDeque<Want>) {
        if let Some(own) = self.snapshot.as_mut().filter(|own| own.mark.batches <= self.batches)
            && let Some(bytes) = own.bytes.take()
        {
            wants.push_back(Want::Store { place, snapshot: own.mark.snapshot, bytes });
        }
    }
}

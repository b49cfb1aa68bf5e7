//! A source partition that is given to an instance: from claiming it to telling the log what its floor contributes.
//!
//! | stage | until |
//! |---|---|
//! | claiming | its claim comes out of the log and counts |
//! | loading | the newest snapshot of the floor has come; the one before it where that is gone; none where there never was one |
//! | following | it has done with the source's records what the log says was done with them, and told nothing |
//! | telling | another's claim comes out of the log |
//! | superseded | it is taken away; or, should it still be given to this instance after a while, it claims again |
//!
//! A batch is held until it comes out of the log. One that does not come is appended again with all after it, byte for byte:
//! what had come all the same is dropped by the rule as repeated.

use std::collections::VecDeque;
use std::sync::Arc;

use super::course::{Course, STALE_AFTER, Step};
use super::replica::History;
use super::{Share, Want};
use crate::domain::{Event, Millis, Timestamp};
use crate::floor::Taken;
use crate::journal::{Batch, Claim, Delta, Mark, Progress, SourcePartition};
use crate::plan::Plan;

/// What has not come out of the log for so long is appended again.
const AGAIN_AFTER: Millis = Millis(5_000);

/// Who is superseded and still assigned claims again after this: by then the group has mostly taken it away.
const RECLAIM_AFTER: Millis = Millis(1_000);

/// Batches that may be on their way. Then the floor gathers until some have come.
pub const UNCONFIRMED_MAX: usize = 32;

#[derive(Debug)]
pub struct Owner {
    place: SourcePartition,
    plan: Arc<Plan>,
    /// Where to begin if nobody ever claimed it.
    start: i64,
    claim: Claim,
    after: Claim,
    stage: Stage,
    /// When something was last wanted that has not been seen done.
    asked: Timestamp,
    /// The snapshots that turned out to be gone or damaged.
    lost: Vec<u64>,
}

#[derive(Debug)]
enum Stage {
    Claiming,
    Loading(Mark),
    Following(Box<Following>),
    Telling(Box<Telling>),
    Superseded {
        since: Timestamp,
    },
    /// No snapshot that there should be can be read: what it would contribute cannot be known.
    Stuck,
}

#[derive(Debug)]
struct Following {
    course: Course,
    /// The records are read from where they were wanted. What comes before that was on its way when they were.
    reads: bool,
    steps: VecDeque<Step>,
    /// The offset behind the last record taken, and how many batches counted when the last step is done.
    next: i64,
    batches: u64,
}

#[derive(Debug)]
struct Telling {
    course: Course,
    /// The offset behind the last record taken, and behind the last that a batch is of.
    next: i64,
    written: i64,
    readings: Vec<(i64, Timestamp)>,
    /// It was read to its end since the last flush; and when that was last so at a flush.
    reached: bool,
    confirmed: Timestamp,
    /// Batches that counted, and those that are on their way.
    batches: u64,
    unconfirmed: VecDeque<Batch<Share>>,
    /// Records and batches since the last snapshot.
    since_snapshot: u64,
    /// Its bytes until it is wanted to be stored, which is once all batches in it count.
    snapshot: Option<(Mark, Option<Vec<u8>>)>,
}

impl Owner {
    pub fn new(place: SourcePartition, plan: Arc<Plan>, start: i64) -> Self {
        Owner {
            place,
            plan,
            start,
            claim: Claim::NOBODY,
            after: Claim::NOBODY,
            stage: Stage::Superseded { since: Timestamp::MIN },
            asked: Timestamp::MIN,
            lost: Vec::new(),
        }
    }

    pub fn is_claimed_by(&self, claim: Claim) -> bool {
        self.claim == claim
    }

    /// Claims the partition after `after`, unless it is at work on it.
    pub fn claim(&mut self, after: Claim, now: Timestamp, draw: &mut dyn FnMut() -> u64, wants: &mut VecDeque<Want>) {
        if let Stage::Superseded { .. } = self.stage {
            self.claim = Claim(draw().max(1));
            self.after = after;
            self.stage = Stage::Claiming;
            self.ask(now, wants);
        }
    }

    fn ask(&mut self, now: Timestamp, wants: &mut VecDeque<Want>) {
        self.asked = now;
        let Owner { place, claim, after, start, .. } = *self;
        wants.push_back(Want::Append(Delta::Claimed { place, claim, after, start }));
    }

    /// Somebody else's claim counts.
    pub fn superseded(&mut self, now: Timestamp) {
        self.stage = Stage::Superseded { since: now };
    }

    /// Its claim came out of the log and does not count: somebody was first, or it came before and counted then.
    pub fn refused(&mut self, now: Timestamp) {
        if matches!(self.stage, Stage::Claiming) {
            self.superseded(now);
        }
    }

    /// Its claim counts.
    pub fn accepted(&mut self, history: &History, wants: &mut VecDeque<Want>) {
        if matches!(self.stage, Stage::Claiming) {
            self.load(history, wants);
        }
    }

    fn load(&mut self, history: &History, wants: &mut VecDeque<Want>) {
        match history.mark(&self.lost) {
            Some(mark) => {
                self.stage = Stage::Loading(*mark);
                wants.push_back(Want::Load { place: self.place, snapshot: mark.snapshot });
            }
            None if history.is_whole() => self.follow(Course::new(self.plan.clone()), None, history, wants),
            None => self.stage = Stage::Stuck,
        }
    }

    pub fn loaded(&mut self, snapshot: u64, bytes: Option<&[u8]>, history: &History, wants: &mut VecDeque<Want>) {
        let Stage::Loading(mark) = self.stage else { return };
        if mark.snapshot != snapshot {
            return;
        }
        match bytes.and_then(|bytes| Course::restore(self.plan.clone(), bytes, &mark).ok()) {
            Some(course) => self.follow(course, Some(&mark), history, wants),
            None => {
                self.lost.push(snapshot);
                self.load(history, wants);
            }
        }
    }

    fn follow(&mut self, course: Course, mark: Option<&Mark>, history: &History, wants: &mut VecDeque<Want>) {
        let next = mark.map_or(history.start, |mark| mark.at);
        let (steps, batches) = (history.since(mark), history.batches);
        wants.push_back(Want::Read { place: self.place, from: next });
        self.stage = Stage::Following(Box::new(Following { course, reads: false, steps, next, batches }));
    }

    /// Its records are read from there on.
    pub fn reading(&mut self, from: i64) {
        if let Stage::Following(following) = &mut self.stage
            && following.next == from
        {
            following.reads = true;
            self.reached(from);
        }
    }

    /// As [`super::Instance::record`].
    pub fn record(
        &mut self,
        offset: i64,
        broker: Option<Timestamp>,
        event: Option<&Event<'_>>,
        clock: &mut dyn FnMut() -> Timestamp,
    ) -> Option<Taken> {
        // Steps may end before it: offsets leap where a topic is compacted.
        if matches!(self.stage, Stage::Following(_)) {
            self.reached(offset);
        }
        match &mut self.stage {
            Stage::Following(following) if following.reads && offset >= following.next => {
                following.record(offset, broker, event)
            }
            Stage::Telling(telling) if offset >= telling.next => telling.record(offset, broker, event, clock),
            _ => None,
        }
    }

    /// There is nothing before `offset` that was not taken.
    pub fn reached(&mut self, offset: i64) {
        match &mut self.stage {
            Stage::Following(following) if following.reads => {
                following.close(offset);
                if following.steps.is_empty() {
                    self.tell();
                }
            }
            Stage::Telling(telling) => telling.reached |= offset == telling.next,
            _ => {}
        }
    }

    /// It stands where the log ends: from here on it tells.
    fn tell(&mut self) {
        let stage = std::mem::replace(&mut self.stage, Stage::Stuck);
        self.stage = match stage {
            Stage::Following(following) => {
                let Following { course, next, batches, .. } = *following;
                Stage::Telling(Box::new(Telling {
                    confirmed: course.wall(),
                    course,
                    next,
                    written: next,
                    readings: Vec::new(),
                    reached: false,
                    batches,
                    unconfirmed: VecDeque::new(),
                    since_snapshot: 0,
                    snapshot: None,
                }))
            }
            other => other,
        };
    }

    /// The oldest batch on its way came out of the log and counts.
    pub fn confirmed(&mut self, now: Timestamp, wants: &mut VecDeque<Want>) {
        let Stage::Telling(telling) = &mut self.stage else { return };
        self.asked = now;
        if telling.unconfirmed.pop_front().is_some() {
            telling.batches += 1;
        }
        telling.store(self.place, wants);
    }

    pub fn stored(&mut self, snapshot: u64, wants: &mut VecDeque<Want>) {
        let Stage::Telling(telling) = &mut self.stage else { return };
        if let Some((mark, _)) = telling.snapshot.take_if(|(mark, _)| mark.snapshot == snapshot) {
            wants.push_back(Want::Append(Delta::Kept { place: self.place, claim: self.claim, mark }));
        }
    }

    /// No snapshot that there should be can be read.
    pub fn is_stuck(&self) -> bool {
        matches!(self.stage, Stage::Stuck)
    }

    /// As [`super::Instance::floor`].
    pub fn floor(&self) -> Option<(u64, u64, Vec<u8>)> {
        let Stage::Telling(telling) = &self.stage else { return None };
        (telling.written == telling.next)
            .then(|| (telling.batches, telling.unconfirmed.len() as u64, telling.course.snapshot()))
    }

    /// As [`super::Instance::flush`]; `current` is the claim that counts, and a snapshot is due after so many records and
    /// batches.
    pub fn flush(
        &mut self,
        current: Claim,
        now: Timestamp,
        snapshot_every: u64,
        draw: &mut dyn FnMut() -> u64,
        wants: &mut VecDeque<Want>,
    ) {
        let late = now - self.asked >= AGAIN_AFTER;
        match &mut self.stage {
            Stage::Superseded { since } if now - *since >= RECLAIM_AFTER => self.claim(current, now, draw, wants),
            Stage::Claiming if late => self.ask(now, wants),
            Stage::Loading(mark) if late => {
                wants.push_back(Want::Load { place: self.place, snapshot: mark.snapshot });
                self.asked = now;
            }
            Stage::Following(following) if late && !following.reads => {
                wants.push_back(Want::Read { place: self.place, from: following.next });
                self.asked = now;
            }
            Stage::Telling(telling) => {
                let again = late && !telling.unconfirmed.is_empty();
                if again {
                    wants.extend(telling.unconfirmed.iter().cloned().map(|batch| Want::Append(Delta::Batch(batch))));
                }
                let idle = telling.unconfirmed.is_empty();
                if telling.unconfirmed.len() < UNCONFIRMED_MAX {
                    let batch = telling.flush(self.place, self.claim, now);
                    wants.push_back(Want::Append(Delta::Batch(batch)));
                    // One that was never stored gives way.
                    if telling.since_snapshot >= snapshot_every {
                        telling.take_snapshot(draw());
                    }
                }
                if again || idle {
                    self.asked = now;
                }
            }
            _ => {}
        }
    }
}

impl Following {
    fn record(&mut self, offset: i64, broker: Option<Timestamp>, event: Option<&Event<'_>>) -> Option<Taken> {
        self.next = offset + 1;
        if let Some(step) = self.steps.front_mut() {
            let due = step.readings.partition_point(|(at, _)| *at <= offset);
            for (_, wall) in step.readings.drain(..due) {
                self.course.look(wall);
            }
        }
        let taken = event.map(|event| self.course.take(event, broker));
        self.close(self.next);
        taken
    }

    /// Ends the steps that lie behind an offset.
    fn close(&mut self, offset: i64) {
        while let Some(step) = self.steps.pop_front_if(|step| step.to <= offset) {
            for (_, wall) in &step.readings {
                self.course.look(*wall);
            }
            self.course.end(step.end, step.live);
            self.next = self.next.max(step.to);
        }
    }
}

impl Telling {
    fn record(
        &mut self,
        offset: i64,
        broker: Option<Timestamp>,
        event: Option<&Event<'_>>,
        clock: &mut dyn FnMut() -> Timestamp,
    ) -> Option<Taken> {
        self.next = offset + 1;
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

    fn flush(&mut self, place: SourcePartition, claim: Claim, now: Timestamp) -> Batch<Share> {
        let reached = std::mem::take(&mut self.reached);
        if reached {
            self.confirmed = now;
        }
        // Too far behind to live by the wall clock: what lies behind must not become too late by it.
        let live = reached || self.course.live() && now - self.confirmed <= STALE_AFTER;
        let contributions = self.course.end(now, live);
        let step = Step { to: self.next, readings: std::mem::take(&mut self.readings), end: self.course.wall(), live };
        let progress = Progress { caught_up: reached.then_some(now), stream_time: None };
        let payload = Share { contributions: Arc::new(contributions), step };
        let number = self.batches + self.unconfirmed.len() as u64 + 1;
        let batch = Batch { place, claim, number, from: self.written, to: self.next, progress, payload };
        self.written = self.next;
        self.since_snapshot += 1;
        self.unconfirmed.push_back(batch.clone());
        batch
    }

    /// Of the state just after a flush.
    fn take_snapshot(&mut self, snapshot: u64) {
        self.since_snapshot = 0;
        let batches = self.batches + self.unconfirmed.len() as u64;
        let mark = Mark { snapshot, batches, at: self.next, wall: self.course.wall(), live: self.course.live() };
        self.snapshot = Some((mark, Some(self.course.snapshot())));
    }

    /// Stores the snapshot, once all that is in it counts.
    fn store(&mut self, place: SourcePartition, wants: &mut VecDeque<Want>) {
        if let Some((mark, bytes)) = self.snapshot.as_mut().filter(|(mark, _)| mark.batches <= self.batches)
            && let Some(bytes) = bytes.take()
        {
            wants.push_back(Want::Store { place, snapshot: mark.snapshot, bytes });
        }
    }
}

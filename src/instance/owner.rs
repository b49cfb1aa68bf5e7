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

mod telling;

use std::collections::VecDeque;
use std::sync::Arc;

use telling::Telling;

use super::course::{Course, Step};
use super::replica::History;
use super::{News, Want, What};
use crate::domain::{Event, Millis, Timestamp};
use crate::floor::{Floor, Taken};
use crate::journal::{Claim, Delta, Mark, SourcePartition, TopicId};
use crate::plan::Plan;

/// What has not come out of the log for so long is appended again.
const AGAIN_AFTER: Millis = Millis(5_000);

/// Who is superseded and still assigned claims again after this: by then the group has mostly taken it away.
const RECLAIM_AFTER: Millis = Millis(1_000);

/// Batches that may be on their way. Then the floor gathers until some have come.
const UNCONFIRMED_MAX: usize = 32;

/// A snapshot of a floor is due after so many records and batches, counted together.
pub const SNAPSHOT_EVERY: u64 = 20_000;

/// And not before so many for each byte of the last one: records are some hundred bytes, of which snapshots are to be a tenth at
/// the most.
const BYTES_A_RECORD: u64 = 30;

/// So many places there are for snapshots of a floor: two that others may go on from, and one to write to.
pub const SLOTS: u64 = 3;

/// The place of the snapshot of that name.
pub fn slot(snapshot: u64) -> u64 {
    snapshot % SLOTS
}

/// A floor of which there is nothing to tell says so every so often: that is how others know that it is there.
pub const IDLE_EVERY: Millis = Millis(1_000);

#[derive(Debug)]
pub struct Owner {
    place: SourcePartition,
    plan: Arc<Plan>,
    /// Where to begin if nobody ever claimed it.
    start: i64,
    /// Whose partition it is, as far as the broker says.
    topic: TopicId,
    snapshot_every: u64,
    idle_every: Millis,
    claim: Claim,
    after: Claim,
    stage: Stage,
    /// When something was last wanted that has not been seen done.
    asked: Timestamp,
    /// The snapshots that turned out to be gone or damaged.
    lost: Vec<u64>,
    /// Records that nobody will ever see: they were gone from the source before they were read.
    missed: i64,
}

#[derive(Debug)]
enum Stage {
    Claiming,
    Loading(Mark, Box<History>),
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
    shift: i64,
    topic: TopicId,
    kept: [Option<u64>; 2],
    since_snapshot: u64,
    snapshot_bytes: u64,
}

impl Owner {
    /// `start` is where to begin if nobody ever claimed it.
    pub fn new(place: SourcePartition, plan: Arc<Plan>, start: i64) -> Self {
        Owner {
            place,
            plan,
            start,
            topic: TopicId::UNKNOWN,
            snapshot_every: SNAPSHOT_EVERY,
            idle_every: IDLE_EVERY,
            claim: Claim::NOBODY,
            after: Claim::NOBODY,
            stage: Stage::Superseded { since: Timestamp::MIN },
            asked: Timestamp::MIN,
            lost: Vec::new(),
            missed: 0,
        }
    }

    /// The same, with snapshots after so many records and batches.
    pub fn with_snapshot_every(self, snapshot_every: u64) -> Self {
        Owner { snapshot_every, ..self }
    }

    /// The same, telling so often that there is nothing to tell.
    pub fn with_idle_every(self, idle_every: Millis) -> Self {
        Owner { idle_every, ..self }
    }

    /// The broker has said which topic it is. Of another than before, [`Owner::gone`] follows.
    pub fn is_of(&mut self, topic: TopicId) {
        self.topic = topic.or(self.topic);
        if let Stage::Telling(telling) = &mut self.stage {
            telling.topic = telling.topic.or(topic);
        }
    }

    /// Claims the partition after `after`.
    fn claim(&mut self, after: Claim, now: Timestamp, draw: &mut dyn FnMut() -> u64, wants: &mut VecDeque<Want>) {
        self.claim = Claim(draw().max(1));
        self.after = after;
        self.stage = Stage::Claiming;
        self.ask(now, wants);
    }

    fn ask(&mut self, now: Timestamp, wants: &mut VecDeque<Want>) {
        self.asked = now;
        let Owner { place, claim, after, start, .. } = *self;
        wants.push_back(Want::Append(Delta::Claimed { place, claim, after, start }));
    }

    /// Something came out of the log that concerns its partition.
    pub fn hear(&mut self, news: News, now: Timestamp, wants: &mut VecDeque<Want>) {
        let ours = news.claim == self.claim;
        match news.what {
            What::Claimed(history) if ours => {
                if matches!(self.stage, Stage::Claiming) {
                    self.load(history, wants);
                }
            }
            What::Claimed(_) => self.stage = Stage::Superseded { since: now },
            // Somebody was first; or it came before, and counted then.
            What::NotClaimed if ours && matches!(self.stage, Stage::Claiming) => {
                self.stage = Stage::Superseded { since: now };
            }
            What::Counted if ours => self.confirmed(now, wants),
            What::Kept(snapshot) if ours => self.kept(snapshot),
            What::NotClaimed | What::Counted | What::Kept(_) => {}
        }
    }

    fn load(&mut self, history: Box<History>, wants: &mut VecDeque<Want>) {
        match history.mark(&self.lost).copied() {
            Some(mark) => {
                self.stage = Stage::Loading(mark, history);
                wants.push_back(Want::Load { place: self.place, snapshot: mark.snapshot });
            }
            None if history.is_whole() => self.follow(Course::new(self.plan.clone()), None, 0, &history, wants),
            None => self.stage = Stage::Stuck,
        }
    }

    /// What was kept under a name; `None` where it is gone.
    pub fn loaded(&mut self, snapshot: u64, bytes: Option<&[u8]>, wants: &mut VecDeque<Want>) {
        let stage = std::mem::replace(&mut self.stage, Stage::Stuck);
        match stage {
            Stage::Loading(mark, history) if mark.snapshot == snapshot => {
                let snapshot_bytes = bytes.map_or(0, <[u8]>::len) as u64;
                match bytes.and_then(|bytes| Course::restore(self.plan.clone(), bytes, &mark).ok()) {
                    Some(course) => self.follow(course, Some(&mark), snapshot_bytes, &history, wants),
                    None => {
                        self.lost.push(snapshot);
                        self.load(history, wants);
                    }
                }
            }
            other => self.stage = other,
        }
    }

    fn follow(
        &mut self,
        course: Course,
        mark: Option<&Mark>,
        snapshot_bytes: u64,
        history: &History,
        wants: &mut VecDeque<Want>,
    ) {
        let (at, known) = mark.map_or((history.start, 0), |mark| (mark.at, mark.batches));
        let to = history.last.map_or(at, |last| last.to);
        let mut following = Following {
            // By what the log says, not by what this owner did: owners may change often.
            since_snapshot: (to - at).max(0).unsigned_abs() + history.batches.saturating_sub(known),
            snapshot_bytes,
            course,
            reads: false,
            steps: history.since(mark),
            next: at,
            batches: history.batches,
            shift: history.shift(),
            topic: history.topic(),
            kept: history.newest(),
        };
        // What the records were that the log tells of, nobody knows any more.
        let anew = history.topic().differs(self.topic);
        if anew {
            following.close(i64::MAX);
            following.shift = following.next;
        }
        wants.push_back(Want::Read { place: self.place, from: following.from(), anew });
        self.stage = Stage::Following(Box::new(following));
    }

    /// The records of its partition come from this offset on, as was wanted.
    pub fn reading(&mut self, from: i64) {
        if let Stage::Following(following) = &mut self.stage
            && following.from() == from
        {
            following.reads = true;
            self.reached(from);
        }
    }

    /// What was wanted to be read, or comes next, is no longer in the partition, which begins at `low` now. `anew`: its offsets
    /// have begun again.
    pub fn gone(&mut self, low: i64, anew: bool) {
        match &mut self.stage {
            Stage::Following(following) if anew => {
                following.close(i64::MAX);
                following.shift = following.next - low;
                following.reads = true;
                self.tell();
            }
            Stage::Following(following) => {
                following.reads = true;
                self.missed += (low + following.shift - following.next).max(0);
                following.next = following.next.max(low + following.shift);
                self.reached(low);
            }
            Stage::Telling(telling) if anew => (telling.shift, telling.topic) = (telling.next - low, self.topic),
            Stage::Telling(telling) => {
                self.missed += (low + telling.shift - telling.next).max(0);
                telling.next = telling.next.max(low + telling.shift);
            }
            Stage::Claiming | Stage::Loading(..) | Stage::Superseded { .. } | Stage::Stuck => {}
        }
    }

    /// Whether a record of that offset is waited for: if not, it was taken before, or it is of no use yet.
    pub fn expects(&self, offset: i64) -> bool {
        match &self.stage {
            Stage::Following(following) => following.reads && offset + following.shift >= following.next,
            Stage::Telling(telling) => offset + telling.shift >= telling.next,
            _ => false,
        }
    }

    /// A record of its partition, decoded; `None`: one without an event. `broker` is when the broker took it, and `clock` reads
    /// the wall clock. What became of it; `None` where it has no event, or is not expected.
    pub fn record(
        &mut self,
        offset: i64,
        broker: Option<Timestamp>,
        event: Option<&Event<'_>>,
        clock: &mut dyn FnMut() -> Timestamp,
    ) -> Option<Taken> {
        if !self.expects(offset) {
            return None;
        }
        // Steps may end before it: offsets leap where a topic is compacted.
        if matches!(self.stage, Stage::Following(_)) {
            self.reached(offset);
        }
        match &mut self.stage {
            Stage::Following(following) => following.record(offset + following.shift, broker, event),
            Stage::Telling(telling) => telling.record(offset + telling.shift, broker, event, clock),
            _ => None,
        }
    }

    /// The partition was read to here: the next record will have this offset or a later one.
    pub fn reached(&mut self, offset: i64) {
        match &mut self.stage {
            Stage::Following(following) if following.reads => {
                following.close(offset + following.shift);
                if following.steps.is_empty() {
                    self.tell();
                }
            }
            Stage::Telling(telling) => {
                telling.reached |= offset + telling.shift == telling.next;
            }
            _ => {}
        }
    }

    /// It stands where the log ends: from here on it tells.
    fn tell(&mut self) {
        let stage = std::mem::replace(&mut self.stage, Stage::Stuck);
        self.stage = match stage {
            Stage::Following(following) => {
                let Following { course, next, batches, shift, topic, kept, since_snapshot, snapshot_bytes, .. } =
                    *following;
                Stage::Telling(Box::new(Telling {
                    confirmed: course.wall(),
                    course,
                    next,
                    written: next,
                    shift,
                    topic: self.topic.or(topic),
                    readings: Vec::new(),
                    heard: false,
                    reached: false,
                    batches,
                    unconfirmed: VecDeque::new(),
                    since_snapshot,
                    snapshot_bytes,
                    kept,
                    snapshot: None,
                }))
            }
            other => other,
        };
    }

    /// The oldest batch on its way came out of the log and counts.
    fn confirmed(&mut self, now: Timestamp, wants: &mut VecDeque<Want>) {
        let Stage::Telling(telling) = &mut self.stage else { return };
        self.asked = now;
        if telling.unconfirmed.pop_front().is_some() {
            telling.batches += 1;
        }
        telling.store(self.place, wants);
    }

    pub fn stored(&mut self, snapshot: u64, wants: &mut VecDeque<Want>) {
        let Stage::Telling(telling) = &mut self.stage else { return };
        if let Some(own) = telling.snapshot.as_mut().filter(|own| own.mark.snapshot == snapshot && !own.stored) {
            own.stored = true;
            wants.push_back(Want::Append(Delta::Kept { place: self.place, claim: self.claim, mark: own.mark }));
        }
    }

    /// A snapshot came out of the log and counts: from now on others may go on from it, and its place is taken.
    fn kept(&mut self, snapshot: u64) {
        let Stage::Telling(telling) = &mut self.stage else { return };
        telling.kept = [Some(snapshot), telling.kept[0]];
        telling.snapshot.take_if(|own| own.mark.snapshot == snapshot);
    }

    /// No snapshot that there should be can be read: it cannot work on its partition.
    pub fn is_stuck(&self) -> bool {
        matches!(self.stage, Stage::Stuck)
    }

    /// Its floor contributes: it has come to where the one before it was left.
    pub fn tells(&self) -> bool {
        matches!(self.stage, Stage::Telling(_))
    }

    /// The partition was read to its end a moment before the last flush.
    pub fn is_live(&self) -> bool {
        matches!(&self.stage, Stage::Telling(telling) if telling.course.live())
    }

    /// While it follows or tells.
    pub fn floor(&self) -> Option<&Floor> {
        match &self.stage {
            Stage::Following(following) => Some(following.course.floor()),
            Stage::Telling(telling) => Some(telling.course.floor()),
            _ => None,
        }
    }

    /// How many records were gone before they could be read.
    pub fn missed(&self) -> i64 {
        self.missed
    }

    /// The floor as it stands just after a flush, in bytes; how many batches counted as far as it has heard, and how many it has
    /// told beyond them. `None` while it does not tell, or has gone on since.
    pub fn snapshot(&self) -> Option<(u64, u64, Vec<u8>)> {
        let Stage::Telling(telling) = &self.stage else { return None };
        (telling.written == telling.next)
            .then(|| (telling.batches, telling.unconfirmed.len() as u64, telling.course.snapshot()))
    }

    /// Tells the log what came since the last time, and asks again for what was not seen done. `current` is the claim that
    /// counts, as far as the log has been read; `None` while it has not been read to its end. `draw` gives random numbers.
    pub fn flush(
        &mut self,
        current: Option<Claim>,
        now: Timestamp,
        draw: &mut dyn FnMut() -> u64,
        wants: &mut VecDeque<Want>,
    ) {
        let late = now - self.asked >= AGAIN_AFTER;
        match &mut self.stage {
            Stage::Superseded { since } if now - *since >= RECLAIM_AFTER => {
                if let Some(current) = current {
                    self.claim(current, now, draw, wants);
                }
            }
            Stage::Claiming if late => self.ask(now, wants),
            Stage::Loading(mark, _) if late => {
                wants.push_back(Want::Load { place: self.place, snapshot: mark.snapshot });
                self.asked = now;
            }
            Stage::Following(following) if late && !following.reads => {
                wants.push_back(Want::Read { place: self.place, from: following.from(), anew: false });
                self.asked = now;
            }
            Stage::Telling(telling) => {
                let again = late && !telling.unconfirmed.is_empty();
                if again {
                    wants.extend(telling.unconfirmed.iter().cloned().map(|batch| Want::Append(Delta::Batch(batch))));
                }
                let idle = telling.unconfirmed.is_empty();
                if telling.unconfirmed.len() < UNCONFIRMED_MAX && telling.is_due(now, self.idle_every) {
                    let batch = telling.flush(self.place, self.claim, now);
                    wants.push_back(Want::Append(Delta::Batch(batch)));
                    // One that was never stored gives way; one that is may be named by the log any moment.
                    let due = self.snapshot_every.max(telling.snapshot_bytes / BYTES_A_RECORD);
                    if telling.since_snapshot >= due && !telling.snapshot.as_ref().is_some_and(|own| own.stored) {
                        telling.take_snapshot(draw());
                    }
                }
                if let Some(own) = telling.snapshot.as_mut().filter(|own| own.stored) {
                    let told = *own.told.get_or_insert(now);
                    if now - told >= AGAIN_AFTER {
                        own.told = Some(now);
                        wants.push_back(Want::Append(Delta::Kept {
                            place: self.place,
                            claim: self.claim,
                            mark: own.mark,
                        }));
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
    /// The offset of the partition where it goes on.
    fn from(&self) -> i64 {
        (self.next - self.shift).max(0)
    }

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

#[cfg(test)]
mod tests;

//! What the deltas log came to: of each source partition who owns it, how far it has come and how its floor went. What counts
//! goes to the board.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{IDLE_EVERY, News, Share, Step, What};
use crate::board::Board;
use crate::domain::{Millis, Timestamp};
use crate::journal::rule::{Dropped, Owner, Rule};
use crate::journal::{Batch, Delta, Mark, Position, SourcePartition, TopicId};
use crate::plan::Plan;
use crate::snapshot::{Bytes, Kind, Reader, SnapshotError, Writer};

/// A partition that nobody tells of holds the others up for so long: until then somebody else takes it over, mostly.
const WAITED_FOR: Millis = Millis(20_000);

/// How the floor of a partition went, from the older of the two snapshots that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Where the first claim began.
    pub start: i64,
    /// How many batches counted.
    pub batches: u64,
    /// The older first.
    pub marks: VecDeque<Mark>,
    /// Since the first mark; since the start where there are fewer than two.
    steps: VecDeque<Done>,
    /// Those of the last step before them.
    shift: i64,
    topic: TopicId,
    /// The batches come from this source of the board.
    number: u32,
    /// By the last batch; `None` before the first.
    pub last: Option<Last>,
}

/// What the last batch of a partition that counts says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// Where it ended.
    pub to: i64,
    /// What the wall clock read then. The board has all before it, if `live`.
    pub wall: Timestamp,
    /// The partition had been read to its end a moment before.
    pub live: bool,
    /// When it was last read to its end.
    pub caught_up: Option<Timestamp>,
    /// The largest event time so far.
    pub stream_time: Option<Timestamp>,
    /// When its last record came, as far as anybody knows.
    pub heard: Option<Timestamp>,
    /// What its records were about.
    pub interactions: bool,
    pub agents: bool,
}

/// A step, or several of which all but the last were nothing but a look at the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Done {
    /// The number of its batch, the last one.
    batch: u64,
    /// It is nothing but a look at the clock: of no records, and nothing fell due, nor was anything taken that was held back.
    quiet: bool,
    step: Step,
}

/// A snapshot that turns out to be damaged has one before it.
const MARKS: usize = 2;

impl History {
    fn add(&mut self, batch: &Batch<Share>) {
        let Batch { number, progress, payload: Share { contributions, step }, .. } = batch;
        let number = *number;
        self.batches = number;
        let before = self.last;
        self.last = Some(Last {
            to: batch.to,
            wall: step.end,
            live: step.live,
            caught_up: progress.caught_up.or(before.and_then(|before| before.caught_up)),
            stream_time: progress.stream_time,
            heard: progress.heard.or(before.and_then(|before| before.heard)),
            interactions: progress.interactions,
            agents: progress.agents,
        });
        let idle = self.steps.back().is_some_and(|last| last.step.to == step.to) && step.readings.is_empty();
        let quiet = idle && contributions.is_empty() && !step.moved;
        match self.steps.back_mut() {
            // To look later alone is the same as to look twice.
            Some(last) if quiet && last.quiet && last.step.goes_as(step) => {
                (last.batch, last.step.end) = (number, step.end);
            }
            _ => self.steps.push_back(Done { batch: number, quiet, step: step.clone() }),
        }
    }

    fn keep(&mut self, mark: Mark) {
        self.marks.push_back(mark);
        if self.marks.len() > MARKS {
            self.marks.pop_front();
        }
        if let (MARKS, Some(oldest)) = (self.marks.len(), self.marks.front()) {
            while let Some(gone) = self.steps.pop_front_if(|done| done.batch <= oldest.batches) {
                (self.shift, self.topic) = (gone.step.shift, gone.step.topic);
            }
        }
    }

    /// What was done since a snapshot was made, or since the start. What its first step has before the snapshot is in it.
    pub fn since(&self, mark: Option<&Mark>) -> VecDeque<Step> {
        let known = mark.map_or(0, |mark| mark.batches);
        self.steps.iter().filter(|done| done.batch > known).map(|done| done.step.clone()).collect()
    }

    /// The newest snapshot that is not `without`; `None`: there is none, but all steps since the start are known.
    pub fn mark(&self, without: &[u64]) -> Option<&Mark> {
        self.marks.iter().rev().find(|mark| !without.contains(&mark.snapshot))
    }

    /// How far the positions of the log lie beyond the offsets of the partition by now.
    pub fn shift(&self) -> i64 {
        self.steps.back().map_or(self.shift, |last| last.step.shift)
    }

    /// Whose offsets those of the partition were last.
    pub fn topic(&self) -> TopicId {
        self.steps.back().map_or(self.topic, |last| last.step.topic)
    }

    /// The names of the snapshots, the newer first.
    pub fn newest(&self) -> [Option<u64>; MARKS] {
        let mut marks = self.marks.iter().rev().map(|mark| mark.snapshot);
        [marks.next(), marks.next()]
    }

    /// Whether a floor can be made without a snapshot.
    pub fn is_whole(&self) -> bool {
        self.marks.len() < MARKS
    }
}

#[derive(Debug, Default)]
pub struct Replica {
    position: Position,
    rule: Rule,
    dropped: Dropped,
    histories: BTreeMap<SourcePartition, History>,
}

impl Replica {
    /// Takes the next entry of the log, and puts what counts on the board. What it means for whoever works on its partition.
    pub fn take(&mut self, position: Position, entry: &Delta<Share>, board: &mut Board) -> Option<News> {
        self.position = Position(position.0 + 1);
        let judged = self.rule.judge(entry);
        let place = entry.place();
        if let Err(reason) = judged {
            self.dropped.count(reason);
            return match entry {
                Delta::Claimed { claim, .. } => Some(News { place, claim: *claim, what: What::NotClaimed }),
                Delta::Batch(_) | Delta::Kept { .. } => None,
            };
        }
        let number = self.histories.len() as u32;
        let start = match entry {
            Delta::Claimed { start, .. } => *start,
            Delta::Batch(_) | Delta::Kept { .. } => 0,
        };
        let history = self.histories.entry(place);
        let history = history.or_insert_with(|| History { start, number, ..History::default() });
        match entry {
            Delta::Claimed { claim, .. } => {
                Some(News { place, claim: *claim, what: What::Claimed(Box::new(history.clone())) })
            }
            Delta::Batch(batch) => {
                history.add(batch);
                board.apply(history.number, &batch.payload.contributions);
                Some(News { place, claim: batch.claim, what: What::Counted })
            }
            Delta::Kept { claim, mark, .. } => {
                history.keep(*mark);
                Some(News { place, claim: *claim, what: What::Kept(mark.snapshot) })
            }
        }
    }

    /// There is nothing for it in the log before this position.
    pub fn passed(&mut self, position: Position) {
        self.position = self.position.max(position);
    }

    /// Just behind the last entry of the log that it has seen.
    pub fn position(&self) -> Position {
        self.position
    }

    pub fn dropped(&self) -> &Dropped {
        &self.dropped
    }

    pub fn owner(&self, place: SourcePartition) -> Option<Owner> {
        self.rule.owner(place)
    }

    /// What of the log counts from here on.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// `None` before the first claim that counted.
    pub fn history(&self, place: SourcePartition) -> Option<&History> {
        self.histories.get(&place)
    }

    /// Of every partition that was ever claimed.
    pub fn histories(&self) -> impl Iterator<Item = (SourcePartition, &History)> {
        self.histories.iter().map(|(place, history)| (*place, history))
    }

    /// Of the partitions that there are, so many of each source; not known of those beyond the last.
    pub(super) fn attended(&self, counts: &[i32]) -> impl Iterator<Item = (SourcePartition, &History)> {
        let exists = |place: &SourcePartition| counts.get(place.source).is_none_or(|count| place.partition < *count);
        self.histories().filter(move |(place, _)| exists(place))
    }

    /// The instant that all floors have come to; `None` while one has not begun. While it catches up, before it is `ready`, the
    /// numbers move with what has been read; after that with the clock.
    pub fn instant(&self, counts: &[i32], ready: bool) -> Option<Timestamp> {
        let now = self.attended(counts).filter_map(|(_, history)| history.last).map(|last| last.wall).max()?;
        // Who has nothing to tell says so every second, and at once when something comes.
        let upto = |(_, history): (SourcePartition, &History)| match history.last {
            Some(Last { live: true, wall, .. }) if now - wall <= IDLE_EVERY + Millis::SECOND => Some(now),
            Some(Last { live: false, stream_time, .. }) if !ready => stream_time,
            // Whoever had it is gone, and nobody has come: the others go on, and its feed lags.
            Some(Last { wall, .. }) if ready && now - wall > WAITED_FOR => Some(now),
            last => last.map(|last| last.wall),
        };
        self.attended(counts).map(upto).min().flatten()
    }

    /// Whether the board has what had been `read` of each partition when the clock read `seen`: that is in batches made after it,
    /// whoever makes them.
    pub fn shows(&self, read: &[(SourcePartition, i64)], seen: Timestamp, counts: &[i32]) -> bool {
        let shown = |(at, position): &(SourcePartition, i64)| {
            let history = self.history(*at);
            history.is_some_and(|history| history.last.is_some_and(|last| last.to - history.shift() >= *position))
        };
        let current = |(_, history): (SourcePartition, &History)| {
            history.last.is_some_and(|last| last.wall > seen && (last.live || last.stream_time.is_some()))
        };
        read.iter().all(shown) && self.attended(counts).all(current)
    }

    /// All of it in bytes, with the board: [`Kind::REPLICA`].
    pub fn snapshot(&self, board: &mut Board) -> Vec<u8> {
        let mut to = Writer::new(Kind::REPLICA, board.plan().figures_fingerprint());
        let histories: Vec<_> = self.histories().map(|(place, history)| (place, Written::of(history))).collect();
        to.put(&(self.position, &self.rule, histories, Bytes(&board.snapshot())));
        to.finish()
    }

    pub fn restore(plan: Arc<Plan>, bytes: &[u8]) -> Result<(Self, Board), SnapshotError> {
        let mut from = Reader::open(Kind::REPLICA, plan.figures_fingerprint(), bytes)?;
        type Parts<'a> = (Position, Rule, Vec<(SourcePartition, Written)>, Bytes<'a>);
        let (position, rule, histories, board): Parts<'_> = from.take("replica")?;
        from.finish()?;
        let histories = histories.into_iter().map(|(place, written)| (place, written.read())).collect();
        Ok((Replica { position, rule, dropped: Dropped::default(), histories }, Board::restore(plan, board.0)?))
    }
}

/// A history as it is written down: times as milliseconds.
#[derive(Serialize, Deserialize)]
struct Written {
    start: i64,
    batches: u64,
    number: u32,
    shift: i64,
    topic: TopicId,
    marks: Vec<(u64, u64, i64, i64, bool)>,
    steps: Vec<(u64, bool, WrittenStep)>,
    last: Option<WrittenLast>,
}

/// Where it ends, the readings, the time at its end, whether it was live and whether anything moved then, the shift and the topic.
type WrittenStep = (i64, Vec<(i64, i64)>, i64, [bool; 2], i64, TopicId);

/// Where it ended and when, whether it was live; caught up, stream time, heard; what its records were about.
type WrittenLast = (i64, i64, bool, [Option<i64>; 3], [bool; 2]);

impl Written {
    fn of(history: &History) -> Written {
        let mark = |mark: &Mark| (mark.snapshot, mark.batches, mark.at, mark.wall.0, mark.live);
        let step = |Done { batch, quiet, step }: &Done| {
            let readings = step.readings.iter().map(|(at, wall)| (*at, wall.0)).collect();
            (*batch, *quiet, (step.to, readings, step.end.0, [step.live, step.moved], step.shift, step.topic))
        };
        let last = |last: &Last| {
            let times = [last.caught_up, last.stream_time, last.heard].map(|time| time.map(|time| time.0));
            (last.to, last.wall.0, last.live, times, [last.interactions, last.agents])
        };
        Written {
            start: history.start,
            batches: history.batches,
            number: history.number,
            shift: history.shift,
            topic: history.topic,
            marks: history.marks.iter().map(mark).collect(),
            steps: history.steps.iter().map(step).collect(),
            last: history.last.as_ref().map(last),
        }
    }

    fn read(self) -> History {
        let mark = |(snapshot, batches, at, wall, live)| Mark { snapshot, batches, at, wall: Timestamp(wall), live };
        let step = |(batch, quiet, (to, readings, end, [live, moved], shift, topic)): (u64, bool, WrittenStep)| {
            let readings = readings.into_iter().map(|(at, wall)| (at, Timestamp(wall))).collect();
            Done { batch, quiet, step: Step { to, readings, end: Timestamp(end), live, moved, shift, topic } }
        };
        let last = |(to, wall, live, times, [interactions, agents]): WrittenLast| {
            let [caught_up, stream_time, heard] = times.map(|time| time.map(Timestamp));
            Last { to, wall: Timestamp(wall), live, caught_up, stream_time, heard, interactions, agents }
        };
        History {
            start: self.start,
            batches: self.batches,
            number: self.number,
            shift: self.shift,
            topic: self.topic,
            marks: self.marks.into_iter().map(mark).collect(),
            steps: self.steps.into_iter().map(step).collect(),
            last: self.last.map(last),
        }
    }
}

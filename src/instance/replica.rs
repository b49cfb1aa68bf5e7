//! What the deltas log came to: the board, and of each source partition who owns it and how its floor went.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Share, Step};
use crate::board::Board;
use crate::domain::Timestamp;
use crate::journal::rule::{Dropped, Owner, Rule};
use crate::journal::{Delta, Mark, Position, SourcePartition};
use crate::plan::Plan;
use crate::snapshot::{Bytes, Kind, Reader, SnapshotError, Writer};

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
    /// The batches come from this source of the board.
    number: u32,
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
    fn add(&mut self, number: u64, share: &Share) {
        self.batches = number;
        let step = &share.step;
        let idle = self.steps.back().is_some_and(|last| last.step.to == step.to) && step.readings.is_empty();
        let quiet = idle && share.contributions.is_empty();
        match self.steps.back_mut() {
            // To look later alone is the same as to look twice.
            Some(last) if quiet && last.quiet && last.step.live == step.live => {
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
            while self.steps.pop_front_if(|done| done.batch <= oldest.batches).is_some() {}
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

    /// Whether a floor can be made without a snapshot.
    pub fn is_whole(&self) -> bool {
        self.marks.len() < MARKS
    }
}

#[derive(Debug)]
pub struct Replica {
    plan: Arc<Plan>,
    position: Position,
    rule: Rule,
    dropped: Dropped,
    board: Board,
    histories: BTreeMap<SourcePartition, History>,
}

impl Replica {
    pub fn new(plan: Arc<Plan>) -> Self {
        Replica {
            position: Position::default(),
            rule: Rule::default(),
            dropped: Dropped::default(),
            board: Board::new(plan.clone()),
            histories: BTreeMap::new(),
            plan,
        }
    }

    /// Takes the next entry of the log. Whether it counts.
    pub fn take(&mut self, position: Position, entry: &Delta<Share>) -> bool {
        self.position = Position(position.0 + 1);
        if let Err(reason) = self.rule.judge(entry) {
            self.dropped.count(reason);
            return false;
        }
        let number = self.histories.len() as u32;
        let start = match entry {
            Delta::Claimed { start, .. } => *start,
            Delta::Batch(_) | Delta::Kept { .. } => 0,
        };
        let history = self.histories.entry(entry.place());
        let history = history.or_insert_with(|| History { start, number, ..History::default() });
        match entry {
            Delta::Claimed { .. } => {}
            Delta::Batch(batch) => {
                history.add(batch.number, &batch.payload);
                self.board.apply(history.number, &batch.payload.contributions);
            }
            Delta::Kept { mark, .. } => history.keep(*mark),
        }
        true
    }

    pub fn position(&self) -> Position {
        self.position
    }

    pub fn board(&mut self) -> &mut Board {
        &mut self.board
    }

    pub fn dropped(&self) -> &Dropped {
        &self.dropped
    }

    pub fn owner(&self, place: SourcePartition) -> Option<Owner> {
        self.rule.owner(place)
    }

    /// `None` before the first claim that counted.
    pub fn history(&self, place: SourcePartition) -> Option<&History> {
        self.histories.get(&place)
    }

    /// All of it in bytes: [`Kind::REPLICA`].
    pub fn snapshot(&mut self) -> Vec<u8> {
        let mut to = Writer::new(Kind::REPLICA, self.plan.figures_fingerprint());
        let histories: Vec<_> = self.histories.iter().map(|(place, history)| (*place, Written::of(history))).collect();
        to.put(&(self.position, &self.rule, histories, Bytes(&self.board.snapshot())));
        to.finish()
    }

    pub fn restore(plan: Arc<Plan>, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut from = Reader::open(Kind::REPLICA, plan.figures_fingerprint(), bytes)?;
        type Parts<'a> = (Position, Rule, Vec<(SourcePartition, Written)>, Bytes<'a>);
        let (position, rule, histories, board): Parts<'_> = from.take("replica")?;
        from.finish()?;
        let histories = histories.into_iter().map(|(place, written)| (place, written.read())).collect();
        let board = Board::restore(plan.clone(), board.0)?;
        Ok(Replica { plan, position, rule, dropped: Dropped::default(), board, histories })
    }
}

/// A history as it is written down: times as milliseconds.
#[derive(Serialize, Deserialize)]
struct Written {
    start: i64,
    batches: u64,
    number: u32,
    marks: Vec<(u64, u64, i64, i64, bool)>,
    steps: Vec<(u64, bool, WrittenStep)>,
}

/// Where it ends, the readings, the time at its end, and whether it was live.
type WrittenStep = (i64, Vec<(i64, i64)>, i64, bool);

impl Written {
    fn of(history: &History) -> Written {
        let mark = |mark: &Mark| (mark.snapshot, mark.batches, mark.at, mark.wall.0, mark.live);
        let step = |Done { batch, quiet, step }: &Done| {
            let readings = step.readings.iter().map(|(at, wall)| (*at, wall.0)).collect();
            (*batch, *quiet, (step.to, readings, step.end.0, step.live))
        };
        Written {
            start: history.start,
            batches: history.batches,
            number: history.number,
            marks: history.marks.iter().map(mark).collect(),
            steps: history.steps.iter().map(step).collect(),
        }
    }

    fn read(self) -> History {
        let mark = |(snapshot, batches, at, wall, live)| Mark { snapshot, batches, at, wall: Timestamp(wall), live };
        let step = |(batch, quiet, (to, readings, end, live)): (u64, bool, WrittenStep)| {
            let readings = readings.into_iter().map(|(at, wall)| (at, Timestamp(wall))).collect();
            Done { batch, quiet, step: Step { to, readings, end: Timestamp(end), live } }
        };
        History {
            start: self.start,
            batches: self.batches,
            number: self.number,
            marks: self.marks.into_iter().map(mark).collect(),
            steps: self.steps.into_iter().map(step).collect(),
        }
    }
}

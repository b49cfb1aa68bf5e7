//! How long the value of a case has been where it is: since-instants on a clock that stops while nothing is known.

use std::hash::{Hash, Hasher};

use smallvec::SmallVec;

use super::shape::{Shape, Values};
use crate::domain::{Millis, Timestamp};
use crate::matrix::{Level, Row, Sides};

mod snapshot;

pub(super) use snapshot::WrittenEvidence;

/// Levels that a case can get better to.
const BETTER: [Level; 3] = [Level::Ok, Level::Info, Level::Warning];

/// An instant of the evidence's own clock: the time of day less [`Evidence::paused`].
type Evaluated = Timestamp;

#[derive(Clone, Debug)]
pub(super) struct Evidence {
    /// Since when the value is at or beyond each range: in one of its level or a worse one on its side of ok.
    beyond: SmallVec<[Option<Evaluated>; 4]>,
    /// Since when it is in this very range, or in one of a worse level on its side.
    within: SmallVec<[Option<Evaluated>; 4]>,
    /// Since when the value, moved by the margin, meets nothing worse than each of [`BETTER`].
    calm: [Option<Evaluated>; 3],
    /// Since when, by the time of day, there is no value.
    null_since: Option<Timestamp>,
    /// How much time has passed without a value to judge.
    paused: Millis,
    /// Whether the last tick added to that.
    last: Last,
}

/// What the last tick did to the instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// Nothing that goes on by itself.
    Ran,
    Paused,
    Froze,
}

fn mark(since: &mut Option<Evaluated>, holds: bool, now: Evaluated) {
    *since = if holds { since.or(Some(now)) } else { None };
}

impl Evidence {
    pub fn new(row: &Row) -> Self {
        let none: SmallVec<_> = row.ranges.iter().map(|_| None).collect();
        Evidence {
            beyond: none.clone(),
            within: none,
            calm: [None; 3],
            null_since: None,
            paused: Millis::ZERO,
            last: Last::Ran,
        }
    }

    /// The same under ranges that are now `new` and were `old`: what it knows of values that are still told apart, it
    /// keeps; of the others it knows nothing.
    pub fn fit(&mut self, old: &Shape, new: &Shape) {
        let mut known: Vec<(Values, Option<Evaluated>)> = Vec::new();
        for (index, (beyond, within)) in self.beyond.iter().zip(&self.within).enumerate() {
            known.push((old.beyond(index), *beyond));
            known.push((old.within(index), *within));
        }
        let since = |values: Values| known.iter().find(|(of, _)| *of == values).and_then(|(_, since)| *since);
        self.beyond = (0..new.ranges.len()).map(|index| since(new.beyond(index))).collect();
        self.within = (0..new.ranges.len()).map(|index| since(new.within(index))).collect();
        for (level, since) in BETTER.iter().zip(&mut self.calm) {
            if old.margin != new.margin || old.calm(*level) != new.calm(*level) {
                *since = None;
            }
        }
    }

    /// A tick begins.
    pub fn begin(&mut self) {
        self.last = Last::Ran;
    }

    /// Everything starts at zero again.
    pub fn forget(&mut self) {
        self.beyond.fill(None);
        self.within.fill(None);
        self.calm = [None; 3];
        self.null_since = None;
    }

    /// What speaks for a better level starts at zero again.
    pub fn forget_calm(&mut self) {
        self.calm = [None; 3];
    }

    pub fn clock(&self, now: Timestamp) -> Evaluated {
        now - self.paused
    }

    /// The value is `value`, in range `own`.
    pub fn observe(&mut self, row: &Row, sides: &Sides, now: Timestamp, value: f64, own: usize) {
        let now = self.clock(now);
        self.null_since = None;
        let level = row.level_of(own);
        for (index, range) in row.ranges.iter().enumerate() {
            let worse = sides.same(index, own) && level > range.level;
            let equal = sides.same(index, own) && level == range.level;
            if let (Some(beyond), Some(within)) = (self.beyond.get_mut(index), self.within.get_mut(index)) {
                mark(beyond, worse || equal, now);
                mark(within, worse || index == own, now);
            }
        }
        let worst = row.worst_within_margin(value).unwrap_or(level);
        for (better, since) in BETTER.iter().zip(&mut self.calm) {
            mark(since, worst <= *better, now);
        }
    }

    /// Nothing can be said of this second: the time since the last tick adds to nothing.
    pub fn pause(&mut self, now: Timestamp, before: Option<Timestamp>, null: bool) {
        self.paused = self.paused + before.map_or(Millis::ZERO, |before| now - before);
        self.null_since = if null { self.null_since.or(Some(now)) } else { None };
        self.last = Last::Paused;
    }

    /// Nothing is known of this second, not even that there is no value: everything stands.
    pub fn freeze(&mut self, now: Timestamp, before: Option<Timestamp>) {
        let passed = before.map_or(Millis::ZERO, |before| now - before);
        self.paused = self.paused + passed;
        self.null_since = self.null_since.map(|since| since + passed);
        self.last = Last::Froze;
    }

    pub fn null_for(&self, now: Timestamp) -> Option<Millis> {
        self.null_since.map(|since| now - since)
    }

    /// Ranges of a level worse than `than` that have been reached for long enough.
    pub fn due_beyond(&self, row: &Row, than: Level, now: Timestamp) -> impl Iterator<Item = usize> {
        let now = self.clock(now);
        let ranges = row.ranges.iter().zip(&self.beyond).enumerate();
        ranges
            .filter(move |(_, (range, since))| range.level > than && held(**since, now, range.hold))
            .map(|(index, _)| index)
    }

    /// Whether the value has been within range `index` for that range's `for`.
    pub fn due_within(&self, row: &Row, index: usize, now: Timestamp) -> bool {
        let since = self.within.get(index).copied().flatten();
        row.ranges.get(index).is_some_and(|range| held(since, self.clock(now), range.hold))
    }

    /// The best level better than `than` for which the value has been good enough for long enough.
    pub fn due_better(&self, row: &Row, than: Level, now: Timestamp) -> Option<Level> {
        let mut levels = BETTER.iter().zip(self.calm).filter(|(level, _)| **level < than);
        levels.find(|(_, since)| held(*since, self.clock(now), row.recover.hold)).map(|(level, _)| *level)
    }
}

/// As it was at the last tick, `ticked`, so that a pause that goes on changes nothing.
impl Evidence {
    pub fn mark(&self, to: &mut impl Hasher, ticked: Timestamp) {
        let Evidence { beyond, within, calm, null_since: _, paused: _, last: _ } = self;
        (beyond, within, calm, self.standing(ticked)).hash(to);
    }

    /// How much time has passed, or what its clock says while it stands; since when there is no value, or for how long.
    fn standing(&self, ticked: Timestamp) -> (u8, i64, Option<i64>) {
        let since = self.null_since.map(|since| since.0);
        match self.last {
            Last::Ran => (0, self.paused.0, since),
            Last::Paused => (1, self.clock(ticked).0, since),
            Last::Froze => (2, self.clock(ticked).0, self.null_for(ticked).map(|length| length.0)),
        }
    }
}

fn held(since: Option<Evaluated>, now: Evaluated, hold: Millis) -> bool {
    since.is_some_and(|since| now - since >= hold)
}

//! What the instants of a case are of: which row it is, and how its ranges lie. A case goes on under another version of
//! its file, in place or after a restart, as far as the shapes of the two rows agree.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::matrix::{Edge, Level, Matrix, Per, Row, Sides};
use crate::plan::WindowKind;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Shape {
    /// Matrix, indicator, window, labels and `per`: rows of one kind can follow the same case.
    pub kind: String,
    pub scope: String,
    pub hours: String,
    pub ranges: Vec<Span>,
    pub margin: f64,
}

/// The bounds and the level of a range; an edge is a value and whether it belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Span {
    low: Option<(f64, bool)>,
    high: Option<(f64, bool)>,
    pub level: Level,
}

/// Values, as stretches without a hole: what an instant of the evidence is of.
pub(super) type Values = Vec<[Option<(f64, bool)>; 2]>;

impl Shape {
    pub fn new(matrix: &Matrix, row: &Row) -> Self {
        let edge = |edge: Option<Edge>| edge.map(|edge| (edge.at, edge.inclusive));
        let span = |range: &crate::matrix::Range| Span {
            low: edge(range.bounds.low),
            high: edge(range.bounds.high),
            level: range.level,
        };
        Shape {
            kind: kind(matrix, row),
            scope: scope(row),
            hours: hours(row),
            ranges: row.ranges.iter().map(span).collect(),
            margin: row.recover.margin,
        }
    }

    /// The row as its file means it, but not its ranges, which people tune while an incident is open: incident ids are
    /// made of it.
    pub fn identity(&self) -> String {
        [self.kind.as_str(), &self.scope, &self.hours].concat()
    }

    /// The range with the bounds and the level of `span`.
    pub fn range_like(&self, span: &Span) -> Option<usize> {
        self.ranges.iter().position(|range| range == span)
    }

    /// Those that are at or beyond range `index`.
    pub fn beyond(&self, index: usize) -> Values {
        let (sides, level) = (self.sides(), self.level(index));
        self.values(|other| sides.same(index, other) && self.level(other) >= level)
    }

    /// Those in range `index`, or in one of a worse level on its side.
    pub fn within(&self, index: usize) -> Values {
        let (sides, level) = (self.sides(), self.level(index));
        self.values(|other| other == index || (sides.same(index, other) && self.level(other) > level))
    }

    /// Those of no level worse than `level`.
    pub fn calm(&self, level: Level) -> Values {
        self.values(|other| self.level(other) <= level)
    }

    fn sides(&self) -> Sides {
        Sides::of(self.ranges.iter().map(|range| range.level))
    }

    fn level(&self, index: usize) -> Level {
        self.ranges.get(index).map_or(Level::Ok, |range| range.level)
    }

    fn values(&self, holds: impl Fn(usize) -> bool) -> Values {
        let mut values = Values::new();
        let mut joins = false;
        for (index, range) in self.ranges.iter().enumerate() {
            let here = holds(index);
            match values.last_mut() {
                Some([_, high]) if here && joins => *high = range.high,
                _ if here => values.push([range.low, range.high]),
                _ => {}
            }
            joins = here;
        }
        values
    }
}

fn kind(matrix: &Matrix, row: &Row) -> String {
    let window = match row.window {
        None => "instant".to_owned(),
        Some(WindowKind::Sliding(length)) => format!("{}ms", length.0),
        Some(WindowKind::Interval) => "interval".to_owned(),
        Some(WindowKind::LastInterval) => "last_interval".to_owned(),
        Some(WindowKind::Today) => "today".to_owned(),
    };
    let per = match row.per {
        Per::Pair => "pair",
        Per::Queue => "queue",
        Per::Channel => "channel",
        Per::All => "all",
    };
    let threshold = row.threshold.map(|within| format!("{}ms", within.0)).unwrap_or_default();
    let treatment = row.treatment.map_or("", |treatment| treatment.name());
    let state = row.state.map_or("", |state| state.name());
    let stage = row.stage.map_or("", |stage| stage.name());
    let words = [&matrix.name, row.indicator.name, &window, &threshold, treatment, state, stage, row.clock.name(), per];
    joined(words.into_iter().map(str::to_owned))
}

fn scope(row: &Row) -> String {
    let queues = row.scope.queue.patterns().map(|pattern| format!("q{pattern}"));
    let channels = row.scope.channel.patterns().map(|pattern| format!("c{pattern}"));
    joined(queues.chain(channels))
}

fn hours(row: &Row) -> String {
    let mut text = String::new();
    for shift in row.calendar.shifts.iter().flatten() {
        // Writing into a String cannot fail.
        let _ = write!(text, "{}:{}-{};", shift.day.to_monday_zero_offset(), shift.from, shift.to);
    }
    text
}

fn joined(words: impl Iterator<Item = String>) -> String {
    words.flat_map(|word| [word, "\u{1f}".to_owned()]).collect()
}

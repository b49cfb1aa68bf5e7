//! The escalation matrix, compiled: rows of one indicator with its goal and contiguous ranges of result.
//!
//! [`engine`] is the life of a case: a pure function of (readings, now, case states) -> transitions and notices.
//! [`Calendar`] says when a row is open. Reading YAML and refusing bad files is `config`'s work, not done here.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::domain::{Calendar, Key, Millis, Scope};
use crate::indicators::{Clock, Indicator, Stage, State, Treatment};
use crate::plan::WindowKind;

pub mod contacts;
pub mod engine;
mod geometry;
pub mod texts;

pub use contacts::{Contact, Duty, Medium, Recipient};
pub use geometry::Sides;
pub use texts::{Part, Texts};

/// One file of `escalation-matrices/`.
#[derive(Debug)]
pub struct Matrix {
    /// The path it was read from, for messages.
    pub file: Arc<str>,
    pub name: Arc<str>,
    pub language: Language,
    /// Zone of its hours, holidays and reports.
    pub zone: TimeZone,
    /// Told when this file is broken, a notice cannot be delivered, the feed dies: a contact of this matrix, or,
    /// where that is absent, the owner of the configuration.
    pub owner: Option<Recipient>,
    pub contacts: BTreeMap<Arc<str>, Contact>,
    /// For rows and contacts that have none of their own.
    pub texts: Texts,
    pub rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Language {
    #[default]
    Es,
    En,
    Pt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    #[default]
    Ok,
    Info,
    Warning,
    Critical,
}

/// Which cases a row makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Per {
    #[default]
    Pair,
    Queue,
    Channel,
    All,
}

#[derive(Debug)]
pub struct Row {
    /// Line of the row in its file.
    pub line: usize,
    pub indicator: &'static Indicator,
    /// `None` for an indicator of this instant.
    pub window: Option<WindowKind>,
    /// What the row writes of labels; what it leaves out is filled in per case.
    pub threshold: Option<Millis>,
    pub treatment: Option<Treatment>,
    pub state: Option<State>,
    pub stage: Option<Stage>,
    pub clock: Clock,
    pub per: Per,
    /// The row's own scope, else the matrix's.
    pub scope: Scope,
    /// As written, and as bounds.
    pub goal: Bounds,
    /// From the lowest values to the highest, without gap or overlap.
    pub ranges: Vec<Range>,
    /// In the unit of the indicator's samples (a number, or seconds); 0 asks for none.
    pub min_samples: f64,
    pub recover: Recover,
    pub no_data: NoData,
    /// The row's own hours, else the matrix's, with the zone they are in; without any it is always open.
    pub calendar: Calendar,
    pub settle: Millis,
    /// How long an acknowledgement holds that does not say so itself.
    pub ack_for: Millis,
    pub flapping: Flapping,
    pub texts: Texts,
    /// Whether what goes off together is one mail; `None` tells each case by itself.
    pub group: Option<Group>,
}

#[derive(Debug)]
pub struct Range {
    pub bounds: Bounds,
    pub level: Level,
    /// `for`: how long a value must be at or beyond this range before its level is taken.
    pub hold: Millis,
    pub tell: Vec<Recipient>,
    /// A minijinja template, proved at check time.
    pub action: Option<Arc<str>>,
    pub escalate: Vec<Step>,
    pub repeat: Option<Millis>,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub after: Millis,
    pub tell: Vec<Recipient>,
}

/// A set of values without a hole; by default of all values. Values are in the indicator's unit: seconds, 0..1, or a number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bounds {
    /// As it was written: `30m .. 45m`.
    pub text: Arc<str>,
    pub low: Option<Edge>,
    pub high: Option<Edge>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    pub at: f64,
    /// Whether the value at the edge belongs to the set.
    pub inclusive: bool,
}

/// `recover: { margin, for }`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recover {
    /// In the indicator's unit.
    pub margin: f64,
    pub hold: Millis,
}

impl Default for Recover {
    fn default() -> Self {
        Recover { margin: 0.0, hold: Millis::MINUTE }
    }
}

/// `flapping: { changes, within }`: more changes of level than that in that time are told once and then damped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flapping {
    pub changes: u32,
    pub within: Millis,
}

impl Default for Flapping {
    fn default() -> Self {
        Flapping { changes: 6, within: Millis::HOUR }
    }
}

/// `group: { by, wait }`: cases that go off together are one mail. [`engine`] says what that means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    pub by: By,
    /// For how long a mail waits for what joins it.
    pub wait: Millis,
}

/// Which cases are gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// Those of the row, of whatever queue.
    Row,
    /// Those of a queue, of whatever row of the matrix.
    Queue,
}

/// How long an acknowledgement holds where no row says so.
pub const ACK_FOR: Millis = Millis(4 * Millis::HOUR.0);

#[derive(Clone, Debug)]
pub enum NoData {
    Keep,
    Ok,
    Raise { level: Level, hold: Millis, tell: Vec<Recipient>, action: Option<Arc<str>> },
}

impl Bounds {
    pub fn contains(&self, value: f64) -> bool {
        let above = self.low.is_none_or(|edge| value > edge.at || (edge.inclusive && value == edge.at));
        let below = self.high.is_none_or(|edge| value < edge.at || (edge.inclusive && value == edge.at));
        above && below
    }
}

impl Row {
    /// A row that says nothing but this; all else is as where a file leaves it out.
    pub fn new(indicator: &'static Indicator, goal: Bounds, ranges: Vec<Range>) -> Row {
        Row {
            line: 1,
            indicator,
            window: None,
            threshold: None,
            treatment: None,
            state: None,
            stage: None,
            clock: Clock::Elapsed,
            per: Per::Pair,
            scope: Scope::default(),
            goal,
            ranges,
            min_samples: 0.0,
            recover: Recover::default(),
            no_data: NoData::Keep,
            calendar: Calendar::always(),
            settle: Millis::ZERO,
            ack_for: ACK_FOR,
            flapping: Flapping::default(),
            texts: Texts::default(),
            group: None,
        }
    }

    /// What it watches, in the words by which commands and tests name it: `service_level 1h threshold=30m`. Rows of one
    /// matrix whose words are equal are of one figure, and differ in their scopes or hours.
    pub fn words(&self) -> String {
        let mut words = vec![self.indicator.name.to_owned()];
        words.extend(self.window.map(WindowKind::words));
        words.extend(self.threshold.map(|within| format!("threshold={within}")));
        words.extend(self.treatment.filter(|t| *t != Treatment::default()).map(|t| format!("treatment={}", t.name())));
        words.extend(self.state.map(|state| format!("state={}", state.name())));
        words.extend(self.stage.map(|stage| format!("stage={}", stage.name())));
        words.extend((self.clock != Clock::default()).then(|| format!("clock={}", self.clock.name())));
        words.extend((self.per != Per::Pair).then(|| format!("per={}", self.per.name())));
        words.join(" ")
    }

    /// The case that the row makes at a place: the key with what the row rolls up left out.
    pub fn case_at(&self, pair: &Key) -> Key {
        let (queue, channel) = match self.per {
            Per::Pair => (pair.queue.clone(), pair.channel.clone()),
            Per::Queue => (pair.queue.clone(), None),
            Per::Channel => (None, pair.channel.clone()),
            Per::All => (None, None),
        };
        Key { queue, channel }
    }
}

impl By {
    pub fn name(self) -> &'static str {
        match self {
            By::Row => "row",
            By::Queue => "queue",
        }
    }
}

impl Per {
    pub fn name(self) -> &'static str {
        match self {
            Per::Pair => "pair",
            Per::Queue => "queue",
            Per::Channel => "channel",
            Per::All => "all",
        }
    }
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Critical => "critical",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Level::Ok, Level::Info, Level::Warning, Level::Critical].into_iter().find(|level| level.name() == name)
    }
}

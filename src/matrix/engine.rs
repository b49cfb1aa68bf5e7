//! The life of a case: levels, `for`, recovery, escalation, repeats. SEAM: types and signatures stand, the body follows.

use std::sync::Arc;

use super::{Level, Matrix, Medium};
use crate::domain::{Key, Timestamp};
use crate::indicators::{Reading, Selector};
use crate::plan::Plan;

/// The numbers of one instant, as the engine asks for them. The board implements it; tests implement it with tables.
pub trait Readings {
    /// Every key that has been seen, pairs and roll-ups, sorted.
    fn keys(&self) -> Vec<Key>;
    fn read(&mut self, key: &Key, selector: &Selector) -> Reading;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    Range,
    NoData,
    Recovered,
    Repeat,
    Escalation,
    Opened,
    Improved,
    SilenceEnded,
    Feed,
}

/// One change of a case's level (or of its range within a level).
#[derive(Clone, Debug)]
pub struct Transition {
    pub time: Timestamp,
    pub matrix: Arc<Matrix>,
    /// Index of the row in its matrix.
    pub row: usize,
    /// Index of the range of the new level in its row; `None` where no range is meant (`no_data`).
    pub range: Option<usize>,
    pub key: Key,
    pub selector: Selector,
    pub from: Level,
    pub to: Level,
    pub value: Option<f64>,
    pub samples: f64,
    pub reason: Reason,
    pub incident: Arc<str>,
}

impl Transition {
    /// The range as its row writes it; `None` where no range is meant.
    pub fn range_text(&self) -> Option<Arc<str>> {
        let row = self.matrix.rows.get(self.row)?;
        Some(row.ranges.get(self.range?)?.bounds.text.clone())
    }
}

/// One message to one contact by one medium. What it says is rendered from it and from `transition`, the last of its
/// incident (for a repeat or an escalation, that which took the level).
#[derive(Clone, Debug)]
pub struct Notification {
    pub time: Timestamp,
    pub incident: Arc<str>,
    /// Numbers the notifications of an incident from 1.
    pub sequence: u32,
    /// Name of the contact.
    pub to: Arc<str>,
    pub medium: Medium,
    /// Its address: the mail address, or the webhook's name.
    pub address: Arc<str>,
    pub level: Level,
    pub reason: Reason,
    pub transition: Arc<Transition>,
    /// The value now (a repeat tells today's, not that of the entry), and its samples.
    pub value: Option<f64>,
    pub samples: f64,
    /// Contacts told so far in this incident, this one included.
    pub told: Arc<[Arc<str>]>,
    /// When the incident left `ok`.
    pub since: Timestamp,
}

/// What one tick means.
#[derive(Clone, Debug, Default)]
pub struct Tick {
    pub transitions: Vec<Arc<Transition>>,
    pub notifications: Vec<Notification>,
}

/// A case that is not ok, for the API and the page.
#[derive(Clone, Debug)]
pub struct OpenCase {
    pub last: Arc<Transition>,
    pub since: Timestamp,
    /// The value at the last tick.
    pub value: Option<f64>,
    pub samples: f64,
    /// Outside its hours: shown grey.
    pub closed_hours: bool,
}

/// Every case of a set of matrices.
#[derive(Debug)]
pub struct Engine {
    _matrices: Vec<Arc<Matrix>>,
    _plan: Arc<Plan>,
}

impl Engine {
    pub fn new(matrices: Vec<Arc<Matrix>>, plan: Arc<Plan>) -> Self {
        Engine { _matrices: matrices, _plan: plan }
    }

    /// Evaluates every case at `now`, a whole second later than every instant before it.
    pub fn tick(&mut self, _now: Timestamp, _readings: &mut dyn Readings) -> Tick {
        Tick::default()
    }

    pub fn open_cases(&self) -> Vec<OpenCase> {
        Vec::new()
    }

    /// Every case that exists with its level (`ok` too), for `atalaya_alert_level`: matrix, selector, key, level.
    pub fn levels(&self) -> Vec<(Arc<Matrix>, Selector, Key, Level)> {
        Vec::new()
    }

    /// What the rows name: the selectors and keys that a back-test prints, each once, sorted by key.
    pub fn named(&self, _readings: &dyn Readings) -> Vec<(Key, Selector)> {
        Vec::new()
    }
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::Range => "range",
            Reason::NoData => "no_data",
            Reason::Recovered => "recovered",
            Reason::Repeat => "repeat",
            Reason::Escalation => "escalation",
            Reason::Opened => "opened",
            Reason::Improved => "improved",
            Reason::SilenceEnded => "silence_ended",
            Reason::Feed => "feed",
        }
    }
}

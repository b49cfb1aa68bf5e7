//! What each number means. One small file per family holds the definitions; [`all`] is the list of them.
//!
//! An [`Indicator`] is a name, a unit, the labels it may carry and a pure function of a [`View`]: the sums, levels and
//! histograms of one key in one window at one instant. Nothing here keeps state.

use std::fmt;

use serde::Serialize;

use crate::plan::Plan;

/// The unit of a value: decides how goals and margins are written and what the metric's name ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    Seconds,
    Ratio,
    Count,
}

/// What `samples` counts: decides how `min_samples` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Samples {
    /// How many waits, replies or contacts are in it: `min_samples` is a number.
    Number,
    /// Seconds of agents' time: `min_samples` is a duration.
    Seconds,
    /// The value is the count: `min_samples` is not allowed.
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    Threshold,
    Treatment,
    State,
    Stage,
    Clock,
}

/// How the service level treats the abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Treatment {
    Answered,
    #[default]
    Offered,
    AbandonsMet,
    AbandonsIgnored,
    ShortExcluded,
}

/// `state` of agent indicators: a class, `elsewhere` (busy in another pair), or `connected` (all but offline).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    Available,
    Handling,
    Wrapup,
    Unproductive,
    Offline,
    Elsewhere,
    Connected,
}

/// On whose clock a duration runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Clock {
    #[default]
    Elapsed,
    Open,
}

macro_rules! names {
    ($type:ty { $($variant:ident = $name:literal),* $(,)? }) => {
        impl $type {
            pub const ALL: &'static [$type] = &[$(<$type>::$variant),*];
            pub fn name(self) -> &'static str {
                match self { $(<$type>::$variant => $name),* }
            }
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|item| item.name() == name)
            }
        }
    };
}
names!(Label { Threshold = "threshold", Treatment = "treatment", State = "state", Stage = "stage", Clock = "clock" });
names!(Treatment {
    Answered = "answered", Offered = "offered", AbandonsMet = "abandons_met", AbandonsIgnored = "abandons_ignored",
    ShortExcluded = "short_excluded",
});
names!(State {
    Available = "available", Handling = "handling", Wrapup = "wrapup", Unproductive = "unproductive",
    Offline = "offline", Elsewhere = "elsewhere", Connected = "connected",
});
names!(Clock { Elapsed = "elapsed", Open = "open" });

/// The labels of one selection. `None` where the indicator has no such label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Labels {
    /// Index into [`Plan::thresholds`].
    pub threshold: Option<usize>,
    pub treatment: Option<Treatment>,
    pub state: Option<State>,
    pub clock: Clock,
}

impl Labels {
    /// Name and value of each label that is printed: all that are set, the clock only where it is not `elapsed`.
    pub fn pairs<'p>(&self, plan: &'p Plan) -> Vec<(&'static str, &'p str)> {
        let threshold =
            self.threshold.and_then(|index| plan.thresholds.get(index)).map(|t| ("threshold", t.label.as_ref()));
        let treatment = self.treatment.map(|t| ("treatment", t.name()));
        let state = self.state.map(|s| ("state", s.name()));
        let clock = (self.clock != Clock::Elapsed).then(|| ("clock", self.clock.name()));
        [threshold, treatment, state, clock].into_iter().flatten().collect()
    }
}

/// One number that can be asked of a key: which indicator, over which window (`None` for those of this instant),
/// with which labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selector {
    pub indicator: &'static Indicator,
    /// Index into [`Plan::windows`].
    pub window: Option<usize>,
    pub labels: Labels,
}

/// A value and what it rests on. `value` is in the indicator's unit (seconds, 0..1, or a number); `None` without samples.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Reading {
    pub value: Option<f64>,
    pub samples: f64,
}

/// The definition of an indicator.
pub struct Indicator {
    pub name: &'static str,
    pub unit: Unit,
    pub samples: Samples,
    /// Of this instant: it has no window.
    pub instant: bool,
    pub labels: &'static [Label],
    /// One sentence, and the formula, in the words of the documentation.
    pub about: &'static str,
    /// Where the definition comes from.
    pub source: &'static str,
}

impl PartialEq for Indicator {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Indicator {}
impl fmt::Debug for Indicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Every indicator, in the order of the documentation.
pub fn all() -> &'static [Indicator] {
    SEAM
}

pub fn find(name: &str) -> Option<&'static Indicator> {
    all().iter().find(|indicator| indicator.name == name)
}

// SEAM: replaced by one file per family (function pointers, docs) while the rest is built against this list.
const fn one(name: &'static str, unit: Unit, samples: Samples, instant: bool, labels: &'static [Label]) -> Indicator {
    Indicator { name, unit, samples, instant, labels, about: "", source: "" }
}
const CLOCK: &[Label] = &[Label::Clock];
const SEAM: &[Indicator] = &[
    one("asa", Unit::Seconds, Samples::Number, false, CLOCK),
    one("asa_live", Unit::Seconds, Samples::Number, false, CLOCK),
    one("wait_p50", Unit::Seconds, Samples::Number, false, CLOCK),
    one("wait_p90", Unit::Seconds, Samples::Number, false, CLOCK),
    one("wait_p95", Unit::Seconds, Samples::Number, false, CLOCK),
    one("wait_p99", Unit::Seconds, Samples::Number, false, CLOCK),
    one("wait_max", Unit::Seconds, Samples::Number, false, CLOCK),
    one("waiting", Unit::Count, Samples::Value, true, &[]),
    one("oldest_wait", Unit::Seconds, Samples::Number, true, CLOCK),
    one("unanswered", Unit::Count, Samples::Value, true, &[]),
    one("oldest_unanswered", Unit::Seconds, Samples::Number, true, CLOCK),
    one("arrivals", Unit::Count, Samples::Value, false, &[]),
    one("queued", Unit::Count, Samples::Value, false, &[]),
    one("answered", Unit::Count, Samples::Value, false, &[]),
    one("abandoned", Unit::Count, Samples::Value, false, &[]),
    one("closed", Unit::Count, Samples::Value, false, &[]),
    one("closed_unanswered", Unit::Count, Samples::Value, false, &[]),
    one("expired", Unit::Count, Samples::Value, false, &[]),
    one("replies", Unit::Count, Samples::Value, false, &[]),
    one("backlog", Unit::Count, Samples::Value, true, &[]),
    one("service_level", Unit::Ratio, Samples::Number, false, &[Label::Threshold, Label::Treatment, Label::Clock]),
    one("abandonment", Unit::Ratio, Samples::Number, false, &[]),
    one("first_response_time", Unit::Seconds, Samples::Number, false, CLOCK),
    one("aht", Unit::Seconds, Samples::Number, false, &[]),
    one("acw", Unit::Seconds, Samples::Number, false, &[]),
    one("occupancy", Unit::Ratio, Samples::Seconds, false, &[]),
    one("utilization", Unit::Ratio, Samples::Seconds, false, &[]),
    one("agents", Unit::Count, Samples::Value, true, &[Label::State]),
    one("state_time", Unit::Seconds, Samples::Seconds, false, &[Label::State]),
];

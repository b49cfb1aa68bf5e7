//! What each number means. One small file per family holds the definitions; [`all`] is the list of them.
//!
//! An [`Indicator`] is a name, a unit, the labels it may carry and a pure function of a [`View`]: the sums, levels and
//! histograms of one key in one window at one instant. Nothing here keeps state.
//!
//! To add one: an entry in the file of its family (a new file is one line in [`FAMILIES`]), and its words in
//! `texts/NAME.md`, whose shape [`Text`] describes. What it is, it says there and only there.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::board::{Board, View};
use crate::domain::{Key, Millis};
use crate::floor::Age;
use crate::floor::cells::{Cell, Histogram, Sum};

pub use crate::domain::{Clock, Stage, State};
use crate::plan::{ChannelPlan, Plan};

/// The words of an indicator, by its name.
macro_rules! text {
    ($name:literal) => {
        include_str!(concat!("texts/", $name, ".md"))
    };
}

mod flow;
mod handling;
mod response;
mod service;
mod speed;
mod staffing;
mod sums;
mod text;
mod volume;

pub use sums::{SumName, WaitHistogram, each_sum, wait_histogram};
pub use text::{Example, Floor, Rule, Text, floors, rules};

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
names!(Clock { Elapsed = "elapsed", Open = "open" });

/// The labels of one selection. `None` where the indicator has no such label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Labels {
    /// Index into [`Plan::thresholds`].
    pub threshold: Option<usize>,
    pub treatment: Option<Treatment>,
    pub state: Option<State>,
    /// In the place of `state`, a platform's own name of one: an index into [`Plan::agent_states`].
    pub own_state: Option<usize>,
    pub stage: Option<Stage>,
    pub clock: Clock,
}

impl Labels {
    /// Name and value of each label that is printed: all that are set, the clock only where it is not `elapsed`.
    pub fn pairs<'p>(&self, plan: &'p Plan) -> Vec<(&'static str, &'p str)> {
        let threshold =
            self.threshold.and_then(|index| plan.thresholds.get(index)).map(|t| ("threshold", t.label.as_ref()));
        let treatment = self.treatment.map(|t| ("treatment", t.name()));
        let own = || self.own_state.and_then(|index| plan.agent_states.get(index)).map(AsRef::as_ref);
        let state = self.state.map(State::name).or_else(own).map(|name| ("state", name));
        let stage = self.stage.map(|s| ("stage", s.name()));
        let clock = (self.clock != Clock::Elapsed).then(|| ("clock", self.clock.name()));
        [threshold, treatment, state, stage, clock].into_iter().flatten().collect()
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
    /// What it means, as [`Text`] reads it.
    pub text: &'static str,
    /// The value of a key in a window at an instant.
    pub read: fn(&View<'_>, &Labels) -> Reading,
}

impl Reading {
    /// A total over a number of samples; nothing without samples.
    fn mean(total_ms: i64, samples: i64) -> Reading {
        let value = (samples > 0).then(|| total_ms as f64 / samples as f64 / 1000.0);
        Reading { value, samples: samples.max(0) as f64 }
    }

    /// A share of `below`; `samples` is what stands below the line.
    fn ratio(above: i64, below: i64) -> Reading {
        Reading { value: (below > 0).then(|| above as f64 / below as f64), samples: below.max(0) as f64 }
    }

    /// A share of agents' time; its samples are seconds.
    fn time_ratio(above: Millis, below: Millis) -> Reading {
        Reading { samples: below.as_seconds().max(0.0), ..Reading::ratio(above.0, below.0) }
    }

    /// The value that `per_mille` of a histogram's samples did not exceed.
    fn quantile(view: &View<'_>, histogram: Histogram, per_mille: i64) -> Reading {
        match view.quantile(histogram, per_mille) {
            Some((value, samples)) => Reading { value: Some(value.as_seconds()), samples: samples as f64 },
            None => Reading::default(),
        }
    }

    fn count(count: i64) -> Reading {
        Reading { value: Some(count as f64), samples: count as f64 }
    }
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

/// The age of the oldest on the labels' clock; how many run are its samples.
fn oldest(view: &View<'_>, labels: &Labels, age: Age) -> Reading {
    let (running, oldest) = view.oldest(age, labels.clock);
    Reading { value: oldest.map(Millis::as_seconds), samples: running.max(0) as f64 }
}

/// A sum over the window, on the labels' clock.
fn on(view: &View<'_>, labels: &Labels, sum: Sum) -> i64 {
    view.cell(Cell::sum(sum).on(labels.clock))
}

/// The indicator that counts a platform's own states beside the classes.
const OWN_STATES: &str = "state_entries";

/// A title and the indicators under it.
pub type Family = (&'static str, &'static [Indicator]);

/// The families, in the order of the documentation.
pub const FAMILIES: &[Family] = &[
    ("Speed of answer", speed::FAMILY),
    ("Service level and abandonment", service::FAMILY),
    ("Volume and what is open", volume::FAMILY),
    ("Response and resolution", response::FAMILY),
    ("Handling", handling::FAMILY),
    ("Flow", flow::FAMILY),
    ("Staffing", staffing::FAMILY),
];

/// Every indicator, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Indicator> + Clone {
    FAMILIES.iter().flat_map(|(_, indicators)| indicators.iter())
}

pub fn find(name: &str) -> Option<&'static Indicator> {
    all().find(|indicator| indicator.name == name)
}

/// Which events something holds or is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Topics {
    pub interactions: bool,
    pub agents: bool,
}

impl Topics {
    /// What both are about.
    pub fn and(self, other: Topics) -> Topics {
        Topics { interactions: self.interactions || other.interactions, agents: self.agents || other.agents }
    }

    pub fn meet(self, other: Topics) -> bool {
        (self.interactions && other.interactions) || (self.agents && other.agents)
    }
}

impl Indicator {
    /// The events that its values are made of.
    pub fn topics(&self) -> Topics {
        let agents = staffing::FAMILY.contains(self);
        Topics { interactions: !agents, agents }
    }

    /// What it is, in one sentence.
    pub fn about(&self) -> &'static str {
        text::about(self.text)
    }

    /// Every selection of this indicator that exists for a key: each window, each threshold in `thresholds` (those of
    /// the key's channels), each treatment, state and stage, and each of the `clocks` that its channels keep.
    pub fn selectors<'a>(&'static self, plan: &'a Plan, thresholds: &'a [usize], clocks: &[Clock]) -> Vec<Selector> {
        let has = |label| self.labels.contains(&label);
        let one = [Labels::default()];
        let mut labels = one.to_vec();
        if has(Label::Threshold) {
            let set = |l: &Labels| thresholds.iter().map(|t| Labels { threshold: Some(*t), ..*l }).collect::<Vec<_>>();
            labels = labels.iter().flat_map(set).collect();
        }
        if has(Label::Treatment) {
            let set =
                |l: &Labels| Treatment::ALL.iter().map(|t| Labels { treatment: Some(*t), ..*l }).collect::<Vec<_>>();
            labels = labels.iter().flat_map(set).collect();
        }
        if has(Label::State) {
            let own = if self.name == OWN_STATES { plan.agent_states.len() } else { 0 };
            let set = |l: &Labels| {
                let classes = State::ALL.iter().map(|s| Labels { state: Some(*s), ..*l });
                classes.chain((0..own).map(|name| Labels { own_state: Some(name), ..*l })).collect::<Vec<_>>()
            };
            labels = labels.iter().flat_map(set).collect();
        }
        if has(Label::Stage) {
            let set = |l: &Labels| Stage::ALL.iter().map(|s| Labels { stage: Some(*s), ..*l }).collect::<Vec<_>>();
            labels = labels.iter().flat_map(set).collect();
        }
        if has(Label::Clock) {
            let set = |l: &Labels| clocks.iter().map(|clock| Labels { clock: *clock, ..*l }).collect::<Vec<_>>();
            labels = labels.iter().flat_map(set).collect();
        }
        let windows: Vec<Option<usize>> =
            if self.instant { vec![None] } else { (0..plan.windows.len()).map(Some).collect() };
        let select = |window| labels.iter().map(move |labels| Selector { indicator: self, window, labels: *labels });
        windows.into_iter().flat_map(select).collect()
    }
}

/// Every selection that exists for a key.
pub fn selectors(plan: &Plan, board: &Board, key: &Key) -> Vec<Selector> {
    selectors_in(plan, &board.channels_of(key), key.channel.is_some())
}

/// Every selection that exists for a key that has been seen in these channels, and is of one channel or rolled up over
/// them.
pub fn selectors_in(plan: &Plan, channels: &[Arc<str>], one_channel: bool) -> Vec<Selector> {
    // A roll-up over channels covers those that list a threshold.
    let of = |channel: &Arc<str>| {
        let ChannelPlan { thresholds, unlisted, .. } = plan.channel(channel);
        let measured = thresholds.into_iter().filter(|threshold| one_channel || !unlisted.contains(threshold));
        measured.collect::<Vec<_>>()
    };
    let mut thresholds: Vec<usize> = channels.iter().flat_map(of).collect();
    thresholds.sort_unstable();
    thresholds.dedup();
    let open = channels.iter().any(|channel| plan.open_time_of(channel).is_some());
    let clocks = if open { Clock::ALL } else { &[Clock::Elapsed] };
    all().flat_map(|indicator| indicator.selectors(plan, &thresholds, clocks)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_told() {
        let names: Vec<&str> = all().map(|indicator| indicator.name).collect();
        for indicator in all() {
            assert_eq!(names.iter().filter(|name| **name == indicator.name).count(), 1, "{}", indicator.name);
            let text = Text::of(indicator).unwrap();
            assert!(text.about.ends_with('.') && text.about == indicator.about(), "{}", indicator.name);
        }
    }
}

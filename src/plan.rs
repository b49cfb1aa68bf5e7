//! The compiled settings that decide what is counted: zone, windows, thresholds, channels, limits.
//!
//! A plan is made once from the configuration and the matrices (`config`), and never changes while it runs:
//! two runs with equal plans and equal events show equal numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use serde::Serialize;

use crate::domain::{Calendar, Globs, Millis, OpenTime, Shift};

mod fingerprint;

#[derive(Clone, Debug)]
pub struct Plan {
    /// The site's zone: intervals and days.
    pub zone: TimeZone,
    pub interval: Millis,
    pub short_abandon: Millis,
    pub agent_timeout: Millis,
    /// The platform's own names of agents' states, without those of the classes. Their index is their identity.
    pub agent_states: Vec<Arc<str>>,
    pub lateness: Millis,
    /// How far beyond the largest time so far an event of a back-test may lie.
    pub max_ahead: Millis,
    pub windows: Vec<Window>,
    /// Every service-level threshold that anything names, ascending, each once. Their index is their identity.
    pub thresholds: Vec<Threshold>,
    /// What the configuration says of a channel; a channel it does not name has the defaults of its name.
    pub channels: BTreeMap<String, ChannelSettings>,
    /// The maps of open time that the channels' hours make, each once. The first is always open: channels without hours.
    pub open_times: Vec<Arc<OpenTime>>,
    /// Channels of rows with `clock: open`: it is kept there whatever the configuration says.
    pub open_scopes: Vec<Globs>,
    /// Thresholds that rows name, with the channels in their scopes: measured there whoever lists them.
    pub extra_thresholds: Vec<(Globs, Millis)>,
    pub limits: Limits,
}

/// A window with its name as people wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub label: Arc<str>,
    pub kind: WindowKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    Sliding(Millis),
    /// The running WFM interval of the site's zone, named by the instant just before T.
    Interval,
    /// The whole interval before it.
    LastInterval,
    /// Since local midnight.
    Today,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Threshold {
    pub label: Arc<str>,
    pub within: Millis,
}

/// What the configuration may say of a channel; `None` is the default of the channel's name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ChannelSettings {
    pub answer_on: Option<AnswerOn>,
    pub service_level: Option<Vec<Millis>>,
    pub idle_close: Option<Millis>,
    pub give_up: Option<Millis>,
    pub handling: Option<Handling>,
    /// Index into [`Plan::open_times`].
    pub hours: usize,
    /// Whether durations are kept on the desk's clock too.
    pub open_clock: bool,
}

/// The event that answers a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum AnswerOn {
    Assigned,
    Replied,
}

/// What handling time is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Handling {
    /// Parked time out and, where the answer is a reply, the customer's turn out.
    Working,
    /// From assigned to the end, whatever happened.
    Elapsed,
}

/// A channel with every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelPlan {
    pub answer_on: AnswerOn,
    /// What is measured in the channel: indices into [`Plan::thresholds`], its own list first, in the order of the
    /// configuration. The first is the default of rows.
    pub thresholds: Vec<usize>,
    /// Those of `thresholds` that only other channels list, and that a row asks for here: they count in this channel's
    /// pairs and in its roll-up over queues, and not in roll-ups over channels. A threshold that no channel lists is the
    /// row's alone; that one is listed wherever it is measured.
    pub unlisted: Vec<usize>,
    pub idle_close: Millis,
    pub give_up: Millis,
    pub handling: Handling,
    /// The desk's clock, an index into [`Plan::open_times`]; `None` where it is not kept.
    pub open: Option<usize>,
}

/// Bounds of what producers can grow. Beyond one, the newest is counted under `other` or dropped, and counted so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    pub keys: usize,
    pub open_interactions: usize,
    pub closed_interactions: usize,
    pub agents: usize,
    /// Events kept of one interaction; further ones are counted and change nothing.
    pub events_per_interaction: usize,
    /// Ids of events that are known besides those of the interactions and agents held.
    pub identities: usize,
    /// Events ahead of now that are held until now passes them.
    pub held_ahead: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            keys: 100_000,
            open_interactions: 2_000_000,
            closed_interactions: 2_000_000,
            agents: 100_000,
            events_per_interaction: 10_000,
            identities: 262_144,
            held_ahead: 100_000,
        }
    }
}

impl Default for Plan {
    fn default() -> Self {
        let sliding = [("5m", 5), ("15m", 15), ("30m", 30), ("1h", 60), ("24h", 1440)]
            .map(|(label, minutes)| Window::sliding(label, Millis(minutes * 60_000)));
        let mut plan = Plan {
            zone: TimeZone::UTC,
            interval: Millis(30 * 60_000),
            short_abandon: Millis::seconds(5),
            agent_timeout: Millis(12 * 3_600_000),
            agent_states: Vec::new(),
            lateness: Millis::DAY,
            max_ahead: Millis::DAY,
            windows: sliding.into_iter().chain(Window::named()).collect(),
            thresholds: Vec::new(),
            channels: BTreeMap::new(),
            open_times: vec![Arc::new(OpenTime::new(&Calendar::always()))],
            open_scopes: Vec::new(),
            extra_thresholds: Vec::new(),
            limits: Limits::default(),
        };
        plan.set_thresholds([]);
        plan
    }
}

impl WindowKind {
    /// As a row may write it.
    pub fn words(self) -> String {
        match self {
            WindowKind::Sliding(length) => length.to_string(),
            WindowKind::Interval => "interval".to_owned(),
            WindowKind::LastInterval => "last_interval".to_owned(),
            WindowKind::Today => "today".to_owned(),
        }
    }
}

impl Window {
    pub fn sliding(label: &str, length: Millis) -> Self {
        Window { label: label.into(), kind: WindowKind::Sliding(length) }
    }

    /// The windows that every plan has beside the sliding ones.
    pub fn named() -> [Window; 3] {
        [("interval", WindowKind::Interval), ("last_interval", WindowKind::LastInterval), ("today", WindowKind::Today)]
            .map(|(label, kind)| Window { label: label.into(), kind })
    }
}

const VOICE: [&str; 2] = ["voice", "phone"];
const CHAT: [&str; 2] = ["chat", "webchat"];
/// A channel of each kind of defaults; the empty name stands for every other channel, social and messaging.
const KINDS: [&str; 6] = ["voice", "phone", "chat", "webchat", "email", ""];

/// The service-level thresholds of a channel that the configuration says nothing of, by its name.
fn default_thresholds(channel: &str) -> &'static [(&'static str, Millis)] {
    if VOICE.contains(&channel) {
        &[("20s", Millis(20_000))]
    } else if CHAT.contains(&channel) {
        &[("60s", Millis(60_000))]
    } else if channel == "email" {
        &[("24h", Millis(86_400_000))]
    } else {
        &[("30m", Millis(1_800_000)), ("24h", Millis(86_400_000))]
    }
}

impl Plan {
    /// Sets the list of thresholds to the defaults of every kind of channel and those `named` (with the labels as
    /// people wrote them, which win over the defaults' spelling). Call it after `channels` and `extra_thresholds`.
    pub fn set_thresholds(&mut self, named: impl IntoIterator<Item = (String, Millis)>) {
        let defaults = ["voice", "chat", "email", "facebook"].into_iter().flat_map(default_thresholds);
        let mut all: BTreeMap<Millis, Arc<str>> = BTreeMap::new();
        for (label, within) in named {
            all.entry(within).or_insert_with(|| label.into());
        }
        for (label, within) in defaults {
            all.entry(*within).or_insert_with(|| (*label).into());
        }
        let rest = self.channels.values().flat_map(|c| c.service_level.iter().flatten()).copied();
        for within in rest.chain(self.extra_thresholds.iter().map(|(_, within)| *within)) {
            all.entry(within).or_insert_with(|| within.to_string().into());
        }
        self.thresholds = all.into_iter().map(|(within, label)| Threshold { label, within }).collect();
    }

    pub fn threshold_index(&self, within: Millis) -> Option<usize> {
        self.thresholds.iter().position(|threshold| threshold.within == within)
    }

    pub fn window_index(&self, kind: WindowKind) -> Option<usize> {
        self.windows.iter().position(|window| window.kind == kind)
    }

    /// The map of a channel's hours, made where no channel has the same. Call it after `zone`.
    pub fn open_time(&mut self, shifts: Vec<Shift>, holidays: &Arc<BTreeSet<Date>>) -> usize {
        self.open_times.iter().position(|map| map.is_of(Some(&shifts))).unwrap_or_else(|| {
            let calendar = Calendar { zone: self.zone.clone(), shifts: Some(shifts), holidays: holidays.clone() };
            self.open_times.push(Arc::new(OpenTime::new(&calendar)));
            self.open_times.len() - 1
        })
    }

    /// Whether any channel may keep the desk's clock.
    pub fn keeps_open_clock(&self) -> bool {
        !self.open_scopes.is_empty() || self.channels.values().any(|set| set.open_clock)
    }

    /// The map of the desk's clock in a channel, where that clock is kept.
    pub fn open_time_of(&self, channel: &str) -> Option<usize> {
        let set = self.channels.get(channel);
        let kept = set.is_some_and(|set| set.open_clock) || self.open_scopes.iter().any(|scope| scope.matches(channel));
        kept.then(|| set.map_or(0, |set| set.hours))
    }

    /// A channel with every default filled in.
    pub fn channel(&self, name: &str) -> ChannelPlan {
        let empty = ChannelSettings::default();
        let set = self.channels.get(name).unwrap_or(&empty);
        let voice = VOICE.contains(&name);
        let live = voice || CHAT.contains(&name);
        let extra = self.extra_thresholds.iter().filter(|(globs, _)| globs.matches(name)).map(|(_, within)| *within);
        let (mut thresholds, mut unlisted) = (Vec::new(), Vec::new());
        let own = self.listed_in(name).map(|within| (within, true));
        for (within, listed) in own.chain(extra.map(|within| (within, false))) {
            let Some(index) = self.threshold_index(within).filter(|index| !thresholds.contains(index)) else {
                continue;
            };
            thresholds.push(index);
            if !listed && self.is_listed(within) {
                unlisted.push(index);
            }
        }
        let or = |set: Option<Millis>, live_hours: i64, other: i64| {
            set.unwrap_or(Millis(3_600_000 * if live { live_hours } else { other }))
        };
        ChannelPlan {
            answer_on: set.answer_on.unwrap_or(if voice { AnswerOn::Assigned } else { AnswerOn::Replied }),
            thresholds,
            unlisted,
            idle_close: or(set.idle_close, 4, 72),
            give_up: or(set.give_up, 24, 30 * 24),
            handling: set.handling.unwrap_or(Handling::Working),
            open: self.open_time_of(name),
        }
    }

    /// A channel's own list: the configuration's, or the default of its name.
    fn listed_in(&self, name: &str) -> impl Iterator<Item = Millis> {
        let own = self.channels.get(name).and_then(|set| set.service_level.as_ref());
        let default = if own.is_none() { default_thresholds(name) } else { &[] };
        own.into_iter().flatten().copied().chain(default.iter().map(|(_, within)| *within))
    }

    /// Whether any channel lists it, also one that was never seen.
    fn is_listed(&self, within: Millis) -> bool {
        let mut names = self.channels.keys().map(String::as_str).chain(KINDS);
        names.any(|name| self.listed_in(name).any(|listed| listed == within))
    }

    /// The threshold of a row that names none: the channel's first; over channels, that of social and messaging.
    pub fn default_threshold(&self, channel: Option<&str>) -> Option<usize> {
        self.channel(channel.unwrap_or("")).thresholds.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plan whose configuration gives channels these lists, with thresholds that rows ask for in these channels.
    fn plan(lists: &[(&str, &[i64])], rows: &[(&[&str], i64)]) -> Plan {
        let list = |seconds: &[i64]| Some(seconds.iter().copied().map(Millis::seconds).collect());
        let channels = lists
            .iter()
            .map(|(name, seconds)| {
                ((*name).to_owned(), ChannelSettings { service_level: list(seconds), ..Default::default() })
            })
            .collect();
        let extra_thresholds =
            rows.iter().map(|(globs, seconds)| (Globs::new(*globs).unwrap(), Millis::seconds(*seconds))).collect();
        let mut plan = Plan { channels, extra_thresholds, ..Plan::default() };
        plan.set_thresholds([]);
        plan
    }

    #[test]
    fn a_threshold_of_a_row_is_measured_in_its_channels_and_rolled_up_where_it_is_listed() {
        type Case<'a> = (&'a [(&'a str, &'a [i64])], &'a [(&'a [&'a str], i64)], &'a str, &'a [i64], &'a [i64]);
        let cases: [Case<'_>; 11] = [
            (&[], &[], "chat", &[60], &[]),
            // Voice lists 20 s by default.
            (&[], &[(&[], 20)], "chat", &[60, 20], &[20]),
            (&[], &[(&[], 20)], "voice", &[20], &[]),
            (&[], &[(&["facebook"], 20)], "chat", &[60], &[]),
            // Nobody lists 45 s: the row alone asks for it.
            (&[], &[(&[], 45)], "chat", &[60, 45], &[]),
            (&[("email", &[45])], &[(&[], 45)], "chat", &[60, 45], &[45]),
            (&[("email", &[45])], &[(&[], 45)], "email", &[45], &[]),
            // Once voice and phone have lists of their own, nobody has 20 s by default.
            (&[("voice", &[10]), ("phone", &[10])], &[(&[], 20)], "chat", &[60, 20], &[]),
            (&[("voice", &[10])], &[(&[], 20)], "voice", &[10, 20], &[20]),
            // Every channel that is not named has the defaults of social and messaging.
            (&[("facebook", &[45])], &[(&[], 1800)], "facebook", &[45, 1800], &[1800]),
            // Asked for by two rows, measured once.
            (&[], &[(&[], 20), (&["ch*"], 20), (&["chat"], 60)], "chat", &[60, 20], &[20]),
        ];
        for (lists, rows, channel, measured, unlisted) in cases {
            let plan = plan(lists, rows);
            let of = plan.channel(channel);
            let seconds = |indices: &[usize]| -> Vec<i64> {
                indices.iter().map(|index| plan.thresholds[*index].within.0 / 1000).collect()
            };
            let expected = (measured.to_vec(), unlisted.to_vec());
            assert_eq!((seconds(&of.thresholds), seconds(&of.unlisted)), expected, "{lists:?} {rows:?} {channel}");
            assert_eq!(plan.default_threshold(Some(channel)), of.thresholds.first().copied());
        }
    }
}

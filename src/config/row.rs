//! One row of a matrix: what it watches, its labels, its scope and hours, and that its ranges fit together.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::bounds::{self, Placed};
use super::group;
use super::hours;
use super::lint::Places;
use super::node::{Kind, Node};
use super::ranges::{self, Around, Said};
use super::reader::{Fields, Mark, Report, did_you_mean, duration, text, whole, word};
use super::scopes::Scopes;
use super::texts;
use crate::domain::{Calendar, Millis, Scope, Shift};
use crate::indicators::{self, Clock, Indicator, Label, Samples, Stage, State, Treatment};
use crate::matrix::{Bounds, Flapping, Group, Level, NoData, Per, Recover, Row, Texts};
use crate::plan::WindowKind;

/// The keys of a row, labels included.
pub(super) const KEYS: [&str; 20] = [
    "indicator",
    "window",
    "per",
    "goal",
    "min_samples",
    "ranges",
    "recover",
    "no_data",
    "scope",
    "hours",
    "settle",
    "ack_for",
    "flapping",
    "texts",
    "group",
    "threshold",
    "treatment",
    "state",
    "stage",
    "clock",
];

const PER: [(&str, Per); 4] =
    [("pair", Per::Pair), ("queue", Per::Queue), ("channel", Per::Channel), ("all", Per::All)];

/// The longest window: a month of panes.
const WINDOW_MAX: Millis = Millis(31 * Millis::DAY.0);

/// What a row takes from its matrix where it says nothing itself.
pub(super) struct Defaults {
    pub scope: Scope,
    pub shifts: Option<Vec<Shift>>,
    pub zone: TimeZone,
    pub holidays: Arc<BTreeSet<Date>>,
    pub ack_for: Millis,
    pub flapping: Flapping,
    pub group: Option<Group>,
}

/// A row with what is needed to hold it against others and to add to the plan.
pub(super) struct ReadRow {
    /// With defects elsewhere it has no ranges, and its goal is any value: it is there to be compared, and never in force.
    pub row: Row,
    pub at: Mark,
    /// As written, so that they are printed in that way.
    pub window: Option<(Arc<str>, WindowKind)>,
    pub threshold: Option<(Arc<str>, Mark)>,
    pub places: Places,
}

pub(super) fn read(
    node: &Node,
    defaults: &Defaults,
    scopes: &mut Scopes,
    around: &mut Around<'_>,
    report: &mut Report,
) -> Option<ReadRow> {
    let before = report.errors();
    let fields = Fields::new(node, "a row", &KEYS, report)?;
    around.contacts.unsure |= !matches!(fields.get("ranges"), Some(Node { kind: Kind::List(_), .. }));
    let named = fields.require("indicator", "write which figure it watches: indicator: asa", report);
    let indicator = named.and_then(|node| find_indicator(node, report));

    let per = fields.get("per").and_then(|node| word(node, "per", &PER, report)).unwrap_or_default();
    let scope = scope(&fields, per, defaults, scopes, report);
    let shifts = fields.get("hours").map(|node| hours::read(node, report)).or_else(|| defaults.shifts.clone());
    let window =
        fields.get("window").and_then(|node| Some((text(node, "window", report)?.clone(), window(node, report)?)));

    // What follows is written in the indicator's unit: without one only the rest of the ranges can be checked.
    let Some(indicator) = indicator else {
        if let Some(Kind::List(items)) = fields.get("ranges").map(|node| &node.kind) {
            for item in items {
                ranges::read(item, None, None, around, report);
            }
        }
        if let Some(node) = fields.get("no_data") {
            ranges::no_data(node, around, report);
        }
        beside(&fields, defaults, around, report);
        return None;
    };
    check_window(&fields, indicator, report);
    let labels = labels(&fields, indicator, report);
    // Which case it is must be certain before it is held against others. What is wrong with the rest changes nothing of that.
    let known_case = report.errors() == before;
    let beside = beside(&fields, defaults, around, report);
    let length = match &window {
        Some((_, WindowKind::Sliding(length))) => Some(*length),
        _ => None,
    };
    let mut placed = all_ranges(&fields, indicator, length, around, report);
    let sound = placed.as_mut().is_some_and(|placed| fit_together(&fields, placed, indicator, report));
    let goal = fields.require("goal", "write the values that are wanted: goal: \"< 30m\"", report);
    let goal = goal.and_then(|node| Some((node, bounds::read(node, "goal", indicator, report)?)));
    if let (Some((node, goal)), Some(placed)) = (&goal, &placed)
        && placed.iter().any(|range| range.level == Level::Ok)
        && !placed.iter().any(|range| range.level == Level::Ok && bounds::meet(goal, &range.bounds, indicator))
    {
        let what = format!("the goal `{}` of `{}` shares no value with an `ok` range", goal.text, indicator.name);
        report.error(node.at, what, "a row whose goal is met must be able to be ok");
    }
    let min_samples = fields.get("min_samples").and_then(|node| min_samples(node, indicator, report));
    let known = placed.as_deref().unwrap_or_default();
    let recover = fields.get("recover").and_then(|node| ranges::recover(node, indicator, known, report));
    let no_data = fields.get("no_data").map_or(NoData::Keep, |node| ranges::no_data(node, around, report));

    if !known_case {
        return None;
    }
    let place = |key: &str| fields.get(key).map(|node| node.at);
    let places = Places {
        ranges: known.iter().filter(|_| sound).map(|range| range.node.at).collect(),
        settle: place("settle"),
        no_data: place("no_data"),
        group: place("group"),
    };
    let row = Row {
        line: node.at.line as usize,
        indicator,
        window: window.as_ref().map(|(_, kind)| *kind),
        threshold: labels.threshold.as_ref().map(|(_, within, _)| *within),
        treatment: labels.treatment,
        state: labels.state,
        stage: labels.stage,
        clock: labels.clock,
        per,
        scope,
        goal: goal.map_or_else(Bounds::default, |(_, goal)| goal),
        ranges: placed.into_iter().flatten().filter(|_| sound).map(Placed::into_range).collect(),
        min_samples: min_samples.unwrap_or(0.0),
        recover: recover.unwrap_or_else(Recover::default),
        no_data,
        calendar: Calendar { zone: defaults.zone.clone(), shifts, holidays: defaults.holidays.clone() },
        settle: beside.settle,
        ack_for: beside.ack_for,
        flapping: beside.flapping,
        texts: beside.texts,
        group: beside.group,
    };
    let threshold = labels.threshold.map(|(label, _, at)| (label, at));
    Some(ReadRow { row, at: node.at, window, threshold, places })
}

/// What a row says beside its case, goal and ranges.
struct Beside {
    settle: Millis,
    ack_for: Millis,
    flapping: Flapping,
    texts: Texts,
    group: Option<Group>,
}

fn beside(fields: &Fields<'_>, defaults: &Defaults, around: &Around<'_>, report: &mut Report) -> Beside {
    let group = match fields.get("group") {
        Some(_) => group::read(fields, report).flatten(),
        None => defaults.group,
    };
    Beside {
        settle: fields.get("settle").and_then(|n| duration(n, "settle", Millis::ZERO, report)).unwrap_or_default(),
        ack_for: ack_for(fields, report).unwrap_or(defaults.ack_for),
        flapping: flapping(fields, report).unwrap_or(defaults.flapping),
        texts: texts::shared(fields, around.contacts.all.values(), around.writing, report),
        group,
    }
}

/// `ack_for` of a row or a matrix.
pub(super) fn ack_for(fields: &Fields<'_>, report: &mut Report) -> Option<Millis> {
    fields.get("ack_for").and_then(|node| duration(node, "ack_for", Millis::MINUTE, report))
}

/// `flapping` of a row or a matrix.
pub(super) fn flapping(fields: &Fields<'_>, report: &mut Report) -> Option<Flapping> {
    let fields = Fields::new(fields.get("flapping")?, "`flapping`", &["changes", "within"], report)?;
    let Flapping { changes, within } = Flapping::default();
    // Of two changes a case goes off and is well again: no less says that it does so again and again.
    let written = fields.get("changes").and_then(|node| whole(node, "changes", 2, report));
    let length = fields.get("within").and_then(|node| duration(node, "within", Millis::MINUTE, report));
    let changes = written.map_or(changes, |number| u32::try_from(number).unwrap_or(u32::MAX));
    Some(Flapping { changes, within: length.unwrap_or(within) })
}

fn find_indicator(node: &Node, report: &mut Report) -> Option<&'static Indicator> {
    let name = text(node, "indicator", report)?;
    let found = indicators::find(name);
    if found.is_none() {
        let hint = did_you_mean(name, indicators::all().map(|i| i.name), "the indicators are");
        report.error(node.at, format!("unknown indicator `{name}`"), hint);
    }
    found
}

fn scope(fields: &Fields<'_>, per: Per, defaults: &Defaults, scopes: &mut Scopes, report: &mut Report) -> Scope {
    let own = fields.get("scope");
    let scope = own.map_or_else(|| defaults.scope.clone(), |node| scopes.read(node, report));
    let at = own.or_else(|| fields.get("per")).map_or(fields.at, |node| node.at);
    let (queue, channel) = (!scope.queue.is_any(), !scope.channel.is_any());
    let wrong = match per {
        Per::Pair => None,
        Per::Queue => channel.then_some(("queue", "no channels")),
        Per::Channel => queue.then_some(("channel", "no queues")),
        Per::All => (queue || channel).then_some(("all", "neither queues nor channels")),
    };
    if let Some((word, names)) = wrong {
        let whose = if own.is_some() { "the row's scope" } else { "the matrix's scope" };
        let what = format!("`per: {word}` rolls the rest up, so its scope names {names}: {whose} does");
        report.error(at, what, "give the row a `scope` of its own (`scope: {}` is any)");
    }
    scope
}

/// `15m`, `interval`, `last_interval` or `today`.
pub(super) fn window(node: &Node, report: &mut Report) -> Option<WindowKind> {
    let written = text(node, "window", report)?;
    match &**written {
        "interval" => return Some(WindowKind::Interval),
        "last_interval" => return Some(WindowKind::LastInterval),
        "today" => return Some(WindowKind::Today),
        _ => {}
    }
    match Millis::parse(written) {
        Some(length) if (Millis::SECOND..=WINDOW_MAX).contains(&length) && length.0 % 1000 == 0 => {
            Some(WindowKind::Sliding(length))
        }
        Some(_) => {
            report.error(node.at, format!("window `{written}`: whole seconds up to 31d"), "");
            None
        }
        None => {
            let what = format!("window `{written}` is not known");
            report.error(node.at, what, "a duration as 15m or 24h, `interval`, `last_interval` or `today`");
            None
        }
    }
}

fn check_window(fields: &Fields<'_>, indicator: &Indicator, report: &mut Report) {
    match fields.get("window") {
        Some(node) if indicator.instant => {
            let what = format!("`{}` is of this instant: it has no `window`", indicator.name);
            report.error(node.at, what, "remove `window`");
        }
        None if !indicator.instant => {
            let at = fields.get("indicator").map_or(fields.at, |node| node.at);
            let what = format!("`{}` needs a `window`", indicator.name);
            report.error(at, what, "as window: 15m, or `interval`, `last_interval`, `today`");
        }
        _ => {}
    }
}

#[derive(Default)]
struct Labels {
    threshold: Option<(Arc<str>, Millis, Mark)>,
    treatment: Option<Treatment>,
    state: Option<State>,
    stage: Option<Stage>,
    clock: Clock,
}

fn labels(fields: &Fields<'_>, indicator: &Indicator, report: &mut Report) -> Labels {
    let mut labels = Labels::default();
    for label in Label::ALL {
        let key = label.name();
        let node = fields.get(key);
        if !indicator.labels.contains(label) {
            if let Some(node) = node {
                let what = format!("`{}` has no label `{key}`", indicator.name);
                let own: Vec<String> = indicator.labels.iter().map(|l| format!("`{}`", l.name())).collect();
                let hint =
                    if own.is_empty() { "it has no labels".to_owned() } else { format!("it has {}", own.join(", ")) };
                report.error(node.at, what, hint);
            }
            continue;
        }
        match label {
            Label::Threshold => {
                labels.threshold = node.and_then(|node| {
                    let within = duration(node, key, Millis::SECOND, report)?;
                    Some((text(node, key, report)?.clone(), within, node.at))
                });
            }
            Label::Treatment => {
                let words: Vec<_> = Treatment::ALL.iter().map(|t| (t.name(), *t)).collect();
                let read = node.and_then(|node| word(node, key, &words, report));
                labels.treatment = Some(read.unwrap_or_default());
            }
            Label::State => labels.state = state(fields, indicator, report),
            Label::Clock => {
                let words: Vec<_> = Clock::ALL.iter().map(|c| (c.name(), *c)).collect();
                labels.clock = node.and_then(|node| word(node, key, &words, report)).unwrap_or_default();
            }
            Label::Stage => {
                let words: Vec<_> = Stage::ALL.iter().map(|s| (s.name(), *s)).collect();
                labels.stage = required(fields, key, &words, indicator, report);
            }
        }
    }
    labels
}

/// A count of agents is by default of all that are connected; elsewhere a state has no default.
fn state(fields: &Fields<'_>, indicator: &Indicator, report: &mut Report) -> Option<State> {
    let other = if indicator.instant { State::Elsewhere } else { State::Connected };
    let words: Vec<_> = State::ALL.iter().filter(|s| **s != other).map(|s| (s.name(), *s)).collect();
    if indicator.instant && fields.get("state").is_none() {
        return Some(State::Connected);
    }
    required(fields, "state", &words, indicator, report)
}

/// A label that has no default.
fn required<T: Copy>(
    fields: &Fields<'_>,
    key: &str,
    words: &[(&str, T)],
    indicator: &Indicator,
    report: &mut Report,
) -> Option<T> {
    if let Some(node) = fields.get(key) {
        return word(node, key, words, report);
    }
    let at = fields.get("indicator").map_or(fields.at, |node| node.at);
    let hint = did_you_mean("", words.iter().map(|(word, _)| *word), "one of");
    report.error(at, format!("`{}` needs a `{key}`", indicator.name), hint);
    None
}

/// The ranges in order; `None` where any of them could not be read, because then gaps would be reported that are none.
fn all_ranges<'n>(
    fields: &Fields<'n>,
    indicator: &Indicator,
    window: Option<Millis>,
    around: &mut Around<'_>,
    report: &mut Report,
) -> Option<Vec<Placed<'n, Said>>> {
    let node = fields.require("ranges", "write one range for every result that matters", report)?;
    let items = match &node.kind {
        Kind::List(items) => items.as_slice(),
        _ => {
            report.error(node.at, "`ranges` must be a list", "- { when: \"< 30m\", level: ok }");
            return None;
        }
    };
    let placed: Vec<_> = items.iter().map(|item| ranges::read(item, Some(indicator), window, around, report)).collect();
    placed.into_iter().collect()
}

/// Whether the ranges leave no gap and do not overlap. That one of them must be `ok` is said here too.
fn fit_together(
    fields: &Fields<'_>,
    placed: &mut [Placed<'_, Said>],
    indicator: &Indicator,
    report: &mut Report,
) -> bool {
    let before = report.errors();
    bounds::check_contiguous(placed, indicator, report);
    let sound = report.errors() == before;
    if !placed.iter().any(|range| range.level == Level::Ok) {
        let what = format!("no `ok` range: the row for `{}` could never be well", indicator.name);
        report.error(fields.get("ranges").map_or(fields.at, |node| node.at), what, "give one range `level: ok`");
    }
    sound
}

fn min_samples(node: &Node, indicator: &Indicator, report: &mut Report) -> Option<f64> {
    let written = text(node, "min_samples", report)?;
    match indicator.samples {
        Samples::Value => {
            let what = format!("`{}` is a count: it has no `min_samples`", indicator.name);
            report.error(node.at, what, "the count itself says how many there are");
            None
        }
        Samples::Number if Millis::parse(written).is_some() => {
            let what = format!("min_samples `{written}` is in the wrong unit: `{}` counts its samples", indicator.name);
            report.error(node.at, what, "write a plain number, as min_samples: 10");
            None
        }
        Samples::Number => whole(node, "min_samples", 0, report).map(|n| n as f64),
        Samples::Seconds => match Millis::parse(written) {
            Some(length) => Some(length.as_seconds()),
            None => {
                let name = indicator.name;
                let what =
                    format!("min_samples `{written}` is in the wrong unit: the samples of `{name}` are agents' time");
                report.error(node.at, what, "write a duration, as min_samples: 30m");
                None
            }
        },
    }
}

//! What the live page shows, as one JSON document: a row per key, a cell per column with its value and the level of its
//! case, the open cases, and what the service says about itself.
//!
//! The page computes nothing that matters: which case colours which cell is decided here, where it is tested. A
//! document is made at most once per [`FRESH`] and window however many pages watch.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::alerts::{AlertRecord, RenderAction};
use super::desk;
use super::readiness::ReadinessReport;
use crate::domain::{Key, Millis, Timestamp};
use crate::indicators::{self, Clock, Label, Selector, State, Treatment, Unit};
use crate::matrix::Level;
use crate::plan::Plan;
use crate::records::number;
use crate::telemetry::source::Source;

/// How long a document is given out again before a new one is made.
pub const FRESH: Millis = Millis(500);

/// Beyond so many keys a page would be no table to watch: the rest is found with the filter.
const ROWS: usize = 400;

/// The columns of the page, in its order. `agents` is one column of several numbers, told apart by their state.
const COLUMNS: [&str; 11] = [
    "waiting",
    "oldest_wait",
    "asa",
    "asa_live",
    "service_level",
    "abandonment",
    "occupancy",
    "agents",
    "unanswered",
    "oldest_unanswered",
    "backlog",
];

/// Everything about the service that the source does not know.
pub struct Around<'a> {
    pub wall: Timestamp,
    pub readiness: ReadinessReport,
    pub language: &'static str,
    pub demo: bool,
    pub render_action: &'a RenderAction,
}

#[derive(Serialize)]
struct View<'a> {
    time: Timestamp,
    /// How far the numbers are behind the wall clock, in seconds.
    age: Millis,
    language: &'static str,
    time_zone: &'a str,
    version: &'static str,
    demo: bool,
    readiness: ReadinessReport,
    window: &'a str,
    windows: Vec<&'a str>,
    columns: Vec<Column>,
    rows: Vec<Row>,
    /// How many rows there are in all.
    rows_total: usize,
    /// How many cases the matrices make: with none, nothing can ever be wrong on this page.
    cases: usize,
    alerts: Vec<AlertRecord<'a>>,
    silences: Vec<desk::Shown>,
    /// How many silences there are in all.
    silences_total: usize,
}

#[derive(Serialize)]
struct Column {
    id: &'static str,
    unit: Unit,
    instant: bool,
    about: &'static str,
}

#[derive(Serialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<Arc<str>>,
    cells: BTreeMap<&'static str, Cell>,
}

/// A value and how bad it is. `level` is absent where no row of a matrix looks at it.
#[derive(Default, Serialize)]
struct Cell {
    value: Option<serde_json::Value>,
    samples: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    states: BTreeMap<&'static str, serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<Level>,
    /// What the case that gives the level looks at where that is not the value shown: another window, threshold, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    /// Outside the hours of its row.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    closed_hours: bool,
    /// The threshold shown, to choose among several and to compare cases with.
    #[serde(skip)]
    shown: Option<usize>,
}

/// The document for one window, with the rows whose queue or channel contains `find`.
pub fn render(source: &mut dyn Source, window: usize, find: &str, around: Around<'_>) -> serde_json::Result<Vec<u8>> {
    let plan = source.plan();
    let mut rows = read_rows(source, &plan, window);
    mark_levels(source, &plan, window, &mut rows);
    let needle = find.to_lowercase();
    let hit = |name: &Option<Arc<str>>| name.as_ref().is_some_and(|name| name.to_lowercase().contains(&needle));
    rows.retain(|key, _| needle.is_empty() || hit(&key.queue) || hit(&key.channel));

    let time = source.now();
    let mut cases = source.open_cases();
    cases.sort_by_key(|case| (case.closed_hours, std::cmp::Reverse(case.last.to), case.since));
    let alerts = cases.iter().map(|case| AlertRecord { case, plan: &plan, action: (around.render_action)(case) });
    let silences = desk::shown(source, around.wall);
    let view = View {
        time,
        age: around.wall - time,
        language: around.language,
        time_zone: plan.zone.iana_name().unwrap_or("UTC"),
        version: env!("CARGO_PKG_VERSION"),
        demo: around.demo,
        readiness: around.readiness,
        window: plan.windows.get(window).map_or("", |window| &window.label),
        windows: plan.windows.iter().map(|window| &*window.label).collect(),
        columns: columns().map(|i| Column { id: i.name, unit: i.unit, instant: i.instant, about: i.about() }).collect(),
        rows_total: rows.len(),
        rows: rows
            .into_iter()
            .take(ROWS)
            .map(|(key, cells)| Row { queue: key.queue, channel: key.channel, cells })
            .collect(),
        cases: source.levels().len(),
        alerts: alerts.collect(),
        silences_total: silences.len(),
        silences: desk::listed(silences),
    };
    serde_json::to_vec(&view)
}

fn columns() -> impl Iterator<Item = &'static indicators::Indicator> {
    COLUMNS.into_iter().filter_map(indicators::find)
}

type Rows = BTreeMap<Key, BTreeMap<&'static str, Cell>>;

fn read_rows(source: &mut dyn Source, plan: &Plan, window: usize) -> Rows {
    let wanted = |selector: &Selector| {
        COLUMNS.contains(&selector.indicator.name)
            && selector.window.is_none_or(|index| index == window)
            && selector.labels.clock == Clock::Elapsed
            && selector.labels.treatment.is_none_or(|treatment| treatment == Treatment::default())
    };
    let mut rows = Rows::new();
    source.each_indicator(&|_| true, &wanted, &mut |key, selector, reading| {
        let cell = rows.entry(key.clone()).or_default().entry(selector.indicator.name).or_default();
        let value = reading.value.map(number);
        if let Some(state) = selector.labels.state {
            if let Some(value) = &value {
                cell.states.insert(state.name(), value.clone());
            }
            if state != State::Connected {
                return;
            }
        }
        if let Some(threshold) = selector.labels.threshold {
            // Of several thresholds the place's own first one is shown, else the shortest that has a value.
            let own = plan.default_threshold(key.channel.as_deref()) == Some(threshold);
            let better = own || cell.value.is_none();
            if cell.shown.is_some() && (!better || value.is_none()) {
                return;
            }
            cell.shown = Some(threshold);
            cell.threshold = plan.thresholds.get(threshold).map(|threshold| threshold.label.clone());
        }
        cell.value = value;
        cell.samples = Some(number(reading.samples));
    });
    rows
}

/// Gives each cell the level of the worst case of its indicator there, whatever window or threshold that case is about:
/// a cell that looks well beside an incident of its own indicator would deceive.
fn mark_levels(source: &mut dyn Source, plan: &Plan, window: usize, rows: &mut Rows) {
    let grey: Vec<(Arc<str>, Selector, Key)> = source
        .open_cases()
        .into_iter()
        .filter(|case| case.closed_hours)
        .map(|case| (case.last.matrix.name.clone(), case.last.selector, case.last.key.clone()))
        .collect();
    for (matrix, selector, key, level) in source.levels() {
        let Some(id) = COLUMNS.into_iter().find(|id| *id == selector.indicator.name) else { continue };
        let closed_hours =
            level > Level::Ok && grey.iter().any(|(name, s, k)| *name == matrix.name && *s == selector && *k == key);
        let cell = rows.entry(key).or_default().entry(id).or_default();
        let of = difference(plan, window, &selector, cell.shown);
        // An open one outside its hours is shown only where nothing in its hours says more; of two of one level the
        // one that is about the value shown.
        let rank = |level: Level, closed: bool, of: bool| (if closed { Level::Ok } else { level }, level, !of);
        let held = cell.level.map(|level| rank(level, cell.closed_hours, cell.of.is_some()));
        if held.is_none_or(|held| rank(level, closed_hours, of.is_some()) > held) {
            cell.level = Some(level);
            cell.of = of;
            cell.closed_hours = closed_hours;
        }
    }
}

/// How what a case looks at differs from the value that its cell shows, in the words of the labels.
fn difference(plan: &Plan, window: usize, selector: &Selector, threshold: Option<usize>) -> Option<String> {
    let mut words: Vec<String> = Vec::new();
    if let Some(index) = selector.window.filter(|index| *index != window) {
        words.extend(plan.windows.get(index).map(|window| window.label.to_string()));
    }
    for (name, value) in selector.labels.pairs(plan) {
        let same = match Label::parse(name) {
            Some(Label::Threshold) => selector.labels.threshold == threshold,
            Some(Label::Treatment) => selector.labels.treatment == Some(Treatment::default()),
            Some(Label::State) => selector.labels.state == Some(State::Connected),
            _ => false,
        };
        if !same {
            words.push(if name == "threshold" { format!("≤ {value}") } else { value.to_owned() });
        }
    }
    (!words.is_empty()).then(|| words.join(", "))
}

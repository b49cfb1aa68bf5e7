//! Events that are written in a test: maps of YAML with the fields of the event, `at` instead of `time`, and, for many
//! alike, `times` and `every`.

use serde_json::{Map, Value};

use super::Record;
use crate::config::node::{Kind, Node};
use crate::config::reader::{Report, duration, list, map, whole};
use crate::domain::{Millis, Timestamp};

/// The most events that a test may write, those that `times` makes included.
const EVENTS_MAX: usize = 200_000;

type Instant<'i> = &'i dyn Fn(&Node, &str, &mut Report) -> Option<Timestamp>;

/// The events in the order of their times.
pub(super) fn read(node: &Node, instant: Instant<'_>, report: &mut Report) -> Vec<Record> {
    let mut all: Vec<(Timestamp, Record)> = Vec::new();
    for item in list(node, report) {
        event(&item, instant, &mut all, report);
        if all.len() > EVENTS_MAX {
            report.error(
                item.at,
                format!("more than {EVENTS_MAX} events"),
                "put them into a file: events: monday.ndjson",
            );
            break;
        }
    }
    if all.is_empty() && report.errors() == 0 {
        report.error(node.at, "`events` holds none", "- { at: 0s, type: interaction.queued, interaction: a, ... }");
    }
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, record)| record).collect()
}

fn event(node: &Node, instant: Instant<'_>, all: &mut Vec<(Timestamp, Record)>, report: &mut Report) -> Option<()> {
    let entries = map(node, "an event", report)?;
    let of = |key: &str| entries.iter().find(|entry| &*entry.key == key).map(|entry| &entry.value);
    let (key, when) = match (of("at"), of("time")) {
        (Some(node), None) => ("time", node),
        (None, Some(node)) => ("time", node),
        (Some(_), Some(node)) => {
            report.error(node.at, "an event has `at` or `time`, not both", "");
            return None;
        }
        (None, None) => {
            report.error(node.at, "an event has no `at`", "write when: at: 5m, counted from the start");
            return None;
        }
    };
    let first = instant(when, key, report)?;
    let times = of("times").map_or(Some(1), |node| whole(node, "times", 1, report))?;
    let every = of("every").map_or(Some(Millis::ZERO), |node| duration(node, "every", Millis::ZERO, report))?;
    if usize::try_from(times).map_or(true, |times| times > EVENTS_MAX) {
        report.error(node.at, format!("more than {EVENTS_MAX} events"), "");
        return None;
    }
    let (line, column) = (node.at.line as usize, node.at.column as usize);
    for n in 1..=times {
        let at = first + Millis(every.0.saturating_mul(n as i64 - 1).min(Millis::DAY.0 * 366));
        let mut fields = Map::new();
        fields.insert("time".to_owned(), Value::from(at.0));
        for entry in entries.iter().filter(|entry| !["at", "time", "times", "every"].contains(&&*entry.key)) {
            fields.insert(entry.key.to_string(), value(&entry.value, n));
        }
        all.push((at, Record { line, column, json: Value::Object(fields).to_string() }));
    }
    Some(())
}

/// As JSON: what is plain and looks like a number, `true` or `false` is one; `{n}` in a text is the event's number.
fn value(node: &Node, n: u64) -> Value {
    match &node.kind {
        _ if node.is_nothing() => Value::Null,
        Kind::Scalar { text, plain } => {
            let literal = plain.then(|| serde_json::from_str::<Value>(text).ok()).flatten();
            let literal = literal.filter(|value| value.is_number() || value.is_boolean());
            literal.unwrap_or_else(|| Value::String(text.replace("{n}", &n.to_string())))
        }
        Kind::List(items) => Value::Array(items.iter().map(|item| value(item, n)).collect()),
        Kind::Map(entries) => {
            Value::Object(entries.iter().map(|entry| (entry.key.to_string(), value(&entry.value, n))).collect())
        }
    }
}

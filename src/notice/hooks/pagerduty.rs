//! Events for PagerDuty, Events API v2: an incident of ours is one alert there, by its `dedup_key`.
//! See <https://developer.pagerduty.com/docs/send-alert-event>: `summary` has at most 1,024 characters, `dedup_key` 255,
//! and the event 512 KB.
//!
//! The routing key, which says whose the event is, is a secret and so not in here.

use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::{Said, as_it_is, fit};
use crate::matrix::Level;
use crate::records::number;

const SUMMARY_MAX: usize = 1_024;
const KEY_MAX: usize = 255;
/// Ours: a detail is for reading.
const DETAIL_MAX: usize = 4_000;

pub(super) fn body(said: &Said<'_>) -> Value {
    let Said { notification, facts, context, .. } = said;
    if notification.level == Level::Ok {
        return event("resolve", &notification.incident);
    }
    let transition = &notification.transition;
    let detail = |text: &str| Value::from(fit(text, DETAIL_MAX, as_it_is));
    let mut details = Map::new();
    for (name, text) in [("action", facts.action.as_deref()), ("remarks", Some(&*said.remarks().join("\n")))] {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            details.insert(name.to_owned(), detail(text));
        }
    }
    details.insert("goal".to_owned(), detail(&facts.goal));
    details.insert("value".to_owned(), detail(&facts.now));
    details.insert("value_raw".to_owned(), notification.value.filter(|v| v.is_finite()).map(number).into());
    details.insert("samples".to_owned(), number(notification.samples));
    for (label, text) in facts.told() {
        details.insert(label.to_owned(), detail(text));
    }
    for (name, text) in transition.selector.labels.pairs(context.plan) {
        details.insert(name.to_owned(), detail(text));
    }
    let mut event = event("trigger", &notification.incident);
    event["payload"] = json!({
        "summary": fit(&facts.subject, SUMMARY_MAX, as_it_is),
        "source": fit(&facts.place, KEY_MAX, as_it_is),
        "severity": severity(notification.level),
        "timestamp": notification.time.to_string(),
        "component": transition.key.queue.as_deref().map(|queue| fit(queue, KEY_MAX, as_it_is)),
        "group": transition.matrix.name,
        "class": transition.selector.indicator.name,
        "custom_details": details,
    });
    event["client"] = "Atalaya".into();
    if let Some((text, board)) = said.board() {
        event["client_url"] = board.into();
        event["links"] = json!([{ "href": board, "text": text }]);
    }
    event
}

/// The event that says that somebody has taken the incident on.
pub fn acknowledgement(incident: &str) -> String {
    event("acknowledge", incident).to_string()
}

/// The event that ends it there: the next one of the incident begins another.
pub fn resolution(incident: &str) -> String {
    event("resolve", incident).to_string()
}

fn event(action: &str, incident: &str) -> Value {
    json!({ "event_action": action, "dedup_key": key(incident) })
}

/// The incident's id, or a hash of one that is too long.
pub(super) fn key(incident: &str) -> String {
    match incident.len() <= KEY_MAX {
        true => incident.to_owned(),
        false => format!("{:032x}", xxh3_128(incident.as_bytes())),
    }
}

/// What PagerDuty knows: `critical`, `error`, `warning`, `info`.
fn severity(level: Level) -> &'static str {
    match level {
        Level::Critical => "critical",
        Level::Warning => "warning",
        Level::Info | Level::Ok => "info",
    }
}

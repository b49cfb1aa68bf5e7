//! Alerts for Prometheus Alertmanager, API v2: an array of alerts, known by their labels.
//! See <https://prometheus.io/docs/alerting/latest/alerts_api/>.
//!
//! The severity is a label, so another severity is another alert: the old one is ended in the same array. An alert without
//! `endsAt` fires; until when is written by whoever sends it, for it is told anew while the case is open.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Said;
use crate::domain::Timestamp;
use crate::matrix::Level;
use crate::matrix::engine::OpenCase;
use crate::notice::{Context, mail, notification_of_case};

pub(super) fn body(said: &Said<'_>) -> Value {
    let transition = &said.notification.transition;
    let (from, to) = (transition.from, said.notification.level);
    let ended = (from != Level::Ok && from != to).then(|| alert(said, from, Some(transition.time)));
    let firing = (to != Level::Ok).then(|| alert(said, to, None));
    Value::Array(ended.into_iter().chain(firing).collect())
}

/// An alert that goes on firing.
#[derive(Clone, Debug, PartialEq)]
pub struct Firing {
    pub incident: Arc<str>,
    /// Without `endsAt`.
    pub alert: Value,
}

/// The alert of a case that is open, with its value of now.
pub fn firing(case: &OpenCase, context: &Context<'_>) -> Firing {
    let notification = notification_of_case(case);
    let facts = mail::facts(&notification, None, context);
    let said = Said { notification: &notification, facts: &facts, missed: None, late: false, context };
    Firing { incident: case.last.incident.clone(), alert: alert(&said, notification.level, None) }
}

/// `severity` since the incident began, ended at `ends` or firing.
fn alert(said: &Said<'_>, severity: Level, ends: Option<Timestamp>) -> Value {
    let Said { notification, facts, missed, context, .. } = said;
    let transition = &notification.transition;
    let selector = &transition.selector;
    let mut labels = Map::new();
    let mut label = |name: &str, value: &str| {
        labels.insert(name.to_owned(), value.into());
    };
    label("alertname", &alert_name(selector.indicator.name));
    label("matrix", &transition.matrix.name);
    label("indicator", selector.indicator.name);
    if let Some(queue) = &transition.key.queue {
        label("queue", queue);
    }
    if let Some(channel) = &transition.key.channel {
        label("channel", channel);
    }
    if let Some(window) = selector.window.and_then(|index| context.plan.windows.get(index)) {
        label("window", &window.label);
    }
    for (name, value) in selector.labels.pairs(context.plan) {
        label(name, value);
    }
    label("severity", severity.name());
    if context.test {
        label("test", "true");
    }
    let mut annotations = Map::new();
    let mut annotation = |name: &str, text: &str| {
        annotations.insert(name.to_owned(), text.into());
    };
    annotation("summary", &facts.subject);
    annotation("value", &facts.now);
    annotation("goal", &facts.goal);
    annotation("incident", &notification.incident);
    if let Some(action) = &facts.action {
        annotation("action", action);
    }
    if let Some(missed) = missed {
        annotation("missed", &missed.contact);
    }
    let mut alert = json!({
        "labels": labels, "annotations": annotations, "startsAt": notification.since.to_string(),
    });
    if let Some(ends) = ends {
        alert["endsAt"] = ends.to_string().into();
    }
    if let Some(board) = &facts.board {
        alert["generatorURL"] = board.as_str().into();
    }
    alert
}

/// `AtalayaServiceLevel`, of `service_level`.
fn alert_name(indicator: &str) -> String {
    let mut name = "Atalaya".to_owned();
    for word in indicator.split('_') {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

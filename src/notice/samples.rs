//! A matrix and its notifications for tests of what people read.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::{Key, Millis, Timestamp};
use crate::indicators::{Labels, Selector, State, find};
use crate::matrix::engine::{Around, Notification, Reason, Transition, Trend};
use crate::matrix::{Bounds, Contact, Edge, Language, Level, Matrix, Medium, Range, Recipient, Row, Step};
use crate::plan::{Plan, WindowKind};

fn bounds(text: &str, low: Option<f64>, high: Option<f64>) -> Bounds {
    let edge = |at: Option<f64>, inclusive| at.map(|at| Edge { at, inclusive });
    Bounds { text: text.into(), low: edge(low, true), high: edge(high, false) }
}

fn tell(names: &[&str]) -> Vec<Recipient> {
    names.iter().map(|name| Recipient { contact: (*name).into(), medium: None }).collect()
}

fn row(indicator: &str, unit: &[(&str, Option<f64>, Option<f64>, Level)], action: &str) -> Row {
    let ranges = unit.iter().map(|(text, low, high, level)| Range {
        bounds: bounds(text, *low, *high),
        level: *level,
        hold: Millis::ZERO,
        tell: tell(&["lead", "desk"]),
        action: (*level != Level::Ok).then(|| action.into()),
        escalate: vec![Step { after: Millis(600_000), tell: tell(&["manager"]) }],
        repeat: Some(Millis(1_800_000)),
    });
    let ranges: Vec<Range> = ranges.collect();
    let goal = ranges.iter().find(|range| range.level == Level::Ok).map(|range| range.bounds.clone()).unwrap();
    Row { window: Some(WindowKind::Sliding(Millis(900_000))), ..Row::new(find(indicator).unwrap(), goal, ranges) }
}

pub fn matrix(language: Language, action: &str) -> Arc<Matrix> {
    let contact = |email: Option<&str>, webhook: Option<&str>| Contact {
        email: email.map(Arc::from),
        webhook: webhook.map(Arc::from),
        ..Contact::default()
    };
    let asa = row(
        "asa",
        &[
            ("< 30m", None, Some(1800.0), Level::Ok),
            ("30m .. 45m", Some(1800.0), Some(2700.0), Level::Warning),
            (">= 45m", Some(2700.0), None, Level::Critical),
        ],
        action,
    );
    let service_level = row(
        "service_level",
        &[("< 0.8", None, Some(0.8), Level::Critical), (">= 0.8", Some(0.8), None, Level::Ok)],
        action,
    );
    Arc::new(Matrix {
        file: "care.yaml".into(),
        name: "facebook-care".into(),
        language,
        zone: jiff::tz::TimeZone::get("America/Bogota").unwrap(),
        owner: Some(Recipient { contact: "desk".into(), medium: None }),
        contacts: BTreeMap::from([
            ("lead".into(), contact(Some("lead@acme.example"), None)),
            ("manager".into(), contact(Some("manager@acme.example"), None)),
            ("desk".into(), contact(None, Some("wfm-desk"))),
        ]),
        texts: Default::default(),
        rows: vec![asa, service_level],
    })
}

/// The instant at which the sample incident begins: 10:32 in Bogota.
pub const START: Timestamp = Timestamp(1_795_361_520_000);

/// What is around it.
pub fn floor() -> Around {
    let agents = [9.0, 2.0, 4.0, 0.0];
    let states = [State::Handling, State::Wrapup, State::Unproductive, State::Elsewhere];
    let agents = [(State::Available, 0.0)].into_iter().chain(states.into_iter().zip(agents));
    Around { waiting: Some(12.0), oldest_wait: Some(3060.0), agents: agents.collect() }
}

/// From 12 min an hour ago to 47 min, with some minutes of which nothing is known.
pub fn rising() -> Trend {
    let at = |minute: i64| START - Millis((60 - minute) * 60_000);
    let known = |minute: &i64| !(24..30).contains(minute);
    let value = |minute: i64| 720.0 + 2100.0 * (minute as f64 / 60.0).powi(2);
    Trend((0..=60).map(|minute| (at(minute), known(&minute).then(|| value(minute)))).collect())
}

/// A critical ASA of 47 min on (reclamos, facebook), told to the lead by mail.
pub fn critical(matrix: Arc<Matrix>) -> Notification {
    let plan = Plan::default();
    let transition = Transition {
        time: START,
        matrix,
        row: 0,
        range: Some(2),
        key: Key::pair("reclamos", "facebook"),
        selector: Selector {
            indicator: find("asa").unwrap(),
            window: plan.window_index(WindowKind::Sliding(Millis(900_000))),
            labels: Labels::default(),
        },
        source: None,
        from: Level::Ok,
        to: Level::Critical,
        value: Some(2820.0),
        samples: 14.0,
        reason: Reason::Range,
        incident: "facebook-care-1".into(),
    };
    Notification {
        told: ["lead".into(), "desk".into()].into(),
        around: Some(Arc::new(floor())),
        trend: Some(Arc::new(rising())),
        ..Notification::first(Arc::new(transition), "lead".into(), Medium::Email, "lead@acme.example".into())
    }
}

/// The reminder of `first` half an hour later, at 52 min.
pub fn repeat(first: &Notification) -> Notification {
    Notification {
        time: first.time + Millis(1_800_000),
        sequence: 4,
        ran: Millis(1_800_000),
        reason: Reason::Repeat,
        value_time: first.time + Millis(1_800_000),
        value: Some(3120.0),
        samples: 9.0,
        told: ["lead".into(), "desk".into(), "manager".into()].into(),
        ..first.clone()
    }
}

/// The end of the incident of `first`, 40 minutes after it began.
pub fn resolved(first: &Notification) -> Notification {
    let time = first.time + Millis(2_400_000);
    let transition = Transition {
        time,
        range: Some(0),
        from: Level::Critical,
        to: Level::Ok,
        value: Some(1500.0),
        samples: 21.0,
        reason: Reason::Recovered,
        ..(*first.transition).clone()
    };
    Notification {
        time,
        sequence: 5,
        level: Level::Ok,
        reason: Reason::Recovered,
        value_time: time,
        value: transition.value,
        samples: transition.samples,
        transition: Arc::new(transition),
        ..repeat(first)
    }
}

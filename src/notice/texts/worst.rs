//! The worst that a template may have to say: every reason, level and kind of place; no data; long and hostile names; every remark
//! at once, and none.
//!
//! They are notifications, and go the way of real ones, so that what a mail learns to say is proved from then on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Said, TemplateError};
use crate::domain::{Key, Millis, Timestamp};
use crate::indicators::{Labels, Selector, State, find};
use crate::matrix::engine::{Acknowledged, Around, Flaps, Notification, Reason, Transition, Trend};
use crate::matrix::{Bounds, Edge, Language, Level, Matrix, Medium, Range, Recipient, Row, Step, Texts};
use crate::notice::refused::MATRIX;
use crate::notice::{Acknowledging, Context, Missed, mail};
use crate::plan::{Plan, WindowKind};

/// Any instant: that of the samples of the tests, 10:32 in Bogota.
const NOW: Timestamp = Timestamp(1_795_361_520_000);
const QUARTER: WindowKind = WindowKind::Sliding(Millis(900_000));

/// A notice and what surrounds it.
struct Case {
    what: &'static str,
    notification: Notification,
    /// Every remark at once: late is asked for by the caller.
    marked: bool,
    acknowledging: Option<Acknowledge>,
}

/// Calls `look` with each case, and with what it is, until one fails.
pub(super) fn each(
    language: Language,
    mut look: impl FnMut(&'static str, &Said<'_>) -> Result<(), TemplateError>,
) -> Result<(), TemplateError> {
    let plan = Plan::default();
    let board = format!("https://atalaya.acme.example/?a=\"&b={}", "x".repeat(400));
    let missed =
        Missed { contact: hostile().into(), medium: Medium::Email, why: hostile() + &"550 no such user; ".repeat(30) };
    for case in cases(language, &plan) {
        let context = Context {
            board: case.acknowledging.map(|_| &*board),
            acknowledging: case.acknowledging.as_ref().map(|by| by as &dyn Acknowledging),
            restarted: case.marked,
            test: case.marked,
            ..Context::new(&plan, "acme.example")
        };
        let missed = case.marked.then_some(&missed);
        let facts = mail::facts(&case.notification, missed, &context);
        look(case.what, &Said { notification: &case.notification, facts: &facts, missed, context: &context })?;
    }
    Ok(())
}

fn cases(language: Language, plan: &Plan) -> Vec<Case> {
    let plain = matrix(language, "facebook-care", "Mover 2 agentes del chat", "lead");
    let long = matrix(language, &hostile(), "{{ queue * 60 }}", &hostile());
    let pair = Key::pair("reclamos", "facebook");
    let mut cases = Vec::new();
    let mut add = |what, notification, marked, acknowledging| {
        cases.push(Case { what, notification, marked, acknowledging });
    };
    for reason in Reason::ALL {
        for level in [Level::Ok, Level::Info, Level::Warning, Level::Critical] {
            add("an ordinary case", notice(&plain, 0, &pair, level, reason, plan), false, Some(Acknowledge::Link));
        }
        let names = Key::pair(&hostile(), &hostile());
        let notice = notice(&long, 1, &names, Level::Critical, reason, plan);
        let full = burdened(notice.clone());
        add("with long names that hold quotes, line breaks and <script>", notice, false, Some(Acknowledge::Link));
        add("with long names and every remark", full, true, Some(Acknowledge::Code));
    }
    let none = |row, level| Notification {
        value: None,
        samples: 0.0,
        ..notice(&plain, row, &pair, level, Reason::NoData, plan)
    };
    add("when there is no data", at_entry_too(none(2, Level::Warning)), false, None);
    add("when there is no data", at_entry_too(none(0, Level::Critical)), true, Some(Acknowledge::Code));
    for key in [
        Key { queue: Some("reclamos".into()), channel: None },
        Key { queue: None, channel: Some("facebook".into()) },
        Key::ALL,
    ] {
        add("of a roll-up", notice(&plain, 2, &key, Level::Warning, Reason::Range, plan), false, None);
    }
    for level in [Level::Critical, Level::Ok] {
        let mut feed = notice(&plain, Transition::NO_ROW, &Key::ALL, level, Reason::Feed, plan);
        let source = Some(hostile().into());
        feed.transition = Arc::new(Transition { source, range: None, ..(*feed.transition).clone() });
        add("when a feed is dead", feed, level == Level::Ok, Some(Acknowledge::Link));
    }
    cases
}

fn notice(matrix: &Arc<Matrix>, row: usize, key: &Key, level: Level, reason: Reason, plan: &Plan) -> Notification {
    let about = matrix.rows.get(row);
    let indicator = about.map_or(&MATRIX, |row| row.indicator);
    let window = about.and_then(|row| plan.window_index(row.window?));
    let transition = Transition {
        time: NOW,
        matrix: matrix.clone(),
        row,
        range: Some(usize::from(level != Level::Ok)),
        key: key.clone(),
        selector: Selector { indicator, window, labels: Labels::default() },
        source: None,
        from: if level == Level::Ok { Level::Critical } else { Level::Ok },
        to: level,
        value: Some(0.0),
        samples: 0.0,
        reason,
        incident: "0".repeat(32).into(),
    };
    let to = matrix.owner.as_ref().map_or_else(|| "lead".into(), |owner| owner.contact.clone());
    Notification {
        time: NOW + Millis(60_000),
        value: Some(1e15),
        samples: 1e15,
        since: NOW + Millis(-86_400_000),
        ..Notification::first(Arc::new(transition), to, Medium::Email, "lead@acme.example".into())
    }
}

/// Everything that a notice may carry besides.
fn burdened(notification: Notification) -> Notification {
    let seen = Acknowledged {
        by: hostile().into(),
        at: NOW,
        until: NOW + Millis::HOUR,
        why: hostile().into(),
        level: Level::Critical,
    };
    Notification {
        sequence: u32::MAX,
        value_time: NOW + Millis(-3_600_000),
        told: (0..20).map(|number| format!("{number} {}", hostile()).into()).collect(),
        acknowledged: Some(seen),
        silenced: vec![hostile().into(); 5],
        flaps: Some(Flaps { changes: 100, since: NOW }),
        held_since: Some(NOW),
        around: Some(Arc::new(Around {
            waiting: Some(1e15),
            oldest_wait: Some(1e15),
            agents: State::CONNECTED.iter().map(|state| (*state, 1e15)).collect(),
        })),
        trend: Some(Arc::new(Trend(
            (0..60).map(|at| (NOW + Millis(at * 60_000), (at % 7 > 0).then_some(1e15))).collect(),
        ))),
        ..notification
    }
}

/// No value at the entry either.
fn at_entry_too(notification: Notification) -> Notification {
    let transition = Transition { value: None, samples: 0.0, range: None, ..(*notification.transition).clone() };
    Notification { transition: Arc::new(transition), ..notification }
}

/// A duration, a ratio, and a count of this instant.
fn matrix(language: Language, name: &str, action: &str, contact: &str) -> Arc<Matrix> {
    let tell = || vec![Recipient { contact: contact.into(), medium: None }];
    let range = |text: &str, level| Range {
        bounds: bounds(text),
        level,
        hold: Millis::ZERO,
        tell: tell(),
        action: (level != Level::Ok).then(|| action.into()),
        escalate: vec![Step { after: Millis(600_000), tell: tell() }],
        repeat: Some(Millis(1_800_000)),
    };
    let rows = ["asa", "service_level", "waiting"].into_iter().filter_map(|name| {
        let indicator = find(name)?;
        let ranges = vec![range("< 1", Level::Ok), range(">= 1", Level::Critical)];
        let window = (!indicator.instant).then_some(QUARTER);
        Some(Row { window, state: Some(State::Connected), ..Row::new(indicator, bounds("< 1"), ranges) })
    });
    Arc::new(Matrix {
        file: name.into(),
        name: name.into(),
        language,
        zone: jiff::tz::TimeZone::get("America/Bogota").unwrap_or(jiff::tz::TimeZone::UTC),
        owner: tell().pop(),
        contacts: BTreeMap::new(),
        texts: Texts::default(),
        rows: rows.collect(),
    })
}

fn bounds(text: &str) -> Bounds {
    let edge = Some(Edge { at: 1.0, inclusive: text.starts_with('>') });
    match text.starts_with('>') {
        true => Bounds { text: text.into(), low: edge, high: None },
        false => Bounds { text: text.into(), low: None, high: edge },
    }
}

/// A name that is longer than any that is shown, and every mark that means something to somebody.
fn hostile() -> String {
    let marks =
        "\"'<script>alert(1)</script>&{{ queue }}\\\r\nBcc: x@evil.example\u{202e}\u{2067}*_`[x](y)<!channel>@all";
    format!("{marks}{}", "ñ".repeat(crate::notice::NAME_MAX))
}

/// How an incident is acknowledged here: by no link or code that means anything.
#[derive(Clone, Copy, Debug)]
enum Acknowledge {
    Link,
    Code,
}

impl Acknowledging for Acknowledge {
    fn code(&self, _: &str) -> String {
        "abcd2345".to_owned()
    }
    fn link(&self, _: &str, _: &str, _: Timestamp) -> Option<String> {
        matches!(self, Acknowledge::Link).then(|| format!("https://atalaya.acme.example/ack/{}", "x".repeat(200)))
    }
}

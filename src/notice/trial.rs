//! A notice of nothing: what somebody sends to try whether a contact can be reached.
//!
//! It goes the way of a real one, of a matrix, row and incident that exist for it alone, and is marked by
//! [`Context::test`](super::Context::test).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::{Key, Millis, Timestamp};
use crate::indicators::{Labels, Selector, find};
use crate::matrix::engine::{Notification, Reason, Transition};
use crate::matrix::{Bounds, Edge, Language, Level, Matrix, Medium, Range, Row};

/// The name of its matrix, and the beginning of its incident's id.
pub const NAME: &str = "atalaya-test";

/// To whom it goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recipient {
    pub to: Arc<str>,
    pub medium: Medium,
    pub address: Arc<str>,
}

/// The notice that the trial begins, at the mildest level, and the one that it is over: whoever keeps alerts open until they
/// end needs both. `None` only if the indicator `waiting` is gone.
pub fn notices(recipient: &Recipient, language: Language, now: Timestamp) -> Option<[Notification; 2]> {
    let begins = transition(language, now)?;
    let ends = Transition {
        range: Some(0),
        from: Level::Info,
        to: Level::Ok,
        value: Some(0.0),
        reason: Reason::Recovered,
        ..begins.clone()
    };
    let notice = |sequence, transition: Transition| {
        let Recipient { to, medium, address } = recipient.clone();
        Notification { sequence, ..Notification::first(Arc::new(transition), to, medium, address) }
    };
    Some([notice(1, begins), notice(2, ends)])
}

fn transition(language: Language, now: Timestamp) -> Option<Transition> {
    let row = row()?;
    let selector = Selector { indicator: row.indicator, window: None, labels: Labels::default() };
    let matrix = Matrix {
        file: NAME.into(),
        name: NAME.into(),
        language,
        zone: jiff::tz::TimeZone::UTC,
        owner: None,
        contacts: BTreeMap::new(),
        texts: Default::default(),
        rows: vec![row],
    };
    Some(Transition {
        time: now,
        matrix: Arc::new(matrix),
        row: 0,
        range: Some(1),
        key: Key::pair("test", "test"),
        selector,
        source: None,
        from: Level::Ok,
        to: Level::Info,
        value: Some(1.0),
        samples: 1.0,
        reason: Reason::Range,
        incident: format!("{NAME}-{}", now.0).into(),
    })
}

/// Whether anybody waits.
fn row() -> Option<Row> {
    let range = |text: &str, low, high, level| Range {
        bounds: bounds(text, low, high),
        level,
        hold: Millis::ZERO,
        tell: Vec::new(),
        action: None,
        escalate: Vec::new(),
        repeat: None,
    };
    let ranges = vec![range("< 1", None, Some(1.0), Level::Ok), range(">= 1", Some(1.0), None, Level::Info)];
    Some(Row::new(find("waiting")?, bounds("< 1", None, Some(1.0)), ranges))
}

fn bounds(text: &str, low: Option<f64>, high: Option<f64>) -> Bounds {
    let edge = |at: Option<f64>, inclusive| at.map(|at| Edge { at, inclusive });
    Bounds { text: text.into(), low: edge(low, true), high: edge(high, false) }
}

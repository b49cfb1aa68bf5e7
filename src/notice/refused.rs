//! That changed matrices were not taken: told to the owner of the file, once for each state of it.

use std::sync::Arc;

use super::missed::owners;
use super::{Context, Message, compose};
use crate::domain::{Key, Timestamp};
use crate::indicators::{Indicator, Labels, Reading, Samples, Selector, Unit};
use crate::matrix::engine::{Notification, Reason, Transition};
use crate::matrix::{Contact, Level, Matrix};

/// Not one of the indicators that rows can name.
pub(super) static MATRIX: Indicator = Indicator {
    name: "matrix",
    unit: Unit::Count,
    samples: Samples::Value,
    instant: true,
    labels: &[],
    text: "about: How many defects the files of an escalation matrix have.\n",
    read: |_, _| Reading::default(),
};

/// What was refused.
pub struct Refused<'a> {
    pub now: Timestamp,
    /// The matrix in force, whose language is spoken; its file is the one that is told of.
    pub matrix: &'a Arc<Matrix>,
    /// Says which state of the files it is.
    pub hash: &'a str,
    pub defects: usize,
    /// What is wrong, and where.
    pub why: &'a str,
}

/// The message for each medium of the matrix's owner, or of `owner` where it has none of its own.
pub fn render_refused(refused: &Refused<'_>, owner: Option<&Contact>, context: &Context<'_>) -> Vec<Message> {
    let matrix = refused.matrix;
    let transition = Arc::new(Transition {
        time: refused.now,
        matrix: matrix.clone(),
        row: Transition::NO_ROW,
        range: None,
        key: Key::ALL,
        selector: Selector { indicator: &MATRIX, window: None, labels: Labels::default() },
        source: Some(matrix.file.clone()),
        from: Level::Ok,
        to: Level::Warning,
        value: Some(refused.defects as f64),
        samples: refused.defects as f64,
        reason: Reason::Refused,
        incident: format!("refused-{}", refused.hash).into(),
    });
    let context = Context { says: Some(refused.why), ..*context };
    let notice = |(to, medium, address)| Notification::first(transition.clone(), to, medium, address);
    let owners = owners(matrix, owner, refused.now).into_iter();
    owners.map(|owner| compose(&notice(owner), None, &context)).collect()
}

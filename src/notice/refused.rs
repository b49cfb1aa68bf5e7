//! That changed matrices were not taken: told to the owner of the file, once for each state of it.

use std::sync::Arc;

use super::{Context, Message, compose};
use crate::domain::{Key, Timestamp};
use crate::indicators::{Indicator, Labels, Reading, Samples, Selector, Unit};
use crate::matrix::engine::{Notification, Reason, Transition};
use crate::matrix::{Contact, Level, Matrix, Medium};

/// Not one of the indicators that rows can name.
static MATRIX: Indicator = Indicator {
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
    let own = matrix.owner.as_ref().and_then(|own| Some((matrix.contacts.get(&own.contact)?, own)));
    let (contact, name, only) = match (own, owner) {
        (Some((contact, own)), _) => (contact, own.contact.clone(), own.medium),
        (None, Some(contact)) => (contact, "owner".into(), None),
        (None, None) => return Vec::new(),
    };
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
    let media = [(Medium::Email, &contact.email), (Medium::Webhook, &contact.webhook)];
    let media = media.into_iter().filter(|(medium, _)| only.is_none_or(|only| only == *medium));
    let notice = |(medium, address): (Medium, Arc<str>)| Notification {
        time: refused.now,
        incident: transition.incident.clone(),
        sequence: 1,
        to: name.clone(),
        medium,
        address,
        level: transition.to,
        reason: transition.reason,
        value: transition.value,
        samples: transition.samples,
        value_time: refused.now,
        told: [name.clone()].into(),
        since: refused.now,
        acknowledged: None,
        silenced: Vec::new(),
        flaps: None,
        held_since: None,
        held_back: None,
        transition: transition.clone(),
    };
    let addresses = media.filter_map(|(medium, address)| Some((medium, address.clone()?)));
    addresses.map(|address| compose(&notice(address), None, &context)).collect()
}

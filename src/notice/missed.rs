//! Who hears of a critical that could not be delivered: the next escalation step and the owner, at once.
//!
//! Pure: which notices could not be delivered is said by `notify`; the messages made here go back to it. They never
//! make stand-ins of their own, or two dead addresses would write to each other for ever.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::Timestamp;
use crate::matrix::engine::Notification;
use crate::matrix::{Contact, Matrix, Medium, Recipient};

use super::{Context, Message, Missed, compose, range_of};

/// The name under which the configuration's owner is told; contacts of matrices have their own.
const OWNER: &str = "owner";

/// Contact, medium and address of everyone who is told instead: the first escalation step that names somebody who has
/// not been told yet, and the owner (the matrix's, else the configuration's). The address that failed is left out.
pub fn stand_ins(notification: &Notification, owner: Option<&Contact>) -> Vec<(Arc<str>, Medium, Arc<str>)> {
    let matrix = &notification.transition.matrix;
    let mut found = Vec::new();
    let mut named = |recipient: &Recipient| {
        let reached = matrix.reach(recipient, notification.time).into_iter();
        found.extend(reached.map(|(medium, address)| (recipient.contact.clone(), medium, address)));
    };
    let steps =
        range_of(notification).and_then(|(_, range)| range).map(|range| range.escalate.as_slice()).unwrap_or(&[]);
    let untold = |recipient: &Recipient| !notification.told.contains(&recipient.contact);
    if let Some(step) = steps.iter().find(|step| step.tell.iter().any(untold)) {
        step.tell.iter().for_each(&mut named);
    }
    found.extend(owners(matrix, owner, notification.time));
    let mut seen = BTreeSet::from([(notification.medium, notification.address.clone())]);
    found.retain(|(_, medium, address)| seen.insert((*medium, address.clone())));
    found
}

/// Name, medium and address of the matrix's owner, or of `owner` where it has none of its own.
pub(super) fn owners(matrix: &Matrix, owner: Option<&Contact>, now: Timestamp) -> Vec<(Arc<str>, Medium, Arc<str>)> {
    let (name, reached) = match (&matrix.owner, owner) {
        (Some(own), _) if matrix.contacts.contains_key(&own.contact) => (own.contact.clone(), matrix.reach(own, now)),
        (_, Some(owner)) => {
            let media = Medium::ALL.into_iter().filter_map(|medium| Some((medium, owner.address(medium)?.clone())));
            (OWNER.into(), media.collect())
        }
        (_, None) => return Vec::new(),
    };
    reached.into_iter().map(|(medium, address)| (name.clone(), medium, address)).collect()
}

/// The message for each of [`stand_ins`], naming whom the notice missed and why.
pub fn render_missed(
    notification: &Notification,
    why: &str,
    owner: Option<&Contact>,
    context: &Context<'_>,
) -> Vec<Message> {
    let missed = Missed { contact: notification.to.clone(), medium: notification.medium, why: why.to_owned() };
    let each = stand_ins(notification, owner).into_iter().map(|(to, medium, address)| {
        let stand_in = Notification { to, medium, address, ..notification.clone() };
        compose(&stand_in, Some(missed.clone()), context)
    });
    each.collect()
}

//! Who hears of a critical that could not be delivered: the next escalation step and the owner, at once.
//!
//! Pure: which notices could not be delivered is said by `notify`; the messages made here go back to it. They never
//! make stand-ins of their own, or two dead addresses would write to each other for ever.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::Timestamp;
use crate::matrix::engine::{Notification, Pending};
use crate::matrix::{Contact, Level, Matrix, Medium, Recipient};

use super::gathered::NAMED_MAX;
use super::{Context, Message, range_of};

/// The name under which the configuration's owner is told; contacts of matrices have their own.
const OWNER: &str = "owner";

/// Contact, medium and address of everyone who is told instead: the first escalation step that names somebody who has
/// not been told yet, and the owner (the matrix's, else the configuration's). The address that failed is left out.
pub fn stand_ins(notification: &Notification, owner: Option<&Contact>) -> Vec<(Arc<str>, Medium, Arc<str>)> {
    let mut found = Vec::new();
    for notice in criticals(notification) {
        let matrix = &notice.transition.matrix;
        let steps = range_of(notice).and_then(|(_, range)| range).map(|range| range.escalate.as_slice()).unwrap_or(&[]);
        let untold = |recipient: &Recipient| !notice.told.contains(&recipient.contact);
        let step = steps.iter().find(|step| step.tell.iter().any(untold));
        for recipient in step.iter().flat_map(|step| &step.tell) {
            let reached = matrix.reach(recipient, notice.time).into_iter();
            found.extend(reached.map(|(medium, address)| (recipient.contact.clone(), medium, address)));
        }
    }
    found.extend(owners(&notification.transition.matrix, owner, notification.time));
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
    pending_missed(notification, why, owner).iter().map(|pending| super::render_pending(pending, context)).collect()
}

/// The same, not rendered yet.
pub fn pending_missed(notification: &Notification, why: &str, owner: Option<&Contact>) -> Vec<Pending> {
    let missed = (notification.to.clone(), notification.medium, why.to_owned());
    let mut all = Vec::new();
    for (to, medium, address) in stand_ins(notification, owner) {
        // A webhook is told of single incidents only, of as many as the mail would have named.
        let instead = match medium {
            Medium::Email => std::slice::from_ref(notification).iter().take(1),
            Medium::Webhook => criticals(notification).iter().take(NAMED_MAX),
        };
        for notice in instead {
            let stand_in = Notification { to: to.clone(), medium, address: address.clone(), ..notice.clone() };
            all.push(Pending { notice: stand_in, missed: Some(missed.clone()) });
        }
    }
    all
}

/// What somebody else must hear of: itself, or the criticals of a gathering, which come first in it.
fn criticals(notification: &Notification) -> &[Notification] {
    let all = notification.each();
    match notification.gathered {
        Some(_) => all.get(..all.partition_point(|notice| notice.level == Level::Critical)).unwrap_or(all),
        None => all,
    }
}

//! Names of mails and notices: derived from incident, sequence and recipient alone, so that a repeat after a crash is
//! recognisably the same, and every mail of an incident to a recipient falls into one thread.
//!
//! Three ids belong to an incident and a recipient, none of which needs a memory:
//!
//! * the **root**, which no mail bears: the first entry of every mail's `References`. It holds the thread together even
//!   where the first mail was never delivered, or where the recipient came in later by escalation;
//! * the **opening**, borne by the mail that tells this recipient that the incident began. It answers the root;
//! * one per **sequence** for every other mail. It answers the opening, and refers to the root and the opening.
//!
//! A client that never got the opening still threads by the root. A gathering is as an incident: it has an id and numbers its
//! mails, and its opening is its first.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::matrix::Level;
use crate::matrix::engine::{Notification, Reason};

/// `Message-ID`, `In-Reply-To` and `References`, each with its angle brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    pub message_id: String,
    pub in_reply_to: String,
    pub references: String,
}

/// Whether this notice tells its recipient for the first time of the incident: it went out with the transition that left `ok`.
fn is_opening(notification: &Notification) -> bool {
    if notification.gathered.is_some() {
        return notification.sequence == 1;
    }
    let transition = &notification.transition;
    transition.from == Level::Ok
        && transition.to != Level::Ok
        && notification.time == transition.time
        && matches!(
            notification.reason,
            Reason::Range | Reason::NoData | Reason::Opened | Reason::Feed | Reason::Flapping
        )
}

/// `missed` are the notices that stand in for one that could not be delivered: other mails of the same thread.
pub fn thread(notification: &Notification, domain: &str, missed: bool) -> Thread {
    let incident = incident_id(&notification.incident);
    let recipient = recipient_hash(notification);
    let root = format!("<{incident}.{recipient}@{domain}>");
    let opening = format!("<{incident}.0.{recipient}@{domain}>");
    if is_opening(notification) && !missed {
        return Thread { message_id: opening, in_reply_to: root.clone(), references: root };
    }
    let stand_in = if missed { "m" } else { "" };
    let message_id = format!("<{incident}.{}{stand_in}.{recipient}@{domain}>", notification.sequence);
    Thread { message_id, references: format!("{root} {opening}"), in_reply_to: opening }
}

/// The id of a notice: `webhook-id`, and its name in logs. It never holds a full stop, which separates what is signed.
pub fn notice_id(notification: &Notification, missed: bool) -> String {
    let stand_in = if missed { "m" } else { "" };
    let (incident, recipient) = (incident_id(&notification.incident), recipient_hash(notification));
    format!("msg_{incident}_{}{stand_in}_{recipient}", notification.sequence)
}

/// The incident's id where it can stand in a header as it is, else a hash of it.
fn incident_id(incident: &str) -> String {
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    if !incident.is_empty() && incident.len() <= 64 && incident.bytes().all(plain) {
        incident.to_owned()
    } else {
        format!("{:032x}", xxh3_128(incident.as_bytes()))
    }
}

fn recipient_hash(notification: &Notification) -> String {
    let recipient = format!("{}\0{:?}\0{}", notification.to, notification.medium, notification.address);
    format!("{:016x}", xxh3_64(recipient.as_bytes()))
}

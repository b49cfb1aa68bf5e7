//! What a transition means for whom, in words: a [`Notification`] becomes a complete [`Message`].
//!
//! Everything is rendered here, before any connection is opened: subject, text, HTML and webhook body, each also in the
//! form it has when it comes late. Pure: the instant is the notification's own. Which notifications there are is decided in `matrix::engine`; how they travel,
//! and who is told when they do not arrive, is `notify`'s work.

use std::sync::Arc;

use crate::domain::Timestamp;
use crate::matrix::engine::{Acknowledged, Notification, OpenCase, Pending, Silence, Trend};
use crate::matrix::{Level, Matrix, Medium, NoData, Range, Row};
use crate::plan::Plan;

mod acknowledged;
mod around;
mod chart;
mod gathered;
mod held_back;
pub mod hooks;
pub mod html;
mod mail;
mod missed;
mod refused;
#[cfg(test)]
pub mod samples;
pub mod template;
#[cfg(test)]
mod tests;
pub mod texts;
mod thread;
pub mod trial;
pub mod values;
pub mod words;

pub use acknowledged::{render_acknowledged, with_acknowledgement};
pub use gathered::{NAMED_MAX, cases};
pub use missed::{pending_missed, render_missed, stand_ins};
pub use refused::{Refused, render_refused};
pub use thread::{Thread, notice_id, thread};

/// Longest name of a queue, channel, contact or matrix that is shown, in bytes.
pub const NAME_MAX: usize = 120;

/// What rendering needs to know besides the notification.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub plan: &'a Plan,
    /// The domain of the sender's address: the right half of every id.
    pub domain: &'a str,
    /// Where the live board is, if it has a public address.
    pub board: Option<&'a str>,
    /// The incident was found again after a restart without memory: it may have been told before, and is marked so.
    pub restarted: bool,
    /// It tells of nothing real: somebody tries whether notices arrive.
    pub test: bool,
    /// What stands in the place of the action, where no row says it.
    pub says: Option<&'a str>,
    pub formats: &'a hooks::Formats,
    /// `None` where nobody can acknowledge.
    pub acknowledging: Option<&'a dyn Acknowledging>,
    /// The silences that there are, to name those that a notice is under.
    pub silences: &'a [Silence],
}

/// How somebody acknowledges an incident out of a mail.
pub trait Acknowledging: std::fmt::Debug + Send + Sync {
    /// The short code for `atalaya ack CODE`.
    fn code(&self, incident: &str) -> String;
    /// A link for that contact; `None` where the service has no public address.
    fn link(&self, incident: &str, contact: &str, now: Timestamp) -> Option<String>;
}

impl<'a> Context<'a> {
    /// Without a board or webhooks of another format than the generic one.
    pub fn new(plan: &'a Plan, domain: &'a str) -> Self {
        static ALL_GENERIC: hooks::Formats = hooks::Formats::new();
        Context {
            plan,
            domain,
            board: None,
            restarted: false,
            test: false,
            says: None,
            formats: &ALL_GENERIC,
            acknowledging: None,
            silences: &[],
        }
    }
}

/// One notice to one address, complete.
#[derive(Clone, Debug)]
pub struct Message {
    /// The same for every attempt and on every instance; unique to this notice.
    pub id: Arc<str>,
    pub notification: Notification,
    /// Set where it stands in for a notice that could not be delivered.
    pub missed: Option<Missed>,
    pub body: Body,
    /// Why the action's template failed, if it did: the raw text was taken, and somebody should hear of it.
    pub action_failed: Option<template::TemplateError>,
    /// The matrix's own texts that failed: the built-in ones were taken.
    pub texts_failed: Vec<texts::Failed>,
}

#[derive(Clone, Debug)]
pub enum Body {
    Email(Box<Email>),
    Webhook(Hook),
}

#[derive(Clone, Debug)]
pub struct Email {
    /// The recipient's address.
    pub to: Arc<str>,
    pub thread: Thread,
    /// `facebook-care.atalaya.acme.example`, without brackets.
    pub list_id: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// The same, marked as coming late.
    pub late_text: String,
    pub late_html: String,
    /// What the HTML shows inline.
    pub picture: Option<Picture>,
}

/// The picture of a trend that travels in the mail.
#[derive(Clone, Debug)]
pub struct Picture {
    /// By which the HTML names it, without brackets.
    pub id: String,
    trend: Arc<Trend>,
    matrix: Arc<Matrix>,
    row: usize,
}

impl Picture {
    /// The picture drawn, as PNG.
    pub fn png(&self) -> Vec<u8> {
        self.matrix.rows.get(self.row).and_then(|row| chart::draw(&self.trend, row)).unwrap_or_default()
    }
}

/// The body of a webhook, in its format.
#[derive(Clone, Debug)]
pub struct Hook {
    /// The webhook's name in the configuration.
    pub name: Arc<str>,
    pub json: String,
    /// The same, marked as coming late.
    pub late_json: String,
    /// It says that somebody has taken the incident up, or that nobody has any more, and nothing else: no notice is older
    /// for it.
    pub acknowledges: bool,
}

/// Whom a notice missed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    pub contact: Arc<str>,
    pub medium: Medium,
    pub why: String,
}

/// The whole message of a notification.
pub fn render(notification: &Notification, context: &Context<'_>) -> Message {
    compose(notification, None, context)
}

/// The message of a notice that was decided before the process began; it has the id that it had.
pub fn render_pending(pending: &Pending, context: &Context<'_>) -> Message {
    let missed = pending.missed.clone().map(|(contact, medium, why)| Missed { contact, medium, why });
    compose(&pending.notice, missed, context)
}

/// What to do about a case that is open, as people read it; `None` where its range says nothing.
pub fn action_of_case(case: &OpenCase, plan: &Plan) -> Option<String> {
    mail::facts(&notification_of_case(case), None, &Context::new(plan, "")).action
}

/// A case that is open in one line, as the subjects of its mails have it.
pub fn subject_of_case(case: &OpenCase, plan: &Plan) -> String {
    mail::facts(&notification_of_case(case), None, &Context::new(plan, "")).subject
}

/// Who has taken an incident up, until when and what is being done, told at `now` in the matrix's language and zone.
pub fn seen_by(seen: &Acknowledged, matrix: &Matrix, now: Timestamp) -> String {
    mail::seen_by(seen, matrix.language, &mail::Zone::of(matrix, now))
}

/// What a case that is open would tell now, to nobody in particular.
fn notification_of_case(case: &OpenCase) -> Notification {
    Notification {
        sequence: 0,
        told: [].into(),
        value: case.value,
        samples: case.samples,
        since: case.since,
        acknowledged: case.acknowledged.clone(),
        silenced: case.silenced.clone(),
        flaps: case.flaps,
        ..Notification::first(case.last.clone(), "".into(), Medium::Webhook, "".into())
    }
}

fn compose(notification: &Notification, missed: Option<Missed>, context: &Context<'_>) -> Message {
    let facts = mail::facts(notification, missed.as_ref(), context);
    let held = notification.held_back.as_ref();
    let mut action_failed = facts.action_failed.clone();
    let mut body = match (notification.medium, held) {
        (Medium::Email, Some(held)) => Body::Email(Box::new(held_back::email(notification, held, context))),
        (Medium::Email, None) if let Some(all) = &notification.gathered => {
            let (email, failed) = gathered::email(notification, all, &facts, missed.as_ref(), context);
            action_failed = action_failed.or(failed);
            Body::Email(Box::new(email))
        }
        (Medium::Email, None) => Body::Email(Box::new(mail::email(notification, &facts, missed.is_some(), context))),
        (Medium::Webhook, _) => Body::Webhook(hooks::hook(notification, &facts, missed.as_ref(), context)),
    };
    let said = texts::Said { notification, facts: &facts, missed: missed.as_ref(), context };
    let texts_failed = texts::apply(&mut body, &said);
    Message {
        id: notice_id(notification, missed.is_some()).into(),
        notification: notification.clone(),
        missed,
        body,
        action_failed,
        texts_failed,
    }
}

/// The range that a notification is about.
fn range_of(notification: &Notification) -> Option<(&Row, Option<&Range>)> {
    let row = notification.transition.matrix.rows.get(notification.transition.row)?;
    Some((row, notification.transition.range.and_then(|index| row.ranges.get(index))))
}

/// The action's template: of the range, or of `no_data` where no range is meant. Once it is over there is none.
fn action_of(notification: &Notification) -> Option<&Arc<str>> {
    if notification.level == Level::Ok {
        return None;
    }
    let (row, range) = range_of(notification)?;
    match (range, &row.no_data) {
        (Some(range), _) => range.action.as_ref(),
        (None, NoData::Raise { action, .. }) => action.as_ref(),
        (None, _) => None,
    }
}

/// The domain of an address as in a `From:` header.
pub fn domain_of(from: &str) -> &str {
    let tail = from.rsplit('@').next().unwrap_or("");
    let domain = tail.trim_end_matches(['>', ' ']);
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'.' || c == b'-';
    if from.contains('@') && !domain.is_empty() && domain.bytes().all(plain) { domain } else { "atalaya.invalid" }
}

/// `text` without control and direction characters (line breaks stay if `lines`), at most `max` bytes.
pub fn clean(text: &str, max: usize, lines: bool) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for c in text.replace("\r\n", "\n").chars() {
        let c = match c {
            '\n' if lines => '\n',
            // Direction overrides and isolates, which let a name rewrite what stands around it.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => continue,
            '\u{2028}' | '\u{2029}' | '\u{feff}' => ' ',
            c if c.is_control() => ' ',
            c => c,
        };
        if out.len() + c.len_utf8() + '…'.len_utf8() > max {
            out.push('…');
            break;
        }
        out.push(c);
    }
    out
}

//! The bodies of webhooks: one file per format, each complete before any connection is opened.
//!
//! | file | who takes it |
//! |---|---|
//! | `generic` | any program: Standard Webhooks, the exact record |
//! | `alertmanager` | Prometheus Alertmanager, API v2 |
//! | `pagerduty` | PagerDuty, Events API v2 |
//! | `slack`, `teams`, `google_chat`, `telegram` | people, in the words of the mail |
//!
//! What only the sender knows is not in them: `notify` adds the instant at which an alert ends, the key of PagerDuty and the
//! chat of Telegram. Each format cuts at the limits of its service rather than be refused, and escapes what that service
//! takes for markup: names of queues come from outside.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::matrix::Level;
use crate::matrix::engine::Notification;

use super::mail::{Facts, headline};
use super::{Context, Hook, Missed, words};

pub mod alertmanager;
mod generic;
mod google_chat;
pub(crate) mod limits;
pub mod pagerduty;
mod slack;
mod teams;
mod telegram;
#[cfg(test)]
mod tests;

/// The shape of a webhook's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Format {
    #[default]
    Generic,
    Alertmanager,
    Pagerduty,
    Slack,
    Teams,
    GoogleChat,
    Telegram,
}

impl Format {
    /// By the names that the configuration uses.
    pub const ALL: [(&'static str, Format); 7] = [
        ("generic", Format::Generic),
        ("alertmanager", Format::Alertmanager),
        ("pagerduty", Format::Pagerduty),
        ("slack", Format::Slack),
        ("teams", Format::Teams),
        ("google-chat", Format::GoogleChat),
        ("telegram", Format::Telegram),
    ];
}

/// The format of each webhook by its name; one that is not here is generic.
pub type Formats = BTreeMap<Arc<str>, Format>;

/// One notice as the formats see it.
struct Said<'a> {
    notification: &'a Notification,
    facts: &'a Facts,
    missed: Option<&'a Missed>,
    late: bool,
    context: &'a Context<'a>,
}

impl Said<'_> {
    fn remarks(&self) -> Vec<&str> {
        self.facts.remarks(self.late)
    }

    fn headline(&self) -> String {
        headline(self.facts)
    }

    fn todo(&self) -> &'static str {
        words::todo(self.facts.language)
    }

    fn board(&self) -> Option<(&'static str, &str)> {
        Some((words::board(self.facts.language), self.facts.board.as_deref()?))
    }

    /// The level at a glance, where people look at a stream of messages.
    fn mark(&self) -> &'static str {
        match self.notification.level {
            Level::Ok => "🟢",
            Level::Info => "🔵",
            Level::Warning => "🟡",
            Level::Critical => "🔴",
        }
    }
}

pub fn hook(notification: &Notification, facts: &Facts, missed: Option<&Missed>, context: &Context<'_>) -> Hook {
    let format = context.formats.get(&notification.address).copied().unwrap_or_default();
    let json = |late: bool| {
        let said = Said { notification, facts, missed, late, context };
        match format {
            Format::Generic => generic::body(&said),
            Format::Alertmanager => alertmanager::body(&said).to_string(),
            Format::Pagerduty => pagerduty::body(&said).to_string(),
            Format::Slack => slack::body(&said).to_string(),
            Format::Teams => teams::body(&said),
            Format::GoogleChat => google_chat::body(&said),
            Format::Telegram => telegram::body(&said).to_string(),
        }
    };
    Hook { name: notification.address.clone(), json: json(false), late_json: json(true), acknowledges: false }
}

/// How a service wants a character written, where it is not the character itself.
pub(super) type Escape = fn(char) -> Option<&'static str>;

fn as_it_is(_: char) -> Option<&'static str> {
    None
}

/// `&`, `<` and `>` as entities.
fn entities(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

/// `text`, escaped, in at most `max` units of UTF-16, which is the most that any of the services counts for a character.
/// What does not fit is cut between two characters, never within an escape, and ends in an ellipsis.
pub(super) fn fit(text: &str, max: usize, escape: Escape) -> String {
    let mut out = String::with_capacity(text.len().min(4 * max));
    // Up to `before` there is room for the ellipsis.
    let (mut length, mut before) = (0, 0);
    for c in text.chars() {
        let escaped = escape(c);
        length += escaped.map_or(c.len_utf16(), |text| text.encode_utf16().count());
        if length > max {
            out.truncate(before);
            out.push('…');
            return out;
        }
        match escaped {
            Some(text) => out.push_str(text),
            None => out.push(c),
        }
        if length < max {
            before = out.len();
        }
    }
    out
}

/// How long the texts of a body may be, tried in this order until the whole of it fits.
pub(super) const TEXT_MAX: [usize; 5] = [4_000, 2_000, 1_000, 400, 100];

/// The largest of the bodies that `build` makes that is no larger than `max` by `size`; each text in it has at most as many
/// characters as `build` is told. The least number is small enough whatever the notice says.
fn within(max: usize, size: fn(&str) -> usize, build: impl Fn(usize) -> Value) -> String {
    let mut body = String::new();
    for text_max in TEXT_MAX {
        body = build(text_max).to_string();
        if size(&body) <= max {
            break;
        }
    }
    body
}

//! A message for a Telegram chat, by a bot: `sendMessage`.
//!
//! A text has at most 4,096 characters (<https://core.telegram.org/bots/api#sendmessage>), which Telegram counts in UTF-16. It
//! goes without `parse_mode`, so nothing in it is markup. Telegram still makes a mention of any `@name`, which would ring
//! that person's telephone: a word joiner behind the sign, which nobody sees, keeps it from that.
//!
//! The chat is `notify`'s to add.

use serde_json::{Value, json};

use super::{Escape, Said, fit};

pub(super) const TEXT_MAX: usize = 4_096;

pub(super) fn body(said: &Said<'_>) -> Value {
    let facts = said.facts;
    let mut paragraphs = vec![format!("{} {}", said.mark(), facts.subject)];
    paragraphs.extend(said.remarks().into_iter().map(str::to_owned));
    if let Some(action) = &facts.action {
        paragraphs.push(format!("{}:\n{action}", said.todo().to_uppercase()));
    }
    let lines = facts.told().map(|(label, text)| format!("{label}: {text}"));
    paragraphs.push([said.headline()].into_iter().chain(lines).collect::<Vec<_>>().join("\n"));
    paragraphs.extend(said.board().map(|(text, url)| format!("{text}: {url}")));
    paragraphs.push(facts.foot.clone());
    json!({
        "text": fit(&paragraphs.join("\n\n"), TEXT_MAX, QUIET),
        "link_preview_options": { "is_disabled": true },
    })
}

/// Calls nobody.
pub(super) const QUIET: Escape = |c| (c == '@').then_some("@\u{2060}");

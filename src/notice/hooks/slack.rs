//! A message for a Slack channel, by an incoming webhook, in blocks.
//!
//! Limits, of <https://docs.slack.dev/reference/block-kit/blocks>: 50 blocks, 150 characters in a header, 3,000 in a text.
//! Everything that comes from outside stands in `plain_text`, where Slack knows no markup, no emoji and no mention;
//! `&`, `<` and `>` are escaped all the same, as <https://docs.slack.dev/messaging/formatting-message-text> asks of any text.

use serde_json::{Value, json};

use super::{Said, entities, fit};

pub(super) const HEADER_MAX: usize = 150;
pub(super) const TEXT_MAX: usize = 3_000;
pub(super) const BLOCKS_MAX: usize = 50;

pub(super) fn body(said: &Said<'_>) -> Value {
    let facts = said.facts;
    let subject = format!("{} {}", said.mark(), facts.subject);
    let mut blocks = vec![json!({ "type": "header", "text": plain(&subject, HEADER_MAX) })];
    let mut section = |text: &str| {
        if !text.is_empty() {
            blocks.push(json!({ "type": "section", "text": plain(text, TEXT_MAX) }));
        }
    };
    section(&said.remarks().join("\n"));
    if let Some(action) = &facts.action {
        section(&format!("{}:\n{action}", said.todo().to_uppercase()));
    }
    let lines = facts.told().map(|(label, text)| format!("{label}: {text}"));
    section(&[said.headline()].into_iter().chain(lines).collect::<Vec<_>>().join("\n"));
    if let Some((text, board)) = said.board() {
        // The only markup, around an address of the configuration.
        let link = format!("<{}|{}>", fit(board, TEXT_MAX - 100, entities), fit(text, 75, entities));
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": link } }));
    }
    blocks.push(json!({ "type": "context", "elements": [plain(&facts.foot, TEXT_MAX)] }));
    // `text` is what a phone shows before the message is opened.
    json!({
        "text": fit(&subject, TEXT_MAX, entities), "mrkdwn": false, "blocks": blocks,
        "unfurl_links": false, "unfurl_media": false,
    })
}

fn plain(text: &str, max: usize) -> Value {
    json!({ "type": "plain_text", "emoji": false, "text": fit(text, max, entities) })
}

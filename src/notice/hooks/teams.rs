//! An Adaptive Card for a Microsoft Teams channel, by the address of a workflow.
//!
//! A message has at most about 28 KB
//! (<https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>), and some of the
//! services on the way count two bytes for each character, so that is how it is counted here. Texts stand in
//! `RichTextBlock`, which knows no Markdown (<https://learn.microsoft.com/adaptive-cards/authoring-cards/text-features>);
//! without `msteams.entities` nothing in them is a mention.

use serde_json::{Value, json};

use super::{Said, as_it_is, fit, within};
use crate::matrix::Level;

pub(super) const SIZE_MAX: usize = 28_000;
/// Lines of an action: each is a block of its own, as a block has one line.
const LINES_MAX: usize = 30;

pub(super) fn body(said: &Said<'_>) -> String {
    within(SIZE_MAX, size, |text_max| message(said, text_max))
}

/// As the service that counts most does.
pub(super) fn size(body: &str) -> usize {
    2 * body.encode_utf16().count()
}

fn message(said: &Said<'_>, text_max: usize) -> Value {
    let facts = said.facts;
    let run = |text: &str| json!({ "type": "TextRun", "text": fit(text, text_max, as_it_is) });
    let bold = |text: &str| json!({ "type": "TextRun", "weight": "Bolder", "text": fit(text, text_max, as_it_is) });
    let block = |runs: Vec<Value>| json!({ "type": "RichTextBlock", "inlines": runs });
    let mut head = bold(&facts.subject);
    head["size"] = "Medium".into();
    let mut body = vec![json!({
        "type": "Container", "style": style(said.notification.level), "bleed": true, "items": [block(vec![head])],
    })];
    body.extend(said.remarks().into_iter().map(|remark| block(vec![run(remark)])));
    if let Some(action) = &facts.action {
        body.push(block(vec![bold(said.todo())]));
        let text = fit(action, text_max, as_it_is);
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        body.extend(lines.by_ref().take(LINES_MAX).map(|line| block(vec![run(line)])));
        if lines.next().is_some() {
            body.push(block(vec![run("…")]));
        }
    }
    body.push(block(vec![run(&said.headline())]));
    body.extend(facts.told().map(|(label, text)| block(vec![bold(&format!("{label}: ")), run(text)])));
    let mut foot = run(&facts.foot);
    (foot["isSubtle"], foot["size"]) = (true.into(), "Small".into());
    body.push(block(vec![foot]));
    let actions: Vec<Value> = said
        .board()
        .map(|(text, url)| json!({ "type": "Action.OpenUrl", "title": text, "url": url }))
        .into_iter()
        .collect();
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
        "msteams": { "width": "Full" }, "body": body, "actions": actions,
    });
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card,
        }],
    })
}

fn style(level: Level) -> &'static str {
    match level {
        Level::Ok => "good",
        Level::Info => "accent",
        Level::Warning => "warning",
        Level::Critical => "attention",
    }
}

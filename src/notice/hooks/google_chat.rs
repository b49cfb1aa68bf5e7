//! A card for a Google Chat space, by an incoming webhook; the notices of an incident are one thread.
//!
//! A message has at most 32,000 bytes (<https://developers.google.com/workspace/chat/create-messages>). The text of a widget
//! may hold some HTML, so it is escaped; titles and `fallbackText` hold none. Only `text` of a message could mention somebody
//! (`<users/all>`), and there is none here.

use serde_json::{Value, json};

use super::pagerduty::key;
use super::{Escape, Said, as_it_is, entities, fit, within};

pub(super) const SIZE_MAX: usize = 32_000;

pub(super) fn body(said: &Said<'_>) -> String {
    within(SIZE_MAX, str::len, |text_max| message(said, text_max))
}

fn message(said: &Said<'_>, text_max: usize) -> Value {
    let facts = said.facts;
    let paragraph = |text: &str| json!({ "textParagraph": { "text": text } });
    let mut widgets: Vec<Value> =
        said.remarks().into_iter().map(|remark| paragraph(&fit(remark, text_max, HTML))).collect();
    if let Some(action) = &facts.action {
        widgets.push(paragraph(&format!("<b>{}</b><br>{}", said.todo(), fit(action, text_max, HTML))));
    }
    widgets.extend(facts.told().map(|(label, text)| {
        json!({ "decoratedText": { "topLabel": label, "text": fit(text, text_max, HTML), "wrapText": true } })
    }));
    widgets.push(paragraph(&fit(&facts.foot, text_max, HTML)));
    if let Some((text, url)) = said.board() {
        let button = json!({ "text": text, "onClick": { "openLink": { "url": url } } });
        widgets.push(json!({ "buttonList": { "buttons": [button] } }));
    }
    let mark = said.mark();
    let card = json!({
        "header": {
            "title": fit(&format!("{mark} {} · {}", facts.level_word, facts.place), text_max, as_it_is),
            "subtitle": fit(&said.headline(), text_max, as_it_is),
        },
        "sections": [{ "widgets": widgets }],
    });
    json!({
        "cardsV2": [{ "cardId": "notice", "card": card }],
        "fallbackText": fit(&format!("{mark} {}", facts.subject), text_max, as_it_is),
        "thread": { "threadKey": key(&said.notification.incident) },
    })
}

const HTML: Escape = |c| if c == '\n' { Some("<br>") } else { entities(c) };

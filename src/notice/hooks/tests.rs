//! Every body against what its service says it takes: fields, limits, and names that are markup.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::domain::{Key, Millis};
use crate::matrix::engine::{OpenCase, Reason, Transition};
use crate::matrix::{Language, Medium, Recipient};
use crate::notice::samples::{START, critical, matrix, repeat, resolved};
use crate::notice::{Body, render};
use crate::plan::Plan;

const NASTY: &str = "*x*<b> <script> <!channel> @channel @bob <users/all> [a](https://b.example) _y_ &amp; :smile:";

fn hook_of(format: Format, notification: &Notification) -> Hook {
    let formats = Formats::from([("out".into(), format)]);
    let plan = Plan::default();
    let context = Context {
        board: Some("https://atalaya.acme.example/?a=1&b=2"),
        formats: &formats,
        ..Context::new(&plan, "acme.example")
    };
    let to_it =
        Notification { to: "desk".into(), medium: Medium::Webhook, address: "out".into(), ..notification.clone() };
    match render(&to_it, &context).body {
        Body::Webhook(hook) => hook,
        Body::Email(_) => panic!("not a webhook"),
    }
}

fn body_of(format: Format, notification: &Notification) -> Value {
    serde_json::from_str(&hook_of(format, notification).json).unwrap()
}

fn in_queue(queue: &str, first: &Notification) -> Notification {
    let key = Key::pair(queue, "facebook");
    let transition = Transition { key, ..(*first.transition).clone() };
    Notification { transition: Arc::new(transition), ..first.clone() }
}

fn nasty() -> Notification {
    in_queue(NASTY, &critical(matrix(Language::En, "Move agents to {{ queue }}\nand tell @everyone")))
}

/// As long as anything can be, of one character: names, the action, those told and those who will be.
fn longest(filler: &str) -> Notification {
    let many =
        |what: &str| -> Vec<Arc<str>> { (0..100).map(|n| format!("{what}{n}{}", filler.repeat(60)).into()).collect() };
    let mut long = matrix(Language::En, &format!("{}\n", filler.repeat(12)).repeat(100));
    let row = &mut Arc::get_mut(&mut long).unwrap().rows[0];
    let recipient = |contact: &Arc<str>| Recipient { contact: contact.clone(), medium: None };
    row.ranges[2].escalate[0].tell = many("next").iter().map(recipient).collect();
    Notification { told: many("told").into(), ..in_queue(&filler.repeat(60), &critical(long)) }
}

fn longest_of_all() -> Vec<Notification> {
    ["\"", "\\", "&", "<", "@", "é", "界", "😀"].into_iter().map(longest).collect()
}

/// Every string of a value.
fn strings<'v>(value: &'v Value, all: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => all.push(text),
        Value::Array(list) => list.iter().for_each(|item| strings(item, all)),
        Value::Object(map) => map.values().for_each(|item| strings(item, all)),
        _ => {}
    }
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

#[test]
fn a_text_is_cut_between_characters_and_never_within_an_escape() {
    for (text, max, escape, expected) in [
        ("abc", 3, as_it_is as Escape, "abc"),
        ("abcd", 3, as_it_is, "ab…"),
        ("a😀b", 4, as_it_is, "a😀b"),
        ("a😀bc", 4, as_it_is, "a😀…"),
        ("a😀b", 3, as_it_is, "a…"),
        ("😀😀", 1, as_it_is, "…"),
        ("<b>", 9, entities, "&lt;b&gt;"),
        ("<b>", 8, entities, "&lt;b…"),
        ("a&b", 5, entities, "a…"),
        ("", 0, as_it_is, ""),
    ] {
        let cut = fit(text, max, escape);
        assert_eq!(cut, expected, "{text} in {max}");
        assert!(units(&cut) <= max.max(1));
    }
}

/// <https://docs.slack.dev/reference/block-kit/blocks>, and its text objects.
fn check_slack(body: &Value) {
    let blocks = body["blocks"].as_array().unwrap();
    assert!((1..=50).contains(&blocks.len()));
    let text = |object: &Value, max: usize| {
        assert!(["plain_text", "mrkdwn"].contains(&object["type"].as_str().unwrap()), "{object}");
        let text = object["text"].as_str().unwrap();
        assert!((1..=max).contains(&units(text)), "{} in {object}", units(text));
        let mut inside = text;
        if object["type"] == "mrkdwn" {
            // One link of the configuration is the only markup that there is.
            inside = text.strip_prefix('<').unwrap().strip_suffix('>').unwrap();
        }
        assert!(!inside.contains(['<', '>']), "{inside}");
        for (at, _) in inside.match_indices('&') {
            assert!(["&amp;", "&lt;", "&gt;"].iter().any(|entity| inside[at..].starts_with(entity)), "{inside}");
        }
    };
    for block in blocks {
        match block["type"].as_str().unwrap() {
            "header" => {
                assert_eq!(block["text"]["type"], "plain_text");
                text(&block["text"], 150);
            }
            "section" => text(&block["text"], 3_000),
            "context" => block["elements"].as_array().unwrap().iter().for_each(|element| text(element, 3_000)),
            other => panic!("a block {other}"),
        }
    }
    assert!(units(body["text"].as_str().unwrap()) <= 4_000 && !body["text"].as_str().unwrap().contains('<'));
}

#[test]
fn slack_takes_it() {
    for notification in longest_of_all().into_iter().chain([nasty(), resolved(&nasty()), repeat(&nasty())]) {
        check_slack(&body_of(Format::Slack, &notification));
    }
    let body = body_of(Format::Slack, &nasty());
    let header = body["blocks"][0]["text"]["text"].as_str().unwrap();
    assert!(header.starts_with("🔴 CRITICAL · *x*&lt;b&gt; &lt;script&gt; &lt;!channel&gt; @channel"), "{header}");
    assert_eq!(body["blocks"][1]["text"]["type"], "plain_text");
    assert!(
        body["blocks"][1]["text"]["text"].as_str().unwrap().starts_with("WHAT TO DO:\nMove agents to *x*&lt;b&gt;")
    );
    assert_eq!(body["blocks"][3]["text"]["text"], "<https://atalaya.acme.example/?a=1&amp;b=2|Board>");
    let long = body_of(Format::Slack, &longest("&"));
    assert!(long["blocks"][0]["text"]["text"].as_str().unwrap().ends_with('…'));
}

/// <https://adaptivecards.io/schemas/adaptive-card.json>, as far as the card uses it, in the envelope of a workflow.
fn check_teams(text: &str) {
    assert!(2 * units(text) <= 28 * 1024, "{}", units(text));
    let body: Value = serde_json::from_str(text).unwrap();
    assert_eq!(body["type"], "message");
    let attachment = &body["attachments"][0];
    assert_eq!(attachment["contentType"], "application/vnd.microsoft.card.adaptive");
    let card = &attachment["content"];
    assert_eq!((card["type"].as_str(), card["version"].as_str()), (Some("AdaptiveCard"), Some("1.4")));
    assert!(card["msteams"].get("entities").is_none(), "nobody is mentioned");
    let check_block = |block: &Value| {
        assert_eq!(block["type"], "RichTextBlock", "it alone knows no Markdown: {block}");
        for run in block["inlines"].as_array().unwrap() {
            assert_eq!(run["type"], "TextRun");
            assert!(!run["text"].as_str().unwrap().contains('\n'));
        }
    };
    for element in card["body"].as_array().unwrap() {
        match element["type"].as_str().unwrap() {
            "Container" => {
                assert!(["good", "accent", "warning", "attention"].contains(&element["style"].as_str().unwrap()));
                element["items"].as_array().unwrap().iter().for_each(check_block);
            }
            _ => check_block(element),
        }
    }
    for action in card["actions"].as_array().unwrap() {
        assert_eq!((action["type"].as_str(), action["title"].as_str()), (Some("Action.OpenUrl"), Some("Board")));
    }
}

#[test]
fn teams_takes_it() {
    for notification in longest_of_all().into_iter().chain([nasty(), resolved(&nasty()), repeat(&nasty())]) {
        check_teams(&hook_of(Format::Teams, &notification).json);
    }
    assert!(hook_of(Format::Teams, &longest("é")).json.contains('…'));
    let body = body_of(Format::Teams, &nasty());
    let head = &body["attachments"][0]["content"]["body"][0];
    assert_eq!(head["style"], "attention");
    let text = head["items"][0]["inlines"][0]["text"].as_str().unwrap();
    assert!(text.starts_with(&format!("CRITICAL · {NASTY}")), "as it is, for nothing is markup there: {text}");
}

#[test]
fn google_chat_takes_it() {
    for notification in longest_of_all().into_iter().chain([nasty(), resolved(&nasty()), repeat(&nasty())]) {
        let text = hook_of(Format::GoogleChat, &notification).json;
        assert!(text.len() <= 32_000, "{}", text.len());
        let body: Value = serde_json::from_str(&text).unwrap();
        assert!(body.get("text").is_none(), "only a text could mention somebody");
        assert_eq!(body["thread"]["threadKey"], "facebook-care-1");
        let card = &body["cardsV2"][0]["card"];
        assert!(!card["header"]["title"].as_str().unwrap().is_empty());
        for widget in card["sections"][0]["widgets"].as_array().unwrap() {
            let (kind, inside) = widget.as_object().unwrap().iter().next().unwrap();
            let html = match kind.as_str() {
                "textParagraph" | "decoratedText" => inside["text"].as_str().unwrap(),
                "buttonList" => {
                    let url = inside["buttons"][0]["onClick"]["openLink"]["url"].as_str();
                    assert_eq!(url, Some("https://atalaya.acme.example/?a=1&b=2"));
                    continue;
                }
                other => panic!("a widget {other}"),
            };
            let ours = ["<b>", "</b>", "<br>"].iter().fold(html.to_owned(), |text, tag| text.replace(tag, ""));
            assert!(!ours.contains(['<', '>']), "{html}");
        }
    }
    let body = body_of(Format::GoogleChat, &nasty());
    let action = &body["cardsV2"][0]["card"]["sections"][0]["widgets"][0]["textParagraph"]["text"];
    assert!(action.as_str().unwrap().starts_with("<b>What to do</b><br>Move agents to *x*&lt;b&gt;"), "{action}");
    assert!(body["fallbackText"].as_str().unwrap().starts_with("🔴 CRITICAL"));
}

#[test]
fn telegram_takes_it() {
    for notification in longest_of_all().into_iter().chain([nasty(), resolved(&nasty()), repeat(&nasty())]) {
        let body = body_of(Format::Telegram, &notification);
        let text = body["text"].as_str().unwrap();
        assert!((1..=4_096).contains(&units(text)), "{}", units(text));
        assert!(body.get("parse_mode").is_none(), "nothing in it is markup");
        for (at, _) in text.match_indices('@') {
            assert!(text[at + 1..].starts_with('\u{2060}'), "a mention in {text}");
        }
    }
    let body = body_of(Format::Telegram, &nasty());
    let text = body["text"].as_str().unwrap();
    assert!(text.starts_with("🔴 CRITICAL · *x*<b> <script> <!channel> @\u{2060}channel"), "{text}");
    assert!(text.contains("\n\nWHAT TO DO:\nMove agents to *x*<b>"), "{text}");
    assert!(body_of(Format::Telegram, &longest("é"))["text"].as_str().unwrap().ends_with('…'));
}

/// <https://developer.pagerduty.com/docs/send-alert-event>; the routing key is the sender's to add.
fn check_pagerduty(body: &Value) {
    let key = body["dedup_key"].as_str().unwrap();
    assert!((1..=255).contains(&key.chars().count()));
    match body["event_action"].as_str().unwrap() {
        "trigger" => {
            let payload = &body["payload"];
            assert!((1..=1_024).contains(&units(payload["summary"].as_str().unwrap())));
            assert!(!payload["source"].as_str().unwrap().is_empty());
            assert!(["critical", "error", "warning", "info"].contains(&payload["severity"].as_str().unwrap()));
            assert!(crate::domain::Timestamp::parse(payload["timestamp"].as_str().unwrap()).is_some());
            assert!(payload["custom_details"].is_object());
            assert!(body["links"][0]["href"].is_string() && body["links"][0]["text"].is_string());
        }
        "resolve" | "acknowledge" => assert_eq!(body.as_object().unwrap().len(), 2),
        other => panic!("an action {other}"),
    }
    assert!(body.to_string().len() < 512_000);
}

#[test]
fn pagerduty_knows_an_incident_by_one_key() {
    let first = nasty();
    let all: Vec<Value> = [&first, &repeat(&first), &longest("\""), &resolved(&first)]
        .into_iter()
        .map(|notification| body_of(Format::Pagerduty, notification))
        .chain([serde_json::from_str(&pagerduty::acknowledgement("facebook-care-1")).unwrap()])
        .collect();
    all.iter().for_each(check_pagerduty);
    let actions: Vec<&str> = all.iter().map(|body| body["event_action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["trigger", "trigger", "trigger", "resolve", "acknowledge"]);
    assert!(all.iter().all(|body| body["dedup_key"] == "facebook-care-1"));
    let payload = &all[0]["payload"];
    assert_eq!((payload["severity"].as_str(), payload["class"].as_str()), (Some("critical"), Some("asa")));
    assert_eq!(payload["custom_details"]["value_raw"], 2820);
    let long = Notification { incident: "i".repeat(300).into(), ..first };
    check_pagerduty(&body_of(Format::Pagerduty, &long));
}

#[test]
fn alertmanager_knows_an_alert_by_its_labels() {
    let first = critical(matrix(Language::Es, "Mover agentes a {{ queue }}: {{ value }}"));
    let labels = |severity: &str| {
        json!({
            "alertname": "AtalayaAsa", "matrix": "facebook-care", "indicator": "asa", "queue": "reclamos",
            "channel": "facebook", "window": "15m", "severity": severity,
        })
    };
    let body = body_of(Format::Alertmanager, &first);
    let expected = json!([{
        "labels": labels("critical"),
        "annotations": {
            "action": "Mover agentes a reclamos: 47 min", "value": "47 min", "goal": "< 30 min",
            "incident": "facebook-care-1",
            "summary": "CRÍTICO · reclamos · facebook · Velocidad de respuesta (ASA) 47 min (objetivo < 30 min)",
        },
        "startsAt": "2026-11-22T15:32:00Z", "generatorURL": "https://atalaya.acme.example/?a=1&b=2",
    }]);
    assert_eq!(body, expected, "without an end, which is written when it is sent");

    // Another severity is another alert: the old one ends, in the same array.
    let time = START + Millis::seconds(600);
    let better =
        Transition { time, from: Level::Critical, to: Level::Warning, range: Some(1), ..(*first.transition).clone() };
    let improved = Notification {
        time,
        level: Level::Warning,
        reason: Reason::Improved,
        transition: Arc::new(better),
        ..first.clone()
    };
    let body = body_of(Format::Alertmanager, &improved);
    assert_eq!(body.as_array().unwrap().len(), 2);
    assert_eq!((&body[0]["labels"], &body[1]["labels"]), (&labels("critical"), &labels("warning")));
    assert_eq!((&body[0]["endsAt"], body[1].get("endsAt")), (&json!("2026-11-22T15:42:00Z"), None));
    assert_eq!(body[0]["startsAt"], body[1]["startsAt"], "both since the incident began");

    let body = body_of(Format::Alertmanager, &resolved(&first));
    assert_eq!(body.as_array().unwrap().len(), 1);
    assert_eq!((&body[0]["labels"], &body[0]["endsAt"]), (&labels("critical"), &json!("2026-11-22T16:12:00Z")));

    // Told again, with the value of now.
    let case = OpenCase {
        last: first.transition.clone(),
        since: first.since,
        value: Some(3120.0),
        samples: 9.0,
        closed_hours: false,
        frozen: false,
        acknowledged: None,
        silenced: Vec::new(),
        flaps: None,
        webhooks: vec!["out".into()],
    };
    let plan = Plan::default();
    let again = alertmanager::firing(&case, &Context::new(&plan, "acme.example"));
    assert_eq!((&*again.incident, &again.alert["labels"]), ("facebook-care-1", &labels("critical")));
    assert_eq!((&again.alert["annotations"]["value"], again.alert.get("endsAt")), (&json!("52 min"), None));
}

#[test]
fn labels_of_the_indicator_are_labels_of_the_alert() {
    let first = critical(matrix(Language::En, "Act"));
    let plan = Plan::default();
    let mut transition = (*first.transition).clone();
    transition.selector.indicator = crate::indicators::find("service_level").unwrap();
    transition.selector.labels.threshold = Some(0);
    transition.selector.labels.treatment = Some(crate::indicators::Treatment::Offered);
    transition.key = Key { queue: None, channel: Some("voice".into()) };
    let body = body_of(Format::Alertmanager, &Notification { transition: Arc::new(transition), ..first });
    let labels = &body[0]["labels"];
    assert_eq!(labels["alertname"], "AtalayaServiceLevel");
    assert_eq!(labels["threshold"], plan.thresholds[0].label.as_ref());
    assert_eq!((labels["treatment"].as_str(), labels.get("queue")), (Some("offered"), None));
}

#[test]
fn late_tests_and_stand_ins_say_so_in_every_format_for_people() {
    for format in [Format::Slack, Format::Teams, Format::GoogleChat, Format::Telegram] {
        let hook = hook_of(format, &critical(matrix(Language::En, "Act")));
        assert!(hook.late_json.contains("This notice comes late") && !hook.json.contains("comes late"), "{format:?}");
    }
    let formats: Formats = Format::ALL.iter().map(|(name, format)| ((*name).into(), *format)).collect();
    let plan = Plan::default();
    let context = Context { test: true, restarted: true, formats: &formats, ..Context::new(&plan, "acme.example") };
    let first = critical(matrix(Language::En, "Act"));
    for (name, format) in Format::ALL {
        let to_it = Notification { medium: Medium::Webhook, address: name.into(), ..first.clone() };
        let Body::Webhook(hook) = render(&to_it, &context).body else { panic!("not a webhook") };
        let body: Value = serde_json::from_str(&hook.json).unwrap();
        let mut all = Vec::new();
        strings(&body, &mut all);
        match format {
            Format::Generic => assert_eq!(body["data"]["test"], true),
            Format::Alertmanager => assert_eq!(body[0]["labels"]["test"], "true"),
            _ => assert!(all.iter().any(|text| text.contains("TEST · CRITICAL")), "{name}: {all:?}"),
        }
    }
}

/// The page shows what arrives, so it is held to it; but for the definition, which is the indicator's affair.
#[test]
fn the_bodies_of_the_documentation_are_those_that_are_sent() {
    let page = include_str!("../../../docs/notifications.md");
    let first = critical(matrix(Language::En, "Move 2 agents from chat to {{ queue }}"));
    for (name, format) in Format::ALL {
        let formats = Formats::from([("wfm-desk".into(), format)]);
        let plan = Plan::default();
        let board = Some("https://atalaya.acme.example");
        let context = Context { board, formats: &formats, ..Context::new(&plan, "acme.example") };
        let to_it =
            Notification { to: "desk".into(), medium: Medium::Webhook, address: "wfm-desk".into(), ..first.clone() };
        let Body::Webhook(hook) = render(&to_it, &context).body else { panic!("not a webhook") };
        let about = format!(": {}", crate::indicators::find("asa").unwrap().about());
        let body: Value = serde_json::from_str(&hook.json.replace(&about, "")).unwrap();
        let section =
            page.split("\n### ").find(|section| section.starts_with(&format!("`{name}`"))).unwrap_or_default();
        let block = section.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or("null");
        let shown: Value = serde_json::from_str(block).unwrap_or_else(|error| panic!("{name}: {error}"));
        let pretty = serde_json::to_string_pretty(&body).unwrap();
        assert_eq!(shown, body, "docs/notifications.md, `{name}`, should show:\n{pretty}");
    }
}

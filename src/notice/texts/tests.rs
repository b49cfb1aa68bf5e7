//! Own texts: the nearest wins, nothing that a reader relies on is lost, and nothing from outside becomes markup or a header.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::domain::Millis;
use crate::matrix::{Matrix, Medium, Texts};
use crate::notice::samples::{critical, matrix, repeat, resolved};
use crate::notice::{Email, Hook, Message, mail, render as message};
use crate::plan::Plan;

const NASTY: &str = "a\"b\\\r\nBcc: x@evil.example\n<script>alert(1)</script> & <!channel> @all \u{202e}";

fn texts(parts: &[(Part, &str)]) -> Texts {
    Texts(parts.iter().map(|(part, text)| (*part, Arc::from(*text))).collect())
}

/// The sample incident, in a matrix that `change` has changed.
fn notice(language: Language, change: impl FnOnce(&mut Matrix)) -> Notification {
    let mut matrix = matrix(language, "Mover agentes a {{ queue }}");
    change(Arc::get_mut(&mut matrix).unwrap());
    critical(matrix)
}

fn with(language: Language, part: Part, text: &str) -> Notification {
    notice(language, |matrix| matrix.texts = texts(&[(part, text)]))
}

fn in_queue(queue: &str, first: &Notification) -> Notification {
    let transition = Transition { key: Key::pair(queue, "facebook"), ..(*first.transition).clone() };
    Notification { transition: Arc::new(transition), ..first.clone() }
}

/// Of a test that may have been told before.
fn marked(notification: &Notification) -> Message {
    let plan = Plan::default();
    message(notification, &Context { test: true, restarted: true, ..Context::new(&plan, "acme.example") })
}

fn plain(notification: &Notification) -> Message {
    message(notification, &Context::new(&Plan::default(), "acme.example"))
}

fn email(message: Message) -> Email {
    assert!(message.texts_failed.is_empty(), "{:?}", message.texts_failed);
    match message.body {
        Body::Email(email) => *email,
        Body::Webhook(_) => panic!("not a mail"),
    }
}

fn hook_of(format: Format, notification: &Notification) -> (Hook, Vec<Failed>) {
    let (plan, formats) = (Plan::default(), hooks::Formats::from([("wfm-desk".into(), format)]));
    let to_desk =
        Notification { to: "desk".into(), medium: Medium::Webhook, address: "wfm-desk".into(), ..notification.clone() };
    let context = Context { formats: &formats, ..Context::new(&plan, "acme.example") };
    let message = message(&to_desk, &context);
    match message.body {
        Body::Webhook(hook) => (hook, message.texts_failed),
        Body::Email(_) => panic!("not a webhook"),
    }
}

fn json_of(format: Format, notification: &Notification) -> serde_json::Value {
    let (hook, failed) = hook_of(format, notification);
    assert!(failed.is_empty(), "{failed:?}");
    serde_json::from_str(&hook.json).unwrap()
}

fn refusal(part: Part, text: &str) -> String {
    check(part, text, Language::Es, Format::Generic).map_or_else(|error| error.message, |()| "taken".to_owned())
}

#[test]
fn the_names_are_those_of_the_lists() {
    let first = critical(matrix(Language::Es, ""));
    let plan = Plan::default();
    let context = Context::new(&plan, "acme.example");
    let facts = mail::facts(&first, None, &context);
    let said = Said { notification: &first, facts: &facts, missed: None, context: &context };
    let keys = |names: BTreeMap<&'static str, Value>| names.into_keys().collect::<Vec<_>>();
    assert_eq!(keys(names::head(&first, &facts, "", &context, &str::to_owned)), SUBJECT_NAMES);
    assert_eq!(keys(names::all(&said, true, &str::to_owned, &str::to_owned)), NAMES);
    let all: BTreeSet<&str> = NAMES.into_iter().collect();
    assert!(
        SUBJECT_NAMES.iter().chain(&template::NAMES).all(|name| all.contains(name)),
        "what an action names, a text does"
    );
}

#[test]
fn the_nearest_text_wins_for_each_part() {
    type Way = fn(&mut Matrix, Texts);
    let ways: [(&str, Way); 3] = [
        ("matrix", |matrix, texts| matrix.texts = texts),
        ("row", |matrix, texts| matrix.rows[0].texts = texts),
        ("contact", |matrix, texts| matrix.contacts.get_mut("lead").unwrap().texts = texts),
    ];
    for count in 1..=ways.len() {
        let notification = notice(Language::Es, |matrix| {
            for (name, way) in &ways[..count] {
                way(matrix, texts(&[(Part::Text, &format!("the text of the {name}"))]));
            }
            // Another part of a place that is farther off.
            matrix.texts.0.insert(Part::Html, "<p>the page of the matrix</p>".into());
        });
        let email = email(plain(&notification));
        assert_eq!(email.text, format!("the text of the {}", ways[count - 1].0));
        assert_eq!(email.html, "<p>the page of the matrix</p>");
        assert!(email.subject.starts_with("CRÍTICO · reclamos · facebook · Velocidad"), "{}", email.subject);
        let manager = Notification { to: "manager".into(), address: "manager@acme.example".into(), ..notification };
        let other = if count < 3 { email.text } else { "the text of the row".to_owned() };
        assert_eq!(self::email(plain(&manager)).text, other, "a contact's text is its own");
    }
    let other_row = {
        let mut notification = notice(Language::Es, |matrix| matrix.rows[0].texts = texts(&[(Part::Text, "x")]));
        notification.transition = Arc::new(Transition { row: 1, ..(*notification.transition).clone() });
        notification
    };
    assert!(email(plain(&other_row)).text.contains("reclamos · facebook"));
}

#[test]
fn a_subject_begins_with_the_level_in_three_languages() {
    for (language, level, over) in [
        (Language::Es, "CRÍTICO", "RESUELTO"),
        (Language::En, "CRITICAL", "RESOLVED"),
        (Language::Pt, "CRÍTICO", "RESOLVIDO"),
    ] {
        for (template, rest) in [
            ("{{ queue }}: {{ value }} / {{ value_raw }} / {{ samples }}", " · reclamos: 47 min / 2820.0 / 14.0"),
            ("{{ level_word }} en {{ queue }} {{ since }}", " en reclamos 10:32"),
        ] {
            let first = with(language, Part::Subject, template);
            let subject = email(plain(&first)).subject;
            assert_eq!(subject, format!("{level}{rest}"));
            assert_eq!(email(plain(&repeat(&first))).subject, subject, "the same while the level lasts");
            let next_day = Notification { time: first.time + Millis::DAY, ..repeat(&first) };
            assert_eq!(email(plain(&next_day)).subject, subject, "and on the day after");
            assert!(email(plain(&resolved(&first))).subject.starts_with(over));
        }
    }
}

#[test]
fn a_subject_says_that_it_is_a_test_and_whom_it_missed() {
    let first = with(Language::Es, Part::Subject, "{{ queue }}");
    assert_eq!(email(marked(&first)).subject, "PRUEBA · CRÍTICO · reclamos");
    let plan = Plan::default();
    let stand_ins =
        crate::notice::render_missed(&first, "550 no such user", None, &Context::new(&plan, "acme.example"));
    let to_manager = stand_ins.into_iter().find(|message| &*message.notification.to == "manager").unwrap();
    assert_eq!(email(to_manager).subject, "CRÍTICO · reclamos · no avisado: lead");
}

#[test]
fn nothing_gets_into_a_header() {
    let first = with(Language::Es, Part::Subject, "{{ queue }}\r\nBcc: y@evil.example\r\n\r\n{{ queue }}");
    let subject = email(plain(&in_queue(NASTY, &first))).subject;
    assert!(subject.starts_with("CRÍTICO · a\"b\\ Bcc: x@evil.example"), "{subject}");
    assert!(!subject.contains(|c: char| c.is_control() || c == '\u{202e}'), "{subject:?}");
    let long = email(plain(&in_queue(&"ñ".repeat(5_000), &first))).subject;
    assert!(long.len() <= SUBJECT_MAX && long.contains("ññ"), "{long}");
}

#[test]
fn remarks_are_never_lost() {
    let text = email(marked(&with(Language::Es, Part::Text, "Hola {{ to }}")));
    let (test, restarted) = (words::test_notice(Language::Es), words::restarted(Language::Es));
    assert_eq!(text.text, format!("{test}\n\n{restarted}\n\nHola lead"));
    assert!(text.late_text.contains("llega tarde") && !text.text.contains("llega tarde"), "{}", text.late_text);
    let shown = email(marked(&with(Language::Es, Part::Text, "Hola\n{{ test }}")));
    assert_eq!(shown.text, format!("{restarted}\n\nHola\n{test}"), "what is shown is not shown twice");

    let page = "<html><body class=\"x\"><p>{{ queue }}</p></body></html>";
    let html = email(marked(&with(Language::Es, Part::Html, page)));
    assert!(html.html.starts_with(&format!("<html><body class=\"x\"><p><strong>{test}</strong></p>")), "{}", html.html);
    assert_eq!(html.late_html.matches("llega tarde").count(), 1, "{}", html.late_html);
    let own = "<p>{% for remark in remarks %}{{ remark }}<br>{% endfor %}</p><p>{{ queue }}</p>";
    let html = email(marked(&with(Language::Es, Part::Html, own))).late_html;
    assert!(html.starts_with("<p>Esto es una prueba") && html.matches("llega tarde").count() == 1, "{html}");
    // Where it is not clear what the body is, the top of all is.
    let two = email(marked(&with(Language::Es, Part::Html, "<!-- <body> --><body>{{ queue }}</body>"))).html;
    assert!(two.starts_with("<p><strong>Esto es una prueba"), "{two}");
}

#[test]
fn everything_in_html_is_escaped() {
    let page = "<p title='{{ queue }}'>{{ action }} {{ lines }} {{ queue ~ '<i>' }} {% set x = queue %}{{ x }}</p>";
    let first = in_queue(NASTY, &with(Language::Es, Part::Html, page));
    let html = email(plain(&first)).html;
    assert!(!html.contains("<script") && !html.contains("<i>") && html.contains("&lt;script&gt;"), "{html}");
    assert_eq!(html.matches('\'').count(), 2, "no way out of an attribute: {html}");
    for around in ["{{ queue | safe }}", "{% autoescape false %}{{ queue }}{% endautoescape %}"] {
        assert_ne!(refusal(Part::Html, around), "taken", "{around}");
        let message = plain(&in_queue(NASTY, &with(Language::Es, Part::Html, around)));
        assert_eq!(message.texts_failed.len(), 1, "{around}");
    }
}

#[test]
fn a_webhook_has_its_own_body() {
    let body =
        "{\"queue\": {{ queue | tojson }}, \"raw\": {{ value_raw | tojson }}, \"remarks\": {{ remarks | tojson }},
        \"lines\": {{ lines | tojson }}, \"link\": \"{{ level }}\"}";
    assert_eq!(check(Part::Webhook, body, Language::Es, Format::Generic), Ok(()));
    let first = with(Language::Es, Part::Webhook, body);
    let json = json_of(Format::Generic, &in_queue(NASTY, &first));
    assert!(json["queue"].as_str().unwrap().starts_with("a\"b\\ Bcc: x@evil.example <script>"), "{json}");
    assert_eq!((&json["raw"], &json["link"]), (&2820.0.into(), &"critical".into()));
    assert_eq!(json["lines"][0]["label"], "Desde");
    let (hook, _) = hook_of(Format::Generic, &first);
    assert!(hook.late_json.contains("llega tarde") && !hook.json.contains("llega tarde"));
    // What these take is known by keys that must stay what they are.
    for format in [Format::Pagerduty, Format::Alertmanager] {
        let built_in = notice(Language::Es, |_| {});
        assert_eq!(json_of(format, &first), json_of(format, &built_in), "{format:?}");
    }
}

#[test]
fn a_picture_that_the_html_does_not_show_does_not_come_along() {
    let picture = |html: &str| email(plain(&with(Language::Es, Part::Html, html))).picture;
    assert!(email(plain(&critical(matrix(Language::Es, "Actuar")))).picture.is_some());
    assert!(picture("<p>{{ headline }}</p><img src=\"{{ picture }}\">").is_some());
    assert!(picture("<p>{{ headline }}</p>").is_none());
}

#[test]
fn a_body_of_a_service_holds_its_limits_and_calls_nobody() {
    let say = "{{ remarks | join(' ') | tojson }}";
    let slack = format!(
        "{{\"text\": {{{{ headline | tojson }}}}, \"blocks\": [
            {{\"type\": \"header\", \"text\": {{\"type\": \"plain_text\", \"text\": {{{{ place[:60] | tojson }}}}}}}}
            {{% if remarks %}}, {{\"type\": \"section\", \"text\": {{\"type\": \"plain_text\", \"text\": {say}}}}}{{% endif %}}
            {{% for line in lines %}}, {{\"type\": \"section\", \"text\": {{\"type\": \"mrkdwn\", \"text\": {{{{ line.text | tojson }}}}}}}}{{% endfor %}}
        ]}}"
    );
    let text = format!("{{\"text\": {{{{ (remarks | join(' ') ~ headline ~ action) | tojson }}}}, \"x\": {say}}}");
    for (format, body) in
        [(Format::Slack, &slack), (Format::GoogleChat, &text), (Format::Teams, &text), (Format::Telegram, &text)]
    {
        assert_eq!(check(Part::Webhook, body, Language::Es, format), Ok(()), "{format:?}");
        let first = with(Language::Es, Part::Webhook, body);
        let json = json_of(format, &in_queue(NASTY, &first)).to_string();
        let call = ["<!channel>", "@all"][usize::from(format == Format::Telegram)];
        assert!(format == Format::Teams || !json.contains(call), "{json}");
    }
    for (format, body, why) in [
        (Format::Slack, "{\"x\": {{ remarks | tojson }}}", "neither `text` nor `blocks`"),
        (Format::Slack, "{\"text\": \"x\", \"r\": {{ remarks | tojson }}, \"blocks\": {{ [1] * 51 }}}", "51 blocks"),
        (
            Format::Slack,
            "{\"text\": {{ remarks | tojson }}, \"blocks\": [{\"type\": \"plain_text\", \"text\": \"{{ 'x' * 3001 }}\"}]}",
            "takes 3000",
        ),
        (Format::Teams, "{\"text\": {{ remarks | tojson }}, \"x\": \"{{ 'x' * 14000 }}\"}", "takes 28000"),
        (Format::GoogleChat, "{\"text\": {{ remarks | tojson }}, \"x\": \"{{ 'x' * 32000 }}\"}", "takes 32000"),
        (Format::Telegram, "{\"text\": \"x\", \"parse_mode\": \"HTML\", \"r\": {{ remarks | tojson }}}", "parse_mode"),
        (Format::Telegram, "{\"r\": {{ remarks | tojson }}}", "no `text`"),
        (Format::Telegram, "{{ remarks | tojson }}", "no JSON object"),
    ] {
        let error = check(Part::Webhook, body, Language::Es, format).unwrap_err();
        assert!(error.message.contains(why), "{body}: {}", error.message);
    }
}

#[test]
fn what_cannot_be_trusted_is_refused() {
    for (part, text, why) in [
        (Part::Subject, "{{ place }}: {{ value }}", "taken"),
        (Part::Subject, "{{ indicator_name }} {{ value }}", "does not name the queue"),
        (Part::Subject, "{{ 'x' * 300 }} {{ queue }}", "does not name the queue"),
        (Part::Subject, "{{ queue }} {{ value_raw / 60 }}", "no data"),
        (Part::Text, "{% if level == 'ok' %}{{ nobody }}{% endif %}{{ queue }}", "undefined"),
        (Part::Text, "{% if reason == 'feed' %}{{ value_raw / 60 }}{% endif %}x", "taken"),
        (Part::Text, "{{ value_raw / 60 }}", "when there is no data"),
        (Part::Text, "{% if level != 'ok' %}{{ action }}{% endif %}", "nothing comes out"),
        (Part::Text, "{{ action }} {{ lines[0].label }} {% for line in lines %}{{ line.text }}{% endfor %}", "taken"),
        (Part::Html, "{% if late %}{{ queue | nosuch }}{% endif %}<p>{{ queue }}</p>", "nosuch"),
        (Part::Html, "{{ queue * 9999 }}", "longer than"),
        (Part::Webhook, "{\"queue\": \"{{ queue }}\", \"remarks\": {{ remarks | tojson }}}", "no JSON comes out of it"),
        (Part::Webhook, "{\"value\": {{ value_raw }}, \"remarks\": {{ remarks | tojson }}}", "no JSON comes out of it"),
        (Part::Webhook, "{\"queue\": {{ queue | tojson }}}", "does not show the remark"),
        (Part::Webhook, "{\"queue\": {{ queue | tojson }}, \"r\": {{ test | tojson }}}", "does not show the remark"),
    ] {
        let said = refusal(part, text);
        assert!(said.contains(why), "{text}: {said}");
    }
}

#[test]
fn what_fails_all_the_same_leaves_the_built_in_text() {
    let built_in = email(plain(&critical(matrix(Language::Es, "Mover agentes a {{ queue }}"))));
    for part in [Part::Subject, Part::Text, Part::Html] {
        let message = plain(&with(Language::Es, part, "{{ queue.nobody.knows }}"));
        assert_eq!(message.texts_failed.iter().map(|failed| failed.part).collect::<Vec<_>>(), [part]);
        let Body::Email(email) = message.body else { panic!("not a mail") };
        assert_eq!((&email.subject, &email.text), (&built_in.subject, &built_in.text));
        assert_eq!((&email.html, &email.late_text), (&built_in.html, &built_in.late_text));
    }
    let first = with(Language::Es, Part::Webhook, "{\"queue\": \"{{ queue }}\", \"remarks\": {{ remarks | tojson }}}");
    assert_eq!(json_of(Format::Generic, &first), serde_json::json!({ "queue": "reclamos", "remarks": [] }));
    let (hook, failed) = hook_of(Format::Generic, &in_queue("a\"b", &first));
    assert_eq!(failed.len(), 1);
    assert!(hook.json.starts_with("{\"type\":\"alert\""), "{}", hook.json);
}

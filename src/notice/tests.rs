//! What people read, in three languages, and what must never get into it.

use std::sync::Arc;

use super::samples::{START, critical, matrix, repeat, resolved};
use super::*;
use crate::domain::{Key, Millis};
use crate::indicators::{Labels, find};
use crate::matrix::engine::{Acknowledged, Entry, Gathered, Reason, Silence, Transition};
use crate::matrix::{By, Language};

const ACTION: &str = "Mover 2 agentes del chat a {{ queue }}: {{ value }} (objetivo {{ goal }})";

fn context(plan: &Plan) -> Context<'_> {
    Context { board: Some("https://atalaya.acme.example"), ..Context::new(plan, "acme.example") }
}

fn mail(notification: &Notification) -> Email {
    match render(notification, &context(&Plan::default())).body {
        Body::Email(email) => *email,
        Body::Webhook(_) => panic!("not a mail"),
    }
}

/// Snapshots live with the other data of the tests. The definition is its indicator's affair and left out of them.
fn snapshot(name: &str, text: &str) {
    let about = find("asa").unwrap().about();
    assert!(text.contains(&super::html::escape(about)) || text.contains(about), "the definition is told");
    let text = match about {
        "" => text.to_owned(),
        about => text.replace(&format!(": {about}"), "").replace(&format!(": {}", super::html::escape(about)), ""),
    };
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../tests/data/mail");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn mails_in_three_languages() {
    for (name, language) in [("es", Language::Es), ("en", Language::En), ("pt", Language::Pt)] {
        let first = critical(matrix(language, ACTION));
        for (what, notification) in
            [("critical", first.clone()), ("repeat", repeat(&first)), ("resolved", resolved(&first))]
        {
            let email = mail(&notification);
            snapshot(&format!("{name}-{what}"), &format!("Subject: {}\n\n{}", email.subject, email.text));
        }
    }
}

#[test]
fn html_says_the_same_and_fetches_nothing() {
    let first = critical(matrix(Language::Es, ACTION));
    let email = mail(&first);
    snapshot("es-critical-html", &email.html);
    for text in ["Mover 2 agentes", "CRÍTICO", "reclamos · facebook", "47 min", "&lt; 30 min", "últimos 15 min", "desk"]
    {
        assert!(email.html.contains(text), "{text}");
    }
    for banned in ["<script", "<link", "url(", "<table", "src=\"http"] {
        assert!(!email.html.contains(banned), "{banned}");
    }
}

#[test]
fn the_trend_travels_in_the_mail() {
    let first = critical(matrix(Language::Es, ACTION));
    let picture = mail(&first).picture.unwrap();
    assert!(picture.png().starts_with(b"\x89PNG\r\n\x1a\n"), "a PNG");
    let told = "src=\"cid:ID\" alt=\"Tendencia: 12 min → 47 min (09:32 – 10:32; mín. 12 min, máx. 47 min)\"";
    for page in [&mail(&first).html, &mail(&first).late_html] {
        assert!(page.contains(&told.replace("ID", &picture.id)), "{page}");
    }
    let other = mail(&repeat(&first)).picture.unwrap();
    assert_ne!(picture.id, other.id, "an id is of one mail");
    // Without values there is neither a picture nor a word of one.
    let bare = mail(&Notification { trend: None, ..first });
    assert!(bare.picture.is_none() && !bare.html.contains("<img") && !bare.text.contains("Tendencia"));
}

#[test]
fn what_comes_next_is_told_with_its_time() {
    let first = critical(matrix(Language::En, ACTION));
    let next = |notification: &Notification| {
        let text = mail(notification).text;
        text.lines().find_map(|line| line.strip_prefix("What comes next: ")).map(str::to_owned).unwrap_or_default()
    };
    assert_eq!(next(&first), "10:42: manager is told; 11:02: repeated, and so every 30 min while it lasts");
    // Timers that have stood for five minutes are that much later; those that repeat stood longer.
    let stood = Notification { time: START + Millis(900_000), ran: Millis(300_000), ..first.clone() };
    assert_eq!(next(&stood), "10:52: manager is told; 11:12: repeated, and so every 30 min while it lasts");
    let frozen = Notification { muted: Millis(60_000), ..stood.clone() };
    assert!(next(&frozen).ends_with("11:13: repeated, and so every 30 min while it lasts"), "{}", next(&frozen));
    // A notice that has waited tells of the timers as they ran on meanwhile.
    let held = Notification { time: START + Millis(300_000), held_since: Some(START), ..first.clone() };
    assert_eq!(next(&held), next(&first));
    let long = Notification { time: START + Millis(2_700_000), held_since: Some(START), ..first.clone() };
    assert_eq!(next(&long), "11:32: repeated, and so every 30 min while it lasts");
    // After a better level a step tells only whom nothing has told yet.
    let mut better = first.clone();
    better.told = ["lead".into(), "manager".into()].into();
    better.transition = Arc::new(Transition {
        from: Level::Critical,
        to: Level::Warning,
        range: Some(1),
        ..(*first.transition).clone()
    });
    assert_eq!(next(&better), "11:02: repeated, and so every 30 min while it lasts");
    let by = Acknowledged {
        by: "ana".into(),
        at: START,
        until: START + Millis::HOUR,
        why: "".into(),
        level: Level::Critical,
    };
    let seen = Notification { acknowledged: Some(by), ..first };
    assert_eq!(next(&seen), "while it is acknowledged nothing is repeated and nobody else is told");
}

#[test]
fn the_subject_is_the_same_while_the_level_lasts() {
    let first = critical(matrix(Language::Es, ACTION));
    let subject = mail(&first).subject;
    assert_eq!(subject, "CRÍTICO · reclamos · facebook · Velocidad de respuesta (ASA) 47 min (objetivo < 30 min)");
    assert_eq!(mail(&repeat(&first)).subject, subject);
    assert!(mail(&resolved(&first)).subject.starts_with("RESUELTO · reclamos · facebook"));
}

#[test]
fn places_and_labels_are_named() {
    let plan = Plan::default();
    let within = plan.thresholds.iter().position(|threshold| threshold.within == Millis::seconds(20));
    for (key, expected) in [
        (Key::pair("ventas", "voice"), "CRITICAL · ventas · voice · Service level within 20 s 79.7 % (goal ≥ 80 %)"),
        (Key { queue: Some("ventas".into()), channel: None }, "CRITICAL · ventas · all channels · Service level"),
        (Key { queue: None, channel: Some("voice".into()) }, "CRITICAL · all queues · voice · Service level"),
        (Key::ALL, "CRITICAL · all queues and channels · Service level"),
    ] {
        let mut notification = critical(matrix(Language::En, ACTION));
        let mut transition = (*notification.transition).clone();
        transition.row = 1;
        transition.range = Some(0);
        transition.key = key;
        transition.value = Some(0.7968);
        transition.selector.indicator = find("service_level").unwrap();
        transition.selector.labels = Labels { threshold: within, ..Labels::default() };
        notification.transition = Arc::new(transition);
        let subject = mail(&notification).subject;
        assert!(subject.starts_with(expected), "{subject}");
    }
}

#[test]
fn hostile_names_stay_text() {
    let mut first = critical(matrix(Language::Es, "{{ queue }}"));
    let mut transition = (*first.transition).clone();
    transition.key = Key::pair("a\r\nBcc: x@evil.example\n<script>alert(1)</script>", &"c".repeat(5000));
    transition.incident = "x\r\nX-Evil: 1".into();
    first.incident = transition.incident.clone();
    first.transition = Arc::new(transition);
    let email = mail(&first);
    let thread = &email.thread;
    for header in [&email.subject, &thread.message_id, &thread.in_reply_to, &thread.references, &email.list_id] {
        assert!(!header.contains(['\r', '\n']) && header.len() < 300, "{header}");
    }
    assert!(!email.html.contains("<script>"), "{}", email.html);
    assert!(email.html.contains("&lt;script&gt;"));
}

#[test]
fn a_template_that_fails_sends_its_raw_text() {
    let first = critical(matrix(Language::Es, "Llamar a {{ nadie.nunca }}"));
    let message = render(&first, &context(&Plan::default()));
    assert!(message.action_failed.is_some());
    let Body::Email(email) = message.body else { panic!("not a mail") };
    assert!(email.text.contains("Llamar a {{ nadie.nunca }}"), "{}", email.text);
}

#[test]
fn a_mail_of_many_cases_has_the_actions_of_those_that_it_only_counts_and_says_which_failed() {
    let mut matrix = matrix(Language::Es, "Actuar");
    Arc::get_mut(&mut matrix).unwrap().rows[1].ranges[0].action = Some("Llamar a {{ nadie.nunca }}".into());
    let first = critical(matrix);
    let service_level = Transition { row: 1, range: Some(0), ..(*first.transition).clone() };
    let last = Notification { transition: Arc::new(service_level), ..first.clone() };
    let mut notices = vec![first.clone(); NAMED_MAX];
    notices.extend([first.clone(), last]);
    let entry = Entry { level: Level::Critical, cases: 52, worst: first.transition.clone() };
    let gathered = Gathered { by: By::Queue, notices, others: Vec::new(), entry };
    let message = render(&Notification { gathered: Some(Arc::new(gathered)), ..first }, &context(&Plan::default()));
    assert!(message.action_failed.is_some());
    let Body::Email(email) = message.body else { panic!("not a mail") };
    assert!(email.text.starts_with("QUÉ HACER:\nActuar\nLlamar a {{ nadie.nunca }}\n\n"), "{}", email.text);
    assert!(email.text.contains("Además, en este correo: CRÍTICO 2"), "{}", email.text);
}

#[test]
fn one_thread_per_incident_and_recipient() {
    let first = critical(matrix(Language::Es, ACTION));
    let manager = Notification {
        to: "manager".into(),
        address: "manager@acme.example".into(),
        sequence: 3,
        reason: Reason::Escalation,
        time: START + Millis(600_000),
        ..first.clone()
    };
    let threads: Vec<Thread> =
        [&first, &repeat(&first), &resolved(&first)].map(|notification| mail(notification).thread).into();
    let opening = &threads[0];
    assert_eq!(opening.references, opening.in_reply_to, "the opening answers the root alone");
    for later in &threads[1..] {
        assert_eq!(later.in_reply_to, opening.message_id);
        assert_eq!(later.references, format!("{} {}", opening.references, opening.message_id));
    }
    let mut ids: Vec<&str> = threads.iter().map(|thread| thread.message_id.as_str()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 3, "{ids:?}");
    assert_eq!(mail(&first).thread, *opening, "the same notice has the same ids");
    let other = mail(&manager).thread;
    assert!(!other.references.contains(&opening.references), "another recipient has another thread");
    assert_ne!(other.message_id, opening.message_id);
}

#[test]
fn the_webhook_body_holds_the_record_and_what_it_is_about() {
    let mut first = critical(matrix(Language::Es, ACTION));
    first.medium = Medium::Webhook;
    first.to = "desk".into();
    first.address = "wfm-desk".into();
    let message = render(&first, &context(&Plan::default()));
    let Body::Webhook(hook) = &message.body else { panic!("not a webhook") };
    let body: serde_json::Value = serde_json::from_str(&hook.json).unwrap();
    let expected = serde_json::json!({
        "type": "alert", "timestamp": "2026-11-22T15:32:00Z",
        "data": {
            "kind": "notification", "time": "2026-11-22T15:32:00Z", "incident": "facebook-care-1", "sequence": 1,
            "to": "desk", "medium": "webhook", "level": "critical", "reason": "range", "matrix": "facebook-care",
            "queue": "reclamos", "channel": "facebook", "window": "15m", "indicator": "asa", "from": "ok",
            "value": 2820, "goal": "< 30m", "range": ">= 45m", "samples": 14,
            "action": "Mover 2 agentes del chat a reclamos: 47 min (objetivo < 30 min)",
            "value_time": "2026-11-22T15:32:00Z", "since": "2026-11-22T15:32:00Z", "told": ["lead", "desk"],
            "around": {
                "waiting": 12, "oldest_wait": 3060,
                "agents": { "available": 0, "handling": 9, "wrapup": 2, "unproductive": 4, "elsewhere": 0 },
            },
        }
    });
    assert_eq!(body, expected);
    assert!(hook.late_json.contains("\"late\":true"));
    assert!(!message.id.contains('.'), "{}", message.id);
}

#[test]
fn a_repeat_without_data_tells_the_last_value_and_its_age() {
    let mut silent = repeat(&critical(matrix(Language::En, ACTION)));
    silent.value_time = silent.value_time - Millis::seconds(1_200);
    let message = render(&silent, &context(&Plan::default()));
    let Body::Email(email) = &message.body else { panic!("not a mail") };
    assert!(email.text.contains("Last value: 52 min (10:42"), "{}", email.text);
}

#[test]
fn a_missed_critical_goes_to_the_next_step_and_the_owner() {
    let first = critical(matrix(Language::Es, ACTION));
    let plan = Plan::default();
    let messages = render_missed(&first, "550 no such user", None, &context(&plan));
    let to: Vec<(&str, Medium)> =
        messages.iter().map(|m| (m.notification.to.as_ref(), m.notification.medium)).collect();
    assert_eq!(to, [("manager", Medium::Email), ("desk", Medium::Webhook)]);
    let Body::Email(email) = &messages[0].body else { panic!("not a mail") };
    snapshot("es-missed", &format!("Subject: {}\n\n{}", email.subject, email.text));
    assert!(email.text.contains("No se pudo avisar a lead por correo (550 no such user)"));
    assert!(email.subject.ends_with("no avisado: lead"));
    let Body::Webhook(hook) = &messages[1].body else { panic!("not a webhook") };
    assert!(hook.json.contains("\"missed\":\"lead\""));
    assert_ne!(messages[0].id, render(&first, &context(&plan)).id);

    // Everyone has been told already, and the owner is the address that failed: nobody is left.
    let told = Notification {
        told: ["lead".into(), "manager".into()].into(),
        medium: Medium::Webhook,
        address: "wfm-desk".into(),
        ..first
    };
    assert!(stand_ins(&told, None).is_empty());
    // The configuration's owner stands in where the matrix names none.
    let mut bare = Arc::try_unwrap(matrix(Language::Es, ACTION)).unwrap();
    bare.owner = None;
    let first = critical(Arc::new(bare));
    let owner = crate::matrix::Contact { email: Some("ops@acme.example".into()), webhook: None, ..Default::default() };
    let who: Vec<Arc<str>> = stand_ins(&first, Some(&owner)).into_iter().map(|(_, _, address)| address).collect();
    assert_eq!(who, ["manager@acme.example".into(), Arc::from("ops@acme.example")]);
}

#[test]
fn no_data_has_its_own_action() {
    let mut bare = Arc::try_unwrap(matrix(Language::Es, ACTION)).unwrap();
    bare.rows[0].no_data = NoData::Raise {
        level: Level::Warning,
        hold: Millis::ZERO,
        tell: Vec::new(),
        action: Some("Revisar la fuente: {{ value }}".into()),
    };
    let mut first = critical(Arc::new(bare));
    let raised = Transition {
        range: None,
        value: None,
        to: Level::Warning,
        reason: Reason::NoData,
        ..(*first.transition).clone()
    };
    first = Notification {
        value: None,
        samples: 0.0,
        level: Level::Warning,
        reason: Reason::NoData,
        transition: Arc::new(raised),
        ..first
    };
    let email = mail(&first);
    assert!(email.subject.starts_with("ADVERTENCIA · reclamos · facebook · Velocidad de respuesta (ASA) sin datos"));
    assert!(email.text.starts_with("QUÉ HACER:\nRevisar la fuente: sin datos"), "{}", email.text);
}

#[test]
fn a_late_mail_says_so_first() {
    let email = mail(&critical(matrix(Language::Es, ACTION)));
    assert!(
        email.late_text.starts_with("Este aviso llega tarde: se decidió a las 10:32 (America/Bogota)"),
        "{}",
        email.late_text
    );
    assert!(email.late_html.contains("llega tarde") && !email.html.contains("llega tarde"));
}

#[test]
fn names_are_made_harmless() {
    assert_eq!(clean("a\r\nBcc: x@y\tz", 100, false), "a Bcc: x@y z");
    assert_eq!(clean("a\r\nb\u{7}", 100, true), "a\nb ");
    assert_eq!(clean("evil\u{202e}txt", 100, false), "eviltxt");
    let long = clean(&"ñ".repeat(500), NAME_MAX, false);
    assert!(long.len() <= NAME_MAX && long.ends_with('…'), "{long}");
}

#[test]
fn the_sender_gives_the_domain_of_ids() {
    for (from, domain) in [
        ("Atalaya <atalaya@acme.example>", "acme.example"),
        ("atalaya@acme.example", "acme.example"),
        ("nobody", "atalaya.invalid"),
        ("x@<script>", "atalaya.invalid"),
    ] {
        assert_eq!(domain_of(from), domain);
    }
}

#[test]
fn after_a_restart_a_notice_says_that_it_may_be_a_repetition() {
    let plan = Plan::default();
    let restarted = Context { restarted: true, ..context(&plan) };
    let first = critical(matrix(Language::Es, ACTION));
    let Body::Email(email) = render(&first, &restarted).body else { panic!("not a mail") };
    assert!(email.text.starts_with("Atalaya se reinició") && email.html.contains("Atalaya se reinició"));
    let hook = Notification { medium: Medium::Webhook, ..first };
    let Body::Webhook(hook) = render(&hook, &restarted).body else { panic!("not a webhook") };
    assert!(hook.json.contains("\"restarted\":true"));
}

#[test]
fn a_mail_about_notices_held_back_counts_and_lists_them() {
    let first = critical(matrix(Language::Es, ACTION));
    let mut other = resolved(&first);
    other.transition = Arc::new(Transition { key: Key::pair("<ventas>", "facebook"), ..(*other.transition).clone() });
    let held =
        crate::matrix::engine::HeldBack { notices: 19, incidents: vec![(first.clone(), 3), (other, 2)], beyond: 14 };
    let reason = Reason::HeldBack;
    let notice = Notification { incident: "more-1".into(), reason, held_back: Some(Arc::new(held)), ..first.clone() };
    let email = mail(&notice);
    assert_eq!(email.subject, "CRÍTICO · 19 avisos más retenidos");
    for line in [
        "\nCRÍTICO · reclamos · facebook · ",
        "47 min · ×3\n",
        "\nRESUELTO · <ventas> · facebook · ",
        " · ×2\n",
        "\notros incidentes · ×14\n",
    ] {
        assert!(email.text.contains(line), "{line} in {}", email.text);
    }
    assert!(email.html.contains("&lt;ventas&gt;") && !email.html.contains("<ventas>"), "{}", email.html);
    assert!(email.late_text.starts_with("Este aviso llega tarde"), "{}", email.late_text);
    assert_ne!(email.thread.references, mail(&first).thread.references);
    assert_eq!((&email.to, &email.list_id), (&first.address, &mail(&first).list_id));
}

#[test]
fn a_notice_that_has_waited_says_of_what_time_it_is() {
    let first = critical(matrix(Language::En, ACTION));
    let waited = Notification { time: START + Millis::HOUR, held_since: Some(START), ..first.clone() };
    let line =
        mail(&waited).text.lines().find(|line| line.starts_with("Held in quiet hours, as of: ")).map(str::to_owned);
    assert!(line.is_some_and(|line| line.contains("(America/Bogota)")), "{}", mail(&waited).text);
    assert!(!mail(&first).text.contains("Held in quiet hours"));
    // How long it lasted is of its end, not of the end of the quiet hours.
    let over = resolved(&first);
    let late = Notification { time: over.time + Millis::HOUR, held_since: Some(over.time), ..over.clone() };
    let lasted = |notice| mail(notice).text.lines().find(|line| line.starts_with("Lasted: ")).map(str::to_owned);
    assert!(lasted(&over).is_some());
    assert_eq!(lasted(&late), lasted(&over));
}

#[derive(Debug)]
struct Sample(bool);

impl Acknowledging for Sample {
    fn code(&self, incident: &str) -> String {
        format!("CODE-{incident}")
    }
    fn link(&self, incident: &str, contact: &str, now: Timestamp) -> Option<String> {
        self.0.then(|| format!("https://atalaya.acme.example/ack?incident={incident}&by={contact}&now={}", now.0))
    }
}

#[test]
fn a_mail_says_how_to_acknowledge_until_somebody_has() {
    let plan = Plan::default();
    let sent = |notification: &Notification, by: &Sample, silences: &[Silence]| {
        let context = Context { acknowledging: Some(by), silences, ..context(&plan) };
        let Body::Email(email) = render(notification, &context).body else { panic!("not a mail") };
        *email
    };
    let first = critical(matrix(Language::Es, ACTION));
    let email = sent(&first, &Sample(true), &[]);
    let link = format!("https://atalaya.acme.example/ack?incident=facebook-care-1&by=lead&now={}", START.0);
    let expected = format!("Reconocer el incidente (enlace válido por 24 horas):\n{link}\n");
    assert!(email.text.contains(&expected), "{}", email.text);
    assert!(email.html.contains(&format!("<a href=\"{}\"", link.replace('&', "&amp;"))), "{}", email.html);
    let email = sent(&first, &Sample(false), &[]);
    assert!(email.text.contains("Para reconocerlo: atalaya ack CODE-facebook-care-1\n"), "{}", email.text);
    assert!(email.html.contains("<code>atalaya ack CODE-facebook-care-1</code>"));
    assert!(!mail(&first).text.contains("Reconocer"), "where nobody can, nothing is said");

    let seen = Acknowledged {
        by: "ana".into(),
        at: START,
        until: START + Millis::HOUR,
        why: "<b>dos agentes</b>".into(),
        level: Level::Critical,
    };
    let later = Notification { acknowledged: Some(seen), ..repeat(&first) };
    let email = sent(&later, &Sample(true), &[]);
    let expected = "Reconocido por: ana, hasta 11:32 (America/Bogota): <b>dos agentes</b>\n";
    assert!(email.text.contains(expected) && !email.text.contains("/ack?"), "{}", email.text);
    assert!(email.html.contains("&lt;b&gt;dos agentes") && !email.html.contains("/ack?"));

    // Over, and told though silences hold it: who wanted them is said, of an unknown one its id.
    let over = Notification { silenced: vec!["s1".into(), "s2".into()], ..resolved(&later) };
    let silence = Silence {
        id: "s1".into(),
        matcher: Default::default(),
        from: START,
        until: START + Millis::HOUR,
        who: "luis".into(),
        why: "capacitación".into(),
    };
    let email = sent(&over, &Sample(true), &[silence]);
    let expected = "Silenciado por: luis, hasta 11:32 (America/Bogota): capacitación; s2\n";
    assert!(email.text.contains(expected) && email.text.contains("Reconocido por: ana"), "{}", email.text);
    assert!(!email.text.contains("/ack?"), "there is nothing left to acknowledge");
}

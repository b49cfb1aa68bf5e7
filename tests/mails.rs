//! Every kind of mail as it arrives, for people to look at: written to `target/tmp/mails`, one page each, as a browser of a
//! telephone's width shows it. What must hold for all of them is checked here; what each says, in `src/notice`.

#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use atalaya::domain::{Key, Millis, Timestamp};
use atalaya::indicators::Topics;
use atalaya::matrix::engine::{
    Acknowledged, Engine, Feed, FeedState, Feeds, Flaps, HeldBack, Notification, Reason, Transition, Trend,
};
use atalaya::matrix::{Language, Level, Medium};
use atalaya::notice::{
    Acknowledging, Body, Context, Email, Message, Refused, render, render_missed, render_refused, trial,
};
use atalaya::plan::Plan;
use atalaya::{domain, indicators, matrix, plan};
use base64::Engine as _;
use samples::{START, critical, repeat, resolved};

#[path = "../src/notice/samples.rs"]
mod samples;

#[derive(Debug)]
struct Links(bool);

impl Acknowledging for Links {
    fn code(&self, _: &str) -> String {
        "K7QF-2MXD".to_owned()
    }
    fn link(&self, incident: &str, contact: &str, now: Timestamp) -> Option<String> {
        self.0.then(|| format!("https://atalaya.acme.example/ack?i={incident}&c={contact}&t={}&s=5c1f0e", now.0))
    }
}

/// Another transition of the same incident.
fn changed(first: &Notification, change: impl FnOnce(&mut Transition)) -> Notification {
    let mut transition = (*first.transition).clone();
    change(&mut transition);
    let (level, reason, value) = (transition.to, transition.reason, transition.value);
    Notification { level, reason, value, transition: Arc::new(transition), ..first.clone() }
}

/// With a trend that ends with the value of the notice, at its time: down from the peak once it is better.
fn told(notice: &Notification) -> Notification {
    let peak = notice.transition.from > notice.transition.to;
    let start = match (notice.transition.selector.indicator.unit, peak) {
        (indicators::Unit::Ratio, _) => 0.94,
        (_, true) => 2880.0,
        (_, false) => 700.0,
    };
    let end = notice.value.unwrap_or(1.8 * start);
    let at = |minute: i64| notice.time - Millis((60 - minute) * 60_000);
    let known = |minute: &i64| !(24..30).contains(minute) && (notice.value.is_some() || *minute < 52);
    let noise = |minute: i64| if minute == 60 { 0.0 } else { (minute * 7919 % 13) as f64 * 0.004 * start };
    let value = |minute: i64| start + (end - start) * (minute as f64 / 60.0).powi(2) - noise(minute);
    let points = (0..=60).map(|minute| (at(minute), known(&minute).then(|| value(minute)))).collect();
    Notification { trend: Some(Arc::new(Trend(points))), ..notice.clone() }
}

/// The mail that tells the owner that a feed is dead: made by the engine, which alone knows how.
fn dead_feed(language: Language) -> Notification {
    let mut matrix = Arc::try_unwrap(samples::matrix(language, "")).unwrap();
    matrix.contacts.get_mut("desk").unwrap().email = Some("desk@acme.example".into());
    let mut engine = Engine::new(vec![Arc::new(matrix)], Arc::new(Plan::default()));
    struct Nothing;
    impl matrix::engine::Readings for Nothing {
        fn keys(&self) -> Vec<Key> {
            Vec::new()
        }
        fn read(&mut self, _: &Key, _: &indicators::Selector) -> indicators::Reading {
            indicators::Reading::default()
        }
    }
    let carries = Topics { interactions: true, agents: false };
    let state = FeedState::Silent { since: START - Millis(360_000) };
    let feeds = Feeds(vec![Feed { source: "atalaya.interactions".into(), carries, state }]);
    let told = engine.tick(START, &mut Nothing, &feeds).notifications;
    told.into_iter().find(|notice| notice.medium == Medium::Email).expect("the owner is told")
}

/// A matrix as people write it, with a row over every queue of facebook and `more` in its head.
fn compiled(language: Language, more: &str) -> (Vec<Arc<matrix::Matrix>>, Arc<Plan>) {
    let (code, [call, run]) = match language {
        Language::Es => ("es", ["Activar agentes en descanso", "Mover 2 agentes del chat a {{ queue }}"]),
        Language::En => ("en", ["Call agents back from their break", "Move 2 agents from chat to {{ queue }}"]),
        Language::Pt => ("pt", ["Chamar agentes em pausa", "Mover 2 agentes do chat para {{ queue }}"]),
    };
    let text = format!(
        "version: 1\nname: facebook-care\nlanguage: {code}\ntime_zone: America/Bogota\nscope: {{ channel: facebook }}\n\
         contacts: {{ lead: {{ email: lead@acme.example }} }}\n{more}\nrows:\n  - indicator: asa\n    window: 15m\n    \
         goal: \"< 30m\"\n    recover: {{ for: 0s }}\n    ranges:\n      - {{ when: \"< 30m\", level: ok }}\n      \
         - {{ when: \"30m .. 45m\", level: warning, tell: [lead], action: \"{call}\" }}\n      \
         - {{ when: \">= 45m\", level: critical, tell: [lead], action: \"{run}\" }}\n"
    );
    let set = atalaya::config::matrices(&[("care.yaml".to_owned(), text)], None);
    let set = set.unwrap_or_else(|defects| panic!("{defects:#?}"));
    (set.matrices, set.plan)
}

/// Queues by the value that a test gave each.
struct Waits(BTreeMap<Key, f64>);

impl matrix::engine::Readings for Waits {
    fn keys(&self) -> Vec<Key> {
        self.0.keys().cloned().collect()
    }
    fn read(&mut self, key: &Key, _: &indicators::Selector) -> indicators::Reading {
        indicators::Reading { value: self.0.get(key).copied(), samples: 14.0 }
    }
}

/// The three mails of a gathering of so many queues: they go off, some change (one gets worse, one is well again, one
/// joins), all are over. Made by the engine, which alone knows how.
fn gathered(language: Language, queues: usize) -> [Notification; 3] {
    let (matrices, plan) = compiled(language, "group: { by: row, wait: 20s }");
    let mut engine = Engine::new(matrices, plan);
    let names = ["reclamos", "soporte_tecnico", "devoluciones_internacionales_prioridad_alta", "ventas", "vip"];
    let key = |index: usize| match names.get(index) {
        Some(name) => Key::pair(name, "facebook"),
        None => Key::pair(&format!("cola_{index:02}"), "facebook"),
    };
    let value = |index: usize| 1830.0 + (index * 7919 % 1400) as f64;
    let mut waits = Waits((0..queues).map(|index| (key(index), value(index))).collect());
    let mut mails = Vec::new();
    for second in 0..2_500 {
        let now = START + Millis::seconds(second);
        match second {
            600 => {
                waits.0.insert(key(0), 4000.0);
                waits.0.insert(key(1), 900.0);
                waits.0.insert(Key::pair("cobranza", "facebook"), 2100.0);
            }
            2_400 => waits.0.values_mut().for_each(|value| *value = 600.0),
            _ => {}
        }
        mails.extend(engine.tick(now, &mut waits, &Feeds::default()).notifications);
    }
    mails.try_into().unwrap_or_else(|mails: Vec<_>| panic!("{} mails", mails.len()))
}

/// A notice of a matrix with texts of its own.
fn own_texts(language: Language) -> Notification {
    let texts = r#"texts:
  subject: "{{ level_word }} {{ place }}: {{ value }}"
  text: "{{ headline }}\n{{ action }}\n{{ trend }}"
  html: |
    <h1 style="font-size:20px">{{ headline }}</h1>
    <p><strong>{{ action }}</strong></p>
    {% if picture %}<p><img src="{{ picture }}" alt="" style="max-width:100%"></p>{% endif %}
    <ul>{% for remark in remarks %}<li>{{ remark }}</li>{% endfor %}</ul>
"#;
    critical(compiled(language, texts).0.remove(0))
}

/// Name and mail of every kind.
fn all(language: Language) -> Vec<(&'static str, Email)> {
    let action = match language {
        Language::Es => "Mover 2 agentes del chat a {{ queue }} y habilitar la cola de Facebook",
        Language::En => "Move 2 agents from chat to {{ queue }} and open the queue of Facebook",
        Language::Pt => "Mover 2 agentes do chat para {{ queue }} e habilitar a fila do Facebook",
    };
    let plan = Plan::default();
    let board = Some("https://atalaya.acme.example");
    let context = Context { acknowledging: Some(&Links(true)), board, ..Context::new(&plan, "acme.example") };
    let matrix = samples::matrix(language, action);
    let first = critical(matrix.clone());
    let with = |reason| changed(&first, |transition| transition.reason = reason);
    let say = |notification: &Notification| match notification.trend {
        Some(_) => email(render(&told(notification), &context)),
        None => email(render(notification, &context)),
    };
    let warning = changed(&first, |transition| {
        (transition.range, transition.to, transition.value) = (Some(1), Level::Warning, Some(2100.0));
    });
    let improved = changed(&first, |transition| {
        (transition.from, transition.to, transition.range) = (Level::Critical, Level::Warning, Some(1));
        (transition.value, transition.reason) = (Some(2400.0), Reason::Improved);
    });
    let again = repeat(&first);
    let escalated = Notification {
        to: "manager".into(),
        address: "manager@acme.example".into(),
        reason: Reason::Escalation,
        time: START + Millis(600_000),
        value_time: START + Millis(600_000),
        ran: Millis(600_000),
        ..again.clone()
    };
    let seen = Acknowledged {
        by: "ana".into(),
        at: START,
        until: START + Millis(14_400_000),
        why: "dos agentes en camino".into(),
        level: Level::Critical,
    };
    let no_data = changed(&first, |transition| {
        (transition.range, transition.to, transition.value) = (None, Level::Warning, None);
        transition.reason = Reason::NoData;
    });
    let service_level = changed(&first, |transition| {
        (transition.row, transition.range, transition.value) = (1, Some(0), Some(0.62));
        transition.selector.indicator = indicators::find("service_level").unwrap();
        transition.selector.labels.threshold = plan.default_threshold(Some("voice"));
        (transition.key, transition.samples) = (Key::pair("ventas", "voice"), 93.0);
    });
    let removed = changed(&resolved(&first), |transition| transition.reason = Reason::Removed);
    let held = HeldBack {
        notices: 19,
        incidents: vec![(first.clone(), 3), (warning.clone(), 1), (resolved(&first), 2)],
        beyond: 13,
    };
    let held = Notification {
        incident: "more-1".into(),
        reason: Reason::HeldBack,
        held_back: Some(Arc::new(held)),
        ..first.clone()
    };
    let owner = atalaya::matrix::Contact { email: Some("ops@acme.example".into()), ..Default::default() };
    let why = "escalation-matrices/care.yaml:14:9: gap between 30m and 35m\nescalation-matrices/care.yaml:22:5: \
               contact `jefe` does not exist; did you mean `lead`?";
    let refused = Refused { now: START, matrix: &ownerless(language), hash: "5c1f0e", defects: 2, why };
    let to = trial::Recipient { to: "lead".into(), medium: Medium::Email, address: "lead@acme.example".into() };
    let [tried, _] = trial::notices(&to, language, START).unwrap();
    let mut late = say(&first);
    (late.text, late.html) = (late.late_text.clone(), late.late_html.clone());
    let long =
        changed(&critical(samples::matrix(language, &format!("1. {action}.\n2. {action}.\n3. {action}."))), |one| {
            one.key =
                Key { queue: Some("reclamos_y_devoluciones_internacionales_prioridad_alta".into()), channel: None };
        });
    let code = Context { acknowledging: Some(&Links(false)), board: None, ..context };
    let [few_first, few_follow, few_over] = gathered(language, 3).map(|notice| say(&notice));
    let [many_first, many_follow, many_over] = gathered(language, 60).map(|notice| say(&notice));
    vec![
        ("critical", say(&first)),
        ("warning", say(&warning)),
        ("improved", say(&Notification { value: Some(2400.0), ..improved })),
        ("recovered", say(&resolved(&first))),
        ("repeat", say(&again)),
        ("repeat-acknowledged", say(&Notification { acknowledged: Some(seen), ..again.clone() })),
        ("escalation", say(&escalated)),
        ("opened", say(&with(Reason::Opened))),
        ("no-data", say(&Notification { value: None, samples: 0.0, ..no_data })),
        ("flapping", say(&Notification { flaps: Some(Flaps { changes: 6, since: START }), ..with(Reason::Flapping) })),
        ("service-level", say(&service_level)),
        ("feed", say(&dead_feed(language))),
        ("removed", say(&removed)),
        ("silence-ended", say(&with(Reason::SilenceEnded))),
        ("missed", email(render_missed(&told(&first), "550 no such user", Some(&owner), &context).remove(0))),
        ("late", late),
        ("held-back", say(&held)),
        ("refused", email(render_refused(&refused, Some(&owner), &context).remove(0))),
        ("test", email(render(&tried, &Context { test: true, acknowledging: None, ..context }))),
        ("code", email(render(&told(&first), &code))),
        ("restarted", email(render(&told(&first), &Context { restarted: true, ..context }))),
        ("long", say(&long)),
        ("gathered-3-first", few_first),
        ("gathered-3-follow", few_follow),
        ("gathered-3-over", few_over),
        ("gathered-60-first", many_first),
        ("gathered-60-follow", many_follow),
        ("gathered-60-over", many_over),
        ("own-texts", email(render(&told(&own_texts(language)), &context))),
    ]
}

fn ownerless(language: Language) -> Arc<matrix::Matrix> {
    let mut matrix = Arc::try_unwrap(samples::matrix(language, "")).unwrap();
    matrix.owner = None;
    Arc::new(matrix)
}

fn email(message: Message) -> Email {
    match message.body {
        Body::Email(email) => *email,
        Body::Webhook(_) => panic!("not a mail"),
    }
}

/// The kinds of mail that have no trend to show: many cases would have many.
fn is_bare(kind: &str) -> bool {
    ["feed", "held-back", "refused", "test"].contains(&kind) || kind.starts_with("gathered-")
}

#[test]
fn every_kind_of_mail_can_be_read_on_a_telephone() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mails");
    fs::create_dir_all(&folder).unwrap();
    for (code, language) in [("es", Language::Es), ("en", Language::En), ("pt", Language::Pt)] {
        for (kind, mail) in all(language) {
            let Email { subject, text, html, picture, .. } = &mail;
            let name = format!("{code}-{kind}");
            // What a page of their own says of its width is its author's matter.
            let fits = html.contains("width=device-width") && html.contains("color-scheme");
            assert!(fits || kind == "own-texts", "{name}");
            assert!(!html.contains("src=\"http") && !html.contains("url("), "{name} fetches something");
            assert_eq!(picture.is_none(), is_bare(kind), "{name}");
            assert!(subject.len() < 300 && !text.is_empty(), "{name}");
            // A picture that is not shown would arrive as an attachment, and one that is missing as a broken frame.
            assert_eq!(html.matches("<img").count(), usize::from(picture.is_some()), "{name}");
            let shown = picture.iter().fold(html.clone(), |html, picture| {
                let data = base64::engine::general_purpose::STANDARD.encode(picture.png());
                html.replace(&format!("cid:{}", picture.id), &format!("data:image/png;base64,{data}"))
            });
            assert!(!shown.contains("cid:"), "{name} shows a picture that is not in it");
            fs::write(folder.join(format!("{name}.html")), shown).unwrap();
            fs::write(folder.join(format!("{name}.txt")), format!("Subject: {subject}\n\n{text}")).unwrap();
        }
    }
}

//! The whole way of an event, against real things: a recorded day through a real Apache Kafka and the built program, to
//! its metrics, its API, a real mailbox and a webhook; and how the program ends and starts again.
//!
//! The recording is Sunday 1 August 1999 at the call centre of an Israeli bank (Technion, "Anonymous Bank"); it is not
//! part of the repository. Without it this says so, and a synthetic day stands in, measured against `backtest`.
#![cfg(feature = "shell")]
#![allow(clippy::disallowed_methods, reason = "this waits for real programs, on the real clock")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use atalaya::clock;
use base64::Engine as _;
use rdkafka::producer::{BaseProducer, BaseRecord};
use serde_json::{Value, json};
use support::kafka::{Line, RealKafka, eventually};
use support::mail::{Mail, RealSmtp};
use support::program::{Files, Program, command};
use support::receiver::Receiver;

const TOPIC: &str = "atalaya.interactions";
const AGENTS: &str = "atalaya.agent-states";
const PARTITIONS: i32 = 4;
const KEY: &[u8] = b"a key of the webhook, 32 bytes..";
/// Secrets that no log may show.
const SASL_PASSWORD: &str = "sasl-password-of-the-test";
const URL_TOKEN: &str = "token-of-the-url";

/// LIMIT is of the day.
const MATRIX: &str = r#"
version: 1
name: banco
language: es
time_zone: Asia/Jerusalem
scope: { channel: voice }
contacts:
  lead:    { email: lead@acme.example }
  manager: { email: manager@acme.example }
  shift:   { email: shift@acme.example }
  desk:    { webhook: wfm-desk }
rows:
  - indicator: asa
    window: 24h
    per: channel
    goal: "< LIMITs"
    ranges:
      - { when: "< LIMITs", level: ok }
      - { when: ">= LIMITs", level: warning, tell: [lead, desk], action: "Sumar agentes a {{ channel }}" }
  - indicator: asa
    window: 24h
    per: pair
    goal: "< LIMITs"
    ranges:
      - { when: "< LIMITs", level: ok }
      - { when: ">= LIMITs", level: critical, tell: [manager], action: "Reforzar {{ queue }}" }
  - indicator: waiting
    scope: { channel: phone }
    per: channel
    goal: "< 1"
    ranges:
      - { when: "< 1", level: ok }
      - { when: "1 .. 3", level: warning, tell: [shift], action: "Atender" }
      - { when: ">= 3", level: critical, tell: [shift], action: "Atender ya", repeat: 3s }
    recover: { for: 1s }
"#;

/// The day to play, and the figures that voice must show over 24 h.
struct Day {
    file: PathBuf,
    figures: BTreeMap<&'static str, f64>,
    interactions: usize,
    agents: usize,
    /// From how many seconds on a mean wait is too long.
    limit: u32,
}

fn recording() -> Option<PathBuf> {
    let name = "technion-1999-08-01.ndjson";
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    let told = std::env::var("ATALAYA_TEST_DATA").ok().map(|folder| Path::new(&folder).join(name));
    [Some(beside), told].into_iter().flatten().find(|path| path.is_file())
}

fn day(files: &Files) -> Day {
    let published =
        [("arrivals", 2357.0), ("queued", 2239.0), ("answered", 1511.0), ("abandoned", 728.0), ("asa", 134.85)];
    if let Some(file) = recording() {
        let figures = published.into_iter().collect();
        let interactions = fs::read_to_string(&file).unwrap().lines().count();
        return Day { file, figures, interactions, agents: 0, limit: 60 };
    }
    eprintln!("no recorded day in ../shared/data nor in $ATALAYA_TEST_DATA: a synthetic one stands in");
    let arguments = ["--seed", "7", "--scale", "0.1", "--start", "2026-03-01T00:10:00Z", "--duration", "23h40m"];
    let made = command(&[&["simulate"], &arguments[..]].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let text = String::from_utf8(made.stdout).unwrap();
    let agents = text.lines().filter(|line| line.contains("\"agent.state\"")).count();
    let file = files.write("day.ndjson", &text);
    let names = published.map(|(name, _)| name);
    let shown = file.display().to_string();
    let told = command(&[
        "backtest",
        "--events",
        &shown,
        "--every",
        "24h",
        "--indicators",
        &names.join(","),
        "--format",
        "json",
    ]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let mut figures = BTreeMap::new();
    for line in String::from_utf8(told.stdout).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        if record["channel"] == "voice" && record["queue"].is_null() && record["window"] == "24h" {
            let name = names.into_iter().find(|name| record["indicator"] == *name).unwrap();
            figures.insert(name, record["value"].as_f64().unwrap());
        }
    }
    assert_eq!(figures.len(), names.len(), "{figures:?}");
    // Half of what it comes to, so that it is violated whatever the simulation is like.
    let limit = (figures["asa"] / 2.0).ceil() as u32;
    Day { file, figures, interactions: text.lines().count() - agents, agents, limit }
}

/// The broker, the mail server and the webhook's receiver, and the program's files for them.
struct Scene {
    kafka: RealKafka,
    smtp: RealSmtp,
    receiver: Receiver,
    config: PathBuf,
    day: Day,
    _files: Files,
}

fn scene() -> Option<Scene> {
    let smtp = RealSmtp::start(&["lead@acme.example", "manager@acme.example", "shift@acme.example"])?;
    let kafka = RealKafka::start()?;
    let receiver = Receiver::start();
    kafka.create_topic(TOPIC, PARTITIONS);
    kafka.create_topic(AGENTS, 2);
    let files = Files::new();
    let day = day(&files);
    files.write("matrices/banco.yaml", &MATRIX.replace("LIMIT", &day.limit.to_string()));
    let key = base64::engine::general_purpose::STANDARD.encode(KEY);
    let secret = files.write("desk.secret", &format!("whsec_{key}\n"));
    let password = files.write("sasl.secret", SASL_PASSWORD);
    let config = files.write(
        "atalaya.yaml",
        &format!(
            r#"
time_zone: Asia/Jerusalem
kafka:
  brokers: ["{}"]
  group: e2e
  instance: e2e-1
  properties: {{ sasl.password_file: "{}" }}
matrices: [matrices]
smtp: {{ url: "smtp://127.0.0.1:{}", tls: none, from: "Atalaya <atalaya@acme.example>" }}
webhooks: {{ wfm-desk: {{ format: generic, url: "http://127.0.0.1:{}/hook?token={URL_TOKEN}", secret_file: "{}" }} }}
"#,
            kafka.bootstrap(),
            password.display(),
            smtp.port,
            receiver.port,
            secret.display()
        ),
    );
    Some(Scene { kafka, smtp, receiver, config, day, _files: files })
}

impl Scene {
    fn run(&self) -> Program {
        let mut program = Program::start(&self.config, &[("RUST_LOG", "debug"), ("ATALAYA_KAFKA__THREADS", "3")]);
        program.wait_until_ready();
        program
    }

    fn mails_to(&self, who: &str) -> Vec<Mail> {
        let mut mails = self.smtp.mails();
        mails.retain(|mail| mail.to == format!("{who}@acme.example"));
        mails
    }

    fn event(&self, id: &str, kind: &str, more: Value) {
        let mut event = json!({"type": kind, "time": clock::now().0, "interaction": id});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let payload = Some(event.to_string().into_bytes());
        self.kafka.produce(TOPIC, [Line { key: Some(id.into()), payload, ..Line::default() }]);
    }
}

#[test]
fn a_day_through_kafka_comes_out_as_published() {
    let Some(scene) = scene() else { return };
    play(&scene, &scene.day);
    let mut program = scene.run();
    shows_the_figures(&program, &scene.day);
    tells_once_for_each_incident(&scene, &program);
    follows_a_live_case(&scene, &program);
    shows_an_event_soon(&scene, &program);
    keeps_what_it_refuses(&scene, &program);
    ends_in_order(&scene, &mut program);
    says_after_a_restart_without_memory_what_is_still_open(&scene);
}

/// `simulate --replay` moves the day to end now, with event time as Kafka's.
fn play(scene: &Scene, day: &Day) {
    let file = day.file.display().to_string();
    let sent = command(&["simulate", "--replay", &file, "--brokers", &scene.kafka.bootstrap()]);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let records = scene.kafka.consume_all(TOPIC);
    assert_eq!(records.len(), day.interactions);
    assert_eq!(scene.kafka.consume_all(AGENTS).len(), day.agents);
    let mut partition_of = BTreeMap::new();
    let mut latest = 0;
    for record in &records {
        let event: Value = serde_json::from_slice(record.payload.as_ref().unwrap()).unwrap();
        let time = match &event["time"] {
            Value::String(text) => text.parse::<jiff::Timestamp>().unwrap().as_millisecond(),
            number => number.as_i64().unwrap(),
        };
        assert_eq!(record.timestamp, Some(time), "event time");
        latest = latest.max(time);
        let key = event["interaction"].as_str().unwrap_or("feed");
        assert_eq!(record.key.as_deref(), Some(key.as_bytes()), "{event}");
        let partition = partition_of.entry(record.key.clone()).or_insert(record.partition);
        assert_eq!(*partition, record.partition, "an interaction stays in its partition");
    }
    let used: BTreeSet<i32> = partition_of.into_values().collect();
    assert_eq!(used.len(), PARTITIONS as usize, "every partition has some");
    let age = clock::now().0 - latest;
    assert!((0..120_000).contains(&age), "it ends now, not {age} ms ago");
}

/// The record of the API for voice rolled up over its queues.
fn over_voice(program: &Program, indicator: &str, window: &str) -> Value {
    let answer = program.api(&format!("/api/v1/indicators?indicator={indicator}&window={window}&channel=voice"));
    let age = clock::now().0 - answer["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
    assert!((0..=5_000).contains(&age), "one instant, at most 5 s old: {age} ms");
    let of = |record: &&Value| record["queue"].is_null() && record["channel"] == "voice";
    answer["indicators"].as_array().unwrap().iter().find(of).unwrap_or_else(|| panic!("{indicator}: {answer}")).clone()
}

fn shows_the_figures(program: &Program, day: &Day) {
    let metrics = program.metrics();
    for (name, expected) in &day.figures {
        let record = over_voice(program, name, "24h");
        let (metric, tolerance) =
            if *name == "asa" { ("atalaya_asa_seconds".into(), 0.01) } else { (format!("atalaya_{name}"), 0.0) };
        let labels = [("channel", "voice"), ("window", "24h")];
        let shown = metrics.get(&metric, &labels).unwrap_or_else(|| panic!("no {metric}"));
        for (place, value) in [("the API", record["value"].as_f64().unwrap()), ("/metrics", shown)] {
            assert!((value - expected).abs() <= tolerance, "{name} is {value} on {place}, not {expected}");
        }
    }
    // Voice is all that the recorded day has: over everything it is the same.
    if day.agents == 0 {
        assert_eq!(metrics.get("atalaya_answered", &[("window", "24h")]), Some(day.figures["answered"]));
    }
    assert_eq!(over_voice(program, "asa", "24h")["samples"].as_f64(), Some(day.figures["answered"]));
    let read = |outcome: &[(&'static str, &'static str)]| {
        metrics.sum("atalaya_events_total", &[&[("source", TOPIC)], outcome].concat())
    };
    assert_eq!(read(&[]), day.interactions as f64, "every record has an outcome");
    // A heartbeat, for one, has no effect on a figure; of the recorded day every record has.
    assert!(day.agents > 0 || read(&[("outcome", "applied")]) == day.interactions as f64);
    assert_eq!(metrics.sum("atalaya_events_total", &[("outcome", "rejected")]), 0.0);
    assert_eq!(metrics.sum("atalaya_source_lag_records", &[]), 0.0);
    for name in ["atalaya_ready", "atalaya_evaluator"] {
        assert_eq!(metrics.get(name, &[]), Some(1.0), "{name}");
    }
    assert_eq!(program.degraded(), [""; 0]);
}

/// The queues whose `asa` is in the critical range.
fn slow_queues(scene: &Scene, program: &Program) -> BTreeSet<String> {
    let limit = f64::from(scene.day.limit);
    let answer = program.api("/api/v1/indicators?indicator=asa&window=24h&channel=voice");
    let slow = |record: &&Value| record["value"].as_f64().is_some_and(|value| value >= limit);
    let records = answer["indicators"].as_array().unwrap().iter().filter(slow);
    records.filter_map(|record| Some(record["queue"].as_str()?.to_owned())).collect()
}

fn tells_once_for_each_incident(scene: &Scene, program: &Program) {
    let slow = slow_queues(scene, program);
    assert!(!slow.is_empty(), "the day violates the row");
    eventually("the mails of every incident", || scene.smtp.count() > slow.len());
    let lead = scene.mails_to("lead");
    assert_eq!(lead.len(), 1, "{lead:#?}");
    let mail = &lead[0];
    assert!(mail.subject.starts_with("ADVERTENCIA · "), "{}", mail.subject);
    assert!(mail.subject.contains("voice"), "{}", mail.subject);
    // A first start cannot have told it before.
    assert!(mail.text.starts_with("QUÉ HACER:\nSumar agentes a voice"), "{}", mail.text);
    assert!(mail.html.contains("Sumar agentes a voice"));
    let mails = scene.mails_to("manager");
    assert_eq!(mails.len(), slow.len(), "{slow:?} {mails:#?}");
    for queue in &slow {
        let about = mails.iter().filter(|mail| mail.text.contains(&format!("Reforzar {queue}\n"))).count();
        assert_eq!(about, 1, "one mail of {queue}");
    }
    let roots: BTreeSet<&String> = mails.iter().chain(&lead).map(|mail| mail.references.first().unwrap()).collect();
    assert_eq!(roots.len(), slow.len() + 1, "a thread of its own for each incident");

    eventually("the webhook", || !scene.receiver.taken().is_empty());
    let taken = scene.receiver.taken();
    assert_eq!(taken.len(), 1, "{taken:#?}");
    let hook = &taken[0];
    assert!(hook.is_signed_with(KEY), "{hook:#?}");
    assert!(!hook.is_signed_with(b"another key"));
    assert_eq!(hook.path, format!("/hook?token={URL_TOKEN}"));
    let sent: i64 = hook.header("webhook-timestamp").parse().unwrap();
    assert!((clock::now().0 / 1000 - sent).abs() < 60);
    let (body, data) = (hook.json(), hook.json()["data"].clone());
    assert_eq!(body["type"], "alert");
    for (name, expected) in [
        ("matrix", "banco"),
        ("channel", "voice"),
        ("indicator", "asa"),
        ("window", "24h"),
        ("from", "ok"),
        ("level", "warning"),
        ("to", "desk"),
        ("medium", "webhook"),
        ("goal", &*format!("< {}s", scene.day.limit)),
        ("reason", "range"),
        ("action", "Sumar agentes a voice"),
    ] {
        assert_eq!(data[name], expected, "{name} of {data}");
    }
    let asa = over_voice(program, "asa", "24h");
    assert_eq!((&data["value"], &data["samples"], data.get("queue")), (&asa["value"], &asa["samples"], None));
    assert_eq!(data.get("restarted"), None);

    let alerts = program.api("/api/v1/alerts");
    let open = alerts["alerts"].as_array().unwrap();
    assert_eq!(open.len(), slow.len() + 1);
    assert!(open.iter().any(|alert| alert["incident"] == data["incident"] && alert["to"] == "warning"), "{alerts}");
    let metrics = program.metrics();
    let labels = [("matrix", "banco"), ("indicator", "asa"), ("channel", "voice"), ("window", "24h")];
    assert_eq!(metrics.get("atalaya_alert_level", &labels), Some(2.0));
    eventually("the deliveries are counted", || {
        let metrics = program.metrics();
        let sent = |medium| metrics.get("atalaya_notifications_total", &[("medium", medium), ("result", "sent")]);
        sent("email") == Some(slow.len() as f64 + 1.0) && sent("webhook") == Some(1.0)
    });
}

/// A case that gets worse, is repeated and ends, as it happens: one thread of mails.
fn follows_a_live_case(scene: &Scene, program: &Program) {
    let count = || scene.mails_to("shift").len();
    let queued = json!({"queue": "PS", "channel": "phone"});
    scene.event("live-1", "interaction.queued", queued.clone());
    eventually("a mail of the first caller", || count() == 1);
    scene.event("live-2", "interaction.queued", queued.clone());
    scene.event("live-3", "interaction.queued", queued);
    eventually("the worse level, and its repeat", || count() >= 3);
    for id in ["live-1", "live-2", "live-3"] {
        scene.event(id, "interaction.abandoned", json!({}));
    }
    let over = |mail: &Mail| mail.subject.starts_with("RESUELTO");
    eventually("the end", || scene.mails_to("shift").iter().any(over));
    let mails = scene.mails_to("shift");
    let first = mails.iter().find(|mail| mail.subject.starts_with("ADVERTENCIA")).expect("a warning");
    let worse: Vec<&Mail> = mails.iter().filter(|mail| mail.subject.starts_with("CRÍTICO")).collect();
    assert!(worse.len() >= 2, "{mails:#?}");
    assert!(worse.iter().all(|mail| mail.subject == worse[0].subject), "the subject stays while the level lasts");
    let ids: BTreeSet<&String> = mails.iter().map(|mail| &mail.id).collect();
    assert_eq!(ids.len(), mails.len(), "each mail has an id of its own");
    let root = first.references.first().expect("a root");
    for mail in &mails {
        assert_eq!(mail.references.first(), Some(root), "one thread: {mail:#?}");
        let answers = mail.in_reply_to.as_ref().unwrap();
        assert!(*answers == *root || ids.contains(answers), "it answers a mail of the thread: {mail:#?}");
    }
    let open = program.api("/api/v1/alerts");
    assert!(open["alerts"].as_array().unwrap().iter().all(|alert| alert["indicator"] != "waiting"), "{open}");
}

/// How long it takes from producing an event until `/metrics` shows it.
fn shows_an_event_soon(scene: &Scene, program: &Program) {
    let arrivals =
        || program.metrics().get("atalaya_arrivals", &[("channel", "mail"), ("window", "1h")]).unwrap_or(0.0);
    let producer: BaseProducer = scene.kafka.client().set("linger.ms", "0").create().unwrap();
    let mut took = Vec::new();
    for n in 0..40 {
        let arrived =
            json!({"type": "interaction.arrived", "time": clock::now().0, "interaction": n, "channel": "mail"});
        let (key, payload) = (n.to_string(), arrived.to_string());
        let sent = Instant::now();
        producer.send(BaseRecord::to(TOPIC).key(&key).payload(&payload)).unwrap();
        eventually("the arrival is shown", || {
            producer.poll(Duration::ZERO);
            arrivals() >= f64::from(n + 1)
        });
        // The first one pays for the connection.
        if n > 0 {
            took.push(sent.elapsed());
        }
    }
    took.sort();
    let (median, longest) = (took[took.len() / 2], took[took.len() - 1]);
    eprintln!(
        "from the producer to /metrics, {} events one by one: median {median:?}, longest {longest:?}",
        took.len()
    );
    assert!(median < Duration::from_secs(1), "{took:?}");
}

/// Bad records: kept whole with their reasons, counted, and in nobody's way.
fn keeps_what_it_refuses(scene: &Scene, program: &Program) {
    let now = clock::now().0;
    let bad: Vec<(&str, &str, Vec<u8>)> = vec![
        (TOPIC, "not_json", b"}{ not JSON".to_vec()),
        (TOPIC, "not_utf8", b"{\"type\":\"\xff\xfe\"}".to_vec()),
        (TOPIC, "not_an_object", b"[1, 2]".to_vec()),
        (TOPIC, "too_deep", [vec![b'['; 5_000], vec![b']'; 5_000]].concat()),
        (TOPIC, "no_type", format!("{{\"time\":{now},\"interaction\":\"x\"}}").into_bytes()),
        (TOPIC, "no_key", format!("{{\"type\":\"interaction.closed\",\"time\":{now}}}").into_bytes()),
        (TOPIC, "bad_time", b"{\"type\":\"interaction.closed\",\"time\":\"tomorrow\",\"interaction\":\"x\"}".to_vec()),
        (
            AGENTS,
            "unknown_state",
            format!("{{\"type\":\"agent.state\",\"time\":{now},\"agent\":\"a\",\"state\":\"siesta\"}}").into_bytes(),
        ),
    ];
    let mut sent = BTreeMap::new();
    for (n, (topic, reason, payload)) in bad.iter().enumerate() {
        // A key that is no text, and none at all, are kept as they are.
        let key = (n > 0).then(|| vec![0xfe, n as u8]);
        sent.insert((*reason).to_owned(), ((*topic).to_owned(), key.clone(), payload.clone()));
        let line = Line { key, payload: Some(payload.clone()), partition: Some((n % 2) as i32), timestamp: None };
        scene.kafka.produce(topic, [line]);
    }
    let counted =
        |reason: &str| program.metrics().sum("atalaya_events_total", &[("outcome", "rejected"), ("reason", reason)]);
    eventually("each is counted by its reason", || bad.iter().all(|(_, reason, _)| counted(reason) == 1.0));
    eventually("all are kept", || scene.kafka.consume_all("atalaya.dead-letters").len() >= bad.len());
    let kept = scene.kafka.consume_all("atalaya.dead-letters");
    assert_eq!(kept.len(), bad.len());
    for letter in kept {
        let (topic, key, payload) = &sent[&letter.headers["reason"]];
        assert_eq!(&letter.headers["topic"], topic);
        assert_eq!((&letter.key, letter.payload.as_ref()), (key, Some(payload)), "its own key and bytes");
        let names: Vec<&str> = letter.headers.keys().map(String::as_str).collect();
        assert_eq!(names, ["offset", "partition", "reason", "topic"]);
        // Where it says it lay, it lies.
        let (partition, offset): (i32, i64) =
            (letter.headers["partition"].parse().unwrap(), letter.headers["offset"].parse().unwrap());
        let source = scene.kafka.consume_all(topic);
        let there = source.iter().find(|record| (record.partition, record.offset) == (partition, offset)).unwrap();
        assert_eq!(there.payload.as_ref(), Some(payload));
    }
    eventually("the dead letters are counted", || {
        program.metrics().get("atalaya_dead_letters_total", &[("result", "written")]) == Some(bad.len() as f64)
    });
    let ignored = || program.metrics().sum("atalaya_events_total", &[("outcome", "ignored")]);
    let before = ignored();
    scene.kafka.produce(TOPIC, [Line { key: Some(b"gone".to_vec()), ..Line::default() }]);
    eventually("what has no payload is counted as well", || ignored() == before + 1.0);
    assert!(program.is_ready());
}

/// The ends of the partitions of a topic.
fn ends(kafka: &RealKafka, topic: &str, partitions: i32) -> Vec<Option<i64>> {
    let all = kafka.consume_all(topic);
    let end = |partition| all.iter().filter(|r| r.partition == partition).map(|r| r.offset + 1).max();
    (0..partitions).map(end).collect()
}

fn ends_in_order(scene: &Scene, program: &mut Program) {
    // A page that is being fed, and a bad record as the last one, hold nothing up.
    let port = program.port;
    std::thread::spawn(move || support::program::get(port, "/api/v1/stream", "text/event-stream"));
    scene.kafka.produce(TOPIC, (0..200).map(|_| Line { payload: Some(b"late garbage".to_vec()), ..Line::default() }));
    let refused = |program: &Program| program.metrics().sum("atalaya_events_total", &[("reason", "not_json")]);
    eventually("the last are read", || refused(program) == 201.0);
    let (status, took) = program.terminate();
    eprintln!("SIGTERM to the end: {took:?}");
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(scene.kafka.committed("e2e", TOPIC, PARTITIONS), ends(&scene.kafka, TOPIC, PARTITIONS));
    let log = program.log();
    assert!(log.contains("stopping"), "{log}");
    for secret in [SASL_PASSWORD, URL_TOKEN, &base64::engine::general_purpose::STANDARD.encode(KEY)] {
        assert!(!log.contains(secret), "the log shows {secret}");
    }
}

/// Nothing is known of what was decided: it is kept in a topic that is new.
fn says_after_a_restart_without_memory_what_is_still_open(scene: &Scene) {
    let (before, hooks) = (scene.mails_to("lead").len(), scene.receiver.taken().len());
    let letters = scene.kafka.consume_all("atalaya.dead-letters").len();
    let began = Instant::now();
    let mut program = Program::start(
        &scene.config,
        &[("ATALAYA_KAFKA__SNAPSHOTS", "forgotten.snapshots"), ("ATALAYA_KAFKA__DECISIONS", "forgotten.decisions")],
    );
    program.wait_until_ready();
    eprintln!("ready again after {:?}", began.elapsed());
    eventually("the incident is told again", || scene.mails_to("lead").len() > before);
    let mails = scene.mails_to("lead");
    let again = mails.iter().find(|mail| mail.text.starts_with("Atalaya se reinició")).expect("marked as told again");
    assert!(again.html.contains("Atalaya se reinició"), "{}", again.html);
    assert_eq!(mails.len(), before + 1);
    eventually("the webhook too", || scene.receiver.taken().len() > hooks);
    let hook = scene.receiver.taken().last().unwrap().clone();
    assert_eq!(hook.json()["data"]["restarted"], true);
    assert!(hook.is_signed_with(KEY));
    // What was refused before is gone over, and neither counted nor kept again.
    assert_eq!(program.metrics().sum("atalaya_events_total", &[("reason", "not_json")]), 0.0);
    assert_eq!(scene.kafka.consume_all("atalaya.dead-letters").len(), letters);
    let (status, _) = program.terminate();
    assert_eq!(status.code(), Some(0));
}

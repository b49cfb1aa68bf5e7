//! What was decided outlives the program: incidents, acknowledgements, silences and unsent notices are kept in Kafka.
#![cfg(feature = "shell")]
#![allow(clippy::disallowed_methods, reason = "this waits for real programs, on the real clock")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::kafka::{Line, RealKafka, eventually, shared};
use support::program::{Files, Program};
use support::receiver::Receiver;

const MATRIX: &str = r#"
version: 1
name: espera
language: en
contacts:
  desk: { webhook: desk }
  boss: { webhook: boss }
rows:
  - indicator: waiting
    goal: "< 1"
    ranges:
      - { when: "< 1", level: ok }
      - when: ">= 1"
        level: warning
        tell: [desk]
        action: "Attend"
        escalate: [{ after: 5s, tell: [boss] }]
    recover: { for: 0s }
"#;

struct Scene {
    kafka: std::sync::Arc<RealKafka>,
    topic: &'static str,
    files: Files,
    desk: Receiver,
    boss: Receiver,
}

impl Scene {
    fn new(topic: &'static str) -> Option<Scene> {
        let kafka = shared()?;
        kafka.create_topic(topic, 1);
        let scene = Scene { kafka, topic, files: Files::new(), desk: Receiver::start(), boss: Receiver::start() };
        scene.files.write("espera.yaml", MATRIX);
        Some(scene)
    }

    fn start(&self, boss: u16) -> Program {
        let mut program = Program::start(&self.config(boss), &[]);
        program.wait_until_ready();
        program
    }

    fn config(&self, boss: u16) -> std::path::PathBuf {
        self.config_of(self.topic, boss, "")
    }

    fn config_of(&self, instance: &str, boss: u16, more: &str) -> std::path::PathBuf {
        let (topic, brokers, desk) = (self.topic, self.kafka.bootstrap(), self.desk.port);
        let config = format!(
            r#"
kafka: {{ brokers: ["{brokers}"], group: "{topic}", instance: "{instance}", deltas: "{topic}.deltas" }}
sources: [{{ topic: {topic}, format: canonical, silent_after: 1h }}]
matrices: [espera.yaml]
webhooks:
  desk: {{ format: generic, url: "http://127.0.0.1:{desk}/" }}
  boss: {{ format: generic, url: "http://127.0.0.1:{boss}/" }}
{more}
"#
        );
        self.files.write(&format!("{instance}.yaml"), &config)
    }

    fn happens(&self, kind: &str, id: &str, queue: &str) {
        let event = json!({
            "type": kind, "time": atalaya::clock::now().0, "interaction": id, "queue": queue, "channel": "voice",
            "agent": "a", "outcome": "resolved"
        });
        let line = Line { key: Some(id.into()), payload: Some(event.to_string().into_bytes()), ..Line::default() };
        self.kafka.produce(self.topic, [line]);
    }
}

/// Queue, reason and incident of what a webhook was told, in order, repeats by the same id left out.
fn told(receiver: &Receiver) -> Vec<(String, String, String)> {
    let mut seen = std::collections::BTreeSet::new();
    let text = |data: &Value, key: &str| data[key].as_str().unwrap_or_default().to_owned();
    let taken = receiver.taken();
    let new = taken.iter().filter(|request| seen.insert(request.header("webhook-id").to_owned()));
    new.map(|request| request.json()["data"].clone())
        .map(|data| (text(&data, "queue"), text(&data, "reason"), text(&data, "incident")))
        .collect()
}

fn alert(program: &Program, queue: &str) -> Option<Value> {
    let alerts = program.api("/api/v1/alerts");
    alerts["alerts"].as_array().unwrap().iter().find(|case| case["queue"] == queue).cloned()
}

/// Acknowledged in `a`, silenced in `b`, escalating in `c`: stopped in whatever way, and started again.
fn goes_on(topic: &'static str, stop: &dyn Fn(&mut Program)) {
    let Some(scene) = Scene::new(topic) else { return };
    // Nobody listens there: what is for the boss waits.
    let nowhere = support::kafka::free_port();
    let mut program = scene.start(nowhere);
    for queue in ["a", "c"] {
        scene.happens("interaction.queued", &format!("in {queue}"), queue);
    }
    eventually("both are told", || told(&scene.desk).len() == 2);
    let incident = |queue: &str| alert(&program, queue).unwrap()["incident"].as_str().unwrap().to_owned();
    let (a, c) = (incident("a"), incident("c"));
    let body = json!({ "who": "ana", "why": "on it", "for": "3h" }).to_string();
    let (status, answer) = program.post(&format!("/api/v1/alerts/{a}/acknowledge"), &body);
    assert_eq!(status, 200, "{answer}");
    let silence = json!({ "who": "ana", "why": "works", "matcher": { "queue": ["b"] }, "for": "1h" }).to_string();
    let (status, answer) = program.post("/api/v1/silences", &silence);
    assert!(status == 200 || status == 201, "{answer}");
    scene.happens("interaction.queued", "in b", "b");
    eventually("the silenced one is open", || alert(&program, "b").is_some());
    let b = alert(&program, "b").unwrap()["incident"].clone();
    eventually("the step of c is on its way and arrives nowhere", || {
        program.metrics().sum("atalaya_outbox_depth", &[]) == 1.0
    });
    // Kept every two seconds.
    std::thread::sleep(Duration::from_secs(5));
    let before = told(&scene.desk);
    assert_eq!(before.len(), 2, "{before:?}");
    stop(&mut program);
    drop(program);

    let mut program = scene.start(scene.boss.port);
    eventually("the step of c arrives", || told(&scene.boss).len() == 1);
    assert_eq!(told(&scene.boss), [("c".to_owned(), "escalation".to_owned(), c.clone())]);
    let shown = alert(&program, "a").unwrap();
    assert_eq!((shown["incident"].as_str(), shown["acknowledged"]["by"].as_str()), (Some(&*a), Some("ana")), "{shown}");
    let shown = alert(&program, "b").unwrap();
    assert!(shown["incident"] == b && !shown["silenced"].as_array().unwrap().is_empty(), "{shown}");
    assert_eq!(program.api("/api/v1/silences")["silences"][0]["who"], "ana");
    for queue in ["a", "b", "c"] {
        scene.happens("interaction.closed", &format!("in {queue}"), queue);
    }
    // Who was told of it hears that it is over, under the same name, and of nothing else.
    eventually("all are over", || alert(&program, "a").or(alert(&program, "b")).or(alert(&program, "c")).is_none());
    eventually("their ends are told", || told(&scene.desk).len() >= 4 && told(&scene.boss).len() >= 2);
    let mut ends = told(&scene.desk).split_off(2);
    ends.sort();
    let end = |queue: &str, id: &str| (queue.to_owned(), "recovered".to_owned(), id.to_owned());
    assert_eq!(ends, [end("a", &a), end("c", &c)]);
    assert_eq!(told(&scene.boss)[1..], [end("c", &c)]);
    assert_eq!(told(&scene.desk)[..2], before);
    let restarted = |receiver: &Receiver| receiver.taken().iter().any(|hook| hook.json()["data"]["restarted"] == true);
    assert!(!restarted(&scene.desk) && !restarted(&scene.boss), "what is known is not told again");
    assert_eq!(program.terminate().0.code(), Some(0));
}

#[test]
fn what_was_decided_outlives_a_stop() {
    goes_on("restart", &|program| assert_eq!(program.terminate().0.code(), Some(0)));
}

#[test]
fn what_was_decided_outlives_a_kill() {
    goes_on("killed", &|program| {
        program.signal("KILL");
        program.ended(Duration::from_secs(10));
    });
}

/// The incidents are in another log than the figures, and name positions of the one that is gone.
#[test]
fn figures_are_made_anew_where_their_log_is_gone() {
    let Some(scene) = Scene::new("gone") else { return };
    let nowhere = support::kafka::free_port();
    let mut program = scene.start(nowhere);
    scene.happens("interaction.queued", "in a", "a");
    eventually("it is told", || told(&scene.desk).len() == 1);
    let incident = alert(&program, "a").unwrap()["incident"].clone();
    // The new log is to be shorter than that for longer than anybody waits.
    eventually("its log is long", || {
        (0..20).for_each(|_| scene.happens("feed.heartbeat", "", ""));
        scene.kafka.consume_all("gone.deltas").len() > 100
    });
    assert_eq!(program.terminate().0.code(), Some(0));
    drop(program);
    scene.kafka.delete_topic("gone.deltas");

    let mut program = Program::start(&scene.config(nowhere), &[]);
    assert_eq!(program.ended(Duration::from_secs(30)).code(), Some(1));
    assert!(program.log().contains("Start the service again"), "{}", program.log());
    drop(program);
    let program = scene.start(nowhere);
    assert_eq!(alert(&program, "a").unwrap()["incident"], incident, "what was decided goes on");
    scene.happens("interaction.closed", "in a", "a");
    eventually("its end is told", || told(&scene.desk).len() == 2);
    assert_eq!(told(&scene.desk)[1].1, "recovered");
}

/// Other settings are another generation, which has all of the sources to itself: neither lacks what the other one reads.
#[test]
fn the_next_settings_begin_beside_those_that_run() {
    let Some(scene) = Scene::new("beside") else { return };
    let nowhere = support::kafka::free_port();
    let mut old = scene.start(nowhere);
    scene.happens("interaction.queued", "in a", "a");
    scene.kafka.produce("beside", [Line { payload: Some(b"poison".to_vec()), ..Line::default() }]);
    eventually("it is told", || told(&scene.desk).len() == 1);
    let incident = alert(&old, "a").unwrap()["incident"].clone();
    let refused = || {
        let letters = scene.kafka.consume_all("atalaya.dead-letters");
        letters.iter().filter(|letter| letter.headers["topic"] == "beside").count()
    };
    eventually("what was read is committed", || scene.kafka.committed("beside", "beside", 1) == [Some(2)]);
    assert_eq!(refused(), 1);

    let config = scene.config_of("next", nowhere, "windows: [7m]");
    let mut next = Program::start(&config, &[]);
    next.wait_until_ready();
    let waits = |program: &Program, window: &str| {
        let answer = program.api(&format!("/api/v1/indicators?queue=a&indicator=waiting&window={window}"));
        answer["indicators"].as_array().unwrap().iter().any(|record| record["value"] == 1.0)
    };
    assert!(waits(&next, "7m"), "it has read what there was");
    assert_eq!(alert(&next, "a").unwrap()["incident"], incident);
    assert!(next.log().contains("another name of the group"), "{}", next.log());
    // The one before it still has its partition, and decides.
    scene.happens("interaction.queued", "in b", "b");
    eventually("the other queue is told", || told(&scene.desk).len() == 2);
    let evaluates = |program: &Program| program.metrics().sum("atalaya_evaluator", &[]);
    assert_eq!((evaluates(&old), evaluates(&next)), (1.0, 0.0));
    assert!(old.is_ready() && old.degraded().is_empty() && waits(&old, "5m"), "{:?}", old.degraded());
    assert_eq!(old.terminate().0.code(), Some(0));
    drop(old);

    for queue in ["a", "b"] {
        scene.happens("interaction.closed", &format!("in {queue}"), queue);
    }
    eventually("their ends are told", || told(&scene.desk).len() == 4);
    assert_eq!(evaluates(&next), 1.0);
    let ends = told(&scene.desk).split_off(2);
    assert!(ends.iter().all(|(_, reason, _)| reason == "recovered"), "{ends:?}");
    assert!(ends.iter().any(|(_, _, of)| incident == *of.as_str()), "{ends:?}");
    assert_eq!(refused(), 1, "what was refused before is in the dead letters");
    assert_eq!(next.terminate().0.code(), Some(0));
}

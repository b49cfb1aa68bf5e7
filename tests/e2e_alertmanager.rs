//! The built program, a real Kafka and a real Alertmanager: a customer who waits makes an alert, which is told again while it
//! lasts, and ends with the wait.
#![cfg(feature = "shell")]
#![allow(clippy::disallowed_methods, reason = "this waits for real programs, on the real clock")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use atalaya::domain::Timestamp;
use serde_json::{Value, json};
use support::alertmanager::Alertmanager;
use support::kafka::{Line, RealKafka, eventually};
use support::program::{Files, Program};
use support::receiver::Receiver;

const TOPIC: &str = "atalaya.interactions";
const MATRIX: &str = r#"
version: 1
name: care
language: en
contacts: { prom: { webhook: alertmanager }, copy: { webhook: receiver }, gone: { webhook: gone } }
rows:
  - indicator: waiting
    goal: "< 1"
    ranges:
      - { when: "< 1", level: ok }
      - { when: ">= 1", level: critical, tell: [prom, copy, gone], action: "Answer {{ queue }}" }
    recover: { for: 1s }
"#;

fn event(kafka: &RealKafka, kind: &str, more: Value) {
    let mut event = json!({ "type": kind, "time": atalaya::clock::now().0, "interaction": "one" });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let payload = Some(event.to_string().into_bytes());
    kafka.produce(TOPIC, [Line { key: Some("one".into()), payload, ..Line::default() }]);
}

#[test]
fn an_alert_goes_on_while_its_case_is_open() {
    let (files, receiver) = (Files::new(), Receiver::start());
    let Some(alertmanager) = Alertmanager::start(&files, receiver.port) else { return };
    let Some(kafka) = RealKafka::start() else { return };
    // What the program itself sends is told apart from what Alertmanager tells the same receiver by its path.
    let copies = || receiver.taken().into_iter().filter(|made| made.path == "/copy/api/v2/alerts").collect::<Vec<_>>();
    kafka.create_topic(TOPIC, 1);
    files.write("matrices/care.yaml", MATRIX);
    let config = format!(
        "kafka: {{ brokers: [\"{}\"], group: e2e-alerts }}\n\
         sources: [{{ topic: {TOPIC}, format: canonical }}]\n\
         matrices: [matrices]\n\
         webhooks:\n\
         \x20 alertmanager: {{ format: alertmanager, url: \"http://127.0.0.1:{}\" }}\n\
         \x20 receiver: {{ format: alertmanager, url: \"http://127.0.0.1:{}/copy\" }}\n\
         \x20 gone: {{ url: \"http://127.0.0.1:{}/gone\" }}\n\
         \x20 instead: {{ format: alertmanager, url: \"http://127.0.0.1:{}/instead\" }}\n\
         owner: {{ webhook: instead }}\n",
        kafka.bootstrap(),
        alertmanager.port,
        receiver.port,
        alertmanager.port,
        receiver.port,
    );
    let config = files.write("atalaya.yaml", &config);
    let mut program = Program::start(&config, &[]);
    program.wait_until_ready();

    event(&kafka, "interaction.arrived", json!({ "channel": "voice", "queue": "vip" }));
    event(&kafka, "interaction.queued", json!({ "channel": "voice", "queue": "vip" }));
    let critical = BTreeSet::from([("voice".to_owned(), "critical".to_owned())]);
    eventually("the alert", || alertmanager.firing() == critical);
    let firing = |made: &support::receiver::Request| {
        let alerts = made.json();
        let ends = Timestamp::parse(alerts[0]["endsAt"].as_str().unwrap()).unwrap();
        (ends > atalaya::clock::now()).then_some(ends)
    };
    eventually("the copy", || !copies().is_empty());
    let first = firing(&copies()[0]).expect("it fires");
    assert_eq!(copies()[0].json()[0]["annotations"]["action"], "Answer vip");

    // Told again within a minute, and valid as much longer.
    let asked = Instant::now();
    while copies().len() < 2 {
        assert!(asked.elapsed() < Duration::from_secs(120), "not told again");
        std::thread::sleep(Duration::from_millis(100));
    }
    let again = firing(&copies()[1]).expect("it fires on");
    // The owner stands in for a webhook that is not there, and its Alertmanager is told again as well.
    let instead =
        || receiver.taken().into_iter().filter(|made| made.path == "/instead/api/v2/alerts").collect::<Vec<_>>();
    eventually("the stand-in is told again", || instead().len() >= 2);
    for made in instead() {
        let alerts = made.json();
        assert_eq!(alerts[0]["annotations"]["missed"], "gone", "{alerts}");
        assert_eq!(alerts[0]["labels"], copies()[0].json()[0]["labels"]);
    }
    eprintln!("told again after {}, valid until {again}", again - first);
    assert!(again > first);
    assert_eq!(copies()[1].json()[0]["labels"], copies()[0].json()[0]["labels"]);
    assert_eq!(alertmanager.firing(), critical);
    let ends = Timestamp::parse(alertmanager.api("alerts")[0]["endsAt"].as_str().unwrap()).unwrap();
    assert!(ends > first, "Alertmanager has heard it too");

    event(&kafka, "interaction.assigned", json!({ "agent": "a" }));
    eventually("its end", || alertmanager.firing().is_empty());
    eventually("its end in the copy", || copies().last().is_some_and(|made| firing(made).is_none()));
    assert_eq!(program.degraded().iter().filter(|text| text.contains("webhook") && !text.contains("gone")).count(), 0);
    assert_eq!(program.terminate().0.code(), Some(0));
}

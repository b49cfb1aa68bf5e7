//! An incident that is acknowledged at the running program is acknowledged at PagerDuty.
#![cfg(feature = "shell")]
#![allow(clippy::disallowed_methods, reason = "this waits for real programs, on the real clock")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use serde_json::json;
use support::kafka::{Line, eventually, shared};
use support::program::{Files, Program};
use support::receiver::{Receiver, Request};

#[test]
fn an_acknowledgement_goes_on_to_pagerduty() {
    let Some(kafka) = shared() else { return };
    let (files, receiver) = (Files::new(), Receiver::start());
    kafka.create_topic("duty", 1);
    files.write("key", "0123456789abcdef0123456789abcdef");
    files.write(
        "matrices/m.yaml",
        "version: 1\nname: m\ncontacts: { duty: { webhook: duty } }\nrows: [{ indicator: waiting, goal: \"< 1\", \
         ranges: [{ when: \"< 1\", level: ok }, { when: \">= 1\", level: critical, tell: [duty] }] }]\n",
    );
    let (brokers, url) = (kafka.bootstrap(), format!("http://127.0.0.1:{}/v2/enqueue", receiver.port));
    let config = files.write(
        "atalaya.yaml",
        &format!(
            "kafka: {{ brokers: [\"{brokers}\"], group: duty, instance: duty }}\nsources: [{{ topic: duty, silent_after: 1h }}]\n\
             matrices: [matrices]\nwebhooks: {{ duty: {{ format: pagerduty, url: \"{url}\", secret_file: \"{}\" }} }}\n",
            files.path("key").display()
        ),
    );
    let mut program = Program::start(&config, &[]);
    program.wait_until_ready();
    let event = json!({
        "type": "interaction.queued", "time": atalaya::clock::now().0, "interaction": "one", "queue": "q", "channel": "voice"
    });
    let payload = Some(event.to_string().into_bytes());
    kafka.produce("duty", [Line { key: Some(b"one".to_vec()), payload, ..Line::default() }]);
    eventually("the alert is told", || receiver.taken().len() == 1);
    let incident = program.api("/api/v1/alerts")["alerts"][0]["incident"].as_str().unwrap().to_owned();
    let acknowledge = |incident: &str| {
        program.post(&format!("/api/v1/alerts/{incident}/acknowledge"), &json!({ "who": "ana" }).to_string()).0
    };
    assert_eq!((acknowledge("none"), acknowledge(&incident)), (404, 200));
    eventually("the acknowledgement is told", || receiver.taken().len() == 2);
    let said: Vec<_> = receiver.taken().iter().map(Request::json).collect();
    assert_eq!((&said[0]["event_action"], &said[1]["event_action"]), (&json!("trigger"), &json!("acknowledge")));
    assert_eq!(said[0]["dedup_key"], said[1]["dedup_key"]);
    assert_eq!(program.terminate().0.code(), Some(0));
    assert_eq!(receiver.taken().len(), 2, "nothing besides");
}

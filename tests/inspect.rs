//! `atalaya inspect` shows what a running instance has written into its logs, and what somebody else has.
#![cfg(feature = "shell")]
#![allow(clippy::disallowed_methods, reason = "this waits for real programs, on the real clock")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use atalaya::journal::record::{DELTA_VERSION, Log, encode_entry};
use serde_json::{Value, json};
use support::kafka::{Line, RealKafka, eventually, shared};
use support::program::{Files, Program, command};
use support::receiver::Receiver;

const MATRIX: &str = r#"
version: 1
name: espera
language: en
contacts:
  desk: { webhook: desk }
rows:
  - indicator: waiting
    goal: "< 1"
    ranges:
      - { when: "< 1", level: ok }
      - { when: ">= 1", level: critical, tell: [desk], action: "Attend" }
"#;

/// What `atalaya inspect` prints with these arguments, as objects.
fn inspect(config: &str, arguments: &[&str]) -> Vec<Value> {
    let output = command(&[&["inspect", "-c", config, "--format", "json"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn in_words(config: &str, arguments: &[&str]) -> String {
    let output = command(&[&["inspect", "-c", config], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn of<'v>(lines: &'v [Value], kind: &str) -> Vec<&'v Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

fn append(kafka: &RealKafka, topic: &str, payload: Vec<u8>) {
    kafka.produce(topic, [Line { payload: Some(payload), ..Line::default() }]);
}

#[test]
fn what_is_in_the_logs_is_shown() {
    let Some(kafka) = shared() else { return };
    kafka.create_topic("calls", 2);
    let (files, desk) = (Files::new(), Receiver::start());
    files.write("espera.yaml", MATRIX);
    let (brokers, port) = (kafka.bootstrap(), desk.port);
    let config = files.write(
        "atalaya.yaml",
        &format!(
            r#"
kafka: {{ brokers: ["{brokers}"], group: "calls", instance: "calls-1" }}
sources: [{{ topic: calls, format: canonical, silent_after: 1h }}]
matrices: [{}]
webhooks: {{ desk: {{ format: generic, url: "http://127.0.0.1:{port}/" }} }}
"#,
            files.path("espera.yaml").display()
        ),
    );
    let mut program = Program::start(&config, &[]);
    let config = config.to_str().unwrap();
    program.wait_until_ready();
    let event = |id: &str, partition| {
        let event = json!({
            "type": "interaction.queued", "time": atalaya::clock::now().0, "interaction": id, "queue": "q", "channel": "voice"
        });
        let payload = Some(event.to_string().into_bytes());
        kafka.produce("calls", [Line { key: Some(id.into()), payload, partition: Some(partition), ..Line::default() }]);
    };
    (0..3).for_each(|number| event(&number.to_string(), i32::from(number == 0)));
    eventually("the desk is told", || !desk.taken().is_empty());
    let incident = desk.taken()[0].json()["data"]["incident"].as_str().unwrap().to_owned();
    let body = json!({ "who": "ana", "why": "on it", "for": "3h" }).to_string();
    assert_eq!(program.post(&format!("/api/v1/alerts/{incident}/acknowledge"), &body).0, 200);

    // While it runs it decides, and each partition has an owner that is at its end.
    let mut now = Vec::new();
    eventually("what was sent is in the log", || {
        now = inspect(config, &["--from", "0"]);
        of(&now, "evaluator").iter().any(|evaluator| evaluator["to_be_sent"] == 0 && evaluator["operations"] == 1)
    });
    let evaluator = of(&now, "evaluator")[0];
    assert!(
        evaluator["claim"].as_str().unwrap().len() == 16 && evaluator["decisions"].as_u64() > Some(0),
        "{evaluator}"
    );
    let mut partitions = of(&now, "partition");
    partitions.sort_by_key(|partition| partition["partition"].as_str().unwrap().to_owned());
    let standing = |partition: &Value| {
        let text = |name: &str| partition[name].as_str().unwrap().to_owned();
        assert!(text("claim").len() == 16 && text("since").starts_with("20"), "{partition}");
        (text("partition"), partition["applied"].as_i64().unwrap(), partition["live"] == true)
    };
    let standings: Vec<_> = partitions.into_iter().map(standing).collect();
    assert_eq!(standings, [("calls/0".to_owned(), 2, true), ("calls/1".to_owned(), 1, true)]);
    assert_eq!(of(&now, "asked")[0]["who"], "ana");

    // Who follows is told of what comes, until nobody reads any more.
    let following = Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .args(["inspect", "decisions", "-c", config, "--follow", "--from", "0"])
        .stdout(Stdio::piped())
        .spawn();
    let mut following = following.unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let wanted = evaluator["decisions"].as_u64().unwrap() as usize + 3;
    let seen: Vec<String> =
        lines.by_ref().map(Result::unwrap).filter(|line| line.contains("decided")).take(wanted).collect();
    assert!(
        seen.len() == wanted && seen.iter().all(|line| !line.contains("judged") && !line.contains("NOT")),
        "{seen:?}"
    );
    drop(lines);
    assert_eq!(following.wait().unwrap().code(), Some(0));

    assert_eq!(program.terminate().0.code(), Some(0));
    after_its_end(&kafka, config, &incident);
}

fn after_its_end(kafka: &RealKafka, config: &str, incident: &str) {
    let deltas = inspect(config, &["deltas", "--from", "0"]);
    let claims: Vec<&Value> = of(&deltas, "claimed").into_iter().map(|claim| &claim["counts"]).collect();
    assert_eq!(claims, [true, true]);
    let batches = of(&deltas, "batch");
    let carried: u64 = batches.iter().map(|batch| batch["keys"].as_u64().unwrap()).sum();
    assert!(
        carried >= 8 && batches.iter().all(|batch| batch["counts"] == true),
        "a pair and three roll-ups of each: {carried}"
    );

    let decisions = inspect(config, &["decisions", "--from", "0"]);
    let decided = of(&decisions, "decided");
    let notices: Vec<&Value> = decided.iter().flat_map(|one| one["notices"].as_array().into_iter().flatten()).collect();
    let notice = notices[0];
    let said = ["contact", "medium", "level", "reason"].map(|name| notice[name].as_str().unwrap());
    assert_eq!((notices.len(), said), (1, ["desk", "webhook", "critical", "range"]), "{notices:?}");
    assert_eq!(notice["incident"], incident);
    let outcomes: Vec<_> = of(&decisions, "outcome").into_iter().map(|one| (&one["id"], &one["fate"])).collect();
    assert_eq!(outcomes, [(&notice["id"], &json!("sent"))]);
    assert_eq!(of(&decisions, "resigned").len(), 1);
    let numbers: Vec<u64> = decided.iter().map(|one| one["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=decided.len() as u64).collect::<Vec<_>>());

    let snapshots = inspect(config, &["snapshots"]);
    let whole = |name: &str| {
        of(&snapshots, "snapshot").iter().any(|one| {
            one["snapshot"].as_str().unwrap().ends_with(name)
                && one["state"] == "whole"
                && one["bytes"].as_u64() > Some(0)
        })
    };
    assert!(whole("decided") && whole("/replica"), "{snapshots:?}");
    assert_eq!(of(&inspect(config, &[]), "evaluator")[0]["claim"], "nobody");

    // What does not count, with the reason; what is of others, as a count.
    let last = kafka.consume_all("atalaya.deltas").pop().unwrap().payload.unwrap();
    append(kafka, "atalaya.deltas", last.clone());
    append(kafka, "atalaya.deltas", [&last[..last.len() - 1], b"?"].concat());
    append(kafka, "atalaya.deltas", encode_entry(Log::Deltas, DELTA_VERSION - 1, 7, b"of others"));
    append(kafka, "atalaya.decisions", encode_entry(Log::Decisions, 1, 7, b"of others"));
    let deltas = inspect(config, &["deltas", "--last", "4"]);
    let verdicts: Vec<_> = deltas.iter().map(|line| (line["kind"].as_str().unwrap(), line["why"].as_str())).collect();
    assert_eq!(verdicts[1..], [("batch", Some("repeated")), ("unreadable", Some("unreadable")), ("entries", None)]);
    let tally = deltas.last().unwrap();
    assert_eq!(
        (&tally["counted"], &tally["not_counted"], &tally["others"]),
        (&json!(1), &json!(2), &json!(1)),
        "{tally}"
    );
    // A state of which a piece is missing.
    let manifest = json!({ "id": "00000000000000ff", "pieces": 1, "bytes": 9, "xxh3": "0" }).to_string().into_bytes();
    kafka.produce(
        "atalaya.snapshots",
        [Line { key: Some("calls/half".into()), payload: Some(manifest), ..Line::default() }],
    );

    let words = in_words(config, &[]);
    for part in [
        "generation=",
        "calls/0",
        "repeated 1, unreadable 1",
        "evaluator claim=nobody",
        "who=ana",
        "broken: piece 0 of 1",
    ] {
        assert!(words.contains(part), "{part}:\n{words}");
    }
    assert!(words.lines().count() < 50, "{words}");
    let words = in_words(config, &["deltas", "--last", "3"]);
    assert!(words.contains("batch NOT COUNTED: repeated, partition=calls/"), "{words}");
}

#[test]
fn what_cannot_be_shown_is_said() {
    let files = Files::new();
    files.write("espera.yaml", &MATRIX.replace("webhook: desk", "email: desk@acme.example"));
    let text = "kafka: { brokers: [\"127.0.0.1:1\"] }\nsources: [{ topic: calls }]\nsmtp: { url: \"smtp://127.0.0.1:1\", tls: none, from: a@acme.example }\n";
    let config = files.write("atalaya.yaml", &format!("{text}matrices: [{}]\n", files.path("espera.yaml").display()));
    let config = config.to_str().unwrap();
    for (arguments, code, word) in [
        (&["--follow"][..], 2, "--follow is of one log"),
        (&["snapshots", "--last", "3"], 2, "no positions"),
        (&["deltas", "--last", "3", "--from", "1"], 2, "cannot be used with"),
        (&["decisions"], 1, "127.0.0.1:1"),
    ] {
        let output = command(&[&["inspect", "-c", config], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(code) && said.contains(word), "{arguments:?}: {said}");
    }
}

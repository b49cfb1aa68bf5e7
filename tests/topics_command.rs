//! `atalaya topics` against a real broker: what it prints, makes and finds wrong.
#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::process::{Command, Output};

use atalaya::kafka::topics::{self, Made, TopicSpec};
use support::kafka::{PATIENCE, shared};

fn atalaya(config: &str, flag: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("atalaya.yaml");
    std::fs::write(&path, config).unwrap();
    Command::new(env!("CARGO_BIN_EXE_atalaya")).arg("topics").arg("-c").arg(path).arg(flag).output().unwrap()
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn config(brokers: &str, names: &str) -> String {
    format!("kafka:\n  brokers: [{brokers}]\n{names}sources:\n  - topic: atalaya.interactions\n")
}

#[test]
fn the_topics_are_printed_as_commands() {
    let output = atalaya(&config("\"a:1\", \"b:2\"", "  deltas: mine\n"), "--print");
    let (out, _) = said(&output);
    assert!(output.status.success(), "{output:?}");
    insta::assert_snapshot!(out);
    let both = atalaya(&config("a:1", ""), "--create --print");
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn the_topics_are_made_and_checked() {
    let Some(kafka) = shared() else { return };
    let wrong = TopicSpec {
        name: "wrong.deltas".into(),
        partitions: 2,
        settings: vec![("cleanup.policy", "compact"), ("retention.ms", "1000")],
    };
    assert_eq!(topics::create(&kafka.client(), &wrong, PATIENCE), Made::Created);
    let good = config(&kafka.bootstrap(), "");
    let names =
        ["atalaya.dead-letters", "atalaya.snapshots", "atalaya.deltas", "atalaya.decisions", "atalaya.operations"];
    for word in ["made", "is there, as it has to be"] {
        let output = atalaya(&good, "--create");
        assert!(output.status.success(), "{:?}", said(&output));
        assert_eq!(said(&output).0, names.map(|name| format!("{name}: {word}\n")).concat());
    }
    let output = atalaya(&config(&kafka.bootstrap(), "  deltas: wrong.deltas\n"), "--create");
    let (out, err) = said(&output);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(out.contains("wrong.deltas: is there, and will not do\natalaya.decisions: is there, as it"), "{out}");
    let settings = ["partitions", "cleanup.policy", "retention.ms", "max.message.bytes", "message.timestamp.type"];
    for setting in settings {
        assert!(
            err.contains(&format!("`wrong.deltas` of `kafka.deltas` at {} has `{setting}`", kafka.bootstrap())),
            "{err}"
        );
    }
    assert_eq!(err.matches("Mend it by").count(), settings.len() - 1, "{err}");

    let output = atalaya(&config("127.0.0.1:1", ""), "--create");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).1.contains("mend `kafka.brokers`"), "{output:?}");
}

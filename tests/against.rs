//! `backtest --against`: its figures are those that two back-tests of their own give.
#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const CARE: &str = include_str!("data/matrix-test/care.yaml");

fn backtest(folder: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_atalaya"))
        .current_dir(folder)
        .env_clear()
        .arg("backtest")
        .args(["--events", "day.ndjson"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A matrix, the same after an edit, and a day on which it alerts twice.
fn prepare() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let edited = CARE
        .replace("for: 2m, tell: [lead]", "for: 5m, tell: [lead, manager]")
        .replace("state: available\n    per: queue", "state: connected\n    per: queue");
    fs::write(folder.path().join("old.yaml"), CARE).unwrap();
    fs::write(folder.path().join("new.yaml"), edited).unwrap();
    let mut lines = Vec::new();
    let start = 1_767_625_200_000_i64; // 10:00 of a Monday in Bogota
    for (wave, wait) in [(0, 35), (1, 50)] {
        for n in 0..12 {
            let queued = start + wave * 7_200_000 + n * 1000;
            for (time, rest) in [
                (queued, r#""type":"interaction.queued","queue":"sales","channel":"chat""#),
                (queued + wait * 60_000, r#""type":"interaction.replied","agent":"ana""#),
            ] {
                lines.push((time, format!(r#"{{"time":{time},"interaction":"{wave}-{n}",{rest}}}"#)));
            }
        }
    }
    lines.push((start + 20_000_000, format!(r#"{{"time":{},"type":"feed.heartbeat"}}"#, start + 20_000_000)));
    lines.sort();
    let text: String = lines.into_iter().map(|(_, line)| line + "\n").collect();
    fs::write(folder.path().join("day.ndjson"), text).unwrap();
    folder
}

#[test]
fn its_figures_are_those_of_two_backtests() {
    let folder = prepare();
    let compared = backtest(folder.path(), &["-m", "new.yaml", "--against", "old.yaml", "--format", "json"]);
    let compared: Vec<Value> = compared.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (side, matrix) in [("before", "old.yaml"), ("after", "new.yaml")] {
        let alone = backtest(folder.path(), &["-m", matrix, "--format", "json"]);
        let alone: Vec<Value> = alone.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let began: Vec<&Value> =
            alone.iter().filter(|line| line["kind"] == "transition" && line["from"] == "ok").collect();
        let alerts: u64 = compared.iter().filter_map(|line| line[side]["alerts"].as_u64()).sum();
        assert_eq!(alerts, began.len() as u64, "{side}");
        assert!(alerts >= 2, "{side}");
        let asa = compared.iter().find(|line| line["row"] == "asa 15m" && line["to"].is_null()).unwrap();
        assert_eq!(asa[side]["first_alert"], began.iter().find(|line| line["indicator"] == "asa").unwrap()["time"]);

        let mut told: BTreeMap<(String, String), u64> = BTreeMap::new();
        for line in alone.iter().filter(|line| line["kind"] == "notification") {
            let to = line["to"].as_str().unwrap().to_owned();
            *told
                .entry((to, format!("{}s", line["medium"].as_str().unwrap().replace("email", "mail"))))
                .or_default() += 1;
        }
        assert!(told.len() >= 3, "{told:?}");
        for ((to, medium), times) in told {
            let total = compared.iter().find(|line| line["row"].is_null() && line["to"] == to.as_str()).unwrap();
            assert_eq!(total[side][&medium].as_u64(), Some(times), "{side} {to} {medium}");
            let rows = compared.iter().filter(|line| line["row"].is_string() && line["to"] == to.as_str());
            assert_eq!(
                rows.map(|line| line[side][&medium].as_u64().unwrap()).sum::<u64>(),
                times,
                "{side} {to} {medium}"
            );
        }
    }
}

#[test]
fn it_reads_as_a_table() {
    let folder = prepare();
    insta::assert_snapshot!(backtest(folder.path(), &["-m", "new.yaml", "--against", "old.yaml"]));
}

#[test]
fn a_matrix_against_itself_changes_nothing() {
    let folder = prepare();
    let text = backtest(folder.path(), &["-m", "old.yaml", "--against", "old.yaml"]);
    assert!(text.contains("2 -> 2") && !text.contains("(+") && !text.contains("(-"), "{text}");
}

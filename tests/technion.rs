//! A recorded day of a real call centre: Sunday 1 August 1999 at an Israeli bank, from the Technion's Service
//! Engineering data ("Anonymous Bank", I. Guedj and A. Mandelbaum). The file is not part of the repository; without it
//! the tests say so and pass over it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a failed test, with its line")]

mod oracle;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use oracle::compare::{compare_instant, differences};
use oracle::figures::figures;
use oracle::generate::Case;
use oracle::product::backtest_file;
use oracle::settings::Settings;
use serde_json::{Value, json};

const FILE: &str = "technion-1999-08-01.ndjson";

fn recording() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(FILE);
    #[expect(clippy::disallowed_methods, reason = "where the recorded data lies is told by whoever runs the test")]
    let told = std::env::var("ATALAYA_TEST_DATA").ok().map(|folder| Path::new(&folder).join(FILE));
    let found = [Some(beside), told].into_iter().flatten().find(|path| path.is_file());
    if found.is_none() {
        #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
        {
            eprintln!("skipped: no {FILE} in ../shared/data nor in $ATALAYA_TEST_DATA");
        }
    }
    found
}

fn settings() -> Settings {
    Settings::from_json(&json!({"time_zone": "Asia/Jerusalem"}))
}

/// Midnight at the end of 1 August 1999 in Jerusalem.
const END_OF_DAY: i64 = 933_541_200_000;

#[test]
fn the_day_ends_with_the_published_figures() {
    let Some(path) = recording() else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, &settings().text).unwrap();
    let run = backtest_file(&path, "1h", Some(&config)).unwrap();
    let (at, records) = run.printed.last_key_value().expect("something is printed");
    assert_eq!(*at, END_OF_DAY, "the last instant is the midnight that ends the day");
    for window in ["24h", "today"] {
        for (indicator, expected, within) in [
            ("arrivals", 2357.0, 0.0),
            ("queued", 2239.0, 0.0),
            ("answered", 1511.0, 0.0),
            ("abandoned", 728.0, 0.0),
            ("closed", 1511.0, 0.0),
            ("asa", 134.85, 0.01),
        ] {
            let (value, _) = records[&format!("{indicator} */* {window}")];
            let value = value.unwrap_or_else(|| panic!("{indicator} {window} is null"));
            assert!((value - expected).abs() <= within, "{indicator} {window}: {value}, published is {expected}");
        }
        let waits = answered_waits(&path);
        for percent in [50, 90, 95, 99] {
            let exact = waits[(percent * waits.len()).div_ceil(100) - 1] as f64 / 1000.0;
            let (value, samples) = records[&format!("wait_p{percent} */* {window}")];
            let value = value.unwrap();
            assert!(
                (value - exact).abs() <= (exact * 0.01).max(0.001),
                "p{percent} {window}: {value}, exactly {exact}"
            );
            assert!((samples - 1511.0).abs() < 0.5);
        }
    }
}

/// The waits of the answered calls, straight from the file and sorted.
fn answered_waits(path: &Path) -> Vec<i64> {
    let mut queued: BTreeMap<String, i64> = BTreeMap::new();
    let mut waits = Vec::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let at = oracle::decode::time(&event["time"]).unwrap();
        let call = event["interaction"].as_str().unwrap().to_owned();
        match event["type"].as_str().unwrap() {
            "interaction.queued" => drop(queued.insert(call, at)),
            "interaction.assigned" => waits.push(at - queued[&call]),
            _ => {}
        }
    }
    waits.sort_unstable();
    waits
}

/// The oracle shows the published figures too, so that it can be trusted where nobody published any.
#[test]
fn the_oracle_shows_the_published_figures() {
    let Some(path) = recording() else { return };
    let lines: Vec<String> = std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    let all = figures(&lines, END_OF_DAY, &settings());
    for (name, expected) in [("arrivals", 2357.0), ("queued", 2239.0), ("answered", 1511.0), ("abandoned", 728.0)] {
        assert_eq!(all[&format!("{name} */* today")].value, Some(expected), "{name}");
    }
    assert!((all["asa */* today"].value.unwrap() - 134.85).abs() <= 0.01);
}

/// Every figure of every queue at every hour of the day.
#[test]
fn the_whole_day_agrees_with_the_oracle() {
    let Some(path) = recording() else { return };
    let lines: Vec<String> = std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    let case = Case { title: "the recorded day".into(), settings: settings(), every: "3h".into(), lines };
    let all = differences(&case);
    let shown: Vec<String> = all.iter().take(20).map(ToString::to_string).collect();
    assert!(all.is_empty(), "{} differences:\n{}", all.len(), shown.join("\n"));
    // The comparison itself can fail: nothing printed is not agreement.
    let figures = figures(&case.lines, END_OF_DAY, &case.settings);
    assert!(!compare_instant(END_OF_DAY, &figures, &BTreeMap::new()).is_empty());
}

//! The golden scenarios of `tests/golden/`: run straight, in reverse order of arrival, shuffled, and with every event
//! twice; by the program and by the oracle; and put down in bytes and taken up again in the middle.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a failed test, with its line")]

mod oracle;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use atalaya::config;
use atalaya::domain::Timestamp;
use atalaya::matrix::engine::Tick;
use atalaya::pipeline::{Evaluator, Replay};
use atalaya::plan::{Limits, Plan};
use atalaya::records::{IndicatorRecord, NotificationRecord, TransitionRecord};
use atalaya::wire::{Decoded, Decoder, Format};

use oracle::figures::figures;
use oracle::generate::Dice;
use oracle::golden::{Expectation, Scenario, read_all};
use oracle::product::{backtest_of, read};

fn scenarios() -> Vec<Scenario> {
    let all = read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"));
    assert!(all.len() >= 15, "only {} scenarios found", all.len());
    all
}

#[test]
fn the_oracle_agrees() {
    let mut wrong = Vec::new();
    for scenario in scenarios() {
        for at in scenario.instants() {
            let lines: Vec<String> = scenario.until(at).into_iter().map(|(_, line)| line).collect();
            let all = figures(&lines, at, &scenario.settings);
            for expectation in scenario.expectations.iter().filter(|e| e.at == at) {
                match all.get(&expectation.name) {
                    Some(figure) if expectation.is_met(figure.value, figure.samples) => {}
                    other => wrong.push(report(&scenario, expectation, "oracle", other.map(|f| (f.value, f.samples)))),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_program_agrees_in_every_order() {
    let mut wrong = Vec::new();
    for scenario in scenarios() {
        let asked = scenario.asked();
        for at in scenario.instants() {
            let straight = scenario.until(at);
            let within_lateness = straight.iter().all(|(time, _)| at - time <= scenario.settings.lateness);
            for (how, lines) in orders(&straight, within_lateness) {
                match backtest_of(&lines, &scenario.every, &scenario.settings, &asked) {
                    Ok(run) => {
                        let records = run.printed.get(&at).cloned().unwrap_or_default();
                        for expectation in scenario.expectations.iter().filter(|e| e.at == at) {
                            match records.get(&expectation.name) {
                                Some((value, samples)) if expectation.is_met(*value, *samples) => {}
                                None if expectation.value.is_none() => {}
                                other => wrong.push(report(&scenario, expectation, how, other.copied())),
                            }
                        }
                    }
                    Err(what) => wrong.push(format!("{} {how}: {what}", scenario.file)),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn orders(straight: &[(i64, String)], within_lateness: bool) -> Vec<(&'static str, Vec<String>)> {
    let lines: Vec<String> = straight.iter().map(|(_, line)| line.clone()).collect();
    let twice: Vec<String> = lines.iter().flat_map(|line| [line.clone(), line.clone()]).collect();
    let mut all = vec![("straight", lines.clone()), ("every event twice", twice)];
    if within_lateness {
        let mut reversed = lines.clone();
        reversed.reverse();
        let mut shuffled = lines.clone();
        shuffled.extend(lines);
        Dice::new(7).shuffle(&mut shuffled);
        all.extend([("reversed", reversed), ("shuffled, every event twice", shuffled)]);
    }
    all
}

/// Rows that many scenarios move, so that there are cases, incidents and timers to be taken up again.
const MATRIX: &str = r#"
version: 1
name: golden
contacts: { lead: { email: lead@acme.example }, manager: { email: manager@acme.example } }
rows:
  - indicator: waiting
    goal: "< 1"
    ranges:
      - { when: "< 1", level: ok }
      - { when: "1 .. 2", level: warning, for: 30s, tell: [lead], repeat: 5m }
      - { when: ">= 2", level: critical, tell: [lead], escalate: [{ after: 3m, tell: [manager] }] }
    recover: { for: 1m }
  - indicator: asa
    window: 15m
    per: all
    goal: "<= 10s"
    ranges:
      - { when: "<= 10s", level: ok }
      - { when: "> 10s", level: warning, tell: [lead], repeat: 10m }
    no_data: ok
  - indicator: backlog
    per: channel
    goal: "<= 1"
    ranges:
      - { when: "<= 1", level: ok }
      - { when: "> 1", level: info, for: 2m, tell: [manager] }
"#;

/// Every indicator at each instant at which something is expected, and every decision until the last of them, each as its
/// record. After each `every`th event what goes on is a copy that was taken up from bytes.
fn decided(scenario: &Scenario, every: usize) -> (BTreeMap<i64, String>, Vec<String>) {
    let config = config::load("golden", &scenario.settings.text, &BTreeMap::new(), None).unwrap();
    let set = config::matrices_alone(&[("golden.yaml".to_owned(), MATRIX.to_owned())], &config).unwrap();
    // The many ids that are known besides would be most of what is written.
    let limits = Limits { identities: 64, ..set.plan.limits.clone() };
    let plan = Arc::new(Plan { limits, ..Plan::clone(&set.plan) });
    let decoder = Decoder { format: Format::Canonical, states: config.agent_states.clone() };
    let mut replay = Replay::new(plan.clone(), set.matrices.clone());
    let (mut figures, mut decisions) = (BTreeMap::<i64, String>::new(), Vec::new());
    let instants = scenario.instants();
    let mut each = |evaluator: &mut Evaluator, tick: Tick| {
        let transitions = tick.transitions.iter().map(|transition| TransitionRecord { transition, plan: &plan });
        decisions.extend(transitions.map(|record| serde_json::to_string(&record).unwrap()));
        let notices = tick.notifications.iter().flat_map(NotificationRecord::each);
        decisions.extend(notices.map(|notice| serde_json::to_string(&notice).unwrap()));
        let time = evaluator.now();
        if instants.contains(&time.0) {
            let figures = figures.entry(time.0).or_default();
            evaluator.each_indicator(&|_| true, &|_| true, &mut |key, selector, reading| {
                let record = IndicatorRecord { time, key, selector, reading, plan: &plan };
                figures.push_str(&(serde_json::to_string(&record).unwrap() + "\n"));
            });
        }
    };
    let last = *instants.last().unwrap();
    for (number, (_, line)) in scenario.until(last).iter().enumerate() {
        if let Decoded::Event(event) = decoder.decode(line.as_bytes()) {
            replay.take(&event, &mut each);
        }
        if (number + 1).is_multiple_of(every) {
            let bytes = replay.snapshot();
            replay = Replay::restore(plan.clone(), set.matrices.clone(), &bytes).unwrap();
            assert!(replay.snapshot() == bytes, "{} after event {number}", scenario.file);
        }
    }
    replay.run_to(Timestamp(last), &mut each);
    (figures, decisions)
}

#[test]
fn snapshot_and_restore_in_the_middle_change_nothing() {
    let mut decisions_seen = 0;
    for scenario in scenarios() {
        let last = *scenario.instants().last().unwrap();
        let straight = decided(&scenario, usize::MAX);
        let printed = read(&straight.0[&last]).unwrap().remove(&last).unwrap_or_default();
        for expectation in scenario.expectations.iter().filter(|e| e.at == last) {
            match printed.get(&expectation.name) {
                Some((value, samples)) if expectation.is_met(*value, *samples) => {}
                None if expectation.value.is_none() => {}
                other => panic!("{}", report(&scenario, expectation, "in steps", other.copied())),
            }
        }
        decisions_seen += straight.1.len();
        // Of many events to restore after each would take long and tell nothing more.
        let events = scenario.until(last).len();
        for every in [1, 2, 7, 100].into_iter().filter(|every| events / every <= 60) {
            assert!(decided(&scenario, every) == straight, "{} by {every}", scenario.file);
        }
    }
    assert!(decisions_seen > 100, "{decisions_seen} decisions are too few to prove anything");
}

fn report(scenario: &Scenario, expectation: &Expectation, how: &str, got: Option<(Option<f64>, f64)>) -> String {
    format!(
        "tests/golden/{}:{} {how}: {} should be {:?} ({:?}), is {got:?}",
        scenario.file, expectation.line, expectation.name, expectation.value, expectation.samples
    )
}

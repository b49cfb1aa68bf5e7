//! The golden scenarios of `tests/golden/`: run straight, in reverse order of arrival, shuffled, and with every event
//! twice; by the program and by the oracle.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a failed test, with its line")]

mod oracle;

use std::collections::BTreeSet;
use std::path::Path;

use oracle::figures::figures;
use oracle::generate::Dice;
use oracle::golden::{Expectation, Scenario, read_all};
use oracle::product::backtest_of;

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
        // Only what is expected is asked for: the rest is the business of the random floors.
        let asked: BTreeSet<&str> = scenario.expectations.iter().filter_map(|e| e.name.split(' ').next()).collect();
        let asked = asked.into_iter().collect::<Vec<_>>().join(",");
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

fn report(scenario: &Scenario, expectation: &Expectation, how: &str, got: Option<(Option<f64>, f64)>) -> String {
    format!(
        "tests/golden/{}:{} {how}: {} should be {:?} ({:?}), is {got:?}",
        scenario.file, expectation.line, expectation.name, expectation.value, expectation.samples
    )
}

//! The program's `backtest` against the oracle: every figure of every window, pair and roll-up at every instant, over
//! random floors. A failure prints its seed and the shortest list of events that still fails.
//!
//! `ATALAYA_ORACLE_SEEDS=0..2000` tries others than the usual seeds, `ATALAYA_ORACLE_SEEDS=17..18` one of them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a failed test, with its line")]

mod oracle;

use std::collections::BTreeMap;

use oracle::compare::verdict;
use oracle::generate::{Case, Chaos, Dice, case};
use oracle::intake::instants;
use oracle::product::backtest;
use oracle::settings::duration;

fn seeds(usual: std::ops::Range<u64>) -> std::ops::Range<u64> {
    #[expect(clippy::disallowed_methods, reason = "the seeds of a test are told by whoever runs it")]
    let asked = std::env::var("ATALAYA_ORACLE_SEEDS");
    match asked {
        Ok(text) => {
            let (from, to) = text.split_once("..").expect("ATALAYA_ORACLE_SEEDS is FROM..TO");
            from.parse().unwrap()..to.parse().unwrap()
        }
        Err(_) => usual,
    }
}

fn try_all(usual: std::ops::Range<u64>, chaos: Chaos) {
    if let Some(text) = verdict(seeds(usual).map(|seed| case(seed, chaos))) {
        panic!("{text}");
    }
}

#[test]
fn calm_floors() {
    try_all(0..25, Chaos::Calm);
}

#[test]
fn floors_with_disorder_and_duplicates() {
    try_all(1000..1030, Chaos::Disorder);
}

#[test]
fn floors_with_missing_and_repeated_events() {
    try_all(2000..2035, Chaos::Broken);
}

/// The last instant of a run shows the same, whatever the order in which the events came, and however often.
#[test]
fn the_order_of_arrival_changes_nothing() {
    let mut compared = 0;
    for seed in seeds(3000..3008) {
        let straight = case(seed, Chaos::Broken);
        // Within `lateness`: what is older than that when it comes is another matter.
        if span(&straight) >= straight.settings.lateness {
            continue;
        }
        let mut dice = Dice::new(seed);
        let mut shuffled = straight.clone();
        let again: Vec<String> = straight.lines.iter().filter(|_| dice.chance(30)).cloned().collect();
        shuffled.lines.extend(again);
        dice.shuffle(&mut shuffled.lines);
        let mut reversed = straight.clone();
        reversed.lines.reverse();
        let expected = last_printed(&straight);
        for (how, other) in [("shuffled and doubled", &shuffled), ("reversed", &reversed)] {
            let got = last_printed(other);
            assert_eq!(expected, got, "{}, {how}:\n{}", straight.title, other.lines.join("\n"));
        }
        compared += 1;
    }
    assert!(compared > 0, "every stream was too long to be shuffled");
}

type Last = (i64, BTreeMap<String, (Option<f64>, f64)>);

fn last_printed(case: &Case) -> Last {
    let run = backtest(&case.lines, &case.every, &case.settings).unwrap_or_else(|e| panic!("{}: {e}", case.title));
    let (at, records) = run.printed.last_key_value().unwrap_or_else(|| panic!("{}: nothing printed", case.title));
    let expected = instants(&case.lines, duration(&case.every), &case.settings);
    assert_eq!(Some(*at), expected.last().map(|i| i.at), "{}: another last instant", case.title);
    (*at, records.clone())
}

fn span(case: &Case) -> i64 {
    let times = || case.lines.iter().filter_map(|line| oracle::decode::decode(line, &case.settings)).map(|e| e.time);
    // The record three days ahead is dead-lettered in order and would not be where it came first.
    times().max().unwrap_or(0) - times().min().unwrap_or(0)
}

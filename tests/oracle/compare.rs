//! What was printed against what the oracle says, both ways round; and a failing list of events made short.

use std::collections::{BTreeMap, BTreeSet};

use super::figures::{Figure, Figures, Near, REQUIRED, figures};
use super::generate::Case;
use super::intake::instants;
use super::product::{Printed, backtest};
use super::settings::duration;

/// One difference: which record, and what is wrong with it.
#[derive(Clone, Debug)]
pub struct Difference {
    pub at: i64,
    pub name: String,
    pub what: String,
}

impl Difference {
    /// The indicator, by which a shrunk list is known to fail for the same reason.
    pub fn indicator(&self) -> &str {
        self.name.split(' ').next().unwrap_or_default()
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = jiff::Timestamp::from_millisecond(self.at).unwrap();
        write!(f, "{at}  {}: {}", self.name, self.what)
    }
}

/// Runs the program over a case and compares every record of every instant.
pub fn differences(case: &Case) -> Vec<Difference> {
    let whole = |what: String| vec![Difference { at: 0, name: "run".into(), what }];
    let run = match backtest(&case.lines, &case.every, &case.settings) {
        Ok(run) => run,
        Err(what) => return whole(what),
    };
    let mut all = Vec::new();
    let expected = instants(&case.lines, duration(&case.every), &case.settings);
    for instant in &expected {
        let figures = figures(&case.lines[..instant.lines], instant.at, &case.settings);
        all.extend(compare_instant(instant.at, &figures, &run.printed));
    }
    // An instant that the oracle does not know may only show that nothing is there.
    for (at, records) in &run.printed {
        if expected.iter().any(|instant| instant.at == *at) {
            continue;
        }
        for (name, (value, samples)) in records {
            if *samples != 0.0 || value.is_some_and(|v| v != 0.0) {
                let what = format!("an instant that is none, with {value:?} ({samples})");
                all.push(Difference { at: *at, name: name.clone(), what });
            }
        }
    }
    all
}

pub fn compare_instant(at: i64, figures: &Figures, printed: &Printed) -> Vec<Difference> {
    let empty = Default::default();
    let records = printed.get(&at).unwrap_or(&empty);
    let mut all = Vec::new();
    let mut differ = |name: &str, what: String| all.push(Difference { at, name: name.to_owned(), what });
    for (name, figure) in figures {
        match records.get(name) {
            Some((value, samples)) => {
                if let Some(what) = wrong(figure, *value, *samples) {
                    differ(name, what);
                }
            }
            None if figure.value.is_none() || figure.near == Near::Optional => {}
            None => differ(name, format!("is not printed, and is {:?} ({})", figure.value, figure.samples)),
        }
    }
    for (name, (value, samples)) in records {
        if figures.contains_key(name) {
            continue;
        }
        let indicator = name.split(' ').next().unwrap_or_default();
        let known = REQUIRED.contains(&indicator);
        // A key that the oracle has not seen, or a label that it does not keep, may be shown empty.
        if known && (*samples != 0.0 || value.is_some_and(|v| v != 0.0)) {
            differ(name, format!("is printed as {value:?} ({samples}), and the oracle knows no such record"));
        }
    }
    all
}

fn wrong(figure: &Figure, value: Option<f64>, samples: f64) -> Option<String> {
    let near = |a: f64, b: f64| match figure.near {
        Near::Percent => (a - b).abs() <= (b.abs() * 0.01).max(0.001) + 1e-9,
        Near::Exact | Near::Optional => (a - b).abs() <= 1e-9 * b.abs().max(1.0),
    };
    let same_value = match (figure.value, value) {
        (None, None) => true,
        (Some(expected), Some(value)) => near(value, expected),
        _ => false,
    };
    let same_samples = (figure.samples - samples).abs() <= 1e-9 * figure.samples.abs().max(1.0);
    (!same_value || !same_samples)
        .then(|| format!("printed {value:?} ({samples}), the oracle says {:?} ({})", figure.value, figure.samples))
}

/// Removes lines while the same indicator still differs (delta debugging: halves first, then ever smaller pieces).
pub fn shrink(case: &Case, indicator: &str, differ: &dyn Fn(&Case) -> Vec<Difference>) -> Case {
    // What was not taken yet at the first instant that differs is not to blame.
    let mut best = case.clone();
    let first = differ(case).into_iter().filter(|d| d.indicator() == indicator).map(|d| d.at).min();
    let expected = instants(&case.lines, duration(&case.every), &case.settings);
    if let Some(instant) = expected.iter().find(|instant| Some(instant.at) == first) {
        let lines = case.lines[..instant.lines].to_vec();
        let candidate = Case { lines, ..case.clone() };
        if differ(&candidate).iter().any(|d| d.indicator() == indicator) {
            best = candidate;
        }
    }
    let mut piece = best.lines.len().div_ceil(2);
    let mut tries = 0;
    while piece >= 1 && tries < TRIES {
        let mut start = 0;
        let mut shorter = false;
        while start < best.lines.len() && tries < TRIES {
            let mut lines = best.lines.clone();
            lines.drain(start..(start + piece).min(lines.len()));
            let candidate = Case { lines, ..best.clone() };
            tries += 1;
            if !candidate.lines.is_empty() && differ(&candidate).iter().any(|d| d.indicator() == indicator) {
                best = candidate;
                shorter = true;
            } else {
                start += piece;
            }
        }
        if piece == 1 && !shorter {
            break;
        }
        piece = if shorter { piece } else { piece / 2 };
        piece = piece.min(best.lines.len());
    }
    best
}

/// Runs every case. `None` if all is well; otherwise which indicators differ in how many cases, and for the first few of
/// them the shortest list of events that still fails, with everything one needs to see why.
pub fn verdict(cases: impl Iterator<Item = Case>) -> Option<String> {
    let mut count = 0;
    let mut tally: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let mut shown: Vec<(Case, Difference)> = Vec::new();
    for case in cases {
        count += 1;
        let all = differences(&case);
        let indicators: BTreeSet<&str> = all.iter().map(Difference::indicator).collect();
        for indicator in &indicators {
            tally.entry((*indicator).to_owned()).or_insert_with(|| (0, case.title.clone())).0 += 1;
        }
        let new = all.iter().find(|d| !shown.iter().any(|(_, other)| other.indicator() == d.indicator()));
        if let Some(new) = new.filter(|_| shown.len() < SHOWN) {
            shown.push((case, new.clone()));
        }
    }
    if tally.is_empty() {
        return None;
    }
    let mut text = format!("indicators that differ, in how many of {count} floors, and the first of these:\n");
    for (indicator, (floors, first)) in &tally {
        text.push_str(&format!("  {indicator}: {floors} ({first})\n"));
    }
    for (case, difference) in &shown {
        text.push_str(&explain(case, difference));
    }
    Some(text)
}

const SHOWN: usize = 3;

/// How many shorter lists are tried.
const TRIES: usize = 150;

fn explain(case: &Case, difference: &Difference) -> String {
    let short = shrink(case, difference.indicator(), &differences);
    let mut text = format!(
        "-----\n{}: {difference}\nshrunk from {} to {} lines, every {}, configuration:\n{}\n",
        case.title,
        case.lines.len(),
        short.lines.len(),
        short.every,
        short.settings.text
    );
    for line in &short.lines {
        text.push_str(line);
        text.push('\n');
    }
    for left in differences(&short).iter().take(15) {
        text.push_str(&format!("  {left}\n"));
    }
    text
}

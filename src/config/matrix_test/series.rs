//! `asa: 10m x5, 40m x10, _ x3`: the values of a case, each for some steps.

use super::{Feed, Point, rows};
use crate::config::bounds;
use crate::config::node::{Kind, Node};
use crate::config::reader::{Report, list, map, text};
use crate::domain::Key;
use crate::indicators::{self, Indicator, Reading, Samples};
use crate::matrix::Matrix;

/// The most steps that one item may have.
const STEPS_MAX: u32 = 3_000_000;

/// `series: { ROW: VALUES, ... }`.
pub(super) fn read(node: &Node, matrix: &Matrix, place: &Key, report: &mut Report) -> Vec<Feed> {
    let mut feeds = Vec::new();
    let entries = map(node, "`series`", report).unwrap_or_default();
    if entries.is_empty() {
        report.error(node.at, "`series` feeds no row", "as series: { asa: \"10m x5, 40m x10\" }");
    }
    for entry in entries {
        if entry.value.is_nothing() {
            let hint = "inside { } a series stands in quotes: { asa: \"10m x5, 40m x10\" }";
            report.error(entry.key_at, format!("the series `{}` has no values", entry.key), hint);
            continue;
        }
        // Whether somebody waits is asked by escalation steps, whichever rows there are.
        let waiting = (&*entry.key == "waiting" && !matrix.rows.iter().any(|row| row.indicator.name == "waiting"))
            .then(|| indicators::find("waiting"))
            .flatten();
        let (indicator, case) = match waiting {
            Some(indicator) => (indicator, None),
            None => {
                let Some(case) = rows::find(matrix, &entry.key, place, entry.key_at, report) else { continue };
                let Some(row) = case.rows.first().and_then(|row| matrix.rows.get(*row)) else { continue };
                (row.indicator, Some(case))
            }
        };
        let seen_by = case.iter().flat_map(|case| &case.rows).filter_map(|row| matrix.rows.get(*row));
        let enough = seen_by.map(|row| row.min_samples).fold(1.0, f64::max);
        let points = points(&entry.value, indicator, enough, report);
        if feeds.iter().any(|feed: &Feed| feed.indicator == indicator && feed.case == case) {
            report.error(entry.key_at, format!("`{}` is fed twice", entry.key), "write one series for each row");
        }
        feeds.push(Feed { indicator, case, points });
    }
    feeds
}

/// A text with commas, or a list of texts.
fn points(node: &Node, indicator: &Indicator, enough: f64, report: &mut Report) -> Vec<Point> {
    let mut points = Vec::new();
    for item in list(node, report) {
        let Some(written) = text(&item, "series", report) else { continue };
        let parts: Vec<&str> = match node.kind {
            Kind::List(_) => vec![written],
            _ => written.split(',').collect(),
        };
        for part in parts {
            match point(part.trim(), indicator, enough) {
                Ok(point) => points.push(point),
                Err((what, hint)) => report.error(item.at, format!("series of `{}`: {what}", indicator.name), hint),
            }
        }
    }
    points
}

/// `40m`, `40m x10`, `40m/3 x10` (of 3 samples), `_` (no value).
fn point(written: &str, indicator: &Indicator, enough: f64) -> Result<Point, (String, String)> {
    let mut words = written.split_whitespace();
    let shape = || "an item is a value, `_` for none, and how many steps it lasts: 40m x10".to_owned();
    let (Some(value), times, None) = (words.next(), words.next(), words.next()) else {
        return Err((format!("`{written}` is no item"), shape()));
    };
    let steps = match times {
        None => Some(1),
        Some(times) => times.strip_prefix('x').and_then(|n| n.parse::<u32>().ok()),
    };
    let Some(steps) = steps.filter(|steps| (1..=STEPS_MAX).contains(steps)) else {
        return Err((format!("`{written}`: `{}` is no number of steps", times.unwrap_or_default()), shape()));
    };
    if value == "_" {
        return Ok(Point { reading: Reading::default(), steps });
    }
    let (value, samples) = match value.split_once('/') {
        Some((value, samples)) => (value, Some(samples)),
        None => (value, None),
    };
    let value = bounds::value(value, indicator)?;
    let samples = match samples {
        None if indicator.samples == Samples::Value => value,
        None => enough,
        Some(written) => samples_of(written, indicator)?,
    };
    Ok(Point { reading: Reading { value: Some(value), samples }, steps })
}

fn samples_of(written: &str, indicator: &Indicator) -> Result<f64, (String, String)> {
    let wrong = |hint: &str| (format!("`{written}` is no number of samples"), hint.to_owned());
    match indicator.samples {
        Samples::Number => written.parse::<u32>().map(f64::from).map_err(|_| wrong("a whole number, as 40m/3")),
        Samples::Seconds => crate::domain::Millis::parse(written)
            .map(crate::domain::Millis::as_seconds)
            .ok_or_else(|| wrong("its samples are agents' time, as 88%/2h")),
        Samples::Value => Err(wrong("a count has no samples beside itself")),
    }
}

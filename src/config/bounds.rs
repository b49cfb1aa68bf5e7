//! `< 30m`, `30m .. 45m`, `>= 88%`: sets of values in an indicator's unit, and whether a row's ranges fit together.
//!
//! `a .. b` is half-open. One exception makes `0.8 .. 1` say what people mean by it: at the top of a ratio nothing lies
//! beyond, so there the end belongs to the range.

use std::cmp::Ordering;

use super::node::Node;
use super::reader::{Report, text};
use crate::domain::Millis;
use crate::indicators::{Indicator, Samples, Unit};
use crate::matrix::{Bounds, Edge, Level};

/// What is wrong with a text that should be a range or a value: message and hint.
type Wrong = (String, String);

/// How values of an indicator are written, for hints.
fn example(indicator: &Indicator) -> (&'static str, &'static str) {
    match indicator.unit {
        Unit::Seconds => ("a duration", "30s, 15m, 2h or 1d"),
        Unit::Ratio => ("a ratio of 0..1", "0.88 or 88%"),
        Unit::Count => ("a plain number", "5"),
    }
}

/// The least and the greatest value there can be.
fn domain(indicator: &Indicator) -> (f64, f64) {
    // A change is the one figure that can be negative.
    let least = if indicator.name.ends_with("_change") { f64::NEG_INFINITY } else { 0.0 };
    (least, if indicator.unit == Unit::Ratio { 1.0 } else { f64::INFINITY })
}

/// One value in the indicator's unit: seconds, 0..1, or a number.
pub(super) fn value(written: &str, indicator: &Indicator) -> Result<f64, Wrong> {
    let wrong = |but: &str| {
        let (unit, samples) = example(indicator);
        let what = format!("`{written}` is in the wrong unit: the unit of `{}` is {unit}{but}", indicator.name);
        Err((what, format!("write {samples}")))
    };
    let (least, greatest) = domain(indicator);
    let number = |text: &str, shift: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain =
            digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') && digits.bytes().any(|b| b.is_ascii_digit());
        // The percent is shifted in the text, so that 12.3% is the very number that 0.123 is.
        if plain { format!("{text}{shift}").parse::<f64>().ok().filter(|n| n.is_finite()) } else { None }
    };
    let parsed = match indicator.unit {
        Unit::Seconds => Millis::parse(written).map(Millis::as_seconds),
        Unit::Count => number(written, ""),
        Unit::Ratio => match written.strip_suffix('%') {
            Some(percent) => number(percent.trim_end(), "e-2"),
            None => number(written, ""),
        },
    };
    match parsed {
        Some(value) if value < least || value > greatest => wrong(", and this lies outside it"),
        Some(value) => Ok(value),
        None => wrong(""),
    }
}

/// `< a`, `<= a`, `> a`, `>= a` or `a .. b`.
pub(super) fn parse(written: &str, indicator: &Indicator) -> Result<Bounds, Wrong> {
    let trimmed = written.trim();
    let edge = |text: &str, inclusive| value(text.trim(), indicator).map(|at| Some(Edge { at, inclusive }));
    let (low, high) = if let Some((a, b)) = trimmed.split_once("..") {
        let low = edge(a, true)?;
        let top = domain(indicator).1;
        let high = edge(b, false)?.map(|edge| Edge { inclusive: edge.at == top, ..edge });
        (low, high)
    } else if let Some(rest) = trimmed.strip_prefix("<=") {
        (None, edge(rest, true)?)
    } else if let Some(rest) = trimmed.strip_prefix(">=") {
        (edge(rest, true)?, None)
    } else if let Some(rest) = trimmed.strip_prefix('<') {
        (None, edge(rest, false)?)
    } else if let Some(rest) = trimmed.strip_prefix('>') {
        (edge(rest, false)?, None)
    } else {
        let what = format!("`{written}` is not a range");
        return Err((what, "write `< a`, `<= a`, `> a`, `>= a` or `a .. b` (a belongs to it, b does not)".to_owned()));
    };
    let bounds = Bounds { text: trimmed.into(), low, high };
    if is_empty(&bounds) || !meets_domain(&bounds, indicator) {
        let hint = "the smaller value comes first, and the second does not belong to the range";
        return Err((format!("`{written}` holds no value that `{}` can have", indicator.name), hint.to_owned()));
    }
    Ok(bounds)
}

/// Reads a scalar as [`parse`] does and reports what is wrong. `key` is where it stands: `when`, `goal`.
pub(super) fn read(node: &Node, key: &str, indicator: &Indicator, report: &mut Report) -> Option<Bounds> {
    let written = text(node, key, report)?;
    parse(written, indicator).map_err(|(what, hint)| report.error(node.at, format!("{key}: {what}"), hint)).ok()
}

fn is_empty(bounds: &Bounds) -> bool {
    match (bounds.low, bounds.high) {
        (Some(low), Some(high)) => low.at > high.at || (low.at == high.at && !(low.inclusive && high.inclusive)),
        _ => false,
    }
}

fn meets_domain(bounds: &Bounds, indicator: &Indicator) -> bool {
    let (least, greatest) = domain(indicator);
    let all = Bounds {
        text: "".into(),
        low: least.is_finite().then_some(Edge { at: least, inclusive: true }),
        high: greatest.is_finite().then_some(Edge { at: greatest, inclusive: true }),
    };
    meet(bounds, &all, indicator)
}

/// Whether two sets share a value that the indicator can have: a count is a whole number.
pub(super) fn meet(a: &Bounds, b: &Bounds, indicator: &Indicator) -> bool {
    let low = if low_order(a, b) == Ordering::Less { b.low } else { a.low };
    let high = match (a.high, b.high) {
        (None, other) | (other, None) => other,
        (Some(x), Some(y)) if x.at != y.at => Some(if x.at < y.at { x } else { y }),
        (Some(x), Some(y)) => Some(Edge { at: x.at, inclusive: x.inclusive && y.inclusive }),
    };
    // `concurrency` is a plain number too, and a mean.
    let counted = indicator.unit == Unit::Count && indicator.samples == Samples::Value;
    let (low, high) = if counted { whole(low, high) } else { (low, high) };
    !is_empty(&Bounds { text: "".into(), low, high })
}

/// The edges moved inwards to the whole numbers that are the first and the last between them.
fn whole(low: Option<Edge>, high: Option<Edge>) -> (Option<Edge>, Option<Edge>) {
    let inclusive = |at: f64| Edge { at, inclusive: true };
    let low = low.map(|edge| inclusive(if edge.inclusive { edge.at.ceil() } else { edge.at.floor() + 1.0 }));
    let high = high.map(|edge| inclusive(if edge.inclusive { edge.at.floor() } else { edge.at.ceil() - 1.0 }));
    (low, high)
}

/// Orders by where the sets begin.
fn low_order(a: &Bounds, b: &Bounds) -> Ordering {
    match (a.low, b.low) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(x), Some(y)) => x.at.total_cmp(&y.at).then_with(|| y.inclusive.cmp(&x.inclusive)),
    }
}

/// A range with the place of its `when`, while a row is being checked.
pub(super) struct Placed<'n, T> {
    pub node: &'n Node,
    pub bounds: Bounds,
    pub level: Level,
    pub rest: T,
}

/// Sorts the ranges from the lowest values to the highest and reports every gap, overlap and clash.
pub(super) fn check_contiguous<T>(ranges: &mut [Placed<'_, T>], indicator: &Indicator, report: &mut Report) {
    ranges.sort_by(|a, b| low_order(&a.bounds, &b.bounds));
    // The next range is held against the one that reaches highest so far, which need not be its neighbour.
    let mut highest: Option<&Placed<'_, T>> = None;
    for b in ranges.iter() {
        let Some(a) = highest.replace(b) else { continue };
        if reach(&a.bounds) > reach(&b.bounds) {
            highest = Some(a);
        }
        // The defect is shown at whichever of the two stands later in the file.
        let at = a.node.at.max(b.node.at);
        let both = format!("`{}` and `{}`", a.bounds.text, b.bounds.text);
        let (end, start) = (a.bounds.high, b.bounds.low);
        let point = end.map_or_else(String::new, |edge| print(edge.at, indicator));
        match (end, start) {
            (Some(end), Some(start)) if end.at < start.at => {
                let missing = format!("what lies from {point} to {} is in neither", print(start.at, indicator));
                report.error(
                    at,
                    format!("gap between the ranges {both}: {missing}"),
                    "let one begin where the other ends",
                );
            }
            (Some(end), Some(start)) if end.at > start.at => overlap(at, &both, report),
            (Some(end), Some(start)) if end.inclusive && start.inclusive => report.error(
                at,
                format!("clash of the ranges {both}: {point} belongs to both, an overlap of one point"),
                format!("`a .. b` and `>= a` hold their beginning: write `< {point}` for the lower one"),
            ),
            (Some(end), Some(start)) if !end.inclusive && !start.inclusive => report.error(
                at,
                format!("gap between the ranges {both}: {point} itself is in neither"),
                format!("write `>= {point}` or `{point} .. b` for the upper one"),
            ),
            (Some(_), Some(_)) => {}
            _ => overlap(at, &both, report),
        }
    }
    check_ends(ranges, indicator, report);
}

fn reach(bounds: &Bounds) -> f64 {
    bounds.high.map_or(f64::INFINITY, |edge| edge.at)
}

fn overlap(at: super::reader::Mark, both: &str, report: &mut Report) {
    report.error(
        at,
        format!("overlap of the ranges {both}"),
        "each value must be in one range: let one begin where the other ends",
    );
}

/// The lowest range must reach down to the least value there can be, the highest up to the greatest.
fn check_ends<T>(ranges: &[Placed<'_, T>], indicator: &Indicator, report: &mut Report) {
    let (least, greatest) = domain(indicator);
    if let Some(first) = ranges.first()
        && let Some(low) = first.bounds.low
        && (low.at > least || (low.at == least && !low.inclusive))
    {
        let text = &first.bounds.text;
        let from = print(low.at, indicator);
        let what = format!("gap below the range `{text}`: a lower value of `{}` is in no range", indicator.name);
        report.error(first.node.at, what, format!("add a range that ends there: `< {from}`"));
    }
    if let Some(last) = ranges.iter().max_by(|a, b| reach(&a.bounds).total_cmp(&reach(&b.bounds)))
        && let Some(high) = last.bounds.high
        && (high.at < greatest || !high.inclusive)
    {
        let text = &last.bounds.text;
        let to = print(high.at, indicator);
        let sign = if high.inclusive { ">" } else { ">=" };
        let what = format!("gap above the range `{text}`: a higher value of `{}` is in no range", indicator.name);
        report.error(last.node.at, what, format!("add a range that begins there: `{sign} {to}`"));
    }
}

/// Refuses a margin with which the level `ok` could never be taken again. The ok ranges that touch are one.
pub(super) fn check_margin<T>(
    margin: f64,
    node: &Node,
    ranges: &[Placed<'_, T>],
    indicator: &Indicator,
    report: &mut Report,
) {
    let mut whole: Vec<Bounds> = Vec::new();
    for range in ranges.iter().filter(|range| range.level == Level::Ok) {
        match whole.last_mut() {
            Some(last) if last.high.map(|e| e.at) == range.bounds.low.map(|e| e.at) => last.high = range.bounds.high,
            _ => whole.push(range.bounds.clone()),
        }
    }
    let (least, greatest) = domain(indicator);
    for ok in whole {
        let width = ok.high.map_or(greatest, |e| e.at) - ok.low.map_or(least, |e| e.at);
        let bounded = ok.low.is_some() && ok.high.is_some();
        let most = if bounded { width / 2.0 } else { width };
        // A hair's breadth less than the limit is the limit: 0.88 - 0.70 is not exactly twice 0.09.
        if margin < most * (1.0 - 1e-9) || margin == 0.0 {
            continue;
        }
        let part = if bounded { "half of it" } else { "its width" };
        let limit = print(most, indicator);
        report.error(
            node.at,
            format!(
                "margin `{}` is too wide for the ok range `{}`: it must be less than {limit}, {part}",
                shown(node),
                ok.text
            ),
            "with this margin a value could hardly be ok again",
        );
    }
}

fn shown(node: &Node) -> &str {
    match &node.kind {
        super::node::Kind::Scalar { text, .. } => text,
        _ => "",
    }
}

/// A value as a row writes it.
pub(super) fn print(value: f64, indicator: &Indicator) -> String {
    match indicator.unit {
        Unit::Seconds => Millis((value * 1000.0).round() as i64).to_string(),
        // Half of 0.88 - 0.70 is 0.09, whatever its last bit says.
        Unit::Ratio | Unit::Count => ((value * 1e9).round() / 1e9).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indicators::find;

    #[test]
    fn values_are_in_the_unit_of_the_indicator() {
        for (indicator, written, expected) in [
            ("asa", "30m", Some(1800.0)),
            ("asa", "1500ms", Some(1.5)),
            ("asa", "0s", Some(0.0)),
            ("asa", "30", None),
            ("asa", "88%", None),
            ("asa", "-5m", None),
            ("occupancy", "0.88", Some(0.88)),
            ("occupancy", "88%", Some(0.88)),
            ("occupancy", "12.3 %", Some(0.123)),
            ("occupancy", "1", Some(1.0)),
            ("occupancy", "88", None),
            ("occupancy", "101%", None),
            ("occupancy", "5m", None),
            ("occupancy", "-0.1", None),
            ("occupancy", "nan", None),
            ("waiting", "5", Some(5.0)),
            ("waiting", "2.5", Some(2.5)),
            ("waiting", "-1", None),
            ("waiting", "1e9", None),
            ("waiting", "5m", None),
            ("waiting", "50%", None),
            ("waiting", ".", None),
            ("waiting", "", None),
        ] {
            let got = value(written, find(indicator).unwrap());
            assert_eq!(got.as_ref().ok(), expected.as_ref(), "{indicator} {written}: {got:?}");
            if let Err((what, _)) = got {
                assert!(what.contains("unit") && what.contains(written), "{what}");
            }
        }
    }

    #[test]
    fn ranges_hold_what_they_say() {
        let asa = find("asa").unwrap();
        for (written, inside, outside) in [
            ("< 30m", 1799.9, 1800.0),
            ("<=30m", 1800.0, 1800.1),
            ("> 30m", 1800.1, 1800.0),
            (">= 30m", 1800.0, 1799.9),
            ("30m .. 45m", 1800.0, 2700.0),
            ("30m..45m", 2699.0, 1799.0),
        ] {
            let bounds = parse(written, asa).unwrap();
            assert!(bounds.contains(inside) && !bounds.contains(outside), "{written}");
        }
        for bad in ["30m", "= 30m", "30m - 45m", "45m .. 30m", "30m .. 30m", "<", "..", "< 0s", "", ">= 30m .. 45m"] {
            assert!(parse(bad, asa).is_err(), "{bad}");
        }
        assert!(parse("80% .. 100%", find("occupancy").unwrap()).unwrap().contains(1.0));
        assert!(parse("> 1", find("occupancy").unwrap()).is_err());
    }

    #[test]
    fn sets_meet_in_at_least_one_value() {
        let asa = find("asa").unwrap();
        for (a, b, expected) in [
            ("< 30m", "30m .. 45m", false),
            ("<= 30m", "30m .. 45m", true),
            ("< 30m", "< 10m", true),
            ("> 30m", "<= 30m", false),
            ("> 30m", "< 31m", true),
            ("1m .. 2m", "2m .. 3m", false),
        ] {
            let (a, b) = (parse(a, asa).unwrap(), parse(b, asa).unwrap());
            assert_eq!((meet(&a, &b, asa), meet(&b, &a, asa)), (expected, expected), "{} {}", a.text, b.text);
        }
        let waiting = find("waiting").unwrap();
        for (a, b, expected) in [
            ("> 4", "< 5", false),
            (">= 4", "< 5", true),
            ("> 4", "<= 5", true),
            ("> 3", "< 5", true),
            ("4.5 .. 5.5", "< 5", false),
            ("4.5 .. 5.5", "> 4", true),
        ] {
            let (a, b) = (parse(a, waiting).unwrap(), parse(b, waiting).unwrap());
            assert_eq!((meet(&a, &b, waiting), meet(&b, &a, waiting)), (expected, expected), "{} {}", a.text, b.text);
        }
        assert!(parse("4.2 .. 4.8", waiting).is_err(), "no count lies between them");
        assert!(parse("1.2 .. 1.8", find("concurrency").unwrap()).is_ok(), "a mean does");
    }

    /// Half points, edges included, from 0 to beyond the largest edge that [`some_range`] writes.
    fn points() -> impl Iterator<Item = f64> {
        (0..20).map(|n| f64::from(n) / 2.0)
    }

    fn some_range(unit: &'static str) -> impl Strategy<Value = String> {
        prop_oneof![
            (0..3usize, 1..6u8).prop_map(move |(sign, a)| format!("{} {a}{unit}", ["<", "<=", ">="][sign])),
            (0..6u8).prop_map(move |a| format!("> {a}{unit}")),
            (0..6u8, 1..4u8).prop_map(move |(a, length)| format!("{a}{unit} .. {}{unit}", a + length)),
        ]
    }

    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

        /// Ranges are accepted exactly if every value is in one of them and none is in two.
        #[test]
        fn contiguous_means_each_value_in_one_range(texts in proptest::collection::vec(some_range(""), 1..5)) {
            let indicator = find("waiting").unwrap();
            let mut report = Report::new("f");
            let node = Node { at: report.mark(1, 1), kind: crate::config::node::Kind::List(vec![]) };
            let mut ranges: Vec<_> = texts
                .iter()
                .map(|text| Placed { node: &node, bounds: parse(text, indicator).unwrap(), level: Level::Ok, rest: () })
                .collect();
            let once = points().all(|x| ranges.iter().filter(|range| range.bounds.contains(x)).count() == 1);
            check_contiguous(&mut ranges, indicator, &mut report);
            prop_assert_eq!(report.errors() == 0, once, "{:?}", texts);
        }

        #[test]
        fn sets_meet_exactly_if_they_share_a_value(a in some_range("s"), b in some_range("s")) {
            let indicator = find("asa").unwrap();
            let (x, y) = (parse(&a, indicator).unwrap(), parse(&b, indicator).unwrap());
            let shared = points().any(|point| x.contains(point) && y.contains(point));
            prop_assert_eq!(meet(&x, &y, indicator), shared, "{} {}", a, b);
        }

        #[test]
        fn sets_of_counts_meet_exactly_if_they_share_a_whole_number(a in some_range(""), b in some_range("")) {
            let indicator = find("waiting").unwrap();
            let (x, y) = (parse(&a, indicator).unwrap(), parse(&b, indicator).unwrap());
            let mut whole = points().filter(|point| point.fract() == 0.0);
            let shared = whole.any(|point| x.contains(point) && y.contains(point));
            prop_assert_eq!(meet(&x, &y, indicator), shared, "{} {}", a, b);
        }
    }
}

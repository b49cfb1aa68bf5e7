//! Numbers as people read them: `47 min`, `81 %`, `2 h 05 min`, `37 s`, `12`.
//!
//! A rounded number must not tell another story than the row did: 29 min 45 s against a goal of `< 30m` is not
//! `30 min`. So a value is printed with the fewest digits that leave it on its own side of every edge of its row.
//! Exact numbers for machines are in `records`, not here.

use crate::indicators::{Samples, Unit};
use crate::matrix::{Bounds, Language, Row};

/// A value of `unit` (seconds, 0..1, or a number), or `none` where there is none.
pub fn read(value: Option<f64>, unit: Unit, language: Language, edges: &[f64], none: &str) -> String {
    match value.filter(|value| value.is_finite()) {
        Some(value) => match unit {
            Unit::Seconds => duration(value, language, edges),
            Unit::Ratio => ratio(value, language, edges),
            Unit::Count => count(value, language),
        },
        None => none.to_owned(),
    }
}

/// Every edge of a row's ranges and of its goal.
pub fn edges(row: &Row) -> Vec<f64> {
    let bounds = row.ranges.iter().map(|range| &range.bounds).chain([&row.goal]);
    bounds.flat_map(|bounds| [bounds.low, bounds.high]).flatten().map(|edge| edge.at).collect()
}

/// `< 30 min`, `≥ 80 %`, `75 % – 88 %`.
pub fn bounds(bounds: &Bounds, unit: Unit, language: Language) -> String {
    let at = |value: f64| read(Some(value), unit, language, &[value], "");
    match (bounds.low, bounds.high) {
        (Some(low), Some(high)) if low.at == high.at => format!("= {}", at(low.at)),
        (Some(low), Some(high)) => format!("{} – {}", at(low.at), at(high.at)),
        (Some(low), None) => format!("{} {}", if low.inclusive { "≥" } else { ">" }, at(low.at)),
        (None, Some(high)) => format!("{} {}", if high.inclusive { "≤" } else { "<" }, at(high.at)),
        (None, None) => bounds.text.to_string(),
    }
}

/// What a value rests on; `None` where the value itself is the count.
pub fn samples(samples: f64, of: Samples, language: Language) -> Option<String> {
    match of {
        Samples::Number => Some(count(samples, language)),
        Samples::Seconds => Some(duration(samples, language, &[])),
        Samples::Value => None,
    }
}

/// Whether `rounded` is on the same side of `edge` as `value` (equal to it only if the value is).
fn same_side(value: f64, rounded: f64, edge: f64) -> bool {
    let near = 1e-9 * edge.abs().max(1.0);
    let side = |x: f64| {
        if (x - edge).abs() <= near {
            0
        } else if x < edge {
            -1
        } else {
            1
        }
    };
    side(value) == side(rounded)
}

/// The first of `steps` to which `value` can be rounded without crossing an edge, else the last; and the rounded value.
fn round(value: f64, steps: &[f64], edges: &[f64]) -> (f64, f64) {
    let mut chosen = (value, 1.0);
    for &step in steps {
        // 1 / step is whole for every fraction used here, which keeps 0.1 from turning into 0.30000000000000004.
        let rounded =
            if step < 1.0 { (value / step).round() / (1.0 / step).round() } else { (value / step).round() * step };
        chosen = (rounded, step);
        if edges.iter().all(|&edge| same_side(value, rounded, edge)) {
            break;
        }
    }
    chosen
}

pub fn duration(seconds: f64, language: Language, edges: &[f64]) -> String {
    let (sign, edges): (&str, Vec<f64>) =
        if seconds < 0.0 { ("-", edges.iter().map(|e| -e).collect()) } else { ("", edges.to_vec()) };
    let length = seconds.abs();
    let steps: &[f64] = match length {
        l if l > 0.0 && l < 1.0 => &[0.1, 0.001],
        l if l < 60.0 => &[1.0, 0.1, 0.001],
        l if l < 600.0 => &[1.0, 0.1],
        l if l < 2.0 * 86_400.0 => &[60.0, 1.0, 0.1],
        _ => &[3600.0, 60.0, 1.0],
    };
    let (rounded, step) = round(length, steps, &edges);
    if rounded < 60.0 {
        return format!("{sign}{} s", decimal(rounded, step, language));
    }
    let whole = rounded.floor();
    let (rest, whole) = (rounded - whole, whole as i64);
    let (days, hours, minutes, seconds) = (whole / 86_400, whole % 86_400 / 3600, whole % 3600 / 60, whole % 60);
    let mut parts: Vec<String> = Vec::new();
    if whole >= 2 * 86_400 {
        parts.push(format!("{days} d"));
        if hours > 0 || minutes > 0 {
            parts.push(format!("{hours:02} h"));
        }
    } else if whole >= 3600 {
        parts.push(format!("{} h", days * 24 + hours));
    }
    if minutes > 0 || (seconds > 0 && !parts.is_empty()) {
        parts.push(if parts.is_empty() { format!("{minutes} min") } else { format!("{minutes:02} min") });
    }
    if rest > 0.0 {
        parts.push(format!("{} s", decimal(seconds as f64 + rest, step, language)));
    } else if seconds > 0 {
        parts.push(format!("{seconds:02} s"));
    }
    format!("{sign}{}", parts.join(" "))
}

fn ratio(value: f64, language: Language, edges: &[f64]) -> String {
    let edges: Vec<f64> = edges.iter().map(|edge| edge * 100.0).collect();
    let (rounded, step) = round(value * 100.0, &[1.0, 0.1, 0.01], &edges);
    format!("{} %", decimal(rounded, step, language))
}

/// A number of something.
pub fn count(value: f64, language: Language) -> String {
    decimal(value, if value.fract() == 0.0 { 1.0 } else { 0.1 }, language)
}

fn decimal(value: f64, step: f64, language: Language) -> String {
    let places = if step >= 1.0 {
        0
    } else if step >= 0.1 {
        1
    } else if step >= 0.01 {
        2
    } else {
        3
    };
    let mut text = format!("{value:.places$}");
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    if text == "-0" {
        text = "0".to_owned();
    }
    match language {
        Language::En => text,
        Language::Es | Language::Pt => text.replace('.', ","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_people_say_them() {
        for (value, unit, edges, expected) in [
            (0.0, Unit::Seconds, &[][..], "0 s"),
            (0.36, Unit::Seconds, &[], "0,4 s"),
            (37.4, Unit::Seconds, &[], "37 s"),
            (59.7, Unit::Seconds, &[], "1 min"),
            (134.85, Unit::Seconds, &[], "2 min 15 s"),
            (125.0, Unit::Seconds, &[], "2 min 05 s"),
            (120.0, Unit::Seconds, &[], "2 min"),
            (2820.0, Unit::Seconds, &[], "47 min"),
            (2837.0, Unit::Seconds, &[], "47 min"),
            (7500.0, Unit::Seconds, &[], "2 h 05 min"),
            (7200.0, Unit::Seconds, &[], "2 h"),
            (86_400.0, Unit::Seconds, &[], "24 h"),
            (277_200.0, Unit::Seconds, &[], "3 d 05 h"),
            (-90.0, Unit::Seconds, &[], "-1 min 30 s"),
            (0.8083, Unit::Ratio, &[], "81 %"),
            (0.0, Unit::Ratio, &[], "0 %"),
            (1.0, Unit::Ratio, &[], "100 %"),
            (12.0, Unit::Count, &[], "12"),
            (-3.0, Unit::Count, &[], "-3"),
        ] {
            assert_eq!(read(Some(value), unit, Language::Es, edges, "-"), expected, "{value} {unit:?}");
        }
        assert_eq!(read(None, Unit::Ratio, Language::Es, &[], "sin datos"), "sin datos");
        assert_eq!(read(Some(f64::NAN), Unit::Count, Language::En, &[], "no data"), "no data");
    }

    #[test]
    fn rounding_never_crosses_an_edge() {
        for (value, unit, edges, expected) in [
            (1785.0, Unit::Seconds, &[1800.0][..], "29 min 45 s"),
            (1799.96, Unit::Seconds, &[1800.0], "30 min"),
            (1799.94, Unit::Seconds, &[1800.0], "29 min 59.9 s"),
            (1815.0, Unit::Seconds, &[1800.0], "30 min 15 s"),
            (1800.0, Unit::Seconds, &[1800.0], "30 min"),
            (0.7968, Unit::Ratio, &[0.8], "79.7 %"),
            (0.7999, Unit::Ratio, &[0.8], "79.99 %"),
            (0.88, Unit::Ratio, &[0.6, 0.88], "88 %"),
            (19.6, Unit::Seconds, &[20.0], "19.6 s"),
            (3599.0, Unit::Seconds, &[3600.0], "59 min 59 s"),
        ] {
            assert_eq!(read(Some(value), unit, Language::En, edges, "-"), expected, "{value} {unit:?}");
        }
    }

    #[test]
    fn bounds_read_as_people_say_them() {
        use crate::matrix::Edge;
        let edge = |at, inclusive| Some(Edge { at, inclusive });
        for (low, high, unit, expected) in [
            (None, edge(1800.0, false), Unit::Seconds, "< 30 min"),
            (None, edge(1800.0, true), Unit::Seconds, "≤ 30 min"),
            (edge(0.8, true), None, Unit::Ratio, "≥ 80 %"),
            (edge(0.755, false), None, Unit::Ratio, "> 75,5 %"),
            (edge(0.75, true), edge(0.88, false), Unit::Ratio, "75 % – 88 %"),
            (edge(0.0, true), edge(0.0, true), Unit::Count, "= 0"),
        ] {
            let what = Bounds { text: "as written".into(), low, high };
            assert_eq!(bounds(&what, unit, Language::Es), expected);
        }
    }
}

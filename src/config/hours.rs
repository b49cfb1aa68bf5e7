//! `hours: { mon-fri: ["07:00-13:00", "14:00-22:00"], sat: "08:00-02:00" }` -> shifts of the week.

use jiff::civil::{Date, Weekday};

use super::node::{Entry, Kind, Node};
use super::reader::{Report, did_you_mean, list, map, text};
use crate::domain::Shift;

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

const DAY: u16 = 24 * 60;

/// Minutes of a week.
pub(super) const WEEK: u16 = 7 * DAY;

/// Shifts in the order of the week. Defects are reported and left out.
pub(super) fn read(node: &Node, report: &mut Report) -> Vec<Shift> {
    let mut shifts = Vec::new();
    let mut named: Vec<(usize, String)> = Vec::new();
    for entry in map(node, "`hours`", report).unwrap_or_default() {
        let Some(days) = days(&entry.key) else {
            let hint =
                did_you_mean(&entry.key, DAYS.iter().map(|(name, _)| *name), "write `mon-fri`, `mon, wed` or one of");
            report.error(entry.key_at, format!("unknown day `{}` in `hours`", entry.key), hint);
            continue;
        };
        for day in &days {
            if let Some((_, other)) = named.iter().find(|(d, _)| d == day) {
                let name = DAYS[*day].0;
                let what = format!("duplicate day `{name}` in `hours`: in `{}` and in `{other}`", entry.key);
                report.error(entry.key_at, what, "name each day once, with all its shifts in one list");
            } else {
                named.push((*day, entry.key.to_string()));
            }
        }
        if entry.value.is_nothing() {
            report.error(entry.key_at, format!("`{}` has no hours", entry.key), "leave the day out where it is closed");
            continue;
        }
        for item in list(&entry.value, report) {
            if let Some((from, to)) = span(&item, report) {
                shifts.extend(days.iter().map(|day| Shift { day: DAYS[*day].1, from, to }));
            }
        }
    }
    shifts.sort_by_key(|shift| (shift.day.to_monday_zero_offset(), shift.from, shift.to));
    shifts.dedup();
    let closed = |entry: &Entry| matches!(&entry.value.kind, Kind::List(spans) if spans.is_empty());
    if let Kind::Map(entries) = &node.kind
        && shifts.is_empty()
        && entries.iter().all(closed)
    {
        let names = if entries.is_empty() { "names no day" } else { "has no hours on any day" };
        let what = format!("`hours` {names}: nothing here ever opens");
        report.warning(node.at, what, "leave `hours` out to be always open");
    }
    shifts
}

/// `mon`, `mon-fri` (over the week's end too), `mon, wed`: indices into [`DAYS`].
fn days(key: &str) -> Option<Vec<usize>> {
    let day = |name: &str| DAYS.iter().position(|(known, _)| known.eq_ignore_ascii_case(name.trim()));
    let mut all = Vec::new();
    for part in key.split(',') {
        match part.split_once('-') {
            None => all.push(day(part)?),
            Some((first, last)) => {
                let (first, last) = (day(first)?, day(last)?);
                let length = (last + 7 - first) % 7;
                all.extend((0..=length).map(|n| (first + n) % 7));
            }
        }
    }
    Some(all)
}

/// `07:00-13:00` in minutes; an end at or before the beginning is the next day's.
fn span(node: &Node, report: &mut Report) -> Option<(u16, u16)> {
    let written = text(node, "hours", report)?;
    let wrong = |what: &str, hint: &str, report: &mut Report| {
        report.error(node.at, format!("hours `{written}`: {what}"), hint);
        None
    };
    let parsed = written.split_once('-').and_then(|(from, to)| Some((minutes(from.trim())?, minutes(to.trim())?)));
    match parsed {
        None => wrong(
            "not a span of hours",
            "write \"07:00-13:00\", \"22:00-24:00\" or, across midnight, \"20:00-02:00\"",
            report,
        ),
        Some((DAY, _)) => wrong("24:00 cannot be a beginning", "the next day begins at 00:00", report),
        Some((from, to)) if from == to => wrong("begins and ends at once", "a whole day is \"00:00-24:00\"", report),
        Some((from, to)) => Some((from, if to < from { to + DAY } else { to })),
    }
}

/// `HH:MM` up to 24:00.
fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |s: &str, least: usize| {
        ((least..=2).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit()))
            .then(|| s.parse::<u16>().ok())
            .flatten()
    };
    let (hour, minute) = (two(hour, 1)?, two(minute, 2)?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= DAY).then_some(total)
}

/// A list of days as `2026-12-25`.
pub(super) fn holidays(node: &Node, report: &mut Report) -> Vec<Date> {
    let mut dates = Vec::new();
    for item in list(node, report) {
        let Some(written) = text(&item, "holidays", report) else { continue };
        let date = (written.len() == 10).then(|| written.parse::<Date>().ok()).flatten();
        match date {
            Some(date) => dates.push(date),
            None => report.error(item.at, format!("holiday `{written}` is not a day"), "write \"2026-12-25\""),
        }
    }
    dates.sort_unstable();
    dates.dedup();
    dates
}

/// The zone of that name.
pub(super) fn zone(node: &Node, report: &mut Report) -> Option<jiff::tz::TimeZone> {
    let written = text(node, "time_zone", report)?;
    let zone = jiff::tz::TimeZone::get(written).ok();
    if zone.is_none() {
        report.error(
            node.at,
            format!("unknown time zone `{written}`"),
            "write a name of the IANA list, as America/Bogota or UTC",
        );
    }
    zone
}

/// The open minutes of the week as ordered spans without overlap; `None` is always open.
pub(super) fn open_minutes(shifts: Option<&[Shift]>) -> Vec<(u16, u16)> {
    let Some(shifts) = shifts else { return vec![(0, WEEK)] };
    let mut spans = Vec::new();
    for shift in shifts {
        let start = u16::from(shift.day.to_monday_zero_offset().unsigned_abs()) * DAY;
        let (from, to) = (start + shift.from, start + shift.to);
        spans.push((from, to.min(WEEK)));
        if to > WEEK {
            spans.push((0, to - WEEK));
        }
    }
    spans.sort_unstable();
    spans
}

/// Spans that touch or overlap as one.
pub(super) fn merged(spans: Vec<(u16, u16)>) -> Vec<(u16, u16)> {
    let mut all: Vec<(u16, u16)> = Vec::new();
    for (from, to) in spans {
        match all.last_mut() {
            Some((_, end)) if from <= *end => *end = to.max(*end),
            _ => all.push((from, to)),
        }
    }
    all
}

/// A minute of the week as people write it: `mon 07:00`; its end is `sun 24:00`.
pub(super) fn shown(minute: u16) -> String {
    let (day, minute) = if minute >= WEEK { (6, DAY) } else { (minute / DAY, minute % DAY) };
    let name = DAYS.get(usize::from(day)).map_or("", |(name, _)| name);
    format!("{name} {:02}:{:02}", minute / 60, minute % 60)
}

/// Whether two weeks, as [`open_minutes`] gives them, are open at the same time in some minute.
pub(super) fn meet(a: &[(u16, u16)], b: &[(u16, u16)]) -> bool {
    a.iter().any(|(from, to)| b.iter().any(|(other_from, other_to)| from < other_to && other_from < to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::node::parse;

    fn shifts(text: &str) -> (Vec<(i8, u16, u16)>, Vec<String>) {
        let mut report = Report::new("f");
        let node = parse(text, &mut report).unwrap();
        let shifts = read(&node, &mut report);
        let shown = shifts.iter().map(|s| (s.day.to_monday_zero_offset(), s.from, s.to)).collect();
        (shown, report.finish().into_iter().map(|d| d.what).collect())
    }

    #[test]
    fn hours_become_shifts() {
        for (text, expected) in [
            ("mon: 07:00-13:00", vec![(0, 420, 780)]),
            (
                "{ mon-tue: [\"7:00-13:00\", \"14:00-22:00\"] }",
                vec![(0, 420, 780), (0, 840, 1320), (1, 420, 780), (1, 840, 1320)],
            ),
            ("sat: \"08:00-02:00\"", vec![(5, 480, 1560)]),
            ("sun-mon: \"00:00-24:00\"", vec![(0, 0, 1440), (6, 0, 1440)]),
            ("{ 'mon, wed': \"22:00-24:00\" }", vec![(0, 1320, 1440), (2, 1320, 1440)]),
            ("fri: \"22:00-00:00\"", vec![(4, 1320, 1440)]),
            ("{ mon: [], tue: \"08:00-09:00\" }", vec![(1, 480, 540)]),
        ] {
            assert_eq!(shifts(text), (expected, vec![]), "{text}");
        }
    }

    #[test]
    fn bad_hours_are_refused() {
        for (text, expected) in [
            ("lun: 07:00-13:00", "unknown day `lun` in `hours`"),
            ("mon: 07:00", "hours `07:00`: not a span of hours"),
            ("mon: 07:00-25:00", "hours `07:00-25:00`: not a span of hours"),
            ("mon: 07:60-08:00", "hours `07:60-08:00`: not a span of hours"),
            ("mon: 24:00-02:00", "hours `24:00-02:00`: 24:00 cannot be a beginning"),
            ("mon: 08:00-08:00", "hours `08:00-08:00`: begins and ends at once"),
            ("{ mon-fri: 08:00-18:00, wed: 20:00-21:00 }", "duplicate day `wed` in `hours`: in `wed` and in `mon-fri`"),
            ("mon:", "`mon` has no hours"),
            ("[mon]", "`hours` must be a map of keys, and this is a list"),
            ("{}", "`hours` names no day: nothing here ever opens"),
            ("{ mon: [], tue: [] }", "`hours` has no hours on any day: nothing here ever opens"),
        ] {
            assert_eq!(shifts(text).1, [expected], "{text}");
        }
    }

    #[test]
    fn weeks_meet_by_the_minute() {
        let open = |text: &str| {
            let mut report = Report::new("f");
            open_minutes(Some(&read(&parse(text, &mut report).unwrap(), &mut report)))
        };
        let always = open_minutes(None);
        for (a, b, expected) in [
            ("mon: 08:00-12:00", "mon: 12:00-18:00", false),
            ("mon: 08:00-12:01", "mon: 12:00-18:00", true),
            ("sun: 22:00-02:00", "mon: 01:00-03:00", true),
            ("sun: 22:00-02:00", "mon: 02:00-03:00", false),
        ] {
            assert_eq!(meet(&open(a), &open(b)), expected, "{a} {b}");
            assert!(meet(&open(a), &always));
        }
        assert!(!meet(&open("{}"), &always));
    }
}

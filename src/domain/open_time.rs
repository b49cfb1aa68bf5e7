//! The desk's clock: time that passes only while the desk is open.
//!
//! [`OpenTime::at`] is a map of time that never falls: how many milliseconds were open since 2020. The desk was open for
//! `at(b) - at(a)` of the stretch from `a` to `b`. What is open is what [`Calendar`] says: the local wall clock shows a
//! time in the hours, so an hour that is repeated counts twice and one that is skipped not at all.
//!
//! Nothing is kept by day. Between two jumps of the wall clock local time is time moved by an offset, and how much of local
//! time is open follows from the week, less what holidays close. So the map is a table of jumps, one of the week and one of
//! the holidays, and its cost does not depend on how far apart instants lie.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::calendar::{Calendar, Shift};
use super::{Millis, Timestamp};

/// Where the count begins, so that sums of many stay far from the end of an `i64`.
const ORIGIN: Timestamp = Timestamp(1_577_836_800_000); // 2020-01-01T00:00:00Z
/// Jumps of the wall clock are known between these; before and after, the offset is that of the nearest end.
const JUMPS: (Timestamp, Timestamp) = (Timestamp(0), Timestamp(7_258_118_400_000)); // 1970, 2200
const MINUTE: i64 = Millis::MINUTE.0;
const DAY: i64 = Millis::DAY.0;
const WEEK: i64 = 7 * DAY;
/// 1970-01-01 was a Thursday: local time is counted from the Monday before.
const MONDAY: i64 = 3 * DAY;

/// Serialised it is the map itself, by which two maps can be told apart.
#[derive(Clone, Debug, Serialize)]
pub struct OpenTime {
    /// `None`: always open.
    hours: Option<Hours>,
    /// What [`OpenTime::at`] takes off so that it is 0 at [`ORIGIN`].
    origin: i64,
}

#[derive(Clone, Debug, Serialize)]
struct Hours {
    /// What the map was made of.
    #[serde(skip)]
    shifts: Vec<Shift>,
    /// Open stretches of the week, since its Monday, without overlap; then how much of a week is open.
    week: Spans,
    /// Stretches of local time that the week opens and a holiday closes.
    closed: Spans,
    /// By the instant at which each begins; the first began before all time.
    offsets: Vec<Offset>,
}

/// A stretch of one offset: local time is `time + shift`, and what is open before it is `base` more than local time says.
#[derive(Clone, Copy, Debug, Serialize)]
struct Offset {
    from: i64,
    shift: i64,
    base: i64,
}

/// Stretches `[from, to)` in order, each with the length of those before it.
#[derive(Clone, Debug, Default, Serialize)]
struct Spans(Vec<(i64, i64, i64)>);

impl Spans {
    fn new(mut spans: Vec<(i64, i64)>) -> Spans {
        spans.sort_unstable();
        let mut merged: Vec<(i64, i64, i64)> = Vec::new();
        for (from, to) in spans.into_iter().filter(|(from, to)| from < to) {
            match merged.last_mut().filter(|last| last.1 >= from) {
                Some(last) => last.1 = last.1.max(to),
                None => merged.push((from, to, 0)),
            }
        }
        let mut before = 0;
        for (from, to, length) in &mut merged {
            *length = before;
            before += *to - *from;
        }
        Spans(merged)
    }

    /// How much of what lies before `at` is in them.
    fn before(&self, at: i64) -> i64 {
        let index = self.0.partition_point(|(from, ..)| *from <= at);
        let last = index.checked_sub(1).and_then(|index| self.0.get(index));
        last.map_or(0, |(from, to, before)| before + at.min(*to) - from)
    }

    fn total(&self) -> i64 {
        self.before(i64::MAX)
    }
}

impl OpenTime {
    /// Without shifts the calendar is always open, and the map is time itself.
    pub fn new(calendar: &Calendar) -> OpenTime {
        let hours = calendar.shifts.as_ref().map(|shifts| Hours::new(shifts, &calendar.zone, &calendar.holidays));
        let mut map = OpenTime { hours, origin: 0 };
        map.origin = map.at(ORIGIN).0;
        map
    }

    /// Whether it is the map of these shifts; `None` is always open.
    pub fn is_of(&self, shifts: Option<&[Shift]>) -> bool {
        self.hours.as_ref().map(|hours| hours.shifts.as_slice()) == shifts
    }

    /// The open time from 2020 until `at`; before, it is negative.
    pub fn at(&self, at: Timestamp) -> Millis {
        Millis(self.hours.as_ref().map_or(at.0, |hours| hours.at(at.0)) - self.origin)
    }

    pub fn between(&self, from: Timestamp, to: Timestamp) -> Millis {
        self.at(to) - self.at(from)
    }

    /// The last instant before `to` at which no more than `within` has been open since `from`; `None` if that is still so
    /// at `to`. While the desk is closed that is the end of the night, not its beginning.
    pub fn passes(&self, from: Timestamp, within: Millis, to: Timestamp) -> Option<Timestamp> {
        let limit = self.at(from) + within;
        if to <= from || self.at(to) <= limit {
            return None;
        }
        let (mut within, mut beyond) = (from.0, to.0);
        while beyond - within > 1 {
            let middle = within + (beyond - within) / 2;
            *(if self.at(Timestamp(middle)) <= limit { &mut within } else { &mut beyond }) = middle;
        }
        Some(Timestamp(within))
    }
}

impl Hours {
    fn new(shifts: &[Shift], zone: &TimeZone, holidays: &BTreeSet<Date>) -> Hours {
        let mut week = Vec::new();
        for shift in shifts {
            let (from, to) = span(shift, i64::from(shift.day.to_monday_zero_offset()) * DAY);
            week.extend([(from, to.min(WEEK)), (0, to - WEEK)]);
        }
        let first = Offset { from: i64::MIN, shift: offset(zone, JUMPS.0), base: 0 };
        let mut hours = Hours {
            shifts: shifts.to_vec(),
            week: Spans::new(week),
            closed: closed(shifts, holidays),
            offsets: vec![first],
        };
        let jumps = zone.following(JUMPS.0.to_jiff()).map(|jump| Timestamp(jump.timestamp().as_millisecond()));
        let mut before = first;
        for jump in jumps.take_while(|jump| *jump < JUMPS.1) {
            let shift = offset(zone, jump);
            let base = before.base + hours.local(jump.0 + before.shift) - hours.local(jump.0 + shift);
            before = Offset { from: jump.0, shift, base };
            hours.offsets.push(before);
        }
        hours
    }

    fn at(&self, at: i64) -> i64 {
        let index = self.offsets.partition_point(|offset| offset.from <= at);
        let offset = index.checked_sub(1).and_then(|index| self.offsets.get(index));
        offset.map_or(0, |offset| offset.base + self.local(at + offset.shift))
    }

    /// How much of local time is open before `local`, since the first Monday.
    fn local(&self, local: i64) -> i64 {
        let since = local + MONDAY;
        let weeks = since.div_euclid(WEEK) * self.week.total() + self.week.before(since.rem_euclid(WEEK));
        weeks - self.closed.before(local)
    }
}

/// A shift that begins on the day whose local midnight is `midnight`.
fn span(shift: &Shift, midnight: i64) -> (i64, i64) {
    (midnight + i64::from(shift.from) * MINUTE, midnight + i64::from(shift.to) * MINUTE)
}

fn offset(zone: &TimeZone, at: Timestamp) -> i64 {
    i64::from(zone.to_offset(at.to_jiff()).seconds()) * 1000
}

/// What the shifts that begin on holidays would open, less what others open.
fn closed(shifts: &[Shift], holidays: &BTreeSet<Date>) -> Spans {
    let of_day = |date: Date| {
        let midnight = TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).map_or(0, |midnight| midnight.as_millisecond());
        shifts.iter().filter(move |shift| shift.day == date.weekday()).map(move |shift| span(shift, midnight))
    };
    let mut closed: Vec<(i64, i64)> = Vec::new();
    for holiday in holidays {
        // A shift ends on the day after it begins at the latest.
        let (before, after) = (holiday.yesterday(), holiday.tomorrow());
        let around = before.into_iter().chain(after).filter(|date| !holidays.contains(date));
        let open = Spans::new(around.flat_map(of_day).collect());
        for (mut from, to) in of_day(*holiday) {
            for &(opens, closes, _) in &open.0 {
                closed.push((from, to.min(opens)));
                from = from.max(closes);
            }
            closed.push((from, to));
        }
    }
    Spans::new(closed)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::civil::Weekday;

    use super::*;

    fn calendar(zone: &str, shifts: &[(Weekday, u16, u16)], holidays: &[&str]) -> Calendar {
        let shifts = shifts.iter().map(|&(day, from, to)| Shift { day, from, to }).collect();
        let holidays = Arc::new(holidays.iter().map(|day| day.parse().unwrap()).collect());
        Calendar { zone: TimeZone::get(zone).unwrap(), shifts: Some(shifts), holidays }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn daily(from: u16, to: u16) -> Vec<(Weekday, u16, u16)> {
        Weekday::Monday.cycle_forward().take(7).map(|day| (day, from, to)).collect()
    }

    #[test]
    fn the_night_does_not_pass() {
        let desk = OpenTime::new(&calendar("America/Bogota", &daily(480, 1320), &[]));
        let (asked, answered) = (at("2026-11-23T23:00:00-05:00"), at("2026-11-24T08:05:00-05:00"));
        assert_eq!(desk.between(asked, answered), Millis::seconds(300));
        assert_eq!(desk.at(ORIGIN), Millis::ZERO);
        // Five minutes are over at 8:05, none are over until 8:00, and before 8:05 five minutes never are.
        let opening = at("2026-11-24T08:00:00-05:00");
        let later = answered + Millis::HOUR;
        assert_eq!(desk.passes(asked, Millis::seconds(300), later), Some(answered));
        assert_eq!(desk.passes(asked, Millis::ZERO, later), Some(opening));
        assert_eq!(desk.passes(asked, Millis::ZERO, opening), None);
        assert_eq!(desk.passes(asked, Millis::seconds(300), answered), None);
        // What fills the day to its end is passed when the next one begins.
        let morning = at("2026-11-23T08:00:00-05:00");
        assert_eq!(desk.passes(morning, Millis(14 * Millis::HOUR.0), later), Some(opening));
        let always = OpenTime::new(&Calendar::always());
        assert_eq!(always.between(asked, answered), Millis::seconds(32_700));
        assert_eq!(always.passes(asked, Millis::SECOND, later), Some(asked + Millis::SECOND));
        let never = OpenTime::new(&calendar("UTC", &[], &[]));
        assert_eq!(never.between(asked, answered), Millis::ZERO);
        assert_eq!(never.passes(asked, Millis::ZERO, Timestamp::MAX), None);
    }

    /// Every minute of some days, added up by what the calendar says of it.
    #[test]
    fn it_is_the_calendar_added_up() {
        let weekend = [(Weekday::Saturday, 1290, 1570), (Weekday::Sunday, 0, 90), (Weekday::Sunday, 135, 165)];
        for (zone, change) in [
            ("America/New_York", "2026-03-08"),
            ("Europe/Madrid", "2026-10-25"),
            ("Europe/Madrid", "1999-03-28"),
            ("Australia/Lord_Howe", "2026-04-05"),
            ("Australia/Lord_Howe", "2026-10-04"),
            ("Asia/Kolkata", "2026-06-07"),
        ] {
            let change: Date = change.parse().unwrap();
            let (eve, after) = (change.yesterday().unwrap().to_string(), change.tomorrow().unwrap().to_string());
            for (from, to) in [(60, 180), (150, 1530), (540, 1440), (1380, 1560)] {
                for holidays in [&[][..], &[eve.as_str()], &[&eve, &after], &[&change.to_string(), &after]] {
                    let shifts = [daily(from, to), weekend.to_vec()].concat();
                    let calendar = calendar(zone, &shifts, holidays);
                    let map = OpenTime::new(&calendar);
                    let midnight = change.checked_sub(jiff::Span::new().days(2)).unwrap().at(0, 0, 0, 0);
                    let start =
                        Timestamp(midnight.to_zoned(calendar.zone.clone()).unwrap().timestamp().as_millisecond());
                    let mut open = Millis::ZERO;
                    for minute in 0..5 * 24 * 60 {
                        let now = start + Millis(minute * MINUTE);
                        let whose = format!("{zone} {from}-{to} {holidays:?} {now}");
                        assert_eq!(map.between(start, now), open, "{whose}");
                        let is_open = calendar.is_open(now);
                        let half = if is_open { 30_000 } else { 0 };
                        assert_eq!(map.between(now, now + Millis(30_000)).0, half, "{whose}");
                        open = open + Millis(2 * half);
                    }
                }
            }
        }
    }

    #[test]
    fn far_from_the_known_jumps_it_still_never_falls() {
        let map = OpenTime::new(&calendar("Europe/Madrid", &daily(480, 1200), &["2026-12-25"]));
        let years =
            [Timestamp::MIN, at("1850-01-01T00:00:00Z"), at("1970-01-01T00:00:00Z"), at("2200-01-01T00:00:00Z")];
        for year in years {
            let days = (0..800).map(|day| map.at(year + Millis(day * DAY / 2)));
            assert!(days.collect::<Vec<_>>().is_sorted(), "{year}");
        }
        assert!(map.at(Timestamp::MAX) > map.at(at("2300-01-01T00:00:00Z")));
    }
}

//! Windows, local days and opening hours, in the plainest terms.

use std::cell::RefCell;
use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan, Zoned};
use serde_json::Value;

use super::settings::{DAY, HOUR, MINUTE, SECOND, Settings};

pub fn local(at: i64, settings: &Settings) -> Zoned {
    Timestamp::from_millisecond(at).unwrap().to_zoned(settings.zone())
}

pub fn midnight_at_or_before(at: i64, settings: &Settings) -> i64 {
    local(at, settings).start_of_day().unwrap().timestamp().as_millisecond()
}

fn interval_start(at: i64, settings: &Settings) -> i64 {
    let zoned = local(at, settings);
    let time = zoned.time();
    let of_day = i64::from(time.hour()) * HOUR
        + i64::from(time.minute()) * MINUTE
        + i64::from(time.second()) * SECOND
        + i64::from(time.millisecond());
    at - of_day % settings.interval
}

/// Every window with its left and right edge at the instant `at`.
pub fn windows(at: i64, settings: &Settings) -> Vec<(String, i64, i64)> {
    let mut all = Vec::new();
    for (label, length) in &settings.windows {
        let pane = if *length > HOUR { MINUTE } else { 10 * SECOND };
        let edge = at - length;
        all.push((label.clone(), edge - edge.rem_euclid(pane), at));
    }
    // Named by the instant just before.
    let just_before = at - 1;
    let start = interval_start(just_before, settings);
    all.push(("interval".to_owned(), start, at));
    all.push(("last_interval".to_owned(), interval_start(start - 1, settings), start));
    all.push(("today".to_owned(), midnight_at_or_before(just_before, settings), at));
    all
}

/// How long the desk was open between two instants: its open stretches, cut to these, added up.
pub fn open_between(from: i64, until: i64, hours: Option<&Value>, settings: &Settings) -> i64 {
    let Some(hours) = hours else { return until - from };
    open_stretches(from, until, hours, settings)
        .iter()
        .map(|(opens, closes)| (closes.min(&until) - opens.max(&from)).max(0))
        .sum()
}

/// From when to when, and the open stretches there.
type Known = (i64, i64, Vec<(i64, i64)>);

thread_local! {
    /// What was found out once, by site and hours.
    static KNOWN: RefCell<BTreeMap<String, Known>> = const { RefCell::new(BTreeMap::new()) };
}

/// "A second is open when the local wall clock shows a time in the hours": looked at minute by minute.
fn open_stretches(from: i64, until: i64, hours: &Value, settings: &Settings) -> Vec<(i64, i64)> {
    let site = format!("{} {:?} {hours}", settings.zone, settings.holidays);
    let known = KNOWN.with_borrow(|known| known.get(&site).cloned());
    let (first, last) = known.as_ref().map_or((from, until), |(first, last, _)| (from.min(*first), until.max(*last)));
    if let Some((_, _, stretches)) =
        known.filter(|(known_from, known_until, _)| (*known_from, *known_until) == (first, last))
    {
        return stretches;
    }
    let (first, last) = (first - first.rem_euclid(DAY), last - last.rem_euclid(DAY) + DAY);
    let mut stretches: Vec<(i64, i64)> = Vec::new();
    for minute in (first..last).step_by(MINUTE as usize) {
        if is_open(minute, hours, settings) {
            match stretches.last_mut().filter(|(_, closes)| *closes == minute) {
                Some((_, closes)) => *closes += MINUTE,
                None => stretches.push((minute, minute + MINUTE)),
            }
        }
    }
    KNOWN.with_borrow_mut(|known| known.insert(site, (first, last, stretches.clone())));
    stretches
}

/// A range that crosses midnight belongs to the day on which it begins, and a holiday closes the ranges that begin on it.
fn is_open(at: i64, hours: &Value, settings: &Settings) -> bool {
    let wall = local(at, settings).datetime();
    let minute = i64::from(wall.hour()) * 60 + i64::from(wall.minute());
    let day_before = wall.date().yesterday().unwrap();
    [(wall.date(), minute), (day_before, minute + 24 * 60)].into_iter().any(|(date, minute)| {
        let holiday = settings.holidays.iter().any(|holiday| *holiday == date.to_string());
        !holiday && ranges(hours, date).into_iter().any(|(opens, closes)| opens <= minute && minute < closes)
    })
}

/// The ranges that begin on a day, in minutes since its midnight.
fn ranges(hours: &Value, date: jiff::civil::Date) -> Vec<(i64, i64)> {
    let mut all = Vec::new();
    for (days, ranges) in hours.as_object().unwrap() {
        if !names_day(days, date.weekday().to_monday_zero_offset()) {
            continue;
        }
        let texts: Vec<&str> = match ranges {
            Value::String(text) => vec![text],
            list => list.as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect(),
        };
        for text in texts {
            let (opens, closes) = text.split_once('-').unwrap();
            let (opens, closes) = (minutes(opens), minutes(closes));
            all.push((opens, if closes <= opens { closes + 24 * 60 } else { closes }));
        }
    }
    all
}

fn minutes(text: &str) -> i64 {
    let (hours, minutes) = text.trim().split_once(':').unwrap();
    hours.parse::<i64>().unwrap() * 60 + minutes.parse::<i64>().unwrap()
}

/// `mon`, `mon-fri`, `mon-sat,sun`.
fn names_day(days: &str, monday_zero: i8) -> bool {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let number = |name: &str| NAMES.iter().position(|n| *n == name.trim()).unwrap() as i8;
    days.split(',').any(|part| match part.split_once('-') {
        Some((first, last)) if number(first) <= number(last) => (number(first)..=number(last)).contains(&monday_zero),
        Some((first, last)) => monday_zero >= number(first) || monday_zero <= number(last),
        None => number(part) == monday_zero,
    })
}

/// A local time of day on a date, for the generators and the golden files.
pub fn at_local(date: &str, time: &str, settings: &Settings) -> i64 {
    let date: jiff::civil::Date = date.parse().unwrap();
    let (clock, days) = match time.split_once('+') {
        Some((clock, days)) => (clock, days.parse::<i64>().unwrap()),
        None => (time, 0),
    };
    let clock: jiff::civil::Time = clock.parse().unwrap();
    let day = date.checked_add(days.days()).unwrap();
    day.to_datetime(clock).to_zoned(settings.zone()).unwrap().timestamp().as_millisecond()
}

pub const ONE_DAY: i64 = DAY;

//! Windows, local days and opening hours, in the plainest terms.

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

/// How long the desk was open between two instants: the ranges of each local day, cut to the stretch, added up.
/// CHOICE: a range that crosses midnight belongs to the day on which it begins, and a holiday closes the ranges that
/// begin on it.
pub fn open_between(from: i64, until: i64, hours: Option<&Value>, settings: &Settings) -> i64 {
    let Some(hours) = hours.and_then(Value::as_object) else { return until - from };
    let zone = settings.zone();
    let mut total = 0;
    let mut date = local(from, settings).date().yesterday().unwrap();
    let last = local(until, settings).date();
    while date <= last {
        let holiday = settings.holidays.iter().any(|h| *h == date.to_string());
        for (days, ranges) in hours {
            if holiday || !names_day(days, date.weekday().to_monday_zero_offset()) {
                continue;
            }
            let texts: Vec<&str> = match ranges {
                Value::String(text) => vec![text],
                list => list.as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect(),
            };
            for text in texts {
                let (opens, closes) = text.split_once('-').unwrap();
                let (opens, closes) = (minutes(opens), minutes(closes));
                let closes = if closes <= opens { closes + 24 * 60 } else { closes };
                let instant = |minutes: i64| {
                    let day = date.checked_add((minutes / 1440).days()).unwrap();
                    let time = day.at((minutes % 1440 / 60) as i8, (minutes % 60) as i8, 0, 0);
                    time.to_zoned(zone.clone()).unwrap().timestamp().as_millisecond()
                };
                total += (instant(closes).min(until) - instant(opens).max(from)).max(0);
            }
        }
        date = date.tomorrow().unwrap();
    }
    total
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

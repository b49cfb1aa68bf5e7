//! When a row of the matrix or a desk is open: weekly hours in a zone, less holidays.
//!
//! A second is open when the local wall clock shows a time in the hours. So an hour that the end of summer time repeats
//! is open twice, one that its beginning skips is not open at all, and nothing here adds durations to local times.
//!
//! | case | rule |
//! |---|---|
//! | `13:00` in `07:00-13:00` | closed: hours are half-open |
//! | `07:00-13:00` and `13:00-22:00` | one stretch: ranges that touch (or overlap) are one |
//! | `22:00-06:00` on Saturday | Sunday 05:59 is open, by Saturday's shift |
//! | Saturday is a holiday | that shift is closed whole, its part on Sunday too; Friday's shift into Saturday is open |
//! | `20:00-24:00` | until the midnight that ends the day |
//! | no hours | always open, and holidays close nothing |
//!
//! What a row does at opening (`settle`, carried incidents) is the engine's matter, not decided here.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::{Millis, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    pub zone: TimeZone,
    /// `None`: always open, and holidays close nothing.
    pub shifts: Option<Vec<Shift>>,
    /// Of the site, and so the same of all its rows.
    pub holidays: Arc<BTreeSet<Date>>,
}

/// `[from, to)` in minutes of local wall-clock time since the midnight that begins `day`; `to` beyond 1440 crosses
/// midnight. Less than a week long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift {
    pub day: Weekday,
    pub from: u16,
    pub to: u16,
}

/// A time without opening or closing, around the instant that it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub open: bool,
    /// When it began; `None` if that is further back than [`HORIZON`], or if there are no hours.
    pub since: Option<Timestamp>,
    /// When it ends or, if that is further away than [`HORIZON`], the instant up to which it certainly lasts.
    pub until: Timestamp,
}

/// How far a stretch is looked for on either side: longer than a week, after which hours begin again, so only a row of
/// holidays or hours without a pause reach beyond it.
pub const HORIZON: Millis = Millis(9 * Millis::DAY.0);

const DAY_MINUTES: i32 = 24 * 60;

impl Calendar {
    pub fn always() -> Self {
        Calendar { zone: TimeZone::UTC, shifts: None, holidays: Arc::default() }
    }

    /// Whether the second that begins at `now` is open.
    pub fn is_open(&self, now: Timestamp) -> bool {
        match &self.shifts {
            None => true,
            Some(shifts) => self.shows_open(shifts, now.in_zone(&self.zone).datetime()),
        }
    }

    /// When the open stretch around `now` began; `None` while closed, without hours, or if that is beyond [`HORIZON`].
    pub fn opened_at(&self, now: Timestamp) -> Option<Timestamp> {
        let stretch = self.stretch(now);
        stretch.since.filter(|_| stretch.open)
    }

    /// The stretch around `now`. It costs a few hundred look-ups of the zone, and its answer holds until
    /// [`Stretch::until`]: keep it until then instead of asking every second.
    pub fn stretch(&self, now: Timestamp) -> Stretch {
        let Some(shifts) = &self.shifts else {
            return Stretch { open: true, since: None, until: Timestamp::MAX };
        };
        let open = self.is_open(now);
        let edges = self.edges(shifts, now);
        let since = edges.range(..=now).rev().find(|edge| self.is_open(**edge - Millis(1)) != open).copied();
        let until = edges.range(now + Millis(1)..).find(|edge| self.is_open(**edge) != open).copied();
        Stretch { open, since, until: until.unwrap_or(now + HORIZON) }
    }

    fn shows_open(&self, shifts: &[Shift], wall: DateTime) -> bool {
        let minute = i32::from(wall.hour()) * 60 + i32::from(wall.minute());
        shifts.iter().any(|shift| {
            let days_ago = wall.date().weekday().since(shift.day);
            let since_midnight = i32::from(days_ago) * DAY_MINUTES + minute;
            (i32::from(shift.from)..i32::from(shift.to)).contains(&since_midnight)
                && !self.begins_on_holiday(wall.date(), days_ago)
        })
    }

    fn begins_on_holiday(&self, date: Date, days_ago: i8) -> bool {
        let begin = date.checked_sub(SignedDuration::from_hours(24 * i64::from(days_ago)));
        begin.is_ok_and(|begin| self.holidays.contains(&begin))
    }

    /// Every instant within [`HORIZON`] at which the wall clock may step into or out of a shift: where it shows an end
    /// of one (twice, if that hour is repeated), and where it jumps.
    fn edges(&self, shifts: &[Shift], now: Timestamp) -> BTreeSet<Timestamp> {
        let (first, last) = (now - HORIZON, now + HORIZON);
        let mut edges = BTreeSet::new();
        let jumps = self.zone.following(first.to_jiff()).map(|jump| Timestamp(jump.timestamp().as_millisecond()));
        edges.extend(jumps.take_while(|jump| *jump <= last));

        // A shift that ends in the horizon may begin up to a week before it.
        let mut day = (first - Millis(7 * Millis::DAY.0)).in_zone(&self.zone).date();
        let end = last.in_zone(&self.zone).date();
        while day <= end {
            for shift in shifts.iter().filter(|shift| shift.day == day.weekday()) {
                for minute in [shift.from, shift.to] {
                    let wall = day.at(0, 0, 0, 0).checked_add(SignedDuration::from_mins(i64::from(minute)));
                    edges.extend(wall.into_iter().flat_map(|wall| self.instants(wall)));
                }
            }
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        edges
    }

    /// When the wall clock shows `wall`: once, twice in a repeated hour, never in a skipped one.
    fn instants(&self, wall: DateTime) -> impl Iterator<Item = Timestamp> + use<> {
        let offsets = match self.zone.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => [Some(offset), None],
            AmbiguousOffset::Fold { before, after } => [Some(before), Some(after)],
            AmbiguousOffset::Gap { .. } => [None, None],
        };
        let instants = offsets.into_iter().flatten().filter_map(move |offset| offset.to_timestamp(wall).ok());
        instants.map(|instant| Timestamp(instant.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(zone: &str, shifts: &[(Weekday, &str)], holidays: &[&str]) -> Calendar {
        let minutes = |text: &str| {
            let (hours, minutes) = text.split_once(':').unwrap();
            hours.parse::<u16>().unwrap() * 60 + minutes.parse::<u16>().unwrap()
        };
        let shifts = shifts.iter().map(|(day, text)| {
            let (from, to) = text.split_once('-').unwrap();
            let (from, to) = (minutes(from), minutes(to));
            Shift { day: *day, from, to: if to <= from { to + 1440 } else { to } }
        });
        Calendar {
            zone: TimeZone::get(zone).unwrap(),
            shifts: Some(shifts.collect()),
            holidays: Arc::new(holidays.iter().map(|day| day.parse().unwrap()).collect()),
        }
    }

    const WEEK: [Weekday; 7] = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];

    fn daily(text: &'static str) -> Vec<(Weekday, &'static str)> {
        WEEK.into_iter().map(|day| (day, text)).collect()
    }

    #[test]
    fn hours_of_the_documentation() {
        let mut shifts: Vec<(Weekday, &str)> = WEEK[..5].iter().map(|day| (*day, "07:00-13:00")).collect();
        shifts.extend(WEEK[..5].iter().map(|day| (*day, "14:00-22:00")));
        shifts.push((Weekday::Saturday, "08:00-02:00"));
        // 2026-12-25 is a Friday, 2026-12-19 and 26 are Saturdays.
        let calendar = calendar("America/Bogota", &shifts, &["2026-12-25", "2026-12-26"]);
        for (local, open, since) in [
            ("2026-12-24T06:59:59", false, None),
            ("2026-12-24T07:00:00", true, Some("2026-12-24T07:00:00")),
            ("2026-12-24T12:59:59", true, Some("2026-12-24T07:00:00")),
            ("2026-12-24T13:00:00", false, None),
            ("2026-12-24T21:59:59", true, Some("2026-12-24T14:00:00")),
            ("2026-12-20T01:59:59", true, Some("2026-12-19T08:00:00")),
            ("2026-12-20T02:00:00", false, None),
            ("2026-12-25T09:00:00", false, None),
            ("2026-12-27T01:00:00", false, None),
        ] {
            let at = |text: &str| Timestamp::parse(&format!("{text}-05:00")).unwrap();
            assert_eq!(calendar.is_open(at(local)), open, "{local}");
            assert_eq!(calendar.opened_at(at(local)), since.map(at), "{local}");
        }
    }

    #[test]
    fn a_holiday_closes_the_shifts_that_begin_on_it() {
        let calendar = calendar("UTC", &daily("22:00-06:00"), &["2026-12-25"]);
        for (at, open) in [
            ("2026-12-25T05:59:59Z", true),
            ("2026-12-25T06:00:00Z", false),
            ("2026-12-25T22:30:00Z", false),
            ("2026-12-26T03:00:00Z", false),
            ("2026-12-26T22:00:00Z", true),
        ] {
            assert_eq!(calendar.is_open(Timestamp::parse(at).unwrap()), open, "{at}");
        }
    }

    #[test]
    fn ranges_that_touch_are_one() {
        let mut shifts = daily("06:00-12:00");
        shifts.extend(daily("12:00-24:00"));
        shifts.push((Weekday::Wednesday, "00:00-06:00"));
        let calendar = calendar("Europe/Madrid", &shifts, &[]);
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let wednesday = calendar.stretch(at("2026-11-25T12:00:00+01:00"));
        assert_eq!(wednesday.since, Some(at("2026-11-24T06:00:00+01:00")));
        assert_eq!(wednesday.until, at("2026-11-26T00:00:00+01:00"));
    }

    #[test]
    fn without_end() {
        let now = Timestamp::parse("2026-11-25T12:00:00Z").unwrap();
        let round = calendar("UTC", &daily("00:00-24:00"), &[]);
        assert_eq!(round.stretch(now), Stretch { open: true, since: None, until: now + HORIZON });
        assert_eq!(Calendar::always().stretch(now), Stretch { open: true, since: None, until: Timestamp::MAX });
        let never = calendar("UTC", &[], &[]);
        assert!(!never.is_open(now) && never.opened_at(now).is_none());
    }

    /// The same question asked differently: the wall clock's minute against a list of every open civil minute.
    fn open_minutes(calendar: &Calendar, around: Date) -> BTreeSet<DateTime> {
        let mut open = BTreeSet::new();
        let mut day = around.checked_sub(SignedDuration::from_hours(24 * 20)).unwrap();
        for _ in 0..40 {
            if !calendar.holidays.contains(&day) {
                for shift in calendar.shifts.iter().flatten().filter(|shift| shift.day == day.weekday()) {
                    for minute in shift.from..shift.to {
                        open.insert(day.at(0, 0, 0, 0) + SignedDuration::from_mins(i64::from(minute)));
                    }
                }
            }
            day = day.tomorrow().unwrap();
        }
        open
    }

    #[test]
    fn brute_force_by_minute_over_clock_changes() {
        let day_and_night = |text| {
            let mut shifts = daily(text);
            shifts.push((Weekday::Saturday, "21:30-02:10"));
            shifts.push((Weekday::Sunday, "00:00-01:30"));
            shifts.push((Weekday::Sunday, "02:15-02:45"));
            shifts
        };
        for (zone, change) in [
            ("America/New_York", "2026-03-08"),
            ("America/New_York", "2026-11-01"),
            ("Europe/Madrid", "2026-03-29"),
            ("Europe/Madrid", "2026-10-25"),
            ("Australia/Lord_Howe", "2026-04-05"),
            ("Australia/Lord_Howe", "2026-10-04"),
            ("Asia/Kolkata", "2026-06-07"),
        ] {
            for hours in ["01:00-03:00", "02:30-01:30", "09:00-24:00", "23:00-02:00"] {
                let change: Date = change.parse().unwrap();
                let holiday = change.yesterday().unwrap().to_string();
                for holidays in [&[][..], &[holiday.as_str()][..]] {
                    compare(&calendar(zone, &day_and_night(hours), holidays), change);
                }
            }
        }
    }

    fn compare(calendar: &Calendar, change: Date) {
        let minutes = open_minutes(calendar, change);
        let start = change.checked_sub(SignedDuration::from_hours(48)).unwrap();
        let start = Timestamp(start.to_zoned(calendar.zone.clone()).unwrap().timestamp().as_millisecond());
        let mut opened = None;
        let mut before = None;
        for minute in 0..4 * 24 * 60 {
            let now = start + Millis(minute * 60_000);
            let wall = now.in_zone(&calendar.zone).datetime();
            let open = minutes.contains(&wall);
            assert_eq!(calendar.is_open(now), open, "{now} {wall} {:?}", calendar.zone);
            assert_eq!(calendar.is_open(now + Millis(59_999)), open, "{now} {wall}");
            // What began before the first minute looked at is not known to this model.
            match (before, open) {
                (Some(false), true) => opened = Some(now),
                (_, false) => opened = None,
                _ => {}
            }
            if before != Some(open) || minute % 97 == 0 {
                let stretch = calendar.stretch(now);
                assert_eq!(stretch.open, open);
                if opened.is_some() {
                    assert_eq!(calendar.opened_at(now), opened, "{now} {wall} {:?}", calendar.zone);
                }
                let last = stretch.until - Millis(60_000);
                let walls = [last, stretch.until].map(|at| at.in_zone(&calendar.zone).datetime());
                assert_eq!(walls.map(|wall| minutes.contains(&wall)), [open, !open], "until, from {now} {wall}");
            }
            before = Some(open);
        }
    }
}

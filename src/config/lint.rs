//! What is not wrong and yet cannot be meant: a range that is never reached, a `no_data` that never applies.
//!
//! Warnings about one value alone stand where that value is read; here are those that need the whole row, or the plan.

use super::hours::open_minutes;
use super::reader::{Mark, Report};
use super::row::ReadRow;
use crate::domain::{Millis, Shift};
use crate::indicators::{Samples, Unit};
use crate::matrix::{Level, NoData, Per, Range, Row};
use crate::plan::{Plan, WindowKind};

const WEEK: u16 = 7 * 24 * 60;

/// Where the parts of a row are written that a warning may be about.
pub(super) struct Places {
    /// `when` of each range, in the order of the row's ranges.
    pub ranges: Vec<Mark>,
    pub settle: Option<Mark>,
    pub no_data: Option<Mark>,
    pub group: Option<Mark>,
}

/// `channels` is the plan again, if what it says of channels is known.
pub(super) fn check(rows: &[ReadRow], plan: &Plan, channels: Option<&Plan>, report: &mut Report) {
    for read in rows {
        let open = longest_open(read.row.calendar.shifts.as_deref());
        never_judged(read, open, report);
        never_reached(read, open, channels, report);
        longer_than_the_window(read, plan, report);
        milder_further_out(read, report);
        never_without_data(read, report);
    }
}

fn never_judged(read: &ReadRow, open: Option<Millis>, report: &mut Report) {
    let settle = read.row.settle;
    if let Some(open) = open.filter(|open| *open > Millis::ZERO && settle >= *open) {
        let at = read.places.settle.unwrap_or(read.at);
        let what = format!("`settle` of {settle} is as long as the hours: they never stay open longer than {open}");
        report.warning(at, what, "the row is never judged: make `settle` shorter");
    }
}

/// Ranges with a level that no value can have, or that no value can have for long enough.
fn never_reached(read: &ReadRow, open: Option<Millis>, plan: Option<&Plan>, report: &mut Report) {
    let row = &read.row;
    let longest_wait = plan.and_then(|plan| longest_wait(row, plan));
    for (range, at) in row.ranges.iter().zip(&read.places.ranges).filter(|(range, _)| range.level != Level::Ok) {
        let text = &range.bounds.text;
        if let Some(open) = open.filter(|open| row.settle < *open && Millis(row.settle.0 + range.hold.0) >= *open) {
            let what = format!("`{text}` can never be reached: its `for` of {} outlasts the hours", range.hold);
            let hint = format!("they are open for {open} at most, and `for` begins anew at each opening");
            report.warning(*at, what, hint);
        }
        if let (Some((channel, longest)), Some(low)) = (&longest_wait, range.bounds.low)
            && low.at > longest.as_seconds()
        {
            let what = format!("`{text}` can never be reached: nobody waits longer than {longest} on `{channel}`");
            let hint =
                format!("who is silent that long is given up: `channels.{channel}.give_up` of the configuration");
            report.warning(*at, what, hint);
        }
    }
}

/// The longest that somebody waits in the channels of a row who does not write again, if the row names its channels.
fn longest_wait<'r>(row: &'r Row, plan: &Plan) -> Option<(&'r str, Millis)> {
    let waits =
        ["asa", "asa_live", "oldest_wait"].contains(&row.indicator.name) || row.indicator.name.starts_with("wait_");
    if !waits || row.indicator.unit != Unit::Seconds || !matches!(row.per, Per::Pair | Per::Channel) {
        return None;
    }
    let named = row.scope.channel.patterns().all(|pattern| row.scope.channel.literals().any(|name| *name == *pattern));
    let channels = row.scope.channel.literals().map(|channel| (channel, plan.channel(channel).give_up));
    channels.max_by_key(|(_, give_up)| *give_up).filter(|_| named)
}

/// Of sliding windows it is said with the range itself. Of `last_interval` it is meant: two bad intervals in a row.
fn longer_than_the_window(read: &ReadRow, plan: &Plan, report: &mut Report) {
    let window = match read.row.window {
        Some(WindowKind::Interval) => plan.interval,
        Some(WindowKind::Today) => Millis::DAY,
        Some(WindowKind::Sliding(_) | WindowKind::LastInterval) | None => return,
    };
    for (range, at) in read.row.ranges.iter().zip(&read.places.ranges).filter(|(range, _)| range.hold > window) {
        let what = format!("`for` of {} is longer than the row's window of {window} at most", range.hold);
        report.warning(*at, what, "what began it has left the window by then");
    }
}

/// Beyond the outermost `ok` ranges the levels rise: further out is worse.
fn milder_further_out(read: &ReadRow, report: &mut Report) {
    let ranges: Vec<_> = read.row.ranges.iter().zip(&read.places.ranges).collect();
    let is_bad = |(range, _): &&(&Range, &Mark)| range.level != Level::Ok;
    let low = ranges.iter().take_while(is_bad).count();
    let high = ranges.iter().rev().take_while(is_bad).count();
    if low == ranges.len() {
        return;
    }
    let outward = |side: &mut dyn Iterator<Item = &(&Range, &Mark)>, report: &mut Report| {
        let mut nearer: Option<&Range> = None;
        for (range, at) in side {
            if let Some(nearer) = nearer.filter(|nearer| nearer.level > range.level) {
                let (text, level) = (&range.bounds.text, range.level.name());
                let what = format!("`{text}` is further from ok than `{}` and only {level}", nearer.bounds.text);
                report.warning(
                    **at,
                    what,
                    format!("`{}` is {}: are they swapped?", nearer.bounds.text, nearer.level.name()),
                );
            }
            nearer = Some(range);
        }
    };
    outward(&mut ranges.iter().take(low).rev(), report);
    outward(&mut ranges.iter().skip(ranges.len() - high), report);
}

/// Counts, and ages of the oldest, of nothing are 0 for a rule: they are never without data.
fn never_without_data(read: &ReadRow, report: &mut Report) {
    let indicator = read.row.indicator;
    let zero =
        indicator.samples == Samples::Value || indicator.name.starts_with("oldest_") || indicator.name == "state_time";
    if let (Some(at), true, false) = (read.places.no_data, zero, matches!(read.row.no_data, NoData::Keep)) {
        let what = format!("`no_data` never applies to `{}`: of nothing it is 0, and that is a value", indicator.name);
        report.warning(at, what, "give the range that holds 0 the level that is meant");
    }
}

/// The longest that the hours of a week stay open without a pause; `None` if they never close.
fn longest_open(shifts: Option<&[Shift]>) -> Option<Millis> {
    let mut merged: Vec<(u16, u16)> = Vec::new();
    for (from, to) in open_minutes(shifts) {
        match merged.last_mut() {
            Some(last) if last.1 >= from => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    let minutes = |n: u16| Millis(i64::from(n) * Millis::MINUTE.0);
    let longest = merged.iter().map(|(from, to)| to - from).max().unwrap_or(0);
    match (merged.first(), merged.last()) {
        (Some((0, WEEK)), _) => None,
        // Sunday's night goes on into Monday.
        (Some((0, first)), Some((from, WEEK))) => Some(minutes(longest.max(first + (WEEK - from)))),
        _ => Some(minutes(longest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::Weekday;

    #[test]
    fn the_longest_open_time_of_a_week() {
        let shift = |day, from: u16, to: u16| Shift { day, from: from * 60, to: to * 60 };
        use Weekday::{Monday, Sunday, Tuesday};
        let all: Vec<Shift> = Weekday::Monday.cycle_forward().take(7).map(|day| shift(day, 0, 24)).collect();
        for (shifts, hours) in [
            (vec![shift(Monday, 8, 12), shift(Monday, 13, 18)], Some(5)),
            (vec![shift(Monday, 8, 12), shift(Monday, 12, 18)], Some(10)),
            (vec![shift(Monday, 20, 30), shift(Tuesday, 5, 9)], Some(13)),
            (vec![shift(Sunday, 22, 24), shift(Monday, 0, 3)], Some(5)),
            (vec![shift(Sunday, 22, 27)], Some(5)),
            (vec![], Some(0)),
            (all, None),
        ] {
            assert_eq!(longest_open(Some(&shifts)), hours.map(|h| Millis(h * Millis::HOUR.0)), "{shifts:?}");
        }
        assert_eq!(longest_open(None), None);
    }
}

//! Where windows begin and end at an instant. All edges lie on panes: of ten seconds, or of a minute where a window is
//! longer than an hour.

use jiff::Unit;

use crate::domain::{Millis, Timestamp};
use crate::floor::cells::PANE;
use crate::plan::{Plan, WindowKind};

/// Panes older than every window of up to an hour are merged to this width.
pub(super) const COARSE: Millis = Millis::MINUTE;

/// `[left, right)`; `right` is `OPEN` where the window reaches to the instant itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edges {
    pub left: i64,
    pub right: i64,
}

pub(super) const OPEN: i64 = i64::MAX;

/// Where all windows are at an instant, and what that means for panes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub edges: Vec<Edges>,
    /// No window reaches before this.
    pub kept_from: i64,
    /// Panes before this are merged by the minute: no edge that lies off the minute can come there again.
    pub fine_from: i64,
    /// The start of the pane that the instant just before lies in.
    pub open_from: i64,
}

impl Frame {
    pub fn at(plan: &Plan, now: Timestamp) -> Frame {
        let edges = edges(plan, now);
        let lefts = || edges.iter().map(|edges| edges.left);
        let newest = lefts().max().unwrap_or(i64::MAX);
        let fine_from = lefts().filter(|left| *left >= newest - 2 * Millis::HOUR.0).min().unwrap_or(newest);
        Frame {
            kept_from: lefts().min().unwrap_or(i64::MAX),
            fine_from: Timestamp(fine_from).floor_to(COARSE).0,
            open_from: Timestamp(now.0 - 1).floor_to(PANE).0,
            edges,
        }
    }
}

/// Windows move a pane of this width at a time.
pub(super) fn pane_of(length: Millis) -> Millis {
    if length > Millis::HOUR { COARSE } else { PANE }
}

/// The edges of every window of the plan at `now`. Intervals and days are named by the instant just before it.
fn edges(plan: &Plan, now: Timestamp) -> Vec<Edges> {
    let before = Timestamp(now.0 - 1);
    let interval = interval_start(plan, before);
    plan.windows
        .iter()
        .map(|window| match window.kind {
            WindowKind::Sliding(length) => Edges { left: (now - length).floor_to(pane_of(length)).0, right: OPEN },
            WindowKind::Interval => Edges { left: interval.0, right: OPEN },
            WindowKind::LastInterval => {
                Edges { left: interval_start(plan, Timestamp(interval.0 - 1)).0, right: interval.0 }
            }
            WindowKind::Today => Edges { left: day_start(plan, before).0, right: OPEN },
        })
        .collect()
}

/// The start of the WFM interval that holds `at`: multiples of the interval on the local wall clock. Where the clock
/// jumps inside one, the jump ends it.
fn interval_start(plan: &Plan, at: Timestamp) -> Timestamp {
    let offset = |t: Timestamp| i64::from(plan.zone.to_offset(t.to_jiff()).seconds()) * 1000;
    let here = offset(at);
    let start = Timestamp((Timestamp(at.0 + here)).floor_to(plan.interval).0 - here);
    if offset(start) == here {
        return start;
    }
    let jump = plan.zone.preceding(at.to_jiff()).next().map(|jump| Timestamp(jump.timestamp().as_millisecond()));
    jump.map_or(start, |jump| jump.max(start))
}

fn day_start(plan: &Plan, at: Timestamp) -> Timestamp {
    let local = at.in_zone(&plan.zone);
    let midnight = local.start_of_day().or_else(|_| local.round(Unit::Day));
    midnight.map_or(at.floor_to(Millis::DAY), |midnight| Timestamp(midnight.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn of(zone: &str, now: &str, label: &str) -> (Timestamp, i64) {
        let plan = Plan { zone: jiff::tz::TimeZone::get(zone).unwrap(), ..Plan::default() };
        let index = plan.windows.iter().position(|window| window.label.as_ref() == label).unwrap();
        let edges = edges(&plan, at(now))[index];
        (Timestamp(edges.left), edges.right)
    }

    #[test]
    fn sliding_windows_keep_to_panes() {
        assert_eq!(of("UTC", "2026-03-01T10:00:07Z", "5m").0, at("2026-03-01T09:55:00Z"));
        assert_eq!(of("UTC", "2026-03-01T10:00:10Z", "5m").0, at("2026-03-01T09:55:10Z"));
        assert_eq!(of("UTC", "2026-03-01T10:00:59Z", "24h").0, at("2026-02-28T10:00:00Z"));
    }

    #[test]
    fn intervals_and_days_are_named_by_the_instant_before() {
        assert_eq!(of("UTC", "2026-03-01T10:30:00Z", "interval").0, at("2026-03-01T10:00:00Z"));
        assert_eq!(of("UTC", "2026-03-01T10:30:01Z", "interval").0, at("2026-03-01T10:30:00Z"));
        let last = of("UTC", "2026-03-01T10:30:01Z", "last_interval");
        assert_eq!(last, (at("2026-03-01T10:00:00Z"), at("2026-03-01T10:30:00Z").0));
        assert_eq!(of("UTC", "2026-03-02T00:00:00Z", "today").0, at("2026-03-01T00:00:00Z"));
        assert_eq!(of("Asia/Kolkata", "2026-03-01T10:10:00Z", "interval").0, at("2026-03-01T10:00:00Z"));
        assert_eq!(of("Asia/Kathmandu", "2026-03-01T10:10:00Z", "interval").0, at("2026-03-01T09:45:00Z"));
    }

    #[test]
    fn days_of_23_and_25_hours() {
        assert_eq!(of("Europe/Madrid", "2026-03-29T20:00:00Z", "today").0, at("2026-03-28T23:00:00Z"));
        assert_eq!(of("Europe/Madrid", "2026-03-29T22:00:00Z", "today").0, at("2026-03-28T23:00:00Z"));
        assert_eq!(of("Europe/Madrid", "2026-10-25T22:30:00Z", "today").0, at("2026-10-24T22:00:00Z"));
        // The clocks of Lord Howe go back by half an hour at 2:00 (to 1:30): the interval 1:30 comes twice.
        assert_eq!(of("Australia/Lord_Howe", "2026-04-04T15:20:00Z", "interval").0, at("2026-04-04T15:00:00Z"));
        assert_eq!(of("Australia/Lord_Howe", "2026-04-04T14:50:00Z", "interval").0, at("2026-04-04T14:30:00Z"));
    }
}

//! The sums behind the ratios and means, as counters that PromQL can aggregate over any range.

use super::{Clock, Label, Labels, Stage, State, Unit};
use crate::board::View;
use crate::floor::cells::{Cell, Histogram, Level, Served, Sum};
use crate::plan::Plan;

/// A counter `atalaya_sum_NAME[_UNIT]_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SumName {
    pub name: &'static str,
    pub unit: Unit,
    pub labels: Labels,
}

const COUNTS: &[(&str, Sum)] = &[
    ("arrivals", Sum::Arrivals),
    ("queued", Sum::Queued),
    ("answered", Sum::Answered),
    ("abandoned", Sum::Abandoned),
    ("short_abandoned", Sum::ShortAbandoned),
    ("closed", Sum::Closed),
    ("closed_unanswered", Sum::ClosedUnanswered),
    ("expired", Sum::Expired),
    ("replies", Sum::Replies),
    ("first_responses", Sum::FirstResponses),
    ("responses", Sum::Responses),
    ("resolutions", Sum::Resolutions),
    ("contacts", Sum::Contacts),
    ("wrapups", Sum::Wrapups),
];

const TIMES: &[(&str, Sum)] = &[
    ("wait", Sum::WaitTotal),
    ("first_response", Sum::FirstResponseTotal),
    ("response", Sum::ResponseTotal),
    ("resolution", Sum::ResolutionTotal),
    ("handle", Sum::HandleTotal),
    ("wrapup", Sum::WrapupTotal),
];

const SERVED: &[(&str, Served)] = &[
    ("threshold_answered", Served::Answered),
    ("threshold_answered_within", Served::AnsweredWithin),
    ("threshold_abandoned", Served::Abandoned),
    ("threshold_abandoned_within", Served::AbandonedWithin),
    ("threshold_short_abandoned", Served::ShortAbandoned),
];

const SLOTS: &[(&str, Level)] =
    &[("slots_offered", Level::SlotsOffered), ("slots_busy", Level::SlotsBusy), ("busy_handling", Level::BusyHandling)];

/// Visits every counter of a key that is not zero, in the order of their names' lists. Integrals of agents' time are
/// as of now, and may fall when a late snapshot corrects them: who shows them keeps the largest value shown.
pub fn each_sum(view: &View<'_>, plan: &Plan, visit: &mut dyn FnMut(SumName, f64)) {
    let mut visit = |name, unit, labels, value: f64| {
        if value > 0.0 {
            visit(SumName { name, unit, labels }, value);
        }
    };
    let none = Labels::default();
    // Nothing is contributed on the desk's clock where it is not kept, nor of what has no length.
    for &clock in if plan.keeps_open_clock() { Clock::ALL } else { &[Clock::Elapsed] } {
        let on = Labels { clock, ..none };
        for (name, sum) in COUNTS {
            visit(name, Unit::Count, on, view.counter(Cell::sum(*sum).on(clock)) as f64);
        }
        for (name, sum) in TIMES {
            visit(name, Unit::Seconds, on, view.counter(Cell::sum(*sum).on(clock)) as f64 / 1000.0);
        }
        for threshold in 0..plan.thresholds.len() {
            let labels = Labels { threshold: Some(threshold), ..on };
            for (name, served) in SERVED {
                let cell = Cell::served(threshold, *served).on(clock);
                visit(name, Unit::Count, labels, view.counter(cell) as f64);
            }
        }
    }
    for (name, level) in SLOTS {
        visit(name, Unit::Seconds, none, view.integral_of_all_time(Cell::level(*level)).as_seconds());
    }
    for state in State::ALL {
        let labels = Labels { state: Some(*state), ..none };
        visit("state_time", Unit::Seconds, labels, view.integral_of_all_time(Cell::agents(*state)).as_seconds());
        visit("state_entries", Unit::Count, labels, view.counter(Cell::entries(*state)) as f64);
    }
    for stage in Stage::ALL {
        let labels = Labels { stage: Some(*stage), ..none };
        visit("stages", Unit::Count, labels, view.counter(Cell::stage(*stage)) as f64);
        visit("stage_time", Unit::Seconds, labels, view.counter(Cell::stage_total(*stage)) as f64 / 1000.0);
    }
    debug_assert!(Label::ALL.len() == 5, "a new label needs its sums here");
}

/// Upper bounds, in seconds, of the buckets of `atalaya_wait_seconds`.
pub const WAIT_BOUNDS: &[f64] =
    &[1.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 86_400.0];

/// The answered waits of a key since the start, in classic cumulative buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WaitHistogram {
    /// Upper bound in seconds and how many waits were at most that long; ascending, without the infinite bucket.
    pub buckets: Vec<(f64, u64)>,
    pub sum_seconds: f64,
    pub count: u64,
}

pub fn wait_histogram(view: &View<'_>) -> WaitHistogram {
    let counts = view.histogram(Histogram::Wait(Clock::Elapsed));
    let all: i64 = counts.iter().map(|(_, count)| count).sum();
    let (mut rest, mut below) = (counts.iter().peekable(), 0);
    let buckets = WAIT_BOUNDS.iter().map(|bound| {
        while let Some((_, count)) = rest.next_if(|(middle, _)| middle.as_seconds() <= *bound) {
            below += count;
        }
        (*bound, below.max(0) as u64)
    });
    WaitHistogram {
        buckets: buckets.collect(),
        sum_seconds: view.counter(Cell::sum(Sum::WaitTotal)) as f64 / 1000.0,
        count: all.max(0) as u64,
    }
}

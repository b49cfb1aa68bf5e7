//! How much there is: counts of the window, and what is open, unanswered or unqueued now.

use super::{Clock, Indicator, Label, Labels, Reading, Samples, Unit};
use crate::board::View;
use crate::floor::Age;
use crate::floor::cells::{Beyond, Cell, Level, Sum};

const SOURCE: &str = "the usual WFM definition";

const fn count(name: &'static str, about: &'static str, read: fn(&View<'_>, &Labels) -> Reading) -> Indicator {
    Indicator {
        name,
        unit: Unit::Count,
        samples: Samples::Value,
        instant: false,
        labels: &[],
        about,
        source: SOURCE,
        read,
    }
}

const fn now(name: &'static str, about: &'static str, read: fn(&View<'_>, &Labels) -> Reading) -> Indicator {
    Indicator { instant: true, ..count(name, about, read) }
}

const fn oldest(name: &'static str, about: &'static str, read: fn(&View<'_>, &Labels) -> Reading) -> Indicator {
    Indicator { unit: Unit::Seconds, samples: Samples::Number, labels: &[Label::Clock], ..now(name, about, read) }
}

pub(super) const FAMILY: &[Indicator] = &[
    count("arrivals", "Interactions that customers opened in the window.", |v, _| of(v, Sum::Arrivals)),
    count("queued", "Waits that began in the window: queued, transferred, reopened by the customer.", |v, _| {
        of(v, Sum::Queued)
    }),
    count("answered", "Waits that an answer ended in the window.", |v, _| of(v, Sum::Answered)),
    count("abandoned", "Waits that the customer ended by leaving, in the window.", |v, _| of(v, Sum::Abandoned)),
    count("closed", "Closings in the window, those before an answer among them.", |v, _| of(v, Sum::Closed)),
    count("closed_unanswered", "Closings in the window that ended a wait without an answer.", |v, _| {
        of(v, Sum::ClosedUnanswered)
    }),
    count("expired", "Interactions that left the backlog by silence in the window (idle_close, give_up).", |v, _| {
        of(v, Sum::Expired)
    }),
    count("replies", "Messages that agents wrote in the window; automatic ones do not count.", |v, _| {
        of(v, Sum::Replies)
    }),
    now("unanswered", "Open interactions with an arrival or customer message not yet answered.", |view, _| {
        Reading::count(view.level(Level::Unanswered))
    }),
    oldest("oldest_unanswered", "The age of the oldest customer message that stands unanswered.", |view, labels| {
        age(view, labels, Age::Unanswered, Level::Unanswered)
    }),
    now("unqueued", "Arrived and in no queue yet: triage.", |view, _| Reading::count(view.level(Level::Unqueued))),
    oldest("oldest_unqueued", "The age of the oldest interaction that is in no queue yet.", |view, labels| {
        age(view, labels, Age::Unqueued, Level::Unqueued)
    }),
    now("backlog", "Interactions open now.", |view, _| Reading::count(view.level(Level::Open))),
    Indicator {
        labels: &[Label::Threshold],
        ..now("backlog_aged", "Interactions open now for longer than the threshold.", |view, labels| {
            match labels.threshold {
                Some(threshold) => Reading::count(view.level_cell(Cell::beyond(threshold, Beyond::Open))),
                None => Reading::default(),
            }
        })
    },
    count("backlog_change", "The backlog at the window's end minus that at its start.", |view, _| {
        Reading::count(view.change(Level::Open))
    }),
];

fn of(view: &View<'_>, sum: Sum) -> Reading {
    Reading::count(view.sum(sum))
}

fn age(view: &View<'_>, labels: &Labels, age: Age, level: Level) -> Reading {
    if labels.clock != Clock::Elapsed {
        return Reading::default();
    }
    super::oldest(view, age, view.level(level))
}

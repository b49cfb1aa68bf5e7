//! How much there is: counts of the window, and what is open, unanswered or unqueued now.

use super::{Indicator, Label, Labels, Reading, Samples, Unit};
use crate::board::View;
use crate::floor::Age;
use crate::floor::cells::{Beyond, Cell, Level, Sum};

const fn count(name: &'static str, text: &'static str, read: fn(&View<'_>, &Labels) -> Reading) -> Indicator {
    Indicator { name, unit: Unit::Count, samples: Samples::Value, instant: false, labels: &[], text, read }
}

const fn now(name: &'static str, text: &'static str, read: fn(&View<'_>, &Labels) -> Reading) -> Indicator {
    Indicator { instant: true, ..count(name, text, read) }
}

const fn oldest(name: &'static str, text: &'static str, read: fn(&View<'_>, &Labels) -> Reading) -> Indicator {
    Indicator { unit: Unit::Seconds, samples: Samples::Number, labels: &[Label::Clock], ..now(name, text, read) }
}

pub(super) const FAMILY: &[Indicator] = &[
    count("arrivals", text!("arrivals"), |v, _| of(v, Sum::Arrivals)),
    count("queued", text!("queued"), |v, _| of(v, Sum::Queued)),
    count("answered", text!("answered"), |v, _| of(v, Sum::Answered)),
    count("abandoned", text!("abandoned"), |v, _| of(v, Sum::Abandoned)),
    count("closed", text!("closed"), |v, _| of(v, Sum::Closed)),
    count("closed_unanswered", text!("closed_unanswered"), |v, _| of(v, Sum::ClosedUnanswered)),
    count("expired", text!("expired"), |v, _| of(v, Sum::Expired)),
    count("replies", text!("replies"), |v, _| of(v, Sum::Replies)),
    now("unanswered", text!("unanswered"), |view, _| Reading::count(view.level(Level::Unanswered))),
    oldest("oldest_unanswered", text!("oldest_unanswered"), |view, labels| {
        super::oldest(view, labels, Age::Unanswered)
    }),
    now("unqueued", text!("unqueued"), |view, _| Reading::count(view.level(Level::Unqueued))),
    oldest("oldest_unqueued", text!("oldest_unqueued"), |view, labels| super::oldest(view, labels, Age::Unqueued)),
    now("backlog", text!("backlog"), |view, _| Reading::count(view.level(Level::Open))),
    Indicator {
        labels: &[Label::Threshold],
        ..now("backlog_aged", text!("backlog_aged"), |view, labels| match labels.threshold {
            Some(threshold) => Reading::count(view.level_cell(Cell::beyond(threshold, Beyond::Open))),
            None => Reading::default(),
        })
    },
    count("backlog_change", text!("backlog_change"), |view, _| Reading::count(view.change(Level::Open))),
];

fn of(view: &View<'_>, sum: Sum) -> Reading {
    Reading::count(view.sum(sum))
}

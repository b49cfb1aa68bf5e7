//! How fast customers are answered: ASA, quantiles of the wait, and those who wait now.

use super::{Indicator, Label, Labels, Reading, Samples, Unit, on};
use crate::board::View;
use crate::floor::Age;
use crate::floor::cells::{Histogram, Level, Sum};

const CLOCK: &[Label] = &[Label::Clock];

const fn wait(name: &'static str, text: &'static str, read: fn(&View<'_>, &Labels) -> Reading) -> Indicator {
    Indicator { name, unit: Unit::Seconds, samples: Samples::Number, instant: false, labels: CLOCK, text, read }
}

pub(super) const FAMILY: &[Indicator] = &[
    wait("asa", text!("asa"), |view, labels| {
        Reading::mean(on(view, labels, Sum::WaitTotal), on(view, labels, Sum::Answered))
    }),
    wait("asa_live", text!("asa_live"), |view, labels| {
        let (waiting, age) = view.waiting(labels.clock);
        Reading::mean(on(view, labels, Sum::WaitTotal) + age.0, on(view, labels, Sum::Answered) + waiting)
    }),
    wait("wait_p50", text!("wait_p50"), |v, l| quantile(v, l, 500)),
    wait("wait_p90", text!("wait_p90"), |v, l| quantile(v, l, 900)),
    wait("wait_p95", text!("wait_p95"), |v, l| quantile(v, l, 950)),
    wait("wait_p99", text!("wait_p99"), |v, l| quantile(v, l, 990)),
    wait("wait_max", text!("wait_max"), |v, l| quantile(v, l, 1000)),
    Indicator {
        name: "waiting",
        unit: Unit::Count,
        samples: Samples::Value,
        instant: true,
        labels: &[],
        text: text!("waiting"),
        read: |view, _| Reading::count(view.level(Level::Waiting)),
    },
    Indicator {
        instant: true,
        ..wait("oldest_wait", text!("oldest_wait"), |view, labels| super::oldest(view, labels, Age::Wait))
    },
];

fn quantile(view: &View<'_>, labels: &Labels, per_mille: i64) -> Reading {
    Reading::quantile(view, Histogram::Wait(labels.clock), per_mille)
}

//! How fast customers are answered: ASA, quantiles of the wait, and those who wait now.

use super::{Clock, Indicator, Label, Labels, Reading, Samples, Unit};
use crate::board::View;
use crate::floor::Age;
use crate::floor::cells::{Cell, Histogram, Level, Sum};

const CLOCK: &[Label] = &[Label::Clock];

const fn wait(name: &'static str, text: &'static str, read: fn(&View<'_>, &Labels) -> Reading) -> Indicator {
    Indicator { name, unit: Unit::Seconds, samples: Samples::Number, instant: false, labels: CLOCK, text, read }
}

pub(super) const FAMILY: &[Indicator] = &[
    wait("asa", text!("asa"), |view, labels| {
        elapsed(labels, || Reading::mean(view.sum(Sum::WaitTotal), view.sum(Sum::Answered)))
    }),
    wait("asa_live", text!("asa_live"), |view, labels| {
        elapsed(labels, || {
            let total = view.sum(Sum::WaitTotal) + view.waiting_age().0;
            Reading::mean(total, view.sum(Sum::Answered) + view.level_at_end(Cell::level(Level::Waiting)))
        })
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
        ..wait("oldest_wait", text!("oldest_wait"), |view, labels| {
            elapsed(labels, || super::oldest(view, Age::Wait, view.level(Level::Waiting)))
        })
    },
];

fn quantile(view: &View<'_>, labels: &Labels, per_mille: i64) -> Reading {
    elapsed(labels, || match view.quantile(Histogram::Wait, per_mille) {
        Some((value, samples)) => Reading { value: Some(value.as_seconds()), samples: samples as f64 },
        None => Reading::default(),
    })
}

/// The clock that is kept.
fn elapsed(labels: &Labels, read: impl FnOnce() -> Reading) -> Reading {
    if labels.clock == Clock::Elapsed { read() } else { Reading::default() }
}

//! How fast customers are answered: ASA, quantiles of the wait, and those who wait now.

use super::{Clock, Indicator, Label, Labels, Reading, Samples, Unit};
use crate::board::View;
use crate::floor::Age;
use crate::floor::cells::{Cell, Histogram, Level, Sum};

const CLOCK: &[Label] = &[Label::Clock];
const WFM: &str = "the usual WFM definition (ICMI, COPC)";

const fn wait(name: &'static str, about: &'static str, read: fn(&View<'_>, &Labels) -> Reading) -> Indicator {
    Indicator {
        name,
        unit: Unit::Seconds,
        samples: Samples::Number,
        instant: false,
        labels: CLOCK,
        about,
        source: WFM,
        read,
    }
}

pub(super) const FAMILY: &[Indicator] = &[
    wait(
        "asa",
        "Average speed of answer: the mean wait of the interactions answered in the window, from queued to the answer.",
        |view, labels| elapsed(labels, || Reading::mean(view.sum(Sum::WaitTotal), view.sum(Sum::Answered))),
    ),
    wait(
        "asa_live",
        "ASA with every interaction that still waits at the window's end counted at its age so far: what ASA hides while a queue is stuck.",
        |view, labels| {
            elapsed(labels, || {
                let total = view.sum(Sum::WaitTotal) + view.waiting_age().0;
                Reading::mean(total, view.sum(Sum::Answered) + view.level_at_end(Cell::level(Level::Waiting)))
            })
        },
    ),
    wait("wait_p50", "The median of the answered waits (nearest rank, within 1 %).", |v, l| quantile(v, l, 500)),
    wait("wait_p90", "The wait that 90 % of the answered did not exceed (nearest rank, within 1 %).", |v, l| {
        quantile(v, l, 900)
    }),
    wait("wait_p95", "The wait that 95 % of the answered did not exceed (nearest rank, within 1 %).", |v, l| {
        quantile(v, l, 950)
    }),
    wait("wait_p99", "The wait that 99 % of the answered did not exceed (nearest rank, within 1 %).", |v, l| {
        quantile(v, l, 990)
    }),
    wait("wait_max", "The longest of the answered waits (within 1 %).", |v, l| quantile(v, l, 1000)),
    Indicator {
        name: "waiting",
        unit: Unit::Count,
        samples: Samples::Value,
        instant: true,
        labels: &[],
        about: "How many interactions wait in the queue now.",
        source: WFM,
        read: |view, _| Reading::count(view.level(Level::Waiting)),
    },
    Indicator {
        instant: true,
        ..wait("oldest_wait", "The age of the oldest wait that runs now.", |view, labels| {
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

//! How long customers wait for words: first response, every response, resolution.

use super::{Clock, Indicator, Label, Labels, Reading, Samples, Unit};
use crate::board::View;
use crate::floor::cells::Sum;

const fn mean(name: &'static str, text: &'static str, read: fn(&View<'_>, &Labels) -> Reading) -> Indicator {
    Indicator {
        name,
        unit: Unit::Seconds,
        samples: Samples::Number,
        instant: false,
        labels: &[Label::Clock],
        text,
        read,
    }
}

pub(super) const FAMILY: &[Indicator] = &[
    mean("first_response_time", text!("first_response_time"), |view, labels| {
        of(view, labels, Sum::FirstResponseTotal, Sum::FirstResponses)
    }),
    mean("response_time", text!("response_time"), |view, labels| of(view, labels, Sum::ResponseTotal, Sum::Responses)),
    mean("resolution_time", text!("resolution_time"), |view, labels| {
        of(view, labels, Sum::ResolutionTotal, Sum::Resolutions)
    }),
];

fn of(view: &View<'_>, labels: &Labels, total: Sum, samples: Sum) -> Reading {
    match labels.clock {
        Clock::Elapsed => Reading::mean(view.sum(total), view.sum(samples)),
        Clock::Open => Reading::default(),
    }
}

//! How long customers wait for words: first response, every response, resolution.

use super::{Indicator, Label, Labels, Reading, Samples, Unit, on};
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
        Reading::mean(on(view, labels, Sum::FirstResponseTotal), on(view, labels, Sum::FirstResponses))
    }),
    mean("response_time", text!("response_time"), |view, labels| {
        Reading::mean(on(view, labels, Sum::ResponseTotal), on(view, labels, Sum::Responses))
    }),
    mean("resolution_time", text!("resolution_time"), |view, labels| {
        Reading::mean(on(view, labels, Sum::ResolutionTotal), on(view, labels, Sum::Resolutions))
    }),
];

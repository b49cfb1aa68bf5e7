//! How long the work on a contact takes.

use super::{Indicator, Labels, Reading, Samples, Unit};
use crate::board::View;
use crate::floor::cells::Sum;

const fn mean(name: &'static str, about: &'static str, read: fn(&View<'_>, &Labels) -> Reading) -> Indicator {
    Indicator {
        name,
        unit: Unit::Seconds,
        samples: Samples::Number,
        instant: false,
        labels: &[],
        about,
        source: "COPC, ICMI: average handling time and after-contact work",
        read,
    }
}

pub(super) const FAMILY: &[Indicator] = &[
    mean(
        "aht",
        "Average handling time: mean work on a contact, from assigned to transfer or close, after-contact work included; \
         parked time out and, where the answer is a reply, the customer's turn out.",
        |view, _| Reading::mean(view.sum(Sum::HandleTotal), view.sum(Sum::Contacts)),
    ),
    mean(
        "acw",
        "After-contact work: mean time from wrapup to transfer or close, of the contacts that have a wrapup.",
        |view, _| Reading::mean(view.sum(Sum::WrapupTotal), view.sum(Sum::Wrapups)),
    ),
];

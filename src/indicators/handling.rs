//! How long the work on a contact takes.

use super::{Indicator, Labels, Reading, Samples, Unit};
use crate::board::View;
use crate::floor::cells::Sum;

const fn mean(name: &'static str, text: &'static str, read: fn(&View<'_>, &Labels) -> Reading) -> Indicator {
    Indicator { name, unit: Unit::Seconds, samples: Samples::Number, instant: false, labels: &[], text, read }
}

pub(super) const FAMILY: &[Indicator] = &[
    mean("aht", text!("aht"), |view, _| Reading::mean(view.sum(Sum::HandleTotal), view.sum(Sum::Contacts))),
    mean("acw", text!("acw"), |view, _| Reading::mean(view.sum(Sum::WrapupTotal), view.sum(Sum::Wrapups))),
];

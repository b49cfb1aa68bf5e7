//! Service level and abandonment.

use super::{Clock, Indicator, Label, Labels, Reading, Samples, Treatment, Unit};
use crate::board::View;
use crate::floor::cells::{Beyond, Cell, Served, Sum};

const fn ratio(
    name: &'static str,
    labels: &'static [Label],
    text: &'static str,
    read: fn(&View<'_>, &Labels) -> Reading,
) -> Indicator {
    Indicator { name, unit: Unit::Ratio, samples: Samples::Number, instant: false, labels, text, read }
}

pub(super) const FAMILY: &[Indicator] = &[
    ratio("service_level", &[Label::Threshold, Label::Treatment, Label::Clock], text!("service_level"), service_level),
    ratio("service_level_live", &[Label::Threshold, Label::Clock], text!("service_level_live"), |view, labels| {
        let Some(threshold) = labels.threshold else { return Reading::default() };
        let waiting = view.level_at_end(Cell::beyond(threshold, Beyond::Waiting).on(labels.clock));
        let [answered, within, abandoned, ..] = served(view, threshold, labels.clock);
        Reading::ratio(within, answered + abandoned + waiting)
    }),
    ratio("abandonment", &[], text!("abandonment"), |view, _| {
        let lost = view.sum(Sum::Abandoned) - view.sum(Sum::ShortAbandoned);
        Reading::ratio(lost, view.sum(Sum::Answered) + lost)
    }),
];

fn served(view: &View<'_>, threshold: usize, clock: Clock) -> [i64; 5] {
    [Served::Answered, Served::AnsweredWithin, Served::Abandoned, Served::AbandonedWithin, Served::ShortAbandoned]
        .map(|served| view.cell(Cell::served(threshold, served).on(clock)))
}

fn service_level(view: &View<'_>, labels: &Labels) -> Reading {
    let Some(threshold) = labels.threshold else { return Reading::default() };
    let [answered, within, abandoned, abandoned_within, short] = served(view, threshold, labels.clock);
    match labels.treatment.unwrap_or_default() {
        Treatment::Answered => Reading::ratio(within, answered),
        Treatment::Offered => Reading::ratio(within, answered + abandoned),
        Treatment::AbandonsMet => Reading::ratio(within + abandoned_within, answered + abandoned),
        Treatment::AbandonsIgnored => Reading::ratio(within, answered + abandoned - abandoned_within),
        Treatment::ShortExcluded => Reading::ratio(within, answered + abandoned - short),
    }
}

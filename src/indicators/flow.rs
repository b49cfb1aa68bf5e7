//! Where the way of an interaction takes its time: the stages, and which of them is the bottleneck.

use super::{Indicator, Label, Labels, Reading, Samples, Stage, Unit};
use crate::board::View;
use crate::domain::Millis;
use crate::floor::cells::{Cell, Histogram};

const fn stage(
    name: &'static str,
    unit: Unit,
    samples: Samples,
    text: &'static str,
    read: fn(&View<'_>, &Labels) -> Reading,
) -> Indicator {
    Indicator { name, unit, samples, instant: false, labels: &[Label::Stage], text, read }
}

pub(super) const FAMILY: &[Indicator] = &[
    stage("stage_time", Unit::Seconds, Samples::Number, text!("stage_time"), |view, labels| match labels.stage {
        Some(stage) => Reading::mean(view.cell(Cell::stage_total(stage)), view.cell(Cell::stage(stage))),
        None => Reading::default(),
    }),
    stage("stage_time_p90", Unit::Seconds, Samples::Number, text!("stage_time_p90"), |view, labels| {
        labels.stage.map_or_else(Reading::default, |stage| Reading::quantile(view, Histogram::Stage(stage), 900))
    }),
    stage("stage_share", Unit::Ratio, Samples::Seconds, text!("stage_share"), |view, labels| {
        let Some(stage) = labels.stage else { return Reading::default() };
        let total = |stage: Stage| Millis(view.cell(Cell::stage_total(stage)));
        let all = Stage::ALL.iter().map(|stage| total(*stage).0).sum();
        Reading::time_ratio(total(stage), Millis(all))
    }),
];

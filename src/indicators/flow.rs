//! Where the way of an interaction takes its time: the stages, and which of them is the bottleneck.

use super::{Indicator, Label, Labels, Reading, Samples, Stage, Unit};
use crate::board::View;
use crate::domain::Millis;
use crate::floor::cells::{Cell, Histogram};

const fn stage(
    name: &'static str,
    unit: Unit,
    samples: Samples,
    about: &'static str,
    read: fn(&View<'_>, &Labels) -> Reading,
) -> Indicator {
    Indicator {
        name,
        unit,
        samples,
        instant: false,
        labels: &[Label::Stage],
        about,
        source: "Atalaya; time per stage as value-stream analysis measures it",
        read,
    }
}

pub(super) const FAMILY: &[Indicator] = &[
    stage(
        "stage_time",
        Unit::Seconds,
        Samples::Number,
        "Mean time of the stage over the interactions whose stage ended last in the window; all that an interaction spent in \
         it is one sample.",
        |view, labels| match labels.stage {
            Some(stage) => Reading::mean(view.cell(Cell::stage_total(stage)), view.cell(Cell::stage(stage))),
            None => Reading::default(),
        },
    ),
    stage(
        "stage_time_p90",
        Unit::Seconds,
        Samples::Number,
        "The time that 90 % of the stage's samples did not exceed (nearest rank, within 1 %).",
        |view, labels| {
            let read = labels.stage.and_then(|stage| view.quantile(Histogram::Stage(stage), 900));
            read.map_or_else(Reading::default, |(value, samples)| Reading {
                value: Some(value.as_seconds()),
                samples: samples as f64,
            })
        },
    ),
    stage(
        "stage_share",
        Unit::Ratio,
        Samples::Seconds,
        "The stage's part of the time of all stages: where the bottleneck is. Its samples are the seconds of all stages.",
        |view, labels| {
            let Some(stage) = labels.stage else { return Reading::default() };
            let total = |stage: Stage| view.cell(Cell::stage_total(stage));
            let all = Stage::ALL.iter().map(|stage| total(*stage)).sum();
            Reading { samples: Millis(all).as_seconds().max(0.0), ..Reading::ratio(total(stage), all) }
        },
    ),
];

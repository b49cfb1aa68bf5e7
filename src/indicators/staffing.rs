//! What agents' time goes into: occupancy, utilization, slots, and agents by state.

use super::{Indicator, Label, Labels, Reading, Samples, State, Unit};
use crate::board::View;
use crate::domain::Millis;
use crate::floor::cells::{Cell, Level};

const fn share(name: &'static str, text: &'static str, read: fn(&View<'_>, &Labels) -> Reading) -> Indicator {
    Indicator { name, unit: Unit::Ratio, samples: Samples::Seconds, instant: false, labels: &[], text, read }
}

pub(super) const FAMILY: &[Indicator] = &[
    share("occupancy", text!("occupancy"), |view, _| {
        let busy = time(view, &[State::Handling, State::Wrapup]);
        Reading::time_ratio(busy, busy + time(view, &[State::Available]))
    }),
    share("utilization", text!("utilization"), |view, _| {
        let there = time(view, &[State::Available, State::Handling, State::Wrapup, State::Elsewhere]);
        Reading::time_ratio(there, time(view, State::CONNECTED))
    }),
    share("slot_occupancy", text!("slot_occupancy"), |view, _| {
        let busy = view.integral(Cell::level(Level::SlotsBusy));
        Reading::time_ratio(busy, view.integral(Cell::level(Level::SlotsOffered)))
    }),
    Indicator {
        unit: Unit::Count,
        ..share("concurrency", text!("concurrency"), |view, _| {
            let busy = view.integral(Cell::level(Level::BusyHandling));
            Reading::time_ratio(busy, time(view, &[State::Handling]))
        })
    },
    Indicator {
        name: "agents",
        unit: Unit::Count,
        samples: Samples::Value,
        instant: true,
        labels: &[Label::State],
        text: text!("agents"),
        read: |view, labels| {
            let states = states(labels);
            Reading::count(states.iter().map(|state| view.level_cell(Cell::agents(*state))).sum())
        },
    },
    Indicator {
        unit: Unit::Seconds,
        labels: &[Label::State],
        ..share("state_time", text!("state_time"), |view, labels| {
            let seconds = time(view, states(labels)).as_seconds();
            Reading { value: Some(seconds), samples: seconds }
        })
    },
    Indicator {
        unit: Unit::Count,
        samples: Samples::Value,
        labels: &[Label::State],
        ..share("state_entries", text!("state_entries"), |view, labels| {
            let class = || Cell::entries(labels.state.unwrap_or(State::Connected));
            Reading::count(view.cell(labels.own_state.map_or_else(class, Cell::own_entries)))
        })
    },
];

/// The states that a label means.
fn states(labels: &Labels) -> &'static [State] {
    match labels.state.unwrap_or(State::Connected) {
        State::Available => &[State::Available],
        State::Handling => &[State::Handling],
        State::Wrapup => &[State::Wrapup],
        State::Unproductive => &[State::Unproductive],
        State::Offline => &[State::Offline],
        State::Elsewhere => &[State::Elsewhere],
        State::Connected => State::CONNECTED,
    }
}

fn time(view: &View<'_>, states: &[State]) -> Millis {
    Millis(states.iter().map(|state| view.integral(Cell::agents(*state)).0).sum())
}

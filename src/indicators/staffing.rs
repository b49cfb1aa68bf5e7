//! What agents' time goes into: occupancy, utilization, slots, and agents by state.

use super::{Indicator, Label, Labels, Reading, Samples, State, Unit};
use crate::board::View;
use crate::domain::Millis;
use crate::floor::cells::{Cell, Level};

const COPC: &str = "COPC CX Standard: occupancy and utilization of agents' time";

const fn share(name: &'static str, about: &'static str, read: fn(&View<'_>, &Labels) -> Reading) -> Indicator {
    Indicator {
        name,
        unit: Unit::Ratio,
        samples: Samples::Seconds,
        instant: false,
        labels: &[],
        about,
        source: COPC,
        read,
    }
}

pub(super) const FAMILY: &[Indicator] = &[
    share(
        "occupancy",
        "How much of the time that agents are there for customers they serve one: \
         (handling + wrapup) / (available + handling + wrapup), wall-clock time.",
        |view, _| {
            let busy = time(view, &[State::Handling, State::Wrapup]);
            Reading::time_ratio(busy, busy + time(view, &[State::Available]))
        },
    ),
    share(
        "utilization",
        "How much of the connected (paid) time agents are there for customers: \
         (available + handling + wrapup + elsewhere) / all but offline.",
        |view, _| {
            let there = time(view, &[State::Available, State::Handling, State::Wrapup, State::Elsewhere]);
            Reading::time_ratio(there, time(view, State::CONNECTED))
        },
    ),
    share("slot_occupancy", "Busy slot-seconds / offered slot-seconds of the same agents.", |view, _| {
        let busy = view.integral(Cell::level(Level::SlotsBusy));
        Reading::time_ratio(busy, view.integral(Cell::level(Level::SlotsOffered)))
    }),
    Indicator {
        unit: Unit::Count,
        ..share("concurrency", "Mean number of interactions at once while handling.", |view, _| {
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
        about: "How many agents are in the state now (connected: all but offline).",
        source: COPC,
        read: |view, labels| {
            let states = states(labels);
            Reading::count(states.iter().map(|state| view.level_cell(Cell::agents(*state))).sum())
        },
    },
    Indicator {
        unit: Unit::Seconds,
        labels: &[Label::State],
        ..share("state_time", "Seconds that agents spent in the state, clipped to the window.", |view, labels| {
            let seconds = time(view, states(labels)).as_seconds();
            Reading { value: Some(seconds), samples: seconds }
        })
    },
    Indicator {
        unit: Unit::Count,
        samples: Samples::Value,
        labels: &[Label::State],
        ..share("state_entries", "How many times the state was entered in the window.", |view, labels| {
            Reading::count(view.cell(Cell::entries(labels.state.unwrap_or(State::Connected))))
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

//! Bytes that a key of the board and an interaction of a floor hold.
//!
//! Every allocation of this program is counted by its size as asked for. What something holds is what dropping it gives
//! back, so it does not matter how it is built. A figure is a slope: the difference between a larger and a smaller one,
//! so that what does not grow with the number (tables of names, scratch) is left out. Nothing is timed.

#[path = "../tests/support/bytes.rs"]
mod bytes;
mod support;

use std::sync::Arc;

use atalaya::domain::Timestamp;
use atalaya::floor::{Floor, Taken};
use atalaya::plan::{Limits, Plan};
use atalaya::wire::{Decoded, Decoder};

use bytes::held_by;
use support::core::{Core, decoder, plan};
use support::load::{event_uuid, place, uuid};
use support::{figure, figure_with_goal};

fn main() {
    if support::is_a_test() {
        return;
    }
    keys();
    interactions();
}

const START: i64 = 1_767_225_600_000;

fn take(floor: &mut Floor, decoder: &Decoder, line: &str) {
    let Decoded::Event(event) = decoder.decode(line.as_bytes()) else { panic!("no event: {line}") };
    let taken = floor.take(&event, Timestamp::MAX);
    assert_eq!(taken, Taken::Applied, "{line}");
}

fn event(id: u64, interaction: u64, time: i64, what: &str) -> String {
    format!(r#"{{"id":"{}","interaction":"{}","time":{time},{what}}}"#, event_uuid(id), uuid(interaction))
}

// ---- keys ----

const PAIRS: usize = 1_000;
const PANE: i64 = 10_000;

/// In each of `panes` panes of 10 s every pair has one interaction of its whole life, with a wait and handling of its
/// own. What the board holds of a key, roll-ups among them, after that; `read`: once somebody has looked at every window.
fn bytes_of_a_key(panes: usize, read: bool) -> f64 {
    let decoder = decoder();
    let plan = Arc::new(plan(&[5, 15, 60], false));
    let mut core = Core::new(&plan);
    for pane in 0..panes {
        let mut lines = Vec::new();
        for pair in 0..PAIRS {
            let interaction = (pane * PAIRS + pair) as u64;
            // Five moments in one pane, spread by the interaction's number.
            let random = interaction.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            let arrived = START + pane as i64 * PANE + (random % 900) as i64;
            let replied = arrived + 50 + (random / 900 % 4_000) as i64;
            let closed = replied + 50 + (random / 3_600_000 % 4_000) as i64;
            let agent = pair % 500;
            for (stage, time, what) in [
                (0, arrived, format!(r#""type":"interaction.arrived",{}"#, place(pair))),
                (1, arrived, format!(r#""type":"interaction.queued",{}"#, place(pair))),
                (2, replied - 40, format!(r#""type":"interaction.assigned","agent":"agent-{agent}""#)),
                (3, replied, format!(r#""type":"interaction.replied","agent":"agent-{agent}""#)),
                (4, closed, r#""type":"interaction.closed","outcome":"resolved""#.to_owned()),
            ] {
                lines.push((time, event(interaction * 5 + stage, interaction, time, &what)));
            }
        }
        lines.sort();
        for (_, line) in &lines {
            take(&mut core.floor, &decoder, line);
        }
        core.flush_at(Timestamp(START + (pane as i64 + 1) * PANE));
    }
    let Core { floor, mut board } = core;
    if read {
        let keys: Vec<_> = board.keys().cloned().collect();
        keys.iter().for_each(|key| {
            (0..plan.windows.len()).for_each(|window| assert!(board.view(key, Some(window)).is_some()))
        });
    }
    // What both share, such as names, is the board's alone then.
    drop(floor);
    let keys = board.len() as f64;
    held_by(board) / keys
}

fn keys() {
    let (few, many) = (30, 360);
    let (of_few, of_many) = (bytes_of_a_key(few, true), bytes_of_a_key(many, true));
    let pane = (of_many - of_few) / (many - few) as f64;
    figure_with_goal("key_bytes_without_panes", of_few - pane * few as f64, 1024.0);
    figure_with_goal("key_bytes_of_a_pane", pane, 50.0);
    figure_with_goal("key_bytes_of_a_full_hour", of_many, 1024.0 + 50.0 * many as f64);
    figure("key_bytes_of_a_full_hour_not_looked_at", bytes_of_a_key(many, false));
}

// ---- interactions ----

/// Between these two the tables of a floor are as full: both are filled to the same share of a power of two.
const MANY: usize = 100_000;
const FEW: usize = 50_000;

/// What a floor holds of each further interaction with this many events; `closed` adds one more, the end.
fn bytes_of_an_interaction(events: usize, closed: bool, limits: &Limits) -> f64 {
    let bytes = |count: usize| {
        let decoder = decoder();
        let plan = Arc::new(Plan { limits: limits.clone(), ..plan(&[5, 15, 60], false) });
        let mut floor = Floor::new(plan.clone());
        for interaction in 0..count {
            let time = START + interaction as i64;
            let (place, agent) = (place(interaction % PAIRS), interaction % 500);
            let mut what = vec![
                format!(r#""type":"interaction.arrived",{place}"#),
                format!(r#""type":"interaction.queued",{place}"#),
                format!(r#""type":"interaction.assigned","agent":"agent-{agent}""#),
            ];
            while what.len() < events {
                what.push(match what.len() % 2 {
                    1 => format!(r#""type":"interaction.replied","agent":"agent-{agent}""#),
                    _ => r#""type":"interaction.customer_message""#.to_owned(),
                });
            }
            if closed {
                what.push(r#""type":"interaction.closed","outcome":"resolved""#.to_owned());
            }
            for (index, what) in what.iter().enumerate() {
                let id = (interaction * 16 + index) as u64;
                take(&mut floor, &decoder, &event(id, interaction as u64, time + index as i64, what));
            }
        }
        drop(floor.flush());
        let counters = floor.counters();
        assert_eq!((counters.interactions, counters.open_interactions > 0), (count, !closed), "all are held");
        held_by(floor)
    };
    (bytes(MANY) - bytes(FEW)) / (MANY - FEW) as f64
}

fn interactions() {
    // The ids known besides those of the interactions held are bounded by a limit of their own, and measured apart.
    let alone = Limits { identities: 1, ..Limits::default() };
    let four = bytes_of_an_interaction(4, false, &alone);
    let eight = bytes_of_an_interaction(8, false, &alone);
    figure_with_goal("interaction_bytes", four, 200.0);
    figure_with_goal("interaction_bytes_of_a_further_event", (eight - four) / 4.0, 16.0);
    figure("interaction_bytes_closed", bytes_of_an_interaction(4, true, &alone));
    let known = bytes_of_an_interaction(4, false, &Limits::default());
    figure("identity_bytes_of_an_event", (known - four) / 4.0);
}

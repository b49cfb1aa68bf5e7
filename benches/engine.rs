//! The engine alone (decoded event -> floor -> deltas -> board) on one core, with 100,000 interactions open: events per
//! second, and what more keys and more windows cost an event.
//!
//! The floor is filled with the open interactions before the clock starts. Flushed every 100 ms as the service does. The
//! sides of a ratio alternate in one run; a figure is the median of the rounds, per second of CPU time. Prints one JSON
//! line per figure.

mod support;

use std::sync::Arc;

use atalaya::domain::Event;
use atalaya::plan::{Limits, Plan};

use support::core::{Core, decode, decoder, plan, usual_plan};
use support::load::Load;
use support::{cpu_timed, figure, figure_with_goal, median, ratio, scaled};

const ROUNDS: usize = 5;
const OPEN: usize = 100_000;

/// Events of which the first [`Load::fill`] only fill the floor.
struct Events {
    lines: Vec<Vec<u8>>,
    fill: usize,
}

impl Events {
    fn new(load: Load) -> Self {
        let load = Load { open: OPEN, bytes: 0, ..load };
        let fill = load.fill();
        Events { lines: load.events(fill + scaled(1_000_000)).map(|line| line.bytes).collect(), fill }
    }
}

/// Nanoseconds of CPU time an event, and the core as it stands after them.
fn cost(plan: &Arc<Plan>, events: &[Event<'_>], fill: usize) -> (f64, Core) {
    let (before, after) = events.split_at(fill);
    let mut core = Core::new(plan);
    core.take_events(before);
    let (took, ()) = cpu_timed(|| core.take_events(after));
    (took * 1e9 / after.len() as f64, core)
}

fn main() {
    if support::is_a_test() {
        return;
    }
    throughput();
    keys();
    windows();
}

fn throughput() {
    let events = Events::new(Load::default());
    let decoder = decoder();
    let decoded = decode(&decoder, &events.lines);
    let plan = Arc::new(usual_plan());
    let (mut costs, mut open) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        let (cost, core) = cost(&plan, &decoded, events.fill);
        costs.push(cost);
        open = core.floor.counters().open_interactions;
    }
    figure("engine_open_interactions", open as f64);
    figure_with_goal("engine_events_per_second", 1e9 / median(&costs), 4_000_000.0);
}

fn keys() {
    let decoder = decoder();
    let (few, many) = (
        Events::new(Load { pairs: 10, zipf: true, ..Load::default() }),
        Events::new(Load { pairs: 100_000, zipf: true, ..Load::default() }),
    );
    let (few_decoded, many_decoded) = (decode(&decoder, &few.lines), decode(&decoder, &many.lines));
    // 100,000 pairs and their roll-ups.
    let plan = Arc::new(Plan { limits: Limits { keys: 200_000, ..Limits::default() }, ..usual_plan() });
    let (mut of_few, mut of_many, mut seen) = (Vec::new(), Vec::new(), (0, 0));
    for _ in 0..ROUNDS {
        let (cost_of_few, with_few) = cost(&plan, &few_decoded, few.fill);
        of_few.push(cost_of_few);
        seen.0 = with_few.board.len();
        drop(with_few);
        let (cost_of_many, with_many) = cost(&plan, &many_decoded, many.fill);
        of_many.push(cost_of_many);
        seen.1 = with_many.board.len();
    }
    figure("keys_seen_of_10", seen.0 as f64);
    figure("keys_seen_of_100000", seen.1 as f64);
    figure("event_ns_of_10_keys", median(&of_few));
    figure("event_ns_of_100000_keys", median(&of_many));
    figure_with_goal("event_cost_100000_keys_over_10", ratio(&of_many, &of_few), 1.3);
}

fn windows() {
    let events = Events::new(Load::default());
    let decoder = decoder();
    let decoded = decode(&decoder, &events.lines);
    let (one, five) = (Arc::new(plan(&[5], false)), Arc::new(plan(&[5, 15, 30, 60, 1440], false)));
    let (mut of_one, mut of_five) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        of_one.push(cost(&one, &decoded, events.fill).0);
        of_five.push(cost(&five, &decoded, events.fill).0);
    }
    figure_with_goal("event_cost_5_windows_over_1", ratio(&of_five, &of_one), 1.15);
}

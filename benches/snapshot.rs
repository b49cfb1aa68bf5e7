//! A floor of 100,000 open interactions, and the board of as many keys, put down in bytes and taken up again.

mod support;

use std::sync::Arc;

use atalaya::board::Board;
use atalaya::domain::Timestamp;
use atalaya::floor::Floor;
use atalaya::plan::{Limits, Plan};

use support::core::{Core, decode, decoder, plan, usual_plan};
use support::load::Load;
use support::{cpu_timed, figure, is_a_test, median};

const ROUNDS: usize = 7;

fn main() {
    if is_a_test() {
        return;
    }
    floor();
    board();
}

/// CPU seconds that it takes to put something down in bytes, and to take it up again; and how many bytes it is.
fn there_and_back<T>(
    mut write: impl FnMut() -> Vec<u8>,
    read: impl Fn(&[u8]) -> T,
    is_whole: impl Fn(T) -> bool,
) -> (f64, f64, f64) {
    let (mut written, mut restored, mut length) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let (seconds, bytes) = cpu_timed(&mut write);
        written.push(seconds);
        let (seconds, copy) = cpu_timed(|| read(&bytes));
        restored.push(seconds);
        assert!(is_whole(copy), "the copy holds as much");
        length = bytes.len();
    }
    (median(&written), median(&restored), length as f64)
}

/// Ids that are known besides have a bound of their own: they are left out here.
fn floor() {
    let load = Load { open: 100_000, ..Load::default() };
    let plan = Arc::new(Plan { limits: Limits { identities: 1, ..Limits::default() }, ..usual_plan() });
    let lines: Vec<Vec<u8>> = load.events(load.fill()).map(|line| line.bytes).collect();
    let mut core = Core::new(&plan);
    core.take_events(&decode(&decoder(), &lines));
    let counters = core.floor.counters();
    let (written, restored, bytes) = there_and_back(
        || core.floor.snapshot(),
        |bytes| Floor::restore(plan.clone(), bytes),
        |copy| copy.is_ok_and(|floor| floor.counters() == counters),
    );
    figure("snapshot_interactions", counters.interactions as f64);
    figure("snapshot_open_interactions", counters.open_interactions as f64);
    figure("snapshot_interaction_bytes", bytes / counters.interactions as f64);
    figure("snapshot_floor_ms", written * 1000.0);
    figure("restore_floor_ms", restored * 1000.0);
}

/// Ten thousand pairs, each with an event or so in each of the 90 panes of a quarter of an hour.
fn board() {
    let load = Load { pairs: 10_000, per_second: 1_000, open: 100_000, ..Load::default() };
    let plan = Arc::new(plan(&[5, 15], false));
    let lines: Vec<Vec<u8>> = load.events(load.fill() + 900_000).map(|line| line.bytes).collect();
    let mut core = Core::new(&plan);
    for lines in lines.chunks(100_000) {
        core.take_events(&decode(&decoder(), lines));
    }
    let now = core.floor.stream_time().unwrap_or_default();
    core.flush_at(Timestamp(now.0 + 1));
    let keys = core.board.len();
    core.board.snapshot();
    let (written, restored, bytes) = there_and_back(
        || core.board.snapshot(),
        |bytes| Board::restore(plan.clone(), bytes),
        |copy| copy.is_ok_and(|board| board.len() == keys),
    );
    figure("snapshot_keys", keys as f64);
    figure("snapshot_key_bytes", bytes / keys as f64);
    figure("snapshot_board_ms", written * 1000.0);
    figure("restore_board_ms", restored * 1000.0);
}

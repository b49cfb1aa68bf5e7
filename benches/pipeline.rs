//! Events per second of the in-memory pipeline (wire -> floor -> deltas -> board) on one core, beside decoding alone; and
//! what a second core adds when each works on floors of its own.
//!
//! 300-byte events of 1,000 pairs, in order, flushed every 100 ms as the service does, windows 5m 15m 1h today. The sides
//! alternate in one run; a figure is the median of the rounds, per second of CPU time except where two cores are compared.
//! Prints one JSON line per figure.

mod support;

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::sync::Arc;

use atalaya::wire::Decoder;

use support::core::{Core, decoder, usual_plan};
use support::load::Load;
use support::{cpu_timed, figure, figure_with_goal, median, ratio, scaled, timed};

const ROUNDS: usize = 5;

fn main() {
    if support::is_a_test() {
        return;
    }
    let records: Vec<Vec<u8>> = Load::default().events(scaled(1_000_000)).map(|line| line.bytes).collect();
    let bytes: usize = records.iter().map(Vec::len).sum();
    figure("event_bytes", bytes as f64 / records.len() as f64);
    pipeline(&records);
    two_cores(&records);
    start_up();
}

fn pipeline(records: &[Vec<u8>]) {
    let (decoder, plan) = (decoder(), Arc::new(usual_plan()));
    let before = peak_memory_mib();
    let (mut alone, mut whole, mut keys) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        alone.push(cpu_timed(|| decode(&decoder, records)).0);
        let (took, core) = cpu_timed(|| {
            let mut core = Core::new(&plan);
            core.take_records(&decoder, records);
            core
        });
        whole.push(took);
        keys = core.board.len();
    }
    let rate = |seconds: &[f64]| records.len() as f64 / median(seconds);
    figure("keys_with_rollups", keys as f64);
    figure("decode_events_per_second", rate(&alone));
    figure("pipeline_events_per_second", rate(&whole));
    figure_with_goal("pipeline_share_of_decode", ratio(&alone, &whole), 0.75);
    if let (Some(before), Some(after)) = (before, peak_memory_mib()) {
        figure("pipeline_peak_memory_mib", after - before);
    }
}

fn decode(decoder: &Decoder, records: &[Vec<u8>]) {
    for record in records {
        black_box(decoder.decode(record));
    }
}

/// The same work, once on one thread and once on two: each half of the records is a partition with a floor of its own.
fn two_cores(records: &[Vec<u8>]) {
    let (decoder, plan) = (decoder(), Arc::new(usual_plan()));
    let (left, right) = records.split_at(records.len() / 2);
    let work = |records: &[Vec<u8>]| Core::new(&plan).take_records(&decoder, records);
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (took, ()) = timed(|| {
            work(left);
            work(right);
        });
        one.push(took);
        let (took, ()) = timed(|| {
            std::thread::scope(|scope| {
                scope.spawn(|| work(left));
                work(right);
            });
        });
        two.push(took);
    }
    figure("pipeline_scaling_1_to_2_cores", ratio(&one, &two));
}

fn peak_memory_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// From starting the program to its end on an empty file of events: what every command pays before its work.
fn start_up() {
    let mut seconds = Vec::new();
    for _ in 0..11 {
        let (took, done) = timed(|| {
            Command::new(env!("CARGO_BIN_EXE_atalaya"))
                .args(["backtest", "--indicators", "asa", "--events", "/dev/null"])
                .stderr(Stdio::null())
                .status()
        });
        if done.is_ok_and(|status| status.success()) {
            seconds.push(took);
        }
    }
    if !seconds.is_empty() {
        figure("start_up_ms", median(&seconds) * 1000.0);
    }
}

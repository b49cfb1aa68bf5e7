//! Events per second of the in-memory pipeline (wire -> floor -> deltas -> board) on one core, beside decoding alone.
//!
//! 300-byte events of 1,000 pairs, in order, flushed every 100 ms as the service does, windows 5m 15m 30m 1h 24h and the named ones.
//! The two sides alternate in one run; a figure is the median of the rounds. Prints one JSON line per figure.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atalaya::board::Board;
use atalaya::domain::Timestamp;
use atalaya::floor::Floor;
use atalaya::plan::Plan;
use atalaya::wire::{Decoded, Decoder, Format};

const EVENTS: usize = 1_000_000;
const PAIRS: usize = 1_000;
const ROUNDS: usize = 5;
/// Between two looks at the clock.
const CHUNK: usize = 500;
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// Interactions whose five events interleave, 2,000 events a second of event time, padded to 300 bytes.
fn events() -> Vec<Vec<u8>> {
    let mut events = Vec::with_capacity(EVENTS);
    let start = 1_767_225_600_000i64;
    // Each step of the loop gives one event to each of five interactions of different age.
    for index in 0..EVENTS {
        let (stage, cohort) = (index % 5, index / 5);
        // Stage 0 is of the newest interaction; each later stage of one a hundred arrivals older.
        let Some(interaction) = cohort.checked_sub(stage * 100) else { continue };
        let pair = interaction.wrapping_mul(2_654_435_761) % PAIRS;
        let time = start + index as i64 / 2;
        let mut line = String::with_capacity(300);
        let place = format!(r#""queue":"queue-{}","channel":"channel-{}""#, pair / 10, pair % 10);
        let what = match stage {
            0 => format!(r#""type":"interaction.arrived",{place}"#),
            1 => format!(r#""type":"interaction.queued",{place}"#),
            2 => format!(r#""type":"interaction.assigned","agent":"agent-{}""#, pair % 500),
            3 => format!(r#""type":"interaction.replied","agent":"agent-{}""#, pair % 500),
            _ => r#""type":"interaction.closed","outcome":"resolved""#.to_owned(),
        };
        let id = format!("{:08x}-0000-4000-8000-{:012x}", interaction, interaction * 7919);
        let _ = write!(line, r#"{{"id":"{id}/{stage}","time":{time},"interaction":"{id}",{what},"note":""#);
        while line.len() < 298 {
            line.push('x');
        }
        line.push_str("\"}");
        events.push(line.into_bytes());
    }
    events
}

#[allow(clippy::disallowed_methods, reason = "a bench measures real time")]
fn decode(decoder: &Decoder, events: &[Vec<u8>]) -> f64 {
    let begun = Instant::now();
    for event in events {
        black_box(decoder.decode(event));
    }
    begun.elapsed().as_secs_f64()
}

#[allow(clippy::disallowed_methods, reason = "a bench measures real time")]
fn pipeline(decoder: &Decoder, events: &[Vec<u8>], plan: &Arc<Plan>) -> (f64, usize) {
    let begun = Instant::now();
    let mut floor = Floor::new(plan.clone());
    let mut board = Board::new(plan.clone());
    let mut flushed = begun;
    for chunk in events.chunks(CHUNK) {
        for record in chunk {
            if let Decoded::Event(event) = decoder.decode(record) {
                black_box(floor.take(&event, Timestamp::MAX));
            }
        }
        if flushed.elapsed() >= FLUSH_EVERY {
            flushed = Instant::now();
            flush(&mut floor, &mut board);
        }
    }
    flush(&mut floor, &mut board);
    (begun.elapsed().as_secs_f64(), board.len())
}

fn flush(floor: &mut Floor, board: &mut Board) {
    board.apply(0, &floor.flush());
    if let Some(now) = floor.stream_time() {
        board.advance(now);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn peak_memory_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

#[allow(clippy::disallowed_methods, reason = "a bench measures real time")]
fn main() {
    // `cargo test --benches` passes --test: then there is nothing to measure.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let events = events();
    let bytes: usize = events.iter().map(Vec::len).sum();
    let decoder = Decoder { format: Format::Canonical, states: Default::default() };
    let plan = Arc::new(Plan::default());
    let before = peak_memory_mib();
    let (mut alone, mut whole, mut keys) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        alone.push(decode(&decoder, &events));
        let (seconds, seen) = pipeline(&decoder, &events, &plan);
        whole.push(seconds);
        keys = seen;
    }
    let ratios = alone.iter().zip(&whole).map(|(decode, whole)| decode / whole).collect();
    let rate = |seconds: Vec<f64>| (events.len() as f64 / median(seconds)).round();
    println!(r#"{{"figure":"event_bytes","value":{:.1}}}"#, bytes as f64 / events.len() as f64);
    println!(r#"{{"figure":"keys_with_rollups","value":{keys}}}"#);
    println!(r#"{{"figure":"decode_events_per_second","value":{}}}"#, rate(alone));
    println!(r#"{{"figure":"pipeline_events_per_second","value":{},"goal":500000}}"#, rate(whole));
    println!(r#"{{"figure":"pipeline_share_of_decode","value":{:.3},"goal":0.75}}"#, median(ratios));
    if let (Some(before), Some(after)) = (before, peak_memory_mib()) {
        println!(r#"{{"figure":"pipeline_peak_memory_mib","value":{:.1}}}"#, after - before);
    }
    start_up();
}

/// From starting the program to its end on an empty file of events: what every command pays before its work.
#[allow(clippy::disallowed_methods, reason = "a bench measures real time")]
fn start_up() {
    let mut seconds = Vec::new();
    for _ in 0..11 {
        let begun = Instant::now();
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_atalaya"))
            .args(["backtest", "--indicators", "asa", "--events", "/dev/null"])
            .stderr(std::process::Stdio::null())
            .status();
        if done.is_ok_and(|status| status.success()) {
            seconds.push(begun.elapsed().as_secs_f64());
        }
    }
    if !seconds.is_empty() {
        println!(r#"{{"figure":"start_up_ms","value":{:.1}}}"#, median(seconds) * 1000.0);
    }
}

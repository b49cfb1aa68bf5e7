//! What the benches share: how a figure is printed, how long they run, and the events they run on.
#![allow(dead_code, reason = "each bench uses its own part of this")]

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

pub mod core;
pub mod load;

/// Prints a figure as one JSON line.
pub fn figure(name: &str, value: f64) {
    println!(r#"{{"figure":"{name}","value":{}}}"#, rounded(value));
}

/// Prints a figure that has a goal.
pub fn figure_with_goal(name: &str, value: f64, goal: f64) {
    println!(r#"{{"figure":"{name}","value":{},"goal":{goal}}}"#, rounded(value));
}

/// Four digits that mean something, and whole numbers from a thousand on.
fn rounded(value: f64) -> f64 {
    let magnitude = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    let scale = 10f64.powf((3.0 - magnitude).max(0.0));
    (value * scale).round() / scale
}

/// `cargo test --benches` passes `--test`: then there is nothing to measure.
pub fn is_a_test() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

/// `ATALAYA_BENCH_SCALE` (1) multiplies the number of events and rounds of every bench.
#[allow(clippy::disallowed_methods, reason = "a bench is steered by the environment")]
pub fn scaled(count: usize) -> usize {
    let scale = std::env::var("ATALAYA_BENCH_SCALE").ok().and_then(|text| text.parse::<f64>().ok()).unwrap_or(1.0);
    ((count as f64 * scale) as usize).max(1)
}

/// CPU time that this thread has used, of user and system: what others do on the machine is not in it.
pub fn cpu_of_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// CPU seconds that `work` takes on this thread, and what it gives.
pub fn cpu_timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begun = cpu_of_thread();
    let result = work();
    ((cpu_of_thread() - begun).as_secs_f64(), result)
}

/// Seconds that `work` takes on the wall clock, and what it gives.
#[allow(clippy::disallowed_methods, reason = "a bench measures real time")]
pub fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begun = Instant::now();
    let result = work();
    (begun.elapsed().as_secs_f64(), result)
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value of nearest rank.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * q).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

/// The median of the rounds' ratios `above / below`.
pub fn ratio(above: &[f64], below: &[f64]) -> f64 {
    median(&above.iter().zip(below).map(|(above, below)| above / below).collect::<Vec<_>>())
}

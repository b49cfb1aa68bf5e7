//! Atalaya: a real-time workforce-management monitor for contact centres.
//!
//! # Map
//!
//! Imports go down this list only.
//!
//! | module | what it is |
//! |---|---|
//! | [`domain`] | time, opening hours, keys, events, agent classes: words that everything else speaks |
//! | [`plan`] | the compiled settings that decide what is counted: zone, windows, thresholds, channels, limits |
//! | [`bytes`] | numbers in as few bytes as they need |
//! | [`snapshot`] | the envelope of a state put down in bytes: version, settings, check-sum |
//! | [`wire`] | bytes -> event, or a rejected record with its reason |
//! | [`floor`] | who waits, who is handled by whom, which state each agent is in; events -> deltas |
//! | [`board`] | panes, windows, levels and histograms per key; deltas -> numbers |
//! | [`indicators`] | what each number means: one small file per family |
//! | [`matrix`] | the escalation matrix: rows, ranges, the life of a case |
//! | [`records`] | the JSON records of transitions, notifications and indicators |
//! | [`notice`] | what a transition means for whom, and its words |
//! | [`pipeline`] | one step of the whole: records and now in, transitions and notices out |
//! | [`config`] | configuration and matrix files: text -> compiled, or every defect with line and hint |
//! | [`sim`] | a seeded synthetic floor, for the demo, the tests and the benches |
//! | the shell | `clock`, `kafka`, `journal`, `instance`, `notify`, `http`, `telemetry`, `service`, `commands`: all I/O |
//!
//! # Invariants
//!
//! * The core (everything above the shell) reads no clock, no environment, no file, no randomness of its own and
//!   names no I/O crate: it builds with `--no-default-features`, and `tests/architecture.rs` reads its sources.
//! * Of the shell, `journal` and `instance` do no I/O either: they build without its crates, and so does the simulation of the
//!   whole pipeline in `tests/whole`.
//! * Time is an argument.
//! * What is decided counts once it has come out of a log, and is sent after that; the order of the logs decides, not a lock.
//! * Every queue, map and window has a limit and a counter for what it drops.
//! * Nothing is rendered or validated for the first time while an alert is going out.
//! * A secret never reaches a log, an error or an API.
#![deny(unsafe_code)]
// `println!` panics where the reader has gone away; `commands::say` prints.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod board;
pub mod bytes;
pub mod config;
pub mod domain;
pub mod floor;
pub mod indicators;
pub mod instance;
pub mod journal;
pub mod matrix;
pub mod notice;
pub mod pipeline;
pub mod plan;
pub mod records;
pub mod sim;
pub mod snapshot;
pub mod wire;

#[cfg(feature = "shell")]
pub mod clock;
#[cfg(feature = "shell")]
pub mod commands;
#[cfg(feature = "shell")]
pub mod http;
#[cfg(feature = "shell")]
#[allow(unsafe_code, reason = "librdkafka's queue functions are C; the module's docs state what each block relies on")]
pub mod kafka;
#[cfg(feature = "shell")]
pub mod notify;
#[cfg(feature = "shell")]
pub mod service;
#[cfg(feature = "shell")]
pub mod telemetry;

//! Log lines on standard error, their level by `RUST_LOG`.

use std::error::Error as _;
use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Text,
    Json,
}

/// What is logged where `RUST_LOG` says nothing.
const USUAL: &str = "info,librdkafka=error";
/// For a command that tells its story itself.
const QUIET: &str = "error,librdkafka=off,rdkafka=off";

/// Starts logging for the process. A second call changes nothing.
pub fn start(shape: Shape) {
    begin(shape, USUAL);
}

/// The same with errors only, unless `RUST_LOG` says otherwise.
pub fn start_quiet() {
    begin(Shape::Text, QUIET);
}

fn begin(shape: Shape, default: &str) {
    let (filter, wrong) = match EnvFilter::try_from_default_env() {
        Ok(filter) => (filter, None),
        Err(error) => {
            let wrong = error.source().filter(|cause| cause.is::<ParseError>()).map(ToString::to_string);
            (EnvFilter::new(default), wrong)
        }
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // Colours are for people: a file or a collector of logs gets none.
    let lines = lines.with_ansi(std::io::stderr().is_terminal());
    // It fails only where a logger stands already, which then serves.
    let _ = match shape {
        Shape::Text => lines.try_init(),
        Shape::Json => lines.json().try_init(),
    };
    if let Some(wrong) = wrong {
        tracing::warn!("RUST_LOG is not understood and ignored ({wrong}): write a level, such as debug");
    }
}

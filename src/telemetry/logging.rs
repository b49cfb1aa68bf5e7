//! Log lines on standard error, their level by `RUST_LOG`.

use tracing_subscriber::EnvFilter;

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
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // It fails only where a logger stands already, which then serves.
    let _ = match shape {
        Shape::Text => lines.try_init(),
        Shape::Json => lines.json().try_init(),
    };
}

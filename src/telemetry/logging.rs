//! Log lines on standard error, their level by `RUST_LOG` (default `info`).

use tracing_subscriber::EnvFilter;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Text,
    Json,
}

/// Starts logging for the process. A second call changes nothing.
pub fn start(shape: Shape) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,librdkafka=error"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // It fails only where a logger stands already, which then serves.
    let _ = match shape {
        Shape::Text => lines.try_init(),
        Shape::Json => lines.json().try_init(),
    };
}

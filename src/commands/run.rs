//! `atalaya run -c FILE`: the service.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, setup};
use crate::commands::files::{Secrets, matrix_paths};
use crate::service;
use crate::telemetry::logging;

/// Runs the service: reads the sources, evaluates the matrices, tells, and serves the board, the API and the metrics
#[derive(Debug, Args)]
pub struct Run {
    /// The configuration; `config/default.yaml` in the repository says what every key means
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// One JSON object a log line instead of text
    #[arg(long)]
    pub log_json: bool,
    /// Set by systemd: where it is told how the service stands
    #[arg(long, env = "NOTIFY_SOCKET", hide = true)]
    pub notify_socket: Option<String>,
}

pub async fn run(args: Run) -> Result<(), Failure> {
    let setup = setup::load(Some(&args.config), None, Secrets::Read)?;
    logging::start(if args.log_json { logging::Shape::Json } else { logging::Shape::Text });
    let shutdown = stop_signal()?;
    let matrices = matrix_paths(Some(&args.config), &setup.config);
    let (origin, notify_socket) = (Some(setup.origin), args.notify_socket);
    let manner = service::Manner { matrices, origin, notify_socket, ..service::Manner::default() };
    service::run(setup.config, setup.set, manner, shutdown).await
}

/// Done on SIGTERM or Ctrl-C.
pub fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|error| Failure::Run(format!("signals cannot be listened to: {error}")));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

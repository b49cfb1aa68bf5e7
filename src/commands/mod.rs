//! One file per command. Each takes its parsed arguments and returns nothing, or why it stopped.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod ack;
mod alerts;
mod backtest;
pub mod check;
mod demo;
mod explain;
pub mod files;
mod indicators;
mod inspect;
pub mod matrix;
mod notify;
mod remote;
mod run;
mod say;
mod schema;
mod setup;
mod silence;
pub mod simulate;
pub mod test;
mod topics;

/// Real-time workforce-management monitor: live indicators from Kafka, held against a reviewable escalation matrix.
#[derive(Debug, Parser)]
#[command(name = "atalaya", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Run(run::Run),
    Check(check::Args),
    Test(test::Test),
    Backtest(backtest::Backtest),
    Explain(explain::Explain),
    Matrix(matrix::Command),
    Schema(schema::Schema),
    Simulate(simulate::Simulate),
    Topics(topics::Topics),
    Inspect(inspect::Inspect),
    Notify(notify::Notify),
    Alerts(alerts::Alerts),
    Indicators(indicators::Indicators),
    Ack(ack::Ack),
    #[command(subcommand)]
    Silence(silence::Silence),
}

impl Cli {
    pub fn run(self) -> ExitCode {
        let has_clients = matches!(self.command, Command::Demo(_) | Command::Run(_));
        let done = match self.command {
            Command::Demo(args) => runtime().and_then(|runtime| runtime.block_on(demo::run(args))),
            Command::Run(args) => runtime().and_then(|runtime| runtime.block_on(run::run(args))),
            Command::Check(args) => check::run(&args),
            Command::Test(args) => test::run(&args),
            Command::Backtest(args) => backtest::run(args),
            Command::Matrix(args) => matrix::run(&args),
            Command::Schema(args) => schema::run(&args),
            Command::Topics(args) => topics::run(&args),
            Command::Inspect(args) => inspect::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Notify(args) => runtime().and_then(|runtime| runtime.block_on(notify::run(args))),
            Command::Alerts(args) => runtime().and_then(|runtime| runtime.block_on(alerts::run(args))),
            Command::Indicators(args) => runtime().and_then(|runtime| runtime.block_on(indicators::run(args))),
            Command::Ack(args) => runtime().and_then(|runtime| runtime.block_on(ack::run(args))),
            Command::Silence(command) => runtime().and_then(|runtime| runtime.block_on(silence::run(command))),
            Command::Simulate(args) => runtime().and_then(|runtime| runtime.block_on(simulate::run(args))),
        };
        let code = match done {
            Ok(()) => 0,
            Err(failure) => {
                say::aside(format_args!("atalaya: {failure}"));
                failure.code()
            }
        };
        if has_clients {
            crate::kafka::leave(code);
        }
        ExitCode::from(code)
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::Run(format!("the runtime could not be started: {error}")))
}

/// Why a command stops: the user's files or arguments (exit code 2), or the run itself (exit code 1).
/// The text is the whole paragraph that a person reads.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    User(String),
    #[error("{0}")]
    Run(String),
}

impl Failure {
    pub fn code(&self) -> u8 {
        match self {
            Failure::User(_) => 2,
            Failure::Run(_) => 1,
        }
    }
}

//! One file per command. Each takes its parsed arguments and returns nothing, or why it stopped.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod backtest;
mod setup;
pub mod simulate;

/// Real-time workforce-management monitor: live indicators from Kafka, held against a reviewable escalation matrix.
#[derive(Debug, Parser)]
#[command(name = "atalaya", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Backtest(backtest::Backtest),
}

impl Cli {
    pub fn run(self) -> ExitCode {
        let done = match self.command {
            Command::Backtest(args) => backtest::run(args),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("atalaya: {failure}");
                failure.code()
            }
        }
    }
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
    pub fn code(&self) -> ExitCode {
        match self {
            Failure::User(_) => ExitCode::from(2),
            Failure::Run(_) => ExitCode::from(1),
        }
    }
}

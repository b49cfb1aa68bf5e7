//! One file per command. Each takes its parsed arguments and returns an exit code or an [`Failure`].

use std::process::ExitCode;

pub mod check;
pub mod files;

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

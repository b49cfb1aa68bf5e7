//! Arguments, logging, error -> exit code. What each command does is in `atalaya::commands`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match atalaya::commands::Cli::try_parse() {
        Ok(cli) => cli.run(),
        Err(error) => {
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { 2 } else { 0 })
        }
    }
}

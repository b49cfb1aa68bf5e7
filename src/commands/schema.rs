//! `atalaya schema NAME`: JSON Schemas for editors.

use clap::{Args, ValueEnum};

use super::{Failure, say};
use crate::config::schema;

/// Print the JSON Schema of a kind of file, for editors that complete and check while you write
#[derive(Debug, Args)]
pub struct Schema {
    #[arg(value_enum, value_name = "NAME")]
    pub name: Name,
}

#[derive(Clone, Copy, Debug, ValueEnum, PartialEq, Eq)]
pub enum Name {
    /// An escalation matrix
    Matrix,
    /// One event
    Events,
    /// The configuration
    Config,
    /// Tests of a matrix, x.test.yaml
    Test,
}

pub fn run(args: &Schema) -> Result<(), Failure> {
    let schema = match args.name {
        Name::Matrix => schema::matrix(),
        Name::Events => schema::events(),
        Name::Config => schema::config(),
        Name::Test => schema::matrix_test(),
    };
    say::line(format_args!("{schema:#}"))
}

//! `atalaya matrix show | diff | fmt`: matrices to read, to compare and to lay out. Nothing is evaluated.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::files::{self, Secrets};
use super::{Failure, say};
use crate::config::{self, Config, MatrixSet};

pub(super) mod diff;
pub mod fmt;
mod render;
mod table;

/// Show escalation matrices as tables, compare two of them in words, lay them out
#[derive(Debug, Args)]
pub struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Show(Show),
    Diff(Diff),
    Fmt(fmt::Fmt),
}

/// The matrix as a table to read: indicator, goal, ranges, action, who is told; in the language of the matrix
#[derive(Debug, Args)]
pub struct Show {
    /// Matrices: files or folders
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum, PartialEq, Eq)]
pub enum Format {
    Text,
    Markdown,
    Html,
}

/// What differs between two matrices, or two folders of them, in words; nothing but layout and comments: no difference
#[derive(Debug, Args)]
pub struct Diff {
    /// The configuration that the matrices run with: its windows, thresholds and webhooks are then known. Secrets are not read
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[arg(value_name = "OLD")]
    pub old: PathBuf,
    #[arg(value_name = "NEW")]
    pub new: PathBuf,
}

pub fn run(command: &Command) -> Result<(), Failure> {
    let text = match &command.what {
        What::Show(args) => show(args)?,
        What::Diff(args) => diff(args)?,
        What::Fmt(args) => {
            let (said, result) = fmt::fmt(args);
            said.iter().try_for_each(say::line)?;
            result? + "\n"
        }
    };
    say::text(text)
}

pub fn show(args: &Show) -> Result<String, Failure> {
    let set = load(&args.paths, None)?;
    let tables: Vec<table::Table> = set.matrices.iter().map(|matrix| table::Table::of(matrix, &set.plan)).collect();
    Ok(match args.format {
        Format::Text => render::text(&tables),
        Format::Markdown => render::markdown(&tables),
        Format::Html => render::html(&tables),
    })
}

pub fn diff(args: &Diff) -> Result<String, Failure> {
    let config = match &args.config {
        Some(path) => Some(files::load_config(Some(path), Secrets::LeaveOut)?),
        None => None,
    };
    let load = |path: &PathBuf| load(std::slice::from_ref(path), config.as_ref());
    let (old, new) = (load(&args.old)?, load(&args.new)?);
    let mut text = diff::sets(&old.matrices, &new.matrices);
    if text.is_empty() {
        return Ok("no difference in meaning\n".to_owned());
    }
    let counted = diff::counted(&old.plan, &new.plan);
    if !counted.is_empty() {
        let elsewhere =
            if config.is_some() { "another matrix names" } else { "the configuration or another matrix names" };
        text.push_str(&format!("needs a restart of `atalaya run`, unless {elsewhere} it as well: {counted}\n"));
    }
    Ok(text)
}

/// The matrices of some paths. Without a configuration any webhook's name will do.
fn load(paths: &[PathBuf], config: Option<&Config>) -> Result<MatrixSet, Failure> {
    let set = config::matrices(&files::load_files(paths)?, config);
    set.map_err(|defects| Failure::User(files::paragraphs(&defects)))
}

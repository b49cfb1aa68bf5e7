//! `atalaya check [-c FILE] PATH...`: every defect of a configuration and of matrices at once.

use std::path::PathBuf;

use super::Failure;
use super::files::{self, ConfigFailure, Secrets};
use crate::config::{self, Config, Diagnostic, Severity};

/// Check the configuration and the escalation matrices: every defect at once, with file, line, column and a hint
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The configuration that the matrices will run with: its webhooks, channels and thresholds are then known.
    /// Secrets are not read
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Matrices: files, or folders whose *.yaml and *.yml files are taken (not *.test.yaml)
    #[arg(value_name = "PATH", required_unless_present = "config")]
    pub paths: Vec<PathBuf>,
}

/// What was found, before anything is printed.
#[derive(Debug, Default)]
struct Findings {
    diagnostics: Vec<Diagnostic>,
    /// Files that could not be read, a line or two each.
    unreadable: Vec<String>,
    matrices: usize,
    rows: usize,
}

/// Defects go to stderr, by file and line; what is fine says so on stdout in one line.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (said, result) = examine(args);
    for text in said {
        eprintln!("{text}");
    }
    println!("{}", result?);
    Ok(())
}

/// Everything that is said, one defect or warning each, and the line at the end.
pub fn examine(args: &Args) -> (Vec<String>, Result<String, Failure>) {
    let findings = check(args);
    let count = |severity| findings.diagnostics.iter().filter(|d| d.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error) + findings.unreadable.len(), count(Severity::Warning));
    let defects = findings.diagnostics.iter().map(ToString::to_string);
    let said = findings.unreadable.iter().cloned().chain(defects).collect();
    if errors > 0 {
        return (said, Err(Failure::User(format!("{}, {}", many(errors, "error"), many(warnings, "warning")))));
    }
    let config = if args.config.is_some() { "the configuration, " } else { "" };
    let matrices =
        if findings.matrices == 1 { "1 matrix".to_owned() } else { format!("{} matrices", findings.matrices) };
    (said, Ok(format!("ok: {config}{matrices}, {}, {}", many(findings.rows, "row"), many(warnings, "warning"))))
}

fn many(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

fn check(args: &Args) -> Findings {
    let mut findings = Findings::default();
    let config: Option<Config> = match &args.config {
        None => None,
        Some(path) => match files::load_config(Some(path), Secrets::LeaveOut) {
            Ok(config) => {
                findings.diagnostics.extend(config.warnings.iter().cloned());
                Some(config)
            }
            Err(ConfigFailure::Unreadable(why)) => {
                findings.unreadable.push(why);
                None
            }
            Err(ConfigFailure::Defects(defects)) => {
                findings.diagnostics.extend(defects);
                None
            }
        },
    };
    // A path that cannot be read must not hide the defects of the others.
    let mut texts: Vec<(String, String)> = Vec::new();
    for path in &args.paths {
        match files::load_files(std::slice::from_ref(path)) {
            Ok(read) => {
                let new = read.into_iter().filter(|(name, _)| texts.iter().all(|(other, _)| other != name));
                let new: Vec<_> = new.collect();
                texts.extend(new);
            }
            Err(failure) => findings.unreadable.push(failure.to_string()),
        }
    }
    findings.matrices = texts.len();
    match config::matrices(&texts, config.as_ref()) {
        Ok(set) => {
            findings.rows = set.matrices.iter().map(|matrix| matrix.rows.len()).sum();
            findings.diagnostics.extend(set.warnings);
        }
        Err(defects) => findings.diagnostics.extend(defects),
    }
    findings
}

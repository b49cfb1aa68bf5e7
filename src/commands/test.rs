//! `atalaya test PATH...`: the unit tests that stand beside matrices, `x.test.yaml` beside `x.yaml`.
//!
//! The engine is that of `run` and `backtest`, in virtual time. What a test file may say is read in
//! [`crate::config::matrix_test`].

use std::path::{Path, PathBuf};

use super::files::{self, Secrets};
use super::{Failure, say};
use crate::config::matrix_test::{Draft, MatrixTest};
use crate::config::{self, Config, Diagnostic, MatrixSet};
use crate::wire::{Decoder, Format};

mod acts;
mod judge;
mod play;

/// Run the unit tests beside escalation matrices (x.test.yaml beside x.yaml), in virtual time; nothing is sent.
/// Exit code 0: all passed; 1: some failed; 2: a test file, its events or a matrix is wrong
#[derive(Clone, Debug, clap::Args)]
pub struct Test {
    /// The configuration that the matrices run with; its holidays, channels and agent states count in the tests too
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Test files, folders of them, or matrices whose test file stands beside them
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
}

/// A test file with its matrix, ready to run.
struct Ready {
    file: String,
    set: MatrixSet,
    tests: Vec<MatrixTest>,
}

/// What passed and what failed goes to stdout; defects of files to stderr.
pub fn run(args: &Test) -> Result<(), Failure> {
    let (said, result) = examine(args);
    for text in said {
        say::line(text)?;
    }
    say::line(result?)
}

/// Everything that is said, a paragraph each, and the line at the end.
pub fn examine(args: &Test) -> (Vec<String>, Result<String, Failure>) {
    match prepare(args) {
        Err(failure) => (Vec::new(), Err(failure)),
        Ok((config, ready)) => run_all(&config, &ready),
    }
}

fn run_all(config: &Config, ready: &[Ready]) -> (Vec<String>, Result<String, Failure>) {
    let decoder = Decoder { format: Format::Canonical, states: config.agent_states.clone() };
    let (mut said, mut wrong) = (Vec::new(), Vec::new());
    let (mut count, mut failed) = (0, 0);
    for Ready { file, set, tests } in ready {
        let (mut failed_here, wrong_before) = (0, wrong.len());
        for test in tests {
            match play::play(test, file, set, &decoder) {
                Ok(course) => {
                    let failures = judge::failures(test, file, set, &course);
                    failed_here += usize::from(!failures.is_empty());
                    said.extend(failures);
                }
                Err(why) => wrong.push(why),
            }
        }
        count += tests.len();
        failed += failed_here;
        let tests = many(tests.len(), "test");
        said.push(match failed_here {
            _ if wrong.len() > wrong_before => format!("WRONG: {file}: not every test could be run"),
            0 => format!("ok: {file}: {tests}"),
            failed => format!("FAILED: {file}: {failed} of {tests}"),
        });
    }
    let result = match (wrong.is_empty(), failed) {
        (false, _) => Err(Failure::User(wrong.join("\n"))),
        (true, 0) => Ok(format!("{} in {}, all passed", many(count, "test"), many(ready.len(), "file"))),
        (true, failed) => Err(Failure::Run(format!("{failed} of {} failed", many(count, "test")))),
    };
    (said, result)
}

fn many(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// Reads everything first, so that every defect of every file is named at once.
fn prepare(args: &Test) -> Result<(Config, Vec<Ready>), Failure> {
    let config = files::load_config(args.config.as_deref(), Secrets::LeaveOut)?;
    let (paths, mut wrong) = files::test_files(&args.paths);
    let mut ready = Vec::new();
    for path in &paths {
        match compile(path, &config, args.config.is_some()) {
            Ok(one) => ready.push(one),
            Err(why) => wrong.push(why),
        }
    }
    if wrong.is_empty() { Ok((config, ready)) } else { Err(Failure::User(wrong.join("\n"))) }
}

fn compile(path: &Path, config: &Config, written: bool) -> Result<Ready, String> {
    let file = path.display().to_string();
    let said = |defects: Vec<Diagnostic>| files::paragraphs(&defects);
    let draft = Draft::read(&file, &files::read(path)?).map_err(said)?;
    let matrix = matrix_of(path, &draft)?;
    let texts = [(matrix.display().to_string(), files::read(&matrix)?)];
    let set = if written { config::matrices(&texts, Some(config)) } else { config::matrices_alone(&texts, config) };
    let set = set.map_err(said)?;
    let tests = draft.compile(&set).map_err(said)?;
    Ok(Ready { file, set, tests })
}

/// The file of the matrix that a test file is about.
pub(super) fn matrix_of(path: &Path, draft: &Draft) -> Result<PathBuf, String> {
    match &draft.matrix {
        Some(named) => Ok(path.parent().unwrap_or(Path::new("")).join(named)),
        None => beside(path).ok_or_else(|| {
            let file = path.display().to_string();
            let name = file.replace(".test.", ".");
            format!("{file}:1:1: error: there is no matrix {name} that it could test\n  hint: name one, as `matrix: care.yaml`")
        }),
    }
}

/// `x.yaml` or `x.yml` beside `x.test.yaml`.
fn beside(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let stem = name.strip_suffix(".test.yaml").or_else(|| name.strip_suffix(".test.yml"))?;
    ["yaml", "yml"].map(|end| path.with_file_name(format!("{stem}.{end}"))).into_iter().find(|path| path.exists())
}

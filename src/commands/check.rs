//! `atalaya check [-c FILE] PATH...`: every defect of a configuration, of matrices and of the tests beside them at once.
//!
//! Tests are read as `atalaya test` reads them, and not run: whether they pass is no defect of a file.

use std::path::{Path, PathBuf};

use super::files::{self, ConfigFailure, Origin};
use super::test::matrix_of;
use super::{Failure, say};
use crate::config::matrix_test::{Draft, Input, MatrixTest};
use crate::config::{self, Config, Diagnostic, Severity};

/// Check the configuration, the escalation matrices and the tests beside them: every defect at once, with file, line, column and a hint
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The configuration that the matrices will run with: its webhooks, channels and thresholds are then known.
    /// Secrets are not read
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Matrices and tests (x.test.yaml): files, or folders whose *.yaml and *.yml files are taken. Beside a matrix its
    /// tests are read too; they are not run. Without any, those that the configuration names
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
    tests: usize,
}

/// Defects go to stderr, by file and line; what is fine says so on stdout in one line.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (said, result) = examine(args);
    for text in said {
        say::aside(text);
    }
    say::line(result?)
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
    let tests = if findings.tests > 0 { format!("{}, ", many(findings.tests, "test")) } else { String::new() };
    let rows = many(findings.rows, "row");
    (said, Ok(format!("ok: {config}{matrices}, {rows}, {tests}{}", many(warnings, "warning"))))
}

fn many(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

fn check(args: &Args) -> Findings {
    let mut findings = Findings::default();
    let config: Option<Config> = match &args.config {
        None => None,
        Some(path) => match Origin::read(Some(path)) {
            Ok(origin) => {
                // Its defects do not hide those of its matrices.
                let (config, said) = origin.compile_despite_defects();
                findings.diagnostics.extend(said);
                config
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
    let mut tests: Vec<PathBuf> = Vec::new();
    let paths = match (&config, &args.config) {
        (Some(config), Some(file)) if args.paths.is_empty() => findings.own_paths(file, config),
        _ => args.paths.clone(),
    };
    for path in &paths {
        // What cannot be read at all is said once, for the matrix.
        tests.extend(files::tests_at(path).unwrap_or_default());
        if files::is_test(path) && path.exists() {
            continue;
        }
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
    let mut seen = std::collections::BTreeSet::new();
    tests.retain(|path| seen.insert(path.clone()));
    for path in &tests {
        findings.test_file(path, &texts, config.as_ref());
    }
    findings
}

impl Findings {
    /// The matrices that a configuration names. One that is not there is no defect of this file: it may come with the
    /// machine that it is for.
    fn own_paths(&mut self, file: &Path, config: &Config) -> Vec<PathBuf> {
        let (there, absent): (Vec<PathBuf>, Vec<PathBuf>) =
            files::matrix_paths(Some(file), config).into_iter().partition(|path| path.exists());
        self.diagnostics.extend(absent.iter().map(|path| Diagnostic {
            file: file.display().to_string().into(),
            line: 1,
            column: 1,
            severity: Severity::Warning,
            what: format!("`matrices` names {}, which is not here: it was not checked", path.display()),
            hint: "`atalaya run` does not start without it".to_owned(),
        }));
        there
    }

    /// Reads a test file with its matrix, alone with it as `atalaya test` does. What the matrix itself lacks is said with
    /// the matrix; where that was not named, here.
    fn test_file(&mut self, path: &Path, named: &[(String, String)], config: Option<&Config>) {
        let draft = match files::read(path).map(|text| Draft::read(&path.display().to_string(), &text)) {
            Ok(Ok(draft)) => draft,
            Ok(Err(defects)) => return self.diagnostics.extend(defects),
            Err(why) => return self.unreadable.push(why),
        };
        let matrix = match matrix_of(path, &draft) {
            Ok(matrix) => matrix,
            Err(why) => return self.unreadable.push(why),
        };
        let name = matrix.display().to_string();
        let known = named.iter().find(|(other, _)| *other == name).map(|(_, text)| text.clone());
        let text = match known.clone().map_or_else(|| files::read(&matrix), Ok) {
            Ok(text) => text,
            Err(why) => return self.unreadable.push(format!("{}: {why}", path.display())),
        };
        match config::matrices(&[(name, text)], config) {
            Ok(set) => match draft.compile(&set) {
                Ok(tests) => {
                    self.diagnostics.extend(tests.iter().filter_map(|test| without_events(path, test)));
                    self.tests += tests.len();
                }
                Err(defects) => self.diagnostics.extend(defects),
            },
            Err(_) if known.is_some() => {}
            Err(defects) => self.diagnostics.extend(defects.into_iter().filter(|d| d.severity == Severity::Error)),
        }
    }
}

/// That the file of events which a test names is not there.
fn without_events(path: &Path, test: &MatrixTest) -> Option<Diagnostic> {
    let Input::File(name) = &test.input else { return None };
    let events = path.parent().unwrap_or(Path::new("")).join(name);
    (!events.is_file()).then(|| Diagnostic {
        file: path.display().to_string().into(),
        line: test.line,
        column: test.column,
        severity: Severity::Error,
        what: format!("there is no file of events {}", events.display()),
        hint: "its path is taken from the test file's folder".to_owned(),
    })
}

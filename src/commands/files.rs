//! The user's files for every command that needs them: matrices out of files and folders, and the configuration.
//!
//! What they say is the work of [`crate::config`]; here they are only found and read.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Failure;
use crate::clock;
use crate::config::{self, Config, Diagnostic, MatrixSet, Whose};

/// Larger files are refused; a matrix of 1,000 rows has half a megabyte.
const SIZE_MAX: u64 = 16 * 1024 * 1024;

/// Reads matrix files: a path may be a file, or a folder whose `*.yaml` and `*.yml` are taken in the order of their
/// names, without hidden ones and `*.test.yaml`. Every path that fails is named.
pub fn load_files(paths: &[PathBuf]) -> Result<Vec<(String, String)>, Failure> {
    let mut files: Vec<(String, String)> = Vec::new();
    let mut wrong = Vec::new();
    for path in paths {
        match found(path) {
            Ok(list) => {
                for path in list {
                    let name = path.display().to_string();
                    match read(&path) {
                        // The same file named twice, alone and by its folder, is one.
                        Ok(_) if files.iter().any(|(other, _)| *other == name) => {}
                        Ok(text) => files.push((name, text)),
                        Err(why) => wrong.push(why),
                    }
                }
            }
            Err(why) => wrong.push(why),
        }
    }
    if wrong.is_empty() { Ok(files) } else { Err(Failure::User(wrong.join("\n"))) }
}

fn found(path: &Path) -> Result<Vec<PathBuf>, String> {
    let shown = path.display();
    let about = fs::metadata(path).map_err(|error| format!("{shown}: {}", cause(&error)))?;
    if !about.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let files: Vec<PathBuf> = yaml_in(path)?.into_iter().filter(|path| !is_test(path)).collect();
    if files.is_empty() {
        return Err(format!("{shown}: the folder holds no matrix: put a *.yaml file into it, or name another folder"));
    }
    Ok(files)
}

/// The test files of `paths`: a test file itself, those of a folder, or the one beside a matrix. Every path that has none
/// is named.
pub fn test_files(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<String>) {
    let (mut files, mut wrong): (Vec<PathBuf>, Vec<String>) = (Vec::new(), Vec::new());
    for path in paths {
        let shown = path.display();
        match tests_at(path) {
            Ok(list) if list.is_empty() => {
                wrong.push(format!(
                    "{shown}: there are no tests: put them into a file x.test.yaml beside the matrix x.yaml"
                ));
            }
            Ok(list) => {
                let new: Vec<PathBuf> = list.into_iter().filter(|path| !files.contains(path)).collect();
                files.extend(new);
            }
            Err(why) => wrong.push(why),
        }
    }
    (files, wrong)
}

/// The test files of a path: itself, those of the folder, or the one beside a matrix. There may be none.
pub fn tests_at(path: &Path) -> Result<Vec<PathBuf>, String> {
    match fs::metadata(path) {
        Err(error) => Err(format!("{}: {}", path.display(), cause(&error))),
        Ok(about) if about.is_dir() => Ok(yaml_in(path)?.into_iter().filter(|path| is_test(path)).collect()),
        Ok(_) if is_test(path) => Ok(vec![path.to_owned()]),
        Ok(_) => {
            let beside = ["test.yaml", "test.yml"].map(|end| path.with_extension(end));
            Ok(beside.into_iter().filter(|path| path.exists()).take(1).collect())
        }
    }
}

/// Every YAML file of `paths`, tests too. Every path that has none is named.
pub fn yaml_files(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<String>) {
    let (mut files, mut wrong): (Vec<PathBuf>, Vec<String>) = (Vec::new(), Vec::new());
    for path in paths {
        match fs::metadata(path) {
            Err(error) => wrong.push(format!("{}: {}", path.display(), cause(&error))),
            Ok(about) if !about.is_dir() => files.push(path.clone()),
            Ok(_) => match yaml_in(path) {
                Ok(list) if list.is_empty() => wrong.push(format!("{}: the folder holds no YAML file", path.display())),
                Ok(list) => files.extend(list),
                Err(why) => wrong.push(why),
            },
        }
    }
    files.dedup();
    (files, wrong)
}

/// By its name.
pub fn is_test(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    [".test.yaml", ".test.yml"].iter().any(|end| name.ends_with(end))
}

/// The files `*.yaml` and `*.yml` of a folder in the order of their names, without hidden ones.
fn yaml_in(path: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(path).map_err(|error| format!("{}: {}", path.display(), cause(&error)))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let yaml = [".yaml", ".yml"].iter().any(|end| name.ends_with(end));
            yaml && !name.starts_with('.') && !path.is_dir()
        })
        .collect();
    files.sort();
    Ok(files)
}

/// The text of a file; the error names the path, and for text that is not UTF-8 the place.
pub fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let bytes = bytes(path).map_err(|why| format!("{shown}: {why}"))?;
    String::from_utf8(bytes).map_err(|error| {
        let (line, column) = config::not_utf8(&error);
        format!("{shown}:{line}:{column}: error: this is not UTF-8 text\n  hint: save the file as UTF-8")
    })
}

/// What a file holds; the error does not name it.
fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let size = fs::metadata(path).map_err(|error| cause(&error))?.len();
    if size > SIZE_MAX {
        return Err(format!("the file has {size} bytes; more than {SIZE_MAX} are not read"));
    }
    fs::read(path).map_err(|error| cause(&error))
}

fn cause(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        std::io::ErrorKind::PermissionDenied => "no permission to read it".to_owned(),
        _ => error.to_string(),
    }
}

/// Whether the secrets that `*_file` keys name are needed: by whoever sends, not by who checks or looks back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    Read,
    OfKafka,
    LeaveOut,
}

/// A configuration's text and the environment over it as they were read, to be compiled, and compiled again when a
/// calendar that it names has changed.
#[derive(Clone)]
pub struct Origin {
    name: String,
    text: String,
    environment: BTreeMap<String, String>,
}

impl Origin {
    /// Without a path, the defaults and the environment.
    pub fn read(path: Option<&Path>) -> Result<Origin, ConfigFailure> {
        let (name, text) = match path {
            Some(path) => (path.display().to_string(), read(path).map_err(ConfigFailure::Unreadable)?),
            None => (String::new(), String::new()),
        };
        Ok(Origin { name, text, environment: environment()? })
    }

    pub fn compile(&self, secrets: Secrets) -> Result<Config, ConfigFailure> {
        self.with_files(secrets, |read, calendars| {
            config::load_with(&self.name, &self.text, &self.environment, read, calendars)
        })
        .map_err(ConfigFailure::Defects)
    }

    /// What can be read of it without secrets, and everything that is to be said of it.
    pub fn compile_despite_defects(&self) -> (Option<Config>, Vec<Diagnostic>) {
        self.with_files(Secrets::LeaveOut, |read, calendars| {
            config::load_despite_defects(&self.name, &self.text, &self.environment, read, calendars)
        })
    }

    fn with_files<T>(
        &self,
        secrets: Secrets,
        load: impl FnOnce(Option<(config::ReadFile<'_>, Whose)>, Option<config::Calendars<'_>>) -> T,
    ) -> T {
        // Who asks names the file.
        let mut calendar = |file: &str| bytes(Path::new(file));
        let mut secret =
            |file: &str| String::from_utf8(bytes(Path::new(file))?).map_err(|_| "it is not UTF-8 text".to_owned());
        let reader: Option<(config::ReadFile<'_>, Whose)> = match secrets {
            Secrets::Read => Some((&mut secret, Whose::All)),
            Secrets::OfKafka => Some((&mut secret, Whose::Kafka)),
            Secrets::LeaveOut => None,
        };
        let calendars = Some(config::Calendars { read: &mut calendar, now: clock::now() });
        load(reader, calendars)
    }
}

/// Reads and compiles a configuration with the environment over it; without a path, the defaults and the environment.
/// `Err` is the file that cannot be read, or every defect in it.
pub fn load_config(path: Option<&Path>, secrets: Secrets) -> Result<Config, ConfigFailure> {
    Origin::read(path)?.compile(secrets)
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum ConfigFailure {
    Unreadable(String),
    Defects(Vec<Diagnostic>),
}

impl From<ConfigFailure> for Failure {
    fn from(failure: ConfigFailure) -> Failure {
        match failure {
            ConfigFailure::Unreadable(why) => Failure::User(why),
            ConfigFailure::Defects(defects) => Failure::User(paragraphs(&defects)),
        }
    }
}

/// Reads and compiles the matrices of `paths`; the text of the failure holds every defect. `written`: the configuration
/// was given in a file, so that webhooks which it does not name are unknown.
pub fn load_matrices(paths: &[PathBuf], config: &Config, written: bool) -> Result<MatrixSet, Failure> {
    let files = load_files(paths)?;
    let set = if written { config::matrices(&files, Some(config)) } else { config::matrices_alone(&files, config) };
    set.map_err(|defects| Failure::User(paragraphs(&defects)))
}

/// The paths of `matrices` in a configuration: relative ones beside its file, where they exist there, else as they are.
pub fn matrix_paths(config_file: Option<&Path>, config: &Config) -> Vec<PathBuf> {
    let beside = |path: &String| {
        let joined = config_file.and_then(Path::parent).map(|folder| folder.join(path));
        joined.filter(|joined| joined.exists()).unwrap_or_else(|| PathBuf::from(path))
    };
    config.matrices.iter().map(beside).collect()
}

/// Diagnostics one after the other, as people read them.
pub fn paragraphs(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The variables that are ours, by their names in capitals.
fn environment() -> Result<BTreeMap<String, String>, ConfigFailure> {
    use ::config::Source;
    let ours = ::config::Environment::with_prefix(config::PREFIX).prefix_separator("").keep_prefix(true);
    let unreadable = |error: ::config::ConfigError| ConfigFailure::Unreadable(format!("the environment: {error}"));
    let mut variables = BTreeMap::new();
    for (name, value) in ours.collect().map_err(unreadable)? {
        variables.insert(name.to_uppercase(), value.into_string().map_err(unreadable)?);
    }
    Ok(variables)
}

//! The configuration in its three layers - the embedded defaults, the file, the environment - as one tree.
//!
//! Layers are joined as trees of nodes, so that a defect is shown where it was written: in a line of the file, or in the
//! variable. What the keys mean is in [`super::settings`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::diagnostics::{Diagnostic, Severity};
use super::node::{self, Entry, Kind, Node};
use super::reader::Report;
use super::{Config, settings};
use crate::domain::Timestamp;

/// The documented defaults; the reference that people read.
pub const DEFAULTS: &str = include_str!("../../config/default.yaml");
const DEFAULTS_NAME: &str = "config/default.yaml (built in)";

/// What variables begin with: `ATALAYA_KAFKA__BROKERS=a:9092,b:9092` is `kafka: { brokers: [...] }`.
pub const PREFIX: &str = "ATALAYA_";

/// How the files that `*_file` keys name are read: the text, or why not.
pub type ReadFile<'f> = &'f mut dyn FnMut(&str) -> Result<String, String>;

/// How the calendars are read that `holidays_file` names, which nobody can do without: also who checks or looks back.
pub struct Calendars<'f> {
    /// The bytes, or why not.
    pub read: &'f mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
    /// A calendar without a holiday after this is an old one.
    pub now: Timestamp,
}

/// Whose secrets are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    All,
    /// Of whoever reads Kafka and sends nothing.
    Kafka,
}

/// As [`load_with`], of a configuration without calendars: their holidays are left out.
pub fn load(
    file: &str,
    text: &str,
    env: &BTreeMap<String, String>,
    read: Option<ReadFile<'_>>,
) -> Result<Config, Vec<Diagnostic>> {
    load_with(file, text, env, read.map(|read| (read, Whose::All)), None)
}

/// Compiles a configuration. `file` and `text` may be an empty text: then the defaults and the environment stand alone.
/// With `read` the files of secrets are read, as whoever sends needs it; without, their contents are left out, so that a
/// configuration can be checked, or used where nothing is sent, on a machine that has not the secrets.
pub fn load_with(
    file: &str,
    text: &str,
    env: &BTreeMap<String, String>,
    read: Option<(ReadFile<'_>, Whose)>,
    calendars: Option<Calendars<'_>>,
) -> Result<Config, Vec<Diagnostic>> {
    match load_despite_defects(file, text, env, read, calendars) {
        (Some(config), said) if said.iter().all(|said| said.severity == Severity::Warning) => {
            Ok(Config { warnings: said, ..config })
        }
        (_, said) => Err(said),
    }
}

/// As [`load_with`], with what could be read of a configuration that has defects: enough to go on to its matrices and find
/// their defects in the same run, and nothing to run with. `None` where nothing of it could be read.
pub fn load_despite_defects(
    file: &str,
    text: &str,
    env: &BTreeMap<String, String>,
    read: Option<(ReadFile<'_>, Whose)>,
    calendars: Option<Calendars<'_>>,
) -> (Option<Config>, Vec<Diagnostic>) {
    let mut report = Report::new(DEFAULTS_NAME);
    let mut root =
        node::parse(DEFAULTS, &mut report).unwrap_or(Node { at: report.mark(1, 1), kind: Kind::Map(vec![]) });
    report.enter(file, false);
    if !only_comments(text) {
        match node::parse(text, &mut report) {
            Some(own) => overlay(&mut root, own),
            None => return (None, report.finish()),
        }
    }
    if root.entries().iter().any(|entry| &*entry.key == "rows") {
        report.error(root.at, "this is a matrix, not a configuration", "give it as PATH, without `-c`");
        return (None, report.finish());
    }
    for (name, value) in env {
        if let Some(path) = name.strip_prefix(PREFIX).filter(|path| is_ours(path)) {
            report.enter(name, true);
            variable(&mut root, path, value, &mut report);
        }
    }
    let calendars = calendars.map(|calendars| (calendars, Path::new(file).parent().unwrap_or(Path::new(""))));
    let config = settings::read(&root, read, calendars, &mut report);
    (config, report.finish())
}

fn only_comments(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}

/// Maps are joined key by key; anything else of the upper layer replaces what is below.
fn overlay(below: &mut Node, above: Node) {
    // `kafka:` with nothing under it leaves the defaults as they are.
    if above.is_nothing() {
        return;
    }
    match (&mut below.kind, above.kind) {
        (Kind::Map(entries), Kind::Map(upper)) => {
            below.at = above.at;
            for entry in upper {
                match entries.iter_mut().find(|old| old.key == entry.key) {
                    Some(old) => {
                        old.key_at = entry.key_at;
                        overlay(&mut old.value, entry.value);
                    }
                    None => entries.push(entry),
                }
            }
        }
        (_, kind) => *below = Node { at: above.at, kind },
    }
}

/// A variable of one word is ours only if there is such a key: an orchestrator sets `ATALAYA_PORT` and the like for
/// a service of our name, and the command line has its own.
fn is_ours(path: &str) -> bool {
    path.contains("__") || settings::KEYS.iter().any(|key| fold(key) == fold(path))
}

/// Keys as variables write them: letter case and `-` are not told apart there.
fn fold(key: &str) -> String {
    key.to_lowercase().replace('-', "_")
}

fn variable(root: &mut Node, path: &str, value: &str, report: &mut Report) {
    let at = report.mark(1, 1);
    // Lists and maps may be written as YAML; everything else is the text itself, whatever it looks like. A secret is
    // never read as YAML, so that no message can quote it.
    let name = fold(path);
    let secret = ["password", "secret"].iter().any(|word| name.ends_with(word)) || name.contains("__properties__");
    let written = match !secret && value.trim_start().starts_with(['[', '{']) {
        true => match node::parse(value, report) {
            Some(node) => node,
            None => return,
        },
        false => Node { at, kind: Kind::Scalar { text: value.into(), plain: false } },
    };
    let segments: Vec<&str> = path.split("__").collect();
    let mut here = root;
    for (depth, segment) in segments.iter().enumerate() {
        // Properties of librdkafka have dots where a variable cannot.
        let property = depth == 2 && segments.iter().take(2).map(|s| fold(s)).eq(["kafka", "properties"]);
        let wanted = fold(segment);
        let matches = |key: &str| fold(key) == wanted || (property && fold(key).replace('.', "_") == wanted);
        if !matches!(here.kind, Kind::Map(_)) {
            *here = Node { at, kind: Kind::Map(Vec::new()) };
        }
        let Kind::Map(entries) = &mut here.kind else { return };
        let index = match entries.iter().position(|entry| matches(&entry.key)) {
            Some(index) => index,
            None => {
                let key: Arc<str> = if property { wanted.replace('_', ".") } else { wanted }.into();
                entries.push(Entry { key, key_at: at, value: Node { at, kind: Kind::Map(Vec::new()) } });
                entries.len() - 1
            }
        };
        let Some(entry) = entries.get_mut(index) else { return };
        entry.key_at = at;
        here = &mut entry.value;
    }
    *here = written;
}

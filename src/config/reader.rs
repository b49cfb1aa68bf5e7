//! Small typed readers over [`Node`]s that report what is wrong and go on, so that one run names every defect.
//!
//! No key of the product is known here.

use std::sync::Arc;

use super::diagnostics::{Diagnostic, Severity};
use super::node::{Entry, Kind, Node};
use crate::domain::Millis;

/// Where something is written. `source` is an index into the files (and environment variables) of a [`Report`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub source: u32,
    pub line: u32,
    pub column: u32,
}

/// Collects the defects of a file, or of a configuration that is layered from several sources.
#[derive(Debug)]
pub(super) struct Report {
    sources: Vec<Source>,
    current: u32,
    list: Vec<(Mark, Severity, String, String)>,
}

#[derive(Debug)]
struct Source {
    name: Arc<str>,
    /// An environment variable: a list in it is separated by commas.
    variable: bool,
}

impl Report {
    pub fn new(file: &str) -> Self {
        Report { sources: vec![Source { name: file.into(), variable: false }], current: 0, list: Vec::new() }
    }

    /// Marks made from now on lie in this source.
    pub fn enter(&mut self, name: &str, variable: bool) {
        self.sources.push(Source { name: name.into(), variable });
        self.current = self.sources.len() as u32 - 1;
    }

    pub fn mark(&self, line: usize, column: usize) -> Mark {
        let number = |n: usize| u32::try_from(n.max(1)).unwrap_or(u32::MAX);
        Mark { source: self.current, line: number(line), column: number(column) }
    }

    pub fn error(&mut self, at: Mark, what: impl Into<String>, hint: impl Into<String>) {
        self.list.push((at, Severity::Error, what.into(), hint.into()));
    }

    pub fn warning(&mut self, at: Mark, what: impl Into<String>, hint: impl Into<String>) {
        self.list.push((at, Severity::Warning, what.into(), hint.into()));
    }

    pub fn errors(&self) -> usize {
        self.list.iter().filter(|(_, severity, ..)| *severity == Severity::Error).count()
    }

    pub fn is_variable(&self, at: Mark) -> bool {
        self.sources.get(at.source as usize).is_some_and(|source| source.variable)
    }

    /// Everything reported, by source, line and column; the same thing said twice of one place (an alias) once.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        self.list.sort();
        self.list.dedup();
        let name = |at: Mark| self.sources.get(at.source as usize).map_or_else(|| "".into(), |s| s.name.clone());
        let list = std::mem::take(&mut self.list);
        list.into_iter()
            .map(|(at, severity, what, hint)| Diagnostic {
                file: name(at),
                line: at.line as usize,
                column: at.column as usize,
                severity,
                what,
                hint,
            })
            .collect()
    }
}

/// A map whose keys are known. Unknown ones are reported as soon as it is made.
pub(super) struct Fields<'n> {
    entries: &'n [Entry],
    pub at: Mark,
    what: &'static str,
}

impl<'n> Fields<'n> {
    /// `what` is the thing in words: `a row`.
    pub fn new(node: &'n Node, what: &'static str, keys: &[&str], report: &mut Report) -> Option<Self> {
        let entries = map(node, what, report)?;
        for entry in entries.iter().filter(|entry| !keys.contains(&&*entry.key)) {
            report.error(
                entry.key_at,
                format!("unknown key `{}` in {what}", entry.key),
                did_you_mean(&entry.key, keys.iter().copied(), "the keys are"),
            );
        }
        Some(Fields { entries, at: node.at, what })
    }

    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|entry| &*entry.key == key).map(|entry| &entry.value).filter(|n| !n.is_nothing())
    }

    pub fn require(&self, key: &str, hint: &str, report: &mut Report) -> Option<&'n Node> {
        let found = self.get(key);
        if found.is_none() {
            let written = self.entries.iter().find(|entry| &*entry.key == key);
            report.error(written.map_or(self.at, |e| e.key_at), format!("{} has no `{key}`", self.what), hint);
        }
        found
    }
}

pub(super) fn map<'n>(node: &'n Node, what: &str, report: &mut Report) -> Option<&'n [Entry]> {
    match &node.kind {
        Kind::Map(entries) => Some(entries),
        _ if node.is_nothing() => Some(&[]),
        _ => {
            report.error(node.at, format!("{what} must be a map of keys, and this is {}", shown(node)), "");
            None
        }
    }
}

/// The items of a list; a value alone is a list of one. From the environment, commas separate.
pub(super) fn list(node: &Node, report: &Report) -> Vec<Node> {
    match &node.kind {
        Kind::List(items) => items.clone(),
        Kind::Scalar { text, plain } if report.is_variable(node.at) => text
            .split(',')
            .map(|part| Node { at: node.at, kind: Kind::Scalar { text: part.trim().into(), plain: *plain } })
            .filter(|node| !node.is_nothing())
            .collect(),
        Kind::Scalar { .. } | Kind::Map(_) => vec![node.clone()],
    }
}

/// The text of a scalar; lists, maps and nothing are reported.
pub(super) fn text<'n>(node: &'n Node, key: &str, report: &mut Report) -> Option<&'n Arc<str>> {
    match &node.kind {
        Kind::Scalar { text, .. } if !node.is_nothing() => Some(text),
        _ => {
            report.error(node.at, format!("`{key}` must be one value, and this is {}", shown(node)), "");
            None
        }
    }
}

/// A duration of at least `least`.
pub(super) fn duration(node: &Node, key: &str, least: Millis, report: &mut Report) -> Option<Millis> {
    let written = text(node, key, report)?;
    match Millis::parse(written) {
        Some(length) if length >= least => Some(length),
        Some(_) => {
            report.error(node.at, format!("`{key}: {written}` is too short"), format!("at least {least}"));
            None
        }
        None => {
            let what = format!("`{key}: {written}` is not a duration: it needs a number and a unit");
            report.error(node.at, what, "write 30s, 15m, 2h or 1d");
            None
        }
    }
}

/// A whole number of at least `least`.
pub(super) fn whole(node: &Node, key: &str, least: u64, report: &mut Report) -> Option<u64> {
    let written = text(node, key, report)?;
    match written.parse::<u64>() {
        Ok(number) if number >= least && !written.starts_with('+') => Some(number),
        _ => {
            report.error(node.at, format!("`{key}: {written}` is not a whole number from {least} on"), "");
            None
        }
    }
}

/// One of a list of words.
pub(super) fn word<T: Copy>(node: &Node, key: &str, words: &[(&str, T)], report: &mut Report) -> Option<T> {
    let written = text(node, key, report)?;
    let found = words.iter().find(|(word, _)| *word == &**written).map(|(_, value)| *value);
    if found.is_none() {
        let hint = did_you_mean(written, words.iter().map(|(word, _)| *word), "one of");
        report.error(node.at, format!("`{key}` cannot be `{written}`"), hint);
    }
    found
}

/// Checks the form of a mail address, without asking whether it exists.
pub(super) fn is_email(address: &str) -> bool {
    let Some((local, host)) = address.rsplit_once('@') else { return false };
    let fine = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let label = |l: &str| !l.is_empty() && l.chars().all(|c| c.is_alphanumeric() || c == '-') && !l.starts_with('-');
    let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
    (1..=64).contains(&local.len())
        && address.len() <= 254
        && local.chars().all(fine)
        && !dots
        && host.split('.').all(label)
}

fn shown(node: &Node) -> String {
    match &node.kind {
        _ if node.is_nothing() => "nothing".to_owned(),
        // Which may be an address with a password in it.
        Kind::Scalar { .. } => "one value".to_owned(),
        Kind::List(_) => "a list".to_owned(),
        Kind::Map(_) => "a map".to_owned(),
    }
}

/// `did you mean ...?` where a word is near, else all of them after `lead`.
pub fn did_you_mean<'w>(written: &str, words: impl Iterator<Item = &'w str> + Clone, lead: &str) -> String {
    let near = words.clone().map(|word| (distance(written, word), word)).min();
    match near {
        Some((d, word)) if d <= 1 + word.chars().count() / 4 => format!("did you mean `{word}`?"),
        Some(_) => format!("{lead} {}", words.map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ")),
        None => String::new(),
    }
}

/// Edits between two words: insert, delete, replace, swap of neighbours; letter case and `-` for `_` cost nothing.
fn distance(a: &str, b: &str) -> usize {
    let fold =
        |s: &str| s.chars().take(64).flat_map(char::to_lowercase).map(|c| if c == '-' { '_' } else { c }).collect();
    let (a, b): (Vec<char>, Vec<char>) = (fold(a), fold(b));
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

/// Line and column of the first byte that is no UTF-8 text.
pub fn not_utf8(error: &std::string::FromUtf8Error) -> (usize, usize) {
    let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
    let text = String::from_utf8_lossy(before);
    (text.matches('\n').count() + 1, text.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_proposed() {
        let words = ["indicator", "window", "ranges", "no_data", "asa"];
        for (written, expected) in [
            ("indicador", "did you mean `indicator`?"),
            ("windwo", "did you mean `window`?"),
            ("No-Data", "did you mean `no_data`?"),
            ("asaa", "did you mean `asa`?"),
            ("xyz", "the keys are `indicator`, `window`, `ranges`, `no_data`, `asa`"),
        ] {
            assert_eq!(did_you_mean(written, words.into_iter(), "the keys are"), expected);
        }
    }

    #[test]
    fn mail_addresses() {
        for good in ["lider.facebook@acme.example", "a@b", "o'neil+x@sub.acme.example", "josé@ejemplo.example"] {
            assert!(is_email(good), "{good}");
        }
        for bad in ["", "a", "@b", "a@", "a b@c", "a@b c", "a@.b", "a..b@c", "a@b\r\nBcc: x@y", "A <a@b>"] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}

//! Whether two scopes can name the same queue or channel: exact where one side is literal, and otherwise yes unless
//! it is certain that they cannot.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::node::{Kind, Node};
use super::reader::{Fields, Report, list, text};
use crate::domain::{Globs, Scope};
use crate::matrix::Per;

/// Characters of one pattern. Longer ones are nobody's names and cost time to compile.
const LENGTH: usize = 200;

/// Reads lists of patterns, each different list compiled once.
#[derive(Default)]
pub(super) struct Scopes {
    compiled: BTreeMap<Vec<Arc<str>>, Globs>,
}

impl Scopes {
    /// `scope: { queue: [...], channel: ... }`.
    pub fn read(&mut self, node: &Node, report: &mut Report) -> Scope {
        let Some(fields) = Fields::new(node, "`scope`", &["queue", "channel"], report) else { return Scope::default() };
        let mut part = |key| fields.get(key).map(|node| self.globs(node, key, report)).unwrap_or_default();
        Scope { queue: part("queue"), channel: part("channel") }
    }

    fn globs(&mut self, node: &Node, key: &str, report: &mut Report) -> Globs {
        let mut patterns: Vec<Arc<str>> = Vec::new();
        if matches!(&node.kind, Kind::List(items) if items.is_empty()) {
            report.error(node.at, format!("`{key}` names nothing"), "leave it out to mean any");
        }
        for item in list(node, report) {
            let Some(pattern) = text(&item, key, report) else { continue };
            let bare = pattern.strip_prefix('!').unwrap_or(pattern);
            if bare.is_empty() || pattern.chars().count() > LENGTH {
                report.error(
                    item.at,
                    format!("`{pattern}` is not a name or pattern"),
                    "write a name, `re*`, or \"!name\"",
                );
            } else if let Err((_, why)) = Globs::new([pattern.as_ref()]) {
                report.error(
                    item.at,
                    format!("pattern `{pattern}` is not valid: {why}"),
                    "`*` is any text, `?` one character",
                );
            } else {
                patterns.push(pattern.clone());
            }
        }
        if let Some(globs) = self.compiled.get(&patterns) {
            return globs.clone();
        }
        let globs = Globs::new(&patterns).unwrap_or_default();
        self.compiled.insert(patterns, globs.clone());
        globs
    }
}

/// What a row's cases name decides what of its scope matters: the other part is rolled over.
pub(super) fn meet(per: Per, a: &Scope, b: &Scope) -> bool {
    match per {
        Per::All => true,
        Per::Queue => globs_meet(&a.queue, &b.queue),
        Per::Channel => globs_meet(&a.channel, &b.channel),
        Per::Pair => globs_meet(&a.queue, &b.queue) && globs_meet(&a.channel, &b.channel),
    }
}

pub(super) fn globs_meet(a: &Globs, b: &Globs) -> bool {
    let (includes_a, excludes_a) = split(a);
    let (includes_b, excludes_b) = split(b);
    let excludes: Vec<&str> = excludes_a.iter().chain(&excludes_b).map(String::as_str).collect();
    includes_a.iter().any(|p| {
        includes_b.iter().any(|q| match (is_literal(p), is_literal(q)) {
            (true, _) => a.matches(p) && b.matches(p),
            (_, true) => a.matches(q) && b.matches(q),
            _ => patterns_meet(p, q) && !excludes.iter().any(|e| covers(e, p) || covers(e, q)),
        })
    })
}

/// Including patterns (without any, `*`) and excluding ones.
fn split(globs: &Globs) -> (Vec<String>, Vec<String>) {
    let (excludes, mut includes): (Vec<_>, Vec<_>) = globs.patterns().partition(|p| p.starts_with('!'));
    if includes.is_empty() {
        includes.push("*".to_owned());
    }
    (includes, excludes.into_iter().map(|p| p.get(1..).unwrap_or_default().to_owned()).collect())
}

const SPECIAL: [char; 7] = ['*', '?', '[', ']', '{', '}', '\\'];

pub(super) fn is_literal(pattern: &str) -> bool {
    !pattern.contains(SPECIAL)
}

/// Whether some text matches both. Classes and alternatives count as matching anything.
fn patterns_meet(p: &str, q: &str) -> bool {
    let hard = |s: &str| s.contains(['[', ']', '{', '}', '\\']);
    if hard(p) || hard(q) {
        return true;
    }
    let (p, q): (Vec<char>, Vec<char>) = (p.chars().collect(), q.chars().collect());
    // reach[j]: whether what was taken of p and the first j of q can match a common text.
    let mut reach: Vec<bool> = (0..=q.len()).map(|j| q.iter().take(j).all(|c| *c == '*')).collect();
    for x in &p {
        let mut next = vec![*x == '*' && reach.first().copied().unwrap_or(false)];
        for (j, y) in q.iter().enumerate() {
            let at = |list: &[bool], j: usize| list.get(j).copied().unwrap_or(false);
            let step = match (*x, *y) {
                ('*', '*') => at(&reach, j) || at(&reach, j + 1) || at(&next, j),
                ('*', _) => at(&next, j) || at(&reach, j + 1),
                (_, '*') => at(&reach, j + 1) || at(&next, j),
                ('?', _) | (_, '?') => at(&reach, j),
                (x, y) => x == y && at(&reach, j),
            };
            next.push(step);
        }
        reach = next;
    }
    reach.last().copied().unwrap_or(false)
}

/// Whether `exclude` certainly takes everything that `pattern` matches: it is the same, or `prefix*` of its beginning.
fn covers(exclude: &str, pattern: &str) -> bool {
    let beginning = pattern.split(SPECIAL).next().unwrap_or("");
    let prefix = exclude.strip_suffix('*').filter(|prefix| is_literal(prefix));
    exclude == pattern || prefix.is_some_and(|prefix| beginning.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_meet_where_a_name_can_be_in_both() {
        for (a, b, expected) in [
            (vec!["a"], vec!["a"], true),
            (vec!["a"], vec!["b"], false),
            (vec!["a"], vec![], true),
            (vec!["a"], vec!["!a"], false),
            (vec!["re*"], vec!["reclamos"], true),
            (vec!["re*", "!reclamos"], vec!["reclamos"], false),
            (vec!["re*"], vec!["so*"], false),
            (vec!["re*"], vec!["*os"], true),
            (vec!["a*b"], vec!["a?c"], false),
            (vec!["a*c"], vec!["a?c"], true),
            (vec!["*"], vec!["!re*"], true),
            (vec!["re*"], vec!["!re*"], false),
            (vec!["rec*"], vec!["*", "!re*"], false),
            (vec!["x[ab]"], vec!["y*"], true),
            (vec!["a*"], vec!["a"], true),
            (vec!["??"], vec!["?"], false),
        ] {
            let (x, y) = (Globs::new(&a).unwrap(), Globs::new(&b).unwrap());
            assert_eq!((globs_meet(&x, &y), globs_meet(&y, &x)), (expected, expected), "{a:?} {b:?}");
        }
    }

    proptest::proptest! {
        /// Two lists that match a common name are never said not to meet.
        #[test]
        fn never_misses_a_common_name(
            a in proptest::collection::vec("!?[ab*?]{1,4}", 0..3),
            b in proptest::collection::vec("!?[ab*?]{1,4}", 0..3),
            name in "[ab]{1,4}",
        ) {
            let (x, y) = (Globs::new(&a).unwrap(), Globs::new(&b).unwrap());
            if x.matches(&name) && y.matches(&name) {
                proptest::prop_assert!(globs_meet(&x, &y), "{:?} {:?} {}", a, b, name);
            }
        }
    }
}

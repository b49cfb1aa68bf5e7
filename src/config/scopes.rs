//! Whether two scopes can name the same queue or channel: exact where one side is literal, and otherwise yes unless
//! it is certain that they cannot.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::node::{Kind, Node};
use super::reader::{Fields, Mark, Report, list, text};
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
        if matches!(&node.kind, Kind::List(items) if items.is_empty()) {
            report.error(node.at, format!("`{key}` names nothing"), "leave it out to mean any");
        }
        let mut patterns: Vec<(Arc<str>, Mark)> = Vec::new();
        for item in list(node, report) {
            let Some(pattern) = text(&item, key, report) else { continue };
            let bare = pattern.strip_prefix('!').unwrap_or(pattern);
            if bare.is_empty() || pattern.chars().count() > LENGTH {
                let hint = "write a name, `re*`, or \"!name\"";
                report.error(item.at, format!("`{pattern}` is not a name or pattern"), hint);
            } else {
                patterns.push((pattern.clone(), item.at));
            }
        }
        let names: Vec<Arc<str>> = patterns.iter().map(|(pattern, _)| pattern.clone()).collect();
        if let Some(globs) = self.compiled.get(&names) {
            return globs.clone();
        }
        let Ok(globs) = Globs::new(&names) else {
            for (pattern, at) in &patterns {
                if let Err((_, why)) = Globs::new([pattern]) {
                    let what = format!("pattern `{pattern}` is not valid: {why}");
                    report.error(*at, what, "`*` is any text, `?` one character");
                }
            }
            return Globs::default();
        };
        self.compiled.insert(names, globs.clone());
        globs
    }
}

/// A scope taken apart once, to be held against many others.
pub(super) struct Parts<'s> {
    per: Per,
    queue: Part<'s>,
    channel: Part<'s>,
}

struct Part<'s> {
    globs: &'s Globs,
    /// Patterns; without any, `*`.
    includes: Vec<Pattern>,
    excludes: Vec<String>,
}

struct Pattern {
    text: String,
    chars: Vec<char>,
    literal: bool,
}

impl<'s> Parts<'s> {
    /// What a row's cases name decides what of its scope matters: the other part is rolled over.
    pub fn new(per: Per, scope: &'s Scope) -> Self {
        Parts { per, queue: Part::new(&scope.queue), channel: Part::new(&scope.channel) }
    }

    /// Whether both, of the same `per`, can name the same case.
    pub fn meet(&self, other: &Parts<'_>) -> bool {
        match self.per {
            Per::All => true,
            Per::Queue => self.queue.meets(&other.queue),
            Per::Channel => self.channel.meets(&other.channel),
            Per::Pair => self.queue.meets(&other.queue) && self.channel.meets(&other.channel),
        }
    }
}

impl<'s> Part<'s> {
    fn new(globs: &'s Globs) -> Self {
        let (excludes, mut includes): (Vec<_>, Vec<_>) = globs.patterns().partition(|p| p.starts_with('!'));
        if includes.is_empty() {
            includes.push("*".to_owned());
        }
        let pattern = |text: String| Pattern { chars: text.chars().collect(), literal: is_literal(&text), text };
        let excludes = excludes.into_iter().map(|p| p.get(1..).unwrap_or_default().to_owned()).collect();
        Part { globs, includes: includes.into_iter().map(pattern).collect(), excludes }
    }

    fn meets(&self, other: &Part<'_>) -> bool {
        let both_match = |name: &str| self.globs.matches(name) && other.globs.matches(name);
        let excluded = |p: &Pattern| self.excludes.iter().chain(&other.excludes).any(|e| covers(e, &p.text));
        self.includes.iter().any(|p| {
            other.includes.iter().any(|q| match (p.literal, q.literal) {
                (true, true) => p.text == q.text && both_match(&p.text),
                (true, _) => both_match(&p.text),
                (_, true) => both_match(&q.text),
                _ => patterns_meet(p, q) && !excluded(p) && !excluded(q),
            })
        })
    }
}

const SPECIAL: [char; 7] = ['*', '?', '[', ']', '{', '}', '\\'];

pub(super) fn is_literal(pattern: &str) -> bool {
    !pattern.contains(SPECIAL)
}

/// Whether some text matches both. Classes and alternatives count as matching anything.
fn patterns_meet(p: &Pattern, q: &Pattern) -> bool {
    // Most lists are told apart by how their patterns begin or end.
    let differ = |pairs: &mut dyn Iterator<Item = (&char, &char)>| {
        let mut plain = pairs.take_while(|(x, y)| !SPECIAL.contains(x) && !SPECIAL.contains(y));
        plain.any(|(x, y)| x != y)
    };
    if differ(&mut p.chars.iter().zip(&q.chars)) || differ(&mut p.chars.iter().rev().zip(q.chars.iter().rev())) {
        return false;
    }
    let hard = |p: &Pattern| p.text.contains(['[', ']', '{', '}', '\\']);
    if hard(p) || hard(q) {
        return true;
    }
    let (p, q) = (&p.chars, &q.chars);
    // reach[j]: whether what was taken of p and the first j of q can match a common text.
    let mut reach: Vec<bool> = (0..=q.len()).map(|j| q.iter().take(j).all(|c| *c == '*')).collect();
    for x in p {
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
            (vec!["x[ab]"], vec!["x*"], true),
            (vec!["x[ab]"], vec!["y*"], false),
            (vec!["*[ab]y"], vec!["*x"], false),
            (vec!["a*"], vec!["a"], true),
            (vec!["??"], vec!["?"], false),
        ] {
            let (x, y) = (Globs::new(&a).unwrap(), Globs::new(&b).unwrap());
            assert_eq!(
                (Part::new(&x).meets(&Part::new(&y)), Part::new(&y).meets(&Part::new(&x))),
                (expected, expected),
                "{a:?} {b:?}"
            );
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
                proptest::prop_assert!(Part::new(&x).meets(&Part::new(&y)), "{:?} {:?} {}", a, b, name);
            }
        }
    }
}

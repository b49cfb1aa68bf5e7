//! YAML text -> a tree of nodes, each with the place where it was written.
//!
//! Scalars stay the text that was written (`07:00`, `no`, `1999-01-01`): what a value means is decided by the key that
//! it stands under, not guessed from its looks. Syntax and the whole-file defects (a key given twice, an alias without
//! its anchor, a custom tag) are found here; which keys and values are allowed is the work of [`super::reader`]'s users.

use std::collections::BTreeMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::reader::{Mark, Report};

/// A value of a file. Cloning copies the subtree; [`LIMIT`] bounds what aliases can make of that.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub at: Mark,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// `plain` is without quotes, so an empty one, `~` and `null` mean that nothing was written.
    Scalar {
        text: Arc<str>,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: Arc<str>,
    pub key_at: Mark,
    pub value: Node,
}

/// Nodes of one file, those that aliases copy included. A matrix of 1,000 rows has about 60,000.
const LIMIT: usize = 1_000_000;
/// Nesting of one file, inside aliases included; a matrix needs 6.
const DEPTH: usize = 64;

impl Node {
    /// Whether nothing was written: `key:` alone, `~` or `null`.
    pub fn is_nothing(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(&**text, "" | "~" | "null"))
    }

    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The value of `key`, if this is a map and it has one that is not nothing.
    #[cfg(test)]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| &*entry.key == key).map(|entry| &entry.value).filter(|n| !n.is_nothing())
    }

    /// How many nodes it holds, and how deep they are nested.
    fn measure(&self) -> (usize, usize) {
        let inner = |nodes: &mut dyn Iterator<Item = &Node>| {
            nodes.fold((1, 1), |(size, depth), node| {
                let (s, d) = node.measure();
                (size + s, depth.max(d + 1))
            })
        };
        match &self.kind {
            Kind::Scalar { .. } => (1, 1),
            Kind::List(items) => inner(&mut items.iter()),
            Kind::Map(entries) => inner(&mut entries.iter().map(|entry| &entry.value)),
        }
    }
}

/// Reads a file of one document. `None` where it does not parse; the defects are in `report` either way.
pub(super) fn parse(text: &str, report: &mut Report) -> Option<Node> {
    let options = granit_parser::options! { emit_comments: false, emit_unresolved_aliases: true };
    let mut builder = Builder::new(report);
    for next in Parser::new_from_str_with_options(text.trim_start_matches('\u{feff}'), options) {
        let taken = match next {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => {
                builder.syntax(&error.info(), (error.marker().line(), error.marker().col() + 1), text);
                Err(Stop)
            }
        };
        if taken.is_err() {
            return None;
        }
    }
    let root = builder.root.take();
    if root.is_none() {
        let at = report.mark(1, 1);
        report.error(at, "the file is empty", "");
    }
    root
}

/// The file cannot be read further; the defect is reported.
struct Stop;

/// A list or map whose end has not come yet.
struct Open {
    at: Mark,
    anchor: usize,
    depth: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    /// With the key that waits for its value; a key that cannot be one has its value dropped.
    Map(Vec<Entry>, Option<(Option<Arc<str>>, Mark, bool)>),
}

struct Builder<'r> {
    report: &'r mut Report,
    open: Vec<Open>,
    /// Anchored nodes with their measures.
    anchors: BTreeMap<usize, (Node, usize, usize)>,
    size: usize,
    root: Option<Node>,
    documents: usize,
}

impl<'r> Builder<'r> {
    fn new(report: &'r mut Report) -> Self {
        Builder { report, open: Vec::new(), anchors: BTreeMap::new(), size: 0, root: None, documents: 0 }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        let at = self.report.mark(span.start.line(), span.start.col() + 1);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return self.stop(at, "a second document begins here", "one file holds one document: remove `---`");
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let kind = match self.check_tag(tag.as_deref(), &span) {
                    // What was meant, so that nothing else is said of it.
                    Some(written) if text.is_empty() => Kind::Scalar { text: written.into(), plain: false },
                    _ => Kind::Scalar { text: text.into(), plain: style == ScalarStyle::Plain },
                };
                self.put(Node { at, kind }, anchor, 1, 1)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), &span);
                self.begin(at, anchor, Items::List(Vec::new()))?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), &span);
                self.begin(at, anchor, Items::Map(Vec::new(), None))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Alias(id) => match self.anchors.get(&id).cloned() {
                // What is wrong with the value as a whole is wrong where it is repeated; its parts keep their places.
                Some((node, size, depth)) => self.put(Node { at, ..node }, 0, size, depth)?,
                None => return self.stop(at, "an alias stands inside its own anchor", "write the value out"),
            },
            Event::UnresolvedAlias(name) => {
                self.report.error(
                    at,
                    format!("unknown anchor `*{name}`"),
                    format!("if a pattern is meant, put it into quotes: \"*{name}\""),
                );
                self.put(Node { at, kind: Kind::Scalar { text: format!("*{name}").into(), plain: false } }, 0, 1, 1)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// What the parser says, in the place and with the remedy that fit it.
    fn syntax(&mut self, info: &str, (line, column): (usize, usize), text: &str) {
        if info.contains("recursion limit") {
            self.report.error(self.report.mark(line, column), TOO_DEEP.0, TOO_DEEP.1);
            return;
        }
        let tab = if info.contains("tab") { tab_from(text, line) } else { None };
        let (line, column) = tab.unwrap_or((line, column));
        let hint = match tab {
            Some(_) => "indent with spaces, not with tabs",
            None => {
                "put texts that hold `: `, ` #` or begin with one of `> | & * ! % @ [ {` into quotes; \
                 indent with spaces"
            }
        };
        self.report.error(self.report.mark(line, column), format!("this is not YAML: {info}"), hint);
    }

    fn stop(&mut self, at: Mark, what: &str, hint: &str) -> Result<(), Stop> {
        self.report.error(at, what, hint);
        Err(Stop)
    }

    /// An unquoted `!vip` is a tag to YAML and would be read as an empty text: that must not pass silently.
    fn check_tag(&mut self, tag: Option<&Tag>, span: &Span) -> Option<String> {
        let tag = tag.filter(|tag| tag.core_suffix().is_none() && !tag.suffix().is_empty())?;
        let place = span.tag_start.unwrap_or(span.start);
        let at = self.report.mark(place.line(), place.col() + 1);
        let written = format!("{}{}", tag.original_handle(), tag.suffix());
        self.report.error(
            at,
            format!("`{written}` is a tag in YAML, and none is known"),
            format!("to exclude a name, put it into quotes: \"{written}\""),
        );
        Some(written)
    }

    fn begin(&mut self, at: Mark, anchor: usize, items: Items) -> Result<(), Stop> {
        if self.open.len() >= DEPTH {
            return self.stop(at, TOO_DEEP.0, TOO_DEEP.1);
        }
        self.open.push(Open { at, anchor, depth: 1, items });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Stop> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let kind = match open.items {
            Items::List(items) => Kind::List(items),
            Items::Map(entries, _) => Kind::Map(self.merged(entries)),
        };
        // Its children are counted already; the node itself is 1.
        self.put(Node { at: open.at, kind }, open.anchor, 1, open.depth)
    }

    /// Puts a finished node where it belongs: the root, the list, a key, or the value of the key that waits.
    fn put(&mut self, node: Node, anchor: usize, size: usize, depth: usize) -> Result<(), Stop> {
        self.size = self.size.saturating_add(size);
        if self.open.len() + depth > DEPTH {
            return self.stop(node.at, TOO_DEEP.0, TOO_DEEP.1);
        }
        if self.size > LIMIT {
            return self.stop(node.at, "the file, with what its aliases repeat, is too large", "write fewer aliases");
        }
        if anchor != 0 {
            let (size, depth) = node.measure();
            self.anchors.insert(anchor, (node.clone(), size, depth));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.depth = open.depth.max(depth + 1);
        match &mut open.items {
            Items::List(items) => items.push(node),
            Items::Map(entries, waiting) => match waiting.take() {
                None => {
                    let key_at = node.at;
                    let (key, plain) = match node.kind {
                        Kind::Scalar { text, plain } => (Some(text), plain),
                        _ => {
                            self.report.error(key_at, "a key must be a text", "");
                            (None, false)
                        }
                    };
                    *waiting = Some((key, key_at, plain));
                }
                Some((Some(key), key_at, plain)) => {
                    // Only an unquoted `<<` merges; the quoted one is a key of that name and found to be unknown.
                    let key = if &*key == "<<" && plain { MERGE.into() } else { key };
                    entries.push(Entry { key, key_at, value: node });
                }
                Some((None, ..)) => {}
            },
        }
        Ok(())
    }

    /// Merge keys resolved, and every key once: of one that is given twice the first stands.
    fn merged(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut lines: BTreeMap<Arc<str>, Mark> = BTreeMap::new();
        let mut all = Vec::with_capacity(entries.len());
        let mut merges = Vec::new();
        for entry in entries {
            if &*entry.key == MERGE {
                merges.push(entry);
            } else if let Some(first) = lines.get(&entry.key) {
                self.report.error(
                    entry.key_at,
                    format!("duplicate key `{}`: it stands in line {} already", entry.key, first.line),
                    "remove one of them",
                );
            } else {
                lines.insert(entry.key.clone(), entry.key_at);
                all.push(entry);
            }
        }
        for merge in merges {
            let sources = match merge.value.kind {
                Kind::Map(_) => vec![merge.value],
                Kind::List(items) => items,
                Kind::Scalar { .. } => {
                    self.report.error(merge.key_at, "`<<` merges a map or a list of maps", "write `<<: *name`");
                    continue;
                }
            };
            for entry in sources.into_iter().flat_map(|node| match node.kind {
                Kind::Map(entries) => entries,
                _ => Vec::new(),
            }) {
                if lines.insert(entry.key.clone(), entry.key_at).is_none() {
                    all.push(entry);
                }
            }
        }
        all
    }
}

const TOO_DEEP: (&str, &str) = ("the file is nested too deep", "no key needs more than a few levels");

/// The first tab that indents a line, from this line on: parsers stop before it or behind it.
fn tab_from(text: &str, line: usize) -> Option<(usize, usize)> {
    text.lines().enumerate().skip(line.saturating_sub(1)).find_map(|(index, text)| {
        let column = text.chars().take_while(|c| c.is_whitespace()).position(|c| c == '\t')?;
        Some((index + 1, column + 1))
    })
}

/// The key of a merge until its map is complete; no file can write it, because it holds a control character.
const MERGE: &str = "\u{0}<<";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Node>, Vec<String>) {
        let mut report = Report::new("f.yaml");
        let node = parse(text, &mut report);
        (node, report.finish().iter().map(|d| format!("{}:{}: {}", d.line, d.column, d.what)).collect())
    }

    fn text(node: &Node, key: &str) -> String {
        match node.get(key).map(|node| &node.kind) {
            Some(Kind::Scalar { text, .. }) => text.to_string(),
            other => panic!("{key}: {other:?}"),
        }
    }

    #[test]
    fn scalars_stay_the_text_that_was_written() {
        let (node, errors) = read("a: 07:00\nb: 1999-01-01\nc: no\nd: off\ne: 0.60\nf: 1_000\ng: '~'\nh: 0x1F\n");
        assert!(errors.is_empty(), "{errors:?}");
        let node = node.unwrap();
        for (key, expected) in [
            ("a", "07:00"),
            ("b", "1999-01-01"),
            ("c", "no"),
            ("d", "off"),
            ("e", "0.60"),
            ("f", "1_000"),
            ("g", "~"),
            ("h", "0x1F"),
        ] {
            assert_eq!(text(&node, key), expected);
        }
        assert!(read("a: ~\n").0.unwrap().get("a").is_none());
    }

    #[test]
    fn positions_count_from_one_in_characters() {
        let (node, _) = read("é: { ñandú: x }\n");
        let outer = &node.as_ref().unwrap().entries()[0];
        let inner = &outer.value.entries()[0];
        assert_eq!((outer.key_at.line, outer.key_at.column), (1, 1));
        assert_eq!((inner.key_at.line, inner.key_at.column), (1, 6));
        assert_eq!((inner.value.at.line, inner.value.at.column), (1, 13));
    }

    #[test]
    fn aliases_and_merges_are_resolved() {
        let (node, errors) = read("base: &b { x: 1, y: 2 }\nlist: &l [3]\none: { <<: *b, y: 9 }\ntwo: *l\n");
        assert!(errors.is_empty(), "{errors:?}");
        let node = node.unwrap();
        let one = node.get("one").unwrap();
        assert_eq!((text(one, "x"), text(one, "y")), ("1".to_owned(), "9".to_owned()));
        assert!(matches!(&node.get("two").unwrap().kind, Kind::List(items) if items.len() == 1));
    }

    #[test]
    fn every_defect_of_the_tree_is_reported() {
        let bomb: String = std::iter::once("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned())
            .chain((1..12).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "))))
            .collect();
        let deep = "[".repeat(200) + &"]".repeat(200);
        let deeper = "[".repeat(2000);
        let maps: String = (0..80).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
        for (text, expected) in [
            ("a: 1\nb: 2\na: 3\n", "3:1: duplicate key `a`: it stands in line 1 already"),
            ("a: [x, !vip]\n", "1:8: `!vip` is a tag in YAML, and none is known"),
            ("a: [*]\n", "1:"),
            ("a: *nobody\n", "1:4: unknown anchor `*nobody`"),
            ("a: &x [*x]\n", "1:8: an alias stands inside its own anchor"),
            ("a: 1\n---\nb: 1\n", "2:1: a second document begins here"),
            ("? [a]\n: b\n", "1:3: a key must be a text"),
            ("", "1:1: the file is empty"),
            ("# only a comment\n", "1:1: the file is empty"),
            ("a: 1\n b: 2\n", "2:"),
            ("a: >= 45m\n", "1:"),
            ("a: \"open\n", "1:"),
            (&bomb, "7:10: the file, with what its aliases repeat, is too large"),
            (&deep, "1:65: the file is nested too deep"),
            (&deeper, "1:"),
            (&maps, "64:64: the file is nested too deep"),
            ("a: 1\nb:\n  - c: 1\n\td: 2\n", "4:1: this is not YAML"),
            ("a: 1\nb:\n\t  - c: 1\n", "3:1: this is not YAML"),
            ("a: &x 1\n? *x\n: 2\n*x : 3\n", "4:1: duplicate key `1`: it stands in line 2 already"),
        ] {
            let (_, errors) = read(text);
            assert_eq!(errors.len(), 1, "{text}: {errors:?}");
            assert!(errors[0].starts_with(expected), "{text}: {errors:?}");
        }
    }
}

//! The canonical layout of a YAML file that a person keeps: two spaces, one blank after a colon and a comma, what fits a
//! line stays on it. Texts, their quotes, the order of keys, comments and single blank lines stay as they are.
//!
//! Nothing is laid out on trust. The result is read again, and only if every value and every comment is there in its
//! order is it given out. What cannot be laid out safely is refused with its line, and the file is left alone.

use std::collections::{BTreeMap, VecDeque};

use super::node::{self, Kind as NodeKind, Node as Tree};
use super::reader::Report;
use source::{Comment, Kind, Node};

mod source;

/// The longest line to which a list or map in brackets is joined.
const WIDTH: usize = 120;
const STEP: usize = 2;

/// Why a file is left as it is.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct Refusal {
    pub line: usize,
    pub why: &'static str,
}

fn refuse<T>(line: usize, why: &'static str) -> Result<T, Refusal> {
    Err(Refusal { line, why })
}

/// The text in its canonical layout.
pub fn layout(text: &str) -> Result<String, Refusal> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let (root, comments) = source::read(&text)?;
    let mut printer = Printer::new(&text, &comments);
    let after = usize::MAX;
    match &root.kind {
        Kind::Map { entries, .. } => printer.map(entries, root.column, "", 0, after)?,
        Kind::List { items, .. } => printer.list(items, root.column, 0, after)?,
        Kind::Scalar { .. } => return refuse(root.line, "the file is one value alone"),
    }
    printer.rest()?;
    let laid_out = printer.lines.join("\n") + "\n";
    compare(&text, &laid_out, &comments)?;
    Ok(laid_out)
}

/// Reads the result again: the same values, and the same comments in the same order.
fn compare(before: &str, after: &str, comments: &[Comment]) -> Result<(), Refusal> {
    const LOST: &str = "the layout would change what the file says";
    let tree = |text: &str| {
        let mut report = Report::new("");
        node::parse(text, &mut report).filter(|_| report.errors() == 0)
    };
    let (Some(old), Some(new)) = (tree(before), tree(after)) else { return refuse(1, LOST) };
    if let Some(line) = differs(&old, &new) {
        return refuse(line, LOST);
    }
    let again = source::read(after)?.1;
    let pairs = comments.iter().map(Some).chain(std::iter::repeat(None)).zip(again.iter().map(Some).chain([None]));
    let lost = pairs.take(comments.len().max(again.len())).find(|(a, b)| a.map(|c| &c.text) != b.map(|c| &c.text));
    match lost {
        Some((comment, _)) => refuse(comment.map_or(1, |comment| comment.line), "the layout would lose a comment"),
        None => Ok(()),
    }
}

/// The line of the first value that is not the same.
fn differs(a: &Tree, b: &Tree) -> Option<usize> {
    let here = Some(a.at.line as usize);
    match (&a.kind, &b.kind) {
        (NodeKind::Scalar { text, plain }, NodeKind::Scalar { text: other, plain: also }) => {
            if (text, plain) == (other, also) { None } else { here }
        }
        (NodeKind::List(items), NodeKind::List(others)) if items.len() == others.len() => {
            items.iter().zip(others).find_map(|(a, b)| differs(a, b))
        }
        (NodeKind::Map(entries), NodeKind::Map(others)) if entries.len() == others.len() => {
            let pairs = entries.iter().zip(others);
            pairs.map(|(a, b)| if a.key == b.key { differs(&a.value, &b.value) } else { here }).find_map(|line| line)
        }
        _ => here,
    }
}

struct Printer<'s> {
    source: Vec<&'s str>,
    lines: Vec<String>,
    /// Comments on lines of their own that are not printed yet.
    own: VecDeque<&'s Comment>,
    /// Comments behind something, by line.
    behind: BTreeMap<usize, &'s Comment>,
    /// The last line opens a block: no blank line follows it.
    opened: bool,
}

impl<'s> Printer<'s> {
    fn new(text: &'s str, comments: &'s [Comment]) -> Self {
        Printer {
            source: text.lines().collect(),
            lines: Vec::new(),
            own: comments.iter().filter(|comment| comment.alone).collect(),
            behind: comments.iter().filter(|comment| !comment.alone).map(|comment| (comment.line, comment)).collect(),
            opened: true,
        }
    }

    /// The entries of a map in block notation, each on lines of its own; the first behind `head` if there is one (a dash).
    fn map(
        &mut self,
        entries: &[(Node, Node)],
        column: usize,
        head: &str,
        indent: usize,
        after: usize,
    ) -> Result<(), Refusal> {
        for (index, (key, value)) in entries.iter().enumerate() {
            let next = entries.get(index + 1).map_or(after, |(key, _)| key.line);
            let Kind::Scalar { raw, block: false } = &key.kind else {
                return refuse(key.line, "a key that is no text");
            };
            let head = match index {
                0 if !head.is_empty() => format!("{head} {}:", flat(raw, key.line)?),
                _ => {
                    self.before(key.line, indent);
                    format!("{}{}:", " ".repeat(indent), flat(raw, key.line)?)
                }
            };
            self.value(&head, key.line, value, indent, next)?;
        }
        self.inside(after, column, indent);
        Ok(())
    }

    fn list(&mut self, items: &[Node], column: usize, indent: usize, after: usize) -> Result<(), Refusal> {
        for (index, item) in items.iter().enumerate() {
            let next = items.get(index + 1).map_or(after, |item| item.line);
            self.before(item.line, indent);
            self.value(&format!("{}-", " ".repeat(indent)), item.line, item, indent, next)?;
        }
        self.inside(after, column, indent);
        Ok(())
    }

    /// What stands behind `head`, a key with its colon or a dash at `indent`.
    fn value(&mut self, head: &str, line: usize, value: &Node, indent: usize, after: usize) -> Result<(), Refusal> {
        match &value.kind {
            Kind::Scalar { raw, .. } if raw.is_empty() => self.line(head.to_owned(), line),
            Kind::Scalar { raw, block: false } => self.line(format!("{head} {}", flat(raw, value.line)?), value.end),
            Kind::Scalar { block: true, .. } => return self.block_text(head, value, indent),
            Kind::List { flow, .. } | Kind::Map { flow, .. } => {
                if *flow {
                    self.no_comment_in(value)?;
                    let joined = format!("{head} {}", joined(value)?);
                    if joined.chars().count() <= WIDTH || value.is_empty() {
                        self.line(joined, value.end);
                        return Ok(());
                    }
                    // It becomes a block; what was said behind its end is said before it.
                    if let Some(comment) = self.behind.remove(&value.end) {
                        self.push(format!("{}#{}", " ".repeat(indent), comment.text), false);
                    }
                }
                return self.block(head, line, value, indent, after);
            }
        }
        Ok(())
    }

    fn block(&mut self, head: &str, line: usize, value: &Node, indent: usize, after: usize) -> Result<(), Refusal> {
        let inner = indent + STEP;
        match &value.kind {
            Kind::Map { entries, .. } if head.ends_with('-') => self.map(entries, value.column, head, inner, after),
            Kind::List { .. } if head.ends_with('-') => refuse(line, "a list that is an item of a list"),
            Kind::Map { entries, .. } => {
                self.open(head, line);
                self.map(entries, value.column, "", inner, after)
            }
            Kind::List { items, .. } => {
                self.open(head, line);
                self.list(items, value.column, inner, after)
            }
            Kind::Scalar { .. } => Ok(()),
        }
    }

    /// `|` or `>`: its lines keep their shape, moved as a whole. The value begins below its mark.
    fn block_text(&mut self, head: &str, value: &Node, indent: usize) -> Result<(), Refusal> {
        let above = self.source.iter().take(value.line.saturating_sub(1));
        let marked = above.enumerate().rev().find(|(_, line)| !line.trim().is_empty());
        let (index, line) = marked.map_or((0, ""), |(index, line)| (index, *line));
        let mark = line.split_whitespace().next_back().unwrap_or_default();
        if !matches!(mark, "|" | ">" | "|-" | ">-") {
            return refuse(index + 1, "a text after `|` or `>` with more than `-` behind it");
        }
        self.push(format!("{head} {mark}"), false);
        let spaces = |line: &str| line.chars().take_while(|c| *c == ' ').count();
        let lines = || self.source.iter().skip(index + 1);
        let first = lines().find(|line| !line.trim().is_empty()).map_or(0, |line| spaces(line));
        let body = lines().take_while(|line| line.trim().is_empty() || spaces(line) >= first);
        let mut body: Vec<String> = body
            .map(|line| match line.trim().is_empty() {
                true => String::new(),
                false => format!("{}{}", " ".repeat(indent + STEP), line.get(first..).unwrap_or_default()),
            })
            .collect();
        while body.last().is_some_and(String::is_empty) {
            body.pop();
        }
        for line in body {
            self.lines.push(line);
        }
        self.opened = false;
        Ok(())
    }

    fn open(&mut self, head: &str, line: usize) {
        self.line(head.to_owned(), line);
        self.opened = true;
    }

    /// A line with what is said behind it in the source.
    fn line(&mut self, mut text: String, source_line: usize) {
        if let Some(comment) = self.behind.remove(&source_line) {
            text.push_str(&format!(" #{}", comment.text));
        }
        self.push(text, false);
    }

    fn push(&mut self, text: String, blank_before: bool) {
        if blank_before && !self.opened {
            self.lines.push(String::new());
        }
        self.lines.push(text);
        self.opened = false;
    }

    /// Comments above a line, and its blank line.
    fn before(&mut self, line: usize, indent: usize) {
        while let Some(comment) = self.own.front().filter(|comment| comment.line < line).copied() {
            self.own.pop_front();
            self.push(format!("{}#{}", " ".repeat(indent), comment.text), self.is_blank(comment.line.wrapping_sub(1)));
        }
        if self.is_blank(line.wrapping_sub(1)) && !self.opened {
            self.lines.push(String::new());
            self.opened = true;
        }
    }

    /// Comments below the last entry of a block that are indented as its entries are.
    fn inside(&mut self, after: usize, column: usize, indent: usize) {
        while let Some(comment) = self.own.front().filter(|c| c.line < after && c.column >= column).copied() {
            self.own.pop_front();
            self.push(format!("{}#{}", " ".repeat(indent), comment.text), self.is_blank(comment.line.wrapping_sub(1)));
        }
    }

    fn rest(&mut self) -> Result<(), Refusal> {
        self.inside(usize::MAX, 0, 0);
        match self.behind.keys().next() {
            Some(line) => refuse(*line, "a comment in a place where none can stand in the layout"),
            None => Ok(()),
        }
    }

    /// Whether that line of the source, counted from 1, is blank.
    fn is_blank(&self, line: usize) -> bool {
        line.checked_sub(1).and_then(|index| self.source.get(index)).is_some_and(|line| line.trim().is_empty())
    }

    fn no_comment_in(&self, value: &Node) -> Result<(), Refusal> {
        let own = self.own.iter().map(|comment| comment.line).find(|line| (value.line..=value.end).contains(line));
        let behind = self.behind.range(value.line..value.end).map(|(line, _)| *line).next();
        match own.or(behind) {
            Some(line) => refuse(line, "a comment inside { } or [ ]"),
            None => Ok(()),
        }
    }
}

/// A text on one line. YAML reads a line break in a text as a blank.
fn flat(raw: &str, line: usize) -> Result<String, Refusal> {
    if !raw.contains('\n') {
        return Ok(raw.to_owned());
    }
    let lines: Vec<&str> = raw.lines().map(str::trim).collect();
    if lines.iter().any(|line| line.is_empty() || line.ends_with('\\')) {
        return refuse(line, "a text over several lines with a paragraph or a `\\` at the end of a line");
    }
    Ok(lines.join(" "))
}

/// A value in brackets, on one line.
fn joined(value: &Node) -> Result<String, Refusal> {
    match &value.kind {
        Kind::Scalar { raw, block: false } => flat(raw, value.line),
        Kind::Scalar { block: true, .. } => refuse(value.line, "a text after `|` or `>` inside { } or [ ]"),
        Kind::List { items, .. } => {
            let items = items.iter().map(joined).collect::<Result<Vec<_>, _>>()?;
            Ok(format!("[{}]", items.join(", ")))
        }
        Kind::Map { entries, .. } if entries.is_empty() => Ok("{}".to_owned()),
        Kind::Map { entries, .. } => {
            let entry = |(key, value): &(Node, Node)| match (joined(key)?, joined(value)?) {
                (_, value) if value.is_empty() => refuse(key.line, "a key without a value inside { }"),
                (key, value) => Ok(format!("{key}: {value}")),
            };
            let entries = entries.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
            Ok(format!("{{ {} }}", entries.join(", ")))
        }
    }
}

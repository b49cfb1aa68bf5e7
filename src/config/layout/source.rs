//! A YAML text with its notation: what is written how and on which lines, and the comments.

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};

use super::{Refusal, refuse};

/// A value as it is written. Lines count from 1, columns from 0.
pub(super) struct Node {
    pub line: usize,
    pub column: usize,
    /// The line of its end.
    pub end: usize,
    pub kind: Kind,
}

pub(super) enum Kind {
    /// As in the source, with its quotes; `block` after `|` or `>`.
    Scalar {
        raw: String,
        block: bool,
    },
    /// `flow` is in brackets.
    List {
        flow: bool,
        items: Vec<Node>,
    },
    Map {
        flow: bool,
        entries: Vec<(Node, Node)>,
    },
}

pub(super) struct Comment {
    pub line: usize,
    pub column: usize,
    /// What follows the `#`, without blanks at its end.
    pub text: String,
    /// Nothing stands before it in its line.
    pub alone: bool,
}

impl Node {
    pub fn is_empty(&self) -> bool {
        match &self.kind {
            Kind::Scalar { raw, .. } => raw.is_empty(),
            Kind::List { items, .. } => items.is_empty(),
            Kind::Map { entries, .. } => entries.is_empty(),
        }
    }
}

/// A list or map whose end has not come, and the key that waits for its value.
struct Open {
    node: Node,
    key: Option<Node>,
}

pub(super) fn read(text: &str) -> Result<(Node, Vec<Comment>), Refusal> {
    let options = granit_parser::options! { emit_comments: true };
    let lines: Vec<&str> = text.lines().collect();
    let (mut open, mut root, mut comments): (Vec<Open>, Option<Node>, Vec<Comment>) = (Vec::new(), None, Vec::new());
    for next in Parser::new_from_str_with_options(text, options) {
        let Ok((event, span)) = next else { return refuse(1, "this is not YAML: `atalaya check` says where") };
        let (line, column) = (span.start.line(), span.start.col());
        let node = |kind| Node { line, column, end: span.end.line(), kind };
        let done = match event {
            Event::DocumentStart(true, _) => return refuse(line, "a document marker `---`"),
            Event::Alias(_) => return refuse(line, "an alias `*name`"),
            Event::Scalar(_, _, anchor, _) | Event::SequenceStart(_, anchor, _) | Event::MappingStart(_, anchor, _)
                if anchor != 0 =>
            {
                return refuse(line, "an anchor `&name`");
            }
            Event::Scalar(.., Some(_)) | Event::SequenceStart(.., Some(_)) | Event::MappingStart(.., Some(_)) => {
                return refuse(line, "a tag");
            }
            Event::Comment(text, _) => {
                let before = lines.get(line.wrapping_sub(1)).map(|line| line.chars().take(column).collect::<String>());
                let alone = before.is_some_and(|before| before.trim().is_empty());
                comments.push(Comment { line, column, text: text.trim_end().to_owned(), alone });
                None
            }
            Event::Scalar(_, style, ..) => {
                let raw = span.slice(text).unwrap_or_default().trim_end().to_owned();
                Some(node(Kind::Scalar { raw, block: matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) }))
            }
            Event::SequenceStart(style, ..) => {
                let kind = Kind::List { flow: style == StructureStyle::Flow, items: Vec::new() };
                open.push(Open { node: node(kind), key: None });
                None
            }
            Event::MappingStart(style, ..) => {
                let kind = Kind::Map { flow: style == StructureStyle::Flow, entries: Vec::new() };
                open.push(Open { node: node(kind), key: None });
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(|open| {
                let mut node = open.node;
                node.end = span.end.line();
                node
            }),
            _ => None,
        };
        let Some(node) = done else { continue };
        match open.last_mut() {
            None => root = Some(node),
            Some(Open { node: outer, key }) => match &mut outer.kind {
                Kind::List { items, .. } => items.push(node),
                Kind::Map { entries, .. } => match key.take() {
                    None => *key = Some(node),
                    Some(name) => entries.push((name, node)),
                },
                Kind::Scalar { .. } => {}
            },
        }
    }
    match root {
        Some(root) => Ok((root, comments)),
        None => refuse(1, "the file is empty"),
    }
}

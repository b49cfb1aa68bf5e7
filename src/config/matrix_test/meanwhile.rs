//! What people do while a test runs, and how the feeds stand: `meanwhile: [{ at: 12m, acknowledge: { who: ana } }]`.

use std::sync::Arc;

use super::{Around, Case, MEANWHILE_KEYS};
use crate::config::matrix_test::LEVELS;
use crate::config::node::Node;
use crate::config::reader::{Fields, Report, duration, list, text, word};
use crate::domain::{Globs, Key, Millis, Timestamp};
use crate::indicators::Topics;
use crate::matrix::engine::Matcher;

/// Something that happens besides values and events.
#[derive(Debug)]
pub struct Act {
    pub line: usize,
    pub column: usize,
    pub at: Timestamp,
    pub what: What,
}

#[derive(Debug)]
pub enum What {
    /// Somebody takes the open incident of a case up, after what that second brings.
    Acknowledge { case: Case, until: Option<Timestamp>, said: Said },
    /// Before what that second brings.
    Silence { matcher: Matcher, from: Timestamp, until: Timestamp, said: Said },
    /// Before what that second brings; it stays so until it is said again.
    Feed { carries: Topics, standing: Standing },
}

/// Who did something, and why.
#[derive(Debug)]
pub struct Said {
    pub who: Arc<str>,
    pub why: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Live,
    Lagging,
    Silent,
}

impl Standing {
    pub const ALL: [(&'static str, Standing); 3] =
        [("live", Standing::Live), ("lagging", Standing::Lagging), ("silent", Standing::Silent)];
}

/// The topics by the words of a test.
pub(crate) const TOPICS: [(&str, Topics); 2] = [
    ("interactions", Topics { interactions: true, agents: false }),
    ("agents", Topics { interactions: false, agents: true }),
];

pub(crate) const ACKNOWLEDGE_KEYS: [&str; 7] = ["who", "why", "for", "until", "row", "queue", "channel"];
pub(crate) const SILENCE_KEYS: [&str; 11] =
    ["who", "why", "from", "for", "until", "matrix", "indicator", "queue", "channel", "window", "level"];

/// The case that is meant at a place where no row is named; `Some(None)` where it may be several.
type Only<'o> = &'o dyn Fn(&Fields<'_>, &Key, &mut Report) -> Option<Option<Case>>;

impl Around<'_> {
    /// In the order of their times.
    pub(super) fn meanwhile(
        &self,
        node: &Node,
        place: &Key,
        start: Timestamp,
        only: Only<'_>,
        report: &mut Report,
    ) -> Vec<Act> {
        let mut all = Vec::new();
        for item in list(node, report) {
            let Some(fields) = Fields::new(&item, "a line of `meanwhile`", &MEANWHILE_KEYS, report) else { continue };
            let at = self.at(&fields, start, report);
            let what = match (fields.get("acknowledge"), fields.get("silence"), fields.get("feed")) {
                (Some(node), None, None) => self.acknowledge(node, place, at.unwrap_or(start), start, only, report),
                (None, Some(node), None) => self.silence(node, at.unwrap_or(start), start, report),
                (None, None, Some(node)) => feed(node, &fields, report),
                _ => {
                    let hint = "as - { at: 12m, acknowledge: { who: ana } }";
                    report.error(fields.at, "write one of `acknowledge`, `silence` and `feed`", hint);
                    None
                }
            };
            if let Some(node) = fields.get("of").filter(|_| fields.get("feed").is_none()) {
                report.error(node.at, "`of` is of a `feed`", "");
            }
            let (line, column) = (item.at.line as usize, item.at.column as usize);
            all.extend(at.zip(what).map(|(at, what)| Act { line, column, at, what }));
        }
        all.sort_by_key(|act| act.at);
        all
    }

    fn acknowledge(
        &self,
        node: &Node,
        place: &Key,
        at: Timestamp,
        start: Timestamp,
        only: Only<'_>,
        report: &mut Report,
    ) -> Option<What> {
        let fields = Fields::new(node, "`acknowledge`", &ACKNOWLEDGE_KEYS, report)?;
        let until = self.end(&fields, at, start, report);
        let place = &self.place(&fields, place, report);
        let case = match fields.get("row") {
            Some(node) => self.case(text(node, "row", report)?, place, node.at, report)?,
            None => match only(&fields, place, report)? {
                Some(case) => case,
                None => {
                    report.error(node.at, "the incident of which row? The test feeds several", "write `row: ...`");
                    return None;
                }
            },
        };
        Some(What::Acknowledge { case, until, said: said(&fields, report) })
    }

    fn silence(&self, node: &Node, at: Timestamp, start: Timestamp, report: &mut Report) -> Option<What> {
        let fields = Fields::new(node, "`silence`", &SILENCE_KEYS, report)?;
        let from = fields.get("from").map_or(Some(at), |node| self.instant(node, "from", Some(start), report))?;
        let mut matcher = Matcher::default();
        for (key, names) in [
            ("matrix", &mut matcher.matrix),
            ("indicator", &mut matcher.indicator),
            ("queue", &mut matcher.queue),
            ("channel", &mut matcher.channel),
            ("window", &mut matcher.window),
        ] {
            for item in fields.get(key).map(|node| list(node, report)).unwrap_or_default() {
                let Some(name) = text(&item, key, report) else { continue };
                if let Err((pattern, why)) = Globs::new([name]) {
                    report.error(item.at, format!("pattern `{pattern}` is not valid: {why}"), "`*` is any text");
                }
                names.push(name.to_string());
            }
        }
        // A test has one matrix, and a silence that names nothing is of all of it.
        if matcher == Matcher::default() {
            matcher.matrix.push("*".to_owned());
        }
        matcher.level = fields.get("level").and_then(|node| word(node, "level", &LEVELS, report));
        let Some(until) = self.end(&fields, from, start, report) else {
            if fields.get("until").is_none() && fields.get("for").is_none() {
                report.error(
                    node.at,
                    "the silence has no end",
                    "write `until: 30m`, counted from the start, or `for: 20m`",
                );
            }
            return None;
        };
        Some(What::Silence { matcher, from, until, said: said(&fields, report) })
    }

    /// `until`, or `for` counted from `from`.
    fn end(&self, fields: &Fields<'_>, from: Timestamp, start: Timestamp, report: &mut Report) -> Option<Timestamp> {
        let (node, end) = match (fields.get("until"), fields.get("for")) {
            (Some(node), None) => (node, self.instant(node, "until", Some(start), report)?),
            (None, Some(node)) => (node, from + duration(node, "for", Millis::SECOND, report)?),
            (Some(_), Some(node)) => {
                report.error(node.at, "`until` or `for`, not both", "");
                return None;
            }
            (None, None) => return None,
        };
        if end <= from {
            report.error(node.at, "it would be over before it begins", "`until` is counted from the start of the test");
        }
        Some(end)
    }
}

fn feed(node: &Node, fields: &Fields<'_>, report: &mut Report) -> Option<What> {
    let standing = word(node, "feed", &Standing::ALL, report)?;
    let both = Topics { interactions: true, agents: true };
    let carries = fields.get("of").map_or(Some(both), |node| word(node, "of", &TOPICS, report))?;
    Some(What::Feed { carries, standing })
}

fn said(fields: &Fields<'_>, report: &mut Report) -> Said {
    let mut of = |key: &str, default: &str| {
        fields.get(key).and_then(|node| text(node, key, report)).cloned().unwrap_or_else(|| default.into())
    };
    Said { who: of("who", "somebody"), why: of("why", "") }
}

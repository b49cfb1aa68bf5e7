//! Unit tests that stand beside a matrix, `x.test.yaml`: text -> what goes in and what is expected, or every defect.
//!
//! A test is read in two steps, because what it may name is known only with its matrix: [`Draft::read`] finds out which
//! matrix that is, [`Draft::compile`] reads the rest. Running them is the work of `commands::test`.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::MatrixSet;
use super::diagnostics::Diagnostic;
use super::node::{self, Kind, Node};
use super::reader::{Fields, Mark, Report, did_you_mean, duration, list, text, word};
use crate::domain::{Key, Millis, Timestamp};
use crate::indicators::{Indicator, Reading};
use crate::matrix::engine::{Reason, Transition};
use crate::matrix::{Level, Matrix, Recipient, Row};

mod events;
pub mod meanwhile;
mod rows;
mod series;

pub use meanwhile::Act;

/// The longest test, so that a slip of the pen does not run for hours: a month of seconds takes some seconds.
const LENGTH_MAX: Millis = Millis(31 * Millis::DAY.0);

/// 10 o'clock of a Monday that is a holiday nowhere in the files that ship: open in most hours.
const START: &str = "2026-01-05 10:00";

/// A test that can be run.
#[derive(Debug)]
pub struct MatrixTest {
    pub line: usize,
    pub column: usize,
    pub name: String,
    pub start: Timestamp,
    pub input: Input,
    /// In the order of their times.
    pub meanwhile: Vec<Act>,
    pub expect: Vec<Expect>,
}

#[derive(Debug)]
pub enum Input {
    /// Values of cases; each lasts for a step.
    Series { step: Millis, feeds: Vec<Feed> },
    /// Events in the order of their times.
    Events(Vec<Record>),
    /// A file of events, in the order of its lines.
    File(String),
}

/// One series.
#[derive(Debug)]
pub struct Feed {
    pub indicator: &'static Indicator,
    /// The case that sees it; none for `waiting`, which escalation asks for whatever the rows are.
    pub case: Option<Case>,
    pub points: Vec<Point>,
}

/// A reading that lasts for some steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub reading: Reading,
    pub steps: u32,
}

/// An event as JSON, with the place where it is written.
#[derive(Debug)]
pub struct Record {
    pub line: usize,
    pub column: usize,
    pub json: String,
}

/// What must be so at an instant.
#[derive(Debug)]
pub struct Expect {
    pub line: usize,
    pub column: usize,
    /// As it was written.
    pub written: Arc<str>,
    pub at: Timestamp,
    /// The case it is about; `None` is every case that the test feeds.
    pub case: Option<Case>,
    pub level: Option<Level>,
    pub told: Option<Vec<Recipient>>,
    pub reason: Option<Reason>,
    /// Each stands in some notice that `told` is about.
    pub texts: Vec<Arc<str>>,
}

/// Rows of the same words (a day's and a night's) at one place: to whoever writes a test they are one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub rows: Vec<usize>,
    pub key: Key,
}

/// A file whose matrix is not known yet.
#[derive(Debug)]
pub struct Draft {
    root: Node,
    report: Report,
    /// The matrix as the file names it; without, it is the file of the same name without `.test`.
    pub matrix: Option<String>,
}

pub(super) const KEYS: [&str; 6] = ["matrix", "queue", "channel", "start", "step", "tests"];
pub(super) const TEST_KEYS: [&str; 9] =
    ["name", "queue", "channel", "start", "step", "series", "events", "meanwhile", "expect"];
pub(super) const MEANWHILE_KEYS: [&str; 5] = ["at", "acknowledge", "silence", "feed", "of"];
pub(super) const EXPECT_KEYS: [&str; 8] = ["at", "row", "queue", "channel", "level", "told", "reason", "text"];

/// What a row is called that stands for the feeds' own incidents.
const FEED: &str = "feed";

pub(super) const LEVELS: [(&str, Level); 4] =
    [("ok", Level::Ok), ("info", Level::Info), ("warning", Level::Warning), ("critical", Level::Critical)];

impl Draft {
    pub fn read(file: &str, written: &str) -> Result<Draft, Vec<Diagnostic>> {
        let mut report = Report::new(file);
        let root = node::parse(written, &mut report);
        let matrix = root.as_ref().and_then(|root| {
            let node = &root.entries().iter().find(|entry| &*entry.key == "matrix")?.value;
            text(node, "matrix", &mut report).map(|path| path.to_string())
        });
        match root {
            Some(root) if report.errors() == 0 => Ok(Draft { root, report, matrix }),
            _ => Err(report.finish()),
        }
    }

    /// The tests; `set` holds their matrix alone.
    pub fn compile(self, set: &MatrixSet) -> Result<Vec<MatrixTest>, Vec<Diagnostic>> {
        let Draft { root, mut report, .. } = self;
        let mut tests = Vec::new();
        if let (Some(fields), Some(matrix)) =
            (Fields::new(&root, "a file of tests", &KEYS, &mut report), set.matrices.first())
        {
            let around = Around { matrix, file: &fields };
            match fields.require("tests", "write at least one test: tests: [{ name: ... }]", &mut report) {
                Some(Node { kind: Kind::List(items), .. }) if !items.is_empty() => {
                    tests = items.iter().filter_map(|item| around.test(item, &mut report)).collect();
                }
                Some(node) => report.error(node.at, "`tests` must be a list of at least one test", "- name: ..."),
                None => {}
            }
        }
        if report.errors() > 0 { Err(report.finish()) } else { Ok(tests) }
    }
}

/// What a test may name, and what its file says for all of them.
struct Around<'a> {
    matrix: &'a Matrix,
    file: &'a Fields<'a>,
}

impl Around<'_> {
    fn test(&self, node: &Node, report: &mut Report) -> Option<MatrixTest> {
        let before = report.errors();
        let fields = Fields::new(node, "a test", &TEST_KEYS, report)?;
        let name = fields.require("name", "say in one line what must be so", report);
        let name = name.and_then(|node| text(node, "name", report)).map(ToString::to_string);
        let of = |key: &str| fields.get(key).or_else(|| self.file.get(key));
        let place = [("queue", of("queue")), ("channel", of("channel"))]
            .map(|(key, node)| node.and_then(|node| text(node, key, report)).cloned());
        let [queue, channel] = place;
        let place = Key { queue, channel };
        let start = match of("start") {
            Some(node) => self.instant(node, "start", None, report),
            None => local(START, &self.matrix.zone),
        };
        let step = of("step").map_or(Some(Millis::MINUTE), |node| duration(node, "step", Millis::SECOND, report));
        if let Some(node) = of("step").filter(|_| step.is_some_and(|step| step.0 % 1000 != 0)) {
            report.error(node.at, "`step` must be whole seconds", "every second is evaluated");
        }

        let (start, step) = start.zip(step)?;
        let input = self.input(&fields, &place, start, step, report);
        let only = |fields: &Fields<'_>, place: &Key, report: &mut Report| {
            self.only_case(place, input.as_ref(), fields.at, report)
        };
        let meanwhile = fields.get("meanwhile");
        let meanwhile = meanwhile.map(|node| self.meanwhile(node, &place, start, &only, report)).unwrap_or_default();
        let expect = self.expectations(&fields, &place, start, input.as_ref(), report);
        if report.errors() > before {
            return None;
        }
        let (line, column) = (node.at.line as usize, node.at.column as usize);
        Some(MatrixTest { line, column, name: name?, start, input: input?, meanwhile, expect })
    }

    fn input(
        &self,
        fields: &Fields<'_>,
        place: &Key,
        start: Timestamp,
        step: Millis,
        report: &mut Report,
    ) -> Option<Input> {
        match (fields.get("series"), fields.get("events")) {
            (Some(node), None) => {
                let feeds = series::read(node, self.matrix, place, report);
                for feed in &feeds {
                    let steps: i64 = feed.points.iter().map(|point| i64::from(point.steps)).sum();
                    if steps.saturating_mul(step.0) > LENGTH_MAX.0 {
                        let what = format!("the series of `{}` is longer than 31d", feed.indicator.name);
                        report.error(node.at, what, "the last value goes on by itself");
                    }
                }
                Some(Input::Series { step, feeds })
            }
            (None, Some(node)) => match &node.kind {
                Kind::Scalar { text, .. } => Some(Input::File(text.to_string())),
                _ => Some(Input::Events(events::read(
                    node,
                    &|node, key, report| self.instant(node, key, Some(start), report),
                    report,
                ))),
            },
            (Some(_), Some(node)) => {
                report.error(node.at, "a test has `series` or `events`, not both", "make two tests of it");
                None
            }
            (None, None) => {
                let hint = "as series: { asa: \"10m x5, 40m x10\" }, or a list or file of `events`";
                report.error(fields.at, "a test has neither `series` nor `events`", hint);
                None
            }
        }
    }

    fn expectations(
        &self,
        fields: &Fields<'_>,
        place: &Key,
        start: Timestamp,
        input: Option<&Input>,
        report: &mut Report,
    ) -> Vec<Expect> {
        let Some(node) = fields.require("expect", "write what must be so, and when", report) else { return Vec::new() };
        let mut all: Vec<Expect> = Vec::new();
        for item in list(node, report) {
            let Some(fields) = Fields::new(&item, "an expectation", &EXPECT_KEYS, report) else { continue };
            all.extend(self.expectation(&fields, place, start, input, report));
        }
        if all.is_empty() && report.errors() == 0 {
            report.error(node.at, "the test expects nothing", "- { at: 7m, level: warning, told: [lead] }");
        }
        all.sort_by_key(|expect| expect.at);
        all
    }

    fn expectation(
        &self,
        fields: &Fields<'_>,
        place: &Key,
        start: Timestamp,
        input: Option<&Input>,
        report: &mut Report,
    ) -> Option<Expect> {
        let at = self.at(fields, start, report);
        let level = fields.get("level").and_then(|node| word(node, "level", &LEVELS, report));
        let told = fields.get("told").map(|node| self.told(node, report));
        let reasons: Vec<_> = Reason::ALL.iter().map(|reason| (reason.name(), *reason)).collect();
        let reason = fields.get("reason").and_then(|node| word(node, "reason", &reasons, report));
        let texts = fields.get("text").map(|node| list(node, report)).unwrap_or_default();
        let texts: Vec<Arc<str>> = texts.iter().filter_map(|node| text(node, "text", report)).cloned().collect();
        if ["level", "told", "reason", "text"].iter().all(|key| fields.get(key).is_none()) {
            report.error(fields.at, "an expectation expects nothing", "write `level`, `told`, `reason` or `text`");
        }
        if let Some(node) = fields.get("reason").or_else(|| fields.get("text")).filter(|_| told.is_none()) {
            report.error(
                node.at,
                "`reason` and `text` are of notices: `told` says whose",
                "write `told: [...]` beside it",
            );
        }

        let place = &self.place(fields, place, report);
        let case = match fields.get("row") {
            Some(node) => {
                let words = text(node, "row", report)?;
                Some(self.case(words, place, node.at, report)?)
            }
            None => self.only_case(place, input, fields.at, report)?,
        };
        if let Some(node) = fields.get("level").filter(|_| case.is_none()) {
            let hint = format!("name it, as row: {}", self.matrix.rows.first().map(Row::words).unwrap_or_default());
            report.error(node.at, "`level` of which row? The test feeds several", hint);
        }
        let (line, column) = (fields.at.line as usize, fields.at.column as usize);
        let written = text(fields.get("at")?, "at", report).cloned()?;
        Some(Expect { line, column, written, at: at?, case, level, told, reason, texts })
    }

    /// When something of a test happens, or must be so.
    fn at(&self, fields: &Fields<'_>, start: Timestamp, report: &mut Report) -> Option<Timestamp> {
        let node = fields.require("at", "write when: at: 7m, counted from the start", report)?;
        let at = self.instant(node, "at", Some(start), report)?;
        if !(start..=start + LENGTH_MAX).contains(&at) {
            report.error(node.at, "`at` lies before the start of the test or more than 31d after it", "");
        }
        Some(at)
    }

    /// The case that is meant by the words for a row.
    fn case(&self, words: &str, place: &Key, at: Mark, report: &mut Report) -> Option<Case> {
        match words {
            FEED => Some(Case { rows: vec![Transition::NO_ROW], key: Key::ALL }),
            _ => rows::find(self.matrix, words, place, at, report),
        }
    }

    /// The place of an expectation: that of its test, where it says nothing itself.
    fn place(&self, fields: &Fields<'_>, place: &Key, report: &mut Report) -> Key {
        let mut of = |key: &str, default: &Option<Arc<str>>| match fields.get(key) {
            Some(node) => text(node, key, report).cloned(),
            None => default.clone(),
        };
        Key { queue: of("queue", &place.queue), channel: of("channel", &place.channel) }
    }

    /// The case that is meant where no row is named: the only one. Outside, nothing: a defect was reported.
    fn only_case(&self, place: &Key, input: Option<&Input>, at: Mark, report: &mut Report) -> Option<Option<Case>> {
        let mut fed: Vec<String> = match input? {
            Input::Series { feeds, .. } => {
                let rows = feeds.iter().filter_map(|feed| feed.case.as_ref()?.rows.first());
                rows.filter_map(|row| self.matrix.rows.get(*row)).map(Row::words).collect()
            }
            Input::Events(_) | Input::File(_) => self.matrix.rows.iter().map(Row::words).collect(),
        };
        fed.sort_unstable();
        fed.dedup();
        match fed.as_slice() {
            [] => None,
            [words] => Some(Some(rows::find(self.matrix, words, place, at, report)?)),
            _ => Some(None),
        }
    }

    fn told(&self, node: &Node, report: &mut Report) -> Vec<Recipient> {
        let items = list(node, report);
        let mut all = Vec::new();
        for item in &items {
            let Some(written) = text(item, "told", report) else { continue };
            let (name, medium) = match written.split_once('.') {
                Some((name, medium)) => (name, Some(medium)),
                None => (&**written, None),
            };
            let Some((contact, _)) = self.matrix.contacts.get_key_value(name) else {
                let names = self.matrix.contacts.keys().map(|name| &**name);
                report.error(
                    item.at,
                    format!("unknown contact `{written}`"),
                    did_you_mean(name, names, "the contacts are"),
                );
                continue;
            };
            let medium = match medium {
                None => None,
                Some(word) => match super::contacts::medium_of(&self.matrix.contacts, name, word, |one| {
                    one.iter().any(|has| *has)
                }) {
                    Some(medium) => Some(medium),
                    None => {
                        let what = format!("`{written}`: the contact `{name}` has no medium `{word}`");
                        report.error(item.at, what, "the media are `email` and `webhook`, where the contact has them");
                        continue;
                    }
                },
            };
            all.push(Recipient { contact: contact.clone(), medium });
        }
        all
    }

    /// A time with an offset, a local one in the matrix's zone, or, where there is a start, how long after it.
    fn instant(&self, node: &Node, key: &str, start: Option<Timestamp>, report: &mut Report) -> Option<Timestamp> {
        let written = text(node, key, report)?;
        let after = || Some(start? + Millis::parse(written)?);
        let found = after().or_else(|| Timestamp::parse(written)).or_else(|| local(written, &self.matrix.zone));
        match found {
            Some(at) if key == "time" || at.0 % 1000 == 0 => Some(at),
            Some(_) => {
                report.error(node.at, format!("`{key}: {written}` is not a whole second"), "every second is evaluated");
                None
            }
            None => {
                let local = "2026-01-05 10:00 (in the matrix's time_zone) or 2026-01-05T10:00:00-05:00";
                let hint = if start.is_some() {
                    format!("write 7m, counted from the start, {local}")
                } else {
                    format!("write {local}")
                };
                report.error(node.at, format!("`{key}: {written}` is not a time"), hint);
                None
            }
        }
    }
}

/// `2026-01-05 10:00` in a zone; a time that is there twice is the first, one that is not there is moved by the gap.
fn local(written: &str, zone: &TimeZone) -> Option<Timestamp> {
    let wall: jiff::civil::DateTime = written.parse().ok()?;
    let zoned = wall.to_zoned(zone.clone()).ok()?;
    Timestamp(zoned.timestamp().as_millisecond()).in_range()
}

impl Feed {
    /// What it shows after `passed`: the last point goes on.
    pub fn reading(&self, passed: Millis, step: Millis) -> Reading {
        let mut left = passed.0 / step.0.max(1);
        for point in &self.points {
            if left < i64::from(point.steps) {
                return point.reading;
            }
            left -= i64::from(point.steps);
        }
        self.points.last().map(|point| point.reading).unwrap_or_default()
    }

    pub fn length(&self, step: Millis) -> Millis {
        Millis(self.points.iter().map(|point| i64::from(point.steps)).sum::<i64>().saturating_mul(step.0))
    }
}

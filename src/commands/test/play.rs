//! A test is played: what goes in, second by second, and the course that the engine took.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;

use super::acts::{Acts, Order};
use crate::config::matrix_test::{Case, Feed, Input, MatrixTest, Record};
use crate::config::{Diagnostic, MatrixSet, Severity};
use crate::domain::{Key, Millis, Timestamp};
use crate::floor::Taken;
use crate::indicators::{Reading, Selector};
use crate::matrix::engine::{Engine, Notification, Readings, Tick, Transition};
use crate::pipeline::Replay;
use crate::wire::{Decoded, Decoder};

/// What happened in a test, in the order of time.
#[derive(Debug, Default)]
pub(super) struct Course {
    pub transitions: Vec<Arc<Transition>>,
    pub notifications: Vec<Notification>,
    /// The mails of gatherings, whose notices are among the notifications.
    pub gathered: Vec<Notification>,
    /// What each expectation's case read at its instant.
    pub readings: Vec<Option<Reading>>,
    /// What was done `meanwhile`, in words.
    pub done: Vec<(Timestamp, Order, String)>,
    /// What of it could not be done: its index, and why.
    pub undone: Vec<(usize, String)>,
    pub start: Timestamp,
}

/// Plays it from its start to its last expectation, or to the end of what goes in if that is later. The error is a
/// defect of the test's own events.
pub(super) fn play(test: &MatrixTest, file: &str, set: &MatrixSet, decoder: &Decoder) -> Result<Course, String> {
    let mut course = Course { readings: vec![None; test.expect.len()], start: test.start, ..Course::default() };
    let ends = test.expect.iter().map(|expect| expect.at).chain(test.meanwhile.iter().map(|act| act.at));
    let last = ends.max().unwrap_or(test.start);
    match &test.input {
        Input::Series { step, feeds } => series(test, set, *step, feeds, last, &mut course),
        Input::Events(records) => {
            let mut player = Player::new(test, set, &mut course);
            for record in records {
                player.take(record.json.as_bytes(), decoder).map_err(|why| refused(file, record, &why))?;
            }
            player.finish(last);
        }
        Input::File(name) => {
            let path = Path::new(file).parent().unwrap_or(Path::new("")).join(name);
            let unreadable = |error: std::io::Error| {
                format!("{file}:{}:{}: error: cannot read {}: {error}", test.line, test.column, path.display())
            };
            let reader = BufReader::new(File::open(&path).map_err(unreadable)?);
            let mut player = Player::new(test, set, &mut course);
            for (index, line) in reader.split(b'\n').enumerate() {
                let line = line.map_err(unreadable)?;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let refused = |why: String| format!("{}:{}:1: error: {why}", path.display(), index + 1);
                player.take(line.trim_ascii(), decoder).map_err(refused)?;
            }
            player.finish(last);
        }
    }
    Ok(course)
}

fn refused(file: &str, record: &Record, why: &str) -> String {
    let diagnostic = Diagnostic {
        file: file.into(),
        line: record.line,
        column: record.column,
        severity: Severity::Error,
        what: why.to_owned(),
        hint: format!("it stands for {}", record.json),
    };
    diagnostic.to_string()
}

impl Course {
    fn note(&mut self, test: &MatrixTest, now: Timestamp, tick: Tick, read: &mut dyn FnMut(usize) -> Option<Reading>) {
        self.transitions.extend(tick.transitions);
        let notices = tick.notifications.iter().flat_map(Notification::each);
        self.notifications.extend(notices.cloned());
        self.gathered.extend(tick.notifications.into_iter().filter(|mail| mail.gathered.is_some()));
        let due = test.expect.iter().enumerate().filter(|(_, expect)| expect.at == now);
        for (index, _) in due {
            if let Some(slot) = self.readings.get_mut(index) {
                *slot = read(index);
            }
        }
    }
}

/// What the case of an expectation looks at.
fn selector(test: &MatrixTest, set: &MatrixSet, expectation: usize) -> Option<(Key, Selector)> {
    let case = test.expect.get(expectation)?.case.as_ref()?;
    let row = set.matrices.first()?.rows.get(*case.rows.first()?)?;
    Some((case.key.clone(), row.selector(&case.key, &set.plan)?))
}

/// The whole pipeline on events.
struct Player<'a> {
    replay: Replay,
    test: &'a MatrixTest,
    set: &'a MatrixSet,
    course: &'a mut Course,
    acts: Acts<'a>,
}

impl<'a> Player<'a> {
    fn new(test: &'a MatrixTest, set: &'a MatrixSet, course: &'a mut Course) -> Self {
        let replay = Replay::new(set.plan.clone(), set.matrices.clone());
        let mut player = Player { replay, test, set, course, acts: Acts::new(test) };
        player.act_until(test.start);
        player.run_to(test.start);
        player
    }

    fn take(&mut self, record: &[u8], decoder: &Decoder) -> Result<(), String> {
        match decoder.decode(record) {
            Decoded::Rejected(reason) => Err(format!("the event is refused as `{}`", reason.name())),
            Decoded::Ignored => Err("the event's `type` is none of ours".to_owned()),
            Decoded::Event(event) => {
                self.act_until(event.time);
                let Player { replay, test, set, course, .. } = self;
                let taken = replay.take(&event, &mut |evaluator, tick| {
                    let now = evaluator.now();
                    course.note(test, now, tick, &mut |index| {
                        selector(test, set, index).map(|(key, selector)| evaluator.read(&key, &selector))
                    });
                });
                match taken {
                    Taken::Refused(reason) => Err(format!("the event is refused as `{}`", reason.name())),
                    Taken::Applied | Taken::Held | Taken::NoEffect | Taken::Duplicate => Ok(()),
                }
            }
        }
    }

    /// Goes on to each act up to `until`, and does it.
    fn act_until(&mut self, until: Timestamp) {
        while let Some((second, after)) = self.acts.next().filter(|(second, _)| *second <= until) {
            let before = if after { second } else { second - Millis::SECOND };
            if before >= self.test.start {
                self.run_to(before);
            }
            let open = self.replay.open_cases();
            if let Some(operation) = self.acts.act(open, self.course) {
                let operated = self.replay.operate(&operation, second);
                self.acts.note(&operated, self.course);
            }
            self.replay.set_feeds(self.acts.feeds.clone());
        }
    }

    fn run_to(&mut self, until: Timestamp) {
        let Player { replay, test, set, course, .. } = self;
        replay.run_to(until, &mut |evaluator, tick| {
            let now = evaluator.now();
            course.note(test, now, tick, &mut |index| {
                selector(test, set, index).map(|(key, selector)| evaluator.read(&key, &selector))
            });
        });
    }

    fn finish(&mut self, last: Timestamp) {
        let latest = self.replay.latest().map_or(last, |at| at.floor_to(Millis::SECOND) + Millis::SECOND);
        self.act_until(last);
        self.run_to(last.max(latest));
    }
}

/// The engine alone on the values of a test.
fn series(test: &MatrixTest, set: &MatrixSet, step: Millis, feeds: &[Feed], last: Timestamp, course: &mut Course) {
    let Some(matrix) = set.matrices.first() else { return };
    let mut fed: Vec<Fed<'_>> = Vec::new();
    let mut rows: Vec<(usize, Key)> = Vec::new();
    for feed in feeds {
        let Some(Case { rows: seen_by, key }) = &feed.case else {
            fed.push(Fed { feed, key: None, selector: None });
            continue;
        };
        for row in seen_by {
            let selector = matrix.rows.get(*row).and_then(|row| row.selector(key, &set.plan));
            fed.push(Fed { feed, key: Some(key.clone()), selector });
            rows.push((*row, key.clone()));
        }
    }
    let mut keys: Vec<Key> = rows.iter().map(|(_, key)| key.clone()).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut readings = Table { fed, keys, passed: Millis::ZERO, step };
    let mut engine = Engine::new(set.matrices.clone(), set.plan.clone());
    let end = feeds.iter().map(|feed| feed.length(step)).max().unwrap_or_default();
    let until = last.max(test.start + end);
    let followed =
        |row: usize, key: &Key| row == Transition::NO_ROW || rows.iter().any(|(other, at)| *other == row && at == key);
    let mut acts = Acts::new(test);
    let mut now = test.start;
    while now <= until {
        acts.act_at(now, false, &mut engine, course);
        readings.passed = now - test.start;
        let mut tick = engine.tick(now, &mut readings, &acts.feeds);
        // A row that the test does not feed has no values, and what it makes of that is another test's matter.
        tick.transitions.retain(|transition| followed(transition.row, &transition.key));
        course.note(test, now, tick, &mut |index| {
            selector(test, set, index).map(|(key, selector)| readings.read(&key, &selector))
        });
        acts.act_at(now, true, &mut engine, course);
        now = now + Millis::SECOND;
    }
    course.notifications.retain(|notice| followed(notice.transition.row, &notice.transition.key));
}

/// A series for one case, or, without a key, for every case.
struct Fed<'a> {
    feed: &'a Feed,
    key: Option<Key>,
    selector: Option<Selector>,
}

struct Table<'a> {
    fed: Vec<Fed<'a>>,
    keys: Vec<Key>,
    passed: Millis,
    step: Millis,
}

impl Readings for Table<'_> {
    fn keys(&self) -> Vec<Key> {
        self.keys.clone()
    }

    fn read(&mut self, key: &Key, selector: &Selector) -> Reading {
        let found = self.fed.iter().find(|fed| match (&fed.key, &fed.selector) {
            (Some(own), Some(other)) => own == key && other == selector,
            _ => fed.feed.indicator == selector.indicator,
        });
        found.map(|fed| fed.feed.reading(self.passed, self.step)).unwrap_or_default()
    }
}

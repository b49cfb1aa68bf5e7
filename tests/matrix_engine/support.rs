//! A small notation for rows and for time-lines of values, so that tests are data.
//!
//! A row is `INDICATOR [WINDOW]; PART; ...`, its parts being `LEVEL LOW..HIGH [for D] [tell A,B] [escalate D:A,B] ...
//! [repeat D]`, `recover MARGIN D`, `min N`, `no_data ok`, `no_data LEVEL D A,B`, `hours H:M-H:M ...` (every day, UTC),
//! `holiday DATE`, `settle D`, `per WHAT`, `queue GLOB ...`, `channel GLOB ...`, `threshold D`. Bounds are half-open.
//!
//! A time-line is one line per change: `TIME VALUE [waiting N]`, where the value is a number, `NUMBER/SAMPLES`, `null`,
//! `skip` (no ticks until the next line) or `end`. Times are H:MM:SS after Monday 2026-06-01T00:00:00Z.

use std::collections::BTreeMap;
use std::sync::Arc;

use atalaya::domain::{Calendar, Globs, Key, Millis, Scope, Shift, Timestamp};
use atalaya::indicators::{Clock, Reading, Selector, find};
use atalaya::matrix::engine::{Engine, Feeds, Readings, Tick};
use atalaya::matrix::{
    Bounds, Contact, Edge, Flapping, Language, Level, Matrix, Medium, NoData, Per, Range, Recipient, Recover, Row, Step,
};
use atalaya::plan::{Plan, WindowKind};
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

pub const START: Timestamp = Timestamp(1_780_272_000_000);

/// What most time-lines are not about.
const NEVER_FLAPPING: Flapping = Flapping { changes: u32::MAX, within: Millis::SECOND };

/// Readings that a test sets: one value for every selector, and how many wait.
pub struct Table {
    pub keys: Vec<Key>,
    pub reading: Reading,
    pub waiting: f64,
}

impl Table {
    pub fn new(keys: &[Key]) -> Self {
        let mut keys = keys.to_vec();
        keys.sort();
        Table { keys, reading: Reading::default(), waiting: 0.0 }
    }

    pub fn set(&mut self, value: Option<f64>, samples: f64) {
        self.reading = Reading { value, samples };
    }
}

impl Readings for Table {
    fn keys(&self) -> Vec<Key> {
        self.keys.clone()
    }
    fn read(&mut self, _key: &Key, selector: &Selector) -> Reading {
        match selector.indicator.name {
            "waiting" => Reading { value: Some(self.waiting), samples: self.waiting },
            _ => self.reading,
        }
    }
}

pub fn place() -> Key {
    Key::pair("reclamos", "facebook")
}

/// A matrix of these rows, with the contacts that tests use.
pub fn matrix(name: &str, rows: &[&str]) -> Arc<Matrix> {
    built(name, rows.iter().enumerate().map(|(index, text)| row(index + 1, text)).collect())
}

pub fn built(name: &str, rows: Vec<Row>) -> Arc<Matrix> {
    let contact = |email: Option<&str>, webhook: Option<&str>| Contact {
        email: email.map(Into::into),
        webhook: webhook.map(Into::into),
    };
    let contacts = [
        ("lead", contact(Some("lead@acme.example"), None)),
        ("manager", contact(Some("manager@acme.example"), None)),
        ("desk", contact(None, Some("wfm-desk"))),
        ("both", contact(Some("both@acme.example"), Some("both-hook"))),
    ];
    Arc::new(Matrix {
        file: format!("{name}.yaml").into(),
        name: name.into(),
        language: Language::Es,
        zone: TimeZone::UTC,
        owner: None,
        contacts: contacts.into_iter().map(|(name, contact)| (name.into(), contact)).collect(),
        rows,
    })
}

pub fn engine(rows: &[&str]) -> Engine {
    Engine::new(vec![matrix("care", rows)], Arc::new(Plan::default()))
}

pub fn row(line: usize, text: &str) -> Row {
    let mut parts = text.split(';').map(str::trim);
    let head: Vec<&str> = parts.next().unwrap().split_whitespace().collect();
    let indicator = find(head[0]).unwrap_or_else(|| panic!("indicator {}", head[0]));
    let window = head.get(1).map(|text| match *text {
        "today" => WindowKind::Today,
        length => WindowKind::Sliding(duration(length)),
    });
    let mut row = Row {
        line,
        indicator,
        window: window.or((!indicator.instant).then_some(WindowKind::Sliding(duration("15m")))),
        threshold: None,
        treatment: None,
        state: None,
        stage: None,
        clock: Clock::Elapsed,
        per: Per::Pair,
        scope: Scope::default(),
        goal: Bounds { text: "".into(), low: None, high: None },
        ranges: Vec::new(),
        min_samples: 0.0,
        recover: Recover::default(),
        no_data: NoData::Keep,
        calendar: Calendar::always(),
        settle: Millis::ZERO,
        ack_for: duration("4h"),
        flapping: NEVER_FLAPPING,
    };
    for part in parts {
        let words: Vec<&str> = part.split_whitespace().collect();
        match words[0] {
            "recover" => row.recover = Recover { margin: words[1].parse().unwrap(), hold: duration(words[2]) },
            "min" => row.min_samples = words[1].parse().unwrap(),
            "settle" => row.settle = duration(words[1]),
            "ack_for" => row.ack_for = duration(words[1]),
            "flapping" => row.flapping = Flapping { changes: words[1].parse().unwrap(), within: duration(words[2]) },
            "threshold" => row.threshold = Some(duration(words[1])),
            "queue" => row.scope.queue = Globs::new(&words[1..]).unwrap(),
            "channel" => row.scope.channel = Globs::new(&words[1..]).unwrap(),
            "per" => row.per = [Per::Queue, Per::Channel, Per::All][["queue", "channel", "all"].index(words[1])],
            "hours" => row.calendar.shifts = Some(words[1..].iter().flat_map(|text| daily(text)).collect()),
            "holiday" => {
                row.calendar.holidays.extend(words[1..].iter().map(|day| day.parse::<jiff::civil::Date>().unwrap()))
            }
            "no_data" => row.no_data = no_data(&words[1..]),
            _ => row.ranges.push(range(&words)),
        }
    }
    row
}

trait IndexOf {
    fn index(&self, name: &str) -> usize;
}
impl<const N: usize> IndexOf for [&str; N] {
    fn index(&self, name: &str) -> usize {
        self.iter().position(|item| *item == name).unwrap_or_else(|| panic!("no such word: {name}"))
    }
}

fn no_data(words: &[&str]) -> NoData {
    match words {
        ["ok"] => NoData::Ok,
        ["keep"] => NoData::Keep,
        [level, hold, tell] => NoData::Raise {
            level: Level::parse(level).unwrap(),
            hold: duration(hold),
            tell: people(tell),
            action: None,
        },
        other => panic!("no_data {other:?}"),
    }
}

fn range(words: &[&str]) -> Range {
    let edge = |text: &str, inclusive| (!text.is_empty()).then(|| Edge { at: text.parse().unwrap(), inclusive });
    let (low, high) = words[1].split_once("..").unwrap();
    let mut range = Range {
        bounds: Bounds { text: words[1].into(), low: edge(low, true), high: edge(high, false) },
        level: Level::parse(words[0]).unwrap_or_else(|| panic!("level {}", words[0])),
        hold: Millis::ZERO,
        tell: Vec::new(),
        action: None,
        escalate: Vec::new(),
        repeat: None,
    };
    for pair in words[2..].chunks(2) {
        match pair[0] {
            "for" => range.hold = duration(pair[1]),
            "tell" => range.tell = people(pair[1]),
            "repeat" => range.repeat = Some(duration(pair[1])),
            "escalate" => {
                let (after, tell) = pair[1].split_once(':').unwrap();
                range.escalate.push(Step { after: duration(after), tell: people(tell) });
            }
            other => panic!("{other} in a range"),
        }
    }
    range
}

pub fn people(text: &str) -> Vec<Recipient> {
    let one = |text: &str| {
        let (contact, medium) = text.split_once('.').unwrap_or((text, ""));
        let medium = match medium {
            "" => None,
            "email" => Some(Medium::Email),
            "webhook" => Some(Medium::Webhook),
            other => panic!("medium {other}"),
        };
        Recipient { contact: contact.into(), medium }
    };
    text.split(',').map(one).collect()
}

pub fn daily(text: &str) -> Vec<Shift> {
    let minutes = |text: &str| {
        let (hours, minutes) = text.split_once(':').unwrap();
        hours.parse::<u16>().unwrap() * 60 + minutes.parse::<u16>().unwrap()
    };
    let (from, to) = text.split_once('-').unwrap();
    let (from, to) = (minutes(from), minutes(to));
    let to = if to <= from { to + 1440 } else { to };
    Weekday::Monday.cycle_forward().take(7).map(|day| Shift { day, from, to }).collect()
}

pub fn duration(text: &str) -> Millis {
    Millis::parse(text).unwrap_or_else(|| panic!("duration {text}"))
}

fn seconds(clock: &str) -> i64 {
    clock.split(':').fold(0, |sum, part| sum * 60 + part.parse::<i64>().unwrap_or_else(|_| panic!("time {clock}")))
}

fn clock(time: Timestamp) -> String {
    let s = (time - START).0 / 1000;
    format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

/// What a tick gave, one line per record; incidents are named i1, i2, ... in the order in which they leave ok.
#[derive(Clone)]
pub struct Scribe {
    incidents: BTreeMap<Arc<str>, usize>,
}

impl Scribe {
    pub fn new() -> Self {
        Scribe { incidents: BTreeMap::new() }
    }

    pub fn lines(&mut self, tick: &Tick) -> Vec<String> {
        let mut lines = Vec::new();
        for t in &tick.transitions {
            let next = self.incidents.len() + 1;
            let incident = *self.incidents.entry(t.incident.clone()).or_insert(next);
            let range = t.range_text().unwrap_or("-".into());
            let (from, to, reason) = (t.from.name(), t.to.name(), t.reason.name());
            lines.push(format!("{} i{incident} {from} -> {to} {range} {reason}", clock(t.time)));
        }
        for n in &tick.notifications {
            let incident = self.incidents[&n.incident];
            let medium = if n.medium == Medium::Email { "email" } else { "webhook" };
            let (level, reason) = (n.level.name(), n.reason.name());
            lines.push(format!("{} i{incident} #{} {}.{medium} {level} {reason}", clock(n.time), n.sequence, n.to));
        }
        lines
    }
}

/// Plays a time-line second by second and returns what came out.
pub fn play(row: &str, timeline: &str) -> Vec<String> {
    let mut engine = engine(&[row]);
    let mut table = Table::new(&[place()]);
    let mut scribe = Scribe::new();
    let mut lines = Vec::new();
    let mut steps = timeline.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    while let Some(step) = steps.next() {
        let words: Vec<&str> = step.split_whitespace().collect();
        if words[1] == "end" {
            assert!(steps.peek().is_none(), "`end` is the last line");
            break;
        }
        let until = steps.peek().unwrap_or_else(|| panic!("a time-line ends with `end`")).split_whitespace().next();
        let (number, samples) = words[1].split_once('/').unwrap_or((words[1], "100"));
        let value = (number != "null").then_some(number);
        if words[1] != "skip" {
            let value = value.map(|text| text.parse().unwrap());
            table.set(value, if value.is_some() { samples.parse().unwrap() } else { 0.0 });
        }
        if let [_, _, "waiting", count] = words[..] {
            table.waiting = count.parse().unwrap();
        }
        for second in seconds(words[0])..seconds(until.unwrap()) {
            if words[1] != "skip" {
                lines.extend(scribe.lines(&engine.tick(START + Millis::seconds(second), &mut table, &Feeds::default())));
            }
        }
    }
    lines
}

/// Plays a time-line and compares, failing on what is missing and on what is too much.
#[track_caller]
pub fn check(row: &str, timeline: &str, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let got = play(row, timeline);
    let missing: Vec<_> = expected.iter().filter(|line| !got.iter().any(|g| g == *line)).collect();
    let surplus: Vec<_> = got.iter().filter(|line| !expected.contains(&line.as_str())).collect();
    assert_eq!(got, expected, "\nrow {row}\nmissing {missing:#?}\nsurplus {surplus:#?}");
}

//! A small notation for rows and for time-lines of values, so that tests are data.
//!
//! A row is `INDICATOR [WINDOW]; PART; ...`, its parts being `LEVEL LOW..HIGH [for D] [tell A,B] [escalate D:A,B] ...
//! [repeat D]`, `recover MARGIN D`, `min N`, `no_data ok`, `no_data LEVEL D A,B`, `hours H:M-H:M ...` (every day, UTC),
//! `zone NAME` (of the hours, instead of UTC), `holiday DATE`, `settle D`, `ack_for D`, `flapping N D`, `per WHAT`, `queue GLOB ...`, `channel GLOB ...`, `threshold D`. Bounds are half-open.
//!
//! A time-line is one line per change: `TIME VALUE [waiting N]`, where the value is a number, `NUMBER/SAMPLES`, `null`,
//! `skip` (no ticks until the next value) or `end`. Times are H:MM:SS after Monday 2026-06-01T00:00:00Z, or after another
//! instant ([`check_from`]). Besides, a line
//! may be an operation (`TIME ack INCIDENT WHO [until TIME]`, `TIME silence ID FROM UNTIL NAME=GLOB,... [level=LEVEL]`,
//! `TIME unsilence ID`), the state of a feed (`TIME feed SOURCE live|lags|silent [agents]`) or other rows in force (`TIME
//! row ROW [| ROW ...]`, `TIME row none`). What came of an operation is a line of the result.

use std::collections::BTreeMap;
use std::sync::Arc;

use atalaya::domain::{Globs, Key, Millis, Shift, Timestamp};
use atalaya::indicators::{Reading, Selector, Topics, find};
use atalaya::matrix::engine::{Engine, Feed, FeedState, Feeds, Matcher, Operated, Operation, Readings, Tick, What};
use atalaya::matrix::{
    Bounds, Contact, Edge, Flapping, Language, Level, Matrix, Medium, NoData, Per, Range, Recipient, Recover, Row, Step,
};
use atalaya::plan::{Plan, WindowKind};
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

/// Every source is.
pub const LIVE: Feeds = Feeds(Vec::new());

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
        // The cap has time-lines of its own, in tests/people.rs.
        mails_per_hour: u32::MAX,
        ..Contact::default()
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
        owner: Some(Recipient { contact: "desk".into(), medium: None }),
        contacts: contacts.into_iter().map(|(name, contact)| (name.into(), contact)).collect(),
        texts: Default::default(),
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
        window: window.or((!indicator.instant).then_some(WindowKind::Sliding(duration("15m")))),
        flapping: NEVER_FLAPPING,
        ..Row::new(indicator, Bounds { text: "".into(), low: None, high: None }, Vec::new())
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
            "zone" => row.calendar.zone = TimeZone::get(words[1]).unwrap(),
            "holiday" => std::sync::Arc::make_mut(&mut row.calendar.holidays)
                .extend(words[1..].iter().map(|day| day.parse::<jiff::civil::Date>().unwrap())),
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

fn clock(time: Timestamp, start: Timestamp) -> String {
    let s = (time - start).0 / 1000;
    format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

/// What a tick gave, one line per record; incidents are named i1, i2, ... in the order in which they leave ok.
#[derive(Clone)]
pub struct Scribe {
    start: Timestamp,
    incidents: BTreeMap<Arc<str>, usize>,
}

impl Scribe {
    pub fn new() -> Self {
        Scribe { start: START, incidents: BTreeMap::new() }
    }

    pub fn lines(&mut self, tick: &Tick) -> Vec<String> {
        let start = self.start;
        let clock = |time| clock(time, start);
        let mut lines = Vec::new();
        for t in &tick.transitions {
            let next = self.incidents.len() + 1;
            let incident = *self.incidents.entry(t.incident.clone()).or_insert(next);
            let range = t.range_text().or(t.source.clone()).unwrap_or("-".into());
            let (from, to, reason) = (t.from.name(), t.to.name(), t.reason.name());
            lines.push(format!("{} i{incident} {from} -> {to} {range} {reason}", clock(t.time)));
        }
        for n in &tick.notifications {
            let incident = self.incidents[&n.incident];
            let medium = if n.medium == Medium::Email { "email" } else { "webhook" };
            let (level, reason) = (n.level.name(), n.reason.name());
            let seen = n.acknowledged.as_ref().map(|seen| format!(" seen by {}", seen.by)).unwrap_or_default();
            let silenced =
                if n.silenced.is_empty() { "".into() } else { format!(" silenced by {}", n.silenced.join(",")) };
            let flaps = n.flaps.map(|f| format!(" {} changes since {}", f.changes, clock(f.since))).unwrap_or_default();
            let (at, sequence, to) = (clock(n.time), n.sequence, &n.to);
            lines.push(format!("{at} i{incident} #{sequence} {to}.{medium} {level} {reason}{seen}{silenced}{flaps}"));
        }
        lines
    }

    fn id(&self, name: &str) -> Arc<str> {
        let of_name = self.incidents.iter().find(|(_, number)| format!("i{number}") == name);
        of_name.map_or_else(|| name.into(), |(id, _)| id.clone())
    }
}

/// An engine that plays a time-line.
struct Player {
    engine: Engine,
    matrices: Vec<Arc<Matrix>>,
    table: Table,
    feeds: Feeds,
    skips: bool,
    scribe: Scribe,
    lines: Vec<String>,
}

impl Player {
    fn new(start: Timestamp, rows: &str) -> Self {
        let rows: Vec<&str> = rows.split(" | ").collect();
        let matrices = vec![matrix("care", &rows)];
        Player {
            engine: Engine::new(matrices.clone(), Arc::new(Plan::default())),
            matrices,
            table: Table::new(&[place()]),
            feeds: LIVE,
            skips: false,
            scribe: Scribe { start, ..Scribe::new() },
            lines: Vec::new(),
        }
    }

    /// Puts what a time-line says at an instant in force.
    fn obey(&mut self, now: Timestamp, line: &str) {
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        match words[..] {
            ["skip"] => self.skips = true,
            ["row", ..] => {
                let rows: Vec<&str> = line.split_once(" row ").unwrap().1.split(" | ").collect();
                self.matrices = vec![if rows == ["none"] { matrix("care", &[]) } else { matrix("care", &rows) }];
                self.engine.reload(self.matrices.clone(), Arc::new(Plan::default()));
            }
            ["feed", source, state, ref carries @ ..] => {
                self.feeds.0.retain(|feed| *feed.source != *source);
                let carries = match carries {
                    ["agents"] => Topics { agents: true, interactions: false },
                    [] => Topics { agents: false, interactions: true },
                    other => panic!("a feed of {other:?}"),
                };
                let since = now - Millis::MINUTE;
                let state = match state {
                    "lags" => FeedState::Lagging { since },
                    "silent" => FeedState::Silent { since },
                    "live" => FeedState::Live,
                    other => panic!("a feed is {other}"),
                };
                self.feeds.0.push(Feed { source: source.into(), carries, state });
            }
            ["ack" | "silence" | "unsilence", ..] => {
                let operated = self.engine.operate(&self.operation(now, &words), now);
                let clock = |time| clock(time, self.scribe.start);
                let said = match operated {
                    Operated::Acknowledged { until } => format!("acknowledged until {}", clock(until)),
                    Operated::Refused(why) => format!("refused: {why}"),
                    other => format!("{other:?}"),
                };
                self.lines.push(format!("{} {said}", clock(now)));
            }
            [value, ref rest @ ..] => {
                let (number, samples) = value.split_once('/').unwrap_or((value, "100"));
                let value = (number != "null").then(|| number.parse().unwrap());
                self.table.set(value, if value.is_some() { samples.parse().unwrap() } else { 0.0 });
                self.skips = false;
                if let ["waiting", count] = rest {
                    self.table.waiting = count.parse().unwrap();
                }
            }
            [] => panic!("`{line}` says nothing"),
        }
    }

    /// `ack INCIDENT WHO [until T]`, `silence ID FROM UNTIL [NAME=GLOB,... ...] [level=LEVEL]`, `unsilence ID`.
    fn operation(&self, now: Timestamp, words: &[&str]) -> Operation {
        let at = |text: &str| self.scribe.start + Millis::seconds(seconds(text));
        let (who, what) = match words {
            ["ack", incident, who, until @ ..] => {
                let until = until.get(1).map(|text| at(text));
                (*who, What::Acknowledge { incident: self.scribe.id(incident), until })
            }
            ["silence", id, from, until, parts @ ..] => {
                let mut matcher = Matcher::default();
                for (name, value) in parts.iter().map(|part| part.split_once('=').unwrap()) {
                    let globs = value.split(',').map(str::to_owned).collect();
                    match name {
                        "matrix" => matcher.matrix = globs,
                        "indicator" => matcher.indicator = globs,
                        "queue" => matcher.queue = globs,
                        "channel" => matcher.channel = globs,
                        "window" => matcher.window = globs,
                        "level" => matcher.level = Some(Level::parse(value).unwrap()),
                        other => panic!("{other} in a silence"),
                    }
                }
                let from = if *from == "now" { now } else { at(from) };
                ("ana", What::Silence { id: (*id).into(), matcher, from, until: at(until) })
            }
            ["unsilence", id] => ("ana", What::EndSilence { id: (*id).into() }),
            other => panic!("operation {other:?}"),
        };
        let operation = Operation { who: who.into(), why: "on it".into(), what };
        // As the service records it.
        let record = serde_json::to_string(&operation).unwrap();
        assert_eq!(serde_json::from_str::<Operation>(&record).unwrap(), operation, "{record}");
        operation
    }

    fn tick(&mut self, now: Timestamp) {
        if !self.skips {
            let tick = self.engine.tick(now, &mut self.table, &self.feeds);
            self.lines.extend(self.scribe.lines(&tick));
        }
    }

    /// Neither of them is to change anything.
    fn reload_and_restart(&mut self) {
        let (matrices, plan) = (self.matrices.clone(), Arc::new(Plan::default()));
        self.engine.reload(matrices.clone(), plan.clone());
        let bytes = self.engine.snapshot();
        self.engine = Engine::restore(matrices, plan, &bytes).unwrap();
        assert_eq!(self.engine.snapshot(), bytes);
    }
}

/// Plays a time-line second by second and returns what came out. Every so many seconds the engine is restarted.
pub fn play(start: Timestamp, row: &str, timeline: &str, restart_every: Option<i64>) -> Vec<String> {
    let mut player = Player::new(start, row);
    let steps: Vec<&str> = timeline.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let time = |line: &str| seconds(line.split_whitespace().next().unwrap());
    let (end, steps) = steps.split_last().unwrap();
    assert!(end.ends_with(" end"), "`end` is the last line");
    let mut steps = steps.iter().copied().peekable();
    for second in time(steps.peek().unwrap())..time(end) {
        let now = start + Millis::seconds(second);
        while let Some(line) = steps.next_if(|line| time(line) <= second) {
            player.obey(now, line);
        }
        player.tick(now);
        if restart_every.is_some_and(|every| second % every == 0) {
            player.reload_and_restart();
        }
    }
    player.lines
}

/// Plays a time-line and compares, failing on what is missing and on what is too much; then again with reloads of the
/// same rows and restarts all along, which are to change nothing.
#[track_caller]
pub fn check(row: &str, timeline: &str, expected: &str) {
    check_from(START, row, timeline, expected);
}

/// The same with times after `start`.
#[track_caller]
pub fn check_from(start: Timestamp, row: &str, timeline: &str, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let got = play(start, row, timeline, None);
    let missing: Vec<_> = expected.iter().filter(|line| !got.iter().any(|g| g == *line)).collect();
    let surplus: Vec<_> = got.iter().filter(|line| !expected.contains(&line.as_str())).collect();
    assert_eq!(got, expected, "\nrow {row}\nmissing {missing:#?}\nsurplus {surplus:#?}");
    let ends = timeline.lines().rev().find(|line| !line.trim().is_empty()).unwrap().trim();
    let every = 1 + seconds(ends.split(' ').next().unwrap()) / 1_000;
    assert_eq!(play(start, row, timeline, Some(every)), expected, "\nrow {row}\nrestarted every {every} s");
}

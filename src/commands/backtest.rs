//! `atalaya backtest`: the same engine over recorded events, in virtual time. Nothing is sent.
//!
//! Events come out of files (here) or out of Kafka (`past`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::files::Secrets;
use super::{Failure, say, setup};
use crate::config::Config;
use crate::domain::{Event, Key, Millis, Timestamp};
use crate::floor::Taken;
use crate::indicators::{self, Selector};
use crate::matrix::engine::Tick;
use crate::pipeline::{Evaluator, Replay};
use crate::plan::Plan;
use crate::records::{IndicatorRecord, NotificationRecord, TransitionRecord};
use crate::wire::{Decoded, Decoder};

mod against;
mod past;

/// Plays recorded events through the matrices in virtual time and prints what would have happened; nothing is sent.
#[derive(Debug, Args)]
pub struct Backtest {
    /// The configuration of `run`; no key of it is obligatory here
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Matrix files or folders; may be left out with --indicators
    #[arg(short, long, value_name = "PATH", num_args = 1.., required_unless_present = "indicators")]
    pub matrix: Vec<PathBuf>,
    /// Events as NDJSON, in their order of arrival; several files are merged by the time of their next lines (- is standard input)
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "from")]
    pub events: Vec<PathBuf>,
    /// Out of Kafka instead: the topics of the configuration's sources from this time on, as 2026-11-20T08:00:00-05:00, or in the
    /// site's zone "2026-11-20 08:00". What came before is read as well, as far as the windows need it, and not printed
    #[arg(long, value_name = "TIME", requires_all = ["to", "config"], conflicts_with = "events")]
    pub from: Option<String>,
    /// Out of Kafka: up to this time, which is not printed itself
    #[arg(long, value_name = "TIME", requires = "from")]
    pub to: Option<String>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Prints the indicators at each multiple of this since local midnight, as 6m
    #[arg(long, value_name = "DURATION", value_parser = every)]
    pub every: Option<Millis>,
    /// `all`, or names by commas: prints these for every window besides what the rows name
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub indicators: Vec<String>,
    /// Compares the matrices of -m (after) with these (before): alerts and mails by row and person, and the first of each
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "matrix", conflicts_with_all = ["every", "indicators"])]
    pub against: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

fn every(text: &str) -> Result<Millis, String> {
    match Millis::parse(text) {
        Some(every) if every.0 > 0 && every.0 % 1000 == 0 && every <= Millis::DAY => Ok(every),
        _ => Err("a whole number of seconds up to a day, as 30s, 6m or 1h".to_owned()),
    }
}

pub fn run(args: Backtest) -> Result<(), Failure> {
    if !args.against.is_empty() {
        return against::run(&args);
    }
    let setup = setup::load(args.config.as_deref(), Some(&args.matrix), args.secrets())?;
    let wanted = wanted(&args.indicators)?;
    let plan = setup.set.plan.clone();
    let stretch = past::Stretch::of(&args, &[&plan])?;
    let mut out = Printer {
        out: BufWriter::with_capacity(1 << 16, std::io::stdout().lock()),
        format: args.format,
        plan: plan.clone(),
        wanted,
        every: args.every,
        shown: stretch.map_or(Timestamp::MIN..Timestamp::MAX, |stretch| stretch.from..stretch.to),
        once: stretch.map(|stretch| stretch.last()).filter(|_| args.every.is_none()),
        day: (Timestamp::MIN, Timestamp::MIN),
        broken: None,
    };
    let mut replay = Replay::new(plan.clone(), setup.set.matrices);
    let told = read_events(&args, stretch, &setup.config, &mut |arrived, event| {
        // Whoever read the output may have gone away.
        let broken = out.broken.is_some();
        (!broken).then(|| play(&mut replay, arrived, event, &mut |evaluator, tick| out.second(evaluator, &tick)))
    })?;
    if let Some(latest) = replay.latest().filter(|_| out.broken.is_none()) {
        let end = stretch.map_or_else(|| out.end(latest), |stretch| stretch.last());
        out.once = Some(end).filter(|_| args.every.is_none());
        replay.run_to(end, &mut |evaluator, tick| out.second(evaluator, &tick));
    }
    out.finish()?;
    told.print();
    Ok(())
}

impl Backtest {
    /// Which secrets are read: none, but of Kafka where that is asked.
    fn secrets(&self) -> Secrets {
        if self.from.is_some() { Secrets::OfKafka } else { Secrets::LeaveOut }
    }
}

/// What is done with an event, of which may be known when it came; `None` wants no more.
type Take<'t> = &'t mut dyn FnMut(Option<Timestamp>, &Event<'_>) -> Option<Taken>;

fn play(
    replay: &mut Replay,
    arrived: Option<Timestamp>,
    event: &Event<'_>,
    each: &mut dyn FnMut(&mut Evaluator, Tick),
) -> Taken {
    if let Some(arrived) = arrived {
        replay.reach(arrived, each);
    }
    replay.take(event, each)
}

/// Hands every event to `take`, until it wants no more.
fn read_events(
    args: &Backtest,
    stretch: Option<past::Stretch>,
    config: &Config,
    take: Take<'_>,
) -> Result<Tally, Failure> {
    match stretch {
        Some(stretch) => past::read(stretch, config, take),
        None => read_files(&args.events, config, take),
    }
}

fn read_files(paths: &[PathBuf], config: &Config, take: Take<'_>) -> Result<Tally, Failure> {
    let decoder = Decoder { format: crate::wire::Format::Canonical, states: config.agent_states.clone() };
    let mut files = paths.iter().map(Lines::open).collect::<Result<Vec<_>, _>>()?;
    let mut told = Tally { unit: "lines", ..Tally::default() };
    // Lines of one file come in their order: only several files are merged by their lines' times.
    let merging = (files.len() > 1).then_some(&decoder);
    loop {
        // The file whose next line is the earliest; lines without a time come at once.
        for file in &mut files {
            file.fill(merging)?;
        }
        let next = files.iter_mut().filter(|file| file.next.is_some()).min_by_key(|file| file.time);
        let Some((file, line)) = next.and_then(|file| file.next.take().map(|line| (&file.name, line))) else { break };
        let place = || format!("{file}:{}", line.number);
        if !told.take(&decoder, &line.bytes, None, &place, take) {
            break;
        }
    }
    Ok(told)
}

fn wanted(names: &[String]) -> Result<BTreeSet<&'static str>, Failure> {
    let mut wanted = BTreeSet::new();
    for name in names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
        match indicators::find(name) {
            _ if name == "all" => wanted.extend(indicators::all().map(|indicator| indicator.name)),
            Some(indicator) => {
                wanted.insert(indicator.name);
            }
            None => {
                let known: Vec<&str> = indicators::all().map(|indicator| indicator.name).collect();
                return Err(Failure::User(format!(
                    "--indicators: there is no indicator `{name}`. Write `all`, or some of: {}.",
                    known.join(", ")
                )));
            }
        }
    }
    Ok(wanted)
}

/// What the run met that is no event of ours, told at its end on standard error.
#[derive(Default)]
struct Tally {
    /// What the events stand in: `lines`.
    unit: &'static str,
    count: u64,
    duplicates: u64,
    ignored: u64,
    /// By reason: how many, and where the first one is.
    rejected: BTreeMap<&'static str, (u64, String)>,
}

impl Tally {
    /// Whether more is wanted.
    fn take(
        &mut self,
        decoder: &Decoder,
        record: &[u8],
        arrived: Option<Timestamp>,
        place: &dyn Fn() -> String,
        take: Take<'_>,
    ) -> bool {
        self.count += 1;
        match decoder.decode(record) {
            Decoded::Event(event) => match take(arrived, &event) {
                None => return false,
                Some(Taken::Refused(reason)) => self.reject(reason.name(), place),
                Some(Taken::Duplicate) => self.duplicates += 1,
                Some(Taken::Applied | Taken::Held | Taken::NoEffect) => {}
            },
            Decoded::Ignored => self.ignored += 1,
            Decoded::Rejected(reason) => self.reject(reason.name(), place),
        }
        true
    }

    fn reject(&mut self, reason: &'static str, place: &dyn Fn() -> String) {
        self.rejected.entry(reason).or_insert_with(|| (0, place())).0 += 1;
    }

    fn print(&self) {
        let mut text = format!("{} {}", self.count, self.unit);
        if self.duplicates > 0 {
            text.push_str(&format!(", {} with an id already seen", self.duplicates));
        }
        if self.ignored > 0 {
            text.push_str(&format!(", {} of a type that is not ours", self.ignored));
        }
        say::aside(text);
        for (reason, (count, first)) in &self.rejected {
            let hint = match *reason {
                "too_far_ahead" => " (further ahead of the largest time so far than max_ahead allows)",
                "too_late" => " (older than lateness, of something no longer held)",
                _ => "",
            };
            say::aside(format_args!("rejected {count} as {reason}{hint}, the first at {first}"));
        }
    }
}

/// What some editors put before the first line of a UTF-8 file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

struct Line {
    number: u64,
    bytes: Vec<u8>,
}

/// A file of events with its next line at hand.
struct Lines {
    name: String,
    reader: Box<dyn BufRead>,
    number: u64,
    next: Option<Line>,
    /// Of the next line; the least there is where that has no time.
    time: Timestamp,
}

impl Lines {
    fn open(path: &PathBuf) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let reader: Box<dyn BufRead> = if name == "-" {
            Box::new(BufReader::new(std::io::stdin()))
        } else {
            let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
            Box::new(BufReader::with_capacity(1 << 16, file))
        };
        Ok(Lines { name, reader, number: 0, next: None, time: Timestamp::MIN })
    }

    /// Reads the next line, and its time where a decoder is given.
    fn fill(&mut self, merging: Option<&Decoder>) -> Result<(), Failure> {
        while self.next.is_none() {
            let mut bytes = Vec::new();
            let read = self.reader.read_until(b'\n', &mut bytes).map_err(|error| unreadable(&self.name, &error))?;
            if read == 0 {
                return Ok(());
            }
            self.number += 1;
            if self.number == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
                bytes.drain(..BYTE_ORDER_MARK.len());
            }
            while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                bytes.pop();
            }
            if bytes.is_empty() {
                continue;
            }
            self.time = match merging.map(|decoder| decoder.decode(&bytes)) {
                Some(Decoded::Event(event)) => event.time,
                Some(Decoded::Ignored | Decoded::Rejected(_)) | None => Timestamp::MIN,
            };
            self.next = Some(Line { number: self.number, bytes });
        }
        Ok(())
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> Failure {
    Failure::User(format!(
        "cannot read the events of {name}: {error}. Give --events a file of one JSON object per line."
    ))
}

struct Printer<W: Write> {
    out: W,
    format: Format,
    plan: Arc<Plan>,
    wanted: BTreeSet<&'static str>,
    every: Option<Millis>,
    /// What was before or after is not printed.
    shown: Range<Timestamp>,
    /// Without --every the indicators are printed once, at the end.
    once: Option<Timestamp>,
    /// The local day that the last second looked at lies in.
    day: (Timestamp, Timestamp),
    broken: Option<std::io::Error>,
}

impl<W: Write> Printer<W> {
    fn second(&mut self, evaluator: &mut Evaluator, tick: &Tick) {
        let now = evaluator.now();
        if !self.shown.contains(&now) {
            return;
        }
        for transition in &tick.transitions {
            let plan = self.plan.clone();
            let record = TransitionRecord { transition, plan: &plan };
            self.line(&record, || {
                let place = transition.key.shown();
                let range = transition.range_text().map(|range| format!(" ({range})")).unwrap_or_default();
                format!(
                    "{} {place} {}: {} -> {}{range}, value {}, {}",
                    transition.time,
                    name_of(&transition.selector, &plan),
                    transition.from.name(),
                    transition.to.name(),
                    shown(transition.value),
                    transition.reason.name(),
                )
            });
        }
        for record in tick.notifications.iter().flat_map(NotificationRecord::each) {
            let NotificationRecord { notification, gathering } = record;
            self.line(&record, || {
                format!(
                    "{}   tells {} by {:?}{}: {}, {}",
                    notification.time,
                    notification.to,
                    notification.medium,
                    gathering.map(|id| format!(" (gathering {id})")).unwrap_or_default(),
                    notification.level.name(),
                    notification.reason.name(),
                )
            });
        }
        let once = self.once == Some(now) && !self.wanted.is_empty();
        if once || self.every.is_some_and(|every| self.since_midnight(now).0 % every.0 == 0) {
            self.sample(evaluator);
        }
    }

    fn sample(&mut self, evaluator: &mut Evaluator) {
        let (time, plan) = (evaluator.now(), self.plan.clone());
        let mut printed: Vec<(Key, Selector)> = evaluator.named();
        for (key, selector) in &printed {
            let reading = evaluator.read(key, selector);
            self.indicator(time, key, selector, reading, &plan);
        }
        if self.wanted.is_empty() {
            return;
        }
        printed.sort_by(|a, b| a.0.cmp(&b.0));
        let wanted = std::mem::take(&mut self.wanted);
        let named = |key: &Key, selector: &Selector| {
            let from = printed.partition_point(|(other, _)| other < key);
            printed.iter().skip(from).take_while(|(other, _)| other == key).any(|(_, other)| other == selector)
        };
        evaluator.each_indicator(
            &|_| true,
            &|selector| wanted.contains(selector.indicator.name),
            &mut |key, selector, reading| {
                if !named(key, selector) {
                    self.indicator(time, key, selector, reading, &plan);
                }
            },
        );
        self.wanted = wanted;
    }

    fn indicator(
        &mut self,
        time: Timestamp,
        key: &Key,
        selector: &Selector,
        reading: indicators::Reading,
        plan: &Plan,
    ) {
        self.line(&IndicatorRecord { time, key, selector, reading, plan }, || {
            format!(
                "{time} {} {} = {} ({} samples)",
                key.shown(),
                name_of(selector, plan),
                shown(reading.value),
                reading.samples
            )
        });
    }

    fn line(&mut self, record: &impl Serialize, text: impl FnOnce() -> String) {
        if self.broken.is_some() {
            return;
        }
        let written = match self.format {
            Format::Json => serde_json::to_writer(&mut self.out, record).map_err(std::io::Error::from),
            Format::Text => self.out.write_all(text().as_bytes()),
        };
        if let Err(error) = written.and_then(|()| self.out.write_all(b"\n")) {
            self.broken = Some(error);
        }
    }

    /// How long ago the local day began.
    fn since_midnight(&mut self, now: Timestamp) -> Millis {
        if !(self.day.0..self.day.1).contains(&now) {
            let local = now.in_zone(&self.plan.zone);
            let midnight =
                |day: &jiff::Zoned| day.start_of_day().ok().map(|t| Timestamp(t.timestamp().as_millisecond()));
            let start = midnight(&local).unwrap_or_else(|| now.floor_to(Millis::DAY));
            let end = local.tomorrow().ok().as_ref().and_then(midnight).unwrap_or(start + Millis::DAY);
            self.day = (start, end);
        }
        now - self.day.0
    }

    /// How far to go after the last event: to the first multiple of `--every` after it, else to the second that shows it.
    fn end(&mut self, latest: Timestamp) -> Timestamp {
        let next = latest.floor_to(Millis::SECOND) + Millis::SECOND;
        let Some(every) = self.every else { return next };
        let since = self.since_midnight(latest);
        let multiple = self.day.0 + Millis(since.0 - since.0 % every.0 + every.0);
        // The new day begins a multiple of its own.
        multiple.min(self.day.1)
    }

    fn finish(mut self) -> Result<(), Failure> {
        let flushed = self.out.flush();
        say::written(self.broken.map_or(flushed, Err))
    }
}

fn name_of(selector: &Selector, plan: &Plan) -> String {
    let window = selector.window.and_then(|index| plan.windows.get(index)).map(|window| format!(" {}", window.label));
    let labels: String = selector.labels.pairs(plan).iter().map(|(name, value)| format!(" {name}={value}")).collect();
    format!("{}{}{labels}", selector.indicator.name, window.unwrap_or_default())
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| format!("{value}"))
}

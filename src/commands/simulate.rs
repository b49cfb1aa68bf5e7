//! `atalaya simulate`: a seeded synthetic floor, or a recorded day, to Kafka or to standard output.
//!
//! Here are the arguments, the pacing and the two sinks; what happens on the floor is [`crate::sim`]'s.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;

use super::Failure;
use crate::clock;
use crate::domain::{Millis, Timestamp};
use crate::sim::replay::Line;
use crate::sim::{Curve, Disorder, Incident, IncidentKind, Settings, Simulation, Topic};

pub(super) mod producer;

use producer::Producer;

/// Sends a synthetic contact centre, or a recorded day, to Kafka or to standard output.
#[derive(Clone, Debug, clap::Args)]
pub struct Simulate {
    /// Seed of the simulation: with the same one (and the same --start) every byte is the same.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// When it begins, as RFC 3339 with an offset [default: now].
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with_all = ["history", "replay"])]
    pub start: Option<Timestamp>,
    /// How long it goes on, in simulated time, --history not counted [default: endless if paced, otherwise 24h].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, conflicts_with = "replay")]
    pub duration: Option<Millis>,
    /// Size: 1 is about 60 agents and 6 events a second in busy hours.
    #[arg(long, default_value_t = 1.0, value_parser = parse_scale)]
    pub scale: f64,
    /// `day`: the arrivals and shifts of a day in --time-zone. `flat`: the busy hour all the time.
    #[arg(long, default_value = "day", value_parser = parse_curve)]
    pub curve: Curve,
    /// Zone of the day's curve and of the shifts.
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = parse_zone)]
    pub time_zone: TimeZone,
    /// KIND@OFFSET[/DURATION]: avalanche (of complaints on facebook), agents-gone (half of them), stuck-queue or silence;
    /// OFFSET counts from the start, or from now with --history; it lasts 30m if nothing is said.
    #[arg(long, value_name = "INCIDENT", value_parser = parse_incident)]
    pub incident: Option<Incident>,
    /// Share of records that come twice, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = parse_share)]
    pub duplicates: f64,
    /// SHARE[/LATENESS]: share of records that come late and so out of order, and how late at most (1m).
    #[arg(long, value_name = "DISORDER", value_parser = parse_disorder)]
    pub disorder: Option<(f64, Millis)>,
    /// Bad records that come besides, as a share of the good ones.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = parse_share)]
    pub garbage: f64,
    /// Begins this long ago and catches up at full speed; from now on it is paced (--speed 1 if nothing is said).
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub history: Option<Millis>,
    /// Paces: N seconds of events a second. Without it standard output and --replay go at full speed; Kafka at 1.
    #[arg(long, value_name = "N", value_parser = parse_speed)]
    pub speed: Option<f64>,
    /// Plays this file (one JSON object a line) instead: times moved, everything else and the order kept.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["history", "incident", "duplicates", "disorder", "garbage"])]
    pub replay: Option<PathBuf>,
    /// What a replay is moved to: its latest time is now (`end`), its earliest is (`start`), or not at all (`none`).
    #[arg(long, value_enum, default_value = "end", requires = "replay")]
    pub shift: Shift,
    /// Kafka to send to, as HOST:PORT, several with commas; without it everything goes to standard output.
    #[arg(long, value_name = "BROKERS")]
    pub brokers: Option<String>,
    #[arg(long, value_name = "TOPIC", default_value = "atalaya.interactions")]
    pub interactions_topic: String,
    #[arg(long, value_name = "TOPIC", default_value = "atalaya.agent-states")]
    pub agent_states_topic: String,
    /// A property of librdkafka for the producer, as NAME=VALUE; may be repeated.
    #[arg(long = "kafka-property", value_name = "NAME=VALUE", value_parser = parse_property)]
    pub kafka_properties: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Shift {
    End,
    Start,
    None,
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "not a time with an offset, such as 2026-11-23T09:00:00-05:00".to_owned())
}

fn parse_duration(text: &str) -> Result<Millis, String> {
    Millis::parse(text).ok_or_else(|| "not a duration, such as 90s, 15m, 2h or 1d".to_owned())
}

fn parse_zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| "not a time zone, such as America/Bogota".to_owned())
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "not a share from 0 to 1".to_owned())
}

fn parse_scale(text: &str) -> Result<f64, String> {
    let scale = text.parse().ok().filter(|scale| (0.05..=10_000.0).contains(scale));
    scale.ok_or_else(|| "not a number from 0.05 to 10000".to_owned())
}

fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed: &f64| speed.is_finite() && *speed > 0.0);
    speed.ok_or_else(|| "not a number above 0".to_owned())
}

fn parse_curve(text: &str) -> Result<Curve, String> {
    match text {
        "day" => Ok(Curve::Day),
        "flat" => Ok(Curve::Flat),
        _ => Err("neither day nor flat".to_owned()),
    }
}

fn parse_disorder(text: &str) -> Result<(f64, Millis), String> {
    let (share, lateness) = text.split_once('/').unwrap_or((text, "1m"));
    Ok((parse_share(share)?, parse_duration(lateness)?))
}

fn parse_incident(text: &str) -> Result<Incident, String> {
    let (kind, when) = text.split_once('@').ok_or("no @OFFSET, as in avalanche@10m/30m")?;
    let (at, duration) = when.split_once('/').unwrap_or((when, "30m"));
    let kind = IncidentKind::parse(kind).ok_or_else(|| {
        format!("no such kind: it is one of {}", IncidentKind::ALL.map(IncidentKind::name).join(", "))
    })?;
    Ok(Incident { kind, at: parse_duration(at)?, duration: parse_duration(duration)? })
}

fn parse_property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs until everything is sent, nobody reads standard output any more, or Ctrl-C: each of them is a good end.
pub async fn run(args: Simulate) -> Result<(), Failure> {
    let mut sink = match &args.brokers {
        Some(brokers) => Sink::Kafka(Box::new(Producer::connect(brokers, &args.kafka_properties).await?)),
        None => Sink::lines(std::io::stdout()),
    };
    let sending = async {
        match &args.replay {
            Some(file) => replay(&args, file, &mut sink).await,
            None => synthesize(&args, &mut sink).await,
        }
    };
    let outcome = tokio::select! {
        outcome = sending => outcome,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    let flushed = sink.finish().await;
    match outcome.and(flushed) {
        Ok(()) | Err(Stop::NobodyReads) => Ok(()),
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

/// The settings of the synthetic floor, and from when on it is paced.
fn settings(args: &Simulate, now: Timestamp) -> (Settings, Timestamp) {
    let live = args.start.unwrap_or(now);
    let history = args.history.unwrap_or(Millis(0));
    let paced = speed(args).is_some();
    let duration = args.duration.or((!paced).then_some(Millis::DAY));
    let mut settings = Settings::new(args.seed, live - history);
    settings.zone = args.time_zone.clone();
    settings.scale = args.scale;
    settings.curve = args.curve;
    settings.incident = args.incident.map(|incident| Incident { at: incident.at + history, ..incident });
    let (late, lateness) = args.disorder.unwrap_or((0.0, Millis::MINUTE));
    settings.disorder = Disorder { duplicates: args.duplicates, late, lateness, garbage: args.garbage };
    settings.until = duration.map(|duration| live + duration);
    (settings, live)
}

/// How fast, or `None` as fast as possible.
fn speed(args: &Simulate) -> Option<f64> {
    let paced = args.replay.is_none() && (args.brokers.is_some() || args.history.is_some());
    args.speed.or(paced.then_some(1.0))
}

async fn synthesize(args: &Simulate, sink: &mut Sink) -> Result<(), Stop> {
    let (settings, live) = settings(args, clock::now());
    let mut pace = Pace::new(speed(args), live);
    for event in Simulation::new(settings) {
        pace.wait(event.sent, sink).await?;
        sink.put(event.topic, Some(&event.key), Some(event.time), event.json.as_bytes(), args).await?;
    }
    Ok(())
}

async fn replay(args: &Simulate, file: &Path, sink: &mut Sink) -> Result<(), Stop> {
    let span = match args.shift {
        Shift::None => None,
        Shift::End | Shift::Start => Some(span_of(file)?),
    };
    let now = clock::now();
    let shift = match (args.shift, span.flatten()) {
        (Shift::End, Some((_, last))) => now - last,
        (Shift::Start, Some((first, _))) => now - first,
        _ => Millis(0),
    };
    let mut pace: Option<Pace> = None;
    let mut last = None;
    for_each_line(file, async |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return sink.put(Topic::Interactions, None, last, bytes, args).await;
        };
        let line = Line::read(text);
        if let Some(time) = line.time() {
            let time = time + shift;
            last = Some(time);
            let pace = pace.get_or_insert_with(|| Pace::new(args.speed, time));
            pace.wait(time, sink).await?;
        }
        sink.put(line.topic, line.key.as_deref(), last, line.shifted(shift).as_bytes(), args).await
    })
    .await
}

/// The earliest and the latest time of a recording; `None` if it has none at all.
fn span_of(file: &Path) -> Result<Option<(Timestamp, Timestamp)>, Stop> {
    let mut span: Option<(Timestamp, Timestamp)> = None;
    let mut lines = Lines::open(file)?;
    while let Some(bytes) = lines.next()? {
        if let Some(time) = std::str::from_utf8(bytes).ok().and_then(|text| Line::read(text).time()) {
            let (first, last) = span.unwrap_or((time, time));
            span = Some((first.min(time), last.max(time)));
        }
    }
    Ok(span)
}

async fn for_each_line(file: &Path, mut each: impl AsyncFnMut(&[u8]) -> Result<(), Stop>) -> Result<(), Stop> {
    let mut lines = Lines::open(file)?;
    while let Some(bytes) = lines.next()? {
        each(bytes).await?;
    }
    Ok(())
}

/// The lines of a recording as bytes, without their ends; blank ones are left out.
struct Lines<'p> {
    path: &'p Path,
    reader: BufReader<File>,
    line: Vec<u8>,
}

impl<'p> Lines<'p> {
    fn open(path: &'p Path) -> Result<Self, Stop> {
        let file = File::open(path).map_err(|error| {
            Failure::User(format!(
                "--replay {}: the file cannot be read ({error}). Name a file with one event a line.",
                path.display()
            ))
        })?;
        Ok(Lines { path, reader: BufReader::with_capacity(256 * 1024, file), line: Vec::new() })
    }

    fn next(&mut self) -> Result<Option<&[u8]>, Stop> {
        loop {
            self.line.clear();
            let read = self.reader.read_until(b'\n', &mut self.line).map_err(|error| {
                Failure::Run(format!("--replay {}: reading stopped half-way ({error}).", self.path.display()))
            })?;
            if read == 0 {
                return Ok(None);
            }
            while self.line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                self.line.pop();
            }
            if !self.line.iter().all(u8::is_ascii_whitespace) {
                break;
            }
        }
        Ok(Some(&self.line))
    }
}

/// Why the sending ends before its end.
enum Stop {
    /// The other end of standard output is closed: `| head` has seen enough.
    NobodyReads,
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

/// Holds each record back until its moment: `speed` seconds of events a second of wall time, counted from `from`, which
/// is when it began. What lies before `from` is due at once.
struct Pace {
    speed: Option<f64>,
    from: Timestamp,
    began: Timestamp,
}

impl Pace {
    fn new(speed: Option<f64>, from: Timestamp) -> Self {
        Pace { speed, from, began: clock::now() }
    }

    async fn wait(&mut self, time: Timestamp, sink: &mut Sink) -> Result<(), Stop> {
        let Some(speed) = self.speed else { return Ok(()) };
        let after = ((time - self.from).0 as f64 / speed) as i64;
        let mut left = self.began.0.saturating_add(after) - clock::now().0;
        if left > 0 {
            // What was written so far is to be seen before the pause.
            sink.flush_soon()?;
        }
        while left > 0 {
            // In short steps: librdkafka reports what became of its messages only when it is asked.
            tokio::time::sleep(Duration::from_millis(left.min(200).unsigned_abs())).await;
            sink.poll()?;
            left = self.began.0.saturating_add(after) - clock::now().0;
        }
        Ok(())
    }
}

enum Sink {
    Lines { out: BufWriter<Box<dyn Write + Send>>, written: u32 },
    Kafka(Box<Producer>),
}

impl Sink {
    fn lines(out: impl Write + Send + 'static) -> Self {
        Sink::Lines { out: BufWriter::with_capacity(64 * 1024, Box::new(out)), written: 0 }
    }

    async fn put(
        &mut self,
        topic: Topic,
        key: Option<&str>,
        time: Option<Timestamp>,
        record: &[u8],
        args: &Simulate,
    ) -> Result<(), Stop> {
        match self {
            Sink::Lines { out, written } => {
                out.write_all(record).and_then(|()| out.write_all(b"\n")).map_err(stdout_failed)?;
                *written = written.wrapping_add(1);
                if written.is_multiple_of(256) {
                    // At full speed nothing else here waits, and Ctrl-C would not be heard.
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
            Sink::Kafka(producer) => {
                let name = match topic {
                    Topic::Interactions => &args.interactions_topic,
                    Topic::AgentStates => &args.agent_states_topic,
                };
                Ok(producer.send(name, key, time, record).await?)
            }
        }
    }

    fn flush_soon(&mut self) -> Result<(), Stop> {
        match self {
            Sink::Lines { out, .. } => out.flush().map_err(stdout_failed),
            Sink::Kafka(_) => Ok(()),
        }
    }

    fn poll(&mut self) -> Result<(), Stop> {
        match self {
            Sink::Lines { .. } => Ok(()),
            Sink::Kafka(producer) => Ok(producer.poll()?),
        }
    }

    async fn finish(&mut self) -> Result<(), Stop> {
        match self {
            Sink::Lines { out, .. } => out.flush().map_err(stdout_failed),
            Sink::Kafka(producer) => Ok(producer.finish().await?),
        }
    }
}

fn stdout_failed(error: std::io::Error) -> Stop {
    if error.kind() == ErrorKind::BrokenPipe {
        return Stop::NobodyReads;
    }
    Stop::Failed(Failure::Run(format!("standard output cannot be written to ({error}).")))
}

#[cfg(test)]
mod tests;

//! What is paid each second and at each scrape: a tick of 10,000 cases of which 1 % changed, the quantiles of 10,000 keys,
//! `/metrics`, and the API.
//!
//! The board is filled through wire and floor with four hours of a contact centre whose 100 pairs a second change. Each case
//! is of another key, ten indicators among them. Prints one JSON line per figure; a figure is the median of its rounds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use atalaya::config;
use atalaya::domain::{Millis, Timestamp};
use atalaya::floor::Floor;
use atalaya::http::{self, SharedReadiness, Site};
use atalaya::matrix::Language;
use atalaya::pipeline::Evaluator;
use atalaya::telemetry::{Format as Text, Telemetry};
use atalaya::wire::{Decoded, Decoder, Format};

const START: i64 = 1_767_225_600_000;
const HISTORY: i64 = 4 * 3600;
const CHANNELS: usize = 10;
/// Of the pairs that change in a second, those of interactions (four events each); agents change the rest.
const INTERACTIONS_A_SECOND: i64 = 21;
const AGENTS: usize = 1_000;
const AGENT_EVERY: i64 = 120;

/// One row per channel.
const ROWS: [&str; CHANNELS] = [
    "indicator: asa\n    window: 15m\n    RANGES 5m 10m",
    "indicator: service_level\n    threshold: 30m\n    window: 30m\n    RANGES 90% 50%",
    "indicator: abandonment\n    window: 30m\n    RANGES 5% 10%",
    "indicator: oldest_wait\n    RANGES 10m 20m",
    "indicator: wait_p90\n    window: 15m\n    RANGES 10m 14m",
    "indicator: occupancy\n    window: 30m\n    RANGES 60% 90%",
    "indicator: unanswered\n    RANGES 3 6",
    "indicator: agents\n    RANGES 2 4",
    "indicator: response_time\n    window: 1h\n    RANGES 8m 12m",
    "indicator: asa_live\n    window: 5m\n    RANGES 8m 12m",
];

fn matrix() -> String {
    let mut text = String::from(
        "version: 1\nname: bench\nlanguage: en\ntime_zone: UTC\nowner: desk\ncontacts:\n  desk: { email: desk@example.com }\nrows:\n",
    );
    for (channel, row) in ROWS.iter().enumerate() {
        let (head, bounds) = row.split_once("RANGES ").unwrap_or((row, ""));
        let (first, second) = bounds.split_once(' ').unwrap_or((bounds, ""));
        let goal = if head.contains("service_level") { (">=", "<") } else { ("<", ">=") };
        text += &format!(
            "  - {head}scope: {{ channel: channel-{channel} }}\n    goal: \"{} {first}\"\n    ranges:\n      - {{ when: \"{} {first}\", level: ok }}\n",
            goal.0, goal.0
        );
        let between = if goal.0 == "<" { format!("{first} .. {second}") } else { format!("{second} .. {first}") };
        let step = |when: &str, level| {
            format!(
                "      - {{ when: \"{when}\", level: {level}, for: 1m, tell: [desk], action: look, repeat: 30m }}\n"
            )
        };
        text += &step(&between, "warning");
        text += &step(&format!("{} {second}", goal.1), "critical");
    }
    text
}

/// A contact centre that goes on for ever: the next event of each interaction and agent.
struct Feed {
    pairs: usize,
    begun: u64,
    /// When, whose (agents after 1 << 48), and which event of it.
    next: BinaryHeap<Reverse<(i64, u64, u8)>>,
}

impl Feed {
    fn new(pairs: usize) -> Self {
        let agents = (0..AGENTS as u64).map(|agent| {
            Reverse((START + (agent as i64 * 7919) % (AGENT_EVERY * 1000), (1 << 48) + agent, (agent % 2) as u8))
        });
        Feed { pairs, begun: 0, next: agents.collect() }
    }

    /// Gives `floor` what happens before `now`.
    fn run_to(&mut self, now: i64, decoder: &Decoder, floor: &mut Floor) {
        let apart = 1000 / INTERACTIONS_A_SECOND;
        while START + self.begun as i64 * apart < now {
            self.next.push(Reverse((START + self.begun as i64 * apart, self.begun, 0)));
            self.begun += 1;
        }
        while let Some(&Reverse((time, who, stage))) = self.next.peek() {
            if time >= now {
                return;
            }
            self.next.pop();
            let line = self.line(time, who, stage);
            if let Decoded::Event(event) = decoder.decode(line.as_bytes()) {
                black_box(floor.take(&event, Timestamp::MAX));
            }
        }
    }

    fn line(&mut self, time: i64, who: u64, stage: u8) -> String {
        if let Some(agent) = who.checked_sub(1 << 48) {
            self.next.push(Reverse((time + AGENT_EVERY * 1000, who, stage ^ 1)));
            let state = ["handling", "available"][usize::from(stage)];
            let (queue, channel) = (agent as usize % (self.pairs / CHANNELS), agent as usize % CHANNELS);
            return format!(
                r#"{{"type":"agent.state","id":"{agent}/{time}","time":{time},"agent":"{agent}","state":"{state}","queues":["queue-{queue}"],"channels":["channel-{channel}","channel-{}"]}}"#,
                (channel + 1) % CHANNELS
            );
        }
        let chance = who.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let pair = (who.wrapping_mul(2_654_435_761) % self.pairs as u64) as usize;
        let place = format!(r#""queue":"queue-{}","channel":"channel-{}""#, pair / CHANNELS, pair % CHANNELS);
        // A wait of 5 s to a quarter of an hour, short ones more often; one in twenty leaves.
        let wait = 5_000 + (chance % 946) as i64 * (chance / 946 % 946) as i64;
        let (what, later) = match stage {
            0 => (format!(r#""type":"interaction.arrived",{place}"#), 500),
            1 => (format!(r#""type":"interaction.queued",{place}"#), wait),
            2 if chance.is_multiple_of(20) => (r#""type":"interaction.abandoned""#.to_owned(), 0),
            2 => (format!(r#""type":"interaction.replied","agent":"{}""#, pair % AGENTS), 180_000),
            _ => (r#""type":"interaction.closed","outcome":"resolved""#.to_owned(), 0),
        };
        if later > 0 {
            self.next.push(Reverse((time + later, who, stage + 1)));
        }
        format!(r#"{{"id":"{who}/{stage}","time":{time},"interaction":"{who}",{what}}}"#)
    }
}

/// A board of `pairs` pairs and their roll-ups, with one case for each pair.
struct Centre {
    feed: Feed,
    decoder: Decoder,
    floor: Floor,
    evaluator: Evaluator,
    second: i64,
}

impl Centre {
    fn new(pairs: usize) -> Result<Self, String> {
        let set = config::matrices(&[("bench.yaml".to_owned(), matrix())], None)
            .map_err(|defects| defects.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        let mut centre = Centre {
            feed: Feed::new(pairs),
            decoder: Decoder { format: Format::Canonical, states: Default::default() },
            floor: Floor::new(set.plan.clone()),
            evaluator: Evaluator::new(set.plan, set.matrices),
            second: 0,
        };
        for second in (10..=HISTORY).step_by(10) {
            centre.run_to(second);
        }
        Ok(centre)
    }

    /// Brings the board to that second.
    fn run_to(&mut self, second: i64) {
        self.second = second;
        let now = Timestamp(START + second * 1000);
        self.feed.run_to(now.0, &self.decoder, &mut self.floor);
        self.floor.advance(now);
        self.evaluator.apply(0, &self.floor.flush());
        self.evaluator.advance(now);
    }

    /// Ticks of this many seconds: those at which no pane ends, those at which one does, and what they decided.
    fn ticks(&mut self, seconds: i64) -> (Vec<f64>, Vec<f64>, usize) {
        let (mut between, mut at_edge, mut decided) = (Vec::new(), Vec::new(), 0);
        for _ in 0..seconds {
            self.run_to(self.second + 1);
            let (took, tick) = timed(|| self.evaluator.tick());
            decided += tick.transitions.len() + tick.notifications.len();
            // The board at 10:00:00 shows what was before; the pane of 10:00:00 begins to count with the next second.
            let at = if self.evaluator.now().floor_to(Millis(10_000)) == self.evaluator.now() {
                &mut at_edge
            } else {
                &mut between
            };
            at.push(took);
        }
        (between, at_edge, decided)
    }
}

#[allow(clippy::disallowed_methods, reason = "a bench measures real time")]
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begun = Instant::now();
    let done = work();
    (begun.elapsed().as_secs_f64() * 1000.0, done)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn rounds(count: usize, mut work: impl FnMut() -> f64) -> f64 {
    median((0..count).map(|_| work()).collect())
}

fn show(figure: &str, value: f64, goal: Option<f64>) {
    let goal = goal.map(|goal| format!(r#","goal":{goal}"#)).unwrap_or_default();
    println!(r#"{{"figure":"{figure}","value":{value:.2}{goal}}}"#);
}

/// Reads all quantiles as a scrape does: of every window, or of one.
fn quantiles(evaluator: &mut Evaluator, window: Option<usize>) -> f64 {
    let (took, ()) = timed(|| {
        evaluator.each_indicator(
            &|_| true,
            &|selector| selector.indicator.name.starts_with("wait_") && (window.is_none() || selector.window == window),
            &mut |_, _, reading| {
                black_box(reading);
            },
        );
    });
    took
}

fn scrapes(label: &str, evaluator: Evaluator, whole: bool) -> Result<(), Box<dyn std::error::Error>> {
    let now = evaluator.now();
    let source = Arc::new(Mutex::new(evaluator));
    let telemetry = Telemetry::new(source.clone())?;
    for (format, name) in [(Text::Prometheus, "metrics"), (Text::OpenMetrics, "openmetrics")] {
        let mut bytes = 0;
        let took = rounds(3, || {
            let (took, text) = timed(|| telemetry.render(format, now));
            bytes = text.len();
            took
        });
        show(&format!("{name}_{label}_ms"), took, None);
        show(&format!("{name}_{label}_mib"), bytes as f64 / 1_048_576.0, None);
    }
    let site = Site {
        source,
        telemetry: telemetry.clone(),
        readiness: SharedReadiness::starting(telemetry),
        language: Language::En,
        render_action: None,
        mailbox: None,
        reload: None,
        operate: None,
        trail: Default::default(),
        acknowledged: None,
        tickets: Arc::new(http::Tickets::new(None, None)?),
        // Moves, so that no answer is given out a second time.
        clock: atalaya::clock::now,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let listener = runtime.block_on(http::bind("127.0.0.1:0"))?;
    let port = listener.local_addr()?.port();
    runtime.spawn(http::serve(listener, site, std::future::pending()));
    let asked = [
        ("api_all", "/api/v1/indicators", whole),
        ("api_window", "/api/v1/indicators?window=15m", true),
        ("api_asa", "/api/v1/indicators?indicator=asa&window=15m", true),
        ("api_key", "/api/v1/indicators?queue=queue-7&channel=channel-3", true),
        ("page", "/api/v1/board?window=WINDOW", true),
    ];
    for (name, path, _) in asked.iter().filter(|(.., asked)| *asked) {
        let mut bytes = 0;
        let mut failed = None;
        let mut windows = ["15m", "30m", "1h"].into_iter();
        let took = rounds(3, || {
            // The page's document of one window is kept for a moment.
            let path = path.replace("WINDOW", windows.next().unwrap_or("15m"));
            let (took, read) = timed(|| get(port, &path));
            match read {
                Ok(read) => bytes = read,
                Err(error) => failed = Some(error),
            }
            took
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
        show(&format!("{name}_{label}_ms"), took, None);
        show(&format!("{name}_{label}_mib"), bytes as f64 / 1_048_576.0, None);
    }
    runtime.shutdown_background();
    Ok(())
}

/// How many bytes an address answers with.
fn get(port: u16, path: &str) -> std::io::Result<usize> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    if !answer.starts_with(b"HTTP/1.1 200") {
        return Err(std::io::Error::other(String::from_utf8_lossy(answer.get(..200).unwrap_or(&answer)).into_owned()));
    }
    Ok(answer.len())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo test --benches` passes --test: then there is nothing to measure.
    if std::env::args().any(|arg| arg == "--test") {
        return Ok(());
    }
    // The parts that are named on the command line, or all.
    let named: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let asked = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    if asked("small") {
        scrapes("1k_keys", Centre::new(1_000)?.evaluator, true)?;
    }
    if !["tick", "quantiles", "large"].into_iter().any(asked) {
        return Ok(());
    }
    let mut large = Centre::new(10_000)?;
    if asked("tick") {
        large.ticks(1);
        let cases = large.evaluator.engine().levels().len();
        let (between, at_edge, decided) = large.ticks(200);
        let all: Vec<f64> = between.iter().chain(&at_edge).copied().collect();
        show("tick_cases", cases as f64, None);
        show("tick_decided", decided as f64, None);
        show("tick_10k_cases_ms", median(all.clone()), Some(5.0));
        show("tick_10k_cases_pane_ends_ms", median(at_edge), Some(5.0));
        show("tick_10k_cases_longest_ms", all.iter().copied().fold(0.0, f64::max), None);
    }
    if asked("quantiles") {
        show("quantiles_10k_keys_ms", rounds(7, || quantiles(&mut large.evaluator, None)), Some(20.0));
        show("quantiles_10k_keys_one_window_ms", rounds(7, || quantiles(&mut large.evaluator, Some(1))), None);
    }
    if asked("large") {
        scrapes("10k_keys", large.evaluator, false)?;
    }
    Ok(())
}

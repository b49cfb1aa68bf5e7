//! A process that reads the topic, and what the kernel says of its CPU time.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use crate::real::kafka::{RealKafka, free_port};
use crate::real::program::{Files, get};

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How long a side may take before the bench gives up.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// The kernel counts a process's time in hundredths of a second, on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds, of user and system, that a process has used with all its threads.
pub fn cpu_of(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The name in parentheses may hold anything; the fields after it are numbered from the third.
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index - 3).and_then(|text| text.parse::<f64>().ok()).expect("a number");
    (ticks(14) + ticks(15)) / TICKS_PER_SECOND
}

/// This program in another part, which prints lines.
pub struct Helper {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Helper {
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg(crate::ROLE).args(arguments);
        Helper::of(command)
    }

    /// One that stays, when it is done, until it is dropped: its CPU time can be looked at.
    pub fn waiting(mut command: Command) -> Self {
        command.stdin(Stdio::piped());
        Helper::spawn(command)
    }

    pub fn of(mut command: Command) -> Self {
        command.stdin(Stdio::null());
        Helper::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        Helper { child, lines }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its next line.
    pub fn line(&mut self) -> String {
        self.lines.next().expect("one more line").expect("text")
    }

    pub fn expect(&mut self, word: &str) {
        let line = self.line();
        assert_eq!(line, word, "what the helper says");
    }

    pub fn ended(mut self) {
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "a helper failed: {status}");
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Already ended where all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Four rows over every pair, whose bounds are never met: they are evaluated, and nobody is told.
const MATRIX: &str = r#"
version: 1
name: bench
language: en
owner: lead
contacts: { lead: { email: lead@acme.example } }
rows:
  - { indicator: asa, window: 15m, goal: "< 10h", ranges: [ { when: "< 10h", level: ok }, { when: ">= 10h", level: warning, tell: [lead], action: Act } ] }
  - { indicator: wait_p90, window: 15m, goal: "< 10h", ranges: [ { when: "< 10h", level: ok }, { when: ">= 10h", level: warning, tell: [lead], action: Act } ] }
  - { indicator: waiting, goal: "< 1000000", ranges: [ { when: "< 1000000", level: ok }, { when: ">= 1000000", level: warning, tell: [lead], action: Act } ] }
  - { indicator: oldest_wait, goal: "< 24h", ranges: [ { when: "< 24h", level: ok }, { when: ">= 24h", level: warning, tell: [lead], action: Act } ] }
"#;

/// The same over every channel: for so many pairs that nobody would have rows over each.
const MATRIX_OF_CHANNELS: &str = r#"
version: 1
name: bench
language: en
owner: lead
contacts: { lead: { email: lead@acme.example } }
rows:
  - { indicator: asa, per: channel, window: 15m, goal: "< 10h", ranges: [ { when: "< 10h", level: ok }, { when: ">= 10h", level: warning, tell: [lead], action: Act } ] }
  - { indicator: waiting, per: channel, goal: "< 10000000", ranges: [ { when: "< 10000000", level: ok }, { when: ">= 10000000", level: warning, tell: [lead], action: Act } ] }
"#;

/// How an instance is started.
#[derive(Clone, Copy, Default)]
pub struct Manner<'a> {
    pub topic: &'a str,
    pub group: &'a str,
    pub instance: &'a str,
    /// What the program's command line is put behind, such as `taskset`.
    pub before: &'a [&'a str],
    /// Rows over every channel instead of every pair.
    pub of_channels: bool,
}

/// `atalaya run` as it is built for release, over one topic.
pub struct Atalaya {
    child: Child,
    port: u16,
    files: Files,
    /// By the wall clock.
    started: Timestamp,
}

impl Atalaya {
    /// The only instance of its group.
    pub fn start(kafka: &RealKafka, topic: &str, group: &str, before: &[&str]) -> Self {
        Atalaya::start_as(kafka, &Manner { topic, group, instance: group, before, of_channels: false })
    }

    pub fn start_as(kafka: &RealKafka, manner: &Manner<'_>) -> Self {
        let Manner { topic, group, instance, before, of_channels } = *manner;
        let files = Files::new();
        files.write("matrices/bench.yaml", if of_channels { MATRIX_OF_CHANNELS } else { MATRIX });
        let config = files.write(
            "atalaya.yaml",
            &format!(
                "kafka: {{ brokers: [\"{}\"], group: {group}, instance: {instance} }}\n\
                 sources: [ {{ topic: {topic}, format: canonical }} ]\n\
                 windows: [5m, 15m, 1h]\n\
                 matrices: [matrices/]\n\
                 smtp: {{ url: \"smtp://127.0.0.1:9\", tls: none, from: \"Atalaya <atalaya@acme.example>\" }}\n",
                kafka.bootstrap()
            ),
        );
        let mut line: Vec<&str> = before.to_vec();
        line.extend([env!("CARGO_BIN_EXE_atalaya"), "run", "-c"]);
        let (port, started) = (free_port(), Timestamp::now());
        let child = Command::new(line.first().expect("a program"))
            .args(line.iter().skip(1))
            .arg(Path::new(&config))
            .env("ATALAYA_HTTP__LISTEN", format!("127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(files.path("log")).expect("a log"))
            .spawn()
            .expect("it starts");
        Atalaya { child, port, files, started }
    }

    pub fn cpu(&self) -> f64 {
        cpu_of(self.child.id())
    }

    pub fn is_ready(&self) -> bool {
        get(self.port, "/readyz", "*/*").is_some_and(|(status, _)| status == 200)
    }

    pub fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_ready() {
            assert!(self.child.try_wait().expect("a child").is_none(), "it ended by itself");
            assert!(Instant::now() < deadline, "it does not get ready");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Seconds after its start at which the log says this, each time that it does.
    pub fn said(&self, words: &str) -> Vec<f64> {
        let log = std::fs::read_to_string(self.files.path("log")).expect("its log");
        let lines = log.lines().filter(|line| line.contains(words));
        let at = |line: &str| line.split(' ').next().and_then(|time| time.parse::<Timestamp>().ok()).expect("a time");
        lines.map(|line| at(line).duration_since(self.started).as_secs_f64()).collect()
    }

    /// The JSON that an address answers.
    pub fn api(&self, path: &str) -> Value {
        let (_, body) = get(self.port, path, "*/*").unwrap_or_default();
        serde_json::from_str(&body).unwrap_or_default()
    }

    /// What one scrape says of metrics without labels.
    pub fn values<const N: usize>(&self, names: [&str; N]) -> [Option<f64>; N] {
        let metrics = self.metrics();
        names.map(|name| {
            let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            value.and_then(|value| value.parse().ok())
        })
    }

    /// How many records it has taken.
    pub fn taken(&self) -> usize {
        taken(&self.metrics())
    }

    /// How many partitions it reads.
    pub fn partitions(&self) -> usize {
        self.metrics().lines().filter(|line| line.starts_with("atalaya_source_lag_records{")).count()
    }

    pub fn evaluates(&self) -> bool {
        self.values(["atalaya_evaluator"]) == [Some(1.0)]
    }

    /// One scrape.
    pub fn metrics(&self) -> String {
        let (status, body) = get(self.port, "/metrics", "*/*").unwrap_or_default();
        if status == 200 { body } else { String::new() }
    }

    /// Scrapes each second until so many records have been taken.
    pub fn scrape_until_taken(&mut self, events: usize) {
        let deadline = Instant::now() + PATIENCE;
        let mut next = Instant::now();
        while taken(&self.metrics()) < events {
            assert!(self.child.try_wait().expect("a child").is_none(), "it ended by itself");
            assert!(Instant::now() < deadline, "it does not come to the end of the topic");
            next = (next + Duration::from_secs(1)).max(Instant::now());
            std::thread::sleep(next - Instant::now());
        }
    }
}

impl Drop for Atalaya {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Records applied, and those of the very millisecond, which are held until it has passed.
fn taken(metrics: &str) -> usize {
    let mut taken = 0.0;
    for line in metrics.lines().filter(|line| line.starts_with("atalaya_events_total{")) {
        let counts = ["applied", "held"].iter().any(|outcome| line.contains(&format!("outcome=\"{outcome}\"")));
        let value = line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok()).expect("a value");
        assert!(counts || value == 0.0, "a record of the bench counts nothing: {line}");
        taken += value;
    }
    taken as usize
}

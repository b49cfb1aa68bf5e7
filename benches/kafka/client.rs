//! A process that reads the topic, and what the kernel says of its CPU time.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::real::kafka::{RealKafka, free_port};
use crate::real::program::{Files, get};

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

/// `atalaya run` as it is built for release, over one topic.
pub struct Atalaya {
    child: Child,
    port: u16,
    _files: Files,
}

impl Atalaya {
    /// `before` is what the program's command line is put behind, such as `taskset`.
    pub fn start(kafka: &RealKafka, topic: &str, group: &str, before: &[&str]) -> Self {
        let files = Files::new();
        files.write("matrices/bench.yaml", MATRIX);
        let config = files.write(
            "atalaya.yaml",
            &format!(
                "kafka: {{ brokers: [\"{}\"], group: {group}, instance: {group} }}\n\
                 sources: [ {{ topic: {topic}, format: canonical }} ]\n\
                 windows: [5m, 15m, 1h]\n\
                 matrices: [matrices/]\n\
                 smtp: {{ url: \"smtp://127.0.0.1:9\", tls: none, from: \"Atalaya <atalaya@acme.example>\" }}\n",
                kafka.bootstrap()
            ),
        );
        let mut line: Vec<&str> = before.to_vec();
        line.extend([env!("CARGO_BIN_EXE_atalaya"), "run", "-c"]);
        let port = free_port();
        let child = Command::new(line.first().expect("a program"))
            .args(line.iter().skip(1))
            .arg(Path::new(&config))
            .env("ATALAYA_HTTP__LISTEN", format!("127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(files.path("log")).expect("a log"))
            .spawn()
            .expect("it starts");
        Atalaya { child, port, _files: files }
    }

    pub fn cpu(&self) -> f64 {
        cpu_of(self.child.id())
    }

    pub fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while get(self.port, "/readyz", "*/*").is_none_or(|(status, _)| status != 200) {
            assert!(self.child.try_wait().expect("a child").is_none(), "it ended by itself");
            assert!(Instant::now() < deadline, "it does not get ready");
            std::thread::sleep(Duration::from_millis(20));
        }
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

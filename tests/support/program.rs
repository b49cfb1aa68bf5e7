//! The built program as a process of its own, with its files in a folder of the test.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_atalaya");

/// A folder with a configuration, matrices and secrets.
pub struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("matrices")).expect("a folder");
        Files { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file");
        path
    }
}

/// `atalaya` with these arguments, to its end.
pub fn command(arguments: &[&str]) -> Output {
    plain().args(arguments).stdin(Stdio::null()).output().expect("the program runs")
}

/// The same with these variables, ended after half a minute.
pub fn command_with(arguments: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new("timeout");
    command.env_clear().args(["--signal=KILL", "30", BINARY]);
    command.args(arguments).envs(env.iter().copied()).stdin(Stdio::null()).output().expect("the program runs")
}

/// No variable of the outside steers the program.
fn plain() -> Command {
    let mut command = Command::new(BINARY);
    command.env_clear();
    command
}

/// `atalaya run -c FILE`.
pub struct Program {
    child: Child,
    pub port: u16,
    log: PathBuf,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let from = log.char_indices().rev().nth(20_000).map_or(0, |(at, _)| at);
            eprintln!("the end of the log of port {}:\n{}", self.port, &log[from..]);
        }
    }
}

impl Program {
    /// Starts it with `config` and `http.listen` at a free port; all that it prints goes to a file beside the configuration.
    pub fn start(config: &Path, env: &[(&str, &str)]) -> Program {
        Program::start_at(config, env, super::kafka::free_port())
    }

    pub fn start_at(config: &Path, env: &[(&str, &str)], port: u16) -> Program {
        let log = config.with_extension(format!("{port}.log"));
        let out = File::create(&log).expect("a log");
        let child = plain()
            .args(["run", "-c"])
            .arg(config)
            .env("ATALAYA_HTTP__LISTEN", format!("127.0.0.1:{port}"))
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a log"))
            .stderr(out)
            .spawn()
            .expect("the program starts");
        Program { child, port, log }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Status and body; `None` while nobody answers.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        get(self.port, path, "*/*")
    }

    pub fn readyz(&self) -> Option<(u16, Value)> {
        let (status, body) = self.get("/readyz")?;
        Some((status, serde_json::from_str(&body).expect("readyz answers JSON")))
    }

    pub fn is_ready(&self) -> bool {
        self.readyz().is_some_and(|(status, _)| status == 200)
    }

    /// What it says is broken while it works on.
    pub fn degraded(&self) -> Vec<String> {
        self.readyz().map(|(_, report)| texts(&report["degraded"])).unwrap_or_default()
    }

    pub fn reasons(&self) -> Vec<String> {
        self.readyz().map(|(_, report)| texts(&report["reasons"])).unwrap_or_default()
    }

    pub fn api(&self, path: &str) -> Value {
        let (status, body) = self.get(path).expect("an answer");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// Status and body of a JSON object sent there.
    pub fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let about = format!("Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
        let answer = ask(self.port, &format!("POST {path} HTTP/1.0\r\n{about}\r\n\r\n{body}"));
        let (status, body) = answer.expect("an answer");
        (status, serde_json::from_str(&body).expect("JSON"))
    }

    pub fn metrics(&self) -> Metrics {
        let (status, body) = self.get("/metrics").expect("an answer");
        assert_eq!(status, 200, "{body}");
        Metrics::parse(&body)
    }

    pub fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.is_ready() {
            assert!(self.child.try_wait().expect("a child").is_none(), "it ended by itself");
            assert!(Instant::now() < deadline, "not ready: {:?}", self.reasons());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits for its end.
    pub fn ended(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end within {within:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().is_ok_and(|status| status.success()));
    }

    /// SIGTERM; how it ended and how long that took.
    pub fn terminate(&mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        self.signal("TERM");
        (self.ended(Duration::from_secs(30)), began.elapsed())
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
}

/// One request over a connection of its own.
pub fn get(port: u16, path: &str, accept: &str) -> Option<(u16, String)> {
    ask(port, &format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n"))
}

/// HTTP/1.0, so that the answer comes in one piece.
fn ask(port: u16, request: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// The samples of a Prometheus text, by name and sorted labels.
#[derive(Debug)]
pub struct Metrics(BTreeMap<(String, Vec<(String, String)>), f64>);

impl Metrics {
    pub fn parse(text: &str) -> Self {
        let mut samples = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let mut labels: Vec<(String, String)> = labels
                .trim_end_matches('}')
                .split("\",")
                .filter_map(|pair| pair.split_once("=\""))
                .map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned()))
                .collect();
            labels.sort();
            let twice = samples.insert((name.to_owned(), labels), value.parse().expect("a number"));
            assert!(twice.is_none(), "twice: {series}");
        }
        Metrics(samples)
    }

    /// The sample with exactly these labels.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut labels: Vec<_> = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        labels.sort();
        self.0.get(&(name.to_owned(), labels)).copied()
    }

    /// The sum over all samples of a name that have these labels among theirs.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |all: &[(String, String)]| labels.iter().all(|(n, v)| all.iter().any(|(an, av)| an == n && av == v));
        self.0.iter().filter(|((of, all), _)| of == name && has(all)).map(|(_, value)| value).sum()
    }
}

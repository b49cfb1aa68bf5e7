//! Runs the built program over a file of events and reads what it prints.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Deserializer};

use super::figures::name;
use super::settings::Settings;

/// Instant -> name of the record -> value and samples.
pub type Printed = BTreeMap<i64, BTreeMap<String, (Option<f64>, f64)>>;

pub struct Run {
    pub printed: Printed,
    pub stderr: String,
}

/// `Err` is what went wrong, in words: the program failed, or a line is not what the documentation says.
pub fn backtest(lines: &[String], every: &str, settings: &Settings) -> Result<Run, String> {
    backtest_of(lines, every, settings, "all")
}

/// `indicators` is a list of names, separated by commas, or `all`.
pub fn backtest_of(lines: &[String], every: &str, settings: &Settings, indicators: &str) -> Result<Run, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let events = folder.path().join("events.ndjson");
    let mut text = lines.join("\n");
    text.push('\n');
    std::fs::write(&events, text).map_err(|e| e.to_string())?;
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, &settings.text).map_err(|e| e.to_string())?;
    run(&events, every, Some(&config), indicators)
}

pub fn backtest_file(events: &PathBuf, every: &str, config: Option<&PathBuf>) -> Result<Run, String> {
    run(events, every, config, "all")
}

fn run(events: &PathBuf, every: &str, config: Option<&PathBuf>, indicators: &str) -> Result<Run, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
    command.arg("backtest").arg("--events").arg(events);
    command.args(["--indicators", indicators, "--every", every, "--format", "json"]);
    if let Some(config) = config {
        command.arg("-c").arg(config);
    }
    let output = command.output().map_err(|e| format!("the program does not start: {e}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(format!("the program failed ({}): {stderr}", output.status));
    }
    let stdout = String::from_utf8(output.stdout).map_err(|e| format!("not UTF-8: {e}"))?;
    Ok(Run { printed: read(&stdout)?, stderr })
}

/// What records of indicators say, a line each.
pub fn read(stdout: &str) -> Result<Printed, String> {
    let mut printed = Printed::new();
    for line in stdout.lines() {
        let record: Record<'_> =
            serde_json::from_str(line).map_err(|e| format!("no indicator record ({e}): {line}"))?;
        if record.kind != "indicator" {
            return Err(format!("without a matrix there are indicators only: {line}"));
        }
        let Ok(at) = record.time.parse::<jiff::Timestamp>() else { return Err(format!("no time: {line}")) };
        let there =
            printed.entry(at.as_millisecond()).or_default().insert(record.name(), (record.value, record.samples));
        if there.is_some() {
            return Err(format!("printed twice at one instant: {line}"));
        }
    }
    Ok(printed)
}

/// A line as the documentation has it.
#[derive(Deserialize)]
struct Record<'a> {
    kind: &'a str,
    time: &'a str,
    indicator: &'a str,
    #[serde(deserialize_with = "present")]
    value: Option<f64>,
    samples: f64,
    queue: Option<&'a str>,
    channel: Option<&'a str>,
    window: Option<&'a str>,
    clock: Option<&'a str>,
    threshold: Option<&'a str>,
    treatment: Option<&'a str>,
    state: Option<&'a str>,
    stage: Option<&'a str>,
}

/// `null` is a value, but it has to be there.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    Option::deserialize(from)
}

impl Record<'_> {
    fn name(&self) -> String {
        let labels = [
            ("clock", self.clock),
            ("threshold", self.threshold),
            ("treatment", self.treatment),
            ("state", self.state),
            ("stage", self.stage),
        ];
        let labels: Vec<String> =
            labels.iter().filter_map(|(label, value)| value.map(|value| format!("{label}={value}"))).collect();
        name(self.indicator, self.queue, self.channel, self.window.unwrap_or(""), &labels.join(" "))
    }
}

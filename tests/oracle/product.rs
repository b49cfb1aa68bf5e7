//! Runs the built program over a file of events and reads what it prints.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

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
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let events = folder.path().join("events.ndjson");
    let mut text = lines.join("\n");
    text.push('\n');
    std::fs::write(&events, text).map_err(|e| e.to_string())?;
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, &settings.text).map_err(|e| e.to_string())?;
    backtest_file(&events, every, Some(&config))
}

pub fn backtest_file(events: &PathBuf, every: &str, config: Option<&PathBuf>) -> Result<Run, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
    command.arg("backtest").arg("--events").arg(events);
    command.args(["--indicators", "all", "--every", every, "--format", "json"]);
    if let Some(config) = config {
        command.arg("-c").arg(config);
    }
    let output = command.output().map_err(|e| format!("the program does not start: {e}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(format!("the program failed ({}): {stderr}", output.status));
    }
    let stdout = String::from_utf8(output.stdout).map_err(|e| format!("not UTF-8: {e}"))?;
    let mut printed = Printed::new();
    for line in stdout.lines() {
        let record: Value = serde_json::from_str(line).map_err(|e| format!("not JSON ({e}): {line}"))?;
        if record["kind"] != "indicator" {
            return Err(format!("without a matrix there are indicators only: {line}"));
        }
        let (at, name, value, samples) = read(&record).ok_or_else(|| format!("not an indicator record: {line}"))?;
        let there = printed.entry(at).or_default().insert(name.clone(), (value, samples));
        if there.is_some() {
            return Err(format!("printed twice at one instant: {line}"));
        }
    }
    Ok(Run { printed, stderr })
}

type Record = (i64, String, Option<f64>, f64);

fn read(record: &Value) -> Option<Record> {
    let text = |field: &str| record.get(field).and_then(Value::as_str);
    let mut labels = Vec::new();
    for label in ["clock", "threshold", "treatment", "state", "stage"] {
        if let Some(value) = text(label) {
            labels.push(format!("{label}={value}"));
        }
    }
    let at = text("time")?.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    let window = text("window").unwrap_or("");
    let name = name(text("indicator")?, text("queue"), text("channel"), window, &labels.join(" "));
    let value = match record.get("value")? {
        Value::Null => None,
        number => Some(number.as_f64()?),
    };
    Some((at, name, value, record.get("samples")?.as_f64()?))
}

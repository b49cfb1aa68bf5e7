//! The golden scenarios: plain files that say what happens and which figures must come of it. `tests/golden/README.md`
//! describes the notation.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::calendar::at_local;
use super::settings::Settings;

#[derive(Clone, Debug)]
pub struct Scenario {
    pub file: String,
    pub settings: Settings,
    pub every: String,
    /// Time and line, in the order of the file.
    pub events: Vec<(i64, String)>,
    pub expectations: Vec<Expectation>,
}

#[derive(Clone, Debug)]
pub struct Expectation {
    pub at: i64,
    pub name: String,
    pub value: Option<f64>,
    /// How far the value may be off, from the digits after the point as written for ratios `~`, else nothing.
    pub within: f64,
    pub samples: Option<f64>,
    pub line: usize,
}

impl Expectation {
    pub fn is_met(&self, value: Option<f64>, samples: f64) -> bool {
        let value_is_met = match (self.value, value) {
            (None, None) => true,
            (Some(a), Some(b)) => (a - b).abs() <= self.within + 1e-9 * a.abs().max(1.0),
            _ => false,
        };
        value_is_met && self.samples.is_none_or(|expected| (expected - samples).abs() < 1e-9 * expected.abs().max(1.0))
    }
}

impl Scenario {
    /// The indicators that something is expected of: the rest is the business of the random floors.
    pub fn asked(&self) -> String {
        let names: BTreeSet<&str> = self.expectations.iter().filter_map(|e| e.name.split(' ').next()).collect();
        names.into_iter().collect::<Vec<_>>().join(",")
    }

    /// All that had happened before `at`, and a sign of life of the feed just before it, so that a run over it ends there.
    pub fn until(&self, at: i64) -> Vec<(i64, String)> {
        let mut lines: Vec<(i64, String)> = self.events.iter().filter(|(time, _)| *time < at).cloned().collect();
        let heartbeat = json!({"type": "feed.heartbeat", "id": "end-of-recording", "time": at - 1});
        lines.push((at - 1, heartbeat.to_string()));
        lines
    }

    pub fn instants(&self) -> Vec<i64> {
        let mut all: Vec<i64> = self.expectations.iter().map(|e| e.at).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

pub fn read_all(folder: &Path) -> Vec<Scenario> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| read(&path.file_name().unwrap().to_string_lossy(), &std::fs::read_to_string(path).unwrap()))
        .collect()
}

pub fn read(file: &str, text: &str) -> Scenario {
    let mut config = json!({});
    let mut date = String::new();
    let mut every = "1m".to_owned();
    let mut why = false;
    let mut rest = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split(" # ").next().unwrap_or_default().trim();
        match line.split_once(' ').unwrap_or((line, "")) {
            ("", _) => {}
            (word, _) if word.starts_with('#') => {}
            ("why:", _) => why = true,
            ("date:", value) => date = value.trim().to_owned(),
            ("every:", value) => every = value.trim().to_owned(),
            ("config:", value) => {
                config = serde_json::from_str(value).unwrap_or_else(|e| panic!("{file}:{}: {e}", number + 1));
            }
            _ => rest.push((number + 1, line.to_owned())),
        }
    }
    assert!(why, "{file}: a scenario says why it is there (why: ...)");
    assert!(!date.is_empty(), "{file}: no date");
    let settings = Settings::from_json(&config);
    let mut scenario =
        Scenario { file: file.to_owned(), settings, every, events: Vec::new(), expectations: Vec::new() };
    for (number, line) in rest {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[0] {
            "expect" => scenario.expect(number, &date, &words[1..]),
            "many" => scenario.many(number, &date, &line),
            _ => scenario.event(number, &date, &words, None),
        }
    }
    assert!(!scenario.expectations.is_empty(), "{file}: nothing is expected");
    scenario
}

impl Scenario {
    /// `10:00:00 c1 arrived channel=voice queue=ventas`
    fn event(&mut self, number: usize, date: &str, words: &[&str], at: Option<i64>) {
        let at = at.unwrap_or_else(|| at_local(date, words[0], &self.settings));
        let who = words[1];
        let mut fields = Map::new();
        fields.insert("id".into(), json!(format!("{}:{number}:{who}", self.file)));
        fields.insert("time".into(), json!(at));
        if words[2] == "state" {
            fields.insert("type".into(), json!("agent.state"));
            fields.insert("agent".into(), json!(who));
            fields.insert("state".into(), json!(words[3]));
        } else {
            fields.insert("type".into(), json!(format!("interaction.{}", words[2])));
            fields.insert("interaction".into(), json!(who));
        }
        let from = if words[2] == "state" { 4 } else { 3 };
        for word in &words[from..] {
            let (field, value) = word.split_once('=').unwrap_or_else(|| panic!("{}:{number}: {word}", self.file));
            // Whatever reads as JSON is that; the rest is text.
            let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
            fields.insert(field.to_owned(), value);
        }
        self.events.push((at, Value::Object(fields).to_string()));
    }

    /// `many 860 met from 10:00:00 each 1s: +0s arrived channel=voice queue=q | +15s assigned agent=a1`
    fn many(&mut self, number: usize, date: &str, line: &str) {
        let (head, steps) = line.split_once(": ").unwrap_or_else(|| panic!("{}:{number}: no steps", self.file));
        let head: Vec<&str> = head.split_whitespace().collect();
        let (count, prefix) = (head[1].parse::<i64>().unwrap(), head[2]);
        let start = at_local(date, head[4], &self.settings);
        let each = super::settings::duration(head[6]);
        for i in 0..count {
            let who = format!("{prefix}{i}");
            for (n, step) in steps.split('|').enumerate() {
                let words: Vec<&str> = step.split_whitespace().collect();
                let offset = super::settings::duration(words[0].trim_start_matches('+'));
                let event: Vec<&str> = ["", who.as_str()].into_iter().chain(words[1..].iter().copied()).collect();
                self.event(number * 100 + n, date, &event, Some(start + i * each + offset));
            }
        }
    }

    /// `10:01:00 ventas/voice 15m asa = 20 (1)`, `10:01:00 */voice - waiting = 0`, `... service_level treatment=offered ~ 0.811 (1060)`
    fn expect(&mut self, number: usize, date: &str, words: &[&str]) {
        let sign =
            words.iter().position(|w| *w == "=" || *w == "~").unwrap_or_else(|| panic!("{}:{number}", self.file));
        let name = |start: usize| {
            let (queue, channel) = words[1].split_once('/').unwrap();
            let queue = Some(queue).filter(|q| *q != "*");
            let channel = Some(channel).filter(|c| *c != "*");
            let window = if words[2] == "-" { "" } else { words[2] };
            super::figures::name(words[3], queue, channel, window, &words[start..sign].join(" "))
        };
        let text = words[sign + 1];
        let digits = text.split_once('.').map_or(0, |(_, digits)| digits.len() as i32);
        self.expectations.push(Expectation {
            at: at_local(date, words[0], &self.settings),
            name: name(4),
            value: (text != "null").then(|| text.parse().unwrap_or_else(|_| panic!("{}:{number}: {text}", self.file))),
            within: if words[sign] == "~" { 0.5 * 10f64.powi(-digits) } else { 0.0 },
            samples: words.get(sign + 2).map(|s| s.trim_matches(['(', ')']).parse().unwrap()),
            line: number,
        });
    }
}

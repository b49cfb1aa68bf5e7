//! The settings that decide what is counted, read from the same text that the product reads, by code of its own.

use std::collections::BTreeMap;

use serde_json::Value;

#[derive(Clone, Debug)]
pub struct Settings {
    pub zone: String,
    pub interval: i64,
    pub short_abandon: i64,
    pub agent_timeout: i64,
    pub lateness: i64,
    pub windows: Vec<(String, i64)>,
    /// Names of states beside the five classes, which map to themselves.
    pub states: BTreeMap<String, String>,
    pub holidays: Vec<String>,
    channels: Value,
    /// What the product gets as its configuration file (JSON is YAML too).
    pub text: String,
}

/// What the documentation says of a channel, with its defaults filled in.
#[derive(Clone, Debug)]
pub struct Channel {
    pub answered_by_reply: bool,
    pub thresholds: Vec<(String, i64)>,
    pub idle_close: i64,
    pub give_up: i64,
    pub handling_elapsed: bool,
    pub open_clock: bool,
    /// `mon-fri` style keys with their ranges, as written.
    pub hours: Option<Value>,
}

pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 3_600_000;
pub const DAY: i64 = 86_400_000;

/// `1h30m`, `90s`, `1500ms`.
pub fn duration(text: &str) -> i64 {
    let mut total = 0;
    let mut number = String::new();
    let mut unit = String::new();
    let scale = |unit: &str| match unit {
        "ms" => 1,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        _ => panic!("no unit of time: {text}"),
    };
    for c in text.chars() {
        if c.is_ascii_digit() {
            if !unit.is_empty() {
                total += number.parse::<i64>().unwrap() * scale(&unit);
                number.clear();
                unit.clear();
            }
            number.push(c);
        } else {
            unit.push(c);
        }
    }
    total + number.parse::<i64>().unwrap() * scale(&unit)
}

impl Settings {
    pub fn from_json(value: &Value) -> Settings {
        let text_of = |name: &str, default: &str| value[name].as_str().unwrap_or(default).to_owned();
        let windows: Vec<String> = match value["windows"].as_array() {
            Some(list) => list.iter().map(|w| w.as_str().unwrap().to_owned()).collect(),
            None => ["5m", "15m", "30m", "1h", "24h"].map(str::to_owned).to_vec(),
        };
        let states = value["agent_states"].as_object().cloned().unwrap_or_default();
        Settings {
            zone: text_of("time_zone", "UTC"),
            interval: duration(&text_of("interval", "30m")),
            short_abandon: duration(&text_of("short_abandon", "5s")),
            agent_timeout: duration(&text_of("agent_timeout", "12h")),
            lateness: duration(&text_of("lateness", "24h")),
            windows: windows.into_iter().map(|w| (w.clone(), duration(&w))).collect(),
            states: states.into_iter().map(|(name, class)| (name, class.as_str().unwrap().to_owned())).collect(),
            holidays: value["holidays"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|d| d.as_str().unwrap().to_owned())
                .collect(),
            channels: value["channels"].clone(),
            text: serde_json::to_string_pretty(value).unwrap(),
        }
    }

    /// Whether any channel keeps the desk's clock.
    pub fn open_clock(&self) -> bool {
        let channels = self.channels.as_object();
        channels.is_some_and(|channels| channels.keys().any(|name| self.channel(Some(name)).open_clock))
    }

    pub fn plain() -> Settings {
        Settings::from_json(&serde_json::json!({}))
    }

    pub fn zone(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::get(&self.zone).unwrap()
    }

    pub fn channel(&self, name: Option<&str>) -> Channel {
        let name = name.unwrap_or("");
        let set = &self.channels[name];
        let voice = name == "voice" || name == "phone";
        let chat = name == "chat" || name == "webchat";
        let thresholds: Vec<String> = match set["service_level"].as_array() {
            // A channel that nobody named lists no threshold.
            None if name.is_empty() => vec![],
            Some(list) => list.iter().map(|t| t.as_str().unwrap().to_owned()).collect(),
            None if voice => vec!["20s".into()],
            None if chat => vec!["60s".into()],
            None if name == "email" => vec!["24h".into()],
            None => vec!["30m".into(), "24h".into()],
        };
        let pick = |field: &str, live: &str, other: &str| {
            duration(set[field].as_str().unwrap_or(if voice || chat { live } else { other }))
        };
        Channel {
            answered_by_reply: match set["answer_on"].as_str() {
                Some(event) => event == "replied",
                None => !voice,
            },
            thresholds: thresholds.into_iter().map(|t| (t.clone(), duration(&t))).collect(),
            idle_close: pick("idle_close", "4h", "72h"),
            give_up: pick("give_up", "24h", "30d"),
            handling_elapsed: set["handling"].as_str() == Some("elapsed"),
            open_clock: set["clocks"].as_array().is_some_and(|list| list.iter().any(|c| c == "open")),
            hours: set.get("hours").cloned(),
        }
    }
}

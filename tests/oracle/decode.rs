//! A line of NDJSON as an event: a few lines of their own, so that a defect of the product's decoder shows.

use serde_json::Value;

use super::settings::Settings;

#[derive(Clone, Debug)]
pub struct Event {
    pub id: String,
    pub time: i64,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    Interaction { interaction: String, step: Step },
    Agent(Snapshot),
    Heartbeat,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Arrived { channel: String, queue: Option<String> },
    Queued { queue: String, channel: String },
    Transferred { queue: String, channel: Option<String> },
    Assigned { agent: String },
    Replied { automatic: bool },
    CustomerMessage,
    Parked,
    Resumed,
    Wrapup,
    Abandoned,
    Closed { resolved: bool },
    Reopened { by_customer: bool },
    Rated,
    Evaluated,
}

#[derive(Clone, Debug)]
pub struct Snapshot {
    pub agent: String,
    pub class: String,
    /// The platform's own name of the state, where it is not that of a class.
    pub own: Option<String>,
    pub queues: Option<Vec<Entry>>,
    pub channels: Option<Vec<String>>,
    pub slots: Option<i64>,
    pub busy: Option<i64>,
}

#[derive(Clone, Debug)]
pub enum Entry {
    Name(String),
    Pair { queue: String, channel: String, busy: Option<i64>, slots: Option<i64> },
}

/// The order of the life cycle, which decides between events of one time.
pub fn rank(step: &Step) -> usize {
    match step {
        Step::Arrived { .. } => 0,
        Step::Queued { .. } => 1,
        Step::Transferred { .. } => 2,
        Step::Assigned { .. } => 3,
        Step::Replied { .. } => 4,
        Step::CustomerMessage => 5,
        Step::Parked => 6,
        Step::Resumed => 7,
        Step::Wrapup => 8,
        Step::Abandoned => 9,
        Step::Closed { .. } => 10,
        Step::Reopened { .. } => 11,
        Step::Rated => 12,
        Step::Evaluated => 13,
    }
}

pub fn time(value: &Value) -> Option<i64> {
    match value {
        Value::Number(n) => n.as_i64(),
        Value::String(text) => Some(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()),
        _ => None,
    }
}

fn text(value: &Value, field: &str) -> Option<String> {
    value[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// `None` for whatever is a bad record or not ours: it changes nothing, and does not move virtual time either (CHOICE:
/// an ignored `type` does not move it).
pub fn decode(line: &str, settings: &Settings) -> Option<Event> {
    let value: Value = serde_json::from_str(line).ok()?;
    let kind = text(&value, "type")?;
    let time = time(&value["time"])?;
    // CHOICE: "a hash of the content" takes two records for one where their bytes are equal.
    let id = text(&value, "id").unwrap_or_else(|| line.trim().to_owned());
    if kind == "feed.heartbeat" {
        return Some(Event { id, time, what: What::Heartbeat });
    }
    if kind == "agent.state" {
        return Some(Event { id, time, what: What::Agent(snapshot(&value, settings)?) });
    }
    let flag = |field: &str| value[field].as_bool().unwrap_or(false);
    let step = match kind.strip_prefix("interaction.")? {
        "arrived" => Step::Arrived { channel: text(&value, "channel")?, queue: text(&value, "queue") },
        "queued" => Step::Queued { queue: text(&value, "queue")?, channel: text(&value, "channel")? },
        "transferred" => Step::Transferred { queue: text(&value, "queue")?, channel: text(&value, "channel") },
        "assigned" => Step::Assigned { agent: text(&value, "agent")? },
        "replied" => {
            text(&value, "agent")?;
            Step::Replied { automatic: flag("automatic") }
        }
        "customer_message" => Step::CustomerMessage,
        "parked" => Step::Parked,
        "resumed" => Step::Resumed,
        "wrapup" => Step::Wrapup,
        "abandoned" => Step::Abandoned,
        "closed" => {
            let outcome = text(&value, "outcome")?;
            let known = ["resolved", "unresolved", "deflected", "auto_answered", "observed", "callback", "spam"];
            if !known.contains(&outcome.as_str()) {
                return None;
            }
            Step::Closed { resolved: outcome == "resolved" }
        }
        "reopened" => Step::Reopened { by_customer: value["by"].as_str().unwrap_or("customer") == "customer" },
        "rated" => Step::Rated,
        "evaluated" => Step::Evaluated,
        _ => return None,
    };
    Some(Event { id, time, what: What::Interaction { interaction: text(&value, "interaction")?, step } })
}

fn snapshot(value: &Value, settings: &Settings) -> Option<Snapshot> {
    let state = text(value, "state")?;
    let own = Some(state.clone()).filter(|state| settings.states.contains_key(state));
    let class = match state.as_str() {
        "available" | "handling" | "wrapup" | "unproductive" | "offline" => state,
        other => settings.states.get(other)?.clone(),
    };
    let names = |list: &Value| -> Option<Vec<String>> {
        Some(list.as_array()?.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
    };
    let entries = value["queues"].as_array().map(|list| {
        let entry = |entry: &Value| match entry {
            Value::String(name) => Some(Entry::Name(name.clone())),
            object => Some(Entry::Pair {
                queue: text(object, "queue")?,
                channel: text(object, "channel")?,
                busy: object["busy"].as_i64(),
                slots: object["slots"].as_i64(),
            }),
        };
        list.iter().filter_map(entry).collect()
    });
    Some(Snapshot {
        agent: text(value, "agent")?,
        class,
        own,
        queues: entries,
        channels: names(&value["channels"]),
        slots: value["slots"].as_i64(),
        busy: value["busy"].as_i64(),
    })
}

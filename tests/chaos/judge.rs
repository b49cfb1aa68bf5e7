//! Whether nothing was lost and nothing came twice: the figures of every instance, every notice, every dead letter.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::probe;
use crate::support::kafka::{Consumed, RealKafka};
use crate::support::program::Program;
use crate::support::receiver::Receiver;
use crate::traffic::{AGENTS, ALARMS, EVENTS, Figures, QUEUES, REFUSED};

const INDICATORS: [&str; 8] =
    ["arrivals", "queued", "answered", "abandoned", "closed", "closed_unanswered", "asa", "aht"];
const STATES: [&str; 2] = ["available", "handling"];

/// Queue, channel and indicator: what an instance shows over a day. Means are sums of milliseconds again.
fn shown(program: &Program) -> Option<BTreeMap<(String, String, String), i64>> {
    let (200, body) = program.get("/api/v1/indicators?window=24h")? else { return None };
    let answer: Value = serde_json::from_str(&body).ok()?;
    let text = |record: &Value, name: &str| record[name].as_str().unwrap_or("*").to_owned();
    let mut all = BTreeMap::new();
    for record in answer["indicators"].as_array()? {
        let (name, value) = (text(record, "indicator"), record["value"].as_f64());
        let (name, value) = match (name.as_str(), value) {
            ("asa" | "aht", Some(mean)) => {
                let samples = record["samples"].as_f64().unwrap_or(0.0);
                (name, (mean * samples * 1000.0).round() as i64)
            }
            ("state_time", Some(seconds)) => (text(record, "state"), (seconds * 1000.0).round() as i64),
            (_, value) => (name, value.unwrap_or(0.0) as i64),
        };
        all.insert((text(record, "queue"), text(record, "channel"), name), value);
    }
    Some(all)
}

/// How the figures that an instance shows differ from those of the producers; empty: they do not.
pub fn differences(program: &Program, figures: &Figures) -> Vec<String> {
    let Some(shown) = shown(program) else { return vec!["no answer".to_owned()] };
    let queues = (0..QUEUES).map(|number| format!("q{number}"));
    let queues = queues.chain((0..ALARMS).map(|number| format!("alarm-{number}")));
    let queues: Vec<String> = queues.chain([probe::QUEUE.to_owned()]).collect();
    let expected = |queue: &str, name: &'static str| match queue {
        "*" => queues.iter().filter_map(|queue| figures.get(&(queue.clone(), name))).sum(),
        _ => figures.get(&(queue.to_owned(), name)).copied().unwrap_or(0),
    };
    let mut differences = Vec::new();
    for queue in queues.iter().map(String::as_str).chain(["*"]) {
        for channel in ["voice", "*"] {
            for name in INDICATORS.into_iter().chain(STATES).chain(["waiting", "backlog"]) {
                let wanted: i64 = expected(queue, name);
                let key = (queue.to_owned(), channel.to_owned(), name.to_owned());
                let is = shown.get(&key).copied().unwrap_or(0);
                if is != wanted {
                    differences.push(format!("{queue} {channel} {name}: {is} instead of {wanted}"));
                }
            }
        }
    }
    differences
}

/// The records that are to be refused, by topic, partition and offset.
#[derive(Default)]
pub struct Refused {
    records: BTreeMap<String, Consumed>,
    /// By topic and partition the offset up to which the sources have been read.
    read: BTreeMap<&'static str, BTreeMap<i32, i64>>,
}

impl Refused {
    fn read(&mut self, kafka: &RealKafka) {
        for topic in [EVENTS, AGENTS] {
            let read = self.read.entry(topic).or_default();
            for record in kafka.consume_from(topic, read) {
                read.insert(record.partition, record.offset + 1);
                if record.headers.contains_key(REFUSED) {
                    self.records.insert(format!("{topic} {} {}", record.partition, record.offset), record);
                }
            }
        }
    }
}

/// What is wrong with the dead letters: they are the records that are to be refused, with their reasons, keys and bytes. One may
/// be there more than once: who is killed between reading and telling reads it again.
pub fn dead_letters(kafka: &RealKafka, refused: &mut Refused) -> Vec<String> {
    refused.read(kafka);
    let expected = &refused.records;
    let mut left: BTreeMap<&String, &Consumed> = expected.iter().collect();
    let mut wrong = Vec::new();
    for letter in kafka.consume_all("atalaya.dead-letters") {
        let header = |name: &str| letter.headers.get(name).map_or("", String::as_str);
        let (place, reason) = (["topic", "partition", "offset"].map(header).join(" "), header("reason"));
        left.remove(&place);
        match expected.get(&place) {
            None => wrong.push(format!("{place} was refused as {reason}: {}", beginning(&letter))),
            Some(record) => {
                if record.headers[REFUSED] != reason {
                    wrong.push(format!(
                        "{place} was refused as {reason}, not {}: {}",
                        record.headers[REFUSED],
                        beginning(record)
                    ));
                }
                if (&record.key, &record.payload) != (&letter.key, &letter.payload) {
                    wrong.push(format!(
                        "{place} is not what was refused: {} of {}",
                        beginning(&letter),
                        beginning(record)
                    ));
                }
            }
        }
    }
    let lost = |(place, record): (&&String, &&Consumed)| {
        format!("{place} was not refused as {}: {}", record.headers[REFUSED], beginning(record))
    };
    wrong.extend(left.iter().map(lost));
    if wrong.is_empty() {
        let reasons: BTreeSet<&String> = expected.values().map(|record| &record.headers[REFUSED]).collect();
        println!("{} records were refused for {} reasons", expected.len(), reasons.len());
    }
    wrong
}

fn beginning(record: &Consumed) -> String {
    let text = |bytes: &Option<Vec<u8>>| match bytes {
        None => "nothing".to_owned(),
        Some(bytes) => format!("{:?}", String::from_utf8_lossy(bytes.get(..200).unwrap_or(bytes))),
    };
    format!("key {}, {}", text(&record.key), text(&record.payload))
}

pub fn shows_indicators(program: &Program) -> bool {
    program.get("/metrics").is_some_and(|(_, body)| body.lines().any(|line| line.starts_with("atalaya_arrivals{")))
}

/// How many notices came more than once, under the same name.
pub fn repeats(receiver: &Receiver) -> usize {
    let taken = receiver.taken();
    let names: BTreeSet<&str> = taken.iter().map(|request| request.header("webhook-id")).collect();
    taken.len() - names.len()
}

/// What is wrong with what was told; `incidents`: how many there were, by queue.
pub fn notices(receiver: &Receiver, incidents: &BTreeMap<String, usize>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut bodies: BTreeMap<String, (String, Value)> = BTreeMap::new();
    let mut sequences: BTreeMap<(String, String, String), String> = BTreeMap::new();
    // By contact and incident, in the order of their sequence: queue, level and reason.
    type Course = BTreeMap<i64, (String, String, String)>;
    let mut courses: BTreeMap<(String, String), Course> = BTreeMap::new();
    let mut spans: BTreeMap<String, BTreeMap<String, (String, Option<String>)>> = BTreeMap::new();
    for request in receiver.taken() {
        let (id, data) = (request.header("webhook-id").to_owned(), request.json()["data"].clone());
        let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        let key = (request.path.clone(), text("incident"), data["sequence"].to_string());
        let seen = sequences.entry(key.clone()).or_insert_with(|| id.clone());
        if *seen != id {
            wrong.push(format!("told twice under two names, {seen} and {id}: {data}"));
        }
        let (_, first) = bodies.entry(id.clone()).or_insert_with(|| (request.path.clone(), data.clone()));
        for name in ["incident", "sequence", "level", "reason", "queue"] {
            if first[name] != data[name] {
                wrong.push(format!("two notices under one name {id}: {first} and {data}"));
            }
        }
        let course = courses.entry((request.path.clone(), text("incident"))).or_default();
        course.insert(data["sequence"].as_i64().unwrap_or(-1), (text("queue"), text("level"), text("reason")));
        let transition = text("time");
        let span = spans.entry(text("queue")).or_default().entry(text("incident"));
        let span = span.or_insert_with(|| (transition.clone(), None));
        match text("level").as_str() {
            "ok" => span.1 = Some(transition),
            _ => span.0 = span.0.clone().min(transition),
        }
    }
    for ((to, incident), course) in &courses {
        let reasons: Vec<&str> = course.values().map(|(_, _, reason)| reason.as_str()).collect();
        let fine = match to.as_str() {
            "/desk" => reasons == ["range", "recovered"],
            _ => reasons == ["escalation", "recovered"],
        };
        if !fine {
            wrong.push(format!("{to} was told of {incident}: {course:?}"));
        }
    }
    for (queue, count) in incidents {
        let told: BTreeSet<_> = spans.get(queue).into_iter().flatten().map(|(incident, _)| incident).collect();
        if told.len() != *count {
            wrong.push(format!("{queue}: {} incidents instead of {count}: {:?}", told.len(), spans.get(queue)));
        }
    }
    for (queue, of) in &spans {
        let mut of: Vec<_> = of.iter().collect();
        of.sort_by(|a, b| a.1.0.cmp(&b.1.0));
        for pair in of.windows(2) {
            if pair[0].1.1.as_ref().is_none_or(|end| *end > pair[1].1.0) {
                wrong.push(format!("{queue}: two incidents at once: {pair:?}"));
            }
        }
    }
    wrong
}

//! How long it takes from an event until the number that it makes is shown.

use std::thread::sleep;
use std::time::{Duration, Instant};

use atalaya::clock;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};

use crate::support::program::Program;
use crate::traffic::EVENTS;

pub const QUEUE: &str = "probe";
const EVERY: Duration = Duration::from_millis(50);
const AT_MOST: Duration = Duration::from_secs(60);

/// Interactions one after the other that wait in a queue of their own: how many wait says which of them are seen.
pub struct Probes {
    producer: BaseProducer,
    written: usize,
}

/// How long each took, in order of length.
pub struct Delays(Vec<Duration>);

impl Delays {
    /// The ceil(q n)-th smallest.
    pub fn quantile(&self, per_cent: usize) -> Duration {
        let rank = (self.0.len() * per_cent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().expect("there were probes")
    }

    pub fn print(&self, when: &str) {
        let [p50, p99, most] = [50, 99, 100].map(|per_cent| self.quantile(per_cent));
        println!("from event to number {when}: p50 {p50:.2?}, p99 {p99:.2?}, at most {most:.2?} of {}", self.0.len());
    }
}

impl Probes {
    pub fn new(client: &rdkafka::ClientConfig) -> Self {
        let producer = client.clone().set("enable.idempotence", "true").set("linger.ms", "0").create();
        Probes { producer: producer.expect("a producer"), written: 0 }
    }

    fn write(&self, kind: &str, number: usize) {
        let id = format!("{QUEUE}-{number}");
        let event = json!({
            "type": format!("interaction.{kind}"), "id": format!("{id}-{kind}"), "interaction": id, "time": clock::now().0,
            "queue": QUEUE, "channel": "voice", "outcome": "resolved",
        });
        let payload = event.to_string();
        let record = BaseRecord::to(EVENTS).key(&id).payload(&payload);
        self.producer.send(record).map_err(|(error, _)| error).expect("a probe is written");
    }

    /// Writes them for so long, whether or not those before are seen, and waits for all of them.
    pub fn measure(&mut self, program: &Program, lasts: Duration) -> Delays {
        let began = Instant::now();
        let (mut waiting, mut delays) = (std::collections::VecDeque::new(), Vec::new());
        let mut next = began;
        while began.elapsed() < lasts || !waiting.is_empty() {
            let now = Instant::now();
            if now >= next && began.elapsed() < lasts {
                next += EVERY;
                waiting.push_back((self.written, now));
                self.write("arrived", self.written);
                self.write("queued", self.written);
                self.written += 1;
            }
            self.producer.poll(Duration::ZERO);
            let seen = seen(program);
            while let Some((_, since)) = waiting.pop_front_if(|(number, _)| *number < seen) {
                delays.push(since.elapsed());
            }
            let oldest = waiting.front().map_or(Duration::ZERO, |(_, since)| since.elapsed());
            assert!(oldest < AT_MOST, "{} probes are not seen, one of them for {oldest:?}", waiting.len());
            sleep(Duration::from_millis(10));
        }
        delays.sort();
        Delays(delays)
    }

    /// Ends them all; how many there were.
    pub fn close(self) -> i64 {
        (0..self.written).for_each(|number| self.write("closed", number));
        self.producer.flush(AT_MOST).expect("all is written");
        self.written as i64
    }
}

/// How many of them an instance shows.
fn seen(program: &Program) -> usize {
    let path = format!("/api/v1/indicators?indicator=waiting&queue={QUEUE}&channel=voice");
    let Some((200, body)) = program.get(&path) else { return 0 };
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    let values = answer["indicators"].as_array().expect("a list").iter();
    values.filter_map(|record| record["value"].as_u64()).max().unwrap_or(0) as usize
}

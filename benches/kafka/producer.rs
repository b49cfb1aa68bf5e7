//! Writes the benches' events to a topic, from a process of its own.
//!
//! The key is the pair of queue and channel, and every event carries both: Atalaya needs neither, but it spares the peers
//! a join and a topic of their own to sort the events by pair.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::Topic;
use crate::client::{Helper, PATIENCE};
use crate::real::kafka::{RealKafka, client};
use crate::support::load::{Load, STAGES};
use crate::support::scaled;

pub const PARTITIONS: i32 = 4;

/// Events a second of event time in a topic that is written at once.
const HISTORY_PER_SECOND: i64 = 5_000;

pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

fn load(pairs: usize) -> Load {
    Load { pairs, open: 10_000, plain: true, ..Load::default() }
}

/// A topic of events of the last minutes, written before anybody reads it.
pub fn history(kafka: &RealKafka) -> Topic {
    let topic = Topic { name: "bench.history".to_owned(), events: scaled(1_500_000) };
    kafka.create_topic(&topic.name, PARTITIONS);
    write(kafka, &topic, 1_000, "history").ended();
    topic
}

/// Panes of ten seconds that `state` fills of every pair, each with one event.
pub const PANES: usize = 90;
/// Interactions of a pair in `state` that are over, five events each, and those that stay open, of at most three.
const OVER: usize = 11;
pub const STAY_OPEN: usize = 12;
const STAGES_OPEN: usize = 3;

/// Interactions that `filled` opens before it goes on at its pace; then it says `filled`.
pub const FILLED: usize = 100_000;

/// Starts to write:
///
/// | pace | |
/// |---|---|
/// | `0`, `50000` | events of now, as fast as it goes, or so many a second |
/// | `filled:2000` | the same, after [`FILLED`] interactions were opened |
/// | `history`, `history:50000` | events of the last minutes: the same at every writing, but for their day |
/// | `state` | one event in each of [`PANES`] panes of every pair |
pub fn write(kafka: &RealKafka, topic: &Topic, pairs: usize, pace: &str) -> Helper {
    let (events, pairs) = (topic.events.to_string(), pairs.to_string());
    Helper::start(&["produce", &kafka.bootstrap(), &topic.name, &events, &pairs, pace])
}

/// The other process's part.
pub fn run(arguments: &[&str]) {
    let [broker, topic, events, pairs, pace] = *arguments else { panic!("five arguments, not {arguments:?}") };
    let (events, load): (usize, Load) = (events.parse().unwrap(), load(pairs.parse().unwrap()));
    let producer: BaseProducer = client(broker)
        .set("linger.ms", "5")
        .set("queue.buffering.max.messages", "200000")
        .create()
        .expect("a producer");
    let (manner, per_second) = pace.split_once(':').unwrap_or(match pace {
        "history" | "state" => (pace, "0"),
        _ => ("now", pace),
    });
    let mut pace = Pace::new(per_second.parse().unwrap());
    match manner {
        "history" => {
            let start = now() - events as i64 * 1000 / HISTORY_PER_SECOND;
            let load = Load { start, per_second: HISTORY_PER_SECOND, ..load };
            let time = move |index: usize| start + index as i64 * 1000 / HISTORY_PER_SECOND;
            for (index, line) in load.events(events).enumerate() {
                send(&producer, topic, line.pair, &line.bytes, time(index));
                pace.keep(&producer);
            }
        }
        "state" => state(&producer, topic, load.pairs),
        "filled" => {
            let load = Load { open: FILLED, ..load };
            let fill = load.fill();
            let start = now() - fill as i64 * 1000 / HISTORY_PER_SECOND;
            let time = move |index: usize| {
                if index < fill { start + index as i64 * 1000 / HISTORY_PER_SECOND } else { now() }
            };
            for (index, line) in load.timed_events(events, |index, _| time(index)).enumerate() {
                send(&producer, topic, line.pair, &line.bytes, time(index));
                if index + 1 == fill {
                    producer.flush(PATIENCE).expect("all written");
                    println!("filled");
                    pace = Pace::new(pace.per_second);
                } else if index >= fill {
                    pace.keep(&producer);
                }
            }
        }
        _ => {
            for line in load.timed_events(events, |_, _| now()) {
                send(&producer, topic, line.pair, &line.bytes, now());
                pace.keep(&producer);
            }
        }
    }
    producer.flush(PATIENCE).expect("all written");
}

/// So many events a second, or as many as it goes where it is none.
struct Pace {
    per_second: u32,
    begun: Instant,
    sent: u32,
}

impl Pace {
    fn new(per_second: u32) -> Self {
        Pace { per_second, begun: Instant::now(), sent: 0 }
    }

    /// One more was sent: waits where that was early.
    fn keep(&mut self, producer: &BaseProducer) {
        self.sent += 1;
        if self.per_second > 0 && self.sent.is_multiple_of(50) {
            let due = self.begun + Duration::from_secs(1) * (self.sent - 1) / self.per_second;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            producer.poll(Duration::ZERO);
        }
    }
}

/// Every pair has something in each of the last panes that have ended, and so has every key.
fn state(producer: &BaseProducer, topic: &str, pairs: usize) {
    const PANE_MS: i64 = 10_000;
    let load = Load { bytes: 0, ..Load::default() };
    let start = now() / PANE_MS * PANE_MS - PANES as i64 * PANE_MS;
    for pane in 0..PANES {
        let (interaction, stage) = match pane.checked_sub(OVER * STAGES) {
            None => (pane / STAGES, pane % STAGES),
            Some(pane) => (OVER + pane / STAGES_OPEN, pane % STAGES_OPEN),
        };
        for pair in 0..pairs {
            let time = start + pane as i64 * PANE_MS + pair as i64 * PANE_MS / pairs as i64;
            let line = load.line(stage, pair * (OVER + STAY_OPEN) + interaction, pair, time);
            send(producer, topic, pair, line.as_bytes(), time);
        }
    }
}

fn send(producer: &BaseProducer, topic: &str, pair: usize, payload: &[u8], time: i64) {
    let key = pair.to_string();
    let mut record = BaseRecord::to(topic).key(&key).payload(payload).timestamp(time);
    while let Err((error, back)) = producer.send(record) {
        assert_eq!(error.rdkafka_error_code(), Some(rdkafka::types::RDKafkaErrorCode::QueueFull), "{error}");
        record = back;
        producer.poll(Duration::from_millis(5));
    }
}

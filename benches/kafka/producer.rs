//! Writes the benches' events to a topic, from a process of its own.
//!
//! The key is the pair of queue and channel, and every event carries both: Atalaya needs neither, but it spares the peers
//! a join and a topic of their own to sort the events by pair.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::Topic;
use crate::client::{Helper, PATIENCE};
use crate::real::kafka::{RealKafka, client};
use crate::support::load::Load;
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

/// Starts to write: as fast as it goes (`0`), so many events a second, or `history`.
pub fn write(kafka: &RealKafka, topic: &Topic, pairs: usize, pace: &str) -> Helper {
    let (events, pairs) = (topic.events.to_string(), pairs.to_string());
    Helper::start(&["produce", &kafka.bootstrap(), &topic.name, &events, &pairs, pace])
}

/// The other process's part.
pub fn run(arguments: &[&str]) {
    let [broker, topic, events, pairs, pace] = *arguments else { panic!("five arguments, not {arguments:?}") };
    let (events, load) = (events.parse().unwrap(), load(pairs.parse().unwrap()));
    let producer: BaseProducer = client(broker)
        .set("linger.ms", "5")
        .set("queue.buffering.max.messages", "200000")
        .create()
        .expect("a producer");
    if pace == "history" {
        let start = now() - events as i64 * 1000 / HISTORY_PER_SECOND;
        let load = Load { start, per_second: HISTORY_PER_SECOND, ..load };
        let time = move |index: usize| start + index as i64 * 1000 / HISTORY_PER_SECOND;
        for (index, line) in load.events(events).enumerate() {
            send(&producer, topic, line.pair, &line.bytes, time(index));
        }
    } else {
        let per_second: u32 = pace.parse().unwrap();
        let begun = Instant::now();
        for (index, line) in load.timed_events(events, |_, _| now()).enumerate() {
            send(&producer, topic, line.pair, &line.bytes, now());
            if per_second > 0 && index % 50 == 49 {
                let due = begun + Duration::from_secs(1) * index as u32 / per_second;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                producer.poll(Duration::ZERO);
            }
        }
    }
    producer.flush(PATIENCE).expect("all written");
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

//! How many bytes the program writes to Kafka for those that it reads there, as they lie on the broker's disk.
//!
//! The broker is one of its own that compacts nothing meanwhile, so that all that is written is counted.

use std::time::Duration;

use atalaya::config::Kafka;

use crate::Topic;
use crate::client::{Atalaya, until};
use crate::producer::{PARTITIONS, write};
use crate::real::kafka::RealKafka;
use crate::support::{figure, figure_with_goal, scaled, timed};

const PER_SECOND: usize = 50_000;
const PAIRS: usize = 1_000;
/// The board is kept once a minute.
const SECONDS: usize = 130;

pub fn measure() {
    let kafka = RealKafka::start_with(|_| vec!["log.cleaner.backoff.ms=86400000".to_owned()]);
    let Some(kafka) = kafka else { return };
    let topic = Topic { name: "bench.writes".to_owned(), events: scaled(PER_SECOND * SECONDS) };
    kafka.create_topic(&topic.name, PARTITIONS);
    let mut atalaya = Atalaya::start(&kafka, &topic.name, "writes", &[]);
    atalaya.wait_until_ready();
    let Kafka { deltas, decisions, operations, dead_letters, snapshots, .. } = Kafka::default();
    let offsets = "__consumer_offsets".to_owned();
    let topics = [topic.name.clone(), deltas, decisions, operations, dead_letters, offsets, snapshots];
    let bytes = || topics.each_ref().map(|topic| kafka.bytes_of(topic) as f64);
    let before = bytes();
    let (seconds, ()) = timed(|| {
        write(&kafka, &topic, PAIRS, &PER_SECOND.to_string()).ended();
        until("all is read", || {
            std::thread::sleep(Duration::from_millis(480));
            atalaya.taken() == topic.events
        });
    });
    let after = bytes();

    let mut written = after;
    written.iter_mut().zip(before).for_each(|(after, before)| *after -= before);
    let [read, deltas, decisions, operations, dead_letters, offsets, snapshots] = written;
    figure("writes_events_per_second", topic.events as f64 / seconds);
    figure("writes_bytes_read_per_event", read / topic.events as f64);
    figure("writes_deltas_over_reads", deltas / read);
    figure("writes_decisions_over_reads", (decisions + operations) / read);
    figure_with_goal("writes_over_reads", (deltas + decisions + operations + dead_letters + offsets) / read, 0.05);
    figure_with_goal("writes_of_snapshots_over_reads", snapshots / read, 0.10);
}

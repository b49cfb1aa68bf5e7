//! How many bytes the program writes to Kafka for those that it reads there, as they lie on the broker's disk.
//!
//! The broker is one of its own that compacts nothing meanwhile, so that all that is written is counted.

use std::time::Duration;

use atalaya::config::Kafka;

use crate::Topic;
use crate::client::Atalaya;
use crate::producer::{PARTITIONS, write};
use crate::real::kafka::RealKafka;
use crate::support::{figure, figure_with_goal, scaled};

const PER_SECOND: usize = 50_000;
const PAIRS: usize = 1_000;
/// Before it counts, and for how long: the board is kept once a minute.
const WARM: usize = 15;
const MEASURED: usize = 120;

pub fn measure() {
    let kafka = RealKafka::start_with(|_| vec!["log.cleaner.backoff.ms=86400000".to_owned()]);
    let Some(kafka) = kafka else { return };
    let seconds = scaled(MEASURED);
    let topic = Topic { name: "bench.writes".to_owned(), events: PER_SECOND * (WARM + seconds + 30) };
    kafka.create_topic(&topic.name, PARTITIONS);
    let mut atalaya = Atalaya::start(&kafka, &topic.name, "writes", &[]);
    atalaya.wait_until_ready();
    let producer = write(&kafka, &topic, PAIRS, &PER_SECOND.to_string());
    std::thread::sleep(Duration::from_secs(WARM as u64));

    let Kafka { deltas, decisions, operations, dead_letters, snapshots, .. } = Kafka::default();
    let offsets = "__consumer_offsets".to_owned();
    let topics = [topic.name.clone(), deltas, decisions, operations, dead_letters, offsets, snapshots];
    let bytes = || topics.each_ref().map(|topic| kafka.bytes_of(topic) as f64);
    let (before, taken_before) = (bytes(), atalaya.taken());
    std::thread::sleep(Duration::from_secs(seconds as u64));
    let (after, taken) = (bytes(), atalaya.taken() - taken_before);
    drop(producer);

    let mut written = after;
    written.iter_mut().zip(before).for_each(|(after, before)| *after -= before);
    let [read, deltas, decisions, operations, dead_letters, offsets, snapshots] = written;
    figure("writes_events_per_second", taken as f64 / seconds as f64);
    figure("writes_bytes_read_per_event", read / taken as f64);
    figure("writes_deltas_over_reads", deltas / read);
    figure("writes_decisions_over_reads", (decisions + operations) / read);
    figure_with_goal("writes_over_reads", (deltas + decisions + operations + dead_letters + offsets) / read, 0.05);
    figure_with_goal("writes_of_snapshots_over_reads", snapshots / read, 0.10);
}

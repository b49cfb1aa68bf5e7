//! Refused records go to the dead-letter topic: their own key and bytes, headers `reason`, `topic`, `partition`, `offset`.
//!
//! Sending never holds up the reader for long: a bounded queue in memory, written by librdkafka for as long as it takes.
//! What does not fit is counted as lost, per reason in the log, and raised as a problem: never without a trace.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer,
};

use super::errors::{self, KafkaFailure, Place};
use super::problems::{Kind, Problems};
use super::{client_config_with, own};
use crate::clock;
use crate::config::Kafka;

/// A refused record.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// One word.
    pub reason: &'static str,
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    pub key: Option<&'a [u8]>,
    pub payload: Option<&'a [u8]>,
}

/// Totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LetterCounters {
    pub sent: u64,
    /// Confirmed by the broker.
    pub delivered: u64,
    /// Neither delivered nor on the way: the queue was full, or the broker refused it for good.
    pub lost: u64,
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    delivered: AtomicU64,
    lost: AtomicU64,
}

/// How long one record may wait for room in a full queue; only the first, until there is room again.
const WAIT_FOR_ROOM: Duration = Duration::from_millis(100);

pub struct DeadLetters {
    producer: ThreadedProducer<Delivery>,
    topic: String,
    counts: Arc<Counts>,
    full: AtomicBool,
    problems: Problems,
    stop: Arc<AtomicBool>,
}

impl DeadLetters {
    /// Opens the way to `kafka.dead_letters` and makes the topic where it is missing and that is allowed. Returns at once.
    pub fn start(kafka: &Kafka, problems: Problems) -> Result<DeadLetters, KafkaFailure> {
        let place = Place::new(kafka);
        let counts = Arc::new(Counts::default());
        let config = client_config_with(
            kafka,
            &[
                ("acks", "all"),
                // Not idempotent: such a producer is dead for good once it may not write, also after it may again. A letter
                // that is there twice names the same place.
                ("retries", "2147483647"),
                // For as long as it takes: a broker that is down for hours loses nothing while the queue has room.
                ("message.timeout.ms", "0"),
                // How long a topic may not exist yet. Above 2,147,483 librdkafka's sum overflows and it waits not at all.
                ("topic.metadata.propagation.max.ms", "2000000"),
                ("queue.buffering.max.messages", "100000"),
                ("queue.buffering.max.kbytes", "65536"),
                ("linger.ms", "20"),
                ("compression.type", "zstd"),
                // A record as large as the source allowed, and the headers.
                ("message.max.bytes", own::LOG_RECORD_BYTES_MAX),
            ],
        );
        let context = Delivery {
            counts: counts.clone(),
            problems: problems.clone(),
            topic: kafka.dead_letters.clone(),
            place: place.clone(),
        };
        let producer: ThreadedProducer<Delivery> =
            config.create_with_context(context).map_err(|error| errors::creation(&error, &place))?;
        let stop = Arc::new(AtomicBool::new(false));
        own::keep(kafka, vec![own::dead_letters(kafka)], &problems, &stop)?;
        let topic = kafka.dead_letters.clone();
        Ok(DeadLetters { producer, topic, counts, full: AtomicBool::new(false), problems, stop })
    }

    /// Queues one record. Waits at most a tenth of a second, and that once until there is room again.
    pub fn send(&self, letter: &Letter<'_>) {
        let patience = if self.full.load(Ordering::Relaxed) { Duration::ZERO } else { WAIT_FOR_ROOM };
        let deadline = clock::instant() + patience;
        let mut record = self.record(letter);
        loop {
            match self.producer.send(record) {
                Ok(()) => {
                    self.counts.sent.fetch_add(1, Ordering::Relaxed);
                    self.full.store(false, Ordering::Relaxed);
                    return;
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if clock::instant() < deadline =>
                {
                    record = back;
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err((error, _)) => {
                    let full = matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
                    self.full.store(full, Ordering::Relaxed);
                    self.lose(letter, &error.to_string());
                    return;
                }
            }
        }
    }

    fn record<'a>(&'a self, letter: &Letter<'a>) -> BaseRecord<'a, [u8], [u8]> {
        let (partition, offset) = (letter.partition.to_string(), letter.offset.to_string());
        let headers = OwnedHeaders::new_with_capacity(4)
            .insert(Header { key: "reason", value: Some(letter.reason) })
            .insert(Header { key: "topic", value: Some(letter.topic) })
            .insert(Header { key: "partition", value: Some(&partition) })
            .insert(Header { key: "offset", value: Some(&offset) });
        let mut record = BaseRecord::to(&self.topic).headers(headers);
        record.key = letter.key;
        record.payload = letter.payload;
        record
    }

    fn lose(&self, letter: &Letter<'_>, why: &str) {
        self.counts.lost.fetch_add(1, Ordering::Relaxed);
        let Letter { reason, topic, partition, offset, .. } = letter;
        tracing::warn!(reason, topic, partition, offset, why, "refused record not kept");
        let text = format!(
            "A refused record could not be put on its way to the topic `{}` ({why}): it stays in `{topic}` partition \
             {partition} at offset {offset} as long as that topic keeps it. Bring the broker back, or raise \
             `queue.buffering.max.kbytes` under `kafka.properties`.",
            self.topic
        );
        self.problems.raise(Kind::DeadLetters, "queue", text);
    }

    /// Queued or sent, and not confirmed: what has been read may be committed when it is 0.
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.producer.in_flight_count()).unwrap_or(0)
    }

    pub fn counters(&self) -> LetterCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LetterCounters {
            sent: read(&self.counts.sent),
            delivered: read(&self.counts.delivered),
            lost: read(&self.counts.lost),
        }
    }

    /// Waits until everything sent is confirmed, for at most `within`; says how many are not. Blocks.
    pub fn flush(&self, within: Duration) -> Result<(), KafkaFailure> {
        let deadline = clock::instant() + within;
        while self.in_flight() > 0 && clock::instant() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        match self.in_flight() {
            0 => Ok(()),
            left => Err(KafkaFailure::Deadline(format!(
                "{left} refused records were not written to the topic `{}` within {} s; they are read again after the next \
                 start if their offsets were not committed.",
                self.topic,
                within.as_secs()
            ))),
        }
    }
}

impl Drop for DeadLetters {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Delivery {
    counts: Arc<Counts>,
    problems: Problems,
    topic: String,
    place: Place,
}

impl ClientContext for Delivery {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "librdkafka: {}", self.place.redact(message));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The reader raises what concerns the connection; here it is only for who looks closer.
        tracing::debug!(%error, reason = self.place.redact(reason), "dead-letter producer");
    }
}

impl ProducerContext<NoCustomPartitioner> for Delivery {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.counts.delivered.fetch_add(1, Ordering::Relaxed);
                self.problems.clear(Kind::DeadLetters, "queue");
                self.problems.clear(Kind::DeadLetters, &self.topic);
            }
            Err((error, _)) => {
                self.counts.lost.fetch_add(1, Ordering::Relaxed);
                let text = format!(
                    "{} does not take a refused record for the topic `{}`: {}. Check that the topic exists, that this user \
                     may write to it, and that its `max.message.bytes` is as large as that of the sources.",
                    self.place.brokers,
                    self.topic,
                    self.place.redact(&error.to_string())
                );
                self.problems.raise(Kind::DeadLetters, &self.topic, text);
            }
        }
    }
}

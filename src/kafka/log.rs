//! The logs that instances share, each a topic of one partition: [`Appender`] writes entries, [`Tail`] reads all of them.
//!
//! An entry counts when it comes out of the log, and not before: the appender answers at once and tries nothing twice. What was
//! not taken is raised as a problem; whoever wants it in the log appends it again when it does not come.
//!
//! Deliberately not here: what an entry means (`journal::record`), and which of them count (`journal::rule`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer,
};

use super::client_config_with;
use super::errors::{self, KafkaFailure, Place};
use super::own;
use super::problems::{Kind, Problems};
use crate::clock;
use crate::config::Kafka;
use crate::journal::record::Log;

mod tail;

pub use tail::{Item, Tail};

/// There is no room: the broker takes less than is written, or nothing. It has to be appended again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "what waits for the broker fills the memory set aside for it; append it again when some of it has come out of the log"
)]
pub struct Full;

/// Totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogCounters {
    pub appended: u64,
    pub bytes: u64,
    /// Confirmed by the broker.
    pub confirmed: u64,
    /// Not taken, neither by the client nor by the broker.
    pub refused: u64,
    /// For which there was no room.
    pub full: u64,
}

#[derive(Default)]
struct Counts {
    appended: AtomicU64,
    bytes: AtomicU64,
    confirmed: AtomicU64,
    refused: AtomicU64,
    full: AtomicU64,
    /// Since when entries are refused and none is confirmed.
    refusing: Mutex<Option<Instant>>,
}

impl Counts {
    fn refusing(&self) -> MutexGuard<'_, Option<Instant>> {
        self.refusing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After so long without a confirmation the client is made anew: after an outage librdkafka may refuse all that it is
/// given, for good, though the broker is back.
const ANEW_AFTER: Duration = Duration::from_secs(20);

/// A handle; clones share one client. With the last one what is still in memory is given up.
#[derive(Clone)]
pub struct Appender(Arc<Writer>);

struct Writer {
    kafka: Kafka,
    place: Place,
    problems: Problems,
    counts: Arc<Counts>,
    producer: Mutex<Arc<ThreadedProducer<Delivery>>>,
    stop: Arc<AtomicBool>,
}

impl Appender {
    /// Opens the way to the logs, and makes their topics where they are missing and that is allowed. Returns at once.
    pub fn start(kafka: &Kafka, problems: Problems) -> Result<Appender, KafkaFailure> {
        let (place, counts, stop) = (Place::new(kafka), Arc::<Counts>::default(), Arc::<AtomicBool>::default());
        let producer = producer(kafka, &place, &problems, &counts)?;
        own::keep(kafka, Log::ALL.map(|log| own::log(kafka, log)).to_vec(), &problems, &stop)?;
        let producer = Mutex::new(Arc::new(producer));
        Ok(Appender(Arc::new(Writer { kafka: kafka.clone(), place, problems, counts, producer, stop })))
    }

    /// Puts an entry on its way. Entries of one log come out of it in the order in which one thread appended them, as long as
    /// none of them fails.
    pub fn append(&self, log: Log, bytes: &[u8]) -> Result<(), Full> {
        let Writer { kafka, place, problems, counts, .. } = &*self.0;
        let topic = own::topic_of(kafka, log);
        let sent = self.producer().send(BaseRecord::<(), [u8]>::to(topic).partition(0).payload(bytes));
        match sent {
            Ok(()) => {
                counts.appended.fetch_add(1, Ordering::Relaxed);
                counts.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                Ok(())
            }
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                counts.full.fetch_add(1, Ordering::Relaxed);
                Err(Full)
            }
            Err((error, _)) => {
                counts.refused.fetch_add(1, Ordering::Relaxed);
                problems.raise(Kind::Logs, topic, not_taken(place, topic, bytes.len(), &error));
                Ok(())
            }
        }
    }

    /// The client; another one where librdkafka has given it up, as when a topic was deleted under it, or where it has had
    /// nothing confirmed for long.
    fn producer(&self) -> Arc<ThreadedProducer<Delivery>> {
        let Writer { kafka, place, problems, counts, producer: held, .. } = &*self.0;
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::instant();
        let refuses = counts.refusing().is_some_and(|since| now.duration_since(since) >= ANEW_AFTER);
        let why = match held.client().fatal_error() {
            Some((code, reason)) => Some(format!("{code}: {}", place.redact(&reason))),
            None => refuses.then(|| "nothing is confirmed".to_owned()),
        };
        if let Some(why) = why {
            tracing::warn!(why, "the client of the logs is made anew");
            *counts.refusing() = None;
            match producer(kafka, place, problems, counts) {
                Ok(anew) => {
                    let old = std::mem::replace(&mut *held, Arc::new(anew));
                    // Whoever appends does not wait for its end.
                    let _ = std::thread::Builder::new().name("old-log-client".into()).spawn(move || drop(old));
                }
                Err(failure) => problems.raise(Kind::Logs, "", failure.to_string()),
            }
        }
        held.clone()
    }

    /// Waits until nothing is on its way, for at most `within`; otherwise says how many entries still are. Blocks.
    pub fn flush(&self, within: Duration) -> Result<(), usize> {
        let deadline = clock::instant() + within;
        loop {
            match usize::try_from(self.producer().in_flight_count()).unwrap_or(0) {
                0 => return Ok(()),
                left if clock::instant() >= deadline => return Err(left),
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    pub fn counters(&self) -> LogCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counts { appended, bytes, confirmed, refused, full, refusing: _ } = &*self.0.counts;
        LogCounters {
            appended: read(appended),
            bytes: read(bytes),
            confirmed: read(confirmed),
            refused: read(refused),
            full: read(full),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn producer(
    kafka: &Kafka,
    place: &Place,
    problems: &Problems,
    counts: &Arc<Counts>,
) -> Result<ThreadedProducer<Delivery>, KafkaFailure> {
    let defaults = [
        ("acks", "all"),
        ("enable.idempotence", "true"),
        // What takes longer is appended again by who wants it there.
        ("message.timeout.ms", "10000"),
        ("linger.ms", "0"),
        // Of the records of a busy floor zstd leaves 47 %, lz4 58 %, and takes 0.3 ms for one of 65 KB.
        ("compression.type", "zstd"),
        ("message.max.bytes", own::LOG_RECORD_BYTES_MAX),
        ("queue.buffering.max.messages", "100000"),
        ("queue.buffering.max.kbytes", "65536"),
        // A topic that was made a moment ago is found at once.
        ("topic.metadata.refresh.fast.interval.ms", "50"),
        ("allow.auto.create.topics", "false"),
    ];
    let context = Delivery { place: place.clone(), problems: problems.clone(), counts: counts.clone() };
    client_config_with(kafka, &defaults).create_with_context(context).map_err(|error| errors::creation(&error, place))
}

fn not_taken(place: &Place, topic: &str, bytes: usize, error: &KafkaError) -> String {
    format!(
        "{} does not take an entry of {bytes} bytes for the topic `{topic}`: {}. It is written again. Check that the topic exists, \
         that this user may write to it, and that its settings are those of `atalaya topics --print`.",
        place.brokers,
        place.redact(&error.to_string())
    )
}

struct Delivery {
    place: Place,
    problems: Problems,
    counts: Arc<Counts>,
}

impl ClientContext for Delivery {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "librdkafka: {}", self.place.redact(message));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The reader raises what concerns the connection; here it is only for who looks closer.
        tracing::debug!(%error, reason = self.place.redact(reason), "producer of the logs");
    }
}

impl ProducerContext<NoCustomPartitioner> for Delivery {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(message) => {
                self.counts.confirmed.fetch_add(1, Ordering::Relaxed);
                *self.counts.refusing() = None;
                self.problems.clear(Kind::Logs, message.topic());
            }
            Err((error, message)) => {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                self.counts.refusing().get_or_insert_with(clock::instant);
                let (topic, bytes) = (message.topic(), message.payload().map_or(0, <[u8]>::len));
                self.problems.raise(Kind::Logs, topic, not_taken(&self.place, topic, bytes, error));
            }
        }
    }
}

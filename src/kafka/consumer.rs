//! Reads the sources in a consumer group, on a thread of its own, and hands each record to a [`Handler`].
//!
//! Where an assigned partition is read from, the handler says; where it knows of nothing, it is where [`Start`] says (25 h back).
//! Offsets are committed for those who watch the lag, and to know after a restart which records
//! had been read before ([`Record::replayed`]).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rdkafka::consumer::BaseConsumer;

use super::client_config_with;
use super::context::Context;
use super::errors::{self, KafkaFailure, Place};
use super::problems::Problems;
use super::status::Status;
use super::worker;
use crate::clock;
use crate::config::Kafka;
use crate::domain::{Millis, Timestamp};
use crate::journal::SourcePartition;

/// A partition of the topic of `sources[source]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub source: usize,
    pub partition: i32,
}

impl From<TopicPartition> for SourcePartition {
    fn from(TopicPartition { source, partition }: TopicPartition) -> Self {
        SourcePartition { source, partition }
    }
}

impl From<SourcePartition> for TopicPartition {
    fn from(SourcePartition { source, partition }: SourcePartition) -> Self {
        TopicPartition { source, partition }
    }
}

/// A record as it lies in librdkafka's memory: valid during the call.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub source: usize,
    pub partition: i32,
    pub offset: i64,
    /// The Kafka timestamp.
    pub timestamp: Option<Timestamp>,
    pub key: Option<&'a [u8]>,
    /// `None` for a tombstone.
    pub payload: Option<&'a [u8]>,
    /// An offset that this group had committed before this partition was assigned: what was refused then is in the
    /// dead letters already.
    pub replayed: bool,
}

/// What is done with the records. Called on the reader's thread, which waits for it: a handler that blocks holds up the
/// reading (that is the back-pressure), for at most `max.poll.interval.ms`.
pub trait Handler: Send {
    fn record(&mut self, record: Record<'_>);
    /// The partition is ours from now on, and has never been read from before `start` where nobody has. Where its records are
    /// wanted from: known now, or said by [`Handler::reads`].
    fn assigned(&mut self, partition: TopicPartition, start: i64) -> Option<i64>;
    /// Partitions whose records are wanted from these offsets on, whatever was read of them before.
    fn reads(&mut self) -> Vec<(TopicPartition, i64)> {
        Vec::new()
    }
    /// The next record of the partition is that of this offset, or the first one after it.
    fn reading(&mut self, _partition: TopicPartition, _from: i64) {}
    /// What was wanted is not there any more: the next record is that of `low`. `anew`: the partition ended before what was
    /// wanted, as its offsets have begun again.
    fn gone(&mut self, _partition: TopicPartition, _low: i64, _anew: bool) {}
    /// These are another instance's now, or gone with their topic.
    fn revoked(&mut self, partitions: &[TopicPartition]);
    /// Everything before `offset`, the end, has been handed on. Also said of an idle partition, every second, as long
    /// as the broker confirms that it has not grown.
    fn caught_up(&mut self, partition: TopicPartition, offset: i64);
    /// Nothing came for a moment, or 20 ms of records did: the time to flush.
    fn idle(&mut self);
    /// Whether everything handed on so far may be committed as read (the dead letters are written, ...).
    fn may_commit(&mut self) -> bool {
        true
    }
    /// The last call: flush what is left.
    fn stopping(&mut self) {}
}

/// Where a partition without state is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The oldest record kept. The in-process broker of `demo` knows no timestamps.
    Beginning,
    /// The first record whose Kafka timestamp is at or after this instant.
    Since(Timestamp),
    /// The same, counted back from the moment of assignment.
    Back(Millis),
}

impl Start {
    /// What `run` does.
    pub const DAY_AND_AN_HOUR: Start = Start::Back(Millis(25 * 3_600_000));
}

/// Says under which name the group is to be joined, once that is known. What another name of the same group has committed
/// is known of besides.
pub type GroupName = Arc<dyn Fn() -> Option<String> + Send + Sync>;

#[derive(Clone)]
pub struct Options {
    pub start: Start,
    /// How often the read offsets are committed.
    pub commit_every: Duration,
    /// `None`: under the configured one.
    pub group: Option<GroupName>,
}

impl Default for Options {
    fn default() -> Self {
        Options { start: Start::DAY_AND_AN_HOUR, commit_every: Duration::from_secs(5), group: None }
    }
}

/// What the reader's thread and the outside share.
#[derive(Default)]
pub(super) struct Shared {
    pub stop: AtomicBool,
    /// Until when the shutdown may take.
    pub deadline: Mutex<Option<Instant>>,
    pub status: Mutex<Status>,
    pub problems: Problems,
}

impl Shared {
    pub fn status(&self) -> std::sync::MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reader of the sources. Dropping it tells it to stop without waiting; [`Consumer::stop`] waits.
pub struct Consumer {
    shared: Arc<Shared>,
    done: mpsc::Receiver<()>,
}

impl Consumer {
    /// Starts reading `topics`, in the order of `config.sources`. Returns at once, also when no broker answers: it is
    /// waited for. `problems` is shared with the other clients.
    pub fn start(
        kafka: &Kafka,
        topics: &[String],
        options: Options,
        problems: Problems,
        handler: Box<dyn Handler>,
    ) -> Result<Consumer, KafkaFailure> {
        let place = Place::new(kafka);
        let shared = Arc::new(Shared { problems, ..Shared::default() });
        {
            let mut status = shared.status();
            status.topics = topics.to_vec().into();
            status.seen = vec![false; topics.len()];
        }
        let (consumer, asking) = (member(kafka, &place)?, asking(kafka, &place)?);
        let (done_sender, done) = mpsc::channel();
        let worker = worker::Setup {
            kafka: kafka.clone(),
            consumer,
            asking,
            topics: topics.to_vec(),
            options,
            place,
            shared: shared.clone(),
            handler,
        };
        std::thread::Builder::new()
            .name("kafka-reader".into())
            .spawn(move || {
                worker::run(worker);
                // Nobody may be waiting any more.
                let _ = done_sender.send(());
            })
            .map_err(|error| KafkaFailure::Client(format!("The reader's thread could not be started: {error}.")))?;
        Ok(Consumer { shared, done })
    }

    pub fn status(&self) -> Status {
        let mut status = self.shared.status().clone();
        status.problems = self.shared.problems.open();
        status.last_problem = self.shared.problems.last();
        status
    }

    /// Something that gives the [`Status`] from another thread, for the pages.
    pub fn watch(&self) -> Watch {
        Watch(self.shared.clone())
    }

    /// Stops reading, commits, leaves: blocks for at most `within` (call it off the async runtime). After that the
    /// reader is left behind, which is safe at the end of the process: librdkafka can hang in its own destruction.
    pub fn stop(self, within: Duration) -> Result<(), KafkaFailure> {
        let deadline = clock::instant() + within;
        *self.shared.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(deadline);
        self.shared.stop.store(true, Ordering::Release);
        match self.done.recv_timeout(within) {
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => Ok(()),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(KafkaFailure::Deadline(format!(
                "The Kafka reader did not end within {} s and was left behind; the offsets it last committed stand.",
                within.as_secs()
            ))),
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

/// See [`Consumer::watch`].
#[derive(Clone)]
pub struct Watch(Arc<Shared>);

impl Watch {
    pub fn status(&self) -> Status {
        let mut status = self.0.status().clone();
        status.problems = self.0.problems.open();
        status.last_problem = self.0.problems.last();
        status
    }
}

/// The name of the static member: the configured one, or the host's.
pub fn instance_name(kafka: &Kafka) -> Option<String> {
    let host = || {
        ["/proc/sys/kernel/hostname", "/etc/hostname"]
            .iter()
            .find_map(|file| std::fs::read_to_string(file).ok())
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
    };
    kafka.instance.clone().or_else(host)
}

/// A client that can join the group; it does when it subscribes.
pub(super) fn member(kafka: &Kafka, place: &Place) -> Result<BaseConsumer<Context>, KafkaFailure> {
    let created = group_config(kafka).create_with_context(Context::new(place.clone()));
    created.map_err(|error| errors::creation(&error, place))
}

/// A client that asks what the group has committed, and more, without joining it.
pub(super) fn asking(kafka: &Kafka, place: &Place) -> Result<BaseConsumer<Context>, KafkaFailure> {
    let config = client_config_with(kafka, &[("group.id", kafka.group.as_str()), ("enable.auto.commit", "false")]);
    let created = config.create_with_context(Context::new(place.clone()));
    created.map_err(|error| errors::creation(&error, place))
}

fn group_config(kafka: &Kafka) -> rdkafka::ClientConfig {
    let instance = instance_name(kafka);
    let mut defaults = vec![
        ("group.id", kafka.group.as_str()),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("enable.partition.eof", "true"),
        // A position that is gone is said aloud and handled, never jumped over.
        ("auto.offset.reset", "error"),
        // Topics created later and partitions added later are found within this.
        ("topic.metadata.refresh.interval.ms", "5000"),
        // The memory bound of what is fetched and not yet read, and how soon fetching goes on when there is room again.
        ("queued.max.messages.kbytes", "32768"),
        ("fetch.queue.backoff.ms", "5"),
    ];
    if let Some(name) = &instance {
        defaults.push(("group.instance.id", name));
    }
    // The new group protocol (KIP-848) leaves these to the broker and refuses a client that sets them.
    if kafka.properties.get("group.protocol").is_none_or(|protocol| protocol.expose() != "consumer") {
        defaults.push(("partition.assignment.strategy", "cooperative-sticky"));
        defaults.push(("session.timeout.ms", "10000"));
        defaults.push(("heartbeat.interval.ms", "1000"));
    }
    client_config_with(kafka, &defaults)
}

//! States kept in a compacted topic: each in pieces, and a manifest that says which pieces are it.
//!
//! | key | value |
//! |---|---|
//! | `GROUP/NAME/ID/N` | piece N, from 0 on, of at most 512 KiB; a tombstone once a later state has taken its place: by who wrote that, or by who reads an hour later |
//! | `GROUP/NAME` | the manifest: JSON with `id`, `pieces`, `bytes` and `xxh3`, the hash of all pieces |
//!
//! Every state has pieces under an id of its own, and the manifest is written when all of them are confirmed. So whatever
//! stops half-way leaves the manifest before it, and the pieces that it names.
//!
//! Deliberately not here: what a state means, and when it is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::errors::{self, KafkaFailure, Place};
use super::topics::{self, Made};
use super::{client_config, client_config_with, own};
use crate::clock;
use crate::config::Kafka;
use crate::domain::{Millis, Timestamp};

/// Longest piece.
const PIECE: usize = 512 << 10;

/// How long a broker may take for one step of reading or writing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pieces that no manifest names are given up when they are so old: their writer is gone, or another wrote after it.
const STRAY_AFTER: Millis = Millis(3_600_000);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Manifest {
    id: String,
    pieces: usize,
    bytes: usize,
    xxh3: String,
}

/// What was kept under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    State {
        id: String,
        bytes: Vec<u8>,
    },
    /// It is there and cannot be read: why.
    Broken(String),
}

/// The last value of each key, and the keys of old pieces.
type Records = (BTreeMap<String, Vec<u8>>, BTreeSet<String>);

/// The states of one consumer group.
pub struct Snapshots {
    kafka: Kafka,
    place: Place,
    producer: ThreadedProducer<Delivery>,
    failed: Arc<AtomicU64>,
    made: AtomicBool,
    /// The last manifest of each name, so that its pieces can be given up.
    last: BTreeMap<String, Manifest>,
}

impl Snapshots {
    /// Opens the way to `kafka.snapshots`. Returns at once.
    pub fn open(kafka: &Kafka) -> Result<Snapshots, KafkaFailure> {
        let place = Place::new(kafka);
        let defaults = [
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("message.timeout.ms", "10000"),
            ("linger.ms", "0"),
            ("compression.type", "zstd"),
            ("queue.buffering.max.kbytes", "262144"),
        ];
        let failed = Arc::new(AtomicU64::new(0));
        let context = Delivery { failed: failed.clone(), place: place.clone() };
        let producer = client_config_with(kafka, &defaults).create_with_context(context);
        let producer = producer.map_err(|error| errors::creation(&error, &place))?;
        let (made, last) = (AtomicBool::new(false), BTreeMap::new());
        Ok(Snapshots { kafka: kafka.clone(), place, producer, failed, made, last })
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.kafka.group)
    }

    /// The states that were kept last under these names. Blocks; an error is worth another try.
    pub fn read(&mut self, names: &[&str]) -> Result<BTreeMap<String, Found>, KafkaFailure> {
        let (mut records, old) = self.records(names)?;
        let mut found = BTreeMap::new();
        let own = format!("{}/", self.kafka.group);
        let manifests = records.iter().filter(|(key, _)| !is_piece(key));
        self.last.extend(manifests.filter_map(|(key, manifest)| {
            Some((key.strip_prefix(&own)?.to_owned(), serde_json::from_slice(manifest).ok()?))
        }));
        for key in old {
            let name = key.strip_prefix(&own).and_then(|key| key.rsplitn(3, '/').nth(2));
            let manifest = name.and_then(|name| self.last.get(name));
            let stray = manifest.is_some_and(|manifest| !key.contains(&format!("/{}/", manifest.id)));
            // Where there is no room the rest is given up by the next who reads.
            if stray && self.send(&key, None).is_err() {
                break;
            }
        }
        for name in names {
            let key = self.key(name);
            let state = match records.remove(&key) {
                None => Found::Nothing,
                Some(manifest) => match whole(&key, &manifest, &mut records) {
                    Ok((Manifest { id, .. }, bytes)) => Found::State { id, bytes },
                    Err(what) => Found::Broken(format!(
                        "The topic `{}` keeps nothing whole under `{key}`: {what}. It begins without; look who else writes to \
                         that topic, and whether its `cleanup.policy` is `compact`.",
                        self.kafka.snapshots
                    )),
                },
            };
            found.insert((*name).to_owned(), state);
        }
        Ok(found)
    }

    /// The last value of each key of our group's, pieces only of these names; and the keys of old pieces of any name.
    fn records(&self, names: &[&str]) -> Result<Records, KafkaFailure> {
        let (topic, own) = (&self.kafka.snapshots, format!("{}/", self.kafka.group));
        let pieces: Vec<String> = names.iter().map(|name| format!("{own}{name}/")).collect();
        let wanted = |key: &&str| !is_piece(key) || pieces.iter().any(|of| key.starts_with(of));
        // librdkafka assigns nothing without the name of a group; it is not joined.
        let defaults = [
            ("group.id", self.kafka.group.as_str()),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("enable.partition.eof", "true"),
            ("allow.auto.create.topics", "false"),
        ];
        let consumer: BaseConsumer = client_config_with(&self.kafka, &defaults)
            .create()
            .map_err(|error| errors::creation(&error, &self.place))?;
        let (low, high) = match consumer.fetch_watermarks(topic, 0, PATIENCE) {
            Ok(marks) => marks,
            Err(error) if is_closed(&error) => return Ok(Default::default()),
            Err(error) => return Err(self.failure("read", &error.to_string())),
        };
        let (mut records, mut old) = (BTreeMap::new(), BTreeSet::new());
        if low >= high {
            return Ok((records, old));
        }
        let mut list = TopicPartitionList::new();
        let assigned = list.add_partition_offset(topic, 0, Offset::Beginning).and_then(|()| consumer.assign(&list));
        assigned.map_err(|error| self.failure("read", &error.to_string()))?;
        let (now, mut heard) = (clock::now(), clock::instant());
        loop {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(record)) => {
                    heard = clock::instant();
                    let of = record.key().and_then(|key| std::str::from_utf8(key).ok());
                    let of = of.filter(|key| key.starts_with(&own));
                    let is_old = record.timestamp().to_millis().is_some_and(|at| now - Timestamp(at) >= STRAY_AFTER);
                    match of.filter(|key| is_piece(key)) {
                        Some(of) if is_old && record.payload().is_some() => drop(old.insert(of.to_owned())),
                        Some(of) => drop(old.remove(of)),
                        None => {}
                    }
                    match (of.filter(wanted), record.payload()) {
                        (Some(of), Some(value)) => drop(records.insert(of.to_owned(), value.to_vec())),
                        (Some(of), None) => drop(records.remove(of)),
                        (None, _) => {}
                    }
                    if record.offset() + 1 >= high {
                        return Ok((records, old));
                    }
                }
                // What was compacted away at the end leaves the last offset without a record.
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok((records, old)),
                Some(Err(error)) => return Err(self.failure("read", &error.to_string())),
                None if clock::instant() - heard > PATIENCE => return Err(self.failure("read", "no answer")),
                None => {}
            }
        }
    }

    /// Keeps a state under a name, in the place of the one before. `id` is drawn anew for each. Blocks.
    pub fn write(&mut self, name: &str, id: u64, bytes: &[u8]) -> Result<(), KafkaFailure> {
        self.make()?;
        let key = self.key(name);
        let id = format!("{id:016x}");
        let mut pieces = 0;
        for piece in bytes.chunks(PIECE) {
            self.send(&format!("{key}/{id}/{pieces}"), Some(piece))?;
            pieces += 1;
        }
        self.confirm()?;
        let manifest = Manifest { id, pieces, bytes: bytes.len(), xxh3: format!("{:016x}", xxh3_64(bytes)) };
        let json = serde_json::to_vec(&manifest).map_err(|error| self.failure("written", &error.to_string()))?;
        self.send(&key, Some(&json))?;
        self.confirm()?;
        if let Some(before) = self.last.insert(name.to_owned(), manifest) {
            for piece in 0..before.pieces {
                self.send(&format!("{key}/{}/{piece}", before.id), None)?;
            }
        }
        Ok(())
    }

    fn send(&self, key: &str, value: Option<&[u8]>) -> Result<(), KafkaFailure> {
        let mut record = BaseRecord::to(&self.kafka.snapshots).key(key);
        record.payload = value;
        self.producer.send(record).map_err(|(error, _)| self.failure("written", &error.to_string()))
    }

    /// Waits until all that was sent is confirmed.
    fn confirm(&self) -> Result<(), KafkaFailure> {
        let deadline = clock::instant() + PATIENCE + Duration::from_secs(1);
        while self.producer.in_flight_count() > 0 && clock::instant() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        match (self.producer.in_flight_count(), self.failed.swap(0, Ordering::Relaxed)) {
            (0, 0) => Ok(()),
            (0, _) => Err(self.failure("written", "the broker did not take it")),
            _ => Err(self.failure("written", "no answer")),
        }
    }

    /// Makes the topic, once.
    fn make(&self) -> Result<(), KafkaFailure> {
        if self.made.load(Ordering::Relaxed) {
            return Ok(());
        }
        match topics::create(&client_config(&self.kafka), &own::snapshots(&self.kafka).spec, PATIENCE) {
            Made::NotYet(why) => return Err(self.failure("made", &why)),
            // Where it was made by somebody else, writing to it will tell.
            Made::Created | Made::Existed | Made::Refused(_) => self.made.store(true, Ordering::Relaxed),
        }
        Ok(())
    }

    fn failure(&self, what: &str, why: &str) -> KafkaFailure {
        KafkaFailure::Client(format!(
            "The topic `{}` of `kafka.snapshots` at {} could not be {what} ({}): acknowledgements, silences and what was told \
             would not survive a restart. Create it (1 partition, `cleanup.policy` compact), or allow this user to Create, \
             Read and Write it.",
            self.kafka.snapshots,
            self.place.brokers,
            self.place.redact(why)
        ))
    }
}

/// The state that a manifest names, out of the records.
fn whole(key: &str, manifest: &[u8], records: &mut BTreeMap<String, Vec<u8>>) -> Result<(Manifest, Vec<u8>), String> {
    let manifest: Manifest = serde_json::from_slice(manifest).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    for number in 0..manifest.pieces {
        let piece = records.remove(&format!("{key}/{}/{number}", manifest.id));
        bytes.extend(piece.ok_or_else(|| format!("piece {number} of {} is missing", manifest.pieces))?);
    }
    if bytes.len() != manifest.bytes || format!("{:016x}", xxh3_64(&bytes)) != manifest.xxh3 {
        return Err("its hash does not fit".to_owned());
    }
    Ok((manifest, bytes))
}

/// `.../ID/N`.
fn is_piece(key: &str) -> bool {
    let mut parts = key.rsplit('/');
    let number = parts.next().is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    number && parts.next().is_some_and(|part| part.len() == 16 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// There is no topic, or none that may be read. Who may not read it may not write it either, which is said as long as it
/// lasts; to wait would decide nothing.
fn is_closed(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::UnknownTopic
                | Code::UnknownTopicOrPartition
                | Code::UnknownPartition
                | Code::TopicAuthorizationFailed
                | Code::ClusterAuthorizationFailed
        )
    )
}

struct Delivery {
    failed: Arc<AtomicU64>,
    place: Place,
}

impl ClientContext for Delivery {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "librdkafka: {}", self.place.redact(message));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason = self.place.redact(reason), "snapshot producer");
    }
}

impl ProducerContext<NoCustomPartitioner> for Delivery {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            tracing::debug!(%error, "a piece of a snapshot was not taken");
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

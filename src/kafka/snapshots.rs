//! States kept in a compacted topic: each in pieces, and a manifest that says which pieces are it.
//!
//! [`crate::journal::pieces`] says how, with keys of `GROUP/NAME`. A piece has at most 512 KiB, and a tombstone once a later state has
//! taken its place: by who wrote that, or by who reads an hour later.
//!
//! Deliberately not here: what a state means, and when it is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
use xxhash_rust::xxh3::Xxh3;

use super::context::Mute;
use super::errors::{self, KafkaFailure, Place};
use super::topics::{self, Made};
use super::{client_config, client_config_with, own};
use crate::clock;
use crate::config::Kafka;
use crate::domain::{Millis, Timestamp};
use crate::journal::pieces::{Manifest, is_piece};

/// Longest piece.
const PIECE: usize = 512 << 10;

/// Pieces that wait for the broker; a state may be larger, and then waits for room.
const ROOM_KIB: &str = "32768";

/// How long a broker may take for one step of reading or writing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pieces that no manifest names are given up when they are so old: their writer is gone, or another wrote after it.
const STRAY_AFTER: Millis = Millis(3_600_000);

/// The last value of each key that was asked for, and the keys of old pieces of any name.
type Records = (BTreeMap<String, Vec<u8>>, BTreeSet<String>);

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

/// How a state lies in the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lying {
    pub name: String,
    pub id: String,
    pub pieces: usize,
    pub bytes: usize,
    /// When its manifest was written.
    pub at: Option<Timestamp>,
    /// Why it is not whole.
    pub broken: Option<String>,
}

/// What lies in the topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub states: Vec<Lying>,
    /// Bytes of pieces of ours that no manifest names: of a state that is being written, or whose writer stopped half-way.
    pub unnamed: usize,
    /// States of other groups.
    pub others: usize,
}

/// Pieces of one id as they come: the number of the next one, how many bytes so far, and their hash.
#[derive(Default)]
struct Pieces {
    next: usize,
    bytes: usize,
    hash: Xxh3,
}

/// Takes key, value and time of a record.
type Take<'a> = dyn FnMut(&str, Option<&[u8]>, Option<Timestamp>) + 'a;

/// The states of one consumer group.
pub struct Snapshots {
    kafka: Kafka,
    place: Place,
    producer: ThreadedProducer<Delivery>,
    /// Why a piece was not taken, since it was last asked.
    failed: Arc<Mutex<Option<String>>>,
    made: AtomicBool,
    /// The last manifest of each name, so that its pieces can be given up.
    last: BTreeMap<String, Manifest>,
}

impl Snapshots {
    /// Opens the way to `kafka.snapshots`. Returns at once.
    pub fn open(kafka: &Kafka) -> Result<Snapshots, KafkaFailure> {
        let place = Place::new(kafka);
        let failed = Arc::default();
        let producer = Self::producer(kafka, &place, &failed)?;
        let (made, last) = (AtomicBool::new(false), BTreeMap::new());
        Ok(Snapshots { kafka: kafka.clone(), place, producer, failed, made, last })
    }

    fn producer(
        kafka: &Kafka,
        place: &Place,
        failed: &Arc<Mutex<Option<String>>>,
    ) -> Result<ThreadedProducer<Delivery>, KafkaFailure> {
        let defaults = [
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("message.timeout.ms", "10000"),
            ("linger.ms", "0"),
            ("compression.type", "zstd"),
            ("queue.buffering.max.kbytes", ROOM_KIB),
        ];
        let context = Delivery { failed: failed.clone(), place: place.clone() };
        let producer = client_config_with(kafka, &defaults).create_with_context(context);
        producer.map_err(|error| errors::creation(&error, place))
    }

    /// An idempotent producer that the broker once refused is dead for good, though it may be allowed by now: another one
    /// takes its place. Why it was refused.
    fn revive(&mut self) -> Option<Result<String, KafkaFailure>> {
        let (code, reason) = self.producer.client().fatal_error()?;
        let revived = Self::producer(&self.kafka, &self.place, &self.failed);
        Some(revived.map(|producer| {
            self.producer = producer;
            format!("{code}: {reason}")
        }))
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

    /// The names under which something is kept, as far as it was read.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.last.keys().map(String::as_str)
    }

    /// Gives up all states of each family of which nothing was kept since `before`; `family` is that of a name, if it has one.
    /// How many keys. Blocks.
    pub fn give_up(
        &mut self,
        before: Timestamp,
        family: &dyn Fn(&str) -> Option<String>,
    ) -> Result<usize, KafkaFailure> {
        let own = format!("{}/", self.kafka.group);
        let mut families = BTreeMap::<String, (Option<Timestamp>, BTreeSet<String>)>::new();
        self.each(&mut |key, value, at| {
            let Some(family) = key.strip_prefix(&own).and_then(family) else { return };
            let (newest, keys) = families.entry(family).or_default();
            if value.is_some() {
                *newest = at.max(*newest);
                keys.insert(key.to_owned());
            } else {
                keys.remove(key);
            }
        })?;
        let old = families.into_values().filter(|(newest, _)| newest.is_some_and(|newest| newest < before));
        let keys: Vec<String> = old.flat_map(|(_, keys)| keys).collect();
        for key in &keys {
            self.send(key, None)?;
            self.last.remove(key.strip_prefix(&own).unwrap_or(key));
        }
        self.confirm()?;
        Ok(keys.len())
    }

    /// All states of the group, none of which is held in memory. Blocks.
    pub fn look(&self) -> Result<Look, KafkaFailure> {
        let own = format!("{}/", self.kafka.group);
        let (mut pieces, mut manifests) = (BTreeMap::<String, Pieces>::new(), BTreeMap::new());
        let mut others = BTreeSet::new();
        self.each(&mut |key, value, at| {
            let piece = key.rsplit_once('/').filter(|_| is_piece(key));
            match (key.strip_prefix(&own), piece, value) {
                (None, None, Some(_)) => drop(others.insert(key.to_owned())),
                (None, None, None) => drop(others.remove(key)),
                (None, Some(_), _) => {}
                (Some(name), None, Some(value)) => drop(manifests.insert(name.to_owned(), (value.to_vec(), at))),
                (Some(name), None, None) => drop(manifests.remove(name)),
                (Some(_), Some((of, _)), None) => drop(pieces.remove(of)),
                (Some(_), Some((of, number)), Some(value)) => {
                    let found = pieces.entry(of.to_owned()).or_default();
                    if number == "0" {
                        *found = Pieces::default();
                    }
                    // After a gap nothing of it fits any more.
                    if number.parse() == Ok(found.next) {
                        (found.next, found.bytes) = (found.next + 1, found.bytes + value.len());
                        found.hash.update(value);
                    }
                }
            }
        })?;
        let states = manifests.into_iter().map(|(name, (manifest, at))| match serde_json::from_slice(&manifest) {
            Ok(Manifest { id, pieces: count, bytes, xxh3 }) => {
                let found = pieces.remove(&format!("{own}{name}/{id}")).unwrap_or_default();
                let broken = if found.next < count {
                    Some(format!("piece {} of {count} is missing", found.next))
                } else if found.bytes != bytes || format!("{:016x}", found.hash.digest()) != xxh3 {
                    Some("its hash does not fit".to_owned())
                } else {
                    None
                };
                Lying { name, id, pieces: count, bytes, at, broken }
            }
            Err(error) => {
                let broken = Some(format!("its manifest is none: {error}"));
                Lying { name, id: String::new(), pieces: 0, bytes: 0, at, broken }
            }
        });
        let states = states.collect();
        Ok(Look { states, unnamed: pieces.values().map(|found| found.bytes).sum(), others: others.len() })
    }

    /// Of our group's keys; pieces only of these names.
    fn records(&self, names: &[&str]) -> Result<Records, KafkaFailure> {
        let own = format!("{}/", self.kafka.group);
        let pieces: Vec<String> = names.iter().map(|name| format!("{own}{name}/")).collect();
        let (mut records, mut old) = Records::default();
        let now = clock::now();
        self.each(&mut |key, value, at| {
            if !key.starts_with(&own) {
                return;
            }
            let piece = is_piece(key);
            let is_old = piece && value.is_some() && at.is_some_and(|at| now - at >= STRAY_AFTER);
            let _ = if is_old { old.insert(key.to_owned()) } else { old.remove(key) };
            match value {
                Some(value) if !piece || pieces.iter().any(|of| key.starts_with(of)) => {
                    drop(records.insert(key.to_owned(), value.to_vec()));
                }
                Some(_) => {}
                None => drop(records.remove(key)),
            }
        })?;
        Ok((records, old))
    }

    /// Every record that has a key, with its value and time, to where the topic ends now.
    fn each(&self, take: &mut Take<'_>) -> Result<(), KafkaFailure> {
        let topic = &self.kafka.snapshots;
        // librdkafka assigns nothing without the name of a group; it is not joined.
        let defaults = [
            ("group.id", self.kafka.group.as_str()),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("enable.partition.eof", "true"),
            ("allow.auto.create.topics", "false"),
        ];
        let consumer: BaseConsumer<Mute> = client_config_with(&self.kafka, &defaults)
            .create_with_context(Mute)
            .map_err(|error| errors::creation(&error, &self.place))?;
        let (low, high) = match consumer.fetch_watermarks(topic, 0, PATIENCE) {
            Ok(marks) => marks,
            Err(error) if is_closed(&error) => return Ok(()),
            Err(error) => return Err(self.failure("read", &error.to_string())),
        };
        if low >= high {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        let assigned = list.add_partition_offset(topic, 0, Offset::Beginning).and_then(|()| consumer.assign(&list));
        assigned.map_err(|error| self.failure("read", &error.to_string()))?;
        let mut heard = clock::instant();
        loop {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(record)) => {
                    heard = clock::instant();
                    if let Some(key) = record.key().and_then(|key| std::str::from_utf8(key).ok()) {
                        take(key, record.payload(), record.timestamp().to_millis().map(Timestamp));
                    }
                    if record.offset() + 1 >= high {
                        return Ok(());
                    }
                }
                // What was compacted away at the end leaves the last offset without a record.
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) => return Err(self.failure("read", &error.to_string())),
                None if clock::instant() - heard > PATIENCE => return Err(self.failure("read", "no answer")),
                None => {}
            }
        }
    }

    /// Keeps a state under a name, in the place of the one before. `id` is drawn anew for each. Blocks.
    pub fn write(&mut self, name: &str, id: u64, bytes: &[u8]) -> Result<(), KafkaFailure> {
        let written = self.try_to_write(name, id, bytes);
        match self.revive() {
            None => written,
            Some(why) => Err(self.failure("written", &why?)),
        }
    }

    fn try_to_write(&mut self, name: &str, id: u64, bytes: &[u8]) -> Result<(), KafkaFailure> {
        self.make()?;
        let key = self.key(name);
        let manifest = Manifest::new(id, bytes, PIECE);
        let mut records = manifest.records(&key, bytes, PIECE);
        let manifest_record = records.pop();
        for (key, value) in &records {
            self.send(key, Some(value))?;
        }
        self.confirm()?;
        if let Some((key, value)) = &manifest_record {
            self.send(key, Some(value))?;
        }
        self.confirm()?;
        if let Some(before) = self.last.insert(name.to_owned(), manifest) {
            for piece in before.keys(&key) {
                self.send(&piece, None)?;
            }
        }
        Ok(())
    }

    fn send(&self, key: &str, value: Option<&[u8]>) -> Result<(), KafkaFailure> {
        let mut record = BaseRecord::to(&self.kafka.snapshots).key(key);
        record.payload = value;
        let deadline = clock::instant() + PATIENCE;
        loop {
            record = match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if clock::instant() < deadline =>
                {
                    back
                }
                Err((error, _)) => return Err(self.failure("written", &error.to_string())),
            };
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until all that was sent is confirmed.
    fn confirm(&self) -> Result<(), KafkaFailure> {
        let deadline = clock::instant() + PATIENCE + Duration::from_secs(1);
        while self.producer.in_flight_count() > 0 && clock::instant() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        match (self.producer.in_flight_count(), self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()) {
            (0, None) => Ok(()),
            (0, Some(why)) => Err(self.failure("written", &why)),
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
            Made::Created | Made::Existed => self.made.store(true, Ordering::Relaxed),
            // Where it was made by somebody else, writing to it will tell; it may be allowed the next time.
            Made::Refused(_) => {}
        }
        Ok(())
    }

    fn failure(&self, what: &str, why: &str) -> KafkaFailure {
        KafkaFailure::Client(format!(
            "The topic `{}` of `kafka.snapshots` at {} could not be {what} ({}): starts and takeovers take longer, and fail \
             once the logs no longer go back far enough. Create it (1 partition, `cleanup.policy` compact), or allow this user to Create, \
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
    let bytes = manifest.whole(key, records)?;
    Ok((manifest, bytes))
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
    failed: Arc<Mutex<Option<String>>>,
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
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        }
    }
}

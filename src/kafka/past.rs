//! A stretch of the past out of topics, for a back-test: every partition from one Kafka timestamp to another, merged by
//! these timestamps.
//!
//! Partitions are assigned by hand: no consumer group is joined, nothing is committed, and what runs on the same topics
//! does not notice. A partition begins with its first record of `from` or later. Records of `to` or later are passed over, and
//! where [`BEYOND`] of them stand in a row the partition ends: fewer may be dated ahead by a producer whose clock is wrong,
//! and must not cut off what follows. Within a partition the records come in the order of their offsets.
//!
//! Deliberately not here: what a record means, and how far back a back-test has to begin.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::client_config_with;
use super::context::{Context, Event};
use super::errors::{self, KafkaFailure, Place};
use super::problems::Kind;
use crate::clock;
use crate::config::Kafka;
use crate::domain::Timestamp;

/// How long the broker may take to answer, and to deliver the next record.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a partition's next record is waited for before the client's own events are looked at.
const WAIT: Duration = Duration::from_millis(100);

/// So many records of the end or later in a row end a partition.
const BEYOND: usize = 1_000;

/// What the client may fetch ahead of what is taken, in kilobytes: in all, and the least and the most of one partition.
const AHEAD: usize = 64 * 1024;
const AHEAD_OF_ONE: std::ops::RangeInclusive<usize> = 64..=8 * 1024;

/// A record of the past.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Index into the topics.
    pub source: usize,
    pub partition: i32,
    pub offset: i64,
    pub timestamp: Timestamp,
    /// `None` for a tombstone.
    pub payload: Option<Vec<u8>>,
}

/// Why the past cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PastFailure {
    #[error(transparent)]
    Client(KafkaFailure),
    #[error("The topic `{topic}` of `sources` does not exist at {brokers}. Mend `sources[].topic`, or create it.")]
    NoTopic { topic: String, brokers: String },
    #[error("{0}")]
    Broker(String),
}

struct Part {
    source: usize,
    partition: i32,
    /// What is read, at most: `start .. end`.
    start: i64,
    end: i64,
    /// The oldest offset that is kept: beyond 0, what was before it has been deleted.
    low: i64,
    queue: Option<PartitionQueue<Context>>,
    /// Of the oldest record from `start` on.
    first: Option<Timestamp>,
    read: VecDeque<Kept>,
    /// How many records of the stretch's end or later came last, one after the other.
    beyond: usize,
    done: bool,
}

/// A stretch of some topics, ready to be read.
pub struct Past {
    parts: Vec<Part>,
    consumer: Arc<BaseConsumer<Context>>,
    topics: Vec<String>,
    place: Place,
    to: Timestamp,
    /// The last sign of life.
    heard: Instant,
}

impl Past {
    /// Asks where the stretch lies, and waits for the first record of each partition.
    pub fn open(kafka: &Kafka, topics: &[String], from: Timestamp, to: Timestamp) -> Result<Past, PastFailure> {
        let place = Place::new(kafka);
        let client = |partitions: usize| -> Result<Arc<BaseConsumer<Context>>, PastFailure> {
            let ahead = (AHEAD / partitions.max(1)).clamp(*AHEAD_OF_ONE.start(), *AHEAD_OF_ONE.end());
            // librdkafka assigns nothing without the name of a group; it is not joined.
            let defaults = [
                ("group.id", kafka.group.as_str()),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("enable.partition.eof", "true"),
                ("auto.offset.reset", "error"),
                ("queued.max.messages.kbytes", &ahead.to_string()),
                ("max.partition.fetch.bytes", &(ahead * 1024).min(1 << 20).to_string()),
                ("fetch.queue.backoff.ms", "5"),
            ];
            let made = client_config_with(kafka, &defaults).create_with_context(Context::new(place.clone()));
            made.map(Arc::new).map_err(|error| PastFailure::Client(errors::creation(&error, &place)))
        };
        // How much each partition may fetch ahead is set before a client is made, and how many there are is asked by one.
        let (consumer, topics, heard) = (client(1)?, topics.to_vec(), clock::instant());
        let mut past = Past { parts: Vec::new(), consumer, topics, place: place.clone(), to, heard };
        let list = past.partitions()?;
        past.consumer = client(list.len())?;
        past.parts = past.bounds(&list, from).map_err(|error| past.no_answer(&error))?;
        past.assign().map_err(|error| past.no_answer(&error))?;
        for index in 0..past.parts.len() {
            past.fill(index)?;
        }
        Ok(past)
    }

    /// The topics of which something has been deleted that may have been asked for, and the Kafka timestamp from when on
    /// they hold records; `None` where they hold none.
    pub fn trimmed(&self) -> Vec<(&str, Option<Timestamp>)> {
        let of = |source: usize| self.parts.iter().filter(move |part| part.source == source);
        let all = self.topics.iter().enumerate().filter(|(source, _)| {
            // A partition with older records than were asked for shows that what was deleted is older still.
            of(*source).any(Part::is_cut) && !of(*source).any(|part| part.start > part.low)
        });
        all.map(|(source, topic)| (topic.as_str(), of(source).filter_map(|part| part.first).min())).collect()
    }

    /// Hands every record to `take` until it wants no more.
    pub fn read(&mut self, take: &mut dyn FnMut(&Kept) -> bool) -> Result<(), PastFailure> {
        let mut next: BinaryHeap<Reverse<(Timestamp, usize)>> = BinaryHeap::new();
        let due = |part: &Part, index: usize| Some(Reverse((part.read.front()?.timestamp, index)));
        next.extend(self.parts.iter().enumerate().filter_map(|(index, part)| due(part, index)));
        while let Some(Reverse((_, index))) = next.pop() {
            let Some(record) = self.parts.get_mut(index).and_then(|part| part.read.pop_front()) else { continue };
            if !take(&record) {
                return Ok(());
            }
            self.fill(index)?;
            next.extend(self.parts.get(index).and_then(|part| due(part, index)));
        }
        Ok(())
    }

    fn partitions(&self) -> Result<Vec<(usize, i32)>, PastFailure> {
        use RDKafkaErrorCode as Code;
        let mut all = Vec::new();
        for (source, topic) in self.topics.iter().enumerate() {
            let absent = || PastFailure::NoTopic { topic: topic.clone(), brokers: self.place.brokers.clone() };
            let metadata = match self.consumer.fetch_metadata(Some(topic), PATIENCE) {
                Err(KafkaError::MetadataFetch(Code::UnknownTopic | Code::UnknownTopicOrPartition)) => {
                    return Err(absent());
                }
                other => other.map_err(|error| self.no_answer(&error))?,
            };
            let found = metadata.topics().iter().find(|found| found.name() == topic).ok_or_else(absent)?;
            match found.error().map(Code::from) {
                Some(Code::UnknownTopic | Code::UnknownTopicOrPartition) => return Err(absent()),
                Some(code) => return Err(self.no_answer(&KafkaError::MetadataFetch(code))),
                None => all.extend(found.partitions().iter().map(|partition| (source, partition.id()))),
            }
        }
        Ok(all)
    }

    fn offsets(&self, list: &[(usize, i32)], at: Offset) -> KafkaResult<Vec<Offset>> {
        let topic = |source: usize| self.topics.get(source).map_or("", String::as_str);
        let mut asked = TopicPartitionList::with_capacity(list.len());
        for (source, partition) in list {
            asked.add_partition_offset(topic(*source), *partition, at)?;
        }
        let told = self.consumer.offsets_for_times(asked, PATIENCE)?;
        let of = |(source, partition): &(usize, i32)| {
            let found = told.find_partition(topic(*source), *partition);
            let found = found.ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition))?;
            found.error().map(|()| found.offset())
        };
        list.iter().map(of).collect()
    }

    fn bounds(&self, list: &[(usize, i32)], from: Timestamp) -> KafkaResult<Vec<Part>> {
        let (low, high) = (self.offsets(list, Offset::Beginning)?, self.offsets(list, Offset::End)?);
        let first = self.offsets(list, Offset::Offset(from.0.max(0)))?;
        // No record is that young: the end stands for it.
        let number = |offset: &Offset| match offset {
            Offset::Offset(number) => Some(*number),
            _ => None,
        };
        let bounds = low.iter().zip(&high).zip(&first).zip(list);
        let parts = bounds.map(|(((low, high), first), (source, partition))| {
            let end = number(high).unwrap_or(0);
            let start = number(first).unwrap_or(end).min(end);
            Part {
                source: *source,
                partition: *partition,
                start,
                end,
                low: number(low).unwrap_or(0),
                queue: None,
                first: None,
                read: VecDeque::new(),
                beyond: 0,
                done: start >= end,
            }
        });
        Ok(parts.collect())
    }

    fn assign(&mut self) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        let topic = |source: usize| self.topics.get(source).map_or("", String::as_str);
        for part in self.parts.iter_mut().filter(|part| !part.done) {
            list.add_partition_offset(topic(part.source), part.partition, Offset::Offset(part.start))?;
            // Before anything is fetched, so that all of it comes by this queue.
            part.queue = self.consumer.split_partition_queue(topic(part.source), part.partition);
        }
        self.consumer.assign(&list)
    }

    /// Has the next record of a partition at hand, unless it is read to its end.
    fn fill(&mut self, index: usize) -> Result<(), PastFailure> {
        self.heard = clock::instant();
        loop {
            let Some(part) = self.parts.get_mut(index).filter(|part| !part.done && part.read.is_empty()) else {
                return Ok(());
            };
            match part.queue.as_ref().and_then(|queue| queue.poll(WAIT)) {
                Some(Ok(message)) => {
                    let kept = kept(part.source, &message);
                    drop(message);
                    part.take(kept, self.to);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => part.done = true,
                Some(Err(error)) => return Err(self.no_answer(&error)),
                None => self.look_around()?,
            }
            if self.parts.get(index).is_some_and(|part| part.done) {
                return self.release(index).map_err(|error| self.no_answer(&error));
            }
        }
    }

    /// A partition that is read to its end fetches no more, and gives back what it has fetched.
    fn release(&mut self, index: usize) -> KafkaResult<()> {
        let Some(part) = self.parts.get_mut(index) else { return Ok(()) };
        part.queue = None;
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(self.topics.get(part.source).map_or("", String::as_str), part.partition);
        self.consumer.incremental_unassign(&list)
    }

    /// Serves the client's events, and says so when nothing comes for too long.
    fn look_around(&mut self) -> Result<(), PastFailure> {
        // No record comes here: they come by the queues of their partitions.
        if let Some(Err(KafkaError::MessageConsumptionFatal(code))) = self.consumer.poll(Duration::ZERO) {
            return Err(self.no_answer(&KafkaError::MessageConsumptionFatal(code)));
        }
        if clock::instant().duration_since(self.heard) > PATIENCE {
            return Err(self.no_answer(&KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut)));
        }
        Ok(())
    }

    /// What the client has been told of the cause is worth more than that an answer did not come.
    fn no_answer(&self, error: &KafkaError) -> PastFailure {
        // Errors come only when the client is polled.
        while self.consumer.poll(Duration::ZERO).is_some() {}
        let Place { brokers, .. } = &self.place;
        let known = [Kind::Authentication, Kind::Authorization, Kind::Tls];
        let mut told = self.consumer.context().take().into_iter().filter_map(|event| match event {
            Event::Error(code, reason) => errors::explain(code, &reason, &self.place),
            Event::Assign(_) | Event::Revoke(_) | Event::Committed(_) => None,
        });
        let code = error.rdkafka_error_code().and_then(|code| errors::explain(code, "", &self.place));
        let known = told.find(|(kind, _)| known.contains(kind)).or(code.filter(|(kind, _)| known.contains(kind)));
        let text = known.map(|(_, text)| text).unwrap_or_else(|| {
            format!(
                "Kafka at {brokers} does not answer, or not any more: {}. Start the broker, or mend `kafka.brokers` (or \
                 ATALAYA_KAFKA__BROKERS).",
                self.place.redact(&error.to_string())
            )
        });
        PastFailure::Broker(text)
    }
}

impl Part {
    /// What was before its start has been deleted.
    fn is_cut(&self) -> bool {
        self.low > 0 && self.start == self.low
    }

    fn take(&mut self, record: Kept, to: Timestamp) {
        self.first.get_or_insert(record.timestamp);
        self.beyond = if record.timestamp < to { 0 } else { self.beyond + 1 };
        self.done = record.offset + 1 >= self.end || self.beyond >= BEYOND;
        if record.offset < self.end && self.beyond == 0 {
            self.read.push_back(record);
        }
    }
}

fn kept(source: usize, message: &BorrowedMessage<'_>) -> Kept {
    let timestamp = message.timestamp().to_millis().map_or(Timestamp::MIN, Timestamp);
    let (partition, offset) = (message.partition(), message.offset());
    Kept { source, partition, offset, timestamp, payload: message.payload().map(<[u8]>::to_vec) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_ends_where_only_later_records_stand() {
        let mut part = Part {
            source: 0,
            partition: 0,
            start: 0,
            end: 10_000,
            low: 0,
            queue: None,
            first: None,
            read: VecDeque::new(),
            beyond: 0,
            done: false,
        };
        let to = Timestamp(1_000);
        let mut take = |from: i64, records: usize, time: i64| {
            for offset in (from..).take(records) {
                let timestamp = Timestamp(time);
                part.take(Kept { source: 0, partition: 0, offset, timestamp, payload: None }, to);
            }
            (part.done, part.read.len(), part.first)
        };
        assert_eq!(take(0, BEYOND - 1, 1_000), (false, 0, Some(to)));
        assert_eq!(take(999, 1, 999), (false, 1, Some(to)), "fewer are passed over, and what follows is read");
        assert_eq!(take(1_000, BEYOND - 1, 1_000), (false, 1, Some(to)));
        assert_eq!(take(1_999, 1, 5_000), (true, 1, Some(to)));
        // With what there was when reading began it ends too; what came since is not read.
        assert_eq!(take(9_998, 1, 0), (false, 2, Some(to)));
        assert_eq!(take(9_999, 1, 0), (true, 3, Some(to)));
        assert_eq!(take(10_000, 1, 0), (true, 3, Some(to)));
    }
}

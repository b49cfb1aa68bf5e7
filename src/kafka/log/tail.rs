//! The reading end of the logs: [`Tail`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use crate::clock;
use crate::config::Kafka;
use crate::domain::Timestamp;
use crate::journal::Position;
use crate::journal::record::Log;
use crate::kafka::batch::{self, Reader};
use crate::kafka::client_config_with;
use crate::kafka::consumer::TopicPartition;
use crate::kafka::context::{Context, Event};
use crate::kafka::errors::{self, KafkaFailure, Place};
use crate::kafka::own;
use crate::kafka::problems::{Kind, Problems};

/// What comes out of the logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Record {
        log: Log,
        position: Position,
        /// When the broker took it, where the topic's `message.timestamp.type` is as it has to be.
        broker: Option<Timestamp>,
        bytes: Vec<u8>,
    },
    /// The log was read to its end: to here as of now, or to where it ended when the reading began.
    End { log: Log, position: Position },
    /// The next entry that was wanted is not in the log, which goes from `low` to `end`: trimmed away, or the topic was deleted and
    /// made anew. Nothing more comes of this log before [`Tail::go_on`].
    Gone { log: Log, wanted: Position, low: Position, end: Position },
}

/// How long a question to the broker may hold up the reading; nothing comes at such a time anyway.
const PATIENCE: Duration = Duration::from_millis(500);
/// How soon it is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// A topic may be missing for so long before a word is said: it is in the making.
const IN_THE_MAKING: Duration = Duration::from_secs(5);
/// How often the client itself is looked after.
const TURN: Duration = Duration::from_millis(50);
/// Entries taken from the client at a time.
const BATCH: usize = 16;
/// Every second there is something in the logs. Where nothing comes for so long, and nobody knows of any trouble, the client is made
/// anew: after an outage librdkafka may fetch nothing any more, and not say so.
const STILL: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    /// Before it is read, and when it no longer can be, the broker is asked from where to where the log goes: from then on.
    Asking(Instant),
    /// Told so by [`Item::Gone`].
    Gone,
}

struct Part {
    log: Log,
    /// The position of the next entry; `None`: the first that there is.
    next: Option<i64>,
    /// Where it ended when that was asked. librdkafka tells an end only where a fetch brings nothing, and of a log to which many
    /// write every fetch brings something.
    end: i64,
    /// The end that was told last.
    told: Option<i64>,
    state: State,
    /// librdkafka has it, though it may have stopped to fetch it.
    assigned: bool,
    /// Since when its topic has been looked for in vain.
    missing: Option<Instant>,
}

fn client(kafka: &Kafka, place: &Place, topics: &[String]) -> Result<Reader<Context>, KafkaFailure> {
    // librdkafka assigns nothing without the name of a group; it is not joined.
    let defaults = [
        ("group.id", kafka.group.as_str()),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("enable.partition.eof", "true"),
        ("auto.offset.reset", "error"),
        ("allow.auto.create.topics", "false"),
        ("topic.metadata.refresh.interval.ms", "2000"),
        ("queued.max.messages.kbytes", "32768"),
        ("fetch.queue.backoff.ms", "2"),
        ("fetch.wait.max.ms", "100"),
        ("fetch.error.backoff.ms", "50"),
    ];
    let consumer: BaseConsumer<Context> = client_config_with(kafka, &defaults)
        .create_with_context(Context::new(place.clone()))
        .map_err(|error| errors::creation(&error, place))?;
    Reader::new(consumer, topics.to_vec(), BATCH)
        .ok_or_else(|| KafkaFailure::Client("No memory for a queue of librdkafka.".to_owned()))
}

/// Reads logs, all entries of each in their order, without a group.
pub struct Tail {
    kafka: Kafka,
    reader: Reader<Context>,
    topics: Vec<String>,
    parts: Vec<Part>,
    ready: VecDeque<Item>,
    place: Place,
    problems: Problems,
    turned: Instant,
    /// When anything came, or there was trouble.
    heard: Instant,
    /// No broker answered; when to ask whether one does.
    down: Option<Instant>,
}

impl Tail {
    /// Starts to read each log at its position, or at the first entry that is kept. Returns at once.
    pub fn open(kafka: &Kafka, problems: Problems, logs: &[(Log, Option<Position>)]) -> Result<Tail, KafkaFailure> {
        let place = Place::new(kafka);
        let topics: Vec<_> = logs.iter().map(|(log, _)| own::topic_of(kafka, *log).to_owned()).collect();
        let now = clock::instant();
        let part = |(log, from): &(Log, Option<Position>)| Part {
            log: *log,
            next: from.map(|position| i64::try_from(position.0).unwrap_or(i64::MAX)),
            end: i64::MAX,
            told: None,
            state: State::Asking(now),
            assigned: false,
            missing: None,
        };
        let parts: Vec<_> = logs.iter().map(part).collect();
        let reader = client(kafka, &place, &topics)?;
        let (ready, turned) = (VecDeque::new(), now - TURN);
        Ok(Tail { kafka: kafka.clone(), reader, topics, parts, ready, place, problems, turned, heard: now, down: None })
    }

    /// Another client goes on where this one stands still.
    fn renew(&mut self) {
        tracing::warn!("nothing comes out of the logs; their reader is made anew");
        match client(&self.kafka, &self.place, &self.topics) {
            Ok(anew) => {
                let old = std::mem::replace(&mut self.reader, anew);
                // It may hang in its end.
                let _ = std::thread::Builder::new().name("old-log-reader".into()).spawn(move || drop(old));
                for part in &mut self.parts {
                    part.assigned = false;
                    part.ask();
                }
            }
            Err(failure) => tracing::warn!(%failure, "the reader of the logs cannot be made anew"),
        }
    }

    /// The next item, waiting for at most `wait`.
    pub fn next(&mut self, wait: Duration) -> Option<Item> {
        let deadline = clock::instant() + wait;
        loop {
            let now = clock::instant();
            if now.duration_since(self.turned) >= TURN {
                self.turned = now;
                self.turn(now);
            }
            if self.ready.is_empty() {
                self.read(deadline.saturating_duration_since(clock::instant()).min(TURN));
            }
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            if clock::instant() >= deadline {
                return None;
            }
        }
    }

    /// Goes on with a log that was [`Item::Gone`], from there or from the first entry that is kept.
    pub fn go_on(&mut self, log: Log, from: Option<Position>) {
        let Some(part) = self.parts.iter_mut().find(|part| part.log == log) else { return };
        part.next = from.map(|position| i64::try_from(position.0).unwrap_or(i64::MAX));
        part.state = State::Asking(clock::instant());
    }

    /// Starts to read a log at its position, the others going on. librdkafka refuses to seek in what it no longer fetches.
    fn assign(&mut self, index: usize) {
        let (Some(part), Some(topic)) = (self.parts.get_mut(index), self.topics.get(index)) else { return };
        let mut list = TopicPartitionList::new();
        let added = list.add_partition_offset(topic, 0, part.next.map_or(Offset::Beginning, Offset::Offset));
        let consumer = self.reader.consumer();
        if std::mem::replace(&mut part.assigned, true) {
            let _ = consumer.incremental_unassign(&list);
        }
        part.state = State::Reading;
        self.reader.forward(TopicPartition { source: index, partition: 0 });
        if let Err(error) = added.and_then(|()| self.reader.consumer().incremental_assign(&list)) {
            tracing::debug!(topic, %error, "not assigned; tried again");
            part.state = State::Asking(clock::instant() + ASK_AGAIN);
            part.assigned = false;
        }
    }

    fn read(&mut self, wait: Duration) {
        let Tail { reader, parts, ready, .. } = self;
        let mut failed = Vec::new();
        reader.read(wait, &mut |tp, item| visit(parts, ready, &mut failed, tp, item));
        if !ready.is_empty() {
            self.heard = clock::instant();
            if self.down.take().is_some() {
                self.problems.answered();
            }
        }
        for (tp, code, text) in failed {
            self.failed(tp, code, &text);
        }
    }

    fn failed(&mut self, tp: TopicPartition, code: RDKafkaErrorCode, text: &str) {
        use RDKafkaErrorCode as Code;
        let (Some(part), Some(topic)) = (self.parts.get_mut(tp.source), self.topics.get(tp.source)) else { return };
        match code {
            Code::AutoOffsetReset | Code::LogTruncation | Code::OffsetOutOfRange => part.ask(),
            code if is_missing(code) => part.ask(),
            _ => {
                if let Some((kind, paragraph)) = errors::explain(code, text, &self.place) {
                    self.problems.raise(kind, topic, paragraph);
                }
            }
        }
    }

    /// Looks after the client: what it tells, and what has to be asked.
    fn turn(&mut self, now: Instant) {
        if !self.problems.open().is_empty() {
            self.heard = now;
        } else if now.duration_since(self.heard) >= STILL {
            self.heard = now;
            self.renew();
        }
        self.reader.forward_again();
        match self.reader.consumer().poll(Duration::ZERO) {
            // Forwarding has a gap where librdkafka ends it by itself; nothing is lost by it.
            Some(Ok(message)) => {
                let source = self.topics.iter().position(|topic| topic == message.topic());
                if let Some(source) = source {
                    let tp = TopicPartition { source, partition: message.partition() };
                    let (offset, timestamp) = (message.offset(), message.timestamp().to_millis());
                    let item =
                        batch::Item::Record { offset, timestamp, key: message.key(), payload: message.payload() };
                    visit(&mut self.parts, &mut self.ready, &mut Vec::new(), tp, item);
                }
            }
            // Of which topic, it does not say.
            Some(Err(error)) if error.rdkafka_error_code().is_some_and(is_missing) => {
                self.parts.iter_mut().for_each(Part::ask);
            }
            // Other errors come through the context as well, with their text.
            Some(Err(_)) | None => {}
        }
        for event in self.reader.consumer().context().take() {
            if let Event::Error(code, reason) = event
                && let Some((kind, text)) = errors::explain(code, &reason, &self.place)
                && kind != Kind::MissingTopic
            {
                self.problems.raise(kind, "", text);
                self.down = Some(now + ASK_AGAIN);
            }
        }
        for index in 0..self.parts.len() {
            let due = self.parts.get(index).is_some_and(|part| matches!(part.state, State::Asking(due) if due <= now));
            // A broker that does not answer holds up one question a turn.
            if due && !self.ask(index) {
                break;
            }
        }
        // Where nothing is written nothing comes that would show that the broker is back.
        if self.down.is_some_and(|due| due <= now)
            && let Some(topic) = self.topics.first()
        {
            let back = self.reader.consumer().fetch_metadata(Some(topic), PATIENCE).is_ok();
            self.down = (!back).then(|| clock::instant() + ASK_AGAIN);
            if back {
                self.problems.answered();
            }
        }
    }

    /// From where to where a log goes, and whether it can be read where it is to be read. Whether there was an answer.
    fn ask(&mut self, index: usize) -> bool {
        let (Some(part), Some(topic)) = (self.parts.get_mut(index), self.topics.get(index)) else { return false };
        match self.reader.consumer().fetch_watermarks(topic, 0, PATIENCE) {
            Ok((low, end)) => {
                part.missing = None;
                self.problems.clear(Kind::MissingTopic, topic);
                let position = |offset: i64| Position(u64::try_from(offset).unwrap_or(0));
                match part.next.filter(|next| !(low..=end).contains(next)) {
                    Some(wanted) => {
                        part.state = State::Gone;
                        let (wanted, low, end) = (position(wanted), position(low), position(end));
                        self.ready.push_back(Item::Gone { log: part.log, wanted, low, end });
                    }
                    None => {
                        (part.end, part.told) = (end, None);
                        let come = part.next.unwrap_or(low);
                        if come >= end {
                            self.ready.extend(part.ends(come));
                        }
                        self.assign(index);
                    }
                }
                true
            }
            Err(error) => {
                part.state = State::Asking(clock::instant() + ASK_AGAIN);
                let missing = error.rdkafka_error_code().is_some_and(is_missing);
                let now = clock::instant();
                let since = missing.then(|| *part.missing.get_or_insert(now));
                if since.is_some_and(|since| now.duration_since(since) < IN_THE_MAKING) {
                    return true;
                }
                if missing {
                    let text = format!(
                        "The topic `{topic}` does not exist at {}. Create it as `atalaya topics --print` shows, or allow this \
                         user to Create it; it is read as soon as it exists.",
                        self.place.brokers
                    );
                    self.problems.raise(Kind::MissingTopic, topic, text);
                } else if !self.problems.open().iter().any(|problem| problem.kind == Kind::Unreachable) {
                    let text = errors::unanswered("the ends of the logs", &error, &self.place);
                    self.problems.raise(Kind::Silent, "", text);
                    self.down = Some(clock::instant() + ASK_AGAIN);
                }
                missing
            }
        }
    }
}

impl Part {
    /// It was read to its end, which is told once.
    fn ends(&mut self, at: i64) -> Option<Item> {
        let new = self.told.replace(at) != Some(at);
        new.then(|| Item::End { log: self.log, position: Position(u64::try_from(at).unwrap_or(0)) })
    }

    fn ask(&mut self) {
        if self.state == State::Reading {
            self.state = State::Asking(clock::instant());
        }
    }
}

fn is_missing(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(code, Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition)
}

fn visit(
    parts: &mut [Part],
    ready: &mut VecDeque<Item>,
    failed: &mut Vec<(TopicPartition, RDKafkaErrorCode, String)>,
    tp: TopicPartition,
    item: batch::Item<'_>,
) {
    let Some(part) = parts.get_mut(tp.source).filter(|part| part.state == State::Reading) else { return };
    let position = |offset: i64| Position(u64::try_from(offset).unwrap_or(0));
    match item {
        batch::Item::Record { offset, timestamp, payload, .. } => {
            // What had been fetched before the log was assigned anew comes once more.
            if part.next.is_some_and(|next| offset < next) {
                return;
            }
            part.next = Some(offset + 1);
            let (broker, bytes) = (timestamp.map(Timestamp), payload.unwrap_or_default().to_vec());
            ready.push_back(Item::Record { log: part.log, position: position(offset), broker, bytes });
            if offset + 1 >= part.end && part.told.is_none() {
                ready.extend(part.ends(offset + 1));
            }
        }
        batch::Item::End { offset } => {
            if part.next.is_none_or(|next| offset >= next) {
                part.next = Some(offset);
                ready.extend(part.ends(offset));
            }
        }
        batch::Item::Failed { code, text } => failed.push((tp, code, text)),
    }
}

//! Asks the broker, on a thread and a connection of its own, what would block the reader: where a partition starts and
//! ends, what the group had committed, which topics are missing.
//!
//! Everything is asked again until it is answered; a broker that is stopped holds up this thread and not the reader.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::consumer::{Start, TopicPartition};
use super::context::{Context, Event};
use super::errors::{self, Place};
use super::problems::{Kind, Problems};
use super::topic_ids;
use crate::clock;
use crate::domain::Timestamp;
use crate::journal::TopicId;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the ends are asked for.
const ENDS_EVERY: Duration = Duration::from_secs(1);
/// How often the topics are looked for: soon while one is missing.
const TOPICS_EVERY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));
const RETRY_AFTER: Duration = Duration::from_millis(250);

pub enum Ask {
    /// Where these start, again and again until answered.
    Starts(Vec<TopicPartition>),
    /// No longer of interest.
    Forget(Vec<TopicPartition>),
    /// The partitions whose ends are watched, instead of those before.
    Watch(Vec<TopicPartition>),
    /// By whom the other name of the group is asked for, under which it is read.
    Beside(BaseConsumer<Context>),
}

#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub tp: TopicPartition,
    /// Where [`Start`] says to begin.
    pub start: i64,
    pub low: i64,
    pub end: i64,
    /// What the group had committed, under either name.
    pub committed: Option<i64>,
    pub topic: TopicId,
}

pub enum Answer {
    Starts(Vec<Bounds>),
    /// `asked` is the wall time before the question: the ends were at least this far then.
    Ends {
        asked: Timestamp,
        ends: Vec<(TopicPartition, i64)>,
    },
    /// For each source, how many partitions its topic has, 0 where it does not exist; and which it is.
    Topics(Vec<i32>, Vec<TopicId>),
    /// What its client tells while it is polled. Until the group is joined nobody else asks the broker anything.
    Said(Vec<Event>),
}

pub struct Questions {
    pub client: BaseConsumer<Context>,
    pub beside: Option<BaseConsumer<Context>>,
    pub topics: Vec<String>,
    pub start: Start,
    pub place: Place,
    pub problems: Problems,
    pub asks: Receiver<Ask>,
    pub answers: Sender<Answer>,
}

type Offsets = BTreeMap<TopicPartition, Offset>;

impl Questions {
    /// Runs until the reader is gone.
    pub fn run(mut self) {
        let mut starts = BTreeSet::new();
        let mut watched: Vec<TopicPartition> = Vec::new();
        let (mut ends_due, mut topics_due) = (clock::instant(), clock::instant());
        let mut retry_due = clock::instant();
        loop {
            let mut due = ends_due.min(topics_due);
            if !starts.is_empty() {
                due = due.min(retry_due);
            }
            let mut ask = match self.asks.recv_timeout(due.saturating_duration_since(clock::instant())) {
                Ok(ask) => Some(ask),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            while let Some(next) = ask {
                match next {
                    Ask::Starts(list) => starts.extend(list),
                    Ask::Forget(list) => list.iter().for_each(|tp| {
                        starts.remove(tp);
                    }),
                    Ask::Watch(list) => watched = list,
                    Ask::Beside(client) => self.beside = Some(client),
                }
                ask = self.asks.try_recv().ok();
            }
            // Logs and errors of this client come only when it is polled.
            for client in self.clients() {
                while client.poll(Duration::ZERO).is_some() {}
            }
            // The other one is asked so seldom that a broker may close its connection: that says nothing of the broker.
            self.beside.iter().for_each(|client| drop(client.context().take()));
            let said: Vec<Event> = self.client.context().take().into();
            if !said.is_empty() && self.answers.send(Answer::Said(said)).is_err() {
                return;
            }
            let answer = self.ask_next(&mut starts, &watched, &mut ends_due, &mut topics_due, &mut retry_due);
            if answer.is_some_and(|answer| self.answers.send(answer).is_err()) {
                return;
            }
        }
    }

    /// The most urgent question that is due.
    fn ask_next(
        &self,
        starts: &mut BTreeSet<TopicPartition>,
        watched: &[TopicPartition],
        ends_due: &mut Instant,
        topics_due: &mut Instant,
        retry_due: &mut Instant,
    ) -> Option<Answer> {
        let now = clock::instant();
        if !starts.is_empty() && now >= *retry_due {
            let list: Vec<_> = starts.iter().copied().collect();
            let bounds = self.bounds(&list);
            // Counted from the answer: one that does not come keeps those that are read from being confirmed no longer.
            *retry_due = clock::instant() + RETRY_AFTER;
            let found = self.tell("the offsets to start from", bounds)?;
            for bounds in &found {
                starts.remove(&bounds.tp);
            }
            return Some(Answer::Starts(found));
        }
        if now >= *topics_due {
            *topics_due = now + TOPICS_EVERY.0;
            let counts = self.tell("its topics", self.partition_counts())?;
            if counts.iter().all(|count| *count > 0) {
                *topics_due = clock::instant() + TOPICS_EVERY.1;
            }
            return Some(Answer::Topics(counts, self.ids()));
        }
        if now >= *ends_due {
            *ends_due = now + ENDS_EVERY;
            if !watched.is_empty() {
                let asked = clock::now();
                let ends = self.tell("the ends of the partitions", self.offsets(watched, Offset::End))?;
                let ends = ends.into_iter().filter_map(|(tp, end)| Some((tp, number(end)?))).collect();
                return Some(Answer::Ends { asked, ends });
            }
        }
        None
    }

    /// An answer ends what stood in the way of answers; a question without one is a problem of its own kind.
    fn tell<T>(&self, what: &str, result: KafkaResult<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.problems.answered();
                Some(value)
            }
            Err(error) => {
                let code = error.rdkafka_error_code();
                let told = code
                    .and_then(|code| errors::explain(code, "", &self.place))
                    .filter(|(kind, _)| *kind != Kind::Other);
                let (kind, text) =
                    told.unwrap_or_else(|| (Kind::Silent, errors::unanswered(what, &error, &self.place)));
                // A broker that is not there is told once, by whoever finds out first.
                let unreachable = self.problems.open().iter().any(|problem| problem.kind == Kind::Unreachable);
                if kind != Kind::MissingTopic && !(kind == Kind::Silent && unreachable) {
                    self.problems.raise(kind, "", text);
                }
                None
            }
        }
    }

    fn clients(&self) -> impl Iterator<Item = &BaseConsumer<Context>> {
        std::iter::once(&self.client).chain(&self.beside)
    }

    /// What the group has committed. Only a hint: a coordinator that is not there yet does not hold up the reading.
    fn committed(&self, list: &[TopicPartition]) -> KafkaResult<BTreeMap<TopicPartition, i64>> {
        let mut furthest = BTreeMap::new();
        for client in self.clients() {
            let Ok(found) = client.committed_offsets(self.list(list, Offset::Invalid)?, PATIENCE) else { continue };
            for (tp, offset) in self.unlist(&found) {
                let Some(offset) = number(offset) else { continue };
                let known = furthest.entry(tp).or_insert(offset);
                *known = offset.max(*known);
            }
        }
        Ok(furthest)
    }

    fn list(&self, list: &[TopicPartition], offset: Offset) -> KafkaResult<TopicPartitionList> {
        let mut tpl = TopicPartitionList::with_capacity(list.len());
        for tp in list {
            if let Some(topic) = self.topics.get(tp.source) {
                tpl.add_partition_offset(topic, tp.partition, offset)?;
            }
        }
        Ok(tpl)
    }

    fn unlist(&self, tpl: &TopicPartitionList) -> Offsets {
        let found = tpl.elements().into_iter().filter(|element| element.error().is_ok()).filter_map(|element| {
            let source = self.topics.iter().position(|topic| topic == element.topic())?;
            Some((TopicPartition { source, partition: element.partition() }, element.offset()))
        });
        found.collect()
    }

    /// One question for all partitions: `at` is a timestamp in `Offset::Offset`, or one of the two ends.
    fn offsets(&self, list: &[TopicPartition], at: Offset) -> KafkaResult<Offsets> {
        Ok(self.unlist(&self.client.offsets_for_times(self.list(list, at)?, PATIENCE)?))
    }

    /// For each source which topic it is. Only a hint: where the broker does not say, nothing is held up.
    fn ids(&self) -> Vec<TopicId> {
        let ids = topic_ids::of(&self.client, &self.topics, PATIENCE).unwrap_or_else(|error| {
            tracing::debug!(%error, "the ids of the topics are not known");
            BTreeMap::new()
        });
        self.topics.iter().map(|topic| ids.get(topic).copied().unwrap_or_default()).collect()
    }

    fn bounds(&self, list: &[TopicPartition]) -> KafkaResult<Vec<Bounds>> {
        // First: one that is made anew meanwhile is found to be another later.
        let ids = self.ids();
        let lows = self.offsets(list, Offset::Beginning)?;
        // The end first: a record that comes between this question and the next lies behind it and is not passed over.
        let ends = self.offsets(list, Offset::End)?;
        let since = match self.start {
            Start::Beginning => None,
            Start::Since(instant) => Some(instant),
            Start::Back(span) => Some(clock::now() - span),
        };
        let starts = match since {
            None => lows.clone(),
            Some(instant) => self.offsets(list, Offset::Offset(instant.0.max(0)))?,
        };
        let committed = self.committed(list)?;
        let bounds = list.iter().filter_map(|tp| {
            let (low, end) = (number(*lows.get(tp)?)?, number(*ends.get(tp)?)?);
            // No record is that young: the end is where it starts.
            let start = number(*starts.get(tp)?).unwrap_or(end);
            let committed = committed.get(tp).copied();
            let topic = ids.get(tp.source).copied().unwrap_or_default();
            Some(Bounds { tp: *tp, start: start.clamp(low, end), low, end, committed, topic })
        });
        Ok(bounds.collect())
    }

    fn partition_counts(&self) -> KafkaResult<Vec<i32>> {
        let mut counts = Vec::with_capacity(self.topics.len());
        for topic in &self.topics {
            counts.push(match self.client.fetch_metadata(Some(topic), PATIENCE) {
                Ok(metadata) => {
                    let found = metadata.topics().iter().find(|found| found.name() == topic);
                    let count = found.map_or(0, |found| found.partitions().len());
                    let exists = found.and_then(|found| found.error()).is_some_and(|error| {
                        RDKafkaErrorCode::from(error) != RDKafkaErrorCode::UnknownTopicOrPartition
                    });
                    // Of one that answers with another error there is one at least.
                    i32::try_from(count).unwrap_or(i32::MAX).max(i32::from(exists))
                }
                Err(KafkaError::MetadataFetch(
                    RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition,
                )) => 0,
                Err(error) => return Err(error.clone()),
            });
        }
        Ok(counts)
    }
}

fn number(offset: Offset) -> Option<i64> {
    match offset {
        Offset::Offset(number) if number >= 0 => Some(number),
        _ => None,
    }
}

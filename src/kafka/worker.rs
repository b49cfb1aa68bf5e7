//! The reading thread: events of the group, batches of records, commits, shutdown.
//!
//! Deliberately not here: anything that waits for the broker. Offsets are asked for by `questions`; commits are answered
//! by an event. So the handler's `idle` comes on time whatever the broker does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;

use super::batch::{Item, Reader};
use super::consumer::{self, GroupName, Handler, Options, Shared, TopicPartition};
use super::context::{Context, Event};
use super::errors::{self, Place};
use super::problems::{Kind, Problems};
use super::questions::{Answer, Ask, Bounds, Questions};
use super::slots::{Slots, each, slot, visit};
use super::status::{Counters, Ended, PartitionStatus};
use crate::clock;
use crate::config::Kafka;
use crate::journal::TopicId;

/// Records taken at once: few enough that `idle` comes on time with a handler of ten microseconds a record.
const BATCH: usize = 1024;
const WAIT: Duration = Duration::from_millis(5);
const IDLE_EVERY: Duration = Duration::from_millis(20);
const STATUS_EVERY: Duration = Duration::from_millis(100);
/// After this long without partitions it is said.
const GROUP_PATIENCE: Duration = Duration::from_secs(10);
/// How long a shutdown waits for the commit and for leaving, each, when nothing shorter is asked for.
const LEAVING: Duration = Duration::from_secs(5);

pub struct Setup {
    pub kafka: Kafka,
    pub consumer: BaseConsumer<Context>,
    pub asking: BaseConsumer<Context>,
    pub topics: Vec<String>,
    pub options: Options,
    pub place: Place,
    pub shared: Arc<Shared>,
    pub handler: Box<dyn Handler>,
}

/// Whatever ends the thread, the outside sees that it ended.
struct Epitaph(Arc<Shared>);

impl Drop for Epitaph {
    fn drop(&mut self) {
        let ended = if std::thread::panicking() {
            Ended::Failed(
                "The reader of the sources died of a defect of this program; see the log, and report it.".to_owned(),
            )
        } else {
            Ended::Stopped
        };
        self.0.status().ended.get_or_insert(ended);
    }
}

pub fn run(setup: Setup) {
    let Setup { kafka, consumer, asking, topics, options, place, shared, handler } = setup;
    let _epitaph = Epitaph(shared.clone());
    let (asks, asks_receiver) = mpsc::channel();
    let (answers_sender, answers) = mpsc::channel();
    let questions = Questions {
        client: asking,
        beside: None,
        topics: topics.clone(),
        start: options.start,
        place: place.clone(),
        problems: shared.problems.clone(),
        asks: asks_receiver,
        answers: answers_sender,
    };
    let thread = std::thread::Builder::new().name("kafka-questions".into()).spawn(move || questions.run());
    let thread = thread.map_err(|error| error.to_string());
    let reader = match (thread, reader(consumer, &topics)) {
        (Ok(_), Ok(reader)) => reader,
        (Err(why), _) | (_, Err(why)) => {
            shared.status().ended = Some(Ended::Failed(unreadable(&place, &why)));
            return;
        }
    };
    let group = options.group.unwrap_or_else(|| {
        let configured = kafka.group.clone();
        Arc::new(move || Some(configured.clone()))
    });
    let now = clock::instant();
    let mut worker = Worker {
        slots: topics.iter().map(|_| Vec::new()).collect(),
        reader,
        kafka,
        joins: Some(group),
        fenced: Vec::new(),
        handler,
        waiting: BTreeSet::new(),
        held: BTreeMap::new(),
        resolved: Vec::new(),
        asks,
        answers,
        place,
        counters: Counters::default(),
        commit_due: now + options.commit_every,
        commit_every: options.commit_every,
        commits_open: 0,
        assigned: false,
        started: now,
        idled: now,
        shown: now,
        shared,
        topics,
    };
    while !worker.shared.stop.load(Ordering::Acquire) {
        if let Err(failure) = worker.turn() {
            worker.shared.status().ended = Some(Ended::Failed(failure));
            break;
        }
    }
    worker.finish();
}

pub(super) fn reader(consumer: BaseConsumer<Context>, topics: &[String]) -> Result<Reader<Context>, String> {
    Reader::new(consumer, topics.to_vec(), BATCH).ok_or_else(|| "no memory for a queue".to_owned())
}

fn unreadable(place: &Place, why: &str) -> String {
    format!("The sources at {} cannot be read: {}.", place.brokers, place.redact(why))
}

pub(super) struct Worker {
    pub(super) reader: Reader<Context>,
    pub(super) kafka: Kafka,
    /// Until the group has been joined.
    joins: Option<GroupName>,
    /// When it was shut out of the group and joined it anew.
    pub(super) fenced: Vec<Instant>,
    pub(super) handler: Box<dyn Handler>,
    pub(super) topics: Vec<String>,
    pub(super) slots: Slots,
    /// Given to us, but where to start is not known yet.
    pub(super) waiting: BTreeSet<TopicPartition>,
    /// The handler does not know yet from where it wants them.
    pub(super) held: BTreeMap<TopicPartition, Bounds>,
    /// Known, but held until all are: only under the eager protocol, which assigns all at once.
    pub(super) resolved: Vec<Bounds>,
    pub(super) asks: Sender<Ask>,
    pub(super) answers: Receiver<Answer>,
    pub(super) place: Place,
    pub(super) shared: Arc<Shared>,
    pub(super) counters: Counters,
    pub(super) commit_due: Instant,
    pub(super) commit_every: Duration,
    /// Commits sent and not answered.
    pub(super) commits_open: u32,
    pub(super) assigned: bool,
    pub(super) started: Instant,
    pub(super) idled: Instant,
    pub(super) shown: Instant,
}

impl Worker {
    pub(super) fn problems(&self) -> &Problems {
        &self.shared.problems
    }

    /// One round. The error is the paragraph with which the reader ends.
    fn turn(&mut self) -> Result<(), String> {
        if let Some(name) = self.joins.as_ref().and_then(|name| name()) {
            self.joins = None;
            self.started = clock::instant();
            self.join(name).map_err(|why| unreadable(&self.place, &why))?;
        }
        if let Err(failure) = self.poll_client() {
            self.join_anew().ok_or(failure)?;
        }
        while let Ok(answer) = self.answers.try_recv() {
            self.take_answer(answer);
        }
        for wanted in self.handler.reads() {
            self.read_from(wanted);
        }
        let taken = self.read();
        let now = clock::instant();
        if taken == 0 || now.duration_since(self.idled) >= IDLE_EVERY {
            self.idled = now;
            self.handler.idle();
        }
        if now >= self.commit_due {
            self.commit_due = now + self.commit_every;
            self.commit(&|_| true);
        }
        if now.duration_since(self.shown) >= STATUS_EVERY {
            self.shown = now;
            self.reader.forward_again();
            self.show(now);
        }
        Ok(())
    }

    fn join(&mut self, group: String) -> Result<(), String> {
        if group != self.kafka.group {
            tracing::info!(
                group,
                "the sources are read under another name of the group: its first settings were others"
            );
            let kafka = Kafka { group, ..self.kafka.clone() };
            self.place = Place::new(&kafka);
            let beside = consumer::asking(&kafka, &self.place).map_err(|error| error.to_string())?;
            self.ask(Ask::Beside(beside));
            let member = consumer::member(&kafka, &self.place).map_err(|error| error.to_string())?;
            self.reader = reader(member, &self.topics)?;
        }
        self.subscribe()
    }

    pub(super) fn subscribe(&self) -> Result<(), String> {
        let names: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        self.reader.consumer().subscribe(&names).map_err(|error| error.to_string())
    }

    fn poll_client(&mut self) -> Result<(), String> {
        match self.reader.consumer().poll(Duration::ZERO) {
            Some(Err(KafkaError::MessageConsumptionFatal(_))) => {
                let (code, text) =
                    self.reader.consumer().client().fatal_error().unwrap_or((RDKafkaErrorCode::Fatal, String::new()));
                return Err(errors::fatal(code, &text, &self.place).to_string());
            }
            // Partitions are forwarded before they are assigned, so this does not happen; should it, nothing is lost.
            Some(Ok(message)) => {
                let source = self.topics.iter().position(|topic| topic == message.topic());
                if let Some(source) = source {
                    let tp = TopicPartition { source, partition: message.partition() };
                    let (offset, timestamp) = (message.offset(), message.timestamp().to_millis());
                    let item = Item::Record { offset, timestamp, key: message.key(), payload: message.payload() };
                    let mut lost = Vec::new();
                    visit(&mut self.slots, &mut *self.handler, &mut self.counters, &mut lost, tp, item);
                }
            }
            // Errors come through the context as well, with their text.
            Some(Err(_)) | None => {}
        }
        for event in self.reader.consumer().context().take() {
            self.take_event(event);
        }
        Ok(())
    }

    fn take_event(&mut self, event: Event) {
        match event {
            Event::Assign(list) => self.assign(&list),
            Event::Revoke(list) => self.revoke(&list),
            Event::Error(code, reason) => {
                // A missing topic is told by name by those who look for the topics.
                if let Some((kind, text)) = errors::explain(code, &reason, &self.place)
                    && kind != Kind::MissingTopic
                {
                    self.problems().raise(kind, "", text);
                }
            }
            Event::Committed(result) => {
                self.commits_open = self.commits_open.saturating_sub(1);
                match result {
                    Ok(()) => {
                        self.counters.commits += 1;
                        self.problems().clear(Kind::Commit, "");
                    }
                    Err(error) => self.commit_failed(&error),
                }
            }
        }
    }

    fn commit_failed(&mut self, error: &KafkaError) {
        use RDKafkaErrorCode as Code;
        self.counters.commit_failures += 1;
        let passing = [
            Code::NoOffset,
            Code::RebalanceInProgress,
            Code::IllegalGeneration,
            Code::UnknownMemberId,
            Code::AssignmentLost,
            Code::FencedInstanceId,
        ];
        if error.rdkafka_error_code().is_some_and(|code| passing.contains(&code)) {
            // The partitions are moving: whoever has them next commits.
            tracing::debug!(%error, "offsets not committed while the group changes");
            return;
        }
        let text = format!(
            "The offsets read could not be committed for the group `{}` at {}: {}. Nothing is lost by it; it is tried again \
             every {} s.",
            self.place.group,
            self.place.brokers,
            self.place.redact(&error.to_string()),
            self.commit_every.as_secs()
        );
        self.problems().raise(Kind::Commit, "", text);
    }

    pub(super) fn ask(&self, ask: Ask) {
        // The other thread ends only after this one.
        let _ = self.asks.send(ask);
    }

    pub(super) fn watch(&self) {
        self.ask(Ask::Watch(each(&self.slots).map(|(tp, _)| tp).collect()));
    }

    fn take_answer(&mut self, answer: Answer) {
        match answer {
            Answer::Starts(list) => {
                let (new, other): (Vec<_>, Vec<_>) =
                    list.into_iter().partition(|bounds| self.waiting.remove(&bounds.tp));
                for bounds in other {
                    self.restart(&bounds);
                }
                for bounds in new {
                    let assigned = self.handler.assigned(bounds.tp, bounds.start);
                    self.handler.is_of(bounds.tp, bounds.topic);
                    match assigned {
                        Some(start) => self.resolved.push(Bounds { start, ..bounds }),
                        None => drop(self.held.insert(bounds.tp, bounds)),
                    }
                }
                self.begin();
            }
            Answer::Ends { asked, ends } => {
                for (tp, end) in ends {
                    let Some(slot) = slot(&mut self.slots, tp) else { continue };
                    slot.end = end;
                    if slot.position >= end && !slot.lost {
                        slot.caught_up = slot.caught_up.max(Some(asked));
                        self.handler.caught_up(tp, slot.position);
                    }
                }
            }
            Answer::Said(events) => events.into_iter().for_each(|event| self.take_event(event)),
            Answer::Topics(counts, ids) => {
                self.look_at_topics(&counts);
                self.look_at_ids(&ids);
            }
        }
    }

    /// A topic that was made anew has records that nobody has read, though its offsets may have come beyond ours again.
    fn look_at_ids(&mut self, ids: &[TopicId]) {
        let mut lost = Vec::new();
        let rows = self.slots.iter_mut().zip(ids).enumerate();
        for (source, (row, id)) in rows {
            for (slot, partition) in row.iter_mut().zip(0i32..) {
                let Some(slot) = slot else { continue };
                let tp = TopicPartition { source, partition };
                if slot.topic == TopicId::UNKNOWN && *id != TopicId::UNKNOWN {
                    slot.topic = *id;
                    self.handler.is_of(tp, *id);
                }
                if slot.topic.differs(*id) && !std::mem::replace(&mut slot.anew, true) {
                    slot.lost = true;
                    self.counters.resets += 1;
                    lost.push(tp);
                }
            }
        }
        if !lost.is_empty() {
            self.ask(Ask::Starts(lost));
        }
    }

    fn look_at_topics(&mut self, counts: &[i32]) {
        let mut missing = Vec::new();
        for (source, (topic, count)) in self.topics.iter().zip(counts).enumerate() {
            if *count > 0 {
                self.problems().clear(Kind::MissingTopic, topic);
                continue;
            }
            missing.push(source);
            let text = format!(
                "The topic `{topic}` of `sources` does not exist at {}. Create it, or mend `sources[].topic`; it is read \
                 as soon as it exists, and the other sources are read meanwhile.",
                self.place.brokers
            );
            self.problems().raise(Kind::MissingTopic, topic, text);
        }
        let before = self.shared.status().partition_counts.clone();
        for (topic, (was, is)) in self.topics.iter().zip(before.iter().zip(counts)) {
            if *was > 0 && is > was {
                let text = format!(
                    "The topic `{topic}` has {is} partitions now and had {was}: keys have moved, so that the events of interactions \
                     and agents under way lie in two partitions, and each counts by itself. Figures are right again once those \
                     are closed; agents, once each has sent a snapshot and its older state has timed out."
                );
                self.problems().raise(Kind::Partitions, topic, text);
            }
        }
        let mut status = self.shared.status();
        for (seen, count) in status.seen.iter_mut().zip(counts) {
            *seen |= *count > 0;
        }
        status.partition_counts = counts.to_vec();
        status.missing = missing;
    }

    pub(super) fn read(&mut self) -> usize {
        let Worker { reader, slots, handler, counters, .. } = self;
        let mut failed = Vec::new();
        let taken = reader.read(WAIT, &mut |tp, item| {
            // A rebalance that falls between librdkafka's giving a record and its note of that brings the record again.
            if let Item::Record { offset, .. } = item
                && slot(slots, tp).is_some_and(|slot| offset < slot.position)
            {
                counters.repeated += 1;
                return;
            }
            visit(slots, &mut **handler, counters, &mut failed, tp, item);
        });
        for (tp, code, text) in failed {
            self.partition_failed(tp, code, &text);
        }
        taken
    }

    fn partition_failed(&mut self, tp: TopicPartition, code: RDKafkaErrorCode, text: &str) {
        let Some(topic) = self.topics.get(tp.source) else { return };
        match code {
            RDKafkaErrorCode::AutoOffsetReset
            | RDKafkaErrorCode::LogTruncation
            | RDKafkaErrorCode::OffsetOutOfRange => {
                let Some(slot) = slot(&mut self.slots, tp) else { return };
                if !std::mem::replace(&mut slot.lost, true) {
                    self.counters.resets += 1;
                    self.ask(Ask::Starts(vec![tp]));
                }
            }
            _ => {
                if let Some((kind, paragraph)) = errors::explain(code, text, &self.place)
                    && kind != Kind::MissingTopic
                {
                    let place = format!("{topic}-{}", tp.partition);
                    self.problems().raise(kind, &place, paragraph);
                }
            }
        }
    }

    /// Commits what was handed on. Never back: after a restart the replay of the last day is not the group's position.
    pub(super) fn commit(&mut self, which: &dyn Fn(TopicPartition) -> bool) {
        let due: Vec<_> = each(&self.slots)
            .filter(|(tp, slot)| which(*tp) && !slot.lost && slot.position > slot.committed)
            .map(|(tp, slot)| (tp, Offset::Offset(slot.position)))
            .collect();
        if due.is_empty() || !self.handler.may_commit() {
            return;
        }
        let tpl = self.list(due.iter().copied());
        match self.reader.commit(&tpl) {
            Ok(()) => {
                self.commits_open += 1;
                for (tp, _) in due {
                    if let Some(slot) = slot(&mut self.slots, tp) {
                        slot.committed = slot.position;
                    }
                }
            }
            Err(error) => self.commit_failed(&error),
        }
    }

    fn show(&mut self, now: Instant) {
        self.problems().repeat();
        if self.joins.is_none()
            && !self.assigned
            && now.duration_since(self.started) >= GROUP_PATIENCE
            && self.problems().open().is_empty()
        {
            let text = format!(
                "The consumer group `{}` at {} has not given out partitions for {} s. If this lasts, another process may \
                 hold the group's rebalance up, or the broker may not be able to create its offsets topic.",
                self.place.group,
                self.place.brokers,
                GROUP_PATIENCE.as_secs()
            );
            self.problems().raise(Kind::Group, "", text);
        }
        let mut status = self.shared.status();
        status.partitions.clear();
        status.partitions.extend(each(&self.slots).map(|(tp, slot)| PartitionStatus {
            tp,
            position: slot.position,
            end: slot.end.max(slot.position),
            end_at_start: slot.end_at_start,
            caught_up: slot.caught_up,
            records: slot.records,
            read_before: slot.replayed_to > 0,
        }));
        status.assigned = self.assigned;
        status.starting = self.waiting.len() + self.held.len() + self.resolved.len();
        status.counters = self.counters;
    }

    /// The last flush, the last commit, the way out of the group.
    fn finish(mut self) {
        self.handler.stopping();
        self.commit(&|_| true);
        let asked = *self.shared.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        // Half of the time is for the commit, so that leaving and destroying have the rest.
        let now = clock::instant();
        let left = asked.map_or(LEAVING, |deadline| deadline.saturating_duration_since(now).min(LEAVING)) / 2;
        self.poll_until(now + left, |worker| worker.commits_open == 0);
        if self.commits_open > 0 {
            tracing::warn!("the last offsets were not confirmed before the deadline");
        }
        self.show(clock::instant());
        self.reader.consumer().unsubscribe();
        self.poll_until(clock::instant() + left, |worker| each(&worker.slots).next().is_none());
        self.reader.consumer().context().close();
        self.reader.release_all();
    }

    fn poll_until(&mut self, deadline: Instant, done: impl Fn(&Self) -> bool) {
        while !done(self) && clock::instant() < deadline && self.poll_client().is_ok() {
            // Records that still come are not handed on: they are read again after the next start.
            let mut ignore = |_: TopicPartition, _: Item<'_>| {};
            self.reader.read(WAIT, &mut ignore);
        }
    }
}

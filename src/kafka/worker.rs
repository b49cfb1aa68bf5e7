//! The reading thread: events of the group, batches of records, commits, shutdown.
//!
//! Deliberately not here: anything that waits for the broker. Offsets are asked for by `questions`; commits are answered
//! by an event. So the handler's `idle` comes on time whatever the broker does.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::batch::{Item, Reader};
use super::consumer::{Handler, Options, Record, Shared, TopicPartition};
use super::errors::{self, Place};
use super::problems::{Kind, Problems};
use super::questions::{Answer, Ask, Bounds, Questions};
use super::status::{Counters, Ended, PartitionStatus};
use crate::clock;
use crate::domain::Timestamp;

/// Records taken at once: few enough that `idle` comes on time with a handler of ten microseconds a record.
const BATCH: usize = 1024;
const WAIT: Duration = Duration::from_millis(5);
const IDLE_EVERY: Duration = Duration::from_millis(20);
const STATUS_EVERY: Duration = Duration::from_millis(100);
/// After this long without partitions it is said.
const GROUP_PATIENCE: Duration = Duration::from_secs(10);
/// How long a shutdown waits for the commit and for leaving, each, when nothing shorter is asked for.
const LEAVING: Duration = Duration::from_secs(5);

/// What librdkafka tells while it is polled.
pub enum Event {
    Assign(Vec<(String, i32)>),
    Revoke(Vec<(String, i32)>),
    Error(RDKafkaErrorCode, String),
    Committed(KafkaResult<()>),
}

/// The client's callbacks: they only take note. All run on the thread that polls.
pub struct Context {
    place: Place,
    events: Mutex<VecDeque<Event>>,
    /// Nobody looks at the events any more: partitions are given back at once.
    closing: AtomicBool,
}

impl Context {
    pub fn new(place: Place) -> Self {
        Context { place, events: Mutex::default(), closing: AtomicBool::new(false) }
    }

    fn push(&self, event: Event) {
        if !self.closing.load(Ordering::Acquire) {
            self.events.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
        }
    }

    pub fn take(&self) -> VecDeque<Event> {
        std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let message = self.place.redact(message);
        // What matters arrives as an error as well, and is told there in words.
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, "librdkafka: {message}");
            }
            _ => tracing::debug!(facility, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            self.push(Event::Error(code, reason.to_owned()));
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, tpl: &mut TopicPartitionList) {
        let list = || tpl.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect();
        match error {
            // Answered by the worker, which knows the offsets; until then the group waits for us, alive.
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS if !self.closing.load(Ordering::Acquire) => {
                self.push(Event::Assign(list()));
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS if !self.closing.load(Ordering::Acquire) => {
                self.push(Event::Revoke(list()));
            }
            _ => {
                let _ = consumer.unassign();
            }
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        self.push(Event::Committed(result));
    }
}

pub struct Setup {
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
    let Setup { consumer, asking, topics, options, place, shared, handler } = setup;
    let _epitaph = Epitaph(shared.clone());
    let (asks, asks_receiver) = mpsc::channel();
    let (answers_sender, answers) = mpsc::channel();
    let questions = Questions {
        client: asking,
        topics: topics.clone(),
        start: options.start,
        place: place.clone(),
        problems: shared.problems.clone(),
        asks: asks_receiver,
        answers: answers_sender,
    };
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let subscribed = consumer.subscribe(&names).map_err(|error| error.to_string());
    let thread = std::thread::Builder::new().name("kafka-questions".into()).spawn(move || questions.run());
    let thread = thread.map_err(|error| error.to_string());
    let reader = Reader::new(consumer, topics.clone(), BATCH).ok_or_else(|| "no memory for a queue".to_owned());
    let reader = match (subscribed, thread, reader) {
        (Ok(()), Ok(_), Ok(reader)) => reader,
        (Err(why), _, _) | (_, Err(why), _) | (_, _, Err(why)) => {
            let text = format!("The sources at {} cannot be read: {}.", place.brokers, place.redact(&why));
            shared.status().ended = Some(Ended::Failed(text));
            return;
        }
    };
    let now = clock::instant();
    let mut worker = Worker {
        slots: topics.iter().map(|_| Vec::new()).collect(),
        reader,
        handler,
        waiting: BTreeSet::new(),
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

/// A partition that is being read.
struct Slot {
    position: i64,
    committed: i64,
    /// Up to here the group had read before this assignment.
    replayed_to: i64,
    end: i64,
    end_at_start: i64,
    caught_up: Option<Timestamp>,
    records: u64,
    /// Its position is no longer in the log, and where it begins is being asked for.
    lost: bool,
}

/// By source, then by partition; `None` where the partition is not ours.
type Slots = Vec<Vec<Option<Slot>>>;

fn slot(slots: &mut Slots, tp: TopicPartition) -> Option<&mut Slot> {
    slots.get_mut(tp.source)?.get_mut(usize::try_from(tp.partition).ok()?)?.as_mut()
}

fn each(slots: &Slots) -> impl Iterator<Item = (TopicPartition, &Slot)> {
    slots.iter().enumerate().flat_map(|(source, partitions)| {
        partitions
            .iter()
            .zip(0i32..)
            .filter_map(move |(slot, partition)| Some((TopicPartition { source, partition }, slot.as_ref()?)))
    })
}

struct Worker {
    reader: Reader<Context>,
    handler: Box<dyn Handler>,
    topics: Vec<String>,
    slots: Slots,
    /// Given to us, but where to start is not known yet.
    waiting: BTreeSet<TopicPartition>,
    /// Known, but held until all are: only under the eager protocol, which assigns all at once.
    resolved: Vec<Bounds>,
    asks: Sender<Ask>,
    answers: Receiver<Answer>,
    place: Place,
    shared: Arc<Shared>,
    counters: Counters,
    commit_due: Instant,
    commit_every: Duration,
    /// Commits sent and not answered.
    commits_open: u32,
    assigned: bool,
    started: Instant,
    idled: Instant,
    shown: Instant,
}

impl Worker {
    fn problems(&self) -> &Problems {
        &self.shared.problems
    }

    /// One round. The error is the paragraph with which the reader ends.
    fn turn(&mut self) -> Result<(), String> {
        self.poll_client()?;
        while let Ok(answer) = self.answers.try_recv() {
            self.take_answer(answer);
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

    fn known(&self, list: &[(String, i32)]) -> Vec<TopicPartition> {
        let find = |(topic, partition): &(String, i32)| {
            let source = self.topics.iter().position(|name| name == topic)?;
            Some(TopicPartition { source, partition: *partition })
        };
        list.iter().filter_map(find).collect()
    }

    fn list(&self, list: impl IntoIterator<Item = (TopicPartition, Offset)>) -> TopicPartitionList {
        let mut tpl = TopicPartitionList::new();
        for (tp, offset) in list {
            if let Some(topic) = self.topics.get(tp.source) {
                // Fails on offsets that cannot be represented only; such a partition starts where it was.
                let _ = tpl.add_partition_offset(topic, tp.partition, offset);
            }
        }
        tpl
    }

    fn eager(&self) -> bool {
        matches!(self.reader.consumer().rebalance_protocol(), RebalanceProtocol::Eager)
    }

    fn assign(&mut self, list: &[(String, i32)]) {
        let list = self.known(list);
        self.counters.rebalances += 1;
        self.assigned = true;
        self.problems().answered();
        self.problems().clear(Kind::Group, "");
        if list.is_empty() {
            self.tell_assigned(&TopicPartitionList::new());
            return;
        }
        self.waiting.extend(list.iter().copied());
        self.ask(Ask::Starts(list));
    }

    /// Answers the group's assignment.
    fn tell_assigned(&mut self, tpl: &TopicPartitionList) {
        let consumer = self.reader.consumer();
        let result = if self.eager() { consumer.assign(tpl) } else { consumer.incremental_assign(tpl) };
        if let Err(error) = result {
            let text = format!("Partitions that the group gave us could not be taken: {error}.");
            self.problems().raise(Kind::Other, "assignment", text);
        }
    }

    fn revoke(&mut self, list: &[(String, i32)]) {
        let list = self.known(list);
        self.counters.rebalances += 1;
        self.ask(Ask::Forget(list.clone()));
        let (waited, read): (Vec<_>, Vec<_>) = list.into_iter().partition(|tp| self.waiting.remove(tp));
        self.resolved.retain(|bounds| !waited.contains(&bounds.tp) && !read.contains(&bounds.tp));
        let read: Vec<_> = read.into_iter().filter(|tp| slot(&mut self.slots, *tp).is_some()).collect();
        if !read.is_empty() {
            self.commit(&|tp| read.contains(&tp));
            self.handler.revoked(&read);
        }
        let consumer = self.reader.consumer();
        let tpl = self.list(read.iter().map(|tp| (*tp, Offset::Invalid)));
        let result = if self.eager() { consumer.unassign() } else { consumer.incremental_unassign(&tpl) };
        if let Err(error) = result {
            tracing::debug!(%error, "partitions could not be given back one by one; all are");
            let _ = self.reader.consumer().unassign();
        }
        for tp in &read {
            self.reader.release(*tp);
            if let Some(place) =
                self.slots.get_mut(tp.source).and_then(|row| row.get_mut(usize::try_from(tp.partition).ok()?))
            {
                *place = None;
            }
        }
        self.watch();
    }

    fn ask(&self, ask: Ask) {
        // The other thread ends only after this one.
        let _ = self.asks.send(ask);
    }

    fn watch(&self) {
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
                self.resolved.extend(new);
                if !self.resolved.is_empty() && (!self.eager() || self.waiting.is_empty()) {
                    self.begin();
                }
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
            Answer::Topics(exist) => self.look_at_topics(&exist),
        }
    }

    fn look_at_topics(&mut self, exist: &[bool]) {
        let mut missing = Vec::new();
        for (source, (topic, exists)) in self.topics.iter().zip(exist).enumerate() {
            if *exists {
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
        let mut status = self.shared.status();
        for (seen, exists) in status.seen.iter_mut().zip(exist) {
            *seen |= *exists;
        }
        status.missing = missing;
    }

    /// Starts to read the partitions whose bounds are known.
    fn begin(&mut self) {
        let bounds = std::mem::take(&mut self.resolved);
        let mut starts = Vec::with_capacity(bounds.len());
        for Bounds { tp, start, end, committed, .. } in bounds {
            let Ok(index) = usize::try_from(tp.partition) else { continue };
            // Where the handler goes on may lie outside the log by now: librdkafka says so, and `restart` follows.
            let position = self.handler.resume_from(tp).unwrap_or(start).max(0);
            let Some(row) = self.slots.get_mut(tp.source) else { continue };
            if row.len() <= index {
                row.resize_with(index + 1, || None);
            }
            let committed = committed.unwrap_or(0);
            let slot = Slot {
                position,
                committed,
                replayed_to: committed,
                end,
                end_at_start: end,
                caught_up: None,
                records: 0,
                lost: false,
            };
            if let Some(place) = row.get_mut(index) {
                *place = Some(slot);
            }
            if !self.reader.forward(tp) {
                tracing::debug!(partition = tp.partition, "not forwarded: read through the consumer's own queue");
            }
            starts.push((tp, Offset::Offset(position)));
        }
        let tps: Vec<_> = starts.iter().map(|(tp, _)| *tp).collect();
        self.handler.assigned(&tps);
        let tpl = self.list(starts);
        self.tell_assigned(&tpl);
        self.watch();
    }

    /// A position that is gone: from the start of the log, said aloud.
    fn restart(&mut self, bounds: &Bounds) {
        let Some(slot) = slot(&mut self.slots, bounds.tp).filter(|slot| slot.lost) else { return };
        let (position, low, end) = (slot.position, bounds.low, bounds.end);
        (slot.lost, slot.position, slot.committed, slot.replayed_to) = (false, low, 0, 0);
        (slot.end, slot.end_at_start) = (end, slot.end_at_start.min(end));
        if let Err(error) = self.assign_anew(bounds.tp) {
            tracing::debug!(%error, "a partition could not be started anew; tried again");
            let Some(slot) = self::slot(&mut self.slots, bounds.tp) else { return };
            (slot.lost, slot.position) = (true, position);
            self.ask(Ask::Starts(vec![bounds.tp]));
            return;
        }
        let Some(topic) = self.topics.get(bounds.tp.source) else { return };
        let what = if position < low {
            format!(
                "the records from offset {position} to {low} were deleted before they were read; they are missing in every figure"
            )
        } else {
            format!(
                "it ends at offset {end}, before our position {position}: it was deleted and created anew, or truncated"
            )
        };
        let text = format!(
            "Topic `{topic}` partition {}: {what}. Reading goes on from its start, offset {low}. If retention was too short \
             for the outage, raise `retention.ms` of the topic above 25 h.",
            bounds.tp.partition
        );
        self.shared.problems.raise(Kind::OffsetsGone, &format!("{topic}-{}", bounds.tp.partition), text);
    }

    /// Starts to fetch at a partition's new position. A seek does not do: after `auto.offset.reset` = error the partition
    /// is no longer fetched, and librdkafka refuses to seek in it.
    fn assign_anew(&self, tp: TopicPartition) -> KafkaResult<()> {
        let consumer = self.reader.consumer();
        let position = |only: Option<TopicPartition>| {
            let chosen = each(&self.slots).filter(|(tp, _)| only.is_none_or(|only| only == *tp));
            self.list(chosen.map(|(tp, slot)| (tp, Offset::Offset(slot.position))))
        };
        if self.eager() {
            return consumer.assign(&position(None));
        }
        let one = position(Some(tp));
        consumer.incremental_unassign(&one)?;
        consumer.incremental_assign(&one)
    }

    fn read(&mut self) -> usize {
        let Worker { reader, slots, handler, counters, .. } = self;
        let mut failed = Vec::new();
        let taken = reader.read(WAIT, &mut |tp, item| visit(slots, &mut **handler, counters, &mut failed, tp, item));
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
    fn commit(&mut self, which: &dyn Fn(TopicPartition) -> bool) {
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
        if !self.assigned && now.duration_since(self.started) >= GROUP_PATIENCE && self.problems().open().is_empty() {
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
        status.starting = self.waiting.len() + self.resolved.len();
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
        self.reader.consumer().context().closing.store(true, Ordering::Release);
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

type Failed = Vec<(TopicPartition, RDKafkaErrorCode, String)>;

/// What becomes of one item of the queue.
fn visit(
    slots: &mut Slots,
    handler: &mut dyn Handler,
    counters: &mut Counters,
    failed: &mut Failed,
    tp: TopicPartition,
    item: Item<'_>,
) {
    let Some(slot) = slot(slots, tp) else {
        counters.stray += u64::from(matches!(item, Item::Record { .. }));
        return;
    };
    match item {
        Item::Record { offset, timestamp, key, payload } => {
            slot.position = offset + 1;
            slot.records += 1;
            counters.records += 1;
            counters.bytes += (key.map_or(0, <[u8]>::len) + payload.map_or(0, <[u8]>::len)) as u64;
            counters.tombstones += u64::from(payload.is_none());
            handler.record(Record {
                source: tp.source,
                partition: tp.partition,
                offset,
                timestamp: timestamp.map(Timestamp),
                key,
                payload,
                replayed: offset < slot.replayed_to,
            });
        }
        Item::End { offset } => {
            // The end may lie behind markers that are no records.
            slot.position = slot.position.max(offset);
            slot.end = slot.end.max(offset);
            slot.caught_up = slot.caught_up.max(Some(clock::now()));
            handler.caught_up(tp, offset);
        }
        Item::Failed { code, text } => failed.push((tp, code, text)),
    }
}

//! The worker's part in the group: partitions given, started, taken away, started anew.
//!
//! A partition that the group gives is not read before its offsets are known (`questions`), so giving and starting are
//! two steps. librdkafka pauses every partition, those that stay too, until the group's assignment is answered: so it is
//! answered at once, and what is new is started later. Only the eager protocol, under which nothing stays, is answered with
//! all of it.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::consumer::{Consumer as _, RebalanceProtocol};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::consumer::{self, TopicPartition, Wanted};
use super::problems::Kind;
use super::questions::{Ask, Bounds};
use super::slots::{Slot, Slots, each, slot};
use super::worker::{self, Worker};
use crate::clock;
use crate::config::Kafka;

/// Who is shut out of the group more often than this within that time has a namesake.
const NAMESAKE_AFTER: (usize, Duration) = (2, Duration::from_secs(60));

/// Batches of what was on its way that are read before a partition is read from elsewhere.
const DRAINS_MAX: usize = 64;

impl Worker {
    fn known(&self, list: &[(String, i32)]) -> Vec<TopicPartition> {
        let find = |(topic, partition): &(String, i32)| {
            let source = self.topics.iter().position(|name| name == topic)?;
            Some(TopicPartition { source, partition: *partition })
        };
        list.iter().filter_map(find).collect()
    }

    pub(super) fn list(&self, list: impl IntoIterator<Item = (TopicPartition, Offset)>) -> TopicPartitionList {
        let mut tpl = TopicPartitionList::new();
        for (tp, offset) in list {
            if let Some(topic) = self.topics.get(tp.source) {
                // Fails on offsets that cannot be represented only; such a partition starts where it was.
                let _ = tpl.add_partition_offset(topic, tp.partition, offset);
            }
        }
        tpl
    }

    pub(super) fn eager(&self) -> bool {
        matches!(self.reader.consumer().rebalance_protocol(), RebalanceProtocol::Eager)
    }

    pub(super) fn assign(&mut self, list: &[(String, i32)]) {
        let list = self.known(list);
        self.counters.rebalances += 1;
        self.assigned = true;
        self.problems().answered();
        self.problems().clear(Kind::Group, "");
        if list.is_empty() || !self.eager() {
            self.tell_assigned(&TopicPartitionList::new());
        }
        if list.is_empty() {
            return;
        }
        // Who is given partitions has been let in.
        self.problems().clear(Kind::Authorization, "");
        self.waiting.extend(list.iter().copied());
        self.ask(Ask::Starts(list));
    }

    /// Answers the group's assignment, or adds to it.
    fn tell_assigned(&mut self, tpl: &TopicPartitionList) {
        let consumer = self.reader.consumer();
        let result = if self.eager() { consumer.assign(tpl) } else { consumer.incremental_assign(tpl) };
        if let Err(error) = result {
            let text = format!("Partitions that the group gave us could not be taken: {error}.");
            self.problems().raise(Kind::Other, "assignment", text);
        }
    }

    pub(super) fn revoke(&mut self, list: &[(String, i32)]) {
        let list = self.known(list);
        self.counters.rebalances += 1;
        self.ask(Ask::Forget(list.clone()));
        let told: Vec<_> = list.into_iter().filter(|tp| !self.waiting.remove(tp)).collect();
        self.resolved.retain(|bounds| !told.contains(&bounds.tp));
        self.held.retain(|tp, _| !told.contains(tp));
        let read: Vec<_> = told.iter().copied().filter(|tp| slot(&mut self.slots, *tp).is_some()).collect();
        self.commit(&|tp| read.contains(&tp));
        if !told.is_empty() {
            self.handler.revoked(&told);
        }
        let consumer = self.reader.consumer();
        let tpl = self.list(read.iter().map(|tp| (*tp, Offset::Invalid)));
        let result = if self.eager() { consumer.unassign() } else { consumer.incremental_unassign(&tpl) };
        if let Err(error) = result {
            // One that librdkafka has not taken up keeps neither the others nor the group waiting.
            tracing::debug!(%error, "partitions could not be given back together; each is");
            for tp in &read {
                let _ = consumer.incremental_unassign(&self.list([(*tp, Offset::Invalid)]));
            }
            let _ = consumer.incremental_unassign(&TopicPartitionList::new());
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

    /// A request to join that a broker in trouble answers too late was repeated by then: it takes the two for two processes of one
    /// name, and shuts out whichever it has heard of first. So it is joined once more, as a new member. With a namesake that
    /// happens again and again; then one of the two gives way: `None`.
    pub(super) fn join_anew(&mut self) -> Option<()> {
        let fenced =
            matches!(self.reader.consumer().client().fatal_error(), Some((RDKafkaErrorCode::FencedInstanceId, _)));
        let now = clock::instant();
        let (times, within) = NAMESAKE_AFTER;
        self.fenced.retain(|before| now.duration_since(*before) < within);
        if !fenced || self.fenced.len() >= times {
            return None;
        }
        self.fenced.push(now);
        tracing::warn!("shut out of the consumer group under its own name; it joins anew");
        self.lose_all();
        self.reader.consumer().context().close();
        self.reader.release_all();
        (self.assigned, self.started, self.commits_open) = (false, now, 0);
        let kafka = Kafka { group: self.place.group.clone(), ..self.kafka.clone() };
        let member = consumer::member(&kafka, &self.place).ok()?;
        self.reader = worker::reader(member, &self.topics).ok()?;
        self.subscribe().ok()
    }

    /// All partitions are taken away, whatever they wait for.
    fn lose_all(&mut self) {
        let read = each(&self.slots).map(|(tp, _)| tp);
        let started = self.held.keys().copied().chain(self.resolved.iter().map(|bounds| bounds.tp));
        let all: BTreeSet<TopicPartition> = read.chain(started).chain(self.waiting.iter().copied()).collect();
        let name = |tp: &TopicPartition| Some((self.topics.get(tp.source)?.clone(), tp.partition));
        let list: Vec<_> = all.iter().filter_map(name).collect();
        self.revoke(&list);
    }

    /// Starts to read the partitions of which it is known from where.
    pub(super) fn begin(&mut self) {
        let all = self.waiting.is_empty() && self.held.is_empty();
        if self.resolved.is_empty() || self.eager() && !all {
            return;
        }
        let bounds = std::mem::take(&mut self.resolved);
        let mut starts = Vec::with_capacity(bounds.len());
        for Bounds { tp, start, end, committed, topic, .. } in bounds {
            let Ok(index) = usize::try_from(tp.partition) else { continue };
            // Where the handler goes on may lie outside the log by now: librdkafka says so, and `restart` follows.
            let position = start.max(0);
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
                topic,
                anew: false,
            };
            if let Some(place) = row.get_mut(index) {
                *place = Some(slot);
            }
            if !self.reader.forward(tp) {
                tracing::debug!(partition = tp.partition, "not forwarded: read through the consumer's own queue");
            }
            starts.push((tp, Offset::Offset(position)));
            self.handler.reading(tp, start);
        }
        let tpl = self.list(starts);
        self.tell_assigned(&tpl);
        self.watch();
    }

    /// The handler wants the records of a partition from an offset on.
    pub(super) fn read_from(&mut self, Wanted { tp, from, anew }: Wanted) {
        if anew {
            self.say_gone(tp, "it was deleted and created anew since it was read last", from);
        }
        if let Some(bounds) = self.held.remove(&tp) {
            self.resolved.push(Bounds { start: from, ..bounds });
            return self.begin();
        }
        let place = |slots: &mut Slots| {
            let row = slots.get_mut(tp.source)?;
            row.get_mut(usize::try_from(tp.partition).ok()?)?.take()
        };
        // It may have been taken away meanwhile.
        let Some(taken) = place(&mut self.slots) else { return };
        let stopped = match self.eager() {
            true => self.reader.consumer().assign(&self.positions(None)),
            false => self.reader.consumer().incremental_unassign(&self.list([(tp, Offset::Invalid)])),
        };
        if let Err(error) = stopped {
            tracing::debug!(%error, "a partition could not be stopped before it is read from elsewhere");
        }
        self.reader.release(tp);
        // What was on its way of it comes now, and is passed over.
        for _ in 0..DRAINS_MAX {
            if self.read() == 0 {
                break;
            }
        }
        let slot = Slot { position: from.max(0), caught_up: None, lost: false, anew: false, ..taken };
        if let Some(row) = self.slots.get_mut(tp.source)
            && let Some(place) = usize::try_from(tp.partition).ok().and_then(|index| row.get_mut(index))
        {
            *place = Some(slot);
        }
        if !self.reader.forward(tp) {
            tracing::debug!(partition = tp.partition, "not forwarded: read through the consumer's own queue");
        }
        self.handler.reading(tp, from);
        let started = match self.eager() {
            true => self.reader.consumer().assign(&self.positions(None)),
            false => self.reader.consumer().incremental_assign(&self.positions(Some(tp))),
        };
        if let Err(error) = started {
            let text = format!("A partition could not be read from where it is needed: {error}.");
            self.problems().raise(Kind::Other, "assignment", text);
        }
    }

    /// The positions of all partitions that are read, or of one.
    fn positions(&self, only: Option<TopicPartition>) -> TopicPartitionList {
        let chosen = each(&self.slots).filter(|(tp, _)| only.is_none_or(|only| only == *tp));
        self.list(chosen.map(|(tp, slot)| (tp, Offset::Offset(slot.position))))
    }

    /// A position that is gone: from the start of the log, said aloud.
    pub(super) fn restart(&mut self, bounds: &Bounds) {
        let Some(slot) = slot(&mut self.slots, bounds.tp).filter(|slot| slot.lost) else { return };
        let (position, low, end) = (slot.position, bounds.low, bounds.end);
        slot.topic = bounds.topic.or(slot.topic);
        let (another, topic) = (std::mem::take(&mut slot.anew), slot.topic);
        (slot.lost, slot.position, slot.committed, slot.replayed_to) = (false, low, 0, 0);
        (slot.end, slot.end_at_start) = (end, slot.end_at_start.min(end));
        if let Err(error) = self.assign_anew(bounds.tp) {
            tracing::debug!(%error, "a partition could not be started anew; tried again");
            let Some(slot) = super::slots::slot(&mut self.slots, bounds.tp) else { return };
            (slot.lost, slot.position, slot.anew) = (true, position, another);
            self.ask(Ask::Starts(vec![bounds.tp]));
            return;
        }
        let anew = another || position >= low;
        self.handler.is_of(bounds.tp, topic);
        self.handler.gone(bounds.tp, low, anew);
        let what = if another {
            "it was deleted and created anew".to_owned()
        } else if !anew {
            format!(
                "the records from offset {position} to {low} were deleted before they were read; they are missing in every figure"
            )
        } else {
            format!(
                "it ended before our position {position} (now at offset {end}): it was deleted and created anew, or truncated"
            )
        };
        self.say_gone(bounds.tp, &what, low);
    }

    fn say_gone(&self, tp: TopicPartition, what: &str, from: i64) {
        let Some(topic) = self.topics.get(tp.source) else { return };
        let text = format!(
            "Topic `{topic}` partition {}: {what}. Reading goes on from its start, offset {from}. If retention was too short \
             for the outage, raise `retention.ms` of the topic above 25 h.",
            tp.partition
        );
        self.shared.problems.raise(Kind::OffsetsGone, &format!("{topic}-{}", tp.partition), text);
    }

    /// Starts to fetch at a partition's new position. A seek does not do: after `auto.offset.reset` = error the partition
    /// is no longer fetched, and librdkafka refuses to seek in it.
    fn assign_anew(&self, tp: TopicPartition) -> KafkaResult<()> {
        let consumer = self.reader.consumer();
        if self.eager() {
            return consumer.assign(&self.positions(None));
        }
        let one = self.positions(Some(tp));
        consumer.incremental_unassign(&one)?;
        consumer.incremental_assign(&one)
    }
}

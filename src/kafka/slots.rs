//! The partitions that are being read, and what becomes of what comes of them.

use rdkafka::error::RDKafkaErrorCode;

use super::batch::Item;
use super::consumer::{Handler, Record, TopicPartition};
use super::status::Counters;
use crate::clock;
use crate::domain::Timestamp;
use crate::journal::TopicId;

/// A partition that is being read.
pub struct Slot {
    pub position: i64,
    pub committed: i64,
    /// Up to here the group had read before this assignment.
    pub replayed_to: i64,
    pub end: i64,
    pub end_at_start: i64,
    pub caught_up: Option<Timestamp>,
    pub records: u64,
    /// Its position is no longer in the log, and where it begins is being asked for.
    pub lost: bool,
    /// Whose it is; and that the topic is another one by now: what comes of it until it is read from its start is passed over.
    pub topic: TopicId,
    pub anew: bool,
}

/// By source, then by partition; `None` where the partition is not ours.
pub type Slots = Vec<Vec<Option<Slot>>>;

pub fn slot(slots: &mut Slots, tp: TopicPartition) -> Option<&mut Slot> {
    slots.get_mut(tp.source)?.get_mut(usize::try_from(tp.partition).ok()?)?.as_mut()
}

pub fn each(slots: &Slots) -> impl Iterator<Item = (TopicPartition, &Slot)> {
    slots.iter().enumerate().flat_map(|(source, partitions)| {
        partitions
            .iter()
            .zip(0i32..)
            .filter_map(move |(slot, partition)| Some((TopicPartition { source, partition }, slot.as_ref()?)))
    })
}

pub type Failed = Vec<(TopicPartition, RDKafkaErrorCode, String)>;

/// What becomes of one item of the queue.
pub fn visit(
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
    if slot.anew {
        return;
    }
    match item {
        Item::Record { offset, timestamp, key, payload } => {
            slot.position = slot.position.max(offset + 1);
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

//! The reader's side: records -> wire -> floors, and flushes: many a second while they cost next to nothing, fewer under load.
//!
//! One floor per partition. A partition that is taken away keeps its floor: should it come back, it goes on where it was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock;
use crate::config::Config;
use crate::domain::{Millis, Timestamp};
use crate::floor::{self, Counters, Floor, Taken};
use crate::indicators::Topics;
use crate::instance::{SKEW, STALE_AFTER};
use crate::journal::memory::MemoryDeltas;
use crate::journal::{Batch, Claim, Deltas, JournalError, Progress, SourcePartition};
use crate::kafka::{DeadLetters, Handler, Letter, Record, TopicPartition};
use crate::plan::Plan;
use crate::telemetry::Telemetry;
use crate::telemetry::events::{Dropped, Outcome, PartitionProgress, PartitionRevoked, RecordRejected, RecordsRead};
use crate::wire::{Decoded, Decoder, Reason};

/// Batches that may wait in the journal for the evaluator; then the reader waits, and with it the reading.
pub const BATCHES_AHEAD: usize = 1_024;

/// How long one try to add a batch waits for room.
const ROOM_WITHIN: Duration = Duration::from_millis(500);

/// The least time from one flush to the next: what is produced is visible so soon.
const FLUSH_EVERY: Duration = Duration::from_millis(20);
/// The most, under load and while catching up.
const FLUSH_AT_LEAST_EVERY: Duration = Duration::from_millis(250);
/// In between, a flush is due after this many times what the last one took: so they take a fiftieth of the time.
const FLUSH_SHARE: u32 = 50;

/// How long the last commit waits for the refused records before it to be written.
const LETTERS_WITHIN: Duration = Duration::from_secs(3);

/// The same for every other commit; if they are not written by then, the next one comes soon.
pub const LETTERS_BEFORE_COMMIT: Duration = Duration::from_millis(200);

/// What a batch of the journal carries: a floor's contributions, and how far it has come.
pub struct Share {
    pub batch: floor::Batch,
    /// When it was made.
    pub wall: Timestamp,
    pub upto: Upto,
    /// When the partition last gave a record, by the wall clock; counted from the start where it gave none.
    pub heard: Timestamp,
    /// What its records were about.
    pub carries: Topics,
}

/// The instant up to which a floor's contributions are complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upto {
    /// Read to its end: the wall clock's now.
    Now,
    /// Still reading what lies behind: the time of its records, once there is one.
    Record(Option<Timestamp>),
    /// The partition is another instance's: nobody waits for it.
    Left,
}

struct Place {
    floor: Floor,
    /// Under which it writes, once its first offset is known.
    claim: Option<Claim>,
    /// Up to where it has written, and the place after the last record taken: offsets, moved on by `shift`.
    written: i64,
    batches: u64,
    next: Option<i64>,
    /// How far the journal's positions lie beyond the offsets: more than nothing once a topic was cut or made anew and
    /// its offsets began again, as positions only ever rise.
    shift: i64,
    /// When it was last read to its end.
    confirmed: Timestamp,
    /// It has been read to its end; from then on its time is the wall clock's.
    live: bool,
    assigned: bool,
    heard: Timestamp,
    seen: Counters,
}

impl Place {
    fn upto(&self) -> Upto {
        match (self.assigned, self.live) {
            (false, _) => Upto::Left,
            (true, true) => Upto::Now,
            (true, false) => Upto::Record(self.floor.stream_time()),
        }
    }
}

pub struct Reader {
    plan: Arc<Plan>,
    topics: Vec<String>,
    decoders: Vec<Decoder>,
    places: BTreeMap<TopicPartition, Place>,
    letters: Arc<DeadLetters>,
    telemetry: Arc<Telemetry>,
    journal: MemoryDeltas<Share>,
    flush_due: Instant,
    progress: Timestamp,
    now: Timestamp,
    /// Per source, by outcome, since the last flush.
    counts: Vec<[u64; 5]>,
}

const OUTCOMES: [Outcome; 5] =
    [Outcome::Applied, Outcome::Duplicate, Outcome::Held, Outcome::NoEffect, Outcome::Ignored];

impl Reader {
    pub fn new(
        config: &Config,
        plan: Arc<Plan>,
        letters: Arc<DeadLetters>,
        telemetry: Arc<Telemetry>,
        journal: MemoryDeltas<Share>,
    ) -> Self {
        let decoder =
            |source: &crate::config::Source| Decoder { format: source.format, states: config.agent_states.clone() };
        let now = clock::now();
        Reader {
            plan,
            topics: config.sources.iter().map(|source| source.topic.clone()).collect(),
            decoders: config.sources.iter().map(decoder).collect(),
            places: BTreeMap::new(),
            letters,
            telemetry,
            journal,
            flush_due: clock::instant(),
            progress: now,
            now,
            counts: vec![[0; 5]; config.sources.len()],
        }
    }

    fn topic(&self, source: usize) -> &str {
        self.topics.get(source).map_or("?", String::as_str)
    }

    fn reject(&mut self, record: &Record<'_>, reason: Reason) {
        let source = self.topics.get(record.source).map_or("?", String::as_str);
        self.telemetry.emit(RecordRejected { source, partition: record.partition, offset: record.offset, reason });
        // What was refused before this group committed it is in the dead letters already.
        if !record.replayed {
            self.letters.send(&Letter {
                reason: reason.name(),
                topic: source,
                partition: record.partition,
                offset: record.offset,
                key: record.key,
                payload: record.payload,
            });
        }
    }

    fn flush(&mut self) {
        let (now, begun) = (clock::now(), clock::instant());
        self.now = now;
        for (tp, place) in &mut self.places {
            // Too far behind to live by the wall clock: what lies behind must not become too late by it.
            place.live &= now - place.confirmed <= STALE_AFTER;
            if place.live {
                place.floor.advance(now);
            }
            let (Some(claim), Some(next)) = (place.claim, place.next) else { continue };
            let batch = Batch {
                place: SourcePartition { source: tp.source, partition: tp.partition },
                claim,
                number: place.batches + 1,
                from: place.written,
                to: next,
                progress: Progress { caught_up: place.live.then_some(now), stream_time: place.floor.stream_time() },
                payload: Share {
                    batch: place.floor.flush(),
                    wall: now,
                    upto: place.upto(),
                    heard: place.heard,
                    carries: Topics { interactions: place.seen.interactions > 0, agents: place.seen.agents > 0 },
                },
            };
            place.written = next;
            place.batches += 1;
            append(&mut self.journal, batch);
        }
        let ended = clock::instant();
        let catching_up = self.places.values().any(|place| place.assigned && !place.live);
        let took = if catching_up { FLUSH_AT_LEAST_EVERY } else { ended - begun };
        self.flush_due = ended + (took * FLUSH_SHARE).clamp(FLUSH_EVERY, FLUSH_AT_LEAST_EVERY);
        self.tell(now);
    }

    /// Counters and gauges: outcomes at each flush, places once a second.
    fn tell(&mut self, now: Timestamp) {
        for (source, counts) in self.topics.iter().zip(&mut self.counts) {
            for (outcome, count) in OUTCOMES.into_iter().zip(std::mem::take(counts)) {
                if count > 0 {
                    self.telemetry.emit(RecordsRead { source, outcome, count });
                }
            }
        }
        if now - self.progress < Millis::SECOND {
            return;
        }
        self.progress = now;
        for (tp, place) in &mut self.places {
            let source = self.topics.get(tp.source).map_or("?", String::as_str);
            self.telemetry.emit(PartitionProgress {
                source,
                partition: tp.partition,
                lag: None,
                stream_time: place.floor.stream_time(),
            });
            let (was, is) = (place.seen, place.floor.counters());
            place.seen = is;
            for (limit, count) in [
                ("open_interactions", is.over_interactions - was.over_interactions),
                ("closed_interactions", is.forgotten_early - was.forgotten_early),
                ("agents", is.over_agents - was.over_agents),
                ("events_per_interaction", is.over_events - was.over_events),
                ("held_ahead", is.over_held - was.over_held),
                ("keys", is.over_names - was.over_names),
                ("identities", is.forgotten_ids - was.forgotten_ids),
            ] {
                self.telemetry.emit(Dropped { limit, count });
            }
        }
    }
}

impl Place {
    /// Claims the partition in the journal, from the first offset that it takes on.
    fn begin(&mut self, tp: TopicPartition, start: i64, journal: &mut MemoryDeltas<Share>) {
        if self.claim.is_some() {
            return;
        }
        // In memory there is one writer: its name need only differ from nobody's.
        let claim = Claim(1);
        let place = SourcePartition { source: tp.source, partition: tp.partition };
        // The journal is closed only while the service stops.
        if journal.claim(place, claim, Claim::NOBODY, start).is_ok() {
            self.claim = Some(claim);
            self.written = start;
        }
    }
}

/// Adds a batch, however long the evaluator takes: that is the back-pressure on the reading.
fn append(journal: &mut MemoryDeltas<Share>, batch: Batch<Share>) {
    let mut batch = batch;
    while let Err((JournalError::Full, back)) = journal.append(batch, ROOM_WITHIN) {
        batch = back;
    }
}

impl Handler for Reader {
    fn record(&mut self, record: Record<'_>) {
        let tp = TopicPartition { source: record.source, partition: record.partition };
        let now = self.now;
        let Some(place) = self.places.get_mut(&tp) else { return };
        place.heard = now;
        if let Some(next) = place.next {
            place.shift = place.shift.max(next - record.offset);
        }
        place.begin(tp, record.offset, &mut self.journal);
        place.next = Some(record.offset + place.shift + 1);
        let Some(payload) = record.payload else { return };
        let Some(decoder) = self.decoders.get(record.source) else { return };
        let outcome = match decoder.decode(payload) {
            Decoded::Event(event) => {
                // Until it has caught up a partition lives in its records' time: the broker's, where that is earlier.
                let cap = match record.timestamp {
                    Some(broker) if !place.live => self.now.min(broker + SKEW),
                    _ => self.now,
                };
                if event.time >= cap {
                    self.now = clock::now();
                }
                let cap = if place.live { self.now } else { cap };
                place.floor.take(&event, cap)
            }
            Decoded::Ignored => {
                if let Some(counts) = self.counts.get_mut(record.source) {
                    counts[4] += 1;
                }
                return;
            }
            Decoded::Rejected(reason) => return self.reject(&record, reason),
        };
        let column = match outcome {
            Taken::Applied => 0,
            Taken::Duplicate => 1,
            Taken::Held => 2,
            Taken::NoEffect => 3,
            Taken::Refused(reason) => return self.reject(&record, reason),
        };
        if let Some(counts) = self.counts.get_mut(record.source) {
            counts[column] += 1;
        }
    }

    fn assigned(&mut self, partitions: &[TopicPartition]) {
        for tp in partitions {
            let now = self.now;
            let place = self.places.entry(*tp).or_insert_with(|| Place {
                floor: Floor::new(self.plan.clone()),
                claim: None,
                written: 0,
                batches: 0,
                next: None,
                shift: 0,
                confirmed: now,
                heard: now,
                live: false,
                assigned: true,
                seen: Counters::default(),
            });
            place.assigned = true;
        }
    }

    fn revoked(&mut self, partitions: &[TopicPartition]) {
        for tp in partitions {
            if let Some(place) = self.places.get_mut(tp) {
                place.assigned = false;
                place.live = false;
            }
            self.telemetry.emit(PartitionRevoked { source: self.topic(tp.source), partition: tp.partition });
        }
    }

    fn caught_up(&mut self, partition: TopicPartition, offset: i64) {
        if let Some(place) = self.places.get_mut(&partition) {
            place.live = true;
            place.confirmed = self.now;
            place.begin(partition, offset, &mut self.journal);
            place.next = place.next.max(Some(offset + place.shift));
        }
    }

    fn idle(&mut self) {
        let now = clock::now();
        self.now = now;
        if clock::instant() >= self.flush_due {
            self.flush();
        }
    }

    fn resume_from(&mut self, partition: TopicPartition) -> Option<i64> {
        let place = self.places.get(&partition)?;
        Some(place.next? - place.shift)
    }

    fn may_commit(&mut self) -> bool {
        self.letters.flush(LETTERS_BEFORE_COMMIT).is_ok()
    }

    fn stopping(&mut self) {
        self.flush();
        // What they belong to is committed only once they are written. Should they not be in time, the caller says so.
        let _ = self.letters.flush(LETTERS_WITHIN);
    }
}

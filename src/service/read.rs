//! The reader's side: records -> wire -> floors, and flushes: many a second while they cost next to nothing, fewer under load.
//!
//! Each partition that is given to this instance has an owner ([`crate::instance::Owner`]), who says what becomes of its
//! records. Here is what brings them to him, and does what he wants.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::logs::{Entry, Heard, Port};
use crate::clock;
use crate::config::Config;
use crate::domain::{Event, Millis, Timestamp};
use crate::floor::{Counters, Taken};
use crate::instance::{Owner, Want};
use crate::journal::TopicId;
use crate::kafka::{DeadLetters, Handler, Letter, Record, TopicPartition, Wanted};
use crate::plan::Plan;
use crate::telemetry::Telemetry;
use crate::telemetry::events::{
    Dropped, OtherKeys, Outcome, PartitionProgress, PartitionRevoked, RecordRejected, RecordsRead,
};
use crate::wire::{Decoded, Decoder, Reason};

/// The most from one flush to the next, under load and while catching up.
const FLUSH_AT_LEAST_EVERY: Duration = Duration::from_millis(250);
/// In between, a flush is due after this many times what the last one took: so they take a fiftieth of the time.
const FLUSH_SHARE: u32 = 50;

/// How long the last commit waits for the refused records before it to be written.
const LETTERS_WITHIN: Duration = Duration::from_secs(3);

/// The same for every other commit; if they are not written by then, the next one comes soon.
pub const LETTERS_BEFORE_COMMIT: Duration = Duration::from_millis(200);

struct Place {
    owner: Owner,
    /// What its floor's limits had kept out when that was told last.
    seen: Option<Counters>,
}

pub struct Reader {
    plan: Arc<Plan>,
    topics: Vec<String>,
    decoders: Vec<Decoder>,
    places: BTreeMap<TopicPartition, Place>,
    letters: Arc<DeadLetters>,
    telemetry: Arc<Telemetry>,
    port: Port,
    wants: VecDeque<Want>,
    /// Partitions that are to be read from an offset on.
    reads: Vec<Wanted>,
    /// The least time from one flush to the next: what is produced is visible so soon.
    flush_every: Duration,
    flush_due: Instant,
    progress: Timestamp,
    /// Per source, by outcome, since the last flush.
    counts: Vec<[u64; 5]>,
    /// And those whose key is another than it is to be.
    other_keys: Vec<u64>,
}

const OUTCOMES: [Outcome; 5] =
    [Outcome::Applied, Outcome::Duplicate, Outcome::Held, Outcome::NoEffect, Outcome::Ignored];

/// A number that nobody else draws.
pub fn draw() -> u64 {
    RandomState::new().hash_one(clock::now().0)
}

impl Reader {
    pub fn new(
        config: &Config,
        plan: Arc<Plan>,
        letters: Arc<DeadLetters>,
        telemetry: Arc<Telemetry>,
        port: Port,
        flush_every: Duration,
    ) -> Self {
        let decoder =
            |source: &crate::config::Source| Decoder { format: source.format, states: config.agent_states.clone() };
        Reader {
            plan,
            topics: config.sources.iter().map(|source| source.topic.clone()).collect(),
            decoders: config.sources.iter().map(decoder).collect(),
            places: BTreeMap::new(),
            letters,
            telemetry,
            port,
            wants: VecDeque::new(),
            reads: Vec::new(),
            flush_every,
            flush_due: clock::instant(),
            progress: clock::now(),
            counts: vec![[0; 5]; config.sources.len()],
            other_keys: vec![0; config.sources.len()],
        }
    }

    fn topic(&self, source: usize) -> &str {
        self.topics.get(source).map_or("?", String::as_str)
    }

    fn reject(&mut self, record: &Record<'_>, reason: Reason, counts: bool) {
        let source = self.topics.get(record.source).map_or("?", String::as_str);
        if counts {
            self.telemetry.emit(RecordRejected { source, partition: record.partition, offset: record.offset, reason });
        }
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

    /// Hears what there is to hear, and does what is wanted.
    fn listen(&mut self) {
        while let Ok(heard) = self.port.heard.try_recv() {
            let Reader { places, wants, topics, .. } = self;
            match heard {
                Heard::News(news) => {
                    if let Some(place) = places.get_mut(&news.place.into()) {
                        place.owner.hear(news, clock::now(), wants);
                    }
                }
                Heard::Loaded { place, snapshot, bytes } => {
                    let tp = TopicPartition::from(place);
                    if let Some(place) = places.get_mut(&tp) {
                        let waits = place.owner.floor().is_none();
                        place.owner.loaded(snapshot, bytes.as_deref(), wants);
                        if let Some(floor) = place.owner.floor().filter(|_| waits) {
                            let open = floor.counters().open_interactions;
                            let source = topics.get(tp.source).map_or("?", String::as_str);
                            tracing::info!(source, partition = tp.partition, open, "a floor is taken up");
                        }
                    }
                }
                Heard::Stored { place, snapshot } => {
                    if let Some(place) = places.get_mut(&place.into()) {
                        place.owner.stored(snapshot, wants);
                    }
                }
            }
        }
        self.perform();
    }

    fn perform(&mut self) {
        while let Some(want) = self.wants.pop_front() {
            match want {
                Want::Append(delta) => self.port.journal.append(Entry::Delta(delta)),
                Want::Load { place, snapshot } => self.port.floors.load(place, snapshot),
                Want::Store { place, snapshot, bytes } => self.port.floors.store(place, snapshot, bytes),
                Want::Read { place, from, anew } => self.reads.push(Wanted { tp: place.into(), from, anew }),
            }
        }
    }

    fn flush(&mut self) {
        let (now, begun) = (clock::now(), clock::instant());
        for (tp, place) in &mut self.places {
            place.owner.flush(self.port.claims.of((*tp).into()), now, &mut draw, &mut self.wants);
        }
        self.perform();
        if self.places.values().any(|place| place.owner.is_stuck()) {
            self.port.claims.cut();
        }
        let ended = clock::instant();
        let catching_up = self.places.values().any(|place| place.owner.tells() && !place.owner.is_live());
        let took = if catching_up { FLUSH_AT_LEAST_EVERY } else { ended - begun };
        self.flush_due = ended + (took * FLUSH_SHARE).clamp(self.flush_every, FLUSH_AT_LEAST_EVERY);
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
        for (source, count) in self.topics.iter().zip(&mut self.other_keys) {
            self.telemetry.emit(OtherKeys { source, count: std::mem::take(count) });
        }
        self.progress = now;
        for (tp, place) in &mut self.places {
            let Some(floor) = place.owner.floor().filter(|_| place.owner.tells()) else { continue };
            let source = self.topics.get(tp.source).map_or("?", String::as_str);
            self.telemetry.emit(PartitionProgress {
                source,
                partition: tp.partition,
                lag: None,
                stream_time: floor.stream_time(),
            });
            let is = floor.counters();
            // What was kept out before it was taken over has been told by whoever had it.
            let was = place.seen.replace(is).unwrap_or(is);
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

impl Handler for Reader {
    fn record(&mut self, record: Record<'_>) {
        let tp = TopicPartition { source: record.source, partition: record.partition };
        let Some(place) = self.places.get_mut(&tp) else { return };
        let Some(decoder) = self.decoders.get(record.source) else { return };
        let owner = &mut place.owner;
        if !owner.expects(record.offset) {
            return;
        }
        let decoded = record.payload.map(|payload| decoder.decode(payload));
        let event = match &decoded {
            Some(Decoded::Event(event)) => Some(event),
            Some(Decoded::Ignored | Decoded::Rejected(_)) | None => None,
        };
        let other = |event: &&Event<'_>| event.body.about().is_some_and(|about| record.key != Some(about.as_bytes()));
        let other_key = event.filter(other).is_some();
        let taken = owner.record(record.offset, record.timestamp, event, &mut clock::now);
        // While it goes over what was counted before, it counts nothing.
        let counts = owner.tells();
        if let Some(others) = self.other_keys.get_mut(record.source) {
            *others += u64::from(counts && other_key);
        }
        let column = match (&decoded, taken) {
            (_, Some(Taken::Refused(reason))) => return self.reject(&record, reason, counts),
            (Some(Decoded::Rejected(reason)), _) => return self.reject(&record, *reason, counts),
            (_, Some(Taken::Applied)) => 0,
            (_, Some(Taken::Duplicate)) => 1,
            (_, Some(Taken::Held)) => 2,
            (_, Some(Taken::NoEffect)) => 3,
            // Without a payload there is nothing to refuse, but it was there.
            (Some(Decoded::Ignored) | None, None) => 4,
            (Some(Decoded::Event(_)), None) => return,
        };
        if let Some(count) = self.counts.get_mut(record.source).and_then(|counts| counts.get_mut(column)) {
            *count += u64::from(counts);
        }
    }

    fn assigned(&mut self, tp: TopicPartition, start: i64) -> Option<i64> {
        let owner = || Owner::new(tp.into(), self.plan.clone(), start);
        self.places.entry(tp).or_insert_with(|| Place { owner: owner(), seen: None });
        None
    }

    fn is_of(&mut self, partition: TopicPartition, id: TopicId) {
        if let Some(place) = self.places.get_mut(&partition) {
            place.owner.is_of(id);
        }
    }

    fn reads(&mut self) -> Vec<Wanted> {
        std::mem::take(&mut self.reads)
    }

    fn reading(&mut self, partition: TopicPartition, from: i64) {
        if let Some(place) = self.places.get_mut(&partition) {
            place.owner.reading(from);
        }
    }

    fn gone(&mut self, partition: TopicPartition, low: i64, anew: bool) {
        if let Some(place) = self.places.get_mut(&partition) {
            place.owner.gone(low, anew);
        }
    }

    fn revoked(&mut self, partitions: &[TopicPartition]) {
        // What was read and not told is the next owner's to read again; with a last flush there is less of it.
        self.flush();
        for tp in partitions {
            self.places.remove(tp);
            self.telemetry.emit(PartitionRevoked { source: self.topic(tp.source), partition: tp.partition });
        }
    }

    fn caught_up(&mut self, partition: TopicPartition, offset: i64) {
        if let Some(place) = self.places.get_mut(&partition) {
            place.owner.reached(offset);
        }
    }

    fn idle(&mut self) {
        self.listen();
        if clock::instant() >= self.flush_due {
            self.flush();
        }
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

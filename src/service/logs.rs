//! The ways between the parts of an instance: what owners of source partitions want, and what they hear.
//!
//! ```text
//! owners (readers' threads) -- Append --> deltas log --> replica (evaluator's thread)
//!        ^                  -- Load, Store --> store                |
//!        '------------------- News, Loaded, Stored -----------------'
//! ```

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::names::Whose;
use super::store::Store;
use crate::config;
use crate::instance::{News, Share, decider, slot};
use crate::journal::record::{self, RecordError};
use crate::journal::{Claim, Delta, Position, SourcePartition};
use crate::kafka::log::{Appender, Item, Tail};
use crate::kafka::{KafkaFailure, Kind, Problems};
use crate::matrix::engine::Operation;

/// What an owner hears.
pub enum Heard {
    News(News),
    Loaded { place: SourcePartition, snapshot: u64, bytes: Option<Vec<u8>> },
    Stored { place: SourcePartition, snapshot: u64 },
}

impl Heard {
    fn place(&self) -> SourcePartition {
        match self {
            Heard::News(news) => news.place,
            Heard::Loaded { place, .. } | Heard::Stored { place, .. } => *place,
        }
    }
}

/// Tells each reader what concerns its partitions.
#[derive(Clone)]
pub struct Tell(Vec<Sender<Heard>>);

impl Tell {
    pub fn tell(&self, heard: Heard) {
        let reader = self.0.get(reader_of(heard.place(), self.0.len()));
        // A reader that has ended hears nothing more.
        reader.map(|reader| reader.send(heard));
    }
}

/// Which of so many readers a partition belongs to.
pub fn reader_of(place: SourcePartition, readers: usize) -> usize {
    place.source.wrapping_add(place.partition.unsigned_abs() as usize) % readers.max(1)
}

/// Which claim counts of each partition; unknown until the deltas log has been read to its end.
#[derive(Clone, Default)]
pub struct Claims(Arc<Mutex<Option<BTreeMap<SourcePartition, Claim>>>>, Arc<AtomicBool>);

impl Claims {
    pub fn set(&self, claims: BTreeMap<SourcePartition, Claim>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(claims);
    }

    pub fn of(&self, place: SourcePartition) -> Option<Claim> {
        let claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(claims.as_ref()?.get(&place).copied().unwrap_or(Claim::NOBODY))
    }
}

impl Claims {
    /// Of a partition that is ours nothing is left from which its floor could be made.
    pub fn cut(&self) {
        self.1.store(true, Ordering::Relaxed);
    }

    pub fn is_cut(&self) -> bool {
        self.1.load(Ordering::Relaxed)
    }
}

/// An entry of one of the logs.
#[derive(Debug, PartialEq)]
pub enum Entry {
    Delta(Delta<Share>),
    Decision(decider::Entry),
    Operation(Noted),
}

/// An entry of the operations log, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noted {
    /// Somebody wants something: at which wall time, and the contact to whom the link was mailed that was followed. Who waits for
    /// what comes of it finds it by its number.
    Asked { id: u64, at: i64, operation: Operation, link_of: Option<Arc<str>> },
    /// Something to be remembered: a line of the trail.
    Line(String),
}

/// Of the layout of the entries of either log. They are of a group, whatever its settings.
const DECISION_VERSION: u8 = 1;
const OPERATION_VERSION: u8 = 1;

/// The writing end of the logs. What it does not take is lost, as it may be on its way; whoever wants it in the log looks
/// whether it comes out.
#[derive(Clone)]
pub enum Journal {
    /// Straight to the evaluator: nothing outlives the process.
    Memory(Sender<Entry>),
    Kafka(Appender, Store),
}

impl Journal {
    pub fn append(&self, entry: Entry) {
        match self {
            Journal::Memory(log) => drop(log.send(entry)),
            Journal::Kafka(log, store) => {
                let (of, bytes) = write(&entry, store.whose());
                // Where there is no room it is appended again, as whatever does not come out.
                let _ = log.append(of, &bytes);
            }
        }
    }
}

/// The record of an entry, and of which log it is.
pub fn write(entry: &Entry, whose: Whose) -> (record::Log, Vec<u8>) {
    match entry {
        Entry::Delta(delta) => (record::Log::Deltas, record::encode(delta, whose.generation)),
        Entry::Decision(decision) => {
            let body = postcard::to_allocvec(decision).unwrap_or_default();
            let of = record::Log::Decisions;
            (of, record::encode_entry(of, DECISION_VERSION, whose.group, &body))
        }
        Entry::Operation(noted) => {
            let body = serde_json::to_vec(noted).unwrap_or_default();
            let of = record::Log::Operations;
            (of, record::encode_entry(of, OPERATION_VERSION, whose.group, &body))
        }
    }
}

/// The entry of this log that is in a record of these bytes.
pub fn read(of: record::Log, bytes: &[u8], whose: Whose) -> Result<Entry, RecordError> {
    let whole = |version| record::decode_entry(of, version, whose.group, bytes);
    Ok(match of {
        record::Log::Deltas => Entry::Delta(record::decode(bytes, whose.generation)?),
        record::Log::Decisions => {
            let entry = postcard::from_bytes(whole(DECISION_VERSION)?);
            Entry::Decision(entry.map_err(|_| RecordError::Invalid("decision"))?)
        }
        record::Log::Operations => {
            let noted = serde_json::from_slice(whole(OPERATION_VERSION)?);
            Entry::Operation(noted.map_err(|_| RecordError::Invalid("operation"))?)
        }
    })
}

/// How often it is looked whether the logs may be read yet.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The reading end of the logs.
pub enum Log {
    Memory(Memory),
    /// Stays on the thread that opened it.
    Kafka(Box<Kafka>, Option<Box<Tail>>),
}

/// From where the logs are read.
pub enum Origin {
    Memory(Receiver<Entry>, Arc<AtomicBool>),
    Kafka(Box<Kafka>),
}

pub struct Memory {
    entries: Receiver<Entry>,
    stop: Arc<AtomicBool>,
    /// Of the deltas, the decisions and the operations.
    next: [Position; 3],
}

pub struct Kafka {
    pub kafka: config::Kafka,
    pub problems: Problems,
    /// Knows the group and the generation; records of others are passed over.
    pub store: Store,
    /// Set when nothing more is to be read.
    pub stop: Arc<AtomicBool>,
}

/// What comes out of the logs. Nearly all of it are entries.
#[allow(clippy::large_enum_variant, reason = "one at a time, and most are of the large kind")]
pub enum Came {
    Entry(Position, Entry),
    /// There is nothing of ours before this position that has not come; `unreadable`: but for a record that nobody can read.
    Passed {
        log: record::Log,
        position: Position,
        unreadable: bool,
    },
    /// It was read to its end.
    End(record::Log, Position),
    /// What was wanted is not there any more.
    Gone {
        log: record::Log,
        wanted: Position,
        low: Position,
    },
}

/// Nothing more is to be read.
pub struct Closed;

impl Log {
    /// Not read yet.
    pub fn of(origin: Origin) -> Log {
        match origin {
            Origin::Memory(entries, stop) => Log::Memory(Memory { entries, stop, next: Default::default() }),
            Origin::Kafka(kafka) => Log::Kafka(kafka, None),
        }
    }

    /// Begins at these positions.
    pub fn open(&mut self, from: &[(record::Log, Option<Position>)]) -> Result<(), KafkaFailure> {
        if let Log::Kafka(log, tail) = self {
            *tail = Some(Box::new(Tail::open(&log.kafka, log.problems.clone(), from)?));
        }
        Ok(())
    }

    /// Goes on with a log of which something was [`Came::Gone`], from the first entry that there is.
    pub fn go_on(&mut self, log: record::Log) {
        if let Log::Kafka(_, Some(tail)) = self {
            tail.go_on(log, None);
        }
    }

    /// Whether who has read the log to its end can see what is added to it.
    pub fn sees(&self) -> bool {
        match self {
            Log::Memory(_) => true,
            Log::Kafka(log, _) => !log.problems.open().iter().any(|problem| problem.kind == Kind::Unreachable),
        }
    }

    /// What comes next, waiting for at most `wait`; `None` when nothing came.
    pub fn next(&mut self, wait: Duration) -> Result<Option<Came>, Closed> {
        match self {
            Log::Memory(log) => log.next(wait),
            Log::Kafka(log, _) if log.stop.load(Ordering::Acquire) => Err(Closed),
            Log::Kafka(log, Some(tail)) => Ok(log.next(tail, wait)),
            Log::Kafka(_, None) => {
                std::thread::sleep(wait.min(LOOK_AGAIN));
                Ok(None)
            }
        }
    }
}

impl Memory {
    fn next(&mut self, wait: Duration) -> Result<Option<Came>, Closed> {
        let entry = match self.entries.recv_timeout(wait) {
            Ok(entry) => entry,
            Err(RecvTimeoutError::Timeout) if !self.stop.load(Ordering::Acquire) => return Ok(None),
            Err(_) => return Err(Closed),
        };
        let next = match (&entry, &mut self.next) {
            (Entry::Delta(_), [next, _, _])
            | (Entry::Decision(_), [_, next, _])
            | (Entry::Operation(_), [_, _, next]) => next,
        };
        let position = *next;
        next.0 += 1;
        Ok(Some(Came::Entry(position, entry)))
    }
}

impl Kafka {
    fn next(&mut self, tail: &mut Tail, wait: Duration) -> Option<Came> {
        Some(match tail.next(wait)? {
            Item::Record { log, position, bytes, .. } => match read(log, &bytes, self.store.whose()) {
                Ok(entry) => Came::Entry(position, entry),
                Err(error) => {
                    let unreadable = error != RecordError::OtherSettings;
                    if unreadable {
                        tracing::warn!(log = log.name(), position = position.0, %error, "a record is passed over");
                    }
                    Came::Passed { log, position: Position(position.0 + 1), unreadable }
                }
            },
            Item::End { log, position } => Came::End(log, position),
            Item::Gone { log, wanted, low, .. } => Came::Gone { log, wanted, low },
        })
    }
}

/// Snapshots by partition and slot.
type Kept = BTreeMap<(SourcePartition, u64), (u64, Vec<u8>)>;

/// Where snapshots of floors are kept.
#[derive(Clone)]
pub enum Floors {
    /// For as long as the process lives: of each partition the newest.
    Memory(Arc<Mutex<Kept>>, Tell),
    Kafka(Store),
}

impl Floors {
    pub fn load(&self, place: SourcePartition, snapshot: u64) {
        match self {
            Floors::Memory(kept, tell) => {
                let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let found = kept.get(&(place, slot(snapshot))).filter(|(name, _)| *name == snapshot);
                let bytes = found.map(|(_, bytes)| bytes.clone());
                tell.tell(Heard::Loaded { place, snapshot, bytes });
            }
            Floors::Kafka(store) => store.load_floor(place, snapshot),
        }
    }

    pub fn store(&self, place: SourcePartition, snapshot: u64, bytes: Vec<u8>) {
        match self {
            Floors::Memory(kept, tell) => {
                kept.lock().unwrap_or_else(PoisonError::into_inner).insert((place, slot(snapshot)), (snapshot, bytes));
                tell.tell(Heard::Stored { place, snapshot });
            }
            Floors::Kafka(store) => store.keep_floor(place, snapshot, bytes),
        }
    }
}

/// What one reader has of all this.
pub struct Port {
    pub journal: Journal,
    pub floors: Floors,
    pub claims: Claims,
    pub heard: Receiver<Heard>,
}

/// The ways of so many readers.
pub fn ways(readers: usize) -> (Tell, Vec<Receiver<Heard>>) {
    let (tell, heard) = (0..readers).map(|_| channel()).unzip();
    (Tell(tell), heard)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::instance::decider::{Fate, Head, Intent, Part};
    use crate::matrix::engine::What;

    const WHOSE: Whose = Whose { group: 1, generation: 2 };

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Each with the body that it has in its record: who changes these bytes raises the version of their log.
    #[test]
    fn entries_are_written_as_documented_and_read_again() {
        let head = Head {
            claim: Claim(9),
            number: 300,
            parts: 2,
            tick: Timestamp(1_767_225_600_000),
            deltas: Position(7),
            operations: Position(0),
        };
        let intent = Intent { id: "msg_a_1_b".into(), weight: 3, bytes: [1, 2][..].into() };
        let decided = [
            (decider::Entry::Claimed { claim: Claim(9), after: Claim::NOBODY }, "000900"),
            (decider::Entry::Resigned { claim: Claim(9) }, "0109"),
            (decider::Entry::Decided(Part { head, part: 1, bytes: vec![5, 6] }), "0209ac020280a0d5edee66070001020506"),
            (
                decider::Entry::Outcome { id: "msg_a_1_b".into(), fate: Fate::GaveUp, instead: vec![intent] },
                "03096d73675f615f315f62020109",
            ),
        ];
        let documented = include_str!("../../docs/journal.md");
        for (entry, body) in decided {
            let (of, bytes) = write(&Entry::Decision(entry.clone()), WHOSE);
            let found = hex(&bytes[12..bytes.len() - 8]);
            assert_eq!((of, found.starts_with(body)), (record::Log::Decisions, true), "{found}");
            assert!(documented.contains(&format!("`{body}")), "{found}");
            assert_eq!(read(of, &bytes, WHOSE), Ok(Entry::Decision(entry)));
            let other = Whose { group: 2, ..WHOSE };
            assert_eq!(read(of, &bytes, other), Err(RecordError::OtherSettings));
        }
        let what = What::Acknowledge { incident: "abc".into(), until: None };
        let operation = Operation { who: "ana".into(), why: "".into(), what };
        let asked = Noted::Asked { id: u64::MAX, at: 1_767_225_600_000, operation, link_of: None };
        let text = r#"{"asked":{"id":18446744073709551615,"at":1767225600000,"operation":{"who":"ana","why":"","operation":"acknowledge","incident":"abc","until":null},"link_of":null}}"#;
        for (noted, body) in [(asked, text), (Noted::Line("{}".to_owned()), r#"{"line":"{}"}"#)] {
            let (of, bytes) = write(&Entry::Operation(noted.clone()), WHOSE);
            assert_eq!(std::str::from_utf8(&bytes[12..bytes.len() - 8]), Ok(body));
            assert!(documented.contains(body), "{body}");
            assert_eq!(read(of, &bytes, WHOSE), Ok(Entry::Operation(noted)));
        }
        let whole = record::encode_entry(record::Log::Decisions, DECISION_VERSION, WHOSE.group, &[9]);
        assert_eq!(read(record::Log::Decisions, &whole, WHOSE), Err(RecordError::Invalid("decision")));
    }
}

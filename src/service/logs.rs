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

use super::store::Store;
use crate::config;
use crate::instance::{News, Share};
use crate::journal::record::{self, RecordError};
use crate::journal::{Claim, Delta, Position, SourcePartition};
use crate::kafka::log::{Appender, Item, Tail};
use crate::kafka::{KafkaFailure, Problems};

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

/// The writing end of the deltas log. What it does not take is lost, as it may be on its way; whoever wants it in the log looks
/// whether it comes out.
#[derive(Clone)]
pub enum Deltas {
    /// Straight to the evaluator: nothing outlives the process.
    Memory(Sender<Delta<Share>>),
    Kafka(Appender, Store),
}

impl Deltas {
    pub fn append(&self, delta: Delta<Share>) {
        match self {
            Deltas::Memory(log) => drop(log.send(delta)),
            Deltas::Kafka(log, store) => {
                // Where there is no room it is appended again, as whatever does not come out.
                let _ = log.append(record::Log::Deltas, &record::encode(&delta, store.generation()));
            }
        }
    }
}

/// How often it is looked whether the log may be read yet.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The reading end of the deltas log.
pub enum Log {
    Memory(Receiver<Delta<Share>>, Position),
    /// Stays on the thread that opened it.
    Kafka(Box<Kafka>, Option<Tail>),
}

/// From where the log is read.
pub enum Origin {
    Memory(Receiver<Delta<Share>>),
    Kafka(Box<Kafka>),
}

pub struct Kafka {
    pub kafka: config::Kafka,
    pub problems: Problems,
    /// Knows the generation; records of others are passed over.
    pub store: Store,
    /// Set when nothing more is to be read.
    pub stop: Arc<AtomicBool>,
    /// Records that could not be read, nor of another generation.
    pub unreadable: u64,
}

/// What comes out of the log.
pub enum Came {
    Entry(Position, Delta<Share>),
    /// There is nothing of ours before this position that has not come.
    Passed(Position),
    /// It was read to its end.
    End(Position),
    /// What was wanted is not there any more.
    Gone { wanted: Position, low: Position },
}

/// The writers are gone.
pub struct Closed;

impl Log {
    /// Not read yet.
    pub fn of(origin: Origin) -> Log {
        match origin {
            Origin::Memory(entries) => Log::Memory(entries, Position::default()),
            Origin::Kafka(kafka) => Log::Kafka(kafka, None),
        }
    }

    /// Begins at a position.
    pub fn open(&mut self, from: Option<Position>) -> Result<(), KafkaFailure> {
        match self {
            Log::Memory(..) => {}
            Log::Kafka(log, tail) => {
                *tail = Some(Tail::open(&log.kafka, log.problems.clone(), &[(record::Log::Deltas, from)])?);
            }
        }
        Ok(())
    }

    /// What comes next, waiting for at most `wait`; `None` when nothing came.
    pub fn next(&mut self, wait: Duration) -> Result<Option<Came>, Closed> {
        match self {
            Log::Memory(log, next) => match log.recv_timeout(wait) {
                Ok(entry) => {
                    let position = *next;
                    next.0 += 1;
                    Ok(Some(Came::Entry(position, entry)))
                }
                Err(RecvTimeoutError::Timeout) => Ok(None),
                Err(RecvTimeoutError::Disconnected) => Err(Closed),
            },
            Log::Kafka(log, _) if log.stop.load(Ordering::Acquire) => Err(Closed),
            Log::Kafka(log, Some(tail)) => Ok(log.next(tail, wait)),
            Log::Kafka(_, None) => {
                std::thread::sleep(wait.min(LOOK_AGAIN));
                Ok(None)
            }
        }
    }
}

impl Kafka {
    fn next(&mut self, tail: &mut Tail, wait: Duration) -> Option<Came> {
        Some(match tail.next(wait)? {
            Item::Record { position, bytes, .. } => match record::decode(&bytes, self.store.generation()) {
                Ok(delta) => Came::Entry(position, delta),
                Err(error) => {
                    if error != RecordError::OtherSettings {
                        self.unreadable += 1;
                        tracing::warn!(position = position.0, %error, "a record of the deltas log is passed over");
                    }
                    Came::Passed(Position(position.0 + 1))
                }
            },
            Item::End { position, .. } => Came::End(position),
            Item::Gone { wanted, low, .. } => Came::Gone { wanted, low },
        })
    }
}

/// Where snapshots of floors are kept.
#[derive(Clone)]
pub enum Floors {
    /// For as long as the process lives: of each partition those of even and of odd name.
    Memory(Arc<Mutex<BTreeMap<(SourcePartition, u64), (u64, Vec<u8>)>>>, Tell),
    Kafka(Store),
}

impl Floors {
    pub fn load(&self, place: SourcePartition, snapshot: u64) {
        match self {
            Floors::Memory(kept, tell) => {
                let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let found = kept.get(&(place, snapshot & 1)).filter(|(name, _)| *name == snapshot);
                let bytes = found.map(|(_, bytes)| bytes.clone());
                tell.tell(Heard::Loaded { place, snapshot, bytes });
            }
            Floors::Kafka(store) => store.load_floor(place, snapshot),
        }
    }

    pub fn store(&self, place: SourcePartition, snapshot: u64, bytes: Vec<u8>) {
        match self {
            Floors::Memory(kept, tell) => {
                kept.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert((place, snapshot & 1), (snapshot, bytes));
                tell.tell(Heard::Stored { place, snapshot });
            }
            Floors::Kafka(store) => store.keep_floor(place, snapshot, bytes),
        }
    }
}

/// What one reader has of all this.
pub struct Port {
    pub deltas: Deltas,
    pub floors: Floors,
    pub claims: Claims,
    pub heard: Receiver<Heard>,
}

/// The ways of so many readers.
pub fn ways(readers: usize) -> (Tell, Vec<Receiver<Heard>>) {
    let (tell, heard) = (0..readers).map(|_| channel()).unzip();
    (Tell(tell), heard)
}

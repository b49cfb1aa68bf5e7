//! The ways between the parts of an instance: what owners of source partitions want, and what they hear.
//!
//! ```text
//! owners (readers' threads) -- Append --> deltas log --> replica (evaluator's thread)
//!        ^                  -- Load, Store --> store                |
//!        '------------------- News, Loaded, Stored -----------------'
//! ```

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::instance::{News, Share};
use crate::journal::{Claim, Delta, Position, SourcePartition};

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
pub struct Claims(Arc<Mutex<Option<BTreeMap<SourcePartition, Claim>>>>);

impl Claims {
    pub fn set(&self, claims: BTreeMap<SourcePartition, Claim>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(claims);
    }

    pub fn of(&self, place: SourcePartition) -> Option<Claim> {
        let claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(claims.as_ref()?.get(&place).copied().unwrap_or(Claim::NOBODY))
    }
}

/// The writing end of the deltas log. What it does not take is lost, as it may be on its way; whoever wants it in the log looks
/// whether it comes out.
#[derive(Clone)]
pub enum Deltas {
    /// Straight to the evaluator: nothing outlives the process.
    Memory(Sender<Delta<Share>>),
}

impl Deltas {
    pub fn append(&self, delta: Delta<Share>) {
        match self {
            Deltas::Memory(log) => drop(log.send(delta)),
        }
    }
}

/// The reading end of the deltas log.
pub enum Log {
    Memory(Receiver<Delta<Share>>, Position),
}

/// The writers are gone.
pub struct Closed;

impl Log {
    /// The next entry, waiting for at most `wait`; `None` when none came.
    pub fn next(&mut self, wait: Duration) -> Result<Option<(Position, Delta<Share>)>, Closed> {
        match self {
            Log::Memory(log, next) => match log.recv_timeout(wait) {
                Ok(entry) => {
                    let position = *next;
                    next.0 += 1;
                    Ok(Some((position, entry)))
                }
                Err(RecvTimeoutError::Timeout) => Ok(None),
                Err(RecvTimeoutError::Disconnected) => Err(Closed),
            },
        }
    }
}

/// Where snapshots of floors are kept.
#[derive(Clone)]
pub enum Store {
    /// For as long as the process lives: of each partition those of even and of odd name.
    Memory(Arc<Mutex<BTreeMap<(SourcePartition, u64), (u64, Vec<u8>)>>>, Tell),
}

impl Store {
    pub fn load(&self, place: SourcePartition, snapshot: u64) {
        match self {
            Store::Memory(kept, tell) => {
                let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let found = kept.get(&(place, snapshot & 1)).filter(|(name, _)| *name == snapshot);
                let bytes = found.map(|(_, bytes)| bytes.clone());
                tell.tell(Heard::Loaded { place, snapshot, bytes });
            }
        }
    }

    pub fn store(&self, place: SourcePartition, snapshot: u64, bytes: Vec<u8>) {
        match self {
            Store::Memory(kept, tell) => {
                kept.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert((place, snapshot & 1), (snapshot, bytes));
                tell.tell(Heard::Stored { place, snapshot });
            }
        }
    }
}

/// What one reader has of all this.
pub struct Port {
    pub deltas: Deltas,
    pub store: Store,
    pub claims: Claims,
    pub heard: Receiver<Heard>,
}

/// The ways of so many readers.
pub fn ways(readers: usize) -> (Tell, Vec<Receiver<Heard>>) {
    let (tell, heard) = (0..readers).map(|_| channel()).unzip();
    (Tell(tell), heard)
}

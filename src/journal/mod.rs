//! The two logs between floors, evaluator and senders: deltas and decisions. The seam behind which they live in memory
//! (demo, back-test, tests), in Kafka, or in a simulation.
//!
//! What any implementation keeps, so that the parts around it need not know which one it is:
//!
//! * **The order of the log decides.** A writer says what it wants ([`Deltas::claim`], [`Deltas::append`]); what counts is
//!   what comes out of the reader, judged by [`rule::Rule`], a pure function of the log, so that all readers agree.
//! * **Claims instead of locks.** Who writes for a source partition has claimed it after the last claim it saw; a batch
//!   under an older claim, or one that does not go on where the last one ended, is dropped and counted.
//! * **One record per flush.** A batch is everything a floor contributed from one offset to another, and idle flushes are
//!   batches too: they carry how fresh their partition is.
//! * **Decisions before deeds.** A tick's decision is recorded, and acted on only when it comes back as accepted.
//!
//! Payloads are types of the caller: nothing here knows floors, boards or notices, but for [`record`], which puts them down in
//! bytes. Deliberately not here: snapshots, and the topics, which are `kafka`'s.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;

pub mod memory;
pub mod record;
pub mod rule;

/// A partition of `sources[source]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourcePartition {
    pub source: usize,
    pub partition: i32,
}

/// The random name under which an owner writes. 0 is nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Claim(pub u64);

impl Claim {
    pub const NOBODY: Claim = Claim(0);
}

/// A place in a log: grows by at least one from entry to entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position(pub u64);

/// How far a floor is, besides its offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Progress {
    /// Wall time at which its partition was last read to its end; `None` while it never was.
    pub caught_up: Option<Timestamp>,
    /// The largest event time so far.
    pub stream_time: Option<Timestamp>,
}

/// What one floor contributed from offset `from` up to, not including, `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<B> {
    pub place: SourcePartition,
    pub claim: Claim,
    /// Which of its partition's batches that count it is: one more than the last. Offsets alone would not tell: what falls
    /// due while nothing comes is told by a batch of no records, and must not be told again.
    pub number: u64,
    pub from: i64,
    pub to: i64,
    pub progress: Progress,
    pub payload: B,
}

/// A record of the deltas log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta<B> {
    /// `claim` takes the partition over from `after`. Where nothing was applied yet, the first batch starts at `start`.
    Claimed {
        place: SourcePartition,
        claim: Claim,
        after: Claim,
        start: i64,
    },
    Batch(Batch<B>),
    /// A floor is kept for good, and can be taken up from there.
    Kept {
        place: SourcePartition,
        claim: Claim,
        mark: Mark,
    },
}

/// A snapshot of a floor, and what the clock had read when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The random name under which it is kept.
    pub snapshot: u64,
    /// Of how many batches of its partition that counted it knows.
    pub batches: u64,
    /// The offset behind the last record that is in it.
    pub at: i64,
    pub wall: Timestamp,
    pub live: bool,
}

impl<B> Delta<B> {
    /// The source partition that it is about.
    pub fn place(&self) -> SourcePartition {
        match self {
            Delta::Claimed { place, .. } | Delta::Kept { place, .. } => *place,
            Delta::Batch(batch) => batch.place,
        }
    }
}

/// What one tick decided. `deltas` is how much of the deltas log it had seen: with it the decision can be reproduced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<D> {
    pub tick: Timestamp,
    pub deltas: Position,
    pub payload: D,
}

/// Why something was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The other side is gone: the service is shutting down, or its evaluator has died.
    #[error("the journal is closed: its other end has stopped; what was not taken is read again after the next start")]
    Closed,
    /// No room within the time given: the reader of the log is too slow or stands still.
    #[error("the journal is full: its reader is behind; nothing was dropped, try again")]
    Full,
}

/// The writing end of the deltas log, held by the floors of one instance.
pub trait Deltas<B>: Send {
    /// Takes a partition over. The claim counts once the reading end has shown it accepted.
    fn claim(&mut self, place: SourcePartition, claim: Claim, after: Claim, start: i64) -> Result<(), JournalError>;

    /// Adds a batch. Waits for room for at most `wait`, which is the back-pressure on the reading of the sources; on
    /// failure the batch comes back, to be sent again as it is.
    fn append(&mut self, batch: Batch<B>, wait: Duration) -> Result<(), (JournalError, Batch<B>)>;
}

/// What the reading end found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<B> {
    /// Accepted: to be applied.
    Batch(Position, Batch<B>),
    /// Accepted: `claim` owns the partition; its next batch starts at `applied`, and is the one after `batches`.
    Claim { position: Position, place: SourcePartition, claim: Claim, applied: i64, batches: u64 },
    /// Accepted: whoever claims the partition next can begin there.
    Kept { position: Position, place: SourcePartition, mark: Mark },
}

/// The reading end of the deltas log: only what is accepted, in the order of the log.
pub trait DeltaReader<B>: Send {
    /// The next accepted entry, waiting for at most `wait`; `None` when none came.
    fn next(&mut self, wait: Duration) -> Result<Option<Found<B>>, JournalError>;
    /// Just behind the last entry seen, accepted or not.
    fn position(&self) -> Position;
    /// What was dropped, by reason.
    fn dropped(&self) -> rule::Dropped;
}

/// The decisions log of the evaluator.
pub trait Decisions<D>: Send {
    /// Records what a tick decided. Nothing of it is done yet.
    fn record(&mut self, decision: Decision<D>) -> Result<(), JournalError>;
    /// The next decision that is recorded for good and counts: now it is acted on. `None` when there is none (yet).
    fn accepted(&mut self) -> Result<Option<(Position, Decision<D>)>, JournalError>;
}

//! The log between floors and board: the deltas. It lives in memory (demo), in Kafka, or in a simulation.
//!
//! * **The order of the log decides.** A writer appends what it wants; what counts is what comes out, judged by
//!   [`rule::Rule`], a pure function of the log, so that all readers agree.
//! * **Claims instead of locks.** Who writes for a source partition has claimed it after the last claim it saw; a batch
//!   under an older claim, or one that does not go on where the last one ended, is dropped and counted.
//! * **One record per flush.** A batch is everything a floor contributed from one offset to another, and idle flushes are
//!   batches too: they carry how fresh their partition is.
//!
//! Payloads are types of the caller: nothing here knows floors, boards or notices.

use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;

pub mod pieces;
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

/// By what a topic is told from another one that had the same name before; 0 where the broker does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TopicId(pub u32);

impl TopicId {
    pub const UNKNOWN: TopicId = TopicId(0);

    /// It is known that they are two.
    pub fn differs(self, other: TopicId) -> bool {
        self != other && self != TopicId::UNKNOWN && other != TopicId::UNKNOWN
    }

    pub fn or(self, other: TopicId) -> TopicId {
        if self == TopicId::UNKNOWN { other } else { self }
    }
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
    /// When its last record came; `None` where none came since the batch before.
    pub heard: Option<Timestamp>,
    /// What its records were about, so far.
    pub interactions: bool,
    pub agents: bool,
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

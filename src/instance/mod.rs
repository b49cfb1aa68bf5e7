//! An instance of many, without its I/O: which source partitions it works on, and what all of them came to.
//!
//! Instances share nothing but logs. Each reads the whole deltas log and keeps the board ([`Replica`]), so that each can
//! answer for all; for the source partitions that are given to it, it keeps floors and tells the log what they contribute
//! ([`Owner`]). Whatever fails - an instance dies, stands still and wakes up, is given a partition that another still works
//! on, sees the log late, or writes to it twice - the order of the log decides what counts ([`crate::journal::rule`]), and
//! everybody can tell by himself.
//!
//! Everything is a value that goes in by a method, or comes out as a [`Want`]: clocks, logs, topics and stores are the
//! caller's, who may be the service or a simulation. What a caller must keep to:
//!
//! * Entries of the deltas log come to the replica in their order, all of them, from [`Replica::position`] on; and what it
//!   has to say of each, to the owner of its partition.
//! * Records of a source partition come in the order of their offsets, from the offset that [`Want::Read`] named on.
//! * What is wanted may be lost, delayed or done twice, as it is in life. What was not seen done is wanted again.
//!
//! Which instance evaluates the matrices and sends, and what was decided, is [`decider`]'s matter, by another log; [`Seat`] binds
//! it to the board and the engine.

use std::sync::Arc;

use crate::journal::{Claim, Delta, SourcePartition};

mod course;
pub mod decider;
mod feeds;
mod owner;
mod replica;
mod seat;

pub use course::{SKEW, STALE_AFTER, Step};
pub use feeds::{Expected, Standing};
pub use owner::{IDLE_EVERY, Owner, SLOTS, slot};
pub use replica::{History, Last, Replica};
pub use seat::{Seat, intent};

/// What a batch of the deltas log carries: a floor's contributions, and how its clock went while it made them.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    pub contributions: Arc<crate::floor::Batch>,
    pub step: Step,
}

/// What an instance asks of the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Want {
    /// To be added to the deltas log.
    Append(Delta<Share>),
    /// The bytes kept under this name, by [`Owner::loaded`].
    Load { place: SourcePartition, snapshot: u64 },
    /// The partition's records from this offset on; [`Owner::reading`] once nothing else can come any more. `anew`: the topic is
    /// another one by now, of which nobody has read anything.
    Read { place: SourcePartition, from: i64, anew: bool },
    /// These bytes to be kept for good under this name; [`Owner::stored`] once they are.
    Store { place: SourcePartition, snapshot: u64, bytes: Vec<u8> },
}

/// What an entry of the deltas log means for whoever works on its partition.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    pub place: SourcePartition,
    /// Under which the entry was written.
    pub claim: Claim,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The claim counts, and the partition's floor went so before it.
    Claimed(Box<History>),
    /// The claim does not count.
    NotClaimed,
    /// A batch counts.
    Counted,
    /// A snapshot of that name counts.
    Kept(u64),
}

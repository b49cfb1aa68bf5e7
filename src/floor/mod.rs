//! Who waits, who is handled by whom, which state each agent is in: events -> deltas. One floor per source partition. SEAM.

use std::sync::Arc;

use crate::domain::{Event, Timestamp};
use crate::plan::Plan;
use crate::wire::Reason;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It changed what is known.
    Applied,
    /// Its id was seen before: it changes nothing.
    Duplicate,
    /// It lies ahead of the floor's clock and is held until that passes it.
    Held,
    /// A heartbeat, or an event that a limit keeps out (counted in [`Floor::counters`]).
    NoEffect,
    /// Too late or too far ahead: the record goes to the dead letters.
    Refused(Reason),
}

pub struct Floor {
    _plan: Arc<Plan>,
}

/// What a floor contributed since its last flush: sums, level steps and histogram counts per key and pane.
#[derive(Debug, Default)]
pub struct Batch {}

impl Floor {
    pub fn new(plan: Arc<Plan>) -> Self {
        Floor { _plan: plan }
    }

    pub fn take(&mut self, _event: &Event<'_>) -> Taken {
        Taken::Applied
    }

    /// Moves the floor's clock to `now`: releases what was held and contributes what fell due before it
    /// (time-outs, expiries). Never moves back.
    pub fn advance(&mut self, _now: Timestamp) {}

    /// The largest event time so far.
    pub fn stream_time(&self) -> Option<Timestamp> {
        None
    }

    /// Everything contributed since the last flush.
    pub fn flush(&mut self) -> Batch {
        Batch::default()
    }
}

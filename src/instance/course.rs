//! A floor, and the clock by which it goes: what decides what becomes of the next record.

use std::sync::Arc;

use crate::domain::{Event, Millis, Timestamp};
use crate::floor::{self, Floor, Taken};
use crate::journal::{Mark, TopicId};
use crate::plan::Plan;
use crate::snapshot::SnapshotError;

/// A producer's clock may be this far ahead of the broker's without holding its events back while catching up.
pub const SKEW: Millis = Millis::SECOND;

/// A partition that has not been read to its end for so long lives in its records' time again.
pub const STALE_AFTER: Millis = Millis::MINUTE;

/// How a floor went from one flush to the next. With the same records and steps another floor comes to the same state,
/// whatever its own clock says: what is too late, held back or due is decided by what is written here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The offset behind the last record.
    pub to: i64,
    /// What the wall clock read before the record at that offset was taken; ascending.
    pub readings: Vec<(i64, Timestamp)>,
    /// What it read at the flush.
    pub end: Timestamp,
    /// The partition was read to its end: the floor's clock moved to `end`, and the wall clock alone holds events back until
    /// the next flush.
    pub live: bool,
    /// Something fell due then, or was taken that had been held back.
    pub moved: bool,
    /// How far the offsets here, those of the log, lie beyond those of the partition: more than nothing once a topic was made
    /// anew and its offsets began again, as the log's only ever rise.
    pub shift: i64,
    /// Whose offsets those of the partition are.
    pub topic: TopicId,
}

impl Step {
    /// They differ in where they end and what they read of the clock alone.
    pub fn goes_as(&self, other: &Step) -> bool {
        (self.live, self.shift, self.topic) == (other.live, other.shift, other.topic)
    }
}

#[derive(Debug)]
pub struct Course {
    floor: Floor,
    wall: Timestamp,
    live: bool,
}

impl Course {
    pub fn new(plan: Arc<Plan>) -> Self {
        Course { floor: Floor::new(plan), wall: Timestamp::MIN, live: false }
    }

    /// What [`Course::snapshot`] gave, which `mark` is of.
    pub fn restore(plan: Arc<Plan>, bytes: &[u8], mark: &Mark) -> Result<Self, SnapshotError> {
        Ok(Course { floor: Floor::restore(plan, bytes)?, wall: mark.wall, live: mark.live })
    }

    /// Just after [`Course::end`].
    pub fn snapshot(&self) -> Vec<u8> {
        self.floor.snapshot()
    }

    /// Whether the wall clock has to be looked at before an event of that time can be taken.
    pub fn must_look(&self, event: &Event<'_>) -> bool {
        event.time >= self.wall
    }

    /// The wall clock was looked at. True where that changes anything.
    pub fn look(&mut self, wall: Timestamp) -> bool {
        let later = wall > self.wall;
        self.wall = self.wall.max(wall);
        later
    }

    /// Takes an event. While a partition catches up it lives in its records' time, which is the broker's.
    pub fn take(&mut self, event: &Event<'_>, broker: Option<Timestamp>) -> Taken {
        let cap = match broker {
            Some(broker) if !self.live => self.wall.min(broker + SKEW),
            _ => self.wall,
        };
        self.floor.take(event, cap)
    }

    /// What came since the last time; and whether anything fell due now, or was taken that had been held back.
    pub fn end(&mut self, end: Timestamp, live: bool) -> (floor::Batch, bool) {
        self.look(end);
        self.live = live;
        let moved = live && self.floor.advance(self.wall);
        (self.floor.flush(), moved)
    }

    pub fn floor(&self) -> &Floor {
        &self.floor
    }

    pub fn wall(&self) -> Timestamp {
        self.wall
    }

    pub fn live(&self) -> bool {
        self.live
    }
}

//! An event of an interaction's time-line, and what time-lines are sorted by. What it means is `interaction`'s to say.

use super::names::Names;
use crate::domain::{InteractionEvent, Outcome, ReopenedBy};

/// An event of a time-line, its names as numbers.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub time: i64,
    pub kind: Kind,
    pub id_hash: u64,
    pub id: Box<str>,
}

/// The variants stand in the order of the life cycle, which orders events of one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The place may lack a queue.
    Arrived(u32),
    Queued(u32),
    /// Queue and, where it changes, channel.
    Transferred(u32, Option<u32>),
    /// A hash of the agent's id.
    Assigned(u64),
    Replied {
        automatic: bool,
    },
    CustomerMessage,
    Parked,
    Resumed,
    Wrapup,
    Abandoned,
    Closed(Outcome),
    Reopened(ReopenedBy),
    /// Rated or evaluated: said of it, not a sign of life.
    Remark,
}

impl Kind {
    pub fn of(event: &InteractionEvent<'_>, names: &mut Names) -> Kind {
        match event {
            InteractionEvent::Arrived { channel, queue } => {
                let queue = queue.as_ref().map(|queue| names.name(queue));
                let channel = names.name(channel);
                Kind::Arrived(names.place(queue, channel))
            }
            InteractionEvent::Queued { queue, channel } => {
                let (queue, channel) = (names.name(queue), names.name(channel));
                Kind::Queued(names.place(Some(queue), channel))
            }
            InteractionEvent::Transferred { queue, channel } => {
                let queue = names.name(queue);
                Kind::Transferred(queue, channel.as_ref().map(|channel| names.name(channel)))
            }
            InteractionEvent::Assigned { agent } => Kind::Assigned(xxhash_rust::xxh3::xxh3_64(agent.as_bytes())),
            InteractionEvent::Replied { automatic, .. } => Kind::Replied { automatic: *automatic },
            InteractionEvent::CustomerMessage => Kind::CustomerMessage,
            InteractionEvent::Parked => Kind::Parked,
            InteractionEvent::Resumed => Kind::Resumed,
            InteractionEvent::Wrapup => Kind::Wrapup,
            InteractionEvent::Abandoned => Kind::Abandoned,
            InteractionEvent::Closed { outcome } => Kind::Closed(*outcome),
            InteractionEvent::Reopened { by } => Kind::Reopened(*by),
            InteractionEvent::Rated | InteractionEvent::Evaluated => Kind::Remark,
        }
    }

    fn rank(self) -> u8 {
        match self {
            Kind::Arrived(_) => 0,
            Kind::Queued(_) => 1,
            Kind::Transferred(..) => 2,
            Kind::Assigned(_) => 3,
            Kind::Replied { .. } => 4,
            Kind::CustomerMessage => 5,
            Kind::Parked => 6,
            Kind::Resumed => 7,
            Kind::Wrapup => 8,
            Kind::Abandoned => 9,
            Kind::Closed(_) => 10,
            Kind::Reopened(_) => 11,
            Kind::Remark => 12,
        }
    }
}

impl Moment {
    /// What a time-line is sorted by.
    pub fn order(&self) -> (i64, u8, &[u8]) {
        (self.time, self.kind.rank(), self.id.as_bytes())
    }
}

//! An event of an interaction's time-line, in 32 bytes, and what time-lines are sorted by. What it means is `interaction`'s
//! to say.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::event_id::{EventId, Form, LongIds};
use super::names::Names;
use crate::domain::{InteractionEvent, Outcome, ReopenedBy};

/// An event of a time-line, its names as numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub time: i64,
    /// From the top: 4 bits of rank, 6 bits of the form of the id, 54 bits of what [`Kind`] holds.
    packed: u64,
    id_bits: u128,
}

/// The variants stand in the order of the life cycle, which orders events of one time. They are written down as they
/// stand: another order is another version of [`crate::snapshot::Kind::FLOOR`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// The place may lack a queue.
    Arrived(u32),
    Queued(u32),
    /// Queue and, where it changes, channel.
    Transferred(u32, Option<u32>),
    /// A hash of the agent's id, of 54 bits.
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

const HELD: u64 = (1 << 54) - 1;
/// Numbers of names in a transfer: 27 bits each, the channel's raised by one so that 0 is none.
const NAME_BITS: u32 = 27;
/// Names and places are fewer than this: their numbers fit.
pub(super) const NAMES_MAX: usize = (1 << NAME_BITS) - 2;

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
            InteractionEvent::Assigned { agent } => Kind::Assigned(xxhash_rust::xxh3::xxh3_64(agent.as_bytes()) & HELD),
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

    /// Rank in the life cycle, and what the kind holds.
    fn parts(self) -> (u64, u64) {
        match self {
            Kind::Arrived(place) => (0, u64::from(place)),
            Kind::Queued(place) => (1, u64::from(place)),
            Kind::Transferred(queue, channel) => {
                (2, u64::from(queue) << NAME_BITS | channel.map_or(0, |channel| u64::from(channel) + 1))
            }
            Kind::Assigned(agent) => (3, agent & HELD),
            Kind::Replied { automatic } => (4, u64::from(automatic)),
            Kind::CustomerMessage => (5, 0),
            Kind::Parked => (6, 0),
            Kind::Resumed => (7, 0),
            Kind::Wrapup => (8, 0),
            Kind::Abandoned => (9, 0),
            Kind::Closed(outcome) => (10, outcome as u64),
            Kind::Reopened(by) => (11, by as u64),
            Kind::Remark => (12, 0),
        }
    }
}

impl Moment {
    pub fn new(time: i64, kind: Kind, id: EventId) -> Moment {
        let (rank, held) = kind.parts();
        Moment { time, packed: rank << 60 | u64::from(id.form.0) << 54 | held, id_bits: id.bits }
    }

    pub fn id(&self) -> EventId {
        EventId { form: Form((self.packed >> 54) as u8 & 63), bits: self.id_bits }
    }

    #[inline]
    pub fn kind(&self) -> Kind {
        let held = self.packed & HELD;
        match self.packed >> 60 {
            0 => Kind::Arrived(held as u32),
            1 => Kind::Queued(held as u32),
            2 => {
                let channel = (held & ((1 << NAME_BITS) - 1)) as u32;
                Kind::Transferred((held >> NAME_BITS) as u32, channel.checked_sub(1))
            }
            3 => Kind::Assigned(held),
            4 => Kind::Replied { automatic: held == 1 },
            5 => Kind::CustomerMessage,
            6 => Kind::Parked,
            7 => Kind::Resumed,
            8 => Kind::Wrapup,
            9 => Kind::Abandoned,
            10 => Kind::Closed(Outcome::ALL.get(held as usize).copied().unwrap_or(Outcome::Unresolved)),
            11 => Kind::Reopened(if held == 0 { ReopenedBy::Customer } else { ReopenedBy::Agent }),
            _ => Kind::Remark,
        }
    }

    /// By time, then by the order of the life cycle, then bytewise by id.
    pub fn compare(&self, other: &Moment, long: &LongIds) -> Ordering {
        let order = |moment: &Moment| (moment.time, moment.packed >> 60);
        order(self).cmp(&order(other)).then_with(|| self.id().compare(&other.id(), long))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        let kinds = [
            Kind::Arrived(0),
            Kind::Queued(NAMES_MAX as u32),
            Kind::Transferred(NAMES_MAX as u32, Some(NAMES_MAX as u32)),
            Kind::Transferred(3, None),
            Kind::Transferred(0, Some(0)),
            Kind::Assigned(HELD),
            Kind::Replied { automatic: true },
            Kind::Replied { automatic: false },
            Kind::CustomerMessage,
            Kind::Parked,
            Kind::Resumed,
            Kind::Wrapup,
            Kind::Abandoned,
            Kind::Closed(Outcome::Resolved),
            Kind::Closed(Outcome::Spam),
            Kind::Reopened(ReopenedBy::Customer),
            Kind::Reopened(ReopenedBy::Agent),
            Kind::Remark,
        ];
        for text in ["", "e1", "0f2b7a70-0a3c-4b1e-9f00-00a1b2c3d4e5", "an id that is longer than sixteen bytes"] {
            for kind in kinds {
                let moment = Moment::new(-7, kind, EventId::of(text));
                assert_eq!((moment.time, moment.kind(), moment.id()), (-7, kind, EventId::of(text)));
            }
        }
        for (number, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, number);
        }
    }
}

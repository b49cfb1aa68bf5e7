//! The interactions held, slot by slot.
//!
//! | values | what |
//! |---|---|
//! | slots, free slots | how many there are, and the free ones in the order in which they became free |
//! | for each slot that is not free | hash of the interaction (16 bytes), due after the clock, open, how many moments |
//! | for each moment | time since the one before (the first: since the clock), [`Kind`], id of the event |
//! | notes of closed ones | time since the clock, slot; the oldest first |

use serde::{Deserialize, Serialize};

use super::{CHUNK, Interaction, Interactions};
use crate::floor::event_id::{EventId, WrittenId};
use crate::floor::moment::{Kind, Moment};
use crate::floor::names::Names;
use crate::snapshot::{Reader, SnapshotError, Writer, ensure, instant};

#[derive(Serialize, Deserialize)]
struct Head {
    whose: [u8; 16],
    due: i64,
    open: bool,
    moments: u64,
}

#[derive(Serialize, Deserialize)]
struct WrittenMoment<'a> {
    after: i64,
    kind: Kind,
    #[serde(borrow)]
    id: WrittenId<'a>,
}

impl Interactions {
    pub fn put(&self, clock: i64, to: &mut Writer) {
        let slots = self.chunks.iter().flatten();
        to.put(&(self.chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>(), &self.free));
        for held in slots.filter(|held| !held.moments.is_empty()) {
            to.put(&Head {
                whose: held.whose.to_le_bytes(),
                due: held.due.wrapping_sub(clock),
                open: held.open,
                moments: held.moments.len() as u64,
            });
            let mut before = clock;
            for moment in &held.moments {
                let id = moment.id();
                let (after, mut room) = (moment.time.wrapping_sub(before), [0; 36]);
                to.put(&WrittenMoment { after, kind: moment.kind(), id: id.written(&mut room, &held.long_ids) });
                before = moment.time;
            }
        }
        to.put(&(self.closed.len() as u64));
        for (last, slot) in &self.closed {
            to.put(&(last.wrapping_sub(clock), slot));
        }
    }

    pub fn take(names: &Names, clock: i64, from: &mut Reader<'_>) -> Result<Interactions, SnapshotError> {
        let what = "interactions";
        let (slots, free): (u64, Vec<u32>) = from.take(what)?;
        let mut is_free = vec![false; free.len()];
        // Each slot, free or not, took bytes.
        ensure(slots <= (free.len() + from.left()) as u64, what)?;
        is_free.resize(slots as usize, false);
        for slot in &free {
            let place = is_free.get_mut(*slot as usize).filter(|free| !**free);
            *place.ok_or(SnapshotError::Invalid(what))? = true;
        }
        let mut all = Interactions::default();
        all.index.reserve(slots as usize - free.len(), |_| 0);
        for free in is_free {
            all.push(if free { None } else { Some(interaction(names, clock, from)?) })?;
        }
        all.free = free;
        for _ in 0..from.count("closed interactions")? {
            let (last, slot): (i64, u32) = from.take("closed interactions")?;
            all.closed.push_back((instant(clock.checked_add(last), "closed interactions")?, slot));
        }
        Ok(all)
    }

    /// Makes the next slot, free where nothing is given.
    fn push(&mut self, held: Option<Interaction>) -> Result<(), SnapshotError> {
        let whose = held.as_ref().map(|held| held.whose);
        ensure(whose.is_none_or(|whose| self.find(whose).is_none()), "interactions")?;
        let slot = self.next_slot();
        self.add_slot(held.unwrap_or_else(|| Interaction::new(0, 0)));
        if let Some(whose) = whose {
            self.note_slot(whose, slot);
        }
        Ok(())
    }

    /// All that are held, each with its slot.
    pub fn held_mut(&mut self) -> impl Iterator<Item = (u32, &mut Interaction)> {
        let chunks = self.chunks.iter_mut().enumerate();
        let slots = chunks.flat_map(|(chunk, slots)| (chunk * CHUNK..).zip(slots));
        slots.filter(|(_, held)| !held.moments.is_empty()).map(|(slot, held)| (slot as u32, held))
    }
}

fn interaction(names: &Names, clock: i64, from: &mut Reader<'_>) -> Result<Interaction, SnapshotError> {
    let Head { whose, due, open, moments } = from.take("interaction")?;
    let moments = usize::try_from(moments).ok().filter(|moments| (1..=from.left()).contains(moments));
    let moments = moments.ok_or(SnapshotError::Invalid("time-line"))?;
    let mut held = Interaction::new(u128::from_le_bytes(whose), moments);
    ensure(due >= 0, "moment due")?;
    (held.due, held.open) = (clock.saturating_add(due), open);
    let mut before = clock;
    for _ in 0..moments {
        let WrittenMoment { after, kind, id } = from.take("moment")?;
        let time = instant(before.checked_add(after), "moment")?;
        ensure(time < clock && is_known(kind, names), "moment")?;
        let id = EventId::read(id, &mut held.long_ids)?;
        let moment = Moment::new(time, kind, id);
        let sorted = held.moments.last().is_none_or(|last| last.compare(&moment, &held.long_ids).is_lt());
        ensure(sorted, "order of moments")?;
        held.moments.push(moment);
        before = time;
    }
    Ok(held)
}

fn is_known(kind: Kind, names: &Names) -> bool {
    match kind {
        Kind::Arrived(place) | Kind::Queued(place) => names.has_place(place),
        Kind::Transferred(queue, channel) => {
            names.has_name(queue) && channel.is_none_or(|channel| names.has_name(channel))
        }
        _ => true,
    }
}

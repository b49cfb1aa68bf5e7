//! The sets in their order, in one piece: how many ids a set has (1 byte), then each in 8 bytes, the newest first; before
//! them how many gave way.

use super::Identities;
use crate::snapshot::{Bytes, Reader, SnapshotError, Writer, ensure};

impl Identities {
    pub fn put(&self, to: &mut Writer) {
        let mut sets = Vec::new();
        for set in &self.sets {
            let known = set.iter().take_while(|id| **id != 0);
            sets.push(known.clone().count() as u8);
            known.for_each(|id| sets.extend_from_slice(&id.to_le_bytes()));
        }
        to.put(&(self.forgotten, Bytes(&sets)));
    }

    pub fn take(limit: usize, from: &mut Reader<'_>) -> Result<Identities, SnapshotError> {
        let what = "identities";
        let (forgotten, Bytes(mut sets)): (u64, Bytes<'_>) = from.take(what)?;
        let mut identities = Identities { forgotten, ..Identities::new(limit) };
        for set in &mut identities.sets {
            let (count, rest) = sets.split_first().ok_or(SnapshotError::Invalid(what))?;
            ensure(usize::from(*count) <= set.len(), what)?;
            let (ids, rest) = rest.split_at_checked(usize::from(*count) * 8).ok_or(SnapshotError::Invalid(what))?;
            for (id, bytes) in set.iter_mut().zip(ids.as_chunks::<8>().0) {
                *id = u64::from_le_bytes(*bytes);
                ensure(*id != 0, what)?;
            }
            sets = rest;
        }
        ensure(sets.is_empty(), what)?;
        Ok(identities)
    }
}

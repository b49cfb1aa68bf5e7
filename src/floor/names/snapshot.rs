//! Names, keys and places in the order of their numbers; the rest follows from them and the plan.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Names;
use crate::plan::Plan;
use crate::snapshot::{Reader, SnapshotError, Writer, ensure};

/// Numbers of a queue and a channel.
type Pair = (Option<u32>, Option<u32>);

#[derive(Serialize, Deserialize)]
struct Written {
    names: Vec<Arc<str>>,
    keys: Vec<Pair>,
    places: Vec<Pair>,
    overflowed: u64,
}

impl Names {
    pub fn put(&self, to: &mut Writer) {
        let mut keys = vec![(None, None); self.keys.len()];
        for (pair, number) in &self.key_numbers {
            if let Some(key) = keys.get_mut(*number as usize) {
                *key = *pair;
            }
        }
        let places = self.places.iter().map(|place| (place.queue, place.channel)).collect();
        to.put(&Written { names: self.names.clone(), keys, places, overflowed: self.overflowed });
    }

    pub fn take(plan: Arc<Plan>, from: &mut Reader<'_>) -> Result<Names, SnapshotError> {
        let written: Written = from.take("names")?;
        let mut names = Names::new(plan);
        for (number, name) in written.names.iter().enumerate() {
            ensure(names.name(name) as usize == number, "names")?;
        }
        let known = |names: &Names, (queue, channel): Pair| {
            let mut both = queue.into_iter().chain(channel);
            ensure(both.all(|number| names.has_name(number)), "names")
        };
        for (number, pair) in written.keys.iter().enumerate() {
            known(&names, *pair)?;
            ensure(names.key(pair.0, pair.1) as usize == number, "keys")?;
        }
        for (number, pair) in written.places.iter().enumerate() {
            known(&names, *pair)?;
            ensure(!names.place_numbers.contains_key(pair), "places")?;
            ensure(names.add_place(pair.0, pair.1) as usize == number, "places")?;
        }
        ensure(names.keys.len() == written.keys.len(), "keys")?;
        names.overflowed = written.overflowed;
        Ok(names)
    }

    pub fn has_name(&self, number: u32) -> bool {
        (number as usize) < self.names.len()
    }

    pub fn has_place(&self, number: u32) -> bool {
        (number as usize) < self.places.len()
    }

    pub fn has_key(&self, number: u32) -> bool {
        (number as usize) < self.keys.len()
    }
}

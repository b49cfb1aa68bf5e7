//! The ids of the events taken last, whosever they were: a second event with an id already seen changes nothing.
//!
//! Bounded: in each of many small sets the oldest gives way, so that looking an id up and adding it touch one line of
//! memory. The sets hold twice what is asked for, so that of the last `limits.identities` ids hardly one is gone. An
//! interaction and an agent know the ids of their own events besides, for as long as they are held, so a repeated event is
//! recognised however long ago it came; only an id that another one reuses is not, once it is older than the bound.

mod snapshot;

#[derive(Debug)]
pub(super) struct Identities {
    /// The newest first; 0 is nothing.
    sets: Vec<[u64; 8]>,
    /// How many gave way.
    pub forgotten: u64,
}

impl Identities {
    pub fn new(limit: usize) -> Self {
        Identities { sets: vec![[0; 8]; (limit / 4).next_power_of_two()], forgotten: 0 }
    }

    fn place(&self, id: u64) -> usize {
        (id >> 8) as usize & (self.sets.len() - 1)
    }

    pub fn contains(&self, id: u64) -> bool {
        let id = id.max(1);
        self.sets.get(self.place(id)).is_some_and(|set| set.contains(&id))
    }

    /// Adds one that is not known.
    pub fn insert(&mut self, id: u64) {
        let id = id.max(1);
        let place = self.place(id);
        if let Some(set) = self.sets.get_mut(place) {
            let [.., oldest] = set;
            self.forgotten += u64::from(*oldest != 0);
            set.rotate_right(1);
            let [newest, ..] = set;
            *newest = id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_give_way() {
        let mut ids = Identities::new(10_000);
        let hash = |n: u64| xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes());
        for n in 0..100_000 {
            assert!(!ids.contains(hash(n)), "{n}");
            ids.insert(hash(n));
        }
        let known = |from: u64, to: u64| (from..to).filter(|n| ids.contains(hash(*n))).count();
        assert!(known(90_000, 100_000) > 9_900, "{}", known(90_000, 100_000));
        assert!(known(0, 100_000) <= 8 * ids.sets.len());
        assert_eq!(known(0, 100_000) as u64 + ids.forgotten, 100_000);
        assert!(!ids.contains(0));
        ids.insert(0);
        assert!(ids.contains(0));
    }
}

//! A map that knows which of its entries may have changed since somebody last asked: thousands of notices may wait, and
//! each second asks what has become of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

/// Beyond so many the names of what changed are not kept: then everything may have.
const TOUCHED_MAX: usize = 100_000;

/// To read, it is the map itself; whatever changes it leaves a mark.
#[derive(Clone, Debug)]
pub(super) struct Marked<K, V> {
    all: BTreeMap<K, V>,
    /// `None`: nobody has asked yet, or too much has changed since.
    touched: Option<BTreeSet<K>>,
}

impl<K, V> Default for Marked<K, V> {
    fn default() -> Self {
        Marked { all: BTreeMap::new(), touched: None }
    }
}

impl<K, V> Deref for Marked<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &BTreeMap<K, V> {
        &self.all
    }
}

impl<K: Ord + Clone, V> FromIterator<(K, V)> for Marked<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Marked { all: entries.into_iter().collect(), touched: None }
    }
}

impl<K: Ord + Clone, V> Marked<K, V> {
    fn touch(&mut self, key: &K) {
        if let Some(touched) = &mut self.touched {
            touched.insert(key.clone());
            if touched.len() > TOUCHED_MAX {
                self.touched = None;
            }
        }
    }

    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.touch(&key);
        self.all.insert(key, value)
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.touch(key);
        self.all.remove(key)
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.touch(key);
        self.all.get_mut(key)
    }

    /// To ask a value what has changed in it, which changes nothing of it.
    pub fn unmarked(&mut self, key: &K) -> Option<&mut V> {
        self.all.get_mut(key)
    }

    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        self.touch(&key);
        self.all.entry(key).or_insert_with(make)
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        if let Some(touched) = &mut self.touched {
            touched.extend(self.all.keys().cloned());
        }
        self.all.values_mut()
    }

    /// Leaves it empty.
    pub fn take(&mut self) -> BTreeMap<K, V> {
        if let Some(touched) = &mut self.touched {
            touched.extend(self.all.keys().cloned());
        }
        std::mem::take(&mut self.all)
    }

    /// Whether it is known what has changed.
    pub fn is_watched(&self) -> bool {
        self.touched.is_some()
    }

    /// What has changed, or may have, since the last time; from now on it is known.
    pub fn touched(&mut self) -> BTreeSet<K> {
        self.touched.replace(BTreeSet::new()).unwrap_or_default()
    }
}

//! Who failed at the last attempt: what `/readyz` shows as degraded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// Most failing destinations that are remembered; more say nothing new.
const LIMIT: usize = 1_000;

#[derive(Debug, Default)]
pub struct Health(Mutex<BTreeMap<String, String>>);

impl Health {
    /// Notes that the last attempt at `place` (a server, or one recipient) failed.
    pub fn fail(&self, place: &str, why: &str) {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failing.len() < LIMIT || failing.contains_key(place) {
            failing.insert(place.to_owned(), why.to_owned());
        }
    }

    pub fn well(&self, place: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(place);
    }

    /// Each reason once, sorted.
    pub fn reasons(&self) -> Vec<String> {
        let failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failing.values().cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

//! Events ahead of the floor's clock, kept until it passes them. Bounded: beyond the bound the newest is refused.

use std::collections::BTreeMap;

use crate::domain::{Event, Timestamp};

#[derive(Debug, Default)]
pub(super) struct Held {
    /// By time, then by order of arrival.
    events: BTreeMap<(Timestamp, u64), Event<'static>>,
    arrivals: u64,
}

impl Held {
    /// False where the limit keeps the event out.
    pub fn push(&mut self, event: &Event<'_>, limit: usize) -> bool {
        if self.events.len() >= limit {
            return false;
        }
        self.arrivals += 1;
        self.events.insert((event.time, self.arrivals), event.to_static());
        true
    }

    pub fn pop_before(&mut self, now: Timestamp) -> Option<Event<'static>> {
        let first = self.events.first_entry()?;
        (first.key().0 < now).then(|| first.remove())
    }

    /// In the order in which they will be taken.
    pub fn events(&self) -> impl Iterator<Item = &Event<'static>> {
        self.events.values()
    }

    pub fn len(&self) -> usize {
        self.events.len()
    }
}

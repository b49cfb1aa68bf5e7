//! Events ahead of the floor's clock, kept until it passes them. Bounded: the furthest ahead gives way.

use std::collections::BTreeMap;

use crate::domain::{Event, Timestamp};

#[derive(Debug, Default)]
pub(super) struct Held {
    /// By time, then by order of arrival.
    events: BTreeMap<(Timestamp, u64), Event<'static>>,
    arrivals: u64,
}

impl Held {
    /// False where the limit keeps an event out: this one, or one further ahead that gives way to it.
    pub fn push(&mut self, event: &Event<'_>, limit: usize) -> bool {
        self.arrivals += 1;
        self.events.insert((event.time, self.arrivals), event.to_static());
        if self.events.len() > limit {
            self.events.pop_last();
            return false;
        }
        true
    }

    pub fn pop_before(&mut self, now: Timestamp) -> Option<Event<'static>> {
        let first = self.events.first_entry()?;
        (first.key().0 < now).then(|| first.remove())
    }

    pub fn len(&self) -> usize {
        self.events.len()
    }
}

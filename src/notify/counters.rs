//! What the way out counts: plain numbers that telemetry reads.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::matrix::Medium;

/// The result of one step of one notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    Sent,
    Retried,
    Refused,
    GaveUp,
    Superseded,
    Dropped,
}

impl Counted {
    pub const ALL: [Counted; 6] =
        [Counted::Sent, Counted::Retried, Counted::Refused, Counted::GaveUp, Counted::Superseded, Counted::Dropped];

    pub fn name(self) -> &'static str {
        match self {
            Counted::Sent => "sent",
            Counted::Retried => "retried",
            Counted::Refused => "refused",
            Counted::GaveUp => "gave_up",
            Counted::Superseded => "superseded",
            Counted::Dropped => "dropped",
        }
    }
}

const MEDIA: [Medium; 2] = [Medium::Email, Medium::Webhook];

#[derive(Debug, Default)]
pub struct Counters {
    results: [[AtomicU64; 6]; 2],
    /// Criticals that could not be delivered.
    pub undeliverable: AtomicU64,
    /// Actions whose template failed while an alert was going out.
    pub templates_failed: AtomicU64,
    /// Outcomes and undeliverable criticals that nobody took out in time.
    pub reports_lost: AtomicU64,
}

impl Counters {
    pub(super) fn count(&self, medium: Medium, result: Counted) {
        let row = usize::from(medium == Medium::Webhook);
        if let Some(cell) = self.results.get(row).and_then(|row| row.get(result as usize)) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn get(&self, medium: Medium, result: Counted) -> u64 {
        let row = usize::from(medium == Medium::Webhook);
        let cell = self.results.get(row).and_then(|row| row.get(result as usize));
        cell.map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// Medium, result and count of each, zeros too, in a fixed order.
    pub fn all(&self) -> impl Iterator<Item = (Medium, Counted, u64)> + '_ {
        let pairs = MEDIA.into_iter().flat_map(|medium| Counted::ALL.into_iter().map(move |result| (medium, result)));
        pairs.map(|(medium, result)| (medium, result, self.get(medium, result)))
    }
}

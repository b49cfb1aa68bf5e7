//! When a row is open: weekly hours in a zone, less holidays.

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use crate::domain::Timestamp;

/// SEAM: filled in by the engine's author.
#[derive(Clone, Debug)]
pub struct Calendar {
    pub zone: TimeZone,
    /// `None`: always open, and holidays close nothing.
    pub shifts: Option<Vec<Shift>>,
    pub holidays: BTreeSet<Date>,
}

/// `[from, to)` in minutes of local wall-clock time since the midnight that begins `day`; `to` beyond 1440 crosses midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift {
    pub day: Weekday,
    pub from: u16,
    pub to: u16,
}

impl Calendar {
    pub fn always() -> Self {
        Calendar { zone: TimeZone::UTC, shifts: None, holidays: BTreeSet::new() }
    }

    /// Whether the second that begins at `now` is open.
    pub fn is_open(&self, _now: Timestamp) -> bool {
        true
    }
}

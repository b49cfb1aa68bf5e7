//! Which sources of events nobody can judge by now: read too far behind, or silent for longer than they may be.

use std::sync::Arc;

use super::{Last, Replica};
use crate::domain::{Calendar, Millis, Timestamp};
use crate::indicators::Topics;
use crate::matrix::engine::{Feed, FeedState};

/// What is expected of a source.
#[derive(Debug)]
pub struct Expected {
    pub source: Arc<str>,
    /// How far what the board shows may lie behind.
    pub max_lag: Millis,
    /// How long without a record, in these hours, means that it is dead.
    pub silent_after: Option<Millis>,
    pub hours: Calendar,
}

/// How a source stands.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// What its records were about; while none has come, they may be about anything.
    pub carries: Topics,
    /// Up to when the board shows all of it; `None` where there is nothing to read.
    pub shown: Option<Timestamp>,
    /// When its last record came, or when the program began to listen.
    pub heard: Timestamp,
}

impl Expected {
    pub fn feed(&self, found: &Standing, now: Timestamp) -> Feed {
        let Topics { interactions, agents } = found.carries;
        let unknown = !interactions && !agents;
        let carries = Topics { interactions: interactions || unknown, agents: agents || unknown };
        Feed { source: self.source.clone(), carries, state: self.state(found, now) }
    }

    fn state(&self, found: &Standing, now: Timestamp) -> FeedState {
        if let Some(since) = found.shown.filter(|shown| now - *shown > self.max_lag) {
            return FeedState::Lagging { since };
        }
        // Of the silence only what falls into its hours counts.
        let stretch = self.hours.stretch(now);
        let listened = now - stretch.since.map_or(found.heard, |opened| opened.max(found.heard));
        match self.silent_after {
            Some(after) if stretch.open && listened > after => FeedState::Silent { since: found.heard },
            _ => FeedState::Live,
        }
    }
}

impl Replica {
    /// How a source stands, as far as the log tells; of its partitions only so many count. `started` is when the program began
    /// to listen.
    pub fn standing(&self, source: usize, counts: &[i32], started: Timestamp) -> Standing {
        let lasts = || {
            let of_source = self.attended(counts).filter(move |(place, _)| place.source == source);
            of_source.map(|(_, history)| history.last)
        };
        let carries = lasts().flatten().map(|Last { interactions, agents, .. }| Topics { interactions, agents });
        Standing {
            carries: carries.fold(Topics::default(), Topics::and),
            shown: lasts().map(|last| last.and_then(|last| last.caught_up).unwrap_or(started)).min(),
            heard: lasts().filter_map(|last| last?.heard).max().unwrap_or(started),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::Weekday;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::domain::Shift;

    #[test]
    fn a_source_lags_or_is_silent_in_its_hours() {
        let noon = Timestamp::parse("2026-03-02T12:00:00Z").unwrap(); // a Monday
        let at = |minutes: i64| noon + Millis(minutes * 60_000);
        let both = Topics { interactions: true, agents: true };
        let found = |shown, heard| Standing { carries: Topics { interactions: false, agents: false }, shown, heard };
        let monday = Shift { day: Weekday::Monday, from: 11 * 60, to: 13 * 60 };
        let hours = Calendar { zone: TimeZone::UTC, shifts: Some(vec![monday]), ..Calendar::always() };
        let source = |hours| Expected {
            source: "events".into(),
            max_lag: Millis::MINUTE,
            silent_after: Some(Millis(5 * 60_000)),
            hours,
        };
        let cases = [
            // Read to now, a record just came.
            (found(Some(at(0)), at(0)), at(0), FeedState::Live),
            (found(Some(at(0)), at(0)), at(1), FeedState::Live),
            (found(Some(at(0)), at(0)), at(2), FeedState::Lagging { since: at(0) }),
            // Read to now, and nothing came.
            (found(Some(at(5)), at(0)), at(5), FeedState::Live),
            (found(Some(at(6)), at(0)), at(6), FeedState::Silent { since: at(0) }),
            // Closed: silence means nothing, a lag does.
            (found(Some(at(60)), at(0)), at(60), FeedState::Live),
            (found(Some(at(0)), at(0)), at(60), FeedState::Lagging { since: at(0) }),
            // Just opened: the night before it is no silence.
            (found(Some(at(-60)), at(-600)), at(-60), FeedState::Live),
            (found(Some(at(-54)), at(-600)), at(-54), FeedState::Silent { since: at(-600) }),
            // There is nothing to read.
            (found(None, at(0)), at(3), FeedState::Live),
            (found(None, at(0)), at(6), FeedState::Silent { since: at(0) }),
        ];
        for (number, (found, now, expected)) in cases.into_iter().enumerate() {
            let feed = source(hours.clone()).feed(&found, now);
            assert_eq!((feed.state, feed.carries), (expected, both), "case {number}");
        }
        let quiet = Expected { silent_after: None, ..source(Calendar::always()) };
        assert_eq!(quiet.feed(&found(Some(at(600)), at(0)), at(600)).state, FeedState::Live);
    }
}

//! Alertmanager forgets an alert that it does not hear of again: alerts are told anew while their cases are open.
//!
//! [`Rounds`] says when, as a function of time alone. What is told is made of the open cases at that instant, so that it goes
//! on after a restart, and waits here until it is sent: at most one round for each webhook, the newest. A notice for the
//! same webhook that is taken meanwhile strikes out what the round says of its incident, which it knows better.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::domain::{Millis, Timestamp};
use crate::notice::hooks::alertmanager::Firing;

/// An alert is told again at least so often.
const INTERVAL: Millis = Millis::MINUTE;
/// Sooner by as much as a round may take.
const ROUND: Millis = Millis(INTERVAL.0 - 10_000);
/// Intervals without a word after which Alertmanager takes an alert for over.
const PATIENCE: i64 = 4;
/// Alerts in one request, as Prometheus has it.
const AT_ONCE: usize = 64;

/// When the open alerts are told again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rounds {
    last: Option<Timestamp>,
}

impl Rounds {
    /// Whether a round is due at `now`, which then begins. A clock that was set back does not hold it up.
    pub fn begin(&mut self, now: Timestamp) -> bool {
        let due = self.last.is_none_or(|last| now - last >= ROUND || now < last);
        if due {
            self.last = Some(now);
        }
        due
    }
}

/// The round of one webhook that waits to be sent.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<Vec<Firing>>);

impl Waiting {
    fn alerts(&self) -> MutexGuard<'_, Vec<Firing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn put(&self, round: Vec<Firing>) {
        *self.alerts() = round;
    }

    /// A notice says something newer of this incident.
    pub fn strike(&self, incident: &Arc<str>) {
        self.alerts().retain(|firing| firing.incident != *incident);
    }

    /// The next request, without `endsAt`; `None` when all is sent.
    pub fn next(&self) -> Option<Value> {
        let mut alerts = self.alerts();
        let count = alerts.len().min(AT_ONCE);
        let batch: Vec<Value> = alerts.drain(..count).map(|firing| firing.alert).collect();
        (!batch.is_empty()).then_some(Value::Array(batch))
    }
}

/// Writes until when the alerts that have no end are to be believed.
pub fn stamp(alerts: &mut Value, now: Timestamp) {
    let until = (now + Millis(PATIENCE * INTERVAL.0)).to_string();
    for alert in alerts.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        alert.entry("endsAt").or_insert_with(|| until.as_str().into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_round_begins_at_once_and_then_within_every_minute() {
        let mut rounds = Rounds::default();
        let begun: Vec<i64> = (0..=180).filter(|second| rounds.begin(Timestamp(second * 1000))).collect();
        assert_eq!(begun, [0, 50, 100, 150]);
        assert!(rounds.begin(Timestamp(-3_600_000)), "the clock was set back");
        assert!(!rounds.begin(Timestamp(-3_599_000)));
        assert!(rounds.begin(Timestamp(7_200_000)), "after a long pause once");
        assert!(!rounds.begin(Timestamp(7_201_000)));
    }

    #[test]
    fn a_round_goes_in_bounded_requests_and_without_what_a_notice_says_better() {
        let waiting = Waiting::default();
        let firing = |n: usize| Firing { incident: format!("i{n}").into(), alert: json!({ "labels": { "n": n } }) };
        waiting.put((0..9).map(firing).collect());
        waiting.put((0..130).map(firing).collect());
        waiting.strike(&"i3".into());
        let lengths: Vec<usize> =
            std::iter::from_fn(|| waiting.next()).map(|batch| batch.as_array().unwrap().len()).collect();
        assert_eq!(lengths, [64, 64, 1], "the newer round alone, without one");
    }

    #[test]
    fn only_what_fires_is_given_an_end_four_intervals_ahead() {
        let now = Timestamp::parse("2026-11-22T15:00:00Z").unwrap();
        let mut alerts = json!([{ "endsAt": "2026-11-22T14:00:00Z" }, {}]);
        stamp(&mut alerts, now);
        assert_eq!(alerts, json!([{ "endsAt": "2026-11-22T14:00:00Z" }, { "endsAt": "2026-11-22T15:04:00Z" }]));
    }
}

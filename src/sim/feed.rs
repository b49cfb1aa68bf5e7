//! The way from the floor to the topics: in order, or with the disorder that was asked for.
//!
//! It draws from a generator of its own, so that a disorderly feed tells the same story as an orderly one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::random::Random;
use super::{Disorder, SimEvent, Topic};
use crate::domain::{Millis, Timestamp};

pub(super) struct Feed {
    disorder: Disorder,
    random: Random,
    /// The span in which nothing is delivered.
    silence: Option<(Timestamp, Timestamp)>,
    /// By the moment of delivery, then in the order in which they happened.
    underway: BinaryHeap<Reverse<(Timestamp, u64, Parcel)>>,
    parcels: u64,
}

/// What is under way beside the moment of delivery.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Parcel {
    time: Timestamp,
    topic: Topic,
    key: String,
    json: String,
}

impl Feed {
    pub fn new(seed: u64, disorder: Disorder, silence: Option<(Timestamp, Timestamp)>) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(1);
        Feed { disorder, random: Random(random), silence, underway: BinaryHeap::new(), parcels: 0 }
    }

    /// Nothing is delivered in this span; what happens in it comes at its end.
    pub fn be_silent(&mut self, from: Timestamp, until: Timestamp) {
        self.silence = Some((from, until));
    }

    pub fn put(&mut self, time: Timestamp, topic: Topic, key: &str, json: String) {
        let lateness = self.disorder.lateness;
        if self.random.chance(self.disorder.garbage) {
            let garbage = self.garbage(&json);
            self.deliver(time, time, topic, key, garbage);
        }
        if self.random.chance(self.disorder.duplicates) {
            let again = time + self.random.between(Millis(0), lateness);
            self.deliver(time, again, topic, key, json.clone());
        }
        let late = self.random.chance(self.disorder.late);
        let delay = if late { self.random.between(Millis(1), lateness) } else { Millis(0) };
        self.deliver(time, time + delay, topic, key, json);
    }

    fn deliver(&mut self, time: Timestamp, sent: Timestamp, topic: Topic, key: &str, json: String) {
        let sent = match self.silence {
            Some((from, until)) if (from..until).contains(&sent) => until,
            _ => sent,
        };
        self.parcels += 1;
        let parcel = Parcel { time, topic, key: key.to_owned(), json };
        self.underway.push(Reverse((sent, self.parcels, parcel)));
    }

    /// The next record, if nothing that happens from `now` on can be delivered before it. `None`: nothing happens any more.
    pub fn take(&mut self, now: Option<Timestamp>) -> Option<SimEvent> {
        let Reverse((sent, ..)) = self.underway.peek()?;
        if now.is_some_and(|now| *sent >= now) {
            return None;
        }
        let Reverse((sent, _, Parcel { time, topic, key, json })) = self.underway.pop()?;
        Some(SimEvent { time, sent, topic, key, json })
    }

    /// A bad record, of the kinds that are seen in the field. Always one line of text, never one of ours.
    fn garbage(&mut self, json: &str) -> String {
        let half = json.get(..json.len() / 2).unwrap_or("{").to_owned();
        let bad = match self.random.index(8) {
            0 => half.clone(),
            1 => "null".to_owned(),
            2 => "<html>502 Bad Gateway</html>".to_owned(),
            3 => json.replacen("\"type\":", "\"kind\":", 1),
            4 => json.replacen("\"time\":\"", "\"time\":\"at ", 1),
            5 => json.replacen("\"interaction\":", "\"contact\":", 1).replacen("\"agent\":", "\"person\":", 1),
            6 => format!("{}{}", "[".repeat(1_000), "]".repeat(1_000)),
            _ => json.replacen("\"time\":", "\"when\":", 1),
        };
        // A heartbeat has no key to lose.
        if bad == json { half } else { bad }
    }
}

//! What is wrong at present: said when it begins, again every 30 s while it lasts, and once more when it is over.
//!
//! Shared by all clients, so that a broker that is down is one problem and not one per client. Bounded: a kind and a place
//! (a topic, a partition) have one entry, and places come from the configuration and the assignment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;
use crate::domain::Timestamp;

/// The label of a problem in metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// No broker answers.
    Unreachable,
    /// A broker is connected but does not answer in time.
    Silent,
    /// The consumer group has not given out partitions.
    Group,
    MissingTopic,
    Authentication,
    Authorization,
    Tls,
    /// Records between the position and the start of the log are gone, or the topic was recreated.
    OffsetsGone,
    /// A topic has more partitions than before.
    Partitions,
    /// Offsets could not be committed.
    Commit,
    /// A refused record could not be kept, or its topic not be made.
    DeadLetters,
    /// States could not be kept, or what was kept not be read.
    Snapshots,
    /// What belongs into a log could not be written, or its topic is not as it has to be.
    Logs,
    Other,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Unreachable => "unreachable",
            Kind::Silent => "silent",
            Kind::Group => "group",
            Kind::MissingTopic => "missing_topic",
            Kind::Authentication => "authentication",
            Kind::Authorization => "authorization",
            Kind::Tls => "tls",
            Kind::OffsetsGone => "offsets_gone",
            Kind::Partitions => "partitions",
            Kind::Commit => "commit",
            Kind::DeadLetters => "dead_letters",
            Kind::Snapshots => "snapshots",
            Kind::Logs => "logs",
            Kind::Other => "other",
        }
    }

    /// Over as soon as a broker answers anything.
    fn ends_with_an_answer(self) -> bool {
        matches!(self, Kind::Unreachable | Kind::Silent | Kind::Authentication | Kind::Tls)
    }

    /// Somebody is there, and refuses: it is not that nobody answers, though librdkafka then says that as well.
    fn is_refusal(self) -> bool {
        matches!(self, Kind::Authentication | Kind::Tls)
    }

    /// An incident of one moment, which nothing ends: forgotten after a while.
    fn momentary(self) -> bool {
        matches!(self, Kind::OffsetsGone | Kind::Other | Kind::Commit)
    }
}

/// One thing that is wrong now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub kind: Kind,
    /// A topic, a partition, or empty for the whole.
    pub place: String,
    /// One paragraph: what, where, what to do.
    pub text: String,
    pub since: Timestamp,
}

struct Entry {
    problem: Problem,
    said: Instant,
    raised: Instant,
}

const AGAIN: Duration = Duration::from_secs(30);
/// How long an incident of one moment is shown.
const MOMENT: Duration = Duration::from_secs(300);
/// No configuration comes near it; beyond it new ones are only counted.
const MOST: usize = 1_000;

#[derive(Default)]
struct Book {
    open: BTreeMap<(Kind, String), Entry>,
    raised: BTreeMap<Kind, u64>,
    last: Option<Problem>,
}

/// A handle; clones share the same book.
#[derive(Clone, Default)]
pub struct Problems(Arc<Mutex<Book>>);

impl Problems {
    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn raise(&self, kind: Kind, place: &str, text: String) {
        self.raise_at(kind, place, text, clock::now(), clock::instant());
    }

    fn raise_at(&self, kind: Kind, place: &str, text: String, now: Timestamp, instant: Instant) {
        let mut book = self.book();
        // Each connection that is refused is raised anew, so what is older is no longer the reason.
        let refused = |((open, _), entry): (&(Kind, String), &Entry)| {
            open.is_refusal() && instant.duration_since(entry.raised) < AGAIN
        };
        if kind == Kind::Unreachable && book.open.iter().any(refused) {
            return;
        }
        if kind.is_refusal() {
            book.open.retain(|(open, _), _| *open != Kind::Unreachable);
        }
        *book.raised.entry(kind).or_default() += 1;
        let full = book.open.len() >= MOST;
        let key = (kind, place.to_owned());
        if let Some(entry) = book.open.get_mut(&key) {
            entry.raised = instant;
            entry.problem.text = text;
            let problem = entry.problem.clone();
            book.last = Some(problem);
            return;
        }
        tracing::error!(kind = kind.name(), place, "{text}");
        let problem = Problem { kind, place: place.to_owned(), text, since: now };
        book.last = Some(problem.clone());
        if !full {
            book.open.insert(key, Entry { problem, said: instant, raised: instant });
        }
    }

    pub fn clear(&self, kind: Kind, place: &str) {
        if let Some(entry) = self.book().open.remove(&(kind, place.to_owned())) {
            let since = entry.problem.since.to_string();
            tracing::info!(kind = kind.name(), place, since, "problem with kafka is over");
        }
    }

    /// A broker answered: what stood in the way of any answer is over.
    pub fn answered(&self) {
        let over: Vec<_> = self.book().open.keys().filter(|(kind, _)| kind.ends_with_an_answer()).cloned().collect();
        for (kind, place) in over {
            self.clear(kind, &place);
        }
    }

    /// Says again what has lasted for 30 s since it was said; called by the reader every now and then.
    pub fn repeat(&self) {
        self.repeat_at(clock::instant());
    }

    fn repeat_at(&self, instant: Instant) {
        let mut book = self.book();
        book.open.retain(|(kind, _), entry| !(kind.momentary() && instant.duration_since(entry.raised) >= MOMENT));
        for entry in book.open.values_mut() {
            if !entry.problem.kind.momentary() && instant.duration_since(entry.said) >= AGAIN {
                entry.said = instant;
                let Problem { kind, place, text, since } = &entry.problem;
                tracing::warn!(kind = kind.name(), place, since = since.to_string(), "still: {text}");
            }
        }
    }

    pub fn open(&self) -> Vec<Problem> {
        self.book().open.values().map(|entry| entry.problem.clone()).collect()
    }

    pub fn last(&self) -> Option<Problem> {
        self.book().last.clone()
    }

    /// How often each kind was raised since the start.
    pub fn raised(&self) -> Vec<(Kind, u64)> {
        self.book().raised.iter().map(|(kind, count)| (*kind, *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_problem_is_one_entry_until_it_is_over() {
        let problems = Problems::default();
        problems.raise(Kind::Unreachable, "", "down".into());
        problems.raise(Kind::Unreachable, "", "still down".into());
        problems.raise(Kind::MissingTopic, "a", "no a".into());
        assert_eq!(problems.open().len(), 2);
        assert_eq!(problems.raised(), vec![(Kind::Unreachable, 2), (Kind::MissingTopic, 1)]);
        problems.answered();
        assert_eq!(problems.open().iter().map(|p| p.kind).collect::<Vec<_>>(), vec![Kind::MissingTopic]);
        problems.clear(Kind::MissingTopic, "a");
        assert!(problems.open().is_empty());
        assert_eq!(problems.last().map(|p| p.text), Some("no a".into()));
    }

    #[test]
    fn who_refuses_is_there() {
        let problems = Problems::default();
        let start = clock::instant();
        let kinds = || problems.open().iter().map(|problem| problem.kind).collect::<Vec<_>>();
        problems.raise_at(Kind::Unreachable, "", "no answer".into(), Timestamp(0), start);
        problems.raise_at(Kind::Authentication, "", "wrong password".into(), Timestamp(0), start);
        assert_eq!(kinds(), [Kind::Authentication]);
        problems.raise_at(Kind::Unreachable, "", "no answer".into(), Timestamp(0), start + AGAIN / 2);
        assert_eq!(kinds(), [Kind::Authentication]);
        problems.raise_at(Kind::Unreachable, "", "gone since".into(), Timestamp(0), start + AGAIN);
        assert_eq!(kinds(), [Kind::Unreachable, Kind::Authentication]);
    }

    #[test]
    fn incidents_of_a_moment_are_forgotten_and_lasting_ones_are_not() {
        let problems = Problems::default();
        let start = clock::instant();
        for kind in [Kind::OffsetsGone, Kind::Unreachable] {
            problems.raise_at(kind, "p", "text".into(), Timestamp(0), start);
        }
        problems.repeat_at(start + MOMENT - Duration::from_secs(1));
        assert_eq!(problems.open().len(), 2);
        problems.repeat_at(start + MOMENT);
        assert_eq!(problems.open().iter().map(|p| p.kind).collect::<Vec<_>>(), vec![Kind::Unreachable]);
    }
}

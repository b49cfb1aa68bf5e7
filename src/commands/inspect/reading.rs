//! One log from a position to where it ends now, or on and on.

use std::time::{Duration, Instant};

use crate::clock;
use crate::commands::Failure;
use crate::config::Kafka;
use crate::domain::Timestamp;
use crate::journal::Position;
use crate::journal::record::Log;
use crate::kafka::Problems;
use crate::kafka::log::{Item, Tail};

/// For how long nothing at all may come before the log is given up.
const PATIENCE: Duration = Duration::from_secs(10);
const WAIT: Duration = Duration::from_millis(200);

/// The first position that is kept, and the one behind the last.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    pub low: u64,
    pub end: u64,
}

/// An entry as it lies in the topic.
pub struct Came {
    pub position: Position,
    /// When the broker took it.
    pub at: Option<Timestamp>,
    pub bytes: Vec<u8>,
}

pub struct Reading {
    tail: Tail,
    problems: Problems,
    log: Log,
    follow: bool,
    pub ends: Ends,
    heard: Instant,
    done: bool,
}

impl Reading {
    /// Asks from where to where the log goes.
    pub fn open(kafka: &Kafka, log: Log, follow: bool) -> Result<Reading, Failure> {
        let problems = Problems::default();
        // There is never an entry at the highest position, and the answer to that is what is asked for.
        let tail = Tail::open(kafka, problems.clone(), &[(log, Some(Position(u64::MAX)))]);
        let tail = tail.map_err(|error| Failure::User(error.to_string()))?;
        let (ends, heard) = (Ends { low: 0, end: 0 }, clock::instant());
        let mut reading = Reading { tail, problems, log, follow, ends, heard, done: false };
        while !reading.is_late() {
            if let Some(Item::Gone { low, end, .. }) = reading.tail.next(WAIT) {
                reading.ends = Ends { low: low.0, end: end.0 };
                return Ok(reading);
            }
        }
        Err(reading.late())
    }

    pub fn begin(&mut self, at: u64) {
        self.heard = clock::instant();
        self.done = at >= self.ends.end && !self.follow;
        self.tail.go_on(self.log, Some(Position(at)));
    }

    /// The next entry; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Came>, Failure> {
        while !self.done {
            match self.tail.next(WAIT) {
                Some(Item::Record { position, broker, bytes, .. }) => {
                    self.heard = clock::instant();
                    self.done = position.0 + 1 >= self.ends.end && !self.follow;
                    return Ok(Some(Came { position, at: broker, bytes }));
                }
                Some(Item::End { .. }) => self.done = !self.follow,
                Some(Item::Gone { wanted, .. }) => {
                    return Err(Failure::Run(format!(
                        "The log of {} was trimmed at {} or made anew while it was read: ask again.",
                        self.log.name(),
                        wanted.0
                    )));
                }
                None if !self.follow && self.is_late() => return Err(self.late()),
                None => {}
            }
        }
        Ok(None)
    }

    fn is_late(&self) -> bool {
        clock::instant().duration_since(self.heard) >= PATIENCE
    }

    fn late(&self) -> Failure {
        let open: Vec<String> = self.problems.open().into_iter().map(|problem| problem.text).collect();
        match open.is_empty() {
            true => Failure::Run(format!("Nothing comes of the log of {}: ask again.", self.log.name())),
            false => Failure::Run(open.join("\n")),
        }
    }
}

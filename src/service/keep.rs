//! What was decided outlives the process: cases, silences, and the notices on their way are kept in Kafka, and taken up at the
//! next start before anything is decided.
//!
//! A thread of its own reads and writes, so that a broker that does not answer holds nothing up. Of states that wait to be
//! written the newest is written. What a crash catches between two of them is decided again, and may be told again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::clock;
use crate::config::Kafka;
use crate::http::Trail;
use crate::kafka::snapshots::{Found, Snapshots};
use crate::kafka::{KafkaFailure, Kind, Problems};
use crate::notify::Notifier;
use crate::pipeline::Evaluator;

/// The name under which it is kept.
const NAME: &str = "decided";

/// Between two tries to read it.
const READ_AGAIN: Duration = Duration::from_secs(2);

pub struct Keeper {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<Waiting>,
    changed: Condvar,
    /// What was kept has been taken up: from now on it may be overwritten.
    taken_up: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    /// What was kept, until it is asked for.
    found: Option<Option<Vec<u8>>>,
    newest: Option<Vec<u8>>,
    writing: bool,
    stopping: bool,
}

impl Keeper {
    /// Begins to look for what was kept. Returns at once.
    pub fn start(kafka: &Kafka, problems: Problems) -> Result<Keeper, KafkaFailure> {
        let snapshots = Snapshots::open(kafka)?;
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        std::thread::Builder::new()
            .name("keeper".into())
            .spawn(move || theirs.run(snapshots, &problems))
            .map_err(|error| KafkaFailure::Client(format!("A thread could not be started: {error}.")))?;
        Ok(Keeper { shared })
    }

    /// What was kept, once it is known: `Some(None)` where there is nothing. Given out once.
    pub fn found(&self) -> Option<Option<Vec<u8>>> {
        let found = self.shared.lock().found.take()?;
        self.shared.taken_up.store(true, Ordering::Release);
        Some(found)
    }

    /// Whether [`Keeper::found`] has been given out: what was kept before may be overwritten.
    pub fn may_keep(&self) -> bool {
        self.shared.taken_up.load(Ordering::Acquire)
    }

    /// Keeps what is decided by now in the place of what was kept last; how many bytes that is. Returns at once.
    pub fn keep(&self, evaluator: &Mutex<Evaluator>, notifier: &Notifier, trail: &Trail) -> usize {
        let (pending, trail) = (notifier.pending(), trail.text());
        let state = evaluator.lock().unwrap_or_else(PoisonError::into_inner).put_down(&pending, &trail);
        let bytes = state.len();
        self.shared.lock().newest = Some(state);
        self.shared.changed.notify_all();
        bytes
    }

    /// Waits until all that was to be kept is, for at most `within`. Whether it is.
    pub fn settle(&self, within: Duration) -> bool {
        let waiting = self.shared.lock();
        let busy = |waiting: &mut Waiting| waiting.newest.is_some() || waiting.writing;
        let settled = self.shared.changed.wait_timeout_while(waiting, within, busy);
        !settled.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut snapshots: Snapshots, problems: &Problems) {
        loop {
            let found = match snapshots.read(NAME) {
                Ok(Found::State(bytes)) => Some(bytes),
                Ok(Found::Nothing) => None,
                Ok(Found::Broken(why)) => {
                    tracing::error!(why, "what was decided before cannot be taken up");
                    None
                }
                Err(error) => {
                    problems.raise(Kind::Snapshots, "read", error.to_string());
                    let (waiting, _) = self
                        .changed
                        .wait_timeout_while(self.lock(), READ_AGAIN, |waiting| !waiting.stopping)
                        .unwrap_or_else(PoisonError::into_inner);
                    if waiting.stopping {
                        return;
                    }
                    continue;
                }
            };
            problems.clear(Kind::Snapshots, "read");
            self.lock().found = Some(found);
            break;
        }
        let mut number = 0u64;
        while let Some(state) = self.next() {
            number += 1;
            // No two processes draw the same: each has its own beginning.
            let id = xxhash_rust::xxh3::xxh3_64(format!("{} {} {number}", clock::now(), std::process::id()).as_bytes());
            match snapshots.write(NAME, id, &state) {
                Ok(()) => problems.clear(Kind::Snapshots, "write"),
                Err(error) => problems.raise(Kind::Snapshots, "write", error.to_string()),
            }
            self.lock().writing = false;
            self.changed.notify_all();
        }
    }

    /// The next state to write; `None` once there is nobody to give one.
    fn next(&self) -> Option<Vec<u8>> {
        let idle = |waiting: &mut Waiting| waiting.newest.is_none() && !waiting.stopping;
        let mut waiting = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        let state = waiting.newest.take()?;
        waiting.writing = true;
        Some(state)
    }
}

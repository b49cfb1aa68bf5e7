//! What outlives the process besides the logs, in a compacted topic: what was decided, what the deltas log came to, and floors.
//!
//! A thread of its own reads and writes, so that a broker that does not answer holds nothing up. Of states of one name that
//! wait to be written the newest is written.
//! How they are named is in [`super::names`].

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::logs::{Heard, Tell};
use super::names::{self, DECIDED, EPOCH, Epoch, Whose};
use crate::clock;
use crate::config::Kafka;
use crate::domain::Millis;
use crate::journal::SourcePartition;
use crate::kafka::snapshots::{Found, Snapshots};
use crate::kafka::{KafkaFailure, Kind, Problems};

/// What a generation has left is given up once it has kept nothing for so long: while one runs, each of its floors is kept every six
/// hours at least. Until then a group may go back to settings that it had.
const ABANDONED_AFTER: Millis = Millis(7 * 24 * 3_600_000);

/// Between two tries to read.
const READ_AGAIN: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    /// Of the topics of the sources.
    topics: Vec<String>,
    kafka: Kafka,
    group: u64,
    settings: u64,
    /// Known once the epoch has been read.
    generation: OnceLock<(u64, Epoch)>,
    tell: Tell,
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// What was kept when the process began, until it is asked for; `None` until it has been read.
    found: Option<BTreeMap<String, Vec<u8>>>,
    /// By name the newest, and whose snapshot it is, to be told when it is kept.
    newest: BTreeMap<String, (u64, Vec<u8>, Option<SourcePartition>)>,
    loads: BTreeMap<SourcePartition, u64>,
    writing: bool,
    stopping: bool,
}

/// Whoever holds it lets the thread live.
pub struct Running(Store);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.lock().stopping = true;
        self.0.0.changed.notify_all();
    }
}

impl Store {
    /// Begins to look for what was kept. Returns at once.
    pub fn start(
        kafka: &Kafka,
        topics: Vec<String>,
        settings: u64,
        tell: Tell,
        problems: Problems,
    ) -> Result<(Store, Running), KafkaFailure> {
        let snapshots = Snapshots::open(kafka)?;
        let (generation, state, changed) = Default::default();
        let group = names::group(kafka);
        let kafka = kafka.clone();
        let store = Store(Arc::new(Shared { topics, kafka, group, settings, generation, tell, state, changed }));
        let theirs = store.clone();
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || theirs.run(snapshots, &problems))
            .map_err(|error| KafkaFailure::Client(format!("A thread could not be started: {error}.")))?;
        Ok((store.clone(), Running(store)))
    }

    /// Whose entries are ours. The generation is known once anything is found.
    pub fn whose(&self) -> Whose {
        Whose { group: self.0.group, generation: self.generation() }
    }

    fn generation(&self) -> u64 {
        self.0.generation.get().map_or(0, |(generation, _)| *generation)
    }

    /// The name of the consumer group that reads for this generation, once it is known.
    pub fn reads_as(&self) -> Option<String> {
        let (generation, epoch) = self.0.generation.get()?;
        Some(names::reads_as(&self.0.kafka, *generation, *epoch))
    }

    /// From the next start on another generation begins, from the sources alone.
    pub fn begin_anew(&self) {
        let number = self.0.generation.get().map_or(0, |(_, epoch)| epoch.number) + 1;
        let first = names::generation(self.0.group, self.0.settings, number);
        self.keep(EPOCH, Epoch { number, first }.to_bytes());
    }

    pub fn replica(&self) -> String {
        names::replica(self.generation())
    }

    fn floor(&self, place: SourcePartition, snapshot: u64) -> String {
        let topic = self.0.topics.get(place.source).map_or("", String::as_str);
        names::floor(self.generation(), topic, place.partition, snapshot)
    }

    /// What was kept under a name when the process began, once it is known: `Some(None)` where there is nothing. Given out once.
    pub fn found(&self, name: &str) -> Option<Option<Vec<u8>>> {
        self.lock().found.as_mut().map(|found| found.remove(name))
    }

    /// Keeps a state in the place of what was kept last under its name. Returns at once.
    pub fn keep(&self, name: &str, bytes: Vec<u8>) {
        // No two draw the same.
        let id = super::read::draw();
        self.lock().newest.insert(name.to_owned(), (id, bytes, None));
        self.0.changed.notify_all();
    }

    pub fn keep_floor(&self, place: SourcePartition, snapshot: u64, bytes: Vec<u8>) {
        let name = self.floor(place, snapshot);
        self.lock().newest.insert(name, (snapshot, bytes, Some(place)));
        self.0.changed.notify_all();
    }

    pub fn load_floor(&self, place: SourcePartition, snapshot: u64) {
        self.lock().loads.insert(place, snapshot);
        self.0.changed.notify_all();
    }

    /// Waits until all that was to be kept is, for at most `within`. Whether it is.
    pub fn settle(&self, within: Duration) -> bool {
        let busy = |waiting: &mut Waiting| !waiting.newest.is_empty() || waiting.writing;
        let settled = self.0.changed.wait_timeout_while(self.lock(), within, busy);
        !settled.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut snapshots: Snapshots, problems: &Problems) {
        let Some(mut found) = self.read(&mut snapshots, &[DECIDED, EPOCH], problems) else { return };
        let kept = found.remove(EPOCH);
        let epoch = Epoch::of(kept.as_ref().map(|(_, bytes)| bytes.as_slice()), self.0.group, self.0.settings);
        let generation = names::generation(self.0.group, self.0.settings, epoch.number);
        let _ = self.0.generation.set((generation, epoch));
        if kept.is_none() {
            self.keep(EPOCH, epoch.to_bytes());
        }
        let Some(replica) = self.read(&mut snapshots, &[&self.replica()], problems) else { return };
        found.extend(replica);
        self.lock().found = Some(found.into_iter().map(|(name, (_, bytes))| (name, bytes)).collect());
        let abandoned = |name: &str| names::of_another(name, generation);
        if snapshots.names().any(|name| abandoned(name).is_some()) {
            match snapshots.give_up(clock::now() - ABANDONED_AFTER, &abandoned) {
                Ok(0) => {}
                Ok(keys) => tracing::info!(keys, "what generations of other settings had kept is given up"),
                // The next start tries again.
                Err(error) => tracing::debug!(%error, "what other generations had kept stays"),
            }
        }
        loop {
            let idle =
                |waiting: &mut Waiting| waiting.newest.is_empty() && waiting.loads.is_empty() && !waiting.stopping;
            let mut waiting = self.0.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
            let loads = std::mem::take(&mut waiting.loads);
            let next = waiting.newest.pop_first();
            waiting.writing = next.is_some();
            drop(waiting);
            if !loads.is_empty() {
                self.load(loads, &mut snapshots, problems);
            }
            let Some((name, (id, bytes, place))) = next else {
                if self.lock().stopping {
                    return;
                }
                continue;
            };
            match snapshots.write(&name, id, &bytes) {
                Ok(()) => {
                    problems.clear(Kind::Snapshots, "write");
                    if let Some(place) = place {
                        self.0.tell.tell(Heard::Stored { place, snapshot: id });
                    }
                }
                Err(error) => problems.raise(Kind::Snapshots, "write", error.to_string()),
            }
            self.lock().writing = false;
            self.0.changed.notify_all();
        }
    }

    fn load(&self, loads: BTreeMap<SourcePartition, u64>, snapshots: &mut Snapshots, problems: &Problems) {
        let names: Vec<String> = loads.iter().map(|(place, snapshot)| self.floor(*place, *snapshot)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let Some(mut found) = self.read(snapshots, &names, problems) else { return };
        for ((place, snapshot), name) in loads.into_iter().zip(names) {
            let kept = found.remove(name).filter(|(id, _)| *id == format!("{snapshot:016x}"));
            self.0.tell.tell(Heard::Loaded { place, snapshot, bytes: kept.map(|(_, bytes)| bytes) });
        }
    }

    /// What is kept under these names, however long it takes to read; `None` while the process stops.
    fn read(
        &self,
        snapshots: &mut Snapshots,
        names: &[&str],
        problems: &Problems,
    ) -> Option<BTreeMap<String, (String, Vec<u8>)>> {
        loop {
            match snapshots.read(names) {
                Ok(found) => {
                    problems.clear(Kind::Snapshots, "read");
                    let whole = found.into_iter().filter_map(|(name, found)| match found {
                        Found::State { id, bytes } => Some((name, (id, bytes))),
                        Found::Nothing => None,
                        Found::Broken(why) => {
                            tracing::error!(name, why, "what was kept cannot be taken up");
                            None
                        }
                    });
                    return Some(whole.collect());
                }
                Err(error) => problems.raise(Kind::Snapshots, "read", error.to_string()),
            }
            let going = |waiting: &mut Waiting| !waiting.stopping;
            let waited = self.0.changed.wait_timeout_while(self.lock(), READ_AGAIN, going);
            if waited.unwrap_or_else(PoisonError::into_inner).0.stopping {
                return None;
            }
        }
    }
}

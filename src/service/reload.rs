//! Matrices that change while the service runs: looked at on SIGHUP, when the API asks, and every few seconds; put in force
//! whole or refused whole.
//!
//! Files are read and compared by their texts, so that it does not matter how they are replaced (an editor, a link of a
//! ConfigMap). What is refused leaves the old set in force, and is told once for each state of the files: by log, metric,
//! `/readyz` and a notice to the owner. The configuration itself is read at the start only.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Speech;
use crate::clock;
use crate::commands::files::{load_files, paragraphs};
use crate::config::{self, Config, MatrixSet, Severity};
use crate::http::SharedReadiness;
use crate::matrix::Matrix;
use crate::notice::{Refused, render_refused};
use crate::notify::Notifier;
use crate::pipeline::Evaluator;
use crate::telemetry::Telemetry;
use crate::telemetry::events::Reloaded;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3);

pub struct Reloader {
    pub paths: Vec<PathBuf>,
    pub config: Config,
    pub evaluator: Arc<Mutex<Evaluator>>,
    pub telemetry: Arc<Telemetry>,
    pub readiness: SharedReadiness,
    pub notifier: Notifier,
    pub speech: Arc<Speech>,
    /// What is in force, and the state of the files that was judged last, with what came of it.
    pub set: MatrixSet,
    pub judged: String,
    pub outcome: Result<String, String>,
}

/// Somebody who waits for what comes of another look: the hash of what is in force, or why it was refused.
type Ask = std::sync::mpsc::SyncSender<Result<String, String>>;

/// How long somebody waits.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How to ask for another look, and where [`follow`] hears of it.
pub fn asking() -> (crate::http::Reload, tokio::sync::mpsc::Receiver<Ask>) {
    let (asks, asked) = tokio::sync::mpsc::channel(8);
    let ask = move || {
        let (answer, answers) = std::sync::mpsc::sync_channel(1);
        let busy = || "the matrices are being read already, or the service is stopping: ask again".to_owned();
        asks.try_send(answer).map_err(|_| busy())?;
        answers.recv_timeout(ANSWER_WITHIN).map_err(|_| busy())?
    };
    (Arc::new(ask), asked)
}

/// Why a state of the files was not taken.
struct Refusal {
    why: String,
    /// How many defects each file has.
    defects: BTreeMap<String, usize>,
}

impl Refusal {
    fn of_all(why: String) -> Refusal {
        Refusal { why, defects: BTreeMap::new() }
    }
}

/// Looks at the files until it is dropped.
pub async fn follow(mut reloader: Reloader, mut asks: tokio::sync::mpsc::Receiver<Ask>) {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => return tracing::error!(%error, "SIGHUP cannot be listened to: matrices are not looked at again"),
    };
    loop {
        let (asked, ask) = tokio::select! {
            asked = hangup.recv() => (asked.is_some(), None),
            ask = asks.recv() => (true, ask),
            () = tokio::time::sleep(LOOK_EVERY) => (false, None),
        };
        // Files are read and a thousand rows compiled: not on a thread that others wait for.
        let looked = tokio::task::spawn_blocking(move || {
            reloader.look(asked);
            if let Some(ask) = ask {
                // Who asked may have stopped waiting.
                let _ = ask.send(reloader.outcome.clone());
            }
            reloader
        });
        match looked.await {
            Ok(again) => reloader = again,
            Err(error) => return tracing::error!(%error, "matrices are not looked at again"),
        }
    }
}

impl Reloader {
    /// Reads the files. Judges them where they changed, or somebody asked.
    fn look(&mut self, asked: bool) {
        let files = load_files(&self.paths);
        let state = match &files {
            Ok(files) => config::hash(files),
            Err(failure) => failure.to_string(),
        };
        if state == self.judged && !asked {
            return;
        }
        let new = state != self.judged;
        self.judged.clone_from(&state);
        match files.map_err(|failure| Refusal::of_all(failure.to_string())).and_then(|files| self.read(&files)) {
            Ok(set) => {
                self.outcome = Ok(set.hash.clone());
                self.take(set);
            }
            Err(refusal) => {
                self.refuse(&refusal, &state, new);
                self.outcome = Err(refusal.why);
            }
        }
    }

    fn read(&self, files: &[(String, String)]) -> Result<MatrixSet, Refusal> {
        let set = config::matrices(files, Some(&self.config)).map_err(|said| {
            let mut defects: BTreeMap<String, usize> = BTreeMap::new();
            for error in said.iter().filter(|said| said.severity == Severity::Error) {
                *defects.entry(error.file.to_string()).or_default() += 1;
            }
            Refusal { why: paragraphs(&said), defects }
        })?;
        if set.plan.figures_fingerprint() != self.set.plan.figures_fingerprint() {
            return Err(Refusal::of_all(
                "the matrices name a window, a threshold or a clock that the running numbers do not have: restart Atalaya to \
                 count by it, or list it under `windows` or `channels` in the configuration before"
                    .to_owned(),
            ));
        }
        Ok(set)
    }

    fn take(&mut self, set: MatrixSet) {
        for warning in &set.warnings {
            tracing::warn!(%warning, "matrices");
        }
        self.evaluator.lock().unwrap_or_else(PoisonError::into_inner).reload(set.matrices.clone());
        self.telemetry.emit(Reloaded { wall: clock::now(), outcome: Ok(&set.hash) });
        self.readiness.set_degraded("matrices", None);
        self.set = set;
    }

    fn refuse(&self, refusal: &Refusal, state: &str, new: bool) {
        self.telemetry.emit(Reloaded { wall: clock::now(), outcome: Err(&refusal.why) });
        let text = format!("changed matrices were refused, the old ones stay in force: {}", refusal.why);
        self.readiness.set_degraded("matrices", Some(&text));
        if !new {
            return;
        }
        let broken: Vec<&Arc<Matrix>> =
            self.set.matrices.iter().filter(|matrix| refusal.defects.contains_key(&*matrix.file)).collect();
        // A defect of a new file, or of none: whoever owns the first.
        let told = if broken.is_empty() { self.set.matrices.first().into_iter().collect() } else { broken };
        for matrix in told {
            let defects = refusal.defects.get(&*matrix.file).copied().unwrap_or(1);
            let hash = &format!("{:016x}", xxhash_rust::xxh3::xxh3_64(state.as_bytes()));
            let refused = Refused { now: clock::now(), matrix, hash, defects, why: &refusal.why };
            for message in render_refused(&refused, self.config.owner.as_ref(), &self.speech.words()) {
                self.notifier.enqueue(message);
            }
        }
    }
}

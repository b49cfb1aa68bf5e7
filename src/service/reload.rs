//! Matrices, and calendars of holidays, that change while the service runs: looked at on SIGHUP, when the API asks, and every few seconds; put in force
//! whole or refused whole.
//!
//! Files are read and compared by their texts, so that it does not matter how they are replaced (an editor, a link of a
//! ConfigMap). What is refused leaves the old set in force, and is told once for each state of the files: by log, metric,
//! `/readyz` and a notice to the owner. The configuration itself is read at the start only; of what is compiled of it again
//! with other calendars, the holidays are taken. Where the running numbers count by them they are not, and that is said by
//! itself, so that it holds up no matrix.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Speech;
use crate::clock;
use crate::commands::files::{ConfigFailure, Origin, Secrets, load_files, paragraphs, read};
use crate::config::{self, Config, Diagnostic, MatrixSet, Severity};
use crate::http::{SharedReadiness, Trail};
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
    pub origin: Option<Origin>,
    pub config: Config,
    pub evaluator: Arc<Mutex<Evaluator>>,
    pub telemetry: Arc<Telemetry>,
    pub readiness: SharedReadiness,
    pub notifier: Notifier,
    pub speech: Arc<Speech>,
    pub trail: Arc<Trail>,
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

/// Names and texts.
type Files = Vec<(String, String)>;

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

    fn of_defects(said: &[Diagnostic]) -> Refusal {
        let mut defects: BTreeMap<String, usize> = BTreeMap::new();
        for error in said.iter().filter(|said| said.severity == Severity::Error) {
            *defects.entry(error.file.to_string()).or_default() += 1;
        }
        Refusal { why: paragraphs(said), defects }
    }
}

/// A state of the files that can be taken.
struct Judged {
    set: MatrixSet,
    config: Config,
    /// The calendars are the old ones: the new ones wait for a restart.
    stale: bool,
}

const STALE: &str = "changed holidays were not taken, the old ones stay in force: by them runs the desk's clock of the running \
                     numbers (`clock: open`, `channels.X.clocks`). Restart Atalaya to count by the new ones";

/// Why the files are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It is time to; they are judged if one has changed.
    File,
    Signal,
    Api,
}

impl Why {
    /// As the trail says who it was.
    fn name(self) -> &'static str {
        match self {
            Why::File => "file",
            Why::Signal => "signal",
            Why::Api => "api",
        }
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
        let (why, ask) = tokio::select! {
            Some(()) = hangup.recv() => (Why::Signal, None),
            Some(ask) = asks.recv() => (Why::Api, Some(ask)),
            () = tokio::time::sleep(LOOK_EVERY) => (Why::File, None),
        };
        // Files are read and a thousand rows compiled: not on a thread that others wait for.
        let looked = tokio::task::spawn_blocking(move || {
            reloader.look(why);
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
    fn look(&mut self, why: Why) {
        let files = self.files();
        let state = match &files {
            Ok((files, calendars)) => config::hash(files.iter().chain(calendars)),
            Err(why) => why.clone(),
        };
        if state == self.judged && why == Why::File {
            return;
        }
        let new = state != self.judged;
        self.judged.clone_from(&state);
        match files.map_err(Refusal::of_all).and_then(|(files, calendars)| self.read(&files, &calendars)) {
            Ok(Judged { set, config, stale }) => {
                self.outcome = Ok(set.hash.clone());
                self.config = config;
                self.take(set);
                if stale {
                    tracing::error!("{STALE}");
                }
                self.readiness.set_degraded("holidays", stale.then_some(STALE));
            }
            Err(refusal) => {
                self.refuse(&refusal, &state, new);
                self.outcome = Err(refusal.why);
            }
        }
        let outcome = self.outcome.as_ref().map(String::as_str).map_err(String::as_str);
        self.trail.reloaded(clock::now(), why.name(), outcome);
    }

    /// The matrices, and the calendars with the hash of their texts.
    fn files(&self) -> Result<(Files, Files), String> {
        let matrices = load_files(&self.paths).map_err(|failure| failure.to_string())?;
        let calendar = |(path, _): &(String, String)| Ok((path.clone(), config::text_hash(&read(Path::new(path))?)));
        let calendars = self.config.calendars.iter().map(calendar).collect::<Result<_, String>>()?;
        Ok((matrices, calendars))
    }

    fn read(&self, files: &Files, calendars: &Files) -> Result<Judged, Refusal> {
        let mut config = self.config.clone();
        let mut desk_differs = false;
        if let Some(origin) = self.origin.as_ref().filter(|_| *calendars != config.calendars) {
            let new = origin.compile(Secrets::LeaveOut).map_err(|failure| match failure {
                ConfigFailure::Unreadable(why) => Refusal::of_all(why),
                ConfigFailure::Defects(said) => Refusal::of_all(paragraphs(&said)),
            })?;
            let is_calendar = |warning: &&Diagnostic| calendars.iter().any(|(path, _)| **path == *warning.file);
            new.warnings.iter().filter(is_calendar).for_each(|warning| tracing::warn!(%warning, "holidays"));
            desk_differs = new.plan.figures_fingerprint() != config.plan.figures_fingerprint();
            (config.holidays, config.calendars) = (new.holidays, new.calendars);
        }
        let mut set = config::matrices(files, Some(&config)).map_err(|said| Refusal::of_defects(&said))?;
        // Which matrices there are says whether that clock is kept at all.
        let stale = desk_differs && set.plan.keeps_open_clock();
        if stale {
            config = self.config.clone();
            set = config::matrices(files, Some(&config)).map_err(|said| Refusal::of_defects(&said))?;
        }
        if set.plan.figures_fingerprint() != self.set.plan.figures_fingerprint() {
            return Err(Refusal::of_all(
                "the matrices name a window, a threshold or a clock that the running numbers do not have: restart Atalaya to \
                 count by it, or list it under `windows` or `channels` in the configuration before"
                    .to_owned(),
            ));
        }
        Ok(Judged { set, config, stale })
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
        // All instances read the same files: one tells of it.
        if !new || !self.speech.decides.load(Ordering::Relaxed) {
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

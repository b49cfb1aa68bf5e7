//! The trail of what was asked of the running service: who, when, for what, and what came of it.
//!
//! It outlives the process with what was decided (`service::turn`); the log has it too.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::domain::Timestamp;
use crate::matrix::engine::{Operated, Operation};
use crate::notice::clean;

/// How many lines the trail holds; the oldest goes first.
const TRAIL_MAX: usize = 1_000;

/// Longest reason of a refusal, in bytes: files may have any number of defects.
const REFUSED_MAX: usize = 2_000;

/// What came of an operation, in a word.
pub fn name(operated: &Operated) -> &'static str {
    match operated {
        Operated::Acknowledged { .. } => "acknowledged",
        Operated::NotOpen => "not_open",
        Operated::Silenced => "silenced",
        Operated::SilenceEnded => "silence_ended",
        Operated::NoSilence => "no_silence",
        Operated::Refused(_) => "refused",
    }
}

/// One line of the trail.
#[derive(Clone, Serialize)]
struct Done {
    pub time: Timestamp,
    pub outcome: &'static str,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// The contact to whom the link was mailed that was followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_of: Option<Arc<str>>,
    #[serde(flatten)]
    pub asked: Asked,
}

#[derive(Clone, Serialize)]
#[serde(untagged)]
enum Asked {
    Operation(Operation),
    Reload {
        operation: &'static str,
        who: &'static str,
        why: &'static str,
        /// Of what is in force since.
        #[serde(skip_serializing_if = "Option::is_none")]
        hash: Option<String>,
    },
}

/// What has been asked for, the newest first; each line as JSON.
#[derive(Default)]
pub struct Trail(Mutex<VecDeque<Box<RawValue>>>, OnceLock<Log>);

/// Where lines go that are not of operations; they come back by [`Trail::line`].
pub type Log = Box<dyn Fn(String) + Send + Sync>;

impl Trail {
    fn lines(&self) -> MutexGuard<'_, VecDeque<Box<RawValue>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, done: &Done) {
        // Texts and numbers: there is nothing in a line that is no JSON.
        if let Ok(line) = serde_json::to_string(done) {
            self.line(line);
        }
    }

    /// A line as it was given to the log; what is no JSON is none.
    pub fn line(&self, line: String) {
        let Ok(line) = RawValue::from_string(line) else { return };
        let mut lines = self.lines();
        lines.push_front(line);
        lines.truncate(TRAIL_MAX);
    }

    /// What is not an operation goes to this log first.
    pub fn write_to(&self, log: Log) {
        // There is but one.
        let _ = self.1.set(log);
    }

    /// Somebody asked for something, and that came of it; `None`: nobody here has seen what.
    pub fn operated(
        &self,
        time: Timestamp,
        operation: &Operation,
        operated: Option<&Operated>,
        link_of: Option<Arc<str>>,
    ) {
        let refused = match operated {
            Some(Operated::Refused(refusal)) => Some(refusal.to_string()),
            _ => None,
        };
        let asked = Asked::Operation(operation.clone());
        self.add(&Done { time, outcome: operated.map_or("recorded", name), refused, link_of, asked });
    }

    /// All of it, as a JSON array.
    pub fn text(&self) -> String {
        serde_json::to_string(&*self.lines()).unwrap_or_else(|_| "[]".to_owned())
    }

    /// Puts behind it what an earlier process gave as [`Trail::text`].
    pub fn take_up(&self, text: &str) -> Result<(), serde_json::Error> {
        let earlier: Vec<Box<RawValue>> = serde_json::from_str(text)?;
        let mut lines = self.lines();
        lines.extend(earlier);
        lines.truncate(TRAIL_MAX);
        Ok(())
    }

    /// The matrices were read again, because of `who`: the hash of what is in force since, or why the files were refused.
    pub fn reloaded(&self, time: Timestamp, who: &'static str, outcome: Result<&str, &str>) {
        let hash = outcome.ok().map(str::to_owned);
        let refused = outcome.err().map(|why| clean(why, REFUSED_MAX, true));
        let outcome = if refused.is_some() { "refused" } else { "reloaded" };
        let asked = Asked::Reload { operation: "reload", who, why: "", hash };
        let done = Done { time, outcome, refused, link_of: None, asked };
        match (self.1.get(), serde_json::to_string(&done)) {
            (Some(log), Ok(line)) => log(line),
            _ => self.add(&done),
        }
    }
}

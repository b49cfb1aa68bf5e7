//! The trail of what was asked of the running service: who, when, for what, and what came of it.
//!
//! It outlives the process with what was decided (`service::keep`); the log has it too.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::domain::Timestamp;
use crate::matrix::engine::Operation;
use crate::notice::clean;

/// How many lines the trail holds; the oldest goes first.
const TRAIL_MAX: usize = 1_000;

/// Longest reason of a refusal, in bytes: files may have any number of defects.
const REFUSED_MAX: usize = 2_000;

/// One line of the trail.
#[derive(Clone, Serialize)]
pub(super) struct Done {
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
pub(super) enum Asked {
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
pub struct Trail(Mutex<VecDeque<Box<RawValue>>>);

impl Trail {
    fn lines(&self) -> MutexGuard<'_, VecDeque<Box<RawValue>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, done: &Done) {
        // Texts and numbers: there is nothing in a line that is no JSON.
        let Ok(line) = serde_json::value::to_raw_value(done) else { return };
        let mut lines = self.lines();
        lines.push_front(line);
        lines.truncate(TRAIL_MAX);
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
        self.add(&Done { time, outcome, refused, link_of: None, asked });
    }
}

//! The trail of what was asked of the running service: who, when, for what, and what came of it.
//!
//! It is kept in memory, so that a restart forgets it; the log has it too.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

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

/// What has been asked for since the start, the newest first.
#[derive(Default)]
pub struct Trail(Mutex<VecDeque<Done>>);

impl Trail {
    pub(super) fn add(&self, done: Done) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_front(done);
        all.truncate(TRAIL_MAX);
    }

    pub(super) fn all(&self) -> VecDeque<Done> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The matrices were read again, because of `who`: the hash of what is in force since, or why the files were refused.
    pub fn reloaded(&self, time: Timestamp, who: &'static str, outcome: Result<&str, &str>) {
        let hash = outcome.ok().map(str::to_owned);
        let refused = outcome.err().map(|why| clean(why, REFUSED_MAX, true));
        let outcome = if refused.is_some() { "refused" } else { "reloaded" };
        let asked = Asked::Reload { operation: "reload", who, why: "", hash };
        self.add(Done { time, outcome, refused, link_of: None, asked });
    }
}

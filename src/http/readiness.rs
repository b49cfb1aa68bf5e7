//! What `/readyz` answers: why the service is not ready, and what is broken while it works on.
//!
//! Each part of the service keeps its own entry under its own name, so that it can take it back without knowing the
//! others. Nothing here decides what is a reason and what only degrades: a mail server, webhook or matrix that fails
//! degrades; sources that are not yet read keep it from being ready.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;

use crate::telemetry::Telemetry;
use crate::telemetry::events::ReadinessChanged;

/// The state of the service; ready if there is no reason against it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    reasons: BTreeMap<String, String>,
    degraded: BTreeMap<String, String>,
}

/// The JSON of `/readyz`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReadinessReport {
    pub ready: bool,
    pub reasons: Vec<String>,
    pub degraded: Vec<String>,
}

/// A handle that every part of the service holds.
#[derive(Clone)]
pub struct SharedReadiness {
    state: Arc<RwLock<Readiness>>,
    telemetry: Arc<Telemetry>,
}

impl SharedReadiness {
    /// Not ready: until the first reason is taken back, the service has read nothing.
    pub fn starting(telemetry: Arc<Telemetry>) -> Self {
        let shared = SharedReadiness { state: Arc::default(), telemetry };
        shared.set_reason("start", Some("the sources have not been read yet"));
        shared
    }

    /// Sets why `part` keeps the service from being ready, or takes it back with `None`.
    pub fn set_reason(&self, part: &str, text: Option<&str>) {
        self.change(|state| &mut state.reasons, part, text);
    }

    /// Sets what does not work in `part` while the rest goes on, or takes it back with `None`.
    pub fn set_degraded(&self, part: &str, text: Option<&str>) {
        self.change(|state| &mut state.degraded, part, text);
    }

    pub fn report(&self) -> ReadinessReport {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        ReadinessReport {
            ready: state.reasons.is_empty(),
            reasons: state.reasons.values().cloned().collect(),
            degraded: state.degraded.values().cloned().collect(),
        }
    }

    fn change(&self, list: fn(&mut Readiness) -> &mut BTreeMap<String, String>, part: &str, text: Option<&str>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let entries = list(&mut state);
        let changed = match text {
            Some(text) => entries.insert(part.to_owned(), text.to_owned()).as_deref() != Some(text),
            None => entries.remove(part).is_some(),
        };
        if changed {
            let reasons: Vec<&str> = state.reasons.values().map(String::as_str).collect();
            let degraded: Vec<&str> = state.degraded.values().map(String::as_str).collect();
            self.telemetry.emit(ReadinessChanged { reasons: &reasons, degraded: &degraded });
        }
    }
}

//! Other versions of the matrices under cases that are open.
//!
//! | the row | its cases |
//! |---|---|
//! | the same matrix name, indicator, window, labels and `per`, in whatever place or file, with the key in its scope | go on: level, incident, timers, acknowledgement |
//! | other texts, `tell`, `for`, `repeat`, `settle`, `min_samples` | go on; what is looked up later is the new row's |
//! | other steps of escalation | those whose `after` has passed before are not told again |
//! | other ranges or margin | go on if some range has the level; what was counted of values that the row still tells apart counts on, the rest begins at zero |
//! | no range of the level | the incident ends with reason `removed`; the value is judged anew |
//! | other hours | go on; an opening is only where it was closed before |
//! | gone, or the key no longer in its scope | the incident ends with reason `removed` |
//!
//! An incident that ends so is told, at the next tick, to everyone told in it, open hours or not: nobody is to wait for
//! word of what no rule watches.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::case::Case;
use super::feeds::FeedCase;
use super::operations::Silences;
use super::shape::Shape;
use super::track::Track;
use super::{Engine, Tick};
use crate::domain::{Key, Timestamp};
use crate::indicators::{self, Clock, Labels, Selector, Stage, State as AgentState, Treatment};
use crate::matrix::Matrix;
use crate::plan::Plan;

impl Engine {
    /// Puts other matrices in force. What ends by it, the next tick tells.
    pub fn reload(&mut self, matrices: Vec<Arc<Matrix>>, plan: Arc<Plan>) {
        let fresh = Engine::new(matrices, plan);
        let old = std::mem::replace(self, fresh);
        let state = old.state;
        let mut left: Vec<Left> = Vec::new();
        for (track, cases) in old.tracks.into_iter().zip(state.cases) {
            left.push(Left { matrix: track.matrix, shape: track.shape, cases });
        }
        for gone in state.gone {
            left.push(Left { matrix: gone.matrix, shape: gone.shape, cases: gone.cases });
        }
        for case in left.iter_mut().flat_map(|left| &mut left.cases) {
            // What is gone is shown by the new plan too.
            if let Some(selector) = Named::new(&case.selector, &old.plan).selector(&self.plan) {
                case.selector = selector;
            }
        }
        self.state.known = state.known;
        self.state.ticked = state.ticked;
        self.state.silences = state.silences;
        self.state.hold = state.hold;
        self.adopt(left, state.feeds);
    }

    /// Goes on with what an engine of other rows has left.
    pub(super) fn adopt(&mut self, mut left: Vec<Left>, feeds: Vec<FeedCase>) {
        let mut taken: Vec<BTreeMap<Key, Case>> = self.tracks.iter().map(|_| BTreeMap::new()).collect();
        // First every row to itself, then what is left to whoever can follow it, open cases before the others.
        for (exact, open) in [(true, false), (false, true), (false, false)] {
            for Left { shape, cases, .. } in &mut left {
                let fits = |track: &Track| {
                    track.shape.kind == shape.kind && (!exact || track.shape.identity() == shape.identity())
                };
                let mut rows: Vec<_> = self.tracks.iter().zip(&mut taken).filter(|(track, _)| fits(track)).collect();
                cases.retain_mut(|case| {
                    if open && !case.is_open() {
                        return true;
                    }
                    for (track, taken) in &mut rows {
                        if track.is_about(&case.key)
                            && !taken.contains_key(&case.key)
                            && case.fit(track, shape, &self.plan, self.state.ticked)
                        {
                            taken.insert(case.key.clone(), case.clone());
                            return false;
                        }
                    }
                    true
                });
            }
        }
        for ((track, cases), mut taken) in self.tracks.iter().zip(&mut self.state.cases).zip(taken) {
            track.add_cases(cases, &self.state.known, &self.plan);
            for case in cases.drain(..) {
                taken.entry(case.key.clone()).or_insert(case);
            }
            cases.extend(taken.into_values());
        }
        for Left { matrix, shape, mut cases } in left {
            cases.retain(Case::is_open);
            if !cases.is_empty() {
                self.state.gone.push(Gone { matrix, shape, cases });
            }
        }
        self.state.feeds = feeds;
        for feed in &mut self.state.feeds {
            feed.belong_to(&self.tracks);
        }
        self.state.generation = None;
        self.state.written = false;
    }
}

/// The cases of a row, and what their instants are of.
pub(super) struct Left {
    pub matrix: Arc<Matrix>,
    pub shape: Shape,
    pub cases: Vec<Case>,
}

/// Open cases that no row follows any more.
#[derive(Clone, Debug)]
pub(super) struct Gone {
    pub matrix: Arc<Matrix>,
    pub shape: Shape,
    pub cases: Vec<Case>,
}

impl Gone {
    pub fn end(self, silences: &Silences, now: Timestamp, tick: &mut Tick) {
        for case in self.cases {
            case.end(silences, now, tick);
        }
    }
}

/// A selector by its names, which mean the same under every plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Named {
    indicator: String,
    window: Option<String>,
    labels: Vec<(String, String)>,
}

impl Named {
    pub fn new(selector: &Selector, plan: &Plan) -> Named {
        let window = selector.window.and_then(|index| plan.windows.get(index));
        let labels = selector.labels.pairs(plan).into_iter();
        Named {
            indicator: selector.indicator.name.to_owned(),
            window: window.map(|window| window.label.to_string()),
            labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    /// What the plan does not keep is left out; `None` if there is no such indicator.
    pub fn selector(&self, plan: &Plan) -> Option<Selector> {
        let label = |name: &str| self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str());
        let threshold = |text: &str| plan.thresholds.iter().position(|threshold| *threshold.label == *text);
        let window = |text: &String| plan.windows.iter().position(|window| *window.label == **text);
        let labels = Labels {
            threshold: label("threshold").and_then(threshold),
            treatment: label("treatment").and_then(Treatment::parse),
            state: label("state").and_then(|text| AgentState::ALL.iter().copied().find(|state| state.name() == text)),
            own_state: None,
            stage: label("stage").and_then(|text| Stage::ALL.iter().copied().find(|stage| stage.name() == text)),
            clock: label("clock").and_then(Clock::parse).unwrap_or_default(),
        };
        let indicator = indicators::find(&self.indicator)?;
        Some(Selector { indicator, window: self.window.as_ref().and_then(window), labels })
    }
}

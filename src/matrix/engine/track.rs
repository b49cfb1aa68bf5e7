//! A row that is followed: which cases it makes, which number each looks at, and its hours.

use std::sync::Arc;

use super::Case;
use super::operations::Names;
use super::shape::Shape;
use crate::domain::{Key, Rollup, Stretch, Timestamp};
use crate::indicators::{self, Label, Labels, Selector, State, Topics};
use crate::matrix::{Matrix, Per, Row, Sides};
use crate::plan::Plan;

#[derive(Clone, Debug)]
pub(super) struct Track {
    pub matrix: Arc<Matrix>,
    pub index: usize,
    pub sides: Sides,
    /// What the row is, whatever its place in the file.
    pub shape: Shape,
    identity: String,
    /// What its numbers are made of.
    pub topics: Topics,
    /// The window as people wrote it.
    window: Option<Arc<str>>,
    /// What tells that somebody waits for the case's key.
    pub waiting: Option<Selector>,
    /// The stretch last asked of the calendar, and when. Only a memory: the calendar would say the same again.
    hours: Option<(Timestamp, Stretch)>,
}

impl Track {
    /// `None` if there is no such row, or it asks for a window that the plan does not keep: `config` puts every window
    /// of a row into the plan.
    pub fn new(matrix: Arc<Matrix>, index: usize, plan: &Plan) -> Option<Self> {
        let row = matrix.rows.get(index)?;
        let kept = row.window.is_none_or(|kind| plan.window_index(kind).is_some());
        debug_assert!(kept, "the plan keeps the windows of every row");
        let waiting = indicators::find("waiting").map(|indicator| Selector {
            indicator,
            window: None,
            labels: Labels::default(),
        });
        let label = |kind| Some(plan.windows.get(plan.window_index(kind)?)?.label.clone());
        let (window, topics) = (row.window.and_then(label), row.indicator.topics());
        let (sides, shape) = (Sides::new(row), Shape::new(&matrix, row));
        let identity = shape.identity();
        kept.then(|| Track { sides, shape, identity, topics, window, waiting, matrix, index, hours: None })
    }

    pub fn row(&self) -> &Row {
        // `new` has looked, and a matrix never changes.
        &self.matrix.rows[self.index]
    }

    /// What a silence knows the case of `key` by.
    pub fn names<'a>(&'a self, key: &'a Key) -> Names<'a> {
        Names {
            matrix: &self.matrix.name,
            indicator: self.row().indicator.name,
            queue: key.queue.as_deref(),
            channel: key.channel.as_deref(),
            window: self.window.as_deref(),
        }
    }

    /// The stretch of opening hours around `now`, asked of the calendar only where the last answer does not reach.
    pub fn hours(&mut self, now: Timestamp) -> Stretch {
        match self.hours {
            Some((from, stretch)) if (from..stretch.until).contains(&now) => stretch,
            _ => {
                let stretch = self.row().calendar.stretch(now);
                self.hours = Some((now, stretch));
                stretch
            }
        }
    }

    /// The pairs that the scope names literally, and the one case of `per: all`.
    pub fn keys_from_the_start(&self) -> Vec<Key> {
        match self.row().per {
            Per::Pair => self.row().scope.literal_pairs(),
            Per::All => vec![Key::ALL],
            Per::Queue | Per::Channel => Vec::new(),
        }
    }

    /// Adds a case for each of `keys` that the row is about and that has none; `cases` stays sorted by key.
    pub fn add_cases(&self, cases: &mut Vec<Case>, keys: &[Key], plan: &Plan) {
        let had = cases.len();
        for key in keys.iter().filter(|key| self.is_about(key)) {
            let known = cases[..had].binary_search_by(|case| case.key.cmp(key)).is_ok();
            if let Some(selector) = self.selector(key, plan).filter(|_| !known) {
                cases.push(Case::new(key.clone(), selector, self.row()));
            }
        }
        if cases.len() > had {
            cases.sort_by(|a, b| a.key.cmp(&b.key));
            cases.dedup_by(|a, b| a.key == b.key);
        }
    }

    pub fn is_about(&self, key: &Key) -> bool {
        let rollup = match self.row().per {
            Per::Pair => Rollup::Pair,
            Per::Queue => Rollup::Queue,
            Per::Channel => Rollup::Channel,
            Per::All => Rollup::All,
        };
        key.rollup() == rollup && self.row().scope.covers(key)
    }

    pub fn selector(&self, key: &Key, plan: &Plan) -> Option<Selector> {
        self.row().selector(key, plan)
    }

    /// The id of the incident of `key` that leaves ok at `since`. A case leaves ok at most once in a second and rows of
    /// one identity are never open together, so it is never used twice; and a replay gives the same.
    pub fn incident_id(&self, key: &Key, since: Timestamp) -> Arc<str> {
        let (queue, channel) = (key.queue.as_deref(), key.channel.as_deref());
        let text = format!("{}\u{1f}{queue:?}\u{1f}{channel:?}\u{1f}{}", self.identity, since.0);
        format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes())).into()
    }
}

impl Row {
    /// The number that the row means for `key`: what it leaves out of its labels is filled in by the key's channel.
    pub fn selector(&self, key: &Key, plan: &Plan) -> Option<Selector> {
        let has = |label: Label| self.indicator.labels.contains(&label);
        let window = match self.window {
            Some(kind) => Some(plan.window_index(kind)?),
            None => None,
        };
        let threshold = match self.threshold {
            _ if !has(Label::Threshold) => None,
            Some(within) => Some(plan.threshold_index(within)?),
            None => Some(plan.default_threshold(key.channel.as_deref())?),
        };
        let connected = (self.indicator.name == "agents").then_some(State::Connected);
        let labels = Labels {
            threshold,
            treatment: has(Label::Treatment).then(|| self.treatment.unwrap_or_default()),
            state: self.state.or(connected).filter(|_| has(Label::State)),
            own_state: None,
            stage: self.stage.filter(|_| has(Label::Stage)),
            clock: if has(Label::Clock) { self.clock } else { Default::default() },
        };
        Some(Selector { indicator: self.indicator, window, labels })
    }
}

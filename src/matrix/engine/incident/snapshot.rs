//! An open incident; `engine::snapshot` has the layout.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Address, Carried, Incident};
use crate::domain::Key;
use crate::indicators::Selector;
use crate::matrix::Level;
use crate::matrix::engine::snapshot::{at, at_last, length};
use crate::matrix::engine::track::Track;
use crate::matrix::engine::{Reason, Transition};
use crate::snapshot::SnapshotError;

/// Times are epoch milliseconds.
#[derive(Serialize, Deserialize)]
pub(in crate::matrix::engine) struct WrittenIncident {
    id: Arc<str>,
    since: i64,
    last: Last,
    sequence: u32,
    told: Vec<Address>,
    taken: i64,
    steps: Vec<u64>,
    reached: Vec<Address>,
    improved: bool,
    repeats: i64,
    stood: i64,
    stands_since: Option<i64>,
    /// Whether it is carried over closed hours; then since when it has looked well.
    carried: Option<Option<i64>>,
}

/// What a transition says that the case does not.
#[derive(Serialize, Deserialize)]
struct Last {
    time: i64,
    range: Option<u64>,
    from: Level,
    to: Level,
    value: Option<f64>,
    samples: f64,
    reason: Reason,
}

impl Incident {
    pub fn written(&self) -> WrittenIncident {
        let Transition { time, range, from, to, value, samples, reason, .. } = *self.last;
        let range = range.map(|range| range as u64);
        WrittenIncident {
            id: self.id.clone(),
            since: self.since.0,
            last: Last { time: time.0, range, from, to, value, samples, reason },
            sequence: self.sequence,
            told: self.told.clone(),
            taken: self.taken.0,
            steps: self.steps.iter().map(|step| *step as u64).collect(),
            reached: self.reached.clone(),
            improved: self.improved,
            repeats: self.repeats,
            stood: self.stood.0,
            stands_since: self.stands_since.map(|at| at.0),
            carried: self.carried.map(|carried| carried.well_since.map(|at| at.0)),
        }
    }

    pub fn again(
        written: WrittenIncident,
        track: &Track,
        key: &Key,
        selector: Selector,
    ) -> Result<Incident, SnapshotError> {
        let Last { time, range, from, to, value, samples, reason } = written.last;
        let last = Transition {
            time: at_last(time)?,
            matrix: track.matrix.clone(),
            row: track.index,
            range: range.map(|range| range as usize),
            key: key.clone(),
            selector,
            from,
            to,
            value,
            samples,
            reason,
            incident: written.id.clone(),
        };
        let carried = written.carried.map(|well_since| at(well_since).map(|well_since| Carried { well_since }));
        Ok(Incident {
            id: written.id,
            since: at_last(written.since)?,
            last: Arc::new(last),
            sequence: written.sequence,
            told: written.told,
            taken: at_last(written.taken)?,
            steps: written.steps.into_iter().map(|step| step as usize).collect(),
            reached: written.reached,
            improved: written.improved,
            repeats: written.repeats,
            stood: length(written.stood)?,
            stands_since: at(written.stands_since)?,
            carried: carried.transpose()?,
        })
    }
}

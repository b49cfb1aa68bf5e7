//! An open incident; `engine::items` has the layout.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Address, Carried, Incident};
use crate::domain::{Key, Millis, Timestamp};
use crate::matrix::engine::flapping::Flaps;
use crate::matrix::engine::reload::Named;
use crate::matrix::engine::snapshot::{at, at_last, length};
use crate::matrix::engine::{Acknowledged, Reason, Transition, feeds};
use crate::matrix::{Level, Matrix};
use crate::plan::Plan;
use crate::snapshot::{SnapshotError, ensure};

/// Times are epoch milliseconds.
#[derive(Serialize, Deserialize)]
pub(in crate::matrix::engine) struct WrittenIncident {
    id: Arc<str>,
    since: i64,
    last: Last,
    sequence: u32,
    told: Vec<Address>,
    taken: i64,
    steps: Vec<i64>,
    reached: Vec<Address>,
    improved: bool,
    repeats: i64,
    stood: i64,
    stands_since: Option<i64>,
    /// `None`: all the time from `taken` to the last tick, or to `stands_since`.
    ran: Option<i64>,
    /// What `Incident::repeating` says.
    repeating: (bool, i64),
    /// Whether it is carried over closed hours; then since when it has looked well.
    carried: Option<Option<i64>>,
    acknowledged: Option<Acknowledged>,
    silenced: Vec<Arc<str>>,
    owed: bool,
    held: bool,
    /// How many changes, and the first of them.
    flaps: Option<(u32, i64)>,
    removed: bool,
}

/// What a transition says that the case does not.
#[derive(Serialize, Deserialize)]
struct Last {
    time: i64,
    number: Named,
    source: Option<Arc<str>>,
    range: Option<u64>,
    from: Level,
    to: Level,
    value: Option<f64>,
    samples: f64,
    reason: Reason,
}

impl Incident {
    /// As of the last tick, `ticked`.
    pub fn written(&self, plan: &Plan, ticked: Timestamp) -> WrittenIncident {
        let Transition { time, range, from, to, value, samples, reason, .. } = *self.last;
        let range = range.map(|range| range as u64);
        let (number, source) = (Named::new(&self.last.selector, plan), self.last.source.clone());
        WrittenIncident {
            id: self.id.clone(),
            since: self.since.0,
            last: Last { time: time.0, number, source, range, from, to, value, samples, reason },
            sequence: self.sequence,
            told: self.told.clone(),
            taken: self.taken.0,
            steps: self.steps.iter().map(|after| after.0).collect(),
            reached: self.reached.clone(),
            improved: self.improved,
            repeats: self.repeats,
            stood: self.stood.0,
            stands_since: self.stands_since.map(|at| at.0),
            ran: self.ran_to(ticked).map(|ran| ran.0),
            repeating: (self.muting, self.repeating(ticked).1.0),
            carried: self.carried.map(|carried| carried.well_since.map(|at| at.0)),
            acknowledged: self.acknowledged.clone(),
            silenced: self.silenced.clone(),
            owed: self.owed,
            held: self.held,
            flaps: self.flaps.map(|flaps| (flaps.changes, flaps.since.0)),
            removed: self.removed,
        }
    }

    pub fn again(
        written: WrittenIncident,
        matrix: &Arc<Matrix>,
        key: &Key,
        plan: &Plan,
        ticked: Timestamp,
    ) -> Result<Incident, SnapshotError> {
        let Last { time, number, source, range, from, to, value, samples, reason } = written.last;
        let selector = if source.is_some() { Some(feeds::selector()) } else { number.selector(plan) };
        ensure(selector.is_some(), "indicator of a case")?;
        let last = Transition {
            time: at_last(time)?,
            matrix: matrix.clone(),
            // Whoever goes on with it says which row it is.
            row: Transition::NO_ROW,
            range: range.map(|range| range as usize),
            key: key.clone(),
            selector: selector.unwrap_or_else(feeds::selector),
            source,
            from,
            to,
            value,
            samples,
            reason,
            incident: written.id.clone(),
        };
        let carried = written.carried.map(|well_since| at(well_since).map(|well_since| Carried { well_since }));
        let flaps = written.flaps.map(|(changes, since)| Ok(Flaps { changes, since: at_last(since)? }));
        let mut incident = Incident {
            id: written.id,
            since: at_last(written.since)?,
            last: Arc::new(last),
            sequence: written.sequence,
            told: written.told,
            taken: at_last(written.taken)?,
            steps: written.steps.into_iter().map(length).collect::<Result<_, _>>()?,
            reached: written.reached,
            improved: written.improved,
            repeats: written.repeats,
            stood: length(written.stood)?,
            stands_since: at(written.stands_since)?,
            ran: Millis::ZERO,
            muted: length(written.repeating.1)?,
            muting: written.repeating.0,
            carried: carried.transpose()?,
            acknowledged: written.acknowledged,
            silenced: written.silenced,
            covered: None,
            owed: written.owed,
            held: written.held,
            flaps: flaps.transpose()?,
            removed: written.removed,
        };
        incident.ran = match written.ran {
            Some(ran) => length(ran)?,
            None => incident.elapsed(ticked),
        };
        if incident.muting {
            incident.muted = incident.elapsed(ticked) - incident.muted;
        }
        Ok(incident)
    }
}

//! A case; `engine::snapshot` has the layout. The number that it looks at follows from its row and its key.

use serde::{Deserialize, Serialize};

use super::super::evidence::WrittenEvidence;
use super::super::incident::WrittenIncident;
use super::super::snapshot::{at, at_last};
use super::{Case, Evidence, Incident, Reading, Track};
use crate::domain::Key;
use crate::matrix::Level;
use crate::plan::Plan;
use crate::snapshot::{SnapshotError, ensure};

/// Value and samples.
type WrittenReading = (Option<f64>, f64);

/// Times are epoch milliseconds.
#[derive(Serialize, Deserialize)]
pub(in crate::matrix::engine) struct WrittenCase {
    key: Key,
    level: Level,
    range: Option<u64>,
    evidence: WrittenEvidence,
    opened: Option<i64>,
    closed: bool,
    reading: WrittenReading,
    judged: Option<(i64, WrittenReading)>,
    incident: Option<WrittenIncident>,
}

impl Case {
    pub fn written(&self) -> WrittenCase {
        let reading = |reading: Reading| (reading.value, reading.samples);
        WrittenCase {
            key: self.key.clone(),
            level: self.level,
            range: self.range.map(|range| range as u64),
            evidence: self.evidence.written(),
            opened: self.opened.map(|at| at.0),
            closed: self.closed,
            reading: reading(self.reading),
            judged: self.judged.map(|(at, last)| (at.0, reading(last))),
            incident: self.incident.as_deref().map(Incident::written),
        }
    }

    pub fn again(written: WrittenCase, track: &Track, plan: &Plan) -> Result<Case, SnapshotError> {
        let WrittenCase { key, level, range, .. } = written;
        let reading = |(value, samples): WrittenReading| Reading { value, samples };
        // Its number is no longer kept.
        let selector = track.selector(&key, plan).ok_or(SnapshotError::OtherSettings)?;
        let incident = written.incident.map(|incident| Incident::again(incident, track, &key, selector)).transpose()?;
        ensure(incident.is_some() == (level != Level::Ok), "level of a case")?;
        let judged = written.judged.map(|(time, last)| at_last(time).map(|time| (time, reading(last))));
        Ok(Case {
            place: None,
            version: None,
            selector,
            level,
            range: range.map(|range| range as usize),
            evidence: Evidence::again(written.evidence, track.row())?,
            opened: at(written.opened)?,
            closed: written.closed,
            reading: reading(written.reading),
            judged: judged.transpose()?,
            incident: incident.map(Box::new),
            key,
        })
    }
}

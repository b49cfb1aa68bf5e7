//! A case; `engine::items` has the layout. The number that it looks at follows from its row, and so does its key.

use serde::{Deserialize, Serialize};

use super::super::evidence::WrittenEvidence;
use super::super::feeds;
use super::super::flapping::{Damped, Flap, Flaps};
use super::super::incident::WrittenIncident;
use super::super::reload::Left;
use super::super::snapshot::{at, at_last};
use super::super::trend::WrittenRing;
use super::{Case, Evidence, Incident, Put, Reading, Ring};
use crate::domain::{Key, Timestamp};
use crate::matrix::{Level, Row};
use crate::plan::Plan;
use crate::snapshot::{SnapshotError, ensure};

/// Value and samples.
type WrittenReading = (Option<f64>, f64);

/// Times are epoch milliseconds.
#[derive(Serialize, Deserialize)]
pub(in crate::matrix::engine) struct WrittenCase {
    level: Level,
    range: Option<u64>,
    evidence: WrittenEvidence,
    opened: Option<i64>,
    closed: bool,
    frozen: bool,
    incident: Option<WrittenIncident>,
    flap: Option<WrittenFlap>,
    read: bool,
    // What changes whenever a value of the trend is due stands together, so that the rest need not be written again.
    reading: WrittenReading,
    judged: Option<(i64, WrittenReading)>,
    trend: WrittenRing,
}

#[derive(Serialize, Deserialize)]
struct WrittenFlap {
    recent: Vec<i64>,
    /// How many changes, the first and the last of them, and the worst level told.
    damped: Option<(u32, i64, i64, Level)>,
}

impl Flap {
    fn written(&self) -> WrittenFlap {
        let damped = |damped: Damped| (damped.flaps.changes, damped.flaps.since.0, damped.last.0, damped.told);
        WrittenFlap { recent: self.recent.iter().map(|at| at.0).collect(), damped: self.damped.map(damped) }
    }

    fn again(written: WrittenFlap) -> Result<Flap, SnapshotError> {
        let damped = |(changes, since, last, told)| {
            let flaps = Flaps { changes, since: at_last(since)? };
            Ok(Damped { flaps, last: at_last(last)?, told })
        };
        let recent = written.recent.into_iter().map(at_last).collect::<Result<_, _>>()?;
        Ok(Flap { recent, damped: written.damped.map(damped).transpose()? })
    }
}

impl Case {
    /// As of the last tick, `ticked`, with the values that were written down last where nothing has changed since but them.
    pub fn written(&self, row: Option<&Row>, plan: &Plan, ticked: Timestamp) -> WrittenCase {
        let put = self.put.as_deref().filter(|put| row.is_some_and(|row| put.mark == self.mark(row, ticked)));
        let (read, judged) = put.map_or((self.reading, self.judged), |put| (put.reading, put.judged));
        let reading = |reading: Reading| (reading.value, reading.samples);
        WrittenCase {
            level: self.level,
            range: self.range.map(|range| range as u64),
            evidence: self.evidence.written(ticked),
            opened: self.opened.map(|at| at.0),
            closed: self.closed,
            frozen: self.frozen,
            reading: reading(read),
            read: self.read,
            judged: judged.map(|(at, last)| (at.0, reading(last))),
            trend: self.trend.written(),
            incident: self.incident.as_deref().map(|incident| incident.written(plan, ticked)),
            flap: self.flap.as_deref().map(Flap::written),
        }
    }

    /// What it would write down has changed since the last time. From then on it is as written.
    pub fn changed(&mut self, row: &Row, ticked: Timestamp) -> bool {
        let mark = self.mark(row, ticked);
        let changed = self.put.as_deref().is_none_or(|put| put.mark != mark);
        if changed {
            self.put = Some(Box::new(Put { mark, reading: self.reading, judged: self.judged }));
        }
        changed
    }

    /// Nothing of it is written down.
    pub fn unwritten(&mut self) {
        self.put = None;
    }

    /// As it was under the row that left it.
    pub fn again(
        (key, written): (Key, WrittenCase),
        left: &Left,
        plan: &Plan,
        ticked: Timestamp,
    ) -> Result<Case, SnapshotError> {
        let WrittenCase { level, range, .. } = written;
        let reading = |(value, samples): WrittenReading| Reading { value, samples };
        let incident = written.incident.map(|incident| Incident::again(incident, &left.matrix, &key, plan, ticked));
        let incident = incident.transpose()?;
        ensure(incident.is_some() == (level != Level::Ok), "level of a case")?;
        let range = range.map(|range| range as usize);
        ensure(range.is_none_or(|range| range < left.shape.ranges.len()), "range of a case")?;
        let judged = written.judged.map(|(time, last)| at_last(time).map(|time| (time, reading(last))));
        Ok(Case {
            place: None,
            version: None,
            // That of a case that is not open follows from the row that goes on with it.
            selector: incident.as_ref().map_or_else(feeds::selector, |incident| incident.last.selector),
            level,
            range,
            evidence: Evidence::again(written.evidence, left.shape.ranges.len(), ticked)?,
            opened: at(written.opened)?,
            closed: written.closed,
            frozen: written.frozen,
            reading: reading(written.reading),
            read: written.read,
            judged: judged.transpose()?,
            trend: Ring::again(written.trend)?,
            incident: incident.map(Box::new),
            flap: written.flap.map(Flap::again).transpose()?.map(Box::new),
            put: None,
            key,
        })
    }
}

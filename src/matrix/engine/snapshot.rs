//! The cases of an engine put down in bytes, and taken up again: the copy repeats nothing and forgets nothing.
//!
//! With the cases of a row goes what their instants are of: its shape. An engine of other rows takes them up as one whose
//! matrices are changed in place does; `engine::reload` says what that means for whom. So a restart under changed files is
//! a reload, and one under the same files changes nothing.
//!
//! # Body of [`Kind::ENGINE`], version 6
//!
//! | values | what |
//! |---|---|
//! | ticked | the last tick, epoch milliseconds (optional) |
//! | known | the keys that have been seen, sorted |
//! | silences | those that are on or will be, by their ids |
//! | feeds | those that are frozen: source, what it carries (interactions, agents), for how many seconds, matrix, incident |
//! | rows | how many; then of each its matrix (name, language, zone), its shape, how many cases, and the cases, sorted by key: `case::snapshot`. Rows that are gone, and whose end is not told yet, come last |
//! | hold | the notices that wait for the end of quiet hours, where something of an open incident has been told, the open gatherings (`gather::snapshot`), and the running hours of addresses: `hold::snapshot` |

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::case::{Case, WrittenCase};
use super::feeds::FeedCase;
use super::hold::WrittenHold;
use super::incident::{Incident, WrittenIncident};
use super::reload::Left;
use super::shape::Shape;
use super::{Engine, Matrix, Operated, Silence, State};
use crate::domain::{Key, Millis, Timestamp};
use crate::indicators::Topics;
use crate::matrix::Language;
use crate::plan::Plan;
use crate::snapshot::{Kind, Reader, SnapshotError, Writer, ensure, instant};

/// Any rows can go on with it.
pub(super) const ANY_SETTINGS: u64 = 0;

/// What a notice needs of a matrix that may no longer be there.
#[derive(Serialize, Deserialize)]
pub(super) struct WrittenMatrix {
    name: Arc<str>,
    language: Language,
    zone: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct WrittenFeed {
    source: Arc<str>,
    interactions: bool,
    agents: bool,
    value: Option<f64>,
    matrix: WrittenMatrix,
    incident: WrittenIncident,
}

impl WrittenMatrix {
    pub fn of(matrix: &Matrix) -> Self {
        let zone = matrix.zone.iana_name().map(str::to_owned);
        WrittenMatrix { name: matrix.name.clone(), language: matrix.language, zone }
    }

    /// The matrix of its name, if there is one still.
    pub fn of_name(self, matrices: &[Arc<Matrix>]) -> Arc<Matrix> {
        matrices.iter().find(|matrix| matrix.name == self.name).cloned().unwrap_or_else(|| self.again())
    }

    /// Without rows and contacts.
    fn again(self) -> Arc<Matrix> {
        let zone = self.zone.and_then(|zone| TimeZone::get(&zone).ok());
        Arc::new(Matrix {
            file: self.name.clone(),
            name: self.name,
            language: self.language,
            zone: zone.unwrap_or(TimeZone::UTC),
            owner: None,
            contacts: BTreeMap::new(),
            texts: Default::default(),
            rows: Vec::new(),
        })
    }
}

impl WrittenFeed {
    fn of(case: &FeedCase, plan: &Plan) -> Self {
        let Topics { interactions, agents } = case.carries;
        let matrix = WrittenMatrix::of(&case.incident.last.matrix);
        let (source, incident) = (case.source.clone(), case.incident.written(plan));
        WrittenFeed { source, interactions, agents, value: case.value, matrix, incident }
    }

    fn again(self, plan: &Plan) -> Result<FeedCase, SnapshotError> {
        let WrittenFeed { source, interactions, agents, value, matrix, incident } = self;
        let incident = Incident::again(incident, &matrix.again(), &Key::ALL, plan)?;
        Ok(FeedCase { source, carries: Topics { interactions, agents }, value, incident })
    }
}

impl Engine {
    /// All that a later engine needs in order to go on.
    pub fn snapshot(&self) -> Vec<u8> {
        let State { cases, known, ticked, silences, feeds, gone, hold, generation: _ } = &self.state;
        let mut to = Writer::new(Kind::ENGINE, ANY_SETTINGS);
        let silences: Vec<&Silence> = silences.iter().collect();
        let feeds: Vec<WrittenFeed> = feeds.iter().map(|case| WrittenFeed::of(case, &self.plan)).collect();
        to.put(&(ticked.map(|at| at.0), known, silences, feeds));
        let rows = self.tracks.iter().zip(cases).map(|(track, cases)| (&track.matrix, &track.shape, cases));
        let gone = gone.iter().map(|gone| (&gone.matrix, &gone.shape, &gone.cases));
        let rows: Vec<_> = rows.chain(gone).collect();
        to.put(&(rows.len() as u64));
        for (matrix, shape, cases) in rows {
            to.put(&(WrittenMatrix::of(matrix), shape, cases.len() as u64));
            for case in cases {
                to.put(&case.written(&self.plan));
            }
        }
        to.put(&WrittenHold::of(hold, &self.plan));
        to.finish()
    }

    /// An engine that goes on as the one did of which `bytes` are the snapshot, as far as these matrices let it.
    pub fn restore(matrices: Vec<Arc<Matrix>>, plan: Arc<Plan>, bytes: &[u8]) -> Result<Engine, SnapshotError> {
        let mut engine = Engine::new(matrices.clone(), plan);
        let mut from = Reader::open(Kind::ENGINE, ANY_SETTINGS, bytes)?;
        let (ticked, known): (Option<i64>, Vec<Key>) = from.take("keys")?;
        ensure(known.is_sorted_by(|a, b| a < b), "order of keys")?;
        let silences: Vec<Silence> = from.take("silences")?;
        for silence in silences {
            let put = engine.state.silences.put(silence, Timestamp::MIN);
            ensure(put == Operated::Silenced, "silences")?;
        }
        let feeds: Vec<WrittenFeed> = from.take("feeds")?;
        let feeds = feeds.into_iter().map(|feed| feed.again(&engine.plan)).collect::<Result<Vec<_>, _>>()?;
        ensure(feeds.is_sorted_by(|a, b| a.source < b.source), "order of feeds")?;
        let mut left = Vec::new();
        for _ in 0..from.count("rows")? {
            let (matrix, shape): (WrittenMatrix, Shape) = from.take("row")?;
            let mut row = Left { matrix: matrix.again(), shape, cases: Vec::new() };
            for _ in 0..from.count("cases")? {
                let case = Case::again(from.take::<WrittenCase>("case")?, &row, &engine.plan)?;
                ensure(row.cases.last().is_none_or(|last| last.key < case.key), "order of cases")?;
                row.cases.push(case);
            }
            left.push(row);
        }
        let hold: WrittenHold = from.take("hold")?;
        from.finish()?;
        engine.state.hold = hold.again(&matrices, &engine.plan)?;
        engine.state.known = known;
        engine.state.ticked = at(ticked)?;
        engine.adopt(left, feeds);
        Ok(engine)
    }
}

/// An instant that may not have come.
pub(super) fn at(ms: Option<i64>) -> Result<Option<Timestamp>, SnapshotError> {
    ms.map(|ms| instant(Some(ms), "instant of a case").map(Timestamp)).transpose()
}

/// One that has.
pub(super) fn at_last(ms: i64) -> Result<Timestamp, SnapshotError> {
    instant(Some(ms), "instant of a case").map(Timestamp)
}

/// A length of time that arithmetic can take.
pub(super) fn length(ms: i64) -> Result<Millis, SnapshotError> {
    instant(Some(ms), "time of a case").map(Millis)
}

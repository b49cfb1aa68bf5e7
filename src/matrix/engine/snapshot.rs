//! The cases of an engine put down in bytes, and taken up again: the copy repeats nothing and forgets nothing.
//!
//! With the cases of a row goes what their instants are of: its shape. An engine of other rows takes them up as one whose
//! matrices are changed in place does; `engine::reload` says what that means for whom. So a restart under changed files is
//! a reload, and one under the same files changes nothing.
//!
//! The body of [`Kind::ENGINE`] is the items of [`super::items`], sorted.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::feeds::FeedCase;
use super::incident::{Incident, WrittenIncident};
use super::items::Items;
use super::{Engine, Matrix};
use crate::domain::{Key, Millis, Timestamp};
use crate::indicators::Topics;
use crate::matrix::Language;
use crate::plan::Plan;
use crate::snapshot::{Kind, Reader, SnapshotError, Writer, instant};

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
pub(super) struct WrittenFeed {
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
    pub fn again(self) -> Arc<Matrix> {
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
    pub fn of(case: &FeedCase, plan: &Plan, ticked: Timestamp) -> Self {
        let Topics { interactions, agents } = case.carries;
        let matrix = WrittenMatrix::of(&case.incident.last.matrix);
        let (source, incident) = (case.source.clone(), case.incident.written(plan, ticked));
        WrittenFeed { source, interactions, agents, value: case.value, matrix, incident }
    }

    pub fn again(self, plan: &Plan, ticked: Timestamp) -> Result<FeedCase, SnapshotError> {
        let WrittenFeed { source, interactions, agents, value, matrix, incident } = self;
        let incident = Incident::again(incident, &matrix.again(), &Key::ALL, plan, ticked)?;
        Ok(FeedCase { source, carries: Topics { interactions, agents }, value, incident })
    }
}

impl Engine {
    /// All that a later engine needs in order to go on: the items, each name before its value.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut to = Writer::new(Kind::ENGINE, ANY_SETTINGS);
        to.put(&self.items());
        to.finish()
    }

    /// An engine that goes on as the one did of which `bytes` are the snapshot, as far as these matrices let it.
    pub fn restore(matrices: Vec<Arc<Matrix>>, plan: Arc<Plan>, bytes: &[u8]) -> Result<Engine, SnapshotError> {
        let mut from = Reader::open(Kind::ENGINE, ANY_SETTINGS, bytes)?;
        let items: Items = from.take("items")?;
        from.finish()?;
        Engine::of_items(matrices, plan, &items)
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

//! The gatherings in bytes; `engine::snapshot` has the layout.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Circle, Entry, Gather, Gathering};
use crate::matrix::engine::hold::{Place, WrittenNotice, WrittenTransition};
use crate::matrix::engine::snapshot::{at, length};
use crate::matrix::{Level, Matrix};
use crate::plan::Plan;
use crate::snapshot::{SnapshotError, ensure};

#[derive(Serialize, Deserialize)]
pub(in crate::matrix::engine) struct WrittenGather(Vec<WrittenGathering>);

/// Times are epoch milliseconds.
#[derive(Serialize, Deserialize)]
struct WrittenGathering {
    circle: Circle,
    id: Arc<str>,
    sequence: u32,
    entry: Option<(Level, u32, WrittenTransition)>,
    wait: i64,
    ever: u32,
    due: Option<i64>,
    waiting: Vec<WrittenNotice>,
    /// What was last told of each of its incidents.
    open: Vec<WrittenTransition>,
}

impl WrittenGather {
    pub fn of(gather: &Gather, plan: &Plan) -> Self {
        let written = gather.open.iter().map(|(circle, gathering)| {
            let Gathering { id, sequence, entry, wait, open, ever, due, waiting } = gathering;
            WrittenGathering {
                circle: Circle::clone(circle),
                id: id.clone(),
                sequence: *sequence,
                entry: entry.as_ref().map(|entry| {
                    let Entry { level, cases, worst } = entry;
                    (*level, *cases, WrittenTransition::of(worst, plan))
                }),
                wait: wait.0,
                ever: *ever,
                due: due.map(|due| due.0),
                waiting: waiting.values().map(|one| WrittenNotice::of(&Place::of(one), one, plan)).collect(),
                open: open.values().map(|last| WrittenTransition::of(last, plan)).collect(),
            }
        });
        WrittenGather(written.collect())
    }

    pub fn again(self, matrices: &[Arc<Matrix>], plan: &Plan) -> Result<Gather, SnapshotError> {
        ensure(self.0.is_sorted_by(|a, b| a.circle < b.circle), "order of gatherings")?;
        let mut gather = Gather::default();
        for written in self.0 {
            let circle = Arc::new(written.circle);
            let entry = written
                .entry
                .map(|(level, cases, worst)| Ok(Entry { level, cases, worst: Arc::new(worst.again(matrices, plan)?) }));
            let mut gathering = Gathering {
                id: written.id,
                sequence: written.sequence,
                entry: entry.transpose()?,
                wait: length(written.wait)?,
                open: BTreeMap::new(),
                ever: written.ever,
                due: at(written.due)?,
                waiting: BTreeMap::new(),
            };
            let member = |place: Place, gather: &mut Gather| {
                let before = gather.members.insert(place, circle.clone());
                ensure(before.is_none(), "incidents of gatherings")
            };
            for last in written.open {
                let last = last.again(matrices, plan)?;
                let Circle { to, medium, address, .. } = &*circle;
                let (to, address) = (to.clone(), address.clone());
                member(Place { incident: last.incident.clone(), to, medium: *medium, address }, &mut gather)?;
                gathering.open.insert(last.incident.clone(), Arc::new(last));
            }
            for notice in written.waiting {
                let (place, notice) = notice.again(matrices, plan)?;
                if !gathering.open.contains_key(&place.incident) {
                    member(place.clone(), &mut gather)?;
                }
                gathering.waiting.insert(place.incident, notice);
            }
            gather.open.insert(circle, gathering);
        }
        Ok(gather)
    }
}

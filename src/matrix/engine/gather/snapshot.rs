//! The gatherings in bytes; `engine::snapshot` has the layout.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Circle, Entry, Gather, Gathering, Member};
use crate::matrix::engine::hold::{Place, WrittenNotice, WrittenTransition};
use crate::matrix::engine::snapshot::at;
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
    ever: u32,
    due: Option<i64>,
    waiting: Vec<WrittenNotice>,
    /// Its incidents, and the level that each was last told at.
    members: Vec<(Arc<str>, Level)>,
}

impl WrittenGather {
    pub fn of(gather: &Gather, plan: &Plan) -> Self {
        let mut members: BTreeMap<&Circle, Vec<(Arc<str>, Level)>> = BTreeMap::new();
        for (place, member) in &gather.members {
            members.entry(&member.circle).or_default().push((place.incident.clone(), member.told));
        }
        let written = gather.open.iter().map(|(circle, gathering)| {
            let Gathering { id, sequence, entry, open: _, ever, due, waiting } = gathering;
            WrittenGathering {
                circle: Circle::clone(circle),
                id: id.clone(),
                sequence: *sequence,
                entry: entry.as_ref().map(|entry| {
                    let Entry { level, cases, worst } = entry;
                    (*level, *cases, WrittenTransition::of(worst, plan))
                }),
                ever: *ever,
                due: due.map(|due| due.0),
                waiting: waiting.values().map(|one| WrittenNotice::of(&Place::of(one), one, plan)).collect(),
                members: members.remove(&**circle).unwrap_or_default(),
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
                open: BTreeMap::new(),
                ever: written.ever,
                due: at(written.due)?,
                waiting: BTreeMap::new(),
            };
            for (incident, told) in written.members {
                let Circle { to, medium, address, .. } = &*circle;
                let place = Place { incident, to: to.clone(), medium: *medium, address: address.clone() };
                gathering.count(Level::Ok, told);
                let before = gather.members.insert(place, Member { circle: circle.clone(), told });
                ensure(before.is_none(), "incidents of gatherings")?;
            }
            for notice in written.waiting {
                let (place, notice) = notice.again(matrices, plan)?;
                let member = gather.members.get(&place).is_some_and(|member| member.circle == circle);
                ensure(member, "notices of gatherings")?;
                gathering.waiting.insert(place.incident, notice);
            }
            gather.open.insert(circle, gathering);
        }
        Ok(gather)
    }
}

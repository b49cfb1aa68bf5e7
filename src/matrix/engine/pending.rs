//! What was decided and is not sent yet, put down in bytes beside the cases: who takes both up sends it, and decides nothing
//! of it a second time.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::gather::{Entry, Gathered, Other};
use super::hold::{Place, WrittenNotice, WrittenTransition};
use super::items::{bytes, read};
use super::snapshot::{ANY_SETTINGS, at_last};
use super::{Acknowledged, Around, Engine, HeldBack, Notification, Operated, Trend};
use crate::domain::Timestamp;
use crate::indicators::State;
use crate::matrix::{By, Level, Matrix, Medium};
use crate::plan::Plan;
use crate::snapshot::{Bytes, Kind, Reader, SnapshotError, Writer, ensure};

/// A notice on its way, and whom it stands in for: contact, medium, and why they were not reached.
#[derive(Clone, Debug)]
pub struct Pending {
    pub notice: Notification,
    pub missed: Option<(Arc<str>, Medium, String)>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    notice: WrittenNotice,
    missed: Option<(Arc<str>, Medium, String)>,
    gathered: Option<WrittenGathered>,
    held_back: Option<WrittenMore>,
    around: Option<WrittenAround>,
    trend: Option<Vec<(i64, Option<f64>)>>,
}

/// How many wait, the oldest wait, and the agents by the place of their state among all.
type WrittenAround = (Option<f64>, Option<f64>, Vec<(u8, f64)>);

/// How many notices, of each incident the newest and how many, and how many beyond them.
type WrittenMore = (u32, Vec<(WrittenNotice, u32)>, u32);

#[derive(Serialize, Deserialize)]
struct WrittenGathered {
    by: By,
    notices: Vec<WrittenNotice>,
    others: Vec<(WrittenTransition, Option<Acknowledged>)>,
    entry: (Level, u32, WrittenTransition),
}

impl Pending {
    /// In bytes, with all that its words are made of: whoever sends it says the same.
    pub fn bytes(&self, plan: &Plan) -> Vec<u8> {
        bytes(&Written::of(self, plan))
    }

    /// What [`Pending::bytes`] gave, under the matrices that are in force.
    pub fn of_bytes(bytes: &[u8], matrices: &[Arc<Matrix>], plan: &Plan) -> Result<Pending, SnapshotError> {
        read::<Written>(bytes, "notice on its way")?.again(matrices, plan)
    }
}

impl Engine {
    /// The cases, what is on its way, and what a caller wants kept beside them: [`Kind::DECIDED`], whose body is the snapshot of
    /// the cases behind its length, the notices, and that text.
    pub fn put_down(&self, pending: &[Pending], beside: &str) -> Vec<u8> {
        let mut to = Writer::new(Kind::DECIDED, ANY_SETTINGS);
        let written: Vec<Written> = pending.iter().map(|one| Written::of(one, &self.plan)).collect();
        to.put(&(Bytes(&self.snapshot()), written, beside));
        to.finish()
    }

    /// Goes on as the engine did that put itself down, with the silences that this one has been given. Returns what was on its
    /// way, and what was kept beside.
    pub fn take_up(&mut self, bytes: &[u8]) -> Result<(Vec<Pending>, String), SnapshotError> {
        let matrices = self.matrices();
        let mut from = Reader::open(Kind::DECIDED, ANY_SETTINGS, bytes)?;
        let (cases, written, beside): (Bytes<'_>, Vec<Written>, String) = from.take("what was decided")?;
        from.finish()?;
        let mut engine = Engine::restore(matrices.clone(), self.plan.clone(), cases.0)?;
        let pending = written.into_iter().map(|one| one.again(&matrices, &self.plan)).collect::<Result<_, _>>()?;
        for silence in self.silences() {
            let put = engine.state.silences.put(silence, Timestamp::MIN);
            ensure(put == Operated::Silenced, "silences")?;
        }
        *self = engine;
        Ok((pending, beside))
    }

    /// Those that have rows, in their order.
    pub(super) fn matrices(&self) -> Vec<Arc<Matrix>> {
        let mut matrices: Vec<Arc<Matrix>> = self.tracks.iter().map(|track| track.matrix.clone()).collect();
        matrices.dedup_by(|one, other| Arc::ptr_eq(one, other));
        matrices
    }
}

fn notice(notice: &Notification, plan: &Plan) -> WrittenNotice {
    WrittenNotice::of(&Place::of(notice), notice, plan)
}

impl Written {
    fn of(pending: &Pending, plan: &Plan) -> Self {
        let Pending { notice: one, missed } = pending;
        let gathered = one.gathered.as_ref().map(|gathered| {
            let Gathered { by, notices, others, entry } = &**gathered;
            let other = |one: &Other| (WrittenTransition::of(&one.last, plan), one.acknowledged.clone());
            WrittenGathered {
                by: *by,
                notices: notices.iter().map(|one| notice(one, plan)).collect(),
                others: others.iter().map(other).collect(),
                entry: (entry.level, entry.cases, WrittenTransition::of(&entry.worst, plan)),
            }
        });
        let held_back = one.held_back.as_ref().map(|held| {
            let incidents = held.incidents.iter().map(|(one, count)| (notice(one, plan), *count));
            (held.notices, incidents.collect(), held.beyond)
        });
        let around = one.around.as_ref().map(|around| {
            let Around { waiting, oldest_wait, agents } = &**around;
            let place = |state: &State| State::ALL.iter().position(|other| other == state).unwrap_or_default() as u8;
            (*waiting, *oldest_wait, agents.iter().map(|(state, count)| (place(state), *count)).collect())
        });
        let trend = one.trend.as_ref().map(|trend| trend.0.iter().map(|(at, value)| (at.0, *value)).collect());
        Written { notice: notice(one, plan), missed: missed.clone(), gathered, held_back, around, trend }
    }

    fn again(self, matrices: &[Arc<Matrix>], plan: &Plan) -> Result<Pending, SnapshotError> {
        let again = |written: WrittenNotice| Ok(written.again(matrices, plan)?.1);
        let mut notice: Notification = again(self.notice)?;
        if let Some(WrittenGathered { by, notices, others, entry: (level, cases, worst) }) = self.gathered {
            let notices = notices.into_iter().map(again).collect::<Result<_, SnapshotError>>()?;
            let others = others
                .into_iter()
                .map(|(last, acknowledged)| Ok(Other { last: Arc::new(last.again(matrices, plan)?), acknowledged }));
            let others = others.collect::<Result<_, SnapshotError>>()?;
            let entry = Entry { level, cases, worst: Arc::new(worst.again(matrices, plan)?) };
            notice.gathered = Some(Arc::new(Gathered { by, notices, others, entry }));
        }
        if let Some((notices, incidents, beyond)) = self.held_back {
            let incidents = incidents.into_iter().map(|(one, count)| Ok((again(one)?, count)));
            let incidents = incidents.collect::<Result<_, SnapshotError>>()?;
            notice.held_back = Some(Arc::new(HeldBack { notices, incidents, beyond }));
        }
        if let Some((waiting, oldest_wait, agents)) = self.around {
            let state = |place: u8| State::ALL.get(usize::from(place)).copied();
            let agents = agents.into_iter().map(|(place, count)| {
                state(place).map(|state| (state, count)).ok_or(SnapshotError::Invalid("agents of a notice"))
            });
            let agents = agents.collect::<Result<_, _>>()?;
            notice.around = Some(Arc::new(Around { waiting, oldest_wait, agents }));
        }
        if let Some(trend) = self.trend {
            let values = trend.into_iter().map(|(time, value)| Ok((at_last(time)?, value)));
            notice.trend = Some(Arc::new(Trend(values.collect::<Result<_, SnapshotError>>()?)));
        }
        Ok(Pending { notice, missed: self.missed })
    }
}

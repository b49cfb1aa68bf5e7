//! The since-instants of a case, on its own clock; `engine::items` has the layout.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Evidence, Last};
use crate::domain::Timestamp;
use crate::matrix::engine::snapshot::{at, length};
use crate::snapshot::{SnapshotError, ensure};

/// Times are epoch milliseconds.
#[derive(Serialize, Deserialize)]
pub(in crate::matrix::engine) struct WrittenEvidence {
    /// Of each range.
    beyond: Vec<Option<i64>>,
    within: Vec<Option<i64>>,
    /// Of ok, info and warning.
    calm: [Option<i64>; 3],
    /// What `Evidence::standing` says.
    standing: (u8, i64, Option<i64>),
}

impl Evidence {
    /// As of the last tick, `ticked`.
    pub fn written(&self, ticked: Timestamp) -> WrittenEvidence {
        let list = |since: &[Option<Timestamp>]| since.iter().map(|since| since.map(|at| at.0)).collect();
        WrittenEvidence {
            beyond: list(&self.beyond),
            within: list(&self.within),
            calm: self.calm.map(|since| since.map(|at| at.0)),
            standing: self.standing(ticked),
        }
    }

    /// Of a row with that many ranges.
    pub fn again(written: WrittenEvidence, ranges: usize, ticked: Timestamp) -> Result<Evidence, SnapshotError> {
        let list = |since: Vec<Option<i64>>| {
            ensure(since.len() == ranges, "instants of the ranges")?;
            since.into_iter().map(at).collect::<Result<SmallVec<_>, _>>()
        };
        let [ok, info, warning] = written.calm;
        let stood = |clock: i64| length(clock).map(|clock| ticked - Timestamp(clock.0));
        let (last, paused, null_since) = match written.standing {
            (0, paused, since) => (Last::Ran, length(paused)?, at(since)?),
            (1, clock, since) => (Last::Paused, stood(clock)?, at(since)?),
            (2, clock, since) => (Last::Froze, stood(clock)?, since.map(length).transpose()?.map(|null| ticked - null)),
            _ => return Err(SnapshotError::Invalid("clock of a case")),
        };
        Ok(Evidence {
            beyond: list(written.beyond)?,
            within: list(written.within)?,
            calm: [at(ok)?, at(info)?, at(warning)?],
            null_since,
            paused,
            last,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_instant_for_each_range() {
        let written = |beyond: usize, within: usize| WrittenEvidence {
            beyond: vec![None; beyond],
            within: vec![None; within],
            calm: [None; 3],
            standing: (0, 0, None),
        };
        let wrong = |beyond, within| Evidence::again(written(beyond, within), 2, Timestamp(0)).is_err();
        assert_eq!([wrong(2, 2), wrong(1, 2), wrong(2, 3)], [false, true, true]);
    }
}

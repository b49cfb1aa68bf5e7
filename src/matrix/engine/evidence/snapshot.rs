//! The since-instants of a case, on its own clock; `engine::snapshot` has the layout.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::Evidence;
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
    null_since: Option<i64>,
    paused: i64,
}

impl Evidence {
    pub fn written(&self) -> WrittenEvidence {
        let list = |since: &[Option<Timestamp>]| since.iter().map(|since| since.map(|at| at.0)).collect();
        WrittenEvidence {
            beyond: list(&self.beyond),
            within: list(&self.within),
            calm: self.calm.map(|since| since.map(|at| at.0)),
            null_since: self.null_since.map(|at| at.0),
            paused: self.paused.0,
        }
    }

    /// Of a row with that many ranges.
    pub fn again(written: WrittenEvidence, ranges: usize) -> Result<Evidence, SnapshotError> {
        let list = |since: Vec<Option<i64>>| {
            ensure(since.len() == ranges, "instants of the ranges")?;
            since.into_iter().map(at).collect::<Result<SmallVec<_>, _>>()
        };
        let [ok, info, warning] = written.calm;
        Ok(Evidence {
            beyond: list(written.beyond)?,
            within: list(written.within)?,
            calm: [at(ok)?, at(info)?, at(warning)?],
            null_since: at(written.null_since)?,
            paused: length(written.paused)?,
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
            null_since: None,
            paused: 0,
        };
        let wrong = |beyond, within| Evidence::again(written(beyond, within), 2).is_err();
        assert_eq!([wrong(2, 2), wrong(1, 2), wrong(2, 3)], [false, true, true]);
    }
}

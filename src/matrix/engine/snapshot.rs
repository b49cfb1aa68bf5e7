//! The cases of an engine put down in bytes, and taken up again: the copy repeats nothing and forgets nothing.
//!
//! A snapshot fits the rows that it was made under: the same ones in the same order, with the same ranges, levels, recovery
//! margins and instants of escalation, since that is what the instants in it are of. What a row only looks up when it acts
//! (`for`, whom it tells, its texts, `repeat`, `settle`, `min_samples`, holidays) may change under it, and so may the plan,
//! as long as it keeps the number that the row names.
//!
//! # Body of [`Kind::ENGINE`], version 1
//!
//! | values | what |
//! |---|---|
//! | ticked | the last tick, epoch milliseconds (optional) |
//! | known | the keys that have been seen, sorted |
//! | rows | how many; then of each how many cases, and the cases, sorted by key: `case::snapshot` |

use std::sync::Arc;

use serde::Serialize;
use xxhash_rust::xxh3::Xxh3;

use super::case::{Case, WrittenCase};
use super::{Engine, Level, Matrix, State, Track};
use crate::domain::{Key, Millis, Timestamp};
use crate::matrix::Edge;
use crate::plan::Plan;
use crate::snapshot::{Kind, Reader, SnapshotError, Writer, ensure, instant};

impl Engine {
    /// All that a later engine of the same rows needs in order to go on.
    pub fn snapshot(&self) -> Vec<u8> {
        let State { cases, known, ticked, generation: _ } = &self.state;
        let mut to = Writer::new(Kind::ENGINE, fingerprint(&self.tracks));
        to.put(&(ticked.map(|at| at.0), known, cases.len() as u64));
        for cases in cases {
            to.put(&(cases.len() as u64));
            for case in cases {
                to.put(&case.written());
            }
        }
        to.finish()
    }

    /// An engine that goes on as the one did of which `bytes` are the snapshot.
    pub fn restore(matrices: Vec<Arc<Matrix>>, plan: Arc<Plan>, bytes: &[u8]) -> Result<Engine, SnapshotError> {
        let mut engine = Engine::new(matrices, plan);
        let mut from = Reader::open(Kind::ENGINE, fingerprint(&engine.tracks), bytes)?;
        let (ticked, known, rows): (Option<i64>, Vec<Key>, u64) = from.take("keys")?;
        ensure(rows == engine.tracks.len() as u64, "rows")?;
        ensure(known.is_sorted_by(|a, b| a < b), "order of keys")?;
        let mut all = Vec::new();
        for track in &engine.tracks {
            let mut cases: Vec<Case> = Vec::new();
            for _ in 0..from.count("cases")? {
                let case = Case::again(from.take::<WrittenCase>("case")?, track, &engine.plan)?;
                ensure(cases.last().is_none_or(|last| last.key < case.key), "order of cases")?;
                cases.push(case);
            }
            all.push(cases);
        }
        from.finish()?;
        // Places are of other readings: the next tick asks for all of them.
        engine.state = State { cases: all, known, ticked: at(ticked)?, generation: None };
        Ok(engine)
    }
}

/// What the instants of the cases are of.
fn fingerprint(tracks: &[Track]) -> u64 {
    #[derive(Serialize)]
    struct Range {
        bounds: [Option<(f64, bool)>; 2],
        level: Level,
        steps: Vec<Millis>,
    }
    let mut hasher = Xxh3::new();
    for track in tracks {
        let edge = |edge: Option<Edge>| edge.map(|edge| (edge.at, edge.inclusive));
        let ranges = track.row().ranges.iter().map(|range| {
            let steps = range.escalate.iter().map(|step| step.after).collect();
            Range { bounds: [edge(range.bounds.low), edge(range.bounds.high)], level: range.level, steps }
        });
        let rule = (&track.identity, ranges.collect::<Vec<_>>(), track.row().recover.margin);
        let rule = postcard::to_allocvec(&rule);
        debug_assert!(rule.is_ok(), "postcard refuses only lists without a length");
        hasher.update(&rule.unwrap_or_default());
    }
    hasher.digest()
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

//! The values of a case over the last while, for the picture in its notices.
//!
//! A ring of at most [`POINTS`] values, one every so often: the first second of each stretch of [`step`] that is evaluated
//! says what it was, and where a rule had nothing to judge there is a gap. It decides nothing; it is kept because nobody
//! could say afterwards what a window showed an hour ago.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::domain::{Millis, Timestamp};
use crate::matrix::Row;
use crate::plan::WindowKind;
use crate::snapshot::{SnapshotError, ensure};

use super::snapshot::at_last;

/// Most values that a case keeps: at one a minute, an hour.
pub const POINTS: usize = 60;

/// The values of a case until a notice is told: when each was read, the oldest first, and `None` in the gaps. The last is
/// that of the notice.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend(pub Vec<(Timestamp, Option<f64>)>);

/// How far apart the values of a row are: the longer its window, the slower it moves.
pub(super) fn step(row: &Row) -> Millis {
    let (least, most) = (Millis::MINUTE, Millis(5 * Millis::MINUTE.0));
    match row.window {
        None => least,
        Some(WindowKind::Sliding(length)) => Millis(length.0 / 15).clamp(least, most),
        Some(WindowKind::Interval) => Millis(2 * Millis::MINUTE.0),
        Some(WindowKind::LastInterval | WindowKind::Today) => most,
    }
}

#[derive(Clone, Debug)]
pub(super) struct Ring {
    /// When the next value is due. The newest is of the stretch before.
    due: Timestamp,
    /// The oldest first; what is not a number is a gap.
    values: VecDeque<f32>,
    /// How many have been forgotten, less whole rounds: where the oldest is written down, so that of the others nothing
    /// changes when one is added.
    turn: usize,
}

impl Ring {
    pub fn new() -> Self {
        Ring { due: Timestamp::MIN, values: VecDeque::new(), turn: 0 }
    }

    /// Whether [`Ring::put`] would keep a value of `now`.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now >= self.due
    }

    pub fn put(&mut self, now: Timestamp, step: Millis, value: Option<f64>) {
        let begun = now.floor_to(step);
        if !self.values.is_empty() {
            let missed = usize::try_from((begun - self.due).0 / step.0).unwrap_or(0);
            self.values.extend(std::iter::repeat_n(f32::NAN, missed.min(POINTS)));
        }
        self.values.push_back(value.map_or(f32::NAN, |value| value as f32));
        let forgotten = self.values.len().saturating_sub(POINTS);
        self.values.drain(..forgotten);
        self.turn = (self.turn + forgotten) % POINTS;
        self.due = begun + step;
    }

    /// What it has seen before `now`, and the value of `now`.
    pub fn until(&self, now: Timestamp, step: Millis, value: Option<f64>) -> Trend {
        let count = self.values.len() as i64;
        let at = |index: usize| self.due - Millis(step.0 * (count - index as i64));
        let known = |value: f32| value.is_finite().then_some(f64::from(value));
        let kept = self.values.iter().enumerate().map(|(index, value)| (at(index), known(*value)));
        Trend(kept.filter(|(time, _)| *time < now).chain([(now, value)]).collect())
    }
}

/// When the next is due, epoch milliseconds; the place of the oldest; the values, from there on and around.
#[derive(Serialize, Deserialize)]
pub(super) struct WrittenRing(i64, u8, Vec<f32>);

impl Ring {
    pub fn written(&self) -> WrittenRing {
        let mut values: Vec<f32> = self.values.iter().copied().collect();
        let turn = self.turn.min(values.len());
        values.rotate_right(turn);
        WrittenRing(self.due.0, self.turn as u8, values)
    }

    /// Another number whenever a value has been added.
    pub fn version(&self) -> i64 {
        self.due.0
    }

    pub fn again(WrittenRing(due, turn, mut values): WrittenRing) -> Result<Ring, SnapshotError> {
        let turn = usize::from(turn);
        ensure(values.len() <= POINTS && (turn == 0 || turn < values.len()), "values of a case")?;
        let due = if values.is_empty() { Timestamp::MIN } else { at_last(due)? };
        values.rotate_left(turn);
        Ok(Ring { due, values: values.into(), turn })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Bounds;

    const STEP: Millis = Millis::MINUTE;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(Millis::seconds(seconds).0)
    }

    fn put(ring: &mut Ring, seconds: i64, value: Option<f64>) {
        if ring.is_due(at(seconds)) {
            ring.put(at(seconds), STEP, value);
        }
    }

    #[test]
    fn the_longer_the_window_the_further_apart() {
        let (sliding, minutes) = (|minutes| WindowKind::Sliding(Millis(minutes * Millis::MINUTE.0)), Millis::MINUTE.0);
        for (window, expected) in [
            (None, 1),
            (Some(sliding(5)), 1),
            (Some(sliding(60)), 4),
            (Some(sliding(1440)), 5),
            (Some(WindowKind::Interval), 2),
            (Some(WindowKind::LastInterval), 5),
            (Some(WindowKind::Today), 5),
        ] {
            let asa = crate::indicators::find("asa").unwrap();
            let goal = Bounds { text: "".into(), low: None, high: None };
            let row = Row { window, ..Row::new(asa, goal, Vec::new()) };
            assert_eq!(step(&row), Millis(expected * minutes), "{window:?}");
        }
    }

    #[test]
    fn more_values_than_it_keeps_are_of_no_ring() {
        let written = |count| WrittenRing(0, 0, vec![0.0; count]);
        assert!(Ring::again(written(POINTS)).is_ok() && Ring::again(written(POINTS + 1)).is_err());
    }

    #[test]
    fn one_value_a_minute_with_gaps_where_there_was_none() {
        let mut ring = Ring::new();
        for (seconds, value) in [(30, Some(1.0)), (31, Some(9.0)), (60, None), (119, Some(9.0)), (300, Some(5.0))] {
            put(&mut ring, seconds, value);
        }
        let Trend(points) = ring.until(at(310), STEP, Some(6.0));
        let expected = [
            (at(0), Some(1.0)),
            (at(60), None),
            (at(120), None),
            (at(180), None),
            (at(240), None),
            (at(300), Some(5.0)),
            (at(310), Some(6.0)),
        ];
        assert_eq!(points, expected);
    }

    #[test]
    fn an_instant_has_one_value() {
        let mut ring = Ring::new();
        [0, 60].into_iter().for_each(|seconds| put(&mut ring, seconds, Some(1.0)));
        assert_eq!(ring.until(at(60), STEP, Some(2.0)), Trend(vec![(at(0), Some(1.0)), (at(60), Some(2.0))]));
    }

    #[test]
    fn it_forgets_what_is_older_than_it_is_long() {
        let mut ring = Ring::new();
        (0..1000).for_each(|minute| put(&mut ring, minute * 60, Some(minute as f64)));
        let Trend(points) = ring.until(at(999 * 60 + 1), STEP, None);
        assert_eq!((points.len(), points[0]), (POINTS + 1, (at(940 * 60), Some(940.0))));
        put(&mut ring, 90_000_000, Some(7.0));
        assert_eq!(
            (ring.values.len(), ring.values.iter().filter(|value| value.is_nan()).count()),
            (POINTS, POINTS - 1)
        );
        assert!(ring.values.capacity() * size_of::<f32>() + size_of::<Ring>() <= 1024, "{}", ring.values.capacity());
    }
}

//! The contributions that interactions are made of, in short words. A place without a queue has no pair and no queue key:
//! [`EVERY_KEY`] leaves them out by itself.

use super::cells::Cell;
use super::contribution::{Age, Contribution, EVERY_KEY, Sink, Target, What};

pub(super) fn add(out: &mut impl Sink, at: i64, place: u32, cell: Cell, weight: i64) {
    if weight != 0 {
        out.put(Contribution { at, target: Target::Place(place, EVERY_KEY), what: What::Add(cell), weight });
    }
}

pub(super) fn step(out: &mut impl Sink, at: i64, place: u32, cell: Cell, weight: i64) {
    out.put(Contribution { at, target: Target::Place(place, EVERY_KEY), what: What::Step(cell), weight });
}

/// A level that holds during `[from, to)`, if that is not empty, in some keys of the place.
pub(super) fn span(out: &mut impl Sink, from: i64, to: i64, place: u32, mask: u8, cell: Cell) {
    if from < to {
        for (at, weight) in [(from, 1), (to, -1)] {
            out.put(Contribution { at, target: Target::Place(place, mask), what: What::Step(cell), weight });
        }
    }
}

/// One more in a sum of some keys of the place.
pub(super) fn count(out: &mut impl Sink, at: i64, place: u32, mask: u8, cell: Cell) {
    out.put(Contribution { at, target: Target::Place(place, mask), what: What::Add(cell), weight: 1 });
}

pub(super) fn age(out: &mut impl Sink, at: i64, place: u32, age: Age, start: i64, weight: i64) {
    out.put(Contribution { at, target: Target::Place(place, EVERY_KEY), what: What::Age(age, start), weight });
}

//! Where a value lies among the ranges of a row: which range, how bad a margin could make it, on which side of ok.
//!
//! Ranges are ordered from the lowest values to the highest, without gap or overlap (`config` refuses others). A value
//! outside all of them (a ratio of 1.02 by rounding, a row whose last range ends) belongs to the outermost on its side.

use super::{Bounds, Level, Row};

impl Bounds {
    /// Whether `value` is too high for it.
    pub fn is_below(&self, value: f64) -> bool {
        self.high.is_some_and(|edge| value > edge.at || (!edge.inclusive && value >= edge.at))
    }

    /// How far `value` is from it; 0 inside and on its edges.
    pub fn distance(&self, value: f64) -> f64 {
        let below = self.low.map_or(0.0, |edge| edge.at - value);
        let above = self.high.map_or(0.0, |edge| value - edge.at);
        below.max(above).max(0.0)
    }
}

impl Row {
    /// Index of the range that holds `value`; `None` for what is not a number, or without ranges.
    pub fn range_of(&self, value: f64) -> Option<usize> {
        let last = self.ranges.len().checked_sub(1)?;
        let holds = || self.ranges.iter().position(|range| !range.bounds.is_below(value)).unwrap_or(last);
        (!value.is_nan()).then(holds)
    }

    pub fn level_of(&self, range: usize) -> Level {
        self.ranges.get(range).map_or(Level::Ok, |range| range.level)
    }

    /// The worst level of the ranges that `value` could be in, moved by up to the row's recovery margin either way.
    pub fn worst_within_margin(&self, value: f64) -> Option<Level> {
        let low = self.range_of(value - self.recover.margin)?;
        let high = self.range_of(value + self.recover.margin)?;
        self.ranges.get(low..=high)?.iter().map(|range| range.level).max()
    }
}

/// On which side of ok each range lies: ranges are on the same side if no ok range lies between them. Too low and too
/// high are two sides; a bad patch between two ok ranges is a side of its own.
#[derive(Clone, Debug)]
pub struct Sides(Vec<Side>);

/// A range of ok has no side of its own: nothing is beyond it.
type Side = Option<u32>;

impl Sides {
    pub fn new(row: &Row) -> Self {
        Self::of(row.ranges.iter().map(|range| range.level))
    }

    /// Of ranges with these levels, from the lowest values to the highest.
    pub fn of(levels: impl Iterator<Item = Level>) -> Self {
        let mut side = 0;
        let sides = levels.map(|level| {
            if level == Level::Ok {
                side += 1;
                return None;
            }
            Some(side)
        });
        Sides(sides.collect())
    }

    pub fn same(&self, one: usize, other: usize) -> bool {
        let side = |range: usize| self.0.get(range).copied().flatten();
        side(one).is_some() && side(one) == side(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Edge;

    #[test]
    fn edges_belong_to_whom_they_include() {
        let bounds = |low: Option<(f64, bool)>, high: Option<(f64, bool)>| {
            let edge = |edge: Option<(f64, bool)>| edge.map(|(at, inclusive)| Edge { at, inclusive });
            Bounds { text: "".into(), low: edge(low), high: edge(high) }
        };
        let half_open = bounds(Some((1.0, true)), Some((2.0, false)));
        let at_most = bounds(None, Some((2.0, true)));
        for (bounds, value, below, contains, distance) in [
            (&half_open, 0.5, false, false, 0.5),
            (&half_open, 1.0, false, true, 0.0),
            (&half_open, 2.0, true, false, 0.0),
            (&half_open, 2.5, true, false, 0.5),
            (&at_most, -9.0, false, true, 0.0),
            (&at_most, 2.0, false, true, 0.0),
            (&at_most, 2.25, true, false, 0.25),
        ] {
            assert_eq!(bounds.is_below(value), below, "{value} above {bounds:?}");
            assert_eq!(bounds.contains(value), contains, "{value} in {bounds:?}");
            assert_eq!(bounds.distance(value), distance, "{value} from {bounds:?}");
        }
    }
}

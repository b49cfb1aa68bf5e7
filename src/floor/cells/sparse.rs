//! A sparse vector of integers by [`Cell`]: what a floor adds up until its next flush, and a board in panes and windows.
//!
//! The cells that most events touch lie in four runs of 64. Bits say which of them there are; their values stand in the order
//! of the bits, and how many bits come before one says where its value is: nothing is searched, and a vector of few cells is
//! small. The rest, the buckets of histograms above all, is a sorted list.

use super::Cell;

#[derive(Clone, Debug, Default)]
pub struct Cells {
    touched: [u64; RUNS.len()],
    /// Where the values of each run begin.
    begins: [u8; RUNS.len()],
    values: Vec<i64>,
    /// Sorted, without zeros.
    rest: Vec<(Cell, i64)>,
}

const RUNS: [Cell; 4] = [Cell::SUMS, Cell::SERVED, Cell::LEVELS, Cell::BEYOND];

/// What one vector has allocated for the rest beyond this is given back when it is cleared.
const REST_MAX: usize = 64;

impl Cells {
    pub fn get(&self, cell: Cell) -> i64 {
        let Some((run, within)) = cell.run() else {
            return self.find_rest(cell).map_or(0, |at| self.rest.get(at).map_or(0, |(_, value)| *value));
        };
        let (bit, bits) = (1 << within, self.touched[run]);
        let index = usize::from(self.begins[run]) + (bits & (bit - 1)).count_ones() as usize;
        if bits & bit == 0 { 0 } else { self.values.get(index).copied().unwrap_or(0) }
    }

    #[inline]
    pub fn add(&mut self, cell: Cell, value: i64) {
        let Some((run, within)) = cell.run() else { return self.add_rest(cell, value) };
        let (bit, bits) = (1 << within, self.touched[run]);
        let index = usize::from(self.begins[run]) + (bits & (bit - 1)).count_ones() as usize;
        if bits & bit == 0 {
            self.touched[run] |= bit;
            self.begins.iter_mut().skip(run + 1).for_each(|begin| *begin += 1);
            self.values.insert(index, value);
        } else if let Some(sum) = self.values.get_mut(index) {
            *sum += value;
        }
    }

    fn find_rest(&self, cell: Cell) -> Result<usize, usize> {
        self.rest.binary_search_by_key(&cell, |(cell, _)| *cell)
    }

    fn add_rest(&mut self, cell: Cell, value: i64) {
        match self.find_rest(cell) {
            Ok(at) => {
                let sum = self.rest.get_mut(at).map(|(_, sum)| {
                    *sum += value;
                    *sum
                });
                if sum == Some(0) {
                    self.rest.remove(at);
                }
            }
            Err(_) if value == 0 => {}
            Err(at) => self.rest.insert(at, (cell, value)),
        }
    }

    pub fn add_each(&mut self, cells: impl Iterator<Item = (Cell, i64)>) {
        cells.for_each(|(cell, value)| self.add(cell, value));
    }

    pub fn add_all(&mut self, other: &Cells) {
        if self.touched == other.touched {
            self.values.iter_mut().zip(&other.values).for_each(|(sum, value)| *sum += value);
        } else {
            self.add_each(other.in_runs());
        }
        other.rest.iter().for_each(|(cell, value)| self.add_rest(*cell, *value));
    }

    /// Adds `sign` times a pane, whose moments (Σw·t) count from `shift` ms after the start that this vector counts from.
    pub fn add_pane(&mut self, pane: impl Iterator<Item = (Cell, i64)>, shift: i64, sign: i64) {
        for (cell, value) in pane {
            self.add(cell, sign * value);
            if cell.is_weight() {
                self.add(cell.moment(), sign * value * shift);
            }
        }
    }

    fn in_runs(&self) -> impl Iterator<Item = (Cell, i64)> + Clone {
        let cells = RUNS.into_iter().zip(self.touched).flat_map(|(first, mut bits)| {
            std::iter::from_fn(move || {
                let within = (bits != 0).then(|| bits.trailing_zeros())?;
                bits &= bits - 1;
                Some(Cell(first.0 + within))
            })
        });
        cells.zip(self.values.iter().copied())
    }

    /// Every cell that is not 0, sorted.
    pub fn each(&self) -> impl Iterator<Item = (Cell, i64)> + Clone {
        let (mut runs, mut rest) = (self.in_runs().peekable(), self.rest.iter().copied().peekable());
        let both = std::iter::from_fn(move || match runs.peek() {
            Some((cell, _)) => rest.next_if(|(other, _)| other < cell).or_else(|| runs.next()),
            None => rest.next(),
        });
        both.filter(|(_, value)| *value != 0)
    }

    /// Those of the rest in `[from, to)`, where both are in no run: the buckets of a histogram.
    pub fn rest_in(&self, from: Cell, to: Cell) -> &[(Cell, i64)] {
        let begin = |bound: Cell| self.rest.partition_point(|(cell, _)| *cell < bound);
        self.rest.get(begin(from)..begin(to)).unwrap_or(&[])
    }

    pub fn is_zero(&self) -> bool {
        self.rest.is_empty() && self.values.iter().all(|value| *value == 0)
    }

    /// As new, but what was allocated is used again.
    pub fn clear(&mut self) {
        (self.touched, self.begins) = Default::default();
        self.values.clear();
        self.rest.clear();
        self.rest.shrink_to(REST_MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::Clock;
    use crate::floor::cells::{Beyond, Histogram, Level, Served, Sum};

    fn cell() -> impl Strategy<Value = Cell> {
        let clock = prop::sample::select(vec![Clock::Elapsed, Clock::Open]);
        prop_oneof![
            clock.prop_map(|clock| Cell::sum(Sum::WaitTotal).on(clock)),
            Just(Cell::sum(Sum::Arrivals)),
            (0..40usize).prop_map(|threshold| Cell::served(threshold, Served::Answered)),
            (0..40usize).prop_map(|threshold| Cell::beyond(threshold, Beyond::Open)),
            any::<bool>().prop_map(|w| if w { Cell::level(Level::Open) } else { Cell::level(Level::Open).moment() }),
            (0..3usize).prop_map(Cell::waiting_on),
            (0..9u16).prop_map(|bucket| Cell::bucket(Histogram::Wait(Clock::Open), bucket)),
        ]
    }

    fn list() -> impl Strategy<Value = Vec<(Cell, i64)>> {
        prop::collection::vec((cell(), -2..3i64), 0..80)
    }

    proptest! {
        #[test]
        fn it_is_a_map_of_sums(one in list(), other in list(), shift in 0..9i64) {
            let mut expected: BTreeMap<Cell, i64> = BTreeMap::new();
            let mut count = |cell: Cell, value| *expected.entry(cell).or_insert(0) += value;
            for &(cell, value) in one.iter().chain(&other) {
                count(cell, value);
            }
            for &(cell, value) in &other {
                count(cell, -value);
                if cell.is_weight() {
                    count(cell.moment(), -value * shift);
                }
            }
            let (mut sum, mut more) = (Cells::default(), Cells::default());
            sum.add_each(one.iter().copied());
            more.add_each(other.iter().copied());
            sum.add_all(&more);
            sum.add_pane(more.each(), shift, -1);
            expected.retain(|_, value| *value != 0);
            prop_assert!(sum.each().eq(expected.iter().map(|(cell, value)| (*cell, *value))));
            prop_assert_eq!(sum.is_zero(), expected.is_empty());
            for (cell, _) in one.iter().chain(&other) {
                prop_assert_eq!(sum.get(*cell), expected.get(cell).copied().unwrap_or(0));
            }
            let (from, to) = Cell::buckets(Histogram::Wait(Clock::Open));
            let buckets: Vec<_> = expected.range(from..to).map(|(cell, value)| (*cell, *value)).collect();
            prop_assert_eq!(sum.rest_in(from, to), &buckets[..]);
        }
    }
}

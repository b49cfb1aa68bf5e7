//! A sparse vector of integers by [`Cell`], sorted: what a pane, a window and a total are.

use crate::floor::cells::Cell;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cells(Vec<(Cell, i64)>);

impl Cells {
    pub fn get(&self, cell: Cell) -> i64 {
        match self.0.binary_search_by_key(&cell, |(cell, _)| *cell) {
            Ok(index) => self.0[index].1,
            Err(_) => 0,
        }
    }

    pub fn add(&mut self, cell: Cell, value: i64) {
        if value == 0 {
            return;
        }
        match self.0.binary_search_by_key(&cell, |(cell, _)| *cell) {
            Ok(index) => {
                self.0[index].1 += value;
                if self.0[index].1 == 0 {
                    self.0.remove(index);
                }
            }
            Err(index) => self.0.insert(index, (cell, value)),
        }
    }

    /// Adds `sign` times a pane, whose moments (Σw·t) count from `shift` ms after the start that this vector counts from.
    pub fn add_pane(&mut self, pane: &Cells, shift: i64, sign: i64) {
        for &(cell, value) in &pane.0 {
            self.add(cell, value * sign);
            if cell.is_weight() {
                self.add(cell.moment(), value * shift * sign);
            }
        }
    }

    /// The cells in `[from, to)`. Found from the end, where the buckets are that are read next: a search by halves would
    /// fetch memory that nobody needs.
    pub fn range(&self, from: Cell, to: Cell) -> &[(Cell, i64)] {
        let end = |bound: Cell| self.0.iter().rposition(|(cell, _)| *cell < bound).map_or(0, |last| last + 1);
        self.0.get(end(from)..end(to)).unwrap_or(&[])
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

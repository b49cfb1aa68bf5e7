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

    /// The cells in `[from, to)`.
    pub fn range(&self, from: Cell, to: Cell) -> &[(Cell, i64)] {
        let low = self.0.partition_point(|(cell, _)| *cell < from);
        let high = self.0.partition_point(|(cell, _)| *cell < to);
        self.0.get(low..high).unwrap_or(&[])
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

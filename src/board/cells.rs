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

    /// Adds cells that are sorted: each is looked for behind the one before.
    pub fn add_sorted(&mut self, cells: impl Iterator<Item = (Cell, i64)>) {
        let mut from = 0;
        for (cell, value) in cells {
            let rest = self.0.get(from..).unwrap_or(&[]);
            let here = rest.first().is_some_and(|(known, _)| *known == cell);
            from += if here { 0 } else { rest.partition_point(|(known, _)| *known < cell) };
            match self.0.get_mut(from).filter(|(known, _)| *known == cell) {
                Some((_, sum)) => *sum += value,
                None => self.0.insert(from, (cell, value)),
            }
            from += 1;
        }
        self.0.retain(|(_, value)| *value != 0);
    }

    /// Adds `sign` times a pane, whose moments (Σw·t) count from `shift` ms after the start that this vector counts from.
    pub fn add_pane(&mut self, pane: &Cells, shift: i64, sign: i64) {
        self.add_sorted(shifted(&pane.0, shift).map(|(cell, value)| (cell, value * sign)));
    }

    /// The cells in `[from, to)`.
    pub fn range(&self, from: Cell, to: Cell) -> &[(Cell, i64)] {
        let low = self.0.partition_point(|(cell, _)| *cell < from);
        let high = self.0.partition_point(|(cell, _)| *cell < to);
        self.0.get(low..high).unwrap_or(&[])
    }

    pub fn as_slice(&self) -> &[(Cell, i64)] {
        &self.0
    }

    pub fn from_sorted(cells: Vec<(Cell, i64)>) -> Cells {
        Cells(cells)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Sorted cells whose moments count from `shift` ms later than those given: a weight moves its moment, also one that was 0.
pub(super) fn shifted(cells: &[(Cell, i64)], shift: i64) -> impl Iterator<Item = (Cell, i64)> {
    let mut cells = cells.iter().copied().peekable();
    let mut moment = None;
    std::iter::from_fn(move || {
        if let Some((cell, value)) = moment.take() {
            let own = cells.next_if(|(next, _)| *next == cell).map_or(0, |(_, own)| own);
            return Some((cell, own + value));
        }
        let (cell, value) = cells.next()?;
        moment = cell.is_weight().then(|| (cell.moment(), value * shift));
        Some((cell, value))
    })
}

//! The sum of a window's panes: made when somebody reads it, kept up with the panes from then on, and given up when nobody has
//! read it for a while. So a key pays for the windows that are looked at, not for those that there are.

use super::Pane;
use crate::board::windows::Edges;
use crate::floor::cells::{Cell, Cells, EPOCH};

#[derive(Debug, Default)]
pub(super) struct Window {
    /// Moments count from [`EPOCH`].
    sum: Cells,
    /// The panes summed up begin in `[from, to)`; none where it is not made.
    from: i64,
    to: i64,
    /// Since it was last asked whether it is worth keeping.
    read: bool,
}

impl Window {
    pub fn cells(&self) -> &Cells {
        &self.sum
    }

    /// Brings it to new edges, for one who reads it. `open` is where the open pane begins, which is in no sum; `panes` those
    /// that ended, sorted.
    pub fn bring<'a, P>(&mut self, edges: &Edges, open: i64, panes: impl Fn(i64, i64) -> P)
    where
        P: Iterator<Item = &'a Pane>,
    {
        self.read = true;
        if self.is_at(edges, open) {
            return;
        }
        let (from, to) = (edges.left, edges.right.min(open));
        if !(self.from..self.to).contains(&from) {
            *self = Window { from, to: from, read: true, ..Window::default() };
        }
        for (from, to, sign) in [(self.from, from, -1), (self.to, to, 1)] {
            panes(from, to).for_each(|pane| self.sum.add_pane(pane.cells.iter(), pane.start - EPOCH, sign));
        }
        (self.from, self.to) = (from, to);
    }

    /// Whether it is of these edges.
    pub fn is_at(&self, edges: &Edges, open: i64) -> bool {
        (self.from, self.to) == (edges.left, edges.right.min(open))
    }

    /// A pane that had ended before gets more: it is kept from `begin` to `end`, being merged with others where it is old.
    pub fn correct(&mut self, begin: i64, end: i64, start: i64, cells: impl Iterator<Item = (Cell, i64)>) {
        if self.from <= begin && end <= self.to {
            self.sum.add_pane(cells, start - EPOCH, 1);
        } else if self.from < end && begin < self.to {
            // It fell behind: half of the pane is in the sum.
            *self = Window::default();
        }
    }

    /// Whether it was read since the last time that this was asked; if not, it is given up.
    pub fn is_worth_keeping(&mut self) -> bool {
        let read = std::mem::take(&mut self.read);
        if !read {
            *self = Window::default();
        }
        read
    }
}

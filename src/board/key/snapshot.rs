//! The figures of one key as a snapshot of the board holds them; `board::snapshot` has the layout.

use super::{KeyState, Pane, Total};
use crate::board::cells::Cells;
use crate::board::windows::Edges;
use crate::floor::Age;
use crate::floor::cells::{Cell, PANE};
use crate::snapshot::{Reader, SnapshotError, Writer, ensure, instant};

const AGES: [Age; 3] = [Age::Wait, Age::Unanswered, Age::Unqueued];

impl KeyState {
    pub fn write(&self, to: &mut Writer) {
        let mut oldest = self.oldest.clone();
        oldest.sort_unstable();
        to.put(&(oldest.len() as u64));
        for (source, age, start) in oldest {
            to.put(&(source, age as u8, start));
        }
        to.put(&(self.totals.len() as u64));
        let mut before = 0;
        for Total { cell, value, peak } in &self.totals {
            to.put(&(cell.0 - before, value, peak.wrapping_sub(*value)));
            before = cell.0;
        }
        // What was taken back to the last leaves a pane of nothing.
        let kept = || self.coarse.iter().chain(&self.fine).chain([&self.open]);
        let panes = || kept().filter(|pane| !pane.cells.is_empty());
        to.put(&(panes().count() as u64));
        let mut before = 0;
        for pane in panes() {
            let start = pane.start.div_euclid(PANE.0);
            to.put(&(start - before));
            before = start;
            put_cells(&pane.cells, to);
        }
    }

    pub fn read(edges: &[Edges], open_from: i64, from: &mut Reader<'_>) -> Result<KeyState, SnapshotError> {
        let mut state = KeyState::new(edges);
        for _ in 0..from.count("oldest")? {
            let (source, age, start): (u32, u8, i64) = from.take("oldest")?;
            let age = AGES.get(usize::from(age)).ok_or(SnapshotError::Invalid("oldest"))?;
            state.oldest.push((source, *age, instant(Some(start), "oldest")?));
        }
        let totals = from.count("totals")?;
        state.totals.reserve_exact(totals);
        let mut before = None;
        for _ in 0..totals {
            let (after, value, below): (u32, i64, i64) = from.take("totals")?;
            let cell = next(before, after)?;
            state.totals.push(Total { cell, value, peak: value.wrapping_add(below) });
            state.nonzero += usize::from(value != 0);
            before = Some(cell);
        }
        let mut before: Option<i64> = None;
        for _ in 0..from.count("panes")? {
            let after: i64 = from.take("panes")?;
            ensure(before.is_none() || after > 0, "panes")?;
            let number = before.unwrap_or(0).checked_add(after);
            before = number;
            let start = instant(number.and_then(|number| number.checked_mul(PANE.0)), "panes")?;
            let cells = take_cells(from)?;
            // The last one is open, unless it ended before the board's instant.
            if start >= open_from {
                state.end_pane(start);
                state.open.cells = cells;
            } else {
                state.put(Pane { start, cells });
            }
        }
        Ok(state)
    }
}

fn put_cells(cells: &Cells, to: &mut Writer) {
    let cells = cells.as_slice();
    to.put(&(cells.len() as u64));
    let mut before = 0;
    for (cell, value) in cells {
        to.put(&(cell.0 - before, value));
        before = cell.0;
    }
}

fn take_cells(from: &mut Reader<'_>) -> Result<Cells, SnapshotError> {
    let count = from.count("cells")?;
    let (mut cells, mut before) = (Vec::with_capacity(count), None);
    for _ in 0..count {
        let (after, value): (u32, i64) = from.take("cells")?;
        let cell = next(before, after)?;
        cells.push((cell, value));
        before = Some(cell);
    }
    Ok(Cells::from_sorted(cells))
}

/// Cells rise.
fn next(before: Option<Cell>, after: u32) -> Result<Cell, SnapshotError> {
    ensure(before.is_none() || after > 0, "order of cells")?;
    let cell = before.map_or(Some(after), |before| before.0.checked_add(after));
    cell.map(Cell).ok_or(SnapshotError::Invalid("cell"))
}

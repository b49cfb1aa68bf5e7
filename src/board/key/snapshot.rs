//! The figures of one key as a snapshot of the board holds them; `board::snapshot` has the layout.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::KeyState;
use crate::board::windows::Frame;
use crate::floor::Age;
use crate::floor::cells::{Cell, EPOCH, PANE};
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
        let mut totals = self.totals.clone();
        if !self.open.cells.is_zero() {
            totals.add_pane(self.open.cells.each(), self.open.start - EPOCH, 1);
        }
        let mut totals: BTreeMap<Cell, (i64, i64)> = totals.each().map(|(cell, value)| (cell, (value, 0))).collect();
        for (cell, _) in &self.peaks {
            let total = totals.entry(*cell).or_default();
            total.1 = self.peak_of(*cell).wrapping_sub(total.0);
        }
        totals.retain(|_, total| *total != (0, 0));
        to.put(&(totals.len() as u64));
        let mut before = 0;
        for (cell, (value, below)) in totals {
            to.put(&(cell.0 - before, value, below));
            before = cell.0;
        }
        // What was taken back to the last leaves a pane of nothing.
        let kept = self.coarse.iter().chain(&self.fine).map(|pane| (pane.start, pane.cells.iter().collect::<Vec<_>>()));
        let open = (self.open.start, self.open.cells.each().collect());
        let panes: Vec<_> = kept.chain([open]).filter(|(_, cells)| !cells.is_empty()).collect();
        to.put(&(panes.len() as u64));
        let mut before = 0;
        for (start, cells) in panes {
            let start = start.div_euclid(PANE.0);
            to.put(&(start - before));
            before = start;
            put_cells(&cells, to);
        }
    }

    pub fn read(frame: &Arc<Frame>, from: &mut Reader<'_>) -> Result<KeyState, SnapshotError> {
        let mut state = KeyState::new(frame);
        for _ in 0..from.count("oldest")? {
            let (source, age, start): (u32, u8, i64) = from.take("oldest")?;
            let age = AGES.get(usize::from(age)).ok_or(SnapshotError::Invalid("oldest"))?;
            state.oldest.push((source, *age, instant(Some(start), "oldest")?));
        }
        let count = from.count("totals")?;
        let mut totals = Vec::with_capacity(count);
        let mut before = None;
        for _ in 0..count {
            let (after, value, below): (u32, i64, i64) = from.take("totals")?;
            let cell = next(before, after)?;
            totals.push((cell, value));
            if below != 0 {
                state.peaks.push((cell, value.wrapping_add(below)));
            }
            before = Some(cell);
        }
        state.totals.add_each(totals.into_iter());
        // Every pane that ended lies before the open one.
        state.open.start = frame.open_from;
        let mut before: Option<i64> = None;
        for _ in 0..from.count("panes")? {
            let after: i64 = from.take("panes")?;
            ensure(before.is_none() || after > 0, "panes")?;
            let number = before.unwrap_or(0).checked_add(after);
            before = number;
            let start = instant(number.and_then(|number| number.checked_mul(PANE.0)), "panes")?;
            let cells = take_cells(from)?;
            // The last one is open, unless it ended before the board's instant.
            if start >= frame.open_from {
                state.totals.add_pane(cells.iter().copied(), start - EPOCH, -1);
                state.end_pane(start);
                state.open.cells.add_each(cells.into_iter());
            } else {
                state.keep(start, cells.into_iter());
            }
        }
        state.note_seen();
        Ok(state)
    }
}

fn put_cells(cells: &[(Cell, i64)], to: &mut Writer) {
    to.put(&(cells.len() as u64));
    let mut before = 0;
    for (cell, value) in cells {
        to.put(&(cell.0 - before, value));
        before = cell.0;
    }
}

fn take_cells(from: &mut Reader<'_>) -> Result<Vec<(Cell, i64)>, SnapshotError> {
    let count = from.count("cells")?;
    let (mut cells, mut before) = (Vec::with_capacity(count), None);
    for _ in 0..count {
        let (after, value): (u32, i64) = from.take("cells")?;
        let cell = next(before, after)?;
        cells.push((cell, value));
        before = Some(cell);
    }
    Ok(cells)
}

/// Cells rise.
fn next(before: Option<Cell>, after: u32) -> Result<Cell, SnapshotError> {
    ensure(before.is_none() || after > 0, "order of cells")?;
    let cell = before.map_or(Some(after), |before| before.0.checked_add(after));
    cell.map(Cell).ok_or(SnapshotError::Invalid("cell"))
}

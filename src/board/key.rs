//! The figures of one key: panes, and for every window the sum of the panes in it.
//!
//! The newest pane is kept apart and in no window's sum: it is added when a figure is read. So a contribution in order
//! costs one addition, however many windows there are; windows pay when they are read.

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use super::packed::Packed;
use super::windows::{COARSE, Frame};
use crate::domain::Timestamp;
use crate::floor::cells::{Cell, Cells, EPOCH, PANE};
use crate::floor::{Age, KeyDelta};

mod snapshot;
mod window;

use window::Window;

/// A pane that is no longer open.
#[derive(Debug)]
struct Pane {
    start: i64,
    cells: Packed,
}

/// The newest pane.
#[derive(Debug)]
struct Open {
    start: i64,
    cells: Cells,
}

#[derive(Debug)]
pub(super) struct KeyState {
    /// Panes of a minute, older than every short window, then panes of ten seconds; each sorted by start, none empty.
    coarse: VecDeque<Pane>,
    fine: VecDeque<Pane>,
    open: Open,
    /// Per window, once one is read.
    windows: Vec<Window>,
    /// Where the windows are, as this key was last moved.
    frame: Arc<Frame>,
    /// Of all time but the open pane. Moments count from [`EPOCH`].
    totals: Cells,
    /// The largest value that a counter ever had, where it has fallen since.
    peaks: Vec<(Cell, i64)>,
    /// Per source and age, the oldest start that runs there.
    oldest: SmallVec<[(u32, Age, i64); 2]>,
    seen: bool,
}

impl KeyState {
    pub fn new(frame: &Arc<Frame>) -> Self {
        KeyState {
            coarse: VecDeque::new(),
            fine: VecDeque::new(),
            open: Open { start: i64::MIN, cells: Cells::default() },
            windows: Vec::new(),
            frame: frame.clone(),
            totals: Cells::default(),
            peaks: Vec::new(),
            oldest: SmallVec::new(),
            seen: false,
        }
    }

    pub fn apply(&mut self, source: u32, delta: &KeyDelta<'_>) {
        for (start, cells) in delta.panes() {
            let start = start.0;
            self.remember_peaks(cells);
            if start > self.open.start {
                self.end_pane(start);
            }
            if start == self.open.start {
                self.open.cells.add_each(cells.iter().copied());
            } else {
                self.put(start, cells.iter().copied());
            }
        }
        for &(age, oldest) in delta.oldest {
            self.oldest.retain(|(s, a, _)| (*s, *a) != (source, age));
            if let Some(start) = oldest {
                self.oldest.push((source, age, start.0));
            }
        }
        self.note_seen();
    }

    /// Whether anything is known of it. Contributions that were all taken back leave nothing.
    pub fn is_seen(&self) -> bool {
        self.seen
    }

    fn note_seen(&mut self) {
        let mut cells = self.totals.each().chain(self.open.cells.each());
        self.seen = cells.any(|(cell, _)| self.total_of(cell) != 0);
    }

    /// Before counters fall: one that was seen higher stays where it was.
    fn remember_peaks(&mut self, cells: &[(Cell, i64)]) {
        for (cell, _) in cells.iter().filter(|(cell, value)| *value < 0 && cell.is_counter()) {
            let peak = self.peak_of(*cell);
            match self.peaks.iter_mut().find(|(known, _)| known == cell) {
                Some((_, kept)) => *kept = peak,
                None => self.peaks.push((*cell, peak)),
            }
        }
    }

    /// The open pane ends; one that begins at `start` is open now.
    fn end_pane(&mut self, start: i64) {
        let ended = std::mem::replace(&mut self.open, Open { start, cells: Cells::default() });
        if !ended.cells.is_zero() {
            self.put(ended.start, ended.cells.each());
        }
    }

    /// Adds cells of a pane that is not open, sorted.
    fn put(&mut self, start: i64, cells: impl Iterator<Item = (Cell, i64)> + Clone) {
        self.totals.add_pane(cells.clone(), start - EPOCH, 1);
        if let Some((begin, end)) = self.kept_as(start) {
            self.windows.iter_mut().for_each(|window| window.correct(begin, end, start, cells.clone()));
            self.keep(start, cells);
        }
    }

    /// From when to when the pane reaches that one beginning at `start` is kept in; `None` where no window reaches it.
    fn kept_as(&self, start: i64) -> Option<(i64, i64)> {
        let (width, kept) =
            if start >= self.frame.fine_from { (PANE, true) } else { (COARSE, start >= self.frame.kept_from) };
        let begin = Timestamp(start).floor_to(width).0;
        kept.then_some((begin, begin + width.0))
    }

    /// Adds cells to the panes kept.
    fn keep(&mut self, start: i64, cells: impl Iterator<Item = (Cell, i64)>) {
        match self.kept_as(start) {
            Some((begin, _)) if begin >= self.frame.fine_from => insert(&mut self.fine, start, 0, cells),
            Some((minute, _)) => insert(&mut self.coarse, minute, start - minute, cells),
            None => {}
        }
    }

    /// Moves the key to where the windows are now; they never move back.
    pub fn slide(&mut self, frame: &Arc<Frame>) {
        if frame.open_from > self.open.start && !self.open.cells.is_zero() {
            self.end_pane(frame.open_from);
        }
        if Arc::ptr_eq(&self.frame, frame) {
            return;
        }
        self.frame = frame.clone();
        let before = |panes: &VecDeque<Pane>, start| panes.front().is_some_and(|pane| pane.start < start);
        if before(&self.fine, frame.fine_from) || before(&self.coarse, frame.kept_from) {
            self.let_windows_follow();
            while let Some(pane) = self.fine.pop_front_if(|pane| pane.start < frame.fine_from) {
                self.keep(pane.start, pane.cells.iter());
            }
            while self.coarse.pop_front_if(|pane| pane.start < frame.kept_from).is_some() {}
        }
    }

    /// Before panes that sums may be of are merged or go.
    fn let_windows_follow(&mut self) {
        for window in 0..self.windows.len() {
            if self.windows.get_mut(window).is_some_and(Window::is_worth_keeping) {
                self.bring(window);
            }
        }
    }

    /// Sums a window up, for those who are about to read it.
    pub fn bring(&mut self, window: usize) {
        let KeyState { coarse, fine, open, windows, frame, .. } = self;
        let Some(edges) = frame.edges.get(window) else { return };
        if windows.is_empty() {
            windows.resize_with(frame.edges.len(), Window::default);
        }
        let panes = |from, to| {
            let within = |panes: &'_ VecDeque<Pane>| panes.partition_point(|pane| pane.start < from);
            let coarse = coarse.range(within(coarse)..);
            coarse.chain(fine.range(within(fine)..)).take_while(move |pane| pane.start < to)
        };
        if let Some(window) = windows.get_mut(window) {
            window.bring(edges, open.start, panes);
        }
    }

    /// The sum of a window that was brought here.
    fn summed(&self, number: usize) -> Option<&Cells> {
        let window = self.windows.get(number);
        debug_assert!(
            window
                .zip(self.frame.edges.get(number))
                .is_some_and(|(window, edges)| window.is_at(edges, self.open.start))
        );
        window.map(Window::cells)
    }

    /// A cell summed over a window.
    pub fn sum(&self, window: usize, cell: Cell) -> i64 {
        let kept = self.summed(window).map_or(0, |sum| sum.get(cell));
        kept + if self.open_in(window) { self.open.cells.get(cell) } else { 0 }
    }

    /// Σw and Σw·t of a level over a window, t since [`EPOCH`].
    pub fn steps(&self, window: usize, level: Cell) -> (i64, i64) {
        let moment = level.moment();
        let (mut w, mut wt) = self.summed(window).map_or((0, 0), |sum| (sum.get(level), sum.get(moment)));
        if self.open_in(window) {
            let weight = self.open.cells.get(level);
            w += weight;
            wt += self.open.cells.get(moment) + weight * (self.open.start - EPOCH);
        }
        (w, wt)
    }

    fn open_in(&self, window: usize) -> bool {
        self.frame.edges.get(window).is_some_and(|edges| (edges.left..edges.right).contains(&self.open.start))
    }

    /// Of all time; a moment counts from [`EPOCH`].
    pub fn total_of(&self, cell: Cell) -> i64 {
        let weight = cell.weight_of_moment().map_or(0, |weight| self.open.cells.get(weight));
        // Before the first contribution no pane has begun.
        let shift = if weight == 0 { 0 } else { weight * (self.open.start - EPOCH) };
        self.totals.get(cell) + self.open.cells.get(cell) + shift
    }

    /// The largest value that a counter ever had.
    pub fn peak_of(&self, cell: Cell) -> i64 {
        let peak = self.peaks.iter().find(|(known, _)| *known == cell).map_or(0, |(_, peak)| *peak);
        peak.max(self.total_of(cell))
    }

    /// Counts of the buckets in `[from, to)` over a window, in order, and their sum.
    pub fn buckets(&self, window: usize, from: Cell, to: Cell) -> (impl Iterator<Item = (Cell, i64)>, i64) {
        let kept = self.summed(window).map_or(&[][..], |sum| sum.rest_in(from, to));
        let open = if self.open_in(window) { self.open.cells.rest_in(from, to) } else { &[] };
        (merged(kept, open), kept.iter().chain(open).map(|(_, count)| count).sum())
    }

    /// The buckets in `[from, to)` that have samples of all time, in order.
    pub fn buckets_of_all_time(&self, from: Cell, to: Cell) -> impl Iterator<Item = (u16, i64)> {
        let both = merged(self.totals.rest_in(from, to), self.open.cells.rest_in(from, to));
        both.filter(|(_, count)| *count > 0).map(|(cell, count)| (cell.bucket_index(), count))
    }

    pub fn oldest(&self, age: Age) -> Option<Timestamp> {
        self.oldest.iter().filter(|(_, a, _)| *a == age).map(|(.., start)| *start).min().map(Timestamp)
    }
}

/// The samples of both, bucket by bucket.
fn merged<'a>(kept: &'a [(Cell, i64)], open: &'a [(Cell, i64)]) -> impl Iterator<Item = (Cell, i64)> + use<'a> {
    let (mut kept, mut open) = (kept.iter().copied().peekable(), open.iter().copied().peekable());
    std::iter::from_fn(move || match (kept.peek(), open.peek()) {
        (Some((cell, _)), Some((other, _))) if cell == other => {
            kept.next().zip(open.next()).map(|((cell, count), (_, more))| (cell, count + more))
        }
        (Some((cell, _)), Some((other, _))) if other < cell => open.next(),
        (Some(_), _) => kept.next(),
        (None, _) => open.next(),
    })
}

/// Adds cells, sorted, whose moments count from `shift` ms after it, to the pane that begins at `start`.
fn insert(panes: &mut VecDeque<Pane>, start: i64, shift: i64, cells: impl Iterator<Item = (Cell, i64)>) {
    let index = panes.partition_point(|other| other.start < start);
    let there = panes.get_mut(index).filter(|other| other.start == start);
    if there.is_none() && shift == 0 {
        return panes.insert(index, Pane { start, cells: Packed::of(cells) });
    }
    let mut sum = Cells::default();
    sum.add_pane(cells, shift, 1);
    match there {
        Some(other) => {
            sum.add_each(other.cells.iter());
            other.cells = Packed::of(sum.each());
        }
        None => panes.insert(index, Pane { start, cells: Packed::of(sum.each()) }),
    }
}

//! The figures of one key: panes, and for every window the sum of the panes in it.
//!
//! The newest pane is kept apart and in no window's sum: it is added when a figure is read. So a contribution in order
//! costs one addition, however many windows there are; windows pay when a pane ends.

use std::collections::VecDeque;

use smallvec::SmallVec;

use super::cells::{Cells, shifted};
use super::windows::{COARSE, Edges};
use crate::domain::{Millis, Timestamp};
use crate::floor::cells::{Cell, EPOCH};
use crate::floor::{Age, KeyDelta};

mod snapshot;

#[derive(Debug)]
struct Pane {
    start: i64,
    cells: Cells,
}

/// A total of all time, and the largest value that it ever had.
#[derive(Debug)]
struct Total {
    cell: Cell,
    value: i64,
    peak: i64,
}

#[derive(Debug)]
pub(super) struct KeyState {
    /// Panes of a minute, older than every short window, then panes of ten seconds; each sorted by start, none empty.
    coarse: VecDeque<Pane>,
    fine: VecDeque<Pane>,
    open: Pane,
    /// Per window: the panes in `[left, right)` but the open one. Moments count from [`EPOCH`].
    sums: Vec<Cells>,
    /// The edges that `sums` are of.
    edges: Vec<Edges>,
    totals: Vec<Total>,
    /// How many totals are not zero: none, and nothing that happened is known of this key.
    nonzero: usize,
    /// Per source and age, the oldest start that runs there.
    oldest: SmallVec<[(u32, Age, i64); 2]>,
}

impl KeyState {
    pub fn new(edges: &[Edges]) -> Self {
        KeyState {
            coarse: VecDeque::new(),
            fine: VecDeque::new(),
            open: Pane { start: i64::MIN, cells: Cells::default() },
            sums: vec![Cells::default(); edges.len()],
            edges: edges.to_vec(),
            totals: Vec::new(),
            nonzero: 0,
            oldest: SmallVec::new(),
        }
    }

    pub fn apply(&mut self, source: u32, delta: &KeyDelta<'_>) {
        for (start, cells) in delta.panes() {
            let start = start.0;
            self.add_to_totals(cells, start - EPOCH);
            if start > self.open.start {
                self.end_pane(start);
            }
            if start == self.open.start {
                self.open.cells.add_sorted(cells.iter().copied());
            } else {
                let mut late = Cells::default();
                late.add_sorted(cells.iter().copied());
                self.put(Pane { start, cells: late });
            }
        }
        for &(age, oldest) in delta.oldest {
            self.oldest.retain(|(s, a, _)| (*s, *a) != (source, age));
            if let Some(start) = oldest {
                self.oldest.push((source, age, start.0));
            }
        }
    }

    /// Whether anything is known of it. Contributions that were all taken back leave nothing.
    pub fn is_seen(&self) -> bool {
        self.nonzero > 0
    }

    /// Adds a pane's cells, sorted, whose moments count from `shift` ms after [`EPOCH`].
    fn add_to_totals(&mut self, cells: &[(Cell, i64)], shift: i64) {
        let mut from = 0;
        for (cell, value) in shifted(cells, shift) {
            let rest = self.totals.get(from..).unwrap_or(&[]);
            let here = rest.first().is_some_and(|total| total.cell == cell);
            from += if here { 0 } else { rest.partition_point(|total| total.cell < cell) };
            match self.totals.get_mut(from).filter(|total| total.cell == cell) {
                Some(total) => {
                    self.nonzero -= usize::from(total.value != 0);
                    total.value += value;
                    self.nonzero += usize::from(total.value != 0);
                    total.peak = total.peak.max(total.value);
                }
                None => {
                    self.totals.insert(from, Total { cell, value, peak: value.max(0) });
                    self.nonzero += 1;
                }
            }
            from += 1;
        }
    }

    /// The open pane ends; one that begins at `start` is open now.
    fn end_pane(&mut self, start: i64) {
        let ended = std::mem::replace(&mut self.open, Pane { start, cells: Cells::default() });
        if !ended.cells.is_empty() {
            self.put(ended);
        }
    }

    /// Adds a pane that is not open to the panes kept and to the windows that it lies in.
    fn put(&mut self, pane: Pane) {
        for (edges, sum) in self.edges.iter().zip(&mut self.sums) {
            if (edges.left..edges.right).contains(&pane.start) {
                sum.add_pane(&pane.cells, pane.start - EPOCH, 1);
            }
        }
        if pane.start >= self.oldest_kept() {
            if pane.start >= self.fine_from() {
                insert(&mut self.fine, pane);
            } else {
                insert_coarse(&mut self.coarse, pane);
            }
        }
    }

    /// No window reaches before this.
    fn oldest_kept(&self) -> i64 {
        self.edges.iter().map(|edges| edges.left).min().unwrap_or(i64::MAX)
    }

    /// Panes before this are merged by the minute: no edge that lies off the minute can come there again.
    fn fine_from(&self) -> i64 {
        let newest_hour = self.edges.iter().map(|edges| edges.left).max().unwrap_or(i64::MAX);
        let hour_ago =
            self.edges.iter().map(|edges| edges.left).filter(|left| *left >= newest_hour - 2 * Millis::HOUR.0);
        Timestamp(hour_ago.min().unwrap_or(newest_hour)).floor_to(COARSE).0
    }

    /// Moves the windows to new edges; edges never move back.
    pub fn slide(&mut self, edges: &[Edges], open_from: i64) {
        if open_from > self.open.start && !self.open.cells.is_empty() {
            self.end_pane(open_from);
        }
        if self.edges == edges {
            return;
        }
        let old = std::mem::replace(&mut self.edges, edges.to_vec());
        for ((old, new), sum) in old.iter().zip(edges).zip(&mut self.sums) {
            let mut change = |from: i64, to: i64, sign: i64| {
                for panes in [&self.coarse, &self.fine] {
                    let first = panes.partition_point(|pane| pane.start < from);
                    for pane in panes.range(first..).take_while(|pane| pane.start < to) {
                        sum.add_pane(&pane.cells, pane.start - EPOCH, sign);
                    }
                }
            };
            change(old.left, new.left.min(old.right), -1);
            change(old.right.max(new.left), new.right, 1);
        }
        let (kept, fine) = (self.oldest_kept(), self.fine_from());
        while let Some(pane) = self.fine.pop_front_if(|pane| pane.start < fine) {
            insert_coarse(&mut self.coarse, pane);
        }
        while self.coarse.pop_front_if(|pane| pane.start < kept).is_some() {}
        while self.fine.pop_front_if(|pane| pane.start < kept).is_some() {}
    }

    /// A cell summed over a window.
    pub fn sum(&self, window: usize, cell: Cell) -> i64 {
        let kept = self.sums.get(window).map_or(0, |sum| sum.get(cell));
        kept + if self.open_in(window) { self.open.cells.get(cell) } else { 0 }
    }

    /// Σw and Σw·t of a level over a window, t since [`EPOCH`].
    pub fn steps(&self, window: usize, level: Cell) -> (i64, i64) {
        let moment = level.moment();
        let (mut w, mut wt) = self.sums.get(window).map_or((0, 0), |sum| (sum.get(level), sum.get(moment)));
        if self.open_in(window) {
            let weight = self.open.cells.get(level);
            w += weight;
            wt += self.open.cells.get(moment) + weight * (self.open.start - EPOCH);
        }
        (w, wt)
    }

    fn open_in(&self, window: usize) -> bool {
        self.edges.get(window).is_some_and(|edges| (edges.left..edges.right).contains(&self.open.start))
    }

    pub fn total_of(&self, cell: Cell) -> i64 {
        self.totals.binary_search_by_key(&cell, |total| total.cell).map_or(0, |index| self.totals[index].value)
    }

    pub fn peak_of(&self, cell: Cell) -> i64 {
        self.totals.binary_search_by_key(&cell, |total| total.cell).map_or(0, |index| self.totals[index].peak)
    }

    /// The buckets in `[from, to)` that have samples in a window, in order.
    pub fn buckets(&self, window: usize, from: Cell, to: Cell) -> impl Iterator<Item = (u16, i64)> {
        let mut kept = self.sums.get(window).map_or(&[][..], |sum| sum.range(from, to));
        let mut open = if self.open_in(window) { self.open.cells.range(from, to) } else { &[] };
        let both = std::iter::from_fn(move || match (kept.split_first(), open.split_first()) {
            (Some((&(cell, count), rest)), Some((&(other, more), rest_open))) if cell == other => {
                (kept, open) = (rest, rest_open);
                Some((cell, count + more))
            }
            (Some((&one, rest)), other) if other.is_none_or(|((cell, _), _)| one.0 < *cell) => {
                kept = rest;
                Some(one)
            }
            (_, Some((&one, rest))) => {
                open = rest;
                Some(one)
            }
            (_, None) => None,
        });
        both.filter(|(_, count)| *count > 0).map(|(cell, count)| (cell.bucket_index(), count))
    }

    /// The buckets in `[from, to)` that have samples of all time, in order.
    pub fn buckets_of_all_time(&self, from: Cell, to: Cell) -> impl Iterator<Item = (u16, i64)> {
        let low = self.totals.partition_point(|total| total.cell < from);
        let all = self.totals.iter().skip(low).take_while(move |total| total.cell < to);
        all.filter(|total| total.value > 0).map(|total| (total.cell.bucket_index(), total.value))
    }

    pub fn oldest(&self, age: Age) -> Option<Timestamp> {
        self.oldest.iter().filter(|(_, a, _)| *a == age).map(|(.., start)| *start).min().map(Timestamp)
    }
}

fn insert(panes: &mut VecDeque<Pane>, pane: Pane) {
    let index = panes.partition_point(|other| other.start < pane.start);
    match panes.get_mut(index).filter(|other| other.start == pane.start) {
        Some(other) => other.cells.add_pane(&pane.cells, 0, 1),
        None => panes.insert(index, pane),
    }
}

fn insert_coarse(panes: &mut VecDeque<Pane>, pane: Pane) {
    let start = Timestamp(pane.start).floor_to(COARSE).0;
    let mut cells = Cells::default();
    cells.add_pane(&pane.cells, pane.start - start, 1);
    insert(panes, Pane { start, cells });
}

//! The figures of one key in one window at one instant, as `indicators` reads them.

use std::cell;

use super::Board;
use super::key::KeyState;
use super::windows::{Edges, OPEN};
use crate::domain::{Clock, Key, Millis, OpenTime, Timestamp};
use crate::floor::Age;
use crate::floor::cells::{Cell, EPOCH, Histogram, Level, Sum, hdr};
use crate::plan::WindowKind;

/// The quantiles of waits that indicators are of: one pass finds them all, and who asks for one soon asks for the next.
const QUANTILES: [i64; 5] = [500, 900, 950, 990, 1000];

pub struct View<'a> {
    board: &'a Board,
    /// Of the key on the board.
    index: usize,
    state: &'a KeyState,
    window: Option<usize>,
    /// Whether somebody has asked for `instant`.
    timed: cell::Cell<bool>,
    /// [`QUANTILES`] of the waits and their number, once somebody has asked.
    waits: cell::OnceCell<Option<([Millis; 5], i64)>>,
}

impl<'a> View<'a> {
    /// `state` are the figures of the key at `index`.
    pub(super) fn new(board: &'a Board, index: usize, state: &'a KeyState, window: Option<usize>) -> Self {
        View { board, index, state, window, timed: cell::Cell::new(false), waits: cell::OnceCell::new() }
    }

    /// The same key at the same instant, over a window, of [`Board::view_of_all`].
    pub fn over(&self, window: Option<usize>) -> View<'a> {
        View::new(self.board, self.index, self.state, window)
    }

    /// The only way to the instant, so that what depends on it is known.
    pub fn now(&self) -> Timestamp {
        self.timed.set(true);
        self.board.now
    }

    /// Whether what has been read so far changes as time passes, though nothing happens: ages and integrals.
    pub fn is_of_this_instant(&self) -> bool {
        self.timed.get()
    }

    /// A sum over the window.
    pub fn sum(&self, sum: Sum) -> i64 {
        self.cell(Cell::sum(sum))
    }

    /// A cell over the window.
    pub fn cell(&self, cell: Cell) -> i64 {
        self.window.map_or(0, |window| self.state.sum(window, cell))
    }

    /// How many there are now.
    pub fn level(&self, level: Level) -> i64 {
        self.level_cell(Cell::level(level))
    }

    pub fn level_cell(&self, level: Cell) -> i64 {
        self.state.total_of(level)
    }

    /// The level's integral over the window: how many, times how long.
    pub fn integral(&self, level: Cell) -> Millis {
        let Some(window) = self.window else { return Millis::ZERO };
        let Some(edges) = self.board.frame.edges.get(window) else { return Millis::ZERO };
        let (w, wt) = self.state.steps(window, level);
        let right = self.right(edges);
        let before = self.state.total_of(level) - w - self.after(edges, level);
        let held = i128::from(before) * i128::from(right - edges.left);
        let changed = i128::from(right - EPOCH) * i128::from(w) - i128::from(wt);
        Millis((held + changed) as i64)
    }

    /// How many there were at the window's end.
    pub fn level_at_end(&self, level: Cell) -> i64 {
        let Some(edges) = self.edges() else { return self.level_cell(level) };
        self.state.total_of(level) - self.after(edges, level)
    }

    /// How much the level changed over the window.
    pub fn change(&self, level: Level) -> i64 {
        self.window.map_or(0, |window| self.state.steps(window, Cell::level(level)).0)
    }

    fn right(&self, edges: &Edges) -> i64 {
        if edges.right == OPEN { self.now().0 } else { edges.right }
    }

    /// The sum of the level's steps from the window's end until now. The one window that does not reach to now is the
    /// last interval; from its end on runs the interval.
    fn after(&self, edges: &Edges, level: Cell) -> i64 {
        if edges.right == OPEN {
            return 0;
        }
        let interval = self.board.plan.window_index(WindowKind::Interval);
        interval.map_or(0, |interval| self.state.steps(interval, level).0)
    }

    fn edges(&self) -> Option<&'a Edges> {
        self.window.and_then(|window| self.board.frame.edges.get(window))
    }

    /// Of what an age follows, how many run now, and the age of the oldest.
    pub fn oldest(&self, age: Age, clock: Clock) -> (i64, Option<Millis>) {
        let level = Cell::level(match age {
            Age::Wait => Level::Waiting,
            Age::Unanswered => Level::Unanswered,
            Age::Unqueued => Level::Unqueued,
        });
        if clock == Clock::Elapsed {
            let oldest = self.state.oldest(age).map(|start| (self.now() - start).max(Millis::ZERO));
            return (self.state.total_of(level), oldest);
        }
        let desks = self.desks();
        // A map of time never falls: of each channel the one that began first is the oldest there.
        let ages = desks
            .iter()
            .filter_map(|(desk, state)| Some(desk.between(state.oldest(age)?, self.now()).max(Millis::ZERO)));
        (desks.iter().map(|(_, state)| state.total_of(level)).sum(), ages.max())
    }

    /// The channels under the key that keep the desk's clock: that clock, and the figures of this key in the channel.
    fn desks(&self) -> Vec<(&'a OpenTime, &'a KeyState)> {
        let Board { plan, keys, names, states, .. } = self.board;
        let desk = |channel: &str| plan.open_times.get(plan.open_time_of(channel)?);
        let Some(key) = names.get(self.index) else { return Vec::new() };
        if let Some(channel) = &key.channel {
            return desk(channel).map(|desk| (&**desk, self.state)).into_iter().collect();
        }
        let channels = self.board.channels_of(key).into_iter().filter_map(|channel| {
            let desk = desk(&channel)?;
            let here = Key { queue: key.queue.clone(), channel: Some(channel) };
            Some((&**desk, states.get(*keys.get(&here)?)?))
        });
        channels.collect()
    }

    /// How many wait at the window's end, and their summed age then.
    pub fn waiting(&self, clock: Clock) -> (i64, Millis) {
        if clock == Clock::Elapsed {
            return self.waits(Cell::level(Level::Waiting), Cell::sum(Sum::WaitStarts), |at| at.0 - EPOCH);
        }
        let maps = self.board.plan.open_times.iter().enumerate();
        let waits =
            maps.map(|(map, desk)| self.waits(Cell::waiting_on(map), Cell::wait_starts_on(map), |at| desk.at(at).0));
        waits.fold((0, Millis::ZERO), |(count, age), (more, their)| (count + more, age + their))
    }

    /// The same of the waits that a level counts, whose starts are summed on the clock that `time` reads.
    fn waits(&self, level: Cell, starts: Cell, time: impl Fn(Timestamp) -> i64) -> (i64, Millis) {
        let count = self.level_at_end(level);
        let all = self.state.total_of(starts);
        let (end, later) = match self.edges() {
            Some(edges) if edges.right != OPEN => {
                let interval = self.board.plan.window_index(WindowKind::Interval);
                (Timestamp(edges.right), interval.map_or(0, |interval| self.state.sum(interval, starts)))
            }
            _ => (self.now(), 0),
        };
        (count, Millis(count * time(end) - (all - later)))
    }

    /// The value of nearest rank in the window, the ceil(q n)-th smallest, for q in thousandths, and how many samples the
    /// histogram has there. Within 0.4 %.
    pub fn quantile(&self, histogram: Histogram, per_mille: i64) -> Option<(Millis, i64)> {
        let known = QUANTILES.iter().position(|known| *known == per_mille);
        match (histogram, known) {
            (Histogram::Wait(Clock::Elapsed), Some(index)) => {
                let (values, total) = (*self.waits.get_or_init(|| self.quantiles(histogram, QUANTILES)))?;
                Some((*values.get(index)?, total))
            }
            _ => self.quantiles(histogram, [per_mille]).map(|([value], total)| (value, total)),
        }
    }

    /// The values of nearest rank for each q in thousandths, rising.
    fn quantiles<const N: usize>(&self, histogram: Histogram, per_mille: [i64; N]) -> Option<([Millis; N], i64)> {
        let (from, to) = Cell::buckets(histogram);
        let (mut buckets, total) = self.state.buckets(self.window?, from, to);
        if total <= 0 {
            return None;
        }
        let (mut last, mut seen) = (from, 0);
        let values = per_mille.map(|per_mille| {
            let rank = ((total * per_mille + 999) / 1000).max(1);
            while seen < rank
                && let Some((bucket, count)) = buckets.next()
            {
                (last, seen) = (bucket, seen + count);
            }
            Millis(hdr::middle(last.bucket_index()))
        });
        Some((values, total))
    }

    /// A sum of all time, at the largest value it ever had: a counter that never falls.
    pub fn counter(&self, cell: Cell) -> i64 {
        self.state.peak_of(cell)
    }

    /// The integral of a level since the beginning.
    pub fn integral_of_all_time(&self, level: Cell) -> Millis {
        let (w, wt) = (self.state.total_of(level), self.state.total_of(level.moment()));
        Millis((i128::from(w) * i128::from(self.now().0 - EPOCH) - i128::from(wt)) as i64)
    }

    /// Counts of a histogram's buckets since the beginning: the middle of each, and how many.
    pub fn histogram(&self, histogram: Histogram) -> Vec<(Millis, i64)> {
        let (from, to) = Cell::buckets(histogram);
        let counts = self.state.buckets_of_all_time(from, to);
        counts.map(|(bucket, count)| (Millis(hdr::middle(bucket)), count)).collect()
    }
}

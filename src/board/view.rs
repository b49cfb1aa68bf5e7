//! The figures of one key in one window at one instant, as `indicators` reads them.

use super::Board;
use super::key::KeyState;
use super::windows::{Edges, OPEN};
use crate::domain::{Clock, Key, Millis, OpenTime, Timestamp};
use crate::floor::Age;
use crate::floor::cells::{Cell, EPOCH, Histogram, Level, Sum, hdr};
use crate::plan::WindowKind;

#[derive(Clone, Copy)]
pub struct View<'a> {
    board: &'a Board,
    key: &'a Key,
    state: &'a KeyState,
    window: Option<usize>,
}

impl<'a> View<'a> {
    /// `state` are the figures of `key`.
    pub(super) fn new(board: &'a Board, key: &'a Key, state: &'a KeyState, window: Option<usize>) -> Self {
        View { board, key, state, window }
    }

    pub fn now(&self) -> Timestamp {
        self.board.now
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
        let Some(edges) = self.board.edges.get(window) else { return Millis::ZERO };
        let (w, wt) = self.state.steps(window, level);
        let (right, after) = self.right(edges, level);
        let before = self.state.total_of(level) - w - after;
        let held = i128::from(before) * i128::from(right - edges.left);
        let changed = i128::from(right - EPOCH) * i128::from(w) - i128::from(wt);
        Millis((held + changed) as i64)
    }

    /// How many there were at the window's end.
    pub fn level_at_end(&self, level: Cell) -> i64 {
        let Some(edges) = self.edges() else { return self.level_cell(level) };
        self.state.total_of(level) - self.right(edges, level).1
    }

    /// How much the level changed over the window.
    pub fn change(&self, level: Level) -> i64 {
        self.window.map_or(0, |window| self.state.steps(window, Cell::level(level)).0)
    }

    /// The window's right edge, and the sum of the level's steps from it until now. The one window that does not reach
    /// to now is the last interval; from its end on runs the interval.
    fn right(&self, edges: &Edges, level: Cell) -> (i64, i64) {
        if edges.right == OPEN {
            return (self.board.now.0, 0);
        }
        let interval = self.board.plan.window_index(WindowKind::Interval);
        (edges.right, interval.map_or(0, |interval| self.state.steps(interval, level).0))
    }

    fn edges(&self) -> Option<&'a Edges> {
        self.window.and_then(|window| self.board.edges.get(window))
    }

    /// Of what an age follows, how many run now, and the age of the oldest.
    pub fn oldest(&self, age: Age, clock: Clock) -> (i64, Option<Millis>) {
        let level = Cell::level(match age {
            Age::Wait => Level::Waiting,
            Age::Unanswered => Level::Unanswered,
            Age::Unqueued => Level::Unqueued,
        });
        if clock == Clock::Elapsed {
            let oldest = self.state.oldest(age).map(|start| (self.board.now - start).max(Millis::ZERO));
            return (self.state.total_of(level), oldest);
        }
        let desks = self.desks();
        // A map of time never falls: of each channel the one that began first is the oldest there.
        let ages = desks
            .iter()
            .filter_map(|(desk, state)| Some(desk.between(state.oldest(age)?, self.board.now).max(Millis::ZERO)));
        (desks.iter().map(|(_, state)| state.total_of(level)).sum(), ages.max())
    }

    /// The channels under the key that keep the desk's clock: that clock, and the figures of this key in the channel.
    fn desks(&self) -> Vec<(&'a OpenTime, &'a KeyState)> {
        let Board { plan, keys, states, .. } = self.board;
        let desk = |channel: &str| plan.open_times.get(plan.open_time_of(channel)?);
        if let Some(channel) = &self.key.channel {
            return desk(channel).map(|desk| (&**desk, self.state)).into_iter().collect();
        }
        let channels = self.board.channels_of(self.key).into_iter().filter_map(|channel| {
            let desk = desk(&channel)?;
            let here = Key { queue: self.key.queue.clone(), channel: Some(channel) };
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
            _ => (self.board.now, 0),
        };
        (count, Millis(count * time(end) - (all - later)))
    }

    /// How many samples a histogram has in the window, and the value of nearest rank: the ceil(q n)-th smallest, for q
    /// in thousandths. Within 0.4 %.
    pub fn quantile(&self, histogram: Histogram, per_mille: i64) -> Option<(Millis, i64)> {
        let (from, to) = Cell::buckets(histogram);
        let counts = self.state.buckets(Some(self.window?), from, to);
        let total: i64 = counts.iter().map(|(_, count)| count).sum();
        let rank = ((total * per_mille + 999) / 1000).max(1);
        let mut seen = 0;
        counts.iter().find_map(|&(bucket, count)| {
            seen += count;
            (seen >= rank).then(|| (Millis(hdr::middle(bucket)), total))
        })
    }

    /// A sum of all time, at the largest value it ever had: a counter that never falls.
    pub fn counter(&self, cell: Cell) -> i64 {
        self.state.peak_of(cell)
    }

    /// The integral of a level since the beginning.
    pub fn integral_of_all_time(&self, level: Cell) -> Millis {
        let (w, wt) = (self.state.total_of(level), self.state.total_of(level.moment()));
        Millis((i128::from(w) * i128::from(self.board.now.0 - EPOCH) - i128::from(wt)) as i64)
    }

    /// Counts of a histogram's buckets since the beginning: the middle of each, and how many.
    pub fn histogram(&self, histogram: Histogram) -> Vec<(Millis, i64)> {
        let (from, to) = Cell::buckets(histogram);
        let counts = self.state.buckets(None, from, to);
        counts.into_iter().map(|(bucket, count)| (Millis(hdr::middle(bucket)), count)).collect()
    }
}

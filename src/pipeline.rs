//! One step of the whole, without I/O: deltas and now in; indicators, transitions and notifications out.
//!
//! `run`, `demo`, `backtest` and `test` all drive this; only the log, the clock and the sinks differ.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::board::{Board, Place, Version, View};
use crate::domain::{Event, Key, Millis, Timestamp};
use crate::floor::{Batch, Floor, Taken};
use crate::indicators::{self, Reading, Selector};
pub use crate::indicators::{SumName, WaitHistogram};
use crate::matrix::Matrix;
use crate::matrix::engine::{Engine, Feeds, Items, OpenCase, Operated, Operation, Patch, Pending, Readings, Tick};
use crate::plan::Plan;
use crate::snapshot::{Bytes, Kind, Reader, SnapshotError, Writer, instant};
use crate::wire::Reason;

/// Board, matrix and the instant they show. Floors live with their source partitions and send it [`Batch`]es.
#[derive(Debug)]
pub struct Evaluator {
    plan: Arc<Plan>,
    board: Board,
    engine: Engine,
}

impl Evaluator {
    pub fn new(plan: Arc<Plan>, matrices: Vec<Arc<Matrix>>) -> Self {
        let mut board = Board::new(plan.clone());
        pin(&mut board, &matrices);
        Evaluator { engine: Engine::new(matrices, plan.clone()), board, plan }
    }

    /// Board and cases in bytes: [`Kind::EVALUATOR`], whose body is the two snapshots, each behind its length.
    pub fn snapshot(&mut self) -> Vec<u8> {
        let mut to = Writer::new(Kind::EVALUATOR, self.plan.figures_fingerprint());
        to.put(&(Bytes(&self.board.snapshot()), Bytes(&self.engine.snapshot())));
        to.finish()
    }

    /// An evaluator that goes on as the one did of which `bytes` are the snapshot.
    pub fn restore(plan: Arc<Plan>, matrices: Vec<Arc<Matrix>>, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut from = Reader::open(Kind::EVALUATOR, plan.figures_fingerprint(), bytes)?;
        let (board, engine): (Bytes<'_>, Bytes<'_>) = from.take("parts")?;
        from.finish()?;
        let mut board = Board::restore(plan.clone(), board.0)?;
        pin(&mut board, &matrices);
        Ok(Evaluator { engine: Engine::restore(matrices, plan.clone(), engine.0)?, board, plan })
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Adds what a floor contributed; `source` tells the floors apart.
    pub fn apply(&mut self, source: u32, batch: &Batch) {
        self.board.apply(source, batch);
    }

    /// Moves the instant that the numbers are of: everything before it is in them, nothing from it on.
    pub fn advance(&mut self, now: Timestamp) {
        self.board.advance(now);
    }

    pub fn now(&self) -> Timestamp {
        self.board.now()
    }

    /// Evaluates the matrices on the numbers as they stand, at the whole second of their instant.
    pub fn tick(&mut self) -> Tick {
        self.tick_with(&Feeds::default())
    }

    /// The same, where sources may lag or have died.
    pub fn tick_with(&mut self, feeds: &Feeds) -> Tick {
        let now = self.board.now().floor_to(Millis::SECOND);
        self.engine.tick(now, &mut BoardReadings { board: &mut self.board }, feeds)
    }

    /// Puts other matrices in force, of a plan with the same figures.
    pub fn reload(&mut self, matrices: Vec<Arc<Matrix>>) {
        pin(&mut self.board, &matrices);
        self.engine.reload(matrices, self.plan.clone());
    }

    /// What was decided, in bytes: the cases, what is on its way, and a text beside ([`Engine::put_down`]).
    pub fn put_down(&self, pending: &[Pending], beside: &str) -> Vec<u8> {
        self.engine.put_down(pending, beside)
    }

    /// Goes on from what was decided before; returns what was on its way, and the text ([`Engine::take_up`]).
    pub fn take_up(&mut self, bytes: &[u8]) -> Result<(Vec<Pending>, String), SnapshotError> {
        self.engine.take_up(bytes)
    }

    /// How `kept` becomes what was decided by now ([`Engine::changes`]).
    pub fn changes(&mut self, kept: &Items) -> Patch {
        self.engine.changes(kept)
    }

    /// Goes on with what was decided by somebody else, on the board that it has.
    pub fn go_on(&mut self, items: &Items) -> Result<(), SnapshotError> {
        self.engine.go_on(items)
    }

    /// Takes an acknowledgement or a silence.
    pub fn operate(&mut self, operation: &Operation, now: Timestamp) -> Operated {
        self.engine.operate(operation, now)
    }

    /// Every key seen and every selector that exists for it (all indicators, windows, labels) of those that `keys` and
    /// `selectors` let through, at [`Evaluator::now`]. Keys are sorted.
    pub fn each_indicator(
        &mut self,
        keys: &dyn Fn(&Key) -> bool,
        selectors: &dyn Fn(&Selector) -> bool,
        visit: &mut dyn FnMut(&Key, &Selector, Reading),
    ) {
        // Thousands of keys are seen in few sets of channels, and so have few lists of selectors among them.
        let mut lists: BTreeMap<(Vec<Arc<str>>, bool), Vec<Selector>> = BTreeMap::new();
        for (key, place) in self.places(keys) {
            let seen_in = (self.board.channels_of(&key), key.channel.is_some());
            let list = lists.entry(seen_in).or_insert_with_key(|(channels, one)| {
                indicators::selectors_in(&self.plan, channels, *one).into_iter().filter(selectors).collect()
            });
            let Some(instant) = self.board.view_of_all(place) else { continue };
            let windows: SmallVec<[View<'_>; 8]> =
                (0..self.plan.windows.len()).map(|window| instant.over(Some(window))).collect();
            for selector in list.iter() {
                let view = selector.window.and_then(|window| windows.get(window)).unwrap_or(&instant);
                visit(&key, selector, (selector.indicator.read)(view, &selector.labels));
            }
        }
    }

    /// The counters behind the ratios and means, of every key.
    pub fn each_sum(&mut self, visit: &mut dyn FnMut(&Key, &SumName, f64)) {
        for (key, place) in self.places(&|_| true) {
            if let Some(view) = self.board.view_at(place, None) {
                indicators::each_sum(&view, &self.plan, &mut |name, value| visit(&key, &name, value));
            }
        }
    }

    /// The answered waits of every key since the start.
    pub fn each_wait_histogram(&mut self, visit: &mut dyn FnMut(&Key, &WaitHistogram)) {
        for (key, place) in self.places(&|_| true) {
            if let Some(view) = self.board.view_at(place, None) {
                visit(&key, &indicators::wait_histogram(&view));
            }
        }
    }

    fn places(&self, wanted: &dyn Fn(&Key) -> bool) -> Vec<(Key, Place)> {
        self.board.places().filter(|(key, _)| wanted(key)).map(|(key, place)| (key.clone(), place)).collect()
    }

    /// What the rows name, for every key in their scopes: what a back-test prints.
    pub fn named(&mut self) -> Vec<(Key, Selector)> {
        let Evaluator { engine, board, .. } = self;
        engine.named(&BoardReadings { board })
    }

    pub fn read(&mut self, key: &Key, selector: &Selector) -> Reading {
        BoardReadings { board: &mut self.board }.read(key, selector)
    }

    pub fn open_cases(&self) -> Vec<OpenCase> {
        self.engine.open_cases()
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// A pair that a scope names literally exists from the start.
fn pin(board: &mut Board, matrices: &[Arc<Matrix>]) {
    for row in matrices.iter().flat_map(|matrix| &matrix.rows) {
        for pair in row.scope.literal_pairs() {
            for key in [
                Key { queue: pair.queue.clone(), channel: None },
                Key { queue: None, channel: pair.channel.clone() },
                Key::ALL,
                pair,
            ] {
                board.pin(&key);
            }
        }
    }
}

/// The board as the engine asks it.
struct BoardReadings<'a> {
    board: &'a mut Board,
}

impl Readings for BoardReadings<'_> {
    fn keys(&self) -> Vec<Key> {
        self.board.keys().cloned().collect()
    }

    fn generation(&self) -> usize {
        self.board.generation()
    }

    fn read(&mut self, key: &Key, selector: &Selector) -> Reading {
        self.board.place(key).map_or(Reading::default(), |place| self.read_at(place, key, selector).0)
    }

    fn place(&self, key: &Key) -> Option<Place> {
        self.board.place(key)
    }

    fn read_at(&mut self, place: Place, _: &Key, selector: &Selector) -> (Reading, Option<Version>) {
        let version = self.board.version(place);
        match self.board.view_at(place, selector.window) {
            Some(view) => {
                let reading = (selector.indicator.read)(&view, &selector.labels);
                (reading, version.filter(|_| !view.is_of_this_instant()))
            }
            None => (Reading::default(), None),
        }
    }

    fn version(&self, place: Place) -> Option<Version> {
        self.board.version(place)
    }
}

/// One floor and an evaluator on virtual time: what `backtest` and `test` drive. Its now is the largest event time.
#[derive(Debug)]
pub struct Replay {
    floor: Floor,
    evaluator: Evaluator,
    /// The next whole second that has not been evaluated; `None` before the first event.
    next: Option<Timestamp>,
    latest: Option<Timestamp>,
    /// How the sources stand; a test may say that they do not live.
    feeds: Feeds,
}

impl Replay {
    pub fn new(plan: Arc<Plan>, matrices: Vec<Arc<Matrix>>) -> Self {
        let (floor, evaluator) = (Floor::new(plan.clone()), Evaluator::new(plan, matrices));
        Replay { floor, evaluator, next: None, latest: None, feeds: Feeds::default() }
    }

    /// The run in bytes: [`Kind::REPLAY`], whose body is the next second, the largest time (epoch milliseconds, optional), and
    /// the snapshots of the floor and of the evaluator. What the floor has contributed goes to the board before.
    pub fn snapshot(&mut self) -> Vec<u8> {
        self.evaluator.apply(0, &self.floor.flush());
        let mut to = Writer::new(Kind::REPLAY, self.evaluator.plan.figures_fingerprint());
        to.put(&(self.next.map(|at| at.0), self.latest.map(|at| at.0)));
        to.put(&(Bytes(&self.floor.snapshot()), Bytes(&self.evaluator.snapshot())));
        to.finish()
    }

    /// A run that goes on as the one did of which `bytes` are the snapshot.
    pub fn restore(plan: Arc<Plan>, matrices: Vec<Arc<Matrix>>, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut from = Reader::open(Kind::REPLAY, plan.figures_fingerprint(), bytes)?;
        let (next, latest): (Option<i64>, Option<i64>) = from.take("instants")?;
        let (floor, evaluator): (Bytes<'_>, Bytes<'_>) = from.take("parts")?;
        from.finish()?;
        let at = |ms: Option<i64>| ms.map(|ms| instant(Some(ms), "instants").map(Timestamp)).transpose();
        Ok(Replay {
            floor: Floor::restore(plan.clone(), floor.0)?,
            evaluator: Evaluator::restore(plan, matrices, evaluator.0)?,
            next: at(next)?,
            latest: at(latest)?,
            feeds: Feeds::default(),
        })
    }

    /// Takes an event. Before it, every whole second that virtual time reaches with it is evaluated, and handed to `each`
    /// with the evaluator at that instant.
    pub fn take(&mut self, event: &Event<'_>, each: &mut dyn FnMut(&mut Evaluator, Tick)) -> Taken {
        let plan = self.evaluator.plan.clone();
        if self.latest.is_some_and(|latest| event.time > latest + plan.max_ahead) {
            return Taken::Refused(Reason::TooFarAhead);
        }
        self.reach(event.time, each);
        self.floor.take(event, Timestamp::MAX)
    }

    /// Virtual time is `now` at least: whoever recorded an event may know better than the event when it came, and so tells a
    /// pause, after which the next one is taken, from a clock that is wrong.
    pub fn reach(&mut self, now: Timestamp, each: &mut dyn FnMut(&mut Evaluator, Tick)) {
        if self.latest.is_none_or(|latest| now > latest) {
            self.run_to(now, each);
            self.latest = Some(now);
        }
    }

    /// Evaluates every whole second up to `until`, that one included.
    pub fn run_to(&mut self, until: Timestamp, each: &mut dyn FnMut(&mut Evaluator, Tick)) {
        let mut second = self.next.unwrap_or_else(|| until.floor_to(Millis::SECOND));
        while second <= until {
            self.floor.advance(second);
            self.evaluator.apply(0, &self.floor.flush());
            self.evaluator.advance(second);
            let tick = self.evaluator.tick_with(&self.feeds);
            each(&mut self.evaluator, tick);
            second = second + Millis::SECOND;
        }
        self.next = Some(second);
    }

    /// From the next second on the sources stand so.
    pub fn set_feeds(&mut self, feeds: Feeds) {
        self.feeds = feeds;
    }

    /// Takes an acknowledgement or a silence.
    pub fn operate(&mut self, operation: &Operation, now: Timestamp) -> Operated {
        self.evaluator.operate(operation, now)
    }

    pub fn open_cases(&self) -> Vec<OpenCase> {
        self.evaluator.open_cases()
    }

    /// The largest event time so far.
    pub fn latest(&self) -> Option<Timestamp> {
        self.latest
    }

    pub fn floor(&self) -> &Floor {
        &self.floor
    }
}

//! One step of the whole, without I/O: records and now in; indicators, transitions and notifications out.
//!
//! `run`, `demo`, `backtest` and `test` all drive this; only the log, the clock and the sinks differ. SEAM.

use std::sync::Arc;

use crate::domain::{Key, Timestamp};
use crate::indicators::{Labels, Reading, Selector, Unit};
use crate::matrix::Matrix;
use crate::matrix::engine::{Engine, OpenCase, Readings, Tick};
use crate::plan::Plan;

/// Board, matrix and the instant they show. (Floors live with their source partitions and send it [`crate::floor::Batch`]es.)
pub struct Evaluator {
    pub plan: Arc<Plan>,
    engine: Engine,
}

impl Evaluator {
    pub fn new(plan: Arc<Plan>, matrices: Vec<Arc<Matrix>>) -> Self {
        Evaluator { engine: Engine::new(matrices, plan.clone()), plan }
    }

    /// The instant that the numbers are of: everything before it is in them, nothing from it on.
    pub fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    /// Evaluates the matrices at the whole second `now`.
    pub fn tick(&mut self, _now: Timestamp) -> Tick {
        Tick::default()
    }

    /// Every key seen and every selector that exists for it (all indicators, windows, labels) that `wanted` lets
    /// through, at [`Evaluator::now`].
    pub fn each_indicator(
        &mut self,
        _wanted: &dyn Fn(&Key, &Selector) -> bool,
        _visit: &mut dyn FnMut(&Key, &Selector, Reading),
    ) {
    }

    pub fn open_cases(&self) -> Vec<OpenCase> {
        self.engine.open_cases()
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

impl Readings for Evaluator {
    fn keys(&self) -> Vec<Key> {
        Vec::new()
    }
    fn read(&mut self, _key: &Key, _selector: &Selector) -> Reading {
        Reading::default()
    }
}

/// One of the exact sums behind the ratios and means: exported as the counter `atalaya_sum_NAME[_UNIT]_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SumName {
    pub name: &'static str,
    pub unit: Unit,
    /// What tells apart sums of one name (a threshold, a state, the clock).
    pub labels: Labels,
}

/// The answered waits of a key since the start, in classic cumulative buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WaitHistogram {
    /// Upper bound in seconds and how many waits were at most that long; ascending, without the infinite bucket.
    pub buckets: Vec<(f64, u64)>,
    pub sum_seconds: f64,
    pub count: u64,
}

impl Evaluator {
    /// Every sum of every key since the start, as it stands now (a late correction may lower one).
    pub fn each_sum(&mut self, _visit: &mut dyn FnMut(&Key, &SumName, f64)) {}

    /// The answered waits of every key since the start, on the customer's clock.
    pub fn each_wait_histogram(&mut self, _visit: &mut dyn FnMut(&Key, &WaitHistogram)) {}
}

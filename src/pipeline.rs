//! One step of the whole, without I/O: records and now in; indicators, transitions and notifications out.
//!
//! `run`, `demo`, `backtest` and `test` all drive this; only the log, the clock and the sinks differ. SEAM.

use std::sync::Arc;

use crate::domain::{Key, Timestamp};
use crate::indicators::{Reading, Selector};
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

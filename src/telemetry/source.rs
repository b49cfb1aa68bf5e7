//! Where the numbers that are served come from: the seam between the evaluator and everything that shows it.
//!
//! `/metrics`, the API and the page read a [`Source`] and nothing else, so that they are tested with a table made by
//! hand. Nothing here waits for I/O: whoever holds the lock copies what it needs and lets go before a socket is written.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::{Key, Timestamp};
use crate::indicators::{Reading, Selector};
use crate::matrix::engine::{OpenCase, Operated, Operation, Silence};
use crate::matrix::{Level, Matrix};
use crate::pipeline::{Evaluator, SumName, WaitHistogram};
use crate::plan::Plan;

/// The numbers and cases of one instant.
pub trait Source: Send {
    fn plan(&self) -> Arc<Plan>;

    /// The instant that the numbers are of.
    fn now(&self) -> Timestamp;

    /// Every key that `keys` lets through and every selector of it that `selectors` does, with its reading at
    /// [`Source::now`].
    fn each_indicator(
        &mut self,
        keys: &dyn Fn(&Key) -> bool,
        selectors: &dyn Fn(&Selector) -> bool,
        visit: &mut dyn FnMut(&Key, &Selector, Reading),
    );

    /// The sums behind ratios and means since the start, as they stand now.
    fn each_sum(&mut self, visit: &mut dyn FnMut(&Key, &SumName, f64));

    fn each_wait_histogram(&mut self, visit: &mut dyn FnMut(&Key, &WaitHistogram));

    fn open_cases(&self) -> Vec<OpenCase>;

    /// Every case that exists, `ok` ones too.
    fn levels(&self) -> Vec<(Arc<Matrix>, Selector, Key, Level)>;

    /// Takes an acknowledgement or a silence, of the wall clock's `now`.
    fn operate(&mut self, operation: &Operation, now: Timestamp) -> Operated;

    /// The silences that are on or will be, by their ids.
    fn silences(&self) -> Vec<Silence>;

    /// The incident itself, or those of the gathering of that id; sorted.
    fn incidents_of(&self, id: &str) -> Vec<Arc<str>> {
        vec![id.into()]
    }

    /// The open cases of these incidents, which are sorted.
    fn cases_of(&self, incidents: &[Arc<str>]) -> Vec<OpenCase> {
        let mut cases = self.open_cases();
        cases.retain(|case| incidents.binary_search(&case.last.incident).is_ok());
        cases
    }

    /// The ids of what is open, incidents and gatherings.
    fn open_ids(&self) -> Vec<Arc<str>> {
        self.open_cases().into_iter().map(|case| case.last.incident.clone()).collect()
    }
}

/// A source that the evaluation and the servers share.
pub type SharedSource = Arc<Mutex<dyn Source>>;

/// Locks a source. A panic elsewhere while it was locked leaves numbers that are still numbers: they go on being
/// shown, and the age of the evaluation says that they stand still.
pub fn lock(source: &SharedSource) -> MutexGuard<'_, dyn Source + 'static> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Source for Evaluator {
    fn plan(&self) -> Arc<Plan> {
        Evaluator::plan(self).clone()
    }
    fn now(&self) -> Timestamp {
        Evaluator::now(self)
    }
    fn each_indicator(
        &mut self,
        keys: &dyn Fn(&Key) -> bool,
        selectors: &dyn Fn(&Selector) -> bool,
        visit: &mut dyn FnMut(&Key, &Selector, Reading),
    ) {
        Evaluator::each_indicator(self, keys, selectors, visit);
    }
    fn each_sum(&mut self, visit: &mut dyn FnMut(&Key, &SumName, f64)) {
        Evaluator::each_sum(self, visit);
    }
    fn each_wait_histogram(&mut self, visit: &mut dyn FnMut(&Key, &WaitHistogram)) {
        Evaluator::each_wait_histogram(self, visit);
    }
    fn open_cases(&self) -> Vec<OpenCase> {
        Evaluator::open_cases(self)
    }
    fn levels(&self) -> Vec<(Arc<Matrix>, Selector, Key, Level)> {
        self.engine().levels()
    }
    fn operate(&mut self, operation: &Operation, now: Timestamp) -> Operated {
        Evaluator::operate(self, operation, now)
    }
    fn silences(&self) -> Vec<Silence> {
        self.engine().silences()
    }
    fn incidents_of(&self, id: &str) -> Vec<Arc<str>> {
        self.engine().incidents_of(id)
    }
    fn cases_of(&self, incidents: &[Arc<str>]) -> Vec<OpenCase> {
        self.engine().open_cases_where(|id| incidents.binary_search(id).is_ok())
    }
    fn open_ids(&self) -> Vec<Arc<str>> {
        self.engine().open_ids()
    }
}

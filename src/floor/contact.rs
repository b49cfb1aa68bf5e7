//! One agent's work on an interaction, from assignment to transfer or close.

use super::cells::{Cell, Sum};
use super::contribution::Sink;
use super::emit::add;
use super::interaction::Context;
use crate::domain::Stage;
use crate::plan::Handling;

#[derive(Clone, Copy, Debug)]
pub(super) struct Contact {
    pub agent: u64,
    place: u32,
    start: i64,
    /// Work done up to `since`.
    worked: i64,
    /// When the running stretch of work began; `None` while parked or the customer's turn.
    since: Option<i64>,
    parked: bool,
    customers_turn: bool,
    /// The work done when the wait was over: what comes after it is handling. `None` while it waits.
    answered: Option<i64>,
    /// When after-contact work began, and the work done until then.
    wrapup: Option<(i64, i64)>,
}

impl Contact {
    pub fn begin(now: i64, agent: u64, place: u32, waits: bool) -> Self {
        Contact {
            agent,
            place,
            start: now,
            worked: 0,
            since: Some(now),
            parked: false,
            customers_turn: false,
            answered: (!waits).then_some(0),
            wrapup: None,
        }
    }

    pub fn park(&mut self, now: i64, parked: bool) {
        self.parked = parked;
        self.settle(now);
    }

    /// Where it began.
    pub fn place(&self) -> u32 {
        self.place
    }

    pub fn customers_turn(&mut self, now: i64, turn: bool) {
        self.customers_turn = turn && self.wrapup.is_none();
        self.settle(now);
    }

    /// The wait that ran when it began is over.
    pub fn answered(&mut self, now: i64) {
        if self.answered.is_none() && self.wrapup.is_none() {
            self.answered = Some(self.worked_until(now));
        }
    }

    pub fn wrapup(&mut self, now: i64) {
        self.parked = false;
        self.customers_turn = false;
        self.settle(now);
        let worked = self.worked_until(now);
        self.wrapup.get_or_insert((now, worked));
    }

    fn worked_until(&self, now: i64) -> i64 {
        self.worked + self.since.map_or(0, |since| now - since)
    }

    /// Starts or stops the clock at `now` as the flags say.
    fn settle(&mut self, now: i64) {
        let runs = !self.parked && !self.customers_turn;
        match (self.since, runs) {
            (Some(since), false) => {
                self.worked += now - since;
                self.since = None;
            }
            (None, true) => self.since = Some(now),
            _ => {}
        }
    }

    /// The channel where it began says what handling time is made of.
    pub fn end(self, now: i64, context: &mut Context<'_>, out: &mut impl Sink) {
        let worked = self.worked_until(now);
        let elapsed = context.names.channel_of(self.place).handling == Handling::Elapsed;
        add(out, now, self.place, Cell::sum(Sum::Contacts), 1);
        add(out, now, self.place, Cell::sum(Sum::HandleTotal), if elapsed { now - self.start } else { worked });
        if let Some((wrapup, before)) = self.wrapup {
            let length = if elapsed { now - wrapup } else { worked - before };
            add(out, now, self.place, Cell::sum(Sum::Wrapups), 1);
            add(out, now, self.place, Cell::sum(Sum::WrapupTotal), length);
        }
        // No second is in two stages: parked time and the customer's turn are stages of their own, whatever handling is.
        let handled = self.wrapup.map_or(worked, |(_, before)| before);
        if let Some(answered) = self.answered {
            context.end_stage(Stage::Handling, self.place, now, handled - answered, out);
        }
        if self.wrapup.is_some() {
            context.end_stage(Stage::Wrapup, self.place, now, worked - handled, out);
        }
    }
}

//! One wait in a queue: what it contributes while it runs, and when it ends, on each clock that is kept.

use super::cells::{Beyond, Cell, EPOCH, Histogram, Level, Served, Sum, hdr};
use super::contribution::{Age, Sink};
use super::emit::{add, age, count, span, step};
use super::interaction::Context;
use super::names::Measured;
use crate::domain::{Clock, Millis, Timestamp};

#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    pub start: i64,
    pub place: u32,
    /// When an agent took it.
    pub taken: Option<i64>,
}

/// A wait that is over: how long it was on the customer's clock, and on the desk's where that is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waited {
    pub place: u32,
    elapsed: i64,
    open: Option<i64>,
}

impl Wait {
    pub fn begin(now: i64, place: u32, context: &Context<'_>, out: &mut impl Sink) -> Wait {
        add(out, now, place, Cell::sum(Sum::Queued), 1);
        add(out, now, place, Cell::sum(Sum::WaitStarts), now - EPOCH);
        step(out, now, place, Cell::level(Level::Waiting), 1);
        age(out, now, place, Age::Wait, now, 1);
        if let Some((map, desk)) = context.desk(place) {
            add(out, now, place, Cell::wait_starts_on(map), desk.at(Timestamp(now)).0);
            step(out, now, place, Cell::waiting_on(map), 1);
        }
        Wait { start: now, place, taken: None }
    }

    /// Ends the wait, whatever it ends in.
    pub fn end(self, now: i64, context: &Context<'_>, out: &mut impl Sink) -> Waited {
        let Wait { start, place, .. } = self;
        let thresholds = context.names.thresholds_of(place);
        add(out, now, place, Cell::sum(Sum::WaitStarts), EPOCH - start);
        step(out, now, place, Cell::level(Level::Waiting), -1);
        age(out, now, place, Age::Wait, start, -1);
        for &Measured { threshold, within, mask } in thresholds {
            span(out, start + within, now, place, mask, Cell::beyond(threshold, Beyond::Waiting));
        }
        let open = context.desk(place).map(|(map, desk)| {
            let (from, to) = (Timestamp(start), Timestamp(now));
            let begun = desk.at(from);
            add(out, now, place, Cell::wait_starts_on(map), -begun.0);
            step(out, now, place, Cell::waiting_on(map), -1);
            for &Measured { threshold, within, mask } in thresholds {
                if let Some(passed) = desk.passes(from, Millis(within), to) {
                    let cell = Cell::beyond(threshold, Beyond::Waiting).on(Clock::Open);
                    span(out, passed.0, now, place, mask, cell);
                }
            }
            (desk.at(to) - begun).0
        });
        Waited { place, elapsed: now - start, open }
    }
}

impl Waited {
    fn lengths(self) -> impl Iterator<Item = (Clock, i64)> {
        [(Clock::Elapsed, self.elapsed)].into_iter().chain(self.open.map(|open| (Clock::Open, open)))
    }

    pub fn answered(self, now: i64, context: &Context<'_>, out: &mut impl Sink) {
        for (clock, length) in self.lengths() {
            add(out, now, self.place, Cell::sum(Sum::Answered).on(clock), 1);
            add(out, now, self.place, Cell::sum(Sum::WaitTotal).on(clock), length);
            add(out, now, self.place, Cell::bucket(Histogram::Wait(clock), hdr::bucket(length)), 1);
            for &Measured { threshold, within, mask } in context.names.thresholds_of(self.place) {
                let mut count = |served| count(out, now, self.place, mask, Cell::served(threshold, served).on(clock));
                count(Served::Answered);
                if length <= within {
                    count(Served::AnsweredWithin);
                }
            }
        }
    }

    pub fn abandoned(self, now: i64, context: &Context<'_>, out: &mut impl Sink) {
        let limit = context.plan.short_abandon.0;
        add(out, now, self.place, Cell::sum(Sum::Abandoned), 1);
        add(out, now, self.place, Cell::sum(Sum::ShortAbandoned), i64::from(self.elapsed <= limit));
        for (clock, length) in self.lengths() {
            for &Measured { threshold, within, mask } in context.names.thresholds_of(self.place) {
                let mut count = |served| count(out, now, self.place, mask, Cell::served(threshold, served).on(clock));
                count(Served::Abandoned);
                if length <= within {
                    count(Served::AbandonedWithin);
                }
                if length <= limit {
                    count(Served::ShortAbandoned);
                }
            }
        }
    }
}

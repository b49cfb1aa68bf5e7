//! What one interaction contributes: a pure function of its own time-line.
//!
//! The time-line is sorted by time, then by the order of the life cycle, then bytewise by id; what it means does not
//! depend on the order in which the events came. [`Fold`] walks it once. [`Fold::step`] emits what an event settles;
//! [`Fold::finish`] emits what follows from the state that the last event left (a wait that passes a threshold, the
//! expiry), dated in the future where it lies there.
//!
//! What each event means after what came before:
//!
//! | event | unseen: its channel is not known | open, waiting | open, not waiting | over (closed, abandoned) |
//! |---|---|---|---|---|
//! | `arrived` | opens; counts an arrival; a message to answer | the first one counts an arrival at its own time, a message to answer unless a reply came before; a second is a repeat | as before | as before: does not open it again |
//! | `queued` | opens; a wait | same place: keeps the clock; another: that wait ends uncounted, a new one starts | a new wait; ends the contact | opens again; a new wait |
//! | `transferred` | opens; a wait | as `queued`; ends the contact | a new wait; ends the contact | opens again; a new wait |
//! | `assigned` | opens; a contact | a contact; answers where the assignment is the answer | a contact | nothing |
//! | `replied` | opens; a reply | a reply; answers where the reply is the answer | a reply; answers the customer's messages | a reply, and the first response where there was none |
//! | `customer_message` | opens; a message to answer | a message to answer, unless one stands | the same; the customer's turn ends | nothing |
//! | `parked`, `resumed` | opens | stops, restarts the contact's clock | the same | nothing |
//! | `wrapup` | opens | after-contact work of the contact begins | the same | nothing |
//! | `abandoned` | over | the wait is abandoned; over | over, in no abandonment | nothing |
//! | `closed` | `closed`; over | `closed`, `closed_unanswered`; over | `closed`; over | nothing: a repeat |
//! | `reopened` | opens; by the customer a message to answer | by the customer: a message to answer | by the customer: ends the contact, a wait in its last queue, a message to answer | opens; by the customer the same |
//! | `rated`, `evaluated` | nothing, and they are no sign of life | | | |
//!
//! An interaction whose first events are missing counts over everything only, until an event names its channel.
//!
//! Silent for `give_up` with a message unanswered or a wait running, or for `idle_close` otherwise, it expires: waits and
//! messages end there, counted in nothing but `expired`. Any later event of life opens it again from that event on,
//! without a wait of its own.

use super::cells::{Beyond, Cell, Level, Sum};
use super::contact::Contact;
use super::contribution::{Age, Contribution, EVERY_KEY, PAIR_AND_QUEUE, Sink, Target, What};
use super::emit::{add, age, span, step};
use super::moment::{Kind, Moment};
use super::names::{Measured, Names};
use super::stages::Stages;
use super::wait::{Wait, Waited};
use crate::domain::{Clock, Millis, OpenTime, Outcome, ReopenedBy, Stage, Timestamp};
use crate::plan::{AnswerOn, Plan};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Life {
    #[default]
    Unseen,
    Open,
    Over,
    Expired,
}

/// A closing with the outcome `resolved`.
#[derive(Clone, Copy, Debug)]
struct Resolution {
    at: i64,
    place: u32,
    arrived: i64,
}

impl Resolution {
    fn count(self, weight: i64, context: &Context<'_>, mut emit: impl FnMut(Contribution)) {
        let target = Target::Place(self.place, EVERY_KEY);
        for (clock, length) in context.lengths(self.place, self.arrived, self.at) {
            for (sum, weight) in [(Sum::Resolutions, weight), (Sum::ResolutionTotal, weight * length)] {
                emit(Contribution { at: self.at, target, what: What::Add(Cell::sum(sum).on(clock)), weight });
            }
        }
    }
}

/// The state after some prefix of a time-line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fold {
    life: Life,
    /// Where it is, once a channel is known.
    place: Option<u32>,
    /// When the customer opened it; the time of the first event that opened it, where the arrival is missing.
    born: i64,
    arrived: Option<i64>,
    /// The channel of an arrival without a queue, to be counted in the queue that is named first.
    unplaced_arrival: Option<u32>,
    /// Since when it has been open where it is.
    stay: i64,
    wait: Option<Wait>,
    unanswered: Option<i64>,
    replied: bool,
    contact: Option<Contact>,
    /// Since when it is parked, and since when it is the customer's turn.
    parked: Option<i64>,
    customers_turn: Option<i64>,
    /// While the last closing is one.
    resolution: Option<Resolution>,
    /// The last sign of life, and the last event of any kind.
    last: i64,
    heard: i64,
}

/// What the fold needs beside the time-line.
pub(super) struct Context<'a> {
    pub plan: &'a Plan,
    pub names: &'a mut Names,
    /// Of the one interaction that is walked.
    pub stages: &'a mut Stages,
}

impl Context<'_> {
    /// The desk's clock in a place, by its number, where it is kept.
    pub fn desk(&self, place: u32) -> Option<(usize, &OpenTime)> {
        let map = self.names.channel_of(place).open?;
        Some((map, self.plan.open_times.get(map)?))
    }

    /// How long it was from `from` to `to`, on each clock that is kept in a place.
    pub fn lengths(&self, place: u32, from: i64, to: i64) -> impl Iterator<Item = (Clock, i64)> + use<> {
        let open = self.desk(place).map(|(_, desk)| (Clock::Open, desk.between(Timestamp(from), Timestamp(to)).0));
        [(Clock::Elapsed, to - from)].into_iter().chain(open)
    }

    pub fn end_stage(&mut self, stage: Stage, place: u32, now: i64, length: i64, out: &mut impl Sink) {
        self.stages.end(stage, place, now, length, self.names, out);
    }
}

impl Fold {
    /// Before the first event. One interaction at a time is walked in a context.
    fn begin(context: &mut Context<'_>) -> Self {
        context.stages.clear();
        Fold::default()
    }

    /// After all of a time-line.
    pub fn of<'a>(
        moments: impl IntoIterator<Item = &'a Moment>,
        context: &mut Context<'_>,
        out: &mut impl Sink,
    ) -> Self {
        let mut fold = Fold::begin(context);
        moments.into_iter().for_each(|moment| fold.step(moment, context, out));
        fold
    }

    pub fn is_open(&self) -> bool {
        self.life == Life::Open
    }

    /// Until when it is held, if nothing more comes: while it is open, and `lateness` after its last event. A late event
    /// corrects it until then.
    pub fn held_until(&self, lateness: Millis, names: &Names) -> i64 {
        let open = if self.life == Life::Open { self.expiry(names) } else { i64::MIN };
        open.max(self.heard + lateness.0 + 1)
    }

    /// When it may be forgotten, if nothing more comes: `lateness` after it expired or was heard of, so that a later event
    /// can open it again.
    pub fn forget_at(&self, lateness: Millis, names: &Names) -> i64 {
        let end = if self.life == Life::Open { self.expiry(names) } else { self.heard };
        end.max(self.heard) + lateness.0 + 1
    }

    pub fn step(&mut self, moment: &Moment, context: &mut Context<'_>, out: &mut impl Sink) {
        let (now, kind) = (moment.time, moment.kind());
        self.heard = now;
        if kind == Kind::Remark {
            return;
        }
        if self.life == Life::Open {
            let at = self.expiry(context.names);
            if now >= at {
                self.expire(at, context, out);
            }
        }
        if self.life == Life::Expired {
            self.open(now, out);
        }
        let placed = matches!(kind, Kind::Arrived(_) | Kind::Queued(_) | Kind::Transferred(..));
        if self.life == Life::Unseen && !placed {
            // What came before is missing: it is open, and nobody knows where.
            self.born = now;
            let nowhere = context.names.nowhere();
            self.move_to(now, nowhere, context, out);
            self.open(now, out);
        }
        match kind {
            Kind::Arrived(place) => self.arrive(now, place, context, out),
            Kind::Queued(place) => self.queue(now, place, false, context, out),
            Kind::Transferred(queue, channel) => {
                let channel = channel.or_else(|| self.place.and_then(|place| context.names.at(place).channel));
                let place = context.names.place_of(Some(queue), channel);
                self.queue(now, place, true, context, out);
            }
            Kind::Assigned(agent) => self.assign(now, agent, context, out),
            Kind::Replied { automatic } => self.reply(now, automatic, context, out),
            Kind::CustomerMessage => self.customer_message(now, context, out),
            Kind::Parked => self.park(now),
            Kind::Resumed => self.take_up(now, context, out),
            Kind::Wrapup => {
                if let Some(contact) = &mut self.contact {
                    contact.wrapup(now);
                    self.take_up(now, context, out);
                }
            }
            Kind::Abandoned => self.abandon(now, context, out),
            Kind::Closed(outcome) => self.close(now, outcome, context, out),
            Kind::Reopened(by) => self.reopen(now, by, context, out),
            Kind::Remark => {}
        }
        self.last = now;
    }

    /// Emits what follows from the state as it stands. The fold is spent then.
    pub fn finish(mut self, context: &mut Context<'_>, out: &mut impl Sink) {
        if self.life == Life::Open {
            let at = self.expiry(context.names);
            self.expire(at, context, out);
        }
    }

    /// The moment at which it expires if it stays silent.
    fn expiry(&self, names: &Names) -> i64 {
        let Some(channel) = self.place.map(|place| names.channel_of(place)) else { return i64::MAX / 4 };
        let owed = self.unanswered.is_some() || self.wait.is_some();
        self.last + if owed { channel.give_up.0 } else { channel.idle_close.0 }
    }

    fn expire(&mut self, at: i64, context: &Context<'_>, out: &mut impl Sink) {
        self.end_wait(at, context, out);
        self.leave(at, context, out);
        if let Some(place) = self.place {
            add(out, at, place, Cell::sum(Sum::Expired), 1);
        }
        self.unanswered = None;
        self.drop_work();
        self.life = Life::Expired;
    }

    /// Begins to be open at the place where it is.
    fn open(&mut self, now: i64, out: &mut impl Sink) {
        self.life = Life::Open;
        self.stay = now;
        if let Some(place) = self.place {
            step(out, now, place, Cell::level(Level::Open), 1);
        }
    }

    fn move_to(&mut self, now: i64, place: u32, context: &mut Context<'_>, out: &mut impl Sink) {
        if self.place == Some(place) {
            return;
        }
        let open = self.life == Life::Open;
        let (unanswered, stay_before) = (self.unanswered, self.place);
        if open {
            self.leave(now, context, out);
        }
        self.place = Some(place);
        if open && stay_before.is_some() {
            self.open(now, out);
            if let Some(start) = unanswered {
                self.owe(now, start, out);
            }
        }
    }

    /// A customer's message from `start` stands unanswered from `now` on.
    fn owe(&mut self, now: i64, start: i64, out: &mut impl Sink) {
        self.unanswered = Some(start);
        if let Some(place) = self.place {
            step(out, now, place, Cell::level(Level::Unanswered), 1);
            age(out, now, place, Age::Unanswered, start, 1);
        }
    }

    fn settle_message(&mut self, now: i64, out: &mut impl Sink) {
        if let (Some(start), Some(place)) = (self.unanswered.take(), self.place) {
            step(out, now, place, Cell::level(Level::Unanswered), -1);
            age(out, now, place, Age::Unanswered, start, -1);
        }
    }

    /// Ends every level of being open at its place. Waits end by [`Fold::end_wait`] before.
    fn leave(&mut self, now: i64, context: &Context<'_>, out: &mut impl Sink) {
        self.settle_message(now, out);
        let Some(place) = self.place else { return };
        step(out, now, place, Cell::level(Level::Open), -1);
        if self.arrived.is_some() && context.names.at(place).queue.is_none() {
            step(out, self.stay, place, Cell::level(Level::Unqueued), 1);
            step(out, now, place, Cell::level(Level::Unqueued), -1);
            age(out, self.stay, place, Age::Unqueued, self.born, 1);
            age(out, now, place, Age::Unqueued, self.born, -1);
        }
        for &Measured { threshold, within, mask } in context.names.thresholds_of(place) {
            span(out, self.stay.max(self.born + within), now, place, mask, Cell::beyond(threshold, Beyond::Open));
        }
    }

    fn arrive(&mut self, now: i64, place: u32, context: &mut Context<'_>, out: &mut impl Sink) {
        if self.arrived.is_some() {
            return;
        }
        let named = context.names.at(place).queue.is_some();
        let before = self.place.map(|place| context.names.at(place));
        if self.life != Life::Over && before.is_none_or(|before| before.channel.is_none()) {
            let queue = before.and_then(|before| before.queue).or(context.names.at(place).queue);
            let to = context.names.place_of(queue, context.names.at(place).channel);
            self.move_to(now, to, context, out);
        }
        self.arrived = Some(now);
        self.born = now;
        if self.life == Life::Unseen {
            self.open(now, out);
        }
        if self.life == Life::Open && !self.replied && self.unanswered.is_none() {
            self.owe(now, now, out);
        }
        // Where it names no queue, that which is known already is its own; the channel is the one that it names.
        let channel = context.names.at(place).channel;
        let known = self.place.filter(|_| !named).and_then(|known| context.names.at(known).queue);
        let place = known.zip(channel).map_or(place, |(queue, channel)| context.names.place(Some(queue), channel));
        add(out, now, place, Cell::sum(Sum::Arrivals), 1);
        self.unplaced_arrival = channel.filter(|_| context.names.at(place).queue.is_none());
    }

    fn queue(&mut self, now: i64, place: u32, transfer: bool, context: &mut Context<'_>, out: &mut impl Sink) {
        if transfer {
            self.end_contact(now, context, out);
        }
        // The wait itself may have begun before its channel was known: it is where the interaction is.
        if self.wait.is_some() && self.place == Some(place) {
            return;
        }
        self.end_wait(now, context, out);
        self.end_contact(now, context, out);
        if let (Some(channel), Some(arrived)) = (self.unplaced_arrival.take(), self.arrived) {
            let place = context.names.place(context.names.at(place).queue, channel);
            context.end_stage(Stage::Triage, place, now, now - arrived, out);
            let target = Target::Place(place, PAIR_AND_QUEUE);
            out.revise(Contribution { at: arrived, target, what: What::Add(Cell::sum(Sum::Arrivals)), weight: 1 });
        }
        if self.life == Life::Unseen {
            self.born = now;
        }
        self.move_to(now, place, context, out);
        if self.life != Life::Open {
            self.open(now, out);
        }
        self.start_wait(now, place, context, out);
    }

    fn start_wait(&mut self, now: i64, place: u32, context: &Context<'_>, out: &mut impl Sink) {
        self.wait = Some(Wait::begin(now, place, context, out));
        self.customers_turn = None;
    }

    /// Ends the wait, whatever it ends in. Returns what it was.
    fn end_wait(&mut self, now: i64, context: &Context<'_>, out: &mut impl Sink) -> Option<Waited> {
        Some(self.wait.take()?.end(now, context, out))
    }

    fn answer(&mut self, now: i64, context: &Context<'_>, out: &mut impl Sink) {
        let Some(waited) = self.end_wait(now, context, out) else { return };
        waited.answered(now, context, out);
        if let Some(contact) = &mut self.contact {
            contact.answered(now);
        }
    }

    /// The agent wrote (or, on voice, was connected): answers the messages that stand.
    fn respond(&mut self, now: i64, context: &Context<'_>, out: &mut impl Sink) {
        let Some(place) = self.place else { return };
        if !self.replied {
            self.replied = true;
            if let Some(arrived) = self.arrived {
                for (clock, length) in context.lengths(place, arrived, now) {
                    add(out, now, place, Cell::sum(Sum::FirstResponses).on(clock), 1);
                    add(out, now, place, Cell::sum(Sum::FirstResponseTotal).on(clock), length);
                }
            }
        }
        if let Some(start) = self.unanswered {
            for (clock, length) in context.lengths(place, start, now) {
                add(out, now, place, Cell::sum(Sum::Responses).on(clock), 1);
                add(out, now, place, Cell::sum(Sum::ResponseTotal).on(clock), length);
            }
            self.settle_message(now, out);
        }
    }

    fn answers_on(&self, names: &Names) -> AnswerOn {
        self.place.map_or(AnswerOn::Replied, |place| names.channel_of(place).answer_on)
    }

    fn assign(&mut self, now: i64, agent: u64, context: &mut Context<'_>, out: &mut impl Sink) {
        let (Life::Open, Some(place)) = (self.life, self.place) else { return };
        if let Some(wait) = self.wait.as_mut().filter(|wait| wait.taken.is_none()) {
            wait.taken = Some(now);
            context.end_stage(Stage::Queue, wait.place, now, now - wait.start, out);
        }
        if self.contact.is_none_or(|contact| contact.agent != agent) {
            self.end_contact(now, context, out);
            self.contact = Some(Contact::begin(now, agent, place, self.wait.is_some()));
        }
        if self.answers_on(context.names) == AnswerOn::Assigned {
            self.answer(now, context, out);
            self.respond(now, context, out);
        }
    }

    fn reply(&mut self, now: i64, automatic: bool, context: &mut Context<'_>, out: &mut impl Sink) {
        let Some(place) = self.place.filter(|_| !automatic && self.life != Life::Unseen) else { return };
        add(out, now, place, Cell::sum(Sum::Replies), 1);
        // The channel where the contact began says whether a reply leaves the turn to the customer.
        if let Some(contact) = &mut self.contact
            && context.names.channel_of(contact.place()).answer_on == AnswerOn::Replied
        {
            contact.customers_turn(now, true);
        }
        if self.answers_on(context.names) == AnswerOn::Replied {
            if let Some((place, taken)) = self.wait.and_then(|wait| Some((wait.place, wait.taken?))) {
                context.end_stage(Stage::Reply, place, now, now - taken, out);
            }
            self.answer(now, context, out);
            if self.life == Life::Open {
                self.customers_turn.get_or_insert(now);
            }
            self.respond(now, context, out);
        } else if self.replied {
            // Words during a call: its first reply was the assignment.
            self.respond(now, context, out);
        }
    }

    fn customer_message(&mut self, now: i64, context: &mut Context<'_>, out: &mut impl Sink) {
        if self.life != Life::Open {
            return;
        }
        if self.unanswered.is_none() {
            self.owe(now, now, out);
        }
        if let (Some(since), Some(place)) = (self.customers_turn.take(), self.place) {
            context.end_stage(Stage::Customer, place, now, now - since, out);
        }
        if let Some(contact) = &mut self.contact {
            contact.customers_turn(now, false);
        }
    }

    fn abandon(&mut self, now: i64, context: &mut Context<'_>, out: &mut impl Sink) {
        if self.life != Life::Open {
            return;
        }
        if let Some(waited) = self.end_wait(now, context, out) {
            waited.abandoned(now, context, out);
        }
        self.leave(now, context, out);
        self.drop_work();
        self.life = Life::Over;
    }

    fn close(&mut self, now: i64, outcome: Outcome, context: &mut Context<'_>, out: &mut impl Sink) {
        let (Life::Open, Some(place)) = (self.life, self.place) else { return };
        add(out, now, place, Cell::sum(Sum::Closed), 1);
        if let Some(waited) = self.end_wait(now, context, out) {
            add(out, now, waited.place, Cell::sum(Sum::ClosedUnanswered), 1);
        }
        self.end_contact(now, context, out);
        self.leave(now, context, out);
        self.drop_work();
        self.life = Life::Over;
        // Its last closing counts: an earlier one does not any more.
        if let Some(before) = self.resolution.take() {
            before.count(-1, context, |contribution| out.revise(contribution));
        }
        if let (Outcome::Resolved, Some(arrived)) = (outcome, self.arrived) {
            let resolution = Resolution { at: now, place, arrived };
            resolution.count(1, context, |contribution| out.put(contribution));
            self.resolution = Some(resolution);
        }
    }

    fn reopen(&mut self, now: i64, by: ReopenedBy, context: &mut Context<'_>, out: &mut impl Sink) {
        let Some(place) = self.place else { return };
        if self.life == Life::Over {
            self.open(now, out);
        }
        if by == ReopenedBy::Agent {
            return;
        }
        // Where it is open still, its closing is missing.
        self.end_contact(now, context, out);
        if self.unanswered.is_none() {
            self.owe(now, now, out);
        }
        if self.wait.is_none() && context.names.at(place).queue.is_some() {
            self.start_wait(now, place, context, out);
        }
    }

    /// What was begun and is broken off is no sample.
    fn drop_work(&mut self) {
        self.contact = None;
        self.parked = None;
        self.customers_turn = None;
    }

    fn park(&mut self, now: i64) {
        if self.life != Life::Open {
            return;
        }
        self.parked.get_or_insert(now);
        if let Some(contact) = &mut self.contact {
            contact.park(now, true);
        }
    }

    fn take_up(&mut self, now: i64, context: &mut Context<'_>, out: &mut impl Sink) {
        if let Some(contact) = &mut self.contact {
            contact.park(now, false);
        }
        if let (Some(since), Some(place)) = (self.parked.take(), self.place) {
            context.end_stage(Stage::Parked, place, now, now - since, out);
        }
    }

    fn end_contact(&mut self, now: i64, context: &mut Context<'_>, out: &mut impl Sink) {
        self.take_up(now, context, out);
        if let Some(contact) = self.contact.take() {
            contact.end(now, context, out);
        }
    }
}

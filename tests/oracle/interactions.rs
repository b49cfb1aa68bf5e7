//! One interaction's events, in their order, as plain facts: what was counted when, what waited from when to when.

use super::decode::Step;
use super::intake::Happening;
use super::settings::Settings;

/// Where something happened. What is not known counts in the roll-ups over it only.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub queue: Option<String>,
    pub channel: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Point {
    pub place: Place,
    pub at: i64,
}

/// Something that took from `from` until it became known at `at`.
#[derive(Clone, Debug)]
pub struct Lasted {
    pub place: Place,
    pub from: i64,
    pub at: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Answered,
    Abandoned,
    /// Moved to another queue before the answer.
    Left,
    ClosedUnanswered,
    Expired,
}

#[derive(Clone, Debug)]
pub struct Wait {
    pub place: Place,
    pub start: i64,
    pub end: Option<(i64, End)>,
}

/// A state that held from `from` (inclusive) until `until`; `since` is the instant its age is counted from.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    pub place: Place,
    pub since: i64,
    pub from: i64,
    pub until: Option<i64>,
}

/// A finished piece of work of an agent on an interaction in one queue.
#[derive(Clone, Debug)]
pub struct Contact {
    pub place: Place,
    pub at: i64,
    pub handled: i64,
    /// The part after the customer had gone, where there was a `wrapup`.
    pub after: Option<i64>,
}

/// One stretch of a step of the flow that came to its end at `at`.
#[derive(Clone, Debug)]
pub struct Stage {
    pub name: &'static str,
    pub place: Place,
    pub at: i64,
    pub took: i64,
}

#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub arrivals: Vec<Point>,
    pub queued: Vec<Point>,
    pub replies: Vec<Point>,
    pub closed: Vec<Point>,
    pub expired: Vec<Point>,
    pub waits: Vec<Wait>,
    pub first_responses: Vec<Lasted>,
    pub responses: Vec<Lasted>,
    pub resolutions: Vec<Lasted>,
    pub contacts: Vec<Contact>,
    pub open: Vec<Stretch>,
    pub unanswered: Vec<Stretch>,
    pub unqueued: Vec<Stretch>,
    /// One list for each interaction.
    pub stages: Vec<Vec<Stage>>,
}

impl Facts {
    pub fn append(&mut self, mut other: Facts) {
        self.arrivals.append(&mut other.arrivals);
        self.queued.append(&mut other.queued);
        self.replies.append(&mut other.replies);
        self.closed.append(&mut other.closed);
        self.expired.append(&mut other.expired);
        self.waits.append(&mut other.waits);
        self.first_responses.append(&mut other.first_responses);
        self.responses.append(&mut other.responses);
        self.resolutions.append(&mut other.resolutions);
        self.contacts.append(&mut other.contacts);
        self.open.append(&mut other.open);
        self.unanswered.append(&mut other.unanswered);
        self.unqueued.append(&mut other.unqueued);
        self.stages.append(&mut other.stages);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    /// Nothing has been heard of it yet.
    New,
    Open,
    /// Closed or abandoned.
    Over,
    Expired,
}

/// An agent is on it: when work was last counted up to, and what has been counted.
struct Work {
    agent: String,
    place: Place,
    counted_to: i64,
    handled: i64,
    after: i64,
    wrapup: bool,
    customers_turn: bool,
    /// Of the handling, what is neither before the answer nor after the contact.
    talking: i64,
    /// Whether there was any, be it of no length.
    talked: bool,
    /// What comes after the first `wrapup`, without parked time.
    wrapping: i64,
}

struct Walk<'a> {
    settings: &'a Settings,
    facts: Facts,
    status: Status,
    place: Place,
    /// When it was opened first, for the age of one whose arrival is missing.
    opened: Option<i64>,
    last: i64,
    arrived: Option<i64>,
    /// Index into `facts.waits`.
    waiting: Option<usize>,
    /// An answer has been given once.
    answered: bool,
    /// The oldest message, arrival or reopening of the customer that nobody answered.
    message: Option<i64>,
    work: Option<Work>,
    parked: bool,
    /// For the stages: when it was put aside, when an agent took what still waits, when the customer was last replied to.
    parked_at: i64,
    taken: Option<i64>,
    replied: Option<i64>,
}

pub fn facts(life: &[Happening], settings: &Settings) -> Facts {
    let mut walk = Walk {
        settings,
        facts: Facts::default(),
        status: Status::New,
        place: Place::default(),
        opened: None,
        last: 0,
        arrived: None,
        waiting: None,
        answered: false,
        message: None,
        work: None,
        parked: false,
        parked_at: 0,
        taken: None,
        replied: None,
    };
    for happening in life {
        // CHOICE: what is only said about an interaction (`rated`, `evaluated`) is no sign of life: it neither opens it,
        // nor breaks its silence.
        if matches!(happening.step, Step::Rated | Step::Evaluated) {
            continue;
        }
        walk.expire_until(happening.time);
        walk.work_until(happening.time);
        walk.step(happening.time, &happening.step);
        walk.last = happening.time;
        walk.write_down(happening.time);
    }
    walk.expire_until(i64::MAX);
    walk.facts
}

impl Walk<'_> {
    fn step(&mut self, at: i64, step: &Step) {
        match self.status {
            Status::New | Status::Expired => self.open(at),
            // CHOICE: after `closed` or `abandoned` it is opened again by `reopened`, and by `queued` and `transferred`
            // (whose `reopened` is missing). The first `arrived` still counts (it tells what had happened before), and so
            // does a reply; nothing else does.
            Status::Over if matches!(step, Step::Reopened { .. } | Step::Queued { .. } | Step::Transferred { .. }) => {
                self.open(at);
            }
            Status::Over if matches!(step, Step::Replied { automatic: false }) => return self.reply(at),
            Status::Over if matches!(step, Step::Arrived { .. }) => return self.arrive_late(at, step),
            Status::Over => return,
            Status::Open => {}
        }
        match step {
            Step::Arrived { channel, queue } => self.arrive(at, channel, queue.as_deref()),
            Step::Queued { queue, channel } => self.wait_in(at, queue, Some(channel)),
            Step::Transferred { queue, channel } => {
                // A contact ends at every transfer, be it to the same queue.
                self.end_work(at);
                self.wait_in(at, queue, channel.as_deref());
            }
            Step::Assigned { agent } => self.assign(at, agent),
            // CHOICE: automatic replies are not counted in `replies`, start no customer's turn and answer nothing.
            Step::Replied { automatic: true } => {}
            Step::Replied { automatic: false } => self.reply(at),
            Step::CustomerMessage => {
                self.message.get_or_insert(at);
                if let Some(from) = self.replied.take() {
                    self.stage("customer", self.place.clone(), at, at - from);
                }
                if let Some(work) = &mut self.work {
                    work.customers_turn = false;
                }
            }
            Step::Parked if self.parked => {}
            Step::Parked => {
                self.parked = true;
                self.parked_at = at;
            }
            Step::Resumed => self.take_up(at),
            Step::Wrapup => {
                // CHOICE: who does after-contact work has taken it up again, and it is the customer's turn no more.
                if let Some(work) = &mut self.work {
                    work.wrapup = true;
                    work.customers_turn = false;
                    self.take_up(at);
                }
            }
            Step::Abandoned => {
                // CHOICE: without a wait (never queued, or answered already) it only leaves the backlog. What an agent
                // had worked on it gives no handling time, as it was never closed.
                self.end_wait(at, End::Abandoned);
                self.work = None;
                self.over();
            }
            Step::Closed { resolved } => {
                self.facts.closed.push(Point { place: self.place.clone(), at });
                // The last closing decides: an earlier one is none any more.
                self.facts.resolutions.clear();
                if let (true, Some(from)) = (*resolved, self.arrived) {
                    self.facts.resolutions.push(Lasted { place: self.place.clone(), from, at });
                }
                self.end_wait(at, End::ClosedUnanswered);
                self.end_work(at);
                self.over();
            }
            Step::Reopened { by_customer } => self.reopen(at, *by_customer),
            Step::Rated | Step::Evaluated => {}
        }
    }

    fn open(&mut self, at: i64) {
        self.status = Status::Open;
        self.opened.get_or_insert(at);
        self.parked = false;
    }

    fn over(&mut self) {
        self.status = Status::Over;
        self.taken = None;
        self.replied = None;
        self.message = None;
        self.work = None;
        self.parked = false;
    }

    /// CHOICE: only the first `arrived` in order is the arrival; a second one changes nothing.
    fn arrive(&mut self, at: i64, channel: &str, queue: Option<&str>) {
        if self.arrived.is_some() {
            return;
        }
        self.count_arrival(at, channel, queue);
        if self.place.channel.is_none() {
            self.place.channel = Some(channel.to_owned());
        }
        if self.place.queue.is_none() {
            self.place.queue = queue.map(str::to_owned);
        }
        if !self.answered {
            self.message.get_or_insert(at);
        }
    }

    fn arrive_late(&mut self, at: i64, step: &Step) {
        if let (None, Step::Arrived { channel, queue }) = (self.arrived, step) {
            self.count_arrival(at, channel, queue.as_deref());
        }
    }

    /// CHOICE: the arrival counts in the channel that `arrived` names, and in the queue that it names, or else in the
    /// one that the interaction has already, or else in the first that `queued` or `transferred` names.
    fn count_arrival(&mut self, at: i64, channel: &str, queue: Option<&str>) {
        self.arrived = Some(at);
        let queue = queue.map(str::to_owned).or_else(|| self.place.queue.clone());
        self.facts.arrivals.push(Point { place: Place { queue, channel: Some(channel.to_owned()) }, at });
    }

    fn wait_in(&mut self, at: i64, queue: &str, channel: Option<&str>) {
        let channel = channel.map(str::to_owned).or_else(|| self.place.channel.clone());
        let place = Place { queue: Some(queue.to_owned()), channel };
        let mut triage = None;
        for arrival in self.facts.arrivals.iter_mut().filter(|arrival| arrival.place.queue.is_none()) {
            arrival.place.queue = Some(queue.to_owned());
            triage = Some(arrival.clone());
        }
        if self.waiting.is_some() && place == self.place {
            // "To the same queue and channel before the answer keeps the clock": nor is it queued a second time.
            return;
        }
        self.end_wait(at, End::Left);
        // CHOICE: an agent's work on it ends with its leaving: each leg is a contact of its own, known at that moment.
        self.end_work(at);
        self.place = place;
        if let Some(arrival) = triage {
            // "So does its `triage`": where the arrival counts.
            self.stage("triage", arrival.place, at, at - arrival.at);
        }
        self.start_wait(at);
    }

    /// CHOICE: a step counts when it is done, in the place where it was done. One that is broken off (left, given up)
    /// is not in the mean.
    fn stage(&mut self, name: &'static str, place: Place, at: i64, took: i64) {
        if self.facts.stages.is_empty() {
            self.facts.stages.push(Vec::new());
        }
        self.facts.stages[0].push(Stage { name, place, at, took });
    }

    fn take_up(&mut self, at: i64) {
        if self.parked {
            self.parked = false;
            self.stage("parked", self.place.clone(), at, at - self.parked_at);
        }
    }

    fn start_wait(&mut self, at: i64) {
        self.taken = None;
        self.replied = None;
        self.facts.queued.push(Point { place: self.place.clone(), at });
        self.waiting = Some(self.facts.waits.len());
        self.facts.waits.push(Wait { place: self.place.clone(), start: at, end: None });
    }

    fn end_wait(&mut self, at: i64, how: End) {
        if let Some(index) = self.waiting.take() {
            self.facts.waits[index].end = Some((at, how));
        }
    }

    fn assign(&mut self, at: i64, agent: &str) {
        if let Some(index) = self.waiting
            && self.taken.is_none()
        {
            self.taken = Some(at);
            let wait = self.facts.waits[index].clone();
            self.stage("queue", wait.place, at, at - wait.start);
        }
        if !self.settings.channel(self.place.channel.as_deref()).answered_by_reply {
            self.answer(at);
            self.respond(at);
        }
        // CHOICE: `assigned` to the same agent again is a repeat; to another one it begins a contact of its own.
        if self.work.as_ref().is_none_or(|work| work.agent != agent) {
            self.end_work(at);
            // CHOICE: who takes it does not leave it parked.
            self.take_up(at);
            self.work = Some(Work {
                agent: agent.to_owned(),
                place: self.place.clone(),
                counted_to: at,
                handled: 0,
                after: 0,
                wrapup: false,
                customers_turn: false,
                talking: 0,
                talked: false,
                wrapping: 0,
            });
        }
    }

    fn reply(&mut self, at: i64) {
        self.facts.replies.push(Point { place: self.place.clone(), at });
        if self.settings.channel(self.place.channel.as_deref()).answered_by_reply {
            if let (Some(from), Some(index)) = (self.taken, self.waiting) {
                self.stage("reply", self.facts.waits[index].place.clone(), at, at - from);
            }
            self.answer(at);
            self.respond(at);
            // CHOICE: the customer's turn begins with the first of several replies, as it does for the handling time.
            if self.status == Status::Open {
                self.replied.get_or_insert(at);
            }
        } else if self.answered {
            // CHOICE: where the assignment answers, a reply still answers a message that came after it.
            self.respond(at);
        }
        // CHOICE: the customer's turn is from a reply that is not automatic to the next message of the customer.
        if let Some(work) = &mut self.work {
            work.customers_turn = !work.wrapup;
        }
    }

    /// The arrival is the first message, and a reopening by the customer is one.
    fn respond(&mut self, at: i64) {
        if let Some(from) = self.message.take() {
            self.facts.responses.push(Lasted { place: self.place.clone(), from, at });
        }
    }

    /// CHOICE: the first answer counts for `first_response_time` also where no wait was running.
    fn answer(&mut self, at: i64) {
        self.end_wait(at, End::Answered);
        if !self.answered {
            self.answered = true;
            if let Some(from) = self.arrived {
                self.facts.first_responses.push(Lasted { place: self.place.clone(), from, at });
            }
        }
    }

    /// CHOICE: a reopening by the customer leaves something unanswered, from then on. One heard while it is open is as
    /// if its closing were missing: it ends the contact, and starts a new wait if none runs. It waits in the last queue
    /// that is known, be it only from `arrived`.
    fn reopen(&mut self, at: i64, by_customer: bool) {
        if !by_customer {
            return;
        }
        self.message.get_or_insert(at);
        self.end_work(at);
        if self.waiting.is_none() && self.place.queue.is_some() {
            self.start_wait(at);
        }
    }

    /// Counts the work done up to `at` in the state that held until then.
    fn work_until(&mut self, at: i64) {
        let (parked, answered) = (self.parked, self.waiting.is_none());
        let Some(work) = &mut self.work else { return };
        let channel = self.settings.channel(work.place.channel.as_deref());
        let out = parked || (channel.answered_by_reply && work.customers_turn);
        if channel.handling_elapsed || !out {
            work.handled += at - work.counted_to;
            // CHOICE: the after-contact part is what of the handling comes after the first `wrapup`.
            if work.wrapup {
                work.after += at - work.counted_to;
            }
        }
        // CHOICE: the stage `handling` is the work between the answer and the wrap-up, so that no second is in two stages.
        // One that was never answered was not handled.
        if answered && !work.wrapup {
            work.talked = true;
        }
        if !out {
            *(if work.wrapup { &mut work.wrapping } else { &mut work.talking }) +=
                if answered || work.wrapup { at - work.counted_to } else { 0 };
        }
        work.counted_to = at;
    }

    fn end_work(&mut self, at: i64) {
        self.take_up(at);
        if let Some(work) = self.work.take() {
            if work.talked {
                self.stage("handling", work.place.clone(), at, work.talking);
            }
            if work.wrapup {
                self.stage("wrapup", work.place.clone(), at, work.wrapping);
            }
            let after = work.wrapup.then_some(work.after);
            self.facts.contacts.push(Contact { place: work.place, at, handled: work.handled, after });
        }
    }

    /// What never ends: silent too long. An event at the very end of the silence comes after it (CHOICE).
    fn expire_until(&mut self, at: i64) {
        if self.status != Status::Open {
            return;
        }
        let channel = self.settings.channel(self.place.channel.as_deref());
        // CHOICE: whatever neither waits nor has a message unanswered is "answered", be it by nobody.
        let unanswered = self.waiting.is_some() || self.message.is_some();
        let silence = if unanswered { channel.give_up } else { channel.idle_close };
        let end = self.last + silence;
        if end > at {
            return;
        }
        self.facts.expired.push(Point { place: self.place.clone(), at: end });
        self.end_wait(end, End::Expired);
        // CHOICE: work on it that was never ended gives no handling time.
        self.over();
        self.status = Status::Expired;
        self.write_down(end);
    }

    /// Writes down which states hold from now on.
    fn write_down(&mut self, at: i64) {
        let open = self.status == Status::Open;
        let place = self.place.clone();
        let state = |since: Option<i64>| since.filter(|_| open).map(|since| (place.clone(), since));
        // Ages run from the arrival.
        hold(&mut self.facts.open, at, state(self.arrived.or(self.opened)));
        hold(&mut self.facts.unanswered, at, state(self.message));
        // CHOICE: "in no queue yet" is until `queued` or `transferred` names one; an agent who takes it names none.
        hold(&mut self.facts.unqueued, at, state(self.arrived.filter(|_| self.place.queue.is_none())));
    }
}

fn hold(stretches: &mut Vec<Stretch>, at: i64, state: Option<(Place, i64)>) {
    let running = stretches.last_mut().filter(|stretch| stretch.until.is_none());
    if let Some(stretch) = running {
        if state.as_ref().is_some_and(|(place, since)| *place == stretch.place && *since == stretch.since) {
            return;
        }
        stretch.until = Some(at);
    }
    if let Some((place, since)) = state {
        stretches.push(Stretch { place, since, from: at, until: None });
    }
}

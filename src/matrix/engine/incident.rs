//! From leaving ok until ok again: who has been told, and when they are told again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::case::News;
use super::{Notification, Reason, Tick, Transition};
use crate::domain::{Millis, Timestamp};
use crate::matrix::{Level, Matrix, Medium, Range, Recipient};

mod snapshot;

pub(super) use snapshot::WrittenIncident;

/// A contact by one medium.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Address {
    to: Arc<str>,
    medium: Medium,
    address: Arc<str>,
}

/// An instant of the incident's own clock: the time of day less the time for which its timers have stood.
type Run = Timestamp;

#[derive(Clone, Debug)]
pub(super) struct Incident {
    pub id: Arc<str>,
    /// When the case left ok.
    pub since: Timestamp,
    /// That which took the level, or the range.
    pub last: Arc<Transition>,
    sequence: u32,
    /// Everyone told, in the order of the first time.
    told: Vec<Address>,
    /// When the level, or the range, was taken: escalation and repeat run from here.
    taken: Run,
    /// Indices of the steps of the range that are over.
    steps: Vec<usize>,
    /// Whom the steps reached; `repeat` goes to them too.
    reached: Vec<Address>,
    /// The level was taken from a worse one: its steps tell only whom nothing has told yet.
    improved: bool,
    /// How many lengths of `repeat` have passed.
    repeats: i64,
    stood: Millis,
    stands_since: Option<Timestamp>,
    carried: Option<Carried>,
}

/// Carried over closed hours, and neither resolved nor told since.
#[derive(Clone, Copy, Debug, Default)]
struct Carried {
    /// Since when, by the clock of the evidence, it has looked well.
    well_since: Option<Timestamp>,
}

impl Incident {
    /// Of a transition that leaves ok; [`Incident::take_level`] with the same transition tells of it.
    pub fn new(leaves_ok: Arc<Transition>) -> Self {
        Incident {
            id: leaves_ok.incident.clone(),
            since: leaves_ok.time,
            taken: leaves_ok.time,
            last: leaves_ok,
            sequence: 0,
            told: Vec::new(),
            steps: Vec::new(),
            reached: Vec::new(),
            improved: false,
            repeats: 0,
            stood: Millis::ZERO,
            stands_since: None,
            carried: None,
        }
    }

    /// Stops the timers from `now` on, until a level is taken or [`Incident::open_again`].
    pub fn stand(&mut self, now: Timestamp) {
        self.stands_since.get_or_insert(now);
    }

    /// It has outlived closed hours that began no earlier than `closed`: nothing is told until it is clear how it is.
    pub fn carry(&mut self, closed: Timestamp) {
        self.stand(closed);
        self.carried = Some(Carried::default());
    }

    pub fn is_carried(&self) -> bool {
        self.carried.is_some()
    }

    /// Whether it is carried over and has looked well for as long as recovery takes, without recovering.
    pub fn looked_well_for(&mut self, now: Timestamp, recover: Millis) -> bool {
        self.carried.as_mut().is_some_and(|carried| now - *carried.well_since.get_or_insert(now) >= recover)
    }

    /// The hours have begun, and what was carried over is not well: everyone told hears so once, the timers go on.
    pub fn open_again(&mut self, news: News, tick: &mut Tick) {
        self.go_on(news.now);
        let told = self.told.clone();
        self.post(told, Reason::Opened, news, tick);
    }

    /// The case has taken the level or range of `transition`, whose `tell` is given.
    pub fn take_level(&mut self, transition: Arc<Transition>, tell: Vec<Address>, news: News, tick: &mut Tick) {
        self.go_on(news.now);
        self.improved = transition.to < transition.from;
        if !self.improved {
            self.reached.clear();
        }
        (self.taken, self.repeats) = (self.clock(news.now), 0);
        self.steps.clear();
        let (reason, told) = (transition.reason, self.told.clone());
        let recipients = match transition.to {
            Level::Ok => told,
            _ if self.improved => [told, tell].concat(),
            _ => [tell, told].concat(),
        };
        self.last = transition;
        self.post(recipients, reason, news, tick);
    }

    /// Escalation steps and repeats that are due. `waits` says whether there is somebody to escalate for; it is asked
    /// only when a step is due.
    pub fn timers(
        &mut self,
        matrix: &Matrix,
        range: Option<&Range>,
        news: News,
        waits: impl FnOnce() -> bool,
        tick: &mut Tick,
    ) {
        let Some(range) = range.filter(|_| self.stands_since.is_none()) else { return };
        let elapsed = self.clock(news.now) - self.taken;

        let steps = range.escalate.iter().enumerate();
        let due: Vec<usize> = steps
            .filter(|(index, step)| step.after <= elapsed && !self.steps.contains(index))
            .map(|(index, _)| index)
            .collect();
        if !due.is_empty() && waits() {
            let tell = due.iter().filter_map(|index| range.escalate.get(*index)).flat_map(|step| &step.tell);
            let tell = addresses(matrix, tell);
            self.steps.extend(due);
            let known = self.reached.len();
            for address in &tell {
                if !self.reached[..known].contains(address) {
                    self.reached.push(address.clone());
                }
            }
            let new = |address: &Address| !(self.improved && self.told.contains(address));
            let tell = tell.into_iter().filter(new).filter(|address| !self.is_told_now(address, tick)).collect();
            self.post(tell, Reason::Escalation, news, tick);
        }

        let Some(length) = range.repeat.filter(|length| *length > Millis::ZERO) else { return };
        let passed = elapsed.0 / length.0;
        if passed > self.repeats {
            self.repeats = passed;
            let all = [addresses(matrix, &range.tell), self.reached.clone()].concat();
            let tell = all.into_iter().filter(|address| !self.is_told_now(address, tick)).collect();
            self.post(tell, Reason::Repeat, news, tick);
        }
    }

    /// The webhooks told so far, each once.
    pub fn webhooks(&self) -> Vec<Arc<str>> {
        let told = self.told.iter().filter(|told| told.medium == Medium::Webhook);
        let mut names: Vec<Arc<str>> = told.map(|told| told.address.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn clock(&self, now: Timestamp) -> Run {
        now - self.stood
    }

    fn go_on(&mut self, now: Timestamp) {
        if let Some(since) = self.stands_since.take() {
            self.stood = self.stood + (now - since);
        }
        self.carried = None;
    }

    fn is_told_now(&self, address: &Address, tick: &Tick) -> bool {
        let mut now = tick.notifications.iter().rev().take_while(|notice| notice.incident == self.id);
        now.any(|notice| notice.to == address.to && notice.medium == address.medium)
    }

    /// One notification to each of `recipients`, each once. Everything that an incident tells goes through here.
    fn post(&mut self, mut recipients: Vec<Address>, reason: Reason, news: News, tick: &mut Tick) {
        keep_first(&mut recipients);
        self.told.extend_from_slice(&recipients);
        keep_first(&mut self.told);
        let mut names: Vec<Arc<str>> = Vec::new();
        for address in &self.told {
            if !names.contains(&address.to) {
                names.push(address.to.clone());
            }
        }
        let told: Arc<[Arc<str>]> = names.into();
        for Address { to, medium, address } in recipients {
            self.sequence += 1;
            tick.notifications.push(Notification {
                time: news.now,
                incident: self.id.clone(),
                sequence: self.sequence,
                to,
                medium,
                address,
                level: self.last.to,
                reason,
                transition: self.last.clone(),
                value: news.reading.value,
                samples: news.reading.samples,
                value_time: news.value_time,
                told: told.clone(),
                since: self.since,
            });
        }
    }
}

/// Each medium of each contact that `recipients` means, once, in their order. Contacts that the matrix does not have
/// are `config`'s to refuse.
pub(super) fn addresses<'r>(matrix: &Matrix, recipients: impl IntoIterator<Item = &'r Recipient>) -> Vec<Address> {
    let mut all = Vec::new();
    for recipient in recipients {
        let Some(contact) = matrix.contacts.get(&recipient.contact) else { continue };
        let media = [(Medium::Email, &contact.email), (Medium::Webhook, &contact.webhook)];
        let wanted = media.into_iter().filter(|(medium, _)| recipient.medium.is_none_or(|only| only == *medium));
        let to = &recipient.contact;
        all.extend(
            wanted.filter_map(|(medium, address)| Some(Address { to: to.clone(), medium, address: address.clone()? })),
        );
    }
    keep_first(&mut all);
    all
}

/// Takes out what is in the list before. Lists of people are short.
fn keep_first(list: &mut Vec<Address>) {
    let mut seen: Vec<Address> = Vec::with_capacity(list.len());
    for address in list.drain(..) {
        if !seen.contains(&address) {
            seen.push(address);
        }
    }
    *list = seen;
}

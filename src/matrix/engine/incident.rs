//! From leaving ok until ok again: who has been told, and when they are told again.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::case::News;
use super::flapping::{Flaps, Said};
use super::hold::Stands;
use super::operations::{Acknowledged, Names, Silences};
use super::{Notification, OpenCase, Reason, Tick, Transition};
use crate::domain::{Millis, Timestamp};
use crate::indicators::Selector;
use crate::matrix::{Level, Matrix, Medium, Range, Recipient, Step};

mod snapshot;

pub(super) use snapshot::WrittenIncident;

/// A contact by one medium.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Address {
    to: Arc<str>,
    medium: Medium,
    address: Arc<str>,
}

impl Address {
    /// Whether both reach the same place, whatever the contacts are called.
    pub fn same_place(&self, other: &Address) -> bool {
        (self.medium, &self.address) == (other.medium, &other.address)
    }

    pub fn is_of(&self, notice: &Notification) -> bool {
        (self.medium, &self.address) == (notice.medium, &notice.address)
    }
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
    /// The `after` of each step of the range that is over: it outlives a change of the row.
    steps: Vec<Millis>,
    /// Whom the steps reached; `repeat` goes to them too.
    reached: Vec<Address>,
    /// The level was taken from a worse one: its steps tell only whom nothing has told yet.
    improved: bool,
    /// How many lengths of `repeat` have passed.
    repeats: i64,
    stood: Millis,
    stands_since: Option<Timestamp>,
    /// For how long the timers had run at the last tick, and for how much of it the feed was frozen: repeats stood.
    ran: Millis,
    muted: Millis,
    /// The last tick added to that.
    muting: bool,
    carried: Option<Carried>,
    acknowledged: Option<Acknowledged>,
    /// The silences that hold its notices.
    silenced: Vec<Arc<str>>,
    /// The generation of silences and the level for which `silenced` was found; only a memory.
    covered: Option<(u64, Level)>,
    /// Notices are or were held by a silence, and nobody has been told since.
    owed: bool,
    /// The level is not told, because the case flaps.
    held: bool,
    /// How often its case has changed its level, while that damps its notices.
    pub flaps: Option<Flaps>,
    /// No rule watches it any more: it ends with the next tick.
    pub removed: bool,
}

/// A level or a range that is taken, and how it is told.
pub(super) struct Change<'a> {
    pub transition: Arc<Transition>,
    /// Whom its range tells.
    pub tell: Vec<Address>,
    pub said: Said,
    pub silences: &'a Silences,
    pub names: Names<'a>,
}

/// Carried over closed hours, and neither resolved nor told since.
#[derive(Clone, Copy, Debug, Default, Hash)]
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
            ran: Millis::ZERO,
            muted: Millis::ZERO,
            muting: false,
            carried: None,
            acknowledged: None,
            silenced: Vec::new(),
            covered: None,
            owed: false,
            held: false,
            flaps: None,
            removed: false,
        }
    }

    /// As it was at the last tick, `ticked`, so that timers that run on change nothing. Who has another transition has
    /// another level, range, time or reason.
    pub fn mark(&self, to: &mut impl Hasher, ticked: Timestamp) {
        let Incident { id, since, last, sequence, told, taken, steps, reached, improved, repeats, .. } = self;
        (id, since, sequence, told, taken, steps, reached, improved, repeats).hash(to);
        let Incident {
            stood,
            stands_since,
            ran: _,
            muted: _,
            muting: _,
            carried,
            acknowledged,
            silenced,
            covered: _,
            ..
        } = self;
        (stood, stands_since, self.ran_to(ticked), self.repeating(ticked), carried, acknowledged, silenced).hash(to);
        let Incident { owed, held, flaps, removed, .. } = self;
        (owed, held, flaps, removed).hash(to);
        (last.time, last.range, last.from, last.to, last.reason, last.value.map(f64::to_bits)).hash(to);
    }

    /// For how long the timers had run at `ticked`; `None` where that is all the time there was.
    fn ran_to(&self, ticked: Timestamp) -> Option<Millis> {
        Some(self.ran).filter(|ran| *ran != self.elapsed(ticked))
    }

    /// For how much of that repeats stood; or, while they stand, for how much they did not.
    fn repeating(&self, ticked: Timestamp) -> (bool, Millis) {
        (self.muting, if self.muting { self.elapsed(ticked) - self.muted } else { self.muted })
    }

    /// A tick begins.
    pub fn begin(&mut self) {
        self.muting = false;
    }

    fn elapsed(&self, now: Timestamp) -> Millis {
        self.clock(self.stands_since.unwrap_or(now)) - self.taken
    }

    /// As it is shown; the case and the engine add what they know.
    pub fn open(&self) -> OpenCase {
        OpenCase {
            last: self.last.clone(),
            since: self.since,
            value: None,
            samples: 0.0,
            closed_hours: false,
            frozen: false,
            acknowledged: self.acknowledged.clone(),
            silenced: self.silenced.clone(),
            flaps: self.flaps,
            webhooks: Vec::new(),
        }
    }

    /// Its id, and how it stands.
    pub fn stands(&self) -> (&str, Stands) {
        let held = !self.silenced.is_empty() || self.carried.is_some();
        (&self.id, Stands { held, acknowledged: self.acknowledged.clone() })
    }

    /// Somebody has taken it up: its timers stand until that is over, or void.
    pub fn acknowledge(&mut self, acknowledged: Acknowledged) {
        self.stand(acknowledged.at);
        self.acknowledged = Some(acknowledged);
    }

    /// Finds out which silences hold its notices now, and whether its acknowledgement is over.
    pub fn look_around(&mut self, silences: &Silences, names: Names<'_>, now: Timestamp) {
        let level = self.last.to;
        if self.covered != Some((silences.generation(), level)) {
            self.silenced = silences.over(names, level);
            self.covered = Some((silences.generation(), level));
        }
        self.owed |= !self.silenced.is_empty();
        if let Some(over) = self.acknowledged.take_if(|acknowledged| acknowledged.until <= now)
            && self.carried.is_none()
        {
            self.go_on(over.until.max(over.at));
        }
    }

    /// What is owed is told: a silence has ended while it fires, or its case flaps no longer. `tell` are those whom its
    /// level tells.
    pub fn catch_up(&mut self, tell: impl FnOnce() -> Vec<Address>, news: News, tick: &mut Tick) {
        if self.carried.is_some() || !self.silenced.is_empty() {
            return;
        }
        if self.owed {
            self.begin_anew(news.now);
            self.tell_all(tell(), Reason::SilenceEnded, news, tick);
        } else if self.held && self.flaps.is_none() {
            self.tell_all(tell(), self.last.reason, news, tick);
        }
    }

    /// Its row is that one now: what is told later is of its words.
    pub fn belong_to(&mut self, matrix: &Arc<Matrix>, row: usize, range: Option<usize>, selector: Selector) {
        let last = (*self.last).clone();
        self.last = Arc::new(Transition { matrix: matrix.clone(), row, range, selector, ..last });
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

    /// The hours have begun, and what was carried over is not well: everyone told hears so once, the timers go on. Where
    /// a silence has ended meanwhile, that is what is told. `tell` are those whom its level tells.
    pub fn open_again(&mut self, tell: impl FnOnce() -> Vec<Address>, news: News, tick: &mut Tick) {
        self.go_on(news.now);
        if !self.silenced.is_empty() {
            // It is owed until the silence ends.
        } else if self.owed {
            self.begin_anew(news.now);
            self.tell_all(tell(), Reason::SilenceEnded, news, tick);
        } else if self.held {
            self.tell_all(tell(), Reason::Opened, news, tick);
        } else {
            self.tell_all(Vec::new(), Reason::Opened, news, tick);
        }
    }

    fn tell_all(&mut self, tell: Vec<Address>, reason: Reason, news: News, tick: &mut Tick) {
        (self.owed, self.held) = (false, false);
        let all = [tell, self.told.clone()].concat();
        self.post(all, reason, news, tick);
    }

    /// Escalation and repeat from zero.
    fn begin_anew(&mut self, now: Timestamp) {
        self.go_on(now);
        self.improved = false;
        self.reached.clear();
        self.restart(now);
    }

    fn restart(&mut self, now: Timestamp) {
        (self.taken, self.repeats) = (self.clock(now), 0);
        (self.ran, self.muted) = (Millis::ZERO, Millis::ZERO);
        self.steps.clear();
    }

    /// The case has taken a level or a range.
    pub fn take_level(&mut self, change: Change<'_>, news: News, tick: &mut Tick) {
        let Change { transition, tell, said, silences, names } = change;
        self.acknowledged.take_if(|acknowledged| transition.to > acknowledged.level);
        self.go_on(news.now);
        self.improved = transition.to < transition.from;
        if !self.improved {
            self.reached.clear();
        }
        self.restart(news.now);
        let told = self.told.clone();
        let recipients = match transition.to {
            Level::Ok => told,
            _ if self.improved => [told, tell].concat(),
            _ => [tell, told].concat(),
        };
        let reason = if said == Said::Flapping { Reason::Flapping } else { transition.reason };
        self.last = transition;
        self.look_around(silences, names, news.now);
        self.held = said == Said::Held;
        if self.silenced.is_empty() && !self.held {
            self.owed = false;
        }
        if !self.held {
            self.post(recipients, reason, news, tick);
        }
    }

    /// Escalation steps and repeats that are due. There are no repeats while the feed is `frozen`. `waits` says whether
    /// there is somebody to escalate for; it is asked only when a step is due.
    pub fn timers(
        &mut self,
        matrix: &Matrix,
        range: Option<&Range>,
        frozen: bool,
        news: News,
        waits: impl FnOnce() -> bool,
        tick: &mut Tick,
    ) {
        let Some(range) = range.filter(|_| self.carried.is_none()) else { return };
        let elapsed = self.elapsed(news.now);
        self.muting = frozen;
        if frozen {
            self.muted = self.muted + (elapsed - self.ran);
        }
        self.ran = elapsed;
        if self.stands_since.is_some() || !self.silenced.is_empty() {
            return;
        }

        let due = |step: &&Step| step.after <= elapsed && !self.steps.contains(&step.after);
        let due: Vec<&Step> = range.escalate.iter().filter(due).collect();
        if !due.is_empty() && waits() {
            let tell = addresses(matrix, due.iter().flat_map(|step| &step.tell), news.now);
            self.steps.extend(due.iter().map(|step| step.after));
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

        let repeats = range.repeat.filter(|length| *length > Millis::ZERO && !frozen);
        let Some(length) = repeats else { return };
        let passed = (elapsed - self.muted).0 / length.0;
        if passed > self.repeats {
            self.repeats = passed;
            let reached = on_duty(matrix, &self.reached, news.now);
            let all = [addresses(matrix, &range.tell, news.now), reached].concat();
            let tell = all.into_iter().filter(|address| !self.is_told_now(address, tick)).collect();
            self.post(tell, Reason::Repeat, news, tick);
        }
    }

    fn clock(&self, now: Timestamp) -> Run {
        now - self.stood
    }

    /// The timers go on, unless somebody has taken the incident up.
    fn go_on(&mut self, now: Timestamp) {
        if let Some(since) = self.stands_since.take() {
            self.stood = self.stood + (now - since);
        }
        self.carried = None;
        if self.acknowledged.is_some() {
            self.stand(now);
        }
    }

    fn is_told_now(&self, address: &Address, tick: &Tick) -> bool {
        let mut now = tick.notifications.iter().rev().take_while(|notice| notice.incident == self.id);
        now.any(|notice| notice.to == address.to && address.is_of(notice))
    }

    /// One notification to each of `recipients`, each once. Everything that an incident tells goes through here: a
    /// silence holds all of it but the end.
    fn post(&mut self, mut recipients: Vec<Address>, reason: Reason, news: News, tick: &mut Tick) {
        if self.last.to != Level::Ok && !self.silenced.is_empty() {
            return;
        }
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
        let ran = self.elapsed(news.now);
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
                acknowledged: self.acknowledged.clone(),
                unacknowledged: false,
                silenced: self.silenced.clone(),
                flaps: self.flaps,
                ran,
                muted: self.muted,
                held_since: None,
                around: None,
                trend: None,
                held_back: None,
                gathered: None,
            });
        }
    }
}

/// Each medium of each contact that `recipients` means at `now`, once, in their order. Contacts that the matrix does not
/// have are `config`'s to refuse.
pub(super) fn addresses<'r>(
    matrix: &Matrix,
    recipients: impl IntoIterator<Item = &'r Recipient>,
    now: Timestamp,
) -> Vec<Address> {
    let mut all = Vec::new();
    for recipient in recipients {
        let to = &recipient.contact;
        let reached = matrix.reach(recipient, now).into_iter();
        all.extend(reached.map(|(medium, address)| Address { to: to.clone(), medium, address }));
    }
    keep_first(&mut all);
    all
}

/// The same addresses where the matrix has them as they are; of a contact with a rota, those of whoever is on duty now.
fn on_duty(matrix: &Matrix, reached: &[Address], now: Timestamp) -> Vec<Address> {
    let mut all = Vec::new();
    for address in reached {
        match matrix.contacts.get(&address.to).filter(|contact| !contact.rota.is_empty()) {
            Some(_) => {
                let recipient = Recipient { contact: address.to.clone(), medium: Some(address.medium) };
                all.extend(addresses(matrix, [&recipient], now));
            }
            None => all.push(address.clone()),
        }
    }
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

//! What stands between a notice and the person: their quiet hours, what is told together ([`super::gather`]), and how many
//! mails they get in an hour ([`cap`]).
//!
//! The cases say what is to be told; this says when. A notice below critical that comes in somebody's quiet hours waits for
//! their end. Of an incident only the newest waits, and it is marked with the time of which it is. What is over by then and was
//! never told is not told at all. A critical never waits.
//!
//! | while it waits | then |
//! |---|---|
//! | a newer notice of the incident | takes its place, or goes at once |
//! | the incident ends | so does the waiting, if nothing of it has been told; else its end waits |
//! | it is silenced, or its hours are closed | it waits on: what is told afterwards takes its place |
//! | other matrices are put in force | it waits on, as the old ones said |
//!
//! A medium of a contact is held by itself. At most one notice waits for each open incident and address, and one for each that
//! ended while its end was to be told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::gather::Gather;
use super::marked::Marked;
use super::{Acknowledged, Notification, Tick};
use crate::domain::{Millis, Timestamp};
use crate::matrix::{Contact, Level, Matrix, Medium};

mod cap;
mod snapshot;

pub(super) use snapshot::{WrittenNotice, WrittenTransition};

use cap::Cap;

/// An incident at somebody's address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(super) struct Place {
    pub incident: Arc<str>,
    pub to: Arc<str>,
    pub medium: Medium,
    pub address: Arc<str>,
}

/// How an open incident stands.
#[derive(Clone)]
pub(super) struct Stands {
    /// A silence is over it, or its hours are closed.
    pub held: bool,
    pub acknowledged: Option<Acknowledged>,
}

/// The notices that wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Hold {
    waiting: Queue,
    /// Where something of an incident that is not over has been told.
    told: Marked<Place, Told>,
    gather: Gather,
    cap: Cap,
}

/// In the order in which they came, one for each place at most: thousands may come at once.
#[derive(Clone, Debug, Default)]
struct Queue {
    /// By a number that is more than those of all before it.
    all: Marked<u64, Waiting>,
    numbers: BTreeMap<Place, u64>,
}

/// What an address knows of an incident.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
struct Told {
    /// A critical was told.
    critical: bool,
    /// Somebody has taken it up, and no notice since has said that nobody has it any more.
    acknowledged: bool,
}

#[derive(Clone, Debug)]
struct Waiting {
    place: Place,
    notice: Notification,
    /// When it is looked at again.
    until: Timestamp,
}

impl Queue {
    fn push(&mut self, one: Waiting) {
        self.take(&one.place);
        let next = self.all.last_key_value().map_or(0, |(last, _)| last + 1);
        self.numbers.insert(one.place.clone(), next);
        self.all.insert(next, one);
    }

    fn take(&mut self, place: &Place) -> Option<Waiting> {
        let number = self.numbers.remove(place)?;
        self.all.remove(&number)
    }

    /// Takes out those whose time has come, unless `again` says until when one waits on.
    fn take_due(&mut self, now: Timestamp, again: impl Fn(&mut Notification) -> Option<Timestamp>) -> Vec<Waiting> {
        let due: Vec<u64> = self.all.iter().filter(|(_, one)| one.until <= now).map(|(number, _)| *number).collect();
        let mut over = Vec::new();
        for number in due {
            let Some(one) = self.all.get_mut(&number) else { continue };
            match again(&mut one.notice) {
                Some(until) => one.until = until,
                None => over.extend(self.all.remove(&number)),
            }
        }
        for one in &over {
            self.numbers.remove(&one.place);
        }
        over
    }
}

impl Place {
    /// Before every place of an incident.
    fn first(incident: &Arc<str>) -> Place {
        Place { incident: incident.clone(), to: "".into(), medium: Medium::Email, address: "".into() }
    }

    pub fn of(notice: &Notification) -> Place {
        let Notification { incident, to, medium, address, .. } = notice;
        Place { incident: incident.clone(), to: to.clone(), medium: *medium, address: address.clone() }
    }
}

impl Hold {
    /// Keeps back what may not be told at `now`, and adds what no longer has to wait. `standing` is `None` for an incident
    /// that is over.
    pub fn pass(&mut self, tick: &mut Tick, now: Timestamp, standing: &dyn Fn(&str) -> Option<Stands>) {
        let new = std::mem::take(&mut tick.notifications);
        for (mail, places) in self.cap.end_hours(now) {
            for place in places {
                self.told.get_or_insert_with(place, Told::default);
            }
            tick.notifications.push(mail);
        }
        for notice in new {
            let place = Place::of(&notice);
            let waited = self.waiting.take(&place).is_some();
            let quiet = quiet_until(&notice, now).filter(|_| notice.level < Level::Critical);
            let waited = waited || (quiet.is_some() && self.gather.withdraw(&place).is_some());
            if notice.level == Level::Ok && waited && !self.told.contains_key(&place) {
                self.gather.forget(&place);
                continue;
            }
            match quiet {
                Some(until) => self.waiting.push(Waiting { place, notice, until }),
                None => self.pass_on(place, notice, now, tick),
            }
        }
        for Waiting { place, mut notice, .. } in self.waiting.take_due(now, |notice| stay(notice, now, standing)) {
            notice.held_since = Some(notice.time);
            self.pass_on(place, notice, now, tick);
        }
        self.tell_gatherings(tick, now, standing);
    }

    /// Tells what may be told, unless it is told together with others.
    fn pass_on(&mut self, place: Place, notice: Notification, now: Timestamp, tick: &mut Tick) {
        let told = self.told.contains_key(&place);
        if let Some((place, notice)) = self.gather.take(place, notice, told, now) {
            let knows = self.told.get(&place).is_some_and(|told| told.acknowledged);
            let unacknowledged = knows && notice.acknowledged.is_none() && notice.level > Level::Ok;
            let all = [(place, Notification { unacknowledged, ..notice })];
            if self.admits(&all, now) {
                tick.notifications.extend(all.map(|(_, notice)| Notification { time: now, ..notice }));
            }
        }
    }

    /// Tells the gatherings whose mails are due. What may not be told by now waits on.
    fn tell_gatherings(&mut self, tick: &mut Tick, now: Timestamp, standing: &dyn Fn(&str) -> Option<Stands>) {
        for circle in self.gather.due(now) {
            let again = |notice: &mut Notification| Some((stay(notice, now, standing)?, Place::of(notice)));
            let again: Vec<(Timestamp, Place)> = self.gather.waiting(&circle).filter_map(again).collect();
            for (until, place) in again {
                if let Some(notice) = self.gather.withdraw(&place) {
                    self.waiting.push(Waiting { place, notice, until });
                }
            }
            let all = self.gather.notices(&circle, now);
            let admitted = self.admits(&all, now);
            tick.notifications.extend(self.gather.tell(&circle, all, admitted, now, standing));
        }
    }

    /// Notes what one mail tells, each notice of another incident. Whether it goes out now; else the cap holds it back.
    fn admits(&mut self, all: &[(Place, Notification)], now: Timestamp) -> bool {
        let admitted = self.cap.admits(all, &self.told, now);
        for (place, notice) in all {
            if notice.level == Level::Ok {
                self.told.remove(place);
            } else if admitted {
                let told = self.told.get_or_insert_with(place.clone(), Told::default);
                told.critical |= notice.level == Level::Critical;
                told.acknowledged = notice.acknowledged.is_some();
            }
        }
        admitted
    }

    /// Somebody has taken an incident up: whoever was told of it hears so.
    pub fn acknowledge(&mut self, incident: &Arc<str>) {
        let told = self.told.range(Place::first(incident)..).map(|(place, _)| place);
        let told: Vec<Place> = told.take_while(|place| place.incident == *incident).cloned().collect();
        for place in told {
            if let Some(told) = self.told.get_mut(&place) {
                told.acknowledged = true;
            }
        }
    }

    /// The webhooks that have been told of an incident, each once. One whose notice waits has not.
    pub fn webhooks(&self, incident: &Arc<str>) -> Vec<Arc<str>> {
        let told = self.told.range(Place::first(incident)..).map(|(place, _)| place);
        let told = told.take_while(|place| place.incident == *incident).filter(|one| one.medium == Medium::Webhook);
        let names: BTreeSet<&Arc<str>> = told.map(|place| &place.address).collect();
        names.into_iter().cloned().collect()
    }

    /// The ids of the gatherings that are open.
    pub fn gatherings(&self) -> impl Iterator<Item = &Arc<str>> {
        self.gather.ids()
    }

    /// The open incidents that have been told in a gathering, sorted; `None` where the id is of none.
    pub fn incidents_of(&self, gathering: &str) -> Option<Vec<Arc<str>>> {
        let told = self.gather.incidents_of(gathering)?.filter(|place| self.told.contains_key(place));
        Some(told.map(|place| place.incident).collect())
    }
}

/// Until when a notice that has waited waits on; `None` if it may be told now, and then it says who has taken its
/// incident up.
fn stay(notice: &mut Notification, now: Timestamp, standing: &dyn Fn(&str) -> Option<Stands>) -> Option<Timestamp> {
    match standing(&notice.incident) {
        Some(incident) if incident.held => return Some(now + Millis::MINUTE),
        Some(incident) => notice.acknowledged = incident.acknowledged,
        None => {}
    }
    quiet_until(notice, now).filter(|_| notice.level < Level::Critical)
}

/// Until when the person behind the notice wants to be left in peace; `None` if they do not.
fn quiet_until(notice: &Notification, now: Timestamp) -> Option<Timestamp> {
    let quiet = person(&notice.transition.matrix, notice)?.quiet.as_ref()?;
    quiet.is_open(now).then(|| quiet.stretch(now).until)
}

fn person<'m>(matrix: &'m Matrix, notice: &Notification) -> Option<&'m Contact> {
    matrix.person(&notice.to, notice.medium, &notice.address)
}

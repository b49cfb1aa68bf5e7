//! What stands between a notice and the person: their quiet hours, and how many mails they get in an hour ([`cap`]).
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

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Acknowledged, Notification, Tick};
use crate::domain::{Millis, Timestamp};
use crate::matrix::{Contact, Level, Matrix, Medium};

mod cap;
mod snapshot;

pub(super) use snapshot::WrittenHold;

use cap::Cap;

/// An incident at somebody's address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
struct Place {
    incident: Arc<str>,
    to: Arc<str>,
    medium: Medium,
    address: Arc<str>,
}

/// How an open incident stands.
pub(super) struct Stands {
    /// A silence is over it, or its hours are closed.
    pub held: bool,
    pub acknowledged: Option<Acknowledged>,
}

/// The notices that wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Hold {
    /// In the order in which they came.
    waiting: Vec<Waiting>,
    /// Where something of an incident that is not over has been told, and whether a critical was.
    told: BTreeMap<Place, bool>,
    cap: Cap,
}

#[derive(Clone, Debug)]
struct Waiting {
    place: Place,
    notice: Notification,
    /// When it is looked at again.
    until: Timestamp,
}

impl Place {
    fn of(notice: &Notification) -> Place {
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
                self.told.entry(place).or_default();
            }
            tick.notifications.push(mail);
        }
        for notice in new {
            let place = Place::of(&notice);
            let waited = self.waiting.len();
            self.waiting.retain(|waiting| waiting.place != place);
            let waited = waited > self.waiting.len();
            if notice.level == Level::Ok && waited && !self.told.contains_key(&place) {
                continue;
            }
            match quiet_until(&notice, now) {
                Some(until) if notice.level < Level::Critical => self.waiting.push(Waiting { place, notice, until }),
                _ => self.tell(place, notice, now, tick),
            }
        }
        let mut later = Vec::new();
        for Waiting { place, mut notice, until } in std::mem::take(&mut self.waiting) {
            let stands = (until <= now).then(|| standing(&notice.incident));
            let again = match &stands {
                None => Some(until),
                Some(Some(incident)) if incident.held => Some(now + Millis::MINUTE),
                Some(_) => quiet_until(&notice, now),
            };
            if let Some(until) = again {
                later.push(Waiting { place, notice, until });
                continue;
            }
            notice.held_since = Some(notice.time);
            notice.time = now;
            if let Some(Some(incident)) = stands {
                notice.acknowledged = incident.acknowledged;
            }
            self.tell(place, notice, now, tick);
        }
        self.waiting = later;
    }

    fn tell(&mut self, place: Place, notice: Notification, now: Timestamp, tick: &mut Tick) {
        let told = self.told.get(&place).copied();
        let admitted = self.cap.admits(&place, &notice, told, now);
        if notice.level == Level::Ok {
            self.told.remove(&place);
        } else if admitted {
            *self.told.entry(place).or_default() |= notice.level == Level::Critical;
        }
        if admitted {
            tick.notifications.push(notice);
        }
    }
}

/// Until when the person behind the notice wants to be left in peace; `None` if they do not.
fn quiet_until(notice: &Notification, now: Timestamp) -> Option<Timestamp> {
    let quiet = person(&notice.transition.matrix, notice)?.quiet.as_ref()?;
    quiet.is_open(now).then(|| quiet.stretch(now).until)
}

fn person<'m>(matrix: &'m Matrix, notice: &Notification) -> Option<&'m Contact> {
    matrix.person(&notice.to, notice.medium, &notice.address)
}

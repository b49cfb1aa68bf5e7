//! How many mails an address gets in an hour, and what becomes of the rest.
//!
//! An hour begins with the first mail after the last has ended. What is beyond the number is held back and told in one mail when
//! the hour ends, which begins the next. Never held back are the first critical of an incident and the end of what was told.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Place, Told, person, quiet_until};
use crate::domain::{Millis, Timestamp};
use crate::matrix::contacts::MAILS_PER_HOUR;
use crate::matrix::engine::marked::Marked;
use crate::matrix::engine::{HeldBack, Notification, Reason};
use crate::matrix::{Level, Medium};

/// Of how many incidents the mail about the rest tells by name; of the others it tells how many notices there were.
const NAMED_MAX: usize = 50;

/// The hours that are running, by mail address.
#[derive(Clone, Debug, Default)]
pub(super) struct Cap {
    pub hours: Marked<Arc<str>, Hour>,
}

#[derive(Clone, Debug)]
pub(super) struct Hour {
    pub since: Timestamp,
    pub sent: u32,
    pub more: Vec<More>,
    /// Notices held back of incidents beyond [`NAMED_MAX`].
    pub beyond: u32,
}

/// An incident of which notices are held back: its newest, and how many.
#[derive(Clone, Debug)]
pub(super) struct More {
    pub place: Place,
    pub newest: Notification,
    pub count: u32,
}

impl Cap {
    /// Whether the notices, which are one mail to one address, go out now; else each is held back. `told` says where something
    /// of an incident has been told.
    pub fn admits(&mut self, all: &[(Place, Notification)], told: &BTreeMap<Place, Told>, now: Timestamp) -> bool {
        let Some((_, first)) = all.first() else { return false };
        if first.medium != Medium::Email {
            return true;
        }
        let fresh = || Hour { since: now, sent: 0, more: Vec::new(), beyond: 0 };
        let hour = self.hours.get_or_insert_with(first.address.clone(), fresh);
        let limit = person(&first.transition.matrix, first).map_or(MAILS_PER_HOUR, |person| person.mails_per_hour);
        let urgent = |(place, notice): &(Place, Notification)| match notice.level {
            Level::Critical => !told.get(place).is_some_and(|told| told.critical),
            Level::Ok => told.contains_key(place),
            Level::Info | Level::Warning => false,
        };
        let admitted = hour.sent < limit || all.iter().any(urgent);
        for (place, notice) in all {
            let named = hour.more.len();
            match hour.more.iter_mut().find(|more| more.place == *place) {
                Some(more) => {
                    more.newest = notice.clone();
                    more.count += u32::from(!admitted);
                }
                None if admitted => {}
                None if named < NAMED_MAX => {
                    hour.more.push(More { place: place.clone(), newest: notice.clone(), count: 1 });
                }
                None => hour.beyond += 1,
            }
        }
        hour.sent += u32::from(admitted);
        admitted
    }

    /// Ends the hours that are over. Of each that held something back there is one mail, with the incidents that it tells of.
    pub fn end_hours(&mut self, now: Timestamp) -> Vec<(Notification, Vec<Place>)> {
        let mut mails = Vec::new();
        let over = self.hours.iter().filter(|(_, hour)| now - hour.since >= Millis::HOUR);
        let over: Vec<Arc<str>> = over.map(|(address, _)| address.clone()).collect();
        for address in over {
            let Some(hour) = self.hours.get_mut(&address) else { continue };
            hour.more.sort_by_key(|more| std::cmp::Reverse(more.newest.level));
            let Some(worst) = hour.more.first().map(|more| &more.newest) else {
                self.hours.remove(&address);
                continue;
            };
            if worst.level < Level::Critical && quiet_until(worst, now).is_some() {
                continue;
            }
            let more = std::mem::take(&mut hour.more);
            mails.extend(mail(&address, &more, hour.beyond, now));
            *hour = Hour { since: now, sent: 1, more: Vec::new(), beyond: 0 };
        }
        mails
    }
}

/// The mail about what was held back. It is no notice of one incident, and so has an id and a thread of its own.
fn mail(address: &str, more: &[More], beyond: u32, now: Timestamp) -> Option<(Notification, Vec<Place>)> {
    let worst = &more.first()?.newest;
    let id = format!("held back\u{1f}{address}\u{1f}{}", now.0);
    let held = HeldBack {
        notices: more.iter().map(|more| more.count).sum::<u32>() + beyond,
        incidents: more.iter().map(|more| (more.newest.clone(), more.count)).collect(),
        beyond,
    };
    let notice = Notification {
        time: now,
        incident: format!("{:032x}", xxhash_rust::xxh3::xxh3_128(id.as_bytes())).into(),
        sequence: 1,
        reason: Reason::HeldBack,
        held_since: None,
        acknowledged: None,
        held_back: Some(Arc::new(held)),
        ..worst.clone()
    };
    let open = more.iter().filter(|more| more.newest.level > Level::Ok);
    Some((notice, open.map(|more| more.place.clone()).collect()))
}

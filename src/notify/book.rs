//! What waits to be sent: one ordered lane per destination, bounded over all in number and in bytes.
//!
//! A plain structure without tasks or I/O; instants are arguments. [`super::lane`] drives it. A notice gets a number when it
//! is taken in, and what waits is ordered by importance and number besides: to take one in, or out to make room, costs the
//! logarithm of how many there are, also when ten thousand cases go off while the mail server is away.
//!
//! Notices that stand in for others have a tenth of the bounds for themselves: they take no room from what they stand in
//! for, and have some when there is none left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::matrix::Level;
use crate::matrix::engine::Notification;
use crate::notice::{Body, Message};

use super::Limit;
use super::parcel::{Destination, Parcel};

#[cfg(test)]
mod tests;

/// A notice that waits or is under way.
#[derive(Clone, Debug)]
pub struct Entry {
    pub parcel: Arc<Parcel>,
    pub taken: Instant,
    /// How old the decision already was when it was taken.
    pub age_before: Duration,
    pub tries: u32,
    /// Why the last try failed.
    pub last: Option<String>,
    /// Whether it has been reported as undeliverable.
    pub reported: bool,
}

/// The least is dropped first: a recovery outlives a warning, for without it people act on what is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    StandIn,
    /// That somebody has taken an incident up: no notice.
    Acknowledgement,
    Info,
    Warning,
    Recovery,
    Critical,
}

impl Entry {
    pub fn age(&self, now: Instant) -> Duration {
        self.age_before + now.saturating_duration_since(self.taken)
    }

    pub fn is_critical(&self) -> bool {
        self.rank() == Rank::Critical
    }

    /// A mail of many cases is worth as much as the most of them.
    fn rank(&self) -> Rank {
        let Message { notification, body, missed, .. } = &self.parcel.message;
        let rank = |notice: &Notification| match notice.level {
            Level::Info => Rank::Info,
            Level::Warning => Rank::Warning,
            Level::Ok => Rank::Recovery,
            Level::Critical => Rank::Critical,
        };
        match body {
            _ if missed.is_some() => Rank::StandIn,
            Body::Webhook(hook) if hook.acknowledges && notification.level == Level::Info => Rank::Acknowledgement,
            _ => notification.each().iter().map(rank).max().unwrap_or(Rank::Info),
        }
    }
}

#[derive(Debug, Default)]
struct Lane {
    /// By number.
    queue: BTreeMap<u64, Entry>,
    /// The numbers of each incident's.
    incidents: BTreeSet<(Arc<str>, u64)>,
    /// The first of the queue is being sent.
    busy: bool,
    /// Wakes a lane that waits to try again.
    wake: Arc<Notify>,
}

impl Lane {
    /// The number of the first, if it is late and a newer notice of its incident stands behind it.
    fn superseded(&self, now: Instant, late: Duration) -> Option<u64> {
        let (number, head) = self.queue.first_key_value()?;
        if head.age(now) <= late {
            return None;
        }
        let old = &head.parcel.message;
        // What is no notice goes before or behind one, and is not told by it.
        if matches!(&old.body, Body::Webhook(hook) if hook.acknowledges) {
            return None;
        }
        let incident = &old.notification.incident;
        let mut behind = self.incidents.range((incident.clone(), number + 1)..=(incident.clone(), u64::MAX));
        let newer = behind.any(|(_, number)| {
            let Some(message) = self.queue.get(number).map(|entry| &entry.parcel.message) else { return false };
            let tells = !matches!(&message.body, Body::Webhook(hook) if hook.acknowledges);
            tells && message.missed == old.missed && message.notification.takes_the_place_of(&old.notification)
        });
        newer.then_some(*number)
    }
}

#[derive(Debug)]
pub struct Book {
    lanes: BTreeMap<Destination, Lane>,
    /// What is not under way, with its size: the least important first, and of these the oldest.
    waiting: BTreeMap<(Rank, u64), (Destination, usize)>,
    originals: Share,
    stand_ins: Share,
    next: u64,
}

/// How much there is of one kind, and how much there may be.
#[derive(Debug)]
struct Share {
    held: Limit,
    limit: Limit,
}

impl Share {
    fn new(limit: Limit) -> Self {
        Share { held: Limit { notices: 0, bytes: 0 }, limit }
    }

    fn take(&mut self, bytes: usize) {
        self.held.notices += 1;
        self.held.bytes += bytes;
    }

    fn give_back(&mut self, bytes: usize) {
        self.held.notices -= 1;
        self.held.bytes -= bytes;
    }

    /// A tenth is free.
    fn has_room(&self) -> bool {
        let free = |held: usize, limit: usize| held < limit - limit / 10;
        free(self.held.notices, self.limit.notices) && free(self.held.bytes, self.limit.bytes)
    }
}

/// What [`Book::put`] did.
#[derive(Debug, Default)]
pub struct Put {
    /// The lane is new: somebody must serve it.
    pub new_lane: bool,
    /// What was dropped to make room: older ones, or the new one itself.
    pub dropped: Vec<Entry>,
}

impl Book {
    pub fn new(limit: Limit) -> Self {
        let tenth = Limit { notices: limit.notices.div_ceil(10), bytes: limit.bytes / 10 };
        Book {
            lanes: BTreeMap::new(),
            waiting: BTreeMap::new(),
            originals: Share::new(limit),
            stand_ins: Share::new(tenth),
            next: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.originals.held.notices + self.stand_ins.held.notices
    }

    /// What they hold in memory, as [`Parcel::bytes`] counts it.
    pub fn bytes(&self) -> usize {
        self.originals.held.bytes + self.stand_ins.held.bytes
    }

    pub fn has_room(&self) -> bool {
        self.originals.has_room() && self.stand_ins.has_room()
    }

    /// Destinations for which something waits or is under way.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    fn share(&mut self, rank: Rank) -> &mut Share {
        match rank {
            Rank::StandIn => &mut self.stand_ins,
            _ => &mut self.originals,
        }
    }

    pub fn put(&mut self, destination: Destination, entry: Entry) -> Put {
        let mut put = Put::default();
        let (rank, bytes) = (entry.rank(), entry.parcel.bytes());
        match self.make_room(rank, bytes) {
            Some(dropped) => put.dropped = dropped,
            None => {
                put.dropped = vec![entry];
                return put;
            }
        }
        let number = self.next;
        self.next += 1;
        self.share(rank).take(bytes);
        self.waiting.insert((rank, number), (destination.clone(), bytes));
        put.new_lane = !self.lanes.contains_key(&destination);
        let lane = self.lanes.entry(destination).or_default();
        lane.incidents.insert((entry.parcel.message.notification.incident.clone(), number));
        lane.queue.insert(number, entry);
        lane.wake.notify_one();
        put
    }

    /// Takes out what must go for one of that rank and size: none that is more important, and none that is under way.
    /// `None` if that would not be enough; then nothing goes.
    fn make_room(&mut self, rank: Rank, bytes: usize) -> Option<Vec<Entry>> {
        let Share { held, limit } = self.share(rank);
        let mut over = held.notices.saturating_add(1).saturating_sub(limit.notices);
        let mut bytes_over = held.bytes.saturating_add(bytes).saturating_sub(limit.bytes);
        let least = if rank == Rank::StandIn { Rank::StandIn } else { Rank::Acknowledgement };
        let mut going = Vec::new();
        for ((_, number), (destination, bytes)) in self.waiting.range((least, 0)..=(rank, u64::MAX)) {
            if over == 0 && bytes_over == 0 {
                break;
            }
            over = over.saturating_sub(1);
            bytes_over = bytes_over.saturating_sub(*bytes);
            going.push((destination.clone(), *number));
        }
        (over == 0 && bytes_over == 0)
            .then(|| going.iter().filter_map(|(destination, number)| self.remove(destination, *number)).collect())
    }

    fn remove(&mut self, destination: &Destination, number: u64) -> Option<Entry> {
        let lane = self.lanes.get_mut(destination)?;
        let entry = lane.queue.remove(&number)?;
        lane.incidents.remove(&(entry.parcel.message.notification.incident.clone(), number));
        let (rank, bytes) = (entry.rank(), entry.parcel.bytes());
        self.waiting.remove(&(rank, number));
        self.share(rank).give_back(bytes);
        Some(entry)
    }

    /// The next of a lane, which is under way from now on, and those that it supersedes: late ones with a newer notice
    /// of the same incident behind them, which an acknowledgement is not. A lane without any is removed.
    pub fn next(&mut self, destination: &Destination, now: Instant, late: Duration) -> (Option<Entry>, Vec<Entry>) {
        let mut superseded = Vec::new();
        while let Some(number) = self.lanes.get(destination).and_then(|lane| lane.superseded(now, late)) {
            superseded.extend(self.remove(destination, number));
        }
        let Some(lane) = self.lanes.get_mut(destination) else { return (None, superseded) };
        match lane.queue.first_key_value() {
            Some((number, head)) => {
                lane.busy = true;
                self.waiting.remove(&(head.rank(), *number));
                (Some(head.clone()), superseded)
            }
            None => {
                self.lanes.remove(destination);
                (None, superseded)
            }
        }
    }

    /// Forgets what is not under way.
    pub fn forget(&mut self) {
        let waiting: Vec<_> = self.waiting.iter().map(|((_, number), (to, _))| (to.clone(), *number)).collect();
        for (destination, number) in waiting {
            self.remove(&destination, number);
        }
    }

    /// The notice under way is done with.
    pub fn done(&mut self, destination: &Destination) -> Option<Entry> {
        let lane = self.lanes.get_mut(destination).filter(|lane| lane.busy)?;
        lane.busy = false;
        let number = *lane.queue.first_key_value()?.0;
        self.remove(destination, number)
    }

    /// The notice under way failed and waits for another try. Returns what wakes its lane before the time.
    pub fn again(&mut self, destination: &Destination, why: &str) -> Option<Arc<Notify>> {
        let lane = self.lanes.get_mut(destination).filter(|lane| lane.busy)?;
        lane.busy = false;
        let mut head = lane.queue.first_entry()?;
        let number = *head.key();
        let head = head.get_mut();
        head.tries = head.tries.saturating_add(1);
        head.last = Some(why.to_owned());
        self.waiting.insert((head.rank(), number), (destination.clone(), head.parcel.bytes()));
        Some(lane.wake.clone())
    }

    /// Criticals that have been tried for `critical` and were not reported yet; they are from now on.
    pub fn overdue(&mut self, now: Instant, critical: Duration) -> Vec<Entry> {
        let entries = self.lanes.values_mut().flat_map(|lane| lane.queue.values_mut());
        let mut overdue = Vec::new();
        for entry in entries {
            if !entry.reported && entry.is_critical() && now.saturating_duration_since(entry.taken) >= critical {
                entry.reported = true;
                overdue.push(entry.clone());
            }
        }
        overdue
    }

    pub fn wake_all(&self) {
        self.lanes.values().for_each(|lane| lane.wake.notify_one());
    }
}

//! What waits to be sent: one ordered lane per destination, bounded over all.
//!
//! A plain structure without tasks or I/O; instants are arguments. [`super::lane`] drives it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::matrix::Level;
use crate::matrix::engine::Notification;
use crate::notice::{Body, Message};

use super::parcel::{Destination, Parcel};

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

impl Entry {
    pub fn age(&self, now: Instant) -> Duration {
        self.age_before + now.saturating_duration_since(self.taken)
    }

    pub fn is_critical(&self) -> bool {
        self.parcel.message.missed.is_none() && self.parcel.message.notification.level == Level::Critical
    }

    /// The least is dropped first: an acknowledgement, which is no notice, then the least of notices. A recovery outlives a
    /// warning, for without it people act on what is over. A mail of many cases is worth as much as the most of them.
    fn rank(&self) -> u8 {
        let Message { notification, body, .. } = &self.parcel.message;
        let rank = |notice: &Notification| match notice.level {
            Level::Info => 1,
            Level::Warning => 2,
            Level::Ok => 3,
            Level::Critical => 4,
        };
        match body {
            Body::Webhook(hook) if hook.acknowledges && notification.level == Level::Info => 0,
            _ => notification.each().iter().map(rank).max().unwrap_or_default(),
        }
    }
}

#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<Entry>,
    /// The first of the queue is being sent.
    busy: bool,
    /// Wakes a lane that waits to try again.
    wake: Arc<Notify>,
}

#[derive(Debug)]
pub struct Book {
    lanes: BTreeMap<Destination, Lane>,
    total: usize,
    limit: usize,
}

/// What [`Book::put`] did.
#[derive(Debug, Default)]
pub struct Put {
    /// The lane is new: somebody must serve it.
    pub new_lane: bool,
    /// What was dropped to make room: an older one, or the new one itself.
    pub dropped: Option<Entry>,
}

impl Book {
    pub fn new(limit: usize) -> Self {
        Book { lanes: BTreeMap::new(), total: 0, limit }
    }

    pub fn len(&self) -> usize {
        self.total
    }

    /// Destinations for which something waits or is under way.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    pub fn put(&mut self, destination: Destination, entry: Entry) -> Put {
        let mut put = Put::default();
        if self.total >= self.limit {
            match self.evict(entry.rank()) {
                Some(dropped) => put.dropped = Some(dropped),
                None => {
                    put.dropped = Some(entry);
                    return put;
                }
            }
        }
        put.new_lane = !self.lanes.contains_key(&destination);
        let lane = self.lanes.entry(destination).or_default();
        lane.queue.push_back(entry);
        lane.wake.notify_one();
        self.total += 1;
        put
    }

    /// Takes out the oldest of the least rank that is not above `rank` and not under way.
    fn evict(&mut self, rank: u8) -> Option<Entry> {
        let waiting = self.lanes.iter().flat_map(|(destination, lane)| {
            let under_way = usize::from(lane.busy);
            lane.queue
                .iter()
                .enumerate()
                .skip(under_way)
                .map(move |(at, entry)| (entry.rank(), entry.taken, destination, at))
        });
        let (least, _, destination, at) = waiting.min_by_key(|(rank, taken, _, _)| (*rank, *taken))?;
        if least > rank {
            return None;
        }
        let destination = destination.clone();
        let dropped = self.lanes.get_mut(&destination)?.queue.remove(at)?;
        self.total -= 1;
        Some(dropped)
    }

    /// The next of a lane, which is under way from now on, and those that it supersedes: late ones with a newer notice
    /// of the same incident behind them, which an acknowledgement is not. A lane without any is removed.
    pub fn next(&mut self, destination: &Destination, now: Instant, late: Duration) -> (Option<Entry>, Vec<Entry>) {
        let mut superseded = Vec::new();
        let Some(lane) = self.lanes.get_mut(destination) else { return (None, superseded) };
        while let Some(head) = lane.queue.front() {
            if head.age(now) <= late {
                break;
            }
            let old = &head.parcel.message;
            // What is no notice goes before or behind one, and is not told by it.
            if matches!(&old.body, Body::Webhook(hook) if hook.acknowledges) {
                break;
            }
            let newer = lane.queue.iter().skip(1).any(|entry| {
                let message = &entry.parcel.message;
                let tells = !matches!(&message.body, Body::Webhook(hook) if hook.acknowledges);
                tells && message.missed == old.missed && message.notification.takes_the_place_of(&old.notification)
            });
            if !newer {
                break;
            }
            superseded.extend(lane.queue.pop_front());
            self.total -= 1;
        }
        match lane.queue.front() {
            Some(head) => {
                lane.busy = true;
                (Some(head.clone()), superseded)
            }
            None => {
                self.lanes.remove(destination);
                (None, superseded)
            }
        }
    }

    /// The notice under way is done with.
    pub fn done(&mut self, destination: &Destination) -> Option<Entry> {
        let lane = self.lanes.get_mut(destination).filter(|lane| lane.busy)?;
        lane.busy = false;
        let entry = lane.queue.pop_front();
        self.total -= usize::from(entry.is_some());
        entry
    }

    /// The notice under way failed and waits for another try. Returns what wakes its lane before the time.
    pub fn again(&mut self, destination: &Destination, why: &str) -> Option<Arc<Notify>> {
        let lane = self.lanes.get_mut(destination).filter(|lane| lane.busy)?;
        lane.busy = false;
        let head = lane.queue.front_mut()?;
        head.tries = head.tries.saturating_add(1);
        head.last = Some(why.to_owned());
        Some(lane.wake.clone())
    }

    /// Criticals that have been tried for `critical` and were not reported yet; they are from now on.
    pub fn overdue(&mut self, now: Instant, critical: Duration) -> Vec<Entry> {
        let entries = self.lanes.values_mut().flat_map(|lane| lane.queue.iter_mut());
        let mut overdue = Vec::new();
        for entry in entries {
            if !entry.reported && entry.is_critical() && now.saturating_duration_since(entry.taken) >= critical {
                entry.reported = true;
                overdue.push(entry.clone());
            }
        }
        overdue
    }

    /// Of everything that is there, lane by lane in its order.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.lanes.values().flat_map(|lane| &lane.queue).map(|entry| &entry.parcel.message)
    }

    pub fn wake_all(&self) {
        self.lanes.values().for_each(|lane| lane.wake.notify_one());
    }
}

//! What one agent contributes: a pure function of the snapshots known of them, sorted by time.
//!
//! A snapshot holds until the next one, or until it has not been confirmed for `agent_timeout`: from that moment on the
//! agent is offline. A *posture* is what a snapshot means for every key: the agent's state there, slots and busy slots.
//! From one posture to the next only the differences are contributed, so a repeated snapshot contributes nothing. Of
//! several snapshots of one time the last stands: the others hand on what it leaves out, and are never a posture.
//!
//! | in a pair | state |
//! |---|---|
//! | without entries, or an entry without `busy` | the agent's own class, where `busy` > 0 turns available and unproductive into handling |
//! | an entry with `busy` > 0 | as a whole agent with that `busy` |
//! | an entry with `busy` 0, the agent busy elsewhere | `elsewhere` |
//! | an entry with `busy` 0, the agent busy nowhere | the agent's class |
//!
//! In a roll-up the agent counts once: handling if in any of its pairs, elsewhere only if elsewhere in all of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::cells::{Cell, Level};
use super::contribution::{Contribution, List, Target, What};
use super::names::Names;
use crate::domain::{AgentClass, AgentSnapshot, Millis, State};

mod snapshot;

pub(super) use snapshot::Posted;

/// A snapshot, its names as numbers; what it leaves out is `None`. It is written down as it stands: another order of fields
/// is another version of [`crate::snapshot::Kind::FLOOR`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub time: i64,
    #[serde(skip)]
    pub id_hash: u64,
    pub id: Box<str>,
    pub class: AgentClass,
    /// The platform's own name of the state, an index of `Plan::agent_states`; `None` where it is that of a class.
    pub own: Option<u32>,
    pub queues: Option<Box<Queues>>,
    pub channels: Option<Box<[u32]>>,
    pub slots: Option<u32>,
    pub busy: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Queues {
    names: Vec<u32>,
    pairs: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    queue: u32,
    channel: u32,
    busy: Option<u32>,
    slots: Option<u32>,
}

impl Snapshot {
    pub fn of(event_id: &str, time: i64, id_hash: u64, event: &AgentSnapshot<'_>, names: &mut Names) -> Self {
        let queues = event.queues.as_ref().map(|places| {
            let mut number = |name: &str| names.name(name);
            let pairs = places.pairs.iter().map(|pair| Entry {
                queue: number(&pair.queue),
                channel: number(&pair.channel),
                busy: pair.busy,
                slots: pair.slots,
            });
            let pairs = pairs.collect();
            Box::new(Queues { names: places.names.iter().map(|name| number(name)).collect(), pairs })
        });
        let channels = event.channels.as_ref().map(|list| list.iter().map(|name| names.name(name)).collect());
        Snapshot {
            time,
            id_hash,
            id: event_id.into(),
            class: event.class,
            own: names.own_state(&event.state),
            queues,
            channels,
            slots: event.slots,
            busy: event.busy,
        }
    }

    pub fn order(&self) -> (i64, &[u8]) {
        (self.time, self.id.as_bytes())
    }

    /// Fills what `self` leaves out from an earlier snapshot.
    pub fn inherit(&mut self, earlier: &Snapshot) {
        self.queues = self.queues.take().or_else(|| earlier.queues.clone());
        self.channels = self.channels.take().or_else(|| earlier.channels.clone());
        self.slots = self.slots.or(earlier.slots);
    }
}

/// Levels that stand while a snapshot holds: key and cell -> how many. Sorted. The cell of a state's own name stands with
/// them to be seen to change; it counts entries and is no level.
type Posture = SmallVec<[(u32, Cell, i64); 16]>;

/// The state after some prefix of an agent's snapshots.
#[derive(Clone, Debug, Default)]
pub(super) struct Fold {
    /// The last snapshot with all that it inherited; `None` before the first.
    last: Option<Snapshot>,
    /// What it means. It takes effect with the next one, as one of the same time may replace it.
    next: Posture,
    /// What stood before it.
    posture: Posture,
}

impl Fold {
    pub fn step(&mut self, snapshot: &Snapshot, timeout: Millis, names: &mut Names, out: &mut List) {
        let mut next = snapshot.clone();
        if let Some(last) = self.last.take() {
            if snapshot.time > last.time {
                let posture = std::mem::take(&mut self.next);
                self.pose(last.time, posture, out);
            }
            if snapshot.time > last.time + timeout.0 {
                self.pose(last.time + timeout.0, offline(&last, names), out);
            }
            next.inherit(&last);
        }
        self.next = posture(&next, names);
        self.last = Some(next);
    }

    /// Emits the last snapshot, and the time-out that follows if nothing more comes.
    pub fn finish(mut self, timeout: Millis, names: &mut Names, out: &mut List) {
        if let Some(last) = self.last.take() {
            let posture = std::mem::take(&mut self.next);
            self.pose(last.time, posture, out);
            self.pose(last.time + timeout.0, offline(&last, names), out);
        }
    }

    fn pose(&mut self, at: i64, posture: Posture, out: &mut List) {
        let before = std::mem::replace(&mut self.posture, posture);
        let (mut old, mut new) = (before.iter().peekable(), self.posture.iter().peekable());
        let mut step = |key, cell, weight| {
            out.push(Contribution { at, target: Target::Key(key), what: What::Step(cell), weight });
        };
        let mut entered: SmallVec<[(u32, Cell); 8]> = SmallVec::new();
        loop {
            let order = match (old.peek(), new.peek()) {
                (Some(a), Some(b)) => (a.0, a.1).cmp(&(b.0, b.1)),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => break,
            };
            let gone = if order.is_le() { old.next() } else { None };
            let come = if order.is_ge() { new.next() } else { None };
            let weight = come.map_or(0, |c| c.2) - gone.map_or(0, |g| g.2);
            if let Some((key, cell, _)) = come.or(gone).copied().filter(|_| weight != 0) {
                if cell.is_level() {
                    step(key, cell, weight);
                }
                if gone.is_none() {
                    entered.push((key, cell));
                }
            }
        }
        for (key, cell) in entered {
            if !cell.is_level() {
                out.push(Contribution { at, target: Target::Key(key), what: What::Add(cell), weight: 1 });
                continue;
            }
            let Some(state) = State::ALL.iter().find(|state| Cell::agents(**state) == cell) else { continue };
            let mut enter = |state| {
                let what = What::Add(Cell::entries(state));
                out.push(Contribution { at, target: Target::Key(key), what, weight: 1 });
            };
            enter(*state);
            let connected = |(k, cell, _): &(u32, Cell, i64)| {
                *k == key && State::CONNECTED.iter().any(|state| Cell::agents(*state) == *cell)
            };
            if *state != State::Offline && !before.iter().any(connected) {
                enter(State::Connected);
            }
        }
    }
}

fn offline(last: &Snapshot, names: &mut Names) -> Posture {
    posture(&Snapshot { class: AgentClass::Offline, own: None, busy: None, ..last.clone() }, names)
}

/// What an agent is in one key.
#[derive(Clone, Copy, Debug)]
struct Standing {
    state: State,
    busy: u32,
    /// `None` where no entry says it: the agent's own.
    slots: Option<u32>,
    /// Whether an entry of its own said `busy`.
    own_busy: bool,
}

fn posture(snapshot: &Snapshot, names: &mut Names) -> Posture {
    let empty = Queues::default();
    let queues = snapshot.queues.as_deref().unwrap_or(&empty);
    let channels = snapshot.channels.as_deref().unwrap_or(&[]);
    let class = snapshot.class;
    let entries_busy = queues.pairs.iter().filter_map(|entry| entry.busy).reduce(u32::saturating_add);
    let whole_busy = match (entries_busy, snapshot.busy) {
        (Some(entries), own) => entries.max(own.unwrap_or(0)),
        (None, Some(own)) => own,
        (None, None) => u32::from(class == AgentClass::Handling),
    };
    let whole = Standing { state: busy_class(class, whole_busy), busy: whole_busy, slots: None, own_busy: false };

    let mut pairs: BTreeMap<u32, Standing> = BTreeMap::new();
    // One entry that names a pair, and only such pairs count.
    let names_count = if queues.pairs.is_empty() { queues.names.as_slice() } else { &[] };
    let plain = names_count.iter().flat_map(|queue| channels.iter().map(move |channel| (*queue, *channel)));
    for (queue, channel) in plain {
        pairs.insert(names.place(Some(queue), channel), whole);
    }
    for entry in &queues.pairs {
        let standing = match entry.busy {
            None => Standing { slots: entry.slots, ..whole },
            Some(busy) => {
                let state = match (busy, whole.state) {
                    (0, State::Handling) if whole_busy > 0 => State::Elsewhere,
                    (0, state) => state,
                    _ => busy_class(class, busy),
                };
                Standing { state, busy, slots: entry.slots, own_busy: true }
            }
        };
        pairs.insert(names.place(Some(entry.queue), entry.channel), standing);
    }

    let mut keys: BTreeMap<u32, Standing> = BTreeMap::new();
    for (place, standing) in pairs {
        for key in names.at(place).keys.into_iter().flatten() {
            keys.entry(key).and_modify(|sum| *sum = merge(*sum, standing)).or_insert(standing);
        }
    }
    // Over all, the agent is one person, with or without pairs; what the entries say of busy and slots is added up.
    let all = names.all();
    let summed = keys.get(&all).copied();
    let busy = summed.filter(|sum| sum.own_busy).map_or(whole_busy, |sum| sum.busy);
    keys.insert(all, Standing { slots: summed.and_then(|sum| sum.slots), busy, ..whole });

    let mut posture = Posture::new();
    for (key, standing) in keys {
        let mut level = |cell, weight: u32| {
            if weight != 0 {
                posture.push((key, cell, i64::from(weight)));
            }
        };
        if let Some(own) = snapshot.own {
            level(Cell::own_entries(own as usize), 1);
        }
        if matches!(standing.state, State::Available | State::Handling | State::Wrapup | State::Elsewhere) {
            level(Cell::level(Level::SlotsOffered), standing.slots.or(snapshot.slots).unwrap_or(1));
            level(Cell::level(Level::SlotsBusy), standing.busy);
        }
        if standing.state == State::Handling {
            level(Cell::level(Level::BusyHandling), standing.busy);
        }
        level(Cell::agents(standing.state), 1);
    }
    posture
}

/// Two pairs of one agent in a roll-up.
fn merge(a: Standing, b: Standing) -> Standing {
    let state = match (a.state, b.state) {
        (State::Handling, _) | (_, State::Handling) => State::Handling,
        (State::Elsewhere, other) | (other, _) => other,
    };
    let slots = match (a.slots, b.slots) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (some, None) | (None, some) => some,
    };
    let busy = match (a.own_busy, b.own_busy) {
        (true, true) => a.busy.saturating_add(b.busy),
        (true, false) => a.busy,
        (false, true) => b.busy,
        (false, false) => a.busy,
    };
    Standing { state, busy, slots, own_busy: a.own_busy || b.own_busy }
}

fn busy_class(class: AgentClass, busy: u32) -> State {
    match class {
        AgentClass::Available | AgentClass::Unproductive if busy > 0 => State::Handling,
        class => class.into(),
    }
}

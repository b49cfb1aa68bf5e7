//! Who waits, who is handled by whom, which state each agent is in: events -> deltas. One floor per source partition.
//!
//! Order does not matter. What an interaction or an agent contributes is a pure function of its own sorted time-line
//! ([`interaction`], [`agent`]); an event changes the time-line, and the floor emits the new contributions minus the old.
//! A floor has emitted exactly the contributions dated before its clock; what lies at or after it (an expiry, a time-out,
//! a wait that will pass a threshold) waits in a heap of moments until [`Floor::advance`] passes it.
//!
//! De-duplication: an event id is known for as long as its interaction is held (open, and `lateness` after), or its
//! agent's snapshots are (`lateness`); and the last `limits.identities` ids are known whosever they were.
//! Limits: see [`crate::plan::Limits`]; what each keeps out is counted in [`Counters`].

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;

use foldhash::fast::FixedState;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::domain::{AgentSnapshot, Body, Event, InteractionEvent, Timestamp};
use crate::plan::Plan;
use crate::wire::Reason;

mod agent;
pub mod cells;
mod combine;
mod contribution;
mod held;
mod identities;
mod interaction;
mod moment;
mod names;

pub use combine::{Batch, KeyDelta, PaneDelta};
pub use contribution::Age;
pub use names::OTHER;

use agent::Snapshot;
use combine::Combiner;
use contribution::{List, difference};
use held::Held;
use identities::Identities;
use interaction::Context;
use moment::{Kind, Moment};
use names::Names;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It changed what is known.
    Applied,
    /// Its id was seen before: it changes nothing.
    Duplicate,
    /// It lies ahead of the floor's clock and is held until that passes it.
    Held,
    /// A heartbeat, or an event that a limit keeps out (counted in [`Counters`]).
    NoEffect,
    /// Too late or too far ahead: the record goes to the dead letters.
    Refused(Reason),
}

/// What limits kept out, and what is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub interactions: usize,
    pub open_interactions: usize,
    pub agents: usize,
    pub held_ahead: usize,
    /// Interactions, agents, events of one interaction, events ahead, names: how many a limit kept out.
    pub over_interactions: u64,
    pub over_agents: u64,
    pub over_events: u64,
    pub over_held: u64,
    pub over_names: u64,
    /// Ids forgotten because there were too many.
    pub forgotten_ids: u64,
    /// Closed interactions forgotten before `lateness` because there were too many.
    pub forgotten_early: u64,
}

#[derive(Debug, Default)]
struct Interaction {
    moments: Vec<Moment>,
    /// The earliest moment in the heap that is for it; `i64::MAX`: none.
    due: i64,
    /// Until when it is held; after that it is only remembered, and a late event does not correct it.
    held_until: i64,
    open: bool,
}

#[derive(Debug, Default)]
struct Agent {
    snapshots: Vec<Snapshot>,
    /// Late snapshots before this are not taken: those that they would correct were given up for the limit.
    known_from: i64,
    /// The fold over all of them.
    fold: agent::Fold,
    due: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Interaction(u128),
    Agent(u128),
}

#[derive(Debug)]
pub struct Floor {
    plan: Arc<Plan>,
    names: Names,
    interactions: HashMap<u128, Interaction, FixedState>,
    agents: HashMap<u128, Agent, FixedState>,
    combiner: Combiner,
    held: Held,
    identities: Identities,
    /// Moments at which something falls due or may be forgotten.
    heap: BinaryHeap<Reverse<(i64, Whose)>>,
    /// Closed interactions by the time of their last event, while `limits.closed_interactions` has to be kept.
    closed: BTreeMap<(i64, u128), ()>,
    clock: i64,
    stream_time: Option<i64>,
    counters: Counters,
    scratch: Scratch,
}

#[derive(Debug, Default)]
struct Scratch {
    old: List,
    new: List,
}

impl Floor {
    pub fn new(plan: Arc<Plan>) -> Self {
        Floor {
            names: Names::new(plan.clone()),
            interactions: HashMap::default(),
            agents: HashMap::default(),
            combiner: Combiner::default(),
            held: Held::default(),
            identities: Identities::default(),
            heap: BinaryHeap::new(),
            closed: BTreeMap::new(),
            clock: Timestamp::MIN.0,
            stream_time: None,
            counters: Counters::default(),
            scratch: Scratch::default(),
            plan,
        }
    }

    /// Takes an event at `now`: the wall clock, or in a back-test any time after the event's own. The clock moves to just
    /// after the event, but never beyond `now`, so that a producer with a clock in the future moves nothing.
    pub fn take(&mut self, event: &Event<'_>, now: Timestamp) -> Taken {
        let time = event.time.0;
        if time + 1 > self.clock {
            self.advance(Timestamp((time + 1).min(now.0)));
        }
        if time >= self.clock {
            if matches!(event.body, Body::Heartbeat) {
                return Taken::NoEffect;
            }
            let kept = self.held.push(event, self.plan.limits.held_ahead);
            self.counters.over_held += u64::from(!kept);
            return if kept { Taken::Held } else { Taken::Refused(Reason::TooFarAhead) };
        }
        self.stream_time = self.stream_time.max(Some(time));
        self.apply(event)
    }

    fn apply(&mut self, event: &Event<'_>) -> Taken {
        let id_hash = xxh3_64(event.id.as_bytes());
        if self.identities.contains(id_hash) {
            return Taken::Duplicate;
        }
        let taken = match &event.body {
            Body::Heartbeat => return Taken::NoEffect,
            Body::Interaction { interaction, event: what } => {
                self.apply_interaction(&event.id, id_hash, event.time.0, xxh3_128(interaction.as_bytes()), what)
            }
            Body::Agent(snapshot) => self.apply_agent(&event.id, id_hash, event.time.0, snapshot),
        };
        if taken == Taken::Applied {
            self.identities.insert(id_hash, self.plan.limits.identities);
        }
        taken
    }

    fn apply_interaction(
        &mut self,
        id: &str,
        id_hash: u64,
        time: i64,
        whose: u128,
        event: &InteractionEvent<'_>,
    ) -> Taken {
        let horizon = self.horizon();
        let Floor { plan, names, interactions, combiner, counters, scratch, clock, .. } = self;
        let held = interactions.len();
        let entry = match interactions.entry(whose) {
            Entry::Occupied(entry) if time < horizon && entry.get().held_until < *clock => {
                return Taken::Refused(Reason::TooLate);
            }
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if time < horizon => return Taken::Refused(Reason::TooLate),
            Entry::Vacant(_) if held >= plan.limits.open_interactions + plan.limits.closed_interactions => {
                counters.over_interactions += 1;
                return Taken::NoEffect;
            }
            Entry::Vacant(entry) => entry.insert(Interaction {
                moments: Vec::with_capacity(4),
                due: i64::MAX,
                held_until: i64::MAX,
                open: false,
            }),
        };
        if entry.moments.iter().any(|moment| moment.id_hash == id_hash) {
            return Taken::Duplicate;
        }
        if entry.moments.len() >= plan.limits.events_per_interaction {
            counters.over_events += 1;
            return Taken::NoEffect;
        }
        let moment = Moment { time, kind: Kind::of(event, names), id_hash, id: id.into() };
        let at = entry.moments.partition_point(|other| other.order() < moment.order());
        let append = at == entry.moments.len();

        let mut context = Context { plan, names };
        let mut fold = interaction::Fold::default();
        let (old, new) = (&mut scratch.old, &mut scratch.new);
        old.clear();
        new.clear();
        for other in &entry.moments {
            fold.step(other, &mut context, old);
        }
        if append {
            // What earlier events settled stays; only what followed from the last state can change.
            old.clear();
            let mut next = fold.clone();
            fold.finish(&mut context, old);
            next.step(&moment, &mut context, new);
            fold = next;
            entry.moments.push(moment);
        } else {
            fold.finish(&mut context, old);
            entry.moments.insert(at, moment);
            fold = interaction::Fold::default();
            for other in &entry.moments {
                fold.step(other, &mut context, new);
            }
        }
        let open = fold.is_open();
        let forget = fold.forget_at(plan.lateness, context.names);
        entry.held_until = fold.held_until(plan.lateness, context.names);
        fold.finish(&mut context, new);
        let pending = new.iter().map(|c| c.at).filter(|at| *at >= *clock).min();
        difference(old, new, |contribution| {
            if contribution.at < *clock {
                combiner.add(contribution, names);
            }
        });
        let due = pending.unwrap_or(forget).max(*clock);
        if due < entry.due {
            entry.due = due;
            self.heap.push(Reverse((due, Whose::Interaction(whose))));
        }
        let last = entry.moments.last().map_or(time, |moment| moment.time);
        let was_open = std::mem::replace(&mut entry.open, open);
        self.note_open(whose, last, was_open, open);
        Taken::Applied
    }

    /// Events before this are too late. The clock stands one millisecond after the last event.
    fn horizon(&self) -> i64 {
        self.clock.saturating_sub(self.plan.lateness.0 + 1)
    }

    fn note_open(&mut self, whose: u128, last: i64, was_open: bool, open: bool) {
        self.counters.open_interactions += usize::from(open);
        self.counters.open_interactions -= usize::from(was_open);
        if open {
            return;
        }
        self.closed.insert((last, whose), ());
        while self.closed.len() > self.plan.limits.closed_interactions {
            let Some(((at, whose), ())) = self.closed.pop_first() else { break };
            let current = self
                .interactions
                .get(&whose)
                .is_some_and(|i| !i.open && i.moments.last().is_some_and(|m| m.time == at));
            if current {
                self.interactions.remove(&whose);
                self.counters.forgotten_early += 1;
            }
        }
    }

    fn apply_agent(&mut self, id: &str, id_hash: u64, time: i64, event: &AgentSnapshot<'_>) -> Taken {
        let horizon = self.horizon();
        let Floor { plan, names, agents, combiner, counters, scratch, clock, .. } = self;
        if time < horizon {
            return Taken::Refused(Reason::TooLate);
        }
        let whose = xxh3_128(event.agent.as_bytes());
        let known = agents.len();
        let agent = match agents.entry(whose) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if known >= plan.limits.agents => {
                counters.over_agents += 1;
                return Taken::NoEffect;
            }
            Entry::Vacant(entry) => entry.insert(Agent { due: i64::MAX, known_from: i64::MIN, ..Agent::default() }),
        };
        if agent.snapshots.iter().any(|snapshot| snapshot.id_hash == id_hash) {
            return Taken::Duplicate;
        }
        // Snapshots before the last one older than `lateness` can never matter again.
        while let [first, second, ..] = agent.snapshots.as_mut_slice() {
            if second.time >= horizon {
                break;
            }
            second.inherit(first);
            agent.snapshots.remove(0);
        }
        let snapshot = Snapshot::of(id, time, id_hash, event, names);
        let at = agent.snapshots.partition_point(|other| other.order() < snapshot.order());
        let full = agent.snapshots.len() >= plan.limits.events_per_interaction;
        if time < agent.known_from || (full && at < agent.snapshots.len()) {
            counters.over_events += 1;
            return Taken::NoEffect;
        }
        // Beyond the limit the oldest gives way, and with it the correction of what lies before the next.
        while let (true, [first, second, ..]) =
            (agent.snapshots.len() >= plan.limits.events_per_interaction, agent.snapshots.as_mut_slice())
        {
            second.inherit(first);
            agent.known_from = second.time;
            agent.snapshots.remove(0);
            counters.over_events += 1;
        }
        let at = at.min(agent.snapshots.len());
        let (old, new) = (&mut scratch.old, &mut scratch.new);
        old.clear();
        new.clear();
        agent.fold.clone().finish(plan.agent_timeout, names, old);
        if at == agent.snapshots.len() {
            agent.fold.step(&snapshot, plan.agent_timeout, names, new);
            agent.snapshots.push(snapshot);
        } else {
            // A late one: what came before it is the same before and after, the rest is told anew.
            let tail = std::mem::take(old);
            let mut fold = agent::Fold::default();
            for other in agent.snapshots.iter().take(at) {
                fold.step(other, plan.agent_timeout, names, new);
            }
            new.clear();
            agent.fold = fold.clone();
            for other in agent.snapshots.iter().skip(at) {
                fold.step(other, plan.agent_timeout, names, old);
            }
            old.extend(tail);
            agent.snapshots.insert(at, snapshot);
            for other in agent.snapshots.iter().skip(at) {
                agent.fold.step(other, plan.agent_timeout, names, new);
            }
        }
        agent.fold.clone().finish(plan.agent_timeout, names, new);
        let pending = new.iter().map(|c| c.at).filter(|at| *at >= *clock).min();
        difference(old, new, |contribution| {
            if contribution.at < *clock {
                combiner.add(contribution, names);
            }
        });
        if let Some(due) = pending.filter(|due| *due < agent.due) {
            agent.due = due;
            self.heap.push(Reverse((due, Whose::Agent(whose))));
        }
        Taken::Applied
    }

    /// Moves the floor's clock to `now`: releases what was held and contributes what fell due before it
    /// (time-outs, expiries, thresholds). Never moves back.
    pub fn advance(&mut self, now: Timestamp) {
        if now.0 <= self.clock {
            return;
        }
        let before = std::mem::replace(&mut self.clock, now.0);
        while let Some(Reverse((due, whose))) = self.heap.peek().copied().filter(|Reverse((due, _))| *due < now.0) {
            self.heap.pop();
            match whose {
                Whose::Interaction(whose) => self.fall_due_interaction(whose, due, before),
                Whose::Agent(whose) => self.fall_due_agent(whose, due, before),
            }
        }
        while let Some(event) = self.held.pop_before(now) {
            self.stream_time = self.stream_time.max(Some(event.time.0));
            self.apply(&event);
        }
    }

    fn fall_due_interaction(&mut self, whose: u128, due: i64, before: i64) {
        let Floor { plan, names, interactions, combiner, scratch, clock, .. } = self;
        let Some(entry) = interactions.get_mut(&whose).filter(|entry| entry.due == due) else { return };
        let tail = &mut scratch.new;
        tail.clear();
        let mut context = Context { plan, names };
        let mut fold = interaction::Fold::default();
        for moment in &entry.moments {
            fold.step(moment, &mut context, tail);
        }
        let forget = fold.forget_at(plan.lateness, context.names);
        fold.finish(&mut context, tail);
        for contribution in tail.iter().filter(|c| (before..*clock).contains(&c.at)) {
            combiner.add(*contribution, names);
        }
        let pending = tail.iter().map(|c| c.at).filter(|at| *at >= *clock).min();
        // Nothing pending: it is over or has expired, and waits to be forgotten.
        let open = pending.is_some() && entry.open;
        let was_open = std::mem::replace(&mut entry.open, open);
        let last = entry.moments.last().map_or(0, |moment| moment.time);
        match pending.or((forget >= *clock).then_some(forget)) {
            Some(due) => {
                entry.due = due;
                self.heap.push(Reverse((due, Whose::Interaction(whose))));
                if was_open != open {
                    self.note_open(whose, last, was_open, open);
                }
            }
            None => {
                self.counters.open_interactions -= usize::from(was_open);
                self.closed.remove(&(last, whose));
                self.interactions.remove(&whose);
            }
        }
    }

    fn fall_due_agent(&mut self, whose: u128, due: i64, before: i64) {
        let Floor { plan, names, agents, combiner, scratch, clock, .. } = self;
        let Some(agent) = agents.get_mut(&whose).filter(|agent| agent.due == due) else { return };
        let tail = &mut scratch.new;
        tail.clear();
        agent.fold.clone().finish(plan.agent_timeout, names, tail);
        for contribution in tail.iter().filter(|c| (before..*clock).contains(&c.at)) {
            combiner.add(*contribution, names);
        }
        agent.due = i64::MAX;
        if let Some(due) = tail.iter().map(|c| c.at).filter(|at| *at >= *clock).min() {
            agent.due = due;
            self.heap.push(Reverse((due, Whose::Agent(whose))));
        }
    }

    /// The largest event time so far.
    pub fn stream_time(&self) -> Option<Timestamp> {
        self.stream_time.map(Timestamp)
    }

    /// Everything contributed since the last flush.
    pub fn flush(&mut self) -> Batch {
        self.combiner.flush(&self.names)
    }

    pub fn counters(&self) -> Counters {
        Counters {
            interactions: self.interactions.len(),
            agents: self.agents.len(),
            held_ahead: self.held.len(),
            over_names: self.names.overflowed,
            forgotten_ids: self.identities.forgotten,
            ..self.counters
        }
    }
}

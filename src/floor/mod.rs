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
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use foldhash::fast::FixedState;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::domain::{AgentSnapshot, Body, Event, InteractionEvent, Timestamp};
use crate::plan::Plan;
use crate::wire::Reason;

mod agent;
mod batch;
pub mod cells;
mod combine;
mod contact;
mod contribution;
mod emit;
mod event_id;
mod held;
mod identities;
mod interaction;
mod moment;
mod names;
mod snapshot;
mod stages;
mod starts;
mod store;
mod wait;

pub use batch::{Batch, KeyDelta};
pub use contribution::Age;
pub use names::OTHER;

use agent::Snapshot;
use combine::Combiner;
use contribution::{Contribution, List, Nothing, Sink, difference};
use event_id::EventId;
use held::Held;
use identities::Identities;
use interaction::{Context, Fold};
use moment::{Kind, Moment};
use names::Names;
use stages::Stages;
use store::Interactions;

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
    /// A slot of the store.
    Interaction(u32),
    /// The index of an agent.
    Agent(u32),
}

#[derive(Debug)]
pub struct Floor {
    plan: Arc<Plan>,
    names: Names,
    interactions: Interactions,
    agents: Vec<Agent>,
    agent_numbers: HashMap<u128, u32, FixedState>,
    combiner: Combiner,
    held: Held,
    identities: Identities,
    /// Moments at which something falls due or may be forgotten.
    heap: BinaryHeap<Reverse<(i64, Whose)>>,
    clock: i64,
    stream_time: Option<i64>,
    counters: Counters,
    stages: Stages,
    scratch: Scratch,
}

/// How many moments beyond two for each that is held may wait in the heap.
const MOMENTS_SPARE: usize = 1 << 10;

#[derive(Debug, Default)]
struct Scratch {
    old: List,
    new: List,
}

/// Contributes what is dated in `[from, to)`: what comes before was told when the state before foretold it.
struct Direct<'a> {
    combiner: &'a mut Combiner,
    from: i64,
    to: i64,
}

impl Sink for Direct<'_> {
    #[inline]
    fn put(&mut self, contribution: Contribution) {
        if (self.from..self.to).contains(&contribution.at) {
            self.combiner.add(contribution);
        }
    }

    #[inline]
    fn revise(&mut self, contribution: Contribution) {
        self.combiner.add(contribution);
    }
}

/// Takes back what was told of what is dated from `from` on.
struct TakeBack<'a>(Direct<'a>);

impl Sink for TakeBack<'_> {
    #[inline]
    fn put(&mut self, contribution: Contribution) {
        self.0.put(Contribution { weight: -contribution.weight, ..contribution });
    }

    #[inline]
    fn revise(&mut self, _: Contribution) {}
}

/// Contributes what follows from a state and lies before the clock, and finds when the next of it falls due.
struct Tail<'a> {
    direct: Direct<'a>,
    pending: i64,
    told: i64,
}

impl<'a> Tail<'a> {
    fn new(combiner: &'a mut Combiner, from: i64, to: i64) -> Self {
        Tail { direct: Direct { combiner, from, to }, pending: i64::MAX, told: i64::MIN }
    }
}

impl Sink for Tail<'_> {
    #[inline]
    fn put(&mut self, contribution: Contribution) {
        if contribution.at >= self.direct.to {
            self.pending = self.pending.min(contribution.at);
        } else {
            self.told = self.told.max(contribution.at);
            self.direct.put(contribution);
        }
    }

    #[inline]
    fn revise(&mut self, _: Contribution) {}
}

impl Floor {
    pub fn new(plan: Arc<Plan>) -> Self {
        Floor {
            names: Names::new(plan.clone()),
            interactions: Interactions::default(),
            agents: Vec::new(),
            agent_numbers: HashMap::default(),
            combiner: Combiner::default(),
            held: Held::default(),
            identities: Identities::new(plan.limits.identities),
            heap: BinaryHeap::new(),
            clock: Timestamp::MIN.0,
            stream_time: None,
            counters: Counters::default(),
            stages: Stages::default(),
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
                self.apply_interaction(&event.id, event.time.0, xxh3_128(interaction.as_bytes()), what)
            }
            Body::Agent(snapshot) => self.apply_agent(&event.id, id_hash, event.time.0, snapshot),
        };
        if taken == Taken::Applied {
            self.identities.insert(id_hash);
        }
        taken
    }

    fn apply_interaction(&mut self, id: &str, time: i64, whose: u128, event: &InteractionEvent<'_>) -> Taken {
        let horizon = self.horizon();
        let known = self.interactions.find(whose);
        if time < horizon && known.is_none_or(|slot| self.held_until(slot) < self.clock) {
            return Taken::Refused(Reason::TooLate);
        }
        let limits = &self.plan.limits;
        if known.is_none() && self.counters.open_interactions >= limits.open_interactions {
            self.counters.over_interactions += 1;
            return Taken::NoEffect;
        }
        let event_id = EventId::of(id);
        let slot = known.unwrap_or_else(|| self.interactions.insert(whose));
        let Floor { plan, names, interactions, combiner, counters, stages, scratch, clock, .. } = self;
        let Some(held) = interactions.get_mut(slot) else { return Taken::NoEffect };
        if held.moments.iter().any(|moment| moment.id() == event_id) {
            return Taken::Duplicate;
        }
        if held.moments.len() >= plan.limits.events_per_interaction {
            counters.over_events += 1;
            return Taken::NoEffect;
        }
        held.long_ids.keep(event_id, id);
        let ids = &held.long_ids;
        let moment = Moment::new(time, Kind::of(event, names), event_id);
        let at = match held.moments.last() {
            Some(last) if last.compare(&moment, ids).is_gt() => {
                held.moments.partition_point(|other| other.compare(&moment, ids).is_lt())
            }
            _ => held.moments.len(),
        };
        if held.moments.len() == held.moments.capacity() {
            // Doubling would waste what is scarce where there are millions.
            held.moments.reserve_exact((held.moments.len() / 2).clamp(4, 64));
        }
        let mut context = Context { plan, names, stages };
        // A late arrival says of what came before it where and since when it was.
        let simple = at == held.moments.len() && (at == 0 || !matches!(moment.kind(), Kind::Arrived(_)));
        let (fold, mut tail) = if simple {
            // In order: what was told stays, and what the event says is added to it.
            let mut fold = Fold::of(&held.moments, &mut context, &mut Nothing);
            if held.told >= time {
                let direct = Direct { combiner: &mut *combiner, from: time, to: *clock };
                fold.finish(&mut context, &mut TakeBack(direct));
            }
            held.moments.push(moment);
            fold.step(&moment, &mut context, &mut Direct { combiner: &mut *combiner, from: time, to: *clock });
            (fold, Tail::new(combiner, time, *clock))
        } else {
            // What the time-line means now, less what it meant before.
            let (old, new) = (&mut scratch.old, &mut scratch.new);
            old.clear();
            new.clear();
            Fold::of(&held.moments, &mut context, old).finish(&mut context, old);
            held.moments.insert(at, moment);
            let fold = Fold::of(&held.moments, &mut context, new);
            fold.finish(&mut context, new);
            difference(old, new, |contribution| {
                if contribution.at < *clock {
                    combiner.add(contribution);
                }
            });
            // All of the tail that lies before the clock is among them.
            (fold, Tail::new(combiner, i64::MAX, *clock))
        };
        fold.finish(&mut context, &mut tail);
        held.told = tail.told;
        let pending = if tail.pending < i64::MAX { tail.pending } else { fold.forget_at(plan.lateness, context.names) };
        let due = pending.max(*clock);
        if due < held.due {
            held.due = due;
            self.heap.push(Reverse((due, Whose::Interaction(slot))));
        }
        let last = held.last();
        // Nothing pending: a late event may have opened what has expired since.
        let open = fold.is_open() && tail.pending < i64::MAX;
        let was_open = std::mem::replace(&mut held.open, open);
        self.note_open(slot, last, was_open, open);
        Taken::Applied
    }

    /// Until when a late event of it is taken.
    fn held_until(&mut self, slot: u32) -> i64 {
        let Floor { plan, names, interactions, stages, .. } = self;
        let mut context = Context { plan, names, stages };
        let moments = interactions.get(slot).map_or(&[][..], |held| &held.moments);
        let fold = Fold::of(moments, &mut context, &mut Nothing);
        fold.held_until(plan.lateness, context.names)
    }

    /// Events before this are too late. The clock stands one millisecond after the last event.
    fn horizon(&self) -> i64 {
        self.clock.saturating_sub(self.plan.lateness.0 + 1)
    }

    fn note_open(&mut self, slot: u32, last: i64, was_open: bool, open: bool) {
        self.counters.open_interactions += usize::from(open);
        self.counters.open_interactions -= usize::from(was_open);
        if open {
            return;
        }
        self.interactions.note_closed(slot, last, self.counters.open_interactions);
        while self.interactions.len() - self.counters.open_interactions > self.plan.limits.closed_interactions {
            let Some(slot) = self.interactions.first_closed() else { break };
            self.interactions.remove(slot);
            self.counters.forgotten_early += 1;
        }
    }

    fn apply_agent(&mut self, id: &str, id_hash: u64, time: i64, event: &AgentSnapshot<'_>) -> Taken {
        let horizon = self.horizon();
        let Floor { plan, names, agents, agent_numbers, combiner, counters, scratch, clock, .. } = self;
        if time < horizon {
            return Taken::Refused(Reason::TooLate);
        }
        let whose = xxh3_128(event.agent.as_bytes());
        let known = agents.len();
        let number = match agent_numbers.entry(whose) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(_) if known >= plan.limits.agents => {
                counters.over_agents += 1;
                return Taken::NoEffect;
            }
            Entry::Vacant(entry) => {
                agents.push(Agent { due: i64::MAX, known_from: i64::MIN, ..Agent::default() });
                *entry.insert(known as u32)
            }
        };
        let Some(agent) = agents.get_mut(number as usize) else { return Taken::NoEffect };
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
                combiner.add(contribution);
            }
        });
        if let Some(due) = pending.filter(|due| *due < agent.due) {
            agent.due = due;
            self.heap.push(Reverse((due, Whose::Agent(number))));
        }
        Taken::Applied
    }

    /// Moves the floor's clock to `now`: releases what was held and contributes what fell due before it
    /// (time-outs, expiries, thresholds). Never moves back. Whether there was anything of that.
    pub fn advance(&mut self, now: Timestamp) -> bool {
        if now.0 <= self.clock {
            return false;
        }
        let mut moved = false;
        let before = std::mem::replace(&mut self.clock, now.0);
        while let Some(Reverse((due, whose))) = self.heap.peek().copied().filter(|Reverse((due, _))| *due < now.0) {
            self.heap.pop();
            moved = true;
            match whose {
                Whose::Interaction(whose) => self.fall_due_interaction(whose, due, before),
                Whose::Agent(whose) => self.fall_due_agent(whose, due, before),
            }
        }
        while let Some(event) = self.held.pop_before(now) {
            self.stream_time = self.stream_time.max(Some(event.time.0));
            self.apply(&event);
            moved = true;
        }
        self.forget_moments();
        moved
    }

    /// Moments of what is no longer held, or that a sooner one replaced, do not gather until they come.
    fn forget_moments(&mut self) {
        let Floor { heap, interactions, agents, .. } = self;
        if heap.len() <= 2 * (interactions.len() + agents.len()) + MOMENTS_SPARE {
            return;
        }
        heap.retain(|Reverse((due, whose))| match whose {
            Whose::Interaction(slot) => interactions.get(*slot).is_some_and(|held| held.due == *due),
            Whose::Agent(number) => agents.get(*number as usize).is_some_and(|agent| agent.due == *due),
        });
    }

    fn fall_due_interaction(&mut self, slot: u32, due: i64, before: i64) {
        let Floor { plan, names, interactions, combiner, stages, clock, .. } = self;
        let Some(held) = interactions.get_mut(slot).filter(|held| held.due == due) else { return };
        let mut context = Context { plan, names, stages };
        let fold = Fold::of(&held.moments, &mut context, &mut Nothing);
        let mut tail = Tail::new(combiner, before, *clock);
        fold.finish(&mut context, &mut tail);
        held.told = tail.told;
        let forget = fold.forget_at(plan.lateness, context.names);
        let pending = (tail.pending < i64::MAX).then_some(tail.pending);
        // Nothing pending: it is over or has expired, and waits to be forgotten.
        let open = pending.is_some() && held.open;
        let was_open = std::mem::replace(&mut held.open, open);
        let last = held.last();
        match pending.or((forget >= *clock).then_some(forget)) {
            Some(due) => {
                held.due = due;
                self.heap.push(Reverse((due, Whose::Interaction(slot))));
                if was_open != open {
                    self.note_open(slot, last, was_open, open);
                }
            }
            None => {
                self.counters.open_interactions -= usize::from(was_open);
                self.interactions.remove(slot);
            }
        }
    }

    fn fall_due_agent(&mut self, number: u32, due: i64, before: i64) {
        let Floor { plan, names, agents, combiner, scratch, clock, .. } = self;
        let Some(agent) = agents.get_mut(number as usize).filter(|agent| agent.due == due) else { return };
        let tail = &mut scratch.new;
        tail.clear();
        agent.fold.clone().finish(plan.agent_timeout, names, tail);
        for contribution in tail.iter().filter(|c| (before..*clock).contains(&c.at)) {
            combiner.add(*contribution);
        }
        agent.due = i64::MAX;
        if let Some(due) = tail.iter().map(|c| c.at).filter(|at| *at >= *clock).min() {
            agent.due = due;
            self.heap.push(Reverse((due, Whose::Agent(number))));
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

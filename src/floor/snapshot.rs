//! A floor put down in bytes, and taken up again: the copy goes on bit for bit like the floor that it was taken of.
//!
//! Written is what happened and when it has to be looked at again; what follows from that (which starts run, until when
//! the state of a time-line was told, who is open, the tables by which names and ids are found) is folded anew. Slots,
//! free slots and moments due are written as they stand, since they decide in which order things fall due at one instant.
//!
//! # Body of [`Kind::FLOOR`], version 1
//!
//! Times are epoch milliseconds, or differences of them where it says so; numbers of names, places, keys and agents are
//! their places in the lists before.
//!
//! | part | written by | values |
//! |---|---|---|
//! | clock | here | clock, stream time (optional) |
//! | counters | here | kept out by limits: interactions, agents, events, events ahead; forgotten early |
//! | names | `names::snapshot` | names, keys, places, how many were put under `other` |
//! | interactions | `store::snapshot` | free slots, then of each slot that is not free its time-line; notes of closed ones |
//! | agents | `agent::snapshot` | of each its snapshots |
//! | events ahead | here | in the order in which they will be taken |
//! | identities | `identities::snapshot` | the sets, newest first |
//!
//! It is of the settings of [`Plan::contributions_fingerprint`]: windows may change under it.

use std::cmp::Reverse;
use std::sync::Arc;

use super::agent::Posted;
use super::combine::Combiner;
use super::contribution::{Contribution, Sink, What};
use super::interaction::{Context, Fold};
use super::{Counters, Floor, Identities, Interactions, Names, Whose};
use crate::domain::Event;
use crate::plan::Plan;
use crate::snapshot::{Kind, Reader, SnapshotError, Writer, ensure, instant};

impl Floor {
    /// The floor as it stands, in bytes; equal floors give equal bytes.
    ///
    /// # Panics
    ///
    /// If anything was contributed since the last [`Floor::flush`]: whoever restores would never tell it.
    pub fn snapshot(&self) -> Vec<u8> {
        assert!(self.combiner.is_flushed(), "a floor is flushed before its snapshot is taken");
        let mut to = Writer::new(Kind::FLOOR, self.plan.contributions_fingerprint());
        to.put(&(self.clock, self.stream_time));
        let Counters { over_interactions, over_agents, over_events, over_held, forgotten_early, .. } = self.counters;
        to.put(&[over_interactions, over_agents, over_events, over_held, forgotten_early]);
        self.names.put(&mut to);
        self.interactions.put(self.clock, &mut to);
        let mut ids = vec![0; self.agents.len()];
        for (whose, number) in &self.agent_numbers {
            if let Some(id) = ids.get_mut(*number as usize) {
                *id = *whose;
            }
        }
        to.put(&(ids.len() as u64));
        for (whose, agent) in ids.into_iter().zip(&self.agents) {
            Posted::put(whose, agent, &mut to);
        }
        to.put(&(self.held.len() as u64));
        for event in self.held.events() {
            to.put(event);
        }
        self.identities.put(&mut to);
        to.finish()
    }

    /// A floor that goes on as the one did of which `bytes` are the snapshot.
    pub fn restore(plan: Arc<Plan>, bytes: &[u8]) -> Result<Floor, SnapshotError> {
        let mut from = Reader::open(Kind::FLOOR, plan.contributions_fingerprint(), bytes)?;
        let mut floor = Floor::new(plan.clone());
        let (clock, stream_time): (i64, Option<i64>) = from.take("clock")?;
        floor.clock = instant(Some(clock), "clock")?;
        floor.stream_time = stream_time.map(|time| instant(Some(time), "stream time")).transpose()?;
        let [over_interactions, over_agents, over_events, over_held, forgotten_early] = from.take("counters")?;
        let counted = Counters::default();
        floor.counters =
            Counters { over_interactions, over_agents, over_events, over_held, forgotten_early, ..counted };
        floor.names = Names::take(plan.clone(), &mut from)?;
        floor.interactions = Interactions::take(&floor.names, floor.clock, &mut from)?;
        let overflowed = floor.names.overflowed;
        floor.fold_interactions();
        for number in 0..from.count("agents")? as u32 {
            let (whose, agent) = Posted::take(&mut floor.names, &mut from)?;
            ensure(floor.agent_numbers.insert(whose, number).is_none(), "agents")?;
            if agent.due < i64::MAX {
                floor.heap.push(Reverse((agent.due, Whose::Agent(number))));
            }
            floor.agents.push(agent);
        }
        // What was put under `other` once is found there again, and counted once.
        floor.names.overflowed = overflowed;
        for _ in 0..from.count("events ahead")? {
            let event: Event<'static> = from.take("events ahead")?;
            ensure(event.time.in_range().is_some(), "events ahead")?;
            floor.held.push(&event, usize::MAX);
        }
        floor.identities = Identities::take(plan.limits.identities, &mut from)?;
        from.finish()?;
        Ok(floor)
    }

    /// Finds what runs, and until when each time-line was told, by walking all of them.
    fn fold_interactions(&mut self) {
        let Floor { plan, names, interactions, combiner, heap, counters, stages, clock, .. } = self;
        let mut ages = Ages { combiner, clock: *clock, told: i64::MIN };
        for (slot, held) in interactions.held_mut() {
            let mut context = Context { plan, names: &mut *names, stages: &mut *stages };
            let fold = Fold::of(&held.moments, &mut context, &mut ages);
            ages.told = i64::MIN;
            fold.finish(&mut context, &mut ages);
            held.told = ages.told;
            counters.open_interactions += usize::from(held.open);
            heap.push(Reverse((held.due, Whose::Interaction(slot))));
        }
        // The board has heard of them.
        drop(combiner.flush(names));
    }
}

/// Takes what began and runs, and finds the last that was told.
struct Ages<'a> {
    combiner: &'a mut Combiner,
    clock: i64,
    told: i64,
}

impl Sink for Ages<'_> {
    fn put(&mut self, contribution: Contribution) {
        if contribution.at < self.clock {
            self.told = self.told.max(contribution.at);
            self.revise(contribution);
        }
    }

    fn revise(&mut self, contribution: Contribution) {
        if matches!(contribution.what, What::Age(..)) {
            self.combiner.add(contribution);
        }
    }
}

//! Who judges: one floor and one board that saw every event once, and one engine over a board of its own that decides alone what
//! the logs say was decided.

use std::collections::BTreeMap;

use atalaya::domain::{Millis, Timestamp};
use atalaya::floor::Floor;
use atalaya::instance::decider::Intent;
use atalaya::instance::intent;
use atalaya::journal::Position;
use atalaya::matrix::Level;
use atalaya::matrix::engine::{Items, Pending, apply, diff};
use atalaya::pipeline::Evaluator;

use crate::decisions::Accepted;
use crate::floor::{FULL, SET};
use crate::random;
use crate::world::{Due, World};

fn names(intents: &[Intent]) -> Vec<&str> {
    intents.iter().map(|intent| &*intent.id).collect()
}

impl World {
    pub fn judge(&mut self) -> Result<(), String> {
        self.judge_owners()?;
        self.judge_floors()?;
        self.judge_figures()?;
        let again = self.decided.judge_sent(&self.sent)?;
        self.happened.count("sent again", again);
        self.happened.count("decision torn", self.decided.halves);
        let items = self.judge_decided()?;
        if self.decided.waits() > 0 {
            return Err(format!("{} notices have no outcome", self.decided.waits()));
        }
        for (node, of) in self.nodes.iter().enumerate() {
            let decider = &of.instance.as_ref().ok_or("a node is not there")?.seat.decider;
            if *decider.items() != items {
                return Err(format!("node {node} has another state: {:?}", diff(&items, decider.items())));
            }
            let (decisions, unsent) = (decider.ledger().decisions(), decider.ledger().outbox().len());
            if (decisions, unsent) != (self.decided.accepted.len() as u64, 0) {
                return Err(format!("node {node} counts {decisions} decisions, and has {unsent} notices to send"));
            }
        }
        Ok(())
    }

    /// All have read the same out of the deltas log, and work on what is theirs.
    fn judge_owners(&self) -> Result<(), String> {
        for (node, of) in self.nodes.iter().enumerate() {
            let instance = of.instance.as_ref().ok_or("a node is not there")?;
            if let Some(stuck) = instance.stuck().next() {
                return Err(format!("node {node} cannot work on {stuck:?}"));
            }
            for (place, _) in instance.replica().histories() {
                let found = instance.replica().owner(place).map(|owner| (owner.claim, owner.batches, owner.applied));
                let expected = self.counted.owner(place);
                if found != expected {
                    return Err(format!("node {node} knows {found:?} of {place:?}, and the log says {expected:?}"));
                }
            }
        }
        Ok(())
    }

    /// Every floor that was taken over stands where it stood when it was left, to the byte.
    fn judge_floors(&mut self) -> Result<(), String> {
        let claims = self.counted.counted.iter().map(|one| ((one.place, one.number), one.claim));
        let claims: BTreeMap<_, _> = claims.collect();
        for (place, batches, found) in &self.taken_over {
            let claim = claims.get(&(*place, *batches));
            let left = claim.and_then(|claim| self.floors.get(&(*place, *batches, *claim)));
            if left.is_some() {
                self.happened.note("floor taken over");
            }
            if left.is_some_and(|left| left != found) {
                return Err(format!("{place:?} taken over after {batches} batches: another floor than was left"));
            }
        }
        Ok(())
    }

    /// Every node's board against all events taken once, in order.
    fn judge_figures(&mut self) -> Result<(), String> {
        let plan = self.setting.plan.clone();
        let mut sorted = self.events.clone();
        sorted.sort_by_key(|event| event.time);
        let (mut floor, mut alone) = (Floor::new(plan.clone()), Evaluator::new(plan.clone(), SET.matrices.clone()));
        for event in &sorted {
            floor.take(event, Timestamp::MAX);
        }
        let now = self.now;
        floor.advance(now);
        alone.apply(0, &floor.flush());
        alone.advance(now);
        let expected = random::figures(&plan, alone.board());
        for (node, of) in self.nodes.iter_mut().enumerate() {
            let evaluator = of.instance.as_mut().ok_or("a node is not there")?.evaluator();
            evaluator.advance(now);
            let found = random::figures(&plan, evaluator.board());
            if let Some((a, b)) = expected.iter().zip(&found).find(|(a, b)| a != b) {
                return Err(format!("node {node}:\n expected {a:?}\n found    {b:?}"));
            }
            if expected.len() != found.len() {
                return Err(format!("node {node}: {} figures, expected {}", found.len(), expected.len()));
            }
        }
        Ok(())
    }

    /// One engine, alone, over a board that is given exactly what a decision had seen, decides what the log says was decided;
    /// the state in the end. What goes through a change of turns is what is written down, so it is made anew of that; a second
    /// one never is, and tells the same notices.
    fn judge_decided(&mut self) -> Result<Items, String> {
        let plan = self.setting.plan.clone();
        let new = || Evaluator::new(plan.clone(), SET.matrices.clone());
        let mut alone = [new(), new()];
        let mut items = Items::new();
        let (mut turn, mut operated) = (None, 0);
        let mut deltas = self.counted.counted.iter().peekable();
        let mut full = Vec::new();
        let mut seen = Position::default();
        for Accepted { head, body, at } in &self.decided.accepted {
            let number = head.number;
            if turn != Some(head.claim) {
                alone[0].take_items(&items).map_err(|error| error.to_string())?;
                turn = Some(head.claim);
            }
            if head.deltas < seen {
                return Err(format!("decision {number}: its board had seen less than that of the one before"));
            }
            seen = head.deltas;
            let found = self.circumstances.get(&(head.claim, number));
            let found = found.ok_or_else(|| format!("decision {number}: nobody made it"))?;
            while let Some(counted) = deltas.next_if(|counted| (counted.at as u64) < head.deltas.0) {
                alone.iter_mut().for_each(|one| one.apply(counted.place.partition as u32, &counted.contributions));
            }
            let due = self.operations.entries.get(operated..head.operations.0 as usize).ok_or("it goes back")?;
            operated = head.operations.0 as usize;
            let mut ticks = alone.iter_mut().map(|one| {
                one.advance(found.instant);
                for (when, operation) in due {
                    one.operate(operation, *when);
                }
                let tick = one.tick_with(&found.feeds);
                tick.notifications.into_iter().map(|notice| intent(&Pending { notice, missed: None }, &plan)).collect()
            });
            let (again, straight): (Vec<Intent>, Vec<Intent>) = (ticks.next().unwrap(), ticks.next().unwrap());
            drop(ticks);
            if alone[0].now() != found.instant || found.instant.floor_to(Millis::SECOND) != head.tick {
                return Err(format!("decision {number}: it goes back from {} to {}", alone[0].now(), found.instant));
            }
            if again != body.intents {
                let (expected, found) = (names(&again), names(&body.intents));
                return Err(format!("decision {number}: other notices\n expected {expected:?}\n found    {found:?}"));
            }
            if names(&straight) != names(&again) {
                return Err(format!("decision {number}: the change of turns changed the notices"));
            }
            let shown = |intents: &[Intent]| -> Vec<String> {
                let read = |one: &Intent| Pending::of_bytes(&one.bytes, &SET.matrices, &plan).unwrap().notice;
                let notices = intents.iter().map(read);
                notices.map(|n| format!("{} {:?} {:?} {:?}", n.incident, n.level, n.reason, n.told)).collect()
            };
            // Other values may be shown, by other bytes.
            if straight != again && shown(&straight) != shown(&again) {
                return Err(format!("decision {number}: the change of turns changed what is said"));
            }
            let patch = alone[0].changes(&items);
            if patch != body.patch {
                return Err(format!("decision {number}: another patch: {patch:?}, {:?}", body.patch));
            }
            apply(&mut items, &patch).map_err(|misfit| misfit.to_string())?;
            let open = alone[0].engine().open_cases();
            let is_full = |last: &atalaya::matrix::engine::Transition| {
                last.key.queue.as_deref() == Some(FULL) && last.selector.indicator.name == "waiting"
            };
            full.push((*at, open.iter().any(|case| is_full(&case.last) && case.last.to == Level::Critical)));
        }
        judge_due(&self.due, &full)?;
        Ok(items)
    }
}

/// What the events alone imply was decided in time.
fn judge_due(due: &[Due], full: &[(Timestamp, bool)]) -> Result<(), String> {
    for Due { at, full: expected } in due {
        let known = full.iter().rev().find(|(decided, _)| decided <= at);
        if known.is_none_or(|(_, full)| full != expected) {
            let what = if *expected { "full" } else { "empty" };
            return Err(format!("at {at} it is not known that the queue is {what}"));
        }
    }
    Ok(())
}

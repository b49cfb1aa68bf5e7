//! Limits: what producers can make grow is bounded. One test for each limit (what is kept, what is counted where, that
//! nothing else changes), an avalanche over all of it, and one of notices.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a failed test, with its line")]

mod avalanche;
#[path = "../support/bytes.rs"]
mod bytes;
mod each;
mod outbox;

use std::sync::Arc;

use atalaya::domain::{
    AgentPlaces, AgentSnapshot, Body, Event, InteractionEvent, Key, Millis, Outcome, State, Timestamp,
};
use atalaya::floor::{Floor, Taken};
use atalaya::indicators::{self, Labels, Selector};
use atalaya::matrix::Matrix;
use atalaya::pipeline::Evaluator;
use atalaya::plan::{Limits, Plan};
use atalaya::wire::Reason;

const START: Timestamp = Timestamp(1_767_225_600_000);

/// The most bytes of one, as `docs/metrics.md` states them: of an interaction with up to four events, of each further
/// event, of an agent's snapshot, of an id, of an event ahead of now.
const INTERACTION: usize = 512;
const EVENT: usize = 96;
const SNAPSHOT: usize = 384;
const IDENTITY: usize = 32;
const AHEAD: usize = 512;

fn at(seconds: i64) -> Timestamp {
    START + Millis::seconds(seconds)
}

/// One floor and its evaluator, in virtual time.
struct Core {
    floor: Floor,
    evaluator: Evaluator,
    events: u64,
}

impl Core {
    fn new(limits: Limits) -> Core {
        Core::with(Plan { limits, ..Plan::default() }, vec![])
    }

    fn with(plan: Plan, matrices: Vec<Arc<Matrix>>) -> Core {
        let plan = Arc::new(plan);
        Core { floor: Floor::new(plan.clone()), evaluator: Evaluator::new(plan, matrices), events: 0 }
    }

    /// Takes an event with an id of its own, at its own time.
    fn take(&mut self, time: Timestamp, body: Body<'_>) -> Taken {
        self.events += 1;
        let id = format!("e{}", self.events);
        self.floor.take(&Event { id: id.into(), time, body }, Timestamp::MAX)
    }

    fn interaction(&mut self, time: Timestamp, interaction: &str, event: InteractionEvent<'_>) -> Taken {
        self.take(time, Body::Interaction { interaction: interaction.into(), event })
    }

    fn show(&mut self, now: Timestamp) {
        self.floor.advance(now);
        self.evaluator.apply(0, &self.floor.flush());
        self.evaluator.advance(now);
    }

    /// A count, or an indicator over the last hour; nothing is 0.
    fn figure(&mut self, name: &str, key: &Key) -> f64 {
        let indicator = indicators::find(name).expect("an indicator");
        let window = self.evaluator.plan().windows.iter().position(|window| &*window.label == "1h");
        let state = (name == "agents").then_some(State::Connected);
        let labels = Labels { state, ..Labels::default() };
        let selector = Selector { indicator, window: window.filter(|_| !indicator.instant), labels };
        self.evaluator.read(key, &selector).value.unwrap_or(0.0)
    }

    fn over_all(&mut self, names: &[&str]) -> Vec<f64> {
        names.iter().map(|name| self.figure(name, &Key::ALL)).collect()
    }

    fn keys(&mut self) -> Vec<Key> {
        let mut keys = Vec::new();
        let waiting = |selector: &Selector| selector.indicator.name == "waiting";
        self.evaluator.each_indicator(&|_| true, &waiting, &mut |key, _, _| keys.push(key.clone()));
        keys
    }
}

fn queued(queue: &str) -> InteractionEvent<'_> {
    InteractionEvent::Queued { queue: queue.into(), channel: "voice".into() }
}

fn assigned() -> InteractionEvent<'static> {
    InteractionEvent::Assigned { agent: "ana".into() }
}

fn closed() -> InteractionEvent<'static> {
    InteractionEvent::Closed { outcome: Outcome::Resolved }
}

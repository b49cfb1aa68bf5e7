//! The evaluator's seat: a decider, and what binds it to the board and the engine that it decides by.
//!
//! Whoever sits here in a term has an engine of what was decided, and of the operations since; a tick of it becomes a decision.
//! Between terms the engine only shows. When to tick, and what becomes of what is wanted, is the caller's matter.

use super::decider::{Decider, Decision, Intent};
use crate::domain::{Millis, Timestamp};
use crate::journal::{Claim, Position};
use crate::matrix::Level;
use crate::matrix::engine::{Feeds, Notification, Operated, Operation, Pending, Tick};
use crate::notice;
use crate::pipeline::Evaluator;
use crate::plan::Plan;

/// As [`crate::notify`] values them: a recovery outlives a warning, for without it people act on what is over.
fn weight(notice: &Notification) -> u8 {
    let of = |level: Level| match level {
        Level::Info => 0,
        Level::Warning => 1,
        Level::Ok => 2,
        Level::Critical => 3,
    };
    notice.each().iter().map(|notice| of(notice.level)).max().unwrap_or(0)
}

/// A notice that is to be sent, under the id that it travels with.
pub fn intent(pending: &Pending, plan: &Plan) -> Intent {
    let missed = pending.missed.is_some();
    Intent {
        id: notice::notice_id(&pending.notice, missed).into(),
        weight: if missed { 0 } else { weight(&pending.notice) },
        bytes: pending.bytes(plan).into(),
    }
}

#[derive(Debug, Default)]
pub struct Seat {
    pub decider: Decider,
    /// The claim under which the engine decides; `None`: it shows what another decided.
    term: Option<Claim>,
    /// Just behind the last operation that the engine has taken.
    operated: Position,
    /// What goes out with the next decision besides its own notices.
    besides: Vec<Intent>,
}

impl Seat {
    pub fn new(decider: Decider) -> Self {
        Seat { decider, ..Seat::default() }
    }

    pub fn term(&self) -> Option<Claim> {
        self.term
    }

    /// Whether the decider's term is another than when it was last asked. In a new one the engine is to be made anew.
    pub fn turns(&mut self) -> bool {
        let term = self.decider.term();
        std::mem::replace(&mut self.term, term) != term
    }

    /// Makes the engine of what was decided, and of the operations since.
    pub fn make_engine(&mut self, evaluator: &mut Evaluator) {
        if let Err(error) = evaluator.take_items(self.decider.items()) {
            tracing::error!(%error, "what was decided cannot be taken up: it is decided anew");
        }
        self.operated = self.decider.last().map_or(Position::default(), |last| last.operations);
        let Some(operations) = self.decider.operations(self.operated) else {
            tracing::error!(
                "operations since the last decision are no longer known; those who asked for them have to ask again"
            );
            return;
        };
        for (position, (at, operation)) in operations {
            evaluator.operate(operation, *at);
            self.operated = Position(position.0 + 1);
        }
    }

    /// The next entry of the operations log, which stands at `position` and was asked for `at` that time. What came of it; `None`
    /// where it is in what was decided: then it is not done again. Before it is there, it is in the engine that shows.
    pub fn operation(
        &mut self,
        position: Position,
        at: Timestamp,
        operation: Operation,
        evaluator: &mut Evaluator,
    ) -> Option<Operated> {
        let decided = self.decider.last().is_some_and(|last| position < last.operations);
        let operated = (!decided).then(|| evaluator.operate(&operation, at));
        if self.term.is_some() {
            self.operated = self.operated.max(Position(position.0 + 1));
        }
        self.decider.operation(position, at, operation);
        operated
    }

    /// Is told with the next decision.
    pub fn tell_besides(&mut self, intents: Vec<Intent>) {
        self.besides.extend(intents);
    }

    /// Evaluates the second that the board has come to, having seen so much of the deltas log, and decides it. Of which instant,
    /// and what it came to.
    pub fn tick(&mut self, feeds: &Feeds, deltas: Position, evaluator: &mut Evaluator) -> (Timestamp, Tick) {
        let tick = evaluator.tick_with(feeds);
        let patch = evaluator.changes(self.decider.items());
        let notices = tick.notifications.iter().map(|notice| Pending { notice: notice.clone(), missed: None });
        let intents = notices.map(|pending| intent(&pending, evaluator.plan()));
        let intents = intents.chain(std::mem::take(&mut self.besides)).collect();
        let now = evaluator.now();
        let decision =
            Decision { tick: now.floor_to(Millis::SECOND), deltas, operations: self.operated, patch, intents };
        if let Err(error) = self.decider.decide(decision) {
            tracing::error!(%error, "a decision was not recorded, and counts nothing");
            self.make_engine(evaluator);
        }
        (now, tick)
    }
}

//! An instance's part in deciding: whose turn it is, what becomes of a decision, and what is to be sent. Without its I/O.
//!
//! Every instance reads the decisions log and keeps what it came to ([`ledger`]). One of them decides. There are no locks and
//! no group: **a decision is a sign of life**, also an empty one, and the evaluator makes one every second. Who has watched
//! the end of the log for [`SILENT_AFTER`] without seeing one, claims; the first claim in the log counts, and whoever had
//! decided until then stops when it sees it.
//!
//! Silence is what an instance has watched, not what its clock says has passed: each look at the end of the log adds what
//! passed since the look before, but [`LOOK_MAX`] at most. So one that stood still for an hour, or whose clock leaps, does
//! not find that the others have been silent.
//!
//! | the caller | when |
//! |---|---|
//! | [`Decider::entry`] | for every entry of the log, in order, from [`Decider::position`] on |
//! | [`Decider::at_end`] | when there is no more to read, some times a second: claims, and appends again what did not come out |
//! | [`Decider::want`] | after each of these: does what is wanted; it may be lost, delayed or done twice |
//! | [`Decider::able`] | when its board and its matrices are such that it could decide, and when they no longer are |
//! | [`Decider::operation`] | for every entry of the operations log, from the last decision's position on |
//! | [`Decider::outcome`] | when a notice was sent, or will not be |
//! | [`Decider::resign`] | before it stops |
//!
//! # Deciding
//!
//! In a term ([`Decider::term`]) the caller has an engine, made of [`Decider::items`] at its beginning and thrown away at its
//! end. While [`Decider::may_decide`] it applies the operations since the last decision, ticks, and hands over what came of
//! it. One decision is on its way at most; until it is seen to count nothing of it is sent and there is no further tick. To
//! the engine that is a pause: the second that ends it speaks for all of it. What was on its way when a term ends may never
//! count, and the engine knows it: that is why it goes.
//!
//! A tick must not be earlier than the last, nor read a board that has seen less of the deltas log: [`Decider::last`] says
//! which that was.
//!
//! # Sending
//!
//! What counts is sent by whoever decides, in the order in which it was decided; who begins a term sends all that has no
//! outcome yet. So a notice is sent at least once, under one id. Its outcome is told after it, and told again until it is
//! seen in the log. When a term ends the caller forgets what it has been given and not sent: it is the next one's.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::domain::{Millis, Timestamp};
use crate::journal::rule::Dropped;
use crate::journal::{Claim, Position};
use crate::matrix::engine::{Items, Operation, Patch};
use crate::snapshot::SnapshotError;

pub mod ledger;

pub use ledger::{Body, Entry, Fate, Head, Intent, Part};
use ledger::{Did, Ledger, PART_BYTES, PARTS_MAX};

/// Without a sign of life of the evaluator for so long somebody else claims.
pub const SILENT_AFTER: Millis = Millis(5_000);

/// So that not all claim at once, each waits for up to this beyond.
pub const CLAIM_WITHIN: Millis = Millis(1_000);

/// A look at the end of the log speaks for so much of the time before it at most.
pub const LOOK_MAX: Millis = Millis(1_000);

/// What has not come out of the log after so long is appended again.
const AGAIN_AFTER: Millis = Millis(3_000);

/// Operations that are remembered until a decision has taken them.
const OPERATIONS_MAX: usize = 10_000;

/// What an instance asks of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// To be added to the decisions log.
    Append(Entry),
    /// To be sent; [`Decider::outcome`] once it is, or will not be.
    Send(Intent),
}

/// What a tick came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub tick: Timestamp,
    /// Just behind what the board had seen of the deltas log, and the engine of the operations.
    pub deltas: Position,
    pub operations: Position,
    pub patch: Patch,
    pub intents: Vec<Intent>,
}

/// Why a decision was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("it is not this instance's turn to decide; throw the engine away")]
    NotNow,
    #[error("the decision has more bytes than the log takes at once; restart with fewer cases")]
    TooLarge,
}

#[derive(Debug)]
enum Stage {
    Following,
    Claiming(Claim),
    Deciding(Claim),
}

/// What has been appended, and for how long it has not come out.
#[derive(Debug)]
struct Flight {
    entries: Vec<Entry>,
    waited: Millis,
}

#[derive(Debug)]
pub struct Decider {
    ledger: Ledger,
    stage: Stage,
    able: bool,
    /// For how long it has watched the end of the log without a sign of life, and after how long it claims.
    quiet: Millis,
    patience: Option<Millis>,
    looked: Option<Timestamp>,
    /// A claim or a decision.
    flight: Option<Flight>,
    /// What of the outbox has been handed over in this term.
    given: u64,
    outcomes: BTreeMap<Arc<str>, Flight>,
    /// With the time at which each was asked for.
    operations: BTreeMap<Position, (Timestamp, Operation)>,
    /// Since where all operations are remembered.
    remembers: Position,
    wants: VecDeque<Want>,
    part_bytes: usize,
}

impl Default for Decider {
    fn default() -> Self {
        Decider::of(Ledger::default())
    }
}

impl Decider {
    /// One that knows nothing yet, and reads the log from its beginning.
    pub fn new() -> Self {
        Decider::default()
    }

    fn of(ledger: Ledger) -> Self {
        Decider {
            stage: Stage::Following,
            able: false,
            quiet: Millis::ZERO,
            patience: None,
            looked: None,
            flight: None,
            given: 0,
            outcomes: BTreeMap::new(),
            operations: BTreeMap::new(),
            remembers: ledger.last().map_or(Position::default(), |last| last.operations),
            wants: VecDeque::new(),
            part_bytes: PART_BYTES,
            ledger,
        }
    }

    /// The same, with parts of so many bytes.
    pub fn with_part_bytes(self, part_bytes: usize) -> Self {
        Decider { part_bytes: part_bytes.clamp(1, PART_BYTES), ..self }
    }

    /// One that goes on from what another had seen of the log.
    pub fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        Ok(Decider::of(Ledger::restore(bytes)?))
    }

    /// What it has seen of the log, in bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        self.ledger.snapshot()
    }

    /// Just behind the last entry of the log that it has seen.
    pub fn position(&self) -> Position {
        self.ledger.position()
    }

    /// What was decided: the state of the engine, and what is still to be sent.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub fn items(&self) -> &Items {
        self.ledger.items()
    }

    /// The last decision that counts.
    pub fn last(&self) -> Option<&Head> {
        self.ledger.last()
    }

    /// What of the log did not count, by reason.
    pub fn dropped(&self) -> &Dropped {
        self.ledger.dropped()
    }

    /// Whether it could decide.
    pub fn able(&mut self, able: bool) {
        self.able = able;
    }

    /// The claim under which it decides; `None` while it does not. Another claim is another term.
    pub fn term(&self) -> Option<Claim> {
        match self.stage {
            Stage::Deciding(claim) => Some(claim),
            Stage::Following | Stage::Claiming(_) => None,
        }
    }

    /// It is its turn, and nothing that it decided is on its way.
    pub fn may_decide(&self) -> bool {
        self.term().is_some() && self.flight.is_none()
    }

    /// The next entry of the decisions log, which stands at `position`.
    pub fn entry(&mut self, position: Position, entry: &Entry) {
        let Ok(did) = self.ledger.take(position, entry) else {
            // Somebody was first. That may be its own claim, which was appended twice: then it counts already.
            if let (Entry::Claimed { claim, .. }, Stage::Claiming(own)) = (entry, &self.stage)
                && claim == own
            {
                self.follow();
            }
            return;
        };
        match (did, &self.stage) {
            (Did::Claim, Stage::Claiming(claim)) if self.ledger.claim() == *claim => {
                self.stage = Stage::Deciding(*claim);
                (self.flight, self.given) = (None, 0);
                self.give();
                if !self.able {
                    self.resign();
                }
            }
            (Did::Claim, _) => self.follow(),
            (Did::Decide, _) => {
                if let Some(last) = self.ledger.last() {
                    self.operations = self.operations.split_off(&last.operations);
                    self.remembers = self.remembers.max(last.operations);
                }
                if self.term().is_some() {
                    self.flight = None;
                    self.give();
                }
            }
            (Did::Outcome, _) => {
                if let Entry::Outcome { id, .. } = entry {
                    self.outcomes.remove(id);
                }
                // Anybody may write one: it is no sign of life of who decides.
                return self.give();
            }
            (Did::Resign | Did::Begin, _) => {}
        }
        (self.quiet, self.patience) = (Millis::ZERO, None);
        // A decision of many parts is on its way; or the evaluator lives after all, and the claim is not repeated.
        if let Some(flight) = &mut self.flight {
            flight.waited = Millis::ZERO;
        }
    }

    /// There is nothing more to read of the log, now. `draw` gives random numbers.
    pub fn at_end(&mut self, now: Timestamp, draw: &mut dyn FnMut() -> u64) {
        let passed = self.looked.map_or(Millis::ZERO, |looked| (now - looked).clamp(Millis::ZERO, LOOK_MAX));
        self.looked = Some(now);
        self.quiet = self.quiet + passed;
        for flight in self.flight.iter_mut().chain(self.outcomes.values_mut()) {
            flight.waited = flight.waited + passed;
            if flight.waited >= AGAIN_AFTER {
                flight.waited = Millis::ZERO;
                self.wants.extend(flight.entries.iter().cloned().map(Want::Append));
            }
        }
        let silence = if self.ledger.evaluator().is_some() { SILENT_AFTER } else { Millis::ZERO };
        let patience = *self
            .patience
            .get_or_insert_with(|| silence + Millis((draw() % CLAIM_WITHIN.0.unsigned_abs()).cast_signed()));
        if matches!(self.stage, Stage::Following) && self.able && !self.ledger.is_blind() && self.quiet >= patience {
            let (claim, after) = (Claim(draw().max(1)), self.ledger.claim());
            self.stage = Stage::Claiming(claim);
            self.append(vec![Entry::Claimed { claim, after }]);
        }
    }

    /// Hands over what a tick came to.
    pub fn decide(&mut self, decision: Decision) -> Result<(), Refused> {
        let Some(claim) = self.term().filter(|_| self.flight.is_none()) else { return Err(Refused::NotNow) };
        let Decision { tick, deltas, operations, patch, intents } = decision;
        let body = postcard::to_allocvec(&Body { patch, intents }).map_err(|_| Refused::TooLarge)?;
        let parts = body.len().div_ceil(self.part_bytes);
        let parts = u16::try_from(parts).ok().filter(|parts| *parts <= PARTS_MAX).ok_or(Refused::TooLarge)?;
        let number = self.ledger.decisions() + 1;
        let head = Head { claim, number, parts, tick, deltas, operations };
        let part = |(part, bytes): (u16, &[u8])| Entry::Decided(Part { head, part, bytes: bytes.to_vec() });
        self.append((0..).zip(body.chunks(self.part_bytes)).map(part).collect());
        Ok(())
    }

    /// The next entry of the operations log, which stands at `position` and was asked for `at` that time.
    pub fn operation(&mut self, position: Position, at: Timestamp, operation: Operation) {
        if self.last().is_none_or(|last| position >= last.operations) {
            self.operations.insert(position, (at, operation));
        }
        if self.operations.len() > OPERATIONS_MAX
            && let Some((forgotten, _)) = self.operations.pop_first()
        {
            self.remembers = Position(forgotten.0 + 1);
        }
    }

    /// The operations from that position on; `None` where some of them are not remembered, and the log has to be read again.
    pub fn operations(&self, from: Position) -> Option<impl Iterator<Item = (Position, &(Timestamp, Operation))>> {
        let known = from >= self.remembers;
        known.then(|| self.operations.range(from..).map(|(position, operation)| (*position, operation)))
    }

    /// Whether a decision of the second `shown`, by a board that has `seen` so much of the deltas log, would go back behind the
    /// last one. That may be another's, made while this one claimed.
    pub fn is_behind(&self, shown: Timestamp, seen: Position) -> bool {
        self.last().is_some_and(|last| shown <= last.tick || seen < last.deltas)
    }

    /// What became of a notice, and whom it tells instead.
    pub fn outcome(&mut self, id: Arc<str>, fate: Fate, instead: Vec<Intent>) {
        if self.ledger.outbox().contains(&id) && !self.outcomes.contains_key(&id) {
            let entry = Entry::Outcome { id: id.clone(), fate, instead };
            self.wants.push_back(Want::Append(entry.clone()));
            self.outcomes.insert(id, Flight { entries: vec![entry], waited: Millis::ZERO });
        }
    }

    /// It is about to stop: somebody else may decide at once.
    pub fn resign(&mut self) {
        if let Some(claim) = self.term() {
            self.follow();
            self.wants.push_back(Want::Append(Entry::Resigned { claim }));
        }
        self.able = false;
    }

    /// The next thing that is wanted.
    pub fn want(&mut self) -> Option<Want> {
        self.wants.pop_front()
    }

    /// It stops at once: what it wanted and was not asked for yet is no longer wanted, but for what has become of notices.
    fn follow(&mut self) {
        (self.stage, self.flight) = (Stage::Following, None);
        self.wants.retain(|want| matches!(want, Want::Append(Entry::Outcome { .. })));
    }

    fn append(&mut self, entries: Vec<Entry>) {
        self.wants.extend(entries.iter().cloned().map(Want::Append));
        self.flight = Some(Flight { entries, waited: Millis::ZERO });
    }

    /// Hands over what is to be sent and has not been.
    fn give(&mut self) {
        if self.term().is_none() {
            return;
        }
        for (behind, intent) in self.ledger.outbox().from(self.given) {
            self.given = behind;
            if !self.outcomes.contains_key(&intent.id) {
                self.wants.push_back(Want::Send(intent.clone()));
            }
        }
    }
}

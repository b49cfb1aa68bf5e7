//! Whose turn it is to decide, and what this instance does in its turn: it ticks, sends what was decided, and says what became
//! of it. In the turn of another it shows what that one decided.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::evaluate::Setup;
use super::logs::{Entry, Noted};
use crate::clock;
use crate::domain::{Millis, Timestamp};
use crate::instance::Seat;
use crate::instance::decider::ledger::Ledger;
use crate::instance::decider::{self, Decider, Fate, Intent, SILENT_AFTER, Want};
use crate::journal::Position;
use crate::journal::rule::Dropped;
use crate::matrix::engine::{Feeds, Items, Operated, Pending, Tick};
use crate::notice::{self, Context};
use crate::pipeline::Evaluator;
use crate::telemetry::events::EvaluatorRole;

/// What became of notices, on its way to whoever decides.
pub enum Settled {
    Outcome(Arc<str>, Fate),
    /// Who is to be told besides, in the place of somebody who cannot be reached.
    Besides(Vec<Intent>),
}

/// Those who wait for what comes of an operation, by the number that they drew.
#[derive(Clone, Default)]
pub struct Waiters(Arc<Mutex<BTreeMap<u64, SyncSender<Operated>>>>);

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, SyncSender<Operated>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an operation into its log, and waits until it has come out of it; `None`: it has not by then. Blocks.
    pub fn ask(&self, journal: &super::logs::Journal, noted: Noted, within: Duration) -> Option<Operated> {
        let Noted::Asked { id, .. } = &noted else { return None };
        let (id, (tell, told)) = (*id, std::sync::mpsc::sync_channel(1));
        self.lock().insert(id, tell);
        journal.append(Entry::Operation(noted));
        let operated = told.recv_timeout(within).ok();
        self.lock().remove(&id);
        operated
    }
}

/// What is kept beside the logs: [`Decider::snapshot`], just behind the last operation on the trail, and the trail.
#[derive(Serialize, Deserialize)]
struct Kept {
    decided: Vec<u8>,
    noted: Position,
    trail: String,
}

impl Kept {
    fn of(bytes: &[u8]) -> Result<Kept, String> {
        postcard::from_bytes(bytes).map_err(|error| error.to_string())
    }
}

/// What the decisions log had come to when that was kept.
pub fn kept_ledger(bytes: &[u8]) -> Result<Ledger, String> {
    let kept = Kept::of(bytes)?;
    Ledger::restore(&kept.decided).map_err(|error| error.to_string())
}

pub struct Turn {
    seat: Seat,
    /// Just behind the last operation that has come.
    noted: Position,
    /// What the engine that only shows was made of.
    shown: Items,
    settled: Receiver<Settled>,
    /// When another was last seen to decide.
    other: Option<Instant>,
    looked: Timestamp,
}

/// How often it is looked whether anybody decides.
const LOOK_EVERY: Millis = Millis(100);

fn lock(setup: &Setup) -> MutexGuard<'_, Evaluator> {
    setup.evaluator.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Turn {
    pub fn new() -> (Turn, Sender<Settled>) {
        let (settle, settled) = std::sync::mpsc::channel();
        let turn = Turn {
            seat: Seat::default(),
            noted: Position::default(),
            shown: Items::new(),
            settled,
            other: None,
            looked: Timestamp::MIN,
        };
        (turn, settle)
    }

    /// Goes on from what was kept.
    pub fn take_up(&mut self, bytes: &[u8], setup: &Setup) -> Result<(), String> {
        let kept = Kept::of(bytes)?;
        let decider = Decider::restore(&kept.decided).map_err(|error| error.to_string())?;
        setup.trail.take_up(&kept.trail).map_err(|error| error.to_string())?;
        (self.seat, self.noted) = (Seat::new(decider), kept.noted);
        Ok(())
    }

    pub fn put_down(&self, setup: &Setup) -> Vec<u8> {
        let kept = Kept { decided: self.seat.decider.snapshot(), noted: self.noted, trail: setup.trail.text() };
        postcard::to_allocvec(&kept).unwrap_or_default()
    }

    /// From where the decisions and the operations are read; `None`: from the beginning.
    pub fn positions(&self) -> (Option<Position>, Option<Position>) {
        let known = |position: Position| (position != Position::default()).then_some(position);
        let operations = self.seat.decider.last().map_or(self.noted, |last| last.operations.min(self.noted));
        (known(self.seat.decider.position()), known(operations))
    }

    pub fn is_ours(&self) -> bool {
        self.seat.term().is_some()
    }

    /// Nobody has been seen to decide for a while.
    pub fn nobody_decides(&self) -> bool {
        self.seat.term().is_none() && !self.other_decides()
    }

    /// What was decided cannot be read here.
    pub fn is_blind(&self) -> bool {
        self.seat.decider.ledger().is_blind()
    }

    /// The decisions log has been read to its end for the first time: whoever decided last is taken to live.
    pub fn read(&mut self) {
        self.other = self.seat.decider.ledger().evaluator().map(|_| clock::instant());
    }

    pub fn other_decides(&self) -> bool {
        let within = Duration::from_millis(SILENT_AFTER.0.unsigned_abs()) + Duration::from_secs(2);
        self.other.is_some_and(|heard| clock::instant().duration_since(heard) < within)
    }

    /// How much of the deltas log the last decision that counts had seen.
    pub fn seen(&self) -> Option<Position> {
        self.seat.decider.last().map(|last| last.deltas)
    }

    /// [`Decider::is_behind`].
    pub fn is_behind(&self, shown: Timestamp, seen: Position) -> bool {
        self.seat.decider.is_behind(shown, seen)
    }

    /// The next entry of the decisions log; `live`: that log has been read to its end before.
    pub fn decision(&mut self, position: Position, entry: &decider::Entry, live: bool, setup: &Setup) {
        let before = self.seat.decider.ledger().decisions();
        self.seat.decider.entry(position, entry);
        if live && self.seat.decider.ledger().decisions() > before && self.seat.decider.term().is_none() {
            self.other = Some(clock::instant());
        }
        self.settle(setup);
    }

    /// The next entry of the operations log.
    pub fn operation(&mut self, position: Position, noted: Noted, setup: &Setup) {
        let new = position >= self.noted;
        self.noted = self.noted.max(Position(position.0 + 1));
        match noted {
            Noted::Asked { id, at, operation, link_of } => {
                let at = Timestamp(at);
                let operated = self.seat.operation(position, at, operation.clone(), &mut lock(setup));
                if new {
                    setup.trail.operated(at, &operation, operated.as_ref(), link_of);
                }
                if let (Some(operated), Some(waiter)) = (operated, setup.waiters.lock().remove(&id)) {
                    // Who asked may have stopped waiting.
                    let _ = waiter.send(operated);
                }
            }
            Noted::Line(line) if new => setup.trail.line(line),
            Noted::Line(_) => {}
        }
    }

    /// What became of notices, claims where nobody decides, and what is to be written or sent.
    pub fn turn(&mut self, able: bool, at_end: bool, setup: &Setup) {
        while let Ok(settled) = self.settled.try_recv() {
            match settled {
                Settled::Outcome(id, fate) => self.seat.decider.outcome(id, fate, Vec::new()),
                Settled::Besides(intents) => self.seat.tell_besides(intents),
            }
        }
        self.seat.decider.able(able);
        let now = clock::now();
        if at_end && (now - self.looked >= LOOK_EVERY || now < self.looked) {
            self.looked = now;
            self.seat.decider.at_end(now, &mut super::read::draw);
        }
        self.settle(setup);
    }

    /// Nothing more is decided here; somebody else may at once.
    pub fn resign(&mut self, setup: &Setup) {
        self.turn(false, false, setup);
        self.seat.decider.resign();
        self.settle(setup);
    }

    fn settle(&mut self, setup: &Setup) {
        if self.seat.turns() {
            match self.seat.term() {
                Some(_) => self.begin(setup),
                None => self.end(setup),
            }
        }
        while let Some(want) = self.seat.decider.want() {
            match want {
                Want::Append(entry) => setup.journal.append(Entry::Decision(entry)),
                Want::Send(intent) => self.send(&intent, setup),
            }
        }
    }

    fn begin(&mut self, setup: &Setup) {
        self.other = None;
        self.seat.make_engine(&mut lock(setup));
        if self.seat.decider.last().is_some() {
            let unsent = self.seat.decider.ledger().outbox().len();
            tracing::info!(unsent, "goes on from what was decided before");
        }
        let remembers = &setup.speech.remembers;
        remembers.fetch_or(self.seat.decider.last().is_some(), Ordering::Relaxed);
        setup.speech.decides.store(true, Ordering::Relaxed);
        setup.telemetry.emit(EvaluatorRole { evaluates: true });
        setup.telemetry.show_indicators(true);
    }

    fn end(&mut self, setup: &Setup) {
        setup.notifier.forget();
        setup.speech.decides.store(false, Ordering::Relaxed);
        setup.telemetry.emit(EvaluatorRole { evaluates: false });
        self.shown.clear();
    }

    /// Shows what another has decided since the last time; once a second. `read`: the decisions log has been read to its end.
    pub fn show(&mut self, read: bool, setup: &Setup) {
        if self.seat.term().is_some() {
            return;
        }
        setup.telemetry.show_indicators(read && !self.other_decides());
        // The first item is when it was: it is another every second.
        let items = self.seat.decider.items();
        if !items.range(vec![1]..).eq(self.shown.range(vec![1]..)) {
            self.shown.clone_from(items);
            self.seat.make_engine(&mut lock(setup));
        }
    }

    /// Whether a tick would be taken.
    pub fn may_decide(&self) -> bool {
        self.seat.decider.may_decide()
    }

    /// Evaluates the second that the board has come to. Of which second, and what it came to.
    pub fn tick(&mut self, feeds: &Feeds, deltas: Position, setup: &Setup) -> (Timestamp, Tick) {
        let ticked = self.seat.tick(feeds, deltas, &mut lock(setup));
        self.settle(setup);
        ticked
    }

    fn send(&mut self, intent: &Intent, setup: &Setup) {
        // What is not given out any more is the next one's.
        if setup.draining.load(Ordering::Acquire) {
            return;
        }
        let (matrices, plan) = {
            let evaluator = lock(setup);
            (evaluator.matrices().to_vec(), evaluator.plan().clone())
        };
        let pending = match Pending::of_bytes(&intent.bytes, &matrices, &plan) {
            Ok(pending) => pending,
            Err(error) => {
                tracing::error!(id = %intent.id, %error, "a notice that was decided cannot be read, and is not sent");
                return self.seat.decider.outcome(intent.id.clone(), Fate::Refused, Vec::new());
            }
        };
        let silences = if pending.notice.silenced.is_empty() { Vec::new() } else { lock(setup).engine().silences() };
        let speech = &setup.speech;
        let context = Context { silences: &silences, ..speech.context(&pending.notice) };
        let message = notice::render_pending(&pending, &context);
        speech.stand_ins.note(&message, &speech.formats);
        for message in notice::with_acknowledgement(message, &speech.formats) {
            setup.notifier.enqueue(message);
        }
    }

    /// What of the decisions log did not count.
    pub fn dropped(&self) -> &Dropped {
        self.seat.decider.dropped()
    }
}

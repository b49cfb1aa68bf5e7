//! The journal in memory: for one instance, and nothing outlives the process.
//!
//! The deltas log is a bounded channel. When the evaluator is behind, the floors wait in [`Deltas::append`], and with them
//! the reading of the sources: that is the back-pressure, and the bound of the memory. The decisions log is a queue that
//! accepts at once, because there is nobody else who could have decided.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;

use super::rule::{Dropped, Rule};
use super::{
    Batch, Claim, Decision, Decisions, Delta, DeltaReader, Deltas, Found, JournalError, Position, SourcePartition,
};
use crate::clock;

/// How often a writer looks again for room.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Opens a deltas log that holds at most `batches_max` entries. The writing end can be cloned, one for each thread with
/// floors.
pub fn deltas<B: Send>(batches_max: usize) -> (MemoryDeltas<B>, MemoryReader<B>) {
    let (sender, receiver) = sync_channel(batches_max.max(1));
    let reader =
        MemoryReader { receiver, rule: Rule::default(), dropped: Dropped::default(), position: Position::default() };
    (MemoryDeltas { sender }, reader)
}

pub struct MemoryDeltas<B> {
    sender: SyncSender<Delta<B>>,
}

impl<B> Clone for MemoryDeltas<B> {
    fn clone(&self) -> Self {
        MemoryDeltas { sender: self.sender.clone() }
    }
}

impl<B: Send> Deltas<B> for MemoryDeltas<B> {
    fn claim(&mut self, place: SourcePartition, claim: Claim, after: Claim, start: i64) -> Result<(), JournalError> {
        // Rare, and without it nothing goes on: it waits for as long as the reader lives.
        self.sender.send(Delta::Claimed { place, claim, after, start }).map_err(|_| JournalError::Closed)
    }

    fn append(&mut self, batch: Batch<B>, wait: Duration) -> Result<(), (JournalError, Batch<B>)> {
        let deadline = clock::instant() + wait;
        let mut entry = Delta::Batch(batch);
        loop {
            let (error, back) = match self.sender.try_send(entry) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(back)) => (JournalError::Full, back),
                Err(TrySendError::Disconnected(back)) => (JournalError::Closed, back),
            };
            match back {
                Delta::Batch(batch) if error == JournalError::Closed || clock::instant() >= deadline => {
                    return Err((error, batch));
                }
                back => entry = back,
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

pub struct MemoryReader<B> {
    receiver: Receiver<Delta<B>>,
    rule: Rule,
    dropped: Dropped,
    position: Position,
}

impl<B: Send> DeltaReader<B> for MemoryReader<B> {
    fn next(&mut self, wait: Duration) -> Result<Option<Found<B>>, JournalError> {
        let deadline = clock::instant() + wait;
        loop {
            let entry = match self.receiver.try_recv() {
                Ok(entry) => entry,
                Err(TryRecvError::Disconnected) => return Err(JournalError::Closed),
                Err(TryRecvError::Empty) => {
                    match self.receiver.recv_timeout(deadline.saturating_duration_since(clock::instant())) {
                        Ok(entry) => entry,
                        Err(RecvTimeoutError::Timeout) => return Ok(None),
                        Err(RecvTimeoutError::Disconnected) => return Err(JournalError::Closed),
                    }
                }
            };
            let position = self.position;
            self.position = Position(position.0 + 1);
            match (self.rule.judge(&entry), entry) {
                (Err(reason), _) => self.dropped.count(reason),
                (Ok(_), Delta::Batch(batch)) => return Ok(Some(Found::Batch(position, batch))),
                (Ok(owner), Delta::Claimed { place, claim, .. }) => {
                    return Ok(Some(Found::Claim {
                        position,
                        place,
                        claim,
                        applied: owner.applied,
                        batches: owner.batches,
                    }));
                }
                (Ok(_), Delta::Kept { place, mark, .. }) => return Ok(Some(Found::Kept { position, place, mark })),
            }
        }
    }

    fn position(&self) -> Position {
        self.position
    }

    fn dropped(&self) -> Dropped {
        self.dropped.clone()
    }
}

/// A decisions log that holds at most `decisions_max` that were not acted on yet.
pub struct MemoryDecisions<D> {
    queue: VecDeque<(Position, Decision<D>)>,
    next: Position,
    decisions_max: usize,
}

impl<D> MemoryDecisions<D> {
    pub fn new(decisions_max: usize) -> Self {
        MemoryDecisions { queue: VecDeque::new(), next: Position::default(), decisions_max: decisions_max.max(1) }
    }
}

impl<D: Send> Decisions<D> for MemoryDecisions<D> {
    fn record(&mut self, decision: Decision<D>) -> Result<(), JournalError> {
        if self.queue.len() >= self.decisions_max {
            return Err(JournalError::Full);
        }
        self.queue.push_back((self.next, decision));
        self.next = Position(self.next.0 + 1);
        Ok(())
    }

    fn accepted(&mut self) -> Result<Option<(Position, Decision<D>)>, JournalError> {
        Ok(self.queue.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::Drop;
    use super::super::{Progress, SourcePartition};
    use super::*;
    use crate::domain::Timestamp;

    const PLACE: SourcePartition = SourcePartition { source: 1, partition: 0 };

    fn batch(number: u64, from: i64, to: i64) -> Batch<i64> {
        Batch { place: PLACE, claim: Claim(7), number, from, to, progress: Progress::default(), payload: to }
    }

    #[test]
    fn what_was_appended_comes_out_in_order_and_what_does_not_count_is_counted() {
        let (mut writer, mut reader) = deltas(16);
        writer.claim(PLACE, Claim(7), Claim::NOBODY, 40).expect("open");
        for (number, from, to) in [(1, 40, 50), (1, 40, 50), (2, 50, 60), (4, 70, 80)] {
            writer.append(batch(number, from, to), Duration::ZERO).expect("room");
        }
        let claimed = Found::Claim { position: Position(0), place: PLACE, claim: Claim(7), applied: 40, batches: 0 };
        assert_eq!(reader.next(Duration::ZERO), Ok(Some(claimed)));
        assert_eq!(reader.next(Duration::ZERO), Ok(Some(Found::Batch(Position(1), batch(1, 40, 50)))));
        assert_eq!(reader.next(Duration::ZERO), Ok(Some(Found::Batch(Position(3), batch(2, 50, 60)))));
        assert_eq!(reader.next(Duration::ZERO), Ok(None));
        assert_eq!(reader.position(), Position(5));
        let dropped: Vec<_> = reader.dropped().iter().collect();
        assert_eq!(dropped, [(Drop::Repeated, 1), (Drop::Gap, 1)]);
        drop(writer);
        assert_eq!(reader.next(Duration::ZERO), Err(JournalError::Closed));
    }

    #[test]
    fn a_full_log_holds_its_writers_up_and_loses_nothing() {
        let (mut writer, mut reader) = deltas(2);
        writer.claim(PLACE, Claim(7), Claim::NOBODY, 0).expect("open");
        writer.append(batch(1, 0, 1), Duration::ZERO).expect("room");
        assert_eq!(writer.append(batch(2, 1, 2), Duration::from_millis(3)), Err((JournalError::Full, batch(2, 1, 2))));
        let mut second = writer.clone();
        let thread = std::thread::spawn(move || second.append(batch(2, 1, 2), Duration::from_secs(20)));
        let mut applied = Vec::new();
        while applied.len() < 2 {
            if let Some(Found::Batch(_, batch)) = reader.next(Duration::from_secs(20)).expect("open") {
                applied.push(batch.payload);
            }
        }
        assert_eq!(applied, [1, 2]);
        assert_eq!(thread.join().expect("no panic"), Ok(()));
        drop(reader);
        assert_eq!(writer.append(batch(3, 2, 3), Duration::ZERO), Err((JournalError::Closed, batch(3, 2, 3))));
    }

    #[test]
    fn decisions_are_acted_on_in_their_order_once_recorded() {
        let mut log = MemoryDecisions::new(2);
        let decision = |n: i64| Decision { tick: Timestamp(n), deltas: Position(0), payload: n };
        assert_eq!(log.accepted(), Ok(None), "nothing is done that was not recorded");
        assert_eq!((log.record(decision(1)), log.record(decision(2))), (Ok(()), Ok(())));
        assert_eq!(log.record(decision(3)), Err(JournalError::Full));
        assert_eq!(log.accepted(), Ok(Some((Position(0), decision(1)))));
        assert_eq!(log.record(decision(3)), Ok(()));
        assert_eq!(log.accepted(), Ok(Some((Position(1), decision(2)))));
        assert_eq!(log.accepted(), Ok(Some((Position(2), decision(3)))));
        assert_eq!(log.accepted(), Ok(None));
    }
}

//! The records of many partitions on several threads: each partition is one thread's, and floors share nothing.
//!
//! The reader's thread only takes records from the broker and hands them over, many at a time; a thread decodes and counts
//! what is its own as [`Reader`] does where there is but one. What is said of a partition goes the way of its records, so
//! each thread hears all of it in order.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::read::Reader;
use crate::clock;
use crate::domain::Timestamp;
use crate::kafka::{DeadLetters, Handler, Record, TopicPartition};

/// So many records, or so many bytes of them, go over at once.
const RECORDS_MAX: usize = 256;
const BYTES_MAX: usize = 256 << 10;
/// Parcels that may wait for a thread; then the reading waits.
const PARCELS_AHEAD: usize = 16;
/// A thread that hears nothing looks whether a flush is due.
const IDLE_EVERY: Duration = Duration::from_millis(5);
/// How long a commit waits for what was read before it to be counted; if it is not by then, the next one comes soon.
const SYNC_WITHIN: Duration = Duration::from_millis(500);

enum Command {
    Records(Parcel),
    Assigned(TopicPartition),
    Revoked(TopicPartition),
    CaughtUp(TopicPartition, i64),
    /// Answered once everything before it has been counted.
    Sync(mpsc::Sender<()>),
}

/// Records out of librdkafka's memory.
#[derive(Default)]
struct Parcel {
    bytes: Vec<u8>,
    records: Vec<Kept>,
}

struct Kept {
    source: usize,
    partition: i32,
    offset: i64,
    timestamp: Option<Timestamp>,
    key: Option<Range<usize>>,
    payload: Option<Range<usize>>,
    replayed: bool,
}

impl Parcel {
    fn add(&mut self, record: &Record<'_>) {
        let mut keep = |bytes: &[u8]| {
            let from = self.bytes.len();
            self.bytes.extend_from_slice(bytes);
            from..self.bytes.len()
        };
        let (key, payload) = (record.key.map(&mut keep), record.payload.map(&mut keep));
        let Record { source, partition, offset, timestamp, replayed, .. } = *record;
        self.records.push(Kept { source, partition, offset, timestamp, key, payload, replayed });
    }

    fn is_full(&self) -> bool {
        self.records.len() >= RECORDS_MAX || self.bytes.len() >= BYTES_MAX
    }

    fn each(&self) -> impl Iterator<Item = Record<'_>> {
        let bytes = |range: &Option<Range<usize>>| range.clone().and_then(|range| self.bytes.get(range));
        self.records.iter().map(move |kept| Record {
            source: kept.source,
            partition: kept.partition,
            offset: kept.offset,
            timestamp: kept.timestamp,
            key: bytes(&kept.key),
            payload: bytes(&kept.payload),
            replayed: kept.replayed,
        })
    }
}

struct Worker {
    parcel: Parcel,
    commands: SyncSender<Command>,
    thread: JoinHandle<()>,
}

impl Worker {
    fn tell(&mut self, command: Command) {
        self.send_parcel();
        self.hand_over(command);
    }

    fn send_parcel(&mut self) {
        if !self.parcel.records.is_empty() {
            let parcel = std::mem::take(&mut self.parcel);
            self.hand_over(Command::Records(parcel));
        }
    }

    fn hand_over(&self, command: Command) {
        assert!(self.commands.send(command).is_ok(), "a thread that counts has died; see the log");
    }
}

/// A [`Handler`] that hands everything on to others.
pub struct Spread {
    workers: Vec<Worker>,
    letters: Arc<DeadLetters>,
    /// Where each partition goes on.
    next: BTreeMap<TopicPartition, i64>,
}

impl Spread {
    /// One thread for each reader. The error is the system's, which has no thread left.
    pub fn new(readers: Vec<Reader>, letters: Arc<DeadLetters>) -> std::io::Result<Self> {
        let worker = |(number, reader)| {
            let (commands, received) = mpsc::sync_channel(PARCELS_AHEAD);
            let name = format!("floors-{number}");
            let thread = std::thread::Builder::new().name(name).spawn(move || work(reader, &received))?;
            Ok(Worker { parcel: Parcel::default(), commands, thread })
        };
        let workers = readers.into_iter().enumerate().map(worker).collect::<std::io::Result<_>>()?;
        Ok(Spread { workers, letters, next: BTreeMap::new() })
    }

    fn owner(&mut self, tp: TopicPartition) -> Option<&mut Worker> {
        let number = tp.source.wrapping_add(tp.partition.unsigned_abs() as usize) % self.workers.len().max(1);
        self.workers.get_mut(number)
    }

    fn tell_owners(&mut self, partitions: &[TopicPartition], command: impl Fn(TopicPartition) -> Command) {
        for tp in partitions {
            if let Some(worker) = self.owner(*tp) {
                worker.tell(command(*tp));
            }
        }
    }

    /// Whether all that was handed over has been counted in time.
    fn sync(&mut self) -> bool {
        let (answer, answers) = mpsc::channel();
        for worker in &mut self.workers {
            worker.tell(Command::Sync(answer.clone()));
        }
        let until = clock::instant() + SYNC_WITHIN;
        (0..self.workers.len()).all(|_| answers.recv_timeout(until.saturating_duration_since(clock::instant())).is_ok())
    }
}

/// What a thread does until the other end is gone.
fn work(mut reader: Reader, commands: &Receiver<Command>) {
    loop {
        match commands.recv_timeout(IDLE_EVERY) {
            Ok(Command::Records(parcel)) => parcel.each().for_each(|record| reader.record(record)),
            Ok(Command::Assigned(partition)) => reader.assigned(&[partition]),
            Ok(Command::Revoked(partition)) => reader.revoked(&[partition]),
            Ok(Command::CaughtUp(partition, offset)) => reader.caught_up(partition, offset),
            Ok(Command::Sync(answer)) => {
                // Who asked may have stopped waiting.
                let _ = answer.send(());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return reader.stopping(),
        }
        reader.idle();
    }
}

impl Handler for Spread {
    fn record(&mut self, record: Record<'_>) {
        let tp = TopicPartition { source: record.source, partition: record.partition };
        self.next.insert(tp, record.offset + 1);
        let Some(worker) = self.owner(tp) else { return };
        worker.parcel.add(&record);
        if worker.parcel.is_full() {
            worker.send_parcel();
        }
    }

    fn assigned(&mut self, partitions: &[TopicPartition]) {
        self.tell_owners(partitions, Command::Assigned);
    }

    fn revoked(&mut self, partitions: &[TopicPartition]) {
        self.tell_owners(partitions, Command::Revoked);
    }

    fn caught_up(&mut self, partition: TopicPartition, offset: i64) {
        self.next.entry(partition).and_modify(|next| *next = (*next).max(offset)).or_insert(offset);
        if let Some(worker) = self.owner(partition) {
            worker.tell(Command::CaughtUp(partition, offset));
        }
    }

    fn idle(&mut self) {
        self.workers.iter_mut().for_each(Worker::send_parcel);
    }

    fn resume_from(&mut self, partition: TopicPartition) -> Option<i64> {
        self.next.get(&partition).copied()
    }

    fn may_commit(&mut self) -> bool {
        self.sync() && self.letters.flush(super::read::LETTERS_BEFORE_COMMIT).is_ok()
    }

    fn stopping(&mut self) {
        self.idle();
        for Worker { commands, thread, .. } in std::mem::take(&mut self.workers) {
            drop(commands);
            if thread.join().is_err() {
                tracing::error!("a thread that counts has died");
            }
        }
    }
}

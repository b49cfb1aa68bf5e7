//! The records of many partitions on several threads: each partition is one thread's, and floors share nothing.
//!
//! The reader's thread only takes records from the broker and hands them over, many at a time; a thread decodes and counts
//! what is its own as [`Reader`] does where there is but one. What is said of a partition goes the way of its records, so
//! each thread hears all of it in order.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::logs::reader_of;
use super::read::Reader;
use crate::clock;
use crate::domain::Timestamp;
use crate::journal::TopicId;
use crate::kafka::{DeadLetters, Handler, Record, TopicPartition, Wanted};

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
    Assigned(TopicPartition, i64),
    Topic(TopicPartition, TopicId),
    Reading(TopicPartition, i64),
    Gone(TopicPartition, i64, bool),
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
    /// Partitions that the threads want to be read from an offset on.
    reads: Receiver<Wanted>,
}

impl Spread {
    /// One thread for each reader. The error is the system's, which has no thread left.
    pub fn new(readers: Vec<Reader>, letters: Arc<DeadLetters>) -> std::io::Result<Self> {
        let (wanted, reads) = mpsc::channel();
        let worker = |(number, reader)| {
            let wanted = wanted.clone();
            let (commands, received) = mpsc::sync_channel(PARCELS_AHEAD);
            let name = format!("floors-{number}");
            let thread = std::thread::Builder::new().name(name).spawn(move || work(reader, &received, &wanted))?;
            Ok(Worker { parcel: Parcel::default(), commands, thread })
        };
        let workers = readers.into_iter().enumerate().map(worker).collect::<std::io::Result<_>>()?;
        Ok(Spread { workers, letters, reads })
    }

    fn owner(&mut self, tp: TopicPartition) -> Option<&mut Worker> {
        let number = reader_of(tp.into(), self.workers.len());
        self.workers.get_mut(number)
    }

    fn tell_owner(&mut self, tp: TopicPartition, command: Command) {
        if let Some(worker) = self.owner(tp) {
            worker.tell(command);
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
fn work(mut reader: Reader, commands: &Receiver<Command>, wanted: &mpsc::Sender<Wanted>) {
    loop {
        match commands.recv_timeout(IDLE_EVERY) {
            Ok(Command::Records(parcel)) => parcel.each().for_each(|record| reader.record(record)),
            Ok(Command::Assigned(partition, start)) => drop(reader.assigned(partition, start)),
            Ok(Command::Topic(partition, id)) => reader.is_of(partition, id),
            Ok(Command::Reading(partition, from)) => reader.reading(partition, from),
            Ok(Command::Gone(partition, low, anew)) => reader.gone(partition, low, anew),
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
        for read in reader.reads() {
            // Who reads may have stopped.
            let _ = wanted.send(read);
        }
    }
}

impl Handler for Spread {
    fn record(&mut self, record: Record<'_>) {
        let tp = TopicPartition { source: record.source, partition: record.partition };
        let Some(worker) = self.owner(tp) else { return };
        worker.parcel.add(&record);
        if worker.parcel.is_full() {
            worker.send_parcel();
        }
    }

    fn assigned(&mut self, tp: TopicPartition, start: i64) -> Option<i64> {
        self.tell_owner(tp, Command::Assigned(tp, start));
        None
    }

    fn is_of(&mut self, tp: TopicPartition, id: TopicId) {
        self.tell_owner(tp, Command::Topic(tp, id));
    }

    fn reads(&mut self) -> Vec<Wanted> {
        self.reads.try_iter().collect()
    }

    fn reading(&mut self, tp: TopicPartition, from: i64) {
        self.tell_owner(tp, Command::Reading(tp, from));
    }

    fn gone(&mut self, tp: TopicPartition, low: i64, anew: bool) {
        self.tell_owner(tp, Command::Gone(tp, low, anew));
    }

    fn revoked(&mut self, partitions: &[TopicPartition]) {
        partitions.iter().for_each(|tp| self.tell_owner(*tp, Command::Revoked(*tp)));
    }

    fn caught_up(&mut self, tp: TopicPartition, offset: i64) {
        self.tell_owner(tp, Command::CaughtUp(tp, offset));
    }

    fn idle(&mut self) {
        self.workers.iter_mut().for_each(Worker::send_parcel);
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

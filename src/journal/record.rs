//! The records of the logs in bytes. `docs/journal.md` shows the layout to whoever looks into a topic.
//!
//! Every record has the same envelope, whatever log it is of:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 2 | `AL` |
//! | 2 | 1 | the log, see [`Log`] |
//! | 3 | 1 | version of the layout of this log's records |
//! | 4 | 8 | fingerprint of the settings that the record was made under, little-endian |
//! | 12 | n | the body |
//! | 12 + n | 8 | XXH3 of 64 bits of all before, little-endian |
//!
//! A log is written by many, by older and newer programs under older and newer settings, and whatever else a user of the
//! broker puts there. So what cannot be read is an error that says why: a record of other settings is of another generation
//! and is passed over in peace, a damaged one is worth a word. Nothing is read from half a record, and nothing here can panic
//! or take more memory than the bytes warrant.
//!
//! A layout never changes under its version. To add a field, put it, take it in the same place, and raise [`DELTA_VERSION`].

use std::sync::Arc;

use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

use super::{Batch, Claim, Delta, Mark, Progress, SourcePartition, TopicId};
use crate::bytes::{Source, Taken, put, put_signed};
use crate::domain::Timestamp;
use crate::floor;
use crate::instance::{Share, Step};

/// Of the records of the deltas log.
pub const DELTA_VERSION: u8 = 2;

const MAGIC: &[u8; 2] = b"AL";
const HEAD: usize = 12;
const TAIL: usize = 8;

/// Which log a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Log {
    Deltas = 1,
    Decisions = 2,
    Operations = 3,
}

impl Log {
    pub const ALL: [Log; 3] = [Log::Deltas, Log::Decisions, Log::Operations];

    pub fn name(self) -> &'static str {
        match self {
            Log::Deltas => "deltas",
            Log::Decisions => "decisions",
            Log::Operations => "operations",
        }
    }
}

/// Why a record was not read. It is to be passed over and counted: the log is what it is, and all its readers pass it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    #[error("{0} bytes are fewer than any record has; look who else writes to the topic")]
    Truncated(usize),
    #[error("these bytes are no record of the {0} log; look who else writes to the topic")]
    NotOne(&'static str),
    #[error("the record has version {found}, this program reads {known}; run one version on one set of topics")]
    Version { found: u8, known: u8 },
    #[error(
        "the record is damaged: its check-sum does not fit; look at the broker's disk, and who else writes to the topic"
    )]
    Damaged,
    #[error("the record was made under other settings; it belongs to another generation of the logs")]
    OtherSettings,
    #[error("the record is whole, but its {0} cannot be: a fault of the program that wrote it")]
    Invalid(&'static str),
}

/// Bytes of a record of any log.
pub fn encode_entry(log: Log, version: u8, fingerprint: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = begin(log, version, fingerprint, body.len());
    bytes.extend(body);
    end(bytes)
}

/// The body of a record of this log, of this version and made under these settings.
pub fn decode_entry(log: Log, version: u8, fingerprint: u64, bytes: &[u8]) -> Result<&[u8], RecordError> {
    if bytes.len() < HEAD + TAIL {
        return Err(RecordError::Truncated(bytes.len()));
    }
    let (all, sum) = bytes.split_last_chunk::<TAIL>().ok_or(RecordError::Damaged)?;
    let Some(([a, b, kind, found, settings @ ..], body)) = all.split_first_chunk::<HEAD>() else {
        return Err(RecordError::Damaged);
    };
    if [*a, *b] != *MAGIC || *kind != log as u8 {
        return Err(RecordError::NotOne(log.name()));
    }
    if *found != version {
        // Another version of another generation is no matter of ours.
        let ours = *settings == fingerprint.to_le_bytes();
        return Err(if ours {
            RecordError::Version { found: *found, known: version }
        } else {
            RecordError::OtherSettings
        });
    }
    if xxh3_64(all).to_le_bytes() != *sum {
        return Err(RecordError::Damaged);
    }
    if *settings != fingerprint.to_le_bytes() {
        return Err(RecordError::OtherSettings);
    }
    Ok(body)
}

fn begin(log: Log, version: u8, fingerprint: u64, room: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + room + TAIL);
    bytes.extend(MAGIC);
    bytes.extend([log as u8, version]);
    bytes.extend(fingerprint.to_le_bytes());
    bytes
}

fn end(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend(xxh3_64(&bytes).to_le_bytes());
    bytes
}

const CLAIMED: u8 = 1;
const BATCH: u8 = 2;
const KEPT: u8 = 3;

/// Bytes of a record of the deltas log. `fingerprint` is [`crate::plan::Plan::figures_fingerprint`].
pub fn encode(delta: &Delta<Share>, fingerprint: u64) -> Vec<u8> {
    let mut to = begin(Log::Deltas, DELTA_VERSION, fingerprint, 1024);
    match delta {
        Delta::Claimed { place, claim, after, start } => {
            put_owner(CLAIMED, *place, *claim, &mut to);
            to.extend(after.0.to_le_bytes());
            put_signed(&mut to, *start);
        }
        Delta::Batch(batch) => {
            put_owner(BATCH, batch.place, batch.claim, &mut to);
            put(&mut to, batch.number);
            put_signed(&mut to, batch.from);
            put(&mut to, batch.to.wrapping_sub(batch.from) as u64);
            put_step(&batch.payload.step, batch.from, batch.to, &mut to);
            put_progress(&batch.progress, batch.payload.step.end, &mut to);
            batch.payload.contributions.put(batch.payload.step.end, &mut to);
        }
        Delta::Kept { place, claim, mark } => {
            put_owner(KEPT, *place, *claim, &mut to);
            to.extend(mark.snapshot.to_le_bytes());
            put(&mut to, mark.batches);
            put_signed(&mut to, mark.at);
            put_signed(&mut to, mark.wall.0);
            to.push(u8::from(mark.live));
        }
    }
    end(to)
}

/// The record of the deltas log that [`encode`] made these bytes of, under the same settings.
pub fn decode(bytes: &[u8], fingerprint: u64) -> Result<Delta<Share>, RecordError> {
    let mut from = Source(decode_entry(Log::Deltas, DELTA_VERSION, fingerprint, bytes)?);
    let delta = take(&mut from).map_err(RecordError::Invalid)?;
    if from.0.is_empty() { Ok(delta) } else { Err(RecordError::Invalid("end")) }
}

fn take(from: &mut Source<'_>) -> Taken<Delta<Share>> {
    let kind = from.byte("kind")?;
    let place = SourcePartition { source: from.small("source")?, partition: from.small::<u32>("partition")? as i32 };
    let claim = Claim(from.word("claim")?);
    Ok(match kind {
        CLAIMED => {
            Delta::Claimed { place, claim, after: Claim(from.word("claim before")?), start: from.signed("start")? }
        }
        BATCH => Delta::Batch(take_batch(place, claim, from)?),
        KEPT => {
            let mark = Mark {
                snapshot: from.word("snapshot")?,
                batches: from.number("batches")?,
                at: from.signed("offset")?,
                wall: instant(from.signed("time")?, Timestamp(0), "time")?,
                live: from.flag("live")?,
            };
            Delta::Kept { place, claim, mark }
        }
        _ => return Err("kind"),
    })
}

fn take_batch(place: SourcePartition, claim: Claim, from: &mut Source<'_>) -> Taken<Batch<Share>> {
    let (number, first) = (from.number("number")?, from.signed("first offset")?);
    let to = first.checked_add_unsigned(from.number("last offset")?).ok_or("last offset")?;
    let step = take_step(first, to, from)?;
    let progress = take_progress(step.end, from)?;
    let contributions = Arc::new(floor::Batch::take(step.end, from)?);
    Ok(Batch { place, claim, number, from: first, to, progress, payload: Share { contributions, step } })
}

fn put_owner(kind: u8, place: SourcePartition, claim: Claim, to: &mut Vec<u8>) {
    to.push(kind);
    put(to, place.source as u64);
    put(to, u64::from(place.partition as u32));
    to.extend(claim.0.to_le_bytes());
}

/// The end, by which the other times are told, comes first.
fn put_step(step: &Step, first: i64, last: i64, to: &mut Vec<u8>) {
    put_signed(to, step.end.0);
    to.push(u8::from(step.live) | u8::from(step.moved) << 1);
    put_signed(to, step.to.wrapping_sub(last));
    put_signed(to, step.shift);
    put(to, u64::from(step.topic.0));
    put(to, step.readings.len() as u64);
    let mut before = (first, step.end.0);
    for (offset, wall) in &step.readings {
        put_signed(to, offset.wrapping_sub(before.0));
        put_signed(to, wall.0.wrapping_sub(before.1));
        before = (*offset, wall.0);
    }
}

fn take_step(first: i64, last: i64, from: &mut Source<'_>) -> Taken<Step> {
    let end = instant(from.signed("time")?, Timestamp(0), "time")?;
    let clock = from.byte("live")?;
    if clock > 3 {
        return Err("live");
    }
    let (live, moved) = (clock & 1 != 0, clock & 2 != 0);
    let to = last.checked_add(from.signed("offset")?).ok_or("offset")?;
    let (shift, topic) = (from.signed("shift")?, TopicId(from.small("topic")?));
    let count = from.count("readings")?;
    let (mut readings, mut before) = (Vec::with_capacity(count), (first, end));
    for _ in 0..count {
        let offset = before.0.checked_add(from.signed("reading")?).ok_or("reading")?;
        before = (offset, instant(from.signed("reading")?, before.1, "reading")?);
        readings.push(before);
    }
    Ok(Step { to, readings, end, live, moved, shift, topic })
}

fn put_progress(progress: &Progress, base: Timestamp, to: &mut Vec<u8>) {
    let Progress { caught_up, stream_time, heard, interactions, agents } = progress;
    for instant in [caught_up, stream_time, heard] {
        put_instant(*instant, base, to);
    }
    to.push(u8::from(*interactions) | u8::from(*agents) << 1);
}

fn take_progress(base: Timestamp, from: &mut Source<'_>) -> Taken<Progress> {
    let mut next = || take_instant(base, from, "progress");
    let (caught_up, stream_time, heard) = (next()?, next()?, next()?);
    let carries = from.byte("progress")?;
    if carries > 3 {
        return Err("progress");
    }
    Ok(Progress { caught_up, stream_time, heard, interactions: carries & 1 != 0, agents: carries & 2 != 0 })
}

fn put_instant(instant: Option<Timestamp>, base: Timestamp, to: &mut Vec<u8>) {
    to.push(u8::from(instant.is_some()));
    if let Some(instant) = instant {
        put_signed(to, instant.0.wrapping_sub(base.0));
    }
}

fn take_instant(base: Timestamp, from: &mut Source<'_>, what: &'static str) -> Taken<Option<Timestamp>> {
    Ok(if from.flag(what)? { Some(instant(from.signed(what)?, base, what)?) } else { None })
}

/// An instant so far behind another one, of those with which arithmetic never overflows.
fn instant(after: i64, base: Timestamp, what: &'static str) -> Taken<Timestamp> {
    base.0.checked_add(after).and_then(|ms| Timestamp(ms).in_range()).ok_or(what)
}

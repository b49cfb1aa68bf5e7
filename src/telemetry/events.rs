//! What the service says about itself: one type per thing that happens, its log line and its counter side by side, so
//! that neither is forgotten where the other is changed.
//!
//! Lines are lowercase with structured fields. What a broken producer can repeat a million times is logged at the
//! first and then at every tenfold count; the counter has every one.

use std::sync::PoisonError;
use std::time::Duration;

use super::metrics::Metrics;
use crate::domain::Timestamp;
use crate::matrix::Medium;
use crate::wire;

/// Something that happened.
pub trait Event {
    fn emit(self, metrics: &Metrics);
}

/// What became of records that were not rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Applied,
    Duplicate,
    Held,
    NoEffect,
    Ignored,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Applied => "applied",
            Outcome::Duplicate => "duplicate",
            Outcome::Held => "held",
            Outcome::NoEffect => "no_effect",
            Outcome::Ignored => "ignored",
        }
    }
}

/// `count` records of a source were read with one outcome. Emitted per batch, not per record.
pub struct RecordsRead<'a> {
    pub source: &'a str,
    pub outcome: Outcome,
    pub count: u64,
}

impl Event for RecordsRead<'_> {
    fn emit(self, metrics: &Metrics) {
        metrics.events.with_label_values(&[self.source, self.outcome.name(), ""]).inc_by(self.count);
    }
}

/// A record was refused.
pub struct RecordRejected<'a> {
    pub source: &'a str,
    pub partition: i32,
    pub offset: i64,
    pub reason: wire::Reason,
}

impl Event for RecordRejected<'_> {
    fn emit(self, metrics: &Metrics) {
        let reason = self.reason.name();
        let counter = metrics.events.with_label_values(&[self.source, "rejected", reason]);
        counter.inc();
        let count = counter.get();
        if is_power_of_ten(count) {
            let (source, partition, offset) = (self.source, self.partition, self.offset);
            tracing::warn!(source, partition, offset, reason, count, "record rejected");
        }
    }
}

/// Records whose key is not the interaction or agent that they are about.
pub struct OtherKeys<'a> {
    pub source: &'a str,
    pub count: u64,
}

impl Event for OtherKeys<'_> {
    fn emit(self, metrics: &Metrics) {
        let counter = metrics.other_keys.with_label_values(&[self.source]);
        if self.count > 0 && counter.get() == 0 {
            tracing::warn!(
                source = self.source,
                "a record's key is not the id of its interaction or agent: if its events lie in several partitions, each counts \
                 by itself and the figures are wrong; have the producer use the id as the key"
            );
        }
        counter.inc_by(self.count);
    }
}

/// What became of rejected records that went to the dead-letter topic. Why one was not kept is told by who writes them.
pub struct DeadLetters {
    pub written: u64,
    pub failed: u64,
}

impl Event for DeadLetters {
    fn emit(self, metrics: &Metrics) {
        for (result, count) in [("written", self.written), ("failed", self.failed)] {
            metrics.dead_letters.with_label_values(&[result]).inc_by(count);
        }
    }
}

/// A limit kept something out; `limit` is the name of a key of `limits`.
pub struct Dropped {
    pub limit: &'static str,
    pub count: u64,
}

impl Event for Dropped {
    fn emit(self, metrics: &Metrics) {
        if self.count == 0 {
            return;
        }
        let counter = metrics.dropped.with_label_values(&[self.limit]);
        let before = counter.get();
        counter.inc_by(self.count);
        let total = before + self.count;
        // That old ids are forgotten is usual at high rates, and takes nothing away from any figure.
        if self.limit != "identities" && (before == 0 || total.ilog10() > before.ilog10()) {
            tracing::warn!(limit = self.limit, total, "limit reached, the newest is not counted by name");
        }
    }
}

/// Entries of a log do not count, for the same reason.
pub struct LogDropped {
    pub log: &'static str,
    pub reason: &'static str,
    pub count: u64,
}

impl Event for LogDropped {
    fn emit(self, metrics: &Metrics) {
        metrics.log_dropped.with_label_values(&[self.log, self.reason]).inc_by(self.count);
    }
}

/// Where a partition stands.
pub struct PartitionProgress<'a> {
    pub source: &'a str,
    pub partition: i32,
    /// Records not yet read; `None` while the end is not known.
    pub lag: Option<i64>,
    /// Largest event time.
    pub stream_time: Option<Timestamp>,
}

impl Event for PartitionProgress<'_> {
    fn emit(self, metrics: &Metrics) {
        if let Some(lag) = self.lag {
            metrics.source_lag.with_label_values(&[self.source, &self.partition.to_string()]).set(lag);
        }
        if let Some(stream_time) = self.stream_time {
            let mut noted = metrics.noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.stream_time.insert((self.source.to_owned(), self.partition), stream_time);
        }
    }
}

/// A partition is not read here any more, whatever was told of it while it went.
pub struct PartitionLeft<'a> {
    pub source: &'a str,
    pub partition: i32,
}

impl Event for PartitionLeft<'_> {
    fn emit(self, metrics: &Metrics) {
        // Mostly it is gone with the partition.
        let _ = metrics.source_lag.remove_label_values(&[self.source, &self.partition.to_string()]);
    }
}

/// A partition went to another instance: its gauges go.
pub struct PartitionRevoked<'a> {
    pub source: &'a str,
    pub partition: i32,
}

impl Event for PartitionRevoked<'_> {
    fn emit(self, metrics: &Metrics) {
        let partition = self.partition.to_string();
        // It may never have had a gauge, which is no error.
        let _ = metrics.source_lag.remove_label_values(&[self.source, &partition]);
        let mut noted = metrics.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.stream_time.remove(&(self.source.to_owned(), self.partition));
        tracing::info!(source = self.source, partition = self.partition, "partition revoked");
    }
}

/// The matrices were evaluated.
pub struct Evaluated {
    /// The wall clock when it was done.
    pub wall: Timestamp,
    /// The instant that the numbers are of.
    pub watermark: Timestamp,
    pub took: Duration,
}

impl Event for Evaluated {
    fn emit(self, metrics: &Metrics) {
        metrics.evaluation_duration.observe(self.took.as_secs_f64());
        let mut noted = metrics.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.watermark = Some(self.watermark);
        noted.evaluated = Some(self.wall);
    }
}

/// This instance became, or ceased to be, the one that evaluates.
pub struct EvaluatorRole {
    pub evaluates: bool,
}

impl Event for EvaluatorRole {
    fn emit(self, metrics: &Metrics) {
        metrics.evaluator.set(self.evaluates.into());
        tracing::info!(evaluates = self.evaluates, "evaluator role");
    }
}

/// How an attempt to deliver ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery<'a> {
    Sent,
    /// It will be tried again.
    Retried(&'a str),
    /// It will not.
    Failed(&'a str),
}

pub struct NotificationTried<'a> {
    pub medium: Medium,
    /// Name of the contact, not its address.
    pub to: &'a str,
    pub incident: &'a str,
    pub sequence: u32,
    pub delivery: Delivery<'a>,
}

impl Event for NotificationTried<'_> {
    fn emit(self, metrics: &Metrics) {
        let medium = match self.medium {
            Medium::Email => "email",
            Medium::Webhook => "webhook",
        };
        let (to, incident, sequence) = (self.to, self.incident, self.sequence);
        let result = match self.delivery {
            Delivery::Sent => {
                tracing::info!(medium, to, incident, sequence, "notification sent");
                "sent"
            }
            Delivery::Retried(error) => {
                tracing::warn!(medium, to, incident, sequence, error, "notification not sent, will be tried again");
                "retried"
            }
            Delivery::Failed(error) => {
                tracing::error!(medium, to, incident, sequence, error, "notification not sent, given up");
                "failed"
            }
        };
        metrics.notifications.with_label_values(&[medium, result]).inc();
    }
}

/// How many notifications wait.
pub struct OutboxDepth(pub usize);

impl Event for OutboxDepth {
    fn emit(self, metrics: &Metrics) {
        metrics.outbox_depth.set(i64::try_from(self.0).unwrap_or(i64::MAX));
    }
}

/// Configuration and matrices were loaded (at the start, too), or refused: then the old ones stay.
pub struct Reloaded<'a> {
    pub wall: Timestamp,
    /// The hash of what is in force now, or why the new files were refused.
    pub outcome: Result<&'a str, &'a str>,
}

impl Event for Reloaded<'_> {
    fn emit(self, metrics: &Metrics) {
        match self.outcome {
            Ok(hash) => {
                metrics.reloads.with_label_values(&["success"]).inc();
                metrics.reload_success.set(1);
                metrics.reload_time.set(self.wall.0 as f64 / 1000.0);
                metrics.reload_hash.reset();
                metrics.reload_hash.with_label_values(&[hash]).set(1);
                tracing::info!(hash, "matrices taken");
            }
            Err(error) => {
                metrics.reloads.with_label_values(&["failure"]).inc();
                metrics.reload_success.set(0);
                tracing::error!(error, "matrices refused, the old ones stay");
            }
        }
    }
}

/// What `/readyz` says, whenever it changes.
pub struct ReadinessChanged<'a> {
    pub reasons: &'a [&'a str],
    pub degraded: &'a [&'a str],
}

impl Event for ReadinessChanged<'_> {
    fn emit(self, metrics: &Metrics) {
        metrics.ready.set(self.reasons.is_empty().into());
        metrics.degraded.set(i64::try_from(self.degraded.len()).unwrap_or(i64::MAX));
        if self.reasons.is_empty() {
            tracing::info!(degraded = ?self.degraded, "ready");
        } else {
            tracing::warn!(reasons = ?self.reasons, degraded = ?self.degraded, "not ready");
        }
    }
}

/// Somebody acknowledged or silenced, or tried to. Counted by what came of it.
pub struct Operated<'a> {
    pub operation: &'static str,
    pub outcome: &'static str,
    pub who: &'a str,
    /// The incident or the silence.
    pub of: &'a str,
}

impl Event for Operated<'_> {
    fn emit(self, metrics: &Metrics) {
        let Operated { operation, outcome, who, of } = self;
        metrics.operations.with_label_values(&[operation, outcome]).inc();
        tracing::info!(operation, outcome, who, of, "operation");
    }
}

/// A page began (+1) or ceased (-1) to be fed.
pub struct LiveStreams(pub i64);

impl Event for LiveStreams {
    fn emit(self, metrics: &Metrics) {
        metrics.streams.add(self.0);
    }
}

fn is_power_of_ten(count: u64) -> bool {
    count.checked_ilog10().is_some_and(|digits| count == 10u64.pow(digits))
}

//! The service's metrics about itself. Every name here is in `docs/metrics.md`; a test compares the two.
//!
//! Ages are computed when they are asked for, from the instants that were noted: a gauge of an age that its own loop
//! sets would stand still, and look healthy, exactly when that loop hangs.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::domain::Timestamp;

/// The bounds of the evaluation's duration, in seconds: a tick has one second, so most of them lie below it.
const DURATIONS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The registry and every metric in it. Only the typed events of [`super::events`] change them.
pub struct Metrics {
    registry: Registry,
    pub(super) events: IntCounterVec,
    pub(super) dead_letters: IntCounterVec,
    pub(super) dropped: IntCounterVec,
    pub(super) log_dropped: IntCounterVec,
    pub(super) other_keys: IntCounterVec,
    pub(super) source_lag: IntGaugeVec,
    pub(super) evaluation_duration: Histogram,
    pub(super) evaluator: IntGauge,
    pub(super) notifications: IntCounterVec,
    pub(super) outbox_depth: IntGauge,
    pub(super) reloads: IntCounterVec,
    pub(super) reload_success: IntGauge,
    pub(super) reload_time: Gauge,
    pub(super) reload_hash: IntGaugeVec,
    pub(super) ready: IntGauge,
    pub(super) degraded: IntGauge,
    pub(super) streams: IntGauge,
    pub(super) operations: IntCounterVec,
    watermark_age: Gauge,
    evaluation_age: Gauge,
    source_lateness: GaugeVec,
    pub(super) noted: Mutex<Noted>,
}

/// Instants from which ages are computed.
#[derive(Default)]
pub(super) struct Noted {
    pub watermark: Option<Timestamp>,
    pub evaluated: Option<Timestamp>,
    /// Largest event time per source and partition.
    pub stream_time: BTreeMap<(String, i32), Timestamp>,
}

impl Metrics {
    /// Fails only if two metrics here have one name: a defect of this file that its tests find.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let add = Add(&registry);
        let metrics = Metrics {
            events: add.counters(
                "atalaya_events_total",
                "Records read, by source and what became of them; reason for the rejected.",
                &["source", "outcome", "reason"],
            )?,
            dead_letters: add.counters(
                "atalaya_dead_letters_total",
                "Rejected records handed to the dead-letter topic, by result.",
                &["result"],
            )?,
            dropped: add.counters(
                "atalaya_dropped_total",
                "What a limit kept out, by limit (keys, open_interactions, agents, ...).",
                &["limit"],
            )?,
            other_keys: add.counters(
                "atalaya_other_keys_total",
                "Records whose key is not the interaction or agent that they are about, by source.",
                &["source"],
            )?,
            log_dropped: add.counters(
                "atalaya_log_dropped_total",
                "Entries of the logs that do not count, by log (deltas, decisions) and reason.",
                &["log", "reason"],
            )?,
            source_lag: add.gauges(
                "atalaya_source_lag_records",
                "Records between what has been read and the end of the partition.",
                &["source", "partition"],
            )?,
            evaluation_duration: add.histogram(
                "atalaya_evaluation_duration_seconds",
                "How long an evaluation of all matrices took.",
                DURATIONS,
            )?,
            evaluator: add.gauge("atalaya_evaluator", "1 on the instance that evaluates and shows the indicators.")?,
            notifications: add.counters(
                "atalaya_notifications_total",
                "Attempts to deliver a notification, by medium and result (sent, retried, failed).",
                &["medium", "result"],
            )?,
            outbox_depth: add
                .gauge("atalaya_outbox_depth", "Notifications decided and not yet delivered or given up.")?,
            reloads: add.counters(
                "atalaya_reloads_total",
                "Reloads of the configuration and matrices, by result.",
                &["result"],
            )?,
            reload_success: add
                .gauge("atalaya_reload_success", "1 if the last load of the matrices was taken, else 0.")?,
            reload_time: add.real("atalaya_reload_timestamp_seconds", "When matrices were last taken.")?,
            reload_hash: add.gauges(
                "atalaya_reload_hash",
                "1, with the hash of the configuration and matrices in force.",
                &["hash"],
            )?,
            ready: add.gauge("atalaya_ready", "1 if /readyz answers 200.")?,
            degraded: add.gauge("atalaya_degraded", "How many things are degraded in /readyz.")?,
            streams: add.gauge("atalaya_live_streams", "Pages that are being fed.")?,
            operations: add.counters(
                "atalaya_operations_total",
                "Acknowledgements and silences that people asked for, by operation and outcome.",
                &["operation", "outcome"],
            )?,
            watermark_age: add.real(
                "atalaya_watermark_age_seconds",
                "Wall clock minus the instant that the numbers are of; absent until there is one.",
            )?,
            evaluation_age: add.real(
                "atalaya_evaluation_age_seconds",
                "Time since the last evaluation; absent until there was one.",
            )?,
            source_lateness: {
                let opts = Opts::new(
                    "atalaya_source_lateness_seconds",
                    "Wall clock minus the largest event time of the partition.",
                );
                add.with(GaugeVec::new(opts, &["source", "partition"])?)?
            },
            noted: Mutex::new(Noted::default()),
            registry: registry.clone(),
        };
        let build = add.gauges("atalaya_build_info", "1, with the version of this build.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// Every family that has a series, ages as of `now`. A label that is empty is left out, as Prometheus reads it.
    pub fn gather(&self, now: Timestamp) -> Vec<MetricFamily> {
        let absent = {
            let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            let age = |then: Timestamp| (now - then).as_seconds();
            noted.watermark.iter().for_each(|then| self.watermark_age.set(age(*then)));
            noted.evaluated.iter().for_each(|then| self.evaluation_age.set(age(*then)));
            self.source_lateness.reset();
            for ((source, partition), then) in &noted.stream_time {
                self.source_lateness.with_label_values(&[source.as_str(), &partition.to_string()]).set(age(*then));
            }
            [
                ("atalaya_watermark_age_seconds", noted.watermark.is_none()),
                ("atalaya_evaluation_age_seconds", noted.evaluated.is_none()),
                ("atalaya_reload_timestamp_seconds", self.reload_time.get() == 0.0),
            ]
        };
        let mut families = self.registry.gather();
        families.retain(|family| !absent.contains(&(family.name(), true)));
        for metric in families.iter_mut().flat_map(|family| family.mut_metric()) {
            if metric.get_label().iter().any(|label| label.value().is_empty()) {
                let kept = metric.take_label().into_iter().filter(|label| !label.value().is_empty()).collect();
                metric.set_label(kept);
            }
        }
        families
    }
}

/// Makes a metric and registers it.
struct Add<'r>(&'r Registry);

impl Add<'_> {
    fn with<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.with(IntCounterVec::new(Opts::new(name, help), labels)?)
    }
    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.with(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }
    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.with(IntGauge::new(name, help)?)
    }
    fn real(&self, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
        self.with(Gauge::new(name, help)?)
    }
    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, prometheus::Error> {
        self.with(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
    }
}

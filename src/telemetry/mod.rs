//! What `/metrics` says: the indicators of a [`Source`], and the service about itself.
//!
//! | file | what it is |
//! |---|---|
//! | [`source`] | the seam to the evaluator: numbers and cases of one instant |
//! | [`events`] | typed internal events: log line and counter in one place |
//! | `collector` | indicators, sums, waits and levels as metric families |
//! | `metrics` | the metrics about itself |
//! | `text` | the text formats |
//!
//! Deliberately not here: HTTP (`http` serves the text), tracing's set-up (`main`), and any label that a producer's
//! agents, customers or interactions could grow.

mod collector;
pub mod events;
pub mod logging;
mod metrics;
pub mod source;
mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::domain::Timestamp;
use collector::SourceCollector;
pub use collector::metric_name;
use metrics::Metrics;
use source::SharedSource;
use text::{Family, Pieces};

/// The text format that a scraper asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => text::OPENMETRICS,
        }
    }

    /// OpenMetrics if `accept` names it and prefers no plain text to it, else the Prometheus text.
    pub fn negotiate(accept: &str) -> Self {
        let weight = |wanted: &str| {
            let ranges = accept.split(',').filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                if !parts.next()?.eq_ignore_ascii_case(wanted) {
                    return None;
                }
                let parameters: Vec<&str> = parts.collect();
                // A version of OpenMetrics that is not spoken here is not asked for with success.
                let spoken = parameters
                    .iter()
                    .all(|p| p.strip_prefix("version=").is_none_or(|version| ["1.0.0", "0.0.4"].contains(&version)));
                let quality =
                    parameters.iter().find_map(|p| p.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok());
                quality.filter(|_| spoken)
            });
            ranges.fold(0.0f64, f64::max)
        };
        let open = weight("application/openmetrics-text");
        if open > 0.0 && open >= weight("text/plain") { Format::OpenMetrics } else { Format::Prometheus }
    }
}

/// Everything that `/metrics` shows. One per process, shared by an `Arc`.
pub struct Telemetry {
    metrics: Metrics,
    source: SourceCollector,
    shows_indicators: AtomicBool,
    /// Of the last text, in bytes.
    length: AtomicUsize,
}

impl Telemetry {
    /// Fails only by a defect of this module (two metrics of one name).
    pub fn new(source: SharedSource) -> Result<Arc<Self>, prometheus::Error> {
        Ok(Arc::new(Telemetry {
            metrics: Metrics::new()?,
            source: SourceCollector::new(source),
            shows_indicators: AtomicBool::new(true),
            length: AtomicUsize::new(0),
        }))
    }

    pub fn emit(&self, event: impl events::Event) {
        event.emit(&self.metrics);
    }

    /// Of several instances only the evaluator's shows the indicators, so that a query counts nothing twice.
    pub fn show_indicators(&self, shown: bool) {
        self.shows_indicators.store(shown, Ordering::Relaxed);
    }

    /// The whole text. It locks the source while numbers are copied: call it off the reactor's threads.
    pub fn render(&self, format: Format, now: Timestamp) -> String {
        let mut pieces = Pieces::new();
        let own = self.metrics.gather(now);
        let mut families: Vec<Family> = own.iter().map(|family| Family::of_registry(family, &mut pieces)).collect();
        if self.shows_indicators.load(Ordering::Relaxed) {
            families.extend(self.source.collect(&mut pieces));
        }
        families.sort_by(|a, b| a.name.cmp(&b.name));
        // Tens of megabytes are not copied again and again while they grow: they are about as long as the last time.
        let length = self.length.load(Ordering::Relaxed);
        let mut text = String::with_capacity(length + length / 16);
        for family in families {
            family.write(&pieces, format, &mut text);
        }
        if format == Format::OpenMetrics {
            text.push_str("# EOF\n");
        }
        self.length.store(text.len(), Ordering::Relaxed);
        text
    }
}

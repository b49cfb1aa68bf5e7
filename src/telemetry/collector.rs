//! The indicators, sums, waits and case levels as metric families, built by hand: a roll-up leaves out the label it is
//! rolled over, so the series of one family differ in their labels, which the registry's own vectors cannot do.
//!
//! Values are copied under the source's lock and turned into text after it. Never a label per agent, customer or
//! interaction: labels come from keys and selectors alone.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::source::{SharedSource, lock};
use crate::domain::Key;
use crate::indicators::{Indicator, Labels, Selector, Unit};
use crate::matrix::Level;
use crate::pipeline::{SumName, WaitHistogram};
use crate::plan::Plan;

/// Turns a source into families.
pub struct SourceCollector {
    source: SharedSource,
    /// The largest value that each sum has been shown with: a late correction lowers a sum, but a counter that falls
    /// reads as a restart and would make `rate()` jump. As many entries as there are series of sums.
    shown: Mutex<BTreeMap<(Key, SumName), f64>>,
}

/// What is copied under the lock.
#[derive(Default)]
struct Copied {
    readings: Vec<(Key, Selector, f64)>,
    sums: Vec<(Key, SumName, f64)>,
    waits: Vec<(Key, WaitHistogram)>,
    levels: BTreeMap<LabelSet, Level>,
}

/// Names and values of labels, in the order in which they are printed.
type LabelSet = Vec<(&'static str, String)>;

impl SourceCollector {
    pub fn new(source: SharedSource) -> Self {
        SourceCollector { source, shown: Mutex::new(BTreeMap::new()) }
    }

    pub fn collect(&self) -> Vec<MetricFamily> {
        let (plan, copied) = self.copy();
        let mut families = indicator_families(&plan, &copied.readings);
        families.extend(self.sum_families(&plan, copied.sums));
        families.push(wait_family(&copied.waits));
        families.push(level_family(copied.levels));
        families.retain(|family| !family.get_metric().is_empty());
        families
    }

    fn copy(&self) -> (std::sync::Arc<Plan>, Copied) {
        let mut copied = Copied::default();
        let mut source = lock(&self.source);
        let plan = source.plan();
        // A platform may have many names of its own for states: they are for the API.
        let shown = |_: &Key, selector: &Selector| selector.labels.own_state.is_none();
        source.each_indicator(&shown, &mut |key, selector, reading| {
            if let Some(value) = reading.value {
                copied.readings.push((key.clone(), *selector, value));
            }
        });
        source.each_sum(&mut |key, sum, value| copied.sums.push((key.clone(), *sum, value)));
        source.each_wait_histogram(&mut |key, waits| copied.waits.push((key.clone(), waits.clone())));
        for (matrix, selector, key, level) in source.levels() {
            let mut labels =
                vec![("matrix", matrix.name.to_string()), ("indicator", selector.indicator.name.to_owned())];
            labels.extend(series_labels(&plan, &key, selector.window, &selector.labels));
            // Rows of one case that share no hour are one series: the worst of them.
            let shown = copied.levels.entry(labels).or_insert(level);
            *shown = level.max(*shown);
        }
        (plan, copied)
    }

    fn sum_families(&self, plan: &Plan, sums: Vec<(Key, SumName, f64)>) -> Vec<MetricFamily> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut families: BTreeMap<(&'static str, Unit), Vec<Metric>> = BTreeMap::new();
        for (key, sum, value) in sums {
            let labels = series_labels(plan, &key, None, &sum.labels);
            let largest = shown.entry((key, sum)).or_insert(value);
            *largest = largest.max(value);
            let mut counter = Counter::default();
            counter.set_value(*largest);
            let mut metric = metric(labels);
            metric.set_counter(counter);
            families.entry((sum.name, sum.unit)).or_default().push(metric);
        }
        families
            .into_iter()
            .map(|((name, unit), metrics)| {
                let help = format!("Sum behind ratios and means since the start: {name}.");
                family(format!("atalaya_sum_{name}{}_total", suffix(unit)), help, MetricType::COUNTER, metrics)
            })
            .collect()
    }
}

/// What a unit adds to the name of a metric.
pub fn suffix(unit: Unit) -> &'static str {
    match unit {
        Unit::Seconds => "_seconds",
        Unit::Ratio => "_ratio",
        Unit::Count => "",
    }
}

/// The name of an indicator's gauge.
pub fn metric_name(indicator: &Indicator) -> String {
    format!("atalaya_{}{}", indicator.name, suffix(indicator.unit))
}

fn indicator_families(plan: &Plan, readings: &[(Key, Selector, f64)]) -> Vec<MetricFamily> {
    let mut metrics: BTreeMap<&'static str, (&'static Indicator, Vec<Metric>)> = BTreeMap::new();
    for (key, selector, value) in readings {
        let mut gauge = Gauge::default();
        gauge.set_value(*value);
        let mut metric = metric(series_labels(plan, key, selector.window, &selector.labels));
        metric.set_gauge(gauge);
        metrics.entry(selector.indicator.name).or_insert((selector.indicator, Vec::new())).1.push(metric);
    }
    metrics
        .into_values()
        .map(|(indicator, metrics)| {
            let help = indicator.about();
            family(metric_name(indicator), help.to_owned(), MetricType::GAUGE, metrics)
        })
        .collect()
}

fn wait_family(waits: &[(Key, WaitHistogram)]) -> MetricFamily {
    let metrics = waits.iter().map(|(key, waits)| {
        let buckets = waits.buckets.iter().map(|(bound, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(*count);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_sum(waits.sum_seconds);
        histogram.set_sample_count(waits.count);
        let mut metric = metric(place_labels(key));
        metric.set_histogram(histogram);
        metric
    });
    let help = "Waits of the answered since the start, from queued to the answer, on the customer's clock.";
    family("atalaya_wait_seconds".to_owned(), help.to_owned(), MetricType::HISTOGRAM, metrics.collect())
}

fn level_family(levels: BTreeMap<LabelSet, Level>) -> MetricFamily {
    let metrics = levels.into_iter().map(|(labels, level)| {
        let mut gauge = Gauge::default();
        gauge.set_value(f64::from(level as u8));
        let mut metric = metric(labels);
        metric.set_gauge(gauge);
        metric
    });
    let help = "Level of a case of the escalation matrix: 0 ok, 1 info, 2 warning, 3 critical.";
    family("atalaya_alert_level".to_owned(), help.to_owned(), MetricType::GAUGE, metrics.collect())
}

fn place_labels(key: &Key) -> LabelSet {
    let queue = key.queue.as_ref().map(|queue| ("queue", queue.to_string()));
    let channel = key.channel.as_ref().map(|channel| ("channel", channel.to_string()));
    queue.into_iter().chain(channel).collect()
}

fn series_labels(plan: &Plan, key: &Key, window: Option<usize>, labels: &Labels) -> LabelSet {
    let mut set = place_labels(key);
    if let Some(window) = window.and_then(|index| plan.windows.get(index)) {
        set.push(("window", window.label.to_string()));
    }
    set.extend(labels.pairs(plan).into_iter().map(|(name, value)| (name, value.to_owned())));
    set
}

fn metric(labels: LabelSet) -> Metric {
    let pairs = labels.into_iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value);
        pair
    });
    Metric::from_label(pairs.collect())
}

fn family(name: String, help: String, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name);
    family.set_help(help);
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

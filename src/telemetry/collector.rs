//! The indicators, sums, waits and case levels as metric families, built by hand: a roll-up leaves out the label it is
//! rolled over, so the series of one family differ in their labels, which the registry's own vectors cannot do.
//!
//! Values are copied under the source's lock and turned into text after it, 16 bytes a series: keys, selectors and names
//! of sums are many times fewer than series and are copied once. Never a label per agent, customer or interaction:
//! labels come from keys and selectors alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::source::{SharedSource, lock};
use super::text::{Family, Histogram, Kind, NO_LABELS, Piece, Pieces};
use crate::domain::Key;
use crate::indicators::{Indicator, Labels, Selector, Unit};
use crate::matrix::{Level, Matrix};
use crate::pipeline::{SumName, WaitHistogram};
use crate::plan::Plan;

/// Turns a source into families.
pub struct SourceCollector {
    source: SharedSource,
    shown: Mutex<Shown>,
}

/// The largest value that each sum has been shown with: a late correction lowers a sum, but a counter that falls reads
/// as a restart and would make `rate()` jump. As many entries as there are series of sums.
#[derive(Default)]
struct Shown {
    sums: Interned<SumName>,
    /// Per key the values of `sums`, at their places there.
    values: BTreeMap<Key, Vec<f64>>,
}

/// What is copied under the lock.
#[derive(Default)]
struct Copied {
    places: Places,
    selectors: Interned<Selector>,
    /// Place, selector and value of each series.
    readings: Vec<(u32, u32, f64)>,
    sums: Interned<SumName>,
    sum_values: Vec<(u32, u32, f64)>,
    waits: Vec<(u32, WaitHistogram)>,
    levels: Vec<(Arc<Matrix>, Selector, Key, Level)>,
}

/// Keys in the order in which they are visited, which is the same each time.
#[derive(Default)]
struct Places {
    keys: Vec<Key>,
    at: usize,
}

impl Places {
    fn index(&mut self, key: &Key) -> u32 {
        let known = [self.at, self.at + 1].into_iter().find(|index| self.keys.get(*index) == Some(key));
        self.at = known.unwrap_or_else(|| {
            // One more entry of a key that came in another order would do no harm.
            self.keys.push(key.clone());
            self.keys.len() - 1
        });
        self.at as u32
    }
}

/// Each item once. They come in nearly the same order over and over, so the one asked for is near behind the last.
struct Interned<T> {
    items: Vec<T>,
    next: usize,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Interned { items: Vec::new(), next: 0 }
    }
}

impl<T: PartialEq + Copy> Interned<T> {
    fn index(&mut self, item: &T) -> u32 {
        let mut candidates = (self.next..self.items.len()).chain(0..self.next.min(self.items.len()));
        let index = candidates.find(|index| self.items.get(*index) == Some(item)).unwrap_or_else(|| {
            self.items.push(*item);
            self.items.len() - 1
        });
        self.next = index + 1;
        index as u32
    }
}

impl SourceCollector {
    pub fn new(source: SharedSource) -> Self {
        SourceCollector { source, shown: Mutex::default() }
    }

    /// Every family that has a series; their labels are added to `pieces`.
    pub fn collect(&self, pieces: &mut Pieces) -> Vec<Family> {
        let (plan, copied) = self.copy();
        let places: Vec<Piece> = copied.places.keys.iter().map(|key| pieces.add(place_labels(key))).collect();
        let place = |index: u32| places.get(index as usize).copied().unwrap_or(NO_LABELS);
        let mut families = indicator_families(&plan, &copied, place, pieces);
        families.extend(self.sum_families(&plan, &copied, place, pieces));
        families.push(wait_family(copied.waits, place));
        families.push(level_family(&plan, &copied.levels, pieces));
        families.retain(|family| !family.is_empty());
        families
    }

    fn copy(&self) -> (Arc<Plan>, Copied) {
        let mut copied = Copied::default();
        let Copied { places, selectors, readings, sums, sum_values, waits, levels } = &mut copied;
        let mut source = lock(&self.source);
        // A platform may have many names of its own for states: they are for the API.
        let shown = |selector: &Selector| selector.labels.own_state.is_none();
        source.each_indicator(&|_| true, &shown, &mut |key, selector, reading| {
            let (place, selector) = (places.index(key), selectors.index(selector));
            if let Some(value) = reading.value {
                readings.push((place, selector, value));
            }
        });
        places.at = 0;
        source.each_sum(&mut |key, sum, value| sum_values.push((places.index(key), sums.index(sum), value)));
        places.at = 0;
        source.each_wait_histogram(&mut |key, histogram| waits.push((places.index(key), histogram.clone())));
        *levels = source.levels();
        (source.plan(), copied)
    }

    fn sum_families(
        &self,
        plan: &Plan,
        copied: &Copied,
        place: impl Fn(u32) -> Piece,
        pieces: &mut Pieces,
    ) -> Vec<Family> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let Shown { sums, values } = &mut *shown;
        let mut families: BTreeMap<(&'static str, Unit), Family> = BTreeMap::new();
        let known: Vec<(u32, Piece, (&'static str, Unit))> = copied
            .sums
            .items
            .iter()
            .map(|sum| {
                families.entry((sum.name, sum.unit)).or_insert_with(|| {
                    let help = format!("Sum behind ratios and means since the start: {}.", sum.name);
                    let name = format!("atalaya_sum_{}{}_total", sum.name, suffix(sum.unit));
                    Family::new(name, help, Kind::Counter)
                });
                (sums.index(sum), pieces.add(series_labels(plan, None, &sum.labels)), (sum.name, sum.unit))
            })
            .collect();
        for of_key in copied.sum_values.chunk_by(|one, other| one.0 == other.0) {
            let Some(key) = of_key.first().and_then(|(index, ..)| copied.places.keys.get(*index as usize)) else {
                continue;
            };
            let largest = match values.get_mut(key) {
                Some(largest) => largest,
                None => values.entry(key.clone()).or_default(),
            };
            largest.resize(sums.items.len(), f64::MIN);
            for &(index, sum, value) in of_key {
                let Some((slot, labels, name)) = known.get(sum as usize) else { continue };
                let (Some(largest), Some(family)) = (largest.get_mut(*slot as usize), families.get_mut(name)) else {
                    continue;
                };
                *largest = largest.max(value);
                family.series.push((place(index), *labels, *largest));
            }
        }
        families.into_values().collect()
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

fn indicator_families(plan: &Plan, copied: &Copied, place: impl Fn(u32) -> Piece, pieces: &mut Pieces) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    let mut indices: BTreeMap<&'static str, usize> = BTreeMap::new();
    // Of each selector its family and its labels.
    let mut known: Vec<(usize, Piece)> = Vec::with_capacity(copied.selectors.items.len());
    for Selector { indicator, window, labels } in &copied.selectors.items {
        let family = *indices.entry(indicator.name).or_insert_with(|| {
            let help = indicator.about();
            families.push(Family::new(metric_name(indicator), help.to_owned(), Kind::Gauge));
            families.len() - 1
        });
        known.push((family, pieces.add(series_labels(plan, *window, labels))));
    }
    for &(key, selector, value) in &copied.readings {
        let Some(&(family, labels)) = known.get(selector as usize) else { continue };
        if let Some(family) = families.get_mut(family) {
            family.series.push((place(key), labels, value));
        }
    }
    families
}

fn wait_family(waits: Vec<(u32, WaitHistogram)>, place: impl Fn(u32) -> Piece) -> Family {
    let help = "Waits of the answered since the start, from queued to the answer, on the customer's clock.";
    let histograms = waits.into_iter().map(|(index, waits)| {
        let WaitHistogram { buckets, sum_seconds, count } = waits;
        (place(index), Histogram { buckets, sum: sum_seconds, count })
    });
    Family {
        histograms: histograms.collect(),
        ..Family::new("atalaya_wait_seconds".to_owned(), help.to_owned(), Kind::Histogram)
    }
}

fn level_family(plan: &Plan, levels: &[(Arc<Matrix>, Selector, Key, Level)], pieces: &mut Pieces) -> Family {
    let mut worst: BTreeMap<Vec<(&str, &str)>, Level> = BTreeMap::new();
    for (matrix, selector, key, level) in levels {
        let mut labels = vec![("matrix", &*matrix.name), ("indicator", selector.indicator.name)];
        labels.extend(place_labels(key));
        labels.extend(series_labels(plan, selector.window, &selector.labels));
        // Rows of one case that share no hour are one series: the worst of them.
        let shown = worst.entry(labels).or_insert(*level);
        *shown = (*shown).max(*level);
    }
    let series =
        worst.into_iter().map(|(labels, level)| (pieces.add(labels), NO_LABELS, f64::from(level as u8))).collect();
    let help = "Level of a case of the escalation matrix: 0 ok, 1 info, 2 warning, 3 critical.";
    Family { series, ..Family::new("atalaya_alert_level".to_owned(), help.to_owned(), Kind::Gauge) }
}

fn place_labels(key: &Key) -> impl Iterator<Item = (&str, &str)> {
    let queue = key.queue.as_deref().map(|queue| ("queue", queue));
    queue.into_iter().chain(key.channel.as_deref().map(|channel| ("channel", channel)))
}

fn series_labels<'p>(
    plan: &'p Plan,
    window: Option<usize>,
    labels: &Labels,
) -> impl Iterator<Item = (&'p str, &'p str)> {
    let window = window.and_then(|index| plan.windows.get(index)).map(|window| ("window", &*window.label));
    window.into_iter().chain(labels.pairs(plan))
}

//! The text of `/metrics`, in both formats.
//!
//! Tens of thousands of keys make millions of lines, so what lines share is made once: a [`Family`] names the labels of
//! its series by their places in a list of [`Pieces`], which are text already.
//!
//! What OpenMetrics 1.0 says differently: a counter's family is named without `_total`, numbers are canonical (`1.0`,
//! `+Inf`), units have a line, and the text ends in `# EOF`. Timestamps, exemplars and summaries are left out: nothing
//! here makes them.

use std::fmt::Write;

use prometheus::proto::{self, MetricFamily, MetricType};

use super::Format;

pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Labels as they are printed (`queue="a",channel="b"`), escaped. The first is that of no labels.
pub struct Pieces(Vec<String>);

/// Where a piece is in its list.
pub type Piece = u32;

pub const NO_LABELS: Piece = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

pub struct Family {
    pub name: String,
    pub help: String,
    pub kind: Kind,
    /// Counters and gauges: two pieces of labels, and the value.
    pub series: Vec<(Piece, Piece, f64)>,
    pub histograms: Vec<(Piece, Histogram)>,
}

/// Cumulative counts of the finite buckets by their upper bounds, the sum of all samples, and how many there are.
pub struct Histogram {
    pub buckets: Vec<(f64, u64)>,
    pub sum: f64,
    pub count: u64,
}

impl Pieces {
    pub fn new() -> Self {
        Pieces(vec![String::new()])
    }

    pub fn add<'a>(&mut self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Piece {
        let mut text = String::new();
        for (name, value) in labels {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(name);
            text.push_str("=\"");
            escape(value, true, &mut text);
            text.push('"');
        }
        self.0.push(text);
        (self.0.len() - 1) as Piece
    }

    fn get(&self, piece: Piece) -> &str {
        self.0.get(piece as usize).map_or("", String::as_str)
    }
}

impl Family {
    pub fn new(name: String, help: String, kind: Kind) -> Self {
        Family { name, help, kind, series: Vec::new(), histograms: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.series.is_empty() && self.histograms.is_empty()
    }

    /// A family of the registry. Kinds that no metric here is of give an empty one.
    pub fn of_registry(family: &MetricFamily, pieces: &mut Pieces) -> Self {
        let kind = match family.get_field_type() {
            MetricType::COUNTER => Kind::Counter,
            MetricType::HISTOGRAM => Kind::Histogram,
            MetricType::GAUGE | MetricType::SUMMARY | MetricType::UNTYPED => Kind::Gauge,
        };
        let mut made = Family::new(family.name().to_owned(), family.help().to_owned(), kind);
        for metric in family.get_metric() {
            let labels = pieces.add(metric.get_label().iter().map(|pair| (pair.name(), pair.value())));
            match family.get_field_type() {
                MetricType::COUNTER => made.series.push((labels, NO_LABELS, metric.get_counter().get_value())),
                MetricType::GAUGE => made.series.push((labels, NO_LABELS, metric.get_gauge().get_value())),
                MetricType::HISTOGRAM => made.histograms.push((labels, Histogram::of_registry(metric.get_histogram()))),
                MetricType::SUMMARY | MetricType::UNTYPED => {}
            }
        }
        made
    }

    /// Appends the family's lines.
    pub fn write(&self, pieces: &Pieces, format: Format, out: &mut String) {
        let open = format == Format::OpenMetrics;
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let name = match self.kind {
            Kind::Counter if open => self.name.strip_suffix("_total").unwrap_or(&self.name),
            _ => &self.name,
        };
        let mut help = format!("# HELP {name} ");
        escape(&self.help, open, &mut help);
        let unit = ["seconds", "ratio", "bytes"].into_iter().find(|unit| ends_in(name, unit));
        if open {
            line(out, format_args!("# TYPE {name} {kind}"));
            if let Some(unit) = unit {
                line(out, format_args!("# UNIT {name} {unit}"));
            }
            line(out, format_args!("{help}"));
        } else {
            if !self.help.is_empty() {
                line(out, format_args!("{help}"));
            }
            line(out, format_args!("# TYPE {name} {kind}"));
        }
        let begun = if open && self.kind == Kind::Counter { format!("{name}_total") } else { name.to_owned() };
        for &(one, other, value) in &self.series {
            sample(out, &begun, [pieces.get(one), pieces.get(other)], value, format);
        }
        for (labels, histogram) in &self.histograms {
            histogram.write(name, pieces.get(*labels), format, out);
        }
    }
}

impl Histogram {
    fn of_registry(histogram: &proto::Histogram) -> Self {
        let buckets = histogram.get_bucket().iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
        Histogram {
            buckets: buckets.filter(|(bound, _)| bound.is_finite()).collect(),
            sum: histogram.get_sample_sum(),
            count: histogram.get_sample_count(),
        }
    }

    fn write(&self, name: &str, labels: &str, format: Format, out: &mut String) {
        let bucket = format!("{name}_bucket");
        let mut bound = String::new();
        let endless = (f64::INFINITY, self.count);
        for (upper, count) in self.buckets.iter().copied().chain([endless]) {
            bound.clear();
            bound.push_str("le=\"");
            number(upper, format, &mut bound);
            bound.push('"');
            sample(out, &bucket, [labels, &bound], count as f64, format);
        }
        let sum = |out: &mut String| sample(out, &format!("{name}_sum"), [labels, ""], self.sum, format);
        let count = |out: &mut String| sample(out, &format!("{name}_count"), [labels, ""], self.count as f64, format);
        match format {
            Format::Prometheus => {
                sum(out);
                count(out);
            }
            Format::OpenMetrics => {
                count(out);
                sum(out);
            }
        }
    }
}

fn ends_in(name: &str, unit: &str) -> bool {
    name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'))
}

fn sample(out: &mut String, name: &str, labels: [&str; 2], value: f64, format: Format) {
    out.push_str(name);
    let mut separator = '{';
    for piece in labels.into_iter().filter(|piece| !piece.is_empty()) {
        out.push(separator);
        out.push_str(piece);
        separator = ',';
    }
    if separator == ',' {
        out.push('}');
    }
    out.push(' ');
    number(value, format, out);
    out.push('\n');
}

/// In OpenMetrics a whole number has its `.0`.
fn number(value: f64, format: Format, out: &mut String) {
    // Most values are whole: as integers they are written much faster, and the same.
    let whole = value.fract() == 0.0 && value.abs() < 1e15 && !(value == 0.0 && value.is_sign_negative());
    // Writing to a string cannot fail.
    let _ = match format {
        _ if value.is_nan() => out.write_str("NaN"),
        _ if value.is_infinite() => out.write_str(if value > 0.0 { "+Inf" } else { "-Inf" }),
        Format::Prometheus if whole => write!(out, "{}", value as i64),
        Format::Prometheus => write!(out, "{value}"),
        Format::OpenMetrics if whole => write!(out, "{}.0", value as i64),
        Format::OpenMetrics => write!(out, "{value:?}"),
    };
}

fn escape(text: &str, quotes: bool, out: &mut String) {
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            _ => out.push(letter),
        }
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
    out.push('\n');
}

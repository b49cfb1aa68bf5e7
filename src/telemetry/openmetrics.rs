//! OpenMetrics 1.0 text from the families that the Prometheus encoder also prints.
//!
//! The differences: a counter's family is named without `_total`, numbers are canonical (`1.0`, `+Inf`), units have a
//! line, and the text ends in `# EOF`. Timestamps, exemplars and summaries are left out: nothing here makes them.

use std::fmt::Write;

use prometheus::proto::{LabelPair, MetricFamily, MetricType};

pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Appends the families and the end mark.
pub fn encode(families: &[MetricFamily], out: &mut String) {
    for family in families {
        encode_family(family, out);
    }
    out.push_str("# EOF\n");
}

fn encode_family(family: &MetricFamily, out: &mut String) {
    let full = family.name();
    let (name, kind) = match family.get_field_type() {
        MetricType::COUNTER => (full.strip_suffix("_total").unwrap_or(full), "counter"),
        MetricType::GAUGE => (full, "gauge"),
        MetricType::HISTOGRAM => (full, "histogram"),
        MetricType::SUMMARY | MetricType::UNTYPED => return,
    };
    line(out, format_args!("# TYPE {name} {kind}"));
    if let Some(unit) = ["seconds", "ratio", "bytes"].into_iter().find(|unit| ends_in(name, unit)) {
        line(out, format_args!("# UNIT {name} {unit}"));
    }
    line(out, format_args!("# HELP {name} {}", escape(family.help())));
    for metric in family.get_metric() {
        let labels = metric.get_label();
        match family.get_field_type() {
            MetricType::COUNTER => sample(out, name, "_total", labels, None, metric.get_counter().get_value()),
            MetricType::GAUGE => sample(out, name, "", labels, None, metric.get_gauge().get_value()),
            MetricType::HISTOGRAM => {
                let histogram = metric.get_histogram();
                let count = histogram.get_sample_count();
                for bucket in histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite()) {
                    let bound = number(bucket.upper_bound());
                    sample(out, name, "_bucket", labels, Some(&bound), bucket.cumulative_count() as f64);
                }
                sample(out, name, "_bucket", labels, Some("+Inf"), count as f64);
                sample(out, name, "_count", labels, None, count as f64);
                sample(out, name, "_sum", labels, None, histogram.get_sample_sum());
            }
            MetricType::SUMMARY | MetricType::UNTYPED => {}
        }
    }
}

fn ends_in(name: &str, unit: &str) -> bool {
    name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'))
}

fn sample(out: &mut String, name: &str, suffix: &str, labels: &[LabelPair], bound: Option<&str>, value: f64) {
    out.push_str(name);
    out.push_str(suffix);
    let pairs = labels.iter().map(|pair| (pair.name(), pair.value())).chain(bound.map(|bound| ("le", bound)));
    let mut separator = '{';
    for (name, value) in pairs {
        out.push(separator);
        out.push_str(name);
        out.push_str("=\"");
        out.push_str(&escape(value));
        out.push('"');
        separator = ',';
    }
    if separator == ',' {
        out.push('}');
    }
    line(out, format_args!(" {}", number(value)));
}

/// Canonical numbers: a whole one has its `.0`.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        format!("{value:?}")
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
    out.push('\n');
}

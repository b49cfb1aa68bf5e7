//! `atalaya indicators`: the numbers of a running service.

use clap::Args;
use serde_json::Value;

use super::remote::{self, Format, Remote};
use super::{Failure, say};

/// Shows the indicators of a running service, of one instant
#[derive(Debug, Args)]
pub struct Indicators {
    /// Only these, by commas, as asa,waiting
    #[arg(value_name = "NAMES")]
    pub names: Option<String>,
    /// Only these windows, and the values of this instant, which have none
    #[arg(long, value_name = "WINDOWS")]
    pub window: Option<String>,
    /// Only these queues; an empty one is the roll-up over queues
    #[arg(long, value_name = "QUEUES")]
    pub queue: Option<String>,
    /// Only these channels; an empty one is the roll-up over channels
    #[arg(long, value_name = "CHANNELS")]
    pub channel: Option<String>,
    #[command(flatten)]
    pub remote: Remote,
}

pub async fn run(args: Indicators) -> Result<(), Failure> {
    let asked =
        [("indicator", &args.names), ("window", &args.window), ("queue", &args.queue), ("channel", &args.channel)];
    let query: Vec<(&str, &str)> =
        asked.iter().filter_map(|(name, value)| value.as_deref().map(|value| (*name, value))).collect();
    let answer = args.remote.get(&["indicators"], &query).await?;
    let records = remote::list(&answer, "indicators");
    match args.remote.format {
        Format::Json => remote::print_json(records),
        Format::Text if records.is_empty() => say::line("no queue and channel that was seen matches"),
        Format::Text => {
            let rows: Vec<[String; 5]> = records.iter().map(row).collect();
            remote::print_table(["PLACE", "INDICATOR", "OF", "VALUE", "SAMPLES"], &rows)
        }
    }
}

fn row(record: &Value) -> [String; 5] {
    [
        remote::place(record),
        remote::text(record, "indicator"),
        remote::labels(record),
        remote::value(record, "value"),
        record.get("samples").map(Value::to_string).unwrap_or_default(),
    ]
}

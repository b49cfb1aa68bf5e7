//! `atalaya ack`: somebody has taken an incident up.

use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value};

use super::remote::{self, Format, Remote};
use super::{Failure, say};

/// Acknowledges an incident of a running service: no repeats and escalations until it is over, or the time is
#[derive(Debug, Args)]
pub struct Ack {
    /// The incident as mails and `atalaya alerts` name it, or the code that a mail gives
    #[arg(value_name = "INCIDENT|CODE")]
    pub incident: String,
    /// Who has taken it up
    #[arg(long, env = "USER")]
    pub who: String,
    /// What is being done
    #[arg(long)]
    pub why: Option<String>,
    /// How long it holds, as 30m; without it the `ack_for` of its row
    #[arg(long = "for", value_name = "DURATION", conflicts_with = "until")]
    pub length: Option<String>,
    /// Until when it holds, as 2026-05-28T18:00:00-05:00
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    #[command(flatten)]
    pub remote: Remote,
}

pub async fn run(args: Ack) -> Result<(), Failure> {
    let given = [("who", Some(args.who)), ("why", args.why), ("for", args.length), ("until", args.until)];
    let path = ["alerts", &args.incident, "acknowledge"];
    let answer = args.remote.send(Method::POST, &path, object(given)).await?;
    match args.remote.format {
        Format::Json => say::line(answer),
        Format::Text => {
            let seen = answer.get("acknowledged").cloned().unwrap_or_default();
            let [incident, by, until] =
                [remote::text(&answer, "incident"), remote::text(&seen, "by"), remote::text(&seen, "until")];
            say::line(format_args!("{incident} is acknowledged by {by} until {until}"))
        }
    }
}

/// A JSON object of what was given.
pub fn object<const N: usize>(fields: [(&str, Option<String>); N]) -> Value {
    let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?))));
    Value::Object(given.collect::<Map<String, Value>>())
}

//! `atalaya alerts`: the open cases of a running service.

use clap::Args;
use serde_json::Value;

use super::remote::{self, Format, Remote};
use super::{Failure, say};

/// Shows the open cases of a running service
#[derive(Debug, Args)]
pub struct Alerts {
    #[command(flatten)]
    pub remote: Remote,
}

pub async fn run(args: Alerts) -> Result<(), Failure> {
    let answer = args.remote.get(&["alerts"], &[]).await?;
    let alerts = remote::list(&answer, "alerts");
    if args.remote.format == Format::Json {
        return remote::print_json(alerts);
    }
    if alerts.is_empty() {
        return say::line("no case is open");
    }
    let now = remote::text(&answer, "time");
    let rows: Vec<[String; 9]> = alerts.iter().map(|alert| row(alert, &now)).collect();
    let head = ["LEVEL", "PLACE", "INDICATOR", "OF", "VALUE", "GOAL", "FOR", "SEEN BY", "INCIDENT"];
    remote::print_table(head, &rows)
}

fn row(alert: &Value, now: &str) -> [String; 9] {
    let is = |name: &str| alert.get(name).and_then(Value::as_bool) == Some(true);
    let mut level = remote::text(alert, "to");
    for (said, word) in [
        (is("closed_hours"), "closed"),
        (is("frozen"), "frozen"),
        (!remote::list(alert, "silenced").is_empty(), "silenced"),
    ] {
        if said {
            level.push_str(&format!(", {word}"));
        }
    }
    [
        level,
        remote::place(alert),
        remote::text(alert, "indicator"),
        remote::labels(alert),
        remote::value(alert, "value_now"),
        remote::text(alert, "goal"),
        remote::between(&remote::text(alert, "since"), now),
        alert.get("acknowledged").map(|seen| remote::text(seen, "by")).unwrap_or_default(),
        remote::text(alert, "incident"),
    ]
}

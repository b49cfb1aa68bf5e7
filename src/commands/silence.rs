//! `atalaya silence`: what nobody wants to hear of for a while.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value};

use super::ack::object;
use super::remote::{self, Format, Remote};
use super::{Failure, say};

/// Silences of a running service: levels run on and are shown, their notices are held
#[derive(Debug, Subcommand)]
pub enum Silence {
    Add(Box<Add>),
    List(List),
    End(End),
}

/// Holds the notices of what all the names given match; `*` stands for any text, `!` before a name leaves it out
#[derive(Debug, Args)]
pub struct Add {
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub matrix: Vec<String>,
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub indicator: Vec<String>,
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub queue: Vec<String>,
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub channel: Vec<String>,
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub window: Vec<String>,
    /// The worst level that is held: info, warning or critical; a worse one is told
    #[arg(long)]
    pub level: Option<String>,
    /// When it begins; without it, now
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// How long it lasts, as 2h
    #[arg(long = "for", value_name = "DURATION", conflicts_with = "until", required_unless_present = "until")]
    pub length: Option<String>,
    /// When it ends, as 2026-05-28T18:00:00-05:00
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Who wants it
    #[arg(long, env = "USER")]
    pub who: String,
    /// Why nobody is to hear of it
    #[arg(long)]
    pub why: String,
    #[command(flatten)]
    pub remote: Remote,
}

/// Shows the silences that are on or will be
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    pub remote: Remote,
}

/// Ends a silence before its time
#[derive(Debug, Args)]
pub struct End {
    /// The silence, as `atalaya silence list` names it
    pub id: String,
    /// Who ends it
    #[arg(long, env = "USER")]
    pub who: String,
    #[arg(long)]
    pub why: Option<String>,
    #[command(flatten)]
    pub remote: Remote,
}

pub async fn run(command: Silence) -> Result<(), Failure> {
    match command {
        Silence::Add(args) => add(*args).await,
        Silence::List(args) => list(args).await,
        Silence::End(args) => end(args).await,
    }
}

async fn add(args: Add) -> Result<(), Failure> {
    let Add { matrix, indicator, queue, channel, window, level, from, length, until, who, why, remote } = args;
    let lists =
        [("matrix", matrix), ("indicator", indicator), ("queue", queue), ("channel", channel), ("window", window)];
    let mut matcher: Map<String, Value> = lists
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(name, list)| (name.to_owned(), list.into()))
        .collect();
    if let Some(level) = level {
        matcher.insert("level".to_owned(), level.into());
    }
    let given = [("who", Some(who)), ("why", Some(why)), ("from", from), ("for", length), ("until", until)];
    let mut body = object(given);
    if let Some(body) = body.as_object_mut() {
        body.insert("matcher".to_owned(), matcher.into());
    }
    let made = remote.send(Method::POST, &["silences"], body).await?;
    match remote.format {
        Format::Json => say::line(made),
        Format::Text => {
            say::line(format_args!("silence {} until {}", remote::text(&made, "id"), remote::text(&made, "until")))
        }
    }
}

async fn list(args: List) -> Result<(), Failure> {
    let answer = args.remote.get(&["silences"], &[]).await?;
    let silences = remote::list(&answer, "silences");
    match args.remote.format {
        Format::Json => remote::print_json(silences),
        Format::Text if silences.is_empty() => say::line("there is no silence"),
        Format::Text => {
            let rows: Vec<[String; 6]> = silences.iter().map(row).collect();
            remote::print_table(["ID", "FROM", "UNTIL", "OF", "WHO", "WHY"], &rows)
        }
    }
}

fn row(silence: &Value) -> [String; 6] {
    let matcher = silence.get("matcher").cloned().unwrap_or_default();
    let names = ["matrix", "indicator", "queue", "channel", "window"].iter().filter_map(|name| {
        let list: Vec<&str> = remote::list(&matcher, name).iter().filter_map(Value::as_str).collect();
        (!list.is_empty()).then(|| format!("{name}={}", crate::notice::clean(&list.join(","), 200, false)))
    });
    let mut of: Vec<String> = names.collect();
    let level = remote::text(&matcher, "level");
    if !level.is_empty() {
        of.push(format!("level={level}"));
    }
    let text = |name| remote::text(silence, name);
    [text("id"), text("from"), text("until"), of.join(" "), text("who"), text("why")]
}

async fn end(args: End) -> Result<(), Failure> {
    let body = object([("who", Some(args.who)), ("why", args.why)]);
    let answer = args.remote.send(Method::DELETE, &["silences", &args.id], body).await?;
    match args.remote.format {
        Format::Json => say::line(answer),
        Format::Text => say::line(format_args!("silence {} is over", remote::text(&answer, "id"))),
    }
}

//! A running service, asked through its API: what `alerts`, `indicators`, `ack` and `silence` have in common.

use std::time::Duration;

use clap::{Args, ValueEnum};
use reqwest::{Client, Method, StatusCode, Url};
use serde_json::Value;

use super::{Failure, say};
use crate::domain::Timestamp;
use crate::indicators;
use crate::matrix::Language;
use crate::notice::{NAME_MAX, clean, values};

/// How long an answer may take: every indicator of a large floor takes a second or two.
const WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub struct Remote {
    /// Where the service is; a user and a password may stand in it
    #[arg(
        long,
        value_name = "URL",
        env = "ATALAYA_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:9464"
    )]
    pub url: String,
    /// `json` prints one object per line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

impl Remote {
    pub async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.ask(Method::GET, path, query, None).await
    }

    pub async fn send(&self, method: Method, path: &[&str], body: Value) -> Result<Value, Failure> {
        self.ask(method, path, &[], Some(body)).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let no_address = || Failure::User("--url is no address: write it as http://127.0.0.1:9464".to_owned());
        let mut url = Url::parse(&self.url).map_err(|_| no_address())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(no_address());
        }
        let place = url.host_str().map(str::to_owned).zip(url.port_or_known_default());
        let place = place.map_or_else(|| "--url".to_owned(), |(host, port)| format!("{host}:{port}"));
        // Segments are escaped one by one: an incident's name may hold anything.
        url.path_segments_mut().map_err(|()| no_address())?.pop_if_empty().extend(["api", "v1"]).extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let lost = |error: reqwest::Error| {
            let cause = chain(&error.without_url());
            Failure::Run(format!(
                "cannot reach Atalaya at {place}: {cause}; is it running? Name its address with --url or ATALAYA_URL"
            ))
        };
        let mut request = client(&url).map_err(lost)?.request(method, url);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(lost)?;
        let status = answer.status();
        let answered: Option<Value> = serde_json::from_slice(&answer.bytes().await.map_err(lost)?).ok();
        let error = answered.as_ref().and_then(|value| value.get("error")).and_then(Value::as_str);
        match (answered.as_ref(), error) {
            (Some(value), None) if status.is_success() => Ok(value.clone()),
            (_, Some(error)) if status.is_client_error() => Err(Failure::User(clean(error, 1_000, false))),
            (_, Some(error)) => Err(Failure::Run(clean(error, 1_000, false))),
            (_, None) if status == StatusCode::UNAUTHORIZED => {
                let text = format!("{place} asks for a log-in: write it as https://USER:PASSWORD@HOST in ATALAYA_URL");
                Err(Failure::Run(text))
            }
            (_, None) => {
                Err(Failure::Run(format!("what answers at {place} ({status}) is not Atalaya's API: check --url")))
            }
        }
    }
}

fn client(url: &Url) -> Result<Client, reqwest::Error> {
    // Whoever comes first installs it; a second call says so and changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .no_proxy()
        .timeout(WITHIN)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("atalaya/", env!("CARGO_PKG_VERSION")));
    if url.scheme() == "http" {
        // Nothing here speaks TLS: a machine without certificates must not be a reason to fail.
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}

/// An error with its causes: reqwest's own text leaves out what matters.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    clean(&text, 300, false)
}

// -- what is printed --

/// The list `name` of an answer.
pub fn list<'v>(answer: &'v Value, name: &str) -> &'v [Value] {
    answer.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A field as text, harmless on a terminal; empty where it is absent.
pub fn text(record: &Value, name: &str) -> String {
    record.get(name).and_then(Value::as_str).map_or_else(String::new, |text| clean(text, NAME_MAX, false))
}

/// A value in the unit of the record's indicator, as people read it.
pub fn value(record: &Value, name: &str) -> String {
    let unit = record.get("indicator").and_then(Value::as_str).and_then(indicators::find).map(|found| found.unit);
    let value = record.get(name).and_then(Value::as_f64);
    match unit {
        Some(unit) => values::read(value, unit, Language::En, &[], "-"),
        None => value.map_or_else(|| "-".to_owned(), |value| value.to_string()),
    }
}

/// The window and the labels of a record: `15m, 20s, offered`.
pub fn labels(record: &Value) -> String {
    let names = ["window", "threshold", "treatment", "state", "stage", "clock"];
    let said = names.iter().map(|name| text(record, name)).filter(|text| !text.is_empty());
    said.collect::<Vec<_>>().join(", ")
}

/// `reclamos · facebook`; of a roll-up what is left.
pub fn place(record: &Value) -> String {
    let names = ["queue", "channel"].iter().map(|name| text(record, name)).filter(|text| !text.is_empty());
    let place = names.collect::<Vec<_>>().join(" · ");
    if place.is_empty() { "all".to_owned() } else { place }
}

/// How long it is from one instant of an answer to another.
pub fn between(from: &str, to: &str) -> String {
    let length = Timestamp::parse(from).zip(Timestamp::parse(to)).map(|(from, to)| (to - from).as_seconds());
    length.map_or_else(|| "-".to_owned(), |length| values::duration(length.max(0.0), Language::En, &[]))
}

/// Prints records as they came, one per line.
pub fn print_json(records: &[Value]) -> Result<(), Failure> {
    records.iter().try_for_each(say::line)
}

/// Prints columns as wide as what stands in them; an empty cell is a dash.
pub fn print_table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> Result<(), Failure> {
    let head = head.map(str::to_owned);
    let width = |column: usize| {
        let cells = std::iter::once(&head).chain(rows).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in std::iter::once(&head).chain(rows) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| match cell.is_empty() {
            true => format!("{:<width$}", "-"),
            false => format!("{cell:<width$}"),
        });
        say::line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

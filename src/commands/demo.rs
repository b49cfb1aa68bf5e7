//! `atalaya demo`: the whole product in one process, on a simulated contact centre.
//!
//! Real are the service, the protocol of Kafka, SMTP and HTTP; made up are the broker (librdkafka's own, in this
//! process), the floor ([`crate::sim`]) and the mailbox that takes what is sent. Nothing of the user's environment or
//! files is read, and nothing leaves the machine.
//!
//! | file | what it is |
//! |---|---|
//! | `floor` | two hours of history, then real time, and when something goes wrong |
//! | `story` | what the terminal says |
//! | `config.yaml`, `es.yaml`, `en.yaml`, `pt.yaml` | the embedded configuration and its matrix, in three languages |

mod floor;
mod story;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Failure, files, run::stop_signal};
use crate::config::{self, Config, MatrixSet, Secret};
use crate::http;
use crate::kafka::Start;
use crate::kafka::mock::MockBroker;
use crate::notify::mailbox::{Mailbox, Received};
use crate::service;
use crate::sim::IncidentKind;
use crate::telemetry::logging;

/// The whole product on a simulated contact centre, with an incident to watch: no other program needed
#[derive(Debug, Args)]
pub struct Demo {
    /// Where the live board, the API and the metrics answer
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9464")]
    pub listen: String,
    /// Seed of the simulated floor
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What goes wrong: avalanche (of complaints on facebook), agents-gone (half of them), stuck-queue, silence or none
    #[arg(long, value_name = "KIND", default_value = "avalanche", value_parser = incident)]
    pub incident: Incident,
    /// Language of the board, the mails and the actions
    #[arg(long, value_enum, default_value_t = Language::Es)]
    pub language: Language,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incident(pub Option<IncidentKind>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    Es,
    En,
    Pt,
}

impl Language {
    fn code(self) -> &'static str {
        match self {
            Language::Es => "es",
            Language::En => "en",
            Language::Pt => "pt",
        }
    }

    fn matrix(self) -> &'static str {
        match self {
            Language::Es => include_str!("demo/es.yaml"),
            Language::En => include_str!("demo/en.yaml"),
            Language::Pt => include_str!("demo/pt.yaml"),
        }
    }
}

fn incident(name: &str) -> Result<Incident, String> {
    match IncidentKind::parse(name) {
        Some(kind) => Ok(Incident(Some(kind))),
        None if name == "none" => Ok(Incident(None)),
        None => {
            let known: Vec<&str> = IncidentKind::ALL.into_iter().map(IncidentKind::name).collect();
            Err(format!("it is one of {} or none", known.join(", ")))
        }
    }
}

pub async fn run(args: Demo) -> Result<(), Failure> {
    logging::start_quiet();
    let shutdown = stop_signal()?;
    let listen = free_address(&args.listen).await?;
    story::begin();

    let secret = secret();
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let mailbox = Mailbox::bind(any, any, Some(Secret::new(&secret)))
        .await
        .map_err(|error| Failure::Run(format!("the demo's mailbox cannot listen on 127.0.0.1: {error}")))?;
    let mailbox = Arc::new(mailbox);
    let broker = MockBroker::start(&[
        (floor::INTERACTIONS, floor::PARTITIONS),
        (floor::AGENT_STATES, floor::PARTITIONS),
        ("atalaya.dead-letters", 1),
    ])
    .map_err(|error| Failure::Run(error.to_string()))?;
    let places = Places { listen, broker: broker.bootstrap(), mailbox: &mailbox };
    let (config, set) = settings(args.language, &places, &secret)?;

    let mut floor = floor::Floor::open(&broker.bootstrap(), args.seed).await?;
    let absorbed = floor.send_history().await?;
    story::history(absorbed);

    let (ready, is_ready) = tokio::sync::watch::channel(false);
    let shelf = mailbox.clone();
    let manner = service::Manner {
        start: Start::Beginning,
        origin: None,
        matrices: Vec::new(),
        mailbox: Some(Arc::new(move || shown(&shelf.received()))),
        new: true,
        notify_socket: None,
        serving: Box::new(move |address| {
            tokio::spawn(story::tell_when_ready(address, args.incident.0, ready));
        }),
    };
    let beside = [
        tokio::spawn(story::tell_alerts(mailbox.clone())),
        tokio::spawn(async move {
            if let Err(failure) = floor.live(args.incident.0, is_ready).await {
                story::floor_stopped(&failure);
            }
        }),
    ];
    let ended = service::run(config, set, manner, async {
        shutdown.await;
        story::stopping();
    })
    .await;
    for task in beside {
        task.abort();
        // Until it is gone: the floor's producer ends before its broker does.
        let _ = task.await;
    }
    ended
}

/// The address in full, once it is known that nobody listens there: found before two hours are simulated.
async fn free_address(listen: &str) -> Result<SocketAddr, Failure> {
    match http::bind(listen).await {
        Ok(listener) => {
            listener.local_addr().map_err(|error| Failure::Run(format!("cannot listen on `{listen}`: {error}")))
        }
        Err(http::Error::InUse { listen }) => Err(Failure::Run(format!(
            "another program listens on {listen} already, perhaps another Atalaya. Stop it (`ss -ltnp` names it), or \
             choose another port: `atalaya demo --listen 127.0.0.1:9465`."
        ))),
        Err(error @ (http::Error::Address { .. } | http::Error::NotPermitted { .. })) => Err(Failure::User(format!(
            "--listen {listen}: {}. Write ADDRESS:PORT with a port from 1024 on, as 127.0.0.1:9465.",
            match error {
                http::Error::NotPermitted { .. } => "this user may not listen there".to_owned(),
                _ => "this is no address of this machine".to_owned(),
            }
        ))),
        Err(error) => Err(Failure::Run(error.to_string())),
    }
}

/// A key for the webhooks of this run only, as `secret_file` would hold it.
fn secret() -> String {
    // The standard library's hash maps are keyed by the system's randomness; that is enough between two ends of one process.
    let random = || std::hash::RandomState::new().build_hasher().finish().to_le_bytes();
    let key: Vec<u8> = (0..4).flat_map(|_| random()).collect();
    format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(key))
}

/// What is only known once it runs.
struct Places<'a> {
    listen: SocketAddr,
    broker: String,
    mailbox: &'a Mailbox,
}

/// The embedded configuration with the places of this run laid over it, and the matrix of the language.
fn settings(language: Language, places: &Places<'_>, secret: &str) -> Result<(Config, MatrixSet), Failure> {
    let zone = jiff::tz::TimeZone::try_system().ok();
    let zone = zone.as_ref().and_then(jiff::tz::TimeZone::iana_name).unwrap_or("UTC");
    let (smtp, hooks) = (places.mailbox.smtp_addr(), places.mailbox.http_addr());
    let open_at = match places.listen.ip().is_unspecified() {
        true => SocketAddr::from(([127, 0, 0, 1], places.listen.port())),
        false => places.listen,
    };
    let over: BTreeMap<String, String> = [
        ("TIME_ZONE", zone.to_owned()),
        ("LANGUAGE", language.code().to_owned()),
        ("KAFKA__BROKERS", places.broker.clone()),
        ("SMTP__URL", format!("smtp://{smtp}")),
        ("WEBHOOKS__GUARD__URL", format!("http://{hooks}/guard")),
        ("WEBHOOKS__GUARD__SECRET", secret.to_owned()),
        ("HTTP__LISTEN", places.listen.to_string()),
        ("HTTP__PUBLIC_URL", format!("http://{open_at}")),
        ("HTTP__SECRET", secret.to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (format!("{}{name}", config::PREFIX), value))
    .collect();
    let failed = |defects: Vec<config::Diagnostic>| {
        Failure::Run(format!("the demo's own files do not fit together:\n{}", files::paragraphs(&defects)))
    };
    let config = config::load("demo/config.yaml", include_str!("demo/config.yaml"), &over, None).map_err(failed)?;
    let name = format!("demo/{}.yaml", language.code());
    let set = config::matrices(&[(name, language.matrix().to_owned())], Some(&config)).map_err(failed)?;
    Ok((config, set))
}

/// What the page shows of the mailbox, the oldest first.
fn shown(received: &[Received]) -> Value {
    let (mut mails, mut webhooks) = (Vec::new(), Vec::new());
    for received in received.iter().rev() {
        match received {
            Received::Email(mail) => mails.push(json!({
                "time": mail.received, "to": mail.recipients, "from": mail.from, "subject": mail.subject,
                "message_id": mail.message_id, "in_reply_to": mail.in_reply_to, "references": mail.references,
                "text": mail.text, "html": mail.html,
            })),
            Received::Webhook(hook) => webhooks.push(json!({
                "time": hook.received, "name": hook.path.trim_start_matches('/'), "id": hook.webhook_id,
                "signature": hook.signature, "body": hook.body,
            })),
        }
    }
    json!({ "mails": mails, "webhooks": webhooks })
}

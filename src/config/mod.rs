//! Configuration and matrix files: text -> compiled, or every defect with file, line, column and a hint.
//!
//! Text comes in as strings; who reads the files is `commands`. Errors are values that print themselves.
//!
//! The way: `node` makes a tree of the text in which every value keeps its place; `settings` and `matrices` walk it with
//! the small readers of `reader`, which report a defect and go on, so that one run names them all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::{AgentClass, Millis, Shift};
use crate::plan::Plan;

mod bounds;
mod contacts;
pub mod diagnostics;
mod group;
mod hours;
mod ics;
pub mod layout;
mod lint;
mod load;
mod matrices;
pub mod matrix_test;
mod node;
mod outside;
mod ranges;
mod reader;
mod rota;
mod row;
mod same_case;
pub mod schema;
mod scopes;
mod settings;
pub mod template;
mod texts;
mod webhooks;

pub use crate::notice::hooks::Format as WebhookFormat;
pub use diagnostics::{Diagnostic, Severity};
pub use load::{Calendars, DEFAULTS, PREFIX, ReadFile, Whose, load, load_despite_defects, load_with};
pub use matrices::{MatrixSet, hash, matrices, matrices_alone};
pub use reader::{did_you_mean, not_utf8};
pub use settings::text_hash;
pub use webhooks::{Webhook, is_forbidden};

/// The whole configuration, validated, every default filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// Settings that decide what is counted, before the matrices add their windows and thresholds.
    pub plan: Plan,
    pub language: crate::matrix::Language,
    pub agent_states: BTreeMap<String, AgentClass>,
    pub max_lag: Millis,
    /// Of the configuration and of its calendars.
    pub holidays: Arc<BTreeSet<jiff::civil::Date>>,
    /// Path and text's hash of each calendar that was read.
    pub calendars: Vec<(String, String)>,
    pub kafka: Kafka,
    pub sources: Vec<Source>,
    /// Files and folders of matrices.
    pub matrices: Vec<String>,
    pub owner: Option<crate::matrix::Contact>,
    pub smtp: Option<Smtp>,
    pub webhooks: BTreeMap<String, Webhook>,
    pub http: Http,
    /// What is not wrong and worth saying.
    pub warnings: Vec<Diagnostic>,
    pub unknown: Unknown,
}

/// What the defects of a configuration leave unknown, so that no matrix is blamed for it. One without defects leaves nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// Which webhooks there are, and whether there is an owner.
    pub names: bool,
    /// What holds in a channel: thresholds, and how long somebody waits.
    pub channels: bool,
}

impl Config {
    /// The format of each webhook.
    pub fn formats(&self) -> crate::notice::hooks::Formats {
        self.webhooks.iter().map(|(name, webhook)| (name.as_str().into(), webhook.format)).collect()
    }
}

#[derive(Clone, Debug)]
pub struct Kafka {
    pub brokers: Vec<String>,
    pub group: String,
    pub instance: Option<String>,
    /// librdkafka's own properties, given to every client; values may be secret.
    pub properties: BTreeMap<String, Secret>,
    pub dead_letters: String,
    /// The topic of states that outlive the process.
    pub snapshots: String,
    /// The topics of the logs.
    pub deltas: String,
    pub decisions: String,
    pub operations: String,
    /// On how many threads records are decoded and counted; at least 1.
    pub threads: usize,
}

impl Default for Kafka {
    fn default() -> Self {
        Kafka {
            brokers: Vec::new(),
            group: "atalaya".to_owned(),
            instance: None,
            properties: BTreeMap::new(),
            dead_letters: "atalaya.dead-letters".to_owned(),
            snapshots: "atalaya.snapshots".to_owned(),
            deltas: "atalaya.deltas".to_owned(),
            decisions: "atalaya.decisions".to_owned(),
            operations: "atalaya.operations".to_owned(),
            threads: 1,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Source {
    pub topic: String,
    pub format: crate::wire::Format,
    pub silent_after: Option<Millis>,
    /// When silence is death, in the site's zone; without hours, always.
    pub hours: Option<Vec<Shift>>,
}

#[derive(Clone, Debug)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// As in a `From:` header.
    pub from: String,
    /// PEM file of an additional certificate authority.
    pub ca_file: Option<String>,
}

/// Always stated, never guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    Starttls,
    Implicit,
    None,
}

#[derive(Clone, Debug)]
pub struct Http {
    pub listen: String,
    pub public_url: Option<String>,
    /// Of the links and codes in mails; without it each start makes its own.
    pub secret: Option<Secret>,
}

/// Text that prints as `[secret]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    pub fn new(text: &str) -> Self {
        Secret(text.into())
    }
    /// The text itself: only for the client that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

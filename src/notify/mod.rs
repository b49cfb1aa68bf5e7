//! The way out: complete messages travel by SMTP and HTTP, and what became of each comes back.
//!
//! * Every destination (a mail address, a webhook) is a **lane**: its notices go one after the other, and wait for
//!   nobody else's. One dead recipient holds up no other.
//! * What is refused for good (SMTP 5yz, HTTP 3xx and 4xx but 429) is not tried again; anything else is, first within
//!   15 s, then ever more seldom up to 5 minutes, for 6 hours.
//! * A notice more than 5 minutes late goes marked so, and only the newest of its incident goes; the mail of a gathering
//!   goes too unless a newer one tells of every incident that it tells of.
//! * A critical that is refused, or has been tried for 5 minutes, is reported once as [`Undeliverable`], so that the
//!   service can tell the next step and the owner ([`crate::notice::render_missed`]); it is tried further all the same.
//! * The outbox is bounded ([`Limit`]): nothing is lost below 100,000 notices and 512 MiB, which is twice what 10,000 cases
//!   say to three recipients at once. Beyond, the least important goes, and of these the oldest: information, then warnings,
//!   recoveries, criticals. Those who are told in the place of others have a tenth of the bounds besides, and never take
//!   the place of anything else. Of criticals dropped so one report for each matrix, every five minutes at most, says how
//!   many there were: a stand-in for each would only fill it further.
//!
//! Alerts that an Alertmanager has been told of are told again while they are open ([`Notifier::keep_firing`]); that is no
//! notice, has no lane and is not tried again but at the next round.
//!
//! Delivery is at least once, with ids that stay the same. Nothing is rendered here and nothing is kept across a
//! restart: what was decided is the decisions log's to remember.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::config;
use crate::matrix::engine::Notification;
use crate::notice::hooks::alertmanager::Firing;
use crate::notice::{self, Message};

pub mod alertmanager;
mod answer;
mod book;
mod carriers;
mod counters;
mod health;
mod lane;
pub mod mailbox;
mod parcel;
mod resolver;
pub mod signature;
mod smtp;
#[cfg(test)]
mod tests;
mod webhook;

pub use counters::{Counted, Counters};
pub use lane::{At, Carrier, Failure, Retry, Sending};
pub use parcel::Parcel;

/// Every length of time of the way out. The defaults are the documented ones; tests shorten them.
#[derive(Clone, Debug)]
pub struct Timing {
    /// No network step (connect, TLS, AUTH, each SMTP command, an HTTP exchange) takes longer.
    pub step: Duration,
    pub first_retry: Duration,
    pub retry_max: Duration,
    pub give_up: Duration,
    /// From here on a notice is late.
    pub late: Duration,
    /// A critical that has been tried for so long is undeliverable.
    pub critical: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Timing {
            step: Duration::from_secs(15),
            first_retry: Duration::from_secs(5),
            retry_max: 5 * minute,
            give_up: 6 * 60 * minute,
            late: 5 * minute,
            critical: 5 * minute,
        }
    }
}

/// Where notices go and within what bounds.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub smtp: Option<config::Smtp>,
    pub webhooks: BTreeMap<String, config::Webhook>,
    pub timing: Timing,
    pub limit: Limit,
}

/// The most that the outbox holds. A tenth more is for those who are told in the place of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub notices: usize,
    /// Bytes in memory, nearly. A mail has some 10 kB: its words as text and as HTML, each also as they are when it is
    /// late, and the values of its trend. The picture is drawn when it is sent.
    pub bytes: usize,
}

impl Default for Limit {
    fn default() -> Self {
        Limit { notices: 100_000, bytes: 512 << 20 }
    }
}

/// Why the way out cannot be built: defects of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    #[error("smtp.from is `{from}`, which is no mail address ({why}). Write it as `Atalaya <atalaya@example.org>`.")]
    From { from: String, why: String },
    #[error(
        "smtp.ca_file {path} cannot be used: {why}. Name a readable PEM file of certificates, or leave the key out to use the system's."
    )]
    CaFile { path: String, why: String },
    #[error("the TLS settings for the mail server {host} cannot be made: {why}. Check `smtp.url` and `smtp.ca_file`.")]
    Tls { host: String, why: String },
    #[error("smtp has a user but no password (or the reverse). Give both, or neither.")]
    Credentials,
    #[error(
        "the secret of webhook `{webhook}` is not `whsec_` followed by base64. Write it so into its `secret_file`, or leave the key out to send unsigned."
    )]
    Secret { webhook: String },
    #[error(
        "the url of webhook `{webhook}` is no http or https address ({why}). Write it in full, as `https://example.org/hook`."
    )]
    Url { webhook: String, why: String },
    #[error(
        "the HTTP client of the webhooks cannot be made: {why}. Webhooks over https need the system's certificates (the package ca-certificates)."
    )]
    Client { why: String },
    #[error(
        "webhook `{webhook}` has no secret that can be used. Write it into a file and name that as its `secret_file`."
    )]
    NoSecret { webhook: String },
    #[error(
        "the `ca_file` {path} of webhook `{webhook}` cannot be used: {why}. Name a readable PEM file of certificates, or leave the key out to use the system's."
    )]
    HookCaFile { webhook: String, path: String, why: String },
    #[error(
        "the `proxy` of webhook `{webhook}` is no http address, or a link-local one. Write it as `http://proxy.example.org:3128`."
    )]
    Proxy { webhook: String },
}

/// What became of an attempt at a notice.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub id: Arc<str>,
    pub notification: Notification,
    pub result: Fate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Sent {
        late: bool,
    },
    /// It failed and is tried again after `next`.
    Retrying {
        why: String,
        next: Duration,
    },
    /// It will never be taken.
    Refused {
        why: String,
    },
    /// It has been tried for too long.
    GaveUp {
        why: String,
    },
    /// A newer notice of its incident went instead, as it was late.
    Superseded,
    /// The outbox was full.
    Dropped,
}

/// A critical that could not be delivered: somebody else must be told at once.
#[derive(Clone, Debug)]
pub struct Undeliverable {
    pub notification: Notification,
    pub why: String,
}

/// What comes back, until somebody takes it.
struct Receivers {
    outcomes: Option<mpsc::UnboundedReceiver<Outcome>>,
    undeliverable: Option<mpsc::Receiver<Undeliverable>>,
}

/// The outbox and its lanes. Cheap to clone.
#[derive(Clone)]
pub struct Notifier {
    office: Arc<lane::Office>,
    /// The real ones; a test's carrier tells no alerts again.
    carriers: Option<Arc<carriers::Carriers>>,
    receivers: Arc<Mutex<Receivers>>,
    refusing: Arc<AtomicBool>,
}

impl Notifier {
    /// Checks the settings and starts. Must be called within a tokio runtime; opens no connection yet.
    pub fn new(settings: Settings) -> Result<Self, NotifyError> {
        let carriers = Arc::new(carriers::Carriers::new(&settings)?);
        let from = settings.smtp.as_ref().map(parcel::sender).transpose()?;
        let notifier = Self::with_carrier(carriers.clone(), from, settings.timing, settings.limit);
        Ok(Notifier { carriers: Some(carriers), ..notifier })
    }

    /// The same with another way of travelling: tests, and media to come.
    pub fn with_carrier(
        carrier: Arc<dyn Carrier>,
        from: Option<lettre::message::Mailbox>,
        timing: Timing,
        limit: Limit,
    ) -> Self {
        let (office, outcomes, undeliverable) = lane::Office::open(carrier, from, timing, limit);
        Notifier {
            office,
            carriers: None,
            receivers: Arc::new(Mutex::new(Receivers { outcomes: Some(outcomes), undeliverable: Some(undeliverable) })),
            refusing: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Takes a message for delivery. Never waits.
    pub fn enqueue(&self, message: Message) {
        if self.refusing.load(Ordering::Relaxed) {
            self.office.drop_message(message);
        } else {
            if let (Some(carriers), notice::Body::Webhook(hook)) = (&self.carriers, &message.body) {
                carriers.webhooks.strike(&hook.name, &message.notification.incident);
            }
            self.office.take(message);
        }
    }

    /// Tries a message once, without a place in the outbox: what comes of it is returned and nowhere noted.
    pub async fn attempt(&self, message: Message) -> Result<(), Failure> {
        self.office.attempt(message).await
    }

    /// Tells an Alertmanager anew of alerts that are open. Never waits; a round that has not been sent yet is forgotten.
    pub fn keep_firing(&self, webhook: &str, alerts: Vec<Firing>) {
        let Some(carriers) = self.carriers.clone().filter(|_| !self.refusing.load(Ordering::Relaxed)) else { return };
        carriers.webhooks.put_round(webhook, alerts);
        let (webhook, office) = (webhook.to_owned(), self.office.clone());
        tokio::spawn(async move {
            let place = format!("webhook {webhook}");
            match carriers.webhooks.send_round(&webhook).await {
                Ok(()) => office.health.well(&place),
                Err(failure) => {
                    tracing::warn!(webhook, why = failure.why, "open alerts were not told again");
                    office.health.fail(&place, &failure.why);
                }
            }
        });
    }

    /// What becomes of the notices. The first caller gets it.
    pub fn outcomes(&self) -> Option<mpsc::UnboundedReceiver<Outcome>> {
        self.receivers.lock().unwrap_or_else(PoisonError::into_inner).outcomes.take()
    }

    /// Criticals that somebody else must be told of. The first caller gets it.
    pub fn undeliverable(&self) -> Option<mpsc::Receiver<Undeliverable>> {
        self.receivers.lock().unwrap_or_else(PoisonError::into_inner).undeliverable.take()
    }

    /// How many notices wait or are under way.
    pub fn depth(&self) -> usize {
        self.office.depth()
    }

    /// Forgets what waits: somebody else sends it. What is under way is finished.
    pub fn forget(&self) {
        self.office.forget();
    }

    /// How many bytes they hold in memory, nearly.
    pub fn bytes(&self) -> usize {
        self.office.bytes()
    }

    /// That the outbox is full, and one reason for each server, recipient or webhook whose last attempt failed.
    pub fn health(&self) -> Vec<String> {
        self.office.health.reasons()
    }

    pub fn counters(&self) -> &Counters {
        &self.office.counters
    }

    /// Takes no more, tries what waits once more at once, and returns how many are left after `deadline`.
    pub async fn drain(&self, deadline: Duration) -> usize {
        self.refusing.store(true, Ordering::Relaxed);
        let left = self.office.drain(deadline).await;
        if left > 0 {
            tracing::warn!(left, "notices were not delivered before the end");
        }
        left
    }
}

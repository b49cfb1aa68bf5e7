//! A mail server and a webhook receiver on loopback that keep what they get in memory: the demo's mailbox, and the
//! other end of tests. It relays nothing, knows no users and speaks no TLS; it is not for a network.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Secret;
use crate::domain::Timestamp;

mod hooks;
mod smtp;

pub use hooks::Signed;

/// How many mails and webhooks are kept; the oldest goes first.
pub const KEPT: usize = 200;

/// What came in, as the page shows it: `kind` is `email` or `webhook`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Received {
    Email(Box<ReceivedMail>),
    Webhook(Box<ReceivedHook>),
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct ReceivedMail {
    /// Counts everything received from 1.
    pub number: u64,
    pub received: Timestamp,
    /// Of the envelope.
    pub sender: String,
    pub recipients: Vec<String>,
    /// Of the headers.
    pub from: String,
    pub to: String,
    pub subject: String,
    pub date: Option<String>,
    pub message_id: Option<String>,
    pub in_reply_to: Option<String>,
    pub references: Vec<String>,
    pub list_id: Option<String>,
    pub auto_submitted: Option<String>,
    pub text: String,
    pub html: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct ReceivedHook {
    pub number: u64,
    pub received: Timestamp,
    pub path: String,
    pub webhook_id: Option<String>,
    pub webhook_timestamp: Option<String>,
    pub signature: Signed,
    pub body: serde_json::Value,
}

/// The running receivers. They end when it is dropped.
pub struct Mailbox {
    shelf: Arc<Shelf>,
    smtp: SocketAddr,
    http: SocketAddr,
    tasks: [JoinHandle<()>; 2],
}

impl Mailbox {
    /// Listens on both addresses (port 0 is any free one). With a `secret`, signatures of webhooks are checked.
    pub async fn bind(smtp: SocketAddr, http: SocketAddr, secret: Option<Secret>) -> std::io::Result<Self> {
        let (mails, hooks) = (TcpListener::bind(smtp).await?, TcpListener::bind(http).await?);
        let (smtp, http) = (mails.local_addr()?, hooks.local_addr()?);
        let shelf = Arc::new(Shelf { kept: Mutex::default(), count: watch::channel(0).0 });
        let tasks =
            [tokio::spawn(smtp::serve(mails, shelf.clone())), tokio::spawn(hooks::serve(hooks, shelf.clone(), secret))];
        Ok(Mailbox { shelf, smtp, http, tasks })
    }

    pub fn smtp_addr(&self) -> SocketAddr {
        self.smtp
    }

    pub fn http_addr(&self) -> SocketAddr {
        self.http
    }

    /// What is kept, the newest first.
    pub fn received(&self) -> Vec<Received> {
        self.shelf.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }

    /// The mails kept, the oldest first.
    pub fn mails(&self) -> Vec<ReceivedMail> {
        let mail = |received: Received| match received {
            Received::Email(mail) => Some(*mail),
            Received::Webhook(_) => None,
        };
        self.received().into_iter().rev().filter_map(mail).collect()
    }

    /// The webhooks kept, the oldest first.
    pub fn hooks(&self) -> Vec<ReceivedHook> {
        let hook = |received: Received| match received {
            Received::Email(_) => None,
            Received::Webhook(hook) => Some(*hook),
        };
        self.received().into_iter().rev().filter_map(hook).collect()
    }

    /// How many have come in; changes when another does.
    pub fn count(&self) -> watch::Receiver<u64> {
        self.shelf.count.subscribe()
    }

    /// Waits until `count` have come in.
    pub async fn wait_for(&self, count: u64) {
        // The sender lives in the shelf that `self` holds, so this ends only when the count is reached.
        let _ = self.count().wait_for(|now| *now >= count).await;
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// What has come in.
#[derive(Debug)]
struct Shelf {
    kept: Mutex<VecDeque<Received>>,
    count: watch::Sender<u64>,
}

impl Shelf {
    fn put(&self, mut received: Received) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let next = *self.count.borrow() + 1;
        match &mut received {
            Received::Email(mail) => mail.number = next,
            Received::Webhook(hook) => hook.number = next,
        }
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(received);
        // Within the lock, so that two at once get two numbers.
        self.count.send_replace(next);
    }
}

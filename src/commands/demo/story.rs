//! What the terminal says: where to look, what will happen, and each alert as it comes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::floor;
use crate::clock;
use crate::commands::{Failure, say};
use crate::notify::mailbox::{Mailbox, Received, ReceivedHook, Signed};
use crate::sim::IncidentKind;

/// Where nobody reads the terminal any more, the board is still there.
fn print(text: impl std::fmt::Display) {
    let _ = say::line(text);
}

/// A line with the time of day before it, in the machine's own zone.
fn line(what: &str, text: &str) {
    let zone = jiff::tz::TimeZone::try_system().unwrap_or(jiff::tz::TimeZone::UTC);
    print(format_args!("{}  {what:<8}  {text}", clock::now().in_zone(&zone).strftime("%H:%M:%S")));
}

pub fn begin() {
    print(format_args!(
        "Atalaya's demo: a simulated contact centre, its broker, mail server and webhook receiver in this process."
    ));
    print("Ctrl-C ends it; nothing leaves this machine.\n");
}

pub fn history(events: u64) {
    line("history", &format!("{events} events of the last two hours sent to the broker; they are being read"));
}

/// Waits until the board is up, says so and lets the others know.
pub async fn tell_when_ready(address: SocketAddr, incident: Option<IncidentKind>, ready: watch::Sender<bool>) {
    let ip = if address.ip().is_unspecified() { [127, 0, 0, 1].into() } else { address.ip() };
    let board = SocketAddr::new(ip, address.port());
    let ready_url = format!("http://{board}/readyz");
    // Never through a proxy: it is this process that is asked.
    let Ok(client) = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build() else { return };
    while !client.get(&ready_url).send().await.is_ok_and(|answer| answer.status().is_success()) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    line("ready", &format!("the live board:  http://{board}"));
    if let Some(kind) = incident {
        print(format_args!(
            "          In {} s {}. It lasts {}",
            floor::CALM.as_seconds(),
            foretold(kind),
            floor::lasts(kind)
        ));
        print(format_args!(
            "          and comes back every {}. The alerts go by real SMTP and HTTP to the mailbox at the",
            floor::EVERY
        ));
        print("          bottom of the board, and are named here. Metrics and API: /metrics, /api/v1/alerts.");
    }
    let _ = ready.send(true);
    // The receiver may look only later.
    ready.closed().await;
}

fn foretold(kind: IncidentKind) -> &'static str {
    match kind {
        IncidentKind::Avalanche => {
            "an avalanche of complaints comes in on facebook: first who waits, then the\n          waits and the service level get worse; the first alert follows within half a minute"
        }
        IncidentKind::AgentsGone => {
            "half of the agents leave: what they had in hand waits anew, on every channel;\n          the first alert follows within a minute or two"
        }
        IncidentKind::StuckQueue => {
            "nobody is given anything out of (reclamos, facebook), though everybody works;\n          the first alert follows within some minutes"
        }
        IncidentKind::Silence => {
            "the feed falls silent: the board says so once the topics have been silent for\n          75 s, and everything comes at once when it is back"
        }
    }
}

pub fn incident(kind: IncidentKind) {
    line("incident", &format!("{} begins", kind.name()));
}

/// One line for each alert that arrives.
pub async fn tell_alerts(mailbox: Arc<Mailbox>) {
    let mut count = mailbox.count();
    let mut told = 0;
    while count.changed().await.is_ok() {
        let mut news: Vec<(u64, &str, String)> = Vec::new();
        for received in mailbox.received() {
            match received {
                Received::Email(mail) => {
                    news.push((mail.number, "mail", format!("{} <- {}", mail.recipients.join(", "), mail.subject)));
                }
                Received::Webhook(hook) => news.push((hook.number, "webhook", about(&hook))),
            }
        }
        news.retain(|(number, ..)| *number > told);
        news.sort_by_key(|(number, ..)| *number);
        for (number, what, text) in news {
            line(what, &text);
            told = number;
        }
    }
}

fn about(hook: &ReceivedHook) -> String {
    let field = |name: &str| hook.body.pointer(&format!("/data/{name}")).and_then(|value| value.as_str()).unwrap_or("");
    let signed = match hook.signature {
        Signed::Valid => "signature right",
        Signed::Invalid => "SIGNATURE WRONG",
        Signed::Unchecked => "not signed",
    };
    let place: Vec<&str> = ["queue", "channel", "indicator"].map(field).into_iter().filter(|f| !f.is_empty()).collect();
    format!("{} <- {} {}, {signed}", hook.path, field("level"), place.join(" "))
}

pub fn floor_stopped(failure: &Failure) {
    line("stopped", &format!("the simulated floor has ended: {failure}"));
}

pub fn stopping() {
    print("");
    line("stopping", "what is decided is sent, then it ends");
}

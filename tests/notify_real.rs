//! A mail through a real mail server: OpenSMTPD takes it by SMTP and puts it into a maildir, from which it is read back.
//!
//! TLS and AUTH are tested in `notify_tls.rs`.

#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atalaya::config::{Smtp, SmtpTls};
use atalaya::matrix::Language;
use atalaya::matrix::engine::Notification;
use atalaya::notice::{Context, Message, render};
use atalaya::notify::{Fate, Notifier, Outcome, Settings, Timing};
use atalaya::plan::Plan;
use atalaya::{domain, indicators, matrix, plan};
use support::mail::RealSmtp;

mod support;

#[path = "../src/notice/samples.rs"]
mod samples;

fn mail_to(to: &str, sequence: u32) -> Notification {
    let first = samples::critical(samples::matrix(Language::Es, "Mover agentes a {{ queue }}"));
    let now = atalaya::clock::now();
    let transition = matrix::engine::Transition { time: now, ..(*first.transition).clone() };
    let address = format!("{to}@acme.example").into();
    Notification { time: now, since: now, to: to.into(), address, sequence, transition: Arc::new(transition), ..first }
}

fn message(notification: &Notification) -> Message {
    render(notification, &Context::new(&Plan::default(), "acme.example"))
}

#[tokio::test]
async fn a_real_mail_server_takes_a_thread_and_refuses_a_stranger() {
    let Some(server) = RealSmtp::start(&["lead@acme.example"]) else { return };
    let smtp = Smtp {
        host: "127.0.0.1".to_owned(),
        port: server.port,
        tls: SmtpTls::None,
        user: None,
        password: None,
        from: "Atalaya <atalaya@acme.example>".to_owned(),
        ca_file: None,
    };
    let timing = Timing { first_retry: Duration::from_millis(200), ..Timing::default() };
    let notifier = Notifier::new(Settings { smtp: Some(smtp), timing, ..Settings::default() }).unwrap();
    let mut outcomes = notifier.outcomes().unwrap();
    let first = mail_to("lead", 1);
    let resolved = samples::resolved(&first);
    // The server may not be up yet when the first try comes: that is what retries are for.
    for notification in [&first, &resolved, &mail_to("stranger", 2)] {
        notifier.enqueue(message(notification));
    }
    let mut fates = BTreeMap::new();
    while fates.len() < 3 {
        let wait = tokio::time::timeout(Duration::from_secs(60), outcomes.recv()).await;
        let Outcome { notification, result, .. } =
            wait.unwrap_or_else(|_| panic!("no outcome: {}", server.log())).unwrap();
        if !matches!(result, Fate::Retrying { .. }) {
            fates.insert(notification.sequence, result);
        }
    }
    assert_eq!(
        (&fates[&1], &fates[&5]),
        (&Fate::Sent { late: false }, &Fate::Sent { late: false }),
        "{}",
        server.log()
    );
    let Fate::Refused { why } = &fates[&2] else { panic!("{fates:?}") };
    assert!(why.contains("refuses while naming the recipient: 5"), "{why}");

    // Taken is not delivered: the server's own queue puts the mails into the maildir.
    let delivered = async {
        while server.count() < 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let delivered = tokio::time::timeout(Duration::from_secs(30), delivered).await;
    assert!(delivered.is_ok(), "not in the maildir: {}", server.log());
    let mails = server.mails();
    let by_subject = |start: &str| mails.iter().find(|mail| mail.subject.starts_with(start)).unwrap();
    let (opening, end) = (by_subject("CRÍTICO · reclamos · facebook"), by_subject("RESUELTO · reclamos · facebook"));
    assert_eq!(end.in_reply_to.as_ref(), Some(&opening.id));
    assert_eq!(opening.references.first(), end.references.first(), "one root");
    assert!(!opening.references.is_empty());
    assert!(opening.text.starts_with("QUÉ HACER:"));
    assert!(opening.html.contains("Mover agentes a reclamos"));
}

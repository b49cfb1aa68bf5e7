//! Mails through a real mail server: Postfix takes them by SMTP, in the clear, by STARTTLS with a login, and by TLS with a
//! login, and puts them into a maildir, from which they are read back.

#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atalaya::config::{Secret, Smtp, SmtpTls};
use atalaya::matrix::Language;
use atalaya::matrix::engine::Notification;
use atalaya::notice::{Context, Message, render};
use atalaya::notify::{Fate, Notifier, Outcome, Settings, Timing};
use atalaya::plan::Plan;
use atalaya::{domain, indicators, matrix, plan};
use support::mail::{PASSWORD, RealSmtp, USER};

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

/// To a server that nothing is told but where it is.
fn plain(port: u16) -> Smtp {
    Smtp {
        host: "localhost".to_owned(),
        port,
        tls: SmtpTls::None,
        user: None,
        password: None,
        from: "Atalaya <atalaya@acme.example>".to_owned(),
        ca_file: None,
    }
}

/// What comes of a mail to the lead, one outcome after the other while this lives.
struct Sending {
    _notifier: Notifier,
    outcomes: tokio::sync::mpsc::UnboundedReceiver<Outcome>,
}

impl Sending {
    fn begin(smtp: &Smtp) -> Self {
        let timing = Timing { first_retry: Duration::from_millis(50), ..Timing::default() };
        let notifier = Notifier::new(Settings { smtp: Some(smtp.clone()), timing, ..Settings::default() }).unwrap();
        let outcomes = notifier.outcomes().unwrap();
        notifier.enqueue(message(&mail_to("lead", 1)));
        Sending { _notifier: notifier, outcomes }
    }

    async fn next(&mut self) -> Fate {
        tokio::time::timeout(Duration::from_secs(60), self.outcomes.recv()).await.unwrap().unwrap().result
    }

    /// Why it is refused for good.
    async fn refused(&mut self) -> String {
        match self.next().await {
            Fate::Refused { why } => why,
            other => panic!("{other:?}"),
        }
    }

    /// Why it is tried again.
    async fn retried(&mut self) -> String {
        match self.next().await {
            Fate::Retrying { why, .. } => why,
            other => panic!("{other:?}"),
        }
    }
}

/// Taken is not delivered: the server's own queue puts the mails into the maildir.
async fn delivered(server: &RealSmtp, mails: usize) {
    let all = async {
        while server.count() < mails {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let all = tokio::time::timeout(Duration::from_secs(30), all).await;
    assert!(all.is_ok(), "not in the maildir: {}", server.log());
}

#[tokio::test]
async fn a_real_mail_server_takes_mails_encrypted_and_logged_in_or_none() {
    let Some(server) = RealSmtp::start(&["lead@acme.example"]) else { return };
    let ports = [(SmtpTls::Starttls, server.starttls), (SmtpTls::Implicit, server.implicit)];
    for (before, (tls, port)) in ports.into_iter().enumerate() {
        let (user, password) = (Some(USER.to_owned()), Some(Secret::new(PASSWORD)));
        let good = Smtp { tls, user, password, ca_file: Some(server.ca_file()), ..plain(port) };

        // A wrong password: the server's answer is final.
        let mut wrong = Sending::begin(&Smtp { password: Some(Secret::new("falsch")), ..good.clone() });
        let why = wrong.refused().await;
        assert!(why.contains("refuses while logging in: 535") && why.contains("check smtp.user"), "{why}");

        // No trust in who signed the certificate: an error on the way, tried again.
        let mut distrustful = Sending::begin(&Smtp { ca_file: None, ..good.clone() });
        for _ in 0..3 {
            let why = distrustful.retried().await;
            assert!(why.contains("certificate") && why.contains("smtp.ca_file"), "{why}");
        }
        // By now the wrong password would have been tried again as well.
        assert_eq!(server.log().matches("SASL PLAIN authentication failed").count(), 1 + before, "{}", server.log());
        assert!(wrong.outcomes.try_recv().is_err());

        let mut nobody = Sending::begin(&Smtp { user: None, password: None, ..good.clone() });
        let why = nobody.refused().await;
        assert!(why.contains("554"), "{why}");
        // The server logs a client for every mail that one begins to hand over.
        assert_eq!(server.log().matches(": client=").count(), before, "{}", server.log());

        assert_eq!(Sending::begin(&good).next().await, Fate::Sent { late: false }, "{}", server.log());
        delivered(&server, before + 1).await;
    }
    // The server says of each how it got it.
    for raw in server.raw() {
        let raw = String::from_utf8(raw).unwrap();
        let (how, _) = raw.split_once("\nFrom: ").unwrap();
        for part in ["(using TLSv1.3 with cipher ", "(Authenticated sender: atalaya@acme.example)", "with ESMTPSA id "]
        {
            assert!(how.contains(part), "{how}");
        }
    }
    assert!(server.mails().iter().all(|mail| mail.to == "lead@acme.example" && mail.html.contains("reclamos")));
}

#[tokio::test]
async fn a_configuration_that_is_not_what_the_port_speaks_sends_nothing() {
    let Some(server) = RealSmtp::start(&["lead@acme.example"]) else { return };
    let user = |smtp| Smtp { user: Some(USER.to_owned()), password: Some(Secret::new(PASSWORD)), ..smtp };
    let tls = |tls, smtp| Smtp { tls, ca_file: Some(server.ca_file()), ..smtp };
    // Never in the clear instead, neither the mail nor the password.
    let why = Sending::begin(&tls(SmtpTls::Starttls, user(plain(server.port)))).retried().await;
    assert!(why.contains("the configuration asks for tls: starttls"), "{why}");
    let why = Sending::begin(&user(plain(server.starttls))).retried().await;
    assert!(why.contains("the server offers no login"), "{why}");
    let why = Sending::begin(&plain(server.starttls)).refused().await;
    assert!(why.contains("530"), "{why}");
    let why = Sending::begin(&tls(SmtpTls::Implicit, user(plain(server.starttls)))).retried().await;
    assert!(why.contains("check that smtp.tls"), "{why}");
    assert!(server.count() == 0 && !server.log().contains(": client="), "{}", server.log());
}

#[tokio::test]
async fn a_real_mail_server_takes_a_thread_and_refuses_a_stranger() {
    let Some(server) = RealSmtp::start(&["lead@acme.example"]) else { return };
    let notifier = Notifier::new(Settings { smtp: Some(plain(server.port)), ..Settings::default() }).unwrap();
    let mut outcomes = notifier.outcomes().unwrap();
    let first = mail_to("lead", 1);
    let resolved = samples::resolved(&first);
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

    delivered(&server, 2).await;
    let mails = server.mails();
    let by_subject = |start: &str| mails.iter().find(|mail| mail.subject.starts_with(start)).unwrap();
    let (opening, end) = (by_subject("CRÍTICO · reclamos · facebook"), by_subject("RESUELTO · reclamos · facebook"));
    assert_eq!(end.in_reply_to.as_ref(), Some(&opening.id));
    assert_eq!(opening.references.first(), end.references.first(), "one root");
    assert!(!opening.references.is_empty());
    assert!(opening.text.starts_with("QUÉ HACER:"));
    assert!(opening.html.contains("Mover agentes a reclamos"));
}

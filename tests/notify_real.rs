//! A mail through a real mail server: OpenSMTPD takes it by SMTP and puts it into a maildir, from which it is read back.
//!
//! OpenSMTPD's spool and socket have fixed paths, so it runs in mount and process namespaces of its own, where they are
//! folders of this test; that needs root. It listens without TLS: the version of Debian 12 cannot use its private key
//! with OpenSSL 3. TLS and AUTH are tested in `notify_tls.rs`.
//!
//! Where a component is missing the test says so and passes; where `CI` is `true` it fails instead.

#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use atalaya::config::{Smtp, SmtpTls};
use atalaya::matrix::Language;
use atalaya::matrix::engine::Notification;
use atalaya::notice::{Context, Message, render};
use atalaya::notify::{Fate, Notifier, Outcome, Settings, Timing};
use atalaya::plan::Plan;
use atalaya::{domain, indicators, matrix, plan};
use mail_parser::MessageParser;

#[path = "../src/notice/samples.rs"]
mod samples;

const SMTPD: &str = "/usr/sbin/smtpd";

/// Says why nothing is tested here; fails where every component must be present.
#[expect(clippy::disallowed_methods, reason = "a test learns from its environment whether it may be skipped")]
fn skip(why: &str) {
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI must not skip this: {why}");
    eprintln!("skipped: {why}");
}

/// Ends the server with everything that it started.
struct Server {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start() -> Result<Self, String> {
        if !Path::new(SMTPD).exists() {
            return Err(format!("no {SMTPD}; install the package opensmtpd"));
        }
        let separate = ["-m", "-p", "--fork", "--kill-child"];
        let tried = Command::new("unshare").args(separate).arg("true").stderr(Stdio::null()).status();
        if !tried.is_ok_and(|status| status.success()) {
            return Err("no mount and process namespaces of its own; run as root".to_owned());
        }
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let at = folder.path();
        let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o711));
        open(at).map_err(|error| error.to_string())?;
        for part in ["spool", "run", "mail"] {
            fs::create_dir(at.join(part)).and_then(|()| open(&at.join(part))).map_err(|error| error.to_string())?;
        }
        let mail = at.join("mail");
        let owned = Command::new("chown").arg("nobody").arg(&mail).status();
        if !owned.is_ok_and(|status| status.success()) {
            return Err("folders cannot be given to the user nobody; run as root".to_owned());
        }
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.map_err(|error| error.to_string())?.port();
        let settings = format!(
            "table people {{ \"lead@acme.example\" = \"nobody\" }}\n\
             listen on 127.0.0.1 port {port}\n\
             action \"keep\" maildir \"{}\" virtual <people>\n\
             match from any for any action \"keep\"\n",
            mail.display()
        );
        fs::write(at.join("smtpd.conf"), settings).map_err(|error| error.to_string())?;
        let script = format!(
            "mount --make-rprivate / && mount --bind {0}/spool /var/spool && mount --bind {0}/run /run && \
             exec {SMTPD} -d -F -f {0}/smtpd.conf",
            at.display()
        );
        let log = fs::File::create(at.join("log")).map_err(|error| error.to_string())?;
        let child = Command::new("unshare")
            .args(separate)
            .args(["sh", "-ec", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| error.to_string())?;
        Ok(Server { child, port, folder })
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn mails(&self) -> Vec<PathBuf> {
        let Ok(new) = fs::read_dir(self.folder.path().join("mail/new")) else { return Vec::new() };
        new.flatten().map(|entry| entry.path()).collect()
    }
}

fn mail_to(to: &str, sequence: u32) -> Notification {
    let first = samples::critical(samples::matrix(Language::Es, "Mover agentes a {{ queue }}"));
    let now = atalaya::clock::now();
    let transition = matrix::engine::Transition { time: now, ..(*first.transition).clone() };
    let address = format!("{to}@acme.example").into();
    Notification { time: now, since: now, to: to.into(), address, sequence, transition: Arc::new(transition), ..first }
}

fn message(notification: &Notification) -> Message {
    render(notification, &Context { plan: &Plan::default(), domain: "acme.example", board: None, restarted: false })
}

#[tokio::test]
async fn a_real_mail_server_takes_a_thread_and_refuses_a_stranger() {
    let server = match Server::start() {
        Ok(server) => server,
        Err(why) => return skip(&why),
    };
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
        while server.mails().len() < 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let delivered = tokio::time::timeout(Duration::from_secs(30), delivered).await;
    assert!(delivered.is_ok(), "not in the maildir: {}", server.log());
    let raw: Vec<Vec<u8>> = server.mails().iter().map(|path| fs::read(path).unwrap()).collect();
    let mails: Vec<_> = raw.iter().map(|raw| MessageParser::default().parse(raw).unwrap()).collect();
    let by_subject = |start: &str| mails.iter().find(|mail| mail.subject().unwrap_or("").starts_with(start)).unwrap();
    let (opening, end) = (by_subject("CRÍTICO · reclamos · facebook"), by_subject("RESUELTO · reclamos · facebook"));
    assert_eq!(end.in_reply_to().as_text(), opening.message_id());
    let references = end.references().as_text_list().unwrap();
    assert_eq!(opening.references().as_text(), references.first().map(|root| root.as_ref()), "one root");
    assert!(opening.body_text(0).unwrap().starts_with("QUÉ HACER:"));
    assert!(opening.body_html(0).unwrap().contains("Mover agentes a reclamos"));
}

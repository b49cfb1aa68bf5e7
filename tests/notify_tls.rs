//! STARTTLS, implicit TLS, AUTH and https: real handshakes with certificates that are made here, against small servers.
//! A real mail server is in `notify_real.rs`.

#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use atalaya::config::{Secret, Smtp, SmtpTls, Webhook, WebhookFormat};
use atalaya::matrix::engine::Notification;
use atalaya::matrix::{Language, Medium};
use atalaya::notice::{Context, render};
use atalaya::notify::{Fate, Notifier, Settings, Timing};
use atalaya::plan::Plan;
use atalaya::{domain, indicators, matrix, plan};
use base64::Engine as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use support::certificates::certificates;

mod support;

#[allow(dead_code, reason = "one of its notifications is enough here")]
#[path = "../src/notice/samples.rs"]
mod samples;

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn server_config(folder: &Path) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(folder.join("cert.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(versions.with_no_client_auth().with_single_cert(chain, key).unwrap())
}

/// A server for one connection after the other. Each mail it takes is told with the user who logged in.
fn serve(folder: &Path, implicit: bool) -> (SocketAddr, Receiver<(String, String)>) {
    let tls = server_config(folder);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (told, mails) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let wrap = |stream| StreamOwned::new(ServerConnection::new(tls.clone()).unwrap(), stream);
            if implicit {
                let _ = session(&mut BufReader::new(wrap(stream)), true, true, &told);
            } else {
                let mut plain = BufReader::new(stream);
                if session(&mut plain, true, false, &told).is_some_and(|upgrade| upgrade) {
                    let _ = session(&mut BufReader::new(wrap(plain.into_inner())), false, true, &told);
                }
            }
        }
    });
    (addr, mails)
}

/// Until the end of the connection, or until STARTTLS (`Some(true)`).
fn session<S: Stream>(
    stream: &mut BufReader<S>,
    greet: bool,
    encrypted: bool,
    told: &Sender<(String, String)>,
) -> Option<bool> {
    let mut user = String::new();
    let say = |stream: &mut BufReader<S>, text: &str| stream.get_mut().write_all(text.as_bytes()).ok();
    if greet {
        say(stream, "220 ready\r\n")?;
    }
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return Some(false);
        }
        let line = line.trim_end();
        match line.split([' ', ':']).next().unwrap_or("") {
            "EHLO" if encrypted => say(stream, "250-here\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n")?,
            "EHLO" => say(stream, "250-here\r\n250 STARTTLS\r\n")?,
            "STARTTLS" if !encrypted => {
                say(stream, "220 go on\r\n")?;
                return Some(true);
            }
            "AUTH" => {
                let given = base64::engine::general_purpose::STANDARD.decode(line.rsplit(' ').next()?).ok()?;
                if given == b"\0atalaya\0geheim" {
                    user = "atalaya".to_owned();
                    say(stream, "235 welcome\r\n")?
                } else {
                    say(stream, "535 wrong password\r\n")?
                }
            }
            "MAIL" if user.is_empty() => say(stream, "530 log in first\r\n")?,
            "DATA" => {
                say(stream, "354 go on\r\n")?;
                let mut mail = String::new();
                while !mail.ends_with("\r\n.\r\n") {
                    stream.read_line(&mut mail).ok()?;
                }
                told.send((user.clone(), mail)).ok()?;
                say(stream, "250 taken\r\n")?
            }
            "QUIT" => {
                say(stream, "221 bye\r\n")?;
                return Some(false);
            }
            _ => say(stream, "250 ok\r\n")?,
        }
    }
}

async fn first_fate(smtp: Smtp) -> Fate {
    let first = samples::critical(samples::matrix(Language::Es, "Actuar"));
    fate_of(Settings { smtp: Some(smtp), ..Settings::default() }, first).await
}

async fn fate_of(settings: Settings, notification: Notification) -> Fate {
    let timing = Timing { step: Duration::from_secs(5), ..Timing::default() };
    let notifier = Notifier::new(Settings { timing, ..settings }).unwrap();
    let mut outcomes = notifier.outcomes().unwrap();
    let notification = Notification { time: atalaya::clock::now(), ..notification };
    notifier.enqueue(render(&notification, &Context::new(&Plan::default(), "acme.example")));
    tokio::time::timeout(Duration::from_secs(20), outcomes.recv()).await.unwrap().unwrap().result
}

/// A server for one request after the other, by https; each is answered 204.
fn serve_https(folder: &Path) -> SocketAddr {
    let tls = server_config(folder);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = StreamOwned::new(ServerConnection::new(tls.clone()).unwrap(), stream);
            // A client that does not trust us hangs up here.
            if matches!(stream.read(&mut [0; 8192]), Ok(1..)) {
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    addr
}

#[tokio::test]
async fn a_webhook_trusts_its_own_authority_and_nobody_unknown() {
    let folder = tempfile::tempdir().unwrap();
    if !certificates(folder.path()) {
        return support::skip("the command openssl cannot make certificates; install the package openssl");
    }
    let port = serve_https(folder.path()).port();
    let first = samples::critical(samples::matrix(Language::Es, "Actuar"));
    let first = Notification { medium: Medium::Webhook, address: "desk".into(), ..first };
    let fate = async |host: &str, ca_file: Option<String>| {
        let webhook =
            Webhook { ca_file, ..Webhook::new(WebhookFormat::Generic, &format!("https://{host}:{port}/hook")) };
        let webhooks = [("desk".to_owned(), webhook)].into();
        fate_of(Settings { webhooks, ..Settings::default() }, first.clone()).await
    };
    let own = Some(folder.path().join("ca.pem").display().to_string());
    assert_eq!(fate("localhost", own.clone()).await, Fate::Sent { late: false });
    for (host, ca_file) in [("localhost", None), ("127.0.0.1", own)] {
        let Fate::Retrying { why, .. } = fate(host, ca_file).await else { panic!("{host}: a bad certificate") };
        assert!(why.contains("certificate") && why.contains("ca_file"), "{why}");
    }
}

#[tokio::test]
async fn mails_go_encrypted_and_logged_in_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    if !certificates(folder.path()) {
        return support::skip("the command openssl cannot make certificates; install the package openssl");
    }
    let ca_file = Some(folder.path().join("ca.pem").display().to_string());
    for (tls, implicit) in [(SmtpTls::Starttls, false), (SmtpTls::Implicit, true)] {
        let (addr, mails) = serve(folder.path(), implicit);
        let good = Smtp {
            host: "localhost".to_owned(),
            port: addr.port(),
            tls,
            user: Some("atalaya".to_owned()),
            password: Some(Secret::new("geheim")),
            from: "Atalaya <atalaya@acme.example>".to_owned(),
            ca_file: ca_file.clone(),
        };
        assert_eq!(first_fate(good.clone()).await, Fate::Sent { late: false }, "{tls:?}");
        let (user, mail) = mails.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!(user == "atalaya" && mail.contains("Auto-Submitted: auto-generated"), "{user} {mail}");

        let Fate::Refused { why } = first_fate(Smtp { password: Some(Secret::new("falsch")), ..good.clone() }).await
        else {
            panic!("a wrong password is refused for good")
        };
        assert!(why.contains("logging in: 535 wrong password; check smtp.user"), "{why}");

        // Not trusted, and trusted but for another name: nothing is sent in the clear instead.
        let stranger = Smtp { ca_file: None, ..good.clone() };
        let other_name = Smtp { host: "127.0.0.1".to_owned(), ..good };
        for bad in [stranger, other_name] {
            let Fate::Retrying { why, .. } = first_fate(bad).await else { panic!("{tls:?}: a bad certificate") };
            assert!(why.contains("certificate") && why.contains("smtp.ca_file"), "{why}");
        }
        assert!(mails.try_recv().is_err(), "{tls:?}");
    }
}

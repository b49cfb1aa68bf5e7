//! Mail and webhooks over real loopback connections: to the built-in mailbox, and to servers that misbehave.

#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atalaya::config::{Secret, Smtp, SmtpTls, Webhook, WebhookFormat};
use atalaya::matrix::engine::Notification;
use atalaya::matrix::{Language, Medium};
use atalaya::notice::{Context, Message, render};
use atalaya::notify::mailbox::{Mailbox, Signed};
use atalaya::notify::{Counted, Fate, Notifier, NotifyError, Outcome, Settings, Timing};
use atalaya::plan::Plan;
use atalaya::{domain, indicators, matrix, plan};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[path = "../src/notice/samples.rs"]
mod samples;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn smtp(addr: SocketAddr) -> Smtp {
    Smtp {
        host: addr.ip().to_string(),
        port: addr.port(),
        tls: SmtpTls::None,
        user: None,
        password: None,
        from: "Atalaya <atalaya@acme.example>".to_owned(),
        ca_file: None,
    }
}

fn webhook(url: String) -> BTreeMap<String, Webhook> {
    let webhook = Webhook { secret: Some(Secret::new(SECRET)), ..Webhook::new(WebhookFormat::Generic, &url) };
    BTreeMap::from([("wfm-desk".to_owned(), webhook)])
}

/// Short lengths of time, so that real sockets can be waited for.
fn timing() -> Timing {
    let ms = Duration::from_millis;
    Timing { step: ms(400), first_retry: ms(20), retry_max: ms(80), ..Timing::default() }
}

fn notifier(smtp: Option<Smtp>, webhooks: BTreeMap<String, Webhook>) -> Notifier {
    Notifier::new(Settings { smtp, webhooks, timing: timing(), ..Settings::default() }).unwrap()
}

fn mail_to(to: &str, sequence: u32) -> Notification {
    let first = samples::critical(samples::matrix(Language::Es, "Mover agentes a {{ queue }}"));
    let now = atalaya::clock::now();
    let mut transition = (*first.transition).clone();
    transition.time = now;
    Notification {
        time: now,
        since: now,
        to: to.into(),
        address: format!("{to}@acme.example").into(),
        sequence,
        transition: Arc::new(transition),
        ..first
    }
}

fn hook_to(sequence: u32) -> Notification {
    Notification { to: "desk".into(), medium: Medium::Webhook, address: "wfm-desk".into(), ..mail_to("desk", sequence) }
}

fn message(notification: &Notification) -> Message {
    let plan = Plan::default();
    render(notification, &Context::new(&plan, "acme.example"))
}

/// The outcome of each of `count` notices, without the retries between; the others are counted.
async fn fates(notifier: &Notifier, count: usize) -> Vec<(String, Fate)> {
    let mut outcomes = notifier.outcomes().unwrap();
    let mut fates = Vec::new();
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while fates.len() < count {
        let wait = tokio::time::timeout_at(end, outcomes.recv());
        let Outcome { notification, result, .. } = wait.await.expect("every outcome within 20 s").unwrap();
        if !matches!(result, Fate::Retrying { .. }) {
            fates.push((notification.to.to_string(), result));
        }
    }
    fates.sort_by(|a, b| a.0.cmp(&b.0));
    fates
}

const SENT: Fate = Fate::Sent { late: false };

#[tokio::test]
async fn a_mail_arrives_whole_and_threads() {
    let mailbox = Mailbox::bind(loopback(), loopback(), None).await.unwrap();
    let notifier = notifier(Some(smtp(mailbox.smtp_addr())), BTreeMap::new());
    let first = mail_to("lead", 1);
    let repeat = samples::repeat(&first);
    let resolved = samples::resolved(&first);
    for notification in [&first, &repeat, &resolved] {
        notifier.enqueue(message(notification));
    }
    mailbox.wait_for(3).await;
    let mails = mailbox.mails();
    let opening = &mails[0];
    assert_eq!(
        opening.subject,
        "CRÍTICO · reclamos · facebook · Velocidad de respuesta (ASA) 47 min (objetivo < 30 min)"
    );
    assert_eq!((opening.from.as_str(), opening.to.as_str()), ("Atalaya <atalaya@acme.example>", "lead@acme.example"));
    assert_eq!(opening.recipients, ["lead@acme.example"]);
    assert_eq!(opening.auto_submitted.as_deref(), Some("auto-generated"));
    assert_eq!(opening.list_id.as_deref(), Some("<facebook-care.atalaya.acme.example>"));
    assert!(opening.text.starts_with("QUÉ HACER:\r\nMover agentes a reclamos\r\n"), "{:?}", opening.text);
    assert!(opening.html.contains("Mover agentes a reclamos"));
    let date: jiff::Timestamp = opening.date.as_deref().unwrap().parse().unwrap();
    assert_eq!(date.as_second(), first.time.0.div_euclid(1000), "the date is the notification's");
    let root = &opening.references[0];
    let id = opening.message_id.as_ref().unwrap();
    for later in &mails[1..] {
        assert_eq!(later.references, [root.clone(), id.clone()]);
        assert_eq!(later.in_reply_to.as_ref(), Some(id));
    }
    assert_eq!(mails[1].subject, opening.subject);
    assert!(mails[2].subject.starts_with("RESUELTO · reclamos"));
    let json = serde_json::to_value(mailbox.received()).unwrap();
    assert_eq!((json[0]["kind"].as_str(), json[0]["number"].as_u64()), (Some("email"), Some(3)), "the newest first");
    assert_eq!(notifier.drain(Duration::from_secs(5)).await, 0);
    assert_eq!(notifier.counters().get(Medium::Email, Counted::Sent), 3);
}

#[tokio::test]
async fn a_webhook_arrives_signed() {
    let mailbox = Mailbox::bind(loopback(), loopback(), Some(Secret::new(SECRET))).await.unwrap();
    let notifier = notifier(None, webhook(format!("http://{}/hook", mailbox.http_addr())));
    let message = message(&hook_to(2));
    let id = message.id.to_string();
    notifier.enqueue(message);
    mailbox.wait_for(1).await;
    let hook = &mailbox.hooks()[0];
    assert_eq!(hook.signature, Signed::Valid);
    assert_eq!(hook.webhook_id.as_ref(), Some(&id));
    assert_eq!((hook.path.as_str(), hook.body["type"].as_str()), ("/hook", Some("alert")));
    assert_eq!(hook.body["data"]["level"], "critical");
    let sent: i64 = hook.webhook_timestamp.as_deref().unwrap().parse().unwrap();
    assert!((atalaya::clock::now().0 / 1000 - sent).abs() <= 5);
}

/// What a misbehaving mail server does: asked with the number of the connection (from 0) and what it just heard (the
/// empty string when the client has just connected, `.` at the end of a mail).
type Script = Arc<dyn Fn(usize, &str) -> Act + Send + Sync>;

enum Act {
    /// As a good server would.
    Well,
    Say(&'static str),
    /// Says it and closes.
    Bye(&'static str),
    Hang,
    Close,
}

#[derive(Default)]
struct Log {
    connections: usize,
    /// Recipients of the mails taken.
    taken: Vec<String>,
}

async fn server(script: impl Fn(usize, &str) -> Act + Send + Sync + 'static) -> (SocketAddr, Arc<Mutex<Log>>) {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let log = Arc::new(Mutex::new(Log::default()));
    let (script, kept): (Script, _) = (Arc::new(script), log.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let number = {
                let mut log = kept.lock().unwrap();
                log.connections += 1;
                log.connections - 1
            };
            tokio::spawn(session(stream, number, script.clone(), kept.clone()));
        }
    });
    (addr, log)
}

async fn session(stream: TcpStream, number: usize, script: Script, log: Arc<Mutex<Log>>) {
    let mut stream = BufReader::new(stream);
    let (mut heard, mut in_mail, mut recipient) = (String::new(), false, String::new());
    loop {
        let well = match heard.split([' ', ':']).next().unwrap_or("") {
            "" => "220 ready",
            "EHLO" => "250-here\r\n250 8BITMIME",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        let (text, close) = match script(number, &heard) {
            Act::Well => (well, heard == "QUIT"),
            Act::Say(text) => (text, false),
            Act::Bye(text) => (text, true),
            Act::Hang => return std::future::pending().await,
            Act::Close => return,
        };
        if heard.starts_with("RCPT") {
            recipient = heard.clone();
        } else if heard == "." && text.starts_with('2') {
            log.lock().unwrap().taken.push(recipient.clone());
        }
        in_mail = heard == "DATA" && text.starts_with('3') && !in_mail;
        if stream.write_all(format!("{text}\r\n").as_bytes()).await.is_err() || close {
            return;
        }
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            heard = line.trim_end().to_owned();
            if !in_mail || heard == "." {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_recipient_at_which_the_server_hangs_holds_up_no_other() {
    let (addr, log) = server(|_, heard| if heard.contains("dead@") { Act::Hang } else { Act::Well }).await;
    let notifier = notifier(Some(smtp(addr)), BTreeMap::new());
    let start = std::time::Duration::from_millis(u64::try_from(atalaya::clock::now().0).unwrap());
    notifier.enqueue(message(&mail_to("dead", 1)));
    for n in 2..=6 {
        notifier.enqueue(message(&mail_to(&format!("live{n}"), n)));
    }
    let fates = fates(&notifier, 5).await;
    let took = std::time::Duration::from_millis(u64::try_from(atalaya::clock::now().0).unwrap()) - start;
    assert!(fates.iter().all(|(_, fate)| *fate == SENT), "{fates:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(log.lock().unwrap().taken.len(), 5);
    assert_eq!(notifier.depth(), 1, "the dead one is tried further");
    // The step's deadline, not the server, ended the attempt.
    let retried = async {
        while notifier.counters().get(Medium::Email, Counted::Retried) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), retried).await.unwrap();
    assert!(
        notifier.health()[0].contains("did not answer within 0.4 s while naming the recipient"),
        "{:?}",
        notifier.health()
    );
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_meets_the_deadline() {
    let (addr, log) = server(|number, _| if number < 2 { Act::Hang } else { Act::Well }).await;
    let notifier = notifier(Some(smtp(addr)), BTreeMap::new());
    notifier.enqueue(message(&mail_to("lead", 1)));
    assert_eq!(fates(&notifier, 1).await, [("lead".to_owned(), SENT)]);
    assert_eq!(log.lock().unwrap().connections, 3);
    assert_eq!(notifier.counters().get(Medium::Email, Counted::Retried), 2);
    assert!(notifier.health().is_empty(), "{:?}", notifier.health());
}

#[tokio::test]
async fn temporary_refusals_are_tried_again_and_permanent_ones_are_not() {
    for (what, when, answer, hint) in [
        ("greeting", "", "554 no service", "connecting: 554 no service"),
        ("sender", "MAIL", "550 who are you", "naming the sender: 550 who are you; check smtp.from"),
        (
            "recipient",
            "RCPT",
            "550 5.1.1 no such user",
            "naming the recipient: 550 5.1.1 no such user; check the contact's",
        ),
        ("mail", ".", "552 too much", "handing over the mail: 552 too much"),
    ] {
        let (addr, log) = server(move |_, heard| match heard {
            "" if when.is_empty() => Act::Bye(answer),
            heard if !when.is_empty() && heard.starts_with(when) => Act::Say(answer),
            _ => Act::Well,
        })
        .await;
        let notifier = notifier(Some(smtp(addr)), BTreeMap::new());
        let mut undeliverable = notifier.undeliverable().unwrap();
        notifier.enqueue(message(&mail_to("lead", 1)));
        let fates = fates(&notifier, 1).await;
        let Fate::Refused { why } = &fates[0].1 else { panic!("{what}: {fates:?}") };
        assert!(why.contains(hint) && why.contains(&addr.to_string()), "{what}: {why}");
        assert_eq!(undeliverable.recv().await.unwrap().why, *why);
        assert_eq!(log.lock().unwrap().connections, 1, "{what}: not tried again");
        assert_eq!(notifier.health(), std::slice::from_ref(why));
    }
    for when in ["", "EHLO", "MAIL", "RCPT", "DATA", "."] {
        let answer = if when.is_empty() { "421 busy" } else { "451 later" };
        let (addr, log) = server(move |number, heard| match heard {
            "" if when.is_empty() && number == 0 => Act::Bye(answer),
            heard if !when.is_empty() && number == 0 && heard.starts_with(when) => Act::Say(answer),
            _ => Act::Well,
        })
        .await;
        let notifier = notifier(Some(smtp(addr)), BTreeMap::new());
        notifier.enqueue(message(&mail_to("lead", 1)));
        assert_eq!(fates(&notifier, 1).await, [("lead".to_owned(), SENT)], "at {when:?}");
        assert_eq!(log.lock().unwrap().taken.len(), 1);
    }
}

#[tokio::test]
async fn a_connection_cut_anywhere_loses_nothing() {
    for when in ["", "EHLO", "MAIL", "RCPT", "DATA", "."] {
        let cut = move |number: usize, heard: &str| {
            let here = if when.is_empty() { heard.is_empty() } else { heard.starts_with(when) };
            if number == 0 && here { Act::Close } else { Act::Well }
        };
        let (addr, log) = server(cut).await;
        let notifier = notifier(Some(smtp(addr)), BTreeMap::new());
        notifier.enqueue(message(&mail_to("lead", 1)));
        notifier.enqueue(message(&mail_to("manager", 2)));
        let fates = fates(&notifier, 2).await;
        assert!(fates.iter().all(|(_, fate)| *fate == SENT), "cut at {when:?}: {fates:?}");
        assert_eq!(log.lock().unwrap().taken.len(), 2, "cut at {when:?}");
    }
}

/// It took the mail and never said so: nobody can know, so the mail goes again, recognisably the same.
#[tokio::test]
async fn a_server_that_hangs_once_it_has_the_mail_gets_the_same_again() {
    for when in ["MAIL", "DATA", "."] {
        let hang = move |number: usize, heard: &str| match number == 0 && heard.starts_with(when) {
            true => Act::Hang,
            false => Act::Well,
        };
        let (addr, log) = server(hang).await;
        let notifier = notifier(Some(smtp(addr)), BTreeMap::new());
        notifier.enqueue(message(&mail_to("lead", 1)));
        assert_eq!(fates(&notifier, 1).await, [("lead".to_owned(), SENT)], "at {when}");
        let log = log.lock().unwrap();
        assert_eq!((log.connections, log.taken.len()), (2, 1), "at {when}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_died_is_replaced_at_once() {
    // The second mail on the first connection meets a server that has had enough of it, in four manners; in the last it
    // hung up as soon as it had the first mail.
    for manner in 0..4 {
        let mails = Arc::new(Mutex::new(0));
        let (addr, log) = server(move |number, heard| {
            let mut mails = mails.lock().unwrap();
            *mails += usize::from(heard.starts_with("MAIL"));
            match (number, heard.starts_with("MAIL") && *mails == 2, manner) {
                (0, true, 0) => Act::Close,
                (0, true, 1) => Act::Bye("421 idle for too long"),
                (0, true, 2) => Act::Hang,
                (0, false, 3) if heard == "." => Act::Bye("250 ok"),
                _ => Act::Well,
            }
        })
        .await;
        let notifier = notifier(Some(smtp(addr)), BTreeMap::new());
        let mut outcomes = notifier.outcomes().unwrap();
        for sequence in 1..=2 {
            notifier.enqueue(message(&mail_to("lead", sequence)));
            let outcome = tokio::time::timeout(Duration::from_secs(10), outcomes.recv()).await.unwrap().unwrap();
            assert_eq!(outcome.result, SENT, "manner {manner}: not even a retry");
        }
        let log = log.lock().unwrap();
        assert_eq!((log.connections, log.taken.len()), (2, 2), "manner {manner}");
    }
}

#[tokio::test]
async fn errors_say_what_where_and_what_to_do() {
    let nobody = TcpListener::bind(loopback()).await.unwrap().local_addr().unwrap();
    let (plain, _) = server(|_, _| Act::Well).await;
    for (settings, parts) in [
        (smtp(nobody), ["failed while connecting", "refused", "smtp.url"]),
        (Smtp { tls: SmtpTls::Starttls, ..smtp(plain) }, ["failed while starting TLS", "STARTTLS", "tls: starttls"]),
        (Smtp { tls: SmtpTls::Implicit, ..smtp(plain) }, ["failed while connecting", "", "smtp.tls"]),
        (
            Smtp { user: Some("u".into()), password: Some(Secret::new("geheim")), ..smtp(plain) },
            ["failed while logging in", "mechanism", "user and password"],
        ),
    ] {
        let notifier = notifier(Some(settings), BTreeMap::new());
        let mut outcomes = notifier.outcomes().unwrap();
        notifier.enqueue(message(&mail_to("lead", 1)));
        let outcome = tokio::time::timeout(Duration::from_secs(10), outcomes.recv()).await.unwrap().unwrap();
        let Fate::Retrying { why, .. } = outcome.result else { panic!("{:?}", outcome.result) };
        assert!(parts.iter().all(|part| why.contains(part)), "{why}");
        assert!(!why.contains('\n') && !why.contains("geheim"), "{why}");
        assert_eq!(notifier.health(), [why]);
    }
}

#[tokio::test]
async fn bad_settings_are_refused_at_the_start() {
    let addr = loopback();
    let make = |smtp: Option<Smtp>, webhooks| {
        Notifier::new(Settings { smtp, webhooks, timing: timing(), ..Settings::default() })
            .err()
            .map(|error| error.to_string())
    };
    let none = BTreeMap::new;
    let from = make(Some(Smtp { from: "nobody".into(), ..smtp(addr) }), none()).unwrap();
    assert!(from.contains("smtp.from is `nobody`"), "{from}");
    let missing = Smtp { tls: SmtpTls::Starttls, ca_file: Some("/nonexistent/ca.pem".into()), ..smtp(addr) };
    let missing = make(Some(missing), none()).unwrap();
    assert!(missing.contains("smtp.ca_file /nonexistent/ca.pem"), "{missing}");
    let half = make(Some(Smtp { user: Some("u".into()), ..smtp(addr) }), none()).unwrap();
    assert!(half.contains("no password"), "{half}");
    let url = make(None, webhook("ftp://desk.example/x".into())).unwrap();
    assert!(url.contains("webhook `wfm-desk`"), "{url}");
    let mut bad = webhook("http://desk.example/x".into());
    bad.get_mut("wfm-desk").unwrap().secret = Some(Secret::new("geheim"));
    let error = Notifier::new(Settings { webhooks: bad, ..Settings::default() }).err().unwrap();
    assert!(matches!(error, NotifyError::Secret { .. }) && !error.to_string().contains("geheim"), "{error}");
}

/// An HTTP server that answers the nth request with the nth of `answers`, and the last of them from then on.
async fn http(answers: &'static [&'static str]) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let kept = requests.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            // The body ends with the three braces that close the record.
            while !bytes.ends_with(b"}}") {
                match stream.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => bytes.extend_from_slice(&buffer[..count]),
                }
            }
            let nth = {
                let mut requests = kept.lock().unwrap();
                requests.push(String::from_utf8_lossy(&bytes).into_owned());
                requests.len() - 1
            };
            let answer = answers.get(nth).or(answers.last()).copied().unwrap_or("204 No Content");
            if answer == "hang" {
                tokio::spawn(async move {
                    std::future::pending::<()>().await;
                    drop(stream);
                });
                continue;
            }
            let text = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(text.as_bytes()).await;
        }
    });
    (addr, requests)
}

#[tokio::test]
async fn webhook_answers_decide_about_another_try() {
    for (answers, sent, requests) in [
        (&["204 No Content"][..], true, 1),
        (&["500 Oops", "503 Oops", "200 OK"], true, 3),
        (&["429 Slow\r\nretry-after: 1", "200 OK"], true, 2),
        (&["hang", "200 OK"], true, 2),
        (&["404 Not Found"], false, 1),
        (&["400 Bad"], false, 1),
        (&["302 Found\r\nlocation: http://127.0.0.1:1/"], false, 1),
    ] {
        let (addr, seen) = http(answers).await;
        let notifier = notifier(None, webhook(format!("http://{addr}/token-in-path")));
        notifier.enqueue(message(&hook_to(1)));
        let fate = fates(&notifier, 1).await.remove(0).1;
        assert_eq!(fate == SENT, sent, "{answers:?}: {fate:?}");
        if let Fate::Refused { why } = &fate {
            assert!(why.starts_with("webhook wfm-desk at 127.0.0.1 answers") && !why.contains("token"), "{why}");
        }
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), requests, "{answers:?}");
        let id = |request: &String| request.lines().find(|line| line.starts_with("webhook-id:")).map(str::to_owned);
        assert!(
            seen.iter().all(|request| id(request).is_some() && id(request) == id(&seen[0])),
            "one id over all tries"
        );
    }
}

#[tokio::test]
async fn the_mailbox_survives_garbage() {
    let mailbox = Mailbox::bind(loopback(), loopback(), None).await.unwrap();
    let long = "x".repeat(100_000);
    let big = format!("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n{}.\r\nQUIT\r\n", "y\r\n".repeat(600_000));
    for (garbage, answer) in [
        ("\0\u{ffff}\r\n\r\nFOO\r\nQUIT\r\n", "500 unknown command"),
        (&*format!("{long}\r\nQUIT\r\n"), "500 line too long"),
        ("RCPT TO:<x@y>\r\nQUIT\r\n", "503 MAIL comes first"),
        ("MAIL FROM:x\r\nMAIL FROM <x>\r\nMAIL\r\nQUIT\r\n", "501 write MAIL"),
        ("MAIL FROM:<>\r\nDATA\r\nQUIT\r\n", "503 RCPT comes first"),
        ("MAIL FROM:<a@b> SIZE=9\r\nRSET\r\nRCPT TO:<c@d>\r\nQUIT\r\n", "250 forgotten"),
        ("HELO x\r\nNOOP\r\nVRFY x\r\nQUIT\r\n", "252 send it"),
        ("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nno header\r\ncut", "354"),
        (&big, "552 mail too large"),
    ] {
        let mut stream = TcpStream::connect(mailbox.smtp_addr()).await.unwrap();
        let (mut read, mut write) = stream.split();
        let sending = async {
            write.write_all(garbage.as_bytes()).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let mut heard = String::new();
        let (_, result) = tokio::join!(sending, read.read_to_string(&mut heard));
        result.unwrap();
        assert!(heard.contains(answer), "{heard}");
    }
    assert!(mailbox.mails().is_empty());
    // Doubled dots are taken back, headers that are none do no harm.
    let mut stream = TcpStream::connect(mailbox.smtp_addr()).await.unwrap();
    let mail =
        "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n\u{fffd}\r\n.\r\nQUIT\r\n";
    stream.write_all(mail.as_bytes()).await.unwrap();
    mailbox.wait_for(1).await;
    let kept = &mailbox.mails()[0];
    assert_eq!((kept.subject.as_str(), kept.sender.as_str()), ("x", "a@b"));
    assert!(kept.text.starts_with(".dot"), "{:?}", kept.text);
}

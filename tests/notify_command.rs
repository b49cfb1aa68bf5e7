//! `atalaya notify`: the built program sends a marked test through every medium of a contact, and says what became of each.

#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::TcpListener;

use atalaya::notify::mailbox::Mailbox;
use support::program::{Files, command};
use support::receiver::Receiver;

mod support;

const MATRIX: &str = r#"
version: 1
name: care
language: en
owner: lead
contacts:
  lead: { email: lead@acme.example, webhook: channel }
  duty: { webhook: pager }
  prom: { webhook: alerts }
  shut: { webhook: closed }
  lost: { webhook: nowhere }
rows:
  - indicator: waiting
    goal: "< 9"
    ranges:
      - { when: "< 9", level: ok }
      - { when: ">= 9", level: warning, tell: [lead, duty, prom, shut, lost], action: Act }
"#;

/// Answers 404 with words, and the address that was asked for.
fn refuses() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 16_384]);
            let body = "no_service at /services/T0K3N";
            let head = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    port
}

/// Exit code, what it says on standard output, and on standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let made = command(arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (made.status.code().unwrap(), text(&made.stdout), text(&made.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_goes_through_every_medium_and_its_fate_is_told() {
    let loopback = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let mailbox = Mailbox::bind(loopback, loopback, None).await.unwrap();
    let (receiver, files) = (Receiver::start(), Files::new());
    let key = files.write("key", "0123456789abcdef0123456789abcdef\n").display().to_string();
    let slack = files.write("slack", &format!("http://127.0.0.1:{}/services/x\n", receiver.port)).display().to_string();
    let closed =
        files.write("closed", &format!("http://127.0.0.1:{}/services/T0K3N\n", refuses())).display().to_string();
    let matrix = files.write("care.yaml", MATRIX).display().to_string();
    let config = format!(
        "matrices: [{matrix}]\n\
         owner: {{ email: ops@acme.example }}\n\
         smtp: {{ url: \"smtp://{}\", tls: none, from: \"Atalaya <atalaya@acme.example>\" }}\n\
         webhooks:\n\
         \x20 channel: {{ format: slack, url_file: {slack} }}\n\
         \x20 pager: {{ format: pagerduty, url: \"http://127.0.0.1:{port}/v2/enqueue\", secret_file: {key} }}\n\
         \x20 alerts: {{ format: alertmanager, url: \"http://127.0.0.1:{port}\" }}\n\
         \x20 closed: {{ format: slack, url_file: {closed} }}\n\
         \x20 nowhere: {{ format: teams, url: \"http://127.0.0.1:1/x\" }}\n",
        mailbox.smtp_addr(),
        port = receiver.port,
    );
    let config = files.write("atalaya.yaml", &config).display().to_string();
    let notify = |contact: &str| run(&["notify", contact, "-c", &config]);

    let (code, said, complaint) = notify("lead");
    assert_eq!(
        (code, said.as_str()),
        (0, "email lead@acme.example: delivered\nwebhook channel: delivered\n"),
        "{complaint}"
    );
    let mail = &mailbox.mails()[0];
    assert!(mail.subject.starts_with("TEST · NOTICE · test"), "{}", mail.subject);
    assert!(mail.text.starts_with("This is a test by Atalaya: nothing is wrong"), "{}", mail.text);
    assert!(mail.html.contains("This is a test by Atalaya"), "{}", mail.html);
    let slack = receiver.taken()[0].json();
    assert!(slack["text"].as_str().unwrap().starts_with("🔵 TEST · NOTICE"), "{slack}");

    let (code, said, _) = notify("lead.email");
    assert_eq!((code, said.as_str()), (0, "email lead@acme.example: delivered\n"));
    assert_eq!(notify("owner").1, "email ops@acme.example: delivered\n");

    // What stays open until it is ended is ended.
    let (code, said, complaint) = notify("duty");
    assert_eq!((code, said.as_str()), (0, "webhook pager: delivered, and ended again\n"), "{complaint}");
    let events: Vec<_> = receiver.taken().iter().skip(1).map(support::receiver::Request::json).collect();
    let actions: Vec<_> = events.iter().map(|event| event["event_action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["trigger", "resolve"]);
    assert_eq!(events[0]["dedup_key"], events[1]["dedup_key"]);
    let (code, said, complaint) = notify("prom");
    assert_eq!((code, said.as_str()), (0, "webhook alerts: delivered, and ended again\n"), "{complaint}");
    let alerts = receiver.taken().last().unwrap().json();
    assert_eq!(
        (alerts[0]["labels"]["test"].as_str(), alerts[0]["labels"]["severity"].as_str()),
        (Some("true"), Some("info"))
    );

    let (code, said, complaint) = notify("shut");
    assert_eq!(code, 1);
    assert_eq!(
        said,
        "webhook closed: refused: webhook closed at 127.0.0.1 answers 404 Not Found: no_service at [secret]; check its url\n"
    );
    assert!(complaint.contains("not every test reached `shut`"), "{complaint}");
    let (code, said, _) = notify("lost");
    assert!(
        code == 1 && said.starts_with("webhook nowhere: not delivered; a real notice would be tried again:"),
        "{said}"
    );

    let (code, said, complaint) = notify("laed");
    assert_eq!((code, said.as_str()), (2, ""));
    assert!(complaint.contains("no matrix has a contact `laed`: did you mean `lead`?"), "{complaint}");
    assert_eq!(notify("duty.email").0, 2);
    assert_eq!(notify("duty.fax").0, 2);

    // Without a configuration nothing is set up, and each medium says so.
    let (code, said, _) = run(&["notify", "lead", "-m", &matrix]);
    assert_eq!(code, 2);
    assert!(said.contains("email lead@acme.example: not tried; there is no mail server: set `smtp`"), "{said}");
    assert!(said.contains("webhook channel: not tried; there is no webhook of this name"), "{said}");
}

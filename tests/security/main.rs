//! Kafka over SASL and TLS, with a real broker that has users and rights: the built program reads, writes dead letters,
//! keeps what it decided and sends a mail; and what is wrong in between is said where, what and how to mend.
#![cfg(feature = "shell")]
#![allow(clippy::disallowed_methods, reason = "this waits for real programs, on the real clock")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod broker;
mod secrets;
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use broker::{LATE_GROUP, LATE_READ, NO_GROUP, NO_READ, NO_WRITE, PASSWORD, Secured, USER, secured};
use serde_json::json;
use support::kafka::{Line, eventually, free_port};
use support::mail::RealSmtp;
use support::program::{Files, Program};
use support::receiver::Receiver;

/// A row that fires as soon as somebody waits.
const MATRIX: &str = r#"
version: 1
name: espera
contacts: { lead: { email: lead@acme.example } }
rows:
  - indicator: waiting
    goal: "< 1"
    ranges:
      - { when: "< 1", level: ok }
      - { when: ">= 1", level: warning, tell: [lead], action: "Atender" }
"#;

/// What differs from one client to the next.
struct Client<'a> {
    /// Names topics, group and instance.
    name: &'a str,
    brokers: String,
    properties: String,
    password: &'a str,
}

fn configuration(files: &Files, client: &Client<'_>, smtp: u16) -> PathBuf {
    let Client { name, brokers, properties, password } = client;
    files.write("matrices/espera.yaml", MATRIX);
    let password = files.write("kafka.secret", password);
    let secret = match properties.contains("oidc") {
        true => "sasl.oauthbearer.client.secret",
        false => "sasl.password",
    };
    files.write(
        "atalaya.yaml",
        &format!(
            r#"
kafka:
  brokers: ["{brokers}"]
  group: secured-{name}
  instance: "{name}"
  dead_letters: atalaya.letters-{name}
  snapshots: atalaya.snapshots-{name}
  properties: {{ {properties}, {secret}_file: "{}", broker.address.family: v4 }}
sources: [{{ topic: events-{name}, format: canonical }}]
matrices: [matrices]
smtp: {{ url: "smtp://127.0.0.1:{smtp}", tls: none, from: "Atalaya <atalaya@acme.example>" }}
"#,
            password.display()
        ),
    )
}

fn plain(secured: &Secured, user: &str) -> String {
    format!(
        "security.protocol: SASL_SSL, sasl.mechanism: PLAIN, sasl.username: {user}, ssl.ca.location: \"{}\"",
        secured.ca_file()
    )
}

fn queued(id: &str) -> Line {
    let event = json!({
        "type": "interaction.queued", "time": atalaya::clock::now().0, "interaction": id, "queue": "q", "channel": "voice"
    });
    Line { key: Some(id.into()), payload: Some(event.to_string().into_bytes()), ..Line::default() }
}

/// The whole way through the broker, and once more from what was kept there.
fn works(secured: &Secured, client: &Client<'_>) {
    let Some(smtp) = RealSmtp::start(&["lead@acme.example"]) else { return };
    let name = client.name;
    let topic = format!("events-{name}");
    secured.kafka.create_topic(&topic, 2);
    let files = Files::new();
    let config = configuration(&files, client, smtp.port);
    let mut program = Program::start(&config, &[("RUST_LOG", "debug")]);
    program.wait_until_ready();
    let bad = Line { key: Some("bad".into()), payload: Some("no JSON".into()), ..Line::default() };
    secured.kafka.produce(&topic, [bad, queued("one")]);
    eventually("the mail comes", || smtp.count() == 1);
    let letters = format!("atalaya.letters-{name}");
    eventually("the refused record is kept", || {
        program.metrics().get("atalaya_dead_letters_total", &[("result", "written")]) == Some(1.0)
    });
    assert_eq!(secured.kafka.consume_all(&letters)[0].payload.as_deref(), Some(&b"no JSON"[..]));
    assert_eq!(program.degraded(), [""; 0]);
    assert_eq!(program.terminate().0.code(), Some(0));
    let kept = secured.kafka.consume_all(&format!("atalaya.snapshots-{name}"));
    assert!(kept.iter().any(|record| record.key == Some(format!("secured-{name}/decided").into_bytes())));

    let mut again = Program::start(&config, &[]);
    again.wait_until_ready();
    assert!(again.log().contains("goes on from what was decided before"), "{}", again.log());
    assert_eq!(again.terminate().0.code(), Some(0));
    assert_eq!(smtp.count(), 1, "told once");
    for log in [program.log(), again.log()] {
        assert!(!log.contains(PASSWORD), "the log shows the password");
    }
}

#[test]
fn it_works_by_plain() {
    let Some(secured) = secured() else { return };
    let (brokers, properties) = (format!("localhost:{}", secured.plain), plain(&secured, USER));
    works(&secured, &Client { name: "plain", brokers, properties, password: PASSWORD });
}

#[test]
fn it_works_by_scram() {
    let Some(secured) = secured() else { return };
    let brokers = format!("localhost:{}", secured.scram);
    let properties = plain(&secured, USER).replace("PLAIN", "SCRAM-SHA-512");
    works(&secured, &Client { name: "scram", brokers, properties, password: PASSWORD });
}

#[test]
fn it_works_by_oauthbearer() {
    let Some(secured) = secured() else { return };
    let brokers = format!("localhost:{}", secured.oauth);
    let properties = plain(&secured, USER).replace("PLAIN", "OAUTHBEARER")
        + ", enable.sasl.oauthbearer.unsecure.jwt: \"true\", sasl.oauthbearer.config: \"principal=atalaya\"";
    works(&secured, &Client { name: "oauth", brokers, properties, password: PASSWORD });
}

/// What each mistake is called in `/readyz` and the log; the service runs on and waits for it to be mended.
#[test]
fn what_is_wrong_is_said_with_its_mend() {
    let Some(secured) = secured() else { return };
    let good = plain(&secured, USER);
    let wrong_ca = good.replace(&secured.ca_file(), &secured.other_ca_file());
    let scram = good.replace("PLAIN", "SCRAM-SHA-512");
    let clear = good.replace("SASL_SSL", "SASL_PLAINTEXT");
    let (at_plain, at_scram) = (format!("localhost:{}", secured.plain), format!("localhost:{}", secured.scram));
    let no_group = plain(&secured, NO_GROUP);
    let no_read = plain(&secured, NO_READ);
    // Name, where, properties, password, and the words: what is wrong, and what mends it.
    let cases: Vec<(&str, &str, &str, &str, [&str; 2])> = vec![
        ("password", &at_plain, &good, "not-the-password-of-it", ["refuses who we say we are", "`sasl.password`"]),
        (
            "scram-password",
            &at_scram,
            &scram,
            "not-the-password-of-it",
            ["refuses who we say we are", "`sasl.password`"],
        ),
        ("mechanism", &at_plain, &scram, PASSWORD, ["refuses who we say we are", "`sasl.mechanism`"]),
        ("authority", &at_plain, &wrong_ca, PASSWORD, ["TLS handshake", "`ssl.ca.location`"]),
        ("clear", &at_plain, &clear, PASSWORD, ["a listener with TLS", "`security.protocol`"]),
        ("group", &at_plain, &no_group, PASSWORD, ["consumer group `secured-group`", "Grant Read on the group"]),
        ("read", &at_plain, &no_read, PASSWORD, ["events-read", "Grant Read and Describe on the topics"]),
    ];
    std::thread::scope(|scope| {
        for (name, brokers, properties, password, words) in &cases {
            let secured = &secured;
            scope.spawn(move || {
                secured.kafka.create_topic(&format!("events-{name}"), 1);
                let files = Files::new();
                let client =
                    Client { name, brokers: (*brokers).to_owned(), properties: (*properties).to_owned(), password };
                let mut program = Program::start(&configuration(&files, &client, free_port()), &[]);
                let said = |text: &str| words.iter().chain([brokers]).all(|word| text.contains(word));
                eventually(&format!("{name}: said in /readyz"), || program.reasons().iter().any(|text| said(text)));
                eventually(&format!("{name}: said in the log"), || program.log().lines().any(said));
                assert!(!program.is_ready() && program.runs());
                let nothing = |text: &String| text.contains("Nothing answers");
                assert!(!program.reasons().iter().any(nothing), "{name}: {:?}", program.reasons());
                eprintln!("{name}: {}", program.reasons().join(" | "));
                assert_eq!(program.terminate().0.code(), Some(0));
                for secret in [*password, PASSWORD] {
                    assert!(!program.log().contains(secret), "{name}: the log shows a password");
                }
            });
        }
    });
}

/// Without its logs nobody could go on from what it counts: it says which topics it may not use, and waits.
#[test]
fn topics_of_our_own_that_may_not_be_used_are_named_and_waited_for() {
    let Some(secured) = secured() else { return };
    let (brokers, properties) = (format!("localhost:{}", secured.plain), plain(&secured, NO_WRITE));
    secured.kafka.create_topic("events-write", 1);
    let files = Files::new();
    let client = Client { name: "write", brokers, properties, password: PASSWORD };
    let mut program = Program::start(&configuration(&files, &client, free_port()), &[]);
    for topic in ["atalaya.letters-write", "atalaya.deltas", "atalaya.decisions", "atalaya.operations"] {
        let said = |text: &String| [&format!("`{topic}`"), "allow this user"].iter().all(|word| text.contains(*word));
        eventually(topic, || program.reasons().iter().any(said));
        assert!(program.log().lines().any(|line| said(&line.to_owned())), "{}", program.log());
    }
    assert!(!program.is_ready() && program.runs());
    eprintln!("write: {}", program.reasons().join(" | "));
    // Once it may, it goes on by itself.
    secured.grant(("--topic", "atalaya."), &["Read", "Write", "Create"], &[NO_WRITE]);
    program.wait_until_ready();
    secured.kafka.produce("events-write", [queued("one")]);
    eventually("the figures come", || program.metrics().get("atalaya_waiting", &[("channel", "voice")]) == Some(1.0));
    eventually("a refused record is kept", || {
        secured.kafka.produce("events-write", [Line { payload: Some("no JSON".into()), ..Line::default() }]);
        program.metrics().get("atalaya_dead_letters_total", &[("result", "written")]) >= Some(1.0)
    });
    eventually("nothing is refused any more", || !program.degraded().iter().any(|text| text.contains("atalaya.")));
    assert_eq!(program.terminate().0.code(), Some(0));
    assert!(!secured.kafka.consume_all("atalaya.snapshots-write").is_empty());
}

/// Whoever is let in later comes in without a restart.
#[test]
fn rights_that_are_granted_later_are_used() {
    let Some(secured) = secured() else { return };
    let brokers = format!("localhost:{}", secured.plain);
    std::thread::scope(|scope| {
        for (user, name, resource) in
            [(LATE_GROUP, "late-group", ("--group", "secured-")), (LATE_READ, "late-read", ("--topic", "events-"))]
        {
            let client =
                Client { name, brokers: brokers.clone(), properties: plain(&secured, user), password: PASSWORD };
            let secured = &secured;
            scope.spawn(move || {
                secured.kafka.create_topic(&format!("events-{name}"), 1);
                let files = Files::new();
                let mut program = Program::start(&configuration(&files, &client, free_port()), &[]);
                let refused = |text: &String| text.contains("does not let this user");
                eventually("it is refused", || program.reasons().iter().any(refused));
                secured.grant(resource, &["Read"], &[user]);
                let granted = std::time::Instant::now();
                program.wait_until_ready();
                eprintln!("{name}: ready {:?} after the right was granted", granted.elapsed());
                eventually("nothing is refused any more", || program.degraded().is_empty());
                assert_eq!(program.terminate().0.code(), Some(0));
            });
        }
    });
}

/// With a token that a service gives to who has the credentials of a client.
#[test]
fn it_works_by_openid_connect() {
    let Some(secured) = secured() else { return };
    let now = atalaya::clock::now().0 / 1000;
    let part = |claims: serde_json::Value| URL_SAFE_NO_PAD.encode(claims.to_string());
    let claims = part(json!({ "sub": USER, "iat": now - 1, "exp": now + 3_600 }));
    let token = format!("{}.{claims}.", part(json!({ "alg": "none" })));
    let service =
        Receiver::answering(json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3_600 }).to_string());
    let brokers = format!("localhost:{}", secured.oauth);
    let properties = format!(
        "security.protocol: SASL_SSL, sasl.mechanism: OAUTHBEARER, ssl.ca.location: \"{}\", sasl.oauthbearer.method: oidc, \
         sasl.oauthbearer.client.id: floor, sasl.oauthbearer.token.endpoint.url: \"http://127.0.0.1:{}/token\"",
        secured.ca_file(),
        service.port
    );
    works(&secured, &Client { name: "oidc", brokers, properties, password: PASSWORD });
    let asked = service.taken();
    assert!(!asked.is_empty() && asked.iter().all(|request| request.path == "/token"), "{asked:?}");
    let credentials = format!("Basic {}", STANDARD.encode(format!("floor:{PASSWORD}")));
    assert_eq!(asked[0].header("authorization"), credentials);
    assert!(asked[0].body.contains("grant_type=client_credentials"), "{asked:?}");
}

//! What is wrong around the built program: files, port, broker, topics, mail server. It says what, where and what to do,
//! ends with the right code where it cannot begin, and works on with the rest where it runs.
#![cfg(feature = "shell")]
#![allow(clippy::disallowed_methods, reason = "this waits for real programs, on the real clock")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::net::TcpListener;
use std::time::Duration;

use serde_json::json;
use support::kafka::{Line, RealKafka, eventually, free_port, shared};
use support::program::{Files, Program, command};
use support::receiver::Receiver;

const PASSWORD: &str = "password-of-the-mail-server";

/// A row that fires as soon as somebody waits.
const MATRIX: &str = r#"
version: 1
name: espera
contacts:
  lead: { email: lead@acme.example }
  desk: { webhook: desk }
rows:
  - indicator: waiting
    goal: "< 1"
    ranges:
      - { when: "< 1", level: ok }
      - { when: ">= 1", level: warning, tell: [lead, desk], action: "Atender" }
"#;

/// A configuration for a broker, with `MATRIX`, a mail server that nobody runs, and a webhook.
fn configuration(files: &Files, brokers: &str, topics: &[&str], smtp: u16, hook: u16) -> std::path::PathBuf {
    files.write("matrices/espera.yaml", MATRIX);
    let password = files.write("smtp.secret", PASSWORD);
    let sources: Vec<String> =
        topics.iter().map(|topic| format!("{{ topic: {topic}, format: canonical, silent_after: 1h }}")).collect();
    files.write(
        "atalaya.yaml",
        &format!(
            r#"
kafka: {{ brokers: ["{brokers}"], group: "{0}", instance: "{0}" }}
sources: [{1}]
matrices: [matrices]
smtp:
  url: "smtp://127.0.0.1:{smtp}"
  tls: none
  user: atalaya
  password_file: "{2}"
  from: "Atalaya <atalaya@acme.example>"
webhooks: {{ desk: {{ format: generic, url: "http://127.0.0.1:{hook}/hook" }} }}
"#,
            topics.join("-"),
            sources.join(", "),
            password.display()
        ),
    )
}

fn queued(id: &str) -> Line {
    let event = json!({
        "type": "interaction.queued", "time": atalaya::clock::now().0, "interaction": id, "queue": "q", "channel": "voice"
    });
    Line { key: Some(id.into()), payload: Some(event.to_string().into_bytes()), ..Line::default() }
}

#[test]
fn files_that_are_wrong_end_it_with_2_and_a_port_in_use_with_1() {
    let files = Files::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let matrices = files.write("matrices/good.yaml", MATRIX).parent().unwrap().display().to_string();
    std::fs::create_dir(files.path("empty")).unwrap();
    std::fs::create_dir(files.path("broken")).unwrap();
    files.write("broken/a.yaml", &MATRIX.replace("waiting", "wating").replace("tell: [lead, desk]", "tell: [leed]"));
    files.write("broken/b.yaml", &MATRIX.replace("espera", "otra").replace("\">= 1\"", "\">= 2\""));
    let at = |name: &str| files.path(name).display().to_string();
    let rest = "smtp: { url: \"smtp://127.0.0.1:25\", tls: none, from: \"a@acme.example\" }\n\
                webhooks: { desk: { format: generic, url: \"http://127.0.0.1:1/\" } }\n";
    let with = |text: &str| format!("{text}{rest}");
    let cases: Vec<(&str, Option<String>, i32, Vec<String>)> = vec![
        ("missing.yaml", None, 2, vec![at("missing.yaml"), "there is no such file".into()]),
        ("matrices", None, 2, vec![at("matrices")]),
        ("syntax.yaml", Some("kafka: [\n".into()), 2, vec![format!("{}:", at("syntax.yaml"))]),
        (
            "key.yaml",
            Some(with("interval: 30m\nkafak: {}\n")),
            2,
            vec![format!("{}:2:1", at("key.yaml")), "`kafak`".into()],
        ),
        ("empty.yaml", Some(with("matrices: [empty]\n")), 2, vec![at("empty"), "holds no matrix".into()]),
        ("gone.yaml", Some(with("matrices: [nowhere]\n")), 2, vec!["nowhere".into(), "no such file or folder".into()]),
        (
            "broken.yaml",
            Some(with("matrices: [broken]\n")),
            2,
            // Every defect of every file at once.
            vec![
                format!("{}:8:16", at("broken/a.yaml")),
                "`wating`".into(),
                "`leed`".into(),
                at("broken/b.yaml"),
                "gap".into(),
            ],
        ),
        (
            "secret.yaml",
            Some(with(&format!(
                "matrices: [{matrices}]\nkafka: {{ properties: {{ sasl.password_file: /nowhere/x }} }}\n"
            ))),
            2,
            vec!["/nowhere/x".into()],
        ),
        (
            "port.yaml",
            Some(with(&format!("matrices: [{matrices}]\nhttp: {{ listen: \"127.0.0.1:{port}\" }}\n"))),
            1,
            vec![format!("127.0.0.1:{port}"), "another program listens there already".into()],
        ),
        (
            "listen.yaml",
            Some(with(&format!("matrices: [{matrices}]\nhttp: {{ listen: \"127.0.0.1\" }}\n"))),
            2,
            vec!["127.0.0.1".into(), "listen".into()],
        ),
    ];
    for (name, text, code, words) in cases {
        if let Some(text) = text {
            files.write(name, &text);
        }
        let output = command(&["run", "-c", &at(name)]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{name}: {said}");
        assert!(output.stdout.is_empty(), "{name}");
        for word in words {
            assert!(said.contains(&word), "{name} does not say {word}: {said}");
        }
        assert!(!said.contains("panicked"), "{name}: {said}");
    }
}

#[test]
fn a_broker_that_is_not_there_is_waited_for() {
    let port = free_port();
    let (files, receiver) = (Files::new(), Receiver::start());
    let config = configuration(&files, &format!("127.0.0.1:{port}"), &["early"], free_port(), receiver.port);
    let mut program = Program::start(&config, &[]);
    let unreachable = format!("Nothing answers at 127.0.0.1:{port}");
    eventually("it says so in /readyz", || program.reasons().iter().any(|reason| reason.contains(&unreachable)));
    assert_eq!(program.readyz().unwrap().0, 503);
    assert_eq!(program.get("/healthz").unwrap().0, 200);
    assert_eq!(program.get("/").unwrap().0, 200);
    let metrics = program.metrics();
    assert_eq!(metrics.get("atalaya_ready", &[]), Some(0.0));
    assert!(metrics.get("atalaya_degraded", &[]) >= Some(1.0));
    assert!(program.log().contains(&unreachable), "{}", program.log());
    // It can be stopped meanwhile.
    let (status, took) = program.terminate();
    eprintln!("SIGTERM without a broker to the end: {took:?}");
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");

    let mut program = Program::start(&config, &[]);
    eventually("it says so again", || program.reasons().iter().any(|reason| reason.contains(&unreachable)));
    let Some(kafka) = RealKafka::start_on(port) else { return };
    kafka.create_topic("early", 2);
    kafka.produce("early", [queued("one")]);
    program.wait_until_ready();
    eventually("what stood there is shown", || {
        program.metrics().get("atalaya_waiting", &[("channel", "voice")]) == Some(1.0)
    });
    eventually("nothing of it is left", || !program.degraded().iter().any(|text| text.contains("answers")));

    // A broker that goes away later: the figures stay, and it says so.
    kafka.kill();
    eventually("the loss is said", || program.degraded().iter().any(|text| text.starts_with(&unreachable)));
    assert!(program.runs());
    assert!(program.is_ready(), "what was read is still shown");
    kafka.run_again(&[]);
    kafka.produce("early", [queued("two")]);
    eventually("it goes on", || program.metrics().get("atalaya_waiting", &[("channel", "voice")]) == Some(2.0));
    assert_eq!(program.terminate().0.code(), Some(0));
}

#[test]
fn a_topic_that_does_not_exist_holds_up_only_itself() {
    let Some(kafka) = shared() else { return };
    let (files, receiver) = (Files::new(), Receiver::start());
    let config = configuration(&files, &kafka.bootstrap(), &["there", "absent"], free_port(), receiver.port);
    let (other, lone) = (Files::new(), free_port());
    let alone = configuration(&other, &kafka.bootstrap(), &["lone"], lone, receiver.port);
    kafka.create_topic("there", 2);
    kafka.produce("there", [queued("one")]);
    let mut program = Program::start(&config, &[]);
    let mut second = Program::start(&alone, &[]);
    for (program, topic) in [(&program, "absent"), (&second, "lone")] {
        let named = |text: &String| text.contains(&format!("`{topic}`")) && text.contains("does not exist");
        eventually("the topic is named", || program.reasons().iter().any(named));
        assert_eq!(program.readyz().unwrap().0, 503);
        eventually("the log too", || program.log().lines().any(|line| named(&line.to_owned())));
    }
    // After some patience the topic that is there is worked with.
    program.wait_until_ready();
    let named = |text: &String| text.contains("`absent`") && text.contains("Create it");
    assert!(program.degraded().iter().any(named), "{:?}", program.degraded());
    eventually("it decides on the rest", || !receiver.taken().is_empty());
    assert_eq!(receiver.taken()[0].json()["data"]["indicator"], "waiting");
    // Without any topic there is nothing to show.
    assert_eq!(second.readyz().unwrap().0, 503);

    kafka.create_topic("absent", 1);
    kafka.create_topic("lone", 1);
    kafka.produce("absent", [queued("two")]);
    kafka.produce("lone", [queued("three")]);
    for (program, waiting) in [(&program, 2.0), (&second, 1.0)] {
        eventually("the new topic is read", || {
            program.metrics().get("atalaya_waiting", &[("channel", "voice")]) == Some(waiting)
        });
    }
    second.wait_until_ready();
    eventually("nothing is missed any more", || !program.degraded().iter().any(named));
    for program in [&mut program, &mut second] {
        assert_eq!(program.terminate().0.code(), Some(0));
    }
}

#[test]
fn a_mail_server_that_refuses_stops_nothing_else() {
    let Some(kafka) = shared() else { return };
    let (files, receiver, smtp) = (Files::new(), Receiver::start(), free_port());
    kafka.create_topic("mailless", 1);
    let config = configuration(&files, &kafka.bootstrap(), &["mailless"], smtp, receiver.port);
    let mut program = Program::start(&config, &[("RUST_LOG", "trace")]);
    program.wait_until_ready();
    assert_eq!(program.degraded(), [""; 0], "not before something was to be sent");
    kafka.produce("mailless", [queued("one")]);
    eventually("the webhook is told", || !receiver.taken().is_empty());
    let place = format!("127.0.0.1:{smtp}");
    eventually("the mail server is named", || program.degraded().iter().any(|text| text.contains(&place)));
    assert!(program.is_ready());
    let metrics = program.metrics();
    let tried = |medium, result| metrics.sum("atalaya_notifications_total", &[("medium", medium), ("result", result)]);
    assert!(tried("email", "retried") >= 1.0);
    assert_eq!((tried("email", "sent"), tried("webhook", "sent")), (0.0, 1.0));
    assert_eq!(metrics.get("atalaya_degraded", &[]), Some(1.0));
    eventually("the mail waits in the outbox", || program.metrics().get("atalaya_outbox_depth", &[]) == Some(1.0));
    // The end comes in time all the same, and says what is left.
    let (status, took) = program.terminate();
    eprintln!("SIGTERM with a mail that cannot be sent: {took:?}");
    assert_eq!(status.code(), Some(0));
    // What waits may be tried once more while the service drains, for ten seconds at most.
    assert!(took < Duration::from_secs(20), "{took:?}");
    let log = program.log();
    assert!(log.contains("notification not sent") && log.contains(&place), "{log}");
    assert!(log.contains("notices are left unsent"), "{log}");
    assert!(!log.contains(PASSWORD), "the log shows a secret");
}

//! Matrices that change under the running program, and feeds that fall silent: what goes on, what is refused, who is told.
#![cfg(feature = "shell")]
#![allow(clippy::disallowed_methods, reason = "this waits for real programs, on the real clock")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use support::kafka::{Line, eventually, shared};
use support::program::{Files, Program};
use support::receiver::Receiver;

const MATRIX: &str = r#"
version: 1
name: espera
language: en
contacts: { desk: { webhook: desk } }
rows:
  - indicator: waiting
    goal: "< 1"
    ranges:
      - { when: "< 1", level: ok }
      - { when: ">= 1", level: warning, tell: [desk], action: "Attend" }
"#;

/// The folder of the matrices is a link, as a mounted ConfigMap's is.
fn configuration(files: &Files, brokers: &str, topic: &str, silent_after: &str, hook: u16) -> std::path::PathBuf {
    for folder in ["first", "second"] {
        std::fs::create_dir(files.path(folder)).unwrap();
    }
    files.write("first/espera.yaml", MATRIX);
    symlink(files.path("first"), files.path("current")).unwrap();
    files.write(
        "atalaya.yaml",
        &format!(
            r#"
kafka: {{ brokers: ["{brokers}"], group: "{topic}", instance: "{topic}" }}
sources: [{{ topic: {topic}, format: canonical, silent_after: {silent_after} }}]
matrices: [current]
owner: {{ webhook: owner }}
webhooks:
  desk: {{ format: generic, url: "http://127.0.0.1:{hook}/desk" }}
  owner: {{ format: generic, url: "http://127.0.0.1:{hook}/owner" }}
"#
        ),
    )
}

fn queued(id: &str) -> Line {
    let event = json!({
        "type": "interaction.queued", "time": atalaya::clock::now().0, "interaction": id, "queue": "q", "channel": "voice"
    });
    Line { key: Some(id.into()), payload: Some(event.to_string().into_bytes()), ..Line::default() }
}

/// What the webhooks were told: reason, level, incident.
fn told(receiver: &Receiver) -> Vec<(String, String, String)> {
    let text = |data: &Value, key: &str| data[key].as_str().unwrap_or_default().to_owned();
    let notice = |data: &Value| (text(data, "reason"), text(data, "level"), text(data, "incident"));
    receiver.taken().iter().map(|request| notice(&request.json()["data"])).collect()
}

fn hash(program: &Program) -> String {
    let (_, text) = program.get("/metrics").unwrap();

    text.lines().find(|line| line.starts_with("atalaya_reload_hash{")).expect("a hash").to_owned()
}

fn last_reload_went_well(program: &Program) -> Option<f64> {
    program.metrics().get("atalaya_reload_success", &[])
}

#[test]
fn changed_matrices_are_taken_or_refused_whole() {
    let Some(kafka) = shared() else { return };
    let (files, receiver) = (Files::new(), Receiver::start());
    kafka.create_topic("reload", 1);
    let config = configuration(&files, &kafka.bootstrap(), "reload", "1h", receiver.port);
    let mut program = Program::start(&config, &[]);
    program.wait_until_ready();
    kafka.produce("reload", [queued("one")]);
    eventually("the case is told", || told(&receiver).len() == 1);
    let incident = told(&receiver)[0].2.clone();
    let open = |program: &Program| -> Vec<String> {
        let alerts = program.api("/api/v1/alerts");
        let ids = alerts["alerts"].as_array().unwrap().iter().map(|case| case["incident"].as_str().unwrap().to_owned());
        ids.collect()
    };
    assert_eq!(open(&program), std::slice::from_ref(&incident));

    // Another text, another place in the file: the same case goes on, and nobody hears of it.
    let before = hash(&program);
    let row = "  - indicator: agents\n    goal: \"< 100\"\n    ranges: [{ when: \"< 100\", level: ok }, { when: \">= 100\", level: info }]";
    let other = MATRIX.replace("Attend", "Attend now").replace("rows:", &format!("rows:\n{row}"));
    files.write("first/espera.yaml", &other);
    eventually("the change is taken", || hash(&program) != before);
    assert_eq!(last_reload_went_well(&program), Some(1.0));
    assert_eq!(open(&program), std::slice::from_ref(&incident));

    // A broken file: the old one stays, the owner is told once, and it is said where people look.
    let before = hash(&program);
    files.write("first/espera.yaml", &other.replace("\">= 1\"", "\">= 2\""));
    eventually("the defect is said", || {
        program.degraded().iter().any(|text| text.contains("espera.yaml:") && text.contains("gap"))
    });
    assert_eq!((hash(&program), last_reload_went_well(&program)), (before.clone(), Some(0.0)));
    assert!(program.is_ready());
    eventually("the owner is told", || told(&receiver).len() == 2);
    let (reason, level, id) = told(&receiver)[1].clone();
    assert_eq!((&*reason, &*level), ("refused", "warning"));
    assert!(
        id.starts_with("refused-") && receiver.taken()[1].json()["data"]["action"].as_str().unwrap().contains("gap")
    );
    // Asked again, it is judged again, and told to nobody again.
    program.signal("HUP");
    eventually("it is judged again", || {
        program.metrics().sum("atalaya_reloads_total", &[("result", "failure")]) >= 2.0
    });
    let (status, answer) = program.post("/api/v1/reload", "{}");
    assert!(status == 409 && answer["error"].as_str().unwrap().contains("gap"), "{status} {answer}");
    assert_eq!(open(&program), std::slice::from_ref(&incident));

    // The folder is exchanged by its link, and the row is gone: whoever was told hears that nobody watches it.
    files.write("second/espera.yaml", &MATRIX.replace("waiting", "backlog"));
    symlink(files.path("second"), files.path("new")).unwrap();
    std::fs::rename(files.path("new"), files.path("current")).unwrap();
    eventually("the new folder is taken", || last_reload_went_well(&program) == Some(1.0));
    assert_ne!(hash(&program), before);
    let (status, answer) = program.post("/api/v1/reload", "{}");
    assert!(status == 200 && hash(&program).contains(answer["hash"].as_str().unwrap()), "{status} {answer}");
    eventually("the end is told", || told(&receiver).iter().any(|(reason, ..)| reason == "removed"));
    eventually("the new row is judged", || told(&receiver).len() == 4);
    let notices = told(&receiver);
    assert_eq!(notices[2..].iter().filter(|(.., id)| *id == incident).count(), 1, "{notices:?}");
    assert!(!program.degraded().iter().any(|text| text.contains("espera.yaml")));
    // Each reload is on the trail, the newest first.
    let trail = program.api("/api/v1/operations")["operations"].clone();
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let lines = trail.as_array().unwrap().iter().map(|line| (text(line, "who"), text(line, "outcome")));
    let lines: Vec<(String, String)> = lines.collect();
    let lines: Vec<(&str, &str)> = lines.iter().map(|(who, outcome)| (&**who, &**outcome)).collect();
    let expected = [
        ("api", "reloaded"),
        ("file", "reloaded"),
        ("api", "refused"),
        ("signal", "refused"),
        ("file", "refused"),
        ("file", "reloaded"),
    ];
    assert_eq!(lines, expected, "{trail}");
    assert!(trail.as_array().unwrap().iter().all(|line| line["operation"] == json!("reload")), "{trail}");
    assert!(hash(&program).contains(&text(&trail[0], "hash")) && text(&trail[2], "refused").contains("gap"), "{trail}");
    assert_eq!(program.terminate().0.code(), Some(0));
    assert_eq!(told(&receiver).len(), 4, "nothing besides");
}

#[test]
fn a_feed_that_falls_silent_is_an_incident_of_its_own() {
    let Some(kafka) = shared() else { return };
    let (files, receiver) = (Files::new(), Receiver::start());
    kafka.create_topic("silence", 1);
    let config = configuration(&files, &kafka.bootstrap(), "silence", "4s", receiver.port);
    let mut program = Program::start(&config, &[]);
    program.wait_until_ready();
    eventually("the owner is told", || told(&receiver).len() == 1);
    let (reason, level, incident) = told(&receiver)[0].clone();
    assert_eq!((&*reason, &*level), ("feed", "critical"));
    assert!(program.degraded().iter().any(|text| text.contains("`silence`") && text.contains("silent since")));
    let alerts = program.api("/api/v1/alerts");
    assert_eq!(alerts["alerts"][0]["incident"], json!(incident), "{alerts}");

    // It lives again: that is told, and what it brings is judged.
    kafka.produce("silence", [queued("one")]);
    eventually("both are told", || told(&receiver).len() >= 3);
    let notices = told(&receiver);
    assert!(notices.contains(&("recovered".into(), "ok".into(), incident)), "{notices:?}");
    assert!(notices.iter().any(|(reason, level, _)| reason == "range" && level == "warning"), "{notices:?}");
    assert_eq!(program.terminate().0.code(), Some(0));
}

/// A calendar with one event, its first day and the day after it counted from today.
fn calendar(first: i64, end: i64) -> String {
    let day = |from_now: i64| {
        let at = atalaya::clock::now() + atalaya::domain::Millis(from_now * atalaya::domain::Millis::DAY.0);
        at.in_zone(&jiff::tz::TimeZone::UTC).strftime("%Y%m%d").to_string()
    };
    let (first, end) = (day(first), day(end));
    format!(
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:{first}\nDTEND;VALUE=DATE:{end}\nEND:VEVENT\nEND:VCALENDAR\n"
    )
}

/// A day that becomes a holiday closes the desk without a restart; a calendar that breaks leaves the old one in force.
#[test]
fn a_changed_calendar_is_taken_or_refused() {
    let Some(kafka) = shared() else { return };
    let (files, receiver) = (Files::new(), Receiver::start());
    kafka.create_topic("holidays", 1);
    let config = configuration(&files, &kafka.bootstrap(), "holidays", "1h", receiver.port);
    files.write("festivos.ics", &calendar(30, 31));
    let text = std::fs::read_to_string(&config).unwrap();
    files.write("atalaya.yaml", &format!("{text}holidays_file: festivos.ics\n"));
    let hours = "hours: { mon-sun: \"00:00-24:00\" }\nrows:";
    files.write("first/espera.yaml", &MATRIX.replace("rows:", hours));
    let mut program = Program::start(&config, &[]);
    program.wait_until_ready();
    kafka.produce("holidays", [queued("one")]);
    let closed = |program: &Program| program.api("/api/v1/alerts")["alerts"][0]["closed_hours"].clone();
    eventually("the case is open", || closed(&program) == json!(false));

    let before = hash(&program);
    files.write("festivos.ics", "BEGIN:VCALENDAR\n");
    eventually("the defect is said", || program.degraded().iter().any(|text| text.contains("festivos.ics:1:1: error")));
    assert_eq!((hash(&program), closed(&program)), (before.clone(), json!(false)));

    files.write("festivos.ics", &calendar(-1, 2));
    eventually("today is a holiday", || closed(&program) == json!(true));
    assert_ne!(hash(&program), before);
    assert!(!program.degraded().iter().any(|text| text.contains("festivos")));

    // Emptied, as by a download that went wrong: taken, and said.
    files.write("festivos.ics", "BEGIN:VCALENDAR\nEND:VCALENDAR\n");
    eventually("no day is a holiday", || closed(&program) == json!(false));
    assert!(program.log().contains("this calendar holds no holiday"), "{}", program.log());
    assert_eq!(program.terminate().0.code(), Some(0));
}

/// Where the running numbers count by the calendar, a changed one waits for a restart, and holds up no matrix.
#[test]
fn a_calendar_that_waits_for_a_restart_holds_up_no_matrix() {
    let Some(kafka) = shared() else { return };
    let (files, receiver) = (Files::new(), Receiver::start());
    kafka.create_topic("desk", 1);
    let config = configuration(&files, &kafka.bootstrap(), "desk", "1h", receiver.port);
    files.write("festivos.ics", &calendar(30, 31));
    let text = std::fs::read_to_string(&config).unwrap();
    let channels = "channels: { voice: { hours: { mon-sun: \"08:00-20:00\" }, clocks: [elapsed, open] } }";
    files.write("atalaya.yaml", &format!("{text}holidays_file: festivos.ics\n{channels}\n"));
    let mut program = Program::start(&config, &[]);
    program.wait_until_ready();
    let waits = |program: &Program| program.degraded().iter().any(|text| text.contains("changed holidays"));

    let before = hash(&program);
    files.write("festivos.ics", &calendar(-1, 2));
    eventually("it is said", || waits(&program));
    assert_eq!((hash(&program), last_reload_went_well(&program)), (before.clone(), Some(1.0)));
    files.write("first/espera.yaml", &MATRIX.replace("Attend", "Attend now"));
    eventually("the matrix is taken", || hash(&program) != before);
    assert!(waits(&program));
    files.write("festivos.ics", &calendar(30, 31));
    eventually("the old calendar is the one in force", || !waits(&program));
    assert_eq!(program.terminate().0.code(), Some(0));
}

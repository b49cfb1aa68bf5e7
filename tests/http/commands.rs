//! The built program's `alerts`, `indicators`, `ack` and `silence` on a service that runs.

use std::process::Command;

use serde_json::{Value, json};

use super::desk::{alert, server, trail};
use super::fixture::Server;

/// Exit code, what it says on standard output, and on standard error.
fn run(url: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
    let made = command.env_clear().env("USER", "ana").env("ATALAYA_URL", url).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (made.status.code().unwrap(), text(&made.stdout), text(&made.stderr))
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

#[test]
fn an_incident_is_found_and_acknowledged_on_the_terminal() {
    let server = server();
    let url = url(server.port);
    let incident = alert(&server, "ventas")["incident"].as_str().unwrap().to_owned();
    let (code, out, _) = run(&url, &["alerts"]);
    assert_eq!(code, 0);
    let line = out.lines().find(|line| line.contains(&incident)).unwrap();
    let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let expected = ["critical", "ventas · voice", "agents", "available", "0", ">= 1", "0 s", "-", &incident];
    assert_eq!(cells, expected, "{out}");

    let (code, out, _) = run(&url, &["ack", &incident, "--for", "30m", "--why", "on it"]);
    assert_eq!((code, out.starts_with(&format!("{incident} is acknowledged by ana until 20"))), (0, true), "{out}");
    assert_eq!(alert(&server, "ventas")["acknowledged"]["why"], "on it");
    let (_, out, _) = run(&url, &["alerts", "--format", "json"]);
    let records: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ventas = records.iter().find(|record| record["queue"] == "ventas").unwrap();
    assert_eq!((records.len(), &ventas["acknowledged"]["by"]), (2, &json!("ana")));

    // Another incident, whatever is in its name, is the caller's mistake.
    let (code, out, error) = run(&url, &["ack", "a/../b?c", "--who", "luis"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.contains("no open incident is called `a/../b?c`"), "{error}");
    assert_eq!(trail(&server)[0]["incident"], "a/../b?c");
    assert_eq!(run(&url, &["ack", &incident, "--for", "soon"]).0, 2);
}

#[test]
fn silences_are_made_listed_and_ended_on_the_terminal() {
    let server = server();
    let url = url(server.port);
    assert_eq!(run(&url, &["silence", "list"]).1, "there is no silence\n");
    let add = ["silence", "add", "--queue", "ven*,!ventas2", "--level", "warning", "--for", "2h", "--why", "training"];
    let (code, out, error) = run(&url, &add);
    assert_eq!(code, 0, "{error}");
    let id = out.split(' ').nth(1).unwrap().to_owned();
    let (_, out, _) = run(&url, &["silence", "list"]);
    assert!(out.lines().nth(1).unwrap().starts_with(&id), "{out}");
    assert!(out.contains("  queue=ven*,!ventas2 level=warning  ana  training\n"), "{out}");
    assert_eq!(run(&url, &["silence", "end", &id]), (0, format!("silence {id} is over\n"), String::new()));
    let (code, _, error) = run(&url, &["silence", "end", &id]);
    assert_eq!((code, error.contains("there is no silence")), (2, true), "{error}");
    let (code, _, error) = run(&url, &["silence", "add", "--for", "2h", "--why", "training"]);
    assert_eq!((code, error.contains("would hold everything")), (2, true), "{error}");
    let (code, _, error) =
        run(&url, &["silence", "add", "--queue", "a", "--level", "bad", "--for", "2h", "--why", "b"]);
    assert_eq!((code, error.contains("unknown variant `bad`")), (2, true), "{error}");
}

#[test]
fn indicators_are_shown_as_people_read_them() {
    let server = Server::floor();
    let url = url(server.port);
    let place = ["--queue", "reclamos", "--channel", "facebook", "--window", "15m"];
    let (code, out, _) = run(&url, &[&["indicators", "asa,waiting"], &place[..]].concat());
    let lines: Vec<Vec<&str>> =
        out.lines().map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect();
    assert_eq!((code, lines.len()), (0, 3), "{out}");
    assert!(lines.contains(&vec!["reclamos · facebook", "asa", "15m", "47 min", "14"]), "{out}");
    let (code, _, error) = run(&url, &["indicators", "aso"]);
    assert_eq!((code, error.contains("no indicator is called `aso`")), (2, true), "{error}");
    let (_, out, _) = run(&url, &["indicators", "--queue", "nobody"]);
    assert_eq!(out, "no queue and channel that was seen matches\n");
}

#[test]
fn a_service_that_is_not_there_is_named_with_what_to_do() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (code, out, error) = run(&format!("http://ana:s3cret@127.0.0.1:{free}"), &["alerts"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(error.contains(&format!("cannot reach Atalaya at 127.0.0.1:{free}")) && error.contains("--url"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
    for url in ["nowhere", "ftp://127.0.0.1"] {
        let (code, _, error) = run(url, &["alerts"]);
        assert_eq!((code, error.contains("--url is no address")), (2, true), "{error}");
    }
    let server = Server::floor();
    let (code, _, error) = run(&format!("{}/elsewhere", url(server.port)), &["alerts"]);
    assert_eq!((code, error.contains("nothing is at /elsewhere/api/v1/alerts")), (2, true), "{error}");
}

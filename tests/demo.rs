//! `atalaya demo` as a person uses it: started, looked at, alerted by, and ended with Ctrl-C.
#![allow(clippy::disallowed_methods, reason = "it watches another process, which lives by the wall clock")]
#![allow(clippy::expect_used, reason = "a test")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Ended with the test, whatever becomes of it.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
    command.arg("demo").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Status and body of an address; `None` while nobody answers.
fn get(at: SocketAddr, path: &str) -> Option<(u16, String)> {
    ask(at, &format!("GET {path} HTTP/1.0\r\nHost: {at}\r\n\r\n"))
}

fn post(at: SocketAddr, path: &str, form: &str) -> Option<(u16, String)> {
    let about = format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}", form.len());
    ask(at, &format!("POST {path} HTTP/1.0\r\nHost: {at}\r\n{about}\r\n\r\n{form}"))
}

/// HTTP/1.0: the answer ends with the connection and is not cut into chunks.
fn ask(at: SocketAddr, request: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
}

fn json(at: SocketAddr, path: &str) -> Value {
    let (status, body) = get(at, path).expect("an answer");
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

/// Asks ten times a second until it is so.
fn eventually<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + within;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn an_incident_is_seen_told_and_left() {
    let at = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let began = Instant::now();
    let child = demo(&["--listen", &at.to_string(), "--seed", "3"]).spawn().expect("the binary starts");
    let mut demo = Demo(child);
    let minute = Duration::from_secs(60);

    eventually("ready", minute, || get(at, "/readyz").filter(|(status, _)| *status == 200));
    println!("ready after {:?}", began.elapsed());

    // Two hours are there already, in every channel.
    let board = json(at, "/api/v1/indicators?window=1h&indicator=asa,service_level,occupancy,arrivals,aht&queue=");
    for channel in ["facebook", "twitter", "whatsapp", "email", "voice"] {
        for indicator in ["asa", "service_level", "occupancy", "arrivals", "aht"] {
            let record = list(&board, "indicators")
                .iter()
                .find(|r| r["channel"] == channel && r["indicator"] == indicator)
                .unwrap_or_else(|| panic!("no {indicator} of {channel}"));
            let value = record["value"].as_f64().unwrap_or_else(|| panic!("{record}"));
            let plausible = match indicator {
                // At a quiet hour of the day hardly anybody waits.
                "asa" => 0.01..1800.0,
                "aht" => 1.0..1800.0,
                "arrivals" => 20.0..1200.0,
                _ => 0.4..1.000_001,
            };
            assert!(plausible.contains(&value), "{record}");
            assert!(record["samples"].as_f64() > Some(20.0), "{record}");
        }
    }

    let alert = eventually("an alert", 2 * minute, || {
        let alerts = json(at, "/api/v1/alerts");
        list(&alerts, "alerts").iter().find(|a| a["queue"] == "reclamos" && a["indicator"] == "waiting").cloned()
    });
    println!("an alert after {:?}", began.elapsed());
    assert_eq!((&alert["channel"], &alert["matrix"]), (&"facebook".into(), &"demo".into()), "{alert}");

    let incident = alert["incident"].as_str();
    let mail = eventually("its mail", minute, || {
        let mailbox = json(at, "/api/v1/mailbox");
        // Other rows may tell of the queue as well.
        let about = |mail: &&Value| mail["text"].as_str().zip(incident).is_some_and(|(text, id)| text.contains(id));
        list(&mailbox, "mails").iter().find(about).cloned()
    });
    println!("a mail after {:?}", began.elapsed());
    assert_eq!(mail["to"][0], "lider.redes@demo.example");
    for part in ["text", "html"] {
        let body = mail[part].as_str().expect("a body");
        assert!(body.contains("aplace los descansos"), "the action is in the {part}: {body}");
        assert!(!body.contains("{{"), "rendered: {body}");
    }

    let hook = eventually("a webhook", 2 * minute, || {
        let mailbox = json(at, "/api/v1/mailbox");
        list(&mailbox, "webhooks").first().cloned()
    });
    println!("a webhook after {:?}", began.elapsed());
    assert_eq!(hook["signature"], "valid", "{hook}");
    assert_eq!(hook["body"]["type"], "alert", "{hook}");
    assert_eq!(hook["body"]["data"]["level"], "critical", "{hook}");

    // The link of the mail, whole after its journey, leads to the button, and the button acknowledges.
    let text = mail["text"].as_str().expect("a text");
    let link = text.lines().find_map(|line| line.strip_prefix(&format!("http://{at}/ack?"))).expect("a link");
    let (status, page) = get(at, &format!("/ack?{link}")).expect("the link's page");
    assert!(status == 200 && page.contains("<form") && page.contains("reclamos"), "{page}");
    let (status, page) = post(at, "/ack", &format!("{link}&who=ana")).expect("the button's page");
    assert!(status == 200 && page.contains("Reconocido por: ana"), "{page}");
    let trail = json(at, "/api/v1/operations");
    assert_eq!(list(&trail, "operations")[0]["who"], "ana", "{trail}");

    let (_, page) = get(at, "/").expect("the page");
    assert!(page.contains("Atalaya"), "{page}");

    // Ctrl-C.
    let told = Command::new("sh").args(["-c", &format!("kill -INT {}", demo.0.id())]).status().expect("sh");
    assert!(told.success());
    let left = Instant::now();
    let status = eventually("its end", minute, || demo.0.try_wait().expect("a child"));
    println!("ended after {:?}", left.elapsed());
    let (mut out, mut err) = (String::new(), String::new());
    demo.0.stdout.take().expect("piped").read_to_string(&mut out).expect("text");
    demo.0.stderr.take().expect("piped").read_to_string(&mut err).expect("text");
    assert_eq!(status.code(), Some(0), "{out}{err}");
    assert_eq!(err, "", "nothing went wrong");
    for said in [&format!("http://{at}"), "avalanche begins", "lider.redes@demo.example", "signature right"] {
        assert!(out.contains(said), "`{said}` is not in:\n{out}");
    }
}

#[test]
fn a_port_in_use_is_said_in_one_paragraph() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = taken.local_addr().expect("an address").to_string();
    let output = demo(&["--listen", &at]).output().expect("the binary starts");
    let err = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains(&at) && err.contains("--listen") && err.trim_end().lines().count() == 1, "{err}");

    let output = demo(&["--listen", "nowhere"]).output().expect("the binary starts");
    let err = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("nowhere") && err.trim_end().lines().count() == 1, "{err}");
}

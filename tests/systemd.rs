//! What the built program tells systemd, over a real socket; and the unit that ships with it.
#![cfg(target_os = "linux")]
#![cfg(feature = "shell")]
#![allow(clippy::disallowed_methods, reason = "this waits for a real program, on the real clock")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use support::kafka::{PATIENCE, eventually, free_port};
use support::program::{Files, Program};

const MATRIX: &str = r#"
version: 1
name: espera
contacts: { lead: { webhook: desk } }
rows:
  - indicator: waiting
    goal: "< 1"
    ranges:
      - { when: "< 1", level: ok }
      - { when: ">= 1", level: warning, tell: [lead], action: "Atender" }
"#;

/// A service whose broker is not there.
fn start(files: &Files, socket: &str) -> Program {
    files.write("matrices/espera.yaml", MATRIX);
    let config = files.write(
        "atalaya.yaml",
        &format!(
            "kafka: {{ brokers: [\"127.0.0.1:{}\"] }}\nmatrices: [matrices]\n\
             webhooks: {{ desk: {{ url: \"http://127.0.0.1:1/\" }} }}\n",
            free_port()
        ),
    );
    Program::start(&config, &[("NOTIFY_SOCKET", socket)])
}

/// The lines that come until one of them begins with `last`.
fn hear(socket: &UnixDatagram, last: &str) -> Vec<String> {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut heard: Vec<String> = Vec::new();
    loop {
        let mut bytes = [0; 4096];
        let length = socket.recv(&mut bytes).unwrap_or_else(|error| panic!("{error}, after {heard:?}"));
        heard.extend(std::str::from_utf8(&bytes[..length]).unwrap().lines().map(str::to_owned));
        if heard.iter().any(|line| line.starts_with(last)) {
            return heard;
        }
    }
}

#[test]
fn systemd_hears_how_the_service_stands() {
    let files = Files::new();
    let path = files.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut program = start(&files, path.to_str().unwrap());
    let first = hear(&socket, "READY=1");
    assert_eq!(program.get("/healthz").unwrap().0, 200, "it serves when it says so");
    assert_eq!(program.readyz().unwrap().0, 503, "though it has read nothing");
    assert!(first.iter().any(|line| line.starts_with("STATUS=not ready: ")), "{first:?}");
    let why = "STATUS=not ready: the consumer group has not given out partitions yet; Nothing answers at 127.0.0.1:";
    hear(&socket, why);
    // A broker that is away is no reason to be restarted.
    for _ in 0..3 {
        hear(&socket, "WATCHDOG=1");
    }
    let (status, took) = program.terminate();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
    let last = hear(&socket, "STOPPING=1");
    assert!(last.iter().any(|line| line.starts_with("STATUS=stopping")), "{last:?}");
    assert!(!last.contains(&"READY=1".to_owned()), "once only: {last:?}");
}

#[test]
fn a_socket_may_have_an_abstract_name_or_not_be_there() {
    let name = format!("atalaya-test-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let files = Files::new();
    let mut program = start(&files, &format!("@{name}"));
    hear(&socket, "READY=1");
    assert_eq!(program.terminate().0.code(), Some(0));

    let files = Files::new();
    let mut program = start(&files, "/nowhere/notify");
    eventually("it serves all the same", || program.get("/healthz").is_some());
    eventually("it says so", || program.log().contains("systemd cannot be told how it stands"));
    assert_eq!(program.terminate().0.code(), Some(0));
}

/// What the unit promises of the program.
#[test]
fn the_unit_fits_the_program() {
    let unit = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/systemd/atalaya.service")).unwrap();
    let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).expect(key);
    assert_eq!(value("Type"), "notify");
    let watchdog: u64 = value("WatchdogSec").parse().expect("seconds");
    assert!(watchdog >= 30, "a long evaluation is none that hangs");
    let stop: u64 = value("TimeoutStopSec").parse().expect("seconds");
    assert!(stop > atalaya::service::STOPS_WITHIN.as_secs(), "systemd would cut the drain off");
    assert!(value("RestrictAddressFamilies").split(' ').any(|family| family == "AF_UNIX"), "the notify socket");
    let mut arguments = value("ExecStart").split(' ').skip(1);
    assert_eq!(arguments.next(), Some("run"));
}

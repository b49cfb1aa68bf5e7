//! The service runs as the image, the pods and the unit have it: as a user without a name or a right, on a file system
//! that it cannot write.
#![cfg(target_os = "linux")]
#![cfg(feature = "shell")]
#![allow(clippy::disallowed_methods, reason = "this waits for a real program, on the real clock")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use support::kafka::{eventually, free_port};
use support::program::get;

/// All mounts of a space of its own read only, `/tmp` too; then the user of the image, without capabilities or a way to them.
const ENTER: &str = "mount -o remount,ro,bind / && for at in $(findmnt -rno TARGET); do \
     mount -o remount,ro,bind \"$at\" 2>/dev/null; done; \
     for at in /tmp /run \"$1\"; do touch \"$at/atalaya-writes\" 2>/dev/null && echo \"$at can be written\" >&2 && exit 9; done; \
     exec setpriv --reuid=10001 --regid=10001 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
     --ambient-caps=-all -- \"$1/atalaya\" run -c \"$1/atalaya.yaml\"";

/// Ends with the test.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_runs_as_nobody_on_a_file_system_that_it_cannot_write() {
    let enters = ["--mount", "setpriv", "--reuid=10001", "--clear-groups", "true"];
    let able = Command::new("unshare").args(enters).stderr(Stdio::null()).status();
    if !able.is_ok_and(|status| status.success()) {
        return support::skip(
            "no mounts of its own for a process; run as root, with unshare and setpriv of util-linux",
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::copy(env!("CARGO_BIN_EXE_atalaya"), at.join("atalaya")).unwrap();
    let port = free_port();
    let config = format!(
        "kafka: {{ brokers: [\"127.0.0.1:{}\"] }}\nmatrices: [\"{}/escalation-matrices\"]\n\
         smtp: {{ url: \"smtp://127.0.0.1:1\", tls: none, from: \"a@acme.example\" }}\nhttp: {{ listen: \"127.0.0.1:{port}\" }}\n",
        free_port(),
        at.display()
    );
    fs::write(at.join("atalaya.yaml"), config).unwrap();
    fs::create_dir(at.join("escalation-matrices")).unwrap();
    let matrix = concat!(env!("CARGO_MANIFEST_DIR"), "/escalation-matrices/voz.yaml");
    fs::copy(matrix, at.join("escalation-matrices/voz.yaml")).unwrap();
    fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap();

    let log = fs::File::create(at.join("log")).unwrap();
    let child = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"])
        .arg(at)
        .env("RUST_LOG", "info")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut service = Service(child);
    let said = || fs::read_to_string(at.join("log")).unwrap();
    eventually("it serves", || {
        assert!(service.0.try_wait().unwrap().is_none(), "it ended: {}", said());
        get(port, "/healthz", "*/*").is_some_and(|(status, _)| status == 200)
    });
    let status = fs::read_to_string(format!("/proc/{}/status", service.0.id())).unwrap();
    for line in
        ["Uid:\t10001\t10001\t10001\t10001", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"]
    {
        assert!(status.contains(line), "{line}: {status}");
    }
    assert_eq!(get(port, "/", "*/*").unwrap().0, 200);
    assert_eq!(get(port, "/metrics", "*/*").unwrap().0, 200);
    let stopped = Command::new("kill").arg(service.0.id().to_string()).status().unwrap();
    assert!(stopped.success() && service.0.wait().unwrap().success(), "{}", said());
}

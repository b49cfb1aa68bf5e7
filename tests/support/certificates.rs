//! Certificates for servers of a test, made by the `openssl` command.

use std::path::Path;
use std::process::{Command, Stdio};

fn openssl(folder: &Path, arguments: &str) -> bool {
    let words = arguments.split(' ');
    let run =
        Command::new("openssl").args(words).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

/// An authority `ca.pem`, and a certificate `cert.pem` with `key.pem` for `localhost` signed by it. Whether they could be
/// made.
pub fn certificates(folder: &Path) -> bool {
    std::fs::write(folder.join("ext"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
    [
        "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ca.key -out ca.pem -subj /CN=test-authority",
        "req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=localhost",
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out cert.pem",
    ]
    .iter()
    .all(|arguments| openssl(folder, arguments))
}

//! A reader that goes away (`| head -1`) ends a command quietly, with the exit code that it would have had.
#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::process::{Command, Stdio};

/// The write end of a pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn atalaya(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atalaya"));
    command.args(args).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

#[test]
fn a_reader_that_goes_away_changes_nothing_of_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events.ndjson");
    let line = |n: u32, minute: u32| {
        format!(
            "{{\"type\":\"interaction.queued\",\"interaction\":\"{n}\",\"queue\":\"q{n}\",\"channel\":\"chat\",\"time\":\"2026-01-05T12:{minute:02}:00Z\"}}\n"
        )
    };
    std::fs::write(&events, line(1, 0) + "garbage\n" + &line(2, 59)).unwrap();
    let events = events.to_str().unwrap();
    let (care, bad) = ("tests/data/matrix-test/care.yaml", "tests/data/matrix/twelve-defects.yaml");
    for (args, code) in [
        (&["schema", "matrix"][..], 0),
        (&["explain"], 0),
        (&["explain", "--format", "markdown"], 0),
        (&["explain", "nothing-of-ours"], 2),
        (&["check", care], 0),
        (&["check", bad], 2),
        (&["check", "-c", "config/default.yaml", bad], 2),
        (&["test", "escalation-matrices"], 0),
        (&["matrix", "show", care], 0),
        (&["matrix", "diff", care, "tests/data/matrix/valid-contract.yaml"], 0),
        (&["matrix", "fmt", "--check", "tests/data/matrix"], 1),
        (&["backtest", "-m", care, "--events", events, "--every", "1m", "--indicators", "all"], 0),
        (&["backtest", "-m", care, "--events", events, "--against", care], 0),
        (&["--help"], 0),
        (&["matrix", "dif"], 2),
    ] {
        for (out, err) in [(closed(), Stdio::piped()), (closed(), closed())] {
            let output = atalaya(args).stdin(Stdio::null()).stdout(out).stderr(err).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
            assert!(!said.contains("panicked"), "{args:?}: {said}");
        }
    }
}

/// A disk that is full is no reader that has seen enough.
#[cfg(target_os = "linux")]
#[test]
fn data_that_cannot_be_written_is_a_failure() {
    for args in [&["schema", "matrix"][..], &["explain"], &["check", "tests/data/matrix-test/care.yaml"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = atalaya(args).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("atalaya: cannot write the output"), "{args:?}: {said}");
    }
}

//! Real components for the integration tests, started by the tests themselves.
//!
//! A component that is absent skips the test, saying so; where `CI=true` it fails instead.
#![allow(dead_code, reason = "each test file uses its own part of this")]
#![allow(clippy::disallowed_methods, reason = "real programs are waited for on the real clock")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

pub mod alertmanager;
pub mod certificates;
pub mod kafka;
pub mod mail;
pub mod program;
pub mod receiver;

/// Says why a test is skipped, or fails where skipping is not allowed.
pub fn skip(why: &str) {
    let ci = std::env::vars().any(|(name, value)| name == "CI" && value == "true");
    assert!(!ci, "{why} (CI=true: not skipped)");
    eprintln!("SKIPPED: {why}");
}

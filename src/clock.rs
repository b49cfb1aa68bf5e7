//! The only reader of time.

use crate::domain::Timestamp;

/// The wall clock.
#[allow(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The monotonic clock, for deadlines and pauses of the shell: it never jumps.
#[allow(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub fn instant() -> std::time::Instant {
    std::time::Instant::now()
}

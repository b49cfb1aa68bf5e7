//! The end of a process whose Kafka clients may still be at work.
//!
//! A thread that asks a broker which does not answer cannot be waited for. If the process ends in the usual way meanwhile, OpenSSL
//! tidies up under librdkafka's threads, and a handshake in its middle crashes: an orderly stop would look like a failure.

use std::io::Write as _;

unsafe extern "C" {
    fn _exit(code: i32) -> !;
}

/// Ends the process at once, when all that was to be done is. What is in the buffers of the output goes out before.
pub fn leave(code: u8) -> ! {
    // Nobody may be reading any more.
    let _ = std::io::stdout().flush();
    let _ = std::io::stderr().flush();
    // SAFETY: the function takes any number and does not return; nothing of ours is to run after it.
    unsafe { _exit(i32::from(code)) }
}

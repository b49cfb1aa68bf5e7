//! What systemd is told of the service, where it was started with `Type=notify`: see sd_notify(3).
//!
//! | line | when |
//! |---|---|
//! | `READY=1` | it serves: its port is open, and its pages answer |
//! | `STATUS=` | what `/readyz` says, whenever that changes: `systemctl status` shows it |
//! | `WATCHDOG=1` | every second in which the evaluation's loop has turned, and while it stops |
//! | `STOPPING=1` | it was told to stop |
//!
//! `READY=1` does not wait for `/readyz`. Until it comes systemd holds up the start of the machine, ends the service after
//! `TimeoutStartSec`, and does not watch it. A broker that is away, or a day that is read again, are no reason for any of
//! these: the service waits for the one and goes on with the other by itself, and says so in `STATUS=`. Who restarts one
//! instance after the other waits for `/readyz`.
//!
//! The watchdog hears of the evaluation and not of the numbers: a process that hangs is mended by a restart, a broker that
//! does not answer is not. It is a task of the runtime that says so, so a runtime that hangs is silent too.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::http::{ReadinessReport, SharedReadiness};

/// How often it is looked what is to be said.
const EVERY: Duration = Duration::from_secs(1);

/// Longest status, in characters: systemd reads 4 KiB at once.
const STATUS_MAX: usize = 900;

/// Counts the turns of the evaluation's loop: it lives as long as they become more.
#[derive(Default)]
pub struct Pulse(AtomicU64);

impl Pulse {
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn beats(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The way to systemd; without one, nothing is said.
pub struct Systemd {
    socket: Option<Arc<UnixDatagram>>,
    stopping: Arc<AtomicBool>,
}

impl Systemd {
    /// Says that the service serves, and from now on how it stands, at the address that systemd gives as `NOTIFY_SOCKET`.
    pub fn serving(address: Option<String>, readiness: SharedReadiness, pulse: Arc<Pulse>) -> Systemd {
        let socket = address.and_then(|address| {
            let connected = connect(&address);
            connected.map_err(|error| tracing::warn!(address, %error, "systemd cannot be told how it stands")).ok()
        });
        let systemd = Systemd { socket: socket.map(Arc::new), stopping: Arc::default() };
        let Some(socket) = systemd.socket.clone() else { return systemd };
        let stopping = systemd.stopping.clone();
        tokio::spawn(async move {
            let mut voice = Voice::default();
            let mut due = tokio::time::interval(EVERY);
            loop {
                due.tick().await;
                say(&socket, &voice.next(&readiness.report(), pulse.beats(), stopping.load(Ordering::Relaxed)));
            }
        });
        systemd
    }

    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(socket) = &self.socket {
            say(socket, "STOPPING=1\nSTATUS=stopping: what was read is applied and committed, what waits is sent\n");
        }
    }
}

/// A path, or with `@` before it a name in Linux's abstract space.
fn connect(address: &str) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // A systemd that does not read must hold nothing up.
    socket.set_nonblocking(true)?;
    match address.strip_prefix('@') {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::linux::net::SocketAddrExt as _;
            socket.connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?)?;
        }
        _ => socket.connect(address)?,
    }
    Ok(socket)
}

fn say(socket: &UnixDatagram, lines: &str) {
    if !lines.is_empty()
        && let Err(error) = socket.send(lines.as_bytes())
    {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// What has been said, and so what is to be said next.
#[derive(Default)]
struct Voice {
    begun: bool,
    status: String,
    beats: u64,
}

impl Voice {
    fn next(&mut self, report: &ReadinessReport, beats: u64, stopping: bool) -> String {
        let mut lines = String::new();
        if !std::mem::replace(&mut self.begun, true) {
            lines.push_str("READY=1\n");
        }
        let status = status(report);
        if !stopping && status != self.status {
            lines.push_str(&format!("STATUS={status}\n"));
            self.status = status;
        }
        // The evaluation has ended before the service has: its deadlines and TimeoutStopSec watch that.
        if std::mem::replace(&mut self.beats, beats) != beats || stopping {
            lines.push_str("WATCHDOG=1\n");
        }
        lines
    }
}

/// One line.
fn status(report: &ReadinessReport) -> String {
    let mut text = match report.ready {
        true => "ready".to_owned(),
        false => format!("not ready: {}", report.reasons.join("; ")),
    };
    if !report.degraded.is_empty() {
        text.push_str(&format!("; degraded: {}", report.degraded.join("; ")));
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(STATUS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(reasons: &[&str], degraded: &[&str]) -> ReadinessReport {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        ReadinessReport { ready: reasons.is_empty(), reasons: owned(reasons), degraded: owned(degraded) }
    }

    #[test]
    fn the_watchdog_hears_of_a_loop_that_turns_and_of_no_other() {
        let mut voice = Voice::default();
        let waits = report(&["the broker is away"], &[]);
        assert_eq!(voice.next(&waits, 3, false), "READY=1\nSTATUS=not ready: the broker is away\nWATCHDOG=1\n");
        assert_eq!(voice.next(&waits, 7, false), "WATCHDOG=1\n", "not ready, and alive");
        assert_eq!(voice.next(&waits, 7, false), "", "the loop hangs");
        assert_eq!(voice.next(&report(&[], &[]), 7, false), "STATUS=ready\n", "whatever else goes on");
        assert_eq!(voice.next(&report(&[], &[]), 8, false), "WATCHDOG=1\n");
        assert_eq!(voice.next(&report(&["the service is stopping"], &[]), 8, true), "WATCHDOG=1\n");
    }

    #[test]
    fn a_status_is_one_line_that_systemd_can_read() {
        let told = status(&report(&["a", "b\nREADY=1"], &["mail"]));
        assert_eq!(told, "not ready: a; b READY=1; degraded: mail");
        assert_eq!(status(&report(&["ñ".repeat(5_000).as_str()], &[])).chars().count(), STATUS_MAX);
    }
}

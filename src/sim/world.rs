//! The synthetic operation: which queues and channels there are, who serves them, how much comes when.
//!
//! Rates and times are set so that a team in its busy hour is occupied for about 0.6 to 0.9 of its time.

use jiff::tz::TimeZone;

use super::Curve;
use crate::domain::{Millis, Timestamp};

/// How customers of a channel behave and are served. Times are means in seconds.
#[derive(Debug)]
pub struct Channel {
    pub name: &'static str,
    /// How long until a queue is chosen, and the share of arrivals for which that takes time at all.
    pub triage_seconds: f64,
    pub triage_share: f64,
    /// Share that leaves, or is done without an agent, before any queue.
    pub before_queue_share: f64,
    /// `None`: nobody leaves.
    pub patience_seconds: Option<f64>,
    /// One reply (on voice: the whole talk), and how many it takes.
    pub reply_seconds: f64,
    pub replies: f64,
    /// How long the customer takes to write again.
    pub customer_seconds: f64,
    /// After-contact work; 0 is none.
    pub wrapup_seconds: f64,
    pub transfer_share: f64,
    pub park_share: f64,
    pub live: bool,
}

pub const FACEBOOK: usize = 0;
pub const TWITTER: usize = 1;
pub const WHATSAPP: usize = 2;
pub const EMAIL: usize = 3;
pub const VOICE: usize = 4;

const SOCIAL: Channel = Channel {
    name: "facebook",
    triage_seconds: 12.0,
    triage_share: 0.3,
    before_queue_share: 0.03,
    patience_seconds: Some(5_400.0),
    reply_seconds: 52.0,
    replies: 2.6,
    customer_seconds: 95.0,
    wrapup_seconds: 0.0,
    transfer_share: 0.04,
    park_share: 0.03,
    live: false,
};

pub const CHANNELS: [Channel; 5] = [
    SOCIAL,
    Channel { name: "twitter", before_queue_share: 0.08, ..SOCIAL },
    Channel {
        name: "whatsapp",
        triage_seconds: 4.0,
        triage_share: 1.0,
        before_queue_share: 0.12,
        patience_seconds: Some(2_400.0),
        reply_seconds: 27.0,
        replies: 4.0,
        customer_seconds: 38.0,
        ..SOCIAL
    },
    Channel {
        name: "email",
        triage_seconds: 30.0,
        triage_share: 1.0,
        before_queue_share: 0.02,
        patience_seconds: None,
        reply_seconds: 260.0,
        replies: 1.1,
        customer_seconds: 1_800.0,
        park_share: 0.1,
        ..SOCIAL
    },
    Channel {
        name: "voice",
        triage_seconds: 25.0,
        triage_share: 1.0,
        before_queue_share: 0.05,
        patience_seconds: Some(420.0),
        reply_seconds: 230.0,
        replies: 1.0,
        customer_seconds: 1.0,
        wrapup_seconds: 40.0,
        transfer_share: 0.07,
        park_share: 0.0,
        live: true,
    },
];

/// A queue on a channel, and its arrivals per hour in a busy hour at scale 1.
#[derive(Debug)]
pub struct Place {
    pub queue: &'static str,
    /// Index into [`CHANNELS`].
    pub channel: usize,
    pub arrivals_per_hour: f64,
}

const fn place(queue: &'static str, channel: usize, arrivals_per_hour: f64) -> Place {
    Place { queue, channel, arrivals_per_hour }
}

/// What the incidents on one queue are about: (reclamos, facebook).
pub const COMPLAINTS: usize = 0;

pub const PLACES: [Place; 10] = [
    place("reclamos", FACEBOOK, 260.0),
    place("ventas", FACEBOOK, 130.0),
    place("reclamos", TWITTER, 100.0),
    place("ventas", TWITTER, 35.0),
    place("soporte", WHATSAPP, 420.0),
    place("ventas", WHATSAPP, 220.0),
    place("reclamos", EMAIL, 33.0),
    place("soporte", EMAIL, 33.0),
    place("soporte", VOICE, 130.0),
    place("ventas", VOICE, 66.0),
];

impl Place {
    pub fn channel(&self) -> &'static Channel {
        CHANNELS.get(self.channel).unwrap_or(&SOCIAL)
    }
}

/// Agents of equal skills.
#[derive(Debug)]
pub struct Team {
    pub name: &'static str,
    /// How many of them work in a busy hour at scale 1.
    pub agents: f64,
    pub slots: u32,
    /// Indices into [`PLACES`].
    pub places: &'static [usize],
    /// Their snapshots name pairs with their own `busy`, not lists of queues and channels.
    pub pairs: bool,
}

pub const TEAMS: [Team; 5] = [
    Team { name: "social", agents: 18.0, slots: 3, places: &[0, 1, 2, 3], pairs: false },
    Team { name: "chat", agents: 16.0, slots: 4, places: &[4, 5], pairs: false },
    Team { name: "mail", agents: 8.0, slots: 1, places: &[6, 7], pairs: false },
    Team { name: "phone", agents: 19.0, slots: 1, places: &[8, 9], pairs: false },
    Team { name: "mixed", agents: 3.0, slots: 1, places: &[4, 8], pairs: true },
];

/// A shift: when it begins (local), how long it lasts, and how many of the busy hour's agents work in it.
#[derive(Debug)]
pub struct Shift {
    pub start: Millis,
    pub length: Millis,
    pub share: f64,
}

const fn shift(start_hour: i64, hours: i64, share: f64) -> Shift {
    Shift { start: Millis(start_hour * Millis::HOUR.0), length: Millis(hours * Millis::HOUR.0), share }
}

const DAY_SHIFTS: [Shift; 5] =
    [shift(6, 8, 0.55), shift(9, 9, 0.55), shift(14, 8, 0.55), shift(17, 6, 0.35), shift(22, 8, 0.15)];
const FLAT_SHIFTS: [Shift; 3] = [shift(0, 8, 1.0), shift(8, 8, 1.0), shift(16, 8, 1.0)];

/// Arrivals at each full hour of the day as a share of the busy hour's, with straight lines between.
const DAY_CURVE: [f64; 24] = [
    0.09, 0.06, 0.05, 0.04, 0.05, 0.08, 0.20, 0.45, 0.75, 0.95, 1.00, 1.00, 0.92, 0.82, 0.86, 0.95, 1.00, 0.95, 0.82,
    0.72, 0.62, 0.48, 0.32, 0.16,
];

impl Curve {
    /// Arrivals at `time` as a share of the busy hour's, 0..1.
    pub fn share(self, time: Timestamp, zone: &TimeZone) -> f64 {
        if self == Curve::Flat {
            return 1.0;
        }
        let local = time.in_zone(zone);
        let hour = usize::try_from(local.hour()).unwrap_or(0) % 24;
        let within = (f64::from(local.minute()) * 60.0 + f64::from(local.second())) / 3600.0;
        let at = |hour: usize| DAY_CURVE.get(hour % 24).copied().unwrap_or(0.0);
        at(hour) * (1.0 - within) + at(hour + 1) * within
    }

    pub fn shifts(self) -> &'static [Shift] {
        match self {
            Curve::Day => &DAY_SHIFTS,
            Curve::Flat => &FLAT_SHIFTS,
        }
    }
}

/// Breaks of a shift: which part of it has passed when they fall due, and how long they are.
pub const BREAKS: [(f64, Millis); 3] =
    [(0.25, Millis(15 * 60_000)), (0.5, Millis(30 * 60_000)), (0.75, Millis(15 * 60_000))];

/// How far from there they begin, either way: planned so that few of a team are away together.
pub const BREAK_SPREAD: Millis = Millis(55 * 60_000);

pub const AGENT_HEARTBEAT: Millis = Millis(120_000);
pub const FEED_HEARTBEAT: Millis = Millis(30_000);
pub const AVALANCHE_FACTOR: f64 = 8.0;
/// It has a steep front, as when a post goes round: that long it comes that many times faster still.
pub const AVALANCHE_FRONT: Millis = Millis(30_000);
pub const AVALANCHE_FRONT_FACTOR: f64 = 3.0;
/// Share of its complaints that one reply settles.
pub const AVALANCHE_ALIKE: f64 = 0.6;

//! A synthetic contact centre: seeded, causal, without a clock of its own. For the demo, the tests and the benches.
//!
//! It is a discrete-event simulation. Customers arrive along the curve of a day, agents with skills, shifts and breaks
//! take them out of queues, and who waits too long leaves. So figures follow from causes: an avalanche makes waits grow,
//! and when half of the agents go they explode. The same [`Settings`] give the same bytes.
//!
//! Not here: sending and pacing (`commands::simulate`), and any figure: what the events amount to is for the product to
//! say. The numbers of [`world`] are plausible ones, not those of anybody's operation.
//!
//! | file | what it is |
//! |---|---|
//! | [`world`] | queues, channels, teams, rates, the curve of the day, shifts |
//! | `engine` | what happens, in the order of time |
//! | `customers`, `staff` | the life of an interaction; the day of an agent |
//! | `record` | what happened -> JSON |
//! | `feed` | in which order it is delivered: disorder, duplicates, garbage, silence |
//! | [`replay`] | recorded events moved in time |

use jiff::tz::TimeZone;

use crate::domain::{Millis, Timestamp};

mod customers;
mod engine;
mod feed;
mod random;
mod record;
pub mod replay;
mod staff;
pub mod world;

pub use engine::Simulation;

/// What is simulated. Two equal settings give the same events, byte by byte.
#[derive(Clone, Debug)]
pub struct Settings {
    pub seed: u64,
    /// When it begins; the floor is empty then, with the agents of the hour at their places.
    pub start: Timestamp,
    /// The zone of the curve and the shifts, and the offset that times are written with.
    pub zone: TimeZone,
    /// 1 is about 60 agents at work in busy hours; arrivals and agents grow with it together.
    pub scale: f64,
    pub curve: Curve,
    pub incident: Option<Incident>,
    pub disorder: Disorder,
    /// Nothing happens from here on; `None` never ends.
    pub until: Option<Timestamp>,
}

impl Settings {
    pub fn new(seed: u64, start: Timestamp) -> Self {
        Settings {
            seed,
            start,
            zone: TimeZone::UTC,
            scale: 1.0,
            curve: Curve::Day,
            incident: None,
            disorder: Disorder::default(),
            until: None,
        }
    }
}

/// How arrivals and staff go through the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Curve {
    /// A working day in local time: quiet at night, peaks before noon and in the late afternoon.
    #[default]
    Day,
    /// The busy hour all round the clock, with the staff that it needs: for a demo at any time.
    Flat,
}

/// Something goes wrong, `at` after the start and for `duration`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Incident {
    pub kind: IncidentKind,
    pub at: Millis,
    pub duration: Millis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncidentKind {
    /// Complaints on facebook come at eight times their rate, and faster still in the first half-minute.
    Avalanche,
    /// Every second agent leaves at once; whom they served waits anew.
    AgentsGone,
    /// Nobody is given anything out of (reclamos, facebook), though everybody works.
    StuckQueue,
    /// The feed delivers nothing, and all of it when it is back.
    Silence,
}

impl IncidentKind {
    pub const ALL: [IncidentKind; 4] =
        [IncidentKind::Avalanche, IncidentKind::AgentsGone, IncidentKind::StuckQueue, IncidentKind::Silence];

    pub fn name(self) -> &'static str {
        match self {
            IncidentKind::Avalanche => "avalanche",
            IncidentKind::AgentsGone => "agents-gone",
            IncidentKind::StuckQueue => "stuck-queue",
            IncidentKind::Silence => "silence",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What the feed does to the records on their way; the story on the floor stays the same. Shares are 0..1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disorder {
    /// Share of records that come twice.
    pub duplicates: f64,
    /// Share of records that come late, and so out of order.
    pub late: f64,
    /// The longest that a late record or a duplicate takes.
    pub lateness: Millis,
    /// Bad records, as a share of the good ones; they come besides.
    pub garbage: f64,
}

impl Default for Disorder {
    fn default() -> Self {
        Disorder { duplicates: 0.0, late: 0.0, lateness: Millis::MINUTE, garbage: 0.0 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    Interactions,
    AgentStates,
}

/// A record on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimEvent {
    /// When it happened.
    pub time: Timestamp,
    /// When it is delivered: not before `time`, and later where the feed is late or silent. Events come in this order.
    pub sent: Timestamp,
    pub topic: Topic,
    /// The message key: the interaction's or the agent's id, `feed` for heartbeats.
    pub key: String,
    /// One line: a canonical event, or garbage where that was asked for.
    pub json: String,
}

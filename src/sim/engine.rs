//! What happens, in the order of time: one heap of actions, each of which may cause others later.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::customers::Interaction;
use super::feed::Feed;
use super::random::Random;
use super::record::{Fields, Record, Snapshot};
use super::staff::{self, Agent};
use super::{Incident, IncidentKind, Settings, SimEvent, Topic, world};
use crate::domain::{Millis, Timestamp};

/// The floor of a synthetic contact centre, as an iterator of what it reports: endless unless told `until`.
pub struct Simulation {
    pub(super) settings: Settings,
    pub(super) random: Random,
    pub(super) now: Timestamp,
    actions: BinaryHeap<Reverse<(Timestamp, u64, Action)>>,
    scheduled: u64,
    pub(super) interactions: BTreeMap<u64, Interaction>,
    pub(super) arrived: u64,
    /// Who waits, per place, the longest waiting first. Entries whose wait is over are dropped when they are met.
    pub(super) waiting: Vec<VecDeque<(u64, u32)>>,
    pub(super) agents: Vec<Agent>,
    /// Per team: who can take one more, by how many they have and how long they have been idle.
    pub(super) ready: Vec<BTreeSet<(usize, Timestamp, usize)>>,
    pub(super) stuck: bool,
    feed: Feed,
    /// Distinguishes the ids of two simulations that are sent to one monitor.
    pub(super) prefix: String,
    emitted: u64,
    ended: bool,
}

/// Something that will happen. Those of an interaction name the step in its life that they belong to: it has moved on
/// if that is another by then, and nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    Arrive {
        place: usize,
    },
    /// One more of an avalanche.
    ArriveInAvalanche,
    Queue {
        number: u64,
        step: u32,
    },
    /// Stands in its queue, which it was said to be in already.
    Wait {
        number: u64,
        step: u32,
    },
    LeaveEarly {
        number: u64,
        step: u32,
    },
    Abandon {
        number: u64,
        step: u32,
    },
    Reply {
        number: u64,
        step: u32,
    },
    CustomerWrites {
        number: u64,
        step: u32,
    },
    Transfer {
        number: u64,
        step: u32,
    },
    Resume {
        number: u64,
        step: u32,
    },
    HangUp {
        number: u64,
        step: u32,
    },
    Close {
        number: u64,
        step: u32,
    },
    Reopen {
        number: u64,
        step: u32,
    },
    Rate {
        number: u64,
        step: u32,
    },
    ShiftStart {
        agent: usize,
    },
    ShiftEnd {
        agent: usize,
    },
    BreakDue {
        agent: usize,
        minutes: i64,
    },
    BreakEnd {
        agent: usize,
    },
    AgentHeartbeat {
        agent: usize,
    },
    FeedHeartbeat,
    IncidentStart,
    IncidentEnd,
}

impl Simulation {
    /// Scales below 0.05 and above 10,000 are taken as these.
    pub fn new(mut settings: Settings) -> Self {
        settings.scale = if settings.scale.is_finite() { settings.scale.clamp(0.05, 10_000.0) } else { 1.0 };
        let (seed, start) = (settings.seed, settings.start);
        let silence = match settings.incident {
            Some(Incident { kind: IncidentKind::Silence, at, duration }) => Some((start + at, start + at + duration)),
            _ => None,
        };
        let identity = xxhash_rust::xxh3::xxh3_64(format!("{seed} {}", start.0).as_bytes());
        let mut simulation = Simulation {
            random: Random(ChaCha8Rng::seed_from_u64(seed)),
            now: start,
            actions: BinaryHeap::new(),
            scheduled: 0,
            interactions: BTreeMap::new(),
            arrived: 0,
            waiting: vec![VecDeque::new(); world::PLACES.len()],
            agents: staff::roster(&settings),
            ready: vec![BTreeSet::new(); world::TEAMS.len()],
            stuck: false,
            feed: Feed::new(seed, settings.disorder, silence),
            prefix: format!("{:08x}", identity & 0xffff_ffff),
            emitted: 0,
            ended: false,
            settings,
        };
        simulation.open();
        simulation
    }

    /// The agents of the hour at their places, and the first of everything that repeats.
    fn open(&mut self) {
        for agent in 0..self.agents.len() {
            self.begin_day(agent);
        }
        for place in 0..world::PLACES.len() {
            self.schedule_arrival(place);
        }
        self.schedule(Millis(0), Action::FeedHeartbeat);
        if let Some(incident) = self.settings.incident {
            self.schedule(incident.at, Action::IncidentStart);
            self.schedule(incident.at + incident.duration, Action::IncidentEnd);
        }
    }

    pub(super) fn schedule(&mut self, after: Millis, action: Action) {
        self.scheduled += 1;
        self.actions.push(Reverse((self.now + after, self.scheduled, action)));
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Arrive { place } => self.arrive(place),
            Action::ArriveInAvalanche => self.arrive_in_avalanche(),
            Action::Queue { number, step } => self.queue(number, step),
            Action::Wait { number, step } => self.wait(number, step),
            Action::LeaveEarly { number, step } => self.leave_early(number, step),
            Action::Abandon { number, step } => self.abandon(number, step),
            Action::Reply { number, step } => self.reply(number, step),
            Action::CustomerWrites { number, step } => self.customer_writes(number, step),
            Action::Transfer { number, step } => self.transfer_elsewhere(number, step),
            Action::Resume { number, step } => self.resume(number, step),
            Action::HangUp { number, step } => self.hang_up(number, step),
            Action::Close { number, step } => self.close(number, step),
            Action::Reopen { number, step } => self.reopen(number, step),
            Action::Rate { number, step } => self.rate(number, step),
            Action::ShiftStart { agent } => self.shift_start(agent),
            Action::ShiftEnd { agent } => self.shift_end(agent),
            Action::BreakDue { agent, minutes } => self.break_due(agent, minutes),
            Action::BreakEnd { agent } => self.break_end(agent),
            Action::AgentHeartbeat { agent } => self.agent_heartbeat(agent),
            Action::FeedHeartbeat => self.feed_heartbeat(),
            Action::IncidentStart => self.incident(true),
            Action::IncidentEnd => self.incident(false),
        }
    }

    /// Lets something go wrong `after` the moment that has been reached, in place of what [`Settings::incident`] planned:
    /// for whoever decides while it runs. Not while another incident goes on.
    pub fn begin(&mut self, kind: IncidentKind, after: Millis, duration: Millis) {
        let at = self.now + after;
        self.settings.incident = Some(Incident { kind, at: at - self.settings.start, duration });
        if kind == IncidentKind::Silence {
            self.feed.be_silent(at, at + duration);
        }
        self.schedule(after, Action::IncidentStart);
        self.schedule(after + duration, Action::IncidentEnd);
    }

    /// How long an incident of this kind has been going on; `None` if none is.
    pub(super) fn incident_age(&self, kind: IncidentKind) -> Option<Millis> {
        let incident = self.settings.incident.filter(|incident| incident.kind == kind)?;
        let age = self.now - (self.settings.start + incident.at);
        (Millis(0)..incident.duration).contains(&age).then_some(age)
    }

    fn incident(&mut self, begins: bool) {
        let Some(incident) = self.settings.incident else { return };
        match incident.kind {
            IncidentKind::Avalanche if begins => self.arrive_in_avalanche(),
            IncidentKind::AgentsGone => self.agents_gone(begins),
            IncidentKind::StuckQueue => {
                self.stuck = begins;
                self.serve(world::COMPLAINTS);
            }
            // An avalanche ends by itself, and silence is the feed's.
            IncidentKind::Avalanche | IncidentKind::Silence => {}
        }
    }

    fn feed_heartbeat(&mut self) {
        for topic in [Topic::Interactions, Topic::AgentStates] {
            self.emit(topic, "feed", "feed.heartbeat", None, Fields::default(), None);
        }
        self.schedule(world::FEED_HEARTBEAT, Action::FeedHeartbeat);
    }

    pub(super) fn report(&mut self, number: u64, kind: &str, fields: Fields<'_>) {
        let interaction = format!("{}-{number}", self.prefix);
        self.emit(Topic::Interactions, &interaction, kind, Some(&interaction), fields, None);
    }

    pub(super) fn emit(
        &mut self,
        topic: Topic,
        key: &str,
        kind: &str,
        interaction: Option<&str>,
        fields: Fields<'_>,
        snapshot: Option<Snapshot<'_>>,
    ) {
        self.emitted += 1;
        let id = format!("{}/{}", self.prefix, self.emitted);
        let time = local_time(self.now, &self.settings.zone);
        let record = Record { id: &id, kind, time: &time, interaction, fields, snapshot };
        // Nothing in a record can fail to be JSON.
        let Ok(json) = serde_json::to_string(&record) else { return };
        self.feed.put(self.now, topic, key, json);
    }
}

/// RFC 3339 in milliseconds with the zone's offset of that moment.
fn local_time(time: Timestamp, zone: &jiff::tz::TimeZone) -> String {
    time.in_zone(zone).strftime("%Y-%m-%dT%H:%M:%S.%3f%:z").to_string()
}

impl Iterator for Simulation {
    type Item = SimEvent;

    fn next(&mut self) -> Option<SimEvent> {
        loop {
            let next = match self.actions.peek() {
                Some(Reverse((time, ..))) if !self.ended => Some(*time),
                _ => None,
            };
            if let Some(event) = self.feed.take(next) {
                return Some(event);
            }
            let time = next?;
            if self.settings.until.is_some_and(|until| time >= until) {
                // What happened before the end is still delivered.
                self.ended = true;
                continue;
            }
            let Reverse((time, _, action)) = self.actions.pop()?;
            self.now = time;
            self.act(action);
        }
    }
}

//! An event as the rest of the program sees it, whatever shape it came in. Text is borrowed from the record.
//!
//! Serialised it stands in snapshots ([`crate::snapshot`]), fields and variants in their order here: another order is another
//! version of those. Records are read by `wire` alone.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// One event. `id` orders and de-duplicates; without one on the wire it is the hash of the content, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event<'a> {
    pub id: Cow<'a, str>,
    pub time: Timestamp,
    pub body: Body<'a>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Body<'a> {
    Interaction {
        interaction: Cow<'a, str>,
        event: InteractionEvent<'a>,
    },
    Agent(AgentSnapshot<'a>),
    /// `feed.heartbeat`: proves that a quiet feed lives.
    Heartbeat,
}

impl Body<'_> {
    /// The id of the interaction or agent that it is about: the key of its record, so that all of its events lie in one
    /// partition.
    pub fn about(&self) -> Option<&str> {
        match self {
            Body::Interaction { interaction, .. } => Some(interaction),
            Body::Agent(snapshot) => Some(&snapshot.agent),
            Body::Heartbeat => None,
        }
    }
}

/// What happened to an interaction. The variants stand in the order of the life cycle, which orders events of one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum InteractionEvent<'a> {
    Arrived { channel: Cow<'a, str>, queue: Option<Cow<'a, str>> },
    Queued { queue: Cow<'a, str>, channel: Cow<'a, str> },
    Transferred { queue: Cow<'a, str>, channel: Option<Cow<'a, str>> },
    Assigned { agent: Cow<'a, str> },
    Replied { agent: Cow<'a, str>, automatic: bool },
    CustomerMessage,
    Parked,
    Resumed,
    Wrapup,
    Abandoned,
    Closed { outcome: Outcome },
    Reopened { by: ReopenedBy },
    Rated,
    Evaluated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Resolved,
    Unresolved,
    Deflected,
    AutoAnswered,
    Observed,
    Callback,
    Spam,
}

impl Outcome {
    pub const ALL: [Outcome; 7] = [
        Outcome::Resolved,
        Outcome::Unresolved,
        Outcome::Deflected,
        Outcome::AutoAnswered,
        Outcome::Observed,
        Outcome::Callback,
        Outcome::Spam,
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReopenedBy {
    Customer,
    Agent,
}

/// `agent.state`: how an agent stands from `time` until the next snapshot. A `None` list or number keeps the last one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentSnapshot<'a> {
    pub agent: Cow<'a, str>,
    /// The platform's own name of the state.
    pub state: Cow<'a, str>,
    pub class: AgentClass,
    /// Plain names of `queues`; with `channels` every combination is a pair that the agent serves.
    pub queues: Option<AgentPlaces<'a>>,
    pub channels: Option<Vec<Cow<'a, str>>>,
    /// How many interactions at once.
    pub slots: Option<u32>,
    /// How many are being handled now.
    pub busy: Option<u32>,
}

/// `queues` of a snapshot: plain names beside entries that name a pair.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct AgentPlaces<'a> {
    pub names: Vec<Cow<'a, str>>,
    pub pairs: Vec<PairEntry<'a>>,
}

/// An entry `{queue, channel, busy?, slots?}` of an agent of several channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairEntry<'a> {
    pub queue: Cow<'a, str>,
    pub channel: Cow<'a, str>,
    pub busy: Option<u32>,
    pub slots: Option<u32>,
}

/// The five classes of COPC's staff time, to which every platform's state names are mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AgentClass {
    Available,
    Handling,
    Wrapup,
    Unproductive,
    Offline,
}

impl AgentClass {
    pub const ALL: [AgentClass; 5] = [
        AgentClass::Available,
        AgentClass::Handling,
        AgentClass::Wrapup,
        AgentClass::Unproductive,
        AgentClass::Offline,
    ];

    pub fn name(self) -> &'static str {
        match self {
            AgentClass::Available => "available",
            AgentClass::Handling => "handling",
            AgentClass::Wrapup => "wrapup",
            AgentClass::Unproductive => "unproductive",
            AgentClass::Offline => "offline",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// `state` of agent indicators: a class, `elsewhere` (busy in another pair), or `connected` (all but offline).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    Available,
    Handling,
    Wrapup,
    Unproductive,
    Offline,
    Elsewhere,
    Connected,
}

impl State {
    pub const ALL: &'static [State] = &[
        State::Available,
        State::Handling,
        State::Wrapup,
        State::Unproductive,
        State::Offline,
        State::Elsewhere,
        State::Connected,
    ];

    /// What [`State::Connected`] is made of: all but offline.
    pub const CONNECTED: &'static [State] =
        &[State::Available, State::Handling, State::Wrapup, State::Unproductive, State::Elsewhere];

    pub fn name(self) -> &'static str {
        match self {
            State::Elsewhere => "elsewhere",
            State::Connected => "connected",
            State::Available => AgentClass::Available.name(),
            State::Handling => AgentClass::Handling.name(),
            State::Wrapup => AgentClass::Wrapup.name(),
            State::Unproductive => AgentClass::Unproductive.name(),
            State::Offline => AgentClass::Offline.name(),
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.name() == name)
    }
}

/// On whose clock a duration runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Clock {
    /// The customer's: every second counts.
    #[default]
    Elapsed,
    /// The desk's: only the channel's hours count.
    Open,
}

/// `stage`: a step of an interaction's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Stage {
    Triage,
    Queue,
    Reply,
    Handling,
    Customer,
    Parked,
    Wrapup,
}

impl Stage {
    pub const ALL: &'static [Stage] =
        &[Stage::Triage, Stage::Queue, Stage::Reply, Stage::Handling, Stage::Customer, Stage::Parked, Stage::Wrapup];

    pub fn name(self) -> &'static str {
        match self {
            Stage::Triage => "triage",
            Stage::Queue => "queue",
            Stage::Reply => "reply",
            Stage::Handling => "handling",
            Stage::Customer => "customer",
            Stage::Parked => "parked",
            Stage::Wrapup => "wrapup",
        }
    }
}

impl From<AgentClass> for State {
    fn from(class: AgentClass) -> State {
        match class {
            AgentClass::Available => State::Available,
            AgentClass::Handling => State::Handling,
            AgentClass::Wrapup => State::Wrapup,
            AgentClass::Unproductive => State::Unproductive,
            AgentClass::Offline => State::Offline,
        }
    }
}

impl Event<'_> {
    /// The same event with text of its own, for those that outlive their record.
    pub fn to_static(&self) -> Event<'static> {
        let own = |text: &Cow<'_, str>| Cow::Owned(text.to_string());
        let body = match &self.body {
            Body::Heartbeat => Body::Heartbeat,
            Body::Interaction { interaction, event } => {
                Body::Interaction { interaction: own(interaction), event: event.to_static() }
            }
            Body::Agent(snapshot) => Body::Agent(snapshot.to_static()),
        };
        Event { id: own(&self.id), time: self.time, body }
    }
}

impl InteractionEvent<'_> {
    fn to_static(&self) -> InteractionEvent<'static> {
        use InteractionEvent as E;
        let own = |text: &Cow<'_, str>| Cow::Owned(text.to_string());
        match self {
            E::Arrived { channel, queue } => E::Arrived { channel: own(channel), queue: queue.as_ref().map(own) },
            E::Queued { queue, channel } => E::Queued { queue: own(queue), channel: own(channel) },
            E::Transferred { queue, channel } => {
                E::Transferred { queue: own(queue), channel: channel.as_ref().map(own) }
            }
            E::Assigned { agent } => E::Assigned { agent: own(agent) },
            E::Replied { agent, automatic } => E::Replied { agent: own(agent), automatic: *automatic },
            E::CustomerMessage => E::CustomerMessage,
            E::Parked => E::Parked,
            E::Resumed => E::Resumed,
            E::Wrapup => E::Wrapup,
            E::Abandoned => E::Abandoned,
            E::Closed { outcome } => E::Closed { outcome: *outcome },
            E::Reopened { by } => E::Reopened { by: *by },
            E::Rated => E::Rated,
            E::Evaluated => E::Evaluated,
        }
    }
}

impl AgentSnapshot<'_> {
    fn to_static(&self) -> AgentSnapshot<'static> {
        let own = |text: &Cow<'_, str>| Cow::Owned(text.to_string());
        let queues = self.queues.as_ref().map(|places| AgentPlaces {
            names: places.names.iter().map(own).collect(),
            pairs: places
                .pairs
                .iter()
                .map(|pair| PairEntry { queue: own(&pair.queue), channel: own(&pair.channel), ..*pair })
                .collect(),
        });
        AgentSnapshot {
            agent: own(&self.agent),
            state: own(&self.state),
            class: self.class,
            queues,
            channels: self.channels.as_ref().map(|list| list.iter().map(own).collect()),
            slots: self.slots,
            busy: self.busy,
        }
    }
}

//! What happened -> one line of canonical JSON.

use serde::Serialize;

use super::world::{PLACES, Team};
use crate::domain::AgentClass;

/// Every field that the simulator writes, in the order of the line.
#[derive(Debug, Default, Serialize)]
pub(super) struct Record<'a> {
    pub id: &'a str,
    #[serde(rename = "type")]
    pub kind: &'a str,
    pub time: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interaction: Option<&'a str>,
    #[serde(flatten)]
    pub fields: Fields<'a>,
    #[serde(flatten)]
    pub snapshot: Option<Snapshot<'a>>,
}

/// The fields of an interaction's event.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Fields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<Customer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automatic: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csat: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nps: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<&'a [&'a str]>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Customer {
    pub id: String,
    pub value: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Snapshot<'a> {
    pub agent: &'a str,
    pub state: &'static str,
    pub queues: Vec<Queue>,
    pub channels: Vec<&'static str>,
    pub slots: u32,
    pub busy: u32,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Queue {
    Name(&'static str),
    Pair { queue: &'static str, channel: &'static str, busy: u32, slots: u32 },
}

impl<'a> Snapshot<'a> {
    /// `busy_places` has the place of every interaction that the agent is busy with.
    pub fn of(agent: &'a str, class: AgentClass, team: &Team, busy_places: &[usize]) -> Self {
        let mut queues = Vec::new();
        let mut channels: Vec<&'static str> = Vec::new();
        let mut names: Vec<&'static str> = Vec::new();
        for index in team.places {
            let Some(place) = PLACES.get(*index) else { continue };
            let channel = place.channel().name;
            if !channels.contains(&channel) {
                channels.push(channel);
            }
            if team.pairs {
                let busy = busy_places.iter().filter(|busy| *busy == index).count() as u32;
                queues.push(Queue::Pair { queue: place.queue, channel, busy, slots: team.slots });
            } else if !names.contains(&place.queue) {
                names.push(place.queue);
                queues.push(Queue::Name(place.queue));
            }
        }
        Snapshot { agent, state: class.name(), queues, channels, slots: team.slots, busy: busy_places.len() as u32 }
    }
}

//! What an indicator is kept for: a pair of queue and channel, or a roll-up of pairs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A pair (both named), a roll-up per queue or per channel (the other is `None`), or all (neither).
/// `None` means "rolled over", and in records and metrics such a label is left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Key {
    pub queue: Option<Arc<str>>,
    pub channel: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rollup {
    Pair,
    Queue,
    Channel,
    All,
}

impl Key {
    pub fn pair(queue: &str, channel: &str) -> Self {
        Key { queue: Some(queue.into()), channel: Some(channel.into()) }
    }

    pub const ALL: Key = Key { queue: None, channel: None };

    /// As people read it on a terminal: `reclamos/facebook`, `reclamos/(all channels)`.
    pub fn shown(&self) -> String {
        match (&self.queue, &self.channel) {
            (Some(queue), Some(channel)) => format!("{queue}/{channel}"),
            (Some(queue), None) => format!("{queue}/(all channels)"),
            (None, Some(channel)) => format!("(all queues)/{channel}"),
            (None, None) => "(all)".to_owned(),
        }
    }

    pub fn rollup(&self) -> Rollup {
        match (&self.queue, &self.channel) {
            (Some(_), Some(_)) => Rollup::Pair,
            (Some(_), None) => Rollup::Queue,
            (None, Some(_)) => Rollup::Channel,
            (None, None) => Rollup::All,
        }
    }
}

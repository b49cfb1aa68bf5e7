//! By what the entries of the logs and the kept states of a group are told from all others: numbers and names.
//!
//! Decisions and operations are of a **group**, whatever its settings. Deltas and what is made of them are of a **generation**:
//! of a group, of the settings that decide what a record contributes, and of an **epoch**, which says how often the logs have been begun
//! anew. What others wrote is passed over.
//!
//! | state | what |
//! |---|---|
//! | `decided` | what the decisions log came to, and the trail |
//! | `epoch` | how often the logs have been begun anew |
//! | `GENERATION/replica` | [`crate::instance::Replica`] |
//! | `GENERATION/floor/TOPIC/PARTITION/0`, `/1`, `/2` | the two newest snapshots of a floor, and room for the next ([`crate::instance::slot`]) |

use xxhash_rust::xxh3::xxh3_64;

use crate::config::{Config, Kafka};
use crate::instance::slot;
use crate::plan::Plan;

/// The name of what was decided.
pub const DECIDED: &str = "decided";
/// The name of how often the logs have been begun anew.
pub const EPOCH: &str = "epoch";

/// Whose the entries of the logs are that are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whose {
    pub group: u64,
    pub generation: u64,
}

pub fn group(kafka: &Kafka) -> u64 {
    xxh3_64(kafka.group.as_bytes())
}

/// Of all that decides what a record contributes. `plan` has what the matrices name besides.
pub fn settings(config: &Config, plan: &Plan) -> u64 {
    let sources: Vec<_> = config.sources.iter().map(|source| (&source.topic, source.format)).collect();
    let text = format!("{:016x} {sources:?} {:?}", plan.figures_fingerprint(), config.agent_states);
    xxh3_64(text.as_bytes())
}

pub fn generation(group: u64, settings: u64, epoch: u64) -> u64 {
    xxh3_64(&[group, settings, epoch].map(u64::to_le_bytes).concat())
}

/// Of what is kept as [`EPOCH`]; nothing is the first one.
pub fn epoch(kept: Option<Vec<u8>>) -> u64 {
    kept.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?))).unwrap_or(0)
}

pub fn replica(generation: u64) -> String {
    format!("{generation:016x}/replica")
}

pub fn floor(generation: u64, topic: &str, partition: i32, snapshot: u64) -> String {
    format!("{generation:016x}/floor/{topic}/{partition}/{}", slot(snapshot))
}

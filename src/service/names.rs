//! By what the entries of the logs and the kept states of a group are told from all others: numbers and names.
//!
//! Decisions and operations are of a **group**, whatever its settings. Deltas and what is made of them are of a **generation**:
//! of a group, of the settings that decide what a record contributes, and of an **epoch**, which says how often the logs have been begun
//! anew. What others wrote is passed over.
//!
//! Generations run beside each other, while the instances of a group are replaced one by one, so each reads all of the sources:
//! the consumer group has the group's name in the first of them, and the generation in it in every other ([`reads_as`]).
//!
//! | state | what |
//! |---|---|
//! | `decided` | what the decisions log came to, and the trail |
//! | `epoch` | [`Epoch`] |
//! | `GENERATION/replica` | [`crate::instance::Replica`] |
//! | `GENERATION/floor/TOPIC/PARTITION/0`, `/1`, `/2` | the two newest snapshots of a floor, and room for the next ([`crate::instance::slot`]) |

use xxhash_rust::xxh3::xxh3_64;

use crate::config::{Config, Kafka};
use crate::instance::slot;
use crate::journal::record::DELTA_VERSION;
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

/// Raised by whoever changes what an event contributes, or into which figures.
const CONTRIBUTIONS: u8 = 1;

/// Of all that decides what a record contributes, code as well as settings. `plan` has what the matrices name besides.
pub fn settings(config: &Config, plan: &Plan) -> u64 {
    let sources: Vec<_> = config.sources.iter().map(|source| (&source.topic, source.format)).collect();
    let code = [DELTA_VERSION, CONTRIBUTIONS];
    let text = format!("{code:?} {:016x} {sources:?} {:?}", plan.figures_fingerprint(), config.agent_states);
    xxh3_64(text.as_bytes())
}

pub fn generation(group: u64, settings: u64, epoch: u64) -> u64 {
    xxh3_64(&[group, settings, epoch].map(u64::to_le_bytes).concat())
}

/// What a group remembers of its generations, kept as [`EPOCH`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// How often the logs have been begun anew.
    pub number: u64,
    /// The first generation of this epoch.
    pub first: u64,
}

impl Epoch {
    /// The first one of all, where nothing else is kept.
    pub fn of(kept: Option<&[u8]>, group: u64, settings: u64) -> Epoch {
        let numbers = kept
            .and_then(|bytes| bytes.split_first_chunk())
            .and_then(|(number, rest)| Some((u64::from_le_bytes(*number), u64::from_le_bytes(rest.try_into().ok()?))));
        match numbers {
            Some((number, first)) => Epoch { number, first },
            None => Epoch { number: 0, first: generation(group, settings, 0) },
        }
    }

    pub fn to_bytes(self) -> Vec<u8> {
        [self.number, self.first].map(u64::to_le_bytes).concat()
    }
}

/// The name of the consumer group of a generation.
pub fn reads_as(kafka: &Kafka, generation: u64, epoch: Epoch) -> String {
    match generation == epoch.first {
        true => kafka.group.clone(),
        false => format!("{}-{generation:016x}", kafka.group),
    }
}

/// The generation of which a name is, if it is another than ours.
pub fn of_another(name: &str, ours: u64) -> Option<String> {
    let (generation, _) = name.split_once('/')?;
    let is_one = generation.len() == 16 && generation.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_one && generation != format!("{ours:016x}")).then(|| generation.to_owned())
}

pub fn replica(generation: u64) -> String {
    format!("{generation:016x}/replica")
}

pub fn floor(generation: u64, topic: &str, partition: i32, snapshot: u64) -> String {
    format!("{generation:016x}/floor/{topic}/{partition}/{}", slot(snapshot))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_generation_of_an_epoch_reads_under_the_name_of_the_group() {
        let kafka = Kafka { group: "calls".to_owned(), ..Kafka::default() };
        let (group, old, new) = (group(&kafka), 7, 8);
        let first = Epoch::of(None, group, old);
        assert_eq!(first, Epoch { number: 0, first: generation(group, old, 0) });
        assert_eq!(reads_as(&kafka, generation(group, old, 0), first), "calls");
        // Whoever starts later, with other settings, finds it kept.
        let found = Epoch::of(Some(&first.to_bytes()), group, new);
        assert_eq!(found, first);
        let beside = generation(group, new, 0);
        assert_eq!(reads_as(&kafka, beside, found), format!("calls-{beside:016x}"));
        assert_eq!(of_another(&replica(beside), generation(group, old, 0)), Some(format!("{beside:016x}")));
        assert_eq!(of_another(&replica(beside), beside), None);
        assert_eq!(of_another(DECIDED, beside), None);
        // What cannot be an epoch is none.
        assert_eq!(Epoch::of(Some(&[0; 8]), group, old), first);
    }
}

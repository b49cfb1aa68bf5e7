//! Which entries count, by the rules by which the instances read them, from what is known of those before.

use std::collections::{BTreeMap, VecDeque};

use super::reading::Ends;
use crate::commands::setup::Setup;
use crate::commands::{Failure, say};
use crate::domain::Timestamp;
use crate::instance::decider::ledger::Ledger;
use crate::instance::{History, Replica, Share};
use crate::journal::record::Log;
use crate::journal::rule::{Drop, Rule};
use crate::journal::{Delta, Mark, Position, SourcePartition};
use crate::kafka::KafkaFailure;
use crate::kafka::snapshots::{Found, Snapshots};
use crate::service::kept_ledger;
use crate::service::names::{self, DECIDED, EPOCH, Epoch, Whose};

/// What the deltas log came to, without a board.
#[derive(Default)]
pub struct Deltas {
    pub rule: Rule,
    pub places: BTreeMap<SourcePartition, Place>,
}

/// How far a source partition is.
#[derive(Default)]
pub struct Place {
    /// What the wall clock read at the last batch, and whether the partition had been read to its end.
    pub last: Option<(Timestamp, bool)>,
    /// The two newest snapshots of its floor.
    pub marks: VecDeque<Mark>,
}

impl Deltas {
    fn of(replica: &Replica) -> Deltas {
        let place = |(place, history): (SourcePartition, &History)| {
            let last = history.last.map(|last| (last.wall, last.live));
            (place, Place { last, marks: history.marks.clone() })
        };
        Deltas { rule: replica.rule().clone(), places: replica.histories().map(place).collect() }
    }

    pub fn take(&mut self, entry: &Delta<Share>) -> Result<(), Drop> {
        self.rule.judge(entry)?;
        let place = self.places.entry(entry.place()).or_default();
        match entry {
            Delta::Claimed { .. } => {}
            Delta::Batch(batch) => place.last = Some((batch.payload.step.end, batch.payload.step.live)),
            Delta::Kept { mark, .. } => {
                place.marks.push_back(*mark);
                if place.marks.len() > 2 {
                    place.marks.pop_front();
                }
            }
        }
        Ok(())
    }
}

/// What is known at the entry that comes next, or at a later one.
pub struct Known<S> {
    now: Option<S>,
    later: Option<(Position, S)>,
}

impl<S: Default> Known<S> {
    /// From where a log has to be read so that the entries from `from` on can be judged, as far as they can.
    fn begin(&mut self, ends: Ends, from: u64) -> u64 {
        let kept = self.later.take().filter(|(at, _)| (ends.low..=ends.end).contains(&at.0));
        match kept {
            Some((at, state)) if at.0 <= from => {
                self.now = Some(state);
                at.0
            }
            _ if ends.low == 0 => {
                self.now = Some(S::default());
                0
            }
            later => {
                self.later = later;
                from
            }
        }
    }

    /// What is known at a position; positions ascend.
    pub fn at(&mut self, position: Position) -> Option<&mut S> {
        if let Some((_, state)) = self.later.take_if(|(at, _)| *at <= position) {
            self.now = Some(state);
        }
        self.now.as_mut()
    }
}

/// What an instance has kept to start from.
pub struct Kept {
    pub snapshots: Snapshots,
    pub whose: Whose,
    pub epoch: Epoch,
    pub deltas: Known<Deltas>,
    pub decisions: Known<Ledger>,
}

impl Kept {
    pub fn read(Setup { config, set, .. }: &Setup) -> Result<Kept, Failure> {
        let failed = |error: KafkaFailure| Failure::Run(error.to_string());
        let mut snapshots = Snapshots::open(&config.kafka).map_err(failed)?;
        let mut found = snapshots.read(&[DECIDED, EPOCH]).map_err(failed)?;
        let (group, settings) = (names::group(&config.kafka), names::settings(config, &set.plan));
        let epoch = Epoch::of(whole(found.remove(EPOCH)).as_deref(), group, settings);
        let generation = names::generation(group, settings, epoch.number);
        let name = names::replica(generation);
        let replica = whole(snapshots.read(&[&name]).map_err(failed)?.remove(&name));
        let replica = replica.and_then(|bytes| taken(Replica::restore(set.plan.clone(), &bytes)));
        let deltas = replica.map(|(replica, _)| (replica.position(), Deltas::of(&replica)));
        let ledger = whole(found.remove(DECIDED)).and_then(|bytes| taken(kept_ledger(&bytes)));
        Ok(Kept {
            snapshots,
            whose: Whose { group, generation },
            epoch,
            deltas: Known { now: None, later: deltas },
            decisions: Known { now: None, later: ledger.map(|ledger| (ledger.position(), ledger)) },
        })
    }

    /// From where a log is known, or else from its first entry on.
    pub fn known(&self, log: Log, ends: Ends) -> u64 {
        let at = match log {
            Log::Deltas => self.deltas.later.as_ref().map(|(at, _)| at.0),
            Log::Decisions => self.decisions.later.as_ref().map(|(at, _)| at.0),
            Log::Operations => None,
        };
        at.unwrap_or(ends.low)
    }

    /// [`Known::begin`] of what the log is judged by; operations all count.
    pub fn begin(&mut self, log: Log, ends: Ends, from: u64) -> u64 {
        match log {
            Log::Deltas => self.deltas.begin(ends, from),
            Log::Decisions => self.decisions.begin(ends, from),
            Log::Operations => from,
        }
    }
}

fn whole(found: Option<Found>) -> Option<Vec<u8>> {
    match found? {
        Found::State { bytes, .. } => Some(bytes),
        Found::Nothing => None,
        Found::Broken(why) => {
            say::aside(why);
            None
        }
    }
}

fn taken<T, E: std::fmt::Display>(result: Result<T, E>) -> Option<T> {
    result.inspect_err(|error| say::aside(format_args!("What was kept cannot be read: {error}."))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The log begins at the first and ends at the second; something is kept at the third, entries are asked for from the
    /// fourth on: it is read from there, and judged from here on.
    #[test]
    fn entries_are_judged_from_where_something_is_known() {
        for (low, end, kept, from, read, judged) in [
            (0, 100, Some(40), 40, 40, Some(40)),
            (0, 100, Some(40), 70, 40, Some(40)),
            (0, 100, Some(40), 39, 0, Some(0)),
            (0, 100, None, 70, 0, Some(0)),
            (5, 100, Some(40), 70, 40, Some(40)),
            (5, 100, Some(40), 39, 39, Some(40)),
            (5, 100, None, 70, 70, None),
            (5, 100, Some(4), 70, 70, None),   // what came between is gone
            (5, 100, Some(101), 70, 70, None), // of a topic that was made anew since
            (5, 100, Some(100), 100, 100, Some(100)),
        ] {
            let mut known = Known { now: None, later: kept.map(|at| (Position(at), 'k')) };
            let what = format!("{low} to {end}, kept at {kept:?}, from {from}");
            assert_eq!(known.begin(Ends { low, end }, from), read, "{what}");
            let found = (read..=end).find(|at| known.at(Position(*at)).is_some());
            assert_eq!(found, judged, "{what}");
        }
    }
}

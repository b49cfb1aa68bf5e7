//! What of the decisions log counts, by a reading of its own: no claims are compared in it that a decider compared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atalaya::domain::Timestamp;
use atalaya::instance::decider::{Body, Entry, Head, Intent, Part};
use atalaya::journal::Claim;

pub struct Accepted {
    pub head: Head,
    pub body: Body,
    /// When it counted.
    pub at: Timestamp,
}

/// A notice that somebody sent: how long the log was then, and under which claim.
pub struct Sent {
    pub intent: Intent,
    pub at: usize,
    pub claim: Claim,
}

#[derive(Default)]
pub struct Decisions {
    read: usize,
    /// Who decides, since which entry, and who did before.
    turn: Option<(Claim, usize)>,
    ever: BTreeMap<Claim, usize>,
    resigned: bool,
    half: Vec<Part>,
    pub accepted: Vec<Accepted>,
    /// Where each notice was decided, and where its outcome was first told.
    pub decided: BTreeMap<Arc<str>, (usize, Intent)>,
    pub outcomes: BTreeMap<Arc<str>, usize>,
    /// When the last decision counted.
    pub heard: Timestamp,
    pub halves: u64,
}

impl Decisions {
    /// What has been added to the log by `now`.
    pub fn read(&mut self, log: &[Entry], now: Timestamp) {
        for (at, entry) in log.iter().enumerate().skip(self.read) {
            self.take(at, entry, now);
        }
        self.read = log.len();
    }

    fn take(&mut self, at: usize, entry: &Entry, now: Timestamp) {
        let current = self.turn.map_or(Claim::NOBODY, |(claim, _)| claim);
        match entry {
            Entry::Claimed { claim, after } if *after == current && !self.ever.contains_key(claim) => {
                self.halves += u64::from(!self.half.is_empty());
                (self.turn, self.resigned) = (Some((*claim, at)), false);
                self.ever.insert(*claim, at);
                self.half.clear();
            }
            Entry::Resigned { claim } if *claim == current => {
                self.resigned = true;
                self.half.clear();
            }
            Entry::Decided(part) if part.head.claim == current && !self.resigned => {
                let next = self.accepted.len() as u64 + 1;
                if part.head.number != next || usize::from(part.part) != self.half.len() {
                    return;
                }
                self.half.push(part.clone());
                if self.half.len() == usize::from(part.head.parts) {
                    let bytes: Vec<u8> = self.half.drain(..).flat_map(|part| part.bytes).collect();
                    let body: Body = postcard::from_bytes(&bytes).unwrap();
                    for intent in &body.intents {
                        self.decide(at, intent);
                    }
                    self.heard = now;
                    self.accepted.push(Accepted { head: part.head, body, at: now });
                }
            }
            Entry::Outcome { id, instead, .. } if self.decided.contains_key(id) && !self.outcomes.contains_key(id) => {
                self.outcomes.insert(id.clone(), at);
                instead.iter().for_each(|intent| self.decide(at, intent));
            }
            _ => {}
        }
    }

    fn decide(&mut self, at: usize, intent: &Intent) {
        let before = self.decided.insert(intent.id.clone(), (at, intent.clone()));
        assert!(before.is_none(), "two notices of one name: {}", intent.id);
    }

    /// How many notices have no outcome.
    pub fn waits(&self) -> usize {
        self.decided.len() - self.outcomes.len()
    }

    pub fn is_turn_of(&self, claim: Claim) -> bool {
        self.turn.is_some_and(|(current, _)| current == claim) && !self.resigned
    }

    /// Everything that counts was sent, under its name, by somebody whose turn it was; and nothing else.
    pub fn judge_sent(&self, sent: &[Sent]) -> Result<u64, String> {
        let (mut once, mut again) = (BTreeSet::new(), 0);
        for Sent { intent, at, claim } in sent {
            let id = &intent.id;
            let Some((decided, expected)) = self.decided.get(id) else {
                return Err(format!("{id} was sent, and never decided"));
            };
            if decided >= at {
                return Err(format!("{id} was sent before its decision counted"));
            }
            if expected != intent {
                return Err(format!("{id} was sent with other words than were decided"));
            }
            let begun = self.ever.get(claim).ok_or_else(|| format!("{id} was sent by nobody"))?;
            if self.outcomes.get(id).is_some_and(|outcome| outcome < begun) {
                return Err(format!("{id} was sent by one who knew its outcome"));
            }
            again += u64::from(!once.insert(id.clone()));
        }
        match self.decided.keys().find(|id| !once.contains(*id)) {
            Some(id) => Err(format!("{id} was decided, and never sent")),
            None => Ok(again),
        }
    }
}

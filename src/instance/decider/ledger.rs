//! What the decisions log came to: who decides, what was decided, and what of it is still to be sent. A pure function of the
//! log, so that all who read it agree.
//!
//! | entry | counts | then |
//! |---|---|---|
//! | `Claimed` | after the last claim that counts | its writer decides from here on |
//! | `Resigned` | of the last claim | nobody decides; the next claim comes after this one all the same |
//! | `Decided` | under the last claim, in its turn; a decision of several parts once all have come in their order | its patch is applied, its intents are to be sent |
//! | `Outcome` | of what is to be sent, whoever writes it | that is no longer to be sent; what is told instead is |
//!
//! A half that is followed by another claim never counts. A decision that is whole and cannot be read was written by another
//! version of the program: who meets one goes on no further ([`Ledger::is_blind`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;
use crate::journal::rule::{Drop, Dropped};
use crate::journal::{Claim, Position};
use crate::matrix::engine::{Items, Patch, apply};
use crate::snapshot::{Kind, Reader, SnapshotError, Writer, ensure};

/// Most bytes of a decision in one entry of the log: a broker takes a record of 1 MB.
pub const PART_BYTES: usize = 512 << 10;

/// Most entries that a decision can have: as many bytes as can be on their way.
pub const PARTS_MAX: u16 = (INTENT_BYTES_MAX / PART_BYTES) as u16;

/// What can be on its way at once. All readers of the log must agree on what is dropped, so this is no setting.
pub const INTENTS_MAX: usize = 100_000;
pub const INTENT_BYTES_MAX: usize = 256 << 20;

/// An entry of the decisions log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// `claim` decides, after `after` did.
    Claimed {
        claim: Claim,
        after: Claim,
    },
    Resigned {
        claim: Claim,
    },
    Decided(Part),
    Outcome {
        id: Arc<str>,
        fate: Fate,
        instead: Vec<Intent>,
    },
}

/// What a decision says besides its body, the same in each of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub claim: Claim,
    /// Which of the decisions that count it is, whoever made them: one more than the last.
    pub number: u64,
    pub parts: u16,
    #[serde(with = "milliseconds")]
    pub tick: Timestamp,
    /// How much of the other two logs it had seen: just behind the last entry.
    pub deltas: Position,
    pub operations: Position,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub head: Head,
    /// From 0.
    pub part: u16,
    pub bytes: Vec<u8>,
}

/// What a decision is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    pub patch: Patch,
    pub intents: Vec<Intent>,
}

/// A notice that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The same whoever sends it, and of no other notice.
    pub id: Arc<str>,
    /// What weighs less goes first where there is no room.
    pub weight: u8,
    pub bytes: Arc<[u8]>,
}

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    Sent,
    /// It will never be taken.
    Refused,
    /// It has been tried for too long.
    GaveUp,
    /// A newer one tells what it would have told.
    Superseded,
    /// There was no room for it.
    Dropped,
}

/// What an entry that counts did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    Claim,
    Resign,
    /// There are parts to come.
    Begin,
    Decide,
    Outcome,
}

#[derive(Debug, Default)]
pub struct Ledger {
    position: Position,
    claim: Claim,
    resigned: bool,
    decisions: u64,
    half: Option<(Head, Vec<Vec<u8>>)>,
    last: Option<Head>,
    items: Items,
    outbox: Outbox,
    dropped: Dropped,
    blind: bool,
}

impl Ledger {
    /// Takes the next entry of the log. What it did, or why it does not count.
    pub fn take(&mut self, position: Position, entry: &Entry) -> Result<Did, Drop> {
        self.position = Position(position.0 + 1);
        let did = self.judge(entry);
        if let Err(reason) = did {
            self.dropped.count(reason);
        }
        did
    }

    fn judge(&mut self, entry: &Entry) -> Result<Did, Drop> {
        match entry {
            Entry::Claimed { claim, after } => {
                if *after != self.claim || *claim == self.claim || *claim == Claim::NOBODY {
                    return Err(Drop::LateClaim);
                }
                (self.claim, self.resigned, self.half) = (*claim, false, None);
                Ok(Did::Claim)
            }
            Entry::Resigned { claim } => {
                if self.evaluator() != Some(*claim) {
                    return Err(Drop::NotOwner);
                }
                (self.resigned, self.half) = (true, None);
                Ok(Did::Resign)
            }
            Entry::Decided(part) => self.decided(part),
            Entry::Outcome { id, fate: _, instead } => {
                if !self.outbox.remove(id) {
                    return Err(Drop::Repeated);
                }
                instead.iter().for_each(|intent| self.outbox.put(intent.clone()));
                Ok(Did::Outcome)
            }
        }
    }

    fn decided(&mut self, part: &Part) -> Result<Did, Drop> {
        let Part { head, part, bytes } = part;
        if self.evaluator() != Some(head.claim) {
            return Err(Drop::NotOwner);
        }
        match head.number.cmp(&(self.decisions + 1)) {
            std::cmp::Ordering::Less => return Err(Drop::Repeated),
            std::cmp::Ordering::Greater => return Err(Drop::Gap),
            std::cmp::Ordering::Equal => {}
        }
        if *part >= head.parts || head.parts > PARTS_MAX || bytes.len() > PART_BYTES {
            return Err(Drop::Torn);
        }
        let (begun, parts) = self.half.get_or_insert_with(|| (*head, Vec::new()));
        if begun != head {
            return Err(Drop::Torn);
        }
        match usize::from(*part).cmp(&parts.len()) {
            std::cmp::Ordering::Less => return Err(Drop::Repeated),
            std::cmp::Ordering::Greater => return Err(Drop::Gap),
            std::cmp::Ordering::Equal => parts.push(bytes.clone()),
        }
        if parts.len() < usize::from(head.parts) {
            return Ok(Did::Begin);
        }
        let body = parts.concat();
        self.half = None;
        let body: Option<Body> = postcard::from_bytes(&body).ok();
        let Some(Body { intents, .. }) = body.filter(|body| apply(&mut self.items, &body.patch).is_ok()) else {
            self.blind = true;
            return Err(Drop::Unreadable);
        };
        intents.into_iter().for_each(|intent| self.outbox.put(intent));
        (self.decisions, self.last) = (head.number, Some(*head));
        Ok(Did::Decide)
    }

    /// Just behind the last entry that it has seen.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The last claim that counts: the next comes after it.
    pub fn claim(&self) -> Claim {
        self.claim
    }

    /// Who decides; `None` while nobody does.
    pub fn evaluator(&self) -> Option<Claim> {
        Some(self.claim).filter(|claim| *claim != Claim::NOBODY && !self.resigned)
    }

    /// How many decisions count, and the last of them.
    pub fn decisions(&self) -> u64 {
        self.decisions
    }

    pub fn last(&self) -> Option<&Head> {
        self.last.as_ref()
    }

    /// The state of the engine after the last decision that counts.
    pub fn items(&self) -> &Items {
        &self.items
    }

    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    pub fn dropped(&self) -> &Dropped {
        &self.dropped
    }

    /// It cannot read what was decided, and so cannot know how things stand.
    pub fn is_blind(&self) -> bool {
        self.blind
    }

    /// All that it knows, in bytes: [`Kind::LEDGER`].
    pub fn snapshot(&self) -> Vec<u8> {
        let Ledger { position, claim, resigned, decisions, half, last, items, outbox, dropped: _, blind } = self;
        let mut to = Writer::new(Kind::LEDGER, 0);
        to.put(&(position, claim, resigned, decisions, blind));
        to.put(&(half, last, items));
        to.put(&(outbox.next, outbox.crowded_out, &outbox.all));
        to.finish()
    }

    /// One that goes on from [`Ledger::position`].
    pub fn restore(bytes: &[u8]) -> Result<Ledger, SnapshotError> {
        let mut from = Reader::open(Kind::LEDGER, 0, bytes)?;
        let (position, claim, resigned, decisions, blind) = from.take("claims")?;
        type Decided = (Option<(Head, Vec<Vec<u8>>)>, Option<Head>, Items);
        let (half, last, items): Decided = from.take("decisions")?;
        let (next, crowded_out, all): (u64, u64, BTreeMap<u64, Intent>) = from.take("outbox")?;
        from.finish()?;
        let mut outbox = Outbox { next: 0, crowded_out, ..Outbox::default() };
        for (number, intent) in all {
            ensure(number >= outbox.next && number < next, "order of the outbox")?;
            outbox.next = number;
            outbox.put(intent);
        }
        outbox.next = next;
        let dropped = Dropped::default();
        Ok(Ledger { position, claim, resigned, decisions, half, last, items, outbox, dropped, blind })
    }
}

/// What was decided and has no outcome yet, in the order in which it was decided.
#[derive(Debug, Default)]
pub struct Outbox {
    all: BTreeMap<u64, Intent>,
    numbers: BTreeMap<Arc<str>, u64>,
    /// The lightest first, of these the oldest.
    weights: BTreeSet<(u8, u64)>,
    bytes: usize,
    next: u64,
    crowded_out: u64,
}

impl Outbox {
    fn put(&mut self, intent: Intent) {
        if self.numbers.contains_key(&intent.id) {
            return;
        }
        self.bytes += intent.bytes.len();
        self.numbers.insert(intent.id.clone(), self.next);
        self.weights.insert((intent.weight, self.next));
        self.all.insert(self.next, intent);
        self.next += 1;
        while self.all.len() > INTENTS_MAX || self.bytes > INTENT_BYTES_MAX {
            let lightest = self.weights.first().and_then(|(_, number)| self.all.get(number));
            let Some(id) = lightest.map(|intent| intent.id.clone()) else { return };
            self.remove(&id);
            self.crowded_out += 1;
        }
    }

    fn remove(&mut self, id: &str) -> bool {
        let Some(intent) = self.numbers.remove(id).and_then(|number| {
            let intent = self.all.remove(&number)?;
            self.weights.remove(&(intent.weight, number));
            Some(intent)
        }) else {
            return false;
        };
        self.bytes -= intent.bytes.len();
        true
    }

    pub fn contains(&self, id: &str) -> bool {
        self.numbers.contains_key(id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Intent> {
        self.all.values()
    }

    /// Its intents from the given place on, each with the place behind it.
    pub fn from(&self, place: u64) -> impl Iterator<Item = (u64, &Intent)> {
        self.all.range(place..).map(|(number, intent)| (number + 1, intent))
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many had to go for want of room.
    pub fn crowded_out(&self) -> u64 {
        self.crowded_out
    }
}

mod milliseconds {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::Timestamp;

    pub fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::engine::Edit;

    fn claimed(claim: u64, after: u64) -> Entry {
        Entry::Claimed { claim: Claim(claim), after: Claim(after) }
    }

    fn resigned(claim: u64) -> Entry {
        Entry::Resigned { claim: Claim(claim) }
    }

    fn outcome(id: &str, instead: Vec<Intent>) -> Entry {
        Entry::Outcome { id: id.into(), fate: Fate::Sent, instead }
    }

    fn intent(id: &str, weight: u8) -> Intent {
        Intent { id: id.into(), weight, bytes: [7; 9].into() }
    }

    /// A decision that sets an item to its number and has a notice of that name, in parts.
    fn decided(claim: u64, number: u64, parts: u16) -> Vec<Entry> {
        let patch = Patch(vec![(b"n".to_vec(), Edit::Set(vec![number as u8]))]);
        let body = Body { patch, intents: vec![intent(&number.to_string(), 1)] };
        cut(claim, number, parts, &postcard::to_allocvec(&body).unwrap())
    }

    fn cut(claim: u64, number: u64, parts: u16, body: &[u8]) -> Vec<Entry> {
        let (deltas, operations) = (Position(number), Position(0));
        let head = Head { claim: Claim(claim), number, parts, tick: Timestamp(0), deltas, operations };
        let chunks = body.chunks(body.len().div_ceil(usize::from(parts)));
        (0..).zip(chunks).map(|(part, bytes)| Entry::Decided(Part { head, part, bytes: bytes.to_vec() })).collect()
    }

    #[test]
    fn the_order_of_the_log_decides() {
        let part = |claim, number, part: usize| decided(claim, number, 3).remove(part);
        let whole = |claim, number| decided(claim, number, 1).remove(0);
        let log = [
            (whole(1, 1), Err(Drop::NotOwner)),
            (claimed(0, 0), Err(Drop::LateClaim)),
            (claimed(1, 0), Ok(Did::Claim)),
            (claimed(1, 0), Err(Drop::LateClaim)),
            (claimed(1, 1), Err(Drop::LateClaim)), // after itself
            (whole(1, 2), Err(Drop::Gap)),
            (whole(1, 1), Ok(Did::Decide)),
            (whole(1, 1), Err(Drop::Repeated)),
            (part(1, 2, 1), Err(Drop::Gap)),
            (part(1, 2, 0), Ok(Did::Begin)),
            (whole(1, 2), Err(Drop::Torn)),
            (part(1, 2, 0), Err(Drop::Repeated)),
            (part(1, 2, 1), Ok(Did::Begin)),
            (claimed(2, 0), Err(Drop::LateClaim)),
            (claimed(2, 1), Ok(Did::Claim)),
            (part(1, 2, 2), Err(Drop::NotOwner)), // what the half lacks, too late
            (part(2, 2, 2), Err(Drop::Gap)),
            (outcome("2", vec![]), Err(Drop::Repeated)), // of half a decision
            (part(2, 2, 0), Ok(Did::Begin)),
            (part(2, 2, 1), Ok(Did::Begin)),
            (part(2, 2, 2), Ok(Did::Decide)),
            (outcome("1", vec![intent("1b", 1)]), Ok(Did::Outcome)),
            (outcome("1", vec![intent("1c", 1)]), Err(Drop::Repeated)),
            (resigned(1), Err(Drop::NotOwner)),
            (resigned(2), Ok(Did::Resign)),
            (resigned(2), Err(Drop::NotOwner)),
            (whole(2, 3), Err(Drop::NotOwner)),
            (claimed(3, 2), Ok(Did::Claim)),
            (cut(3, 3, 1, b"of another version").remove(0), Err(Drop::Unreadable)),
        ];
        let mut ledger = Ledger::default();
        for (at, (entry, expected)) in log.iter().enumerate() {
            // What is put down at any place and taken up goes on alike.
            ledger = Ledger::restore(&ledger.snapshot()).unwrap();
            assert!(!ledger.is_blind());
            assert_eq!(ledger.take(Position(at as u64), entry), *expected, "entry {at}: {entry:?}");
        }
        let waits: Vec<&str> = ledger.outbox().iter().map(|intent| &*intent.id).collect();
        assert_eq!((waits, ledger.decisions(), &ledger.items()[&b"n"[..]]), (vec!["2", "1b"], 2, &vec![2]));
        assert!(ledger.is_blind());
    }

    #[test]
    fn the_lightest_and_oldest_gives_way() {
        let mut outbox = Outbox::default();
        for number in 0..=INTENTS_MAX {
            outbox.put(intent(&number.to_string(), u8::from(number != 7 && number != 9)));
        }
        assert_eq!((outbox.len(), outbox.crowded_out()), (INTENTS_MAX, 1));
        assert!(!outbox.contains("7") && outbox.contains("9"));
    }
}

//! One change of one figure, and the difference between two lists of them.

use smallvec::SmallVec;

use super::cells::Cell;

/// Where a contribution counts: a place (pair and its roll-ups, by a mask) or one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// A place's keys: bit 0 its pair, 1 its queue, 2 its channel, 3 all. Ages count in every one.
    Place(u32, u8),
    Key(u32),
}

pub(super) const EVERY_KEY: u8 = 0b1111;
pub(super) const PAIR_AND_QUEUE: u8 = 0b0011;
pub(super) const PAIR_AND_CHANNEL: u8 = 0b0101;

/// Which age a register follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Age {
    Wait,
    Unanswered,
    Unqueued,
}

impl Age {
    pub(super) const COUNT: usize = 3;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// Adds to a sum or a bucket.
    Add(Cell),
    /// A step of a level.
    Step(Cell),
    /// Something that began at that time runs (weight 1) or does not any more (-1).
    Age(Age, i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Contribution {
    pub at: i64,
    pub target: Target,
    pub what: What,
    pub weight: i64,
}

/// Takes nothing: for the part of a time-line that was contributed already.
pub(super) struct Nothing;

impl Sink for Nothing {
    #[inline]
    fn put(&mut self, _: Contribution) {}

    #[inline]
    fn revise(&mut self, _: Contribution) {}
}

/// Takes what a fold emits.
pub(super) trait Sink {
    /// A contribution dated at or after the event that is being folded; or before it, where the state that the last event
    /// left foretold it already, in the same words.
    fn put(&mut self, contribution: Contribution);
    /// A contribution dated before the event that causes it, and not foretold: a correction.
    fn revise(&mut self, contribution: Contribution);
}

impl Sink for List {
    fn put(&mut self, contribution: Contribution) {
        self.push(contribution);
    }

    fn revise(&mut self, contribution: Contribution) {
        self.push(contribution);
    }
}

pub(super) type List = SmallVec<[Contribution; 32]>;

/// Calls `emit` with what turns `old` into `new`: the old that are not in `new` taken back, the new that are not in `old`.
/// Both are multisets. What they share at their beginnings is passed over without sorting.
pub(super) fn difference(old: &mut [Contribution], new: &mut [Contribution], mut emit: impl FnMut(Contribution)) {
    let same = old.iter().zip(new.iter()).take_while(|(a, b)| a == b).count();
    let (old, new) = (old.split_at_mut(same).1, new.split_at_mut(same).1);
    if !old.is_empty() && !new.is_empty() {
        old.sort_unstable();
        new.sort_unstable();
    }
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        match (old.peek(), new.peek()) {
            (Some(a), Some(b)) if a == b => {
                old.next();
                new.next();
            }
            (Some(a), b) if b.is_none_or(|b| a < b) => {
                emit(Contribution { weight: -a.weight, ..**a });
                old.next();
            }
            (_, Some(b)) => {
                emit(**b);
                new.next();
            }
            (Some(_), None) | (None, None) => break,
        }
    }
}

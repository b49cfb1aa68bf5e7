//! The stages of one interaction: how long each took so far, in each place where it was.
//!
//! Of each stage an interaction is one sample in every key: all its stretches there together, dated at the end of the last.
//! So a stretch that ends takes the sample that stood back, and puts the longer one at its own end. While all of a stage
//! happens in one place its keys agree; one that moved counts in each pair with the time spent there, and in a roll-up
//! once, with the time spent in all of its places.

use smallvec::SmallVec;

use super::cells::{Cell, Histogram, hdr};
use super::contribution::{Contribution, EVERY_KEY, Sink, Target, What};
use super::names::Names;
use crate::domain::Stage;

/// One mask for each of a place's keys.
const KEYS: [u8; 4] = [1, 2, 4, 8];

/// What is known of one interaction. Cleared before another is walked.
#[derive(Debug, Default)]
pub(super) struct Stages(SmallVec<[Stretches; 8]>);

/// The stretches of one stage in one place.
#[derive(Clone, Copy, Debug)]
struct Stretches {
    stage: Stage,
    place: u32,
    total: i64,
    last_end: i64,
}

impl Stages {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// A stretch of `length` ends at `now`.
    pub fn end(&mut self, stage: Stage, place: u32, now: i64, length: i64, names: &Names, out: &mut impl Sink) {
        let moved = self.0.iter().any(|other| other.stage == stage && other.place != place);
        let masks: &[u8] = if moved { &KEYS } else { &[EVERY_KEY] };
        for &mask in masks {
            let same_key = |other: &Stretches| other.place == place || share_key(names, other.place, place, mask);
            let there = self.0.iter().filter(|other| other.stage == stage && same_key(other));
            let before = there.fold(None, |sum: Option<(i64, i64)>, other| {
                let (total, at) = sum.unwrap_or((0, i64::MIN));
                Some((total + other.total, at.max(other.last_end)))
            });
            let target = Target::Place(place, mask);
            if let Some((total, at)) = before {
                sample(at, target, stage, total, -1, |contribution| out.revise(contribution));
            }
            let total = before.map_or(0, |(total, _)| total) + length;
            sample(now, target, stage, total, 1, |contribution| out.put(contribution));
        }
        match self.0.iter_mut().find(|known| known.stage == stage && known.place == place) {
            Some(known) => {
                known.total += length;
                known.last_end = now;
            }
            None => self.0.push(Stretches { stage, place, total: length, last_end: now }),
        }
    }
}

fn share_key(names: &Names, a: u32, b: u32, mask: u8) -> bool {
    let key = |place| names.at(place).keys.get(mask.trailing_zeros() as usize).copied().flatten();
    key(a).is_some() && key(a) == key(b)
}

fn sample(at: i64, target: Target, stage: Stage, total: i64, weight: i64, mut emit: impl FnMut(Contribution)) {
    let mut add = |cell, weight| emit(Contribution { at, target, what: What::Add(cell), weight });
    add(Cell::stage(stage), weight);
    if total != 0 {
        add(Cell::stage_total(stage), weight * total);
    }
    add(Cell::bucket(Histogram::Stage(stage), hdr::bucket(total)), weight);
}

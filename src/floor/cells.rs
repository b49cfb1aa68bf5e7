//! The cells: what the floor contributes and the board adds up. Every figure is made of these integers.
//!
//! Three shapes, told apart by the top bits of a [`Cell`]:
//!
//! * *sums*: counts and integer milliseconds;
//! * *levels*: how many of something there are. A level is the step sums of its changes: Σw, and Σw·t beside it in the
//!   next cell, t in milliseconds since the start of the pane. The integral up to T is T·Σw − Σw·t over the steps before T;
//! * *buckets* of a histogram: how many samples fell into each.
//!
//! All three can be added, taken back and merged in any order.

use crate::domain::{Clock, Millis, Stage, State};

mod sparse;

pub use sparse::Cells;

/// One integer of a pane. Sums sort before levels, levels before buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell(pub u32);

const LEVEL: u32 = 0x1000_0000;
const BUCKET: u32 = 0x8000_0000;

/// Counts, and totals in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Sum {
    Arrivals,
    Queued,
    Answered,
    WaitTotal,
    Abandoned,
    ShortAbandoned,
    Closed,
    ClosedUnanswered,
    Expired,
    Replies,
    FirstResponses,
    FirstResponseTotal,
    Responses,
    ResponseTotal,
    Resolutions,
    ResolutionTotal,
    Contacts,
    HandleTotal,
    Wrapups,
    WrapupTotal,
    /// Of the waits that run: Σ of their starts since [`EPOCH`]. Read as a total of all time, never of a window.
    WaitStarts,
    /// First of seven: how many times each [`State`] was entered. After them the samples of each [`Stage`], and their totals.
    Entries,
}

const STAGES: u32 = Sum::Entries as u32 + State::ALL.len() as u32;
const STAGE_TOTALS: u32 = STAGES + Stage::ALL.len() as u32;

/// Counts per service-level threshold, of the channels that list it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Served {
    Answered,
    AnsweredWithin,
    Abandoned,
    AbandonedWithin,
    ShortAbandoned,
}

/// How many of something there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Level {
    Waiting,
    Unanswered,
    Unqueued,
    Open,
    SlotsOffered,
    SlotsBusy,
    /// Busy slots of the agents who are handling.
    BusyHandling,
    /// First of seven: agents in each [`State`].
    Agents,
}

/// Levels per service-level threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Beyond {
    /// Waiting longer than the threshold.
    Waiting,
    /// Open longer than the threshold.
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Histogram {
    Wait(Clock),
    Stage(Stage),
}

impl Histogram {
    const fn number(self) -> u32 {
        match self {
            Histogram::Wait(clock) => clock as u32,
            Histogram::Stage(stage) => 2 + stage as u32,
        }
    }
}

/// Times in sums are counted from here, so that a million of them stay far from the end of an `i64`.
pub const EPOCH: i64 = 1_577_836_800_000; // 2020-01-01T00:00:00Z

/// The width of a pane: sums of the board are kept this fine, or by the minute where they are old.
pub const PANE: Millis = Millis(10_000);

const PER_THRESHOLD_SUMS: u32 = 0x100;
const PER_THRESHOLD_LEVELS: u32 = 0x100;
/// What a sum or a level lies apart from its twin on the desk's clock, and from those by map of open time.
const OPEN: u32 = 0x0100_0000;
const BY_MAP: u32 = 0x0200_0000;
const OWN_ENTRIES: u32 = 0x0300_0000;

impl Cell {
    /// The first of each kind. Those of one kind follow each other.
    const SUMS: Cell = Cell(0);
    const SERVED: Cell = Cell(PER_THRESHOLD_SUMS);
    const LEVELS: Cell = Cell(LEVEL);
    const BEYOND: Cell = Cell(LEVEL + PER_THRESHOLD_LEVELS);

    /// Which of the four kinds it is of, in that order, and the how manieth; `None` where it is of another or far behind.
    #[inline]
    const fn run(self) -> Option<(usize, u32)> {
        if self.0 & !(LEVEL | PER_THRESHOLD_SUMS | 63) != 0 {
            return None;
        }
        Some((((self.0 >> 8 & 1) | (self.0 >> 27 & 2)) as usize, self.0 & 63))
    }

    pub const fn sum(sum: Sum) -> Cell {
        Cell(sum as u32)
    }

    pub const fn entries(state: State) -> Cell {
        Cell(Sum::Entries as u32 + state as u32)
    }

    /// How many times a state of the platform's own name was entered, an index of [`crate::plan::Plan::agent_states`].
    pub const fn own_entries(name: usize) -> Cell {
        Cell(OWN_ENTRIES + name as u32)
    }

    /// How many samples of the stage.
    pub const fn stage(stage: Stage) -> Cell {
        Cell(STAGES + stage as u32)
    }

    pub const fn stage_total(stage: Stage) -> Cell {
        Cell(STAGE_TOTALS + stage as u32)
    }

    pub const fn served(threshold: usize, served: Served) -> Cell {
        Cell(PER_THRESHOLD_SUMS + threshold as u32 * 8 + served as u32)
    }

    pub const fn level(level: Level) -> Cell {
        Cell(LEVEL + level as u32 * 2)
    }

    pub const fn agents(state: State) -> Cell {
        Cell(LEVEL + (Level::Agents as u32 + state as u32) * 2)
    }

    pub const fn beyond(threshold: usize, beyond: Beyond) -> Cell {
        Cell(LEVEL + PER_THRESHOLD_LEVELS + (threshold as u32 * 2 + beyond as u32) * 2)
    }

    /// The same on a clock: sums of samples and of their lengths, and what depends on a threshold.
    pub const fn on(self, clock: Clock) -> Cell {
        match clock {
            Clock::Elapsed => self,
            Clock::Open => Cell(self.0 + OPEN),
        }
    }

    /// How many wait in the channels of a map of open time, an index of [`crate::plan::Plan::open_times`].
    pub const fn waiting_on(map: usize) -> Cell {
        Cell(LEVEL + BY_MAP + map as u32 * 2)
    }

    /// Of the same waits: Σ of their starts in open time. Read as a total of all time, as [`Sum::WaitStarts`].
    pub const fn wait_starts_on(map: usize) -> Cell {
        Cell(BY_MAP + map as u32)
    }

    pub const fn bucket(histogram: Histogram, bucket: u16) -> Cell {
        Cell(BUCKET + (histogram.number() << 16) + bucket as u32)
    }

    /// The lowest and the one past the highest cell of a histogram.
    pub const fn buckets(histogram: Histogram) -> (Cell, Cell) {
        let low = BUCKET + (histogram.number() << 16);
        (Cell(low), Cell(low + 0x1_0000))
    }

    pub const fn is_level(self) -> bool {
        self.0 & LEVEL != 0 && self.0 & BUCKET == 0
    }

    pub const fn is_bucket(self) -> bool {
        self.0 & BUCKET != 0
    }

    /// Of a level's two cells, whether this is Σw (the other is Σw·t).
    pub const fn is_weight(self) -> bool {
        self.is_level() && self.0 & 1 == 0
    }

    /// Of a Σw·t the Σw that goes with it.
    pub const fn weight_of_moment(self) -> Option<Cell> {
        if self.is_level() && self.0 & 1 == 1 { Some(Cell(self.0 - 1)) } else { None }
    }

    /// Whether it is a sum of what happened: it falls only where that is corrected.
    pub const fn is_counter(self) -> bool {
        !self.is_level() && !self.is_bucket() && self.0 & BY_MAP == 0 && self.0 != Sum::WaitStarts as u32
    }

    /// The Σw·t that goes with this Σw.
    pub const fn moment(self) -> Cell {
        Cell(self.0 + 1)
    }

    pub const fn bucket_index(self) -> u16 {
        (self.0 & 0xffff) as u16
    }
}

/// HDR buckets of two significant digits over 1 ms .. 60 d: exact below 256 ms, within 0.4 % of a bucket's middle beyond.
/// The layout is HdrHistogram's (256 sub-buckets); a test holds it against that library.
pub mod hdr {
    /// Longer samples are counted in the top bucket.
    pub const HIGHEST: i64 = 60 * 86_400_000;

    pub fn bucket(ms: i64) -> u16 {
        let value = ms.clamp(0, HIGHEST) as u64;
        if value < 256 {
            return value as u16;
        }
        let shift = 56 - value.leading_zeros();
        ((shift << 7) + (value >> shift) as u32) as u16
    }

    /// The middle of a bucket, in milliseconds.
    pub fn middle(bucket: u16) -> i64 {
        if bucket < 256 {
            return i64::from(bucket);
        }
        let shift = u32::from(bucket >> 7) - 1;
        let low = i64::from(bucket - (shift << 7) as u16) << shift;
        low + (1i64 << shift) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::hdr;

    #[test]
    fn buckets_are_those_of_hdrhistogram() {
        let peer = hdrhistogram::Histogram::<u64>::new_with_bounds(1, hdr::HIGHEST as u64, 2).unwrap();
        let mut value = 1i64;
        while value < hdr::HIGHEST {
            for v in [value - 1, value, value + 1] {
                let (low, high) = (peer.lowest_equivalent(v as u64), peer.highest_equivalent(v as u64));
                assert_eq!(hdr::bucket(low as i64), hdr::bucket(v), "{v}");
                assert_eq!(hdr::bucket(high as i64), hdr::bucket(v), "{v}");
                if (high as i64) < hdr::HIGHEST {
                    assert_eq!(hdr::bucket(high as i64 + 1), hdr::bucket(v) + 1, "{v}");
                }
                assert_eq!(hdr::middle(hdr::bucket(v)) as u64, low + (high - low).div_ceil(2), "{v}");
            }
            value += 1 + value / 97;
        }
        assert_eq!(hdr::bucket(i64::MAX), hdr::bucket(hdr::HIGHEST));
    }
}

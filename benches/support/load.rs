//! Events of interactions that interleave: each arrives, is queued, assigned, answered and closed.

use std::fmt::Write as _;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Uniform, Zipf};

/// How many events an interaction has.
pub const STAGES: usize = 5;

/// What is to be made. The same load gives the same bytes.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Pairs of queue and channel, ten channels a queue.
    pub pairs: usize,
    /// A few pairs have most of the interactions, as in life; else all have the same share.
    pub zipf: bool,
    /// Interactions that are open at any moment, once [`Load::fill`] events have been taken.
    pub open: usize,
    /// Epoch milliseconds of the first event.
    pub start: i64,
    /// Events in a second of event time.
    pub per_second: i64,
    /// An event is padded to this length by a field that nobody reads.
    pub bytes: usize,
    /// Whether every event carries its queue, channel and a number besides, for readers that cannot look them up.
    pub plain: bool,
}

impl Default for Load {
    fn default() -> Self {
        let start = 1_767_225_600_000;
        Load { pairs: 1_000, zipf: false, open: 400, start, per_second: 2_000, bytes: 300, plain: false }
    }
}

/// One event and the pair it is of.
pub struct Line {
    pub pair: usize,
    pub bytes: Vec<u8>,
}

impl Load {
    /// How many interactions younger is the next stage's.
    fn gap(&self) -> usize {
        (self.open / (STAGES - 1)).max(1)
    }

    /// How many events it takes until [`Load::open`] interactions are open.
    pub fn fill(&self) -> usize {
        self.gap() * STAGES * (STAGES - 1) / 2
    }

    /// The first `count` events, in the order of their time.
    pub fn events(&self, count: usize) -> impl Iterator<Item = Line> + use<> {
        self.timed_events(count, |index, load| load.start + index as i64 * 1000 / load.per_second)
    }

    /// The same with times that `time` gives by the event's number.
    pub fn timed_events<T: FnMut(usize, &Load) -> i64>(
        &self,
        count: usize,
        mut time: T,
    ) -> impl Iterator<Item = Line> + use<T> {
        let load = *self;
        let gap = load.gap();
        let mut pairs = Pairs::new(&load);
        let mut pair_of = Vec::new();
        // Each cohort gives one event to each of five interactions of different age.
        let stages = (0..).flat_map(move |cohort: usize| {
            (0..STAGES).filter_map(move |stage| Some((stage, cohort.checked_sub(stage * gap)?)))
        });
        stages.take(count).enumerate().map(move |(index, (stage, interaction))| {
            while pair_of.len() <= interaction {
                pair_of.push(pairs.next());
            }
            let pair = pair_of.get(interaction).copied().unwrap_or(0);
            let time = time(index, &load);
            Line { pair, bytes: load.line(stage, interaction, pair, time).into_bytes() }
        })
    }

    /// The event of one stage of an interaction.
    pub fn line(&self, stage: usize, interaction: usize, pair: usize, time: i64) -> String {
        let mut line = String::with_capacity(self.bytes.max(200));
        let place = place(pair);
        let what = match stage {
            0 => format!(r#""type":"interaction.arrived",{place}"#),
            1 => format!(r#""type":"interaction.queued",{place}"#),
            2 => format!(r#""type":"interaction.assigned","agent":"agent-{}""#, pair % 500),
            3 => format!(r#""type":"interaction.replied","agent":"agent-{}""#, pair % 500),
            _ => r#""type":"interaction.closed","outcome":"resolved""#.to_owned(),
        };
        let also = match (self.plain, stage) {
            (false, _) => String::new(),
            (true, 0 | 1) => format!(r#","seconds":{}"#, interaction % 600),
            (true, _) => format!(r#",{place},"seconds":{}"#, interaction % 600),
        };
        let (id, event) = (uuid(interaction as u64), event_uuid((interaction * STAGES + stage) as u64));
        let _ = write!(line, r#"{{"id":"{event}","time":{time},"interaction":"{id}",{what}{also}"#);
        if line.len() + 10 < self.bytes {
            line.push_str(r#","note":""#);
            line.extend(std::iter::repeat_n('x', self.bytes - 2 - line.len()));
            line.push('"');
        }
        line.push('}');
        line
    }
}

/// The fields that name a pair, as JSON without braces.
pub fn place(pair: usize) -> String {
    format!(r#""queue":"queue-{}","channel":"channel-{}""#, pair / 10, pair % 10)
}

/// A UUID in its usual form that looks as random as one.
pub fn uuid(number: u64) -> String {
    // The finaliser of SplitMix64: a bijection, so that no two numbers give one text.
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let (a, b) = (mix(number.wrapping_add(0x9e37_79b9_7f4a_7c15)), mix(number));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}

/// The same for an event, whose number may be that of an interaction.
pub fn event_uuid(number: u64) -> String {
    uuid(number + (1 << 60))
}

/// Which pair each further interaction is of.
struct Pairs {
    random: ChaCha8Rng,
    pairs: usize,
    zipf: Option<Zipf<f64>>,
    uniform: Option<Uniform<usize>>,
}

impl Pairs {
    fn new(load: &Load) -> Self {
        Pairs {
            random: ChaCha8Rng::seed_from_u64(1),
            pairs: load.pairs,
            zipf: Zipf::new(load.pairs as f64, 1.0).ok().filter(|_| load.zipf),
            uniform: Uniform::new(0, load.pairs).ok(),
        }
    }

    fn next(&mut self) -> usize {
        let rank = match (&self.zipf, &self.uniform) {
            (Some(zipf), _) => zipf.sample(&mut self.random) as usize - 1,
            (None, Some(uniform)) => uniform.sample(&mut self.random),
            (None, None) => 0,
        };
        rank.min(self.pairs - 1)
    }
}

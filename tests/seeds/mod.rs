//! Worlds drawn from seeds: which are run, and what happened in them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How many seeds are run where nobody says otherwise.
const SEEDS: u64 = 100;

/// How often what happened.
#[derive(Debug, Default)]
pub struct Happened(BTreeMap<&'static str, u64>);

impl Happened {
    pub fn note(&mut self, what: &'static str) {
        self.count(what, 1);
    }

    pub fn count(&mut self, what: &'static str, count: u64) {
        if count > 0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    fn add(&mut self, other: &Happened) {
        other.0.iter().for_each(|(what, count)| self.count(what, *count));
    }
}

/// Lets the world of each seed live: `ATALAYA_SEED` alone, or `ATALAYA_SEEDS` from 0 on. Of enough of them `everything` has
/// happened in some: a world in which nothing goes wrong proves nothing.
#[allow(clippy::disallowed_methods, reason = "which seeds to run is asked of whoever runs the test")]
pub fn run(everything: &[&'static str], live: impl Fn(u64) -> Result<Happened, String>) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("ATALAYA_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ATALAYA_SEEDS").unwrap_or(SEEDS),
    };
    let mut happened = Happened::default();
    for seed in seeds.clone() {
        match catch_unwind(AssertUnwindSafe(|| live(seed))) {
            Ok(Ok(one)) => happened.add(&one),
            Ok(Err(difference)) => panic!("\nseed {seed}: {difference}"),
            Err(_) => panic!("\nseed {seed}: it panicked, as is said above"),
        }
    }
    println!("{happened:?}");
    if seeds.end - seeds.start >= SEEDS {
        let missing: Vec<_> = everything.iter().filter(|what| !happened.0.contains_key(*what)).collect();
        assert!(missing.is_empty(), "{missing:?} never happened: {happened:?}");
    }
}

//! One decides, everybody knows what, and nothing that was decided is forgotten, whatever stops: three instances with real
//! engines in a simulated world of crashes, pauses, zombies, rolling restarts, clocks that leap, and a decisions log to which
//! writes come late, twice, out of order, in halves or not at all. Every choice is drawn from a seed.
//!
//! Who judges reads the log with a rule of its own, and lets one engine decide alone what the log says was decided.
//!
//! `ATALAYA_SEEDS=10000 cargo test --release --test decisions` runs so many; `ATALAYA_SEED=77` runs that one alone. A failure
//! names its seed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "decisions/judge.rs"]
mod judge;
#[path = "decisions/world.rs"]
mod world;

use world::World;

const SEEDS: u64 = 150;

#[test]
#[allow(clippy::disallowed_methods, reason = "which seeds to run is asked of whoever runs the test")]
fn one_decides_and_nothing_decided_is_forgotten() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("ATALAYA_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ATALAYA_SEEDS").unwrap_or(SEEDS),
    };
    let mut happened = world::Happened::default();
    for seed in seeds.clone() {
        let mut world = World::new(seed);
        if let Err(difference) = world.live().and_then(|()| world.judge()) {
            panic!("seed {seed}: {difference}");
        }
        happened.add(&world.happened);
    }
    println!("{happened:?}");
    // A world in which nothing goes wrong proves nothing.
    if seeds.end - seeds.start >= SEEDS {
        assert_eq!(happened.missing(), Vec::<&str>::new(), "{happened:?}");
    }
}

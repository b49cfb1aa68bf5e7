//! Nothing lost and nothing counted twice, whatever stops: instances in a simulated world of crashes, zombies, rebalances,
//! late, lost and repeated writes, and clocks that jump. Every choice is drawn from a seed.
//!
//! Who judges knows nothing of claims, batches or snapshots: all events go once, in order, through one floor and one board.
//!
//! `ATALAYA_SEEDS=10000 cargo test --release --test survival` runs so many; `ATALAYA_SEED=77` runs that one alone. A failure
//! names its seed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "survival/node.rs"]
mod node;
mod random;
#[path = "survival/world.rs"]
mod world;

use world::World;

const SEEDS: u64 = 150;

#[test]
#[allow(clippy::disallowed_methods, reason = "which seeds to run is asked of whoever runs the test")]
fn nothing_is_lost_and_nothing_counts_twice() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("ATALAYA_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ATALAYA_SEEDS").unwrap_or(SEEDS),
    };
    let mut happened = world::Happened::default();
    for seed in seeds.clone() {
        let mut world = World::new(seed);
        world.live();
        world.heal();
        if let Err(difference) = world.judge() {
            panic!("seed {seed}: {difference}");
        }
        happened.add(&world.happened);
    }
    println!("{happened:?}");
    // A world in which nothing goes wrong proves nothing.
    if seeds.end - seeds.start >= SEEDS {
        assert!(happened.is_everything(), "{happened:?}");
    }
}

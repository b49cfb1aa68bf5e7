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
mod seeds;
#[path = "survival/world.rs"]
mod world;

use world::World;

#[test]
fn nothing_is_lost_and_nothing_counts_twice() {
    seeds::run(&world::EVERYTHING, |seed| {
        let mut world = World::new(seed);
        world.live();
        world.heal();
        world.judge()?;
        Ok(world.happened)
    });
}

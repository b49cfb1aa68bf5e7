//! The whole pipeline in a simulated world, whatever stops: nothing lost, nothing counted twice, one decides, and nothing that was
//! decided is forgotten.
//!
//! Three instances, with floors, boards, real engines, a seat to decide in, and a topic of snapshots, live through crashes, pauses,
//! zombies, rebalances, rolling restarts and clocks that are wrong; what they write comes late, twice, out of order, in halves or
//! not at all. Every choice is drawn from a seed. Time is virtual.
//!
//! Who judges knows nothing of claims, snapshots and takeovers:
//!
//! | judge | what |
//! |---|---|
//! | [`judge`] | every board is what one floor and one board show that saw every event once; every decision is what one engine decides over a board of its own that has seen what the decision names; a queue that was filled clear of the threshold is known to be full within five seconds of the end of the outage, and to be empty likewise |
//! | [`deltas`], [`decisions`] | what of the two logs counts, by a reading of their own; every notice that was decided is sent, under its id, after its decision counted, and nothing else is |
//! | [`topics`] | what is taken up is what somebody had put down, to the byte |
//!
//! `ATALAYA_SEEDS=10000 cargo test --profile simulation --no-default-features --test whole` runs so many; `ATALAYA_SEED=77` runs that
//! one alone. A failure names its seed. `make defects` proves that the judges see: it runs this over a program that is broken on
//! purpose, in one way after the other.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod acts;
mod decisions;
mod deltas;
mod floor;
mod instance;
mod judge;
#[path = "../random/mod.rs"]
mod random;
#[path = "../seeds/mod.rs"]
mod seeds;
mod topics;
mod world;

use world::World;

#[test]
fn nothing_is_lost_and_nothing_decided_is_forgotten() {
    seeds::run(&world::EVERYTHING, |seed| {
        let mut world = World::new(seed);
        world.live()?;
        world.judge()?;
        Ok(world.happened)
    });
}

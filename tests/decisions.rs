//! One decides, everybody knows what, and nothing that was decided is forgotten, whatever stops: three instances with real
//! engines in a simulated world of crashes, pauses, zombies, rolling restarts, clocks that leap, and a decisions log to which
//! writes come late, twice, out of order, in halves or not at all. Every choice is drawn from a seed.
//!
//! Who judges reads the log with a rule of its own, and lets one engine decide alone what the log says was decided.
//!
//! `ATALAYA_SEEDS=10000 cargo test --release --test decisions` runs so many; `ATALAYA_SEED=77` runs that one alone. A failure
//! names its seed.
//!
//! # Mutants
//!
//! 20 changes of one place each in `src/instance/decider`, by script:
//!
//! | what was changed | tried | caught |
//! |---|---|---|
//! | what counts: `after` of a claim, the number of a decision, half a decision, halves that outlive their claim, the order of parts, who resigned | 6 | 6 |
//! | sending: before the decision counts, nothing at a takeover or only what is new to it, what has an outcome, an outcome told before | 5 | 5 |
//! | turns: who is superseded goes on, or wants still what it wanted, silence by the clock | 4 | 4 |
//! | what is lost: a decision or an outcome is not appended again, operations are forgotten too early, a snapshot without its half | 4 | 4 |
//! | an outcome is a sign of life | 1 | 0 |
//!
//! The one that lives makes a takeover later by the outcomes that are still being told when an evaluator stops, which are few.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "decisions/judge.rs"]
mod judge;
mod seeds;
#[path = "decisions/world.rs"]
mod world;

use world::World;

#[test]
fn one_decides_and_nothing_decided_is_forgotten() {
    seeds::run(&world::EVERYTHING, |seed| {
        let mut world = World::new(seed);
        world.live()?;
        world.judge()?;
        Ok(world.happened)
    });
}

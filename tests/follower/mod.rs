//! Who follows an engine by what it says has changed, and can go on in its place at any time.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::sync::Arc;

use atalaya::matrix::Matrix;
use atalaya::matrix::engine::{Engine, Items, Patch, apply};
use atalaya::plan::Plan;

#[derive(Default)]
pub struct Follower {
    items: Items,
    ticks: u32,
}

/// What was missed once stays missed mostly: to look at all of it every so many ticks is enough.
const LOOK_EVERY: u32 = 3;

impl Follower {
    /// After a tick: what the engine says has changed is all that has.
    pub fn follow(&mut self, engine: &mut Engine) -> Patch {
        let patch = engine.changes(&self.items);
        apply(&mut self.items, &patch).unwrap();
        self.ticks += 1;
        if !self.ticks.is_multiple_of(LOOK_EVERY) {
            return patch;
        }
        let items = engine.items();
        if self.items != items {
            let missed = atalaya::matrix::engine::diff(&self.items, &items);
            panic!("{} items have changed of which it says nothing: {missed:?}", missed.0.len());
        }
        patch
    }

    /// One that goes on in its place.
    pub fn engine(&self, matrices: &[Arc<Matrix>], plan: &Arc<Plan>) -> Engine {
        let engine = Engine::of_items(matrices.to_vec(), plan.clone(), &self.items).unwrap();
        assert_eq!(engine.items(), self.items);
        engine
    }
}

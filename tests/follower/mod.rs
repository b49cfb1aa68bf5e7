//! Who follows an engine by what it says has changed, and can go on in its place at any time.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::sync::Arc;

use atalaya::matrix::Matrix;
use atalaya::matrix::engine::{Engine, Items, Patch, apply};
use atalaya::plan::Plan;

#[derive(Default)]
pub struct Follower(pub Items);

impl Follower {
    /// After a tick: what the engine says has changed is all that has.
    pub fn follow(&mut self, engine: &mut Engine) -> Patch {
        let patch = engine.changes(&self.0);
        apply(&mut self.0, &patch).unwrap();
        let items = engine.items();
        if self.0 != items {
            let missed = atalaya::matrix::engine::diff(&self.0, &items);
            panic!("{} items have changed of which it says nothing: {missed:?}", missed.0.len());
        }
        patch
    }

    /// One that goes on in its place.
    pub fn engine(&self, matrices: &[Arc<Matrix>], plan: &Arc<Plan>) -> Engine {
        let engine = Engine::of_items(matrices.to_vec(), plan.clone(), &self.0).unwrap();
        assert_eq!(engine.items(), self.0);
        engine
    }
}

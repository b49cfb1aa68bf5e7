//! Random lengths of time out of the simulation's own generator.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::domain::Millis;

pub(super) struct Random(pub ChaCha8Rng);

impl Random {
    pub fn chance(&mut self, share: f64) -> bool {
        self.0.random::<f64>() < share
    }

    /// Uniform in `from..to`.
    pub fn between(&mut self, from: Millis, to: Millis) -> Millis {
        if to.0 <= from.0 { from } else { Millis(self.0.random_range(from.0..to.0)) }
    }

    /// Index below `count`; 0 if there is none.
    pub fn index(&mut self, count: usize) -> usize {
        if count == 0 { 0 } else { self.0.random_range(0..count) }
    }

    /// Exponential with this mean in seconds: the gaps of a Poisson process, and memoryless patience.
    pub fn exponential(&mut self, mean_seconds: f64) -> Millis {
        to_millis(-(1.0 - self.0.random::<f64>()).ln() * mean_seconds)
    }

    /// Lognormal with this mean in seconds and coefficient of variation: the shape that service times were found to
    /// have (Brown et al., "Statistical Analysis of a Telephone Call Center", 2005).
    pub fn lognormal(&mut self, mean_seconds: f64, variation: f64) -> Millis {
        let variance = (1.0 + variation * variation).ln();
        let normal: f64 = self.0.sample(StandardNormal);
        to_millis((mean_seconds.ln() - variance / 2.0 + variance.sqrt() * normal).exp())
    }
}

/// At least a millisecond, so that causes come before effects, and at most a month.
fn to_millis(seconds: f64) -> Millis {
    Millis(((seconds * 1000.0) as i64).clamp(1, 30 * Millis::DAY.0))
}

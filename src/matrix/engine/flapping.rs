//! A case that changes its level again and again: told once that it does so, then damped.
//!
//! A change that comes when the row's `flapping.changes` others lie within the last `flapping.within` (the seventh of an
//! hour, by default) begins a **damped stretch**. It lasts until the case has not changed its level for `within`.
//!
//! | notice of a change | then |
//! |---|---|
//! | the change that begins the stretch | told with the reason `flapping` to those whom it concerns anyway |
//! | a level worse than any told in the stretch | told: a critical is never damped before somebody has heard of one |
//! | to ok | told to everyone told in the incident, as ever; if that is nobody, to nobody |
//! | any other | held; if the case is not ok when the stretch ends, its level is told then |
//!
//! Levels, incidents, escalation and repeats run as ever: what stays bad is escalated, damped or not. Another range of
//! the same level is no change of the level.

use std::collections::VecDeque;

use crate::domain::Timestamp;
use crate::matrix::{Flapping, Level};

/// The changes of one case that still count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Flap {
    /// When the level changed: within the last `within`, and no more than begin a stretch.
    pub recent: VecDeque<Timestamp>,
    pub damped: Option<Damped>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Damped {
    pub flaps: Flaps,
    pub last: Timestamp,
    /// The worst level told in the stretch.
    pub told: Level,
}

/// How often a damped case has changed its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flaps {
    pub changes: u32,
    /// The first of these changes.
    pub since: Timestamp,
}

/// What becomes of the notice of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    AsEver,
    Flapping,
    Held,
}

impl Flap {
    /// The level changes now to `level`.
    pub fn change(&mut self, now: Timestamp, level: Level, rule: Flapping) -> Said {
        if !self.is_damped(now, rule) {
            self.damped = None;
            self.recent.retain(|at| now - *at < rule.within);
            self.recent.push_back(now);
            let changes = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
            let Some(since) = self.recent.front().copied().filter(|_| changes > rule.changes) else {
                return Said::AsEver;
            };
            self.recent.clear();
            self.damped = Some(Damped { flaps: Flaps { changes, since }, last: now, told: level });
            return Said::Flapping;
        }
        let Some(damped) = &mut self.damped else { return Said::AsEver };
        damped.last = now;
        damped.flaps.changes = damped.flaps.changes.saturating_add(1);
        if level > damped.told {
            damped.told = level;
            return Said::AsEver;
        }
        if level == Level::Ok { Said::AsEver } else { Said::Held }
    }

    /// Whether notices are damped: it has changed its level within the last `within`, too often.
    pub fn is_damped(&self, now: Timestamp, rule: Flapping) -> bool {
        self.damped.is_some_and(|damped| now - damped.last < rule.within)
    }

    pub fn flaps(&self) -> Option<Flaps> {
        self.damped.map(|damped| damped.flaps)
    }
}

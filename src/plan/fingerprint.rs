//! A number that differs where settings do, to tell whether a state was made under the same ones.
//!
//! It is a hash of the settings in a fixed form, so that it does not change with the compiler or the machine. Not in it:
//! what the decoder makes of a record (names of states, formats) and how a source is split, of which a plan knows nothing.

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use super::{Plan, WindowKind};
use crate::domain::Globs;

impl Plan {
    /// Of all that decides what a floor contributes.
    pub fn contributions_fingerprint(&self) -> u64 {
        let Plan { short_abandon, agent_timeout, lateness, thresholds, channels, open_times, .. } = self;
        let within: Vec<_> = thresholds.iter().map(|threshold| threshold.within).collect();
        let open_times: Vec<_> = open_times.iter().map(AsRef::as_ref).collect();
        let open_scopes: Vec<_> = self.open_scopes.iter().map(patterns).collect();
        let extra: Vec<_> = self.extra_thresholds.iter().map(|(globs, within)| (patterns(globs), within)).collect();
        hash(&(
            (short_abandon, agent_timeout, lateness, &self.limits),
            (within, channels, open_times, open_scopes, extra),
        ))
    }

    /// Of that, and of all that decides which figures a board keeps.
    pub fn figures_fingerprint(&self) -> u64 {
        let windows: Vec<_> = self.windows.iter().map(|window| kind(window.kind)).collect();
        hash(&(self.contributions_fingerprint(), zone(self), self.interval, windows))
    }
}

fn hash(settings: &impl Serialize) -> u64 {
    let bytes = postcard::to_allocvec(settings);
    debug_assert!(bytes.is_ok(), "postcard refuses only lists without a length");
    xxh3_64(&bytes.unwrap_or_default())
}

fn patterns(globs: &Globs) -> Vec<String> {
    globs.patterns().collect()
}

fn kind(kind: WindowKind) -> (u8, i64) {
    match kind {
        WindowKind::Sliding(length) => (0, length.0),
        WindowKind::Interval => (1, 0),
        WindowKind::LastInterval => (2, 0),
        WindowKind::Today => (3, 0),
    }
}

/// A zone of the configuration has a name; one that has none is known by what it prints.
fn zone(plan: &Plan) -> String {
    plan.zone.iana_name().map_or_else(|| format!("{:?}", plan.zone), str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{Calendar, Millis, OpenTime, Shift};
    use crate::plan::{ChannelSettings, Window};

    #[test]
    fn each_setting_counts_where_it_matters() {
        type Change = fn(&mut Plan);
        let contributions: [Change; 9] = [
            |plan| plan.short_abandon = Millis(1),
            |plan| plan.agent_timeout = Millis(1),
            |plan| plan.lateness = Millis(1),
            |plan| plan.limits.keys = 7,
            |plan| drop(plan.thresholds.pop()),
            |plan| drop(plan.channels.insert("chat".to_owned(), ChannelSettings::default())),
            |plan| plan.extra_thresholds.push((Globs::new(["chat"]).unwrap(), Millis(1))),
            |plan| plan.open_scopes.push(Globs::new(["!chat"]).unwrap()),
            |plan| {
                let shift = Shift { day: jiff::civil::Weekday::Monday, from: 480, to: 481 };
                let calendar = Calendar { shifts: Some(vec![shift]), ..Calendar::always() };
                plan.open_times.push(Arc::new(OpenTime::new(&calendar)));
            },
        ];
        let figures: [Change; 4] = [
            |plan| plan.zone = jiff::tz::TimeZone::get("America/Bogota").unwrap(),
            |plan| plan.interval = Millis::HOUR,
            |plan| plan.windows.push(Window::sliding("2h", Millis(2 * Millis::HOUR.0))),
            |plan| drop(plan.windows.remove(0)),
        ];
        let plain = Plan::default();
        let mut seen = vec![plain.figures_fingerprint()];
        let changed = |change: &Change| {
            let mut plan = Plan::default();
            change(&mut plan);
            plan
        };
        for plan in contributions.iter().map(changed) {
            assert_ne!(plan.contributions_fingerprint(), plain.contributions_fingerprint(), "{plan:?}");
            seen.push(plan.figures_fingerprint());
        }
        for plan in figures.iter().map(changed) {
            assert_eq!(plan.contributions_fingerprint(), plain.contributions_fingerprint(), "{plan:?}");
            seen.push(plan.figures_fingerprint());
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1 + contributions.len() + figures.len());
        // It stays the same from one build to the next.
        assert_eq!(plain.contributions_fingerprint(), 3_735_551_482_511_628_654);
    }
}

//! What a notice shows beside its value: the numbers around it, and how the value came to be what it is.
//!
//! Read at the instant at which the notice is told, from the readings that the rules were judged by, and only for those
//! that are: a tick that tells nothing pays nothing.

use std::sync::Arc;

use super::trend::Trend;
use super::{Engine, Feeds, Notification, Readings, Tick};
use crate::domain::{Key, Timestamp};
use crate::indicators::{self, Labels, Reading, Selector, State, Topics};

/// The floor around a case when it is told, for the case's own key. What its feed cannot say at that instant is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Around {
    /// How many wait.
    pub waiting: Option<f64>,
    /// For how long the oldest has waited, in seconds; `None` where nobody waits.
    pub oldest_wait: Option<f64>,
    /// How many agents are in each class of [`State::CONNECTED`]. Empty where no agent has ever been heard of.
    pub agents: Vec<(State, f64)>,
}

impl Engine {
    /// Adds to each notice of a row what is around it.
    pub(super) fn look_around(&self, tick: &mut Tick, now: Timestamp, readings: &mut dyn Readings, feeds: &Feeds) {
        let mut floor = Floor { readings, feeds, any_agents: None };
        let mut last: Option<Notification> = None;
        for notice in &mut tick.notifications {
            if notice.transition.matrix.rows.get(notice.transition.row).is_none() || notice.held_back.is_some() {
                continue;
            }
            match last.as_ref().filter(|last| last.incident == notice.incident) {
                Some(last) => (notice.around, notice.trend) = (last.around.clone(), last.trend.clone()),
                None => {
                    notice.around = Some(Arc::new(floor.around(&notice.transition.key)));
                    notice.trend = self.trend(notice, now).map(Arc::new);
                    last = Some(notice.clone());
                }
            }
        }
    }

    /// The values of the notice's case, if its row is followed as it was when the notice was decided.
    fn trend(&self, notice: &Notification, now: Timestamp) -> Option<Trend> {
        let transition = &notice.transition;
        let mut rows = self.tracks.iter().zip(&self.state.cases);
        let (track, cases) =
            rows.find(|(track, _)| track.index == transition.row && Arc::ptr_eq(&track.matrix, &transition.matrix))?;
        let case = cases.get(cases.binary_search_by(|case| case.key.cmp(&transition.key)).ok()?)?;
        Some(case.trend(track, now))
    }
}

/// The readings of one instant.
struct Floor<'a> {
    readings: &'a mut dyn Readings,
    feeds: &'a Feeds,
    /// Whether there are agents anywhere; found out at most once.
    any_agents: Option<bool>,
}

impl Floor<'_> {
    fn around(&mut self, key: &Key) -> Around {
        let frozen = |interactions, agents| self.feeds.freeze(Topics { interactions, agents });
        let (no_customers, no_agents) = (frozen(true, false), frozen(false, true));
        let mut around = Around::default();
        if !no_customers {
            around.waiting = self.read(key, "waiting", None).value;
            around.oldest_wait = self.read(key, "oldest_wait", None).value;
        }
        if !no_agents && self.has_agents() {
            let each = State::CONNECTED.iter().map(|state| (*state, self.agents(key, *state)));
            around.agents = each.collect();
        }
        around
    }

    /// Where the site sends no states of agents, that there are none is not known.
    fn has_agents(&mut self) -> bool {
        if self.any_agents.is_none() {
            let each = [State::Connected, State::Offline].map(|state| self.agents(&Key::ALL, state));
            self.any_agents = Some(each.into_iter().sum::<f64>() > 0.0);
        }
        self.any_agents == Some(true)
    }

    fn agents(&mut self, key: &Key, state: State) -> f64 {
        self.read(key, "agents", Some(state)).value.unwrap_or(0.0)
    }

    fn read(&mut self, key: &Key, name: &str, state: Option<State>) -> Reading {
        let Some(indicator) = indicators::find(name) else { return Reading::default() };
        let selector = Selector { indicator, window: None, labels: Labels { state, ..Labels::default() } };
        match self.readings.place(key) {
            Some(place) => self.readings.read_at(place, key, &selector).0,
            None => self.readings.read(key, &selector),
        }
    }
}

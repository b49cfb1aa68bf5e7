//! Feeds that lag or have died: the cases that depend on them freeze, and the feed has an incident of its own.
//!
//! What a service finds out of its sources at each tick, it hands over as [`Feeds`]; whether a feed lags or is silent for
//! too long is decided there. What a frozen case does is `case`'s matter. Here is the incident of the feed:
//!
//! | | |
//! |---|---|
//! | told to | the owners of the matrices that have a row made of the feed's events, each address once |
//! | level | `critical`, with the reason `feed`: nobody watches these cases until it is over |
//! | begins | with the first tick that finds the feed frozen; from lagging to silent it is the same incident |
//! | ends | with the first tick that finds it live, or that no longer knows it: `recovered` |
//! | repeat, escalation | none |
//!
//! Its transition is of the indicator `feed`, whose value is for how long the feed has been frozen, in seconds.

use std::sync::Arc;

use super::case::News;
use super::flapping::Said;
use super::incident::{Address, Change, Incident, addresses};
use super::operations::{Names, Silences};
use super::track::Track;
use super::{OpenCase, Reason, Tick, Transition};
use crate::domain::{Key, Timestamp};
use crate::indicators::{Indicator, Labels, Reading, Samples, Selector, Topics, Unit};
use crate::matrix::{Level, Matrix};

/// The sources as they stand at a tick. One that is not in it is live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feeds(pub Vec<Feed>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Its name, as the topic's.
    pub source: Arc<str>,
    /// What it holds.
    pub carries: Topics,
    pub state: FeedState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedState {
    Live,
    /// Read too far behind; caught up last at that instant.
    Lagging {
        since: Timestamp,
    },
    /// Nothing has come for longer than it may stay silent; the last came at that instant.
    Silent {
        since: Timestamp,
    },
}

/// Not one of the indicators that rows can name.
static FEED: Indicator = Indicator {
    name: "feed",
    unit: Unit::Seconds,
    samples: Samples::Value,
    instant: true,
    labels: &[],
    text: "about: For how long a source of events has lagged or been silent.\n",
    read: |_, _| Reading::default(),
};

pub(super) fn selector() -> Selector {
    Selector { indicator: &FEED, window: None, labels: Labels::default() }
}

impl Feeds {
    /// Whether something that is made of `topics` cannot be judged.
    pub fn freeze(&self, topics: Topics) -> bool {
        self.0.iter().any(|feed| feed.state != FeedState::Live && feed.carries.meet(topics))
    }
}

impl FeedState {
    fn since(self) -> Option<Timestamp> {
        match self {
            FeedState::Live => None,
            FeedState::Lagging { since } | FeedState::Silent { since } => Some(since),
        }
    }
}

/// A feed that is frozen.
#[derive(Clone, Debug)]
pub(super) struct FeedCase {
    pub source: Arc<str>,
    pub carries: Topics,
    /// For how long it has been, in seconds.
    pub value: Option<f64>,
    pub incident: Incident,
}

/// What a tick needs to know for the feeds.
pub(super) struct Around<'a> {
    pub tracks: &'a [Track],
    pub silences: &'a Silences,
    pub now: Timestamp,
}

/// Opens and closes the feeds' incidents. `cases` stay sorted by source.
pub(super) fn step(cases: &mut Vec<FeedCase>, feeds: &Feeds, around: &Around<'_>, tick: &mut Tick) {
    if cases.is_empty() && feeds.0.iter().all(|feed| feed.state == FeedState::Live) {
        return;
    }
    let found = |source: &str| feeds.0.iter().find(|feed| *feed.source == *source);
    cases.retain_mut(|case| {
        let since = found(&case.source).and_then(|feed| feed.state.since());
        match since {
            Some(since) => case.go_on(since, around, tick),
            None => case.take(Level::Ok, Reason::Recovered, around, tick),
        }
        since.is_some()
    });
    for feed in &feeds.0 {
        if let Some(since) = feed.state.since()
            && let Err(place) = cases.binary_search_by(|case| case.source.cmp(&feed.source))
            && let Some(mut case) = FeedCase::new(feed, since, around)
        {
            case.take(Level::Critical, Reason::Feed, around, tick);
            cases.insert(place, case);
        }
    }
}

impl FeedCase {
    /// After a change of the rows: it is shown under a matrix that depends on it.
    pub fn belong_to(&mut self, tracks: &[Track]) {
        if let Some(track) = tracks.iter().find(|track| track.topics.meet(self.carries)) {
            self.incident.belong_to(&track.matrix, Transition::NO_ROW, None, selector());
        }
    }

    /// `None` where no row depends on it: then nothing is frozen.
    fn new(feed: &Feed, since: Timestamp, around: &Around<'_>) -> Option<FeedCase> {
        let matrix = around.tracks.iter().find(|track| track.topics.meet(feed.carries))?.matrix.clone();
        let id = format!("feed\u{1f}{}\u{1f}{}", feed.source, around.now.0);
        let id = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(id.as_bytes()));
        let value = Some((around.now - since).as_seconds());
        let transition = Transition {
            time: around.now,
            matrix,
            row: Transition::NO_ROW,
            range: None,
            key: Key::ALL,
            selector: selector(),
            source: Some(feed.source.clone()),
            from: Level::Ok,
            to: Level::Ok,
            value,
            samples: 0.0,
            reason: Reason::Feed,
            incident: id.into(),
        };
        let incident = Incident::new(Arc::new(transition));
        Some(FeedCase { source: feed.source.clone(), carries: feed.carries, value, incident })
    }

    fn take(&mut self, level: Level, reason: Reason, around: &Around<'_>, tick: &mut Tick) {
        let last = &self.incident.last;
        let (from, time) = (last.to, around.now);
        let transition = Transition { time, from, to: level, value: self.value, reason, ..(**last).clone() };
        let transition = Arc::new(transition);
        tick.transitions.push(transition.clone());
        let owners = self.owners(around);
        let tell = owners.iter().map(|(address, _)| address.clone()).collect();
        let (news, names) = (self.news(around.now), names(&transition));
        let change =
            Change { transition: transition.clone(), tell, said: Said::AsEver, silences: around.silences, names };
        let told = tick.notifications.len();
        self.incident.take_level(change, news, tick);
        translate(tick, told, &owners);
    }

    /// It is frozen still.
    fn go_on(&mut self, since: Timestamp, around: &Around<'_>, tick: &mut Tick) {
        self.value = Some((around.now - since).as_seconds());
        let (news, last) = (self.news(around.now), self.incident.last.clone());
        self.incident.look_around(around.silences, names(&last), around.now);
        let (owners, told) = (self.owners(around), tick.notifications.len());
        let tell = || owners.iter().map(|(address, _)| address.clone()).collect();
        self.incident.catch_up(tell, news, tick);
        translate(tick, told, &owners);
    }

    fn news(&self, now: Timestamp) -> News {
        News { now, value_time: now, reading: Reading { value: self.value, samples: 0.0 } }
    }

    fn owners(&self, around: &Around<'_>) -> Vec<Owner> {
        let mut owners: Vec<Owner> = Vec::new();
        for track in around.tracks.iter().filter(|track| track.topics.meet(self.carries)) {
            for address in addresses(&track.matrix, &track.matrix.owner, around.now) {
                if !owners.iter().any(|(other, _)| other.same_place(&address)) {
                    owners.push((address, track.matrix.clone()));
                }
            }
        }
        owners
    }

    pub fn open(&self) -> OpenCase {
        OpenCase { value: self.value, frozen: true, ..self.incident.open() }
    }
}

/// An owner's address and their matrix.
type Owner = (Address, Arc<Matrix>);

/// Each owner reads the language of their own matrix.
fn translate(tick: &mut Tick, from: usize, owners: &[Owner]) {
    for notice in tick.notifications.iter_mut().skip(from) {
        if let Some((_, matrix)) = owners.iter().find(|(address, _)| address.is_of(notice)) {
            let own = Transition { matrix: matrix.clone(), ..(*notice.transition).clone() };
            notice.transition = Arc::new(own);
        }
    }
}

fn names(transition: &Transition) -> Names<'_> {
    Names { matrix: &transition.matrix.name, indicator: FEED.name, queue: None, channel: None, window: None }
}

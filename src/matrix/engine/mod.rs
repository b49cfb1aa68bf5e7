//! The life of a case: levels, `for`, recovery, escalation, repeats.
//!
//! A case is one row for one key (a pair of queue and channel, or a roll-up). [`Engine::tick`] evaluates every case at
//! one instant; it is a pure function of the readings, that instant and the state of the cases, so an engine restored from a
//! snapshot goes on exactly as the original would. A back-test ticks every whole second, a live service about every second.
//!
//! | file | question |
//! |---|---|
//! | `track` | which cases does a row make, and which number does each look at |
//! | `evidence` | how long has the value been there |
//! | `case` | which transition does that mean now |
//! | `incident` | who is told, by what, and when again |
//! | `flapping` | does its level change too often to be told |
//! | `hold` | who is left in peace at this hour, and who has had enough |
//! | `gather` | what is told together, in one mail |
//! | `operations` | what people want: acknowledgements and silences |
//! | `trend`, `around` | what a notice shows beside its value |
//! | `feeds` | what nobody can judge, because its feed lags or is dead |
//! | `reload`, `shape`, `snapshot` | how cases go on under other matrices, and after a restart |
//! | `items`, `marked` | the state as items, and what of them a tick has changed |
//!
//! Not in here: reading the rows (`config`), the words of a notice (`notice`), sending it (`notify`), whether a feed is dead
//! and where operations are recorded (`service`).
//!
//! # When a level changes
//!
//! | move | condition at this second |
//! |---|---|
//! | worse | some range of a worse level has had the value *beyond* it for its `for`; of several due, the worst level |
//! | better | the value, moved by up to `margin` either way, has met no level worse than the new one for `recover.for`; straight to the best such level |
//! | other range | the value has been in another range of the level (or in a worse one on the other side of ok) for its `for` |
//! | `no_data: ok` | the value is null: to ok at once |
//! | `no_data: alert` | the value has been null for its `for`, and its level is worse than the case's |
//!
//! *Beyond* a range is every range of its level or a worse one on its side of ok ([`super::Sides`]):
//!
//! | ranges, low to high | the value goes | beyond |
//! |---|---|---|
//! | ok, warning, critical | into critical | warning and critical: warning for 0s is taken at once while critical for 5m is pending |
//! | warning, ok, critical | into critical | critical alone: too high says nothing of too low |
//! | ok, warning, ok, critical | into critical | critical alone: the warning between the oks is another side |
//! | warning, critical (ok elsewhere) | from critical back to warning | still warning, whose count goes on |
//!
//! The range of a transition (its texts, `tell`, escalation) is the one that holds the value, if it is of the new
//! level, else the range of that level nearest to it: where warning is taken on the way to critical, warning's.
//!
//! # What counts as time
//!
//! Since-instants are kept, not counters. `for` of n seconds is met n evaluated seconds after the first.
//!
//! | second | `for`, `recover.for` | escalation, repeat |
//! |---|---|---|
//! | with a value and enough samples | count | run |
//! | a null, or too few samples | add nothing, and break nothing | run; an escalation only while something waits; a repeat tells the last value |
//! | the feed lags or is dead | add nothing, and break nothing; nor does `null` for `no_data` | escalation runs, as it last stood with a value or without; repeats stand |
//! | acknowledged | count | stand |
//! | silenced | count | stand, and begin from zero when it ends |
//! | closed hours, a holiday, until `settle` after opening | begin at zero afterwards | stand |
//! | carried over closed hours, well again, not resolved yet | count | stand |
//! | between two ticks (a live pause) | as the second that ends it | as the second that ends it |
//!
//! `null` lasts from the first null reading to the first that is not; too few samples are not null. For a rule, a count,
//! a `state_time` and an `oldest_*` of nothing are 0.
//!
//! # Opening
//!
//! From opening + `settle` on seconds are evaluated, and everything is counted from zero. An incident that was carried
//! over stands until one of these:
//!
//! | the value | then |
//! |---|---|
//! | is outside ok, at once or before it has recovered | `opened`, and the timers go on |
//! | is inside ok for `recover.for` | `recovered`; or, if it is nearer to the edge than `margin`, `improved` or `opened` |
//! | is null, or of too few samples | nothing yet, unless `no_data` says so: what is not known is neither well nor bad |
//!
//! A tick that finds another stretch of open hours than the tick before is an opening, even if no tick fell into the
//! closed hours.
//!
//! # Who is told
//!
//! | what | who | reason |
//! |---|---|---|
//! | worse, other range | its `tell`, and everyone told before in the incident | `range` |
//! | raised for want of data | `tell` of `no_data`, and everyone told before | `no_data` |
//! | better, not ok | everyone told before, and its `tell` | `improved` |
//! | ok | everyone told | `recovered` or `no_data` |
//! | escalation step | its `tell`; after a better level, only those whom nothing has told yet | `escalation` |
//! | repeat | `tell` of the range, and the steps reached | `repeat` |
//! | carried over closed hours and not well | everyone told | `opened` |
//! | a silence ends while it fires | its `tell`, and everyone told before; one that ends in closed hours at the opening, in the place of `opened` | `silence_ended` |
//! | the change that begins a damped stretch (`flapping`) | as without it | `flapping` |
//! | a damped stretch ends, and its level is not told yet | its `tell`, and everyone told before | that of the change |
//! | its row is gone, or has no such level | everyone told, in closed hours too | `removed` |
//! | a feed freezes, and lives again | the owners of the matrices that need it | `feed`, `recovered` |
//!
//! A silence holds all of these but the way to ok. An acknowledgement holds steps and repeats alone; a level worse than
//! that which was seen voids it, and when it is over they go on from where they stood.
//!
//! Nobody is told twice in one second by one medium, but for a carried incident that gets worse at the very opening.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ACK_FOR, Level, Matrix, Medium};
pub use crate::board::{Place, Version};
use crate::domain::{Key, Millis, Timestamp};
use crate::indicators::{Reading, Selector};
use crate::plan::Plan;

mod around;
mod case;
mod evidence;
mod feeds;
mod flapping;
mod gather;
mod hold;
mod incident;
mod items;
mod marked;
mod operations;
mod pending;
mod reload;
mod shape;
mod snapshot;
mod track;
mod trend;

pub use around::Around;
pub use feeds::{Feed, FeedState, Feeds};
pub use flapping::Flaps;
pub use gather::{Entry, GATHER_WAIT, Gathered, Other};
pub use items::{Edit, Items, Misfit, Patch, apply, diff};
pub use operations::{Acknowledged, Matcher, Operated, Operation, Refusal, SILENCES_MAX, Silence, What};
pub use pending::Pending;
pub use trend::Trend;

use case::Case;
use feeds::FeedCase;
use hold::{Hold, Stands};
use operations::Silences;
use reload::Gone;
use track::Track;

/// The numbers of one instant, as the engine asks for them. The board implements it; tests implement it with tables.
pub trait Readings {
    /// Every key that has been seen, pairs and roll-ups, sorted.
    fn keys(&self) -> Vec<Key>;
    /// A number that changes whenever [`Readings::keys`] does; asked every tick, so worth a cheap answer. Their number
    /// serves where keys are only ever added.
    fn generation(&self) -> usize {
        self.keys().len()
    }
    fn read(&mut self, key: &Key, selector: &Selector) -> Reading;
    /// Where the numbers of a key are, if there is a quicker way to them than its name.
    fn place(&self, _key: &Key) -> Option<Place> {
        None
    }
    /// As [`Readings::read`], of a key whose place was told; and the version that the reading stands for, if it does not
    /// change as time passes.
    fn read_at(&mut self, _place: Place, key: &Key, selector: &Selector) -> (Reading, Option<Version>) {
        (self.read(key, selector), None)
    }
    /// While the version of a place is the same, so is what is read there.
    fn version(&self, _place: Place) -> Option<Version> {
        None
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    Range,
    NoData,
    Recovered,
    Repeat,
    Escalation,
    Opened,
    Improved,
    SilenceEnded,
    Feed,
    Flapping,
    Removed,
    /// Changed matrices were not taken. Of no case: told by the service.
    Refused,
    HeldBack,
}

/// One change of a case's level (or of its range within a level).
#[derive(Clone, Debug)]
pub struct Transition {
    pub time: Timestamp,
    pub matrix: Arc<Matrix>,
    /// Index of the row in its matrix; [`Transition::NO_ROW`] where it is of no row.
    pub row: usize,
    /// Index of the range of the new level in its row; `None` where no range is meant (`no_data`).
    pub range: Option<usize>,
    pub key: Key,
    pub selector: Selector,
    /// The source of events that it is of, where it is the feed's own.
    pub source: Option<Arc<str>>,
    pub from: Level,
    pub to: Level,
    pub value: Option<f64>,
    pub samples: f64,
    pub reason: Reason,
    pub incident: Arc<str>,
}

impl Transition {
    /// Of a feed, or of a row that is no longer there.
    pub const NO_ROW: usize = usize::MAX;

    /// The range as its row writes it; `None` where no range is meant.
    pub fn range_text(&self) -> Option<Arc<str>> {
        let row = self.matrix.rows.get(self.row)?;
        Some(row.ranges.get(self.range?)?.bounds.text.clone())
    }
}

/// One message to one contact by one medium. What it says is rendered from it and from `transition`, the last of its
/// incident (for a repeat or an escalation, that which took the level).
#[derive(Clone, Debug)]
pub struct Notification {
    pub time: Timestamp,
    pub incident: Arc<str>,
    /// Numbers the notifications of an incident from 1.
    pub sequence: u32,
    /// Name of the contact.
    pub to: Arc<str>,
    pub medium: Medium,
    /// Its address: the mail address, or the webhook's name.
    pub address: Arc<str>,
    pub level: Level,
    pub reason: Reason,
    pub transition: Arc<Transition>,
    /// The value now (a repeat tells today's, not that of the entry), and its samples. While it is null or of too few
    /// samples, the last one that was neither.
    pub value: Option<f64>,
    pub samples: f64,
    /// When the value was read: earlier than `time` where it is not of now.
    pub value_time: Timestamp,
    /// Contacts told so far in this incident, this one included.
    pub told: Arc<[Arc<str>]>,
    /// When the incident left `ok`.
    pub since: Timestamp,
    /// Who has taken it up.
    pub acknowledged: Option<Acknowledged>,
    /// What this address heard last is that somebody had taken it up, which is void or over.
    pub unacknowledged: bool,
    /// The silences that are over it. Only its end is told then.
    pub silenced: Vec<Arc<str>>,
    /// How often its case has changed its level, while it flaps.
    pub flaps: Option<Flaps>,
    /// For how long the timers of escalation and repeat have run in this level, and for how much of it repeats stood. What
    /// comes next is told from it; while it is acknowledged, nothing does.
    pub ran: Millis,
    pub muted: Millis,
    /// Of what time it is, where it has waited for the end of quiet hours.
    pub held_since: Option<Timestamp>,
    /// The numbers around it when it is told, and the values until then; `None` where it is of no row.
    pub around: Option<Arc<Around>>,
    pub trend: Option<Arc<Trend>>,
    /// Set where it is about notices that were held back, and not about one incident.
    pub held_back: Option<Arc<HeldBack>>,
    /// Set where it is the mail of a gathering; `incident` is the gathering's id then, and the rest is of its worst notice.
    pub gathered: Option<Arc<Gathered>>,
}

/// Notices that were more than a contact gets in an hour.
#[derive(Clone, Debug)]
pub struct HeldBack {
    pub notices: u32,
    /// Of each incident the newest notice and how many were held back, the worst first.
    pub incidents: Vec<(Notification, u32)>,
    /// How many notices are of incidents that are not among them.
    pub beyond: u32,
}

impl Notification {
    /// The notices of incidents that it tells: those of a gathering, or itself.
    pub fn each(&self) -> &[Notification] {
        self.gathered.as_ref().map_or(std::slice::from_ref(self), |gathered| &gathered.notices)
    }

    /// Whether whoever reads this, and not `old`, which was decided before, misses no incident. The mail of a gathering
    /// says nothing of what is not in it.
    pub fn takes_the_place_of(&self, old: &Notification) -> bool {
        let incidents = |of: &Notification| of.each().iter().map(|one| one.incident.clone()).collect::<BTreeSet<_>>();
        self.incident == old.incident && (old.gathered.is_none() || incidents(old).is_subset(&incidents(self)))
    }

    /// The first notice of a transition, at its instant, with which nobody else was told.
    pub fn first(transition: Arc<Transition>, to: Arc<str>, medium: Medium, address: Arc<str>) -> Notification {
        Notification {
            time: transition.time,
            incident: transition.incident.clone(),
            sequence: 1,
            told: [to.clone()].into(),
            to,
            medium,
            address,
            level: transition.to,
            reason: transition.reason,
            value: transition.value,
            samples: transition.samples,
            value_time: transition.time,
            since: transition.time,
            acknowledged: None,
            unacknowledged: false,
            silenced: Vec::new(),
            flaps: None,
            ran: Millis::ZERO,
            muted: Millis::ZERO,
            held_since: None,
            around: None,
            trend: None,
            held_back: None,
            gathered: None,
            transition,
        }
    }
}

/// What one tick means.
#[derive(Clone, Debug, Default)]
pub struct Tick {
    pub transitions: Vec<Arc<Transition>>,
    pub notifications: Vec<Notification>,
}

/// A case that is not ok, for the API and the page.
#[derive(Clone, Debug)]
pub struct OpenCase {
    pub last: Arc<Transition>,
    pub since: Timestamp,
    /// The value at the last tick.
    pub value: Option<f64>,
    pub samples: f64,
    /// Outside its hours: shown grey.
    pub closed_hours: bool,
    /// The webhooks that have been told of the incident, sorted. A notice that waits has not been told.
    pub webhooks: Vec<Arc<str>>,
    /// Its feed lags or is dead: the value is an old one.
    pub frozen: bool,
    pub acknowledged: Option<Acknowledged>,
    /// The ids of the silences that hold its notices.
    pub silenced: Vec<Arc<str>>,
    /// While it flaps and its notices are damped.
    pub flaps: Option<Flaps>,
}

/// Every case of a set of matrices.
#[derive(Clone, Debug)]
pub struct Engine {
    tracks: Vec<Track>,
    plan: Arc<Plan>,
    state: State,
}

/// All that changes from tick to tick. Two engines of the same matrices and plan with equal states go on alike.
#[derive(Clone, Debug, Default)]
struct State {
    /// The cases of each row that is followed, in the order of the matrices and their rows, each sorted by key.
    cases: Vec<Vec<Case>>,
    /// Keys that have been seen, sorted.
    known: Vec<Key>,
    /// That [`Readings::generation`] told when `known` was made.
    generation: Option<usize>,
    ticked: Option<Timestamp>,
    silences: Silences,
    /// The feeds that are frozen, sorted by source.
    feeds: Vec<FeedCase>,
    /// Open incidents of rows that are no longer there: the next tick ends them.
    gone: Vec<Gone>,
    hold: Hold,
    /// [`Engine::changes`] has been asked, and neither other matrices nor the end of a row has come since; then how many of
    /// `known` are written down, and the names of the rows.
    written: bool,
    known_written: usize,
    names: Vec<[u8; 16]>,
}

impl Engine {
    pub fn new(matrices: Vec<Arc<Matrix>>, plan: Arc<Plan>) -> Self {
        let rows = matrices.iter().flat_map(|matrix| (0..matrix.rows.len()).map(move |row| (matrix, row)));
        let tracks: Vec<Track> = rows.filter_map(|(matrix, row)| Track::new(matrix.clone(), row, &plan)).collect();
        let cases = tracks.iter().map(|track| {
            let mut cases = Vec::new();
            track.add_cases(&mut cases, &track.keys_from_the_start(), &plan);
            cases
        });
        let state = State { cases: cases.collect(), ..State::default() };
        Engine { tracks, plan, state }
    }

    /// Evaluates every case at `now`, a whole second later than every instant before it. An instant that is not later
    /// changes nothing.
    pub fn tick(&mut self, now: Timestamp, readings: &mut dyn Readings, feeds: &Feeds) -> Tick {
        let mut tick = Tick::default();
        if self.state.ticked.is_some_and(|before| now <= before) {
            return tick;
        }
        self.meet_new_keys(readings);
        let State { silences, feeds: frozen, gone, written, .. } = &mut self.state;
        silences.advance(now);
        *written &= gone.is_empty();
        for gone in gone.drain(..) {
            gone.end(silences, now, &mut tick);
        }
        feeds::step(frozen, feeds, &feeds::Around { tracks: &self.tracks, silences, now }, &mut tick);
        for (track, cases) in self.tracks.iter_mut().zip(&mut self.state.cases) {
            let hours = track.hours(now);
            let (track, before, silences) = (&*track, self.state.ticked, &self.state.silences);
            let frozen = feeds.freeze(track.topics);
            let (readings, tick) = (&mut *readings, &mut tick);
            let mut moment = case::Moment { track, hours, frozen, silences, now, before, readings, tick };
            for case in cases {
                case.step(&mut moment);
            }
        }
        self.state.ticked = Some(now);
        let mut hold = std::mem::take(&mut self.state.hold);
        // Looked up only where something has waited, and then perhaps for every case there is.
        let standing = OnceCell::new();
        let standing = |incident: &str| standing.get_or_init(|| self.standing()).get(incident).cloned();
        hold.pass(&mut tick, now, &standing);
        self.state.hold = hold;
        self.look_around(&mut tick, now, readings, feeds);
        tick
    }

    /// How every open incident stands, by its id.
    fn standing(&self) -> BTreeMap<&str, Stands> {
        let feeds = self.state.feeds.iter().map(|feed| feed.incident.stands());
        self.cases().filter_map(|(_, case)| case.stands()).chain(feeds).collect()
    }

    /// Makes the cases of keys seen for the first time, and finds out where the numbers of each case are.
    fn meet_new_keys(&mut self, readings: &dyn Readings) {
        let generation = readings.generation();
        if self.state.generation == Some(generation) {
            return;
        }
        self.state.generation = Some(generation);
        let keys = readings.keys();
        let new: Vec<Key> = keys.iter().filter(|key| self.state.known.binary_search(key).is_err()).cloned().collect();
        for (track, cases) in self.tracks.iter().zip(&mut self.state.cases) {
            track.add_cases(cases, &new, &self.plan);
            for case in cases.iter_mut().filter(|case| case.place.is_none()) {
                case.place = readings.place(&case.key);
            }
        }
        // One that ceased to exist is known still, and so is its case, should it come back.
        self.state.known.extend(new);
        self.state.known.sort_unstable();
    }

    /// Takes what somebody wants of the cases. It shows with the next tick, which is later than `now`.
    pub fn operate(&mut self, operation: &Operation, now: Timestamp) -> Operated {
        let Operation { who, why, what } = operation;
        match what {
            What::Acknowledge { incident, until } => self.acknowledge(incident, *until, (who, why), now),
            What::Silence { id, matcher, from, until } => {
                let (id, matcher) = (id.clone(), matcher.clone());
                let silence = Silence { id, matcher, from: *from, until: *until, who: who.clone(), why: why.clone() };
                self.state.silences.put(silence, now)
            }
            What::EndSilence { id } => self.state.silences.end(id, now),
        }
    }

    fn acknowledge(
        &mut self,
        id: &str,
        until: Option<Timestamp>,
        (by, why): (&Arc<str>, &Arc<str>),
        now: Timestamp,
    ) -> Operated {
        let acknowledged = |ack_for: Millis, level: Level| {
            let until = until.unwrap_or(now + ack_for);
            Acknowledged { by: by.clone(), at: now, until, why: why.clone(), level }
        };
        // A gathering's id stands for the incidents that have been told in it.
        let ids = self.incidents_of(id);
        let mut last: Option<Timestamp> = None;
        for (track, cases) in self.tracks.iter().zip(&mut self.state.cases) {
            let ack_for = track.row().ack_for;
            for case in cases {
                if let Some(id) = case.acknowledge(&ids, |level| acknowledged(ack_for, level)) {
                    self.state.hold.acknowledge(id);
                    last = last.max(Some(until.unwrap_or(now + ack_for)));
                }
            }
        }
        for feed in self.state.feeds.iter_mut().filter(|feed| ids.contains(&feed.incident.id)) {
            feed.incident.acknowledge(acknowledged(ACK_FOR, feed.incident.last.to));
            self.state.hold.acknowledge(&feed.incident.id);
            last = last.max(Some(until.unwrap_or(now + ACK_FOR)));
        }
        last.map_or(Operated::NotOpen, |until| Operated::Acknowledged { until })
    }

    /// The incident itself, or the open incidents that have been told in the gathering of that id; sorted.
    pub fn incidents_of(&self, id: &str) -> Vec<Arc<str>> {
        self.state.hold.incidents_of(id).unwrap_or_else(|| vec![id.into()])
    }

    /// The ids by which something open can be called: of incidents, then of gatherings.
    pub fn open_ids(&self) -> Vec<Arc<str>> {
        let cases = self.cases().filter_map(|(_, case)| case.incident_id());
        let feeds = self.state.feeds.iter().map(|feed| &feed.incident.id);
        cases.chain(feeds).chain(self.state.hold.gatherings()).cloned().collect()
    }

    /// The silences that are on or will be, by their ids.
    pub fn silences(&self) -> Vec<Silence> {
        self.state.silences.iter().cloned().collect()
    }

    /// The open cases of the rows, and the feeds that are frozen.
    pub fn open_cases(&self) -> Vec<OpenCase> {
        self.open_cases_where(|_| true)
    }

    /// Those among them of the incidents that `wanted` names.
    pub fn open_cases_where(&self, wanted: impl Fn(&Arc<str>) -> bool) -> Vec<OpenCase> {
        let cases = self.cases().filter(|(_, case)| case.incident_id().is_some_and(&wanted));
        let feeds = self.state.feeds.iter().filter(|feed| wanted(&feed.incident.id)).map(FeedCase::open);
        let open = cases.filter_map(|(_, case)| case.open()).chain(feeds);
        open.map(|case| OpenCase { webhooks: self.state.hold.webhooks(&case.last.incident), ..case }).collect()
    }

    /// Every case that exists with its level (`ok` too), for `atalaya_alert_level`: matrix, selector, key, level.
    pub fn levels(&self) -> Vec<(Arc<Matrix>, Selector, Key, Level)> {
        let level =
            |(track, case): (&Track, &Case)| (track.matrix.clone(), case.selector, case.key.clone(), case.level);
        self.cases().map(level).collect()
    }

    /// What the rows name: the selectors and keys that a back-test prints, each once, sorted by key and, for one key,
    /// in the order of the rows.
    pub fn named(&self, readings: &dyn Readings) -> Vec<(Key, Selector)> {
        let keys = readings.keys();
        let mut named: BTreeMap<&Key, Vec<Selector>> = BTreeMap::new();
        for track in &self.tracks {
            for key in keys.iter().filter(|key| track.row().scope.covers(key)) {
                let selectors = named.entry(key).or_default();
                selectors.extend(track.selector(key, &self.plan).filter(|selector| !selectors.contains(selector)));
            }
        }
        let pairs = named.into_iter().flat_map(|(key, list)| list.into_iter().map(|one| (key.clone(), one)));
        pairs.collect()
    }

    fn cases(&self) -> impl Iterator<Item = (&Track, &Case)> {
        let rows = self.tracks.iter().zip(&self.state.cases);
        rows.flat_map(|(track, cases)| cases.iter().map(move |case| (track, case)))
    }
}

impl Reason {
    pub const ALL: [Reason; 13] = [
        Reason::Range,
        Reason::NoData,
        Reason::Recovered,
        Reason::Repeat,
        Reason::Escalation,
        Reason::Opened,
        Reason::Improved,
        Reason::SilenceEnded,
        Reason::Feed,
        Reason::Flapping,
        Reason::Removed,
        Reason::Refused,
        Reason::HeldBack,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Reason::Range => "range",
            Reason::NoData => "no_data",
            Reason::Recovered => "recovered",
            Reason::Repeat => "repeat",
            Reason::Escalation => "escalation",
            Reason::Opened => "opened",
            Reason::Improved => "improved",
            Reason::SilenceEnded => "silence_ended",
            Reason::Feed => "feed",
            Reason::Flapping => "flapping",
            Reason::Removed => "removed",
            Reason::Refused => "refused",
            Reason::HeldBack => "held_back",
        }
    }
}

//! Facts -> figures: every indicator of every window, pair and roll-up at one instant.

use std::collections::{BTreeMap, BTreeSet};

use super::agents::{Stay, class_under, slots_under, stays};
use super::calendar::{open_between, windows};
use super::intake::Intake;
use super::interactions::{End, Facts, Lasted, Place, Point, Stretch, Wait};
use super::settings::{Channel, Settings};

/// What names a record, written out: `asa reclamos/facebook 15m clock=open`, with `*` for what is rolled over and
/// without a window for the indicators of an instant.
pub type Name = String;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    pub value: Option<f64>,
    pub samples: f64,
    pub near: Near,
}

/// How near the product has to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Near {
    Exact,
    /// Quantiles: within 1 % or 1 ms.
    Percent,
    /// Exact if it is printed, and need not be.
    Optional,
}

pub type Figures = BTreeMap<Name, Figure>;

/// What must be shown.
pub const REQUIRED: [&str; 42] = [
    "asa",
    "asa_live",
    "wait_p50",
    "wait_p90",
    "wait_p95",
    "wait_p99",
    "wait_max",
    "waiting",
    "oldest_wait",
    "unanswered",
    "oldest_unanswered",
    "arrivals",
    "queued",
    "answered",
    "abandoned",
    "closed",
    "closed_unanswered",
    "expired",
    "replies",
    "backlog",
    "service_level",
    "abandonment",
    "first_response_time",
    "aht",
    "acw",
    "occupancy",
    "utilization",
    "agents",
    "state_time",
    "unqueued",
    "oldest_unqueued",
    "response_time",
    "resolution_time",
    "backlog_aged",
    "backlog_change",
    "service_level_live",
    "state_entries",
    "stage_time",
    "stage_time_p90",
    "stage_share",
    "slot_occupancy",
    "concurrency",
];

const OPEN: &str = "clock=open";

const STAGES: [&str; 7] = ["triage", "queue", "reply", "handling", "customer", "parked", "wrapup"];

const CLASSES: [&str; 6] = ["available", "handling", "wrapup", "unproductive", "offline", "elsewhere"];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    queue: Option<String>,
    channel: Option<String>,
}

impl Key {
    fn covers(&self, place: &Place) -> bool {
        (self.queue.is_none() || self.queue == place.queue) && (self.channel.is_none() || self.channel == place.channel)
    }
}

pub fn figures(lines: &[String], at: i64, settings: &Settings) -> Figures {
    let intake = Intake::of(lines, settings);
    let facts = intake.facts(settings);
    let agents: Vec<Vec<Stay>> = intake.agents.values().map(|list| stays(list, settings)).collect();
    let mut all = Figures::new();
    for key in keys(&facts, &agents, at) {
        let mut here = Here { key: &key, facts: &facts, agents: &agents, at, settings, all: &mut all };
        here.instant();
        for (label, from, until) in windows(at, settings) {
            here.window(&label, from, until);
        }
    }
    all
}

/// CHOICE: seen are the pairs in which something was counted, waited or was open, and those that an agent serves (not in
/// a snapshot that another one of the same time replaces); their roll-ups; and over all, as soon as there is anything.
fn keys(facts: &Facts, agents: &[Vec<Stay>], at: i64) -> BTreeSet<Key> {
    let mut places: BTreeSet<Place> = BTreeSet::new();
    let points = [&facts.arrivals, &facts.queued, &facts.closed, &facts.replies];
    places.extend(points.into_iter().flatten().filter(|p| p.at < at).map(|p| p.place.clone()));
    places.extend(facts.open.iter().filter(|o| o.from < at).map(|o| o.place.clone()));
    for stay in agents.iter().flatten().filter(|s| s.from < at && s.until != Some(s.from)) {
        places.insert(Place::default());
        let place =
            |queue: &String, channel: &String| Place { queue: Some(queue.clone()), channel: Some(channel.clone()) };
        places.extend(stay.pairs.iter().map(|pair| place(&pair.queue, &pair.channel)));
    }
    let mut keys = BTreeSet::new();
    for place in places {
        for (queue, channel) in [(true, true), (true, false), (false, true), (false, false)] {
            if (queue && place.queue.is_none()) || (channel && place.channel.is_none()) {
                continue;
            }
            keys.insert(Key {
                queue: place.queue.clone().filter(|_| queue),
                channel: place.channel.clone().filter(|_| channel),
            });
        }
    }
    keys
}

struct Here<'a> {
    key: &'a Key,
    facts: &'a Facts,
    agents: &'a [Vec<Stay>],
    at: i64,
    settings: &'a Settings,
    all: &'a mut Figures,
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn mean(list: &[i64]) -> Option<f64> {
    (!list.is_empty()).then(|| seconds(list.iter().sum()) / list.len() as f64)
}

/// The ceil(q n)-th smallest of a sorted list; `q` in percent.
fn nearest_rank(sorted: &[i64], percent: usize) -> Option<f64> {
    if sorted.is_empty() {
        return None;
    }
    let rank = (percent * sorted.len()).div_ceil(100).max(1);
    Some(seconds(sorted[rank - 1]))
}

/// CHOICE: states are looked at just before the instant, as events at the instant are not yet covered.
fn holds(from: i64, until: Option<i64>, at: i64) -> bool {
    from < at && until.is_none_or(|until| until >= at)
}

impl Here<'_> {
    fn put(&mut self, indicator: &str, window: &str, labels: &str, value: Option<f64>, samples: f64, near: Near) {
        let name = name(indicator, self.key.queue.as_deref(), self.key.channel.as_deref(), window, labels);
        let before = self.all.insert(name.clone(), Figure { value, samples, near });
        assert!(before.is_none(), "the oracle wrote {name} twice");
    }

    fn count(&mut self, indicator: &str, window: &str, labels: &str, count: usize) {
        self.put(indicator, window, labels, Some(count as f64), count as f64, Near::Exact);
    }

    fn channel_of(&self, place: &Place) -> Channel {
        self.settings.channel(place.channel.as_deref())
    }

    fn instant(&mut self) {
        let at = self.at;
        let key = self.key;
        let held = |list: &[Stretch]| -> Vec<(Place, i64)> {
            let here = list.iter().filter(|s| holds(s.from, s.until, at) && key.covers(&s.place));
            here.map(|s| (s.place.clone(), s.since)).collect()
        };
        let waits: Vec<(Place, i64)> = self.waiting(at).iter().map(|wait| (wait.place.clone(), wait.start)).collect();
        for (count, oldest, since) in [
            ("waiting", "oldest_wait", waits),
            ("unanswered", "oldest_unanswered", held(&self.facts.unanswered)),
            ("unqueued", "oldest_unqueued", held(&self.facts.unqueued)),
        ] {
            self.count(count, "", "", since.len());
            for clock in self.clocks() {
                let ages: Vec<i64> =
                    since.iter().filter_map(|(place, since)| self.length(place, *since, at, clock)).collect();
                self.put(oldest, "", clock, ages.iter().max().map(|ms| seconds(*ms)), ages.len() as f64, Near::Exact);
            }
        }
        let backlog = held(&self.facts.open);
        self.count("backlog", "", "", backlog.len());
        for (label, within) in self.thresholds() {
            let aged: Vec<&Stretch> = self
                .facts
                .open
                .iter()
                .filter(|s| holds(s.from, s.until, at) && key.covers(&s.place) && at - s.since > within)
                .filter(|s| self.lists(&s.place, within))
                .collect();
            let count = aged.len();
            self.count("backlog_aged", "", &format!("threshold={label}"), count);
        }
        self.agents_now();
    }

    /// The labels of the clocks that are kept.
    fn clocks(&self) -> &'static [&'static str] {
        if self.settings.open_clock() { &["", OPEN] } else { &[""] }
    }

    /// How long it was on a clock; `None` where the channel does not keep it.
    /// CHOICE: in roll-ups the open clock covers the channels under it that have it, and only those. Where no channel is
    /// known there are no hours to go by.
    fn length(&self, place: &Place, from: i64, until: i64, clock: &str) -> Option<i64> {
        if clock != OPEN {
            return Some(until - from);
        }
        let channel = self.channel_of(place);
        channel.open_clock.then(|| open_between(from, until, channel.hours.as_ref(), self.settings))
    }

    fn waiting(&self, at: i64) -> Vec<&Wait> {
        let here = |wait: &&Wait| self.key.covers(&wait.place) && holds(wait.start, wait.end.map(|end| end.0), at);
        self.facts.waits.iter().filter(here).collect()
    }

    /// Every threshold that some channel under this key lists.
    fn thresholds(&self) -> BTreeMap<String, i64> {
        let places = self.facts.open.iter().map(|open| &open.place);
        let waits = self.facts.waits.iter().map(|wait| &wait.place);
        let arrivals = self.facts.arrivals.iter().map(|arrival| &arrival.place);
        let channels = places.chain(waits).chain(arrivals).filter(|place| self.key.covers(place));
        let mut all: BTreeMap<String, i64> = channels.flat_map(|place| self.channel_of(place).thresholds).collect();
        if let Some(channel) = &self.key.channel {
            all.extend(self.settings.channel(Some(channel)).thresholds);
        }
        all
    }

    fn lists(&self, place: &Place, within: i64) -> bool {
        self.channel_of(place).thresholds.iter().any(|(_, own)| *own == within)
    }

    fn agents_now(&mut self) {
        let at = self.at;
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        for stay in self.agents.iter().flatten().filter(|stay| holds(stay.from, stay.until, at)) {
            // Of stays that touch at `at` only the one before it holds; an empty stay (two snapshots of one time) never.
            if let Some(class) = class_under(stay, self.key.queue.as_deref(), self.key.channel.as_deref()) {
                *count.entry(class).or_default() += 1;
                if class != "offline" {
                    *count.entry("connected").or_default() += 1;
                }
            }
        }
        for state in CLASSES.into_iter().chain(["connected"]) {
            let n = count.get(state).copied().unwrap_or(0);
            let near = if state == "elsewhere" && n == 0 { Near::Optional } else { Near::Exact };
            self.put("agents", "", &format!("state={state}"), Some(n as f64), n as f64, near);
        }
    }

    fn points(&self, list: &[Point], from: i64, until: i64) -> usize {
        list.iter().filter(|p| from <= p.at && p.at < until && self.key.covers(&p.place)).count()
    }

    /// Durations of the waits that ended so within the window, with their places.
    fn ended(&self, how: End, from: i64, until: i64) -> Vec<&Wait> {
        let here = |wait: &&Wait| {
            self.key.covers(&wait.place) && wait.end.is_some_and(|(at, end)| end == how && from <= at && at < until)
        };
        self.facts.waits.iter().filter(here).collect()
    }

    fn window(&mut self, window: &str, from: i64, until: i64) {
        for (indicator, list) in [
            ("arrivals", &self.facts.arrivals),
            ("queued", &self.facts.queued),
            ("replies", &self.facts.replies),
            ("closed", &self.facts.closed),
            ("expired", &self.facts.expired),
        ] {
            let count = self.points(list, from, until);
            self.count(indicator, window, "", count);
        }
        for (indicator, how) in
            [("answered", End::Answered), ("abandoned", End::Abandoned), ("closed_unanswered", End::ClosedUnanswered)]
        {
            let count = self.ended(how, from, until).len();
            self.count(indicator, window, "", count);
        }
        for (indicator, list) in [
            ("first_response_time", &self.facts.first_responses),
            ("response_time", &self.facts.responses),
            ("resolution_time", &self.facts.resolutions),
        ] {
            let here = |l: &&Lasted| from <= l.at && l.at < until && self.key.covers(&l.place);
            for clock in self.clocks() {
                let lengths = list.iter().filter(here).filter_map(|l| self.length(&l.place, l.from, l.at, clock));
                let lengths: Vec<i64> = lengths.collect();
                self.put(indicator, window, clock, mean(&lengths), lengths.len() as f64, Near::Exact);
            }
        }
        let open_at = |at: i64| {
            let here = |s: &&Stretch| holds(s.from, s.until, at) && self.key.covers(&s.place);
            self.facts.open.iter().filter(here).count() as f64
        };
        let change = open_at(until) - open_at(from);
        // CHOICE: the samples of a change are the change, as those of a count are the count.
        self.put("backlog_change", window, "", Some(change), change, Near::Exact);
        for clock in self.clocks() {
            self.waits(window, from, until, clock);
        }
        self.work(window, from, until);
        self.stages(window, from, until);
        self.agents_over(window, from, until);
    }

    fn waits(&mut self, window: &str, from: i64, until: i64, clock: &str) {
        let lengths = |waits: Vec<&Wait>, end: fn(&Wait) -> Option<i64>| -> Vec<(Place, i64)> {
            let length = |wait: &Wait| self.length(&wait.place, wait.start, end(wait).unwrap_or(until), clock);
            waits.into_iter().filter_map(|wait| Some((wait.place.clone(), length(wait)?))).collect()
        };
        let ended = |how: End| lengths(self.ended(how, from, until), |wait| wait.end.map(|(at, _)| at));
        let (answered, abandoned) = (ended(End::Answered), ended(End::Abandoned));
        // CHOICE: the live figures look at who waits at the end of the window, at the age that he has then.
        let waiting = lengths(self.waiting(until), |_| None);
        let (exact, percent) = (Near::Exact, Near::Percent);
        let mut sorted: Vec<i64> = answered.iter().map(|(_, ms)| *ms).collect();
        sorted.sort_unstable();
        let n = sorted.len() as f64;
        self.put("asa", window, clock, mean(&sorted), n, exact);
        for percentile in [50, 90, 95, 99] {
            let value = nearest_rank(&sorted, percentile);
            self.put(&format!("wait_p{percentile}"), window, clock, value, n, percent);
        }
        self.put("wait_max", window, clock, sorted.last().map(|ms| seconds(*ms)), n, percent);
        let live: Vec<i64> = answered.iter().chain(&waiting).map(|(_, ms)| *ms).collect();
        self.put("asa_live", window, clock, mean(&live), live.len() as f64, exact);
        if clock != OPEN {
            let short = abandoned.iter().filter(|(_, ms)| *ms <= self.settings.short_abandon).count();
            let (a, l, s) = (answered.len() as f64, abandoned.len() as f64, short as f64);
            self.ratio("abandonment", window, "", l - s, a + l - s, exact);
        }
        let join = |labels: String| if clock == OPEN { format!("{clock} {labels}") } else { labels };
        for (label, within) in self.thresholds() {
            let listed = |list: &[(Place, i64)]| -> Vec<i64> {
                list.iter().filter(|(place, _)| self.lists(place, within)).map(|(_, ms)| *ms).collect()
            };
            let (answered, abandoned, waiting) = (listed(&answered), listed(&abandoned), listed(&waiting));
            let at_most = |list: &[i64], limit: i64| list.iter().filter(|ms| **ms <= limit).count() as f64;
            let (a, l) = (answered.len() as f64, abandoned.len() as f64);
            let (a_t, l_t) = (at_most(&answered, within), at_most(&abandoned, within));
            // CHOICE: whether an abandon was short is a matter of the elapsed clock or the open one, as the rest.
            let s = at_most(&abandoned, self.settings.short_abandon);
            for (treatment, above, below) in [
                ("answered", a_t, a),
                ("offered", a_t, a + l),
                ("abandons_met", a_t + l_t, a + l),
                ("abandons_ignored", a_t, a + l - l_t),
                ("short_excluded", a_t, a + l - s),
            ] {
                let labels = join(format!("threshold={label} treatment={treatment}"));
                self.ratio("service_level", window, &labels, above, below, exact);
            }
            let w = waiting.iter().filter(|ms| **ms > within).count() as f64;
            let labels = join(format!("threshold={label}"));
            self.ratio("service_level_live", window, &labels, a_t, a + l + w, exact);
        }
    }

    fn ratio(&mut self, indicator: &str, window: &str, labels: &str, above: f64, below: f64, near: Near) {
        self.put(indicator, window, labels, (below > 0.0).then(|| above / below), below, near);
    }

    fn work(&mut self, window: &str, from: i64, until: i64) {
        let contacts = self.facts.contacts.iter();
        let here: Vec<_> = contacts.filter(|c| from <= c.at && c.at < until && self.key.covers(&c.place)).collect();
        let handled: Vec<i64> = here.iter().map(|c| c.handled).collect();
        let after: Vec<i64> = here.iter().filter_map(|c| c.after).collect();
        self.put("aht", window, "", mean(&handled), handled.len() as f64, Near::Exact);
        self.put("acw", window, "", mean(&after), after.len() as f64, Near::Exact);
    }

    fn stages(&mut self, window: &str, from: i64, until: i64) {
        // One sample per interaction and stage: all that it spent under this key, dated at the last end there.
        let samples = |stage: &str| -> Vec<i64> {
            let mut all = Vec::new();
            for stretches in &self.facts.stages {
                let here = || stretches.iter().filter(|s| s.name == stage && self.key.covers(&s.place));
                if here().map(|s| s.at).max().is_some_and(|last| from <= last && last < until) {
                    all.push(here().map(|s| s.took).sum());
                }
            }
            all.sort_unstable();
            all
        };
        let samples = STAGES.map(|stage| (stage, samples(stage)));
        let total: i64 = samples.iter().flat_map(|(_, took)| took).sum();
        for (stage, sorted) in samples {
            let (label, n) = (format!("stage={stage}"), sorted.len() as f64);
            self.put("stage_time", window, &label, mean(&sorted), n, Near::Exact);
            self.put("stage_time_p90", window, &label, nearest_rank(&sorted, 90), n, Near::Percent);
            // CHOICE: the samples of a share are the seconds of all stages, which stand below its line.
            self.ratio("stage_share", window, &label, seconds(sorted.iter().sum()), seconds(total), Near::Exact);
        }
    }

    fn agents_over(&mut self, window: &str, from: i64, until: i64) {
        let mut time: BTreeMap<&str, i64> = BTreeMap::new();
        let mut entries: BTreeMap<&str, usize> = BTreeMap::new();
        let mut own_entries: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut busy_time, mut offered, mut in_hand) = (0, 0, 0);
        for agent in self.agents {
            let mut before: Option<&str> = None;
            let mut own_before: Option<&str> = None;
            for stay in agent {
                let class = class_under(stay, self.key.queue.as_deref(), self.key.channel.as_deref());
                let clipped = stay.until.map_or(until, |end| end.min(until)) - stay.from.max(from);
                if stay.until == Some(stay.from) {
                    continue;
                }
                if let Some(class) = class {
                    *time.entry(class).or_default() += clipped.max(0);
                    let (busy, slots) = slots_under(stay, self.key.queue.as_deref(), self.key.channel.as_deref());
                    // CHOICE: wrap-up takes up what is said to be busy.
                    if ["available", "handling", "wrapup", "elsewhere"].contains(&class) {
                        busy_time += busy * clipped.max(0);
                        offered += slots * clipped.max(0);
                    }
                    if class == "handling" {
                        in_hand += busy * clipped.max(0);
                    }
                    // CHOICE: a class is entered where the agent was in another one, or did not count, just before.
                    if before != Some(class) && from <= stay.from && stay.from < until {
                        *entries.entry(class).or_default() += 1;
                        // CHOICE: `connected` is entered by logging in, or by beginning to count here.
                        if class != "offline" && before.is_none_or(|before| before == "offline") {
                            *entries.entry("connected").or_default() += 1;
                        }
                    }
                }
                before = class;
                // CHOICE: a name of the platform's own is entered as a class is: from another name, or by beginning to
                // count here.
                let own = stay.own.as_deref().filter(|_| class.is_some());
                if let Some(own) = own.filter(|own| own_before != Some(own) && from <= stay.from && stay.from < until) {
                    *own_entries.entry(own).or_default() += 1;
                }
                own_before = own;
            }
        }
        let of = |classes: &[&str]| seconds(classes.iter().filter_map(|class| time.get(class)).sum());
        let times = CLASSES.map(|class| (class, of(&[class])));
        let connected = of(&["available", "handling", "wrapup", "unproductive", "elsewhere"]);
        let working = of(&["handling", "wrapup"]);
        let ready = of(&["available", "handling", "wrapup"]);
        let utilized = of(&["available", "handling", "wrapup", "elsewhere"]);
        for (class, sum) in times {
            let near = if class == "elsewhere" && sum == 0.0 { Near::Optional } else { Near::Exact };
            self.put("state_time", window, &format!("state={class}"), Some(sum), sum, near);
            let n = entries.get(class).copied().unwrap_or(0) as f64;
            self.put("state_entries", window, &format!("state={class}"), Some(n), n, near);
        }
        for own in self.settings.states.keys() {
            let n = own_entries.get(own.as_str()).copied().unwrap_or(0);
            self.count("state_entries", window, &format!("state={own}"), n);
        }
        // CHOICE: the contract lists `connected` for `agents` only; if it is printed here it is the connected time.
        let logins = entries.get("connected").copied().unwrap_or(0) as f64;
        self.put("state_entries", window, "state=connected", Some(logins), logins, Near::Optional);
        self.put("state_time", window, "state=connected", Some(connected), connected, Near::Optional);
        self.ratio("occupancy", window, "", working, ready, Near::Exact);
        self.ratio("slot_occupancy", window, "", seconds(busy_time), seconds(offered), Near::Exact);
        self.ratio("concurrency", window, "", seconds(in_hand), of(&["handling"]), Near::Exact);
        self.ratio("utilization", window, "", utilized, connected, Near::Exact);
    }
}

pub fn name(indicator: &str, queue: Option<&str>, channel: Option<&str>, window: &str, labels: &str) -> Name {
    let mut text = format!("{indicator} {}/{}", queue.unwrap_or("*"), channel.unwrap_or("*"));
    for part in [window, labels] {
        if !part.is_empty() {
            text.push(' ');
            text.push_str(part);
        }
    }
    text
}

//! One row for one key: from a reading to the transition it means.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::quality::FixedState;

use super::evidence::Evidence;
use super::flapping::{Flap, Said};
use super::hold::Stands;
use super::incident::{Address, Change, Incident, addresses};
use super::operations::{Acknowledged, Silences};
use super::track::Track;
use super::trend::{self, Ring, Trend};
use super::{OpenCase, Place, Readings, Reason, Tick, Transition, Version};
use crate::domain::{Key, Stretch, Timestamp};
use crate::indicators::{Indicator, Reading, Samples, Selector};
use crate::matrix::{Level, NoData, Recipient, Row};

mod fit;
mod snapshot;

pub(super) use snapshot::WrittenCase;

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) key: Key,
    /// Where its numbers are in the readings of the ticks before; only a short cut.
    pub(super) place: Option<Place>,
    /// What `reading` was read of; `None` where it was of that instant.
    version: Option<Version>,
    pub(super) selector: Selector,
    pub(super) level: Level,
    /// The range of its level; `None` in ok until a range says so, and where the level was raised for want of data.
    range: Option<usize>,
    evidence: Evidence,
    /// When the stretch of open hours began that the evidence is of.
    opened: Option<Timestamp>,
    closed: bool,
    frozen: bool,
    /// As last read; and whether the last tick did.
    reading: Reading,
    read: bool,
    /// The last that a rule could judge, and when.
    judged: Option<(Timestamp, Reading)>,
    /// What it has been.
    trend: Ring,
    /// There is one exactly while the level is not ok.
    incident: Option<Box<Incident>>,
    /// Its changes of level, if there were any lately.
    flap: Option<Box<Flap>>,
    /// What was written down of it last.
    put: Option<Box<Put>>,
}

/// A case as it was written down: [`Case::mark`] then, and the values, which change every second and mean nothing while
/// they are read anew at the next.
#[derive(Clone, Copy, Debug)]
struct Put {
    mark: u64,
    reading: Reading,
    judged: Option<(Timestamp, Reading)>,
}

/// What a case needs to know of the tick it is in.
pub(super) struct Moment<'a> {
    pub track: &'a Track,
    pub hours: Stretch,
    /// The feed that its numbers are made of lags or is dead.
    pub frozen: bool,
    pub silences: &'a Silences,
    pub now: Timestamp,
    pub before: Option<Timestamp>,
    pub readings: &'a mut dyn Readings,
    pub tick: &'a mut Tick,
}

impl Moment<'_> {
    fn row(&self) -> &Row {
        self.track.row()
    }
}

/// What a case may do at this second.
enum Standing {
    Running,
    /// Nothing is known of it: its feed lags or is dead.
    Frozen,
    Closed,
    /// Open, but not yet `settle` after opening.
    Settling,
}

/// What a reading says to a rule.
enum Seen {
    Value(f64),
    TooFew,
    Null,
}

/// Where a case goes.
struct Move {
    level: Level,
    range: Option<usize>,
    reason: Reason,
}

impl Case {
    pub fn new(key: Key, selector: Selector, row: &Row) -> Self {
        Case {
            key,
            place: None,
            version: None,
            selector,
            level: Level::Ok,
            range: None,
            evidence: Evidence::new(row),
            opened: None,
            closed: false,
            frozen: false,
            reading: Reading::default(),
            read: false,
            judged: None,
            trend: Ring::new(),
            incident: None,
            flap: None,
            put: None,
        }
    }

    pub fn step(&mut self, moment: &mut Moment<'_>) {
        let now = moment.now;
        self.read = false;
        self.evidence.begin();
        self.incident.iter_mut().for_each(|incident| incident.begin());
        if self.incident.as_ref().is_some_and(|incident| incident.removed) {
            self.go(moment, Move { level: Level::Ok, range: None, reason: Reason::Removed });
            // What the row says now is counted from zero, from the next second on.
            return self.evidence.forget();
        }
        let standing = self.standing(moment);
        self.closed = matches!(standing, Standing::Closed);
        self.frozen = matches!(standing, Standing::Frozen);
        if matches!(standing, Standing::Closed | Standing::Settling) {
            if let Some(incident) = &mut self.incident {
                incident.stand(now);
            }
            return;
        }
        if let Some(incident) = &mut self.incident {
            incident.look_around(moment.silences, moment.track.names(&self.key), now);
            if incident.flaps.is_some() {
                let damped = self.flap.as_ref().is_some_and(|flap| flap.is_damped(now, moment.track.row().flapping));
                incident.flaps = incident.flaps.filter(|_| damped);
            }
        }
        if matches!(standing, Standing::Frozen) {
            self.evidence.freeze(now, moment.before);
            return self.run_timers(moment);
        }

        self.read(moment.readings);
        self.remember(moment);
        match self.seen(moment.row()) {
            Seen::Value(value) => self.judge(moment, value),
            Seen::Null => {
                self.evidence.pause(now, moment.before, true);
                self.miss(moment);
            }
            Seen::TooFew => self.evidence.pause(now, moment.before, false),
        }
        self.run_timers(moment);
    }

    fn seen(&self, row: &Row) -> Seen {
        match self.reading.value {
            None => Seen::Null,
            Some(_) if self.reading.samples < row.min_samples => Seen::TooFew,
            Some(value) => Seen::Value(value),
        }
    }

    /// Keeps the value for the trend, if one is due.
    fn remember(&mut self, moment: &Moment<'_>) {
        if self.trend.is_due(moment.now) {
            let row = moment.row();
            let value = if matches!(self.seen(row), Seen::Value(_)) { self.reading.value } else { None };
            self.trend.put(moment.now, trend::step(row), value);
        }
    }

    /// What it has been until `now`, and is.
    pub(super) fn trend(&self, track: &Track, now: Timestamp) -> Trend {
        let judged = self.judged.filter(|(time, _)| *time == now).and_then(|(_, reading)| reading.value);
        self.trend.until(now, trend::step(track.row()), judged)
    }

    /// Reads the number, unless it cannot have changed.
    fn read(&mut self, readings: &mut dyn Readings) {
        self.read = true;
        let (key, selector) = (&self.key, &self.selector);
        let (reading, version) = match self.place {
            Some(place) if self.version.is_some() && self.version == readings.version(place) => return,
            Some(place) => readings.read_at(place, key, selector),
            None => (readings.read(key, selector), None),
        };
        (self.reading, self.version) = (judged_as(selector.indicator, reading), version);
    }

    /// Another number whenever anything has changed that the next tick, `ticked` being the last, could tell, but for values that
    /// it reads anew: of those it counts only whether there is one.
    fn mark(&self, row: &Row, ticked: Timestamp) -> u64 {
        let Case { key: _, place: _, version: _, selector: _, level, range, evidence, opened, closed, .. } = self;
        let Case { frozen, reading, read, judged, trend, incident, flap, put: _, .. } = self;
        let mut to = FixedState::with_seed(0).build_hasher();
        (level, range, opened, closed, frozen, read, trend.version(), flap).hash(&mut to);
        let bits = |reading: &Reading| (reading.value.map(f64::to_bits), reading.samples.to_bits());
        match read {
            true => std::mem::discriminant(&self.seen(row)).hash(&mut to),
            false => bits(reading).hash(&mut to),
        }
        let old = judged.as_ref().filter(|(time, _)| !*read || *time != ticked);
        (judged.is_some(), old.map(|(time, reading)| (*time, bits(reading)))).hash(&mut to);
        evidence.mark(&mut to, ticked);
        if let Some(incident) = incident {
            incident.mark(&mut to, ticked);
        }
        to.finish()
    }

    /// Notices an opening, also one that a pause of ticks has hidden, and what it carries over.
    fn standing(&mut self, moment: &Moment<'_>) -> Standing {
        if !moment.hours.open {
            return Standing::Closed;
        }
        let running = if moment.frozen { Standing::Frozen } else { Standing::Running };
        let Some(since) = moment.hours.since else { return running };
        if self.opened != Some(since) {
            self.opened = Some(since);
            self.evidence.forget();
            if let Some(incident) = &mut self.incident {
                incident.carry(moment.before.unwrap_or(moment.now));
            }
        }
        if moment.now < since + moment.row().settle { Standing::Settling } else { running }
    }

    /// There is a value: what it has been for long enough decides.
    fn judge(&mut self, moment: &mut Moment<'_>, value: f64) {
        let now = moment.now;
        let Some(own) = moment.row().range_of(value) else { return };
        self.judged = Some((now, self.reading));
        self.evidence.observe(moment.row(), &moment.track.sides, now, value, own);

        // What was carried over the closed hours and is not ok is told so, whatever this second changes besides.
        if moment.row().level_of(own) != Level::Ok {
            self.tell_opened(moment);
        }
        let next = self.worse(moment, own).or_else(|| self.better(moment, value)).or_else(|| self.other(moment, own));
        if let Some(next) = next {
            self.go(moment, next);
        }
        // What looked well at the opening has had the time to recover, but is too near the edge to be believed.
        let evaluated = self.evidence.clock(now);
        if self.incident.as_mut().is_some_and(|case| case.looked_well_for(evaluated, moment.row().recover.hold)) {
            self.tell_opened(moment);
        }
    }

    fn worse(&self, moment: &Moment<'_>, own: usize) -> Option<Move> {
        let row = moment.row();
        let due = || self.evidence.due_beyond(row, self.level, moment.now);
        let level = due().map(|range| row.level_of(range)).max()?;
        let nearest = due().filter(|range| row.level_of(*range) == level).min_by_key(|range| range.abs_diff(own));
        let range = if row.level_of(own) == level { Some(own) } else { nearest };
        Some(Move { level, range, reason: Reason::Range })
    }

    fn better(&self, moment: &Moment<'_>, value: f64) -> Option<Move> {
        let row = moment.row();
        let level = self.evidence.due_better(row, self.level, moment.now)?;
        let of_level = row.ranges.iter().enumerate().filter(|(_, range)| range.level == level);
        // Of two as near, that on the side where the case has been.
        let strange = |index: usize| !self.range.is_some_and(|was| moment.track.sides.same(was, index));
        let nearness = of_level.map(|(index, range)| (range.bounds.distance(value), strange(index), index));
        let nearest = nearness.min_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let range = nearest.map(|(_, _, index)| index);
        let reason = if level == Level::Ok { Reason::Recovered } else { Reason::Improved };
        Some(Move { level, range, reason })
    }

    /// Another range of the level: the value is in it, or in a worse one on its side of ok whose `for` is not met yet.
    fn other(&self, moment: &Moment<'_>, own: usize) -> Option<Move> {
        let (row, sides) = (moment.row(), &moment.track.sides);
        if self.level == Level::Ok {
            return None;
        }
        let range = if row.level_of(own) == self.level {
            Some(own)
        } else if row.level_of(own) > self.level && !self.range.is_some_and(|was| sides.same(was, own)) {
            let on_side = (0..row.ranges.len()).filter(|range| sides.same(*range, own));
            on_side.filter(|range| row.level_of(*range) == self.level).min_by_key(|range| range.abs_diff(own))
        } else {
            None
        };
        let range = range.filter(|range| self.range != Some(*range));
        let due = range.filter(|range| self.evidence.due_within(row, *range, moment.now))?;
        Some(Move { level: self.level, range: Some(due), reason: Reason::Range })
    }

    /// There is no value: what the row says of that decides.
    fn miss(&mut self, moment: &mut Moment<'_>) {
        let missing = self.evidence.null_for(moment.now);
        let level = match &moment.row().no_data {
            NoData::Keep => return,
            NoData::Ok if self.level > Level::Ok => Level::Ok,
            NoData::Raise { level, hold, .. } if *level > self.level && missing.is_some_and(|m| m >= *hold) => *level,
            NoData::Ok | NoData::Raise { .. } => return,
        };
        self.go(moment, Move { level, range: None, reason: Reason::NoData });
        // A level that was judged without values owes nothing to those before it: what comes back is counted anew.
        if level == Level::Ok { self.evidence.forget() } else { self.evidence.forget_calm() }
    }

    /// Takes the level, and tells whom it concerns.
    fn go(&mut self, moment: &mut Moment<'_>, next: Move) {
        let now = moment.now;
        let open = self.incident.take();
        let id = open.as_ref().map(|incident| incident.id.clone());
        let transition = Arc::new(Transition {
            time: now,
            matrix: moment.track.matrix.clone(),
            row: moment.track.index,
            range: next.range,
            key: self.key.clone(),
            selector: self.selector,
            source: None,
            from: self.level,
            to: next.level,
            value: self.reading.value,
            samples: self.reading.samples,
            reason: next.reason,
            incident: id.unwrap_or_else(|| moment.track.incident_id(&self.key, now)),
        });
        moment.tick.transitions.push(transition.clone());
        (self.level, self.range) = (next.level, next.range);
        let said = self.say(moment, &transition);
        let mut incident = open.unwrap_or_else(|| Box::new(Incident::new(transition.clone())));
        incident.flaps = self.flap.as_ref().and_then(|flap| flap.flaps());
        let names = moment.track.names(&self.key);
        let change = Change { transition, tell: self.tell(moment.track, now), said, silences: moment.silences, names };
        incident.take_level(change, News { now, value_time: now, reading: self.reading }, moment.tick);
        self.incident = (self.level != Level::Ok).then_some(incident);
    }

    /// What becomes of the notice of a change. That no rule watches the case any more is no change of its own.
    fn say(&mut self, moment: &Moment<'_>, change: &Transition) -> Said {
        if change.from == change.to || change.reason == Reason::Removed {
            return Said::AsEver;
        }
        self.flap.get_or_insert_default().change(moment.now, change.to, moment.row().flapping)
    }

    /// Whom the level's range tells at `now`.
    fn tell(&self, track: &Track, now: Timestamp) -> Vec<Address> {
        let row = track.row();
        let tell: &[Recipient] = match (self.range.and_then(|range| row.ranges.get(range)), &row.no_data) {
            (Some(range), _) => &range.tell,
            (None, NoData::Raise { tell, .. }) => tell,
            (None, _) => &[],
        };
        addresses(&track.matrix, tell, now)
    }

    fn tell_opened(&mut self, moment: &mut Moment<'_>) {
        let news = self.news(moment.now);
        if let Some(mut incident) = self.incident.take_if(|incident| incident.is_carried()) {
            incident.open_again(|| self.tell(moment.track, news.now), news, moment.tick);
            self.incident = Some(incident);
        }
    }

    fn run_timers(&mut self, moment: &mut Moment<'_>) {
        let Some(mut incident) = self.incident.take() else { return };
        let (news, track) = (self.news(moment.now), moment.track);
        incident.catch_up(|| self.tell(track, news.now), news, moment.tick);
        let range = self.range.and_then(|range| track.row().ranges.get(range));
        let judged = matches!(self.seen(track.row()), Seen::Value(_));
        let (key, readings) = (&self.key, &mut *moment.readings);
        let waits = || {
            let waiting = track.waiting.and_then(|selector| readings.read(key, &selector).value);
            judged || waiting.is_some_and(|count| count > 0.0)
        };
        incident.timers(&track.matrix, range, self.frozen, news, waits, moment.tick);
        self.incident = Some(incident);
    }

    /// What a notice of this second says of the value: the last one that could be judged.
    fn news(&self, now: Timestamp) -> News {
        let (value_time, reading) = self.judged.unwrap_or((now, self.reading));
        News { now, value_time, reading }
    }

    pub(super) fn open(&self) -> Option<OpenCase> {
        let incident = self.incident.as_ref()?;
        let Reading { value, samples } = self.reading;
        Some(OpenCase { value, samples, closed_hours: self.closed, frozen: self.frozen, ..incident.open() })
    }

    /// The id of its incident, and how that stands.
    pub(super) fn stands(&self) -> Option<(&str, Stands)> {
        let (id, stands) = self.incident.as_ref()?.stands();
        Some((id, Stands { held: stands.held || self.closed, ..stands }))
    }

    pub(super) fn incident_id(&self) -> Option<&Arc<str>> {
        self.incident.as_ref().map(|incident| &incident.id)
    }

    /// Somebody has taken up the incidents with these ids, which are sorted. Its own, if it is among them.
    pub(super) fn acknowledge(
        &mut self,
        ids: &[Arc<str>],
        acknowledge: impl FnOnce(Level) -> Acknowledged,
    ) -> Option<&Arc<str>> {
        let incident = self.incident.as_mut().filter(|incident| ids.binary_search(&incident.id).is_ok())?;
        incident.acknowledge(acknowledge(self.level));
        Some(&incident.id)
    }
}

/// The second of a notice and the value that it tells.
#[derive(Clone, Copy)]
pub(super) struct News {
    pub now: Timestamp,
    pub value_time: Timestamp,
    pub reading: Reading,
}

/// A reading as a rule takes it: a count, a `state_time` and an `oldest_*` of nothing are 0, and what is not a number
/// is no value.
fn judged_as(indicator: &Indicator, reading: Reading) -> Reading {
    let zero =
        indicator.samples == Samples::Value || indicator.name == "state_time" || indicator.name.starts_with("oldest_");
    let value = reading.value.filter(|value| !value.is_nan()).or(zero.then_some(0.0));
    Reading { value, ..reading }
}

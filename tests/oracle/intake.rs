//! Which events count at all: identities seen before, events too late, events too far ahead; and the instants at which
//! `backtest --every` prints.

use std::collections::{BTreeMap, BTreeSet};

use super::calendar::midnight_at_or_before;
use super::decode::{Event, Snapshot, Step, What, decode, rank};
use super::interactions::{Facts, facts};
use super::settings::{DAY, Settings};

#[derive(Clone, Debug)]
pub struct Happening {
    pub time: i64,
    pub id: String,
    pub step: Step,
}

/// What was taken in, in order of arrival, and what came of it.
#[derive(Default)]
pub struct Intake {
    /// The time-lines. One interaction has several where it came back after it was no longer held.
    pub lives: Vec<Vec<Happening>>,
    pub agents: BTreeMap<String, Vec<(i64, String, Snapshot)>>,
    pub now: Option<i64>,
    pub too_late: usize,
    pub too_far_ahead: usize,
    pub duplicates: usize,
    current: BTreeMap<String, usize>,
    /// The ids of the events that were taken, whosever they were.
    seen: BTreeSet<String>,
}

impl Intake {
    pub fn of(lines: &[String], settings: &Settings) -> Intake {
        let mut intake = Intake::default();
        for line in lines {
            if let Some(event) = decode(line, settings) {
                intake.take(event, settings);
            }
        }
        intake
    }

    fn take(&mut self, event: Event, settings: &Settings) {
        // CHOICE: "more than a day beyond the last" is measured from the largest time so far; the first event of all
        // has none before it. What was dead-lettered is not remembered as seen.
        if self.now.is_some_and(|now| event.time > now + DAY) {
            self.too_far_ahead += 1;
            return;
        }
        let now = self.now.map_or(event.time, |now| now.max(event.time));
        self.now = Some(now);
        if self.seen.contains(&event.id) {
            self.duplicates += 1;
            return;
        }
        let (id, refused) = (event.id.clone(), self.too_late);
        self.place(event, now, settings);
        if self.too_late == refused {
            self.seen.insert(id);
        }
    }

    fn place(&mut self, event: Event, now: i64, settings: &Settings) {
        // CHOICE: an event exactly `lateness` old is not too late, and its interaction is still held then.
        let late = event.time < now - settings.lateness;
        match event.what {
            What::Heartbeat => {}
            What::Agent(_) if late => self.too_late += 1,
            What::Agent(snapshot) => {
                let list = self.agents.entry(snapshot.agent.clone()).or_default();
                list.push((event.time, event.id, snapshot));
                // CHOICE: of two snapshots of one time the one with the bytewise larger id holds.
                list.sort_by(|a, b| (a.0, a.1.as_bytes()).cmp(&(b.0, b.1.as_bytes())));
            }
            What::Interaction { interaction, step } => {
                let happening = Happening { time: event.time, id: event.id, step };
                let known = self.current.get(&interaction).copied();
                match known.filter(|life| is_remembered(&self.lives[*life], now, settings)) {
                    Some(life) if late && !is_held(&self.lives[life], now, settings) => self.too_late += 1,
                    Some(life) => insert(&mut self.lives[life], happening),
                    None if late => self.too_late += 1,
                    None => {
                        self.current.insert(interaction, self.lives.len());
                        self.lives.push(vec![happening]);
                    }
                }
            }
        }
    }

    pub fn facts(&self, settings: &Settings) -> Facts {
        let mut all = Facts::default();
        for life in &self.lives {
            all.append(facts(life, settings));
        }
        all
    }
}

fn insert(life: &mut Vec<Happening>, happening: Happening) {
    life.push(happening);
    life.sort_by(|a, b| (a.time, rank(&a.step), a.id.as_bytes()).cmp(&(b.time, rank(&b.step), b.id.as_bytes())));
}

/// "Held while it is open and that long after its last event."
fn is_held(life: &[Happening], now: i64, settings: &Settings) -> bool {
    let last = life.iter().map(|h| h.time).max().unwrap_or(i64::MIN);
    last >= now - settings.lateness
        || facts(life, settings).open.iter().any(|open| open.from <= now && open.until.is_none_or(|until| until > now))
}

/// "A later event makes it open again": whatever was silent until it expired is known for `lateness` after that, though a
/// late event does not correct it any more (CHOICE).
fn is_remembered(life: &[Happening], now: i64, settings: &Settings) -> bool {
    let facts = facts(life, settings);
    let ended = facts.open.iter().map(|open| open.until.unwrap_or(i64::MAX)).max().unwrap_or(i64::MIN);
    let last = life.iter().map(|h| h.time).max().unwrap_or(i64::MIN);
    ended.max(last) >= now - settings.lateness
}

/// An instant at which figures are printed, with how many lines had been taken by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant {
    pub at: i64,
    pub lines: usize,
}

/// "At each multiple of D since local midnight that virtual time reaches, before the event that reaches it is taken, and
/// last at the first multiple after the last event."
pub fn instants(lines: &[String], every: i64, settings: &Settings) -> Vec<Instant> {
    let mut printed = Vec::new();
    let mut now: Option<i64> = None;
    for (index, line) in lines.iter().enumerate() {
        let Some(event) = decode(line, settings) else { continue };
        if now.is_some_and(|now| event.time > now + DAY) {
            continue;
        }
        // CHOICE: nothing is asked for at or before the time of the first event, as nothing is known then.
        let Some(before) = now else {
            now = Some(event.time);
            continue;
        };
        while let Some(at) =
            Some(next_multiple(printed_until(&printed, before), every, settings)).filter(|at| *at <= event.time)
        {
            printed.push(Instant { at, lines: index });
        }
        now = Some(before.max(event.time));
    }
    if let Some(now) = now {
        let at = next_multiple(printed_until(&printed, now).max(now), every, settings);
        printed.push(Instant { at, lines: lines.len() });
    }
    printed
}

fn printed_until(printed: &[Instant], start: i64) -> i64 {
    printed.last().map_or(start, |last| last.at)
}

/// The first multiple of `every` since a local midnight that is later than `after`.
/// CHOICE: multiples are counted in elapsed time since the midnight before, and begin anew at each midnight.
pub fn next_multiple(after: i64, every: i64, settings: &Settings) -> i64 {
    let midnight = midnight_at_or_before(after, settings);
    let candidate = midnight + ((after - midnight) / every + 1) * every;
    let mut day = after;
    let mut next = midnight;
    while next <= after {
        day += DAY / 2;
        next = midnight_at_or_before(day, settings);
    }
    candidate.min(next)
}

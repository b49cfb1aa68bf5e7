//! A case whose key did not change keeps its reading. On a simulated floor: what is kept is what would be read, and
//! what is decided is what an engine decides that reads every number every second.

use std::collections::BTreeMap;

use atalaya::board::{Board, Version};
use atalaya::config;
use atalaya::domain::{Key, Millis, Timestamp};
use atalaya::floor::Floor;
use atalaya::indicators::{self, Reading, Selector};
use atalaya::matrix::engine::{Engine, Feeds, Place, Readings};
use atalaya::pipeline::Evaluator;
use atalaya::plan::{Plan, WindowKind};
use atalaya::sim::{Incident, IncidentKind, Settings, SimEvent, Simulation};
use atalaya::wire::{Decoded, Decoder};

use crate::support::matrix;

/// An hour from 09:05 of a Monday in Bogotá, in which half of the agents leave.
fn settings() -> Settings {
    let start = Timestamp::parse("2026-11-23T09:05:00-05:00").unwrap();
    let incident = Incident { kind: IncidentKind::AgentsGone, at: Millis(15 * 60_000), duration: Millis(20 * 60_000) };
    let zone = jiff::tz::TimeZone::get("America/Bogota").unwrap();
    Settings { zone, until: Some(start + Millis::HOUR), incident: Some(incident), ..Settings::new(11, start) }
}

/// Gives `floor` what happens before `now`.
fn take(floor: &mut Floor, events: &mut std::iter::Peekable<Simulation>, now: Timestamp) {
    while let Some(SimEvent { json, .. }) = events.next_if(|event| event.time < now) {
        if let Decoded::Event(event) = Decoder::default().decode(json.as_bytes()) {
            floor.take(&event, Timestamp::MAX);
        }
    }
    floor.advance(now);
}

#[test]
fn while_the_version_stands_only_ages_and_integrals_change() {
    let mut plan = Plan::default();
    plan.windows.retain(|window| window.kind != WindowKind::Sliding(Millis::DAY));
    let plan = std::sync::Arc::new(plan);
    let (mut floor, mut board) = (Floor::new(plan.clone()), Board::new(plan.clone()));
    let (settings, mut events) = (settings(), Simulation::new(settings()).peekable());
    let mut kept: BTreeMap<Key, Vec<Option<(Version, Reading)>>> = BTreeMap::new();
    let mut compared: BTreeMap<&str, usize> = BTreeMap::new();
    // Through the half hour, where the intervals change, in the steps of a board that is looked at now and then.
    for second in (0..40 * 60).step_by(3) {
        let now = settings.start + Millis::seconds(second);
        take(&mut floor, &mut events, now);
        board.apply(0, &floor.flush());
        board.advance(now);
        for key in board.keys().cloned().collect::<Vec<_>>() {
            let place = board.place(&key).unwrap();
            let version = board.version(place).unwrap();
            let selectors = indicators::selectors(&plan, &board, &key);
            let kept = kept.entry(key.clone()).or_default();
            kept.resize(selectors.len(), None);
            for (selector, kept) in selectors.iter().zip(kept) {
                let view = board.view_at(place, selector.window).unwrap();
                let reading = (selector.indicator.read)(&view, &selector.labels);
                if let Some((_, before)) = kept.filter(|(of, _)| *of == version) {
                    assert_eq!(before, reading, "{now} {key:?} {selector:?}");
                    *compared.entry(selector.indicator.name).or_default() += 1;
                }
                *kept = (!view.is_of_this_instant()).then_some((version, reading));
            }
        }
    }
    // What is not of time is kept; the rest may be where nothing waits, or in the last interval.
    let of_time = ["asa_live", "occupancy", "utilization", "slot_occupancy", "concurrency", "state_time"];
    for indicator in indicators::all() {
        let name = indicator.name;
        assert!(
            compared.contains_key(name) || name.starts_with("oldest_") || of_time.contains(&name),
            "{name} is never kept"
        );
    }
}

/// An evaluator's numbers, read by name each time.
struct ByName<'a> {
    evaluator: &'a mut Evaluator,
    keys: Vec<Key>,
}

impl Readings for ByName<'_> {
    fn keys(&self) -> Vec<Key> {
        self.keys.clone()
    }
    fn read(&mut self, key: &Key, selector: &Selector) -> Reading {
        self.evaluator.read(key, selector)
    }
}

#[test]
fn an_engine_that_reads_every_number_every_second_decides_the_same() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/escalation-matrices");
    let files: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.to_string_lossy().ends_with(".test.yaml"))
        .map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap()))
        .collect();
    let set = config::matrices(&files, None).unwrap();
    let mut evaluator = Evaluator::new(set.plan.clone(), set.matrices.clone());
    let mut engine = Engine::new(set.matrices, set.plan.clone());
    let mut floor = Floor::new(set.plan);
    let (settings, mut events) = (settings(), Simulation::new(settings()).peekable());
    let mut decided = 0;
    for second in 1..=3600 {
        let now = settings.start + Millis::seconds(second);
        take(&mut floor, &mut events, now);
        evaluator.apply(0, &floor.flush());
        evaluator.advance(now);
        let tick = evaluator.tick();
        let mut keys = Vec::new();
        evaluator
            .each_indicator(&|_| true, &|s| s.indicator.name == "waiting", &mut |key, _, _| keys.push(key.clone()));
        let other = engine.tick(now, &mut ByName { evaluator: &mut evaluator, keys }, &Feeds::default());
        assert_eq!(format!("{tick:?}"), format!("{other:?}"), "{now}");
        decided += tick.transitions.len();
    }
    assert!(decided > 20, "only {decided} transitions: nothing was compared");
}

/// A board's numbers, counted as they are read.
struct Counting<'a> {
    board: &'a mut Board,
    read: usize,
}

impl Readings for Counting<'_> {
    fn keys(&self) -> Vec<Key> {
        self.board.keys().cloned().collect()
    }
    fn read(&mut self, _: &Key, _: &Selector) -> Reading {
        panic!("every key has a place")
    }
    fn place(&self, key: &Key) -> Option<Place> {
        self.board.place(key)
    }
    fn read_at(&mut self, place: Place, _: &Key, selector: &Selector) -> (Reading, Option<Version>) {
        self.read += 1;
        let view = self.board.view_at(place, selector.window).unwrap();
        ((selector.indicator.read)(&view, &selector.labels), self.version(place))
    }
    fn version(&self, place: Place) -> Option<Version> {
        self.board.version(place)
    }
}

/// The same places without a quicker way to what is there.
struct Slow<'a>(&'a Board);

impl Readings for Slow<'_> {
    fn keys(&self) -> Vec<Key> {
        self.0.keys().cloned().collect()
    }
    fn read(&mut self, _: &Key, _: &Selector) -> Reading {
        Reading { value: Some(15.0), samples: 1.0 }
    }
    fn place(&self, key: &Key) -> Option<Place> {
        self.0.place(key)
    }
}

#[test]
fn what_cannot_have_changed_is_not_read_again() {
    let plan = std::sync::Arc::new(Plan::default());
    let (mut floor, mut board) = (Floor::new(plan.clone()), Board::new(plan.clone()));
    let (settings, mut events) = (settings(), Simulation::new(settings()).peekable());
    let matrices = || vec![matrix("care", &["answered 15m; ok ..10; critical 10.."])];
    let mut engine = Engine::new(matrices(), plan.clone());
    let mut read = 0;
    for minute in 1..=3 {
        let now = settings.start + Millis(minute * 60_000);
        take(&mut floor, &mut events, now);
        board.apply(0, &floor.flush());
        board.advance(now);
        let mut readings = Counting { board: &mut board, read };
        engine.tick(now, &mut readings, &Feeds::default());
        assert!(readings.read > read, "a minute in which something came");
        read = readings.read;
        engine.tick(now + Millis::SECOND, &mut readings, &Feeds::default());
        assert_eq!(readings.read, read, "a second in which nothing came");
    }
    let mut engine = Engine::new(matrices(), plan);
    let tick = engine.tick(settings.start, &mut Slow(&board), &Feeds::default());
    assert!(!tick.transitions.is_empty() && tick.transitions.iter().all(|change| change.value == Some(15.0)));
}

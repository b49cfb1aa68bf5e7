//! The synthetic floor: the same from the same seed, understood by the decoder, and plausible when counted directly.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::{BTreeMap, BTreeSet};

use atalaya::domain::{AgentClass, Body, InteractionEvent, Millis, Timestamp};
use atalaya::sim::{Curve, Disorder, Incident, IncidentKind, Settings, SimEvent, Simulation, Topic};
use atalaya::wire::{Decoded, Decoder};

const HOUR: i64 = 3_600_000;

/// A Monday, 09:00 in Bogotá.
fn settings(hours: i64) -> Settings {
    let start = Timestamp::parse("2026-11-23T09:00:00-05:00").unwrap();
    let zone = jiff::tz::TimeZone::get("America/Bogota").unwrap();
    Settings { zone, until: Some(start + Millis(hours * HOUR)), ..Settings::new(7, start) }
}

fn events(settings: &Settings) -> Vec<SimEvent> {
    Simulation::new(settings.clone()).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let mut settings = settings(1);
    settings.disorder = Disorder { duplicates: 0.05, late: 0.1, lateness: Millis::MINUTE, garbage: 0.02 };
    let first = events(&settings);
    assert_eq!(first, events(&settings));
    assert_ne!(first, events(&Settings { seed: 8, ..settings }));
}

#[test]
fn every_event_is_one_that_the_decoder_takes() {
    let mut settings = settings(24);
    settings.scale = 0.3;
    settings.incident = Some(Incident { kind: IncidentKind::AgentsGone, at: Millis(3 * HOUR), duration: Millis(HOUR) });
    let mut seen = BTreeSet::new();
    let mut ids = BTreeSet::new();
    let mut last = settings.start;
    for event in Simulation::new(settings.clone()) {
        assert!(event.time == event.sent && event.time >= last && event.time < settings.until.unwrap(), "{event:?}");
        last = event.time;
        let Decoded::Event(decoded) = Decoder::default().decode(event.json.as_bytes()) else {
            panic!("{}: {:?}", event.json, Decoder::default().decode(event.json.as_bytes()))
        };
        assert_eq!(decoded.time, event.time);
        assert!(ids.insert(decoded.id.to_string()), "{}", event.json);
        let (topic, key) = match &decoded.body {
            Body::Interaction { interaction, .. } => (Topic::Interactions, interaction.to_string()),
            Body::Agent(snapshot) => (Topic::AgentStates, snapshot.agent.to_string()),
            Body::Heartbeat => (event.topic, "feed".to_owned()),
        };
        assert_eq!((event.topic, &event.key), (topic, &key));
        let kind: serde_json::Value = serde_json::from_str(&event.json).unwrap();
        seen.insert(kind["type"].as_str().unwrap().to_owned());
    }
    for kind in [
        "agent.state",
        "feed.heartbeat",
        "interaction.abandoned",
        "interaction.arrived",
        "interaction.assigned",
        "interaction.closed",
        "interaction.customer_message",
        "interaction.evaluated",
        "interaction.parked",
        "interaction.queued",
        "interaction.rated",
        "interaction.reopened",
        "interaction.replied",
        "interaction.resumed",
        "interaction.transferred",
        "interaction.wrapup",
    ] {
        assert!(seen.contains(kind), "no {kind} in a day: {seen:?}");
    }
}

/// What is counted straight from the events, between two instants.
#[derive(Debug, Default)]
struct Counts {
    events: usize,
    arrivals: BTreeMap<String, usize>,
    /// Seconds from queued to answer, per channel and queue.
    waits: BTreeMap<String, Vec<f64>>,
    /// Seconds per class, per team.
    time: BTreeMap<String, BTreeMap<AgentClass, f64>>,
    abandoned: usize,
    agents: usize,
}

impl Counts {
    fn of(events: &[SimEvent], from: Timestamp, until: Timestamp) -> Counts {
        let mut counts = Counts::default();
        let mut waiting: BTreeMap<String, (Timestamp, String)> = BTreeMap::new();
        let mut standing: BTreeMap<String, (Timestamp, AgentClass)> = BTreeMap::new();
        for event in events {
            let Decoded::Event(decoded) = Decoder::default().decode(event.json.as_bytes()) else { panic!() };
            let inside = (from..until).contains(&event.time);
            counts.events += usize::from(inside);
            match decoded.body {
                Body::Heartbeat => {}
                Body::Agent(snapshot) => {
                    counts.agent_time(
                        &event.key,
                        standing.insert(event.key.clone(), (event.time, snapshot.class)),
                        from,
                        event.time.min(until),
                    );
                }
                Body::Interaction { interaction, event: step } => {
                    let id = interaction.into_owned();
                    match step {
                        InteractionEvent::Arrived { channel, .. } if inside => {
                            *counts.arrivals.entry(channel.into_owned()).or_default() += 1;
                        }
                        InteractionEvent::Queued { queue, channel } => {
                            waiting.insert(id, (event.time, format!("{channel}/{queue}")));
                        }
                        InteractionEvent::Transferred { .. } | InteractionEvent::Abandoned => {
                            counts.abandoned += usize::from(inside && matches!(step, InteractionEvent::Abandoned));
                            waiting.remove(&id);
                        }
                        InteractionEvent::Assigned { .. } | InteractionEvent::Replied { automatic: false, .. } => {
                            let voice = waiting.get(&id).is_some_and(|(_, place)| place.starts_with("voice"));
                            let answers = voice == matches!(step, InteractionEvent::Assigned { .. });
                            if let Some((since, place)) = waiting.get(&id).cloned().filter(|_| answers) {
                                waiting.remove(&id);
                                if inside {
                                    counts.waits.entry(place).or_default().push((event.time - since).as_seconds());
                                }
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        for (agent, last) in standing {
            counts.agents += usize::from(last.1 != AgentClass::Offline);
            counts.agent_time(&agent, Some(last), from, until);
        }
        counts
    }

    fn agent_time(&mut self, agent: &str, before: Option<(Timestamp, AgentClass)>, from: Timestamp, until: Timestamp) {
        let Some((since, class)) = before else { return };
        let seconds = (until - since.max(from)).as_seconds();
        if seconds > 0.0 {
            let team = agent.split('-').next().unwrap().to_owned();
            *self.time.entry(team).or_default().entry(class).or_default() += seconds;
        }
    }

    fn occupancy(&self, team: &str) -> f64 {
        let of = |class| self.time[team].get(&class).copied().unwrap_or(0.0);
        let working = of(AgentClass::Handling) + of(AgentClass::Wrapup);
        working / (working + of(AgentClass::Available))
    }

    fn mean_wait(&self, place: &str) -> f64 {
        let waits = &self.waits[place];
        waits.iter().sum::<f64>() / waits.len() as f64
    }
}

fn report(name: &str, counts: &Counts) {
    let teams: Vec<String> = counts.time.keys().map(|t| format!("{t} {:.2}", counts.occupancy(t))).collect();
    let waits: Vec<String> =
        counts.waits.iter().map(|(p, w)| format!("{p} {:.0}s/{}", counts.mean_wait(p), w.len())).collect();
    println!(
        "{name}: {} events, {} agents, {} abandoned\n  {:?}\n  {}\n  {}",
        counts.events,
        counts.agents,
        counts.abandoned,
        counts.arrivals,
        teams.join(", "),
        waits.join(", ")
    );
}

#[test]
fn busy_hours_are_plausible() {
    for curve in [Curve::Day, Curve::Flat] {
        let settings = Settings { curve, ..settings(3) };
        let events = events(&settings);
        let counts = Counts::of(&events, settings.start + Millis(HOUR), settings.start + Millis(3 * HOUR));
        report(&format!("{curve:?}"), &counts);
        let per_second = counts.events as f64 / 7200.0;
        assert!((5.0..10.0).contains(&per_second), "{per_second} events a second");
        assert!((50..=75).contains(&counts.agents), "{} agents", counts.agents);
        for team in ["social", "chat", "mail", "phone"] {
            let occupancy = counts.occupancy(team);
            assert!((0.6..0.92).contains(&occupancy), "{curve:?} {team}: {occupancy}");
        }
        assert_eq!(counts.arrivals.len(), 5);
        assert_eq!(counts.waits.len(), 10, "every queue is served");
        let wait = counts.mean_wait("facebook/reclamos");
        assert!((30.0..600.0).contains(&wait), "{wait}");
    }
}

/// Mean wait of (reclamos, facebook) and of everything in the second half of an incident of an hour.
fn during(kind: Option<IncidentKind>) -> Counts {
    let mut settings = settings(3);
    settings.incident = kind.map(|kind| Incident { kind, at: Millis(HOUR), duration: Millis(HOUR) });
    let counts =
        Counts::of(&events(&settings), settings.start + Millis(HOUR + HOUR / 2), settings.start + Millis(2 * HOUR));
    report(&format!("{kind:?}"), &counts);
    counts
}

#[test]
fn incidents_have_the_effect_that_they_would_have() {
    let usual = during(None);

    let avalanche = during(Some(IncidentKind::Avalanche));
    assert!(avalanche.arrivals["facebook"] > 4 * usual.arrivals["facebook"]);
    assert!(avalanche.mean_wait("facebook/reclamos") > 10.0 * usual.mean_wait("facebook/reclamos"));
    assert!(avalanche.mean_wait("voice/soporte") < 60.0, "who has nothing to do with it is not touched");

    let gone = during(Some(IncidentKind::AgentsGone));
    for place in ["facebook/reclamos", "whatsapp/soporte", "voice/soporte"] {
        assert!(gone.mean_wait(place) > 3.0 * usual.mean_wait(place), "{place}");
    }
    assert!(gone.abandoned > 3 * usual.abandoned);

    let stuck = during(Some(IncidentKind::StuckQueue));
    assert!(!stuck.waits.contains_key("facebook/reclamos"), "nobody is answered");
    assert!(stuck.mean_wait("facebook/ventas") < 2.0 * usual.mean_wait("facebook/ventas"));
}

#[test]
fn a_silent_feed_delivers_late_what_happened() {
    let mut settings = settings(1);
    let told: Vec<String> = events(&settings).into_iter().map(|event| event.json).collect();
    let (from, until) = (settings.start + Millis(HOUR / 4), settings.start + Millis(HOUR / 2));
    settings.incident =
        Some(Incident { kind: IncidentKind::Silence, at: Millis(HOUR / 4), duration: Millis(HOUR / 4) });
    let silent = events(&settings);
    assert!(silent.iter().all(|event| event.sent < from || event.sent >= until));
    assert!(silent.iter().any(|event| event.time >= from && event.sent == until));
    assert_eq!(silent.into_iter().map(|event| event.json).collect::<Vec<_>>(), told);
}

#[test]
fn disorder_changes_the_way_and_not_the_story() {
    let mut settings = settings(1);
    let told: BTreeSet<String> = events(&settings).into_iter().map(|event| event.json).collect();
    settings.disorder = Disorder { duplicates: 0.05, late: 0.1, lateness: Millis(600_000), garbage: 0.02 };
    let sent = events(&settings);
    assert!(sent.is_sorted_by_key(|event| event.sent));
    let share = |count: usize| count as f64 / told.len() as f64;

    let (mut seen, mut twice, mut bad) = (BTreeSet::new(), 0, 0);
    for event in &sent {
        assert!((Millis(0)..Millis(600_000)).contains(&(event.sent - event.time)));
        assert!(!event.json.contains('\n'));
        if !told.contains(&event.json) {
            bad += 1;
            let decoded = Decoder::default().decode(event.json.as_bytes());
            assert!(matches!(decoded, Decoded::Rejected(_)), "{}: {decoded:?}", event.json);
        } else if !seen.insert(&event.json) {
            twice += 1;
        }
    }
    assert_eq!(seen.len(), told.len(), "nothing is lost");
    assert!((0.04..0.06).contains(&share(twice)), "{twice}");
    assert!((0.015..0.025).contains(&share(bad)), "{bad}");
    let late = sent.iter().filter(|event| event.sent > event.time).count();
    assert!((0.13..0.17).contains(&share(late)), "{late} late or twice");
}

#[test]
fn scale_grows_agents_and_arrivals_together() {
    let settings = settings(1);
    let one = Counts::of(&events(&settings), settings.start, settings.until.unwrap());
    let five = Settings { scale: 5.0, ..settings.clone() };
    let five = Counts::of(&events(&five), settings.start, settings.until.unwrap());
    let ratio = |of: fn(&Counts) -> usize| of(&five) as f64 / of(&one) as f64;
    assert!((4.5..5.5).contains(&ratio(|counts| counts.agents)));
    assert!((4.3..5.7).contains(&ratio(|counts| counts.events)));
}

#[test]
fn the_night_is_quiet_by_day_curve_only() {
    let at_three = |curve| {
        let start = Timestamp::parse("2026-11-23T03:00:00-05:00").unwrap();
        let until = start + Millis(HOUR);
        let settings = Settings { curve, start, until: Some(until), ..settings(1) };
        Counts::of(&events(&settings), start, until).arrivals.values().sum::<usize>()
    };
    let (day, flat) = (at_three(Curve::Day), at_three(Curve::Flat));
    assert!(day * 8 < flat, "{day} of {flat}");
}

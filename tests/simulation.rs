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

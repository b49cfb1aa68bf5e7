//! Random floors: events within twenty hours, many of them at the same instants, and a plan under which much happens to them.
#![allow(dead_code, reason = "each test file uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::borrow::Cow;

use atalaya::board::Board;
use atalaya::domain::{
    AgentClass, AgentPlaces, AgentSnapshot, Body, Event, InteractionEvent, Key, Millis, Outcome, PairEntry, ReopenedBy,
    Shift, Timestamp,
};
use atalaya::indicators::{self, Reading, Selector};
use atalaya::plan::Plan;
use jiff::civil::Weekday;
use proptest::prelude::*;

pub const START: i64 = 1_767_225_600_000;

fn name(prefix: &str, number: u8) -> Cow<'static, str> {
    Cow::Owned(format!("{prefix}{number}"))
}

fn channel() -> impl Strategy<Value = Cow<'static, str>> {
    prop::sample::select(vec!["voice", "facebook", "chat"]).prop_map(Cow::Borrowed)
}

fn queue() -> impl Strategy<Value = Cow<'static, str>> {
    (0..3u8).prop_map(|number| name("q", number))
}

fn interaction_event() -> impl Strategy<Value = InteractionEvent<'static>> {
    use InteractionEvent as E;
    let agent = || (0..3u8).prop_map(|number| name("a", number));
    let outcome = prop::sample::select(vec![Outcome::Resolved, Outcome::Unresolved, Outcome::Spam]);
    prop_oneof![
        3 => (channel(), prop::option::of(queue())).prop_map(|(channel, queue)| E::Arrived { channel, queue }),
        4 => (queue(), channel()).prop_map(|(queue, channel)| E::Queued { queue, channel }),
        2 => (queue(), prop::option::of(channel())).prop_map(|(queue, channel)| E::Transferred { queue, channel }),
        3 => agent().prop_map(|agent| E::Assigned { agent }),
        3 => (agent(), any::<bool>()).prop_map(|(agent, automatic)| E::Replied { agent, automatic }),
        2 => Just(E::CustomerMessage),
        1 => Just(E::Parked),
        1 => Just(E::Resumed),
        1 => Just(E::Wrapup),
        1 => Just(E::Abandoned),
        2 => outcome.prop_map(|outcome| E::Closed { outcome }),
        2 => prop::sample::select(vec![ReopenedBy::Customer, ReopenedBy::Agent]).prop_map(|by| E::Reopened { by }),
        1 => Just(E::Rated),
    ]
}

fn snapshot() -> impl Strategy<Value = AgentSnapshot<'static>> {
    let class = prop::sample::select(AgentClass::ALL.to_vec());
    let number = || prop::option::of(0..3u32);
    let pairs = prop::collection::vec((queue(), channel(), number(), number()), 0..3);
    let places = (prop::collection::vec(queue(), 0..3), pairs).prop_map(|(names, pairs)| AgentPlaces {
        names,
        pairs: pairs
            .into_iter()
            .map(|(queue, channel, busy, slots)| PairEntry { queue, channel, busy, slots })
            .collect(),
    });
    let channels = prop::option::of(prop::collection::vec(channel(), 0..3));
    (0..3u8, class, prop::option::of(places), channels, number(), number()).prop_map(
        |(agent, class, queues, channels, slots, busy)| AgentSnapshot {
            agent: name("a", agent),
            state: Cow::Borrowed(class.name()),
            class,
            queues,
            channels,
            slots,
            busy,
        },
    )
}

/// Events within twenty hours, many of them at the same instants, each with an id of its own.
pub fn events() -> impl Strategy<Value = Vec<Event<'static>>> {
    let time = prop_oneof![(0..40i64).prop_map(|n| n * 1_800_000), 0..72_000_000i64, 0..600_000i64];
    let body = prop_oneof![
        4 => (0..4u8, interaction_event())
            .prop_map(|(number, event)| Body::Interaction { interaction: name("i", number), event }),
        1 => snapshot().prop_map(Body::Agent),
    ];
    prop::collection::vec((time, body), 1..60).prop_map(|list| {
        let event =
            |(index, (time, body))| Event { id: Cow::Owned(format!("{index}")), time: Timestamp(START + time), body };
        list.into_iter().enumerate().map(event).collect()
    })
}

pub fn plan() -> Plan {
    plan_of(Plan::default())
}

/// The same, with what else a plan says.
pub fn plan_of(plan: Plan) -> Plan {
    let mut plan = Plan { agent_timeout: Millis(2 * 3_600_000), ..plan };
    let short = atalaya::plan::ChannelSettings {
        idle_close: Some(Millis(3_600_000)),
        give_up: Some(Millis(3 * 3_600_000)),
        ..Default::default()
    };
    plan.channels.insert("chat".to_owned(), short);
    // The desk's clock beside the customer's, where it stands still for most of the time and where it never does.
    let shifts = (0..7).map(|day| Shift { day: Weekday::Monday.wrapping_add(day), from: 60, to: 150 }).collect();
    let hours = plan.open_time(shifts, &Default::default());
    for (channel, hours) in [("chat", hours), ("facebook", 0)] {
        let settings = plan.channels.entry(channel.to_owned()).or_default();
        (settings.hours, settings.open_clock) = (hours, true);
    }
    plan.set_thresholds([]);
    plan
}

/// A figure of a key at an instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    now: Timestamp,
    key: Key,
    selector: Selector,
    reading: Reading,
}

/// Every figure of every key, window and label at the board's instant.
pub fn figures(plan: &Plan, board: &mut Board) -> Vec<Figure> {
    let mut figures = Vec::new();
    let keys: Vec<_> = board.keys().cloned().collect();
    for key in keys {
        for selector in indicators::selectors(plan, board, &key) {
            let view = board.view(&key, selector.window).unwrap();
            let reading = (selector.indicator.read)(&view, &selector.labels);
            figures.push(Figure { now: view.now(), key: key.clone(), selector, reading });
        }
    }
    assert!(figures.len() >= board.len() * indicators::all().count(), "every key has every indicator");
    figures
}

pub fn instants() -> Vec<Timestamp> {
    [72_000_001, 72_007_000, 90_000_000, 180_000_000, 400_000_000].map(|after| Timestamp(START + after)).to_vec()
}

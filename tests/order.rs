//! Numbers are a function of the set of events: any order of arrival within `lateness`, any repetition, any split over
//! partitions ends in the same figures, for every key, window and label.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod random;

use std::sync::Arc;

use atalaya::board::Board;
use atalaya::domain::{Body, Event, InteractionEvent, Key, Outcome, Timestamp};
use atalaya::floor::Floor;
use atalaya::floor::cells::{Cell, Sum};
use proptest::prelude::*;

use random::{events, instants, plan};

/// Every figure at each of `instants`, the events taken in the order given, over one floor for each `split`.
fn figures(events: &[Event<'_>], split: usize, instants: &[Timestamp]) -> Vec<random::Figure> {
    let plan = Arc::new(plan());
    let mut floors: Vec<Floor> = (0..split).map(|_| Floor::new(plan.clone())).collect();
    let mut board = Board::new(plan.clone());
    for event in events {
        let owner = match &event.body {
            Body::Interaction { interaction, .. } => interaction.as_bytes(),
            Body::Agent(snapshot) => snapshot.agent.as_bytes(),
            Body::Heartbeat => b"",
        };
        let index = owner.iter().map(|byte| usize::from(*byte)).sum::<usize>() % split;
        floors[index].take(event, Timestamp::MAX);
        // Flushes fall anywhere; a board applies them as they come.
        if event.id.len() % 2 == 0 {
            board.apply(index as u32, &floors[index].flush());
        }
    }
    let mut lines = Vec::new();
    for &now in instants {
        for (index, floor) in floors.iter_mut().enumerate() {
            floor.advance(now);
            board.apply(index as u32, &floor.flush());
        }
        board.advance(now);
        lines.extend(random::figures(&plan, &mut board));
    }
    lines
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn any_order_any_repetition_any_split(
        (events, shuffled, split) in events().prop_flat_map(|events| {
            let twice: Vec<_> = events.iter().chain(&events).cloned().collect();
            (Just(events), Just(twice).prop_shuffle(), 1..4usize)
        })
    ) {
        let mut sorted = events;
        sorted.sort_by_key(|event| event.time);
        let straight = figures(&sorted, 1, &instants());
        let other = figures(&shuffled, split, &instants());
        for (a, b) in straight.iter().zip(&other) {
            prop_assert_eq!(a, b);
        }
        prop_assert_eq!(straight.len(), other.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Windows are summed up when they are read: whoever looks, and whenever, sees the same.
    #[test]
    fn looking_changes_nothing(
        events in events(),
        looks in prop::collection::vec((0..72_000_000i64, 0..12usize, any::<bool>()), 0..200),
    ) {
        let plan = Arc::new(plan());
        let mut looks = looks;
        looks.sort_unstable();
        let mut floor = Floor::new(plan.clone());
        let (mut watched, mut left_alone) = (Board::new(plan.clone()), Board::new(plan.clone()));
        // Many come late, and what comes early is held.
        let each = events.len().div_ceil(looks.len().max(1));
        let mut events = events.iter();
        for (at, window, every_key) in looks {
            let now = Timestamp(random::START + at + 1);
            for event in events.by_ref().take(each) {
                floor.take(event, now);
            }
            floor.advance(now);
            let batch = floor.flush();
            for board in [&mut watched, &mut left_alone] {
                board.apply(0, &batch);
                board.advance(now);
            }
            let keys: Vec<_> = watched.keys().take(if every_key { usize::MAX } else { 2 }).cloned().collect();
            keys.iter().for_each(|key| assert!(watched.view(key, Some(window % plan.windows.len())).is_some()));
        }
        for event in events {
            floor.take(event, Timestamp::MAX);
        }
        for now in instants() {
            floor.advance(now);
            let batch = floor.flush();
            for board in [&mut watched, &mut left_alone] {
                board.apply(0, &batch);
                board.advance(now);
            }
            let (one, other) = (random::figures(&plan, &mut watched), random::figures(&plan, &mut left_alone));
            for (a, b) in one.iter().zip(&other) {
                prop_assert_eq!(a, b);
            }
            prop_assert_eq!(one.len(), other.len());
        }
    }
}

/// What a late event takes back stays in the counters of `/metrics`, which may never fall, until the truth has passed it.
#[test]
fn a_counter_shows_the_largest_value_that_it_ever_had() {
    let plan = Arc::new(plan());
    let (mut floor, mut board) = (Floor::new(plan.clone()), Board::new(plan));
    let mut id = 0;
    let mut take = |interaction: &'static str, after: i64, event: InteractionEvent<'static>| {
        id += 1;
        let body = Body::Interaction { interaction: interaction.into(), event };
        let event = Event { id: format!("{id}").into(), time: Timestamp(random::START + after), body };
        floor.take(&event, Timestamp::MAX);
        board.apply(0, &floor.flush());
        board.advance(Timestamp(random::START + 60_000));
        let abandoned = Cell::sum(Sum::Abandoned);
        let view = board.view(&Key::ALL, None).unwrap();
        let day = view.counter(abandoned);
        (board.view(&Key::ALL, Some(4)).unwrap().cell(abandoned), day)
    };
    let queued = || InteractionEvent::Queued { queue: "q".into(), channel: "voice".into() };
    for interaction in ["a", "b", "c"] {
        take(interaction, 0, queued());
    }
    assert_eq!(take("a", 10_000, InteractionEvent::Abandoned), (1, 1));
    let closed = InteractionEvent::Closed { outcome: Outcome::Resolved };
    assert_eq!(take("a", 5_000, closed.clone()), (0, 1), "it was closed before");
    assert_eq!(take("b", 20_000, InteractionEvent::Abandoned), (1, 1), "the truth catches up");
    assert_eq!(take("c", 30_000, InteractionEvent::Abandoned), (2, 2), "and passes it");
    assert_eq!(take("c", 15_000, closed), (1, 2));
}

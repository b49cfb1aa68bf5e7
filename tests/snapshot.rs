//! A floor and a board that were put down in bytes and taken up again go on bit for bit like those that went on; from
//! bytes that are not whole nothing is taken up.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod random;

use std::fmt::Debug;
use std::sync::Arc;

use atalaya::board::Board;
use atalaya::domain::{Event, Millis, Timestamp};
use atalaya::floor::Floor;
use atalaya::plan::{Limits, Plan};
use atalaya::snapshot::SnapshotError;
use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use random::{START, events, figures, instants, plan};

/// The plan of the random floors, or one whose limits and lateness are so narrow that each of them keeps something out.
fn plan_of(narrow: bool) -> Arc<Plan> {
    let plan = plan();
    let limits = Limits {
        keys: 10,
        open_interactions: 2,
        closed_interactions: 1,
        agents: 2,
        events_per_interaction: 3,
        identities: 4,
        held_ahead: 2,
    };
    Arc::new(if narrow { Plan { lateness: Millis(4 * 3_600_000), limits, ..plan } } else { plan })
}

/// One floor and its board, and what they do.
struct Pair {
    floor: Floor,
    board: Board,
}

impl Pair {
    fn new(plan: &Arc<Plan>) -> Pair {
        Pair { floor: Floor::new(plan.clone()), board: Board::new(plan.clone()) }
    }

    /// Takes an event while it is `now`, and flushes now and then. What came of it.
    fn take(&mut self, event: &Event<'_>, now: Timestamp) -> impl PartialEq + Debug {
        let taken = self.floor.take(event, now);
        let batch = (event.id.len().is_multiple_of(2)).then(|| self.flush());
        (taken, batch, self.floor.counters(), self.floor.stream_time())
    }

    fn flush(&mut self) -> impl PartialEq + Debug + use<> {
        let batch = self.floor.flush();
        self.board.apply(0, &batch);
        batch
    }

    fn advance(&mut self, plan: &Plan, now: Timestamp) -> impl PartialEq + Debug {
        self.floor.advance(now);
        let batch = self.flush();
        self.board.advance(now);
        (batch, self.floor.counters(), figures(plan, &mut self.board))
    }

    /// Of floor and board, in two.
    fn bytes(&mut self) -> (Vec<u8>, Vec<u8>) {
        (self.floor.snapshot(), self.board.snapshot())
    }

    fn restore(plan: &Arc<Plan>, (floor, board): &(Vec<u8>, Vec<u8>)) -> Pair {
        let floor = Floor::restore(plan.clone(), floor).unwrap();
        Pair { floor, board: Board::restore(plan.clone(), board).unwrap() }
    }
}

/// Events, each with the wall clock at which it comes: some before their own time, some again.
fn arrivals() -> impl Strategy<Value = Vec<(Event<'static>, Timestamp)>> {
    events().prop_flat_map(|mut events| {
        events.sort_by_key(|event| event.time);
        let count = events.len();
        let order = prop::collection::vec((0..count, -4..40i64), count..2 * count);
        (Just(events), order).prop_map(|(events, order)| {
            // Roughly in order, so that a narrow lateness lets something through.
            let mut at = 0;
            let pick = |(random, late): (usize, i64)| {
                let index = if random.is_multiple_of(3) { random } else { at % events.len() };
                at += 1;
                let event = events[index].clone();
                (event.clone(), event.time + Millis(late * 900_000))
            };
            order.into_iter().map(pick).collect()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_copy_goes_on_as_the_original(
        arrivals in arrivals(), cut in any::<prop::sample::Index>(), narrow in any::<bool>(), advanced in any::<bool>()
    ) {
        let plan = plan_of(narrow);
        let (before, after) = arrivals.split_at(cut.index(arrivals.len()));
        let mut original = Pair::new(&plan);
        for (event, now) in before {
            original.take(event, *now);
        }
        if let (true, Some(last)) = (advanced, original.floor.stream_time()) {
            original.advance(&plan, last + Millis(1));
        }
        original.flush();

        let bytes = original.bytes();
        let mut copy = Pair::restore(&plan, &bytes);
        prop_assert_eq!(&copy.bytes(), &bytes);
        prop_assert_eq!(copy.floor.counters(), original.floor.counters());
        prop_assert_eq!(figures(&plan, &mut copy.board), figures(&plan, &mut original.board));

        for (event, now) in after {
            prop_assert_eq!(copy.take(event, *now), original.take(event, *now));
        }
        copy.flush();
        original.flush();
        for now in instants() {
            prop_assert_eq!(copy.advance(&plan, now), original.advance(&plan, now));
            prop_assert_eq!(copy.bytes(), original.bytes());
        }
    }

    /// Bytes of which the check-sum fits and the rest does not: an error, or something else that is whole; no panic.
    #[test]
    fn what_a_check_sum_hides_is_still_looked_at(
        arrivals in arrivals(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()
    ) {
        let plan = plan_of(true);
        let mut pair = Pair::new(&plan);
        for (event, now) in &arrivals {
            pair.take(event, *now);
        }
        pair.flush();
        let (mut bytes, _) = pair.bytes();
        let (head, sum) = (26, 8);
        let end = bytes.len() - sum;
        bytes.truncate(end);
        let at = head + at.index(end - head);
        if cut {
            bytes.truncate(at);
            let length = (at - head) as u64;
            bytes[head - 8..head].copy_from_slice(&length.to_le_bytes());
        } else {
            bytes[at] = byte;
        }
        bytes.extend(xxh3_64(&bytes).to_le_bytes());
        match Floor::restore(plan.clone(), &bytes) {
            Ok(floor) => drop(floor.snapshot()),
            Err(error) => prop_assert!(matches!(error, SnapshotError::Invalid(_)), "{error}"),
        }
    }
}

/// Floor and board after a short story, with all that they may hold.
fn story(plan: &Arc<Plan>) -> Pair {
    let mut pair = Pair::new(plan);
    let decoder =
        atalaya::wire::Decoder { format: atalaya::wire::Format::Canonical, states: std::collections::BTreeMap::new() };
    let long = "an-id-of-a-producer-that-likes-its-ids-long";
    for (at, line) in [
        (0, r#""id":"s1","type":"agent.state","agent":"ana","state":"available","queues":["ventas"],"channels":["voice"],"slots":2"#.to_owned()),
        (5, format!(r#""id":"{long}","type":"interaction.arrived","interaction":"c1","channel":"voice""#)),
        (6, r#""id":"0f2b7a70-0a3c-4b1e-9f00-00a1b2c3d4e5","type":"interaction.queued","interaction":"c1","queue":"ventas","channel":"voice""#.to_owned()),
        (9, r#""id":"0f2b7a700a3c4b1e9f0000a1b2c3d4e5","type":"interaction.assigned","interaction":"c1","agent":"ana""#.to_owned()),
        (9, r#""id":"s2","type":"agent.state","agent":"ana","state":"available","busy":1,"queues":[{"queue":"ventas","channel":"voice","busy":1}]"#.to_owned()),
        (20, r#""id":"e4","type":"interaction.closed","interaction":"c1","outcome":"resolved""#.to_owned()),
        (21, r#""id":"e5","type":"interaction.queued","interaction":"c2","queue":"ventas","channel":"chat""#.to_owned()),
        (90, r#""id":"e6","type":"interaction.transferred","interaction":"c2","queue":"soporte""#.to_owned()),
    ] {
        let line = format!(r#"{{"time":{},{line}}}"#, START + at * 1000);
        let atalaya::wire::Decoded::Event(event) = decoder.decode(line.as_bytes()) else { panic!("no event: {line}") };
        // The last comes before its time.
        pair.take(&event, Timestamp(START + 60_000));
    }
    pair.advance(plan, Timestamp(START + 60_000));
    assert_eq!(pair.floor.counters().held_ahead, 1);
    pair
}

fn lines(bytes: &[u8]) -> String {
    let line = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    bytes.chunks(40).map(|bytes| line(bytes) + "\n").collect()
}

/// What is written stays readable: whoever changes these bytes raises the version in `src/snapshot.rs`.
#[test]
fn the_bytes_are_those_of_version_1() {
    let plan = plan_of(true);
    let (floor, board) = story(&plan).bytes();
    insta::assert_snapshot!(format!("floor\n{}board\n{}", lines(&floor), lines(&board)));
}

#[test]
fn bytes_that_are_not_whole_are_refused() {
    let plan = plan_of(true);
    let (floor, board) = story(&plan).bytes();
    let floor_of = |bytes: &[u8]| Floor::restore(plan.clone(), bytes).map(drop);
    let board_of = |bytes: &[u8]| Board::restore(plan.clone(), bytes).map(drop);
    type Restore<'a> = &'a dyn Fn(&[u8]) -> Result<(), SnapshotError>;
    let both: [(&Vec<u8>, Restore<'_>, &Vec<u8>); 2] = [(&floor, &floor_of, &board), (&board, &board_of, &floor)];
    for (bytes, restore, other) in both {
        assert_eq!(restore(bytes), Ok(()));
        for end in 0..bytes.len() {
            assert!(matches!(restore(&bytes[..end]), Err(SnapshotError::Truncated { .. })), "{end}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            let error = restore(&damaged).unwrap_err();
            assert!(!error.to_string().is_empty() && !matches!(error, SnapshotError::Invalid(_)), "{at}: {error}");
        }
        assert!(matches!(restore(other), Err(SnapshotError::NotOne(_))));
        assert!(matches!(restore(&[]), Err(SnapshotError::Truncated { expected: 34, found: 0 })));
    }
    assert_eq!(Floor::restore(plan_of(false), &floor).unwrap_err(), SnapshotError::OtherSettings);
    assert_eq!(Board::restore(plan_of(false), &board).unwrap_err(), SnapshotError::OtherSettings);
    // A floor knows nothing of windows; a board is made of them.
    let mut windows = Plan::clone(&plan);
    windows.windows.pop();
    let windows = Arc::new(windows);
    assert!(Floor::restore(windows.clone(), &floor).is_ok());
    assert_eq!(Board::restore(windows, &board).unwrap_err(), SnapshotError::OtherSettings);
}

#[test]
#[should_panic = "a floor is flushed before its snapshot is taken"]
fn what_was_not_flushed_is_not_lost_in_silence() {
    let plan = plan_of(false);
    let mut pair = story(&plan);
    pair.floor.advance(Timestamp(START + 120_000));
    pair.floor.snapshot();
}

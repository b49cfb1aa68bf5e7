//! Records of the logs in bytes: what comes out is what was put in, or an error; and they are small.
#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../benches/support/load.rs"]
#[allow(dead_code, reason = "the benches use more of it")]
mod load;
mod random;

use std::sync::Arc;

use atalaya::domain::{Body, Event, InteractionEvent, Millis, Timestamp};
use atalaya::floor::{self, Floor};
use atalaya::instance::{Share, Step};
use atalaya::journal::record::{DELTA_VERSION, Log, RecordError, decode, decode_entry, encode, encode_entry};
use atalaya::journal::{Batch, Claim, Delta, Mark, Progress, SourcePartition, TopicId};
use atalaya::plan::Plan;
use atalaya::wire::{Decoded, Decoder, Format};
use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use random::{START, events, plan};

const SETTINGS: u64 = 0x0102_0304_0506_0708;

fn batch(contributions: floor::Batch) -> Batch<Share> {
    let end = Timestamp(START + 60_000);
    let step = Step {
        to: 12,
        readings: vec![(10, Timestamp(START)), (11, end)],
        end,
        live: true,
        moved: false,
        shift: 3,
        topic: TopicId(9),
    };
    Batch {
        place: SourcePartition { source: 1, partition: 3 },
        claim: Claim(0xa1b2_c3d4_e5f6_0718),
        number: 300,
        from: 10,
        to: 12,
        progress: Progress { stream_time: Some(Timestamp(START + 59_000)), agents: true, ..Progress::default() },
        payload: Share { contributions: Arc::new(contributions), step },
    }
}

/// One customer who waits, one who waited.
fn contributions() -> floor::Batch {
    let mut floor = Floor::new(Arc::new(Plan::default()));
    let event = |id: &'static str, after: i64, interaction: &'static str, event| {
        let body = Body::Interaction { interaction: interaction.into(), event };
        Event { id: id.into(), time: Timestamp(START + after), body }
    };
    use InteractionEvent::{Assigned, Queued};
    for event in [
        event("1", 41_000, "a", Queued { queue: "care".into(), channel: "voice".into() }),
        event("2", 43_000, "b", Queued { queue: "care".into(), channel: "voice".into() }),
        event("3", 52_500, "a", Assigned { agent: "ann".into() }),
    ] {
        floor.take(&event, Timestamp::MAX);
    }
    floor.flush()
}

fn mark() -> Mark {
    Mark { snapshot: u64::MAX, batches: 1 << 40, at: -1, wall: Timestamp(START), live: false }
}

fn examples() -> Vec<Delta<Share>> {
    let place = SourcePartition { source: 0, partition: 0 };
    vec![
        Delta::Claimed { place, claim: Claim(7), after: Claim::NOBODY, start: 1_000 },
        Delta::Kept { place, claim: Claim(7), mark: mark() },
        Delta::Batch(batch(floor::Batch::default())),
        Delta::Batch(batch(contributions())),
    ]
}

fn owner() -> impl Strategy<Value = (SourcePartition, Claim)> {
    (0..9usize, any::<i32>(), any::<u64>())
        .prop_map(|(source, partition, claim)| (SourcePartition { source, partition }, Claim(claim)))
}

fn instant() -> impl Strategy<Value = Timestamp> {
    prop_oneof![Just(Timestamp::MIN), Just(Timestamp::MAX), (0..1i64 << 37).prop_map(|ms| Timestamp(START + ms))]
}

prop_compose! {
    fn steps()(
        to in any::<i64>(), readings in prop::collection::vec((0..1i64 << 50, instant()), 0..4), end in instant(),
        live in any::<bool>()
    ) -> Step {
        Step { to: to >> 1, readings, end, live, moved: to % 2 == 0, shift: to >> 2, topic: TopicId(to as u32) }
    }
}

/// Everything that a random floor tells, in batches of everything else at random.
fn deltas() -> impl Strategy<Value = Vec<Delta<Share>>> {
    let rest = (owner(), any::<u64>(), 0..1i64 << 60, 0..1i64 << 60, steps());
    let rest = (rest, prop::option::of(instant()), prop::option::of(instant()));
    (events(), prop::collection::vec(rest, 1..9)).prop_map(|(events, rests)| {
        let mut floor = Floor::new(Arc::new(plan()));
        let parts = events.chunks(events.len().div_ceil(rests.len())).zip(rests);
        let told = parts.enumerate().map(|(index, (part, (rest, caught_up, stream_time)))| {
            for event in part {
                floor.take(event, Timestamp::MAX);
            }
            if index % 2 == 1 {
                floor.advance(floor.stream_time().unwrap() + Millis(3_600_000));
            }
            let ((place, claim), number, from, more, step) = rest;
            let (interactions, agents) = (step.live, index % 3 == 0);
            let payload = Share { contributions: Arc::new(floor.flush()), step };
            let progress = Progress { caught_up, stream_time, heard: stream_time, interactions, agents };
            Delta::Batch(Batch { place, claim, number, from, to: from + more, progress, payload })
        });
        told.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(deltas in deltas(), other in owner(), before: u64, start: i64, at: i64) {
        let ((place, claim), after) = (other, Claim(before));
        let claimed = Delta::Claimed { place, claim, after, start };
        let kept = Delta::Kept { place, claim, mark: Mark { at, ..mark() } };
        for delta in deltas.iter().chain([&claimed, &kept]) {
            let bytes = encode(delta, SETTINGS);
            let read = decode(&bytes, SETTINGS);
            prop_assert_eq!(read.as_ref(), Ok(delta));
            // The board applies what it is shown key by key.
            if let (Delta::Batch(written), Ok(Delta::Batch(read))) = (delta, read) {
                let shown = |batch: &Batch<Share>| format!("{:?}", batch.payload.contributions.keys().collect::<Vec<_>>());
                prop_assert_eq!(shown(written), shown(&read));
            }
        }
    }

    /// A body that is whole by its check-sum and holds anything: an error or a value, never a panic.
    #[test]
    fn any_body_is_read_or_refused(
        deltas in deltas(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>()
    ) {
        for delta in &deltas {
            let bytes = encode(delta, SETTINGS);
            let mut body = decode_entry(Log::Deltas, DELTA_VERSION, SETTINGS, &bytes).unwrap().to_vec();
            for (at, byte) in &changes {
                let at = at.index(body.len());
                body[at] = *byte;
            }
            for length in [body.len(), cut.index(body.len())] {
                let bytes = encode_entry(Log::Deltas, DELTA_VERSION, SETTINGS, &body[..length]);
                match decode(&bytes, SETTINGS) {
                    Ok(read) => {
                        let again = encode(&read, SETTINGS);
                        prop_assert_eq!(decode(&again, SETTINGS), Ok(read));
                    }
                    Err(error) => prop_assert!(matches!(error, RecordError::Invalid(_)), "{}", error),
                }
            }
        }
    }
}

#[test]
fn nothing_is_read_from_less_or_other_bytes() {
    for delta in examples() {
        let bytes = encode(&delta, SETTINGS);
        let read = |bytes: &[u8]| decode(bytes, SETTINGS).unwrap_err();
        for end in 0..bytes.len() {
            let expected = if end < 20 { RecordError::Truncated(end) } else { RecordError::Damaged };
            assert_eq!(read(&bytes[..end]), expected);
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut other = bytes.clone();
                other[at] ^= 1 << bit;
                let expected = match at {
                    0..3 => RecordError::NotOne("deltas"),
                    3 => RecordError::Version { found: DELTA_VERSION ^ 1 << bit, known: DELTA_VERSION },
                    _ => RecordError::Damaged,
                };
                assert_eq!(read(&other), expected);
            }
        }
        assert_eq!(read(&[bytes.as_slice(), &[0]].concat()), RecordError::Damaged);
        assert_eq!(decode(&bytes, SETTINGS + 1), Err(RecordError::OtherSettings));
        let body = decode_entry(Log::Deltas, DELTA_VERSION, SETTINGS, &bytes).unwrap();
        let longer = encode_entry(Log::Deltas, DELTA_VERSION, SETTINGS, &[body, &[0]].concat());
        assert_eq!(read(&longer), RecordError::Invalid("end"));
    }
}

/// What numbers in a body may claim without there being as much.
#[test]
fn a_body_cannot_ask_for_more_than_it_has() {
    let bytes = encode(&Delta::Batch(batch(floor::Batch::default())), SETTINGS);
    let body = decode_entry(Log::Deltas, DELTA_VERSION, SETTINGS, &bytes).unwrap();
    let before = &body[..body.len() - 3];
    let read = |contributions: &[u8]| {
        let body = [before, contributions].concat();
        decode(&encode_entry(Log::Deltas, DELTA_VERSION, SETTINGS, &body), SETTINGS)
    };
    assert_eq!(read(&[0, 0, 0]), decode(&bytes, SETTINGS), "it ends in no names, no cells and no keys");
    let most = [0xff, 0xff, 0xff, 0xff, 0x0f];
    for (what, contributions) in [
        ("names", most.to_vec()),
        ("name", [&[1][..], &most].concat()),
        ("name", vec![1, 1, 0xff, 0, 0]),
        ("kinds of cells", [&[0][..], &most].concat()),
        ("kinds of cells", [&[0, 2][..], &most, &[0]].concat()),
        ("keys", [&[0, 0][..], &most].concat()),
        ("number of a key", [&[0, 0, 1][..], &most, &[0, 0, 1]].concat()),
        ("name of a key", vec![0, 0, 1, 0, 1, 0, 1, 0]),
        ("what a key has", vec![0, 0, 1, 0, 0, 0, 0]),
        ("what a key has", vec![0, 0, 1, 0, 0, 0, 0b01_0001]),
        ("panes", [&[0, 0, 1, 0, 0, 0][..], &most].concat()),
        ("cells of a pane", vec![0, 0, 1, 0, 0, 0, 0x40, 0, 0]),
        ("cells", [&[0, 0, 1, 0, 0, 0, 0x40][..], &most, &[0]].concat()),
        ("cell", vec![0, 1, 5, 1, 0, 0, 0, 0x40, 1, 0, 1, 1]),
        ("value", vec![0, 1, 5, 1, 0, 0, 0, 0x40, 1, 0, 0, 0]),
        ("start of a pane", [&[0, 1, 5, 1, 0, 0, 0, 0x40, 1][..], &[0xff; 8], &[1, 0, 2]].concat()),
        ("oldest", [&[0, 0, 1, 0, 0, 0, 0b00_1001][..], &[0xff; 8], &[1]].concat()),
    ] {
        let read = read(&contributions);
        assert!(
            matches!(read, Err(RecordError::Invalid(found)) if found == what || (what == "panes" && found == "panes of a key")),
            "{what} {contributions:?}: {read:?}"
        );
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Who changes these bytes raises [`DELTA_VERSION`].
#[test]
fn the_layout_is_as_documented() {
    let documented = include_str!("../docs/journal.md");
    // What a floor contributes is another matter: `floor::batch` has the bytes of that.
    for delta in &examples()[..3] {
        let bytes = encode(delta, SETTINGS);
        let body = &bytes[12..bytes.len() - 8];
        assert_eq!(bytes[..12], *b"AL\x01\x02\x08\x07\x06\x05\x04\x03\x02\x01");
        assert_eq!(bytes[bytes.len() - 8..], xxh3_64(&bytes[..bytes.len() - 8]).to_le_bytes());
        assert!(documented.contains(&format!("`{}`", hex(body))), "docs/journal.md lacks `{}`", hex(body));
    }
}

#[test]
fn other_logs_have_the_same_envelope() {
    let bytes = encode_entry(Log::Decisions, 4, 9, b"anything");
    assert_eq!(hex(&bytes[..12]), "414c02040900000000000000");
    let read = |log, version, settings| decode_entry(log, version, settings, &bytes);
    assert_eq!(read(Log::Decisions, 4, 9), Ok(&b"anything"[..]));
    assert_eq!(read(Log::Operations, 4, 9), Err(RecordError::NotOne("operations")));
    assert_eq!(read(Log::Decisions, 5, 9), Err(RecordError::Version { found: 4, known: 5 }));
    assert_eq!(read(Log::Decisions, 4, 8), Err(RecordError::OtherSettings));
}

/// A partition of eight with a load of 50,000 events a second of 300 bytes in 1,000 pairs, flushed twice a second.
#[test]
fn a_busy_second_is_small() {
    let load = load::Load { per_second: 6_250, open: 100_000 / 8, ..load::Load::default() };
    let decoder = Decoder { format: Format::Canonical, states: Default::default() };
    let mut floor = Floor::new(Arc::new(Plan::default()));
    let (flush, batches) = (3_125, 6);
    let fill = load.fill();
    let mut sizes = Vec::new();
    for (index, line) in load.events(fill + batches * flush).enumerate() {
        let Decoded::Event(event) = decoder.decode(&line.bytes) else { panic!("the load is good") };
        let time = event.time;
        floor.take(&event, Timestamp::MAX);
        if index + 1 == fill {
            floor.advance(time);
            floor.flush();
        }
        if index >= fill && (index + 1 - fill).is_multiple_of(flush) {
            floor.advance(time);
            let bytes = encode(&Delta::Batch(batch(floor.flush())), SETTINGS);
            sizes.push(bytes.len());
        }
    }
    let share = sizes.iter().sum::<usize>() as f64 / (batches * flush * load.bytes) as f64;
    println!("{sizes:?} bytes, {share:.4} of what was read, before compression");
    assert!(share < 0.15, "{share}");
}

//! Nothing that a producer sends panics the decoder, and what comes out as an event keeps the promises of its type.
//!
//! The fuzz target `fuzz/fuzz_targets/wire.rs` searches further; this is a bounded part of it, the same on every run.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::fs;
use std::path::PathBuf;

use atalaya::domain::{AgentClass, Body, Timestamp};
use atalaya::wire::{Decoded, Decoder, Format};
use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Decodes as every kind of source does, and checks what holds of any event.
fn decode_and_check(record: &[u8]) -> usize {
    let states = [("almuerzo".to_owned(), AgentClass::Unproductive)];
    let mut events = 0;
    for format in [Format::Canonical, Format::CloudEvents] {
        let decoder = Decoder { format, states: states.clone().into() };
        let Decoded::Event(event) = decoder.decode(record) else { continue };
        events += 1;
        assert!(!event.id.is_empty() && event.id.len() <= 1_024);
        assert!(event.time.in_range().is_some(), "{:?}", event.time);
        match &event.body {
            Body::Interaction { interaction, .. } => assert!(!interaction.is_empty()),
            Body::Agent(snapshot) => {
                assert!(!snapshot.agent.is_empty() && !snapshot.state.is_empty());
                assert!(snapshot.busy.unwrap_or(0).max(snapshot.slots.unwrap_or(0)) <= 10_000);
            }
            Body::Heartbeat => {}
        }
        assert_eq!(decoder.decode(record), Decoded::Event(event), "decoding is a function of the record");
    }
    events
}

fn seeds(kinds: &[&str]) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/wire");
    let mut files: Vec<PathBuf> = kinds
        .iter()
        .flat_map(|kind| fs::read_dir(folder.join(kind)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// What JSON and our fields are made of, to be put anywhere.
const TOKENS: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b"\\ud800",
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e999",
    b"9223372036854775808",
    b"\xff",
    b"\xe2\x82",
    b"\"type\":",
    b"\"time\":",
    b"\"data\":{",
    b"\"queues\":[",
    b"\"specversion\":\"1.0\",",
    b"\"id\":{}",
    b"2026-11-22T10:00:60.999999999999Z",
];

fn mutate(record: &mut Vec<u8>, others: &[Vec<u8>], random: &mut ChaCha8Rng) {
    let at = random.random_range(0..=record.len());
    match random.random_range(0..6) {
        0 => record.truncate(at),
        1 => {
            if let Some(byte) = record.get_mut(at) {
                *byte ^= 1 << random.random_range(0..8);
            }
        }
        2 => {
            let token = TOKENS[random.random_range(0..TOKENS.len())];
            record.splice(at..at, token.iter().copied());
        }
        3 => {
            let end = (at + random.random_range(1..20)).min(record.len());
            record.drain(at..end);
        }
        4 => {
            let end = (at + random.random_range(1..60)).min(record.len());
            let piece = record[at..end].to_vec();
            record.splice(at..at, piece);
        }
        _ => {
            let other = &others[random.random_range(0..others.len())];
            let from = random.random_range(0..=other.len());
            record.truncate(at);
            record.extend_from_slice(&other[from..]);
        }
    }
}

#[test]
fn mutated_records_never_panic() {
    const ROUNDS: usize = 200_000;
    let good = seeds(&["good"]);
    let all = seeds(&["good", "bad", "ignored"]);
    let mut random = ChaCha8Rng::seed_from_u64(0x0a7a_1a7a);
    let mut events = 0;
    for round in 0..ROUNDS {
        let mut record = good[round % good.len()].clone();
        for _ in 0..=(random.next_u32() % 6).saturating_sub(3) {
            mutate(&mut record, &all, &mut random);
        }
        events += decode_and_check(&record);
    }
    // Otherwise the mutations would be so wild that only the JSON reader is tested.
    assert!(events > ROUNDS / 20, "{events} of {ROUNDS} were events");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn arbitrary_bytes_never_panic(record in prop::collection::vec(any::<u8>(), 0..400)) {
        decode_and_check(&record);
    }

    #[test]
    fn arbitrary_text_in_known_fields_never_panics(
        kind in "interaction\\.(arrived|queued|closed|reopened|evaluated)|agent\\.state|feed\\.heartbeat|\\PC{0,8}",
        time in "[0-9TZ:.+-]{0,30}|2026-11-22T10:00:00Z",
        text in "\\PC{0,12}",
        number in any::<i64>(),
    ) {
        let record = serde_json::json!({
            "type": kind, "time": time, "interaction": text, "agent": text, "state": text, "queue": text,
            "channel": text, "queues": [text, {"queue": text, "channel": text, "busy": number}], "slots": number,
        });
        decode_and_check(record.to_string().as_bytes());
        let late = serde_json::json!({"type": kind, "time": number, "interaction": text, "outcome": text});
        decode_and_check(late.to_string().as_bytes());
        if let Decoded::Event(event) = Decoder::default().decode(late.to_string().as_bytes()) {
            prop_assert_eq!(event.time, Timestamp(number));
        }
    }
}

//! States kept in a compacted topic of a real broker: whole or not at all, whatever stops half-way.
#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use atalaya::kafka::snapshots::{Found, Snapshots};
use support::kafka::{Line, shared};

const TOPIC: &str = "atalaya.snapshots";

/// Bytes that do not compress, in several pieces.
fn state(seed: u64) -> Vec<u8> {
    let word = |number: u64| xxhash_rust::xxh3::xxh3_64(&(seed << 32 | number).to_le_bytes()).to_le_bytes();
    (0..170_000).flat_map(word).collect()
}

#[test]
fn a_state_is_found_whole_or_not_at_all() {
    let Some(kafka) = shared() else { return };
    let config = kafka.config("snapshots");
    let read = || Snapshots::open(&config).unwrap().read("decided").unwrap();
    assert_eq!(read(), Found::Nothing, "there is no topic yet");
    let mut snapshots = Snapshots::open(&config).unwrap();
    snapshots.write("decided", 1, &state(1)).unwrap();
    assert_eq!(read(), Found::State(state(1)));
    snapshots.write("other", 2, b"another name").unwrap();
    snapshots.write("decided", 3, &state(3)).unwrap();
    assert_eq!(read(), Found::State(state(3)));
    assert_eq!(Snapshots::open(&config).unwrap().read("other").unwrap(), Found::State(b"another name".to_vec()));
    assert_eq!(Snapshots::open(&kafka.config("others")).unwrap().read("decided").unwrap(), Found::Nothing);

    // What the state before was made of is given up.
    let is_given_up = |key: &str| {
        let records = kafka.consume_all(TOPIC);
        let last = records.iter().rev().find(|record| record.key.as_deref() == Some(key.as_bytes())).unwrap();
        last.payload.is_none()
    };
    assert!(is_given_up("snapshots/decided/0000000000000001/0") && is_given_up("snapshots/decided/0000000000000001/2"));
    assert!(!is_given_up("snapshots/decided/0000000000000003/0"));

    // A crash before the manifest: pieces that nothing names.
    let put = |key: &str, value: &[u8]| {
        kafka.produce(TOPIC, [Line { key: Some(key.into()), payload: Some(value.to_vec()), ..Line::default() }]);
    };
    put("snapshots/decided/0000000000000004/0", b"half of it");
    assert_eq!(read(), Found::State(state(3)));
    // Who takes up goes on from there, and gives up what it found.
    let mut next = Snapshots::open(&config).unwrap();
    assert_eq!(next.read("decided").unwrap(), Found::State(state(3)));
    next.write("decided", 5, b"").unwrap();
    assert_eq!(read(), Found::State(Vec::new()));
    next.write("decided", 6, b"short").unwrap();
    assert!(is_given_up("snapshots/decided/0000000000000003/2"));

    // A piece that is another, a manifest that is none.
    put("snapshots/decided/0000000000000006/0", b"shirt");
    let broken = |found: Found| match found {
        Found::Broken(why) => why,
        other => panic!("{other:?}"),
    };
    assert!(broken(read()).contains("its hash does not fit"));
    put("snapshots/decided", br#"{"id":"7","pieces":1,"bytes":1,"xxh3":"0"}"#);
    assert!(broken(read()).contains("piece 0 of 1 is missing"));
    put("snapshots/decided", b"garbage");
    assert!(broken(read()).contains(TOPIC));
}

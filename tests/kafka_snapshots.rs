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
    let read_from = |snapshots: &mut Snapshots, name: &str| match snapshots.read(&[name]).unwrap().remove(name).unwrap()
    {
        Found::State { bytes, .. } => Ok(bytes),
        other => Err(other),
    };
    let open = |config: &_| Snapshots::open(config).unwrap();
    let read = || read_from(&mut open(&config), "decided");
    assert_eq!(read(), Err(Found::Nothing), "there is no topic yet");
    let mut snapshots = Snapshots::open(&config).unwrap();
    snapshots.write("decided", 1, &state(1)).unwrap();
    assert_eq!(read(), Ok(state(1)));
    snapshots.write("other", 2, b"another name").unwrap();
    snapshots.write("decided", 3, &state(3)).unwrap();
    assert_eq!(read(), Ok(state(3)));
    assert_eq!(read_from(&mut open(&config), "other"), Ok(b"another name".to_vec()));
    assert_eq!(read_from(&mut open(&kafka.config("others")), "decided"), Err(Found::Nothing));

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
    assert_eq!(read(), Ok(state(3)));
    // Who takes up goes on from there, and gives up what it found.
    let mut next = Snapshots::open(&config).unwrap();
    assert_eq!(read_from(&mut next, "decided"), Ok(state(3)));
    // In one look, with the id under which it was kept.
    let found = next.read(&["decided", "nothing", "other"]).unwrap();
    let ids =
        found.values().map(|found| matches!(found, Found::State { id, .. } if id.ends_with('2') || id.ends_with('3')));
    assert_eq!(ids.collect::<Vec<_>>(), [true, false, true]);
    next.write("decided", 5, b"").unwrap();
    assert_eq!(read(), Ok(Vec::new()));
    next.write("decided", 6, b"short").unwrap();
    assert!(is_given_up("snapshots/decided/0000000000000003/2"));

    // What somebody else left behind is given up by who reads, once it is old.
    assert!(!is_given_up("snapshots/decided/0000000000000004/0"), "it may be half of what is being written");
    let old = Some(atalaya::clock::now().0 - 3_700_000);
    for key in ["snapshots/decided/0000000000000004/0", "snapshots/decided/0000000000000006/0"] {
        let (key, payload) = (Some(key.into()), Some(b"short".to_vec()));
        kafka.produce(TOPIC, [Line { key, payload, timestamp: old, ..Line::default() }]);
    }
    assert_eq!(read(), Ok(b"short".to_vec()), "what the manifest names stays, however old");
    let mut reader = open(&config);
    reader.read(&[]).unwrap();
    reader.write("later", 8, b"").unwrap();
    assert!(is_given_up("snapshots/decided/0000000000000004/0"));
    assert!(!is_given_up("snapshots/decided/0000000000000006/0"));

    // A family of which nothing was kept for long goes, one of which something was stays whole.
    for (key, at) in [("a/old", old), ("a/older/0000000000000009/0", old), ("b/old", old), ("b/new", None)] {
        let (key, payload) = (Some(format!("snapshots/{key}").into()), Some(b"{}".to_vec()));
        kafka.produce(TOPIC, [Line { key, payload, timestamp: at, ..Line::default() }]);
    }
    let family = |name: &str| name.split_once('/').filter(|(of, _)| of.len() == 1).map(|(of, _)| of.to_owned());
    let hour_ago = atalaya::domain::Timestamp(atalaya::clock::now().0 - 3_600_000);
    assert_eq!(open(&config).give_up(hour_ago, &family).unwrap(), 2);
    assert!(is_given_up("snapshots/a/old") && is_given_up("snapshots/a/older/0000000000000009/0"));
    assert!(!is_given_up("snapshots/b/old") && !is_given_up("snapshots/decided"));
    assert_eq!(open(&config).give_up(hour_ago, &family).unwrap(), 0);

    // A piece that is another, a manifest that is none.
    put("snapshots/decided/0000000000000006/0", b"shirt");
    let broken = |found: Result<Vec<u8>, Found>| match found {
        Err(Found::Broken(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(broken(read()).contains("its hash does not fit"));
    put("snapshots/decided", br#"{"id":"7","pieces":1,"bytes":1,"xxh3":"0"}"#);
    assert!(broken(read()).contains("piece 0 of 1 is missing"));
    put("snapshots/decided", b"garbage");
    assert!(broken(read()).contains(TOPIC));
}

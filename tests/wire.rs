//! Records as producers send them: the good, the ones that are not ours, and the bad, named by their reason
//! (`tests/data/wire/bad/REASON--WHAT.json`).

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::borrow::Cow;
use std::fs;
use std::path::PathBuf;

use atalaya::domain::{
    AgentClass, AgentPlaces, AgentSnapshot, Body, Event, InteractionEvent, Outcome, PairEntry, ReopenedBy, Timestamp,
};
use atalaya::wire::{DEPTH_MAX, Decoded, Decoder, Format, RECORD_BYTES_MAX, Reason};

const TIME: Timestamp = Timestamp(1_795_359_600_000);

fn decoder() -> Decoder {
    let states = [("almuerzo".to_owned(), AgentClass::Unproductive), ("offline".to_owned(), AgentClass::Available)];
    Decoder { format: Format::Canonical, states: states.into() }
}

fn fixtures(kind: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/wire").join(kind);
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn a_bad_record_has_the_reason_in_its_name() {
    for (name, record) in fixtures("bad") {
        let (reason, _) = name.split_once("--").unwrap();
        match decoder().decode(&record) {
            Decoded::Rejected(found) => assert_eq!(found.name(), reason, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn every_reason_of_a_record_has_a_fixture_or_is_built_here() {
    let files = fixtures("bad");
    for reason in Reason::ALL {
        // The floor's reasons, and the two whose records would be unwieldy files.
        if matches!(reason, Reason::TooLate | Reason::TooFarAhead | Reason::TooLarge | Reason::TooDeep) {
            continue;
        }
        assert!(files.iter().any(|(name, _)| name.starts_with(&format!("{}--", reason.name()))), "{}", reason.name());
    }
}

#[test]
fn what_is_not_ours_is_passed_over() {
    for (name, record) in fixtures("ignored") {
        assert_eq!(decoder().decode(&record), Decoded::Ignored, "{name}");
    }
}

#[test]
fn a_good_record_is_an_event() {
    use InteractionEvent as E;
    let queued = || E::Queued { queue: "reclamos".into(), channel: "facebook".into() };
    let snapshot = |state: &'static str, class, queues, channels, slots, busy| {
        Body::Agent(AgentSnapshot { agent: "a-1".into(), state: state.into(), class, queues, channels, slots, busy })
    };
    let names = |names: &[&'static str]| names.iter().map(|name| Cow::Borrowed(*name)).collect::<Vec<_>>();
    let pair = |queue: &'static str, channel: &'static str, busy, slots| PairEntry {
        queue: queue.into(),
        channel: channel.into(),
        busy,
        slots,
    };
    let step = |event| Body::Interaction { interaction: "i-1".into(), event };
    let parked = || step(E::Parked);

    let mut expected: Vec<(&str, Timestamp, Body<'_>)> = [
        ("abandoned", step(E::Abandoned)),
        ("arrived", step(E::Arrived { channel: "facebook".into(), queue: Some("reclamos".into()) })),
        ("arrived-with-everything-optional", step(E::Arrived { channel: "facebook".into(), queue: None })),
        ("arrived-with-unused-fields-of-odd-types", step(E::Arrived { channel: "facebook".into(), queue: None })),
        ("arrived-without-queue", step(E::Arrived { channel: "facebook".into(), queue: None })),
        ("assigned", step(E::Assigned { agent: "a-1".into() })),
        ("assigned-agent-a-number", step(E::Assigned { agent: "17".into() })),
        ("closed", step(E::Closed { outcome: Outcome::Resolved })),
        ("customer-message", step(E::CustomerMessage)),
        ("data-that-is-no-envelope", parked()),
        ("envelope", step(queued())),
        ("envelope-with-time-inside", parked()),
        ("epoch-milliseconds", parked()),
        ("escaped-field-names", parked()),
        ("escapes", step(E::Queued { queue: "atención \"A\"".into(), channel: "voice".into() })),
        ("evaluated", step(E::Evaluated)),
        ("evaluated-without-a-fault", step(E::Evaluated)),
        ("heartbeat", Body::Heartbeat),
        ("heartbeat-in-an-envelope", Body::Heartbeat),
        ("parked", parked()),
        ("queued", step(queued())),
        ("rated", step(E::Rated)),
        ("rated-oddly", step(E::Rated)),
        ("reopened", step(E::Reopened { by: ReopenedBy::Customer })),
        ("reopened-by-agent", step(E::Reopened { by: ReopenedBy::Agent })),
        ("repeated-fields", parked()),
        ("replied", step(E::Replied { agent: "a-1".into(), automatic: false })),
        ("replied-automatic", step(E::Replied { agent: "bot".into(), automatic: true })),
        ("resumed", step(E::Resumed)),
        (
            "state",
            snapshot(
                "available",
                AgentClass::Available,
                Some(AgentPlaces { names: names(&["reclamos", "soporte"]), pairs: vec![] }),
                Some(names(&["facebook"])),
                Some(3),
                Some(1),
            ),
        ),
        // A class maps to itself, whatever the configuration says.
        ("state-all-null", snapshot("offline", AgentClass::Offline, None, None, None, None)),
        ("state-of-the-platform", snapshot("almuerzo", AgentClass::Unproductive, None, None, None, None)),
        (
            "state-with-pairs",
            snapshot(
                "handling",
                AgentClass::Handling,
                Some(AgentPlaces {
                    names: names(&["a"]),
                    pairs: vec![pair("b", "voice", Some(1), Some(1)), pair("c", "email", None, None)],
                }),
                Some(vec![]),
                None,
                None,
            ),
        ),
        ("transferred", step(E::Transferred { queue: "soporte".into(), channel: None })),
        ("transferred-to-a-channel", step(E::Transferred { queue: "soporte".into(), channel: Some("email".into()) })),
        ("type-last", step(E::Queued { queue: "q".into(), channel: "voice".into() })),
        ("white-space", parked()),
        ("wrapup", step(E::Wrapup)),
    ]
    .into_iter()
    .map(|(name, body)| (name, TIME, body))
    .collect();
    expected.push(("epoch-milliseconds-before-1970", Timestamp(-1), parked()));
    expected.sort_by_key(|(name, ..)| *name);

    let files = fixtures("good");
    assert_eq!(
        files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        expected.iter().map(|(name, ..)| *name).collect::<Vec<_>>()
    );
    for ((name, record), (_, time, body)) in files.iter().zip(expected) {
        match decoder().decode(record) {
            Decoded::Event(event) => {
                assert_eq!((event.time, &event.body), (time, &body), "{name}");
                let has_id = record.windows(5).any(|bytes| bytes == b"\"id\":");
                let id_is_right = if has_id { event.id == "e-1" } else { event.id.len() == 32 };
                assert!(id_is_right, "{name}: id {}", event.id);
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

fn id_of(record: &str) -> String {
    match decoder().decode(record.as_bytes()) {
        Decoded::Event(Event { id, .. }) => id.into_owned(),
        other => panic!("{record}: {other:?}"),
    }
}

#[test]
fn an_id_is_kept_or_made_of_the_content() {
    let with = |id: &str| format!(r#"{{{id}"type":"feed.heartbeat","time":0}}"#);
    for (id, expected) in [
        (r#""id":"x","#, "x"),
        (r#""id":7,"#, "7"),
        (r#""id":-7,"#, "-7"),
        (r#""id":18446744073709551615,"#, "18446744073709551615"),
    ] {
        assert_eq!(id_of(&with(id)), expected);
    }
    let hash = id_of(&with(""));
    assert_eq!(hash, format!("{:032x}", xxhash_rust::xxh3::xxh3_128(with("").as_bytes())));
    assert_eq!(id_of(&with("")), hash, "the same content has the same id");
    assert_ne!(id_of(r#"{"type":"feed.heartbeat","time":1}"#), hash);
    for nothing in [r#""id":null,"#, r#""id":"","#] {
        assert_eq!(id_of(&with(nothing)).len(), 32, "{nothing}");
    }
}

#[test]
fn text_without_escapes_is_borrowed() {
    let record = br#"{"id":"e","type":"interaction.queued","time":0,"interaction":"i","queue":"q","channel":"c"}"#;
    let Decoded::Event(Event { id, body: Body::Interaction { interaction, event }, .. }) = decoder().decode(record)
    else {
        panic!("no event")
    };
    let InteractionEvent::Queued { queue, channel } = event else { panic!("{event:?}") };
    for text in [id, interaction, queue, channel] {
        assert!(matches!(text, Cow::Borrowed(_)), "{text}");
    }
}

#[test]
fn limits_of_size_and_depth() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!(r#"{{"type":"feed.heartbeat","time":0,"x":{}1{}}}"#, open.repeat(depth - 1), close.repeat(depth - 1))
    };
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"{"data":"#, "}")] {
        let at_the_limit = nested(open, close, DEPTH_MAX);
        assert!(matches!(decoder().decode(at_the_limit.as_bytes()), Decoded::Event(_)), "{open}");
        for depth in [DEPTH_MAX + 1, 1_000, 100_000] {
            let record = nested(open, close, depth);
            assert_eq!(decoder().decode(record.as_bytes()), Decoded::Rejected(Reason::TooDeep), "{open} {depth}");
        }
    }
    for unclosed in ["[", r#"{"a":"#, r#"{"data":"#, r#"{"queues":["#] {
        let record = unclosed.repeat(50_000);
        assert_eq!(decoder().decode(record.as_bytes()), Decoded::Rejected(Reason::TooDeep), "{unclosed}");
    }
    let brackets_in_text = format!(
        r#"{{"type":"feed.heartbeat","time":0,"x":"\"{}\\","y":[[{}]]}}"#,
        "[".repeat(500),
        "[],".repeat(200) + "0"
    );
    assert!(matches!(decoder().decode(brackets_in_text.as_bytes()), Decoded::Event(_)));

    let heartbeat = r#"{"type":"feed.heartbeat","time":0}"#;
    let padded = |length: usize| heartbeat.to_owned() + &" ".repeat(length - heartbeat.len());
    assert!(matches!(decoder().decode(padded(RECORD_BYTES_MAX).as_bytes()), Decoded::Event(_)));
    assert_eq!(decoder().decode(padded(RECORD_BYTES_MAX + 1).as_bytes()), Decoded::Rejected(Reason::TooLarge));
}

#[test]
fn limits_of_names_and_lists() {
    let queued = |queue: usize, interaction: usize| {
        format!(
            r#"{{"type":"interaction.queued","time":0,"interaction":"{}","queue":"{}","channel":"c"}}"#,
            "i".repeat(interaction),
            "q".repeat(queue)
        )
    };
    let state = |queues: usize, channels: usize| {
        let list = |n: usize| vec![r#""x""#; n].join(",");
        format!(
            r#"{{"type":"agent.state","time":0,"agent":"a","state":"available","queues":[{}],"channels":[{}]}}"#,
            list(queues),
            list(channels)
        )
    };
    for (record, good) in [
        (queued(256, 1_024), true),
        (queued(257, 1), false),
        (queued(1, 1_025), false),
        (state(1_000, 64), true),
        (state(1_001, 1), false),
        (state(1, 65), false),
    ] {
        match decoder().decode(record.as_bytes()) {
            Decoded::Event(_) => assert!(good, "{} bytes", record.len()),
            Decoded::Rejected(Reason::BadField) => assert!(!good, "{} bytes", record.len()),
            other => panic!("{other:?}"),
        }
    }
}

/// A source of envelopes takes what its format promises without `specversion`, and what is plainly canonical too.
#[test]
fn a_source_of_envelopes() {
    let envelopes = Decoder { format: Format::CloudEvents, ..Decoder::default() };
    for record in [
        r#"{"id":"e","type":"interaction.parked","time":0,"data":{"interaction":"i"}}"#,
        r#"{"specversion":"1.0","id":"e","type":"interaction.parked","time":0,"data":{"interaction":"i","id":"other","time":9,"type":"x"}}"#,
        r#"{"id":"e","type":"interaction.parked","time":0,"interaction":"i"}"#,
    ] {
        match envelopes.decode(record.as_bytes()) {
            Decoded::Event(Event { id, time, body: Body::Interaction { interaction, event } }) => {
                assert_eq!((id.as_ref(), time, interaction.as_ref()), ("e", Timestamp(0), "i"), "{record}");
                assert_eq!(event, InteractionEvent::Parked);
            }
            other => panic!("{record}: {other:?}"),
        }
    }
}

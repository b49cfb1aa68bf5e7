//! What a snapshot cannot say: bytes that are whole by their check-sum and were written by no engine.

use std::collections::BTreeSet;

use atalaya::config::{self, MatrixSet};
use atalaya::domain::{Key, Millis};
use atalaya::indicators::Topics;
use atalaya::matrix::engine::{Engine, Feed, FeedState, Feeds, Matcher, Operated, Operation, What};
use atalaya::snapshot::SnapshotError;
use xxhash_rust::xxh3::xxh3_64;

use crate::support::{START, Table};

/// With everything that can wait: quiet hours, gatherings, a cap.
const MATRIX: &str = "
version: 1
name: care
language: en
time_zone: UTC
owner: chief
contacts:
  lead: { email: l@x.example, quiet: { mon: \"00:00-02:00\" } }
  boss: { email: b@x.example, mails_per_hour: 1 }
  chief: { email: c@x.example, webhook: hook }
rows:
  - { indicator: waiting, goal: \"< 10\", group: { by: row },
      ranges: [ { when: \"< 10\", level: ok }, { when: \">= 10\", level: warning, tell: [chief, boss], action: call } ] }
  - { indicator: unanswered, goal: \"< 10\", group: { by: queue },
      ranges: [ { when: \"< 10\", level: ok }, { when: \">= 10\", level: warning, tell: [chief], action: call } ] }
  - { indicator: backlog, goal: \"< 10\",
      ranges: [ { when: \"< 10\", level: ok }, { when: \">= 10\", level: warning, tell: [lead, boss], action: call } ] }
";

/// An engine with something of every kind: silences, open cases, frozen feeds, notices that wait, gatherings, hours of addresses.
fn engine(set: &MatrixSet, queues: &[&str], seconds: i64) -> Engine {
    let mut engine = Engine::new(set.matrices.clone(), set.plan.clone());
    for id in ["silence-1", "silence-2"] {
        let matcher = Matcher { queue: vec!["none".to_owned()], ..Matcher::default() };
        let what = What::Silence { id: id.into(), matcher, from: START, until: START + Millis::HOUR };
        let operation = Operation { who: "ana".into(), why: "".into(), what };
        assert_eq!(engine.operate(&operation, START), Operated::Silenced);
    }
    let mut table = Table::new(&queues.iter().map(|queue| Key::pair(queue, "c")).collect::<Vec<_>>());
    (table.reading.value, table.waiting) = (Some(15.0), 15.0);
    let carries = Topics { interactions: true, agents: false };
    let silent = |source: &str| Feed { source: source.into(), carries, state: FeedState::Silent { since: START } };
    for second in 0..seconds {
        // The first mails of the gatherings have gone out when others come in.
        if second == 22 {
            table.keys.push(Key::pair("queue-3", "c"));
        }
        let frozen = if second == seconds - 1 { vec![silent("feed-1"), silent("feed-2")] } else { Vec::new() };
        engine.tick(START + Millis::seconds(second), &mut table, &Feeds(frozen));
    }
    engine
}

/// What is said of `bytes` behind a check-sum that fits.
fn refused(set: &MatrixSet, mut bytes: Vec<u8>) -> Option<&'static str> {
    let end = bytes.len() - 8;
    let sum = xxh3_64(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    match Engine::restore(set.matrices.clone(), set.plan.clone(), &bytes) {
        Err(SnapshotError::Invalid(what)) => Some(what),
        Err(other) => panic!("{other}"),
        Ok(_) => None,
    }
}

#[test]
fn what_has_the_name_of_another_is_refused_by_what_it_says() {
    let set = config::matrices(&[("care.yaml".to_owned(), MATRIX.to_owned())], None).unwrap();
    let engine = engine(&set, &["queue-1", "queue-2"], 25);
    let bytes = engine.snapshot();
    assert_eq!(refused(&set, bytes.clone()), None);
    let mut pairs: Vec<(String, String)> =
        ["queue", "feed", "silence"].map(|name| (format!("{name}-1"), format!("{name}-2"))).into();
    pairs.push(("c@x.example".to_owned(), "b@x.example".to_owned()));
    let ids: Vec<String> = engine.open_cases().iter().map(|open| open.last.incident.to_string()).collect();
    pairs.extend(ids.iter().flat_map(|one| ids.iter().map(|other| (one.clone(), other.clone()))));
    let mut said = BTreeSet::new();
    for (one, other) in pairs.iter().flat_map(|(one, other)| [(one, other), (other, one)]) {
        for at in (0..bytes.len()).filter(|at| bytes[*at..].starts_with(one.as_bytes())) {
            let mut bytes = bytes.clone();
            bytes[at..at + one.len()].copy_from_slice(other.as_bytes());
            said.extend(refused(&set, bytes));
        }
    }
    // Items are a map: of two of one name the last stands.
    let expected = ["circle of a gathering", "incidents of gatherings", "notices that wait", "order of feeds"];
    assert_eq!(said, expected.into());
}

#[test]
fn a_byte_that_is_another_is_refused_by_what_it_says() {
    let set = config::matrices(&[("care.yaml".to_owned(), MATRIX.to_owned())], None).unwrap();
    let bytes = engine(&set, &["queue"], 2).snapshot();
    let mut said = BTreeSet::new();
    for at in 26..bytes.len() - 8 {
        let old = bytes[at];
        for new in [old.wrapping_add(1), 0] {
            let mut bytes = bytes.clone();
            bytes[at] = new;
            said.extend(refused(&set, bytes));
        }
    }
    let expected = ["indicator of a case", "indicator of a notice", "level of a case", "range of a case", "silences"];
    let missing: Vec<&str> = expected.into_iter().filter(|what| !said.contains(what)).collect();
    assert!(missing.is_empty(), "never refused: {missing:?}, but {said:?}");
}

//! The reader and the dead letters over the in-process broker that `demo` uses.
#![allow(clippy::disallowed_methods, reason = "a broker in this process still has a real clock")]
#![allow(clippy::expect_used, reason = "a test")]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use atalaya::kafka::mock::MockBroker;
use atalaya::kafka::{Consumer, DeadLetters, Handler, Letter, Options, Problems, Record, Start, TopicPartition};
use support::kafka::{Line, config, eventually, produce};

struct Counting {
    count: Arc<AtomicU64>,
    ends: mpsc::Sender<(TopicPartition, i64)>,
}

impl Handler for Counting {
    fn record(&mut self, record: Record<'_>) {
        assert_eq!(record.key, Some(&b"k"[..]));
        self.count.fetch_add(1, Ordering::Relaxed);
    }
    fn assigned(&mut self, _: TopicPartition, start: i64) -> Option<i64> {
        Some(start)
    }
    fn revoked(&mut self, _: &[TopicPartition]) {}
    fn caught_up(&mut self, partition: TopicPartition, offset: i64) {
        let _ = self.ends.send((partition, offset));
    }
    fn idle(&mut self) {}
}

#[test]
fn the_demos_broker_is_read_from_its_beginning() {
    let broker = MockBroker::start(&[("events", 3), ("atalaya.dead-letters", 1)]).expect("a broker");
    let lines = (0..3_000).map(|n| Line {
        partition: Some(n % 3),
        key: Some(b"k".to_vec()),
        payload: Some(format!("{n}").into_bytes()),
        ..Line::default()
    });
    produce(&broker.bootstrap(), "events", lines);
    let count = Arc::new(AtomicU64::new(0));
    let (sender, ends) = mpsc::channel();
    let options = Options { start: Start::Beginning, ..Options::default() };
    let handler = Box::new(Counting { count: count.clone(), ends: sender });
    let kafka = config(&broker.bootstrap(), "demo");
    let consumer =
        Consumer::start(&kafka, &["events".to_owned()], options, Problems::default(), handler).expect("a consumer");
    eventually("all is read", || count.load(Ordering::Relaxed) == 3_000);
    eventually("ready", || consumer.status().ready());
    for partition in 0..3 {
        let tp = TopicPartition { source: 0, partition };
        eventually("caught up", || ends.try_iter().any(|end| end == (tp, 1_000)));
    }
    consumer.stop(Duration::from_secs(10)).expect("stopped in time");

    let letters = DeadLetters::start(&kafka, Problems::default()).expect("a producer");
    letters.send(&Letter {
        reason: "not_json",
        topic: "events",
        partition: 0,
        offset: 1,
        key: None,
        payload: Some(b"x"),
    });
    letters.flush(Duration::from_secs(10)).expect("written");
    assert_eq!(letters.counters().delivered, 1);
}

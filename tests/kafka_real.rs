//! The Kafka shell against a real Apache Kafka.
#![allow(clippy::disallowed_methods, reason = "these tests wait for a real broker, on the real clock")]
#![allow(clippy::expect_used, reason = "a test")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use atalaya::domain::Timestamp;
use atalaya::kafka::status::Ended;
use atalaya::kafka::{Consumer, DeadLetters, Handler, Kind, Letter, Options, Problems, Record, Start, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use support::kafka::{self as real, Line, eventually};

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    source: usize,
    partition: i32,
    offset: i64,
    timestamp: Option<i64>,
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    replayed: bool,
}

#[derive(Default)]
struct Log {
    records: Vec<Seen>,
    assigned: Vec<TopicPartition>,
    revoked: Vec<TopicPartition>,
    caught_up: Vec<(TopicPartition, i64)>,
    idles: u64,
    longest_pause: Duration,
    last_idle: Option<Instant>,
    stopped: bool,
    resume: Option<i64>,
    /// Keep what was read over a rebalance, and go on after it.
    keeps: bool,
}

/// Writes down what it is told.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Log>>);

impl Recorder {
    fn with<T>(&self, look: impl FnOnce(&mut Log) -> T) -> T {
        look(&mut self.0.lock().expect("not poisoned"))
    }
    fn count(&self) -> usize {
        self.with(|log| log.records.len())
    }
    fn offsets(&self, partition: i32) -> Vec<i64> {
        let own = |seen: &&Seen| seen.partition == partition;
        self.with(|log| log.records.iter().filter(own).map(|seen| seen.offset).collect())
    }
    fn payloads(&self) -> Vec<String> {
        let text = |seen: &Seen| String::from_utf8_lossy(seen.payload.as_deref().unwrap_or_default()).into_owned();
        self.with(|log| log.records.iter().map(text).collect())
    }
}

impl Handler for Recorder {
    fn record(&mut self, record: Record<'_>) {
        self.with(|log| {
            log.records.push(Seen {
                source: record.source,
                partition: record.partition,
                offset: record.offset,
                timestamp: record.timestamp.map(|timestamp| timestamp.0),
                key: record.key.map(<[u8]>::to_vec),
                payload: record.payload.map(<[u8]>::to_vec),
                replayed: record.replayed,
            });
        });
    }
    fn assigned(&mut self, tp: TopicPartition, start: i64) -> Option<i64> {
        self.with(|log| {
            log.assigned.push(tp);
            let own = |seen: &&Seen| (seen.source, seen.partition) == (tp.source, tp.partition);
            let next = log.records.iter().rev().find(own).map(|seen| seen.offset + 1);
            Some(log.resume.or(next.filter(|_| log.keeps)).unwrap_or(start))
        })
    }
    fn revoked(&mut self, partitions: &[TopicPartition]) {
        self.with(|log| log.revoked.extend(partitions));
    }
    fn caught_up(&mut self, partition: TopicPartition, offset: i64) {
        self.with(|log| log.caught_up.push((partition, offset)));
    }
    fn idle(&mut self) {
        self.with(|log| {
            log.idles += 1;
            let now = Instant::now();
            if let Some(last) = log.last_idle.replace(now) {
                log.longest_pause = log.longest_pause.max(now - last);
            }
        });
    }
    fn stopping(&mut self) {
        self.with(|log| log.stopped = true);
    }
}

fn start(kafka: &atalaya::config::Kafka, topics: &[&str], start: Start) -> (Consumer, Recorder) {
    let recorder = Recorder::default();
    let consumer = start_with(kafka, topics, start, &recorder);
    (consumer, recorder)
}

fn start_with(kafka: &atalaya::config::Kafka, topics: &[&str], start: Start, recorder: &Recorder) -> Consumer {
    let topics: Vec<String> = topics.iter().map(ToString::to_string).collect();
    let options = Options { start, ..Options::default() };
    Consumer::start(kafka, &topics, options, Problems::default(), Box::new(recorder.clone())).expect("a consumer")
}

fn stop(consumer: Consumer) {
    consumer.stop(Duration::from_secs(10)).expect("stopped in time");
}

fn line(partition: i32, payload: &str) -> Line {
    Line { partition: Some(partition), key: Some(b"k".to_vec()), payload: Some(payload.into()), timestamp: None }
}

fn now_ms() -> i64 {
    atalaya::clock::now().0
}

#[test]
fn reads_every_partition_to_its_end_and_commits_on_shutdown() {
    let Some(broker) = real::shared() else { return };
    broker.create_topic("whole", 4);
    broker.produce("whole", (0..1000).map(|n| line(n % 4, &format!("record {n}"))));
    broker.produce("whole", [Line { partition: Some(0), key: Some(b"gone".to_vec()), ..Line::default() }]);

    let (consumer, recorder) = start(&broker.config("whole"), &["whole"], Start::DAY_AND_AN_HOUR);
    assert!(!consumer.status().ready(), "not ready before anything was read");
    eventually("ready", || consumer.status().ready());
    assert_eq!(recorder.count(), 1001);
    for partition in 0..4 {
        let tp = TopicPartition { source: 0, partition };
        let end = 250 + i64::from(partition == 0);
        assert!(recorder.with(|log| log.assigned.contains(&tp)));
        assert_eq!(recorder.offsets(partition), (0..end).collect::<Vec<_>>(), "each once, in order");
        eventually("caught up is said at the end", || recorder.with(|log| log.caught_up.contains(&(tp, end))));
    }
    recorder.with(|log| {
        let tombstone = log.records.iter().find(|seen| seen.key.as_deref() == Some(b"gone")).expect("the tombstone");
        assert_eq!(tombstone.payload, None);
        assert!(log.records.iter().all(|seen| seen.timestamp.is_some_and(|at| (now_ms() - at).abs() < 600_000)));
    });
    let status = consumer.status();
    assert_eq!((status.counters.records, status.counters.tombstones), (1001, 1));
    assert!(status.partitions.iter().all(|partition| partition.lag() == 0));
    assert_eq!(status.problems, vec![]);

    // Idle partitions stay confirmed: the end is asked for every second.
    let before = recorder.with(|log| log.caught_up.len());
    eventually("idle partitions stay confirmed", || recorder.with(|log| log.caught_up.len()) >= before + 8);
    assert!(recorder.with(|log| log.longest_pause) < Duration::from_secs(1), "idle comes steadily");

    stop(consumer);
    assert!(recorder.with(|log| log.stopped));
    assert_eq!(broker.committed("whole", "whole", 4), [Some(251), Some(250), Some(250), Some(250)]);

    // The next start reads the same again (state is in memory), and knows what had been read.
    broker.produce("whole", [line(1, "new")]);
    let (consumer, recorder) = start(&broker.config("whole"), &["whole"], Start::DAY_AND_AN_HOUR);
    eventually("all again", || recorder.count() == 1002);
    recorder.with(|log| {
        let fresh: Vec<_> = log.records.iter().filter(|seen| !seen.replayed).collect();
        assert_eq!(fresh.len(), 1, "{fresh:?}");
        assert_eq!(fresh[0].payload.as_deref(), Some(&b"new"[..]));
    });
    stop(consumer);
}

#[test]
fn starts_where_the_kafka_timestamps_are_25_hours_back() {
    let Some(broker) = real::shared() else { return };
    broker.create_topic("aged", 2);
    let hours_ago = |hours: i64| Some(now_ms() - hours * 3_600_000);
    let at =
        |hours: i64, partition: i32| Line { timestamp: hours_ago(hours), ..line(partition, &format!("{hours} h")) };
    broker.produce("aged", [at(48, 0), at(26, 0), at(24, 0), at(1, 0), at(30, 1), at(26, 1)]);
    let (consumer, recorder) = start(&broker.config("aged"), &["aged"], Start::DAY_AND_AN_HOUR);
    eventually("ready", || consumer.status().ready());
    assert_eq!(recorder.payloads(), ["24 h", "1 h"]);
    // Partition 1 has nothing that young: it starts at its end, and misses nothing that comes.
    broker.produce("aged", [at(0, 1)]);
    eventually("the new one", || recorder.payloads() == ["24 h", "1 h", "0 h"]);
    stop(consumer);

    let since = Start::Since(Timestamp(now_ms() - 27 * 3_600_000));
    let (consumer, recorder) = start(&broker.config("aged-since"), &["aged"], since);
    eventually("ready", || consumer.status().ready());
    assert_eq!(recorder.count(), 5, "{:?}", recorder.payloads());
    stop(consumer);
}

#[test]
fn dead_letters_keep_key_and_bytes_and_say_where_they_are_from() {
    let Some(broker) = real::shared() else { return };
    let mut config = broker.config("letters");
    config.dead_letters = "letters.dead".to_owned();
    let problems = Problems::default();
    let letters = DeadLetters::start(&config, problems.clone()).expect("a producer");
    let bytes = b"\xff\x00 not json";
    letters.send(&Letter {
        reason: "not_utf8",
        topic: "atalaya.interactions",
        partition: 3,
        offset: 4711,
        key: Some(b"i-1"),
        payload: Some(bytes),
    });
    letters.send(&Letter { reason: "no_key", topic: "t", partition: 0, offset: 0, key: None, payload: Some(b"") });
    letters.flush(Duration::from_secs(20)).expect("written");
    let counted = letters.counters();
    assert_eq!((counted.sent, counted.delivered, counted.lost), (2, 2, 0), "{:?}", problems.open());
    let found = broker.consume_all("letters.dead");
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].key.as_deref(), Some(&b"i-1"[..]));
    assert_eq!(found[0].payload.as_deref(), Some(&bytes[..]));
    let headers: Vec<(&str, &str)> =
        found[0].headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        headers,
        [("offset", "4711"), ("partition", "3"), ("reason", "not_utf8"), ("topic", "atalaya.interactions")]
    );
    assert_eq!((found[1].key.as_deref(), found[1].payload.as_deref()), (None, Some(&b""[..])));
    assert_eq!(problems.open(), vec![]);
}

#[test]
fn a_missing_topic_is_named_and_read_once_it_exists() {
    let Some(broker) = real::shared() else { return };
    broker.create_topic("there", 1);
    broker.produce("there", [line(0, "here")]);
    let (consumer, recorder) = start(&broker.config("missing"), &["there", "not-there"], Start::Beginning);
    eventually("the other topic is read", || recorder.payloads() == ["here"]);
    eventually("the missing one is named", || {
        consumer.status().problems.iter().any(|problem| {
            problem.kind == Kind::MissingTopic && problem.place == "not-there" && problem.text.contains("`not-there`")
        })
    });
    assert!(consumer.status().not_ready().iter().any(|reason| reason.contains("not-there")));
    broker.create_topic("not-there", 2);
    broker.produce("not-there", [line(1, "now")]);
    eventually("it is read", || recorder.payloads() == ["here", "now"]);
    eventually("it is well again", || consumer.status().ready() && consumer.status().problems.is_empty());
    assert_eq!(recorder.with(|log| log.records[1].source), 1);
    stop(consumer);
}

#[test]
fn a_position_that_is_gone_is_said_aloud_and_read_from_the_start() {
    let Some(broker) = real::shared() else { return };
    broker.create_topic("gone", 1);
    broker.produce("gone", (0..10).map(|n| line(0, &n.to_string())));
    let recorder = Recorder::default();
    recorder.with(|log| log.resume = Some(1_000));
    let consumer = start_with(&broker.config("gone"), &["gone"], Start::DAY_AND_AN_HOUR, &recorder);
    eventually("told", || consumer.status().problems.iter().any(|problem| problem.kind == Kind::OffsetsGone));
    eventually("read from the start", || recorder.count() == 10);
    let status = consumer.status();
    assert_eq!(status.counters.resets, 1);
    let told = status.problems.iter().find(|problem| problem.kind == Kind::OffsetsGone).expect("told");
    assert!(
        told.text.contains("`gone` partition 0") && told.text.contains("before our position 1000"),
        "{}",
        told.text
    );
    broker.produce("gone", [line(0, "more")]);
    eventually("and goes on", || recorder.count() == 11 && consumer.status().ready());
    stop(consumer);
}

#[test]
fn goes_on_where_the_handler_says() {
    let Some(broker) = real::shared() else { return };
    broker.create_topic("resumed", 1);
    broker.produce("resumed", (0..10).map(|n| line(0, &n.to_string())));
    let recorder = Recorder::default();
    recorder.with(|log| log.resume = Some(7));
    let consumer = start_with(&broker.config("resumed"), &["resumed"], Start::DAY_AND_AN_HOUR, &recorder);
    eventually("ready", || consumer.status().ready());
    assert_eq!(recorder.payloads(), ["7", "8", "9"]);
    stop(consumer);
}

#[test]
fn two_instances_share_the_partitions_and_one_takes_over() {
    let Some(broker) = real::shared() else { return };
    broker.create_topic("two", 4);
    broker.produce("two", (0..40).map(|n| line(n % 4, &n.to_string())));
    let (first, first_log) = start(&broker.config("two"), &["two"], Start::Beginning);
    eventually("the first has all", || first.status().partitions.len() == 4 && first_log.count() == 40);
    let (second, second_log) = start(&another(&broker, "two"), &["two"], Start::Beginning);
    eventually("half each", || first.status().partitions.len() == 2 && second.status().partitions.len() == 2);
    let moved = first_log.with(|log| log.revoked.clone());
    assert_eq!(moved.len(), 2);
    eventually("the second read its half from the start", || second_log.count() == 20);
    // The first records after a rebalance are those that a wrong position passes over.
    broker.produce("two", (40..44).map(|n| line(n % 4, &n.to_string())));
    eventually("each has its half of them", || first_log.count() == 42 && second_log.count() == 22);
    // Stopped in order it leaves the group; a crash would keep its partitions until the session has timed out.
    stop(second);
    eventually("the first has all again", || first.status().partitions.len() == 4);
    confirmed_twice_more(&first_log, 4);
    for partition in 0..4 {
        let tp = TopicPartition { source: 0, partition };
        let (mut of_first, mut of_second) = ((0..11).collect::<Vec<_>>(), vec![]);
        // What stayed is read once, whatever the group does. What moved is read by the first up to the move; by the second,
        // which knows nothing of it, from the start; and by the first from the start again, as this recorder has no state
        // that says where to go on.
        if moved.contains(&tp) {
            of_first = (0..10).chain(0..11).collect();
            of_second = (0..11).collect();
        }
        assert_eq!(first_log.offsets(partition), of_first, "the first, {tp:?}");
        assert_eq!(second_log.offsets(partition), of_second, "the second, {tp:?}");
    }
    let status = first.status();
    assert_eq!((status.counters.resets, status.problems), (0, vec![]));
    stop(first);
}

/// A second instance of the group.
fn another(broker: &real::RealKafka, group: &str) -> atalaya::config::Kafka {
    atalaya::config::Kafka { instance: Some(format!("{group}-2")), ..broker.config(group) }
}

/// Waits until each of `partitions` was confirmed at its end two times more: what comes a second time has come by then.
fn confirmed_twice_more(recorder: &Recorder, partitions: i32) {
    recorder.with(|log| log.caught_up.clear());
    eventually("confirmed twice more", || {
        let times = |log: &Log, own| log.caught_up.iter().filter(|(tp, _)| tp.partition == own).count();
        recorder.with(|log| (0..partitions).all(|partition| times(log, partition) >= 2))
    });
}

#[test]
fn a_rebalance_in_full_flow_passes_over_nothing_and_repeats_nothing() {
    let Some(broker) = real::shared() else { return };
    broker.create_topic("flow", 4);
    let recorder = Recorder::default();
    recorder.with(|log| log.keeps = true);
    let first = start_with(&broker.config("flow"), &["flow"], Start::Beginning, &recorder);
    eventually("it reads", || first.status().partitions.len() == 4);
    let ends = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let producing = scope.spawn(|| {
            let mut written = 0;
            while !ends.load(Ordering::Relaxed) {
                broker.produce("flow", (written..written + 400).map(|n| line(n % 4, &n.to_string())));
                written += 400;
                // In full flow, and no more than a loaded machine's broker keeps up with.
                std::thread::sleep(Duration::from_millis(10));
            }
            written
        });
        for _ in 0..3 {
            let (second, second_log) = start(&another(&broker, "flow"), &["flow"], Start::Beginning);
            eventually("half each", || first.status().partitions.len() == 2 && second_log.count() > 0);
            stop(second);
            eventually("the first has all again", || first.status().partitions.len() == 4);
        }
        ends.store(true, Ordering::Relaxed);
        producing.join().expect("it writes")
    });
    eventually("all is read", || recorder.count() >= written as usize);
    confirmed_twice_more(&recorder, 4);
    for partition in 0..4 {
        let each_once: Vec<i64> = (0..i64::from(written) / 4).collect();
        assert_eq!(recorder.offsets(partition), each_once, "partition {partition}");
    }
    let status = first.status();
    assert_eq!((status.counters.resets, status.problems), (0, vec![]));
    assert!(status.counters.rebalances >= 6, "{:?}", status.counters);
    stop(first);
}

#[test]
fn partitions_added_later_are_read_too() {
    let Some(broker) = real::shared() else { return };
    broker.create_topic("grown", 1);
    broker.produce("grown", [line(0, "old")]);
    let (consumer, recorder) = start(&broker.config("grown"), &["grown"], Start::DAY_AND_AN_HOUR);
    eventually("ready", || consumer.status().ready());
    broker.grow_topic("grown", 3);
    broker.produce("grown", [line(2, "new")]);
    eventually("the new partitions are read", || recorder.payloads() == ["old", "new"]);
    eventually("and watched", || consumer.status().partitions.len() == 3 && consumer.status().ready());
    stop(consumer);
}

#[test]
fn who_takes_this_ones_name_ends_it_with_a_reason() {
    let Some(broker) = real::shared() else { return };
    broker.create_topic("named", 1);
    let (first, _) = start(&broker.config("named"), &["named"], Start::Beginning);
    eventually("ready", || first.status().ready());
    let (second, _) = start(&broker.config("named"), &["named"], Start::Beginning);
    eventually("the first ends", || first.status().ended.is_some());
    let Some(Ended::Failed(why)) = first.status().ended else { panic!("{:?}", first.status().ended) };
    assert!(why.contains("`named-1`") && why.contains("kafka.instance"), "{why}");
    eventually("the second reads", || second.status().ready() && second.status().partitions.len() == 1);
    stop(second);
}

/// As by an earlier request of its own, which a broker in trouble answered after all.
#[test]
fn who_is_shut_out_once_joins_anew() {
    let Some(broker) = real::shared() else { return };
    broker.create_topic("shut-out", 1);
    let config = broker.config("shut-out");
    let (consumer, recorder) = start(&config, &["shut-out"], Start::Beginning);
    eventually("ready", || consumer.status().ready());
    let mut namesake = broker.client();
    namesake.set("group.id", &config.group).set("group.instance.id", config.instance.as_deref().unwrap_or_default());
    namesake.set("partition.assignment.strategy", "cooperative-sticky");
    let namesake: BaseConsumer = namesake.create().expect("a consumer");
    namesake.subscribe(&["shut-out"]).expect("subscribed");
    eventually("it is shut out", || {
        drop(namesake.poll(Duration::from_millis(100)));
        !recorder.with(|log| log.revoked.is_empty())
    });
    drop(namesake);
    broker.produce("shut-out", [line(0, "after")]);
    eventually("it reads again", || recorder.payloads() == ["after"]);
    assert_eq!((consumer.status().ended, recorder.with(|log| log.stopped)), (None, false));
    stop(consumer);
}

#[test]
fn a_broker_that_is_down_at_start_is_waited_for() {
    let port = real::free_port();
    let config = real::config(&format!("127.0.0.1:{port}"), "early");
    let (consumer, recorder) = start(&config, &["early"], Start::DAY_AND_AN_HOUR);
    eventually("it is said", || {
        consumer.status().problems.iter().any(|problem| {
            problem.kind == Kind::Unreachable
                && problem.text.starts_with(&format!("Nothing answers at 127.0.0.1:{port}"))
        })
    });
    assert_eq!(consumer.status().problems.len(), 1, "{:?}", consumer.status().problems);
    assert!(recorder.with(|log| log.idles) > 0, "the handler is alive meanwhile");
    let Some(broker) = real::RealKafka::start_on(port) else { return stop(consumer) };
    broker.create_topic("early", 1);
    broker.produce("early", [line(0, "first")]);
    eventually("it is read", || recorder.payloads() == ["first"]);
    eventually("the problem is over", || consumer.status().problems.is_empty());
    stop(consumer);
}

#[test]
fn a_broker_that_stands_still_for_a_while_loses_nothing() {
    let Some(broker) = real::RealKafka::start() else { return };
    broker.create_topic("still", 2);
    broker.produce("still", (0..100).map(|n| line(n % 2, &n.to_string())));
    let recorder = Recorder::default();
    // The group may give the partitions out anew after each outage: the handler goes on where it was.
    recorder.with(|log| log.keeps = true);
    let consumer = start_with(&broker.config("still"), &["still"], Start::DAY_AND_AN_HOUR, &recorder);
    eventually("ready", || consumer.status().ready());
    broker.signal("STOP");
    eventually("it is said", || consumer.status().problems.iter().any(|problem| problem.kind == Kind::Silent));
    let frozen = consumer.status().fresh_until();
    let pause = recorder.with(|log| log.longest_pause);
    assert!(pause < Duration::from_secs(1), "the reader was not held up: {pause:?}");
    broker.signal("CONT");
    broker.produce("still", (100..200).map(|n| line(n % 2, &n.to_string())));
    eventually("the rest is read", || recorder.count() >= 200);
    assert_eq!(recorder.count(), 200, "each once");
    eventually("fresh again, and nothing is wrong", || {
        let status = consumer.status();
        status.problems.is_empty() && status.fresh_until() > frozen
    });
    // A crash: killed, and started again over its data.
    broker.kill();
    eventually("it is said", || consumer.status().problems.iter().any(|problem| problem.kind == Kind::Unreachable));
    broker.run_again(&[]);
    broker.produce("still", (200..210).map(|n| line(n % 2, &n.to_string())));
    eventually("the rest is read", || recorder.count() >= 210);
    assert_eq!(recorder.count(), 210, "each once");
    stop(consumer);
}

#[test]
fn a_shutdown_without_a_broker_ends_within_its_deadline() {
    let config = real::config(&format!("127.0.0.1:{}", real::free_port()), "alone");
    let (consumer, recorder) = start(&config, &["alone"], Start::Beginning);
    let began = Instant::now();
    // Whether librdkafka lets go in time or is left behind, the caller is not held up.
    let _ = consumer.stop(Duration::from_secs(5));
    assert!(began.elapsed() < Duration::from_secs(6));
    assert!(recorder.with(|log| log.stopped), "the handler flushed");
}

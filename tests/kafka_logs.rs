//! The logs in a real broker: what is appended comes out, in one order for all, soon, and whatever happens to broker and topic.
#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a real broker is waited for on the real clock")]

mod support;

use std::time::{Duration, Instant};

use atalaya::config::Kafka;
use atalaya::journal::Position;
use atalaya::journal::record::Log;
use atalaya::kafka::log::{Appender, Full, Item, Tail};
use atalaya::kafka::own;
use atalaya::kafka::{Kind, Problems};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{Offset, TopicPartitionList};
use support::kafka::{PATIENCE, RealKafka, eventually, shared};

/// Logs with names of their own.
fn config(kafka: &RealKafka, name: &str) -> Kafka {
    Kafka {
        deltas: format!("{name}.deltas"),
        decisions: format!("{name}.decisions"),
        operations: format!("{name}.operations"),
        ..kafka.config(name)
    }
}

fn appender(config: &Kafka) -> Appender {
    Appender::start(config, Problems::default()).unwrap()
}

fn tail(config: &Kafka, problems: &Problems, logs: &[(Log, Option<Position>)]) -> Tail {
    Tail::open(config, problems.clone(), logs).unwrap()
}

fn deltas(config: &Kafka, from: Option<u64>) -> Tail {
    tail(config, &Problems::default(), &[(Log::Deltas, from.map(Position))])
}

/// The next item, ends left out.
fn next(tail: &mut Tail) -> Item {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "nothing comes");
        match tail.next(Duration::from_millis(100)) {
            None | Some(Item::End { .. }) => {}
            Some(item) => return item,
        }
    }
}

/// The next so many entries of one log: position and bytes.
fn records(tail: &mut Tail, count: usize) -> Vec<(u64, Vec<u8>)> {
    let record = |item| match item {
        Item::Record { position, bytes, .. } => (position.0, bytes),
        other => panic!("{other:?}"),
    };
    (0..count).map(|_| record(next(tail))).collect()
}

fn end(tail: &mut Tail) -> Item {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "no end comes");
        if let Some(item @ Item::End { .. }) = tail.next(Duration::from_millis(100)) {
            return item;
        }
    }
}

fn append(appender: &Appender, entries: impl IntoIterator<Item = String>) {
    entries.into_iter().for_each(|entry| appender.append(Log::Deltas, entry.as_bytes()).unwrap());
    assert_eq!(appender.flush(PATIENCE), Ok(()));
}

fn admin<T>(kafka: &RealKafka, act: impl AsyncFnOnce(AdminClient<DefaultClientContext>, AdminOptions) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    runtime.block_on(act(kafka.client().create().unwrap(), options))
}

fn delete(kafka: &RealKafka, topic: &str) {
    let deleted = admin(kafka, async |admin, options| admin.delete_topics(&[topic], &options).await);
    assert!(deleted.unwrap().iter().all(Result::is_ok));
}

/// As that of a client which fetches nothing any more and does not say so. An end is told once by one client.
#[test]
fn a_log_of_which_nothing_comes_is_read_by_another_client() {
    let Some(kafka) = shared() else { return };
    let config = config(&kafka, "still");
    let writer = appender(&config);
    append(&writer, ["before".to_owned()]);
    let mut tail = deltas(&config, None);
    assert_eq!(records(&mut tail, 1), [(0, b"before".to_vec())]);
    let told = end(&mut tail);
    assert_eq!(end(&mut tail), told, "the other client tells it as well");
    append(&writer, ["after".to_owned()]);
    assert_eq!(records(&mut tail, 1), [(1, b"after".to_vec())], "and goes on where the first one was");
}

#[test]
fn a_log_that_is_written_to_all_the_time_has_an_end() {
    let Some(kafka) = shared() else { return };
    let config = config(&kafka, "busy");
    let writer = appender(&config);
    append(&writer, ["first".to_owned()]);
    let (stop, began) = (std::sync::atomic::AtomicBool::new(false), Instant::now());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) && began.elapsed() < 2 * PATIENCE {
                append(&writer, ["busy".to_owned()]);
            }
        });
        let mut ends = (0..3).map(|_| end(&mut deltas(&config, None)));
        let told = ends.all(|end| matches!(end, Item::End { position, .. } if position > Position(0)));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(told && began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    });
}

#[test]
fn entries_come_out_in_one_order_for_all() {
    let Some(kafka) = shared() else { return };
    let config = config(&kafka, "order");
    // Who reads first finds no topic, and waits.
    let problems = Problems::default();
    let mut early = tail(&config, &problems, &[(Log::Deltas, None), (Log::Operations, None)]);
    eventually("a missing topic is a problem", || {
        assert_eq!(early.next(Duration::from_millis(10)), None);
        problems
            .open()
            .iter()
            .any(|problem| problem.kind == Kind::MissingTopic && problem.text.contains("atalaya topics"))
    });
    let (one, two) = (appender(&config), appender(&config));
    let mut ends = [end(&mut early), end(&mut early)];
    ends.sort_by_key(|end| format!("{end:?}"));
    let (deltas_log, position) = (Log::Deltas, Position(0));
    assert_eq!(ends[0], Item::End { log: deltas_log, position });
    assert_eq!(ends[1], Item::End { log: Log::Operations, position });
    assert_eq!(problems.open(), []);

    let before = atalaya::clock::now();
    std::thread::scope(|scope| {
        for (name, appender) in [("one", &one), ("two", &two)] {
            scope.spawn(move || append(appender, (0..500).map(|number| format!("{name} {number}"))));
        }
    });
    let all = records(&mut early, 1_000);
    assert!(all.iter().map(|(position, _)| *position).eq(0..1_000));
    for name in ["one", "two"] {
        let own = all
            .iter()
            .map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
            .filter(|text| text.starts_with(name));
        assert!(own.eq((0..500).map(|number| format!("{name} {number}"))), "{name}");
    }
    assert_eq!(end(&mut early), Item::End { log: Log::Deltas, position: Position(1_000) });
    assert_eq!((one.counters().appended, one.counters().confirmed, one.counters().refused), (500, 500, 0));

    // Another reader sees the same, from any position on.
    assert_eq!(records(&mut deltas(&config, None), 1_000), all);
    let mut later = deltas(&config, Some(990));
    assert_eq!(records(&mut later, 10), all[990..]);
    // At the end there is nothing to wait for, and what comes then comes.
    let mut at_end = deltas(&config, Some(1_000));
    assert_eq!(end(&mut at_end), Item::End { log: Log::Deltas, position: Position(1_000) });
    one.append(Log::Operations, b"ack").unwrap();
    append(&two, ["last".to_owned()]);
    assert_eq!(records(&mut at_end, 1), [(1_000, b"last".to_vec())]);
    // The time is the broker's.
    let Item::Record { broker: Some(broker), .. } = next(&mut deltas(&config, Some(1_000))) else { panic!("no time") };
    assert!((before..=atalaya::clock::now()).contains(&broker), "{broker:?}");
    let mut heard = [next(&mut early), next(&mut early)].map(|item| match item {
        Item::Record { log, position, bytes, .. } => (log, position.0, bytes),
        other => panic!("{other:?}"),
    });
    heard.sort();
    assert_eq!(heard, [(Log::Deltas, 1_000, b"last".to_vec()), (Log::Operations, 0, b"ack".to_vec())]);
}

#[test]
fn an_entry_comes_out_within_milliseconds() {
    let Some(kafka) = shared() else { return };
    let config = config(&kafka, "latency");
    let appender = appender(&config);
    let mut tail = tail(&config, &Problems::default(), &Log::ALL.map(|log| (log, None)));
    (0..3).for_each(|_| drop(end(&mut tail)));
    let bytes = vec![7; 4_000];
    let mut took: Vec<Duration> = (0..1_000)
        .map(|_| {
            let begun = Instant::now();
            appender.append(Log::Deltas, &bytes).unwrap();
            assert!(matches!(next(&mut tail), Item::Record { .. }));
            begun.elapsed()
        })
        .collect();
    took.sort();
    let (middle, late) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!("append to next: p50 {middle:?}, p99 {late:?}");
    assert!(middle < Duration::from_millis(50), "{middle:?}");
}

#[test]
fn what_is_no_longer_there_is_told() {
    let Some(kafka) = shared() else { return };
    let config = config(&kafka, "trimmed");
    let appender = appender(&config);
    let mut reading = deltas(&config, None);
    append(&appender, (0..10).map(|number| number.to_string()));
    assert_eq!(records(&mut reading, 10).len(), 10);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&config.deltas, 0, Offset::Offset(6)).unwrap();
    admin(&kafka, async |admin, options| admin.delete_records(&list, &options).await).unwrap();
    // Who is beyond it does not notice.
    append(&appender, ["10".to_owned()]);
    assert_eq!(records(&mut reading, 1)[0].0, 10);
    let gone = |wanted, low, end| Item::Gone {
        log: Log::Deltas,
        wanted: Position(wanted),
        low: Position(low),
        end: Position(end),
    };
    let mut late = deltas(&config, Some(5));
    assert_eq!(next(&mut late), gone(5, 6, 11));
    assert_eq!(late.next(Duration::from_millis(300)), None, "until it is told to go on");
    late.go_on(Log::Deltas, None);
    assert_eq!(records(&mut late, 5)[0], (6, b"6".to_vec()));
    assert_eq!(records(&mut deltas(&config, None), 5)[0].0, 6);
    assert_eq!(next(&mut deltas(&config, Some(12))), gone(12, 6, 11));

    // Deleted and made anew.
    delete(&kafka, &config.deltas);
    eventually("it is gone", || {
        let found = own::look(&kafka.client(), &own::all(&config)[2], &place(&config));
        if let Some(item) = reading.next(Duration::from_millis(10)) {
            assert!(matches!(item, Item::End { .. }), "{item:?}");
        }
        found.is_ok_and(|found| found.is_none())
    });
    let again = self::appender(&config);
    assert_eq!(next(&mut reading), gone(11, 0, 0));
    reading.go_on(Log::Deltas, None);
    append(&again, ["anew".to_owned()]);
    assert_eq!(records(&mut reading, 1), [(0, b"anew".to_vec())]);
    // Who wrote before writes again, if not at once.
    let mut number = 0;
    eventually("the other writes", || {
        number += 1;
        append(&appender, [format!("old {number}")]);
        matches!(reading.next(Duration::from_millis(500)), Some(Item::Record { bytes, .. }) if bytes.starts_with(b"old"))
    });
    println!("a writer to the topic before wrote again with entry {number}");
}

fn place(config: &Kafka) -> atalaya::kafka::errors::Place {
    atalaya::kafka::errors::Place::new(config)
}

#[test]
fn what_is_too_large_or_too_much_is_refused() {
    let Some(kafka) = shared() else { return };
    let config = config(&kafka, "large");
    let problems = Problems::default();
    let appender = Appender::start(&config, problems.clone()).unwrap();
    let mut tail = deltas(&config, None);
    // Bytes that do not compress, of nearly the most that a topic takes.
    let word = |number: u64| xxhash_rust::xxh3::xxh3_64(&number.to_le_bytes()).to_le_bytes();
    let large: Vec<u8> = (0..2_000_000).flat_map(word).collect();
    appender.append(Log::Deltas, &large).unwrap();
    assert_eq!(appender.flush(PATIENCE), Ok(()));
    assert!(records(&mut tail, 1)[0].1 == large);
    appender.append(Log::Deltas, &vec![0; 17 << 20]).unwrap();
    let told = problems.open();
    assert!(
        told.iter().any(|problem| problem.kind == Kind::Logs && problem.text.contains("17825792 bytes")),
        "{told:?}"
    );
    assert_eq!(appender.counters().refused, 1);
    append(&appender, ["small".to_owned()]);
    assert_eq!(records(&mut tail, 1)[0].1, b"small");
    assert!(problems.open().is_empty(), "{:?}", problems.open());

    // Nobody takes it: there is an end to what is kept.
    kafka_that_is_not_there(&config);
}

fn kafka_that_is_not_there(config: &Kafka) {
    let nowhere = Kafka { brokers: vec!["127.0.0.1:1".into()], ..config.clone() };
    let appender = appender(&nowhere);
    let entry = vec![1; 8 << 20];
    let taken = (0..100).take_while(|_| appender.append(Log::Deltas, &entry) == Ok(())).count();
    assert!((1..=8).contains(&taken), "{taken}");
    assert_eq!(appender.append(Log::Deltas, &entry), Err(Full));
    assert_eq!(appender.flush(Duration::from_millis(5)), Err(taken));
    assert_eq!(appender.counters().full, 2);
}

#[test]
fn a_broker_that_stops_is_waited_for() {
    let Some(kafka) = RealKafka::start() else { return };
    let config = config(&kafka, "stopped");
    let problems = Problems::default();
    let appender = Appender::start(&config, problems.clone()).unwrap();
    let mut tail = tail(&config, &problems, &[(Log::Deltas, None)]);
    append(&appender, ["before".to_owned()]);
    assert_eq!(records(&mut tail, 1)[0].1, b"before");
    kafka.kill();
    eventually("it is said that nothing answers", || {
        while tail.next(Duration::from_millis(20)).is_some() {}
        problems.open().iter().any(|problem| problem.kind == Kind::Unreachable)
    });
    let (before, begun) = (cpu(), Instant::now());
    appender.append(Log::Deltas, b"meanwhile").unwrap();
    while begun.elapsed() < Duration::from_secs(3) {
        assert_eq!(tail.next(Duration::from_millis(500)), None);
    }
    let busy = (cpu() - before).as_secs_f64() / begun.elapsed().as_secs_f64();
    println!("{busy:.3} of a core while the broker is down");
    assert!(busy < 0.2, "{busy}");
    kafka.run_again(&[]);
    let begun = Instant::now();
    let mut heard = Vec::new();
    eventually("it comes back", || {
        if let Some(Item::Record { bytes, .. }) = tail.next(Duration::from_millis(20)) {
            heard.push(bytes);
        }
        problems.open().iter().all(|problem| problem.kind != Kind::Unreachable)
    });
    println!("back {:?} after the broker", begun.elapsed());
    append(&appender, ["after".to_owned()]);
    while heard.last().is_none_or(|last| last != b"after") {
        heard.push(records(&mut tail, 1).remove(0).1);
    }
    // What waited longer than its patience is not there: it was raised, and is its writer's to append again.
    heard.retain(|entry| entry != b"meanwhile");
    assert_eq!(heard, [b"after"]);
}

/// What this process has used of all cores.
fn cpu() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

#[test]
fn a_topic_that_will_not_do_is_named() {
    let Some(kafka) = shared() else { return };
    let config = config(&kafka, "wrong");
    // As somebody makes it who does not know what for.
    let spec = atalaya::kafka::topics::TopicSpec {
        name: config.deltas.clone(),
        partitions: 3,
        settings: vec![("cleanup.policy", "compact,delete"), ("retention.ms", "60000")],
    };
    let made = atalaya::kafka::topics::create(&kafka.client(), &spec, PATIENCE);
    assert_eq!(made, atalaya::kafka::topics::Made::Created);
    let problems = Problems::default();
    let _appender = Appender::start(&config, problems.clone()).unwrap();
    eventually("all that is wrong is said", || problems.open().len() >= 5);
    let mut places: Vec<_> = problems.open().into_iter().map(|problem| problem.place).collect();
    places.sort();
    let wrong = ["cleanup.policy", "max.message.bytes", "message.timestamp.type", "partitions", "retention.ms"];
    assert_eq!(places, wrong.map(|setting| format!("wrong.deltas {setting}")));
    // Those that were made by us are right.
    for own in own::all(&config).iter().filter(|own| own.spec.name.starts_with("wrong.") && own.key != "kafka.deltas") {
        eventually("it is made", || own::look(&kafka.client(), own, &place(&config)) == Ok(Some(Vec::new())));
    }
}

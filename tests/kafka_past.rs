//! `backtest --from T --to T` out of a real Apache Kafka, held against `backtest --events` over the same events.
#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::process::Output;

use atalaya::domain::{Millis, Timestamp};
use atalaya::sim::{Settings, SimEvent, Simulation, Topic};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use support::kafka::{Line, PATIENCE, RealKafka, free_port, shared};
use support::program::{Files, command};

const MATRIX: &str = "
version: 1
name: m
language: en
contacts: { lead: { email: lead@acme.example } }
rows:
  - indicator: waiting
    goal: \"< 2\"
    ranges: [{ when: \"< 2\", level: ok }, { when: \">= 2\", level: warning, tell: [lead], repeat: 5m }]
  - indicator: occupancy
    window: 15m
    per: queue
    goal: \"< 0.7\"
    ranges: [{ when: \"< 0.7\", level: ok }, { when: \">= 0.7\", level: warning, for: 1m, tell: [lead] }]
";

/// A floor's events in the order of their times.
fn events() -> Vec<SimEvent> {
    let start = Timestamp::parse("2026-11-20T13:00:00Z").unwrap();
    let until = start + Millis(3 * Millis::HOUR.0);
    let mut all: Vec<SimEvent> = Simulation::new(Settings { scale: 0.3, ..Settings::new(11, start) })
        .take_while(|event| event.sent < until)
        .collect();
    all.sort_by_key(|event| event.time);
    assert!(all.len() > 2_000, "{}", all.len());
    all
}

fn topic(name: &str, event: &SimEvent) -> String {
    match event.topic {
        Topic::AgentStates => format!("{name}-agents"),
        _ => format!("{name}-interactions"),
    }
}

/// Writes them with their own times as Kafka timestamps, and a configuration that names the topics.
fn record(broker: &RealKafka, name: &str, events: &[SimEvent], files: &Files) -> String {
    for (kind, partitions) in [("interactions", 3), ("agents", 2)] {
        let of = format!("{name}-{kind}");
        broker.create_topic(&of, partitions);
        let lines = events.iter().filter(|event| topic(name, event) == of).map(|event| Line {
            key: Some(event.key.clone().into_bytes()),
            payload: Some(event.json.clone().into_bytes()),
            timestamp: Some(event.time.0),
            ..Line::default()
        });
        broker.produce(&of, lines);
    }
    files.write("matrices/m.yaml", MATRIX);
    configuration(files, &broker.bootstrap(), name)
}

fn configuration(files: &Files, brokers: &str, name: &str) -> String {
    let text = format!(
        "time_zone: America/Bogota\nkafka: {{ brokers: [\"{brokers}\"], group: {name} }}\nsources:\n  \
         - {{ topic: {name}-interactions, silent_after: 1h }}\n  - {{ topic: {name}-agents, silent_after: 1h }}\n\
         webhooks: {{ desk: {{ url: \"https://h.example/\", secret_file: /is/not/there }} }}\n"
    );
    files.write("c.yaml", &text).display().to_string()
}

fn backtest(files: &Files, config: &str, more: &[&str]) -> Output {
    let matrices = files.path("matrices").display().to_string();
    let mut arguments = vec!["backtest", "-c", config, "-m", &matrices, "--format", "json"];
    arguments.extend(more);
    command(&arguments)
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The lines of `from` or later.
fn since(text: &str, from: &str) -> String {
    let time =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["time"].as_str().unwrap().to_owned();
    let from = Timestamp::parse(from).unwrap();
    text.lines().filter(|line| Timestamp::parse(&time(line)).unwrap() >= from).map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_past_out_of_kafka_is_the_past_out_of_a_file() {
    let Some(broker) = shared() else { return };
    let (files, events) = (Files::new(), events());
    let config = record(&broker, "past", &events, &files);
    let file = |name: &str, keep: &dyn Fn(&SimEvent) -> bool| {
        let lines: String =
            events.iter().filter(|event| keep(event)).map(|event| format!("{}\n", event.json)).collect();
        files.write(name, &lines).display().to_string()
    };
    let whole = file("all.ndjson", &|_| true);
    let sampled = ["--every", "10m", "--indicators", "asa,backlog,state_time"];
    let with =
        |more: &[&'static str]| -> Vec<String> { more.iter().chain(&sampled).map(ToString::to_string).collect() };
    let run = |more: Vec<String>| backtest(&files, &config, &more.iter().map(String::as_str).collect::<Vec<_>>());

    let expected = printed(&run([vec!["--events".to_owned(), whole.clone()], with(&[])].concat()));
    assert!(expected.lines().count() > 500 && expected.contains("\"notification\""));
    // A file ends with the multiple of --every after its last event; what is of --to is not printed.
    let output = run(with(&["--from", "2026-11-20T13:00:00Z", "--to", "2026-11-20T16:00:01Z"]));
    assert!(printed(&output) == expected, "all of it, byte for byte");
    assert!(said(&output).contains(&format!("\n{} records", events.len())), "{}", said(&output));

    // Time goes on until --to, where nothing comes any more.
    let longer = printed(&run(with(&["--from", "2026-11-20T13:00:00Z", "--to", "2026-11-20T17:00:00Z"])));
    assert!(longer.starts_with(&expected));
    assert!(!since(&longer, "2026-11-20T16:50:00Z").is_empty() && since(&longer, "2026-11-20T17:00:00Z").is_empty());

    // The middle, in the site's own time: what was before is known and not printed, what was after is not read.
    let end = Timestamp::parse("2026-11-20T15:00:00Z").unwrap();
    let cut = file("cut.ndjson", &|event| event.time < end);
    let cut = printed(&run([vec!["--events".to_owned(), cut], with(&[])].concat()));
    let middle = printed(&run(with(&["--from", "2026-11-20 09:00", "--to", "2026-11-20 10:00"])));
    let (rest, end) = (since(&cut, "2026-11-20T14:00:00Z"), since(&cut, "2026-11-20T15:00:00Z"));
    assert!(rest == middle.clone() + &end && middle.lines().count() > 100 && !end.is_empty());

    // Two matrices are compared alike.
    let other = files.path("other.yaml").display().to_string();
    std::fs::write(&other, MATRIX.replace("2\"", "4\"")).unwrap();
    let against = printed(&backtest(&files, &config, &["--against", &other, "--events", &whole]));
    // The file ends with the second after its last event.
    let end = (events.last().unwrap().time.floor_to(Millis::SECOND) + Millis(2_000)).to_string();
    let stretch = ["--from", "2026-11-20T13:00:00Z", "--to", &end];
    assert_eq!(printed(&backtest(&files, &config, &[&["--against", &other][..], &stretch].concat())), against);

    // No group was joined and nothing was committed.
    let consumer: BaseConsumer = broker.client().create().unwrap();
    let groups = consumer.fetch_group_list(None, PATIENCE).unwrap();
    assert!(groups.groups().iter().all(|group| group.name() != "past"));
    assert_eq!(broker.committed("past", "past-interactions", 3), [None, None, None]);
}

/// A desk that is closed from Friday to Monday, and producers whose clocks are wrong.
#[test]
fn a_weekend_is_no_wrong_clock_and_a_wrong_clock_no_end() {
    let Some(broker) = shared() else { return };
    let files = Files::new();
    files.write("matrices/m.yaml", MATRIX);
    let config = configuration(&files, &broker.bootstrap(), "weekend");
    broker.create_topic("weekend-interactions", 1);
    broker.create_topic("weekend-agents", 1);
    let queued = |id: &str| {
        format!("\"type\":\"interaction.queued\",\"interaction\":\"{id}\",\"queue\":\"q\",\"channel\":\"voice\"")
    };
    let beat = "\"type\":\"feed.heartbeat\"".to_owned();
    let line = |recorded: &str, time: &str, rest: &str| Line {
        payload: Some(format!("{{\"time\":\"{time}\",{rest}}}").into_bytes()),
        timestamp: Some(Timestamp::parse(recorded).unwrap().0),
        ..Line::default()
    };
    let (friday, monday) = ("2026-11-13T18:00:00Z", "2026-11-16T13:00:00Z");
    let (ahead, last) = ("2026-11-19T00:00:00Z", "2026-11-16T13:00:10Z");
    let lines = [
        line(friday, friday, &beat),
        // Dated beyond the stretch: it is passed over, and what comes after it is read.
        line(ahead, ahead, &queued("ahead")),
        line(monday, monday, &queued("one")),
        // Recorded now, and of next week: that clock is wrong.
        line(monday, "2026-11-23T13:00:00Z", &queued("wrong")),
        line(last, last, &queued("two")),
    ];
    broker.produce("weekend-interactions", lines);
    let stretch = ["--from", "2026-11-13T17:00:00Z", "--to", "2026-11-16T13:10:11Z", "--indicators", "waiting"];
    let output = backtest(&files, &config, &stretch);
    let printed = printed(&output);
    let lines: Vec<serde_json::Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let times = |kind: &str| -> Vec<&str> {
        lines.iter().filter(|line| line["kind"] == kind).map(|line| line["time"].as_str().unwrap()).collect()
    };
    assert_eq!(times("transition"), ["2026-11-16T13:00:11Z"], "{printed}");
    // Repeated after five minutes; after ten it is 13:10:11.
    assert_eq!(times("notification"), ["2026-11-16T13:00:11Z", "2026-11-16T13:05:11Z"], "{printed}");
    let sampled = times("indicator");
    assert!(!sampled.is_empty() && sampled.iter().all(|time| *time == "2026-11-16T13:10:10Z"), "{printed}");
    let text = said(&output);
    assert!(text.contains("4 records\nrejected 1 as too_far_ahead") && text.contains("offset 3"), "{text}");
}

#[test]
fn what_is_not_there_is_said() {
    let Some(broker) = shared() else { return };
    let (files, events) = (Files::new(), events());
    let config = record(&broker, "trimmed", &events, &files);
    let run = |config: &str, from: &str| backtest(&files, config, &["--from", from, "--to", "2026-11-20T17:00:00Z"]);

    // The first half of each partition is deleted, as retention does it.
    let admin: AdminClient<DefaultClientContext> = broker.client().create().unwrap();
    let middle = events.iter().filter(|event| topic("trimmed", event) == "trimmed-interactions").count() as i64 / 6;
    let mut list = TopicPartitionList::new();
    for partition in 0..3 {
        list.add_partition_offset("trimmed-interactions", partition, Offset::Offset(middle)).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(admin.delete_records(&list, &AdminOptions::new())).unwrap();
    let output = run(&config, "2026-11-20T13:10:00Z");
    let text = said(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    let begins = text.split("holds nothing from before ").nth(1).and_then(|rest| rest.split(':').next().map(|_| rest));
    let begins = begins.and_then(|rest| rest.get(..24)).and_then(Timestamp::parse).unwrap_or_else(|| panic!("{text}"));
    let first = |from: Timestamp| format!("{}", from.floor_to(Millis::SECOND) + Millis::SECOND);
    assert!(begins > Timestamp::parse("2026-11-20T13:10:00Z").unwrap() && text.contains("--from"), "{text}");
    let output = run(&config, &first(begins));
    assert!(output.status.success() && said(&output).contains("what was before has been deleted"), "{}", said(&output));

    let output = run(&configuration(&files, &broker.bootstrap(), "absent"), "2026-11-20T13:00:00Z");
    let text = said(&output);
    assert!(
        output.status.code() == Some(2) && text.contains("`absent-interactions` of `sources` does not exist"),
        "{text}"
    );
    let output = run(&configuration(&files, &format!("127.0.0.1:{}", free_port()), "away"), "2026-11-20T13:00:00Z");
    let text = said(&output);
    assert!(
        output.status.code() == Some(1) && text.contains("does not answer") && text.contains("127.0.0.1:"),
        "{text}"
    );
    for (from, expected) in
        [("2026-11-20T17:00:00Z", "is not after --from"), ("yesterday", "--from `yesterday` is not a time")]
    {
        let output = run(&config, from);
        assert!(output.status.code() == Some(2) && said(&output).contains(expected), "{}", said(&output));
    }
}

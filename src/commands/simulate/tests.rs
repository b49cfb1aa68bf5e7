use std::sync::{Arc, Mutex};

use clap::{Args, Command, FromArgMatches};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::*;

fn arguments(line: &str) -> Result<Simulate, clap::Error> {
    let command = Simulate::augment_args(Command::new("simulate").no_binary_name(true));
    Simulate::from_arg_matches(&command.try_get_matches_from(line.split_whitespace())?)
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What the arguments write to standard output.
async fn written(line: &str) -> Result<String, Stop> {
    let args = arguments(line).unwrap();
    let buffer = Buffer::default();
    let mut sink = Sink::lines(buffer.clone());
    match &args.replay {
        Some(file) => replay(&args, file, &mut sink).await?,
        None => synthesize(&args, &mut sink).await?,
    }
    sink.finish().await?;
    let bytes = buffer.0.lock().unwrap().clone();
    Ok(String::from_utf8(bytes).unwrap())
}

#[test]
fn arguments_are_read_or_refused() {
    Simulate::augment_args(Command::new("simulate")).debug_assert();
    let args = arguments("--incident avalanche@10m/1h --disorder 0.1/5m --speed 2.5").unwrap();
    let incident = Incident { kind: IncidentKind::Avalanche, at: Millis(600_000), duration: Millis::HOUR };
    assert_eq!(args.incident, Some(incident));
    assert_eq!(args.disorder, Some((0.1, Millis(300_000))));
    assert_eq!(args.speed, Some(2.5));
    for line in [
        "--incident avalanche",
        "--incident fire@10m",
        "--incident avalanche@soon",
        "--duplicates 1.5",
        "--disorder 0.1/x",
        "--speed 0",
        "--speed inf",
        "--scale 0",
        "--start 2026-11-23T09:00:00",
        "--time-zone Nowhere/Land",
        "--curve round",
        "--shift start",
        "--replay x --history 2h",
        "--start 2026-11-23T09:00:00Z --history 2h",
        "--kafka-property x",
    ] {
        assert!(arguments(line).is_err(), "{line}");
    }
}

#[test]
fn history_is_before_now_and_the_incident_after() {
    let now = Timestamp(1_000_000_000);
    let args = arguments("--history 2h --duration 1h --incident agents-gone@20s/10m").unwrap();
    let (settings, live) = settings(&args, now);
    assert_eq!((settings.start, live, settings.until), (now - Millis(7_200_000), now, Some(now + Millis::HOUR)));
    assert_eq!(settings.incident.map(|incident| incident.at), Some(Millis(7_220_000)));
    assert_eq!(speed(&args), Some(1.0));
    for (line, expected) in [
        ("", None),
        ("--speed 3", Some(3.0)),
        ("--brokers x:1", Some(1.0)),
        ("--brokers x:1 --replay f", None),
        ("--replay f --speed 60", Some(60.0)),
    ] {
        assert_eq!(speed(&arguments(line).unwrap()), expected, "{line}");
    }
}

#[tokio::test]
async fn standard_output_is_the_same_for_the_same_arguments() {
    let line = "--seed 5 --start 2026-11-23T09:00:00-05:00 --time-zone America/Bogota --duration 5m --garbage 0.01";
    let Ok(first) = written(line).await else { panic!() };
    assert!(first.lines().count() > 500, "{}", first.lines().count());
    assert!(first.starts_with(r#"{"id":""#), "{}", first.lines().next().unwrap_or(""));
    assert!(written(line).await.is_ok_and(|second| second == first));
}

#[tokio::test]
async fn a_replay_is_moved_as_a_whole() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let record = |time: &str| format!(r#"{{"id":"x", "type":"interaction.parked","interaction":"i","time":{time}}}"#);
    let times = ["\"1999-08-01T00:10:10+03:00\"", "\"1999-08-01T00:10:00+03:00\"", "933455412000"];
    let [first, second, third] = times.map(record);
    std::fs::write(file.path(), format!("{first}\nnot json\n\n{second}\r\n{third}")).unwrap();
    let path = file.path().display();

    let Ok(same) = written(&format!("--replay {path} --shift none")).await else { panic!() };
    assert_eq!(same, format!("{first}\nnot json\n{second}\n{third}\n"));

    for (shift, index) in [("end", 3), ("start", 2)] {
        let before = clock::now();
        let Ok(moved) = written(&format!("--replay {path} --shift {shift}")).await else { panic!() };
        let after = clock::now();
        let lines: Vec<&str> = moved.lines().collect();
        assert_eq!(lines.get(1), Some(&"not json"));
        let time = |index: usize| Line::read(lines[index]).time().unwrap();
        assert!((before..=after).contains(&time(index)), "{shift}: {moved}");
        assert_eq!(time(0) - time(2), Millis(10_000));
        assert_eq!(time(3) - time(0), Millis(2_000));
        assert!(lines[0].ends_with("+03:00\"}"), "{}", lines[0]);
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_the_users_fault() {
    match written("--replay /no/such/file").await {
        Err(Stop::Failed(failure @ Failure::User(_))) => assert!(failure.to_string().contains("/no/such/file")),
        _ => panic!(),
    }
}

#[tokio::test]
async fn a_broker_that_is_not_there_ends_the_run() {
    let args = arguments("--brokers 127.0.0.1:1 --duration 1s").unwrap();
    match run(args).await {
        Err(failure @ Failure::Run(_)) => assert!(failure.to_string().contains("127.0.0.1:1"), "{failure}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn kafka_gets_key_and_event_time() {
    let cluster = MockCluster::new(1).unwrap();
    for topic in ["atalaya.interactions", "atalaya.agent-states"] {
        cluster.create_topic(topic, 1, 1).unwrap();
    }
    let brokers = cluster.bootstrap_servers();
    let line = "--seed 5 --start 2026-11-23T09:00:00Z --duration 2m --speed 1000000";
    let Ok(expected) = written(line).await else { panic!() };
    let args = arguments(&format!("{line} --brokers {brokers}")).unwrap();
    run(args).await.unwrap();

    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .set("group.id", "test")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for topic in ["atalaya.interactions", "atalaya.agent-states"] {
        list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut sent, mut ends) = (Vec::new(), 0);
    while ends < 2 {
        let message = match consumer.poll(Duration::from_secs(20)).unwrap() {
            Ok(message) => message,
            Err(KafkaError::PartitionEOF(_)) => {
                ends += 1;
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let json = String::from_utf8(message.payload().unwrap().to_vec()).unwrap();
        let line = Line::read(&json);
        assert_eq!(message.timestamp().to_millis(), line.time().map(|time| time.0));
        assert_eq!(message.key().map(String::from_utf8_lossy), line.key);
        if line.key.as_deref() != Some("feed") {
            assert_eq!(line.topic == Topic::AgentStates, message.topic() == "atalaya.agent-states");
        }
        sent.push(json);
    }
    assert!(sent.iter().any(|json| json.contains("interaction.arrived")));
    let mut expected: Vec<&str> = expected.lines().collect();
    expected.sort();
    sent.sort();
    assert_eq!(sent, expected);
}

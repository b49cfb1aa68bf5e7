//! A real Apache Kafka for a test, by `deploy/kafka-local`; and what a test wants to do with one.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use atalaya::config::Kafka;
use atalaya::kafka::topics::{self, Made, TopicSpec};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// A running broker with a data folder of its own; ended with its last handle.
pub struct RealKafka {
    port: u16,
    data: tempfile::TempDir,
}

/// A record to write.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub partition: Option<i32>,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    /// Kafka timestamp in epoch milliseconds; now when `None`.
    pub timestamp: Option<i64>,
}

/// A record read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumed {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    /// Kafka timestamp in epoch milliseconds.
    pub timestamp: Option<i64>,
    pub headers: BTreeMap<String, String>,
}

static SHARED: Mutex<Weak<RealKafka>> = Mutex::new(Weak::new());

/// One broker for all tests of a file that run at the same time. `None` where Java or Maven is absent (said).
pub fn shared() -> Option<Arc<RealKafka>> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = shared.upgrade() {
        return Some(running);
    }
    let started = Arc::new(RealKafka::start()?);
    *shared = Arc::downgrade(&started);
    Some(started)
}

/// A port that is free together with the next one.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..500 {
        // Below the range from which outgoing connections take theirs; spread by process, since test files run at once,
        // and processes that start together have numbers that lie together.
        let step = NEXT.fetch_add(2, Ordering::Relaxed);
        let spread = std::process::id().wrapping_mul(2_654_435_761) >> 16;
        let port = 20_000 + (spread as u16 % 6_000 * 2 + step) % 12_000;
        if both_free(port) {
            return port;
        }
    }
    panic!("no free port");
}

fn both_free(port: u16) -> bool {
    [port, port + 1].into_iter().all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
}

/// `deploy/kafka-local` with these arguments.
pub fn script(arguments: &[&str]) -> std::process::Output {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kafka-local");
    Command::new(path).args(arguments).stdin(Stdio::null()).output().expect("deploy/kafka-local runs")
}

impl RealKafka {
    pub fn start() -> Option<RealKafka> {
        // A port that was free may be taken by whoever starts at the same moment: another one is tried.
        let mut tries = 0;
        loop {
            tries += 1;
            match RealKafka::try_on(free_port(), &[]) {
                Ok(started) => return started,
                Err(why) => {
                    eprintln!("{why}");
                    assert!(tries < 3, "no broker starts: {why}");
                }
            }
        }
    }

    pub fn start_on(port: u16) -> Option<RealKafka> {
        RealKafka::try_on(port, &[]).expect("a broker starts")
    }

    /// `None` where what it needs is absent.
    fn try_on(port: u16, settings: &[&str]) -> Result<Option<RealKafka>, String> {
        for program in ["java", "mvn"] {
            let there = Command::new(program).arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            if !there.is_ok_and(|status| status.success()) {
                super::skip(&format!(
                    "{program} is absent, so no real Kafka (apt-get install maven openjdk-17-jre-headless)"
                ));
                return Ok(None);
            }
        }
        let kafka = RealKafka { port, data: tempfile::tempdir().expect("a folder") };
        kafka.try_to_run(settings).map(|()| Some(kafka))
    }

    /// With lines of `server.properties` that `settings` makes of the port.
    pub fn start_with(settings: impl Fn(u16) -> Vec<String>) -> Option<RealKafka> {
        let port = free_port();
        let lines = settings(port);
        let arguments: Vec<&str> = lines.iter().flat_map(|line| ["--set", line]).collect();
        RealKafka::try_on(port, &arguments).expect("a broker starts")
    }

    /// Starts the broker once more over the same data.
    pub fn run_again(&self, more: &[&str]) {
        let mut tries = 0;
        while let Err(why) = self.try_to_run(more) {
            tries += 1;
            assert!(tries < 3, "the broker does not start again: {why}");
            eprintln!("{why}");
        }
    }

    /// Kills the broker and waits until it is no more: a dying one still has its ports and locks.
    pub fn kill(&self) {
        let Some(pid) = self.pid() else { return };
        self.signal("KILL");
        // A process that nobody has buried yet has no command line any more.
        let gone = || std::fs::read(format!("/proc/{pid}/cmdline")).map_or(true, |line| line.is_empty());
        eventually("the broker is dead", || gone() && both_free(self.port));
    }

    fn pid(&self) -> Option<String> {
        let pid = std::fs::read_to_string(self.data.path().join("kafka/kafka.pid")).ok()?;
        Some(pid.trim().to_owned())
    }

    fn try_to_run(&self, more: &[&str]) -> Result<(), String> {
        let (port, data) = (self.port.to_string(), self.data_folder());
        let mut arguments = vec!["start", "--port", &port, "--data", &data, "--heap", "384m"];
        arguments.extend(more);
        let output = script(&arguments);
        let said = || format!("kafka-local: {}", String::from_utf8_lossy(&output.stderr));
        if output.status.success() { Ok(()) } else { Err(said()) }
    }

    fn data_folder(&self) -> String {
        self.data.path().join("kafka").to_string_lossy().into_owned()
    }

    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What lies on its disk of all partitions of a topic, as it was written: batches with their heads, compressed where they were.
    pub fn bytes_of(&self, topic: &str) -> u64 {
        let is_partition = |name: &str| name.rsplit_once('-').is_some_and(|(of, _)| of == topic);
        let entries =
            |folder: &Path| std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
        entries(&self.data.path().join("kafka/log"))
            .filter(|folder| is_partition(&folder.file_name().to_string_lossy()))
            .flat_map(|folder| entries(&folder.path()))
            .filter(|file| file.path().extension().is_some_and(|extension| extension == "log"))
            .map(|file| file.metadata().expect("its length").len())
            .sum()
    }

    /// `STOP`, `CONT`, `KILL`, ... to the broker's whole process group.
    pub fn signal(&self, signal: &str) {
        let Some(pid) = self.pid() else { return };
        let group = format!("-{pid}");
        let _ = Command::new("kill").args(["-s", signal, "--", &group]).stderr(Stdio::null()).status();
    }

    /// The configuration of a product that reads here.
    pub fn config(&self, group: &str) -> Kafka {
        config(&self.bootstrap(), group)
    }

    pub fn create_topic(&self, name: &str, partitions: i32) {
        let spec = TopicSpec { name: name.to_owned(), partitions, settings: vec![("retention.ms", "-1")] };
        let create = || topics::create(&self.client(), &spec, Duration::from_secs(20));
        let mut made = create();
        // A broker among a dozen that have just started may not answer in time.
        if matches!(made, Made::NotYet(_)) {
            made = create();
        }
        assert!(matches!(made, Made::Created | Made::Existed), "topic {name}: {made:?}");
    }

    /// Raises a topic's number of partitions.
    pub fn grow_topic(&self, name: &str, partitions: usize) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().expect("an admin client");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let grown = runtime.block_on(admin.create_partitions([&NewPartitions::new(name, partitions)], &options));
        assert!(grown.is_ok_and(|results| results.iter().all(Result::is_ok)), "topic {name} did not grow");
    }

    pub fn delete_topic(&self, name: &str) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().expect("an admin client");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let deleted = runtime.block_on(admin.delete_topics(&[name], &options));
        assert!(deleted.is_ok_and(|results| results.iter().all(Result::is_ok)), "topic {name} was not deleted");
    }

    pub fn client(&self) -> ClientConfig {
        client(&self.bootstrap())
    }

    pub fn produce(&self, topic: &str, lines: impl IntoIterator<Item = Line>) {
        produce(&self.bootstrap(), topic, lines);
    }

    /// Everything in the topic now, by partition and offset.
    pub fn consume_all(&self, topic: &str) -> Vec<Consumed> {
        self.consume_from(topic, &BTreeMap::new())
    }

    /// Everything in the topic now, of these partitions from these offsets on.
    pub fn consume_from(&self, topic: &str, from: &BTreeMap<i32, i64>) -> Vec<Consumed> {
        // Without a group librdkafka does not assign; it is never joined.
        let consumer: BaseConsumer = self.client().set("group.id", "consume-all").create().expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("metadata");
        let partitions: Vec<i32> = metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions().iter().map(|partition| partition.id()))
            .collect();
        let mut assignment = TopicPartitionList::new();
        let mut left = BTreeMap::new();
        for partition in partitions {
            let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE).expect("watermarks");
            let low = from.get(&partition).copied().unwrap_or(low);
            if high > low {
                assignment.add_partition_offset(topic, partition, Offset::Offset(low)).expect("an offset");
                left.insert(partition, high);
            }
        }
        consumer.assign(&assignment).expect("assigned");
        let mut all = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while !left.is_empty() {
            assert!(Instant::now() < deadline, "topic {topic} was not read to its end");
            let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
            let message = message.expect("a message");
            if left.get(&message.partition()).is_some_and(|high| message.offset() + 1 >= *high) {
                left.remove(&message.partition());
            }
            let headers = message.headers().map(|headers| {
                let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
                headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
            });
            all.push(Consumed {
                partition: message.partition(),
                offset: message.offset(),
                key: message.key().map(<[u8]>::to_vec),
                payload: message.payload().map(<[u8]>::to_vec),
                timestamp: message.timestamp().to_millis(),
                headers: headers.unwrap_or_default(),
            });
        }
        all.sort_by_key(|record| (record.partition, record.offset));
        all
    }

    /// What the group has committed, per partition; `None` where nothing.
    pub fn committed(&self, group: &str, topic: &str, partitions: i32) -> Vec<Option<i64>> {
        let mut config = self.client();
        config.set("group.id", group);
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, partitions - 1);
        let list = consumer.committed_offsets(list, PATIENCE).expect("committed offsets");
        let offset = |partition| match list.find_partition(topic, partition).map(|found| found.offset()) {
            Some(Offset::Offset(offset)) => Some(offset),
            _ => None,
        };
        (0..partitions).map(offset).collect()
    }
}

impl Drop for RealKafka {
    fn drop(&mut self) {
        // Nothing of it is kept, so it need not end in order; a stopped one could not.
        self.signal("KILL");
    }
}

pub const PATIENCE: Duration = Duration::from_secs(90);

pub fn config(bootstrap: &str, group: &str) -> Kafka {
    Kafka {
        brokers: vec![bootstrap.to_owned()],
        group: group.to_owned(),
        instance: Some(format!("{group}-1")),
        ..Kafka::default()
    }
}

pub fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("enable.metrics.push", "false");
    config
}

/// Writes and waits until all is confirmed.
pub fn produce(bootstrap: &str, topic: &str, lines: impl IntoIterator<Item = Line>) {
    let producer: BaseProducer = client(bootstrap)
        .set("linger.ms", "5")
        .set("queue.buffering.max.messages", "1000000")
        .create()
        .expect("a producer");
    for line in lines {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic);
        record.key = line.key.as_deref();
        record.payload = line.payload.as_deref();
        record.partition = line.partition;
        record.timestamp = line.timestamp;
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((error, back)) => {
                    assert_eq!(
                        error.rdkafka_error_code(),
                        Some(rdkafka::types::RDKafkaErrorCode::QueueFull),
                        "{error}"
                    );
                    record = back;
                    producer.poll(Duration::from_millis(20));
                }
            }
        }
    }
    producer.flush(PATIENCE).expect("all written");
}

/// Waits until `done`, and fails with `what` when it takes too long.
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

//! A real Kafka, a receiver of webhooks, and instances of the program that come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use atalaya::domain::Timestamp;
use serde_json::Value;

use crate::judge::Refused;
use crate::support::kafka::{RealKafka, eventually, free_port};
use crate::support::program::Program;
use crate::support::receiver::Receiver;
use crate::traffic::{AGENTS, EVENTS};

const MATRIX: &str = r#"
version: 1
name: chaos
language: en
scope: { queue: "alarm-*" }
flapping: { changes: 1000, within: 1m }
contacts:
  desk: { webhook: desk }
  boss: { webhook: boss }
rows:
  - indicator: waiting
    goal: "< 1"
    ranges:
      - { when: "< 3", level: ok }
      - when: ">= 3"
        level: warning
        tell: [desk]
        action: "Attend"
        escalate: [{ after: 5s, tell: [boss] }]
    recover: { for: 0s }
"#;

/// Long enough that many of those who tell are killed before they know that it was heard.
const ANSWERS_AFTER: Duration = Duration::from_millis(300);

pub struct Instance {
    name: String,
    port: u16,
    starts: u32,
    pub program: Option<Program>,
}

pub struct World {
    pub kafka: RealKafka,
    pub receiver: Receiver,
    pub folder: PathBuf,
    pub instances: Vec<Instance>,
    /// How many interactions begin a second.
    pub rate: Arc<AtomicU64>,
    pub refused: Refused,
    /// Interactions that a scenario has written by itself, and ended.
    pub probes: i64,
}

impl World {
    /// `None` where there is no Kafka.
    pub fn new(name: &str, instances: usize, rate: u64) -> Option<World> {
        let kafka = RealKafka::start()?;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("matrix.yaml"), MATRIX).expect("a file");
        kafka.create_topic(EVENTS, 4);
        kafka.create_topic(AGENTS, 2);
        let instance =
            |number| Instance { name: format!("floor-{number}"), port: free_port(), starts: 0, program: None };
        let instances = (0..instances).map(instance).collect();
        let receiver = Receiver::slow(ANSWERS_AFTER);
        let (rate, refused) = (Arc::new(AtomicU64::new(rate)), Refused::default());
        Some(World { kafka, receiver, folder, instances, rate, refused, probes: 0 })
    }

    pub fn start(&mut self, number: usize) {
        let (brokers, hook) = (self.kafka.bootstrap(), self.receiver.port);
        let instance = &mut self.instances[number];
        instance.starts += 1;
        let Instance { name, starts, .. } = instance;
        let threads = 1 + number % 2;
        let config = format!(
            r#"
kafka: {{ brokers: ["{brokers}"], group: chaos, instance: {name}, threads: {threads}, properties: {{ session.timeout.ms: "6000" }} }}
sources: [{{ topic: {EVENTS}, format: canonical }}, {{ topic: {AGENTS}, format: canonical }}]
matrices: [matrix.yaml]
webhooks:
  desk: {{ format: generic, url: "http://127.0.0.1:{hook}/desk" }}
  boss: {{ format: generic, url: "http://127.0.0.1:{hook}/boss" }}
"#
        );
        // Each start has a log of its own beside its configuration.
        let config_file = self.folder.join(format!("{name}.{starts}.yaml"));
        fs::write(&config_file, config).expect("a file");
        let level = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
        instance.program = Some(Program::start_at(&config_file, &[("RUST_LOG", &level)], instance.port));
    }

    pub fn program(&mut self, number: usize) -> Option<&mut Program> {
        self.instances[number].program.as_mut()
    }

    pub fn programs(&self) -> impl Iterator<Item = (&str, &Program)> {
        self.instances.iter().filter_map(|instance| Some((instance.name.as_str(), instance.program.as_ref()?)))
    }

    pub fn kill(&mut self, number: usize) {
        if let Some(mut program) = self.instances[number].program.take() {
            program.signal("KILL");
            program.ended(Duration::from_secs(10));
        }
    }

    /// All that are not there are started, and all become ready. None has ended by itself.
    pub fn all_ready(&mut self) {
        for number in 0..self.instances.len() {
            match self.program(number) {
                Some(program) => assert!(program.runs(), "floor-{number} has ended by itself"),
                None => self.start(number),
            }
        }
        self.programs().for_each(|(name, program)| eventually(name, || program.is_ready()));
    }

    /// The longest time in which nothing came into a log, and when that was.
    pub fn longest_gap(&self, topic: &str) -> String {
        let times: Vec<i64> = self.kafka.consume_all(topic).iter().filter_map(|record| record.timestamp).collect();
        let gaps = times.windows(2).map(|pair| (pair[1] - pair[0], Timestamp(pair[1])));
        let (gap, end) = gaps.max().unwrap_or((0, Timestamp(0)));
        format!("{:.1} s at most, until {end}", gap as f64 / 1000.0)
    }

    /// States of floors in the compacted topic, pieces of all states, how many of them no manifest names, and the bytes of these.
    pub fn pieces(&self) -> (usize, usize, usize, usize) {
        let mut last = BTreeMap::new();
        for record in self.kafka.consume_all("atalaya.snapshots") {
            last.insert(String::from_utf8(record.key.unwrap_or_default()).expect("a text"), record.payload);
        }
        let named = |value: &Option<Vec<u8>>| {
            let manifest: Value = serde_json::from_slice(value.as_deref()?).ok()?;
            manifest["id"].as_str().map(str::to_owned)
        };
        let ids: BTreeSet<String> = last.values().filter_map(named).collect();
        let floors = last.iter().filter(|(key, value)| key.contains("/floor/") && named(value).is_some()).count();
        let pieces = last.iter().filter_map(|(key, value)| Some((key.rsplit('/').nth(1)?, value.as_ref()?)));
        let pieces: Vec<_> = pieces.filter(|(id, value)| id.len() == 16 && value.first() != Some(&b'{')).collect();
        let left: Vec<_> = pieces.iter().filter(|(id, _)| !ids.contains(*id)).collect();
        (floors, pieces.len(), left.len(), left.iter().map(|(_, value)| value.len()).sum())
    }

    /// Lines of the logs that say something is wrong with the program.
    pub fn defects(&self) -> Vec<String> {
        let logs = fs::read_dir(&self.folder).expect("the folder").flatten().map(|entry| entry.path());
        let mut defects = Vec::new();
        for log in logs.filter(|path| path.extension().is_some_and(|extension| extension == "log")) {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let bad = text.lines().filter(|line| ["panicked", "defect"].iter().any(|word| line.contains(word)));
            defects.extend(bad.map(|line| format!("{}: {line}", log.display())));
        }
        defects
    }
}

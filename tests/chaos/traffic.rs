//! What producers write while things break, and what it must come to.
//!
//! A tenth of the events is sent late and out of order, a twentieth twice, a few are hours old, a few are no events at all. Alarms
//! are queues that fill until somebody has been told and empty until that has been taken back, however long both take: so
//! each of them is one incident, whatever stood still meanwhile.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use atalaya::clock;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};

use crate::support::receiver::Receiver;

pub const EVENTS: &str = "chaos.interactions";
pub const AGENTS: &str = "chaos.agents";
pub const QUEUES: usize = 4;
pub const ALARMS: usize = 3;
const PEOPLE: usize = 12;
/// How long an alarm may wait until somebody is told: the worst that is done here keeps anybody from deciding for a minute.
const TOLD_WITHIN: i64 = 150_000;

/// By queue and indicator: counts, and sums of milliseconds.
pub type Figures = BTreeMap<(String, &'static str), i64>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: i64,
    number: u64,
    topic: &'static str,
    key: String,
    payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Calm { until: i64 },
    Filling { since: i64 },
    Full { until: i64 },
    Emptying { since: i64 },
}

struct Alarm {
    queue: String,
    phase: Phase,
    waiting: Vec<String>,
    times: usize,
}

struct Person {
    state: &'static str,
    since: i64,
}

pub struct Traffic {
    rng: ChaCha8Rng,
    producer: BaseProducer,
    due: BinaryHeap<Reverse<Due>>,
    number: u64,
    /// Interactions a second.
    rate: u64,
    begun: i64,
    spawned: u64,
    pub figures: Figures,
    alarms: Vec<Alarm>,
    people: Vec<Person>,
    beat: i64,
    pub poison: usize,
    pub written: u64,
}

/// What the desk was told of a queue: the incidents that began, and those that ended.
pub fn told(receiver: &Receiver, queue: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut begun, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for request in receiver.taken().iter().filter(|request| request.path == "/desk") {
        let data = &request.json()["data"];
        if data["queue"] == queue {
            let of = if data["level"] == "ok" { &mut ended } else { &mut begun };
            of.insert(data["incident"].as_str().unwrap_or_default().to_owned());
        }
    }
    (begun, ended)
}

impl Traffic {
    pub fn new(seed: u64, rate: u64, client: &rdkafka::ClientConfig) -> Self {
        let mut client = client.clone();
        client.set("enable.idempotence", "true").set("linger.ms", "2").set("message.timeout.ms", "600000");
        let alarm = |number| Alarm {
            queue: format!("alarm-{number}"),
            phase: Phase::Calm { until: 0 },
            waiting: Vec::new(),
            times: 0,
        };
        Traffic {
            rng: ChaCha8Rng::seed_from_u64(seed),
            producer: client.create().expect("a producer"),
            due: BinaryHeap::new(),
            number: 0,
            rate,
            begun: 0,
            spawned: 0,
            figures: Figures::new(),
            alarms: (0..ALARMS).map(alarm).collect(),
            people: (0..PEOPLE).map(|_| Person { state: "offline", since: 0 }).collect(),
            beat: 0,
            poison: 0,
            written: 0,
        }
    }

    /// How many incidents there must have been of each alarm.
    pub fn incidents(&self) -> BTreeMap<String, usize> {
        self.alarms.iter().map(|alarm| (alarm.queue.clone(), alarm.times)).collect()
    }

    /// Writes until `stopped`, and then what is still due and the ends of what has begun. `steady`: one alarm that lasts as long,
    /// instead of many. The error: nobody was told of an alarm.
    pub fn run(&mut self, steady: bool, receiver: &Receiver, stopped: &dyn Fn() -> bool) -> Result<(), String> {
        (self.begun, self.spawned) = (clock::now().0, 0);
        let mut looked = 0;
        let mut failed = Ok(());
        loop {
            let (now, stop) = (clock::now().0, stopped());
            if !stop {
                while self.spawned < (now - self.begun).unsigned_abs() * self.rate / 1000 {
                    self.spawned += 1;
                    self.interaction(now);
                }
            }
            if now - self.beat >= 1000 || stop {
                self.beat = now;
                self.people(now, stop);
            }
            if now - looked >= 200 {
                looked = now;
                for number in 0..ALARMS {
                    if !steady || number == 0 {
                        let alarm = self.alarm(number, now, stop, steady, receiver);
                        failed = failed.and(alarm);
                    }
                }
            }
            while let Some(Reverse(due)) = self.due.peek().filter(|Reverse(due)| due.at <= now) {
                let record = BaseRecord::to(due.topic).key(&due.key).payload(&due.payload);
                if self.producer.send(record).is_err() {
                    break; // The queue is full: the broker is away.
                }
                self.written += 1;
                self.due.pop();
            }
            self.producer.poll(Duration::from_millis(10));
            let calm = self.alarms.iter().all(|alarm| matches!(alarm.phase, Phase::Calm { .. }));
            if stop && self.due.is_empty() && (calm || failed.is_err()) {
                self.producer.flush(Duration::from_secs(60)).expect("all is written");
                return failed;
            }
        }
    }

    fn count(&mut self, queue: &str, indicator: &'static str, value: i64) {
        *self.figures.entry((queue.to_owned(), indicator)).or_default() += value;
    }

    /// Sends it about when it happened, mostly.
    fn send(&mut self, topic: &'static str, key: &str, mut event: Value, at: i64) {
        self.number += 1;
        event["id"] = json!(format!("e{}", self.number));
        let payload = event.to_string().into_bytes();
        let late = if self.rng.random_ratio(1, 10) { self.rng.random_range(0..2_000) } else { 0 };
        let mut due = Due { at: at + late, number: self.number, topic, key: key.to_owned(), payload };
        self.due.push(Reverse(due.clone()));
        if self.rng.random_ratio(1, 20) {
            due.at += self.rng.random_range(0..3_000);
            self.due.push(Reverse(due));
        }
    }

    /// One event of an interaction that is told `behind` milliseconds after it happened.
    fn happens(&mut self, kind: &str, id: &str, queue: &str, time: i64, behind: i64) {
        let mut event = json!({
            "type": format!("interaction.{kind}"), "interaction": id, "time": time, "queue": queue, "channel": "voice",
            "agent": "somebody",
        });
        if kind == "closed" {
            event["outcome"] = json!("resolved");
        }
        self.send(EVENTS, id, event, time + behind);
    }

    fn interaction(&mut self, now: i64) {
        self.number += 1;
        let (id, queue) = (format!("i{}", self.number), format!("q{}", self.rng.random_range(0..QUEUES)));
        // Hours late; or from a producer whose clock is an hour behind.
        let behind = match self.rng.random_range(0..1_000) {
            0 => self.rng.random_range(3_600_000..18_000_000),
            1..=5 => 3_600_000,
            _ => 0,
        };
        let arrived = now - behind;
        let (wait, handled) = (self.rng.random_range(50..2_000), self.rng.random_range(50..1_000));
        self.happens("arrived", &id, &queue, arrived, behind);
        self.happens("queued", &id, &queue, arrived, behind);
        self.count(&queue, "arrivals", 1);
        self.count(&queue, "queued", 1);
        match self.rng.random_range(0..100) {
            0..85 => {
                self.happens("assigned", &id, &queue, arrived + wait, behind);
                self.happens("closed", &id, &queue, arrived + wait + handled, behind);
                for (indicator, value) in [("answered", 1), ("asa", wait), ("aht", handled), ("closed", 1)] {
                    self.count(&queue, indicator, value);
                }
            }
            85..95 => {
                self.happens("abandoned", &id, &queue, arrived + wait, behind);
                self.count(&queue, "abandoned", 1);
            }
            _ => {
                self.happens("closed", &id, &queue, arrived + wait, behind);
                self.count(&queue, "closed", 1);
                self.count(&queue, "closed_unanswered", 1);
            }
        }
        if self.rng.random_ratio(1, 200) {
            self.poison += 1;
            let key = format!("poison{}", self.number);
            let due = Due { at: now, number: self.number, topic: EVENTS, key, payload: b"{\"type\":".to_vec() };
            self.due.push(Reverse(due));
        }
    }

    fn people(&mut self, now: i64, stop: bool) {
        for number in 0..PEOPLE {
            let queue = format!("q{}", number % QUEUES);
            let next = if stop { "offline" } else { ["available", "handling"][self.rng.random_range(0..2usize)] };
            let Some(person) = self.people.get(number) else { continue };
            let (before, since) = (person.state, person.since);
            if before == next && stop || now <= since {
                continue;
            }
            match before {
                "available" => self.count(&queue, "available", now - since),
                "handling" => self.count(&queue, "handling", now - since),
                _ => {}
            }
            self.people[number] = Person { state: next, since: now };
            let id = format!("p{number}");
            let event = json!({
                "type": "agent.state", "agent": id, "time": now, "state": next, "queues": [queue], "channels": ["voice"],
            });
            self.send(AGENTS, &id, event, now);
        }
    }

    fn alarm(&mut self, number: usize, now: i64, stop: bool, steady: bool, receiver: &Receiver) -> Result<(), String> {
        let Some(alarm) = self.alarms.get(number) else { return Ok(()) };
        let (queue, times) = (alarm.queue.clone(), alarm.times);
        let late = |since: i64, what: &str| match now - since > TOLD_WITHIN {
            true => Err(format!("nobody was told within {} s that {queue} {what}", TOLD_WITHIN / 1000)),
            false => Ok(()),
        };
        let mut failed = Ok(());
        let next = match alarm.phase {
            Phase::Calm { until } if !stop && now >= until => {
                let ids: Vec<String> = (0..4).map(|n| format!("{queue}-{times}-{n}")).collect();
                for id in &ids {
                    self.happens("arrived", id, &queue, now, 0);
                    self.happens("queued", id, &queue, now, 0);
                    self.count(&queue, "arrivals", 1);
                    self.count(&queue, "queued", 1);
                }
                self.alarms[number].waiting = ids;
                self.alarms[number].times += 1;
                Phase::Filling { since: now }
            }
            Phase::Filling { .. } if told(receiver, &queue).0.len() >= times => {
                let lasts = self.rng.random_range(0..8_000);
                Phase::Full { until: now + lasts }
            }
            Phase::Filling { since } => {
                failed = late(since, "has filled");
                alarm.phase
            }
            Phase::Full { until } if stop || !steady && now >= until => {
                for id in std::mem::take(&mut self.alarms[number].waiting) {
                    self.happens("closed", &id, &queue, now, 0);
                    self.count(&queue, "closed", 1);
                    self.count(&queue, "closed_unanswered", 1);
                }
                Phase::Emptying { since: now }
            }
            Phase::Emptying { .. } if told(receiver, &queue).1.len() >= times => {
                let rests = self.rng.random_range(500..4_000);
                Phase::Calm { until: now + rests }
            }
            Phase::Emptying { since } => {
                failed = late(since, "is empty again");
                alarm.phase
            }
            same => same,
        };
        self.alarms[number].phase = next;
        failed
    }
}

//! What producers write while things break, and what it must come to.
//!
//! A tenth of the events is sent late and out of order, a twentieth twice, one in a thousand is hours old, some are older than
//! any window and correct what is open all the same. Of ten producers one has
//! a clock that is an hour behind, one a clock that is ahead, and one confuses the topics, which changes nothing, since each
//! record says what it is. Some records are no events at all ([`poison`]). Alarms are queues that fill until somebody has been told
//! and empty until that has been taken back, however long both take: so each of them is one incident, whatever stood
//! still meanwhile.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atalaya::clock;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};

use crate::poison::{self, Poison};
use crate::probe;
use crate::support::receiver::Receiver;

pub const EVENTS: &str = "chaos.interactions";
pub const AGENTS: &str = "chaos.agents";
pub const QUEUES: usize = 4;
pub const ALARMS: usize = 3;
const PEOPLE: usize = 12;
pub const HOUR: i64 = 3_600_000;
pub const YEAR: i64 = 365 * 24 * HOUR;
/// The header of a record that is to be refused: for which reason.
pub const REFUSED: &str = "refused";
/// When the first poison comes after the traffic has begun, so that every floor knows what time it is; and for how long all kinds
/// of it are spread.
const POISON_AFTER: i64 = 3_000;
const POISON_LASTS: i64 = 5_000;
/// How long an alarm may wait until somebody is told: the worst that is done here keeps anybody from deciding for a minute.
const TOLD_WITHIN: i64 = 150_000;

/// By queue and indicator: counts, and sums of milliseconds.
pub type Figures = BTreeMap<(String, &'static str), i64>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: i64,
    number: u64,
    topic: &'static str,
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    /// What the clock of a producer that is wrong says.
    stamp: Option<i64>,
    /// Why it is to be refused.
    refused: Option<&'static str>,
}

impl Due {
    fn record(&self) -> BaseRecord<'_, [u8], [u8]> {
        let mut record = BaseRecord::to(self.topic);
        (record.key, record.payload, record.timestamp) = (self.key.as_deref(), self.payload.as_deref(), self.stamp);
        record.headers =
            self.refused.map(|reason| OwnedHeaders::new().insert(Header { key: REFUSED, value: Some(reason) }));
        record
    }
}

/// Some arrivals are told after all else of their interactions, and are of the day before: older than everything shown.
const OLD: i64 = 30 * HOUR;
/// By then what they are the arrivals of has come, however late: alone they would be refused.
const OLD_AFTER: i64 = 2_500;

/// A program that writes.
#[derive(Clone, Copy)]
struct Writer {
    name: &'static str,
    /// By how much its clock is ahead.
    ahead: i64,
    confused: bool,
}

impl Writer {
    const GOOD: Writer = Writer { name: "good", ahead: 0, confused: false };

    /// Every tenth has its clock an hour behind, and so on.
    fn of(number: u64) -> Writer {
        match number % 10 {
            0 => Writer { name: "behind", ahead: -HOUR, ..Writer::GOOD },
            1 => Writer { name: "ahead", ahead: 1_000, ..Writer::GOOD },
            2 => Writer { name: "confused", confused: true, ..Writer::GOOD },
            _ => Writer::GOOD,
        }
    }
}

/// An interaction, of which everything is told `late` milliseconds after it happened.
#[derive(Clone)]
struct Interaction {
    id: String,
    queue: String,
    writer: Writer,
    late: i64,
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
    waiting: Vec<Interaction>,
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
    /// Interactions a second; until when they have begun, and what is left of one, in thousandths.
    rate: Arc<AtomicU64>,
    begun: i64,
    owed: u64,
    spawned: u64,
    pub figures: Figures,
    alarms: Vec<Alarm>,
    people: Vec<Person>,
    beat: i64,
    pub written: u64,
    /// How many kinds of poison there are in both topics, and how many of them have been written in this run.
    kinds: usize,
    sown: usize,
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
    pub fn new(seed: u64, rate: Arc<AtomicU64>, client: &rdkafka::ClientConfig) -> Self {
        let mut client = client.clone();
        client.set("enable.idempotence", "true").set("linger.ms", "2").set("message.timeout.ms", "600000");
        // A broker's limit is for what is compressed.
        client.set("compression.type", "zstd").set("message.max.bytes", "4000000");
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
            owed: 0,
            spawned: 0,
            figures: Figures::new(),
            alarms: (0..ALARMS).map(alarm).collect(),
            people: (0..PEOPLE).map(|_| Person { state: "offline", since: 0 }).collect(),
            beat: 0,
            written: 0,
            kinds: 2 * poison::small("", 0).len(),
            sown: 0,
        }
    }

    /// How many incidents there must have been of each alarm.
    pub fn incidents(&self) -> BTreeMap<String, usize> {
        self.alarms.iter().map(|alarm| (alarm.queue.clone(), alarm.times)).collect()
    }

    /// Writes until `stopped`, and then the ends of what has begun. `steady`: one alarm that lasts as long,
    /// instead of many. The error: nobody was told of an alarm.
    pub fn run(&mut self, steady: bool, receiver: &Receiver, stopped: &dyn Fn() -> bool) -> Result<(), String> {
        (self.begun, self.spawned) = (clock::now().0, 0);
        let first = self.begun + POISON_AFTER;
        self.large_poison(first);
        let mut looked = 0;
        let mut failed = Ok(());
        loop {
            let (now, stop) = (clock::now().0, stopped());
            if !stop {
                self.owed += (now - self.begun).unsigned_abs() * self.rate.load(Ordering::Relaxed);
                self.begun = now;
                for _ in 0..self.owed / 1000 {
                    self.interaction(now);
                }
                self.owed %= 1000;
                self.poison_of_every_kind(now - first, now);
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
            // At the end what is still to come is told at once, of which some is ahead of its time.
            while let Some(Reverse(due)) = self.due.peek().filter(|Reverse(due)| stop || due.at <= now) {
                if self.producer.send(due.record()).is_err() {
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

    /// Probes that were written beside all this, and ended.
    pub fn count_probes(&mut self, probes: i64) {
        for indicator in ["arrivals", "queued", "closed", "closed_unanswered"] {
            self.count(probe::QUEUE, indicator, probes);
        }
    }

    /// Sends at about `at`, mostly, what is dated by the writer's clock.
    fn send(&mut self, writer: Writer, topic: &'static str, key: &str, mut event: Value, at: i64) {
        self.number += 1;
        event["id"] = json!(format!("e{}", self.number));
        let topic = match (writer.confused, topic) {
            (false, right) => right,
            (true, EVENTS) => AGENTS,
            (true, _) => EVENTS,
        };
        let delay = if self.rng.random_ratio(1, 10) { self.rng.random_range(0..2_000) } else { 0 };
        let mut due = Due {
            at: at + delay,
            number: self.number,
            topic,
            key: Some(key.into()),
            payload: Some(event.to_string().into_bytes()),
            stamp: (writer.ahead != 0).then_some(at + delay + writer.ahead),
            refused: None,
        };
        self.due.push(Reverse(due.clone()));
        if self.rng.random_ratio(1, 20) {
            due.at += self.rng.random_range(0..3_000);
            self.due.push(Reverse(due));
        }
    }

    /// One event of an interaction.
    fn happens(&mut self, kind: &str, of: &Interaction, time: i64) {
        let Interaction { id, queue, writer, late } = of;
        let mut event = json!({
            "type": format!("interaction.{kind}"), "interaction": id, "time": time + writer.ahead, "queue": queue,
            "channel": "voice", "agent": "somebody",
        });
        if kind == "closed" {
            event["outcome"] = json!("resolved");
        }
        self.send(*writer, EVENTS, id, event, time + late);
    }

    /// It arrives in its queue and begins to wait.
    fn arrives(&mut self, of: &Interaction, time: i64) {
        self.happens("arrived", of, time);
        self.happens("queued", of, time);
        self.count(&of.queue, "arrivals", 1);
        self.count(&of.queue, "queued", 1);
    }

    /// It ends before anybody has answered.
    fn ends_unanswered(&mut self, of: &Interaction, time: i64) {
        self.happens("closed", of, time);
        self.count(&of.queue, "closed", 1);
        self.count(&of.queue, "closed_unanswered", 1);
    }

    fn interaction(&mut self, now: i64) {
        self.number += 1;
        self.spawned += 1;
        let writer = Writer::of(self.spawned);
        let hours = self.spawned == 5 || self.rng.random_ratio(1, 1_000);
        let late = if hours { self.rng.random_range(HOUR..5 * HOUR) } else { 0 };
        let queue = format!("q{}", self.rng.random_range(0..QUEUES));
        let of = Interaction { id: format!("{}-{}", writer.name, self.number), queue, writer, late };
        let arrived = now - late;
        let (wait, handled) = (self.rng.random_range(50..2_000), self.rng.random_range(50..1_000));
        // What comes ahead of its time is held, and what belongs to it would come before it.
        if writer.ahead <= 0 && (self.spawned == 7 || self.rng.random_ratio(1, 200)) {
            self.happens("queued", &of, arrived);
            self.count(&of.queue, "queued", 1);
            let late = late + OLD + OLD_AFTER;
            self.happens("arrived", &Interaction { late, ..of.clone() }, arrived - OLD);
        } else {
            self.arrives(&of, arrived);
        }
        match self.rng.random_range(0..100) {
            0..85 => {
                self.happens("assigned", &of, arrived + wait);
                self.happens("closed", &of, arrived + wait + handled);
                for (indicator, value) in [("answered", 1), ("asa", wait), ("aht", handled), ("closed", 1)] {
                    self.count(&of.queue, indicator, value);
                }
            }
            85..95 => {
                self.happens("abandoned", &of, arrived + wait);
                self.count(&of.queue, "abandoned", 1);
            }
            _ => self.ends_unanswered(&of, arrived + wait),
        }
        if self.rng.random_ratio(1, 200) {
            let mut kinds = self.poisons(now);
            let kind = kinds.swap_remove(self.rng.random_range(0..kinds.len()));
            let topic = [EVENTS, AGENTS][self.rng.random_range(0..2usize)];
            self.poison(kind, topic, now);
        }
    }

    /// With the `id` of the event that is made next: what is refused does not use it up.
    fn poisons(&self, now: i64) -> Vec<Poison> {
        poison::small(&format!("e{}", self.number + 1), now)
    }

    /// Each kind once in both topics, of which some are due at a time.
    fn poison_of_every_kind(&mut self, since: i64, now: i64) {
        let due = self.kinds * since.clamp(0, POISON_LASTS) as usize / POISON_LASTS as usize;
        while self.sown < due {
            let kind = self.poisons(now).swap_remove(self.sown / 2);
            self.poison(kind, [EVENTS, AGENTS][self.sown % 2], now);
            self.sown += 1;
        }
    }

    fn large_poison(&mut self, first: i64) {
        self.sown = 0;
        for topic in [EVENTS, AGENTS] {
            for kind in poison::large("large", first) {
                let at = first + self.rng.random_range(0..POISON_LASTS);
                self.poison(kind, topic, at);
            }
        }
    }

    fn poison(&mut self, kind: Poison, topic: &'static str, at: i64) {
        let key = match self.rng.random_range(0..5) {
            0 => None,
            1 => Some(Vec::new()),
            2 => Some(vec![0xff, 0, 0xfe]),
            3 => Some(b"p0".to_vec()),
            _ => Some(format!("poison-{}", self.rng.random_range(0..1_000)).into_bytes()),
        };
        let Poison { reason, payload } = kind;
        self.due.push(Reverse(Due { at, number: self.number, topic, key, payload, stamp: None, refused: reason }));
    }

    fn people(&mut self, now: i64, stop: bool) {
        for number in 0..PEOPLE {
            let writer = Writer::of(number as u64);
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
                "type": "agent.state", "agent": id, "time": now + writer.ahead, "state": next, "queues": [queue], "channels": ["voice"],
            });
            self.send(writer, AGENTS, &id, event, now);
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
                let one = |n| Interaction {
                    id: format!("{queue}-{times}-{n}"),
                    queue: queue.clone(),
                    writer: Writer::GOOD,
                    late: 0,
                };
                let waiting: Vec<Interaction> = (0..4).map(one).collect();
                waiting.iter().for_each(|of| self.arrives(of, now));
                self.alarms[number].waiting = waiting;
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
                for of in std::mem::take(&mut self.alarms[number].waiting) {
                    self.ends_unanswered(&of, now);
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

//! Three processes, a group, logs and a clock, all simulated: what the world does to them is drawn from a seed. What a process does
//! when it is given time is in [`crate::acts`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use atalaya::domain::{Body, Event, Millis, Timestamp};
use atalaya::instance::Share;
use atalaya::instance::decider::{Entry, Intent};
use atalaya::journal::pieces::Manifest;
use atalaya::journal::{Claim, Delta, SourcePartition};
use atalaya::matrix::engine::{Matcher, Operation, What};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::decisions::{Decisions, Sent};
use crate::deltas::Deltas;
use crate::floor::{self, Crowd, PARTITIONS, Setting};
use crate::instance::{Circumstances, Instance};
use crate::random;
use crate::seeds::Happened;
use crate::topics::{Log, Store, Write};

pub const NODES: usize = 3;

/// Once nothing goes wrong any more somebody reads each partition to its end, and somebody decides, within this: what was lost
/// is asked for again after five seconds, and whoever is silent for five is followed by another within one.
const RECOVERS_WITHIN: Millis = Millis(13_000);

/// And what the events alone imply is decided within this.
const DECIDED_WITHIN: Millis = Millis(5_000);

/// A partition that is read to its end is told of so often: whoever has nothing to tell says so every second.
const TOLD_EVERY: Millis = Millis(1_500);

/// From one decision to the next while all goes well.
const DECIDES_EVERY: Millis = Millis(2_000);

/// What is to happen in some world.
pub const EVERYTHING: [&str; 32] = [
    "append delayed",
    "append doubled",
    "append lost",
    "append out of order",
    "batch dropped",
    "batch of a resumed image",
    "claim dropped",
    "clock jumped",
    "crash",
    "decision",
    "decision dropped",
    "decision in parts",
    "decision torn",
    "feed frozen",
    "floor taken over",
    "mark dropped",
    "node paused",
    "operation",
    "outcome repeated",
    "read lost",
    "rebalance",
    "refused",
    "resigned",
    "restart from a snapshot",
    "restart from nothing",
    "sent again",
    "snapshot damaged",
    "snapshot half written",
    "snapshot loaded",
    "store lost",
    "takeover",
    "zombie decided",
];

pub struct Record {
    pub broker: Timestamp,
    pub event: Option<Event<'static>>,
}

/// What a process asked the brokers for.
pub enum Ask {
    Delta(Delta<Share>),
    Decision(Entry),
    Read { place: SourcePartition, from: i64 },
    Load { place: SourcePartition, snapshot: u64 },
}

/// A process, or what is left of it.
#[derive(Default)]
pub struct Node {
    pub instance: Option<Instance>,
    /// The partitions of which its floors tell.
    pub tells: BTreeSet<SourcePartition>,
    /// The next offset of each partition that it reads.
    pub reading: BTreeMap<SourcePartition, usize>,
    /// What it believes to be given to it.
    pub believes: BTreeSet<SourcePartition>,
    /// What it asked for and has not been done yet.
    pub asked: VecDeque<Ask>,
    /// The states that it writes, one after the other, and the manifests that it saw last.
    pub writes: VecDeque<Write>,
    pub manifests: BTreeMap<String, Manifest>,
    /// What it is to send.
    pub outbox: VecDeque<(Intent, Claim)>,
    /// It stands still until then.
    pub paused_until: Timestamp,
    /// How far its wall clock is off.
    pub skew: Millis,
    /// What it appended last comes to the logs no earlier.
    pub appended: Timestamp,
}

/// By then the queue must be known to be full, or to be empty again.
pub struct Due {
    pub at: Timestamp,
    pub full: bool,
}

pub struct World {
    pub random: ChaCha8Rng,
    pub now: Timestamp,
    pub setting: Arc<Setting>,
    pub crowd: Crowd,
    pub events: Vec<Event<'static>>,
    /// What producers will send, and when.
    to_come: BTreeMap<(Timestamp, u64), (usize, Option<Event<'static>>)>,
    coming: u64,
    pub sources: Vec<Vec<Record>>,
    pub deltas: Log<Delta<Share>>,
    pub decisions: Log<Entry>,
    pub operations: Log<(Timestamp, Operation)>,
    pub store: Store,
    /// Whom the group has given each partition to.
    owners: Vec<Option<usize>>,
    pub nodes: Vec<Node>,
    pub sent: Vec<Sent>,
    /// Until then nothing can be sent.
    pub away_until: Timestamp,
    /// The latest that any clock has read.
    latest: Timestamp,
    pub counted: Deltas,
    pub decided: Decisions,
    pub circumstances: BTreeMap<(Claim, u64), Circumstances>,
    /// The floors of each partition by how many batches they had told, under the claim that counted; and those with which
    /// instances began to tell.
    pub floors: BTreeMap<(SourcePartition, u64, Claim), Vec<u8>>,
    pub taken_over: Vec<(SourcePartition, u64, Vec<u8>)>,
    pub due: Vec<Due>,
    /// What a step found to be wrong.
    pub failed: Option<String>,
    pub happened: Happened,
}

pub fn place(partition: usize) -> SourcePartition {
    SourcePartition { source: 0, partition: partition as i32 }
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let setting = Arc::new(Setting::new(&mut random));
        let events = floor::events(&mut random);
        let now = Timestamp(random::START - 1000);
        let mut world = World {
            now,
            setting,
            crowd: Crowd::default(),
            events: Vec::new(),
            to_come: BTreeMap::new(),
            coming: 0,
            sources: (0..PARTITIONS).map(|_| Vec::new()).collect(),
            deltas: Log::default(),
            decisions: Log::default(),
            operations: Log::default(),
            store: Store::default(),
            owners: vec![None; PARTITIONS],
            nodes: (0..NODES).map(|_| Node::default()).collect(),
            sent: Vec::new(),
            away_until: now,
            latest: now,
            counted: Deltas::default(),
            decided: Decisions::default(),
            circumstances: BTreeMap::new(),
            floors: BTreeMap::new(),
            taken_over: Vec::new(),
            due: Vec::new(),
            failed: None,
            happened: Happened::default(),
            random,
        };
        for event in events {
            // Late by up to five hours, early by up to one.
            let late = match world.random.random_range(0..10) {
                0 => world.random.random_range(0..18_000_000),
                1 => world.random.random_range(-3_600_000..0),
                _ => world.random.random_range(0..2_000),
            };
            world.happens(event, Millis(late));
        }
        world
    }

    /// An event that is sent so much after it happened; some are sent twice, and some records have no event.
    fn happens(&mut self, event: Event<'static>, late: Millis) {
        let partition = floor::partition_of(&event);
        let at = event.time + late;
        for _ in 0..if self.random.random_bool(0.1) { 2 } else { 1 } {
            self.comes(at, partition, Some(event.clone()));
        }
        if self.random.random_bool(0.05) {
            let partition = self.random.random_range(0..PARTITIONS);
            self.comes(at, partition, None);
        }
        self.events.push(event);
    }

    fn comes(&mut self, at: Timestamp, partition: usize, event: Option<Event<'static>>) {
        self.coming += 1;
        self.to_come.insert((at, self.coming), (partition, event));
    }

    /// A day in which all goes wrong for hours and for seconds, with stretches between in which all works that is left.
    pub fn live(&mut self) -> Result<(), String> {
        (0..NODES).try_for_each(|node| self.start(node))?;
        self.rebalance();
        for _ in 0..3 {
            self.storm(120, 1_200_000)?;
            self.wave();
            let steps = self.random.random_range(100..300);
            self.storm(steps, 150)?;
            self.health(Millis(16_000), false)?;
        }
        self.wave();
        for node in 0..NODES {
            self.nodes[node].paused_until = self.now;
            if self.nodes[node].instance.is_none() {
                self.start(node)?;
            }
        }
        self.health(Millis(20_000), true)?;
        for instant in random::instants() {
            self.now = self.now.max(instant);
            self.health(Millis(10_000), true)?;
        }
        // What was decided in the last moment has a moment more.
        for _ in 0..5 {
            if self.decided.waits() > 0 {
                self.health(Millis::SECOND, true)?;
            }
        }
        Ok(())
    }

    fn wave(&mut self) {
        for event in self.crowd.wave(self.now) {
            let late = Millis(self.random.random_range(0..2_000));
            self.happens(event, late);
        }
    }

    fn burst(&mut self) {
        for event in self.crowd.burst(&mut self.random, self.now) {
            let late = Millis(self.random.random_range(0..5_000));
            self.happens(event, late);
        }
    }

    /// A third of the steps takes up to so many milliseconds, the others no more than a moment.
    fn storm(&mut self, steps: usize, most: i64) -> Result<(), String> {
        for _ in 0..steps {
            let most = if self.random.random_bool(0.3) { most } else { most.min(2_000) };
            let passed = self.random.random_range(1..most);
            self.pass(Millis(passed));
            let node = self.random.random_range(0..NODES);
            match self.random.random_range(0..1000) {
                0..8 => self.crash(node),
                8..40 if self.nodes[node].instance.is_none() => self.start(node)?,
                40..55 => self.rebalance(),
                55..65 => self.pause(node),
                65..71 => self.jump(node),
                71..85 => self.keep(node),
                85..89 => self.roll(node)?,
                89..105 => self.operate(node),
                105..109 => self.away_until = self.now + Millis(self.random.random_range(0..12_000)),
                109..130 => self.burst(),
                130..134 => self.resume_image(),
                _ if self.runs(node) => self.act(node, true)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Whoever is left works without fault; one of them, at times, has just stopped.
    fn health(&mut self, length: Millis, calm: bool) -> Result<(), String> {
        self.pass(Millis(10_000));
        self.nodes.iter_mut().for_each(|node| node.skew = Millis::ZERO);
        if self.random.random_bool(0.5) && !calm {
            let decides = (0..NODES).find(|node| self.decides(*node)).unwrap_or_default();
            if self.random.random_bool(0.5) {
                self.crash(decides);
            } else {
                self.nodes[decides].paused_until = self.now + length + Millis::MINUTE;
            }
        }
        if (0..NODES).all(|node| !self.runs(node)) {
            self.nodes[0].paused_until = self.now;
            if self.nodes[0].instance.is_none() {
                self.start(0)?;
            }
        }
        self.rebalance();
        // A clock that was ahead is right again when time has come to it.
        let begun = self.now.max(self.latest);
        let (mut recovered, mut beat) = (None, Timestamp::MIN);
        while self.now < begun + length {
            self.pass(Millis(200));
            if self.now - beat >= Millis::SECOND {
                beat = self.now;
                let event = Event { id: format!("beat{}", self.now).into(), time: self.now, body: Body::Heartbeat };
                let partition = self.random.random_range(0..PARTITIONS);
                self.sources[partition].push(Record { broker: self.now, event: Some(event) });
            }
            for node in 0..NODES {
                if self.runs(node) {
                    self.act(node, false)?;
                }
            }
            match recovered {
                None if self.is_whole() && self.now >= begun => {
                    recovered = Some(self.now);
                    self.due.push(Due { at: self.now + DECIDED_WITHIN, full: self.crowd.is_full });
                }
                None if self.now - begun > RECOVERS_WITHIN => {
                    let now = self.now;
                    return Err(format!("at {now} not all partitions are read, or nobody decides:{}", self.describe()));
                }
                // The first one after an outage may take as long as what the events imply.
                Some(at) if self.decided.heard < at && self.now - at <= DECIDED_WITHIN => {}
                Some(at) if self.now - self.decided.heard.max(at) > DECIDES_EVERY => {
                    let (heard, now) = (self.decided.heard, self.now);
                    return Err(format!("nothing was decided from {heard} to {now}:{}", self.describe()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let node = |(number, node): (usize, &Node)| {
            let instance = node.instance.as_ref().map(Instance::describe);
            format!("\n node {number}, paused until {}: {}", node.paused_until, instance.unwrap_or_default())
        };
        self.nodes.iter().enumerate().map(node).collect()
    }

    /// Somebody decides, and every partition is read to its end.
    fn is_whole(&self) -> bool {
        let told = self.counted.told(PARTITIONS);
        told.is_some_and(|told| self.now - told < TOLD_EVERY)
            && (0..NODES).any(|node| self.runs(node) && self.decides(node))
    }

    fn pass(&mut self, length: Millis) {
        self.now = self.now + length;
        while let Some(first) = self.to_come.first_entry().filter(|first| first.key().0 <= self.now) {
            let ((broker, _), (partition, event)) = first.remove_entry();
            self.sources[partition].push(Record { broker, event });
        }
        self.deltas.arrive(self.now);
        self.decisions.arrive(self.now);
        self.operations.arrive(self.now);
        self.counted.read(&self.deltas.entries);
        self.decided.read(&self.decisions.entries, self.now);
        for node in &self.nodes {
            if node.instance.is_some() && node.paused_until <= self.now {
                self.latest = self.latest.max(self.now + node.skew);
            }
        }
    }

    pub fn wall(&self, node: usize) -> Timestamp {
        self.now + self.nodes[node].skew
    }

    pub fn runs(&self, node: usize) -> bool {
        self.nodes[node].instance.is_some() && self.nodes[node].paused_until <= self.now
    }

    /// It believes that it decides, and it does.
    fn decides(&self, node: usize) -> bool {
        let claim = self.nodes[node].instance.as_ref().and_then(|instance| instance.seat.term());
        claim.is_some_and(|claim| self.decided.is_turn_of(claim))
    }

    fn start(&mut self, node: usize) -> Result<(), String> {
        let (mut replica, mut decided) = (None, None);
        let mut manifests = BTreeMap::new();
        if self.random.random_bool(0.75) {
            replica = self.store.read("replica")?;
            decided = self.store.read("decided")?;
            for name in ["replica", "decided"] {
                manifests.extend(self.store.manifest(name).map(|manifest| (name.to_owned(), manifest)));
            }
        }
        self.happened.note(if replica.is_some() { "restart from a snapshot" } else { "restart from nothing" });
        let bytes = |found: &Option<(String, Vec<u8>)>| found.as_ref().map(|(_, bytes)| bytes.clone());
        let (replica, decided) = (bytes(&replica), bytes(&decided));
        let every = self.random.random_range(3..40);
        let instance = Instance::new(self.setting.clone(), replica.as_deref(), decided.as_deref(), every, self.now);
        let (paused_until, appended) = (self.now, self.now);
        self.nodes[node] = Node { instance: Some(instance), manifests, paused_until, appended, ..Node::default() };
        Ok(())
    }

    fn crash(&mut self, node: usize) {
        // Some of what it asked for is done all the same.
        if self.runs(node) && self.random.random_bool(0.5) {
            for _ in 0..self.random.random_range(0..4) {
                self.perform(node, true);
            }
        }
        if self.nodes[node].instance.is_some() {
            self.happened.note("crash");
        }
        let half = self.nodes[node].writes.iter().any(|write| write.begun);
        self.happened.count("snapshot half written", u64::from(half));
        self.nodes[node] = Node::default();
        self.owners.iter_mut().filter(|owner| **owner == Some(node)).for_each(|owner| *owner = None);
    }

    /// It is stopped in order, and started again.
    fn roll(&mut self, node: usize) -> Result<(), String> {
        if !self.runs(node) {
            return Ok(());
        }
        if self.decides(node) {
            self.happened.note("resigned");
        }
        self.keep(node);
        if let Some(instance) = &mut self.nodes[node].instance {
            instance.resign();
        }
        for _ in 0..30 {
            self.perform(node, true);
        }
        self.owners.iter_mut().filter(|owner| **owner == Some(node)).for_each(|owner| *owner = None);
        self.start(node)
    }

    /// The group gives every partition to somebody; who had it hears of it when it is told.
    fn rebalance(&mut self) {
        let alive: Vec<_> = (0..NODES).filter(|node| self.runs(*node)).collect();
        if alive.is_empty() {
            return;
        }
        self.happened.note("rebalance");
        for partition in 0..PARTITIONS {
            if self.owners[partition].is_none_or(|owner| !alive.contains(&owner)) || self.random.random_bool(0.4) {
                self.owners[partition] = Some(alive[self.random.random_range(0..alive.len())]);
            }
        }
    }

    /// A node hears what the group decided.
    pub fn tell(&mut self, node: usize) {
        let World { nodes, owners, .. } = self;
        let Node { instance: Some(instance), believes, reading, .. } = &mut nodes[node] else { return };
        for (partition, owner) in owners.iter().enumerate() {
            let place = place(partition);
            if *owner == Some(node) && believes.insert(place) {
                instance.assigned(place);
            } else if *owner != Some(node) && believes.remove(&place) {
                instance.revoked(place);
                reading.remove(&place);
            }
        }
    }

    fn pause(&mut self, node: usize) {
        if self.runs(node) {
            self.happened.note("node paused");
            let most = if self.random.random_bool(0.5) { 3_000 } else { 20_000 };
            self.nodes[node].paused_until = self.now + Millis(self.random.random_range(500..most));
        }
    }

    fn jump(&mut self, node: usize) {
        self.happened.note("clock jumped");
        self.nodes[node].skew = Millis(match self.random.random_range(0..3) {
            0 => 0,
            1 => self.random.random_range(-5_000..5_000),
            _ => self.random.random_range(-3_600_000..0),
        });
    }

    fn keep(&mut self, node: usize) {
        if !self.runs(node) {
            return;
        }
        let kept = self.nodes[node].instance.as_mut().and_then(Instance::keeps);
        if let Some((replica, decided)) = kept {
            self.write(node, "replica".to_owned(), replica, None);
            self.write(node, "decided".to_owned(), decided, None);
        }
    }

    fn operate(&mut self, node: usize) {
        let wall = self.wall(node);
        let World { random, now, nodes, operations, happened, .. } = self;
        let until = *now + Millis(random.random_range(1_000..20_000));
        let id: Arc<str> = format!("s{}", random.random_range(0..3)).into();
        let open = nodes.iter_mut().filter_map(|node| node.instance.as_mut());
        let open: Vec<Arc<str>> = open.flat_map(|instance| instance.evaluator().engine().open_ids()).collect();
        let what = match random.random_range(0..4) {
            0 => {
                let queue = vec![["b0", "b1", floor::FULL, "q1"][random.random_range(0..4)].to_owned()];
                What::Silence { id, matcher: Matcher { queue, ..Matcher::default() }, from: *now, until }
            }
            1 => What::EndSilence { id },
            _ if open.is_empty() => return,
            _ => What::Acknowledge { incident: open[random.random_range(0..open.len())].clone(), until: Some(until) },
        };
        happened.note("operation");
        let operation = Operation { who: "ana".into(), why: "".into(), what };
        for _ in 0..random.random_range(0..3) {
            operations.fly(*now + Millis(random.random_range(5..2_000)), (wall, operation.clone()));
        }
    }

    /// A machine that goes on from an image of its memory, under a claim that counts still: it has heard how many batches count,
    /// and tells again what it had told before.
    fn resume_image(&mut self) {
        let partition = place(self.random.random_range(0..PARTITIONS));
        let Some((claim, batches, applied)) = self.counted.owner(partition) else { return };
        let old = self.deltas.entries.iter().rev().find_map(|delta| match delta {
            Delta::Batch(batch) if batch.place == partition && batch.claim == claim && batch.from < applied => {
                Some(batch)
            }
            _ => None,
        });
        if let Some(old) = old.cloned() {
            self.happened.note("batch of a resumed image");
            let mut batch = old;
            batch.number = batches + 1;
            self.deltas.entries.push(Delta::Batch(batch));
        }
    }
}

//! Brokers, producers, a group and its instances, all simulated: what the world does to them is drawn from a seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use atalaya::board::Board;
use atalaya::domain::{Body, Event, Millis, Timestamp};
use atalaya::floor::Floor;
use atalaya::instance::{Share, Want, slot};
use atalaya::journal::rule::Rule;
use atalaya::journal::{Claim, Delta, Position, SourcePartition};
use atalaya::plan::Plan;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::node::Instance;
use crate::random;
use crate::seeds::Happened;

const NODES: usize = 3;
const PARTITIONS: usize = 3;
const STEPS: usize = 900;

struct Record {
    broker: Timestamp,
    event: Option<Event<'static>>,
}

/// A process, or what is left of it.
#[derive(Default)]
struct Node {
    instance: Option<Instance>,
    /// The next entry of the deltas log that it will see.
    seen: usize,
    /// The partitions of which its floors tell.
    tells: BTreeSet<SourcePartition>,
    /// The next offset of each partition that it reads.
    reading: BTreeMap<SourcePartition, usize>,
    /// What it believes to be given to it.
    believes: BTreeSet<SourcePartition>,
    /// What it asked for and has not been done yet.
    asked: VecDeque<Want>,
    /// It stands still until this step.
    paused_until: usize,
    /// How far its wall clock is off.
    skew: i64,
}

/// What is to happen in some world.
pub const EVERYTHING: [&str; 17] = [
    "append doubled",
    "append lost",
    "append out of order",
    "batch dropped",
    "clock jumped",
    "crash",
    "floor taken over",
    "late claim",
    "mark dropped",
    "node paused",
    "read lost",
    "rebalance",
    "restart from a snapshot",
    "restart from nothing",
    "snapshot damaged",
    "snapshot loaded",
    "store lost",
];

pub struct World {
    random: ChaCha8Rng,
    now: Timestamp,
    step: usize,
    plan: Arc<Plan>,
    events: Vec<Event<'static>>,
    /// What producers will send, and when; the next last.
    to_come: Vec<(Timestamp, usize, Option<Event<'static>>)>,
    sources: Vec<Vec<Record>>,
    deltas: Vec<Delta<Share>>,
    /// Of each partition one in each slot.
    floors_kept: BTreeMap<(SourcePartition, u64), (u64, Vec<u8>)>,
    /// The floors of each partition by how many batches they had told, under the claim that counted.
    floors: BTreeMap<(SourcePartition, u64, Claim), Vec<u8>>,
    /// The floors with which instances began to tell: of which partition, after how many batches.
    taken_over: Vec<(SourcePartition, u64, Vec<u8>)>,
    /// The last bytes kept for a partition were damaged.
    damaged: BTreeSet<SourcePartition>,
    /// What instances saw of the deltas log: up to where, and the bytes.
    replicas_kept: Vec<(usize, Vec<u8>)>,
    /// Whom the group has given each partition to.
    owners: Vec<Option<usize>>,
    nodes: Vec<Node>,
    pub happened: Happened,
}

fn place(partition: usize) -> SourcePartition {
    SourcePartition { source: 0, partition: partition as i32 }
}

fn partition_of(event: &Event<'_>) -> usize {
    let owner = match &event.body {
        Body::Interaction { interaction, .. } => interaction.as_bytes(),
        Body::Agent(snapshot) => snapshot.agent.as_bytes(),
        Body::Heartbeat => b"",
    };
    owner.iter().map(|byte| usize::from(*byte)).sum::<usize>() % PARTITIONS
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut bytes = [0; 32];
        random.fill_bytes(&mut bytes);
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let events = random::events().new_tree(&mut runner).unwrap().current();
        let mut plan = random::plan();
        // The tables that limits size are made anew with every floor.
        plan.limits.identities = 1_000;
        let plan = Arc::new(plan);
        let mut to_come = Vec::new();
        for event in &events {
            // Late by up to five hours, early by up to one; some twice.
            for _ in 0..if random.random_bool(0.1) { 2 } else { 1 } {
                let late = match random.random_range(0..10) {
                    0 => random.random_range(0..18_000_000),
                    1 => random.random_range(-3_600_000..0),
                    _ => random.random_range(0..2_000),
                };
                to_come.push((event.time + Millis(late), partition_of(event), Some(event.clone())));
            }
            if random.random_bool(0.05) {
                to_come.push((event.time, random.random_range(0..PARTITIONS), None));
            }
        }
        to_come.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        World {
            now: Timestamp(random::START - 1000),
            step: 0,
            plan,
            events,
            to_come,
            sources: (0..PARTITIONS).map(|_| Vec::new()).collect(),
            deltas: Vec::new(),
            floors_kept: BTreeMap::new(),
            floors: BTreeMap::new(),
            taken_over: Vec::new(),
            damaged: BTreeSet::new(),
            replicas_kept: Vec::new(),
            owners: vec![None; PARTITIONS],
            nodes: (0..NODES).map(|_| Node::default()).collect(),
            happened: Happened::default(),
            random,
        }
    }

    /// Hours in which all goes wrong.
    pub fn live(&mut self) {
        for node in 0..NODES {
            self.start(node);
        }
        self.rebalance();
        while self.step < STEPS || !self.to_come.is_empty() {
            self.step += 1;
            self.pass_time();
            let node = self.random.random_range(0..NODES);
            match self.random.random_range(0..1000) {
                0..8 => self.crash(node),
                8..40 if self.nodes[node].instance.is_none() => self.start(node),
                40..55 => self.rebalance(),
                55..65 => self.pause(node),
                65..75 => self.jump(node),
                75..95 => self.keep_replica(node),
                95..300 => self.deliver(node),
                300..500 => self.read(node),
                500..650 => self.flush(node),
                650..700 => self.tell(node),
                _ => self.perform(node, true),
            }
        }
    }

    fn pass_time(&mut self) {
        let most = if self.random.random_bool(0.3) { 600_000 } else { 3_000 };
        self.now = self.now + Millis(self.random.random_range(0..most));
        self.produce();
    }

    fn produce(&mut self) {
        while let Some((at, partition, event)) = self.to_come.pop_if(|(at, ..)| *at <= self.now) {
            self.sources[partition].push(Record { broker: at, event });
        }
    }

    fn wall(&self, node: usize) -> Timestamp {
        self.now + Millis(self.nodes[node].skew)
    }

    fn runs(&self, node: usize) -> bool {
        self.nodes[node].instance.is_some() && self.nodes[node].paused_until <= self.step
    }

    fn start(&mut self, node: usize) {
        let kept = match self.replicas_kept.len() {
            0 => None,
            _ if self.random.random_bool(0.3) => None,
            kept => self.replicas_kept.get(kept - 1 - self.random.random_range(0..kept.min(3))),
        };
        self.happened.note(if kept.is_some() { "restart from a snapshot" } else { "restart from nothing" });
        let (seen, kept) = kept.map_or((0, None), |(seen, bytes)| (*seen, Some(bytes.as_slice())));
        let instance = Instance::new(self.plan.clone(), kept, self.random.random_range(3..40));
        self.nodes[node] = Node { instance: Some(instance), seen, ..Node::default() };
    }

    fn crash(&mut self, node: usize) {
        if self.runs(node) && self.random.random_bool(0.5) {
            // Some of what it asked for is done all the same.
            for _ in 0..self.random.random_range(0..4) {
                self.perform(node, true);
            }
        }
        if self.nodes[node].instance.is_some() {
            self.happened.note("crash");
        }
        self.nodes[node] = Node::default();
        self.owners.iter_mut().filter(|owner| **owner == Some(node)).for_each(|owner| *owner = None);
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
    fn tell(&mut self, node: usize) {
        if !self.runs(node) {
            return;
        }
        let World { nodes, owners, .. } = self;
        let Node { instance: Some(instance), believes, reading, .. } = &mut nodes[node] else { return };
        for (partition, owner) in owners.iter().enumerate() {
            let place = place(partition);
            if *owner == Some(node) && believes.insert(place) {
                instance.assigned(place, 0);
            } else if *owner != Some(node) && believes.remove(&place) {
                instance.revoked(place);
                reading.remove(&place);
            }
        }
    }

    fn pause(&mut self, node: usize) {
        self.happened.note("node paused");
        self.nodes[node].paused_until = self.step + self.random.random_range(10..150);
    }

    fn jump(&mut self, node: usize) {
        self.happened.note("clock jumped");
        self.nodes[node].skew = match self.random.random_range(0..3) {
            0 => 0,
            1 => self.random.random_range(-5_000..5_000),
            _ => self.random.random_range(-3_600_000..600_000),
        };
    }

    fn keep_replica(&mut self, node: usize) {
        if self.runs(node) {
            let Node { instance: Some(instance), seen, .. } = &mut self.nodes[node] else { return };
            assert_eq!(instance.position().0, *seen as u64);
            self.replicas_kept.push((*seen, instance.snapshot()));
        }
    }

    /// A node sees more of the deltas log.
    fn deliver(&mut self, node: usize) {
        let most = self.random.random_range(1..40);
        if self.runs(node) {
            self.deliver_up_to(node, most);
        }
    }

    fn deliver_up_to(&mut self, node: usize, most: usize) {
        let wall = self.wall(node);
        let Node { instance: Some(instance), seen, .. } = &mut self.nodes[node] else { return };
        for (at, entry) in self.deltas.iter().enumerate().skip(*seen).take(most) {
            let before: u64 = instance.dropped().iter().map(|(_, count)| count).sum();
            instance.entry(Position(at as u64), entry, wall);
            *seen += 1;
            if before < instance.dropped().iter().map(|(_, count)| count).sum() {
                self.happened.note(match entry {
                    Delta::Claimed { .. } => "late claim",
                    Delta::Kept { .. } => "mark dropped",
                    Delta::Batch(_) => "batch dropped",
                });
            }
        }
    }

    fn read(&mut self, node: usize) {
        let most = self.random.random_range(1..20);
        if self.runs(node) {
            self.read_up_to(node, most);
        }
    }

    fn read_up_to(&mut self, node: usize, most: usize) {
        let wall = self.wall(node);
        let Node { instance: Some(instance), reading, .. } = &mut self.nodes[node] else { return };
        for (place, next) in reading {
            let source = &self.sources[place.partition as usize];
            for record in source.iter().skip(*next).take(most) {
                instance.record(*place, *next as i64, record.broker, record.event.as_ref(), wall);
                *next += 1;
            }
            if *next >= source.len() {
                instance.reached(*place, source.len() as i64);
            }
        }
        self.look(node);
    }

    fn flush(&mut self, node: usize) {
        if self.runs(node) {
            let wall = self.wall(node);
            let World { nodes, random, .. } = self;
            let Node { instance: Some(instance), asked, .. } = &mut nodes[node] else { return };
            asked.extend(std::iter::from_fn(|| instance.want()));
            instance.flush(wall, &mut || random.next_u64());
            while let Some(want) = instance.want() {
                if let Want::Append(Delta::Batch(batch)) = &want
                    && let Some((counted, told, bytes)) = instance.floor(batch.place)
                    && counted + told == batch.number
                {
                    self.floors.insert((batch.place, batch.number, batch.claim), bytes);
                }
                asked.push_back(want);
            }
        }
    }

    /// Notes which floors began to tell.
    fn look(&mut self, node: usize) {
        let Node { instance: Some(instance), tells, believes, .. } = &mut self.nodes[node] else { return };
        tells.retain(|place| instance.floor(*place).is_some());
        for place in believes.iter().filter(|place| !tells.contains(*place)) {
            if let Some((counted, 0, bytes)) = instance.floor(*place) {
                self.taken_over.push((*place, counted, bytes));
            }
        }
        tells.extend(believes.iter().filter(|place| instance.floor(**place).is_some()));
    }

    /// Something that a node asked for is done, or goes wrong.
    fn perform(&mut self, node: usize, badly: bool) {
        if !self.runs(node) {
            return;
        }
        let World { nodes, random, happened, .. } = self;
        let Node { instance: Some(instance), asked, reading, .. } = &mut nodes[node] else { return };
        asked.extend(std::iter::from_fn(|| instance.want()));
        let at = if badly && random.random_bool(0.05) {
            random.random_range(0..3).min(asked.len().saturating_sub(1))
        } else {
            0
        };
        if at > 0 {
            happened.note("append out of order");
        }
        let Some(want) = asked.remove(at) else { return };
        let chance = |random: &mut ChaCha8Rng, of| badly && random.random_bool(of);
        match want {
            Want::Append(_) if chance(random, 0.03) => happened.note("append lost"),
            Want::Append(delta) => {
                if chance(random, 0.05) {
                    happened.note("append doubled");
                    self.deltas.push(delta.clone());
                }
                self.deltas.push(delta);
            }
            Want::Read { .. } | Want::Load { .. } if chance(random, 0.1) => happened.note("read lost"),
            Want::Read { place, from } => {
                reading.insert(place, from as usize);
                instance.reading(place, from);
                self.look(node);
            }
            Want::Load { place, snapshot } => {
                happened.note("snapshot loaded");
                let kept = self.floors_kept.get(&(place, slot(snapshot))).filter(|(name, _)| *name == snapshot);
                instance.loaded(place, snapshot, kept.map(|(_, bytes)| bytes.as_slice()));
            }
            Want::Store { .. } if chance(random, 0.1) => happened.note("store lost"),
            Want::Store { place, snapshot, mut bytes } => {
                // Not twice in a row: two are kept so that one may be bad.
                if !self.damaged.remove(&place) && chance(random, 0.15) {
                    happened.note("snapshot damaged");
                    self.damaged.insert(place);
                    let at = random.random_range(0..bytes.len());
                    bytes[at] ^= 1 << random.random_range(0..8);
                }
                self.floors_kept.insert((place, slot(snapshot)), (snapshot, bytes));
                instance.stored(place, snapshot);
            }
        }
    }

    /// Everything works again, for long enough.
    pub fn heal(&mut self) {
        for node in 0..NODES {
            if self.nodes[node].instance.is_none() {
                self.start(node);
            }
            (self.nodes[node].paused_until, self.nodes[node].skew) = (0, 0);
        }
        self.rebalance();
        for instant in random::instants() {
            self.now = self.now.max(instant);
            // What was lost is asked for again after some seconds, and who was superseded claims again.
            for _ in 0..40 {
                self.now = self.now + Millis(500);
                for node in 0..NODES {
                    self.tell(node);
                    self.deliver_up_to(node, usize::MAX);
                    self.read_up_to(node, usize::MAX);
                    self.flush(node);
                    while self.has_wants(node) {
                        self.perform(node, false);
                    }
                }
            }
            for node in 0..NODES {
                self.deliver_up_to(node, usize::MAX);
            }
        }
    }

    fn has_wants(&mut self, node: usize) -> bool {
        let Node { instance: Some(instance), asked, .. } = &mut self.nodes[node] else { return false };
        asked.extend(std::iter::from_fn(|| instance.want()));
        !asked.is_empty()
    }

    /// Every floor that was taken over stands where it stood when it was left, to the byte.
    fn judge_floors(&mut self) -> Result<(), String> {
        let mut rule = Rule::default();
        let mut counts = BTreeMap::new();
        for delta in &self.deltas {
            if let (Ok(_), Delta::Batch(batch)) = (rule.judge(delta), delta) {
                counts.insert((batch.place, batch.number), batch.claim);
            }
        }
        for (place, batches, found) in &self.taken_over {
            let left = counts.get(&(*place, *batches)).and_then(|claim| self.floors.get(&(*place, *batches, *claim)));
            if left.is_some() {
                self.happened.note("floor taken over");
            }
            if left.is_some_and(|left| left != found) {
                return Err(format!("{place:?} taken over after {batches} batches: another floor than was left"));
            }
        }
        Ok(())
    }

    /// Every node's board against all events taken once, in order.
    pub fn judge(&mut self) -> Result<(), String> {
        if let Some((node, stuck)) = self
            .nodes
            .iter()
            .enumerate()
            .find_map(|(number, node)| Some((number, node.instance.as_ref()?.stuck().next()?)))
        {
            return Err(format!("node {node} cannot work on {stuck:?}"));
        }
        self.judge_floors()?;
        let mut sorted = self.events.clone();
        sorted.sort_by_key(|event| event.time);
        let (mut floor, mut board) = (Floor::new(self.plan.clone()), Board::new(self.plan.clone()));
        for event in &sorted {
            floor.take(event, Timestamp::MAX);
        }
        let now = self.now;
        floor.advance(now);
        board.apply(0, &floor.flush());
        board.advance(now);
        let expected = random::figures(&self.plan, &mut board);
        for node in 0..NODES {
            let Some(instance) = &mut self.nodes[node].instance else { continue };
            instance.board().advance(now);
            let found = random::figures(&self.plan, instance.board());
            if let Some((a, b)) = expected.iter().zip(&found).find(|(a, b)| a != b) {
                return Err(format!("node {node}:\n expected {a}\n found    {b}"));
            }
            if expected.len() != found.len() {
                return Err(format!("node {node}: {} figures, expected {}", found.len(), expected.len()));
            }
        }
        Ok(())
    }
}

//! A log, a floor and three instances, all simulated: what the world does to them is drawn from a seed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock};

use atalaya::config::{self, MatrixSet};
use atalaya::domain::{Key, Millis, Timestamp};
use atalaya::indicators::{Reading, Selector, Topics};
use atalaya::instance::decider::{
    CLAIM_WITHIN, Decider, Decision, Entry, Fate, Intent, LOOK_MAX, Part, SILENT_AFTER, Want,
};
use atalaya::journal::{Claim, Position};
use atalaya::matrix::engine::{
    Engine, Feed, FeedState, Feeds, Matcher, Notification, Operation, Pending, Readings, What,
};
use atalaya::notice::notice_id;
use atalaya::plan::Plan;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::judge::{Judge, Sent};
use crate::seeds::Happened;

const NODES: usize = 3;
const QUEUES: usize = 5;

/// Noon of a Monday in UTC.
const START: Timestamp = Timestamp(1_780_315_200_000);

const MATRIX: &str = r#"
version: 1
name: care
language: en
time_zone: UTC
owner: chief
scope: { channel: chat }
mails_per_hour: 40
contacts:
  lead: { email: lead@x.example, quiet: { mon: "12:01-12:02" } }
  boss: { email: boss@x.example }
  chief: { email: chief@x.example, webhook: hook }
rows:
  - indicator: waiting
    goal: "< 10"
    group: { by: row, wait: 3s }
    recover: { for: 2s }
    ranges:
      - { when: "< 10", level: ok }
      - { when: "10 .. 20", level: warning, for: 2s, tell: [lead], action: call }
      - { when: ">= 20", level: critical, tell: [lead, boss], action: run, repeat: 9s,
          escalate: [ { after: 6s, tell: [chief] } ] }
  - indicator: asa
    window: 15m
    goal: "< 10s"
    min_samples: 5
    recover: { for: 3s }
    no_data: { level: warning, for: 4s, tell: [chief], action: look }
    ranges:
      - { when: "< 10s", level: ok }
      - { when: ">= 10s", level: critical, for: 3s, tell: [boss, chief], action: run, repeat: 12s }
"#;

static SET: LazyLock<MatrixSet> = LazyLock::new(|| {
    let set = config::matrices(&[("care.yaml".to_owned(), MATRIX.to_owned())], None);
    set.unwrap_or_else(|defects| panic!("{defects:?}"))
});

/// What is to happen in some world.
pub const EVERYTHING: [&str; 21] = [
    "append delayed",
    "append doubled",
    "append lost",
    "append out of order",
    "clock jumped",
    "crash",
    "decision in parts",
    "decision torn",
    "dropped decision",
    "feed frozen",
    "late claim",
    "node paused",
    "operation",
    "outcome repeated",
    "refused",
    "resigned",
    "restart from a snapshot",
    "restart from nothing",
    "sent again",
    "takeover",
    "zombie wrote",
];

/// What boards show after so many entries of the deltas log, one a second.
#[derive(Default)]
pub struct Floor {
    seconds: Vec<Second>,
}

#[derive(Clone, Default)]
struct Second {
    values: [Option<f64>; QUEUES],
    samples: f64,
    frozen: bool,
}

struct Board<'f>(&'f Second);

fn key(queue: usize) -> Key {
    Key::pair(&format!("q{queue}"), "chat")
}

impl Readings for Board<'_> {
    fn keys(&self) -> Vec<Key> {
        (0..QUEUES).map(key).collect()
    }

    fn read(&mut self, of: &Key, selector: &Selector) -> Reading {
        let value = (0..QUEUES).find(|queue| key(*queue) == *of).and_then(|queue| self.0.values[queue]);
        let samples = if value.is_some() { self.0.samples } else { 0.0 };
        match selector.indicator.name {
            "asa" => Reading { value: value.map(|value| value * 0.7), samples },
            _ => Reading { value, samples },
        }
    }
}

impl Floor {
    fn pass(&mut self, random: &mut ChaCha8Rng, calm: bool) {
        let mut second = self.seconds.last().cloned().unwrap_or_default();
        for value in &mut second.values {
            *value = match random.random_range(0..40) {
                _ if calm => Some(0.0),
                0 => None,
                1..4 => Some(25.5),
                4..8 => Some(12.25),
                8..12 => Some(0.5),
                // A value moves all the time, and means the same.
                _ => value.map(|value| value.floor() + random.random_range(0..100) as f64 / 100.0),
            };
        }
        second.samples = if random.random_bool(0.1) && !calm { 2.0 } else { 20.0 };
        second.frozen = !calm && random.random_bool(if second.frozen { 0.7 } else { 0.04 });
        self.seconds.push(second);
    }

    /// An engine decides what is to be told.
    pub fn decide<'o>(
        &self,
        engine: &mut Engine,
        tick: Timestamp,
        deltas: Position,
        operations: impl Iterator<Item = &'o Operation>,
    ) -> Vec<Intent> {
        for operation in operations {
            engine.operate(operation, tick - Millis(1));
        }
        let second = &self.seconds[deltas.0 as usize - 1];
        let state = if second.frozen { FeedState::Silent { since: START } } else { FeedState::Live };
        let carries = Topics { interactions: true, agents: false };
        let feeds = Feeds(vec![Feed { source: "events".into(), carries, state }]);
        let tick = engine.tick(tick, &mut Board(second), &feeds);
        tick.notifications.into_iter().map(intent).collect()
    }
}

fn intent(notice: Notification) -> Intent {
    let (id, weight) = (notice_id(&notice, false).into(), notice.level as u8);
    Intent { id, weight, bytes: Pending { notice, missed: None }.bytes(&SET.plan).into() }
}

/// A process, or what is left of it.
#[derive(Default)]
struct Node {
    decider: Option<Decider>,
    /// The next entry of each log that it will see.
    seen: usize,
    operations: usize,
    deltas: usize,
    /// What decides, in which term, up to which operation.
    engine: Option<(Claim, Engine, Position)>,
    /// What it asked for and has not been done yet, and in which term.
    asked: VecDeque<(Want, Claim)>,
    /// What it is to send.
    outbox: VecDeque<(Intent, Claim)>,
    ticked: Timestamp,
    paused_until: Timestamp,
    /// How far its wall clock is off.
    skew: i64,
    /// What it appended last comes to the log no earlier.
    appended: Timestamp,
}

pub struct World {
    random: ChaCha8Rng,
    now: Timestamp,
    floor: Floor,
    log: Vec<Entry>,
    operations: Vec<Operation>,
    /// What is on its way to the log, and when it arrives.
    air: BTreeMap<(Timestamp, u64), Entry>,
    flown: u64,
    /// What deciders kept: of how much of the log.
    kept: Vec<(usize, Vec<u8>)>,
    part_bytes: usize,
    nodes: Vec<Node>,
    judge: Judge,
    sent: Vec<Sent>,
    calm: bool,
    /// Until then nothing can be sent.
    away_until: Timestamp,
    pub happened: Happened,
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let part_bytes = if random.random_bool(0.5) { random.random_range(300..3_000) } else { usize::MAX };
        let mut floor = Floor::default();
        floor.pass(&mut random, false);
        World {
            now: START,
            floor,
            log: Vec::new(),
            operations: Vec::new(),
            air: BTreeMap::new(),
            flown: 0,
            kept: Vec::new(),
            part_bytes,
            nodes: (0..NODES).map(|_| Node::default()).collect(),
            judge: Judge::default(),
            sent: Vec::new(),
            calm: false,
            away_until: START,
            happened: Happened::default(),
            random,
        }
    }

    /// Minutes in which all goes wrong, with stretches between in which all works that is left.
    pub fn live(&mut self) -> Result<(), String> {
        (0..NODES).for_each(|node| self.start(node));
        for _ in 0..3 {
            self.storm();
            self.health(Millis(14_000))?;
        }
        self.calm = true;
        (0..NODES).for_each(|node| self.nodes[node].paused_until = START);
        for node in 0..NODES {
            if self.nodes[node].decider.is_none() {
                self.start(node);
            }
        }
        self.health(Millis(20_000))?;
        // What was decided in the last moment has a moment more.
        for _ in 0..5 {
            if self.judge.waits() > 0 {
                self.health(Millis::SECOND)?;
            }
        }
        Ok(())
    }

    fn storm(&mut self) {
        let end = self.now + Millis(self.random.random_range(15_000..40_000));
        while self.now < end {
            let passed = self.random.random_range(1..150);
            self.pass(Millis(passed));
            let node = self.random.random_range(0..NODES);
            match self.random.random_range(0..1000) {
                0..4 => self.crash(node),
                4..30 if self.nodes[node].decider.is_none() => self.start(node),
                30..38 => self.pause(node),
                38..42 => self.jump(node),
                42..50 => self.keep(node),
                50..54 => self.roll(node),
                54..75 => self.operate(),
                75..79 => self.away_until = self.now + Millis(self.random.random_range(0..12_000)),
                _ if self.runs(node) => self.act(node, true),
                _ => {}
            }
        }
    }

    /// Whoever is left works without fault; one of them, at times, has just stopped.
    fn health(&mut self, length: Millis) -> Result<(), String> {
        let (mut begun, end) = (self.now, self.now + length);
        // What was on its way comes at once, so that no fault of before reaches into it.
        self.air = std::mem::take(&mut self.air)
            .into_values()
            .enumerate()
            .map(|(n, entry)| ((begun, n as u64), entry))
            .collect();
        if self.random.random_bool(0.5) && !self.calm {
            let decides = (0..NODES).find(|node| self.decides(*node)).unwrap_or_default();
            if self.random.random_bool(0.5) { self.crash(decides) } else { self.nodes[decides].paused_until = end }
        }
        if (0..NODES).all(|node| !self.runs(node)) {
            self.nodes[0].paused_until = self.now;
            if self.nodes[0].decider.is_none() {
                self.start(0);
            }
        }
        let mut allowed = SILENT_AFTER + Millis(2_000);
        while self.now < end {
            self.pass(Millis(100));
            for node in 0..NODES {
                if self.runs(node) {
                    self.act(node, false);
                }
            }
            if self.judge.heard > begun {
                // The last word of one that has stopped may come before the silence.
                let works = (0..NODES).any(|node| self.runs(node) && self.decides(node));
                (begun, allowed) = (self.judge.heard, if works { Millis(2_000) } else { allowed });
            }
            if self.now - begun > allowed {
                return Err(format!("nothing was decided from {begun} to {}", self.now));
            }
        }
        Ok(())
    }

    fn pass(&mut self, length: Millis) {
        self.now = self.now + length;
        while START + Millis::seconds(self.floor.seconds.len() as i64) <= self.now {
            self.floor.pass(&mut self.random, self.calm);
            let frozen = self.floor.seconds.last().is_some_and(|second| second.frozen);
            self.happened.count("feed frozen", u64::from(frozen));
        }
        while let Some(first) = self.air.first_entry().filter(|first| first.key().0 <= self.now) {
            self.log.push(first.remove());
        }
        self.judge.read(&self.log, self.now);
    }

    fn runs(&self, node: usize) -> bool {
        self.nodes[node].decider.is_some() && self.nodes[node].paused_until <= self.now
    }

    fn decides(&self, node: usize) -> bool {
        self.nodes[node].decider.as_ref().is_some_and(|decider| decider.term().is_some())
    }

    fn start(&mut self, node: usize) {
        let kept = match self.kept.len() {
            0 => None,
            _ if self.random.random_bool(0.4) => None,
            count => self.kept.get(count - 1 - self.random.random_range(0..count.min(4))),
        };
        let (seen, decider) = match kept {
            Some((seen, bytes)) => {
                self.happened.note("restart from a snapshot");
                (*seen, Decider::restore(bytes).unwrap())
            }
            None => {
                self.happened.note("restart from nothing");
                (0, Decider::new())
            }
        };
        assert_eq!(decider.position(), Position(seen as u64));
        let mut decider = decider.with_part_bytes(self.part_bytes);
        decider.able(true);
        let operations = decider.last().map_or(0, |last| last.operations.0 as usize);
        let (ticked, paused_until, appended) = (START, START, self.now);
        let decider = Some(decider);
        self.nodes[node] = Node { decider, seen, operations, ticked, paused_until, appended, ..Node::default() };
    }

    fn crash(&mut self, node: usize) {
        // Some of what it asked for is done all the same.
        if self.runs(node) && self.random.random_bool(0.6) {
            for _ in 0..self.random.random_range(0..4) {
                self.perform(node, true);
            }
        }
        if self.nodes[node].decider.is_some() {
            self.happened.note("crash");
        }
        self.nodes[node] = Node::default();
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
        self.nodes[node].skew = match self.random.random_range(0..3) {
            0 => 0,
            1 => self.random.random_range(-5_000..5_000),
            _ => self.random.random_range(-3_600_000..60_000),
        };
    }

    fn keep(&mut self, node: usize) {
        if let Node { decider: Some(decider), seen, .. } = &self.nodes[node] {
            self.kept.push((*seen, decider.snapshot()));
        }
    }

    /// It is stopped in order, and started again.
    fn roll(&mut self, node: usize) {
        if !self.runs(node) {
            return;
        }
        if self.decides(node) {
            self.happened.note("resigned");
        }
        if let Some(decider) = &mut self.nodes[node].decider {
            decider.resign();
        }
        for _ in 0..20 {
            self.perform(node, true);
        }
        self.start(node);
    }

    fn operate(&mut self) {
        let random = &mut self.random;
        let until = self.now + Millis(random.random_range(1_000..20_000));
        let id: Arc<str> = format!("s{}", random.random_range(0..3)).into();
        let open = self.nodes.iter().filter_map(|node| node.engine.as_ref());
        let open: Vec<Arc<str>> = open.flat_map(|(_, engine, _)| engine.open_ids()).collect();
        let what = match random.random_range(0..4) {
            0 => {
                let matcher =
                    Matcher { queue: vec![format!("q{}", random.random_range(0..QUEUES))], ..Matcher::default() };
                What::Silence { id, matcher, from: self.now, until }
            }
            1 => What::EndSilence { id },
            _ if open.is_empty() => return,
            _ => What::Acknowledge { incident: open[random.random_range(0..open.len())].clone(), until: Some(until) },
        };
        self.happened.note("operation");
        self.operations.push(Operation { who: "ana".into(), why: "".into(), what });
    }

    /// What an instance does when it is given time. A zombie does not begin by reading.
    fn act(&mut self, node: usize, badly: bool) {
        let wakes = badly && self.random.random_bool(0.3);
        if !wakes {
            self.deliver(node, badly);
        }
        self.decide(node);
        let count = if badly { self.random.random_range(0..6) } else { usize::MAX };
        for _ in 0..count {
            if !self.perform(node, badly) {
                break;
            }
        }
        self.send(node, badly);
        while !badly && self.perform(node, badly) {}
    }

    fn deliver(&mut self, node: usize, badly: bool) {
        let World { nodes, random, log, operations, floor, now, happened, .. } = self;
        let Node { decider: Some(decider), seen, operations: operated, deltas, skew, engine, outbox, .. } =
            &mut nodes[node]
        else {
            return;
        };
        let most = if badly { random.random_range(0..8) } else { usize::MAX };
        for (at, entry) in log.iter().enumerate().skip(*seen).take(most) {
            let before = decider.term();
            let drops: u64 = decider.dropped().iter().map(|(_, count)| count).sum();
            decider.entry(Position(at as u64), entry);
            *seen += 1;
            if drops < decider.dropped().iter().map(|(_, count)| count).sum() {
                happened.note(match entry {
                    Entry::Claimed { .. } => "late claim",
                    Entry::Resigned { .. } => "late resignation",
                    Entry::Decided(_) => "dropped decision",
                    Entry::Outcome { .. } => "outcome repeated",
                });
            }
            if decider.term() != before {
                happened.count("takeover", u64::from(decider.term().is_some()));
                // The term is over, or another has begun.
                (*engine, *outbox) = (None, VecDeque::new());
            }
        }
        let most = if badly { random.random_range(0..4) } else { usize::MAX };
        for (at, operation) in operations.iter().enumerate().skip(*operated).take(most) {
            decider.operation(Position(at as u64), operation.clone());
            *operated += 1;
        }
        *deltas =
            if badly { (*deltas + random.random_range(0..5)).min(floor.seconds.len()) } else { floor.seconds.len() };
        if *seen == log.len() {
            let jumps = if badly && random.random_bool(0.05) { LOOK_MAX.0 * 30 } else { 0 };
            decider.at_end(*now + Millis(*skew + jumps), &mut || random.next_u64());
        }
    }

    /// A tick, once a second.
    fn decide(&mut self, node: usize) {
        let World { nodes, floor, now, happened, .. } = self;
        let Node { decider: Some(decider), deltas, engine, ticked, skew, .. } = &mut nodes[node] else { return };
        let (Some(claim), true) = (decider.term(), decider.may_decide()) else { return };
        let last = decider.last().copied();
        if *now - *ticked < Millis::SECOND || *deltas == 0 || last.is_some_and(|last| last.deltas.0 > *deltas as u64) {
            return;
        }
        *ticked = *now;
        let (_, engine, operated) = engine.get_or_insert_with(|| {
            let engine = Engine::of_items(SET.matrices.clone(), SET.plan.clone(), decider.items()).unwrap();
            (claim, engine, last.map_or(Position(0), |last| last.operations))
        });
        // Time goes on from what was decided, whoever's clock it was by.
        let wall = (*now + Millis(*skew)).floor_to(Millis::SECOND);
        let tick = last.map_or(wall, |last| wall.max(last.tick + Millis::SECOND));
        let due: Vec<(Position, Operation)> =
            decider.operations(*operated).unwrap().map(|(at, operation)| (at, operation.clone())).collect();
        let operations = due.last().map_or(*operated, |(at, _)| Position(at.0 + 1));
        *operated = operations;
        let deltas = Position(*deltas as u64);
        let intents = floor.decide(engine, tick, deltas, due.iter().map(|(_, operation)| operation));
        let patch = engine.changes(decider.items());
        happened.note("decision");
        decider.decide(Decision { tick, deltas, operations, patch, intents }).unwrap();
    }

    /// Something that a node asked for is done, or goes wrong. `false` where there is nothing.
    fn perform(&mut self, node: usize, badly: bool) -> bool {
        let World { nodes, random, happened, judge, .. } = self;
        let Node { decider: Some(decider), asked, outbox, .. } = &mut nodes[node] else { return false };
        let claim = decider.term().unwrap_or_default();
        let wanted: Vec<Want> = std::iter::from_fn(|| decider.want()).collect();
        for want in &wanted {
            let of_term = match want {
                Want::Append(Entry::Decided(part)) => part.head.claim == claim,
                Want::Send(_) => claim != Claim::NOBODY,
                Want::Append(_) => true,
            };
            assert!(of_term, "a decision or a notice of a term that is over is wanted");
        }
        asked.extend(wanted.into_iter().map(|want| (want, claim)));
        let Some((want, claim)) = asked.pop_front() else { return false };
        let chance = |random: &mut ChaCha8Rng, of| badly && random.random_bool(of);
        let entry = match want {
            Want::Send(intent) => {
                if decider.term() == Some(claim) {
                    outbox.push_back((intent, claim));
                }
                return true;
            }
            Want::Append(_) if chance(random, 0.04) => {
                happened.note("append lost");
                return true;
            }
            Want::Append(entry) => entry,
        };
        if let Entry::Decided(Part { head, part, .. }) = &entry {
            happened.count("decision in parts", u64::from(*part == 1));
            happened.count("zombie wrote", u64::from(!judge.is_turn_of(head.claim)));
        }
        let doubled = chance(random, 0.05);
        happened.count("append doubled", u64::from(doubled));
        for _ in 0..1 + usize::from(doubled) {
            self.fly(node, entry.clone(), badly);
        }
        true
    }

    /// What is appended comes to the log, mostly soon and in order.
    fn fly(&mut self, node: usize, entry: Entry, badly: bool) {
        let World { nodes, random, happened, air, now, flown, .. } = self;
        let chance = |random: &mut ChaCha8Rng, of| badly && random.random_bool(of);
        let mut at = *now + Millis(random.random_range(5..60));
        if chance(random, 0.03) {
            happened.note("append delayed");
            at = at + Millis(random.random_range(500..9_000));
        } else if chance(random, 0.04) {
            happened.note("append out of order");
        } else {
            at = at.max(nodes[node].appended);
            nodes[node].appended = at;
        }
        *flown += 1;
        air.insert((at, *flown), entry);
    }

    fn send(&mut self, node: usize, badly: bool) {
        let World { nodes, random, happened, log, sent, away_until, now, .. } = self;
        let Node { decider: Some(decider), outbox, .. } = &mut nodes[node] else { return };
        let most = match badly {
            true if *away_until > *now => 0,
            true => random.random_range(0..3),
            false => usize::MAX,
        };
        for _ in 0..most {
            let Some((intent, claim)) = outbox.pop_front() else { return };
            let (id, at) = (intent.id.clone(), log.len());
            sent.push(Sent { intent: intent.clone(), at, claim });
            if random.random_bool(0.1) && !id.ends_with("_instead") {
                happened.note("refused");
                let instead = Intent { id: format!("{id}_instead").into(), ..intent };
                decider.outcome(id, Fate::Refused, vec![instead]);
            } else {
                decider.outcome(id, Fate::Sent, Vec::new());
            }
        }
    }

    pub fn judge(&mut self) -> Result<(), String> {
        let again = self.judge.judge_sent(&self.sent)?;
        self.happened.count("sent again", again);
        self.happened.count("decision torn", self.judge.halves);
        let plan: &Arc<Plan> = &SET.plan;
        let items = self.judge.judge_decided(&SET.matrices, plan, &self.floor, &self.operations)?;
        if self.judge.waits() > 0 {
            return Err(format!("{} notices have no outcome", self.judge.waits()));
        }
        for node in 0..NODES {
            self.deliver(node, false);
            let decider = self.nodes[node].decider.as_ref().ok_or("a node is not there")?;
            if *decider.items() != items {
                let differs = atalaya::matrix::engine::diff(&items, decider.items());
                return Err(format!("node {node} has another state: {differs:?}"));
            }
            if decider.ledger().decisions() != self.judge.accepted.len() as u64 {
                return Err(format!("node {node} counts {} decisions", decider.ledger().decisions()));
            }
            if !decider.ledger().outbox().is_empty() {
                return Err(format!("node {node} has {} notices to send", decider.ledger().outbox().len()));
            }
        }
        assert!(CLAIM_WITHIN < Millis(2_000));
        Ok(())
    }
}

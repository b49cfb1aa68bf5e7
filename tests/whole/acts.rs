//! What a process does when it is given time: reads, tells, decides, writes and sends, or fails to.

use atalaya::domain::{Millis, Timestamp};
use atalaya::indicators::Topics;
use atalaya::instance::decider::{self, Entry, Fate, Intent, LOOK_MAX, Part};
use atalaya::instance::{Want, slot};
use atalaya::journal::rule::Dropped;
use atalaya::journal::{Claim, Delta, Position, SourcePartition};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

use crate::decisions::Sent;
use crate::topics::Write;
use crate::world::{Ask, Node, World};

fn floor_name(place: SourcePartition, snapshot: u64) -> String {
    format!("floor.{}.{}", place.partition, slot(snapshot))
}

fn count(dropped: &Dropped) -> u64 {
    dropped.iter().map(|(_, count)| count).sum()
}

/// When what a node appends comes to a log: mostly soon and in order.
fn arrival(
    random: &mut ChaCha8Rng,
    node: &mut Timestamp,
    now: Timestamp,
    badly: bool,
) -> (Timestamp, Option<&'static str>) {
    let at = now + Millis(random.random_range(5..60));
    if badly && random.random_bool(0.03) {
        return (at + Millis(random.random_range(500..9_000)), Some("append delayed"));
    }
    if badly && random.random_bool(0.04) {
        return (at, Some("append out of order"));
    }
    *node = at.max(*node);
    (*node, None)
}

impl World {
    /// What a process does when it is given time. A zombie does not begin by reading.
    pub fn act(&mut self, node: usize, badly: bool) -> Result<(), String> {
        let chance = |random: &mut ChaCha8Rng, of| !badly || random.random_bool(of);
        if chance(&mut self.random, 0.3) {
            self.tell(node);
        }
        if chance(&mut self.random, 0.8) {
            self.deliver(node, badly);
        }
        if chance(&mut self.random, 0.5) {
            let most = if badly { self.random.random_range(1..20) } else { usize::MAX };
            self.read(node, most);
        }
        if chance(&mut self.random, 0.5) {
            self.flush(node);
        }
        self.decide(node, badly);
        let most = if badly { self.random.random_range(0..10) } else { usize::MAX };
        for _ in 0..most {
            if !self.perform(node, badly) {
                break;
            }
        }
        self.send(node, badly);
        while !badly && self.perform(node, badly) {}
        self.failed.take().map_or(Ok(()), Err)
    }

    /// A node sees more of the logs.
    fn deliver(&mut self, node: usize, badly: bool) {
        let wall = self.wall(node);
        let World { nodes, random, deltas, decisions, operations, happened, .. } = self;
        let Node { instance: Some(instance), outbox, .. } = &mut nodes[node] else { return };
        let mut most = |of: usize| if badly { random.random_range(0..of) } else { usize::MAX };
        let [of_deltas, of_decisions, of_operations] = instance.positions();
        for (at, entry) in deltas.entries.iter().enumerate().skip(of_deltas).take(most(40)) {
            let before = count(instance.replica().dropped());
            instance.delta(Position(at as u64), entry, wall);
            if before < count(instance.replica().dropped()) {
                happened.note(match entry {
                    Delta::Claimed { .. } => "claim dropped",
                    Delta::Kept { .. } => "mark dropped",
                    Delta::Batch(_) => "batch dropped",
                });
            }
        }
        for (at, entry) in decisions.entries.iter().enumerate().skip(of_decisions).take(most(12)) {
            let before = count(instance.seat.decider.dropped());
            if instance.decision(Position(at as u64), entry) {
                happened.count("takeover", u64::from(instance.seat.term().is_some()));
                outbox.clear();
            }
            if before < count(instance.seat.decider.dropped()) {
                happened.note(match entry {
                    Entry::Claimed { .. } => "claim dropped",
                    Entry::Resigned { .. } => "resignation dropped",
                    Entry::Decided(_) => "decision dropped",
                    Entry::Outcome { .. } => "outcome repeated",
                });
            }
        }
        for (at, (when, operation)) in operations.entries.iter().enumerate().skip(of_operations).take(most(4)) {
            instance.operation(Position(at as u64), *when, operation.clone());
        }
        let at = instance.positions();
        let ends = [deltas.entries.len(), decisions.entries.len(), operations.entries.len()];
        for ((read, at), end) in instance.read.iter_mut().zip(at).zip(ends) {
            *read |= at == end;
        }
    }

    fn read(&mut self, node: usize, most: usize) {
        let wall = self.wall(node);
        let Node { instance: Some(instance), reading, believes, .. } = &mut self.nodes[node] else { return };
        for (place, next) in &mut *reading {
            let source = &self.sources[place.partition as usize];
            for record in source.iter().skip(*next).take(most) {
                instance.record(*place, *next as i64, record.broker, record.event.as_ref(), wall);
                *next += 1;
            }
            if *next >= source.len() {
                instance.reached(*place, source.len() as i64);
            }
        }
        let ended = |(place, next): (&SourcePartition, &usize)| *next >= self.sources[place.partition as usize].len();
        if reading.len() == believes.len() && reading.iter().all(ended) {
            instance.catch_up(reading, wall);
        }
        self.look(node);
    }

    fn flush(&mut self, node: usize) {
        self.gather(node);
        let wall = self.wall(node);
        let World { nodes, random, floors, .. } = self;
        let Node { instance: Some(instance), asked, .. } = &mut nodes[node] else { return };
        instance.flush(wall, &mut || random.next_u64());
        while let Some(want) = instance.want() {
            // Its bytes cost more than all else: a floor in four is looked at.
            if let Want::Append(Delta::Batch(batch)) = &want
                && random.random_bool(0.25)
                && let Some((counted, told, bytes)) = instance.floor(batch.place)
                && counted + told == batch.number
            {
                floors.insert((batch.place, batch.number, batch.claim), bytes);
            }
            asked.push_back(ask(want));
        }
    }

    /// Notes which floors began to tell.
    fn look(&mut self, node: usize) {
        let Node { instance: Some(instance), tells, believes, .. } = &mut self.nodes[node] else { return };
        tells.retain(|place| instance.tells(*place));
        for place in believes.iter() {
            if instance.tells(*place)
                && tells.insert(*place)
                && let Some((counted, 0, bytes)) = instance.floor(*place)
            {
                self.taken_over.push((*place, counted, bytes));
            }
        }
    }

    /// A tick, once a second.
    fn decide(&mut self, node: usize, badly: bool) {
        let wall = self.wall(node);
        let World { nodes, random, decisions, circumstances, happened, .. } = self;
        let Node { instance: Some(instance), .. } = &mut nodes[node] else { return };
        let at_end = instance.positions()[1] == decisions.entries.len();
        // Somebody has put the clock forward, and puts it back.
        let leaps = if badly && random.random_bool(0.01) { LOOK_MAX.0 * 30 } else { 0 };
        instance.turn(at_end, wall + Millis(leaps), &mut || random.next_u64());
        if let Some((which, found)) = instance.tick(wall) {
            happened.note("decision");
            let frozen = found.feeds.freeze(Topics { interactions: true, agents: true });
            happened.count("feed frozen", u64::from(frozen));
            circumstances.insert(which, found);
        }
    }

    /// Takes what is wanted from the parts of a node.
    fn gather(&mut self, node: usize) {
        let World { nodes, .. } = self;
        let Node { instance: Some(instance), asked, outbox, .. } = &mut nodes[node] else { return };
        let claim = instance.seat.decider.term().unwrap_or_default();
        while let Some(want) = instance.seat.decider.want() {
            match want {
                decider::Want::Append(entry) => {
                    if let Entry::Decided(part) = &entry {
                        assert_eq!(part.head.claim, claim, "a decision of a term that is over is wanted");
                    }
                    asked.push_back(Ask::Decision(entry));
                }
                decider::Want::Send(intent) => {
                    assert_ne!(claim, Claim::NOBODY, "a notice of a term that is over is wanted");
                    outbox.push_back((intent, claim));
                }
            }
        }
        let mut stores = Vec::new();
        while let Some(want) = instance.want() {
            match want {
                Want::Store { place, snapshot, bytes } => stores.push((place, snapshot, bytes)),
                want => asked.push_back(ask(want)),
            }
        }
        for (place, snapshot, bytes) in stores {
            self.write(node, floor_name(place, snapshot), bytes, Some((place, snapshot)));
        }
    }

    /// A state is to be kept, in the place of one of its name that waits.
    pub fn write(&mut self, node: usize, name: String, bytes: Vec<u8>, floor: Option<(SourcePartition, u64)>) {
        let World { nodes, random, store, .. } = self;
        let piece = bytes.len().div_ceil(random.random_range(1..5)).max(1);
        let id = floor.map_or_else(|| random.next_u64(), |(_, snapshot)| snapshot);
        let instance = nodes[node].instance.as_ref();
        let claim = floor.and_then(|(_, snapshot)| instance?.under(snapshot));
        let write = Write::new(name, id, &bytes, piece, floor, claim);
        store.begin(&write.name, &write.manifest, bytes);
        let writes = &mut nodes[node].writes;
        writes.retain(|waiting| waiting.begun || waiting.name != write.name);
        writes.push_back(write);
    }

    /// Something that a node asked for is done, or goes wrong. `false` where there is nothing.
    pub fn perform(&mut self, node: usize, badly: bool) -> bool {
        self.gather(node);
        let writes = !self.nodes[node].writes.is_empty();
        if writes && (self.nodes[node].asked.is_empty() || self.random.random_bool(0.4)) {
            self.put(node, badly);
            return true;
        }
        let now = self.now;
        let World { nodes, random, happened, deltas, decisions, store, decided, failed, .. } = self;
        let Node { instance: Some(instance), asked, reading, appended, manifests, .. } = &mut nodes[node] else {
            return false;
        };
        let Some(ask) = asked.pop_front() else { return false };
        let chance = |random: &mut ChaCha8Rng, of| badly && random.random_bool(of);
        match ask {
            Ask::Delta(_) | Ask::Decision(_) if chance(random, 0.03) => happened.note("append lost"),
            Ask::Read { .. } | Ask::Load { .. } if chance(random, 0.1) => happened.note("read lost"),
            Ask::Delta(delta) => {
                for _ in 0..copies(random, badly, happened) {
                    let (at, how) = arrival(random, appended, now, badly);
                    how.into_iter().for_each(|how| happened.note(how));
                    deltas.fly(at, delta.clone());
                }
            }
            Ask::Decision(entry) => {
                if let Entry::Decided(Part { head, part, .. }) = &entry {
                    happened.count("decision in parts", u64::from(*part == 1));
                    happened.count("zombie decided", u64::from(!decided.is_turn_of(head.claim)));
                }
                for _ in 0..copies(random, badly, happened) {
                    let (at, how) = arrival(random, appended, now, badly);
                    how.into_iter().for_each(|how| happened.note(how));
                    decisions.fly(at, entry.clone());
                }
            }
            Ask::Read { place, from } => {
                reading.insert(place, from as usize);
                instance.reading(place, from);
                self.look(node);
            }
            Ask::Load { place, snapshot } => {
                happened.note("snapshot loaded");
                let name = floor_name(place, snapshot);
                manifests.extend(store.manifest(&name).map(|manifest| (name.clone(), manifest)));
                match store.read(&name) {
                    Ok(found) => {
                        let found = found.filter(|(id, _)| *id == format!("{snapshot:016x}"));
                        instance.loaded(place, snapshot, found.as_ref().map(|(_, bytes)| bytes.as_slice()));
                    }
                    Err(why) => *failed = Some(why),
                }
            }
        }
        true
    }

    /// The next record of a state comes into its topic, or that state is given up.
    fn put(&mut self, node: usize, badly: bool) {
        let over = self.writes_over(node);
        let World { nodes, random, happened, store, failed, .. } = self;
        let Node { instance: Some(instance), writes, manifests, .. } = &mut nodes[node] else { return };
        let Some(write) = writes.front_mut() else { return };
        if over == Some(Over::ByOwner) {
            *failed = Some(format!("{} is written over by its owner, while others may go on from it", write.name));
        }
        if over == Some(Over::LastByZombie) || badly && random.random_bool(0.04) {
            happened.note("store lost");
            writes.pop_front();
            return;
        }
        if !store.put(write) {
            return;
        }
        let Some(write) = writes.pop_front() else { return };
        if let Some(before) = manifests.insert(write.name.clone(), write.manifest.clone()) {
            store.give_up(&write.name, &before);
        }
        if let Some((place, snapshot)) = write.floor {
            instance.stored(place, snapshot);
        }
        if badly && random.random_bool(0.15) && write.floor.is_none_or(|(place, _)| self.may_be_damaged(node, place)) {
            self.happened.note("snapshot damaged");
            let bit = self.random.next_u64();
            self.store.damage(&write.name, bit);
        }
    }

    fn is_there(&self, place: SourcePartition, snapshot: u64) -> bool {
        let found = self.store.read(&floor_name(place, snapshot));
        found.is_ok_and(|found| found.is_some_and(|(id, _)| id == format!("{snapshot:016x}")))
    }

    /// Whether the state that a node writes takes the place of one that others may go on from.
    fn writes_over(&self, node: usize) -> Option<Over> {
        let write = self.nodes[node].writes.front()?;
        let (place, snapshot) = write.floor?;
        let under = |mark: &u64| slot(*mark) == slot(snapshot) && *mark != snapshot;
        let over = self.counted.marks(place).find(under)?;
        if self.counted.owner(place).is_some_and(|owner| Some(owner.0) == write.claim) {
            return Some(Over::ByOwner);
        }
        let other = self.counted.marks(place).find(|mark| *mark != over)?;
        (!self.is_there(place, other)).then_some(Over::LastByZombie)
    }

    /// Of a floor two snapshots are kept so that one may be bad: one that was written last, while those before it are there and
    /// no zombie is about to write over one.
    fn may_be_damaged(&self, node: usize, place: SourcePartition) -> bool {
        let mut others = self.nodes.iter().enumerate().filter(|(other, _)| *other != node);
        let is_zombie = |other: &Node| {
            let writes = other.writes.iter().any(|write| write.floor.is_some_and(|(of, _)| of == place));
            writes || other.instance.as_ref().is_some_and(|instance| instance.tells(place))
        };
        self.counted.marks(place).all(|snapshot| self.is_there(place, snapshot))
            && !others.any(|(_, other)| is_zombie(other))
    }

    fn send(&mut self, node: usize, badly: bool) {
        let World { nodes, random, happened, decisions, sent, away_until, now, .. } = self;
        let Node { instance: Some(instance), outbox, .. } = &mut nodes[node] else { return };
        let most = match badly {
            true if *away_until > *now => 0,
            true => random.random_range(0..3),
            false => usize::MAX,
        };
        for _ in 0..most {
            let Some((intent, claim)) = outbox.pop_front() else { return };
            let (id, at) = (intent.id.clone(), decisions.entries.len());
            sent.push(Sent { intent: intent.clone(), at, claim });
            if badly && random.random_bool(0.1) {
                happened.note("answer lost");
                outbox.push_front((intent, claim));
            } else if random.random_bool(0.1) && !id.ends_with("_instead") {
                happened.note("refused");
                let instead = Intent { id: format!("{id}_instead").into(), ..intent };
                instance.seat.decider.outcome(id, Fate::Refused, vec![instead]);
            } else {
                instance.seat.decider.outcome(id, Fate::Sent, Vec::new());
            }
        }
    }
}

/// A snapshot of a floor that the log names is written over.
#[derive(PartialEq)]
enum Over {
    ByOwner,
    /// And the other one cannot be read: that would be two faults at once, which the world does not do.
    LastByZombie,
}

fn ask(want: Want) -> Ask {
    match want {
        Want::Append(delta) => Ask::Delta(delta),
        Want::Read { place, from, .. } => Ask::Read { place, from },
        Want::Load { place, snapshot } => Ask::Load { place, snapshot },
        Want::Store { .. } => unreachable!("states are stored when batches count, not by a flush"),
    }
}

fn copies(random: &mut ChaCha8Rng, badly: bool, happened: &mut crate::seeds::Happened) -> usize {
    let doubled = badly && random.random_bool(0.05);
    happened.count("append doubled", u64::from(doubled));
    1 + usize::from(doubled)
}

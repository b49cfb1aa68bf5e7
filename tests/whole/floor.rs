//! What happens on the floor, and by which matrix it is judged: random events of a day, and queues that fill and empty in the
//! seconds in which everything else goes wrong.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use atalaya::config::{self, MatrixSet};
use atalaya::domain::{Body, Event, InteractionEvent, Millis, Timestamp};
use atalaya::plan::Plan;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

use crate::random;

pub const PARTITIONS: usize = 3;

/// So many wait in the queue that fills: clear of the threshold.
const WAVE: usize = 24;

/// The queue that fills before an outage, or empties, and of which is known what must come of it.
pub const FULL: &str = "full";

const MATRIX: &str = r#"
version: 1
name: care
language: en
time_zone: UTC
owner: chief
scope: { channel: chat }
mails_per_hour: 40
contacts:
  lead: { email: lead@x.example, quiet: { thu: "03:00-05:00" } }
  boss: { email: boss@x.example }
  chief: { email: chief@x.example, webhook: hook }
rows:
  - indicator: waiting
    goal: "< 4"
    group: { by: row, wait: 3s }
    recover: { for: 2s }
    ranges:
      - { when: "< 4", level: ok }
      - { when: "4 .. 8", level: warning, for: 2s, tell: [lead], action: call }
      - { when: ">= 8", level: critical, tell: [lead, boss], action: run, repeat: 9s,
          escalate: [ { after: 6s, tell: [chief] } ] }
  - indicator: asa
    window: 15m
    goal: "< 10s"
    min_samples: 2
    recover: { for: 3s }
    no_data: { level: warning, for: 4s, tell: [chief], action: look }
    ranges:
      - { when: "< 10s", level: ok }
      - { when: ">= 10s", level: critical, for: 3s, tell: [boss, chief], action: run, repeat: 12s }
"#;

pub static SET: LazyLock<MatrixSet> = LazyLock::new(|| {
    let set = config::matrices(&[("care.yaml".to_owned(), MATRIX.to_owned())], None);
    set.unwrap_or_else(|defects| panic!("{defects:?}"))
});

/// The settings of all instances of a world.
pub struct Setting {
    pub plan: Arc<Plan>,
    pub part_bytes: usize,
    pub idle_every: Millis,
}

impl Setting {
    pub fn new(random: &mut ChaCha8Rng) -> Setting {
        let mut plan = random::plan_of((*SET.plan).clone());
        // The tables that limits size are made anew with every floor.
        plan.limits.identities = 1_000;
        let part_bytes = if random.random_bool(0.5) { random.random_range(300..3_000) } else { usize::MAX };
        let idle_every = if random.random_bool(0.5) { Millis::ZERO } else { Millis::SECOND };
        Setting { plan: Arc::new(plan), part_bytes, idle_every }
    }
}

pub fn partition_of(event: &Event<'_>) -> usize {
    let owner = event.body.about().unwrap_or_default().as_bytes();
    owner.iter().map(|byte| usize::from(*byte)).sum::<usize>() % PARTITIONS
}

/// Of a day.
pub fn events(random: &mut ChaCha8Rng) -> Vec<Event<'static>> {
    let mut bytes = [0; 32];
    random.fill_bytes(&mut bytes);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    random::events().new_tree(&mut runner).unwrap().current()
}

/// Who waits where, as far as it was made up here.
#[derive(Default)]
pub struct Crowd {
    made: u64,
    waiting: BTreeSet<(&'static str, u64)>,
    pub is_full: bool,
}

impl Crowd {
    fn event(&mut self, number: u64, time: Timestamp, event: InteractionEvent<'static>) -> Event<'static> {
        self.made += 1;
        let body = Body::Interaction { interaction: format!("crowd{number}").into(), event };
        Event { id: format!("c{}", self.made).into(), time, body }
    }

    fn comes(&mut self, queue: &'static str, now: Timestamp) -> Event<'static> {
        let number = self.made;
        self.waiting.insert((queue, number));
        self.event(number, now, InteractionEvent::Queued { queue: queue.into(), channel: "chat".into() })
    }

    fn goes(&mut self, queue: &'static str, now: Timestamp, answered: bool) -> Option<Event<'static>> {
        let found = self.waiting.range((queue, 0)..=(queue, u64::MAX)).next().copied()?;
        self.waiting.remove(&found);
        let event = match answered {
            true => InteractionEvent::Replied { agent: "ana".into(), automatic: false },
            false => InteractionEvent::Abandoned,
        };
        Some(self.event(found.1, now, event))
    }

    /// The queue that was empty fills, or the other way round.
    pub fn wave(&mut self, now: Timestamp) -> Vec<Event<'static>> {
        self.is_full = !self.is_full;
        let events = (0..WAVE)
            .filter_map(|_| if self.is_full { Some(self.comes(FULL, now)) } else { self.goes(FULL, now, false) });
        events.collect()
    }

    /// Some come at once, or some go.
    pub fn burst(&mut self, random: &mut ChaCha8Rng, now: Timestamp) -> Vec<Event<'static>> {
        let queue = if random.random_bool(0.5) { "b0" } else { "b1" };
        let (come, answered) = (random.random_bool(0.5), random.random_bool(0.7));
        let count = random.random_range(2..12);
        let events = (0..count)
            .filter_map(|_| if come { Some(self.comes(queue, now)) } else { self.goes(queue, now, answered) });
        events.collect()
    }
}

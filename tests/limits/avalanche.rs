//! Ten minutes in which ten times the load comes and nobody more answers: every number and every level is what a plain
//! count says, at every second, and memory stays under its bound.
#![allow(clippy::disallowed_methods, reason = "how long the slowest second took is said, and decides nothing")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::*;
use crate::bytes::most_held;
use atalaya::config;
use atalaya::matrix::Level;

/// All the rest of this floor and board, whose keys do not grow.
const REST: usize = 4 << 20;

/// When the flood begins and ends, when those who wait begin to give up, and when all is over.
const FLOOD: i64 = 60;
const EBB: i64 = 660;
const GIVE_UP: i64 = 700;
const END: i64 = 900;
const QUEUES: usize = 10;
/// How long an agent has to do with one.
const HANDLED: i64 = 30;

const MATRIX: &str = r#"
version: 1
name: avalanche
language: en
owner: lead
contacts:
  lead: { email: lead@acme.example }
rows:
  - indicator: waiting
    per: all
    goal: "< LIMIT"
    ranges:
      - { when: "< LIMIT", level: ok }
      - { when: ">= LIMIT", level: critical, tell: [lead] }
  - indicator: oldest_wait
    per: all
    goal: "< 60s"
    ranges:
      - { when: "< 60s", level: ok }
      - { when: ">= 60s", level: warning, for: 30s, tell: [lead] }
"#;

/// The plain count.
#[derive(Default)]
struct Count {
    /// Number of the interaction and when it was queued, the oldest first.
    waiting: VecDeque<(usize, Timestamp)>,
    /// Number of the interaction and when it is closed.
    handled: VecDeque<(usize, i64)>,
    queued: [usize; QUEUES],
    answered: usize,
    abandoned: usize,
    closed: usize,
    left_out: u64,
}

impl Count {
    fn open(&self) -> usize {
        self.waiting.len() + self.handled.len()
    }
}

/// What came of it.
struct Outcome {
    most_interactions: usize,
    slowest: Duration,
}

/// The events of one second, in the order of their times; the count goes with them.
fn second(core: &mut Core, count: &mut Count, second: i64, coming: usize, served: usize, most_open: usize) {
    let (ids, within) =
        (count.queued.iter().sum::<usize>() + count.left_out as usize, |ms: i64| at(second) + Millis(ms));
    for n in 0..coming {
        let (number, time) = (ids + n, within((n * 900 / coming) as i64));
        let taken = core.interaction(time, &format!("i{number}"), queued(&format!("q{}", number % QUEUES)));
        if count.open() < most_open {
            assert_eq!(taken, Taken::Applied);
            count.queued[number % QUEUES] += 1;
            count.waiting.push_back((number, time));
        } else {
            assert_eq!(taken, Taken::NoEffect);
            count.left_out += 1;
        }
    }
    while let Some((number, _)) = count.handled.pop_front_if(|(_, until)| *until <= second) {
        core.interaction(within(950), &format!("i{number}"), closed());
        count.closed += 1;
    }
    for _ in 0..served {
        let Some((number, _)) = count.waiting.pop_front() else { break };
        core.interaction(within(980), &format!("i{number}"), assigned());
        count.handled.push_back((number, second + HANDLED));
        count.answered += 1;
    }
    if second >= GIVE_UP {
        // All who still wait have given up a minute later.
        let left = usize::try_from((GIVE_UP + 60 - second).max(1)).unwrap_or(1);
        for _ in 0..count.waiting.len() / left {
            let Some((number, _)) = count.waiting.pop_front() else { break };
            core.interaction(within(990), &format!("i{number}"), InteractionEvent::Abandoned);
            count.abandoned += 1;
        }
    }
}

/// When a row must have taken its level: at the first of the seconds in a row at which `bad` held for so long.
struct Due {
    hold: i64,
    since: Option<i64>,
    raised: Option<i64>,
}

impl Due {
    fn see(&mut self, second: i64, bad: bool) {
        self.since = bad.then(|| self.since.unwrap_or(second));
        let due = self.since.filter(|since| second - since >= self.hold).map(|_| second);
        self.raised = self.raised.or(due);
    }
}

fn avalanche(new: usize, limits: Limits) -> Outcome {
    // A whole number each second, in the flood and besides.
    let new = new.next_multiple_of(6000);
    let usual = new / 6000;
    let limit = usual * 60;
    let files = [("avalanche.yaml".to_owned(), MATRIX.replace("LIMIT", &limit.to_string()))];
    let set = config::matrices(&files, None).expect("a good matrix");
    let most_open = limits.open_interactions;
    let most_held = limits.open_interactions.saturating_add(limits.closed_interactions);
    let mut core = Core::with(Plan { limits, ..(*set.plan).clone() }, set.matrices);
    let mut count = Count::default();
    let mut due = [(0, None), (30, None)].map(|(hold, since)| Due { hold, since, raised: None });
    let mut raised = [None, None];
    let (mut told, mut most_interactions, mut slowest) = (0, 0, Duration::ZERO);
    for now in 0..END {
        let coming = usual + if (FLOOD..EBB).contains(&now) { new / 600 } else { 0 };
        let begun = Instant::now();
        second(&mut core, &mut count, now, coming, usual, most_open);
        let tick_at = now + 1;
        core.show(at(tick_at));
        let tick = core.evaluator.tick();
        slowest = slowest.max(begun.elapsed());
        let oldest = count.waiting.front().map_or(Millis::ZERO, |(_, since)| at(tick_at) - *since);
        assert_eq!(core.over_all(&["waiting", "backlog"]), [count.waiting.len() as f64, count.open() as f64], "{now}");
        assert_eq!(core.figure("oldest_wait", &Key::ALL), oldest.as_seconds(), "{now}");
        let [waiting, old] = &mut due;
        waiting.see(tick_at, count.waiting.len() >= limit);
        old.see(tick_at, oldest >= Millis::MINUTE);
        for transition in tick.transitions.iter().filter(|transition| transition.to > Level::Ok) {
            assert_eq!(transition.time, at(tick_at));
            assert_eq!(raised[transition.row].replace(tick_at), None, "raised once");
        }
        told += tick.notifications.iter().filter(|notice| notice.level > Level::Ok).count();
        let held = core.floor.counters().interactions;
        most_interactions = most_interactions.max(held);
        assert!(held <= most_held);
    }
    assert_eq!(raised, [due[0].raised, due[1].raised], "each level at the second at which it is due");
    assert!(raised.iter().all(Option::is_some) && told == 2, "{raised:?} {told}");
    assert!(core.evaluator.open_cases().is_empty(), "all is well again");
    let all: usize = count.queued.iter().sum();
    let counted = [all, count.answered, count.abandoned, count.closed, 0, count.open()].map(|count| count as f64);
    assert_eq!(core.over_all(&["queued", "answered", "abandoned", "closed", "waiting", "backlog"]), counted);
    for (number, queued) in count.queued.into_iter().enumerate() {
        assert_eq!(core.figure("queued", &Key::pair(&format!("q{number}"), "voice")), queued as f64, "q{number}");
    }
    let counters = core.floor.counters();
    assert_eq!(counters.over_interactions, count.left_out);
    assert_eq!((counters.over_names, counters.over_events, counters.over_held), (0, 0, 0));
    assert_eq!(all + count.left_out as usize, new + usual * END as usize);
    Outcome { most_interactions, slowest }
}

/// How many new interactions come in the ten minutes: ATALAYA_AVALANCHE, or as many as a debug build takes in seconds.
fn new_interactions() -> usize {
    std::env::var_os("ATALAYA_AVALANCHE").map_or(120_000, |number| number.to_str().unwrap().parse().unwrap())
}

#[test]
fn an_avalanche_is_absorbed() {
    let (new, limits) = (new_interactions(), Limits::default());
    let ids = limits.identities;
    let (outcome, bytes) = most_held(|| avalanche(new, limits));
    let bound = outcome.most_interactions * INTERACTION + ids * IDENTITY + REST;
    println!(
        "{} interactions held, {bytes} bytes at most, {} each; slowest second {:?}",
        outcome.most_interactions,
        (bytes - ids * 16) / outcome.most_interactions,
        outcome.slowest
    );
    assert!(bytes <= bound, "{bytes} bytes of {bound}");
    assert!(outcome.most_interactions > new, "all of them were held");
}

#[test]
fn an_avalanche_beyond_the_limits_stays_within_them() {
    let new = new_interactions() / 2;
    let limits = Limits { open_interactions: new / 4, closed_interactions: new / 10, ..Limits::default() };
    let bound = (new / 4 + new / 10) * INTERACTION + limits.identities * IDENTITY + REST;
    let (outcome, bytes) = most_held(|| avalanche(new, limits));
    assert!(bytes <= bound, "{bytes} bytes of {bound}");
    assert!(outcome.most_interactions >= new / 4);
}

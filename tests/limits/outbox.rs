//! Ten thousand cases that go off at once while nothing can be delivered: three notices each, and all of them wait.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

use super::*;
use crate::bytes::most_held;
use atalaya::config;
use atalaya::indicators::Reading;
use atalaya::matrix::Medium;
use atalaya::matrix::engine::{Engine, Feeds, Notification, Readings};
use atalaya::notice::{Context, render};
use atalaya::notify::{Carrier, Counted, Fate, Limit, Notifier, Parcel, Sending, Timing};

const CASES: usize = 10_000;
const NOTICES: usize = 3 * CASES;
/// CPU time: several times what a debug build takes.
const QUEUED_IN: Duration = Duration::from_secs(30);

const MATRIX: &str = r#"
version: 1
name: outbox
language: en
owner: desk
contacts:
  lead: { email: lead@acme.example }
  desk: { email: desk@acme.example, webhook: desk }
rows:
  - indicator: waiting
    goal: "< 10"
    ranges:
      - { when: "< 10", level: ok }
      - { when: ">= 10", level: critical, tell: [lead, desk], action: "Call agents back to {{ queue }}" }
"#;

/// The same number for every key.
struct Same(Vec<Key>, f64);

impl Readings for Same {
    fn keys(&self) -> Vec<Key> {
        self.0.clone()
    }
    fn read(&mut self, _: &Key, _: &Selector) -> Reading {
        Reading { value: Some(self.1), samples: 20.0 }
    }
}

/// Delivers nothing until it is opened, then everything at once.
struct Gate {
    open: watch::Receiver<bool>,
    taken: Mutex<Vec<Arc<str>>>,
}

impl Carrier for Gate {
    fn send<'a>(&'a self, parcel: &'a Parcel, _: bool) -> Sending<'a> {
        Box::pin(async move {
            self.open.clone().wait_for(|open| *open).await.expect("nobody shuts the gate");
            self.taken.lock().unwrap().push(parcel.message.id.clone());
            Ok(())
        })
    }
    fn server(&self, _: &Parcel) -> String {
        "gate".to_owned()
    }
}

/// The notices of all cases, of this minute, and what renders them.
fn decided() -> (Vec<Notification>, Arc<Plan>) {
    let set = config::matrices(&[("outbox.yaml".to_owned(), MATRIX.to_owned())], None).expect("a good matrix");
    let mut engine = Engine::new(set.matrices.clone(), set.plan.clone());
    let keys = (0..CASES).map(|n| Key::pair(&format!("queue {n:05}"), "voice")).collect();
    let mut readings = Same(keys, 3.0);
    let now = atalaya::clock::now().floor_to(Millis::SECOND);
    // Half an hour before, so that each has a trend.
    for minute in (1..30).rev() {
        engine.tick(now - Millis::seconds(60 * minute), &mut readings, &Feeds::default());
    }
    readings.1 = 30.0;
    let tick = engine.tick(now, &mut readings, &Feeds::default());
    assert_eq!((tick.transitions.len(), tick.notifications.len()), (CASES, NOTICES));
    (tick.notifications, set.plan)
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Renders all and takes them in. Returns their ids, and how many bytes they hold.
fn enqueue(notifier: &Notifier, notices: &[Notification], plan: &Plan) -> (Vec<Arc<str>>, usize) {
    let context = Context::new(plan, "acme.example");
    let begun = cpu_time();
    let (ids, held) = most_held(|| {
        let mut ids = Vec::with_capacity(notices.len());
        for notice in notices {
            let message = render(notice, &context);
            ids.push(message.id.clone());
            notifier.enqueue(message);
        }
        ids
    });
    let took = cpu_time() - begun;
    println!("{} notices rendered and queued in {took:?}, {held} bytes held, {} counted", ids.len(), notifier.bytes());
    assert!(took < QUEUED_IN, "{took:?}");
    (ids, held)
}

fn notifier(limit: Limit) -> (Notifier, Arc<Gate>, watch::Sender<bool>) {
    let (opener, open) = watch::channel(false);
    let gate = Arc::new(Gate { open, taken: Mutex::default() });
    let from = "Atalaya <atalaya@acme.example>".parse().unwrap();
    (Notifier::with_carrier(gate.clone(), Some(from), Timing::default(), limit), gate, opener)
}

fn dropped(notifier: &Notifier) -> u64 {
    Medium::ALL.into_iter().map(|medium| notifier.counters().get(medium, Counted::Dropped)).sum()
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_cases_wait_and_none_is_lost() {
    let (notices, plan) = decided();
    let (notifier, gate, opener) = notifier(Limit::default());
    let mut outcomes = notifier.outcomes().unwrap();
    let (ids, held) = enqueue(&notifier, &notices, &plan);
    assert_eq!((notifier.depth(), dropped(&notifier)), (NOTICES, 0));
    // What is counted is what is held, or somewhat more; and that is well below the bound.
    let counted = notifier.bytes();
    assert!(held <= counted && counted < held * 3 / 2, "{held} held, {counted} counted");
    assert!(counted < Limit::default().bytes * 3 / 4, "{counted}");

    opener.send(true).unwrap();
    while notifier.depth() > 0 {
        tokio::task::yield_now().await;
    }
    let taken = gate.taken.lock().unwrap();
    assert_eq!(taken.len(), NOTICES, "each once");
    assert_eq!(taken.iter().collect::<BTreeSet<_>>(), ids.iter().collect());
    assert_eq!(notifier.bytes(), 0);
    let sent = std::iter::from_fn(|| outcomes.try_recv().ok()).filter(|one| one.result == Fate::Sent { late: false });
    assert_eq!(sent.count(), NOTICES);
    assert_eq!(notifier.counters().reports_lost.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn beyond_the_limit_the_oldest_go_and_one_report_tells_of_them() {
    let (notices, plan) = decided();
    let (notifier, gate, opener) = notifier(Limit { notices: CASES, ..Limit::default() });
    let mut undeliverable = notifier.undeliverable().unwrap();
    let (ids, _) = enqueue(&notifier, &notices, &plan);
    assert_eq!((notifier.depth(), dropped(&notifier)), (CASES, (NOTICES - CASES) as u64));
    let report = undeliverable.recv().await.unwrap();
    assert_eq!(report.notification.incident, notices[0].incident);
    let others = NOTICES - CASES - 1;
    assert_eq!(report.why, format!("the outbox is full; critical notices dropped besides this one: {others}"));
    assert!(undeliverable.try_recv().is_err(), "one report");
    assert_eq!(notifier.health(), [format!("the outbox is full; {} notices were dropped", NOTICES - CASES)]);
    opener.send(true).unwrap();
    while notifier.depth() > 0 {
        tokio::task::yield_now().await;
    }
    let taken: BTreeSet<Arc<str>> = gate.taken.lock().unwrap().iter().cloned().collect();
    assert_eq!(taken, ids[NOTICES - CASES..].iter().cloned().collect(), "the newest");
}

//! What the rule engine costs by itself, without a board: 10,000 cases of one row that are well, go off at once, are open,
//! silenced, frozen, put down and taken up again. Prints one JSON line per figure, in milliseconds of CPU time.

mod support;

use std::sync::Arc;

use atalaya::config::{self, MatrixSet};
use atalaya::domain::{Key, Millis, Timestamp};
use atalaya::indicators::{Reading, Selector, Topics};
use atalaya::matrix::Medium;
use atalaya::matrix::engine::{
    Engine, Feed, FeedState, Feeds, Items, Matcher, Notification, Operated, Operation, Readings, Tick, What, apply,
};
use atalaya::notice::{self, Body, Context, render};
use atalaya::notify::{Carrier, Limit, Notifier, Parcel, Sending, Timing};

use support::{cpu_timed, figure, figure_with_goal, median};

const CASES: usize = 10_000;
const ROUNDS: usize = 20;
const START: Timestamp = Timestamp(1_780_272_000_000);

const MATRIX: &str = r#"
version: 1
name: bench
owner: desk
contacts:
  lead: { email: lead@example.com }
  desk: { email: desk@example.com, webhook: desk }
rows:
  - indicator: asa
    window: 15m
    goal: "< 30m"
    ranges:
      - { when: "< 30m", level: ok }
      - { when: "30m .. 45m", level: warning, for: 2m, tell: [lead], action: look }
      - { when: ">= 45m", level: critical, tell: [lead, desk], action: act,
          escalate: [ { after: 1d, tell: [desk] } ], repeat: 30m }
    recover: { margin: 2m, for: 1m }
"#;

/// The same number for every key.
struct Same {
    keys: Vec<Key>,
    value: f64,
}

impl Readings for Same {
    fn keys(&self) -> Vec<Key> {
        self.keys.clone()
    }
    fn generation(&self) -> usize {
        self.keys.len()
    }
    fn read(&mut self, _: &Key, _: &Selector) -> Reading {
        Reading { value: Some(self.value), samples: 20.0 }
    }
}

struct Bench {
    engine: Engine,
    set: MatrixSet,
    readings: Same,
    feeds: Feeds,
    second: i64,
    /// What a follower knows of the engine.
    kept: Items,
}

impl Bench {
    fn new(set: MatrixSet) -> Bench {
        let mut keys: Vec<Key> =
            (0..CASES).map(|n| Key::pair(&format!("queue-{}", n / 10), &format!("c{}", n % 10))).collect();
        keys.sort();
        let engine = Engine::new(set.matrices.clone(), set.plan.clone());
        Bench {
            engine,
            set,
            readings: Same { keys, value: 60.0 },
            feeds: Feeds::default(),
            second: 0,
            kept: Items::new(),
        }
    }

    fn now(&self) -> Timestamp {
        START + Millis::seconds(self.second)
    }

    /// Milliseconds of the next tick, and what it decided.
    fn tick(&mut self) -> (f64, Tick) {
        self.second += 1;
        let now = self.now();
        let (took, tick) = cpu_timed(|| self.engine.tick(now, &mut self.readings, &self.feeds));
        (took * 1000.0, tick)
    }

    fn ticks(&mut self) -> f64 {
        median(&(0..ROUNDS).map(|_| self.tick().0).collect::<Vec<_>>())
    }

    /// What finding out costs that has changed in a second, and the bytes of it.
    fn changes(&mut self) -> (f64, f64) {
        let (took, patch) = cpu_timed(|| self.engine.changes(&self.kept));
        assert_eq!(apply(&mut self.kept, &patch), Ok(()));
        (took * 1000.0, postcard::to_allocvec(&patch).map_or(0.0, |bytes| bytes.len() as f64))
    }

    /// The same of seconds in which values move and nothing else happens; and of the one in which trends are due.
    fn all_changes(&mut self, name: &str) {
        let value = self.readings.value;
        self.changes();
        let mut rounds = Vec::new();
        for round in 0..65 {
            self.readings.value = value + f64::from(round) / 1000.0;
            self.tick();
            rounds.push(self.changes());
        }
        self.readings.value = value;
        figure(&format!("{name}_changes_ms"), median(&rounds.iter().map(|(took, _)| *took).collect::<Vec<_>>()));
        figure(&format!("{name}_changes_bytes"), median(&rounds.iter().map(|(_, bytes)| *bytes).collect::<Vec<_>>()));
        let most = rounds.iter().max_by(|a, b| a.1.total_cmp(&b.1)).copied().unwrap_or_default();
        figure(&format!("{name}_changes_of_a_trend_ms"), most.0);
        figure(&format!("{name}_changes_of_a_trend_kib"), most.1 / 1024.0);
    }

    fn silence(&mut self, id: usize, matcher: Matcher) {
        let (from, until) = (self.now(), self.now() + Millis::DAY);
        let what = What::Silence { id: format!("{id:03}").into(), matcher, from, until };
        let operated = self.engine.operate(&Operation { who: "bench".into(), why: "".into(), what }, from);
        assert_eq!(operated, Operated::Silenced);
    }
}

fn main() {
    if support::is_a_test() {
        return;
    }
    let set = match config::matrices(&[("bench.yaml".to_owned(), MATRIX.to_owned())], None) {
        Ok(set) => set,
        Err(defects) => panic!("{defects:?}"),
    };
    let mut bench = Bench::new(set);
    bench.tick();
    figure("cases_well_tick_ms", bench.ticks());

    bench.all_changes("cases_well");

    // An hour, so that every case has a trend to show.
    for minute in 0..60 {
        bench.second += 59;
        bench.readings.value = 60.0 + 20.0 * f64::from(minute);
        bench.tick();
    }
    bench.readings.value = 3000.0;
    let (took, tick) = bench.tick();
    assert_eq!((tick.transitions.len(), tick.notifications.len()), (CASES, 3 * CASES));
    figure_with_goal("cases_all_go_off_ms", took, 1000.0);
    queued(took, &tick.notifications, &Context::new(&bench.set.plan, "example.com"));
    let mails = tick.notifications.iter().filter(|notice| notice.medium == Medium::Email).take(CASES);
    let context = Context::new(&bench.set.plan, "example.com");
    let (took, rendered) = cpu_timed(|| mails.map(|notice| render(notice, &context).body).collect::<Vec<_>>());
    figure_with_goal("cases_mails_rendered_ms", took * 1000.0, 1000.0);
    let pictures = rendered.iter().filter_map(|body| match body {
        Body::Email(mail) => mail.picture.as_ref(),
        Body::Webhook(_) => None,
    });
    let (took, bytes) = cpu_timed(|| pictures.map(|picture| picture.png().len()).collect::<Vec<_>>());
    assert_eq!(bytes.len(), CASES);
    figure("picture_drawn_us", took * 1e6 / CASES as f64);
    figure("picture_bytes", bytes[0] as f64);
    gathered();
    figure("cases_open_tick_ms", bench.ticks());
    bench.all_changes("cases_open");

    for id in 0..100 {
        let queue = vec![if id == 0 { "*".to_owned() } else { format!("queue-{id}*") }];
        bench.silence(id, Matcher { queue, ..Matcher::default() });
    }
    figure("cases_silenced_first_tick_ms", bench.tick().0);
    figure("cases_silenced_tick_ms", bench.ticks());

    let carries = Topics { interactions: true, agents: false };
    let state = FeedState::Silent { since: bench.now() };
    bench.feeds = Feeds(vec![Feed { source: "events".into(), carries, state }]);
    bench.tick();
    figure("cases_frozen_tick_ms", bench.ticks());
    bench.all_changes("cases_frozen");
    bench.feeds = Feeds::default();
    bench.tick();

    let (took, bytes) = cpu_timed(|| bench.engine.snapshot());
    figure("cases_snapshot_ms", took * 1000.0);
    figure("cases_snapshot_kib", bytes.len() as f64 / 1024.0);
    let (matrices, plan) = (bench.set.matrices.clone(), bench.set.plan.clone());
    let (took, restored) = cpu_timed(|| Engine::restore(matrices.clone(), plan.clone(), &bytes));
    figure("cases_restore_ms", took * 1000.0);
    assert_eq!(restored.map(|engine| engine.open_cases().len()).ok(), Some(CASES));
    let (took, ()) = cpu_timed(|| bench.engine.reload(matrices, Arc::clone(&plan)));
    figure("cases_reload_ms", took * 1000.0);
    figure("cases_after_reload_tick_ms", bench.tick().0);
}

/// A mail server that is away.
struct Away;

impl Carrier for Away {
    fn send<'a>(&'a self, _: &'a Parcel, _: bool) -> Sending<'a> {
        Box::pin(std::future::pending())
    }
    fn server(&self, _: &Parcel) -> String {
        "away".to_owned()
    }
}

/// What it takes in all until every notice waits in the outbox: decided in so many milliseconds, rendered and taken in.
fn queued(decided: f64, notices: &[Notification], context: &Context<'_>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("{error}"));
    let _inside = runtime.enter();
    let from = "Atalaya <atalaya@example.com>".parse().ok();
    let notifier = Notifier::with_carrier(Arc::new(Away), from, Timing::default(), Limit::default());
    let (took, ()) = cpu_timed(|| notices.iter().for_each(|notice| notifier.enqueue(render(notice, context))));
    assert_eq!(notifier.depth(), 3 * CASES, "every notice waits");
    figure("cases_queued_ms", decided + took * 1000.0);
    figure("cases_queued_mib", notifier.bytes() as f64 / f64::from(1 << 20));
}

/// As many cases of one row that is gathered, going off at once: decided in a second, and one mail for each contact.
fn gathered() {
    let text = MATRIX.replace("\nrows:", "\ngroup: { by: row, wait: 20s }\nrows:").replace(", webhook: desk", "");
    let set = match config::matrices(&[("bench.yaml".to_owned(), text)], None) {
        Ok(set) => set,
        Err(defects) => panic!("{defects:?}"),
    };
    let plan = set.plan.clone();
    let mut bench = Bench::new(set);
    bench.tick();
    bench.readings.value = 3000.0;
    let (decided, tick) = bench.tick();
    assert_eq!((tick.transitions.len(), tick.notifications.len()), (CASES, 0));
    figure_with_goal("cases_gathered_go_off_ms", decided, 1000.0);
    figure("cases_gathered_snapshot_kib", bench.engine.snapshot().len() as f64 / 1024.0);
    for _ in 1..20 {
        assert_eq!(bench.tick().1.notifications.len(), 0);
    }
    let (told, tick) = bench.tick();
    let cases: Vec<usize> = tick.notifications.iter().map(|mail| mail.each().len()).collect();
    assert_eq!(cases, [CASES, CASES], "one mail for each of two contacts");
    figure_with_goal("cases_gathered_told_ms", told, 1000.0);
    let context = Context::new(&plan, "example.com");
    let (took, mails) =
        cpu_timed(|| tick.notifications.iter().map(|mail| notice::render(mail, &context)).collect::<Vec<_>>());
    figure_with_goal("cases_gathered_mails_ms", took * 1000.0, 1000.0);
    let bytes = mails.iter().map(|mail| match &mail.body {
        Body::Email(mail) => mail.text.len() + mail.html.len(),
        Body::Webhook(_) => 0,
    });
    figure("cases_gathered_mail_kib", bytes.max().unwrap_or(0) as f64 / 1024.0);
}

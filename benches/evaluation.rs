//! What is done each second: the tick of 10,000 cases of which 1 % changed, and all quantiles of 10,000 keys for a scrape.
//!
//! Both through [`Evaluator`], the way of the service, in virtual time; per CPU time of the one thread. The median of the
//! rounds, and the worst of them: every ten seconds a pane leaves the windows and every number may change. Prints one
//! JSON line per figure.

mod support;

use std::hint::black_box;
use std::sync::Arc;

use atalaya::config;
use atalaya::domain::{Millis, Timestamp};
use atalaya::floor::Floor;
use atalaya::matrix::Matrix;
use atalaya::pipeline::Evaluator;
use atalaya::plan::Plan;
use atalaya::wire::{Decoded, Decoder};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use support::core::{decoder, usual_plan};
use support::load::{event_uuid, place, uuid};
use support::{cpu_timed, figure, figure_with_goal, median, quantile, scaled};

const START: Timestamp = Timestamp(1_767_225_600_000);

/// Indicator, window and the border between ok and warning of a row: ten rows for each of 1,000 pairs.
const ROWS: [(&str, &str, &str, &str); 10] = [
    ("asa", "5m", "< 30s", ">= 30s"),
    ("asa", "15m", "< 30s", ">= 30s"),
    ("asa", "1h", "< 30s", ">= 30s"),
    ("wait_p90", "15m", "< 50s", ">= 50s"),
    ("wait_p90", "1h", "< 50s", ">= 50s"),
    ("service_level", "15m", ">= 80%", "< 80%"),
    ("service_level", "1h", ">= 80%", "< 80%"),
    ("abandonment", "1h", "< 5%", ">= 5%"),
    ("waiting", "", "< 5", ">= 5"),
    ("oldest_wait", "", "< 10m", ">= 10m"),
];

fn main() {
    if support::is_a_test() {
        return;
    }
    tick();
    quantiles();
}

/// A floor and an evaluator in virtual time.
struct Desk {
    decoder: Decoder,
    floor: Floor,
    evaluator: Evaluator,
    random: ChaCha8Rng,
    interactions: u64,
}

impl Desk {
    fn new(plan: &Arc<Plan>, matrices: Vec<Arc<Matrix>>) -> Self {
        Desk {
            decoder: decoder(),
            floor: Floor::new(plan.clone()),
            evaluator: Evaluator::new(plan.clone(), matrices),
            random: ChaCha8Rng::seed_from_u64(1),
            interactions: 0,
        }
    }

    /// An interaction of this pair that is answered at `answered`, after a wait of up to a minute, and closed.
    fn interaction(&mut self, pair: usize, answered: Timestamp) {
        self.interactions += 1;
        let (id, agent) = (self.interactions, pair % 500);
        let queued = answered.0 - self.random.random_range(1..60_000);
        for (stage, time, what) in [
            (0, queued, format!(r#""type":"interaction.arrived",{}"#, place(pair))),
            (1, queued, format!(r#""type":"interaction.queued",{}"#, place(pair))),
            (2, answered.0, format!(r#""type":"interaction.assigned","agent":"agent-{agent}""#)),
            (3, answered.0, format!(r#""type":"interaction.replied","agent":"agent-{agent}""#)),
            (4, answered.0, r#""type":"interaction.closed","outcome":"resolved""#.to_owned()),
        ] {
            let (event, interaction) = (event_uuid(id * 5 + stage), uuid(id));
            let line = format!(r#"{{"id":"{event}","interaction":"{interaction}","time":{time},{what}}}"#);
            let Decoded::Event(event) = self.decoder.decode(line.as_bytes()) else { panic!("no event: {line}") };
            self.floor.take(&event, Timestamp::MAX);
        }
    }

    /// Each pair has `each` interactions in the hour before [`START`].
    fn fill(&mut self, pairs: usize, each: usize) {
        for round in 0..each {
            for pair in 0..pairs {
                let back = (round * pairs + pair) as i64 * 3_600_000 / (each * pairs) as i64;
                self.interaction(pair, START - Millis(3_600_000 - back));
            }
            self.flush_at(None);
        }
        self.flush_at(Some(START));
    }

    fn flush_at(&mut self, now: Option<Timestamp>) {
        if let Some(now) = now {
            self.floor.advance(now);
        }
        self.evaluator.apply(0, &self.floor.flush());
        if let Some(now) = now {
            self.evaluator.advance(now);
        }
    }
}

fn matrix() -> config::MatrixSet {
    let mut text =
        "version: 1\nname: bench\nowner: lead\ncontacts: { lead: { email: lead@acme.example } }\nrows:\n".to_owned();
    for (indicator, window, ok, warning) in ROWS {
        let window = if window.is_empty() { String::new() } else { format!("window: {window}, ") };
        text.push_str(&format!(
            "  - {{ indicator: {indicator}, {window}goal: \"{ok}\", ranges: [ {{ when: \"{ok}\", level: ok }}, \
             {{ when: \"{warning}\", level: warning, for: 30s, tell: [lead], action: Act }} ] }}\n"
        ));
    }
    match config::matrices(&[("bench.yaml".to_owned(), text)], None) {
        Ok(set) => set,
        Err(defects) => panic!("the bench's matrix is refused: {defects:?}"),
    }
}

fn tick() {
    const PAIRS: usize = 1_000;
    let set = matrix();
    let mut desk = Desk::new(&set.plan, set.matrices);
    desk.fill(PAIRS, 20);
    let (mut took, mut transitions) = (Vec::new(), 0);
    for second in 1..=scaled(120) {
        let now = START + Millis::seconds(second as i64);
        for change in 0..PAIRS / 100 {
            desk.interaction((second * 97 + change * 101) % PAIRS, now - Millis(500));
        }
        desk.flush_at(None);
        desk.floor.advance(now);
        desk.evaluator.apply(0, &desk.floor.flush());
        let (seconds, tick) = cpu_timed(|| {
            desk.evaluator.advance(now);
            desk.evaluator.tick()
        });
        // The first ticks see every case for the first time.
        if second > 5 {
            took.push(seconds * 1000.0);
        }
        transitions += tick.transitions.len();
    }
    figure("tick_cases", desk.evaluator.engine().levels().len() as f64);
    figure("tick_transitions", transitions as f64);
    figure_with_goal("tick_ms", median(&took), 5.0);
    figure("tick_ms_worst", quantile(&took, 1.0));
}

fn quantiles() {
    // With their roll-ups 9,999 keys.
    const PAIRS: usize = 9_080;
    let plan = Arc::new(usual_plan());
    let mut desk = Desk::new(&plan, Vec::new());
    desk.fill(PAIRS, 10);
    let is_quantile = |name: &str| name.starts_with("wait_") || name.ends_with("_p90");
    let (mut took, mut readings) = (Vec::new(), 0);
    for second in 1..=scaled(10) {
        let now = START + Millis::seconds(second as i64);
        // Between two scrapes a second of 10,000 events.
        for answer in 0..2_000 {
            desk.interaction((second * 2_003 + answer * 7) % PAIRS, now - Millis(500));
        }
        desk.flush_at(Some(now));
        let mut present = 0;
        let (seconds, ()) = cpu_timed(|| {
            desk.evaluator.each_indicator(&|_, selector| is_quantile(selector.indicator.name), &mut |_, _, reading| {
                present += usize::from(reading.value.is_some());
                black_box(reading);
            });
        });
        took.push(seconds * 1000.0);
        readings = present;
    }
    figure("quantiles_read", readings as f64);
    figure_with_goal("quantiles_ms", median(&took), 20.0);
}

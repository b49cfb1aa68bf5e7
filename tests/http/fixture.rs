//! A hand-made table of numbers and cases to serve, and a server on a port of its own.

use std::sync::{Arc, Mutex};

use atalaya::config::Secret;
use atalaya::domain::{Key, Millis, Timestamp};
use atalaya::http::{self, SharedReadiness, Site, Tickets};
use atalaya::indicators::{self, Label, Labels, Reading, Selector, Stage, State, Treatment, Unit};
use atalaya::matrix::engine::{OpenCase, Operated, Operation, Reason, Silence, Transition};
use atalaya::matrix::{Bounds, Language, Level, Matrix, Range, Row};
use atalaya::pipeline::{SumName, WaitHistogram};
use atalaya::plan::Plan;
use atalaya::telemetry::Telemetry;
use atalaya::telemetry::source::Source;

pub const NOW: Timestamp = Timestamp(1_780_000_200_000);

/// One second after the numbers.
pub fn wall() -> Timestamp {
    NOW + Millis::SECOND
}

/// A minute after them.
pub fn late_wall() -> Timestamp {
    NOW + Millis::MINUTE
}

type CaseLevel = (Arc<Matrix>, Selector, Key, Level);

pub struct Table {
    pub plan: Arc<Plan>,
    pub keys: Vec<Key>,
    /// The sum of answered waits of each key, to let it fall.
    pub wait_sum: f64,
    pub open: Vec<OpenCase>,
    pub levels: Vec<CaseLevel>,
}

pub fn selector(indicator: &str, window: Option<usize>, labels: Labels) -> Selector {
    Selector { indicator: indicators::find(indicator).unwrap(), window, labels }
}

fn rollups(pairs: &[(&str, &str)]) -> Vec<Key> {
    let pairs = pairs.iter().map(|(queue, channel)| Key::pair(queue, channel));
    let mut keys: Vec<Key> = pairs
        .flat_map(|pair| {
            let queue = Key { channel: None, ..pair.clone() };
            [Key::ALL, queue, Key { queue: None, ..pair.clone() }, pair]
        })
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

impl Table {
    pub fn empty() -> Self {
        Table {
            plan: Arc::new(Plan { zone: jiff::tz::TimeZone::get("America/Bogota").unwrap(), ..Plan::default() }),
            keys: Vec::new(),
            wait_sum: 0.0,
            open: Vec::new(),
            levels: Vec::new(),
        }
    }

    /// Three queues on five channels, with cases of every level.
    pub fn floor() -> Self {
        let mut table = Table::empty();
        table.keys = rollups(&[
            ("reclamos", "facebook"),
            ("reclamos", "whatsapp"),
            ("soporte", "chat"),
            ("soporte", "voice"),
            ("ventas", "voice"),
            ("vip \"oro\" \\ 1", "email"),
        ]);
        table.wait_sum = 1234.5;
        let plain = Labels::default();
        let connected = Labels { state: Some(State::Available), ..plain };
        let day =
            Labels { threshold: table.plan.threshold_index(Millis::DAY), treatment: Some(Treatment::Offered), ..plain };
        let cases = [
            (
                "asa",
                Some(1),
                plain,
                "reclamos",
                "facebook",
                Level::Critical,
                false,
                "< 30m",
                ">= 45m",
                2822.0,
                14.0,
                "Mover agentes del canal chat a reclamos; avisar al gerente de turno",
            ),
            (
                "oldest_wait",
                None,
                plain,
                "reclamos",
                "facebook",
                Level::Warning,
                false,
                "< 1h",
                "1h .. 2h",
                4031.0,
                9.0,
                "Tomar primero la conversación más antigua",
            ),
            (
                "service_level",
                Some(1),
                day,
                "reclamos",
                "whatsapp",
                Level::Warning,
                false,
                ">= 95%",
                "90% .. 95%",
                0.914,
                35.0,
                "Revisar lo que quedó abierto desde ayer en WhatsApp",
            ),
            (
                "occupancy",
                Some(2),
                plain,
                "ventas",
                "voice",
                Level::Info,
                false,
                "0.75 .. 0.88",
                "< 0.60",
                0.52,
                5400.0,
                "Ofrecer capacitación o descanso",
            ),
            (
                "agents",
                None,
                connected,
                "soporte",
                "voice",
                Level::Critical,
                true,
                ">= 1",
                "< 1",
                0.0,
                0.0,
                "Llamar al líder: no hay nadie disponible",
            ),
        ];
        for (index, case) in cases.into_iter().enumerate() {
            let (name, window, labels, queue, channel, level, closed_hours, goal, range, value, samples, action) = case;
            let selector = selector(name, window, labels);
            let matrix = matrix(selector, goal, range, level, action);
            let key = Key::pair(queue, channel);
            let since = NOW - Millis::seconds(130 + 700 * index as i64);
            let last = Transition {
                time: since + Millis::MINUTE,
                matrix: matrix.clone(),
                row: 0,
                range: Some(1),
                key: key.clone(),
                selector,
                source: None,
                from: Level::Ok,
                to: level,
                value: Some(value * 0.97),
                samples,
                reason: Reason::Range,
                incident: format!("incident-{index}").into(),
            };
            let now = Some(value);
            table.open.push(OpenCase {
                last: Arc::new(last),
                since,
                value: now,
                samples,
                closed_hours,
                webhooks: Vec::new(),
                frozen: false,
                acknowledged: None,
                silenced: Vec::new(),
                flaps: None,
            });
            table.levels.push((matrix.clone(), selector, key, level));
        }
        for (queue, channel) in
            [("reclamos", "whatsapp"), ("soporte", "chat"), ("soporte", "voice"), ("ventas", "voice")]
        {
            let asa = selector("asa", Some(1), plain);
            let matrix = matrix(asa, "< 30m", ">= 30m", Level::Warning, "");
            table.levels.push((matrix, asa, Key::pair(queue, channel), Level::Ok));
        }
        table
    }
}

fn bounds(text: &str) -> Bounds {
    Bounds { text: text.into(), low: None, high: None }
}

fn matrix(selector: Selector, goal: &str, beyond: &str, level: Level, action: &str) -> Arc<Matrix> {
    let range = |text, level, action: &str| Range {
        bounds: bounds(text),
        level,
        hold: Millis::ZERO,
        tell: Vec::new(),
        action: (!action.is_empty()).then(|| action.into()),
        escalate: Vec::new(),
        repeat: None,
    };
    let row =
        Row::new(selector.indicator, bounds(goal), vec![range(goal, Level::Ok, ""), range(beyond, level, action)]);
    Arc::new(Matrix {
        file: "redes.yaml".into(),
        name: "redes".into(),
        language: Language::Es,
        zone: jiff::tz::TimeZone::UTC,
        owner: None,
        contacts: Default::default(),
        texts: Default::default(),
        rows: vec![row],
    })
}

/// A number that differs by key, window and labels, and is plausible for its unit.
fn value(key: usize, selector: &Selector) -> f64 {
    let threshold = selector.labels.threshold.map_or(0, |t| t + 1);
    let mixed = key * 37 + selector.window.unwrap_or(0) * 11 + threshold * 5 + selector.indicator.name.len() * 3;
    match selector.indicator.unit {
        Unit::Seconds => 8.5 + (mixed % 41) as f64 * 17.0,
        Unit::Ratio => 0.58 + (mixed % 40) as f64 / 100.0,
        Unit::Count => (mixed % 23) as f64,
    }
}

/// Every combination of the labels that an indicator has here; the clock stays `elapsed`.
fn label_sets(plan: &Plan, indicator: &indicators::Indicator) -> Vec<Labels> {
    let has = |label| indicator.labels.contains(&label);
    let thresholds: Vec<Option<usize>> =
        if has(Label::Threshold) { (0..plan.thresholds.len()).map(Some).collect() } else { vec![None] };
    let treatments: Vec<Option<Treatment>> =
        if has(Label::Treatment) { Treatment::ALL.iter().copied().map(Some).collect() } else { vec![None] };
    let states: Vec<Option<State>> =
        if has(Label::State) { State::ALL.iter().copied().map(Some).collect() } else { vec![None] };
    let stages: Vec<Option<Stage>> =
        if has(Label::Stage) { Stage::ALL.iter().copied().map(Some).collect() } else { vec![None] };
    let mut sets = Vec::new();
    for threshold in thresholds {
        for treatment in &treatments {
            for state in &states {
                let set = Labels { threshold, treatment: *treatment, state: *state, ..Labels::default() };
                sets.extend(stages.iter().map(|stage| Labels { stage: *stage, ..set }));
            }
        }
    }
    sets
}

impl Source for Table {
    fn plan(&self) -> Arc<Plan> {
        self.plan.clone()
    }

    fn now(&self) -> Timestamp {
        NOW
    }

    fn each_indicator(
        &mut self,
        keys: &dyn Fn(&Key) -> bool,
        selectors: &dyn Fn(&Selector) -> bool,
        visit: &mut dyn FnMut(&Key, &Selector, Reading),
    ) {
        for (number, key) in self.keys.iter().enumerate().filter(|(_, key)| keys(key)) {
            for indicator in indicators::all() {
                let windows: Vec<Option<usize>> =
                    if indicator.instant { vec![None] } else { (0..self.plan.windows.len()).map(Some).collect() };
                for window in windows {
                    for labels in label_sets(&self.plan, indicator) {
                        let selector = Selector { indicator, window, labels };
                        if !selectors(&selector) {
                            continue;
                        }
                        // What a case says of its place now is what the table shows there.
                        let case = self.open.iter().find(|c| c.last.key == *key && c.last.selector == selector);
                        // Nothing was answered in the chat: a value without samples.
                        let silent = key.channel.as_deref() == Some("chat") && !indicator.instant;
                        let reading = match case {
                            Some(case) => Reading { value: case.value, samples: case.samples },
                            None if silent => Reading::default(),
                            None => Reading { value: Some(value(number, &selector)), samples: 21.0 },
                        };
                        visit(key, &selector, reading);
                    }
                }
            }
        }
    }

    fn each_sum(&mut self, visit: &mut dyn FnMut(&Key, &SumName, f64)) {
        for key in &self.keys {
            let wait = SumName { name: "wait", unit: Unit::Seconds, labels: Labels::default() };
            visit(key, &wait, self.wait_sum);
            let answered = SumName { name: "answered", unit: Unit::Count, labels: Labels::default() };
            visit(key, &answered, 37.0);
        }
    }

    fn each_wait_histogram(&mut self, visit: &mut dyn FnMut(&Key, &WaitHistogram)) {
        for key in &self.keys {
            let buckets = vec![(10.0, 5), (60.0, 30), (1800.0, 36)];
            visit(key, &WaitHistogram { buckets, sum_seconds: self.wait_sum, count: 37 });
        }
    }

    fn open_cases(&self) -> Vec<OpenCase> {
        self.open.clone()
    }

    fn levels(&self) -> Vec<CaseLevel> {
        self.levels.clone()
    }

    /// It has no life of its own: what operations do is tested on an engine.
    fn operate(&mut self, _operation: &Operation, _now: Timestamp) -> Operated {
        Operated::NotOpen
    }

    fn silences(&self) -> Vec<Silence> {
        Vec::new()
    }
}

/// Codes and links of the servers here.
pub fn tickets() -> Arc<Tickets> {
    let secret = Secret::new("a secret of these tests");
    Arc::new(Tickets::new(Some(&secret), Some("https://board.acme.example/wfm".to_owned())).unwrap())
}

/// A server of a table, or of something that lives, on a free port, in a runtime of its own.
pub struct Server<S = Table> {
    pub port: u16,
    pub telemetry: Arc<Telemetry>,
    pub readiness: SharedReadiness,
    pub table: Arc<Mutex<S>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<std::io::Result<()>>>,
}

pub struct Options {
    pub demo: bool,
    pub clock: fn() -> Timestamp,
}

impl<S: Source + 'static> Server<S> {
    pub fn start(table: S, options: Options) -> Self {
        let table = Arc::new(Mutex::new(table));
        let telemetry = Telemetry::new(table.clone()).unwrap();
        let readiness = SharedReadiness::starting(telemetry.clone());
        let site = Site {
            source: table.clone(),
            telemetry: telemetry.clone(),
            readiness: readiness.clone(),
            language: Language::Es,
            tickets: tickets(),
            render_action: None,
            acknowledged: None,
            operate: None,
            trail: Default::default(),
            reload: None,
            mailbox: options.demo.then(|| Arc::new(super::page::mailbox) as http::Mailbox),
            clock: options.clock,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(http::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(http::serve(listener, site, async move {
                let _ = stopped.await;
            }))
        });
        Server { port, telemetry, readiness, table, stop: Some(stop), thread: Some(thread) }
    }
}

impl Server {
    pub fn floor() -> Self {
        Self::start(Table::floor(), Options { demo: false, clock: wall })
    }
}

impl<S> Server<S> {
    /// Asks it to stop and waits until it has.
    pub fn stop(&mut self) -> std::io::Result<()> {
        self.stop.take();
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap())
    }
}

impl<S> Drop for Server<S> {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

//! Random rows under random values, against a second implementation.
//!
//! The model keeps every second since the hours began and, at each, looks back over them and counts; the engine keeps
//! since-instants. The model knows no clocks, only how many seconds something was so.

use std::collections::BTreeMap;

use atalaya::domain::Millis;
use atalaya::matrix::engine::{Engine, Tick};
use atalaya::matrix::{Level, Medium};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::random::{Act, Run, acts};
use crate::support::{LIVE, START, Scribe, Table, engine, place};

pub const LEVELS: [Level; 4] = [Level::Ok, Level::Info, Level::Warning, Level::Critical];
pub const PEOPLE: [&str; 5] = ["lead", "manager", "desk", "both.webhook", "both"];
/// What each of [`PEOPLE`] means.
pub const MEDIA: [&[&str]; 5] =
    [&["lead.email"], &["manager.email"], &["desk.webhook"], &["both.webhook"], &["both.email", "both.webhook"]];

#[derive(Clone, Debug)]
pub struct Band {
    pub level: Level,
    pub hold: usize,
    pub tell: Vec<usize>,
    pub steps: Vec<(usize, Vec<usize>)>,
    pub repeat: Option<usize>,
}

#[derive(Clone, Debug)]
pub enum Missing {
    Keep,
    Ok,
    Raise(Level, usize, usize),
}

/// A row in whole numbers: `cuts` part the bands.
#[derive(Clone, Debug)]
pub struct Spec {
    pub cuts: Vec<f64>,
    pub bands: Vec<Band>,
    pub margin: f64,
    recover: usize,
    pub min: f64,
    pub missing: Missing,
    /// Open minutes of the day; `None` without hours.
    open: Option<Vec<usize>>,
    settle: usize,
}

#[derive(Clone, Copy, Debug)]
pub struct Input {
    pub value: Option<f64>,
    pub samples: f64,
    pub waiting: f64,
    pub seconds: usize,
}

fn names(people: &[usize]) -> String {
    people.iter().map(|person| PEOPLE[*person]).collect::<Vec<_>>().join(",")
}

impl Spec {
    fn band_text(&self, band: usize) -> String {
        let cut = |index: Option<usize>| index.and_then(|i| self.cuts.get(i)).map_or(String::new(), f64::to_string);
        format!("{}..{}", cut(band.checked_sub(1)), cut(Some(band)))
    }

    pub fn text(&self) -> String {
        let mut parts = vec!["asa 15m".to_owned()];
        for (index, band) in self.bands.iter().enumerate() {
            let mut part = format!("{} {} for {}s", band.level.name(), self.band_text(index), band.hold);
            if !band.tell.is_empty() {
                part += &format!(" tell {}", names(&band.tell));
            }
            for (after, tell) in &band.steps {
                part += &format!(" escalate {after}s:{}", names(tell));
            }
            if let Some(repeat) = band.repeat {
                part += &format!(" repeat {repeat}s");
            }
            parts.push(part);
        }
        parts.push(format!("recover {} {}s", self.margin, self.recover));
        parts.push(format!("min {}", self.min));
        parts.push(match &self.missing {
            Missing::Keep => "no_data keep".into(),
            Missing::Ok => "no_data ok".into(),
            Missing::Raise(level, hold, tell) => format!("no_data {} {hold}s {}", level.name(), PEOPLE[*tell]),
        });
        if let Some(open) = &self.open {
            let hours: Vec<String> = open.iter().map(|m| format!("00:{m:02}-00:{:02}", m + 1)).collect();
            parts.push(format!("hours {}", hours.join(" ")));
            parts.push(format!("settle {}s", self.settle));
        }
        parts.join("; ")
    }

    pub fn band_of(&self, value: f64) -> usize {
        self.cuts.iter().filter(|cut| **cut <= value).count()
    }

    pub fn same_side(&self, a: usize, b: usize) -> bool {
        self.bands[a.min(b)..=a.max(b)].iter().all(|band| band.level != Level::Ok)
    }

    pub fn worst_near(&self, value: f64) -> Level {
        let starts = std::iter::once(f64::NEG_INFINITY).chain(self.cuts.iter().copied());
        let ends = self.cuts.iter().copied().chain([f64::INFINITY]);
        let met = starts.zip(ends).zip(&self.bands);
        let met = met.filter(|((start, end), _)| *start <= value + self.margin && *end > value - self.margin);
        met.map(|(_, band)| band.level).max().unwrap()
    }

    fn distance(&self, band: usize, value: f64) -> f64 {
        let start = band.checked_sub(1).map_or(f64::NEG_INFINITY, |cut| self.cuts[cut]);
        let end = self.cuts.get(band).copied().unwrap_or(f64::INFINITY);
        if value < start {
            start - value
        } else if value > end {
            value - end
        } else {
            0.0
        }
    }
}

/// The second implementation.
struct Model<'s> {
    spec: &'s Spec,
    second: usize,
    /// Every second since the hours began: its value, or nothing that a rule can judge.
    seen: Vec<Option<f64>>,
    /// What is older than this says nothing for a better level.
    calm_from: usize,
    nulls: usize,
    open_for: Option<usize>,
    level: Level,
    band: Option<usize>,
    incidents: usize,
    sequence: usize,
    told: Vec<&'static str>,
    reached: Vec<&'static str>,
    steps_over: Vec<usize>,
    improved: bool,
    /// For how many seconds the timers have run since the level was taken; those of repeats less where it was frozen.
    ran: usize,
    ran_repeats: usize,
    repeats: usize,
    /// The timers run from the second before to this one.
    runs: bool,
    frozen: bool,
    /// Until which second, and at which level, somebody has taken it up.
    seen_until: Option<(usize, Level)>,
    /// Until which second, and up to which level, each of them holds notices.
    silences: BTreeMap<u8, (usize, Option<Level>)>,
    owed: bool,
    carried: bool,
    well: usize,
    now_told: Vec<&'static str>,
    /// As last read.
    last_input: Option<Input>,
    lines: Vec<String>,
    notices: Vec<String>,
}

impl<'s> Model<'s> {
    fn new(spec: &'s Spec) -> Self {
        Model {
            spec,
            second: 0,
            seen: Vec::new(),
            calm_from: 0,
            nulls: 0,
            open_for: None,
            level: Level::Ok,
            band: None,
            incidents: 0,
            sequence: 0,
            told: Vec::new(),
            reached: Vec::new(),
            steps_over: Vec::new(),
            improved: false,
            ran: 0,
            ran_repeats: 0,
            repeats: 0,
            runs: false,
            frozen: false,
            seen_until: None,
            silences: BTreeMap::new(),
            owed: false,
            carried: false,
            well: 0,
            now_told: Vec::new(),
            last_input: None,
            lines: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// For how many judged seconds up to now, this one included, `so` has been true of every value.
    fn run_of(&self, from: usize, so: impl Fn(f64) -> bool) -> usize {
        self.seen[from..].iter().rev().flatten().take_while(|value| so(**value)).count()
    }

    fn clock(&self) -> String {
        format!("{}:{:02}:{:02}", self.second / 3600, self.second / 60 % 60, self.second % 60)
    }

    fn is_silenced(&self) -> bool {
        let holds = |(until, worst): &(usize, Option<Level>)| {
            self.second < *until && worst.is_none_or(|worst| self.level <= worst)
        };
        self.level != Level::Ok && self.silences.values().any(holds)
    }

    fn act(&mut self, act: &Act) {
        let until = |length: &i64| self.second + *length as usize;
        match act {
            Act::Acknowledge(length) if self.level != Level::Ok => self.seen_until = Some((until(length), self.level)),
            Act::Acknowledge(_) => {}
            Act::Silence(id, length, level) => {
                self.silences.insert(*id, (until(length), *level));
            }
            Act::EndSilence(id) => {
                self.silences.remove(id);
            }
            Act::Feed(live) => self.frozen = !live,
        }
    }

    fn reset(&mut self) {
        (self.ran, self.ran_repeats, self.repeats) = (0, 0, 0);
        self.steps_over.clear();
    }

    /// Whom the level tells.
    fn tell(&self) -> Vec<&'static str> {
        match (self.band, &self.spec.missing) {
            (Some(band), _) => Self::media(&self.spec.bands[band].tell),
            (None, Missing::Raise(_, _, tell)) if self.level != Level::Ok => Self::media(&[*tell]),
            _ => Vec::new(),
        }
    }

    fn silence_ends(&mut self) {
        self.reset();
        self.reached.clear();
        (self.improved, self.owed) = (false, false);
        self.send([self.tell(), self.told.clone()].concat(), "silence_ended");
    }

    fn send(&mut self, people: Vec<&'static str>, reason: &str) {
        if self.is_silenced() {
            return;
        }
        let mut sent: Vec<&str> = Vec::new();
        for person in people {
            if sent.contains(&person) {
                continue;
            }
            sent.push(person);
            self.now_told.push(person);
            if !self.told.contains(&person) {
                self.told.push(person);
            }
            self.sequence += 1;
            let (clock, level) = (self.clock(), self.level.name());
            self.notices.push(format!("{clock} i{} #{} {person} {level} {reason}", self.incidents, self.sequence));
        }
    }

    fn media(people: &[usize]) -> Vec<&'static str> {
        people.iter().flat_map(|person| MEDIA[*person]).copied().collect()
    }

    fn go(&mut self, to: Level, band: Option<usize>, reason: &str) {
        let from = self.level;
        if from == Level::Ok {
            self.incidents += 1;
            self.sequence = 0;
            (self.told, self.reached) = (Vec::new(), Vec::new());
            (self.seen_until, self.owed) = (None, false);
        }
        let text = band.map_or("-".to_owned(), |band| self.spec.band_text(band));
        let (from_name, to_name) = (from.name(), to.name());
        self.lines.push(format!("{} i{} {from_name} -> {to_name} {text} {reason}", self.clock(), self.incidents));
        (self.level, self.band) = (to, band);
        let tell = self.tell();
        self.seen_until = self.seen_until.filter(|(_, seen)| to <= *seen);
        self.owed = self.is_silenced();
        let told = self.told.clone();
        self.improved = to < from;
        if to == Level::Ok {
            self.send(told, reason);
        } else if to < from {
            self.send([told, tell].concat(), reason);
        } else {
            self.reached.clear();
            self.send([tell, told].concat(), reason);
        }
        self.carried = false;
        self.reset();
    }

    fn judge(&mut self, value: f64) -> Option<(Level, Option<usize>, &'static str)> {
        let spec = self.spec;
        let own = spec.band_of(value);
        let bands = || spec.bands.iter().enumerate();
        for level in LEVELS.into_iter().rev().filter(|level| *level > self.level) {
            let due = bands().filter(|(index, band)| {
                let beyond = |v: f64| {
                    let at = spec.band_of(v);
                    spec.bands[at].level >= level && spec.same_side(at, *index)
                };
                band.level == level && self.run_of(0, beyond) > band.hold
            });
            let due: Vec<usize> = due.map(|(index, _)| index).collect();
            if !due.is_empty() {
                let nearest = due.into_iter().min_by_key(|band| band.abs_diff(own));
                return Some((level, if spec.bands[own].level == level { Some(own) } else { nearest }, "range"));
            }
        }
        for level in LEVELS.into_iter().filter(|level| *level < self.level) {
            if self.run_of(self.calm_from, |v| spec.worst_near(v) <= level) > spec.recover {
                let mut of_level: Vec<usize> = bands().filter(|(_, b)| b.level == level).map(|(i, _)| i).collect();
                let elsewhere = |band: usize| !self.band.is_some_and(|was| spec.same_side(was, band));
                of_level.sort_by_key(|band| (elsewhere(*band), *band));
                of_level.sort_by(|a, b| spec.distance(*a, value).total_cmp(&spec.distance(*b, value)));
                let reason = if level == Level::Ok { "recovered" } else { "improved" };
                return Some((level, of_level.first().copied(), reason));
            }
        }
        let away = !self.band.is_some_and(|was| spec.same_side(was, own));
        let mut others: Vec<usize> = bands()
            .filter(|(index, band)| {
                let on_the_way = spec.bands[own].level > self.level && away && spec.same_side(*index, own);
                band.level == self.level && (*index == own || on_the_way)
            })
            .map(|(index, _)| index)
            .collect();
        others.sort_by_key(|band| band.abs_diff(own));
        let other = others.first().copied().filter(|other| self.level != Level::Ok && self.band != Some(*other))?;
        let there = |v: f64| {
            let at = spec.band_of(v);
            at == other || (spec.bands[at].level > spec.bands[other].level && spec.same_side(at, other))
        };
        (self.run_of(0, there) > spec.bands[other].hold).then_some((self.level, Some(other), "range"))
    }

    fn open_again(&mut self) {
        self.carried = false;
        if self.owed && !self.is_silenced() {
            self.silence_ends();
        } else {
            self.send(self.told.clone(), "opened");
        }
    }

    fn step(&mut self, input: Input, act: Option<&Act>) -> Vec<String> {
        self.now_told.clear();
        if self.runs {
            (self.ran, self.ran_repeats) = (self.ran + 1, self.ran_repeats + 1);
        }
        let ran = self.runs;
        if let Some(act) = act {
            self.act(act);
        }
        let is_open = self.spec.open.as_ref().is_none_or(|minutes| minutes.contains(&(self.second / 60)));
        if !is_open {
            self.open_for = None;
        } else {
            if self.open_for.is_none() {
                self.seen.clear();
                (self.calm_from, self.nulls, self.well) = (0, 0, 0);
                self.carried = self.level != Level::Ok;
            }
            let settle = if self.spec.open.is_some() { self.spec.settle } else { 0 };
            let since = self.open_for.map_or(0, |since| since + 1);
            self.open_for = Some(since);
            if since >= settle {
                self.ran_repeats -= usize::from(ran && self.frozen);
                self.evaluate(input);
            }
        }
        let seen = self.seen_until.is_some_and(|(until, _)| self.second < until);
        self.runs = is_open && self.level != Level::Ok && !self.carried && !seen;
        self.second += 1;
        self.lines.drain(..).chain(self.notices.drain(..)).collect()
    }

    fn evaluate(&mut self, input: Input) {
        self.seen_until = self.seen_until.filter(|(until, _)| self.second < *until);
        self.owed |= self.is_silenced();
        if self.frozen {
            let last = self.last_input;
            return self.speak(last.is_some_and(|last| self.judgeable(last).is_some()) || input.waiting > 0.0);
        }
        self.last_input = Some(input);
        let value = self.judgeable(input);
        self.seen.push(value);
        self.nulls = if input.value.is_none() { self.nulls + 1 } else { 0 };
        if let Some(value) = value {
            let well = self.spec.bands[self.spec.band_of(value)].level == Level::Ok;
            if self.carried && !well {
                self.open_again();
            }
            if let Some((level, band, reason)) = self.judge(value) {
                self.go(level, band, reason);
            }
            if self.carried {
                self.well += 1;
                if self.well > self.spec.recover {
                    self.open_again();
                }
            }
        } else if input.value.is_none() {
            match self.spec.missing {
                Missing::Ok if self.level != Level::Ok => {
                    self.go(Level::Ok, None, "no_data");
                    self.seen.clear();
                    (self.calm_from, self.nulls) = (0, 0);
                }
                Missing::Raise(level, hold, _) if level > self.level && self.nulls > hold => {
                    self.go(level, None, "no_data");
                    self.calm_from = self.seen.len();
                }
                _ => {}
            }
        }
        self.speak(value.is_some() || input.waiting > 0.0);
    }

    fn judgeable(&self, input: Input) -> Option<f64> {
        input.value.filter(|_| input.samples >= self.spec.min)
    }

    fn speak(&mut self, may_escalate: bool) {
        if self.level == Level::Ok || self.carried || self.is_silenced() {
            return;
        }
        if self.owed {
            self.silence_ends();
        }
        if self.seen_until.is_none() {
            self.timers(may_escalate);
        }
    }

    fn timers(&mut self, may_escalate: bool) {
        let spec = self.spec;
        let Some(band) = self.band.map(|band| &spec.bands[band]) else { return };
        let due: Vec<usize> = (0..band.steps.len())
            .filter(|step| may_escalate && band.steps[*step].0 <= self.ran && !self.steps_over.contains(step))
            .collect();
        let people: Vec<_> = due.iter().flat_map(|step| Self::media(&band.steps[*step].1)).collect();
        self.steps_over.extend(due);
        self.reached.extend(people.iter().copied());
        let people = people.into_iter().filter(|person| !self.now_told.contains(person));
        let people = people.filter(|person| !(self.improved && self.told.contains(person))).collect();
        self.send(people, "escalation");
        let passed = band.repeat.map_or(0, |repeat| self.ran_repeats / repeat);
        if passed > self.repeats && !self.frozen {
            self.repeats = passed;
            let people = [Self::media(&band.tell), self.reached.clone()].concat();
            self.send(people.into_iter().filter(|person| !self.now_told.contains(person)).collect(), "repeat");
        }
    }
}

fn bands() -> impl Strategy<Value = (Vec<f64>, Vec<Band>)> {
    let band =
        || {
            let people = || subsequence((0..PEOPLE.len()).collect::<Vec<_>>(), 0..3);
            let steps =
                prop::collection::vec((0usize..20, subsequence((0..PEOPLE.len()).collect::<Vec<_>>(), 1..3)), 0..3);
            let repeat = prop::option::of(1usize..15);
            (select(&LEVELS[..]), 0usize..6, people(), steps, repeat)
                .prop_map(|(level, hold, tell, steps, repeat)| Band { level, hold, tell, steps, repeat })
        };
    let cuts = subsequence((2..10).map(f64::from).collect::<Vec<_>>(), 1..5);
    cuts.prop_flat_map(move |cuts| {
        let count = cuts.len() + 1;
        (Just(cuts), prop::collection::vec(band(), count), 0..count).prop_map(|(cuts, mut bands, ok)| {
            bands[ok].level = Level::Ok;
            (cuts, bands)
        })
    })
}

pub fn spec() -> impl Strategy<Value = Spec> {
    let missing = prop_oneof![
        Just(Missing::Keep),
        Just(Missing::Ok),
        (select(&LEVELS[1..]), 0usize..5, 0..PEOPLE.len())
            .prop_map(|(level, hold, tell)| Missing::Raise(level, hold, tell)),
    ];
    let open = prop::option::of(subsequence((0..9).collect::<Vec<usize>>(), 1..7));
    let rest = (select(&[0.0, 0.5, 1.0, 2.0][..]), 0usize..6, select(&[0.0, 5.0][..]), missing, open, 0usize..40);
    (bands(), rest).prop_map(|((cuts, bands), (margin, recover, min, missing, open, settle))| Spec {
        cuts,
        bands,
        margin,
        recover,
        min,
        missing,
        open,
        settle,
    })
}

pub fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let value = prop_oneof![6 => (0..24).prop_map(|half| Some(f64::from(half) / 2.0)), 1 => Just(None)];
    let one = (value, prop_oneof![5 => Just(10.0), 1 => Just(2.0)], select(&[0.0, 1.0][..]), 1usize..25);
    let one = one.prop_map(|(value, samples, waiting, seconds)| Input { value, samples, waiting, seconds });
    prop::collection::vec(one, 1..45)
}

pub fn each_second(inputs: &[Input]) -> impl Iterator<Item = Input> + '_ {
    inputs.iter().flat_map(|input| std::iter::repeat_n(*input, input.seconds))
}

fn tick(engine: &mut Engine, table: &mut Table, second: usize, input: Input) -> Tick {
    table.set(input.value, if input.value.is_some() { input.samples } else { 0.0 });
    table.waiting = input.waiting;
    engine.tick(START + Millis::seconds(second as i64), table, &LIVE)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_does_what_the_model_does(spec in spec(), inputs in inputs(), acts in acts()) {
        let text = spec.text();
        let (mut run, mut model) = (Run::new(&[&text]), Model::new(&spec));
        for (second, input) in each_second(&inputs).enumerate() {
            let act = acts.get(&second);
            let got = run.lines_of_case(second, input, act);
            let expected = model.step(input, act);
            prop_assert_eq!(got, expected, "second {} of {}", second, text);
        }
    }

    #[test]
    fn a_clone_at_any_step_goes_on_alike(spec in spec(), inputs in inputs(), at in 0usize..400) {
        let mut engine = engine(&[&spec.text()]);
        let (mut table, mut scribe) = (Table::new(&[place()]), Scribe::new());
        let mut twin = None;
        for (second, input) in each_second(&inputs).enumerate() {
            let lines = scribe.lines(&tick(&mut engine, &mut table, second, input));
            if let Some((twin, scribe)) = &mut twin {
                let (twin, scribe): (&mut Engine, &mut Scribe) = (twin, scribe);
                prop_assert_eq!(scribe.lines(&tick(twin, &mut table, second, input)), lines);
            }
            if second == at {
                twin = Some((engine.clone(), scribe.clone()));
            }
        }
    }

    #[test]
    fn what_is_always_so(spec in spec(), inputs in inputs()) {
        let mut engine = engine(&[&spec.text()]);
        let mut table = Table::new(&[place()]);
        let (mut level, mut open) = (Level::Ok, None);
        let mut sequences: BTreeMap<_, u32> = BTreeMap::new();
        for (second, input) in each_second(&inputs).enumerate() {
            let tick = tick(&mut engine, &mut table, second, input);
            prop_assert!(tick.transitions.len() <= 1, "a case moves at most once in a second");
            for t in &tick.transitions {
                prop_assert_eq!(t.from, level);
                prop_assert!(t.to != t.from || t.range.is_some());
                // One incident from leaving ok until ok, and its id is new.
                match &open {
                    None => prop_assert!(sequences.insert(t.incident.clone(), 0).is_none()),
                    Some(id) => prop_assert_eq!(id, &t.incident),
                }
                open = (t.to != Level::Ok).then(|| t.incident.clone());
                level = t.to;
                // A level by value is justified by the value of its second: no worse than it when it gets worse,
                // nothing worse within the margin when it gets better; and its range is one of that level.
                if let (Some(range), Some(value)) = (t.range, t.value) {
                    prop_assert_eq!(spec.bands[range].level, t.to);
                    let here = spec.bands[spec.band_of(value)].level;
                    let just = if t.to >= t.from { here >= t.to } else { spec.worst_near(value) <= t.to };
                    prop_assert!(just);
                }
            }
            let mut now: Vec<_> = Vec::new();
            for n in &tick.notifications {
                let sequence = sequences.get_mut(&n.incident).expect("an incident tells after its first transition");
                *sequence += 1;
                prop_assert_eq!(n.sequence, *sequence);
                let medium = if n.medium == Medium::Email { "email" } else { "webhook" };
                let address = format!("{}.{medium}", n.to);
                prop_assert!(n.told.contains(&n.to));
                let named = spec.bands.iter().flat_map(|b| b.tell.iter().chain(b.steps.iter().flat_map(|s| &s.1)));
                let raised = match spec.missing { Missing::Raise(_, _, person) => Some(person), _ => None };
                let mut media = named.copied().chain(raised).flat_map(|person| MEDIA[person]);
                prop_assert!(media.any(|medium| *medium == address), "{address} is not in the matrix");
                let reason = n.reason.name();
                prop_assert!(!now.contains(&(address.clone(), reason == "opened")), "{address} twice in a second");
                now.push((address, reason == "opened"));
            }
            prop_assert_eq!(engine.open_cases().len(), usize::from(level != Level::Ok));
            prop_assert_eq!(engine.levels()[0].3, level);
        }
    }
}

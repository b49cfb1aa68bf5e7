//! Random rows and values under random operations, frozen feeds and reloads: what holds whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atalaya::domain::Millis;
use atalaya::indicators::Topics;
use atalaya::matrix::engine::{Engine, Feed, FeedState, Feeds, Matcher, Notification, Operation, Reason, Tick, What};
use atalaya::matrix::{Level, Matrix, Medium};
use atalaya::plan::Plan;
use proptest::prelude::*;
use proptest::sample::select;

use crate::follower::Follower;
use crate::model::{Band, Input, MEDIA, Missing, each_second, inputs, spec};
use crate::support::{LIVE, START, Scribe, Table, matrix, place};

/// What somebody or something does in a second.
#[derive(Clone, Debug)]
pub enum Act {
    /// Of the case's incident, for that many seconds.
    Acknowledge(i64),
    /// Which, for how long, and up to which level.
    Silence(u8, i64, Option<Level>),
    EndSilence(u8),
    Feed(bool),
}

pub type Acts = BTreeMap<usize, Act>;

pub fn acts() -> impl Strategy<Value = Acts> {
    let level = prop::option::of(select(&[Level::Info, Level::Warning][..]));
    let act = prop_oneof![
        3 => (0i64..60).prop_map(Act::Acknowledge),
        3 => (0u8..3, 1i64..90, level).prop_map(|(id, length, level)| Act::Silence(id, length, level)),
        1 => (0u8..3).prop_map(Act::EndSilence),
        2 => any::<bool>().prop_map(Act::Feed),
    ];
    prop::collection::btree_map(0usize..500, act, 0..20)
}

/// One engine under a row, and what is done to it.
pub struct Run {
    engine: Engine,
    matrices: Vec<Arc<Matrix>>,
    table: Table,
    feeds: Feeds,
    scribe: Scribe,
}

impl Run {
    pub fn new(rows: &[&str]) -> Run {
        let matrices = vec![matrix("care", rows)];
        let engine = Engine::new(matrices.clone(), Arc::new(Plan::default()));
        Run { engine, matrices, table: Table::new(&[place()]), feeds: LIVE, scribe: Scribe::new() }
    }

    fn tick(&mut self, second: usize, input: Input, act: Option<&Act>) -> Tick {
        let now = START + Millis::seconds(second as i64);
        let what = match act {
            None => None,
            Some(Act::Acknowledge(length)) => {
                let open = self.engine.open_cases();
                let case = open.iter().find(|case| case.last.source.is_none());
                let until = Some(now + Millis::seconds(*length));
                case.map(|case| What::Acknowledge { incident: case.last.incident.clone(), until })
            }
            Some(Act::Silence(id, length, level)) => {
                let matcher = Matcher { indicator: vec!["asa".into()], level: *level, ..Matcher::default() };
                let until = now + Millis::seconds(*length);
                Some(What::Silence { id: id.to_string().into(), matcher, from: now, until })
            }
            Some(Act::EndSilence(id)) => Some(What::EndSilence { id: id.to_string().into() }),
            Some(Act::Feed(live)) => {
                let state = if *live { FeedState::Live } else { FeedState::Silent { since: now } };
                let carries = Topics { interactions: true, agents: false };
                self.feeds = Feeds(vec![Feed { source: "events".into(), carries, state }]);
                None
            }
        };
        if let Some(what) = what {
            self.engine.operate(&Operation { who: "ana".into(), why: "".into(), what }, now);
        }
        self.table.set(input.value, if input.value.is_some() { input.samples } else { 0.0 });
        self.table.waiting = input.waiting;
        self.engine.tick(now, &mut self.table, &self.feeds)
    }

    /// What it gives of the row's case, without who has taken it up and what holds it.
    pub fn lines_of_case(&mut self, second: usize, input: Input, act: Option<&Act>) -> Vec<String> {
        let mut tick = self.tick(second, input, act);
        tick.transitions.retain(|transition| transition.source.is_none());
        tick.notifications.retain(|notice| notice.transition.source.is_none());
        for notice in &mut tick.notifications {
            notice.acknowledged = None;
            notice.silenced.clear();
        }
        self.scribe.lines(&tick)
    }

    fn restart(&mut self) {
        let bytes = self.engine.snapshot();
        self.engine = Engine::restore(self.matrices.clone(), Arc::new(Plan::default()), &bytes).unwrap();
    }

    /// Another file with the row in another place, and back.
    fn reload(&mut self, text: &str, second: usize) {
        let other = ["asa 5m; ok ..99; critical 99..", text];
        let rows = if second.is_multiple_of(2) { &other[..] } else { &other[1..] };
        self.matrices = vec![matrix("more", &[]), matrix("care", rows)];
        self.engine.reload(self.matrices.clone(), Arc::new(Plan::default()));
    }
}

fn address(notice: &Notification) -> String {
    let medium = if notice.medium == Medium::Email { "email" } else { "webhook" };
    format!("{}.{medium}", notice.to)
}

fn media(people: &[usize]) -> BTreeSet<String> {
    people.iter().flat_map(|person| MEDIA[*person]).map(|medium| medium.to_string()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn restarts_and_reloads_at_every_step_change_nothing(spec in spec(), inputs in inputs(), acts in acts()) {
        let text = format!("{}; flapping 3 1m", spec.text());
        let (mut straight, mut other) = (Run::new(&[&text]), Run::new(&[&text]));
        for (second, input) in each_second(&inputs).enumerate() {
            let act = acts.get(&second);
            let tick = straight.tick(second, input, act);
            let expected = straight.scribe.lines(&tick);
            let tick = other.tick(second, input, act);
            let got = other.scribe.lines(&tick);
            prop_assert_eq!(got, expected, "second {}", second);
            let of_case = |run: &Run| {
                let open = run.engine.open_cases().into_iter().filter(|case| case.last.source.is_none());
                open.map(|case| (case.acknowledged, case.silenced, case.frozen, case.flaps)).collect::<Vec<_>>()
            };
            prop_assert_eq!(of_case(&straight), of_case(&other));
            if second.is_multiple_of(3) { other.restart() } else { other.reload(&text, second) }
        }
    }

    #[test]
    fn what_is_held_is_held_and_who_is_told_is_the_matrix_s(spec in spec(), inputs in inputs(), acts in acts()) {
        let mut run = Run::new(&[&spec.text()]);
        let mut told: BTreeSet<String> = BTreeSet::new();
        let mut level = Level::Ok;
        let raised = match spec.missing { Missing::Raise(level, ..) => level, _ => Level::Ok };
        let mut held = BTreeSet::from([Level::Ok, raised]);
        let (mut open, mut closed_ids): (Option<Arc<str>>, BTreeSet<Arc<str>>) = (None, BTreeSet::new());
        for (second, input) in each_second(&inputs).enumerate() {
            let tick = run.tick(second, input, acts.get(&second));
            let case = run.engine.open_cases().into_iter().find(|case| case.last.source.is_none());
            let frozen = run.feeds.freeze(Topics { interactions: true, agents: false });
            let of_case = |incident: &Arc<str>| open.as_ref() == Some(incident);
            let transitions: Vec<_> = tick.transitions.iter().filter(|t| t.source.is_none()).collect();
            prop_assert!(transitions.len() <= 1);
            for t in &transitions {
                prop_assert!(!frozen, "a frozen case moved");
                // No two incidents for one case, and none comes back.
                match &open {
                    Some(id) => prop_assert_eq!(id, &t.incident),
                    None => prop_assert!(!closed_ids.contains(&t.incident)),
                }
                prop_assert_eq!(t.from, level);
                level = t.to;
                if let (Some(range), Some(value)) = (t.range, t.value) {
                    prop_assert_eq!(spec.bands[range].level, t.to);
                    let here = spec.bands[spec.band_of(value)].level;
                    let just = if t.to >= t.from { here >= t.to } else { spec.worst_near(value) <= t.to };
                    prop_assert!(just, "{:?} at {value}", t);
                }
            }
            let mine: Vec<_> = tick
                .notifications
                .iter()
                .filter(|n| of_case(&n.incident) || transitions.iter().any(|t| t.incident == n.incident))
                .collect();
            let with = |reason: Reason| -> BTreeSet<String> {
                mine.iter().filter(|n| n.reason == reason).map(|n| address(n)).collect()
            };
            if let Some(case) = &case {
                if !case.silenced.is_empty() {
                    prop_assert!(mine.is_empty(), "silenced, and told");
                }
                if case.acknowledged.is_some() {
                    prop_assert!(with(Reason::Repeat).is_empty() && with(Reason::Escalation).is_empty());
                }
                if frozen {
                    prop_assert!(with(Reason::Repeat).is_empty());
                }
                prop_assert_eq!(case.last.to, level);
            }
            // Whom a change is told to, exactly.
            let silenced = case.as_ref().is_some_and(|case| !case.silenced.is_empty());
            for t in transitions.iter().filter(|_| !silenced) {
                let tell = match (t.range, &spec.missing) {
                    _ if t.to == Level::Ok => BTreeSet::new(),
                    (Some(range), _) => media(&spec.bands[range].tell),
                    (None, Missing::Raise(_, _, person)) => media(&[*person]),
                    (None, _) => BTreeSet::new(),
                };
                let expected: BTreeSet<String> = told.union(&tell).cloned().collect();
                prop_assert_eq!(with(t.reason), expected, "{:?}", t.reason);
            }
            told.extend(mine.iter().map(|n| address(n)));
            for t in &transitions {
                if t.to == Level::Ok {
                    closed_ids.insert(t.incident.clone());
                    (open, told) = (None, BTreeSet::new());
                } else {
                    open = Some(t.incident.clone());
                }
            }
            // The level is that of some range that held a value, moved by no more than the margin, or lies beyond which it did.
            if let Some(value) = input.value.filter(|_| !frozen && input.samples >= spec.min) {
                let (low, high) = (spec.band_of(value - spec.margin), spec.band_of(value + spec.margin));
                let own = spec.band_of(value);
                let worst = spec.bands[own].level;
                let passed = |(at, band): &(usize, &Band)| spec.same_side(*at, own) && band.level <= worst;
                held.extend(spec.bands.iter().enumerate().filter(passed).map(|(_, band)| band.level));
                held.extend(spec.bands[low..=high].iter().map(|band| band.level));
            }
            prop_assert!(held.contains(&level), "{level:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]

    /// What an engine says has changed is all that has, at every second, whatever happens; and who goes on with it, at any
    /// second, decides the same.
    #[test]
    fn who_follows_can_go_on(spec in spec(), inputs in inputs(), acts in acts(), every in 1usize..40) {
        let text = format!("{}; flapping 3 1m", spec.text());
        let (mut straight, mut other) = (Run::new(&[&text]), Run::new(&[&text]));
        let mut followers = [Follower::default(), Follower::default()];
        for (second, input) in each_second(&inputs).enumerate() {
            let tick = straight.tick(second, input, acts.get(&second));
            let expected = straight.scribe.lines(&tick);
            let tick = other.tick(second, input, acts.get(&second));
            prop_assert_eq!(other.scribe.lines(&tick), expected, "second {}", second);
            followers[0].follow(&mut straight.engine);
            followers[1].follow(&mut other.engine);
            if second.is_multiple_of(every) {
                other.engine = followers[1].engine(&other.matrices, &Arc::new(Plan::default()));
            }
            if second.is_multiple_of(97) {
                other.reload(&text, second);
            }
        }
    }
}

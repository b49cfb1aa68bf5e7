//! What a notice shows beside its value: the numbers around it at the instant at which it is told, and the trend until then.

use std::sync::Arc;

use atalaya::domain::{Key, Millis, Timestamp};
use atalaya::indicators::{Reading, Selector, State, Topics};
use atalaya::matrix::Matrix;
use atalaya::matrix::engine::{Around, Engine, Feed, FeedState, Feeds, Notification, Readings, Trend};
use atalaya::plan::Plan;

use crate::support::{LIVE, START, matrix, place};

/// A floor on which everything moves with the clock, and which counts how often it is asked.
struct Floor {
    second: i64,
    value: Option<f64>,
    agents_known: bool,
    asked: usize,
}

impl Readings for Floor {
    fn keys(&self) -> Vec<Key> {
        vec![Key::ALL, place()]
    }
    fn read(&mut self, key: &Key, selector: &Selector) -> Reading {
        self.asked += 1;
        let value = match (selector.indicator.name, selector.labels.state) {
            ("waiting", _) => Some(self.second as f64),
            ("oldest_wait", _) => Some(2.0 * self.second as f64),
            ("agents", Some(state)) if *key == place() && self.agents_known => Some(f64::from(state as u8)),
            ("agents", Some(State::Offline)) if self.agents_known => Some(1.0),
            ("agents", _) => Some(0.0),
            _ => self.value,
        };
        Reading { value, samples: 100.0 }
    }
}

struct Play {
    engine: Engine,
    matrices: Vec<Arc<Matrix>>,
    plan: Arc<Plan>,
    floor: Floor,
    feeds: Feeds,
    restarts: bool,
}

impl Play {
    fn new(rows: &str, restarts: bool) -> Play {
        let rows: Vec<&str> = rows.split(" | ").collect();
        Play::of(vec![matrix("care", &rows)], restarts)
    }

    fn of(matrices: Vec<Arc<Matrix>>, restarts: bool) -> Play {
        let plan = Arc::new(Plan::default());
        let engine = Engine::new(matrices.clone(), plan.clone());
        let floor = Floor { second: 0, value: None, agents_known: true, asked: 0 };
        Play { engine, matrices, plan, floor, feeds: LIVE, restarts }
    }

    /// Every second until `second`, that one left out, at that value.
    fn until(&mut self, second: i64, value: Option<f64>) -> Vec<Notification> {
        self.floor.value = value;
        let mut told = Vec::new();
        while self.floor.second < second {
            told.extend(self.engine.tick(at(self.floor.second), &mut self.floor, &self.feeds).notifications);
            if self.restarts && self.floor.second % 7 == 0 {
                let bytes = self.engine.snapshot();
                self.engine = Engine::restore(self.matrices.clone(), self.plan.clone(), &bytes).unwrap();
                assert_eq!(self.engine.snapshot(), bytes);
            }
            self.floor.second += 1;
        }
        told
    }
}

fn at(second: i64) -> Timestamp {
    START + Millis::seconds(second)
}

fn around(notices: &[Notification]) -> &Around {
    notices.first().and_then(|notice| notice.around.as_deref()).expect("a notice with numbers")
}

fn trend(notices: &[Notification]) -> Vec<(i64, Option<f64>)> {
    let Trend(points) = notices.first().and_then(|notice| notice.trend.as_deref()).expect("a notice with a trend");
    points.iter().map(|(time, value)| ((*time - START).0 / 1000, *value)).collect()
}

const ROW: &str = "asa 15m; ok ..10; warning 10..20 tell lead; critical 20.. for 30s tell lead,desk";

#[test]
fn a_notice_carries_the_numbers_of_its_instant_and_the_values_until_then() {
    for restarts in [false, true] {
        let mut play = Play::new(ROW, restarts);
        assert!(play.until(150, Some(5.0)).is_empty());
        assert!(play.until(270, None).is_empty());
        let warned = play.until(271, Some(12.0));
        let agents = State::CONNECTED.iter().map(|state| (*state, f64::from(*state as u8))).collect();
        let expected = Around { waiting: Some(270.0), oldest_wait: Some(540.0), agents };
        assert_eq!(around(&warned), &expected);
        let gaps = [(0, Some(5.0)), (60, Some(5.0)), (120, Some(5.0)), (180, None), (240, None)];
        assert_eq!(trend(&warned), [&gaps[..], &[(270, Some(12.0))]].concat());

        // The next level, to two people: the same for both, and of its own instant.
        let worse = play.until(400, Some(25.0));
        assert_eq!(worse.len(), 2);
        assert!(Arc::ptr_eq(worse[0].around.as_ref().unwrap(), worse[1].around.as_ref().unwrap()));
        assert_eq!(around(&worse).waiting, Some(301.0));
        assert_eq!(trend(&worse).last(), Some(&(301, Some(25.0))));
        assert_eq!(trend(&worse).len(), 7, "one a minute, and the last");
    }
}

#[test]
fn the_trend_is_of_the_row_that_is_told() {
    // Another row before it, of its own matrix and of another, has another number and another place.
    let other = "waiting; ok 0..";
    for matrices in [vec![matrix("care", &[other, ROW])], vec![matrix("sales", &[other]), matrix("care", &[ROW])]] {
        let mut play = Play::of(matrices, true);
        assert!(play.until(90, Some(5.0)).is_empty());
        assert_eq!(trend(&play.until(91, Some(12.0))), [(0, Some(5.0)), (60, Some(5.0)), (90, Some(12.0))]);
    }
}

#[test]
fn what_a_dead_feed_says_is_left_out_and_nothing_is_asked_for_nothing() {
    let mut play = Play::new("asa 15m; ok ..10; critical 10.. tell lead repeat 1m | occupancy 15m; ok 0..", false);
    play.until(10, Some(5.0));
    assert_eq!(play.floor.asked, 20, "a reading of each row a second while nothing is told");
    let carries = Topics { agents: true, interactions: false };
    let state = FeedState::Silent { since: at(0) };
    play.feeds = Feeds(vec![Feed { source: "states".into(), carries, state }]);
    let told = play.until(11, Some(50.0));
    let of_case: Vec<Notification> = told.iter().filter(|notice| notice.to.as_ref() == "lead").cloned().collect();
    assert_eq!(around(&of_case), &Around { waiting: Some(10.0), oldest_wait: Some(20.0), agents: Vec::new() });
    // The feed's own incident is of no place on the floor.
    let of_feed = told.iter().find(|notice| notice.to.as_ref() == "desk").expect("the owner is told");
    assert_eq!((&of_feed.around, &of_feed.trend), (&None, &None));

    // No agent anywhere was ever heard of: that nobody is there is not known.
    play.feeds = LIVE;
    play.floor.agents_known = false;
    let again = play.until(80, Some(50.0));
    let repeat: Vec<Notification> = again.into_iter().filter(|notice| notice.to.as_ref() == "lead").collect();
    assert_eq!(around(&repeat), &Around { waiting: Some(70.0), oldest_wait: Some(140.0), agents: Vec::new() });
}

#[test]
fn timers_say_how_long_they_have_run() {
    let mut play = Play::new("asa 15m; ok ..10; critical 10.. tell lead escalate 10m:manager repeat 3m", true);
    let told = play.until(700, Some(50.0));
    let ran: Vec<(&str, i64)> = told.iter().map(|notice| (notice.reason.name(), notice.ran.0 / 1000)).collect();
    let expected = [("range", 0), ("repeat", 180), ("repeat", 360), ("repeat", 540), ("escalation", 600)];
    assert_eq!(ran, expected);
}

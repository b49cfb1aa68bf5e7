//! What a test does `meanwhile`: acknowledgements, silences, feeds that fall silent.
//!
//! A silence and a feed come before what their second brings; an acknowledgement after it, so that whoever acknowledges at
//! the second of an alert has one to acknowledge.

use std::sync::Arc;

use super::play::Course;
use crate::config::matrix_test::meanwhile::{Said, Standing, TOPICS, What};
use crate::config::matrix_test::{Act, MatrixTest};
use crate::domain::Timestamp;
use crate::indicators::Topics;
use crate::matrix::engine::{self, Engine, Feed, FeedState, Feeds, OpenCase, Operated, Operation};

/// The feed of a test that carries these, by the name of its topic.
fn feed(carries: Topics) -> &'static str {
    if carries.agents { "atalaya.agent-states" } else { "atalaya.interactions" }
}

/// The acts of a test, one after the other.
pub(super) struct Acts<'a> {
    acts: Vec<(usize, &'a Act)>,
    done: usize,
    pub feeds: Feeds,
}

/// Whether something comes before or after what its second brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    Before,
    Within,
    After,
}

fn is_after(act: &Act) -> bool {
    matches!(act.what, What::Acknowledge { .. })
}

impl<'a> Acts<'a> {
    pub fn new(test: &'a MatrixTest) -> Self {
        let mut acts: Vec<(usize, &Act)> = test.meanwhile.iter().enumerate().collect();
        acts.sort_by_key(|(_, act)| (act.at, is_after(act)));
        Acts { acts, done: 0, feeds: Feeds::default() }
    }

    /// The second of the next act, and whether it comes after what that brings.
    pub fn next(&self) -> Option<(Timestamp, bool)> {
        self.acts.get(self.done).map(|(_, act)| (act.at, is_after(act)))
    }

    /// Does the next act; the operation, if it is one, is left to the caller, who says with [`Acts::note`] what came of it.
    pub fn act(&mut self, open: Vec<OpenCase>, course: &mut Course) -> Option<Operation> {
        let (index, act) = *self.acts.get(self.done)?;
        self.done += 1;
        let operation = |said: &Said, what| Operation { who: said.who.clone(), why: said.why.clone(), what };
        match &act.what {
            What::Acknowledge { case, until, said } => {
                let is_meant = |open: &&OpenCase| case.rows.contains(&open.last.row) && open.last.key == case.key;
                let Some(open) = open.iter().find(is_meant) else {
                    course.undone.push((index, "none".to_owned()));
                    return None;
                };
                course.done.push((act.at, Order::After, format!("{} acknowledges", said.who)));
                let incident = open.last.incident.clone();
                Some(operation(said, engine::What::Acknowledge { incident, until: *until }))
            }
            What::Silence { matcher, from, until, said } => {
                let (from_start, to) = (*from - course.start, *until - course.start);
                let words = format!("{} silences from {from_start} to {to}", said.who);
                course.done.push((act.at, Order::Before, words));
                let (id, matcher): (Arc<str>, _) = (format!("silence-{index}").into(), matcher.clone());
                Some(operation(said, engine::What::Silence { id, matcher, from: *from, until: *until }))
            }
            What::Feed { carries, standing } => {
                self.set_feed(*carries, *standing, act.at, course);
                None
            }
        }
    }

    fn set_feed(&mut self, carries: Topics, standing: Standing, since: Timestamp, course: &mut Course) {
        let state = match standing {
            Standing::Live => FeedState::Live,
            Standing::Lagging => FeedState::Lagging { since },
            Standing::Silent => FeedState::Silent { since },
        };
        let word = Standing::ALL.iter().find(|(_, other)| *other == standing).map_or("", |(word, _)| word);
        for (_, carries) in TOPICS.into_iter().filter(|(_, topics)| topics.meet(carries)) {
            let source = feed(carries);
            self.feeds.0.retain(|feed| *feed.source != *source);
            self.feeds.0.push(Feed { source: source.into(), carries, state });
            course.done.push((since, Order::Before, format!("the feed {source} is {word}")));
        }
    }

    /// What came of the last act.
    pub fn note(&self, operated: &Operated, course: &mut Course) {
        if let Operated::Refused(why) = operated
            && let Some((index, _)) = self.done.checked_sub(1).and_then(|last| self.acts.get(last))
        {
            course.undone.push((*index, why.to_string()));
        }
    }

    /// Does what is due at `now`, before or after what that second brings.
    pub fn act_at(&mut self, now: Timestamp, after: bool, engine: &mut Engine, course: &mut Course) {
        while self.next() == Some((now, after)) {
            if let Some(operation) = self.act(engine.open_cases(), course) {
                let operated = engine.operate(&operation, now);
                self.note(&operated, course);
            }
        }
    }
}

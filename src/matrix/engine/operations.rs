//! What people tell a running engine: that they have seen an incident, and what they do not want to hear of for a while.
//!
//! An [`Operation`] is plain data, as the service records it; [`super::Engine::operate`] takes it. Who may do so, and
//! where it is kept, is not decided here.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::marked::Marked;
use crate::domain::{Globs, Timestamp};
use crate::matrix::Level;

/// How many silences there may be at once; one more is refused.
pub const SILENCES_MAX: usize = 1_000;

/// One thing that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub who: Arc<str>,
    pub why: Arc<str>,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum What {
    /// Somebody has taken the incident up. Without `until` it holds for the row's `ack_for`.
    Acknowledge { incident: Arc<str>, until: Option<Timestamp> },
    /// Takes the place of a silence with the same id.
    Silence { id: Arc<str>, matcher: Matcher, from: Timestamp, until: Timestamp },
    /// Ends a silence before its time.
    EndSilence { id: Arc<str> },
}

/// What came of an operation. All of it is worth recording, that nothing came of it too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operated {
    Acknowledged {
        until: Timestamp,
    },
    /// The incident is over, or never was: nothing changes.
    NotOpen,
    Silenced,
    SilenceEnded,
    /// There is no such silence, or it is over: nothing changes.
    NoSilence,
    Refused(Refusal),
}

/// Why an operation was not taken, and what would be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("`{pattern}` is no pattern ({why}); write a name, with `*` for any text and `!` before what is left out")]
    Pattern { pattern: String, why: String },
    #[error("the silence names nothing and would hold everything; if that is meant, write `matrix: [\"*\"]`")]
    Everything,
    #[error("the silence would be over before it begins; `until` is after `from` and after now")]
    Over,
    #[error("there are {SILENCES_MAX} silences already; end one")]
    TooMany,
}

/// Which incidents a silence holds: those that every list of globs lets through. A case that has no such name (a roll-up
/// has no queue, an indicator of this instant no window) is met only by a list that lets anything through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Matcher {
    pub matrix: Vec<String>,
    pub indicator: Vec<String>,
    pub queue: Vec<String>,
    pub channel: Vec<String>,
    pub window: Vec<String>,
    /// Holds this level and better ones: a worse one is told.
    pub level: Option<Level>,
}

/// A silence that is on, or will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    pub id: Arc<str>,
    pub matcher: Matcher,
    /// Half-open: `from` is silent, `until` is not.
    pub from: Timestamp,
    pub until: Timestamp,
    pub who: Arc<str>,
    pub why: Arc<str>,
}

/// That somebody has taken an incident up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Acknowledged {
    pub by: Arc<str>,
    pub at: Timestamp,
    pub until: Timestamp,
    pub why: Arc<str>,
    /// The level that was seen: a worse one was not, and voids it.
    pub level: Level,
}

/// The names that a matcher looks at.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub matrix: &'a str,
    pub indicator: &'a str,
    pub queue: Option<&'a str>,
    pub channel: Option<&'a str>,
    pub window: Option<&'a str>,
}

#[derive(Clone, Debug)]
pub(super) struct Held {
    pub silence: Silence,
    /// Matrix, indicator, queue, channel, window.
    globs: [Globs; 5],
}

/// The silences of an engine.
#[derive(Clone, Debug, Default)]
pub(super) struct Silences {
    pub all: Marked<Arc<str>, Held>,
    /// Those that are on.
    active: Vec<Arc<str>>,
    changed: bool,
    /// Another number whenever other silences are on; incidents keep what they found under one.
    generation: u64,
}

impl Silences {
    pub fn put(&mut self, silence: Silence, now: Timestamp) -> Operated {
        if silence.until <= silence.from || silence.until <= now {
            return Operated::Refused(Refusal::Over);
        }
        if self.all.len() >= SILENCES_MAX && !self.all.contains_key(&silence.id) {
            return Operated::Refused(Refusal::TooMany);
        }
        match silence.matcher.compile() {
            Ok(globs) => self.all.insert(silence.id.clone(), Held { silence, globs }),
            Err(refusal) => return Operated::Refused(refusal),
        };
        self.changed = true;
        Operated::Silenced
    }

    /// What is ended goes at once: it was on until the last tick.
    pub fn end(&mut self, id: &str, now: Timestamp) -> Operated {
        self.changed = true;
        match self.all.remove(&Arc::from(id)) {
            Some(held) if held.silence.until > now => Operated::SilenceEnded,
            _ => Operated::NoSilence,
        }
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Silence> {
        self.all.values().map(|held| &held.silence)
    }

    /// Finds out which are on at `now`, and forgets those that are over.
    pub fn advance(&mut self, now: Timestamp) {
        if self.all.is_empty() && self.active.is_empty() {
            return;
        }
        let over = self.all.iter().filter(|(_, held)| held.silence.until <= now);
        let over: Vec<Arc<str>> = over.map(|(id, _)| id.clone()).collect();
        over.iter().for_each(|id| drop(self.all.remove(id)));
        let on = self.iter().filter(|silence| silence.from <= now).map(|silence| silence.id.clone());
        let on: Vec<Arc<str>> = on.collect();
        if self.changed || on != self.active {
            (self.active, self.changed) = (on, false);
            self.generation += 1;
        }
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The ids of those that hold notices of `level` from a case of these names.
    pub fn over(&self, names: Names<'_>, level: Level) -> Vec<Arc<str>> {
        let Names { matrix, indicator, queue, channel, window } = names;
        let text = |name: Option<&'_ str>| name.map_or(String::new(), str::to_owned);
        let names = [matrix.to_owned(), indicator.to_owned(), text(queue), text(channel), text(window)];
        let holds = |held: &Held| {
            held.silence.matcher.level.is_none_or(|worst| level <= worst)
                && held.globs.iter().zip(&names).all(|(globs, name)| globs.matches(name))
        };
        self.active.iter().filter(|id| self.all.get(*id).is_some_and(holds)).cloned().collect()
    }
}

impl Matcher {
    fn compile(&self) -> Result<[Globs; 5], Refusal> {
        let compile = |list: &[String]| Globs::new(list).map_err(|(pattern, why)| Refusal::Pattern { pattern, why });
        let Matcher { matrix, indicator, queue, channel, window, level: _ } = self;
        let globs = [compile(matrix)?, compile(indicator)?, compile(queue)?, compile(channel)?, compile(window)?];
        if globs.iter().all(Globs::is_any) { Err(Refusal::Everything) } else { Ok(globs) }
    }
}

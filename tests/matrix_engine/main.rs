//! The life of a case, from outside: [`atalaya::matrix::engine`] in virtual time.
//!
//! `timeline` holds the rules of the documentation one by one, `published` what other alerting programs publish of
//! theirs, `model` compares random rows and values with a second implementation that counts seconds one by one,
//! `cases` says which cases and numbers a row makes, `kept` that a reading that is kept is the one that would be read.
//! `operations`, `feeds`, `flapping` and `reload` are time-lines of acknowledgements and silences, frozen feeds, cases that
//! change too often, and other rows in force; `shown` is what notices carry beside their value; `random` is what holds whatever happens. Every time-line is played twice, the
//! second time with reloads of the same rows and restarts all along.
//!
//! # Mutants
//!
//! 44 changes of one place each in `src/matrix/engine`, by script, of a list of 94 (the others are not tried yet):
//!
//! | file | what was changed | tried | caught |
//! |---|---|---|---|
//! | `operations` | ends and beginnings of silences by a second, the level they hold, refusals | 6 | 6 |
//! | `flapping` | the length of a stretch by a second, worse for worse or equal | 2 | 2 |
//! | `incident` | when an acknowledgement is void, what stops the timers and repeats, what begins from zero, what was held at an opening | 10 | 9 |
//! | `case`, `case/fit` | what is forgotten, counted, frozen, caught up; which range and level a case has in another row | 12 | 12 |
//! | `evidence`, `shape` | what stands in a freeze, what ranges still tell apart | 5 | 5 |
//! | `feeds`, `reload` | which feeds freeze, which rows go on with which cases | 5 | 5 |
//! | `snapshot`, `mod` | what is left out, what of an operation is not looked at | 4 | 4 |
//! | | | 44 | 43 |
//!
//! The one that lives lets the timers run in a silence: what they would tell is held, and what they counted begins from
//! zero when it ends. Eight that had lived at first each have a test now.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that meets what it does not expect fails")]

mod cases;
mod clock_change;
mod damaged;
mod edges;
mod feeds;
mod flapping;
#[path = "../follower/mod.rs"]
mod follower;
mod kept;
mod model;
mod operations;
mod published;
mod random;
mod reload;
mod shown;
mod support;
mod timeline;

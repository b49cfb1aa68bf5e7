//! The life of a case, from outside: [`atalaya::matrix::engine`] in virtual time.
//!
//! `timeline` holds the rules of the documentation one by one, `published` what other alerting programs publish of
//! theirs, `model` compares random rows and values with a second implementation that counts seconds one by one,
//! `cases` says which cases and numbers a row makes, `kept` that a reading that is kept is the one that would be read.
//! `operations`, `feeds`, `flapping` and `reload` are time-lines of acknowledgements and silences, frozen feeds, cases that
//! change too often, and other rows in force; `shown` is what notices carry beside their value; `random` is what holds
//! whatever happens; `edges` are corners of all of these, `damaged` bytes that no engine wrote. Every time-line is played
//! twice, the second time with reloads of the same rows and restarts all along.
//!
//! # Mutants
//!
//! Each place of `src/matrix/engine` has been changed by itself, as `cargo mutants` does: operators, bodies of functions, arms
//! and guards of a match, fields beside a base. Of 783 such changes 127 do not compile and 651 are caught by these tests,
//! `gathering`, `people` and the unit tests; of 102 calls and assignments left out (185 are not tried yet) 101 are. `edges`
//! and `damaged` hold what was first missed and is of no one rule.
//!
//! What lives changes nothing that can be seen:
//!
//! | file | change | why |
//! |---|---|---|
//! | `case` | in `other`, a level worse or equal for worse | that it is equal was asked before |
//! | `hold` | what is silenced is looked at again every second, not every minute | what ends a silence or opens the hours is told anew, and takes its place |
//! | `hold/snapshot` | who was told may be written twice | no engine writes so |
//! | `track` | the hours are asked of the calendar each time (two changes) | only slower |
//! | `flapping` | the changes before a damped stretch are kept | they are too old when it ends |
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

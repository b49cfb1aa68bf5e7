//! The life of a case, from outside: [`atalaya::matrix::engine`] in virtual time.
//!
//! `timeline` holds the rules of the documentation one by one, `published` what other alerting programs publish of
//! theirs, `model` compares random rows and values with a second implementation that counts seconds one by one,
//! `cases` says which cases and numbers a row makes, `kept` that a reading that is kept is the one that would be read.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that meets what it does not expect fails")]

mod cases;
mod feeds;
mod flapping;
mod kept;
mod model;
mod operations;
mod published;
mod random;
mod reload;
mod support;
mod timeline;

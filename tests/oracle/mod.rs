//! A second, independent reading of the documentation: every indicator recomputed from the whole list of events.
//!
//! The code is meant to be obvious rather than fast. It keeps no panes, no running sums and no histograms: it walks the
//! events of each interaction in their order, writes down plain facts (this wait began, ended so), and then counts the
//! facts that lie in a window. It shares no code with the product: not its decoder, not its time-line, not its windows.
//!
//! Where the documentation leaves something open, the reading taken here is marked `CHOICE:`.
//!
//! Deliberately absent: limits on what producers grow, the escalation matrix, mappings of other platforms' events.
#![allow(dead_code, reason = "each test binary that includes this module uses another part of it")]
#![allow(clippy::unwrap_used, reason = "test support: a panic is a failed test, with its line")]

pub mod agents;
pub mod calendar;
pub mod compare;
pub mod decode;
pub mod figures;
pub mod generate;
pub mod golden;
pub mod intake;
pub mod interactions;
pub mod product;
pub mod settings;

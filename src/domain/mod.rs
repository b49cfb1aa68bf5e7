//! The words that everything else speaks: time, keys, events, agent classes.
//!
//! No behaviour of the product is here, only types with their units.

mod event;
mod key;
mod scope;
mod time;

pub use event::{
    AgentClass, AgentPlaces, AgentSnapshot, Body, Event, InteractionEvent, Outcome, PairEntry, ReopenedBy, Stage, State,
};
pub use key::{Key, Rollup};
pub use scope::{Globs, Scope};
pub use time::{Millis, Timestamp};

//! The words that everything else speaks: time, opening hours, keys, events, agent classes.
//!
//! No behaviour of the product is here, only types with their units.

mod calendar;
mod event;
mod key;
mod open_time;
mod scope;
mod time;

pub use calendar::{Calendar, HORIZON, Shift, Stretch};
pub use event::{
    AgentClass, AgentPlaces, AgentSnapshot, Body, Clock, Event, InteractionEvent, Outcome, PairEntry, ReopenedBy,
    Stage, State,
};
pub use key::{Key, Rollup};
pub use open_time::OpenTime;
pub use scope::{Globs, Scope};
pub use time::{Millis, Timestamp};

//! Bytes -> event, or a rejected record with its reason. SEAM.

use std::collections::BTreeMap;

use crate::domain::{AgentClass, Event};

/// What a record is.
#[derive(Debug, PartialEq)]
pub enum Decoded<'a> {
    Event(Event<'a>),
    /// A `type` that is not ours: counted and passed over.
    Ignored,
    /// Kept whole in the dead-letter topic with this reason.
    Rejected(Reason),
}

/// Why a record is refused, in one word: the `reason` header and label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    NotUtf8,
    NotJson,
    NotAnObject,
    TooDeep,
    TooLarge,
    NoType,
    NoKey,
    NoTime,
    BadTime,
    MissingField,
    BadField,
    UnknownState,
    /// Decided by the floor: older than `lateness`, of an entity no longer held.
    TooLate,
    /// Decided by the floor: further ahead than it may be.
    TooFarAhead,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::NotUtf8 => "not_utf8",
            Reason::NotJson => "not_json",
            Reason::NotAnObject => "not_an_object",
            Reason::TooDeep => "too_deep",
            Reason::TooLarge => "too_large",
            Reason::NoType => "no_type",
            Reason::NoKey => "no_key",
            Reason::NoTime => "no_time",
            Reason::BadTime => "bad_time",
            Reason::MissingField => "missing_field",
            Reason::BadField => "bad_field",
            Reason::UnknownState => "unknown_state",
            Reason::TooLate => "too_late",
            Reason::TooFarAhead => "too_far_ahead",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Canonical,
    CloudEvents,
}

/// Decodes the records of one source.
#[derive(Clone, Debug)]
pub struct Decoder {
    pub format: Format,
    /// The platform's state names -> classes, besides the five class names themselves.
    pub states: BTreeMap<String, AgentClass>,
}

impl Decoder {
    pub fn decode<'a>(&self, _record: &'a [u8]) -> Decoded<'a> {
        Decoded::Ignored
    }
}

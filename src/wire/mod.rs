//! Bytes -> event, or a rejected record with its reason.
//!
//! A record is decided alone: nothing here knows what came before it, what time it is, or where it goes. Duplicates,
//! lateness and events of the future are the floor's; counting and the dead-letter topic are the shell's. Nothing that
//! a producer sends can panic it, and nothing is refused without a [`Reason`].
//!
//! # What is a bad record
//!
//! The first of these that is true is the reason; the order does not depend on the order of the fields.
//!
//! | reason | when |
//! |---|---|
//! | `too_large` | more than [`RECORD_BYTES_MAX`] |
//! | `not_utf8` | |
//! | `too_deep` | lists and objects in each other more than [`DEPTH_MAX`] deep, in fields that we do not know too |
//! | `not_json` | not exactly one JSON value: empty, cut off, or something behind it |
//! | `not_an_object` | a JSON value of another kind |
//! | `no_type` | `type` is missing, `null`, empty or not text |
//! | (ignored) | a `type` that is not ours, whatever else the record has or lacks: counted, no dead letter |
//! | `no_time`, `bad_time` | missing or `null`; neither RFC 3339 with an offset nor an integer of epoch milliseconds (a float, a string of digits, a time without offset), or outside the years 1 to 9998 |
//! | `no_key` | `interaction` (`agent` of an `agent.state`) is missing, `null`, empty, or neither text nor an integer |
//! | `missing_field` | a field that the type needs is missing, `null` or empty; `outcome` of `closed` and `errors` of `evaluated` are such |
//! | `bad_field` | a field that the type knows has the wrong type, an unknown word (`outcome`, `by`), a number that cannot be (`slots`, `busy` below 0 or above 10,000), more entries or bytes than bounded, or, wherever it stands among the known fields, a number or text that no type can hold (`1e999`, half a surrogate pair): the rest of such a record is not judged |
//! | `unknown_state` | neither one of the five classes nor mapped by the configuration |
//!
//! Ids (`id`, `interaction`, `agent`) may be integers and are then their decimal digits. `null` and an empty optional
//! name are the same as a field left out. Of a repeated key the last counts. Fields that no figure uses
//! (`customer`, `category`, `sentiment`, `public`, `continues`, `csat`, ...) are not looked at, whatever they hold.
//!
//! # Envelopes
//!
//! An object with `specversion` (1.x) and an object `data` is a CloudEvents envelope, in a canonical source too:
//! `type`, `id` and `time` are the envelope's, all else is in `data`. In a source of [`Format::CloudEvents`] an object
//! `data` alone makes an envelope, and an object without `data` is read as canonical.

use std::collections::BTreeMap;

use crate::domain::{AgentClass, Event};

mod canonical;
mod raw;
mod time;

/// The largest record that is looked at. Kafka's own default for a message is as much.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;
/// The deepest nesting of lists and objects that is accepted; the record's own object is the first.
pub const DEPTH_MAX: usize = 100;

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
    pub const ALL: [Reason; 14] = [
        Reason::NotUtf8,
        Reason::NotJson,
        Reason::NotAnObject,
        Reason::TooDeep,
        Reason::TooLarge,
        Reason::NoType,
        Reason::NoKey,
        Reason::NoTime,
        Reason::BadTime,
        Reason::MissingField,
        Reason::BadField,
        Reason::UnknownState,
        Reason::TooLate,
        Reason::TooFarAhead,
    ];

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
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    pub format: Format,
    /// The platform's state names -> classes, besides the five class names themselves.
    pub states: BTreeMap<String, AgentClass>,
}

impl Decoder {
    /// What `record` is. Text of the event borrows from it wherever it has no escapes.
    pub fn decode<'a>(&self, record: &'a [u8]) -> Decoded<'a> {
        match parse(record) {
            Ok(raw) => canonical::event(self, raw, record),
            Err(reason) => Decoded::Rejected(reason),
        }
    }
}

/// An instant as a record may state it in text: RFC 3339 with an offset, within [`crate::domain::Timestamp::MIN`]..=`MAX`.
pub fn parse_time(text: &str) -> Option<crate::domain::Timestamp> {
    time::parse(text)
}

fn parse(record: &[u8]) -> Result<raw::Raw<'_>, Reason> {
    if record.len() > RECORD_BYTES_MAX {
        return Err(Reason::TooLarge);
    }
    let text = std::str::from_utf8(record).map_err(|_| Reason::NotUtf8)?;
    if is_too_deep(record) {
        return Err(Reason::TooDeep);
    }
    serde_json::from_str(text).map_err(|_| why_unreadable(text))
}

/// Why a record could not be read as our fields. Off the hot path, so it may read the record again.
fn why_unreadable(text: &str) -> Reason {
    // Skipping a value does not build it, does not recurse, and takes numbers and escapes that no type of ours can hold.
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return Reason::NotJson;
    }
    if text.trim_start().starts_with('{') { Reason::BadField } else { Reason::NotAnObject }
}

/// Whether lists and objects lie deeper in each other than [`DEPTH_MAX`]. The JSON reader skips unknown fields without
/// recursion and would let them pass.
fn is_too_deep(record: &[u8]) -> bool {
    // Brackets in text count here too; so few of them in all cannot be deep. `[` and `{` differ by one bit.
    if record.iter().filter(|byte| **byte | 0x20 == b'{').count() <= DEPTH_MAX {
        return false;
    }
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for byte in record {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return true;
        }
    }
    false
}

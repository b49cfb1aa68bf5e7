//! The fields of a record -> an event, or the reason why it is none. What each `type` needs is written here once.
//!
//! The checks come in a fixed order, so that a record with several defects always has the same reason: `type`, `time`,
//! the key, `id`, then the other fields in the order of their table, the state's class last.

use std::borrow::Cow;

use super::raw::{Data, Field, List, Place, Raw};
use super::{Decoded, Decoder, Format, Reason, time};
use crate::domain::{
    AgentClass, AgentPlaces, AgentSnapshot, Body, Event, InteractionEvent, Outcome, PairEntry, ReopenedBy, Timestamp,
};

/// The longest id (of an event, an interaction, an agent), in bytes.
const ID_BYTES_MAX: usize = 1_024;
/// The longest name of a queue, a channel or a state, in bytes: they become labels.
const NAME_BYTES_MAX: usize = 256;
/// The largest `slots` and `busy`: nobody serves more at once, a larger number is a defect of the producer.
const SLOTS_MAX: i64 = 10_000;
/// With up to 1,000 `queues`, an agent serves at most this many times as many pairs.
const CHANNELS_MAX: usize = 64;

/// A `type` of ours.
#[derive(Clone, Copy)]
enum Kind {
    Interaction(Step),
    AgentState,
    Heartbeat,
}

#[derive(Clone, Copy)]
enum Step {
    Arrived,
    Queued,
    Transferred,
    Assigned,
    Replied,
    CustomerMessage,
    Parked,
    Resumed,
    Wrapup,
    Abandoned,
    Closed,
    Reopened,
    Rated,
    Evaluated,
}

impl Kind {
    fn of(text: &str) -> Option<Kind> {
        let Some(step) = text.strip_prefix("interaction.") else {
            return match text {
                "agent.state" => Some(Kind::AgentState),
                "feed.heartbeat" => Some(Kind::Heartbeat),
                _ => None,
            };
        };
        let step = match step {
            "arrived" => Step::Arrived,
            "queued" => Step::Queued,
            "transferred" => Step::Transferred,
            "assigned" => Step::Assigned,
            "replied" => Step::Replied,
            "customer_message" => Step::CustomerMessage,
            "parked" => Step::Parked,
            "resumed" => Step::Resumed,
            "wrapup" => Step::Wrapup,
            "abandoned" => Step::Abandoned,
            "closed" => Step::Closed,
            "reopened" => Step::Reopened,
            "rated" => Step::Rated,
            "evaluated" => Step::Evaluated,
            _ => return None,
        };
        Some(Kind::Interaction(step))
    }
}

/// Judges the fields of `record`.
pub(super) fn event<'a>(decoder: &Decoder, raw: Raw<'a>, record: &'a [u8]) -> Decoded<'a> {
    let outcome = unwrap_envelope(decoder.format, raw).and_then(|raw| {
        let Field::Text(kind) = &raw.kind else { return Err(Reason::NoType) };
        match Kind::of(kind) {
            _ if kind.is_empty() => Err(Reason::NoType),
            None => Ok(None),
            Some(kind) => read(decoder, kind, raw, record).map(Some),
        }
    });
    match outcome {
        Ok(Some(event)) => Decoded::Event(event),
        Ok(None) => Decoded::Ignored,
        Err(reason) => Decoded::Rejected(reason),
    }
}

/// The fields of an envelope's `data` with `type`, `id` and `time` of the envelope; of a record that is no envelope
/// those it has. An envelope that leaves out `id` or `time` (which CloudEvents allows of `time`) may have them inside.
fn unwrap_envelope(format: Format, mut raw: Raw<'_>) -> Result<Raw<'_>, Reason> {
    let version = std::mem::take(&mut raw.specversion);
    let marked = !matches!(version, Field::Absent);
    if !marked && format != Format::CloudEvents {
        return Ok(raw);
    }
    let Data::Object(data) = std::mem::take(&mut raw.data) else { return Ok(raw) };
    // `type` outranks the version: what is not ours is passed over, whatever envelope it came in.
    let ours = matches!(&raw.kind, Field::Text(kind) if Kind::of(kind).is_some());
    if marked && ours && !matches!(&version, Field::Text(text) if text.starts_with("1.")) {
        return Err(Reason::BadField);
    }
    let mut inner = *data;
    inner.kind = raw.kind;
    for (inside, outside) in [(&mut inner.id, raw.id), (&mut inner.time, raw.time)] {
        if !matches!(outside, Field::Absent) {
            *inside = outside;
        }
    }
    Ok(inner)
}

fn read<'a>(decoder: &Decoder, kind: Kind, mut raw: Raw<'a>, record: &'a [u8]) -> Result<Event<'a>, Reason> {
    let time = instant(&raw.time)?;
    let key = match kind {
        Kind::Interaction(_) => key(std::mem::take(&mut raw.interaction))?,
        Kind::AgentState => key(std::mem::take(&mut raw.agent))?,
        Kind::Heartbeat => Cow::Borrowed(""),
    };
    let id = match identifier(std::mem::take(&mut raw.id))? {
        Some(id) => id,
        None => Cow::Owned(format!("{:032x}", xxhash_rust::xxh3::xxh3_128(record))),
    };
    let body = match kind {
        Kind::Interaction(step) => Body::Interaction { interaction: key, event: interaction(step, raw)? },
        Kind::AgentState => Body::Agent(snapshot(decoder, key, raw)?),
        Kind::Heartbeat => Body::Heartbeat,
    };
    Ok(Event { id, time, body })
}

fn instant(field: &Field<'_>) -> Result<Timestamp, Reason> {
    match field {
        Field::Absent => Err(Reason::NoTime),
        Field::Text(text) => time::parse(text).ok_or(Reason::BadTime),
        Field::Int(ms) => Timestamp(*ms).in_range().ok_or(Reason::BadTime),
        _ => Err(Reason::BadTime),
    }
}

fn interaction(step: Step, raw: Raw<'_>) -> Result<InteractionEvent<'_>, Reason> {
    Ok(match step {
        Step::Arrived => InteractionEvent::Arrived { channel: required(name(raw.channel)?)?, queue: name(raw.queue)? },
        Step::Queued => {
            InteractionEvent::Queued { queue: required(name(raw.queue)?)?, channel: required(name(raw.channel)?)? }
        }
        Step::Transferred => {
            InteractionEvent::Transferred { queue: required(name(raw.queue)?)?, channel: name(raw.channel)? }
        }
        Step::Assigned => InteractionEvent::Assigned { agent: required(identifier(raw.agent)?)? },
        Step::Replied => {
            InteractionEvent::Replied { agent: required(identifier(raw.agent)?)?, automatic: flag(&raw.automatic)? }
        }
        Step::CustomerMessage => InteractionEvent::CustomerMessage,
        Step::Parked => InteractionEvent::Parked,
        Step::Resumed => InteractionEvent::Resumed,
        Step::Wrapup => InteractionEvent::Wrapup,
        Step::Abandoned => InteractionEvent::Abandoned,
        Step::Closed => InteractionEvent::Closed { outcome: outcome(&raw.outcome)? },
        Step::Reopened => InteractionEvent::Reopened { by: reopened_by(&raw.by)? },
        Step::Rated => InteractionEvent::Rated,
        Step::Evaluated => {
            required(identifier(raw.agent)?)?;
            evaluation(&raw.errors)?;
            InteractionEvent::Evaluated
        }
    })
}

fn snapshot<'a>(decoder: &Decoder, agent: Cow<'a, str>, raw: Raw<'a>) -> Result<AgentSnapshot<'a>, Reason> {
    let state = required(name(raw.state)?)?;
    let queues = match raw.queues {
        List::Absent => None,
        List::Other => return Err(Reason::BadField),
        List::Items(items) => Some(places(items)?),
    };
    let channels = match raw.channels {
        List::Absent => None,
        List::Other => return Err(Reason::BadField),
        List::Items(items) if items.len() > CHANNELS_MAX => return Err(Reason::BadField),
        List::Items(items) => Some(items.into_iter().map(entry).collect::<Result<Vec<_>, _>>()?),
    };
    let (slots, busy) = (small_count(&raw.slots)?, small_count(&raw.busy)?);
    let class = AgentClass::parse(&state)
        .or_else(|| decoder.states.get(state.as_ref()).copied())
        .ok_or(Reason::UnknownState)?;
    Ok(AgentSnapshot { agent, state, class, queues, channels, slots, busy })
}

fn places(items: Vec<Place<'_>>) -> Result<AgentPlaces<'_>, Reason> {
    let mut places = AgentPlaces::default();
    for item in items {
        match item {
            Place::Name(field) => places.names.push(entry(field)?),
            Place::Pair { queue, channel, busy, slots } => places.pairs.push(PairEntry {
                queue: required(name(queue)?)?,
                channel: required(name(channel)?)?,
                busy: small_count(&busy)?,
                slots: small_count(&slots)?,
            }),
        }
    }
    Ok(places)
}

/// The key field. Missing, `null`, empty, or of a type that cannot be an id: the record has no key.
fn key(field: Field<'_>) -> Result<Cow<'_, str>, Reason> {
    match field {
        Field::Text(_) | Field::Int(_) | Field::LargeInt(_) => identifier(field)?.ok_or(Reason::NoKey),
        _ => Err(Reason::NoKey),
    }
}

/// An id: text, or an integer taken as its decimal digits (several platforms number what they handle). Empty is none.
fn identifier(field: Field<'_>) -> Result<Option<Cow<'_, str>>, Reason> {
    match field {
        Field::Absent => Ok(None),
        Field::Text(text) => bounded(text, ID_BYTES_MAX),
        Field::Int(number) => Ok(Some(number.to_string().into())),
        Field::LargeInt(number) => Ok(Some(number.to_string().into())),
        Field::Bool(_) | Field::Other => Err(Reason::BadField),
    }
}

/// The name of a queue, a channel or a state. Empty is none.
fn name(field: Field<'_>) -> Result<Option<Cow<'_, str>>, Reason> {
    match field {
        Field::Absent => Ok(None),
        Field::Text(text) => bounded(text, NAME_BYTES_MAX),
        _ => Err(Reason::BadField),
    }
}

fn bounded(text: Cow<'_, str>, bytes_max: usize) -> Result<Option<Cow<'_, str>>, Reason> {
    match text.len() {
        0 => Ok(None),
        length if length > bytes_max => Err(Reason::BadField),
        _ => Ok(Some(text)),
    }
}

/// A name in a list, where nothing and empty mean nothing that could be guessed.
fn entry(field: Field<'_>) -> Result<Cow<'_, str>, Reason> {
    name(field)?.ok_or(Reason::BadField)
}

fn required<T>(value: Option<T>) -> Result<T, Reason> {
    value.ok_or(Reason::MissingField)
}

fn flag(field: &Field<'_>) -> Result<bool, Reason> {
    match field {
        Field::Absent => Ok(false),
        Field::Bool(value) => Ok(*value),
        _ => Err(Reason::BadField),
    }
}

fn small_count(field: &Field<'_>) -> Result<Option<u32>, Reason> {
    match field {
        Field::Absent => Ok(None),
        Field::Int(number @ 0..=SLOTS_MAX) => u32::try_from(*number).map(Some).map_err(|_| Reason::BadField),
        _ => Err(Reason::BadField),
    }
}

fn outcome(field: &Field<'_>) -> Result<Outcome, Reason> {
    match field {
        Field::Absent => Err(Reason::MissingField),
        Field::Text(text) => match text.as_ref() {
            "resolved" => Ok(Outcome::Resolved),
            "unresolved" => Ok(Outcome::Unresolved),
            "deflected" => Ok(Outcome::Deflected),
            "auto_answered" => Ok(Outcome::AutoAnswered),
            "observed" => Ok(Outcome::Observed),
            "callback" => Ok(Outcome::Callback),
            "spam" => Ok(Outcome::Spam),
            "" => Err(Reason::MissingField),
            _ => Err(Reason::BadField),
        },
        _ => Err(Reason::BadField),
    }
}

fn reopened_by(field: &Field<'_>) -> Result<ReopenedBy, Reason> {
    match field {
        Field::Absent => Ok(ReopenedBy::Customer),
        Field::Text(text) => match text.as_ref() {
            "customer" | "" => Ok(ReopenedBy::Customer),
            "agent" => Ok(ReopenedBy::Agent),
            _ => Err(Reason::BadField),
        },
        _ => Err(Reason::BadField),
    }
}

/// `errors` of an evaluation: no figure uses them yet, but what is not a list of COPC's classes is refused from the start,
/// so that a producer hears of it now.
fn evaluation(errors: &List<Field<'_>>) -> Result<(), Reason> {
    const CLASSES: [&str; 4] = ["customer_critical", "business_critical", "compliance_critical", "non_critical"];
    let known = |item: &Field<'_>| matches!(item, Field::Text(text) if CLASSES.contains(&text.as_ref()));
    match errors {
        List::Absent => Err(Reason::MissingField),
        List::Items(items) if items.iter().all(known) => Ok(()),
        _ => Err(Reason::BadField),
    }
}

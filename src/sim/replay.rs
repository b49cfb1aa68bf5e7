//! Recorded events moved in time: the `time` of each line is rewritten, everything else stays byte for byte.
//!
//! A line that is no JSON object with a readable top-level `time` stays as it is: a recording keeps its garbage.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Topic;
use crate::domain::{Millis, Timestamp};
use crate::wire;

/// What is to be known of a recorded line, without judging it.
#[derive(Debug, PartialEq)]
pub struct Line<'a> {
    text: &'a str,
    /// When it says it happened, and where in `text` it says so.
    time: Option<(Timestamp, std::ops::Range<usize>)>,
    pub topic: Topic,
    /// The message key, if it has one.
    pub key: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    time: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    interaction: Option<&'a RawValue>,
    #[serde(borrow, default)]
    agent: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Inner<'a> {
    #[serde(borrow, default)]
    interaction: Option<&'a RawValue>,
    #[serde(borrow, default)]
    agent: Option<&'a RawValue>,
}

impl<'a> Line<'a> {
    pub fn read(text: &'a str) -> Self {
        let Ok(fields) = serde_json::from_str::<Fields<'a>>(text) else {
            return Line { text, time: None, topic: Topic::Interactions, key: None };
        };
        let kind = fields.kind.and_then(word).unwrap_or_default();
        let topic = if kind.starts_with("agent.") { Topic::AgentStates } else { Topic::Interactions };
        let inner = fields.data.and_then(|data| serde_json::from_str::<Inner<'a>>(data.get()).ok());
        let inside = |outer: Option<&'a RawValue>, pick: fn(&Inner<'a>) -> Option<&'a RawValue>| {
            outer.or_else(|| inner.as_ref().and_then(pick)).and_then(word)
        };
        let key = match topic {
            Topic::AgentStates => inside(fields.agent, |inner| inner.agent),
            Topic::Interactions if kind == "feed.heartbeat" => Some("feed".into()),
            Topic::Interactions => inside(fields.interaction, |inner| inner.interaction),
        };
        Line { text, time: fields.time.and_then(|raw| place_of_time(text, raw)), topic, key }
    }

    pub fn time(&self) -> Option<Timestamp> {
        self.time.as_ref().map(|(time, _)| *time)
    }

    /// The line with its time moved by `shift`; in the form it had: milliseconds, or RFC 3339 with the same offset.
    pub fn shifted(&self, shift: Millis) -> Cow<'a, str> {
        let Some((time, range)) = &self.time else { return Cow::Borrowed(self.text) };
        let moved = Timestamp(time.0.saturating_add(shift.0)).in_range();
        let (Some(moved), Some(before), Some(old), Some(after)) =
            (moved, self.text.get(..range.start), self.text.get(range.clone()), self.text.get(range.end..))
        else {
            return Cow::Borrowed(self.text);
        };
        if shift == Millis(0) {
            return Cow::Borrowed(self.text);
        }
        let new = match old.strip_prefix('"') {
            None => moved.0.to_string(),
            Some(text) => format!("\"{}\"", with_offset_of(moved, text.trim_end_matches('"'))),
        };
        Cow::Owned(format!("{before}{new}{after}"))
    }
}

/// A text, or an integer in its digits.
fn word(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    if text.starts_with('"') {
        return serde_json::from_str::<String>(text).ok().filter(|text| !text.is_empty()).map(Cow::Owned);
    }
    text.parse::<i64>().is_ok().then_some(Cow::Borrowed(text))
}

fn place_of_time(text: &str, raw: &RawValue) -> Option<(Timestamp, std::ops::Range<usize>)> {
    let value = raw.get();
    let time = match value.strip_prefix('"') {
        // A time has no escapes, so that what lies between the quotes is its text.
        Some(rest) => wire::parse_time(rest.strip_suffix('"')?)?,
        None => Timestamp(value.parse().ok()?).in_range()?,
    };
    // `value` is a part of `text`.
    let start = (value.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    Some((time, start..start + value.len()))
}

/// RFC 3339 with the offset that `like` ends in, in milliseconds where they are not 0.
fn with_offset_of(time: Timestamp, like: &str) -> String {
    let offset = like.get(like.len().saturating_sub(6)..).filter(|tail| tail.starts_with(['+', '-']));
    let minutes = offset.map_or(0, |tail| {
        let part = |range| tail.get(range).and_then(|digits: &str| digits.parse::<i64>().ok()).unwrap_or(0);
        (part(1..3) * 60 + part(4..6)) * if tail.starts_with('-') { -1 } else { 1 }
    });
    let local = Timestamp(time.0 + minutes * Millis::MINUTE.0).to_jiff();
    let form = if time.0.rem_euclid(1000) == 0 { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S.%3f" };
    format!("{}{}", local.strftime(form), offset.unwrap_or("Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_time_changes() {
        for (line, shift, expected) in [
            (
                r#"{ "time" : "1999-08-01T00:10:10+03:00", "type":"interaction.parked","x":{"time":"1999"} }"#,
                90_000,
                r#"{ "time" : "1999-08-01T00:11:40+03:00", "type":"interaction.parked","x":{"time":"1999"} }"#,
            ),
            (r#"{"time":"2026-01-01T00:00:00Z"}"#, -1, r#"{"time":"2025-12-31T23:59:59.999Z"}"#),
            (r#"{"time":"2026-01-01T00:00:00.5-05:30"}"#, 500, r#"{"time":"2026-01-01T00:00:01-05:30"}"#),
            (r#"{"time":1000,"id":1000}"#, 234, r#"{"time":1234,"id":1000}"#),
            (r#"{"time":-1}"#, -1, r#"{"time":-2}"#),
            (r#"{"time":"soon","id":"á"}"#, 234, r#"{"time":"soon","id":"á"}"#),
            (r#"{"time":1.5}"#, 234, r#"{"time":1.5}"#),
            (r#"{"time":253370764800000}"#, 1, r#"{"time":253370764800000}"#),
            (r#"{"time":12,"#, 234, r#"{"time":12,"#),
            ("hello", 234, "hello"),
            ("", 234, ""),
        ] {
            assert_eq!(Line::read(line).shifted(Millis(shift)), expected, "{line}");
            assert_eq!(Line::read(line).shifted(Millis(0)), line);
        }
    }

    #[test]
    fn topic_and_key_are_those_of_the_contract() {
        for (line, topic, key) in [
            (r#"{"type":"interaction.parked","interaction":"i","agent":"a"}"#, Topic::Interactions, Some("i")),
            (r#"{"type":"interaction.parked","interaction":7}"#, Topic::Interactions, Some("7")),
            (r#"{"type":"agent.state","agent":"á\n"}"#, Topic::AgentStates, Some("á\n")),
            (r#"{"type":"agent.state","data":{"agent":"a"}}"#, Topic::AgentStates, Some("a")),
            (r#"{"type":"interaction.parked","data":{"interaction":"i"}}"#, Topic::Interactions, Some("i")),
            (r#"{"type":"feed.heartbeat"}"#, Topic::Interactions, Some("feed")),
            (r#"{"type":"interaction.parked"}"#, Topic::Interactions, None),
            ("hello", Topic::Interactions, None),
        ] {
            let read = Line::read(line);
            assert_eq!((read.topic, read.key.as_deref()), (topic, key), "{line}");
        }
    }
}

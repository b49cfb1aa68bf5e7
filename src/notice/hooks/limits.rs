//! Whether a body that somebody wrote himself holds what its service publishes. The built-in bodies hold it by the way they are
//! made; where the numbers come from stands in the file of each format.

use serde_json::Value;

use super::{Escape, Format, as_it_is, entities, google_chat, slack, teams, telegram};

/// How the service wants names written, so that none of them formats anything or calls anybody. `None` where a body cannot be
/// written by hand: what `pagerduty` and `alertmanager` take is known by keys that must stay what they are.
pub fn escape(format: Format) -> Option<Escape> {
    match format {
        Format::Generic | Format::Teams => Some(as_it_is),
        Format::Slack | Format::GoogleChat => Some(entities),
        Format::Telegram => Some(telegram::QUIET),
        Format::Alertmanager | Format::Pagerduty => None,
    }
}

/// Whether it is refused for its size or shape, and why.
pub fn check(format: Format, body: &Value) -> Result<(), String> {
    let size = |size: usize, max: usize, what: &str| match size > max {
        true => Err(format!("it has {size} {what}, and its service takes {max}")),
        false => Ok(()),
    };
    if format != Format::Generic && !body.is_object() {
        return Err("it is no JSON object".to_owned());
    }
    match format {
        Format::Generic | Format::Alertmanager | Format::Pagerduty => Ok(()),
        Format::Slack => {
            let blocks = body.get("blocks").and_then(Value::as_array).map_or(0, Vec::len);
            size(blocks, slack::BLOCKS_MAX, "blocks")?;
            if blocks == 0 && !body.get("text").is_some_and(Value::is_string) {
                return Err("it has neither `text` nor `blocks`".to_owned());
            }
            slack_texts(body)
        }
        Format::Teams => size(teams::size(&body.to_string()), teams::SIZE_MAX, "bytes"),
        Format::GoogleChat => size(body.to_string().len(), google_chat::SIZE_MAX, "bytes"),
        Format::Telegram => {
            if body.get("parse_mode").is_some() {
                return Err("it has a `parse_mode`, by which names would be markup".to_owned());
            }
            let text = body.get("text").and_then(Value::as_str).filter(|text| !text.trim().is_empty());
            let Some(text) = text else { return Err("it has no `text`".to_owned()) };
            size(text.encode_utf16().count(), telegram::TEXT_MAX, "characters of `text`")
        }
    }
}

/// Every text of Slack's blocks: objects of the type `plain_text` or `mrkdwn`.
fn slack_texts(value: &Value) -> Result<(), String> {
    let max = match value.get("type").and_then(Value::as_str) {
        Some("plain_text" | "mrkdwn") => Some(slack::TEXT_MAX),
        _ => None,
    };
    let long = |value: &Value, max: usize| {
        let length = value.as_str().map_or(0, |text| text.encode_utf16().count());
        (length > max).then(|| format!("a text in it has {length} characters, and its service takes {max}"))
    };
    if let Some(why) = max.and_then(|max| long(value.get("text")?, max)) {
        return Err(why);
    }
    if value.get("type").and_then(Value::as_str) == Some("header")
        && let Some(why) = value.pointer("/text/text").and_then(|text| long(text, slack::HEADER_MAX))
    {
        return Err(why);
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(slack_texts),
        Value::Object(fields) => fields.values().try_for_each(slack_texts),
        _ => Ok(()),
    }
}

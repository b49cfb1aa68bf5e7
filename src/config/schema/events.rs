//! The schema of an event, or of a CloudEvents envelope around one.
//!
//! It is stricter than the decoder in nothing: what it refuses goes to the dead letters, or is no event of ours.

use serde_json::{Map, Value, json};

use super::{described, document};

/// Type, required fields, optional fields.
type Kind = (&'static str, &'static [&'static str], &'static [&'static str]);

const KINDS: [Kind; 16] = [
    (
        "interaction.arrived",
        &["channel"],
        &["queue", "brand", "customer", "category", "sentiment", "public", "continues"],
    ),
    ("interaction.queued", &["queue", "channel"], &[]),
    ("interaction.transferred", &["queue"], &["channel", "public"]),
    ("interaction.assigned", &["agent"], &[]),
    ("interaction.replied", &["agent"], &["automatic"]),
    ("interaction.customer_message", &[], &["sentiment", "category"]),
    ("interaction.parked", &[], &["reason", "until"]),
    ("interaction.resumed", &[], &["reason"]),
    ("interaction.wrapup", &[], &[]),
    ("interaction.abandoned", &[], &[]),
    ("interaction.closed", &["outcome"], &["category"]),
    ("interaction.reopened", &[], &["by"]),
    ("interaction.rated", &[], &["csat", "nps", "effort"]),
    ("interaction.evaluated", &["agent", "errors"], &[]),
    ("agent.state", &["agent", "state"], &["queues", "channels", "slots", "busy"]),
    ("feed.heartbeat", &[], &[]),
];

pub fn events() -> Value {
    let names: Vec<&str> = KINDS.iter().map(|(name, ..)| *name).collect();
    let rules = |within: &dyn Fn(Value) -> Value| KINDS.iter().map(|kind| rule(kind, within)).collect::<Vec<_>>();
    let plain = rules(&|fields| fields);
    let enveloped = rules(&|fields| json!({ "properties": { "data": fields } }));
    let root = json!({
        "type": "object",
        "properties": {
            "type": { "enum": names },
            "time": described(
                json!({ "anyOf": [{ "type": "integer" }, { "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}.*([Zz]|[+-][0-9]{2}:?[0-9]{2})$" }] }),
                "When it happened: RFC 3339 with an offset, or milliseconds since 1970",
            ),
            "id": described(id(true), "Identifies the event: a second one with the same changes nothing"),
        },
        "required": ["type"],
        "if": { "required": ["specversion", "data"] },
        "then": {
            "properties": { "specversion": { "type": "string", "pattern": "^1\\." } },
            // CloudEvents lets `time` be left out; then it may stand inside.
            "anyOf": [{ "required": ["time"] }, { "properties": { "data": { "required": ["time"] } } }],
            "allOf": enveloped,
        },
        "else": { "required": ["time"], "allOf": plain },
    });
    document(
        "Event",
        "An event as Atalaya reads it, one JSON object a message or line; further fields are ignored",
        root,
    )
}

/// What a type needs, in the place where its fields are.
fn rule((name, required, optional): &Kind, within: &dyn Fn(Value) -> Value) -> Value {
    let mut properties = Map::new();
    let mut needed: Vec<&str> = required.to_vec();
    if name.starts_with("interaction.") {
        needed.push("interaction");
        properties.insert("interaction".to_owned(), id(false));
    }
    properties.extend(required.iter().map(|field| ((*field).to_owned(), value(field, false))));
    properties.extend(optional.iter().map(|field| ((*field).to_owned(), value(field, true))));
    json!({
        "if": { "properties": { "type": { "const": name } } },
        "then": within(json!({ "properties": properties, "required": needed })),
    })
}

fn id(nullable: bool) -> Value {
    if nullable {
        json!({ "type": ["string", "integer", "null"] })
    } else {
        json!({ "type": ["string", "integer"], "minLength": 1 })
    }
}

/// What a field may hold. Those that no figure uses yet are not judged, as the decoder does not.
fn value(field: &str, optional: bool) -> Value {
    let null = |mut types: Vec<&'static str>| {
        types.extend(optional.then_some("null"));
        json!({ "type": types })
    };
    let list = |item: Value| json!({ "anyOf": [{ "type": "null" }, { "type": "array", "items": item }] });
    // An optional name that is empty is one that is left out.
    let name = json!({ "type": "string", "minLength": 1, "maxLength": 256 });
    let number = json!({ "type": ["integer", "null"], "minimum": 0, "maximum": 10_000 });
    match field {
        "queue" | "channel" if optional => null(vec!["string"]),
        "queue" | "channel" => name,
        "state" => json!({ "type": "string", "minLength": 1 }),
        "agent" => id(optional),
        "automatic" => null(vec!["boolean"]),
        "by" => json!({ "enum": ["customer", "agent", null] }),
        "outcome" => {
            json!({ "enum": ["resolved", "unresolved", "deflected", "auto_answered", "observed", "callback", "spam"] })
        }
        "errors" => {
            json!({ "type": "array", "items": { "enum": ["customer_critical", "business_critical", "compliance_critical", "non_critical"] } })
        }
        "channels" => list(name),
        "queues" => list(json!({ "anyOf": [
            name,
            {
                "type": "object",
                "properties": { "queue": name, "channel": name, "busy": number, "slots": number },
                "required": ["queue", "channel"],
            },
        ] })),
        "slots" | "busy" => number,
        _ => json!({}),
    }
}

//! The schema of the configuration.

use serde_json::{Value, json};

use super::{closed, described, document, duration, hours, language, media, one_or_more, words};
use crate::domain::AgentClass;
use crate::indicators::Clock;

pub fn config() -> Value {
    let text = || json!({ "type": "string" });
    let texts = || one_or_more(json!({ "type": "string" }));
    let channel = closed(
        json!({
            "answer_on": words(["assigned", "replied"]),
            "service_level": one_or_more(duration()),
            "hours": hours(),
            "clocks": one_or_more(words(Clock::ALL.iter().map(|clock| clock.name()))),
            "idle_close": duration(),
            "give_up": duration(),
            "handling": words(["working", "elapsed"]),
        }),
        &[],
    );
    let limit = || json!({ "type": "integer", "minimum": 1 });
    let limits = [
        "keys",
        "open_interactions",
        "closed_interactions",
        "agents",
        "events_per_interaction",
        "identities",
        "held_ahead",
    ];
    let limits: serde_json::Map<String, Value> = limits.iter().map(|name| ((*name).to_owned(), limit())).collect();
    let source = closed(
        json!({
            "topic": { "type": "string", "pattern": "^[A-Za-z0-9._-]{1,249}$" },
            "format": words(["canonical", "cloudevents"]),
            "silent_after": described(duration(), "How long without a record means that the topic is dead"),
            "hours": hours(),
        }),
        &["topic"],
    );
    let root = closed(
        json!({
            "time_zone": described(text(), "Zone of the site, as America/Bogota"),
            "interval": words(["15m", "30m"]),
            "language": language(),
            "short_abandon": duration(),
            "agent_timeout": duration(),
            "agent_states": { "type": ["object", "null"], "additionalProperties": words(AgentClass::ALL.iter().map(|class| class.name())) },
            "lateness": duration(),
            "max_ahead": duration(),
            "max_lag": duration(),
            "windows": one_or_more(json!({ "anyOf": [duration(), words(["interval", "last_interval", "today"])] })),
            "holidays": one_or_more(json!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" })),
            "holidays_file": described(texts(), "iCalendar files whose all-day events are holidays, beside this file"),
            "channels": { "type": ["object", "null"], "additionalProperties": channel },
            "limits": closed(Value::Object(limits), &[]),
            "kafka": closed(
                json!({
                    "brokers": texts(),
                    "group": text(),
                    "instance": text(),
                    "properties": { "type": ["object", "null"], "additionalProperties": { "type": ["string", "number", "boolean"] } },
                    "dead_letters": text(),
                    "snapshots": text(),
                    "deltas": text(),
                    "decisions": text(),
                    "operations": text(),
                    "threads": { "type": "integer", "minimum": 1, "maximum": 64 },
                }),
                &[],
            ),
            "sources": { "type": "array", "minItems": 1, "items": source },
            "matrices": texts(),
            "owner": media(),
            "smtp": closed(
                json!({
                    "url": { "type": "string", "pattern": "^smtps?://" },
                    "tls": words(["starttls", "implicit", "none"]),
                    "from": text(),
                    "user": text(),
                    "password_file": described(text(), "The password itself stands in this file or in the environment"),
                    "ca_file": text(),
                }),
                &["url", "tls", "from"],
            ),
            "webhooks": { "type": ["object", "null"], "additionalProperties": webhook() },
            "http": closed(
                json!({
                    "listen": text(),
                    "public_url": { "type": "string", "pattern": "^https?://" },
                    "secret_file": described(text(), "Signs the links in mails; without it they end with a restart"),
                }),
                &[],
            ),
        }),
        &[],
    );
    document(
        "Configuration",
        "The configuration of Atalaya: every key has a default, documented in config/default.yaml",
        root,
    )
}

/// Open to further keys, because each format has its own; `atalaya check` knows them.
fn webhook() -> Value {
    json!({
        "type": "object",
        "properties": {
            "format": { "type": "string" },
            "url": { "type": "string", "pattern": "^https?://" },
            "secret": false,
            "secret_file": { "type": "string", "description": "Holds whsec_ and the key in base64" },
        },
    })
}

//! The schema of a matrix.

use serde_json::{Map, Value, json};

use super::{closed, described, document, duration, hours, language, media, one_or_more, words};
use crate::indicators::{self, Clock, Indicator, Label, Samples, Stage, State, Treatment};
use crate::matrix::Part;
use crate::notice::texts::LENGTH_MAX;

pub fn matrix() -> Value {
    let properties = json!({
        "version": described(json!({ "enum": [1, "1"] }), "Always 1"),
        "name": described(json!({ "type": "string" }), "The name of the matrix: in mails, metrics and records"),
        "language": described(language(), "The words of its mails"),
        "time_zone": described(json!({ "type": "string" }), "The zone of its hours, as America/Bogota"),
        "owner": described(json!({ "$ref": "#/definitions/recipient" }), "Told when a notice cannot be delivered, and by `no_data: alert`"),
        "scope": { "$ref": "#/definitions/scope" },
        "contacts": {
            "type": "object",
            "description": "Name -> media",
            "propertyNames": { "pattern": "^[^.]+$" },
            "additionalProperties": member(),
        },
        "hours": hours(),
        "ack_for": ack_for(),
        "flapping": flapping(),
        "group": group(),
        "mails_per_hour": mails_per_hour(),
        "texts": texts(),
        "rows": { "type": "array", "minItems": 1, "items": { "$ref": "#/definitions/row" } },
        "reports": { "type": "array", "items": { "$ref": "#/definitions/report" } },
    });
    let mut root = closed(properties, &["version", "rows"]);
    if let Value::Object(fields) = &mut root {
        fields.insert("definitions".to_owned(), definitions());
    }
    document("Escalation matrix", "An escalation matrix of Atalaya. `atalaya check` says what a schema cannot", root)
}

fn definitions() -> Value {
    let globs = one_or_more(json!({ "type": "string", "minLength": 1, "maxLength": 201 }));
    json!({
        "row": row(),
        "range": range(),
        "recipient": { "type": "string", "minLength": 1 },
        "tell": described(one_or_more(json!({ "$ref": "#/definitions/recipient" })), "Contacts: `lead` is every medium, `lead.webhook` one, `owner` the owner"),
        "bounds": described(
            json!({ "type": "string", "pattern": "^\\s*(<=?|>=?|\\S[^<>]*\\.\\.)\\s*\\S" }),
            "`< a`, `<= a`, `> a`, `>= a` or `a .. b` (a belongs to it, b does not)",
        ),
        "scope": described(closed(json!({ "queue": globs, "channel": globs }), &[]), "Names or patterns; \"!name\" excludes; what is left out is any"),
        "action": described(json!({ "type": "string" }), "What the person told should do; may hold {{ value }}, {{ queue }}, {{ goal }} ..."),
        "report": closed(
            json!({
                "name": { "type": "string" },
                "every": described(json!({ "type": "string" }), "A cron line"),
                "tell": { "$ref": "#/definitions/tell" },
                "medium": words(["email", "webhook"]),
                "attach": words(["csv", "none"]),
            }),
            &["name", "every", "tell"],
        ),
    })
}

fn range() -> Value {
    let step = closed(json!({ "after": duration(), "tell": { "$ref": "#/definitions/tell" } }), &["after", "tell"]);
    closed(
        json!({
            "when": { "$ref": "#/definitions/bounds" },
            "level": words(["ok", "info", "warning", "critical"]),
            "for": described(duration(), "How long a value must be at or beyond this range before the level is taken"),
            "tell": { "$ref": "#/definitions/tell" },
            "action": { "$ref": "#/definitions/action" },
            "escalate": described(one_or_more(step), "Steps, counted from taking the level"),
            "repeat": described(duration(), "How often it is told again while the level lasts"),
        }),
        &["when", "level"],
    )
}

fn row() -> Value {
    let number_or_text = json!({ "type": ["number", "string"] });
    let raise = closed(
        json!({
            "level": words(["info", "warning", "critical"]),
            "for": duration(),
            "tell": { "$ref": "#/definitions/tell" },
            "action": { "$ref": "#/definitions/action" },
        }),
        &[],
    );
    let mut row = closed(
        json!({
            "indicator": described(json!({ "enum": indicators::all().map(|one| one.name).collect::<Vec<_>>() }), "What it watches: `atalaya explain NAME`"),
            "window": described(
                json!({ "anyOf": [duration(), words(["interval", "last_interval", "today"])] }),
                "As 15m or 24h; indicators of this instant have none",
            ),
            "per": described(words(["pair", "queue", "channel", "all"]), "Which cases the row makes; default `pair`"),
            "goal": described(json!({ "$ref": "#/definitions/bounds" }), "The values to aim at"),
            "min_samples": described(json!({ "type": ["integer", "string"] }), "With fewer the case stands still; a duration for ratios of agents"),
            "ranges": { "type": "array", "minItems": 1, "items": { "$ref": "#/definitions/range" } },
            "recover": closed(json!({ "margin": number_or_text, "for": duration() }), &[]),
            "no_data": { "anyOf": [words(["keep", "ok", "alert"]), raise] },
            "scope": { "$ref": "#/definitions/scope" },
            "hours": hours(),
            "settle": described(duration(), "How long after opening the row waits before it judges"),
            "ack_for": ack_for(),
            "flapping": flapping(),
            "texts": texts(),
            "group": group(),
            "threshold": duration(),
            "treatment": words(Treatment::ALL.iter().map(|one| one.name())),
            "state": words(State::ALL.iter().map(|one| one.name())),
            "stage": words(Stage::ALL.iter().map(|one| one.name())),
            "clock": words(Clock::ALL.iter().map(|one| one.name())),
        }),
        &["indicator", "goal", "ranges"],
    );
    if let Value::Object(fields) = &mut row {
        fields.insert("allOf".to_owned(), Value::Array(rules()));
    }
    row
}

/// What follows from the indicator: whether it has a window, labels and samples of its own.
fn rules() -> Vec<Value> {
    let named = |wanted: &dyn Fn(&Indicator) -> bool| {
        let names: Vec<&str> = indicators::all().filter(|one| wanted(one)).map(|one| one.name).collect();
        json!({ "properties": { "indicator": { "enum": names } }, "required": ["indicator"] })
    };
    let without = |key: &str| json!({ "properties": { key: false } });
    let mut rules = vec![
        json!({ "if": named(&|one| one.instant), "then": without("window") }),
        json!({ "if": named(&|one| !one.instant), "then": { "required": ["window"] } }),
        json!({ "if": named(&|one| one.samples == Samples::Value), "then": without("min_samples") }),
        json!({ "if": named(&|one| one.labels.contains(&Label::Stage)), "then": { "required": ["stage"] } }),
        json!({ "if": named(&|one| one.labels.contains(&Label::State) && !one.instant), "then": { "required": ["state"] } }),
    ];
    for label in Label::ALL {
        let mut rule = Map::new();
        rule.insert("if".to_owned(), named(&|one| !one.labels.contains(label)));
        rule.insert("then".to_owned(), without(label.name()));
        rules.push(Value::Object(rule));
    }
    rules
}

/// A contact: media, or a rota of others.
fn member() -> Value {
    let line =
        closed(json!({ "hours": hours(), "contact": { "type": "string", "minLength": 1 } }), &["hours", "contact"]);
    let mut contact = media();
    if let Some(Value::Object(properties)) = contact.get_mut("properties") {
        let rota = json!({ "type": "array", "minItems": 1, "items": line });
        let text = "Who is on duty when, by the names of other contacts: each hour of the week has one";
        properties.insert("rota".to_owned(), described(rota, text));
        let text = "When notices below critical wait: hours as of `hours`";
        properties.insert("mails_per_hour".to_owned(), mails_per_hour());
        properties.insert("quiet".to_owned(), described(hours(), text));
        properties.insert("texts".to_owned(), texts());
    }
    contact
}

fn mails_per_hour() -> Value {
    described(
        json!({ "type": "integer", "minimum": 1 }),
        "More mails to a contact are held back, and told of in one; default 100",
    )
}

fn texts() -> Value {
    let about = |part| match part {
        Part::Subject => "One line behind the level's word; names the queue",
        Part::Text => "The plain text of mails",
        Part::Html => "The HTML of mails; what names stand for is escaped",
        Part::Webhook => "The whole body of a webhook, as JSON: {{ name | tojson }}",
    };
    let part = |part: Part| {
        (part.name().to_owned(), described(json!({ "type": "string", "maxLength": LENGTH_MAX }), about(part)))
    };
    let properties: Map<String, Value> = Part::ALL.into_iter().map(part).collect();
    described(
        closed(properties.into(), &[]),
        "Templates in the place of the built-in words. The nearest counts: of the contact, of the row, of the matrix",
    )
}

fn ack_for() -> Value {
    described(duration(), "How long an acknowledgement holds; default 4h")
}

fn flapping() -> Value {
    let properties = json!({ "changes": { "type": "integer", "minimum": 2 }, "within": duration() });
    described(
        closed(properties, &[]),
        "More changes of level than that in that time are told once, then damped; default 6 within 1h",
    )
}

fn group() -> Value {
    let group = closed(json!({ "by": words(["row", "queue"]), "wait": duration() }), &["by"]);
    described(
        json!({ "anyOf": [words(["none"]), group] }),
        "Cases of a row, or of a queue, that go off within `wait` (20s; 1s to 5m) are one mail",
    )
}

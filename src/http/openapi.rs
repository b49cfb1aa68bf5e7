//! The OpenAPI document of the API. Names of indicators and windows come from the lists that the handlers use.

use serde_json::{Value, json};

use crate::indicators;
use crate::plan::Plan;

pub fn document(plan: &Plan) -> Value {
    let indicators: Vec<&str> = indicators::all().map(|indicator| indicator.name).collect();
    let windows: Vec<&str> = plan.windows.iter().map(|window| &*window.label).collect();
    let list = |name: &str, about: &str, items: Value| {
        json!({
            "name": name, "in": "query", "description": about, "required": false,
            "style": "form", "explode": false, "schema": { "type": "array", "items": items },
        })
    };
    let window = json!({ "type": "string", "enum": windows });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Atalaya",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Indicators and open alerts of a contact centre, as of one instant.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": {
            "/api/v1/indicators": { "get": {
                "operationId": "indicators",
                "summary": "Every indicator, window, pair and roll-up at one instant",
                "parameters": [
                    list("indicator", "Only these.", json!({ "type": "string", "enum": indicators })),
                    list("window", "Only these windows, and the values of this instant, which have none.", window.clone()),
                    list("queue", "Only keys of these queues; an empty one asks for the roll-ups over queues.", json!({ "type": "string" })),
                    list("channel", "Only keys of these channels; an empty one asks for the roll-ups over channels.", json!({ "type": "string" })),
                ],
                "responses": {
                    "200": answer("The records.", json!({
                        "type": "object", "required": ["time", "indicators"],
                        "properties": { "time": time(), "indicators": { "type": "array", "items": reference("Indicator") } },
                    })),
                    "400": answer("A parameter or value that cannot be; the text says what is allowed.", reference("Error")),
                },
            } },
            "/api/v1/alerts": { "get": {
                "operationId": "alerts",
                "summary": "The open cases, each the record of its last transition and how it stands now",
                "responses": { "200": answer("The cases.", json!({
                    "type": "object", "required": ["time", "alerts"],
                    "properties": { "time": time(), "alerts": { "type": "array", "items": reference("Alert") } },
                })) },
            } },
            "/api/v1/alerts/{incident}/acknowledge": { "post": {
                "operationId": "acknowledge",
                "summary": "Somebody has taken the incident up: no repeats and escalations at this level or better until it is over or the time is",
                "parameters": [in_path("incident")],
                "requestBody": body("Acknowledge"),
                "responses": refusals(&["400", "403", "404", "413", "415", "503"], "200", answer("It is acknowledged.", json!({
                    "type": "object", "required": ["incident", "acknowledged"],
                    "properties": {
                        "incident": { "type": "string" }, "acknowledged": reference("Acknowledged"),
                        "incidents": { "type": "array", "items": { "type": "string" }, "description": "Of a gathering: its open incidents, each acknowledged alike" },
                    },
                }))),
            } },
            "/api/v1/silences": {
                "get": {
                    "operationId": "silences",
                    "summary": "The silences that are on or will be",
                    "responses": { "200": answer("The silences.", json!({
                        "type": "object", "required": ["time", "silences"],
                        "properties": { "time": time(), "silences": { "type": "array", "items": reference("Silence") } },
                    })) },
                },
                "post": {
                    "operationId": "silence",
                    "summary": "Holds the notices of the incidents that the matcher meets",
                    "requestBody": body("NewSilence"),
                    "responses": refusals(&["400", "403", "409", "413", "415", "503"], "201", answer("The silence.", reference("Silence"))),
                },
            },
            "/api/v1/silences/{id}": { "delete": {
                "operationId": "endSilence",
                "summary": "Ends a silence before its time",
                "parameters": [in_path("id")],
                "requestBody": body("EndSilence"),
                "responses": refusals(&["400", "403", "404", "413", "415", "503"], "200", answer("It is over.", json!({
                    "type": "object", "required": ["id", "ended"],
                    "properties": { "id": { "type": "string" }, "ended": time() },
                }))),
            } },
            "/api/v1/operations": { "get": {
                "operationId": "operations",
                "summary": "Who asked for what, and what came of it, since the start: the newest thousand, newest first",
                "responses": { "200": answer("The trail.", json!({
                    "type": "object", "required": ["time", "operations"],
                    "properties": { "time": time(), "operations": { "type": "array", "items": reference("Operation") } },
                })) },
            } },
            "/api/v1/reload": { "post": {
                "operationId": "reload",
                "summary": "Reads the matrices again, at once; 409 says why they were refused, and the old ones stay",
                "requestBody": body("Reload"),
                "responses": refusals(&["400", "403", "409", "413", "415"], "200", answer("They are in force.", json!({
                    "type": "object", "required": ["hash"], "properties": { "hash": { "type": "string" } },
                }))),
            } },
            "/api/v1/board": { "get": {
                "operationId": "board",
                "summary": "What the live page shows; made for that page, it may change with it",
                "parameters": board_parameters(&window),
                "responses": { "200": answer("The document.", json!({ "type": "object" })) },
            } },
            "/api/v1/stream": { "get": {
                "operationId": "stream",
                "summary": "The same once a second, as server-sent events",
                "parameters": board_parameters(&window),
                "responses": {
                    "200": { "description": "The stream.", "content": { "text/event-stream": {} } },
                    "503": answer("Too many streams.", reference("Error")),
                },
            } },
            "/healthz": { "get": { "operationId": "healthz", "summary": "200 while the process answers",
                "responses": { "200": { "description": "It answers." } } } },
            "/readyz": { "get": {
                "operationId": "readyz",
                "summary": "Whether the boards show all that the sources held at the start",
                "responses": { "200": answer("Ready.", reference("Readiness")), "503": answer("Not ready.", reference("Readiness")) },
            } },
            "/metrics": { "get": {
                "operationId": "metrics",
                "summary": "Prometheus text, or OpenMetrics where Accept asks for it",
                "responses": { "200": { "description": "The metrics.", "content": {
                    "text/plain": {}, "application/openmetrics-text": {},
                } } },
            } },
        },
        "components": { "schemas": schemas() },
    })
}

fn board_parameters(window: &Value) -> Value {
    json!([
        { "name": "window", "in": "query", "required": false, "schema": window },
        { "name": "find", "in": "query", "required": false, "schema": { "type": "string" },
          "description": "Only rows whose queue or channel contains this." },
    ])
}

fn answer(about: &str, schema: Value) -> Value {
    json!({ "description": about, "content": { "application/json": { "schema": schema } } })
}

fn in_path(name: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
}

fn body(name: &str) -> Value {
    json!({ "required": true, "content": { "application/json": { "schema": reference(name) } } })
}

/// What comes of an operation: `answer` where it is taken, and each refusal as an error.
fn refusals(codes: &[&str], taken: &str, answered: Value) -> Value {
    let about = |code: &str| match code {
        "403" => "A page of another site sent it.",
        "404" => "There is no such incident or silence, or it is over.",
        "409" => "There are too many silences.",
        "413" => "The body is too long.",
        "415" => "The body is not said to be JSON.",
        "503" => "It is not confirmed yet that this is written down. It takes effect if it is.",
        _ => "The body asks for what cannot be; the text says what to mend.",
    };
    let refused = codes.iter().map(|code| ((*code).to_owned(), answer(about(code), reference("Error"))));
    Value::Object(refused.chain([(taken.to_owned(), answered)]).collect())
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn schemas() -> Value {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let length = json!({ "type": "string", "description": "As 30m, 4h or 1h30m." });
    let value = json!({ "type": ["number", "null"] });
    let level = json!({ "type": "string", "enum": ["ok", "info", "warning", "critical"] });
    let place = json!({
        "queue": { "type": "string", "description": "Left out of a roll-up over queues." },
        "channel": { "type": "string", "description": "Left out of a roll-up over channels." },
        "window": { "type": "string", "description": "Left out of a value of this instant." },
        "indicator": text, "threshold": text, "treatment": text, "state": text, "stage": text, "clock": text,
    });
    let with_place = |own: Value| match (place.clone(), own) {
        (Value::Object(mut all), Value::Object(own)) => {
            all.extend(own);
            Value::Object(all)
        }
        (_, own) => own,
    };
    json!({
        "Indicator": {
            "type": "object", "required": ["kind", "time", "indicator", "value", "samples"],
            "properties": with_place(json!({
                "kind": { "const": "indicator" }, "time": time(), "value": value,
                "samples": { "type": "number", "description": "How many waits, replies, contacts or seconds are in it." },
            })),
        },
        "Alert": {
            "type": "object",
            "required": ["kind", "time", "matrix", "indicator", "from", "to", "value", "reason", "incident", "since", "acknowledged", "silenced", "frozen"],
            "properties": with_place(json!({
                "kind": { "const": "transition" }, "time": time(), "matrix": text, "from": level, "to": level,
                "range": { "type": ["string", "null"] }, "value": value, "samples": { "type": "number" },
                "reason": text, "incident": text, "since": time(),
                "acknowledged": { "anyOf": [reference("Acknowledged"), { "type": "null" }] },
                "silenced": { "type": "array", "items": text, "description": "The ids of the silences that hold its notices." },
                "frozen": { "type": "boolean", "description": "Its feed lags or is dead: the value is an old one." },
                "closed_hours": { "type": "boolean" }, "goal": { "type": ["string", "null"] },
                "action": { "type": ["string", "null"] }, "unit": { "enum": ["seconds", "ratio", "count"] },
                "value_now": value, "samples_now": { "type": "number" },
            })),
        },
        "Acknowledged": {
            "type": "object", "required": ["by", "at", "until", "why", "level"],
            "properties": { "by": text, "at": time(), "until": time(), "why": text, "level": level },
        },
        "Acknowledge": {
            "type": "object", "required": ["who"], "additionalProperties": false,
            "properties": { "who": text, "why": text, "for": length, "until": time() },
            "description": "Without `for` and `until` it holds for the row's `ack_for`.",
        },
        "Matcher": {
            "type": "object", "additionalProperties": false,
            "properties": {
                "matrix": texts, "indicator": texts, "queue": texts, "channel": texts, "window": texts,
                "level": { "anyOf": [level, { "type": "null" }], "description": "Holds this level and better ones." },
            },
            "description": "Lists of names: `*` stands for any text, `!` before a name leaves it out. An empty list lets anything through.",
        },
        "NewSilence": {
            "type": "object", "required": ["who", "why", "matcher"], "additionalProperties": false,
            "properties": { "who": text, "why": text, "matcher": reference("Matcher"), "from": time(), "for": length, "until": time() },
            "description": "It has an end: `until`, or `for` from its beginning, which is now without `from`.",
        },
        "Reload": { "type": "object", "additionalProperties": false },
        "EndSilence": {
            "type": "object", "required": ["who"], "additionalProperties": false,
            "properties": { "who": text, "why": text },
        },
        "Silence": {
            "type": "object", "required": ["id", "active", "matcher", "from", "until", "who", "why"],
            "properties": {
                "id": text, "active": { "type": "boolean" }, "matcher": reference("Matcher"), "from": time(),
                "until": time(), "who": text, "why": text,
            },
        },
        "Operation": {
            "type": "object", "required": ["time", "operation", "outcome", "who", "why"],
            "properties": {
                "time": time(), "operation": { "enum": ["acknowledge", "silence", "end_silence", "reload"] },
                "outcome": { "enum": ["acknowledged", "not_open", "silenced", "silence_ended", "no_silence", "reloaded", "refused"] },
                "hash": { "type": "string", "description": "Of what is in force since a reload." },
                "refused": { "type": "string", "description": "Why it was refused." },
                "link_of": { "type": "string", "description": "The contact to whom the link was mailed that was followed." },
                "who": text, "why": text, "incident": text, "id": text, "matcher": reference("Matcher"), "from": time(),
                "until": { "anyOf": [time(), { "type": "null" }] },
            },
        },
        "Readiness": {
            "type": "object", "required": ["ready", "reasons", "degraded"],
            "properties": { "ready": { "type": "boolean" }, "reasons": texts, "degraded": texts },
        },
        "Error": { "type": "object", "required": ["error"], "properties": { "error": text } },
    })
}

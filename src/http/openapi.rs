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

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn schemas() -> Value {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": "array", "items": { "type": "string" } });
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
            "required": ["kind", "time", "matrix", "indicator", "from", "to", "value", "reason", "incident", "since", "acknowledged", "silenced"],
            "properties": with_place(json!({
                "kind": { "const": "transition" }, "time": time(), "matrix": text, "from": level, "to": level,
                "range": { "type": ["string", "null"] }, "value": value, "samples": { "type": "number" },
                "reason": text, "incident": text, "since": time(),
                "acknowledged": { "type": "boolean" }, "silenced": { "type": "boolean" },
                "closed_hours": { "type": "boolean" }, "goal": { "type": ["string", "null"] },
                "action": { "type": ["string", "null"] }, "unit": { "enum": ["seconds", "ratio", "count"] },
                "value_now": value, "samples_now": { "type": "number" },
            })),
        },
        "Readiness": {
            "type": "object", "required": ["ready", "reasons", "degraded"],
            "properties": { "ready": { "type": "boolean" }, "reasons": texts, "degraded": texts },
        },
        "Error": { "type": "object", "required": ["error"], "properties": { "error": text } },
    })
}

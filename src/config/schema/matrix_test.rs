//! The schema of a matrix's tests, `x.test.yaml`.

use serde_json::{Value, json};

use super::{closed, described, document, duration, one_or_more, words};
use crate::config::matrix_test::meanwhile::{Standing, TOPICS};
use crate::matrix::engine::Reason;

pub fn matrix_test() -> Value {
    let text = || json!({ "type": "string" });
    let series = one_or_more(json!({ "type": ["string", "number"] }));
    let event = json!({
        "type": "object",
        "properties": {
            "at": described(text(), "How long after the start, instead of `time`"),
            "time": { "type": ["string", "integer"] },
            "type": text(),
            "times": { "type": "integer", "minimum": 1 },
            "every": duration(),
        },
        "required": ["type"],
    });
    let common = json!({ "queue": text(), "channel": text(), "start": text(), "step": duration() });
    let with = |more: Value| {
        let mut all = common.as_object().cloned().unwrap_or_default();
        all.extend(more.as_object().cloned().unwrap_or_default());
        Value::Object(all)
    };
    let test = closed(
        with(json!({
            "name": described(text(), "What must be so, in one line"),
            "series": { "type": "object", "minProperties": 1, "additionalProperties": series, "description": "Row -> values: asa: 10m x5, 40m x10, _ x3" },
            "events": { "anyOf": [text(), { "type": "array", "minItems": 1, "items": event }] },
            "meanwhile": described(one_or_more(json!({ "$ref": "#/definitions/act" })), "What people do while it runs, and how the feeds stand"),
            "expect": one_or_more(json!({ "$ref": "#/definitions/expectation" })),
        })),
        &["name", "expect"],
    );
    let expectation = closed(
        json!({
            "at": described(text(), "7m after the start, or a time"),
            "row": described(text(), "As in `series`"),
            "queue": text(),
            "channel": text(),
            "level": words(["ok", "info", "warning", "critical"]),
            "told": described(one_or_more(text()), "Everybody who is told since the last `told`, and nobody else"),
            "reason": words(Reason::ALL.iter().map(|reason| reason.name())),
            "text": described(one_or_more(json!({ "type": ["string", "number"] })), "Stands in one of these notices"),
        }),
        &["at"],
    );
    let names = || one_or_more(text());
    let said = |more: Value| {
        let mut all = json!({ "who": text(), "why": text(), "for": duration(), "until": text(), "queue": names(), "channel": names() });
        if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
            all.extend(more);
        }
        closed(all, &[])
    };
    let acknowledge = said(json!({ "row": text(), "queue": text(), "channel": text() }));
    let silence = said(json!({
        "from": text(),
        "matrix": names(),
        "indicator": names(),
        "window": names(),
        "level": words(["ok", "info", "warning", "critical"]),
    }));
    let act = closed(
        json!({
            "at": described(text(), "7m after the start, or a time"),
            "acknowledge": described(acknowledge, "Somebody takes the open incident up"),
            "silence": described(silence, "Notices are held, of the whole matrix or of what is named"),
            "feed": words(Standing::ALL.iter().map(|(word, _)| *word)),
            "of": words(TOPICS.iter().map(|(word, _)| *word)),
        }),
        &["at"],
    );
    let mut root = closed(
        with(json!({
            "matrix": described(text(), "The matrix, as a path from this file; default: the file of the same name without .test"),
            "tests": { "type": "array", "minItems": 1, "items": { "$ref": "#/definitions/test" } },
        })),
        &["tests"],
    );
    if let Value::Object(fields) = &mut root {
        fields.insert("definitions".to_owned(), json!({ "test": test, "expectation": expectation, "act": act }));
    }
    document("Tests of an escalation matrix", "Unit tests of a matrix of Atalaya: `atalaya test`", root)
}

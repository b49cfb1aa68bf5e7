//! JSON Schemas of what people write by hand, for their editors: matrices, the configuration, events, and the tests of
//! matrices.
//!
//! A schema names keys, words and the forms of values. What needs more than one place (that ranges are contiguous, that a
//! contact exists) is `atalaya check`'s to say. Names are those of the code: a new indicator is in the schema at once.

use serde_json::{Map, Value, json};

mod events;
mod matrix;
mod matrix_test;
mod settings;

pub use events::events;
pub use matrix::matrix;
pub use matrix_test::matrix_test;
pub use settings::config;

/// The draft that editors know best.
const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

fn duration() -> Value {
    json!({ "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$" })
}

fn described(mut schema: Value, text: &str) -> Value {
    if let Value::Object(fields) = &mut schema {
        fields.insert("description".to_owned(), Value::from(text));
    }
    schema
}

/// One, or a list of them.
fn one_or_more(item: Value) -> Value {
    json!({ "anyOf": [item, { "type": "array", "items": item }] })
}

/// A map with these keys and no others.
fn closed(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn words<'w>(words: impl IntoIterator<Item = &'w str>) -> Value {
    json!({ "enum": words.into_iter().collect::<Vec<_>>() })
}

fn language() -> Value {
    words(super::matrices::LANGUAGES.iter().map(|(name, _)| *name))
}

/// `{ mon-fri: ["07:00-13:00", "14:00-22:00"], sat: "08:00-02:00" }`.
fn hours() -> Value {
    let day = "([Mm]on|[Tt]ue|[Ww]ed|[Tt]hu|[Ff]ri|[Ss]at|[Ss]un)";
    let span = json!({ "type": "string", "pattern": "^ *[0-9]{1,2}:[0-9]{2} *- *[0-9]{1,2}:[0-9]{2} *$" });
    json!({
        "type": "object",
        "description": "When it is open: days -> one span or several. A span is half-open and may cross midnight",
        "patternProperties": { format!("^ *{day}( *- *{day})?( *, *{day}( *- *{day})?)* *$"): one_or_more(span) },
        "additionalProperties": false,
    })
}

/// What an owner or a contact is told by.
fn media() -> Value {
    json!({
        "type": "object",
        "minProperties": 1,
        "properties": {
            "email": { "type": "string", "pattern": "^[^@\\s]+@[^@\\s]+$" },
            "webhook": { "type": "string", "description": "The name of a webhook of the configuration" },
        },
        "additionalProperties": false,
    })
}

/// The head of a schema over its root.
fn document(title: &str, description: &str, root: Value) -> Value {
    let mut all = Map::new();
    all.insert("$schema".to_owned(), Value::from(DRAFT));
    all.insert("title".to_owned(), Value::from(title));
    all.insert("description".to_owned(), Value::from(description));
    if let Value::Object(root) = root {
        all.extend(root);
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn keys<'s>(schema: &'s Value, path: &str) -> BTreeSet<&'s str> {
        schema.pointer(path).and_then(Value::as_object).unwrap().keys().map(String::as_str).collect()
    }

    /// A key that is read and not in the schema would be marked as wrong by every editor.
    #[test]
    fn the_keys_are_those_that_are_read() {
        let set = |keys: &[&'static str]| keys.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(keys(&matrix(), "/properties"), set(&super::super::matrices::KEYS));
        assert_eq!(keys(&matrix(), "/definitions/row/properties"), set(&super::super::row::KEYS));
        assert_eq!(keys(&matrix(), "/definitions/range/properties"), set(&super::super::ranges::KEYS));
        let contact = "/properties/contacts/additionalProperties/properties";
        assert_eq!(keys(&matrix(), contact), set(&super::super::contacts::KEYS));
        assert_eq!(keys(&matrix(), "/properties/texts/properties"), set(&super::super::texts::KEYS));
        assert_eq!(keys(&config(), "/properties"), set(&super::super::settings::KEYS));
        assert_eq!(keys(&matrix_test(), "/properties"), set(&super::super::matrix_test::KEYS));
        assert_eq!(keys(&matrix_test(), "/definitions/test/properties"), set(&super::super::matrix_test::TEST_KEYS));
        assert_eq!(
            keys(&matrix_test(), "/definitions/expectation/properties"),
            set(&super::super::matrix_test::EXPECT_KEYS)
        );
    }
}

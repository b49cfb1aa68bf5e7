//! An entry as a line of text or as a JSON object.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::commands::remote::Format;
use crate::commands::{Failure, say};
use crate::notice::clean;

/// Longest text of one field, in bytes.
const TEXT_MAX: usize = 300;

/// Names and values in the order in which they are shown.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(String, Value)>);

impl Fields {
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Fields {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// All fields of an object, after these.
    pub fn with_all(mut self, object: Value) -> Fields {
        match object {
            Value::Object(fields) => self.0.extend(fields),
            other => self.0.push(("value".to_owned(), other)),
        }
        self
    }

    fn words(&self) -> String {
        let word = |(name, value): &(String, Value)| format!("{name}={}", text(value));
        self.0.iter().filter(|(_, value)| !value.is_null()).map(word).collect::<Vec<_>>().join(" ")
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Harmless on a terminal, in quotes where it would not be one word.
pub fn text(value: &Value) -> String {
    let plain = match value {
        Value::String(text) => clean(text, TEXT_MAX, false),
        other => clean(&other.to_string(), TEXT_MAX, false),
    };
    if value.is_string() && (plain.is_empty() || plain.contains(' ')) { format!("{plain:?}") } else { plain }
}

/// What is said of an entry: what all have in common, what is its own, and the notices in it.
#[derive(Clone, Debug)]
pub struct Line {
    /// Before everything else in text.
    pub head: String,
    pub fields: Fields,
    pub own: Fields,
    pub notices: Vec<Fields>,
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for (name, value) in self.fields.0.iter().chain(&self.own.0) {
            map.serialize_entry(name, value)?;
        }
        if !self.notices.is_empty() {
            map.serialize_entry("notices", &self.notices)?;
        }
        map.end()
    }
}

impl Line {
    /// False once nobody reads it.
    pub fn print(&self, format: Format) -> Result<bool, Failure> {
        if format == Format::Json {
            let line = serde_json::to_string(self);
            return say::line_heard(line.map_err(|error| Failure::Run(format!("cannot write an entry: {error}.")))?);
        }
        let mut lines = format!("{} {}", self.head, self.own.words()).trim_end().to_owned();
        for notice in &self.notices {
            lines.push_str(&format!("\n    notice {}", notice.words()));
        }
        say::line_heard(lines)
    }
}

//! `action` and other texts of a matrix: minijinja templates over a fixed list of names.
//!
//! [`check`] proves a text before a matrix is taken: it parses, it names nothing unknown, and it renders with the worst
//! of what may come. Rendering is strict (an undefined name is an error, not an empty string), fuelled and bounded. Plain text comes
//! out: escaping for HTML is the mail's work.

use std::collections::BTreeSet;
use std::io;

use minijinja::value::Value;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};

/// Longest template, and longest text that comes out of one, in bytes.
pub const LENGTH_MAX: usize = 4_000;
const OUTPUT_MAX: usize = 16_000;
/// Instructions of the template engine: a text that needs more is a program.
const FUEL: u64 = 20_000;

/// What a template may name.
pub const NAMES: [&str; 13] = [
    "value",
    "value_raw",
    "goal",
    "level",
    "queue",
    "channel",
    "indicator",
    "window",
    "samples",
    "matrix",
    "range",
    "since",
    "incident",
];

/// The values of those names. Texts are as people read them; `value_raw` is in the indicator's unit and `none` without
/// samples; `level` and `indicator` are the names of the records (`warning`, `asa`), so that they can be compared.
#[derive(Clone, Debug)]
pub struct Names {
    pub value: String,
    pub value_raw: Option<f64>,
    pub goal: String,
    pub level: &'static str,
    pub queue: String,
    pub channel: String,
    pub indicator: String,
    pub window: String,
    pub samples: f64,
    pub matrix: String,
    pub range: String,
    pub since: String,
    pub incident: String,
}

impl Names {
    fn value(&self) -> Value {
        minijinja::context! {
            value => &*self.value, value_raw => self.value_raw, goal => &*self.goal, level => self.level,
            queue => &*self.queue, channel => &*self.channel, indicator => &*self.indicator, window => &*self.window,
            samples => self.samples, matrix => &*self.matrix, range => &*self.range, since => &*self.since,
            incident => &*self.incident,
        }
    }
}

/// What is wrong with a template. Lines and columns count from 1 within the template's own text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template: {message}")]
pub struct TemplateError {
    pub line: Option<usize>,
    pub column: Option<usize>,
    pub message: String,
}

/// Whether `text` can be trusted while an alert is going out.
pub fn check(text: &str) -> Result<(), TemplateError> {
    if text.len() > LENGTH_MAX {
        let message = format!("it is {} bytes long; at most {LENGTH_MAX} are allowed", text.len());
        return Err(TemplateError { line: None, column: None, message });
    }
    let environment = environment();
    let template = environment.template_from_str(text).map_err(|error| explain(text, &error, OUTPUT_MAX))?;
    let known: BTreeSet<String> = NAMES
        .iter()
        .map(|name| (*name).to_owned())
        .chain(environment.globals().map(|(name, _)| name.to_owned()))
        .collect();
    let named: BTreeSet<String> = template.undeclared_variables(false).into_iter().collect();
    if let Some(name) = named.difference(&known).next() {
        let (line, column) = position(text, name).unzip();
        let message = format!("unknown name `{name}`; it may use {}", NAMES.join(", "));
        return Err(TemplateError { line, column, message });
    }
    for names in worst_cases() {
        render(text, &names).map_err(|mut error| {
            if names.value_raw.is_none() {
                error.message.push_str(" (when there is no data: `value_raw` is none then)");
            }
            error
        })?;
    }
    Ok(())
}

/// The text of a template, at most [`OUTPUT_MAX`] bytes, without control characters other than line breaks.
pub fn render(text: &str, names: &Names) -> Result<String, TemplateError> {
    Ok(super::clean(&rendered(&environment(), text, names.value(), OUTPUT_MAX)?, OUTPUT_MAX, true))
}

/// What comes out of a template, as it is; more than `max` bytes are an error.
pub(super) fn rendered(
    environment: &Environment<'_>,
    text: &str,
    names: Value,
    max: usize,
) -> Result<String, TemplateError> {
    let explain = |error: minijinja::Error| explain(text, &error, max);
    let template = environment.template_from_str(text).map_err(explain)?;
    let mut out = Bounded { bytes: Vec::new(), max };
    template.render_captured_to(names, &mut out).map_err(explain)?;
    Ok(String::from_utf8_lossy(&out.bytes).into_owned())
}

/// The environment in which texts are proved and rendered: undefined names are errors.
pub fn environment<'t>() -> Environment<'t> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(50);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment
}

/// A writer that refuses to grow beyond `max`.
struct Bounded {
    bytes: Vec<u8>,
    max: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.max {
            return Err(io::Error::other("too long"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn explain(text: &str, error: &minijinja::Error, max: usize) -> TemplateError {
    let detail = error.detail().map(str::to_owned).unwrap_or_else(|| match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => String::new(),
    });
    let message = match error.kind() {
        ErrorKind::WriteFailure => format!("its text is longer than {max} bytes"),
        ErrorKind::OutOfFuel => "it does too much work; write a shorter text".to_owned(),
        kind if detail.is_empty() => kind.to_string(),
        kind => format!("{kind}: {detail}"),
    };
    TemplateError { line: error.line().filter(|_| !text.is_empty()), column: None, message }
}

/// Where `name` stands as a whole word inside a tag.
fn position(text: &str, name: &str) -> Option<(usize, usize)> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tag = false;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let rest = text.get(at..)?;
        if rest.starts_with("{{") || rest.starts_with("{%") {
            tag = true;
        } else if rest.starts_with("}}") || rest.starts_with("%}") {
            tag = false;
        }
        if tag && !word(before) && rest.strip_prefix(name).is_some_and(|tail| !tail.starts_with(word)) {
            let head = text.get(..at)?;
            let line = head.matches('\n').count() + 1;
            let column = head.rsplit('\n').next().unwrap_or(head).chars().count() + 1;
            return Some((line, column));
        }
        before = c;
    }
    None
}

/// An ordinary case of each level, and the worst that may come: no data, long and hostile names.
fn worst_cases() -> Vec<Names> {
    let ordinary = Names {
        value: "47 min".to_owned(),
        value_raw: Some(2820.0),
        goal: "< 30 min".to_owned(),
        level: "warning",
        queue: "reclamos".to_owned(),
        channel: "facebook".to_owned(),
        indicator: "asa".to_owned(),
        window: "15m".to_owned(),
        samples: 14.0,
        matrix: "facebook-care".to_owned(),
        range: "30m .. 45m".to_owned(),
        since: "10:32".to_owned(),
        incident: "0".repeat(26),
    };
    let hostile = format!("\"'<script>alert(1)</script>&{{{{ value }}}}\r\n{}", "ñ".repeat(super::NAME_MAX));
    let no_data = Names {
        value: "sin datos".to_owned(),
        value_raw: None,
        samples: 0.0,
        range: String::new(),
        ..ordinary.clone()
    };
    let long = Names {
        value_raw: Some(1e15),
        queue: super::clean(&hostile, super::NAME_MAX, false),
        channel: super::clean(&hostile, super::NAME_MAX, false),
        matrix: super::clean(&hostile, super::NAME_MAX, false),
        ..ordinary.clone()
    };
    let zero = Names { value: "0 s".to_owned(), value_raw: Some(0.0), window: String::new(), ..ordinary.clone() };
    let levels = ["ok", "info", "critical"].map(|level| Names { level, ..ordinary.clone() });
    [ordinary, no_data, long, zero].into_iter().chain(levels).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_templates_pass() {
        for text in [
            "",
            "Activar agentes en descanso",
            "{{ queue }}: {{ value }} (meta {{ goal }})",
            "{% if level == \"critical\" %}Llamar al gerente{% else %}Revisar{% endif %}",
            "{% if value_raw is not none %}{{ (value_raw / 60) | round }}{% else %}-{% endif %}",
            "{% for word in [queue, channel] %}{{ loop.index }}. {{ word | upper }}\n{% endfor %}",
            "{% set x = samples %}{{ x }} {{ incident }} {{ since }} {{ range }} {{ matrix }} {{ window }} {{ indicator }}",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn bad_templates_are_named() {
        for (text, line, column, part) in [
            ("hola {{ valor }}", Some(1), Some(9), "unknown name `valor`"),
            ("valor\n{{ value }} y {{ valor }}", Some(2), Some(18), "unknown name `valor`"),
            ("{{ value", Some(1), None, "syntax error"),
            ("a\n{% if %}", Some(2), None, "syntax error"),
            ("{{ value | nope }}", Some(1), None, "nope"),
            ("{{ value_raw * 2 }}", Some(1), None, "no data"),
            ("{{ queue.x.y }}", Some(1), None, "undefined"),
            (
                "{% for a in [1] * 200 %}{% for b in [1] * 200 %}{% endfor %}{% endfor %}",
                Some(1),
                None,
                "too much work",
            ),
            ("{{ queue * 9999 }}", None, None, "longer than"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.message.contains(part), "{text}: {}", error.message);
            if line.is_some() {
                assert_eq!(error.line, line, "{text}");
            }
            assert_eq!(error.column, column, "{text}");
        }
        assert!(check(&"x".repeat(LENGTH_MAX + 1)).is_err());
    }
}

//! The words of an indicator: `texts/NAME.md`, in one shape, which `atalaya explain` and `docs/indicators.md` print.
//!
//! ```text
//! # asa                              its name
//! about: ...                         one sentence on one line: the metric's HELP and the board's tooltip, too
//! formula: ...                       with every symbol defined
//! samples: ...                       what they count in this indicator
//! sums: `atalaya_sum_...`            the counters behind it, where there are
//! see: Waits, Roll-ups               rules of `texts/rules.md` that it rests on
//! source: ...
//! - ...                              what counts when; a point each
//! example: voice                     a floor of `texts/floors`
//! 14:15:00 support/voice 15m asa = 23 (4) # (12 + 20 + 8 + 52) / 4
//! ```
//!
//! A line that begins with two spaces goes on with the line before it. The figures of an example are written as
//! `tests/golden/README.md` says; `tests/explain.rs` computes each of them by the program and by the oracle. Nothing here
//! is needed to compute an indicator.

use thiserror::Error;

use super::Indicator;

#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    pub about: &'static str,
    pub formula: String,
    pub samples: String,
    pub sums: Option<String>,
    pub see: Vec<&'static Rule>,
    pub source: String,
    pub points: Vec<String>,
    pub examples: Vec<Example>,
}

/// Figures that come of a floor.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    pub floor: &'static Floor,
    pub figures: Vec<&'static str>,
}

/// What happens on a small floor, in the notation of the golden scenarios.
#[derive(Debug, PartialEq)]
pub struct Floor {
    pub name: &'static str,
    pub text: &'static str,
}

impl Floor {
    /// What happens there, in words, and the events.
    pub fn parts(&self) -> (&'static str, &'static str) {
        let (why, events) = self.text.split_once('\n').unwrap_or((self.text, ""));
        (why.strip_prefix("why: ").unwrap_or(why), events)
    }
}

/// What several indicators have in common.
#[derive(Debug, PartialEq)]
pub struct Rule {
    pub title: &'static str,
    pub text: &'static str,
}

/// A text that is not of the shape above: a mistake in this repository, which a test finds.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("src/indicators/texts/{name}.md: {what}")]
pub struct Misshapen {
    name: &'static str,
    what: String,
}

macro_rules! files {
    ($type:ident { $field:ident } in $folder:literal, $ending:literal: $($name:literal),* $(,)?) => {
        &[$($type { $field: $name, text: include_str!(concat!("texts/", $folder, "/", $name, $ending)) }),*]
    };
}

/// The floors that examples are computed from.
pub fn floors() -> &'static [Floor] {
    const FLOORS: &[Floor] =
        files!(Floor { name } in "floors", ".txt": "voice", "hundred", "messages", "silence", "agents");
    FLOORS
}

/// The rules, in the order of the documentation.
pub fn rules() -> &'static [Rule] {
    const RULES: &[Rule] = files!(Rule { title } in "rules", ".md":
        "Windows", "Samples", "Roll-ups", "Quantiles", "Clocks", "Thresholds", "Waits", "Messages", "Open interactions",
        "Contacts", "Agents' time",
    );
    RULES
}

impl Text {
    pub fn of(indicator: &'static Indicator) -> Result<Text, Misshapen> {
        read(indicator.name, indicator.text).map_err(|what| Misshapen { name: indicator.name, what })
    }
}

pub(super) fn about(text: &'static str) -> &'static str {
    text.lines().find_map(|line| line.strip_prefix("about: ")).unwrap_or_default()
}

fn read(name: &str, text: &'static str) -> Result<Text, String> {
    let mut lines = text.lines();
    if lines.next().and_then(|line| line.strip_prefix("# ")) != Some(name) {
        return Err(format!("the first line is not `# {name}`"));
    }
    let mut fields: Vec<(&str, String)> = Vec::new();
    let (mut points, mut examples): (Vec<String>, Vec<Example>) = (Vec::new(), Vec::new());
    for line in lines.filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("  ") {
            let before = points.last_mut().or(fields.last_mut().map(|(_, text)| text));
            let before = before.ok_or_else(|| format!("`{line}` goes on with nothing"))?;
            before.push(' ');
            before.push_str(rest);
        } else if let Some(floor) = line.strip_prefix("example: ") {
            let found = floors().iter().find(|known| known.name == floor);
            let floor = found.ok_or_else(|| format!("there is no floor `{floor}`"))?;
            examples.push(Example { floor, figures: Vec::new() });
        } else if let Some(example) = examples.last_mut() {
            example.figures.push(line);
        } else if let Some(point) = line.strip_prefix("- ") {
            points.push(point.to_owned());
        } else {
            let (field, rest) = line.split_once(": ").ok_or_else(|| format!("`{line}` is no field"))?;
            fields.push((field, rest.to_owned()));
        }
    }
    let mut take = |name: &str| {
        let at = fields.iter().position(|(field, _)| *field == name)?;
        Some(fields.remove(at).1)
    };
    let (formula, samples, sums, source) = (take("formula"), take("samples"), take("sums"), take("source"));
    let see = take("see").unwrap_or_default();
    let see = see.split(", ").filter(|title| !title.is_empty()).map(|title| {
        rules().iter().find(|rule| rule.title == title).ok_or_else(|| format!("there is no rule `{title}`"))
    });
    let see = see.collect::<Result<Vec<_>, _>>()?;
    take("about");
    if let Some((field, _)) = fields.first() {
        return Err(format!("`{field}` is no field, or there twice"));
    }
    let missing = |field: &str| format!("`{field}` is missing");
    if points.is_empty() || examples.is_empty() || examples.iter().any(|example| example.figures.is_empty()) {
        return Err(missing("- or example"));
    }
    Ok(Text {
        about: about(text),
        formula: formula.ok_or_else(|| missing("formula"))?,
        samples: samples.ok_or_else(|| missing("samples"))?,
        sums,
        see,
        source: source.ok_or_else(|| missing("source"))?,
        points,
        examples,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "# a\nabout: A.\nformula: b\n  c\nsamples: d\nsource: e\n- f\n  g\nexample: voice\nh\n";

    #[test]
    fn a_text_is_read() {
        let text = read("a", WHOLE).unwrap();
        assert_eq!((text.about, text.formula.as_str(), text.samples.as_str()), ("A.", "b c", "d"));
        assert_eq!(
            (text.points.as_slice(), text.examples[0].figures.as_slice()),
            (&["f g".to_owned()][..], &["h"][..])
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (good, bad, named) in [
            ("# a", "# b", "# a"),
            ("formula: b\n  c\n", "", "formula"),
            ("samples: d", "simples: d", "simples"),
            ("source: e", "source: e\nsource: e", "source"),
            ("source: e", "see: Nothing\nsource: e", "Nothing"),
            ("voice", "nowhere", "nowhere"),
            ("\nh\n", "\n", "example"),
        ] {
            let text = WHOLE.replace(good, bad);
            assert_ne!(text, WHOLE);
            let error = read("a", text.leak()).unwrap_err();
            assert!(error.contains(named), "{bad:?}: {error}");
        }
    }
}

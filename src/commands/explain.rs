//! `atalaya explain NAME`: what a number means, in the words of its definition; and the page `docs/indicators.md`.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};

use super::{Failure, say};
use crate::config::did_you_mean;
use crate::indicators::{self, Indicator, Label, Rule, Text, Unit};
use crate::telemetry::metric_name;

/// Says what an indicator is: unit, formula, what counts when, source, a worked example
#[derive(Debug, Args)]
pub struct Explain {
    /// An indicator, as asa or service_level; without one, the list of them
    pub name: Option<String>,
    /// `markdown` without a name is the page docs/indicators.md
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum, PartialEq, Eq)]
pub enum Format {
    Text,
    Markdown,
}

pub fn run(args: &Explain) -> Result<(), Failure> {
    let text = match (&args.name, args.format) {
        (None, Format::Text) => list(),
        (None, Format::Markdown) => page()?,
        (Some(name), format) => {
            let indicator = named(name)?;
            match format {
                Format::Text => for_terminal(indicator)?,
                Format::Markdown => section(indicator)?,
            }
        }
    };
    say::text(text)
}

fn named(name: &str) -> Result<&'static Indicator, Failure> {
    indicators::find(name).ok_or_else(|| {
        let names = indicators::all().map(|indicator| indicator.name);
        Failure::User(format!("there is no indicator `{name}`: {}", did_you_mean(name, names, "there are")))
    })
}

fn text_of(indicator: &'static Indicator) -> Result<Text, Failure> {
    Text::of(indicator).map_err(|error| Failure::Run(error.to_string()))
}

fn unit(indicator: &Indicator) -> &'static str {
    match indicator.unit {
        Unit::Seconds => "seconds",
        Unit::Ratio => "a ratio, 0 to 1",
        Unit::Count => "a number",
    }
}

fn of(indicator: &Indicator) -> &'static str {
    if indicator.instant { "this instant: it has no window" } else { "a window" }
}

/// The labels, and what a row of a matrix has that leaves them out.
fn labels(indicator: &Indicator) -> String {
    let told = indicator.labels.iter().map(|label| {
        let default = match label {
            Label::Threshold => "by default the channel's first",
            Label::Treatment => "by default `offered`",
            Label::Clock => "by default `elapsed`",
            Label::State if indicator.instant => "by default `connected`",
            Label::State | Label::Stage => "a row names it: there is no default",
        };
        format!("`{}` ({default})", label.name())
    });
    if indicator.labels.is_empty() { "none".to_owned() } else { told.collect::<Vec<_>>().join(", ") }
}

/// The rules that it rests on: those that its text names, and those of its labels.
fn rules(indicator: &Indicator, text: &Text) -> Vec<&'static Rule> {
    let has = |title: &str| {
        text.see.iter().any(|rule| rule.title == title)
            || title == "Thresholds" && indicator.labels.contains(&Label::Threshold)
            || title == "Clocks" && indicator.labels.contains(&Label::Clock)
    };
    indicators::rules().iter().filter(|rule| has(rule.title)).collect()
}

/// Name and text of each fact, in the order in which they are told.
fn facts(indicator: &Indicator, text: &Text) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("unit", unit(indicator).to_owned()),
        ("of", of(indicator).to_owned()),
        ("formula", text.formula.clone()),
        ("samples", text.samples.clone()),
        ("labels", labels(indicator)),
        ("metric", format!("`{}`", metric_name(indicator))),
    ];
    facts.extend(text.sums.clone().map(|sums| ("sums", sums)));
    facts.push(("source", text.source.clone()));
    facts
}

// -- for a terminal ------------------------------------------------------------------------------------------------------

const WIDTH: usize = 100;

fn list() -> String {
    let mut list = String::new();
    for (title, family) in indicators::FAMILIES {
        let _ = writeln!(list, "{title}");
        for indicator in *family {
            let unit = match indicator.unit {
                Unit::Seconds => "s",
                Unit::Ratio => "0..1",
                Unit::Count => "n",
            };
            let head = format!("  {:<20} {unit:<5}", indicator.name);
            list.push_str(&wrap(&head, 28, indicator.about()));
        }
        list.push('\n');
    }
    list.push_str("s: seconds, 0..1: a ratio, n: a number. `atalaya explain NAME` tells one whole.\n");
    list
}

fn for_terminal(indicator: &'static Indicator) -> Result<String, Failure> {
    let text = text_of(indicator)?;
    let mut out = format!("{}\n\n{}\n", indicator.name, wrap("", 0, text.about));
    for (name, fact) in facts(indicator, &text) {
        out.push_str(&wrap(&format!("  {name:<9}"), 11, &fact));
    }
    out.push_str("\nWhat counts when\n\n");
    for point in &text.points {
        out.push_str(&wrap("  - ", 4, point));
    }
    for example in &text.examples {
        let (why, events) = example.floor.parts();
        let _ = write!(out, "\nExample\n\n{}\n", wrap("  ", 2, why));
        for line in events.lines().chain([""]).chain(example.figures.iter().copied()) {
            out.push_str(format!("  {line}").trim_end());
            out.push('\n');
        }
    }
    for rule in rules(indicator, &text) {
        let _ = writeln!(out, "\n{}\n", rule.title);
        for paragraph in paragraphs(rule.text) {
            let (head, indent) = if paragraph.starts_with("- ") { ("  ", 4) } else { ("  ", 2) };
            out.push_str(&wrap(head, indent, &paragraph));
        }
    }
    Ok(out)
}

/// Paragraphs and list items, each on one line.
fn paragraphs(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut ended = true;
    for line in text.lines() {
        match found.last_mut().filter(|_| !ended && !line.starts_with("- ")) {
            Some(last) if !line.is_empty() => {
                last.push(' ');
                last.push_str(line.trim_start());
            }
            _ if line.is_empty() => {}
            _ => found.push(line.to_owned()),
        }
        ended = line.is_empty();
    }
    found
}

/// Words in lines of [`WIDTH`], the first after `head`, the others indented.
fn wrap(head: &str, indent: usize, text: &str) -> String {
    let mut out = head.to_owned();
    let mut column = head.chars().count();
    let mut first = true;
    for word in text.split(' ') {
        let length = word.chars().count();
        if !first && column + 1 + length > WIDTH {
            let _ = write!(out, "\n{:indent$}{word}", "");
            column = indent + length;
        } else {
            let space = if first { "" } else { " " };
            let _ = write!(out, "{space}{word}");
            column += space.len() + length;
        }
        first = false;
    }
    out.push('\n');
    out
}

// -- the page ------------------------------------------------------------------------------------------------------------

const INTRODUCTION: &str = "\
# Indicators

What every number means: unit, formula, what counts when, source, and an example whose figures a test computes.
`atalaya explain NAME` prints one entry, `atalaya explain` the list. This page is written by
`atalaya explain --format markdown`.
";

const FLOORS: &str = "\
## Floors of the examples

Each line is one event: its time, the interaction, the type without `interaction.`, and its fields; or its time, the agent,
`state` and the state, and its fields. `many 50 a from 14:00:00 each 10s: ...` is 50 interactions `a0`, `a1`, ..., one every
10 s, each with the steps that follow. The configuration is the default one, the site's zone UTC.

A figure is written time, queue and channel (`*` is rolled over), window (`-`: none), indicator and labels, value, and in
brackets the samples. `~` is a value rounded to the digits shown.
";

fn page() -> Result<String, Failure> {
    let mut page = INTRODUCTION.to_owned();
    for (title, family) in indicators::FAMILIES {
        let _ = write!(page, "\n**{title}**\n\n| indicator | unit | |\n|---|---|---|\n");
        for indicator in *family {
            let _ = writeln!(page, "| [`{0}`](#{0}) | {1} | {2} |", indicator.name, unit(indicator), indicator.about());
        }
    }
    page.push_str("\n## Conventions\n");
    for rule in indicators::rules() {
        let _ = write!(page, "\n### {}\n\n{}", rule.title, rule.text);
    }
    for (title, family) in indicators::FAMILIES {
        let _ = write!(page, "\n## {title}\n");
        for indicator in *family {
            let _ = write!(page, "\n{}", section(indicator)?);
        }
    }
    let _ = write!(page, "\n{FLOORS}");
    for floor in indicators::floors() {
        let (why, events) = floor.parts();
        let _ = write!(page, "\n### Floor: {}\n\n{why}\n\n```text\n{events}```\n", floor.name);
    }
    Ok(page)
}

fn section(indicator: &'static Indicator) -> Result<String, Failure> {
    let text = text_of(indicator)?;
    let mut out = format!("### `{}`\n\n{}\n\n", indicator.name, text.about);
    for (name, fact) in facts(indicator, &text) {
        let _ = writeln!(out, "- **{name}**: {fact}");
    }
    let see = rules(indicator, &text).into_iter().map(|rule| format!("[{}](#{})", rule.title, anchor(rule.title)));
    let _ = writeln!(out, "- **conventions**: {}", see.collect::<Vec<_>>().join(", "));
    out.push_str("\nWhat counts when:\n\n");
    for point in &text.points {
        let _ = writeln!(out, "- {point}");
    }
    for example in &text.examples {
        let (floor, figures) = (example.floor.name, example.figures.join("\n"));
        let _ = write!(out, "\nFrom the floor [{floor}](#floor-{floor}):\n\n```text\n{figures}\n```\n");
    }
    Ok(out)
}

/// What a heading is linked by.
fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

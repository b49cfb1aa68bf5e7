//! `atalaya explain NAME`: what a number means, in the words of its definition.

use std::fmt::Write as _;

use clap::Args;

use super::Failure;
use crate::indicators::{self, Indicator, Label, Samples, Unit};

/// Says what an indicator is: its unit, formula, samples, labels and source
#[derive(Debug, Args)]
pub struct Explain {
    /// An indicator, as asa or service_level; without one, all of them as a page in Markdown
    pub name: Option<String>,
}

pub fn run(args: &Explain) -> Result<(), Failure> {
    let text = match &args.name {
        None => page(),
        Some(name) => match indicators::find(name) {
            Some(indicator) => entry(indicator),
            None => {
                let known: Vec<&str> = indicators::all().map(|indicator| indicator.name).collect();
                return Err(Failure::User(format!("there is no indicator `{name}`. There are: {}.", known.join(", "))));
            }
        },
    };
    print!("{text}");
    Ok(())
}

/// The page `docs/indicators.md`.
pub fn page() -> String {
    let mut page = String::from(
        "# Indicators\n\nWhat every number means. `atalaya explain NAME` prints one entry; `atalaya explain` prints this page.\n\n\
         Windows are half-open `[start, end)`: a value at an instant covers the events before it. Waits are counted when they\n\
         end, at the time of the event that ended them; time in a state is clipped to the window. Without samples there is no\n\
         value, except that a count of nothing is 0. Roll-ups are computed from merged sums and histograms, never from averages.\n",
    );
    for indicator in indicators::all() {
        let _ = write!(page, "\n## `{}`\n\n", indicator.name);
        page.push_str(&body(indicator));
    }
    page
}

fn entry(indicator: &Indicator) -> String {
    format!("{}\n\n{}", indicator.name, body(indicator))
}

fn body(indicator: &Indicator) -> String {
    let unit = match indicator.unit {
        Unit::Seconds => "seconds",
        Unit::Ratio => "a ratio, 0 to 1",
        Unit::Count => "a number",
    };
    let samples = match indicator.samples {
        Samples::Number => "how many waits, replies or contacts are in it (of a ratio: what stands below the line)",
        Samples::Seconds => "seconds of agents' time",
        Samples::Value => "the count itself",
    };
    let of = if indicator.instant { "this instant: it has no window" } else { "a window" };
    let labels: Vec<String> = indicator.labels.iter().map(|label: &Label| format!("`{}`", label.name())).collect();
    let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
    format!(
        "{}\n\n- unit: {unit}\n- of: {of}\n- samples: {samples}\n- labels: {labels}\n- source: {}\n",
        indicator.about, indicator.source
    )
}

#[cfg(test)]
mod tests {
    /// The page in the repository is this one: `cargo run -- explain > docs/indicators.md` writes it.
    #[test]
    fn the_page_in_the_repository_is_current() {
        assert_eq!(include_str!("../../docs/indicators.md"), super::page());
    }
}

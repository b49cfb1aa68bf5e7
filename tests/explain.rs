//! What `atalaya explain` says is tried: the figures of every example are computed, by the program and by the oracle; the
//! metrics that it names exist; `docs/indicators.md` is what it prints.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a failed test, with its line")]

mod oracle;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use atalaya::indicators::{self, Example, Text};
use oracle::figures::figures;
use oracle::golden::{Scenario, read};
use oracle::product::backtest_of;

fn texts() -> Vec<(&'static str, Text)> {
    indicators::all().map(|indicator| (indicator.name, Text::of(indicator).unwrap_or_else(|e| panic!("{e}")))).collect()
}

/// The floor of an example, with its figures as what is expected of it.
fn scenario(name: &str, example: &Example) -> Scenario {
    let mut text = example.floor.text.to_owned();
    for figure in &example.figures {
        text.push_str(&format!("expect {figure}\n"));
    }
    read(&format!("{name}.md on {}", example.floor.name), &text)
}

/// All examples of a floor, so that it is played once.
fn scenarios() -> Vec<Scenario> {
    let mut all: BTreeMap<&str, Scenario> = BTreeMap::new();
    for (name, text) in &texts() {
        for example in &text.examples {
            let one = scenario(name, example);
            all.entry(example.floor.name)
                .and_modify(|whole| whole.expectations.extend(one.expectations.iter().cloned()))
                .or_insert(one);
        }
    }
    assert_eq!(all.len(), indicators::floors().len(), "a floor that no example is computed from");
    all.into_values().collect()
}

#[test]
fn every_indicator_has_an_example_that_says_something() {
    for (name, text) in texts() {
        let own = text.examples.iter().flat_map(|example| scenario(name, example).expectations);
        let own: Vec<_> = own.filter(|expected| expected.name.split(' ').next() == Some(name)).collect();
        assert!(own.iter().any(|expected| expected.value.is_some_and(|value| value != 0.0)), "{name}: {own:?}");
        assert!(own.iter().all(|expected| expected.samples.is_some()), "{name}: an example without its samples");
    }
}

#[test]
fn the_figures_of_the_examples_come_out() {
    let mut wrong = Vec::new();
    for scenario in scenarios() {
        let asked = scenario.asked();
        for at in scenario.instants() {
            let lines: Vec<String> = scenario.until(at).into_iter().map(|(_, line)| line).collect();
            let run = backtest_of(&lines, &scenario.every, &scenario.settings, &asked).unwrap();
            let printed = run.printed.get(&at).unwrap_or_else(|| panic!("{}: nothing at {at}", scenario.file));
            let computed = figures(&lines, at, &scenario.settings);
            for expected in scenario.expectations.iter().filter(|expected| expected.at == at) {
                let oracle = computed.get(&expected.name).map(|figure| (figure.value, figure.samples));
                for (who, got) in [("program", printed.get(&expected.name).copied()), ("oracle", oracle)] {
                    let met = got.is_some_and(|(value, samples)| expected.is_met(value, samples));
                    if !met {
                        let (value, samples) = (expected.value, expected.samples);
                        wrong.push(format!("{who}: {} should be {value:?} ({samples:?}), is {got:?}", expected.name));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_text_belongs_to_an_indicator() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/indicators/texts");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|file| file.is_file()) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(indicators::find(&name).is_some(), "{}: of no indicator", file.display());
    }
}

#[cfg(feature = "shell")]
mod with_the_shell {
    use super::*;

    fn explain(arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_atalaya")).arg("explain").args(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    #[test]
    fn the_page_in_the_repository_is_current() {
        let (code, page, _) = explain(&["--format", "markdown"]);
        assert_eq!(code, Some(0));
        assert!(
            page == include_str!("../docs/indicators.md"),
            "docs/indicators.md: CONTRIBUTING.md says how to write it"
        );
    }

    /// Links within the page lead to one of its headings.
    #[test]
    fn links_of_the_page_lead_somewhere() {
        let page = include_str!("../docs/indicators.md");
        let mut headings = BTreeSet::new();
        for heading in page.lines().filter(|line| line.starts_with('#')) {
            let title = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            let anchor: String = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect();
            assert!(headings.insert(anchor), "two headings of one name: {heading}");
        }
        let links: Vec<&str> = page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        assert!(links.len() > 100, "{} links", links.len());
        for link in links {
            assert!(headings.contains(link), "#{link} leads nowhere");
        }
    }

    #[test]
    fn one_is_told_whole_and_all_are_listed() {
        let (_, list, _) = explain(&[]);
        for indicator in indicators::all() {
            assert!(list.contains(&format!("  {} ", indicator.name)), "{} is not listed", indicator.name);
            let (code, told, _) = explain(&[indicator.name]);
            assert_eq!(code, Some(0), "{}", indicator.name);
            for word in ["unit", "formula", "samples", "labels", "metric", "source", "What counts when", "Example"] {
                assert!(told.contains(word), "{}: {word} is missing", indicator.name);
            }
            let prose = told.lines().filter(|line| !line.contains(':') && !line.contains(" # "));
            assert!(prose.clone().all(|line| line.chars().count() <= 100), "{}: a line is too long", indicator.name);
        }
    }

    #[test]
    fn a_name_that_is_none_is_met_with_the_nearest() {
        let (code, out, error) = explain(&["servicelevel"]);
        assert_eq!((code, out.as_str()), (Some(2), ""));
        assert!(error.contains("`servicelevel`: did you mean `service_level`?"), "{error}");
        let (code, _, error) = explain(&["zzzzzzzz"]);
        assert_eq!(code, Some(2));
        assert!(error.contains("`asa`") && error.contains("`state_entries`"), "{error}");
    }

    /// The counters that the texts name are shown of a floor on which all of them count something.
    #[test]
    fn the_metrics_that_are_named_exist() {
        let named: BTreeSet<String> = indicators::all()
            .flat_map(|indicator| indicator.text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
            .filter(|word| word.starts_with("atalaya_sum_"))
            .map(str::to_owned)
            .collect();
        assert!(named.len() >= 20, "{named:?}");
        let shown = sums();
        let missing: Vec<_> = named.difference(&shown).collect();
        assert!(missing.is_empty(), "not on /metrics: {missing:?}");
        // Each sum is told of somewhere.
        let untold: Vec<_> = shown.difference(&named).collect();
        assert!(untold.is_empty(), "in no text: {untold:?}");
    }

    fn sums() -> BTreeSet<String> {
        use atalaya::domain::Timestamp;
        use atalaya::wire::{Decoded, Decoder, Format};
        let mut names = BTreeSet::new();
        for scenario in scenarios() {
            let plan = std::sync::Arc::new(atalaya::plan::Plan::default());
            let mut replay = atalaya::pipeline::Replay::new(plan, Vec::new());
            let decoder = Decoder { format: Format::Canonical, states: BTreeMap::new() };
            let until = *scenario.instants().last().unwrap();
            for (_, line) in scenario.until(until) {
                let Decoded::Event(event) = decoder.decode(line.as_bytes()) else { panic!("{line}") };
                replay.take(&event, &mut |_, _| {});
            }
            replay.run_to(Timestamp(until), &mut |evaluator, _| {
                evaluator.each_sum(&mut |_, sum, _| {
                    let suffix = if sum.unit == indicators::Unit::Seconds { "_seconds" } else { "" };
                    names.insert(format!("atalaya_sum_{}{suffix}_total", sum.name));
                });
            });
        }
        names
    }
}

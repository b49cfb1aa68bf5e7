//! The JSON Schemas against what ships and what is recorded, by a validator that is not ours: all of it must pass, and
//! what the program refuses for its form must not.
#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]
#![allow(clippy::disallowed_methods, reason = "where the recorded day lies is told by the environment")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use atalaya::config::schema;
use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    /// Compiling checks the schema itself against its draft.
    fn new(schema: Value) -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("schema.json", schema).unwrap();
        let index = compiler.compile("schema.json", &mut schemas).unwrap_or_else(|error| panic!("{error:#}"));
        Validator { schemas, index }
    }

    fn judge(&self, value: &Value) -> Result<(), String> {
        self.schemas.validate(value, self.index).map_err(|error| format!("{error:#}"))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let all = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut all: Vec<PathBuf> = all.map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| wanted(&path.file_name().unwrap().to_string_lossy()));
    all.sort();
    all
}

fn yaml(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn all_pass(validator: &Validator, paths: &[PathBuf], least: usize) {
    assert!(paths.len() >= least, "{paths:?}");
    for path in paths {
        validator.judge(&yaml(path)).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    }
}

fn is_test(name: &str) -> bool {
    name.ends_with(".test.yaml")
}

#[test]
fn matrices_that_are_accepted_pass() {
    let matrix = Validator::new(schema::matrix());
    all_pass(&matrix, &files("escalation-matrices", |name| !is_test(name)), 5);
    all_pass(&matrix, &files("src/commands/demo", |name| name.len() == "es.yaml".len() && name.ends_with(".yaml")), 3);
    all_pass(&matrix, &files("tests/data/matrix-test", |_| true), 1);
    // Files with nothing but warnings are accepted too.
    let fixtures = files("tests/data/matrix", |_| true);
    let accepted = fixtures.into_iter().filter(|path| {
        let text = fs::read_to_string(path).unwrap();
        let parsed = serde_saphyr::from_str::<Value>(&text).is_ok();
        parsed && atalaya::config::matrices(&[("m.yaml".to_owned(), text)], None).is_ok()
    });
    // An unquoted `< 0.5` is a text to us, and so is `version: "1"`; both pass here as well.
    all_pass(&matrix, &accepted.collect::<Vec<_>>(), 15);
}

/// Defects of form: an editor marks them before anybody runs `check`.
#[test]
fn matrices_with_a_defect_of_form_are_refused() {
    let matrix = Validator::new(schema::matrix());
    for name in [
        "unknown-key.yaml",
        "unknown-key-of-a-range.yaml",
        "unknown-key-of-the-matrix.yaml",
        "unknown-indicator.yaml",
        "unknown-level.yaml",
        "unknown-language.yaml",
        "unknown-no-data.yaml",
        "unknown-state.yaml",
        "unknown-treatment.yaml",
        "unknown-version.yaml",
        "unknown-window.yaml",
        "unknown-day.yaml",
        "no-version.yaml",
        "no-goal.yaml",
        "no-ranges.yaml",
        "no-window.yaml",
        "window-on-an-instant-indicator.yaml",
        "label-that-the-indicator-has-not.yaml",
        "min-samples-on-a-count.yaml",
        "stage-without-default.yaml",
        "state-without-default.yaml",
        "duration-without-a-unit.yaml",
        "contact-without-a-medium.yaml",
        "contact-with-a-dot.yaml",
        "not-a-mail-address.yaml",
        "not-a-range.yaml",
        "rows-that-are-none.yaml",
        "list-instead-of-a-matrix.yaml",
        "configuration-instead-of-a-matrix.yaml",
    ] {
        let value = yaml(&root().join("tests/data/matrix").join(name));
        assert!(matrix.judge(&value).is_err(), "{name} passes");
    }
}

#[test]
fn configurations_pass_and_their_slips_do_not() {
    let config = Validator::new(schema::config());
    for path in [
        "config/default.yaml",
        "deploy/atalaya.yaml",
        "tests/data/config/valid-contract.yaml",
        "src/commands/demo/config.yaml",
    ] {
        all_pass(&config, &[root().join(path)], 1);
    }
    for text in [
        "interval: 20m",
        "lateness: 24",
        "kafka: { broker: [a:1] }",
        "channels: { chat: { answer: replied } }",
        "agent_states: { almuerzo: lunch }",
        "smtp: { url: \"smtp://a:25\", from: a@b }",
        "webhooks: { desk: { url: \"https://a\", secret: whsec_ } }",
        "rows: []",
        "limits: { keys: 0 }",
    ] {
        assert!(config.judge(&serde_saphyr::from_str(text).unwrap()).is_err(), "{text} passes");
    }
}

#[test]
fn tests_of_matrices_pass_and_their_slips_do_not() {
    let test = Validator::new(schema::matrix_test());
    all_pass(&test, &files("escalation-matrices", is_test), 5);
    for text in [
        "tests: []",
        "tests: [{ name: t }]",
        "tests: [{ name: t, series: { asa: 1m }, expects: [{ at: 1m, level: ok }] }]",
        "tests: [{ name: t, series: { asa: 1m }, expect: [{ at: 1m, level: bad }] }]",
        "tests: [{ name: t, series: { asa: 1m }, expect: [{ level: ok }] }]",
    ] {
        assert!(test.judge(&serde_saphyr::from_str(text).unwrap()).is_err(), "{text} passes");
    }
}

/// Of records that the decoder refuses, those that a schema cannot tell from good ones: a pattern knows no calendar and
/// JSON no difference between 1 and 1.0, and which states there are is the configuration's.
const BEYOND_A_SCHEMA: [&str; 8] = [
    "bad_time--beyond-64-bits",
    "bad_time--float-that-is-whole",
    "bad_time--nanoseconds",
    "bad_time--no-such-day",
    "bad_time--year-9999",
    "unknown_state--class-in-capitals",
    "unknown_state--elsewhere-is-no-state",
    "unknown_state--not-mapped",
];

#[test]
fn events_that_are_read_pass_and_those_refused_for_their_form_do_not() {
    let events = Validator::new(schema::events());
    let parsed = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).ok();
    let good = files("tests/data/wire/good", |_| true);
    assert!(good.len() > 30);
    let mut wrong = Vec::new();
    for path in &good {
        // One holds a number that no type can hold, in a field that nobody reads.
        let Some(value) = parsed(path) else { continue };
        if let Err(why) = events.judge(&value) {
            wrong.push(format!("{}: {why}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut passed = BTreeSet::new();
    for path in files("tests/data/wire/bad", |_| true) {
        // What is no JSON at all is nothing for a schema.
        if parsed(&path).is_some_and(|value| events.judge(&value).is_ok()) {
            passed.insert(path.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    assert_eq!(
        passed,
        BEYOND_A_SCHEMA.into_iter().map(str::to_owned).collect(),
        "refused by the decoder and not by the schema"
    );
}

#[test]
fn simulated_and_recorded_events_pass() {
    let events = Validator::new(schema::events());
    let judge = |line: &str| {
        let value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        events.judge(&value).unwrap_or_else(|why| panic!("{line}: {why}"));
    };
    let start = atalaya::domain::Timestamp(1_795_361_520_000);
    let simulated = atalaya::sim::Simulation::new(atalaya::sim::Settings::new(7, start));
    assert_eq!(simulated.take(5_000).inspect(|event| judge(&event.json)).count(), 5_000);
    let beside = root().join("../shared/data");
    let folder = std::env::var("ATALAYA_TEST_DATA").map_or(beside, PathBuf::from);
    match fs::read_to_string(folder.join("technion-1999-08-01.ndjson")) {
        Ok(text) => assert!(text.lines().take(20_000).inspect(|line| judge(line)).count() > 1_000),
        Err(_) => eprintln!("skipped: no recorded day in ../shared/data nor in $ATALAYA_TEST_DATA"),
    }
}

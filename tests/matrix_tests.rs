//! `atalaya test`: unit tests that people write beside a matrix. What a bad file is told, what a failing test shows, and
//! that the tests which ship pass.
#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};

use atalaya::commands::Failure;
use atalaya::commands::test::{Test, examine};
use atalaya::config::Diagnostic;
use atalaya::config::matrix_test::{Draft, MatrixTest};

const CARE: &str = include_str!("data/matrix-test/care.yaml");

fn compile(text: &str) -> Result<Vec<MatrixTest>, Vec<Diagnostic>> {
    let set = atalaya::config::matrices(&[("care.yaml".to_owned(), CARE.to_owned())], None).unwrap();
    Draft::read("care.test.yaml", text)?.compile(&set)
}

/// Runs a test file beside the matrix above, in a folder of its own.
fn run(text: &str) -> (Vec<String>, Result<String, Failure>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("care.yaml"), CARE).unwrap();
    fs::write(folder.path().join("care.test.yaml"), text).unwrap();
    let (said, result) = examine(&Test { config: None, paths: vec![folder.path().to_owned()] });
    let clean = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
    let result = match result {
        Ok(text) => Ok(clean(text)),
        Err(Failure::User(text)) => Err(Failure::User(clean(text))),
        Err(Failure::Run(text)) => Err(Failure::Run(clean(text))),
    };
    (said.into_iter().map(clean).collect(), result)
}

#[test]
fn the_tests_that_ship_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("escalation-matrices");
    let matrices = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let matrices: Vec<PathBuf> = matrices.filter(|path| !path.display().to_string().ends_with(".test.yaml")).collect();
    assert!(matrices.len() >= 5);
    // Named one by one, so that a matrix without tests is missed.
    let (said, result) = examine(&Test { config: None, paths: matrices });
    assert!(result.is_ok(), "{result:?}\n{}", said.join("\n"));
}

#[test]
fn every_defect_of_a_test_file_is_named_in_its_place() {
    let test = |keys: &str| format!("tests:\n  - {{ name: t, queue: sales, channel: chat, {keys} }}\n");
    let fed = |expect: &str| test(&format!("series: {{ asa: 40m x5 }}, expect: [{expect}]"));
    let meanwhile =
        |act: &str| test(&format!("series: {{ asa: 40m x5 }}, meanwhile: [{act}], expect: [{{ at: 1m, told: [] }}]"));
    let mut wrong = Vec::new();
    for (text, expected) in [
        ("tests: []\n".to_owned(), "1:8: `tests` must be a list of at least one test"),
        (format!("name: x\n{}", fed("{ at: 1m, level: ok }")), "1:1: unknown key `name` in a file of tests"),
        (test("series: { asa: 40m }"), "2:5: a test has no `expect`"),
        (test("expect: [{ at: 1m, told: [] }]"), "2:5: a test has neither `series` nor `events`"),
        (
            test("series: { asa: 40m }, events: a.ndjson, expect: [{ at: 1m, told: [] }]"),
            "2:75: a test has `series` or",
        ),
        (test("series: { asaa: 40m }, expect: [{ at: 1m, told: [] }]"), "2:55: the matrix has no row `asaa`"),
        (
            test("series: { service_level: 80% }, expect: [{ at: 1m, told: [] }]"),
            "2:55: `service_level` fits several rows",
        ),
        (
            test("series: { asa: 40 x5 }, expect: [{ at: 1m, level: ok }]"),
            "2:60: series of `asa`: `40` is in the wrong unit",
        ),
        (
            test("series: { asa: 40m y5 }, expect: [{ at: 1m, level: ok }]"),
            "2:60: series of `asa`: `40m y5`: `y5` is no number of steps",
        ),
        (
            test("series: { asa: 40m/half }, expect: [{ at: 1m, level: ok }]"),
            "2:60: series of `asa`: `half` is no number of samples",
        ),
        (
            test("series: { asa: 10m x5, 40m x5 }, expect: [{ at: 1m, level: ok }]"),
            "2:68: the series `40m x5` has no values",
        ),
        (
            test("step: 500ms, series: { asa: 40m }, expect: [{ at: 1m, level: ok }]"),
            "2:51: `step: 500ms` is too short",
        ),
        (
            test("start: yesterday, series: { asa: 40m }, expect: [{ at: 1m, level: ok }]"),
            "2:52: `start: yesterday` is not a time",
        ),
        (fed("{ level: ok }"), "an expectation has no `at`"),
        (fed("{ at: 1m }"), "an expectation expects nothing"),
        (fed("{ at: 1ms, level: ok }"), "`at: 1ms` is not a whole second"),
        (fed("{ at: 40d, level: ok }"), "`at` lies before the start of the test or more than 31d after it"),
        (fed("{ at: 1m, level: bad }"), "`level` cannot be `bad`"),
        (fed("{ at: 1m, told: [boss] }"), "unknown contact `boss`"),
        (fed("{ at: 1m, told: [lead.webhook] }"), "the contact `lead` has no medium `webhook`"),
        (fed("{ at: 1m, text: x }"), "`reason` and `text` are of notices"),
        (fed("{ at: 1m, level: ok, channel: voice }"), "the row `asa 15m` is not about sales/voice"),
        (
            test("events: [{ at: 1m, type: x }], expect: [{ at: 1m, level: ok }]"),
            "`level` of which row? The test feeds several",
        ),
        (test("events: [{ type: x }], expect: [{ at: 1m, told: [] }]"), "an event has no `at`"),
        (meanwhile("{ acknowledge: {} }"), "a line of `meanwhile` has no `at`"),
        (meanwhile("{ at: 40d, acknowledge: {} }"), "`at` lies before the start"),
        (meanwhile("{ at: 1m }"), "write one of `acknowledge`, `silence` and `feed`"),
        (meanwhile("{ at: 1m, feed: live, acknowledge: {} }"), "write one of `acknowledge`, `silence` and `feed`"),
        (meanwhile("{ at: 1m, feed: dead }"), "`feed` cannot be `dead`"),
        (meanwhile("{ at: 1m, feed: live, of: chat }"), "`of` cannot be `chat`"),
        (meanwhile("{ at: 1m, acknowledge: {}, of: agents }"), "`of` is of a `feed`"),
        (meanwhile("{ at: 1m, acknowledge: { by: ana } }"), "unknown key `by` in `acknowledge`"),
        (meanwhile("{ at: 1m, acknowledge: { row: aht } }"), "the matrix has no row `aht`"),
        (meanwhile("{ at: 1m, acknowledge: { for: 1m, until: 5m } }"), "`until` or `for`, not both"),
        (meanwhile("{ at: 5m, silence: { until: 5m } }"), "it would be over before it begins"),
        (meanwhile("{ at: 5m, silence: { queue: sales } }"), "the silence has no end"),
        (meanwhile("{ at: 5m, silence: { for: 5m, queue: \"[a\" } }"), "pattern `[a` is not valid"),
        (
            test(
                "events: [{ at: 1m, type: x }], meanwhile: { at: 1m, acknowledge: {} }, expect: [{ at: 1m, told: [] }]",
            ),
            "the incident of which row? The test feeds several",
        ),
        (
            "tests: [{ name: t, series: { service_level 1h: 1 }, expect: [{ at: 1m, level: ok }] }]\n".to_owned(),
            "is a case of each queue, and the test names none",
        ),
    ] {
        let defects = compile(&text).expect_err(&text);
        let shown: Vec<String> = defects.iter().map(|d| format!("{}:{}: {}", d.line, d.column, d.what)).collect();
        if defects.len() != 1 || !shown[0].contains(expected) {
            wrong.push(format!("{text}  expected {expected}\n  got {shown:#?}"));
        }
        assert!(defects[0].to_string().starts_with("care.test.yaml:"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn events_that_are_none_of_ours_are_the_files_fault() {
    for (event, expected) in [
        ("type: interaction.queud, interaction: a", "3:15: error: the event's `type` is none of ours"),
        ("type: interaction.queued, interaction: a", "3:15: error: the event is refused as `missing_field`"),
        ("type: agent.state, agent: ana, state: lunch, queues: [], channels: []", "refused as `unknown_state`"),
    ] {
        let (said, result) = run(&format!(
            "tests:\n  - name: t\n    events: [ {{ at: 1m, {event} }} ]\n    expect: [{{ at: 2m, told: [] }}]\n"
        ));
        assert!(matches!(&result, Err(Failure::User(why)) if why.contains(expected)), "{event}: {result:?}");
        assert_eq!(said, ["WRONG: care.test.yaml: not every test could be run"]);
    }
    let (_, result) = run("tests: [{ name: t, events: none.ndjson, expect: [{ at: 2m, told: [] }] }]\n");
    assert!(
        matches!(&result, Err(Failure::User(why)) if why.contains("1:9: error: cannot read none.ndjson")),
        "{result:?}"
    );
}

#[test]
fn a_series_lasts_a_step_for_each_value_and_its_last_goes_on() {
    let text = |series: &str, expect: &str| {
        format!("tests: [{{ name: t, series: {{ asa: \"{series}\" }}, step: 30s, expect: [{expect}] }}]\n")
    };
    for (series, expect, passes) in [
        // The fifth value begins at 2 min, and `for` is met 2 min later.
        ("10m x4, 40m x5", "{ at: 3m59s, level: ok }, { at: 4m, level: warning, told: [lead] }", true),
        ("10m x4, 40m x5", "{ at: 3m59s, level: warning }", false),
        ("10m x4, 40m", "{ at: 4m, level: warning }", true),
        // Null and too few samples: `for` stands.
        ("40m x2, _ x2, 40m x9", "{ at: 2m59s, level: ok }, { at: 3m, level: warning }", true),
        ("40m/9", "{ at: 10m, level: ok, told: [] }", true),
        ("40m/10", "{ at: 2m, level: warning }", true),
        // Surplus and missing notices both fail; a medium may be named.
        ("50m", "{ at: 1m, told: [lead] }", false),
        ("50m", "{ at: 1m, told: [lead, desk.email] }", false),
        ("50m", "{ at: 1m, told: [lead, desk.email, desk.webhook] }", true),
        ("50m", "{ at: 1m, told: [lead, desk, manager] }", false),
        // Each `told` is of what came after the one before.
        (
            "50m",
            "{ at: 1m, told: [lead, desk] }, { at: 9m, told: [] }, { at: 10m, told: [manager], reason: escalation }",
            true,
        ),
        ("50m", "{ at: 10m, told: [lead, desk, manager], reason: escalation }", false),
        ("40m", "{ at: 5m, told: [lead], text: [40 min, Call agents back to sales] }", true),
        ("40m", "{ at: 5m, told: [lead], text: Call agents back to support }", false),
    ] {
        let (said, result) = run(&text(series, expect));
        assert_eq!(result.is_ok(), passes, "{series} {expect}: {result:?}\n{}", said.join("\n"));
        assert!(passes || matches!(result, Err(Failure::Run(_))), "{result:?}");
    }
}

#[test]
fn escalation_over_missing_values_asks_the_series_of_those_who_wait() {
    for (waiting, told) in [("waiting: 3", "[manager]"), ("waiting: 0", "[]")] {
        let (said, result) = run(&format!(
            "tests: [{{ name: t, series: {{ asa: \"50m x2, _\", {waiting} }}, \
             expect: [{{ at: 9m, told: [lead, desk] }}, {{ at: 12m, told: {told} }}] }}]\n"
        ));
        assert!(result.is_ok(), "{waiting}: {}", said.join("\n"));
    }
}

/// Of two feeds that are dead one lives again: the other one's incident is as bad as before.
#[test]
fn the_row_of_the_feeds_is_as_bad_as_the_worst_of_them() {
    let (said, result) =
        run("queue: sales\nchannel: chat\ntests:\n  - name: two feeds\n    series: { asa: 10m x20 }\n    \
        meanwhile: [{ at: 5m, feed: silent }, { at: 8m, feed: live, of: interactions }, { at: 11m, feed: live }]\n    \
        expect: [{ at: 9m, row: feed, level: critical }, { at: 12m, row: feed, level: ok }]\n");
    assert!(result.is_ok(), "{result:?}\n{}", said.join("\n"));
}

/// Acknowledgements, silences and feeds: with a series and with events.
#[test]
fn what_people_do_meanwhile_holds_notices_and_what_feeds_do_freezes_cases() {
    let events = "events: [{ at: 0s, type: interaction.queued, interaction: \"c{n}\", queue: sales, channel: chat, times: 12 }, \
                  { at: 50m, type: interaction.replied, interaction: \"c{n}\", agent: ana, times: 12 }]";
    let series = "series: { asa: \"1m x50, 50m\" }";
    let told = "{ row: asa, at: 51m, level: critical, told: [lead, desk] }";
    let frozen = "{ row: asa, at: 55m, level: ok, told: [] }";
    for (input, meanwhile, expect) in [
        // Untouched: the manager ten minutes after.
        (series, "", format!("{told}, {{ at: 60m, told: [manager], reason: escalation }}")),
        // Taken up in the very second of the alert; after twenty minutes the ten go on from where they stood.
        (
            series,
            "{ at: 50m, acknowledge: { who: ana, why: I call them, for: 20m } }",
            format!("{told}, {{ at: 79m58s, told: [] }}, {{ at: 80m1s, told: [manager], reason: escalation }}"),
        ),
        (
            series,
            "{ at: 51m, acknowledge: { row: asa, until: 70m } }",
            format!("{told}, {{ at: 78m58s, told: [] }}, {{ at: 79m1s, told: [manager] }}"),
        ),
        (
            events,
            "{ at: 51m, acknowledge: { row: asa, for: 4m } }",
            format!("{told}, {{ row: asa, at: 63m, told: [] }}"),
        ),
        // Planned before, and over while it fires.
        (
            series,
            "{ at: 0s, silence: { from: 40m, for: 20m, queue: sales, why: drill } }",
            "{ at: 59m59s, level: critical, told: [] }, { at: 60m, told: [lead, desk], reason: silence_ended }"
                .to_owned(),
        ),
        (series, "{ at: 50m, silence: { until: 60m } }", "{ at: 59m59s, level: critical, told: [] }".to_owned()),
        (series, "{ at: 40m, silence: { until: 60m, queue: support } }", told.to_owned()),
        (series, "{ at: 40m, silence: { until: 60m, level: warning } }", told.to_owned()),
        (
            events,
            "{ at: 40m, silence: { for: 15m, indicator: asa } }",
            "{ row: asa, at: 54m, told: [] }, { row: asa, at: 55m, told: [lead, desk] }".to_owned(),
        ),
        // Nobody judges a feed that is dead; the owner hears of it.
        (
            series,
            "{ at: 40m, feed: silent, of: interactions }, { at: 70m, feed: live }",
            format!(
                "{{ at: 40m, row: feed, level: critical, told: [desk], reason: feed }}, {frozen}, \
                 {{ at: 70m, row: feed, level: ok, told: [desk], reason: recovered }}, \
                 {{ at: 70m, level: critical, told: [lead, desk] }}"
            ),
        ),
        (series, "{ at: 40m, feed: lagging }", frozen.to_owned()),
        (series, "{ at: 40m, feed: lagging, of: agents }", told.to_owned()),
        (
            events,
            "{ at: 40m, feed: lagging, of: interactions }, { at: 56m, feed: live }",
            format!("{frozen}, {}", told.replace("51m", "56m")),
        ),
    ] {
        let (said, result) = run(&format!(
            "queue: sales\nchannel: chat\ntests:\n  - name: t\n    {input}\n    meanwhile: [{meanwhile}]\n    expect: [{expect}]\n"
        ));
        assert!(result.is_ok(), "{input}\n{meanwhile}\n{result:?}\n{}", said.join("\n"));
    }
}

#[test]
fn a_start_is_local_and_hours_count() {
    for (start, level) in
        [("2026-01-05 21:59", "critical"), ("2026-01-05 22:00", "ok"), ("2026-01-05T22:00:00Z", "critical")]
    {
        let (said, result) = run(&format!(
            "start: {start}\ntests: [{{ name: t, series: {{ asa: 50m }}, expect: [{{ at: 30s, level: {level} }}] }}]\n"
        ));
        assert!(result.is_ok(), "{start}: {}", said.join("\n"));
    }
}

/// What people read of a test that fails: it is their way to the cause.
#[test]
fn a_failure_shows_expected_and_got_side_by_side() {
    let (said, result) = run(r#"
queue: support
channel: chat
tests:
  - name: A stuck queue is told to the lead and then to the desk
    series:
      asa: 10m x5, 40m x10, 50m x20
    expect:
      - { at: 6m, level: ok, told: [] }
      - { at: 7m, level: critical, told: [lead, desk], text: [40 min, "Call everybody back"] }
      - { at: 26m, told: [manager], reason: repeat }
  - name: Events go through the whole pipeline
    events:
      - { at: 0s, type: interaction.arrived, interaction: "c{n}", queue: sales, channel: chat, times: 12, every: 5s }
      - { at: 0s, type: interaction.queued, interaction: "c{n}", queue: sales, channel: chat, times: 12, every: 5s }
      - { at: 31m, type: interaction.replied, interaction: "c{n}", agent: ana, times: 12, every: 1s }
    expect:
      - { at: 33m, row: asa, queue: sales, level: warning }
      - { at: 35m, row: asa, queue: sales, level: ok, told: [manager] }
  - name: Nobody can take up what is not open, and a silence holds
    series: { asa: "10m x5, 50m x20" }
    meanwhile:
      - { at: 2m, acknowledge: { who: ana } }
      - { at: 4m, silence: { who: eva, for: 30m } }
      - { at: 6m, feed: silent, of: interactions }
    expect:
      - { at: 5m, level: critical, told: [lead, desk] }
      - { at: 7m, row: feed, level: ok }
  - name: This one passes
    series: { service_level 24h: 90% }
    expect: [{ at: 5m, level: ok, told: [] }]
"#);
    assert!(matches!(&result, Err(Failure::Run(why)) if why == "3 of 4 tests failed"), "{result:?}");
    insta::assert_snapshot!("failing_tests", said.join("\n\n"));
}

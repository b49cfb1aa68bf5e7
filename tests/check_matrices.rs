//! Matrix files, good and bad, as text: what is reported of each, and what the good ones compile to.
//!
//! A fixture says in its first lines what must be reported, one comment each: `# error LINE:COLUMN what it begins with`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use atalaya::config::{self, Diagnostic, MatrixSet};
use atalaya::domain::{Key, Millis};
use atalaya::indicators::{State, Treatment};
use atalaya::matrix::{By, Language, Level, Medium, NoData, Per};
use atalaya::plan::WindowKind;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/matrix")
}

fn read(name: &str) -> String {
    fs::read_to_string(fixtures().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn compile(name: &str, text: &str) -> Result<MatrixSet, Vec<Diagnostic>> {
    config::matrices(&[(name.to_owned(), text.to_owned())], None)
}

fn said(name: &str, text: &str) -> Vec<Diagnostic> {
    compile(name, text).map_or_else(|defects| defects, |set| set.warnings)
}

#[test]
fn every_fixture_gives_exactly_its_expected_diagnostics() {
    let mut names: Vec<String> = fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with("valid-"))
        .collect();
    names.sort();
    assert!(names.len() > 80, "{}", names.len());
    let mut wrong = Vec::new();
    let mut shown = String::new();
    for name in &names {
        let text = read(name);
        let expected: Vec<&str> = text
            .lines()
            .map_while(|line| line.strip_prefix("# "))
            .filter(|line| line.starts_with("error ") || line.starts_with("warning "))
            .collect();
        let said = said(name, &text);
        for diagnostic in &said {
            shown.push_str(&format!("{diagnostic}\n"));
        }
        shown.push('\n');
        let got: Vec<String> = said
            .iter()
            .map(|d| format!("{:?} {}:{} {}", d.severity, d.line, d.column, d.what))
            .map(|line| line.replacen("Error", "error", 1).replacen("Warning", "warning", 1))
            .collect();
        let fits = got.len() == expected.len()
            && got.iter().zip(&expected).all(|(got, expected)| {
                let (place, what) =
                    expected.match_indices(' ').nth(1).map_or((*expected, ""), |(i, _)| expected.split_at(i));
                got.starts_with(&format!("{place} ")) && got.contains(what.trim())
            });
        if expected.is_empty() || !fits {
            wrong.push(format!("{name}\n  expected {expected:#?}\n  got {got:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What people read, word for word: a change here is a change that users see.
    insta::assert_snapshot!("messages", shown);
}

#[test]
fn each_named_defect_has_its_word() {
    for (beginning, word) in [
        ("gap-", "gap"),
        ("overlap-", "overlap"),
        ("clash-", "clash"),
        ("unit-", "unit"),
        ("goal-", "goal"),
        ("duplicate-", "duplicate"),
        ("template-", "template"),
    ] {
        let mut count = 0;
        for entry in fs::read_dir(fixtures()).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            if name.starts_with(beginning) {
                count += 1;
                let said = said(&name, &read(&name));
                assert!(said.iter().all(|d| d.what.contains(word)), "{name}: {said:?}");
                assert!(said.iter().all(|d| d.to_string().starts_with(&format!("{name}:{}:{}: ", d.line, d.column))));
            }
        }
        assert!(count > 0, "{beginning}");
    }
}

#[test]
fn the_matrix_of_the_documentation_compiles_as_it_stands() {
    let set = compile("m.yaml", &read("valid-contract.yaml")).unwrap();
    let matrix = &set.matrices[0];
    assert_eq!((&*matrix.name, matrix.language, matrix.rows.len()), ("facebook-care", Language::Es, 2));
    assert_eq!(matrix.zone.iana_name(), Some("America/Bogota"));
    assert_eq!(matrix.owner.as_ref().map(|owner| &*owner.contact), Some("desk"));
    let asa = &matrix.rows[0];
    assert_eq!(asa.scope.literal_pairs(), [Key::pair("reclamos", "facebook"), Key::pair("soporte", "facebook")]);
    assert!(!asa.scope.covers(&Key::pair("vip", "facebook")));
    assert_eq!((asa.min_samples, asa.recover.margin, asa.recover.hold), (10.0, 120.0, Millis::MINUTE));
    let levels: Vec<_> = asa.ranges.iter().map(|r| (&*r.bounds.text, r.level, r.hold)).collect();
    let two = Millis(120_000);
    assert_eq!(
        levels,
        [
            ("< 30m", Level::Ok, Millis::ZERO),
            ("30m .. 45m", Level::Warning, two),
            (">= 45m", Level::Critical, Millis::ZERO)
        ]
    );
    assert_eq!((asa.ack_for, asa.flapping.changes, asa.flapping.within), (Millis(4 * 3_600_000), 6, Millis::HOUR));
    let critical = &asa.ranges[2];
    assert_eq!(critical.tell.iter().map(|r| &*r.contact).collect::<Vec<_>>(), ["lead", "desk"]);
    assert_eq!((critical.escalate[0].after, critical.repeat), (Millis(600_000), Some(Millis(1_800_000))));
    assert_eq!(asa.calendar.shifts.as_ref().map(Vec::len), Some(11));
    assert!(matrix.rows[1].ranges[2].bounds.contains(0.88) && !matrix.rows[1].ranges[1].bounds.contains(0.88));
    let warnings: Vec<_> = set.warnings.iter().map(|d| d.what.as_str()).collect();
    assert_eq!(warnings, ["scheduled reports are checked and not sent by this version"]);
}

#[test]
fn every_accepted_form_means_what_it_says() {
    let set = compile("m.yaml", &read("valid-every-key.yaml")).unwrap_or_else(|d| panic!("{d:#?}"));
    let matrix = &set.matrices[0];
    assert_eq!(matrix.language, Language::Pt);
    assert_eq!(matrix.owner.as_ref().map(|o| (&*o.contact, o.medium)), Some(("lead", Some(Medium::Email))));
    assert_eq!(matrix.contacts["night"], matrix.contacts["boss"]);

    let level = &matrix.rows[0];
    assert_eq!(
        (level.per, level.threshold, level.treatment),
        (Per::Channel, Some(Millis(2_700_000)), Some(Treatment::AbandonsMet))
    );
    assert_eq!(level.window, Some(WindowKind::Sliding(Millis(2_700_000))));
    assert_eq!((level.settle, level.recover.margin, level.recover.hold), (Millis(300_000), 0.025, Millis::ZERO));
    // The row's own, with the default of what it leaves out; the others have the matrix's.
    let flapping = |row: usize| (matrix.rows[row].flapping.changes, matrix.rows[row].flapping.within);
    assert_eq!((level.ack_for, flapping(0)), (Millis(2_700_000), (10, Millis::HOUR)));
    let groups: Vec<_> = matrix.rows.iter().map(|row| row.group.map(|group| (group.by, group.wait))).collect();
    assert_eq!(groups, [Some((By::Queue, Millis(45_000))), None, Some((By::Row, Millis(20_000)))]);
    assert_eq!((matrix.rows[1].ack_for, flapping(1)), (Millis(7_200_000), (4, Millis(1_800_000))));
    assert!(level.goal.contains(1.0) && level.goal.contains(0.8) && !level.goal.contains(0.79));
    // Sorted from the lowest values to the highest.
    let order: Vec<_> = level.ranges.iter().map(|r| &*r.bounds.text).collect();
    assert_eq!(order, ["< 0.5", "50% .. 0.8", "0.8 .. 1"]);
    let warning = &level.ranges[1];
    assert_eq!(warning.hold, Millis(90_000));
    assert_eq!(warning.tell[0].medium, Some(Medium::Webhook));
    assert_eq!(warning.escalate.iter().map(|s| s.after.0 / 60_000).collect::<Vec<_>>(), [10, 20]);
    // `owner` in a list is the matrix's owner.
    assert_eq!(level.ranges[0].tell, [matrix.owner.clone().unwrap()]);
    assert!(
        matches!(&level.no_data, NoData::Raise { level: Level::Critical, hold: Millis(120_000), tell, action: Some(_) } if tell.len() == 1)
    );
    assert_eq!(level.calendar.shifts.as_ref().map(|s| (s.len(), s[0].from, s[0].to)), Some((1, 1200, 1560)));

    let agents = &matrix.rows[1];
    assert_eq!((agents.window, agents.state, agents.per), (None, Some(State::Connected), Per::Pair));
    assert!(
        matches!(&agents.no_data, NoData::Raise { level: Level::Warning, tell, .. } if tell[0].medium == Some(Medium::Email))
    );
    let time = &matrix.rows[2];
    assert_eq!(
        (time.state, time.min_samples, time.window),
        (Some(State::Unproductive), 1800.0, Some(WindowKind::LastInterval))
    );
    assert!(matches!(time.no_data, NoData::Ok));

    // The window and the threshold that no one had are in the plan, named as the row names them.
    let window =
        set.plan.window_index(WindowKind::Sliding(Millis(2_700_000))).map(|i| set.plan.windows[i].label.to_string());
    assert_eq!(window.as_deref(), Some("45m"));
    let index = set.plan.threshold_index(Millis(2_700_000)).unwrap();
    assert_eq!(&*set.plan.thresholds[index].label, "45m");
    assert!(set.plan.channel("facebook").thresholds.contains(&index));
    assert!(!set.plan.channel("whatsapp").thresholds.contains(&index));
}

/// What a row names is measured in its scope, also where another channel lists the threshold.
#[test]
fn a_named_threshold_is_measured_in_every_channel_of_the_scope() {
    let measured = |set: &MatrixSet, channel: &str| {
        let of = set.plan.channel(channel);
        let index = set.plan.threshold_index(Millis::seconds(20));
        (of.thresholds.iter().any(|t| Some(*t) == index), of.unlisted.iter().any(|t| Some(*t) == index))
    };
    for (keys, chat, facebook, warned) in [
        ("threshold: 20s", (true, true), (true, true), false),
        ("threshold: 20s, per: all", (true, true), (true, true), false),
        ("threshold: 20s, per: channel, scope: { channel: \"!facebook\" }", (true, true), (false, false), false),
        ("threshold: 20s, scope: { channel: chat }", (true, true), (false, false), true),
        ("threshold: 20s, scope: { channel: [chat, \"f*\"] }", (true, true), (true, true), true),
        ("threshold: 20s, scope: { channel: voice }", (false, false), (false, false), false),
        ("treatment: offered", (false, false), (false, false), false),
    ] {
        let text = format!(
            "version: 1\nname: m\nrows: [{{ indicator: service_level, window: 15m, {keys}, goal: \"> 0.8\", \
             ranges: [{{ when: \"< 0.8\", level: info }}, {{ when: \">= 0.8\", level: ok }}] }}]\n"
        );
        let set = compile("m.yaml", &text).unwrap_or_else(|d| panic!("{keys}: {d:#?}"));
        assert_eq!((measured(&set, "chat"), measured(&set, "facebook")), (chat, facebook), "{keys}");
        assert_eq!(set.warnings.iter().any(|d| d.what.contains("threshold `20s`")), warned, "{keys}");
        assert_eq!(&*set.plan.thresholds[set.plan.channel("chat").thresholds[0]].label, "60s", "{keys}");
    }
}

#[test]
fn a_row_on_the_desks_clock_has_it_kept_in_its_channels() {
    let row = |keys: &str| {
        format!(
            "version: 1\nname: m\nrows: [{{ indicator: asa, window: 15m, clock: open, {keys}goal: \"< 1m\", \
             ranges: [{{ when: \"< 1m\", level: ok }}, {{ when: \">= 1m\", level: info }}] }}]\n"
        )
    };
    for (keys, kept) in [
        ("", [true, true, true]),
        ("scope: { channel: chat }, ", [true, false, false]),
        ("scope: { channel: [\"*\", \"!chat\"] }, ", [false, true, true]),
        ("per: all, ", [true, true, true]),
    ] {
        let set = compile("m.yaml", &row(keys)).unwrap_or_else(|d| panic!("{keys}: {d:#?}"));
        let channels = ["chat", "facebook", "voice"].map(|channel| set.plan.open_time_of(channel));
        // Without hours the desk is always open.
        assert_eq!(channels, kept.map(|kept| kept.then_some(0)), "{keys}");
        assert!(set.warnings.is_empty(), "{keys}: {:?}", set.warnings);
    }
}

/// What a running service counts by is the same set of things: it must not refuse rows that have only changed places.
#[test]
fn the_order_of_rows_changes_nothing_of_what_is_counted() {
    let row = |text: &str| {
        format!(
            "  - {{ {text}, goal: \"> 0.5\", ranges: [{{ when: \"> 0.5\", level: ok }}, {{ when: \"<= 0.5\", level: info }}] }}\n"
        )
    };
    let mut rows = [
        "indicator: service_level, window: 40m, threshold: 45m, scope: { channel: facebook }",
        "indicator: service_level, window: 20m, threshold: 50s, scope: { channel: \"f*\" }",
        "indicator: service_level, window: 2h, threshold: 40s, clock: open, scope: { channel: chat }",
        "indicator: service_level, window: 90m, threshold: 31m, clock: open, scope: { channel: \"w*\" }",
    ]
    .map(row);
    let read = |rows: &[String]| {
        let set = compile("m.yaml", &format!("version: 1\nname: m\nrows:\n{}", rows.concat())).unwrap();
        let windows: Vec<String> = set.plan.windows.iter().map(|window| window.label.to_string()).collect();
        (set.plan.figures_fingerprint(), windows)
    };
    let before = read(&rows);
    let named = ["interval", "last_interval", "today"];
    assert_eq!(before.1, [&["5m", "15m", "30m", "1h", "24h", "20m", "40m", "90m", "2h"][..], &named].concat());
    rows.reverse();
    assert_eq!(read(&rows), before);
    rows.swap(0, 2);
    assert_eq!(read(&rows), before);
    assert_ne!(read(&rows[1..]).0, before.0, "one row less is another set");
}

#[test]
fn rows_that_never_meet_are_different_cases() {
    let row = |key: &str| {
        format!(
            "  - {{ indicator: asa, window: 15m, goal: \"< 1m\", {key}ranges: [{{ when: \"< 1m\", level: ok }}, {{ when: \">= 1m\", level: info }}] }}\n"
        )
    };
    for (a, b, same) in [
        ("", "", true),
        ("scope: { queue: a }, ", "scope: { queue: b }, ", false),
        ("scope: { queue: \"re*\" }, ", "scope: { queue: [\"*\", \"!re*\"] }, ", false),
        ("scope: { queue: \"re*\" }, ", "scope: { queue: \"*os\" }, ", true),
        ("scope: { channel: x }, ", "scope: { queue: a }, ", true),
        ("per: all, ", "", false),
        ("hours: { mon: \"08:00-12:00\" }, ", "hours: { mon: \"12:00-18:00\" }, ", false),
        ("hours: { sun: \"22:00-02:00\" }, ", "hours: { mon: \"01:00-03:00\" }, ", true),
        ("hours: { sun: \"22:00-02:00\" }, ", "", true),
        ("clock: elapsed, ", "", true),
        ("clock: open, ", "", false),
    ] {
        let text = format!("version: 1\nname: m\nrows:\n{}{}", row(a), row(b));
        let found = said("m.yaml", &text).iter().any(|d| d.what.contains("duplicate row"));
        assert_eq!(found, same, "{a} | {b}");
    }
}

#[test]
fn without_a_configuration_webhooks_have_any_name() {
    let files = [("m.yaml".to_owned(), read("valid-contract.yaml"))];
    let defaults = config::load("", "", &Default::default(), None).unwrap();
    let said = |set: Result<MatrixSet, Vec<Diagnostic>>| -> Vec<String> {
        set.map_or_else(|defects| defects, |set| set.warnings).into_iter().map(|d| d.what).collect()
    };
    assert_eq!(said(config::matrices_alone(&files, &defaults)), said(config::matrices(&files, None)));
    let strict = said(config::matrices(&files, Some(&defaults)));
    assert_eq!(strict.iter().filter(|what| *what == "unknown webhook `wfm-desk`").count(), 1, "{strict:?}");
}

#[test]
fn several_files_are_one_set() {
    let text = "version: 1\nname: same\nrows: [{ indicator: waiting, goal: \"< 1\", ranges: [{ when: \"< 1\", level: ok }, { when: \">= 1\", level: info }] }]\n";
    let other = text.replace("same", "other");
    let set = config::matrices(&[("a.yaml".into(), text.into()), ("b.yaml".into(), other)], None).unwrap();
    assert_eq!(set.matrices.len(), 2, "equal rows of two matrices are two cases");
    let twice = [("a.yaml".into(), text.into()), ("b.yaml".into(), text.to_owned())];
    let defects = config::matrices(&twice, None).unwrap_err();
    assert_eq!(
        defects.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["b.yaml:2:7: error: duplicate name `same`: a.yaml has it too\n  hint: each matrix has its own name"]
    );
}

#[test]
fn the_shipped_matrices_are_accepted_without_a_warning() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("escalation-matrices");
    let mut files: Vec<(String, String)> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".yaml") && !path.to_string_lossy().ends_with(".test.yaml"))
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    let set = config::matrices(&files, None).unwrap_or_else(|d| panic!("{d:#?}"));
    assert_eq!(set.warnings, []);
    assert!(set.matrices.len() >= 5);
    for matrix in &set.matrices {
        for row in &matrix.rows {
            let bad = row.ranges.iter().filter(|range| range.level != Level::Ok);
            for range in bad {
                assert!(range.action.is_some() && !range.tell.is_empty(), "{}:{}", matrix.file, row.line);
            }
        }
    }
    let named: BTreeSet<&str> = set.matrices.iter().flat_map(|m| m.rows.iter().map(|r| r.indicator.name)).collect();
    for name in [
        "asa",
        "asa_live",
        "service_level",
        "occupancy",
        "oldest_wait",
        "oldest_unanswered",
        "agents",
        "abandonment",
        "utilization",
    ] {
        assert!(named.contains(name), "{name}");
    }
}

/// A thousand rows are checked in well under half a second: the comparison of all rows with all must stay cheap. They are
/// right, so that every step is taken; the figure of a release build is printed by
/// `cargo test --release --test check_matrices thousand -- --nocapture`.
#[test]
#[allow(clippy::disallowed_methods, reason = "measures the check itself; nothing of the product depends on it")]
fn a_thousand_rows_are_checked_quickly() {
    for scope in ["queue: cola-{n}, channel: facebook", "queue: \"cola-{n}-*\"", "queue: \"*-{n}\", channel: \"f*\""] {
        let mut text = "version: 1\nname: m\ncontacts: { lead: { email: a@b.example } }\nrows:\n".to_owned();
        for n in 1000..2000 {
            let scope = scope.replace("{n}", &n.to_string());
            text.push_str(&format!(
                "  - indicator: asa\n    window: 15m\n    scope: {{ {scope} }}\n    goal: \"< 30m\"\n    ranges:\n      - {{ when: \"< 30m\", level: ok }}\n      - {{ when: \">= 30m\", level: critical, tell: [lead], action: \"{{{{ queue }}}}\" }}\n"
            ));
        }
        let start = Instant::now();
        let set = compile("m.yaml", &text);
        let took = start.elapsed();
        let set = set.unwrap_or_else(|defects| panic!("{scope}: {:?}", defects.first()));
        assert_eq!((set.matrices[0].rows.len(), set.warnings.len()), (1000, 0), "{scope}: {:?}", set.warnings.first());
        println!("{scope}: {took:?}");
        // A build without optimisation on a busy machine has ten times as long.
        let allowed = if cfg!(debug_assertions) { 5_000 } else { 500 };
        assert!(took.as_millis() < allowed, "{scope}: {took:?}");
    }
}

mod mutated {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is done to a good file, it is accepted or its defects have a place in it; nothing panics.
        #[test]
        fn no_text_panics(
            edits in proptest::collection::vec((0usize..4000, 0usize..40, "[-{}\\[\\]:,\"'&*!|>%<= \\n\\ta-z0-9.@#]{0,6}"), 1..6),
            which in 0usize..2,
        ) {
            let mut text: Vec<char> = read(["valid-contract.yaml", "valid-every-key.yaml"][which]).chars().collect();
            for (place, length, insert) in &edits {
                let from = place % (text.len() + 1);
                let to = (from + length).min(text.len());
                text.splice(from..to, insert.chars());
            }
            let text: String = text.into_iter().collect();
            let lines = text.lines().count() + 1;
            for diagnostic in said("m.yaml", &text) {
                prop_assert!((1..=lines).contains(&diagnostic.line) && diagnostic.column >= 1, "{}", diagnostic);
                prop_assert!(!diagnostic.what.is_empty());
            }
            let _ = config::load("c.yaml", &text, &Default::default(), None);
        }

        #[test]
        fn no_noise_panics(text in "\\PC{0,200}") {
            said("m.yaml", &text);
        }
    }
}

//! The oracle against small cases computed by hand, and the comparison against deliberate mistakes: a check that cannot
//! fail would prove nothing. The golden scenarios (`golden.rs`) are its larger examples.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a failed test, with its line")]

mod oracle;

use oracle::calendar::{at_local, midnight_at_or_before, open_between, windows};
use oracle::compare::Difference;
use oracle::compare::{compare_instant, shrink};
use oracle::figures::{Figures, REQUIRED, figures};
use oracle::generate::{Case, Chaos, Dice, case};
use oracle::intake::{Intake, instants, next_multiple};
use oracle::product::Printed;
use oracle::settings::{DAY, HOUR, MINUTE, SECOND, Settings, duration};
use serde_json::json;

fn zone(name: &str) -> Settings {
    Settings::from_json(&json!({"time_zone": name}))
}

#[test]
fn durations() {
    for (text, ms) in [("90s", 90 * SECOND), ("1h30m", 90 * MINUTE), ("1500ms", 1500), ("30d", 30 * DAY)] {
        assert_eq!(duration(text), ms, "{text}");
    }
}

#[test]
fn windows_end_at_the_instant_and_begin_at_a_pane() {
    let settings = zone("Asia/Kolkata");
    let at = at_local("2026-11-23", "10:30:00", &settings);
    for (offset, label, from, until) in [
        (0, "5m", -5 * MINUTE, 0),
        (7 * SECOND, "5m", -5 * MINUTE, 7 * SECOND),
        (10 * SECOND, "5m", -5 * MINUTE + 10 * SECOND, 10 * SECOND),
        (59 * SECOND, "24h", -DAY, 59 * SECOND),
        (0, "interval", -30 * MINUTE, 0),
        (0, "last_interval", -60 * MINUTE, -30 * MINUTE),
        (1, "interval", 0, 1),
        (1, "last_interval", -30 * MINUTE, 0),
        (0, "today", -(10 * HOUR + 30 * MINUTE), 0),
    ] {
        let found = windows(at + offset, &settings).into_iter().find(|w| w.0 == label).unwrap();
        assert_eq!((found.1 - at, found.2 - at), (from, until), "{label} at +{offset}");
    }
    let midnight = at_local("2026-11-23", "00:00:00", &settings);
    let today = windows(midnight, &settings).into_iter().find(|w| w.0 == "today").unwrap();
    assert_eq!(today.1, midnight - DAY, "at midnight `today` is the day that ends");
}

#[test]
fn days_that_are_not_24_hours() {
    for (name, date, hours) in [
        ("Europe/Madrid", "2026-10-25", 25.0),
        ("Europe/Madrid", "2026-03-29", 23.0),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
    ] {
        let settings = zone(name);
        let noon = at_local(date, "12:00:00", &settings);
        let start = midnight_at_or_before(noon, &settings);
        let end = midnight_at_or_before(noon + DAY, &settings);
        assert_eq!((end - start) as f64 / HOUR as f64, hours, "{name} {date}");
        // Multiples begin anew at each midnight, so that midnight itself is always one.
        assert_eq!(next_multiple(end - 1, 7 * MINUTE, &settings), end, "{name} {date}");
    }
}

#[test]
fn the_documented_example_of_the_open_clock() {
    let settings = zone("UTC");
    let hours = json!({"mon-sun": "08:00-22:00"});
    let from = at_local("2026-11-23", "23:00:00", &settings);
    let until = at_local("2026-11-23", "08:05:00+1", &settings);
    assert_eq!(until - from, 32_700 * SECOND);
    assert_eq!(open_between(from, until, Some(&hours), &settings), 300 * SECOND);
    assert_eq!(open_between(from, until, None, &settings), 32_700 * SECOND);
}

#[test]
fn figures_are_printed_before_the_event_that_reaches_their_instant() {
    let settings = Settings::plain();
    let at = |clock: &str| at_local("2026-11-23", clock, &settings);
    let lines: Vec<String> = ["10:00:30", "10:02:00", "10:01:00", "10:02:30"]
        .iter()
        .map(|clock| json!({"type": "feed.heartbeat", "id": clock, "time": at(clock)}).to_string())
        .collect();
    let printed: Vec<_> = instants(&lines, MINUTE, &settings).iter().map(|i| (i.at, i.lines)).collect();
    assert_eq!(printed, [(at("10:01:00"), 1), (at("10:02:00"), 1), (at("10:03:00"), 4)]);
}

#[test]
fn what_is_too_late_too_early_or_said_twice_is_not_taken() {
    let settings = Settings::plain();
    let start = at_local("2026-11-23", "10:00:00", &settings);
    let event = |id: &str, interaction: &str, kind: &str, time: i64| {
        json!({"id": id, "type": format!("interaction.{kind}"), "interaction": interaction, "time": time,
               "queue": "q", "channel": "email"})
        .to_string()
    };
    let beat = |hours: i64| json!({"type": "feed.heartbeat", "time": start + hours * HOUR}).to_string();
    let lines = [
        event("1", "open", "queued", start),
        event("1", "open", "queued", start),
        event("2", "gone", "queued", start),
        event("3", "gone", "abandoned", start + MINUTE),
        event("4", "far", "queued", start + 24 * HOUR + 1 + MINUTE),
        beat(20),
        beat(26),
        event("5", "new", "queued", start),
        event("6", "gone", "customer_message", start + 2 * MINUTE),
        event("7", "open", "customer_message", start + 2 * MINUTE),
    ];
    let intake = Intake::of(&lines, &settings);
    assert_eq!((intake.duplicates, intake.too_far_ahead, intake.too_late), (1, 1, 2));
    assert_eq!(intake.lives.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2], "the open one takes its late message");
}

#[test]
fn every_required_figure_is_computed() {
    let case = case(5, Chaos::Calm);
    let instant = *instants(&case.lines, duration(&case.every), &case.settings).last().unwrap();
    let all = figures(&case.lines, instant.at, &case.settings);
    for indicator in REQUIRED {
        assert!(all.keys().any(|name| name.split(' ').next() == Some(indicator)), "{indicator}");
    }
}

/// Over the usual seeds every indicator takes values worth comparing; otherwise agreement would mean little.
#[test]
fn random_floors_exercise_every_indicator() {
    let mut busy: std::collections::BTreeMap<String, usize> = Default::default();
    for seed in 0..40 {
        let case = case(seed, Chaos::Broken);
        for instant in instants(&case.lines, duration(&case.every), &case.settings) {
            for (name, figure) in figures(&case.lines[..instant.lines], instant.at, &case.settings) {
                if figure.value.is_some_and(|v| v != 0.0) {
                    let clock = if name.contains(" clock=open") { " on the desk's clock" } else { "" };
                    *busy.entry(format!("{}{clock}", name.split(' ').next().unwrap())).or_default() += 1;
                }
            }
        }
    }
    let open = ["asa", "asa_live", "wait_p90", "wait_max", "service_level", "service_level_live", "oldest_wait"];
    let open = open.into_iter().chain(["oldest_unanswered", "oldest_unqueued", "first_response_time", "response_time"]);
    let open: Vec<String> = open.chain(["resolution_time"]).map(|name| format!("{name} on the desk's clock")).collect();
    for indicator in REQUIRED.into_iter().chain(open.iter().map(String::as_str)) {
        assert!(busy.get(indicator).copied().unwrap_or(0) >= 20, "{indicator}: {:?}", busy.get(indicator));
    }
}

type Records = std::collections::BTreeMap<String, (Option<f64>, f64)>;

fn printed_from(figures: &Figures, at: i64) -> Printed {
    let records = figures.iter().map(|(name, f)| (name.clone(), (f.value, f.samples))).collect();
    Printed::from([(at, records)])
}

#[test]
fn the_comparison_sees_what_differs() {
    let case = case(5, Chaos::Calm);
    let instant = *instants(&case.lines, duration(&case.every), &case.settings).last().unwrap();
    let expected = figures(&case.lines, instant.at, &case.settings);
    let right = printed_from(&expected, instant.at);
    assert!(compare_instant(instant.at, &expected, &right).is_empty());

    let some = expected.iter().find(|(name, f)| name.starts_with("queued") && f.samples > 0.0).unwrap().0.clone();
    let change = |edit: &dyn Fn(&mut Records)| {
        let mut printed = right.clone();
        edit(printed.get_mut(&instant.at).unwrap());
        compare_instant(instant.at, &expected, &printed).len()
    };
    assert_eq!(change(&|all| all.get_mut(&some).unwrap().0 = Some(99.0)), 1, "another value");
    assert_eq!(change(&|all| all.get_mut(&some).unwrap().0 = None), 1, "no value");
    assert_eq!(change(&|all| all.get_mut(&some).unwrap().1 += 1.0), 1, "other samples");
    assert_eq!(change(&|all| _ = all.remove(&some)), 1, "not printed");
    assert_eq!(change(&|all| _ = all.insert("queued x/y 5m".into(), (Some(1.0), 1.0))), 1, "too much");
    assert_eq!(change(&|all| _ = all.insert("queued x/y 5m".into(), (Some(0.0), 0.0))), 0, "an empty pair");
}

#[test]
fn shrinking_keeps_the_cause_and_little_else() {
    let whole = case(1003, Chaos::Disorder);
    // A program that fails on every list with an arrival and an agent's state.
    let differ = |case: &Case| -> Vec<Difference> {
        let has = |kind: &str| case.lines.iter().any(|line| line.contains(kind));
        let fails = has("interaction.arrived") && has("interaction.queued");
        fails.then(|| Difference { at: 0, name: "asa q/voice".into(), what: "wrong".into() }).into_iter().collect()
    };
    assert!(!differ(&whole).is_empty());
    assert_eq!(shrink(&whole, "asa", &differ).lines.len(), 2);
}

/// What is shown is a function of the set of events, in the oracle too.
#[test]
fn the_order_of_arrival_does_not_matter_to_the_oracle() {
    let mut compared = 0;
    for seed in 0..40 {
        let case = case(seed, Chaos::Calm);
        let at = instants(&case.lines, duration(&case.every), &case.settings).last().unwrap().at;
        let events = case.lines.iter().map(|line| oracle::decode::decode(line, &case.settings).unwrap());
        if events.map(|event| event.time).min().unwrap() <= at - case.settings.lateness {
            continue;
        }
        let expected = figures(&case.lines, at, &case.settings);
        let mut other = case.lines.clone();
        other.extend(case.lines.iter().step_by(3).cloned());
        Dice::new(seed).shuffle(&mut other);
        assert_eq!(figures(&other, at, &case.settings), expected, "{}", case.title);
        compared += 1;
    }
    assert!(compared >= 20, "only {compared} streams are short enough");
}

#[test]
fn the_stages_of_one_conversation() {
    let settings = Settings::plain();
    let at = |clock: &str| at_local("2026-11-23", clock, &settings);
    let lines: Vec<String> = [
        ("10:00:00", "arrived", json!({"channel": "chat"})),
        ("10:01:00", "queued", json!({"channel": "chat", "queue": "q"})),
        ("10:03:00", "assigned", json!({"agent": "ana"})),
        ("10:04:00", "replied", json!({"agent": "ana"})),
        ("10:09:00", "customer_message", json!({})),
        ("10:10:00", "parked", json!({})),
        ("10:13:00", "resumed", json!({})),
        ("10:15:00", "wrapup", json!({})),
        ("10:16:00", "closed", json!({"outcome": "resolved"})),
    ]
    .into_iter()
    .map(|(clock, kind, mut fields)| {
        fields["id"] = json!(clock);
        fields["type"] = json!(format!("interaction.{kind}"));
        fields["interaction"] = json!("c1");
        fields["time"] = json!(at(clock));
        fields.to_string()
    })
    .collect();
    let all = figures(&lines, at("10:20:00"), &settings);
    for (stage, minutes) in
        [("triage", 1), ("queue", 2), ("reply", 1), ("customer", 5), ("handling", 3), ("parked", 3), ("wrapup", 1)]
    {
        let figure = all[&format!("stage_time q/chat 30m stage={stage}")];
        assert_eq!((figure.value, figure.samples), (Some(f64::from(minutes) * 60.0), 1.0), "{stage}");
        let share = all[&format!("stage_share q/chat 30m stage={stage}")];
        assert_eq!((share.value, share.samples), (Some(f64::from(minutes) / 16.0), 960.0), "{stage}");
    }
}

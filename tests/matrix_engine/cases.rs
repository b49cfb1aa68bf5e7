//! Which cases and numbers a row makes, incident ids, and what a state is good for.

use std::sync::Arc;

use atalaya::domain::{Key, Millis};
use atalaya::indicators::{Selector, State, Treatment};
use atalaya::matrix::engine::{Engine, Reason};
use atalaya::plan::Plan;
use atalaya::snapshot::SnapshotError;

use crate::support::{LIVE, START, Scribe, Table, engine, matrix, place};

fn seen() -> Vec<Key> {
    let roll = |queue: Option<&str>, channel: Option<&str>| Key {
        queue: queue.map(Into::into),
        channel: channel.map(Into::into),
    };
    let pairs = [("reclamos", "facebook"), ("reclamos", "voice"), ("vip", "facebook")];
    let mut keys: Vec<Key> = pairs.iter().map(|(queue, channel)| Key::pair(queue, channel)).collect();
    keys.extend(["reclamos", "vip"].map(|queue| roll(Some(queue), None)));
    keys.extend(["facebook", "voice"].map(|channel| roll(None, Some(channel))));
    keys.push(Key::ALL);
    keys
}

fn show(key: &Key) -> String {
    format!("{}/{}", key.queue.as_deref().unwrap_or("*"), key.channel.as_deref().unwrap_or("*"))
}

fn levels(engine: &Engine) -> Vec<String> {
    engine.levels().iter().map(|(_, _, key, _)| show(key)).collect()
}

#[test]
fn cases_of_a_row() {
    for (row, at_start, later) in [
        ("asa; ok ..1; critical 1..", &[][..], &["reclamos/facebook", "reclamos/voice", "vip/facebook"][..]),
        ("asa; ok ..1; critical 1..; queue !vip; channel facebook", &[], &["reclamos/facebook"]),
        (
            "asa; ok ..1; critical 1..; queue soporte vip; channel facebook",
            &["soporte/facebook", "vip/facebook"],
            &["soporte/facebook", "vip/facebook"],
        ),
        ("asa; ok ..1; critical 1..; per queue; queue r*", &[], &["reclamos/*"]),
        ("asa; ok ..1; critical 1..; per channel", &[], &["*/facebook", "*/voice"]),
        ("asa; ok ..1; critical 1..; per all", &["*/*"], &["*/*"]),
    ] {
        let mut engine = engine(&[row]);
        assert_eq!(levels(&engine), at_start, "{row}");
        let mut table = Table::new(&seen()[..1]);
        engine.tick(START, &mut table, &LIVE);
        table = Table::new(&seen());
        engine.tick(START + Millis::SECOND, &mut table, &LIVE);
        assert_eq!(levels(&engine), later, "{row}");
    }
}

#[test]
fn a_pair_named_literally_counts_from_the_start() {
    let mut engine = engine(&["agents; critical ..1 tell lead; ok 1..; queue soporte; channel chat"]);
    let tick = engine.tick(START, &mut Table::new(&[]), &LIVE);
    assert_eq!(tick.transitions.len(), 1);
    assert_eq!(tick.transitions[0].value, Some(0.0));
    assert_eq!(tick.notifications.len(), 1);
}

fn labels(selector: &Selector, plan: &Plan) -> String {
    let pairs: Vec<String> =
        selector.labels.pairs(plan).iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{} {}", selector.indicator.name, pairs.join(" "))
}

#[test]
fn what_a_row_leaves_out_of_its_labels() {
    let plan = Plan::default();
    let engine = engine(&[
        "service_level 30m; critical ..1; ok 1..; channel facebook voice",
        "agents; critical ..1; ok 1..; queue vip",
    ]);
    let named: Vec<String> = engine
        .named(&Table::new(&seen()))
        .iter()
        .map(|(key, selector)| format!("{} {}", show(key), labels(selector, &plan)))
        .collect();
    let offered = |key: &str, within: &str| format!("{key} service_level threshold={within} treatment=offered");
    let connected = |key: &str| format!("{key} agents state=connected");
    assert_eq!(
        named,
        [
            offered("*/*", "30m"),
            connected("*/*"),
            offered("*/facebook", "30m"),
            connected("*/facebook"),
            offered("*/voice", "20s"),
            connected("*/voice"),
            offered("reclamos/*", "30m"),
            offered("reclamos/facebook", "30m"),
            offered("reclamos/voice", "20s"),
            offered("vip/*", "30m"),
            connected("vip/*"),
            offered("vip/facebook", "30m"),
            connected("vip/facebook"),
        ]
    );
    let selector = engine.named(&Table::new(&seen()))[1].1;
    assert_eq!((selector.labels.state, selector.labels.treatment), (Some(State::Connected), None));
    assert_eq!(engine.named(&Table::new(&seen()))[0].1.labels.treatment, Some(Treatment::Offered));
}

#[test]
fn the_same_number_named_by_two_rows_is_printed_once() {
    let rows =
        ["asa 15m; ok ..1; critical 1..", "asa 15m; ok ..2; warning 2..; per all", "asa 5m; ok ..2; warning 2.."];
    let named = engine(&rows).named(&Table::new(&[Key::ALL, place()]));
    assert_eq!(named.len(), 4);
    assert!(named.is_sorted_by(|a, b| a.0 <= b.0));
}

const ROW: &str = "asa; ok ..10; critical 10.. tell lead; recover 0 0s";

fn flap(engine: &mut Engine, table: &mut Table, times: i64) -> Vec<Arc<str>> {
    let mut ids = Vec::new();
    for second in 0..times {
        table.set(Some(if second % 2 == 0 { 15.0 } else { 5.0 }), 1.0);
        let tick = engine.tick(START + Millis::seconds(second), table, &LIVE);
        let left_ok = tick.transitions.iter().filter(|t| t.reason == Reason::Range);
        ids.extend(left_ok.map(|t| t.incident.clone()));
    }
    ids
}

#[test]
fn incident_ids_are_never_used_twice_and_the_same_in_a_replay() {
    let rows = [ROW, "asa 5m; ok ..10; critical 10..; recover 0 0s", "occupancy; ok ..10; critical 10..; recover 0 0s"];
    let two = || vec![matrix("care", &rows), matrix("sales", &rows)];
    let run = || {
        let mut engine = Engine::new(two(), Arc::new(Plan::default()));
        flap(&mut engine, &mut Table::new(&seen()), 20)
    };
    let ids = run();
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!((ids.len(), distinct.len()), (2 * 3 * 3 * 10, 2 * 3 * 3 * 10));
    assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())));
    assert_eq!(ids, run());
}

#[test]
fn an_id_outlives_a_change_of_the_ranges_and_of_the_row_s_place() {
    let ids = |rows: &[&str]| flap(&mut engine(rows), &mut Table::new(&[place()]), 1);
    let moved = ids(&["asa 5m; ok ..10; critical 10..", "asa; ok ..9; warning 9..12; critical 12.. for 0s"]);
    assert_eq!(ids(&[ROW])[0], moved[1]);
}

#[test]
fn notices_carry_what_their_texts_need() {
    let row = "asa; ok ..10; critical 10.. tell both escalate 2s:lead repeat 3s";
    let mut engine = engine(&[row]);
    let mut table = Table::new(&[place()]);
    table.set(Some(15.0), 7.0);
    let first = engine.tick(START, &mut table, &LIVE);
    table.set(Some(19.0), 8.0);
    engine.tick(START + Millis::seconds(1), &mut table, &LIVE);
    table.set(None, 0.0);
    table.waiting = 1.0;
    let escalation = engine.tick(START + Millis::seconds(2), &mut table, &LIVE);
    let repeat = engine.tick(START + Millis::seconds(3), &mut table, &LIVE);

    let sent: Vec<_> =
        first.notifications.iter().map(|n| (n.sequence, n.address.as_ref(), n.value, n.samples)).collect();
    assert_eq!(sent, [(1, "both@acme.example", Some(15.0), 7.0), (2, "both-hook", Some(15.0), 7.0)]);
    let later = [&escalation.notifications[0], &repeat.notifications[0]];
    for notice in later {
        assert_eq!((notice.value, notice.samples), (Some(19.0), 8.0), "the last value that was one");
        assert_eq!((notice.value_time, notice.since), (START + Millis::seconds(1), START));
        assert_eq!(notice.told.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["both", "lead"]);
        assert_eq!(notice.transition.value, Some(15.0), "the value that took the level");
    }
    let open = engine.open_cases();
    assert_eq!((open.len(), open[0].since, open[0].value), (1, START, None));
    // Who keeps alerts alive needs to know, also after a restart, which webhooks have been told; each once.
    let told = |engine: &Engine| -> Vec<String> {
        engine.open_cases().iter().flat_map(|open| open.webhooks.iter().map(ToString::to_string)).collect()
    };
    assert_eq!(told(&engine), ["both-hook"]);
    let again = Engine::restore(vec![matrix("care", &[row])], Arc::new(Plan::default()), &engine.snapshot()).unwrap();
    assert_eq!(told(&again), ["both-hook"]);
}

#[test]
fn closed_hours_are_shown_on_an_open_case() {
    let mut engine = engine(&["asa; ok ..10; critical 10..; hours 00:00-00:01"]);
    let mut table = Table::new(&[place()]);
    table.set(Some(15.0), 1.0);
    engine.tick(START, &mut table, &LIVE);
    assert!(!engine.open_cases()[0].closed_hours);
    engine.tick(START + Millis::MINUTE, &mut table, &LIVE);
    assert!(engine.open_cases()[0].closed_hours);
}

#[test]
fn an_instant_that_is_not_later_changes_nothing() {
    let mut engine = engine(&[ROW]);
    let mut table = Table::new(&[place()]);
    table.set(Some(5.0), 1.0);
    engine.tick(START, &mut table, &LIVE);
    table.set(Some(15.0), 1.0);
    assert!(engine.tick(START, &mut table, &LIVE).transitions.is_empty());
    assert!(engine.tick(START - Millis::SECOND, &mut table, &LIVE).transitions.is_empty());
    assert_eq!(engine.tick(START + Millis::SECOND, &mut table, &LIVE).transitions.len(), 1);
}

#[test]
fn a_restored_state_goes_on() {
    let rows = ["asa; ok ..10; critical 10.. for 5s tell lead repeat 2s; recover 0 3s"];
    let mut table = Table::new(&[place()]);
    table.set(Some(15.0), 1.0);
    let run = |restart_at: Option<i64>, table: &mut Table| {
        let (plan, matrices) = (Arc::new(Plan::default()), vec![matrix("care", &rows)]);
        let mut engine = Engine::new(matrices.clone(), plan.clone());
        let mut scribe = Scribe::new();
        let mut lines = Vec::new();
        for second in 0..20 {
            lines.extend(scribe.lines(&engine.tick(START + Millis::seconds(second), table, &LIVE)));
            if Some(second) == restart_at {
                engine = Engine::restore(matrices.clone(), plan.clone(), &engine.snapshot()).unwrap();
            }
        }
        lines
    };
    let straight = run(None, &mut table);
    assert_eq!(straight.len(), 2 + 7);
    for restart in 0..20 {
        assert_eq!(run(Some(restart), &mut table), straight, "restarted after second {restart}");
    }
}

#[test]
fn a_snapshot_is_of_its_rows() {
    let plan = Arc::new(Plan::default());
    let engine_of = |row: &str| Engine::new(vec![matrix("care", &[row])], plan.clone());
    let row = "asa; ok ..10; critical 10.. for 5s tell lead escalate 1m:manager; recover 0 3s";
    let mut engine = engine_of(row);
    let mut table = Table::new(&[place()]);
    table.set(Some(15.0), 1.0);
    for second in 0..10 {
        engine.tick(START + Millis::seconds(second), &mut table, &LIVE);
    }
    let bytes = engine.snapshot();
    let restored = |row: &str| Engine::restore(vec![matrix("care", &[row])], plan.clone(), &bytes);
    assert_eq!(restored(row).unwrap().snapshot(), bytes);
    assert_eq!(restored(row).unwrap().open_cases().len(), 1);
    // Under other rows it goes on as after a reload.
    for (other, expected) in [
        ("asa; ok ..10; critical 10.. for 7s tell both escalate 1m:lead repeat 1h; recover 0 9s; min 5", vec![]),
        ("asa; ok ..11; critical 11.. tell lead", vec![]),
        ("asa; ok ..10; warning 10.. for 5s tell lead; recover 0 3s", vec!["lead"]),
        ("asa; ok ..10; critical 10.. for 5s tell lead; queue vip", vec!["lead"]),
        ("asa 30m; ok ..10; critical 10.. for 5s tell lead", vec!["lead"]),
    ] {
        let mut engine = restored(other).unwrap();
        let tick = engine.tick(START + Millis::seconds(10), &mut table, &LIVE);
        let told: Vec<_> = tick.notifications.iter().map(|n| (n.reason.name(), &*n.to)).collect();
        let expected: Vec<_> = expected.into_iter().map(|to| ("removed", to)).collect();
        assert_eq!(told, expected, "{other}");
        assert_eq!(engine.open_cases().len(), usize::from(expected.is_empty()), "{other}");
    }
    for end in 0..bytes.len() {
        let cut = Engine::restore(vec![matrix("care", &[row])], plan.clone(), &bytes[..end]);
        assert!(matches!(cut.unwrap_err(), SnapshotError::Truncated { .. }), "{end}");
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(Engine::restore(vec![matrix("care", &[row])], plan.clone(), &damaged).is_err(), "{at}");
        // The same behind a check-sum that fits: something else that is whole, or an error.
        let end = bytes.len() - 8;
        let sum = xxhash_rust::xxh3::xxh3_64(&damaged[..end]);
        damaged[end..].copy_from_slice(&sum.to_le_bytes());
        if let Ok(engine) = Engine::restore(vec![matrix("care", &[row])], plan.clone(), &damaged) {
            engine.snapshot();
        }
    }
}

#[test]
fn values_outside_every_range_belong_to_the_outermost() {
    // The row ends at 1; a ratio of 1.02 by rounding is as bad as 1, and what is no number is no value.
    let mut engine = engine(&["occupancy; warning 0.2..0.6; ok 0.6..0.9; critical 0.9..1; recover 0 0s"]);
    let mut table = Table::new(&[place()]);
    for (second, value, level) in [
        (0, 1.02, "critical"),
        (1, f64::NAN, "critical"),
        (2, 0.7, "ok"),
        (3, 0.1, "warning"),
        (4, f64::INFINITY, "critical"),
    ] {
        table.set(Some(value), 10.0);
        engine.tick(START + Millis::seconds(second), &mut table, &LIVE);
        assert_eq!(engine.levels()[0].3.name(), level, "{value}");
    }
}

//! Corners of the rules that no other test would miss: each was found by a change of one place in the engine that lived.

use std::sync::Arc;

use atalaya::domain::Millis;
use atalaya::indicators::{Clock, Selector, Stage, State, Topics, Treatment};
use atalaya::matrix::Row;
use atalaya::matrix::engine::{Engine, Feed, FeedState, Feeds, Transition};
use atalaya::plan::Plan;

use crate::support::{LIVE, START, Table, built, check, engine, matrix, place, row};

#[test]
fn a_pending_worse_level_is_no_reason_for_another_range_on_the_same_side() {
    check(
        "asa; ok ..10; warning 10..20 tell lead; warning 20..30 tell desk; critical 30.. for 5m tell desk",
        "0:00:00 15
         0:01:00 35
         0:06:30 end",
        "0:00:00 i1 ok -> warning 10..20 range
         0:00:00 i1 #1 lead.email warning range
         0:06:00 i1 warning -> critical 30.. range
         0:06:00 i1 #2 desk.webhook critical range
         0:06:00 i1 #3 lead.email critical range",
    );
}

#[test]
fn of_two_ranges_as_near_the_better_level_is_that_on_the_side_where_the_case_was() {
    // From too high and from too low to the middle of ok, as far from either warning, and within the margin of both.
    for (bad, to, tells) in [("9", "6..8", "lead"), ("1", "2..4", "manager")] {
        check(
            "asa; critical ..2; warning 2..4 tell manager; ok 4..6; warning 6..8 tell lead; critical 8..; recover 1.5 1m",
            &format!("0:00:00 {bad}\n0:01:00 5\n0:02:30 end"),
            &format!(
                "0:00:00 i1 ok -> critical {} range
                 0:02:00 i1 critical -> warning {to} improved
                 0:02:00 i1 #1 {tells}.email warning improved",
                if bad == "9" { "8.." } else { "..2" }
            ),
        );
    }
}

#[test]
fn a_range_in_another_place_of_its_row_is_the_one_that_is_told() {
    check(
        "asa; ok ..10; warning 10..20 tell lead; critical 20..",
        "0:00:00 15
         0:05:00 row asa; ok ..5; info 5..10 tell desk; warning 10..20 tell both.email repeat 8m; critical 20..
         0:09:00 end",
        "0:00:00 i1 ok -> warning 10..20 range
         0:00:00 i1 #1 lead.email warning range
         0:08:00 i1 #2 both.email warning repeat",
    );
}

#[test]
fn another_margin_lets_ranges_of_one_level_count_on() {
    let row = |margin| {
        format!(
            "asa; ok ..10; info 10..20 for 1m tell lead; info 20..30 for 1m tell desk; critical 30.. for 1h; \
             recover {margin} 1m"
        )
    };
    // Half of the minute of the level in the one range, half in the other.
    check(
        &row(0),
        &format!("0:00:00 15\n0:00:30 25\n0:00:30 row {}\n0:01:20 end", row(1)),
        "0:01:00 i1 ok -> info 20..30 range
         0:01:00 i1 #1 desk.webhook info range",
    );
    // Half of the minute of the second range under either row.
    check(
        &row(0),
        &format!("0:00:00 15\n0:02:00 25\n0:02:30 row {}\n0:03:20 end", row(1)),
        "0:01:00 i1 ok -> info 10..20 range
         0:01:00 i1 #1 lead.email info range
         0:03:00 i1 info -> info 20..30 range
         0:03:00 i1 #2 desk.webhook info range
         0:03:00 i1 #3 lead.email info range",
    );
}

#[test]
fn what_was_pending_when_the_hours_ended_counts_from_zero_at_the_next_opening() {
    let hours = "hours 00:00-01:00 02:00-03:00";
    // Another range of the level.
    check(
        &format!("occupancy; warning ..0.6 tell lead; ok 0.6..0.8; warning 0.8.. for 10m tell desk; {hours}"),
        "0:50:00 0.5
         0:55:00 0.9
         2:11:00 end",
        "0:50:00 i1 ok -> warning ..0.6 range
         0:50:00 i1 #1 lead.email warning range
         2:00:00 i1 #2 lead.email warning opened
         2:10:00 i1 warning -> warning 0.8.. range
         2:10:00 i1 #3 desk.webhook warning range
         2:10:00 i1 #4 lead.email warning range",
    );
    // A value that is missing.
    check(
        &format!("asa; ok ..10; warning 10..; no_data critical 10m desk; {hours}"),
        "0:50:00 5
         0:55:00 null
         2:11:00 end",
        "2:10:00 i1 ok -> critical - no_data
         2:10:00 i1 #1 desk.webhook critical no_data",
    );
    // Recovery.
    check(
        &format!("asa; ok ..10; warning 10.. tell lead; recover 0 1m; {hours}"),
        "0:50:00 15
         0:59:30 5
         2:02:00 end",
        "0:50:00 i1 ok -> warning 10.. range
         0:50:00 i1 #1 lead.email warning range
         2:01:00 i1 warning -> ok ..10 recovered
         2:01:00 i1 #2 lead.email ok recovered",
    );
}

#[test]
fn what_other_hours_open_counts_from_zero() {
    let row = "asa; ok ..10; warning 10.. for 10m tell lead";
    for open in [row.to_owned(), format!("{row}; hours 00:00-02:00")] {
        check(
            &format!("{row}; hours 00:00-00:05"),
            &format!("0:00:00 15\n0:30:00 row {open}\n0:41:00 end"),
            "0:40:00 i1 ok -> warning 10.. range
             0:40:00 i1 #1 lead.email warning range",
        );
    }
}

#[test]
fn the_end_of_a_row_that_is_gone_says_what_was_read_last_and_in_which_window() {
    let mut engine = engine(&["asa 15m; ok ..10; critical 10.. tell lead"]);
    let mut table = Table::new(&[place()]);
    for (second, value, samples) in [(0, 15.0, 7.0), (1, 17.0, 9.0)] {
        table.set(Some(value), samples);
        engine.tick(START + Millis::seconds(second), &mut table, &LIVE);
    }
    // The window has another place in the plan of the rows that are left.
    let mut plan = Plan::default();
    plan.windows.retain(|window| &*window.label != "5m");
    engine.reload(vec![matrix("care", &["asa 30m; ok ..10"])], Arc::new(plan.clone()));
    let tick = engine.tick(START + Millis::seconds(2), &mut table, &LIVE);
    let end = &tick.transitions[0];
    assert_eq!((end.reason.name(), end.value, end.samples), ("removed", Some(17.0), 9.0));
    assert_eq!(end.selector.window.map(|index| &*plan.windows[index].label), Some("15m"));
}

#[test]
fn a_number_is_named_alike_under_a_plan_that_numbers_its_windows_and_thresholds_otherwise() {
    let rows = [
        "service_level 30m; critical ..1; ok 1..; threshold 60s",
        "agents; critical ..1; ok 1..",
        "stage_time 1h; critical ..1; ok 1..",
        "asa 15m; critical ..1; ok 1..",
    ];
    let mut rows: Vec<Row> = rows.iter().map(|text| row(1, text)).collect();
    rows[0].treatment = Some(Treatment::ShortExcluded);
    rows[1].state = Some(State::Offline);
    rows[2].stage = Some(Stage::ALL[1]);
    rows[3].clock = Clock::Open;
    let names = |all: Vec<Arc<Transition>>, plan: &Plan| -> Vec<String> {
        let window = |selector: &Selector| selector.window.map(|index| plan.windows[index].label.clone());
        let selectors = all.iter().map(|one| &one.selector);
        selectors.map(|one| format!("{} {:?} {:?}", one.indicator.name, window(one), one.labels.pairs(plan))).collect()
    };
    let plan = Arc::new(Plan::default());
    let mut engine = Engine::new(vec![built("care", rows)], plan.clone());
    let mut table = Table::new(&[place()]);
    table.set(Some(0.0), 1.0);
    let before = names(engine.tick(START, &mut table, &LIVE).transitions, &plan);
    assert_eq!(before.len(), 4);
    assert!(before[0].contains("60s") && before[0].contains("30m"), "{before:?}");
    let mut other = Plan::default();
    other.windows.retain(|window| &*window.label != "5m");
    other.set_thresholds([("5s".to_owned(), Millis::seconds(5))]);
    let other = Arc::new(other);
    let matrices = vec![matrix("care", &["occupancy 24h; ok 0.."])];
    let restarted = Engine::restore(matrices.clone(), other.clone(), &engine.snapshot()).unwrap();
    engine.reload(matrices, other.clone());
    for mut engine in [engine, restarted] {
        let ends = engine.tick(START + Millis::SECOND, &mut table, &LIVE).transitions;
        assert_eq!(names(ends, &other), before);
    }
}

#[test]
fn an_open_case_is_shown_as_the_new_row_and_plan_name_it() {
    let mut engine = engine(&["asa 15m; ok ..10; critical 10.."]);
    let mut table = Table::new(&[place()]);
    table.set(Some(15.0), 7.0);
    engine.tick(START, &mut table, &LIVE);
    let mut plan = Plan::default();
    plan.windows.retain(|window| &*window.label != "5m");
    let rows = ["asa 15m; ok ..5; info 5..10; critical 10.."];
    engine.reload(vec![matrix("care", &rows)], Arc::new(plan.clone()));
    let last = &engine.open_cases()[0].last;
    assert_eq!((last.range, last.range_text().as_deref()), (Some(2), Some("10..")));
    assert_eq!(last.selector.window.map(|index| &*plan.windows[index].label), Some("15m"));
}

#[test]
fn a_level_taken_in_the_last_second_of_a_silence_is_told_when_it_ends() {
    check(
        "asa; ok ..10; warning 10..20 tell lead; critical 20.. tell desk",
        "0:00:00 silence s1 now 0:10:00 indicator=asa
         0:09:59 25
         0:11:00 end",
        "0:00:00 Silenced
         0:09:59 i1 ok -> critical 20.. range
         0:10:00 i1 #1 desk.webhook critical silence_ended",
    );
}

#[test]
fn an_open_case_shows_what_was_read_last() {
    let mut engine = engine(&["asa; ok ..10; critical 10.."]);
    let mut table = Table::new(&[place()]);
    let mut shown = |second, value, samples, feeds: &Feeds| {
        table.set(value, samples);
        engine.tick(START + Millis::seconds(second), &mut table, feeds);
        let open = &engine.open_cases()[0];
        (open.value, open.samples, open.frozen)
    };
    assert_eq!(shown(0, Some(15.0), 7.0, &LIVE), (Some(15.0), 7.0, false));
    assert_eq!(shown(1, Some(16.0), 8.0, &LIVE), (Some(16.0), 8.0, false));
    assert_eq!(shown(2, None, 0.0, &LIVE), (None, 0.0, false));
    shown(3, Some(17.0), 9.0, &LIVE);
    let carries = Topics { interactions: true, agents: false };
    let state = FeedState::Silent { since: START };
    let silent = Feeds(vec![Feed { source: "events".into(), carries, state }]);
    assert_eq!(shown(4, Some(99.0), 1.0, &silent), (Some(17.0), 9.0, true), "the old one, and that it is old");
}

#[test]
fn a_repeat_of_no_length_is_none() {
    check(
        "asa; ok ..10; warning 10.. tell lead repeat 0s",
        "0:00:00 15
         0:01:00 end",
        "0:00:00 i1 ok -> warning 10.. range
         0:00:00 i1 #1 lead.email warning range",
    );
}

//! Other rows in force while incidents are open.

use std::sync::Arc;

use atalaya::domain::Millis;
use atalaya::matrix::engine::Engine;
use atalaya::plan::Plan;

use crate::support::{LIVE, START, Table, check, engine, matrix, place};

const ROW: &str = "asa; ok ..10; warning 10..20 for 1m tell lead escalate 10m:manager repeat 8m; \
                   critical 20.. for 1m tell desk; recover 0 1m; ack_for 20m";
const TAKEN: &str = "0:01:00 i1 ok -> warning 10..20 range
                     0:01:00 i1 #1 lead.email warning range";

#[test]
fn a_row_goes_on_wherever_it_stands_and_whatever_it_looks_up() {
    // Another row before it; other people, other `for`s, another length of repeat.
    check(
        ROW,
        "0:00:00 15
         0:06:00 row asa 5m; ok ..99; critical 99.. | asa; ok ..10; warning 10..20 for 5m tell both.email escalate 10m:manager repeat 9m; critical 20.. for 2m tell desk; recover 0 2m
         0:12:00 5
         0:15:00 end",
        &format!(
            "{TAKEN}
             0:10:00 i1 #2 both.email warning repeat
             0:11:00 i1 #3 manager.email warning escalation
             0:14:00 i1 warning -> ok ..10 recovered
             0:14:00 i1 #4 lead.email ok recovered
             0:14:00 i1 #5 both.email ok recovered
             0:14:00 i1 #6 manager.email ok recovered"
        ),
    );
}

#[test]
fn what_has_been_acknowledged_and_escalated_stays_so() {
    // A new step whose time has passed is told at once, an old one with other people is not told again.
    check(
        ROW,
        "0:00:00 15
         0:12:00 ack i1 ana
         0:13:00 row asa; ok ..10; warning 10..20 for 1m tell lead escalate 10m:both escalate 5m:desk; critical 20..
         0:40:00 end",
        &format!(
            "{TAKEN}
             0:09:00 i1 #2 lead.email warning repeat
             0:11:00 i1 #3 manager.email warning escalation
             0:12:00 acknowledged until 0:32:00
             0:32:00 i1 #4 desk.webhook warning escalation"
        ),
    );
}

#[test]
fn a_row_that_is_gone_ends_its_incident_for_everyone_told() {
    for rows in ["none", "asa 30m; ok ..10; warning 10.. for 1h", "asa; ok ..10; warning 10.. for 1h; queue vip"] {
        check(
            ROW,
            &format!(
                "0:00:00 15
                 0:12:00 row {rows}
                 0:20:00 end"
            ),
            &format!(
                "{TAKEN}
                 0:09:00 i1 #2 lead.email warning repeat
                 0:11:00 i1 #3 manager.email warning escalation
                 0:12:00 i1 warning -> ok - removed
                 0:12:00 i1 #4 lead.email ok removed
                 0:12:00 i1 #5 manager.email ok removed"
            ),
        );
    }
}

#[test]
fn a_row_that_comes_back_before_the_next_tick_goes_on() {
    check(
        ROW,
        &format!(
            "0:00:00 15
             0:05:00 row none
             0:05:00 row {ROW}
             0:10:00 end"
        ),
        &format!("{TAKEN}\n0:09:00 i1 #2 lead.email warning repeat"),
    );
}

#[test]
fn the_end_is_told_in_closed_hours_and_silences_too() {
    check(
        &format!("{ROW}; hours 00:00-00:05"),
        "0:00:00 15
         0:02:00 silence s1 now 1:00:00 indicator=asa
         0:30:00 row none
         0:31:00 end",
        &format!(
            "{TAKEN}
             0:02:00 Silenced
             0:30:00 i1 warning -> ok - removed
             0:30:00 i1 #2 lead.email ok removed silenced by s1"
        ),
    );
}

#[test]
fn a_wider_scope_is_the_same_case() {
    check(
        &format!("{ROW}; queue reclamos"),
        &format!(
            "0:00:00 15
             0:05:00 row {ROW}; queue reclamos vip
             0:10:00 end"
        ),
        &format!("{TAKEN}\n0:09:00 i1 #2 lead.email warning repeat"),
    );
}

#[test]
fn other_ranges_keep_the_level_and_what_they_still_tell_apart() {
    // Pending for half a minute: warning's edge stays, so its minute goes on; critical's moves, so its minute begins.
    check(
        ROW,
        "0:00:00 25
         0:00:30 row asa; ok ..10; warning 10..22 for 1m tell lead; critical 22.. for 1m tell desk; recover 0 1m
         0:02:00 end",
        "0:01:00 i1 ok -> warning 10..22 range
         0:01:00 i1 #1 lead.email warning range
         0:01:30 i1 warning -> critical 22.. range
         0:01:30 i1 #2 desk.webhook critical range
         0:01:30 i1 #3 lead.email critical range",
    );
    // Open at warning: another range has that level now, and tells what it tells.
    check(
        ROW,
        "0:00:00 15
         0:05:00 row asa; ok ..12; warning 12..30 for 1m tell both.email repeat 8m; critical 30..; recover 0 1m
         0:10:00 end",
        &format!("{TAKEN}\n0:09:00 i1 #2 both.email warning repeat"),
    );
    // Recovering: with another edge of ok, or another margin, recovery begins at zero; with the same, it goes on.
    for (ok, margin, at) in [("..12", "0", "0:05:30"), ("..10", "2", "0:05:30"), ("..10", "0", "0:05:00")] {
        let edge = ok.trim_start_matches('.');
        check(
            ROW,
            &format!(
                "0:00:00 15
                 0:04:00 5
                 0:04:30 row asa; ok {ok}; warning {edge}..20 for 1m tell lead; critical 20..; recover {margin} 1m
                 0:06:00 end"
            ),
            &format!(
                "{TAKEN}
                 {at} i1 warning -> ok {ok} recovered
                 {at} i1 #2 lead.email ok recovered"
            ),
        );
    }
}

#[test]
fn a_level_that_no_range_has_any_more_ends_and_the_value_is_judged_anew() {
    check(
        ROW,
        "0:00:00 15
         0:05:00 row asa; ok ..10; critical 10.. for 1m tell desk; recover 0 1m
         0:07:00 end",
        &format!(
            "{TAKEN}
             0:05:00 i1 warning -> ok - removed
             0:05:00 i1 #2 lead.email ok removed
             0:06:01 i2 ok -> critical 10.. range
             0:06:01 i2 #1 desk.webhook critical range"
        ),
    );
}

#[test]
fn a_level_raised_for_want_of_data_goes_on_if_the_row_still_says_so() {
    let row = |no_data: &str| format!("asa; ok ..10; critical 10.. tell lead; {no_data}; recover 0 1m");
    let raised = "0:01:00 i1 ok -> warning - no_data
                  0:01:00 i1 #1 desk.webhook warning no_data";
    let story = |no_data: &str| format!("0:00:00 null\n0:05:00 row {}\n0:06:00 5\n0:08:00 end", row(no_data));
    check(
        &row("no_data warning 1m desk"),
        &story("no_data warning 2m manager"),
        &format!(
            "{raised}
             0:07:00 i1 warning -> ok ..10 recovered
             0:07:00 i1 #2 desk.webhook ok recovered"
        ),
    );
    check(
        &row("no_data warning 1m desk"),
        &story("no_data keep"),
        &format!(
            "{raised}
             0:05:00 i1 warning -> ok - removed
             0:05:00 i1 #2 desk.webhook ok removed"
        ),
    );
}

#[test]
fn a_level_that_a_value_took_is_not_taken_for_one_raised_for_want_of_data() {
    check(
        "asa; ok ..10; warning 10..20 tell lead; critical 20..",
        "0:00:00 15
         0:05:00 row asa; ok ..12; warning 12..20 tell both.email repeat 4m; critical 20..; no_data warning 1m desk
         0:06:00 end",
        "0:00:00 i1 ok -> warning 10..20 range
         0:00:00 i1 #1 lead.email warning range
         0:05:00 i1 #2 both.email warning repeat",
    );
}

#[test]
fn an_end_by_reload_does_not_count_for_flapping() {
    check(
        "asa; ok ..10; warning 10..20 tell lead; critical 20..; recover 0 0s; flapping 2 10m",
        "0:00:00 15
         0:01:00 row asa; ok ..10; critical 10.. tell desk; recover 0 0s; flapping 2 10m
         0:02:00 end",
        "0:00:00 i1 ok -> warning 10..20 range
         0:00:00 i1 #1 lead.email warning range
         0:01:00 i1 warning -> ok - removed
         0:01:00 i1 #2 lead.email ok removed
         0:01:01 i2 ok -> critical 10.. range
         0:01:01 i2 #1 desk.webhook critical range",
    );
}

#[test]
fn other_hours_are_an_opening_only_where_it_was_closed() {
    let with = |hours: &str| format!("{ROW}; hours {hours}");
    // Open before and after: nothing has opened.
    for hours in ["00:00-02:00", "00:00-00:20"] {
        check(
            &with("00:00-01:00"),
            &format!("0:00:00 15\n0:05:00 row {}\n0:10:00 end", with(hours)),
            &format!("{TAKEN}\n0:09:00 i1 #2 lead.email warning repeat"),
        );
    }
    check(
        &with("00:00-01:00"),
        &format!("0:00:00 15\n0:05:00 row {ROW}\n0:10:00 end"),
        &format!("{TAKEN}\n0:09:00 i1 #2 lead.email warning repeat"),
    );
    // Closed before, open now: it is told as carried over, and its timers go on.
    for rows in [with("00:00-02:00"), ROW.to_owned()] {
        check(
            &with("00:00-00:05"),
            &format!("0:00:00 15\n0:30:00 row {rows}\n0:35:00 end"),
            &format!(
                "{TAKEN}
                 0:30:00 i1 #2 lead.email warning opened
                 0:34:00 i1 #3 lead.email warning repeat"
            ),
        );
    }
    // Open before, closed now: it stands until the next opening.
    check(
        &with("00:00-01:00"),
        &format!("0:00:00 15\n0:05:00 row {}\n2:05:00 end", with("02:00-03:00")),
        &format!(
            "{TAKEN}
             2:00:00 i1 #2 lead.email warning opened
             2:04:00 i1 #3 lead.email warning repeat"
        ),
    );
}

#[test]
fn of_two_rows_that_become_one_the_open_case_goes_on() {
    check(
        &format!("{ROW}; hours 12:00-13:00 | {ROW}; hours 00:00-01:00"),
        &format!("0:00:00 15\n0:05:00 row {ROW}; hours 00:00-01:00 12:00-13:00\n0:10:00 end"),
        &format!("{TAKEN}\n0:09:00 i1 #2 lead.email warning repeat"),
    );
}

#[test]
fn a_flapping_case_stays_damped() {
    let row = "asa; ok ..10; warning 10.. tell lead; recover 0 0s; flapping 2 10m";
    check(
        row,
        &format!(
            "0:00:00 15
             0:01:00 5
             0:02:00 15
             0:03:00 row {row}; queue *
             0:03:00 5
             0:04:00 15
             0:04:30 end"
        ),
        "0:00:00 i1 ok -> warning 10.. range
         0:00:00 i1 #1 lead.email warning range
         0:01:00 i1 warning -> ok ..10 recovered
         0:01:00 i1 #2 lead.email ok recovered
         0:02:00 i2 ok -> warning 10.. range
         0:02:00 i2 #1 lead.email warning flapping 3 changes since 0:00:00
         0:03:00 i2 warning -> ok ..10 recovered
         0:03:00 i2 #2 lead.email ok recovered 4 changes since 0:00:00
         0:04:00 i3 ok -> warning 10.. range",
    );
}

#[test]
fn a_frozen_feed_goes_on_under_other_rows() {
    check(
        ROW,
        "0:00:00 5
         0:01:00 feed events silent
         0:02:00 row occupancy; ok ..10; warning 10..
         0:03:00 feed events live
         0:04:00 end",
        "0:01:00 i1 ok -> critical events feed
         0:01:00 i1 #1 desk.webhook critical feed
         0:03:00 i1 critical -> ok events recovered
         0:03:00 i1 #2 desk.webhook ok recovered",
    );
}

#[test]
fn what_is_told_later_is_of_the_new_row() {
    let mut engine = engine(&["asa; ok ..10; critical 10.. tell lead repeat 1m"]);
    let mut table = Table::new(&[place()]);
    table.set(Some(15.0), 1.0);
    engine.tick(START, &mut table, &LIVE);
    let rows = ["waiting; ok ..9; critical 9..", "asa; ok ..12; critical 12.. tell both.email repeat 1m"];
    let matrices = vec![matrix("sales", &rows[..1]), matrix("care", &rows)];
    let plan = Arc::new(Plan::default());
    let restarted = Engine::restore(matrices.clone(), plan.clone(), &engine.snapshot()).unwrap();
    engine.reload(matrices.clone(), plan);
    for mut engine in [engine, restarted] {
        let open = engine.open_cases();
        assert_eq!((open[0].last.row, open[0].last.range_text().as_deref()), (1, Some("12..")));
        let tick = engine.tick(START + Millis::MINUTE, &mut table, &LIVE);
        let notice = &tick.notifications[0];
        assert_eq!((&*notice.to, notice.reason.name(), notice.sequence), ("both", "repeat", 2));
        assert!(Arc::ptr_eq(&notice.transition.matrix, &matrices[1]));
        assert_eq!((notice.transition.row, notice.transition.time), (1, START));
    }
}

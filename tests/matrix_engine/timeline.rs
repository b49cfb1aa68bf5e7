//! The rules of "the life of a case", each with the moments before and after its condition is met.

use crate::support::check;

const ASA: &str = "asa 15m; ok ..1800; warning 1800..2700 for 2m tell lead; \
                   critical 2700.. tell lead,desk escalate 10m:manager repeat 30m; recover 120 1m; min 10";
const OCCUPANCY: &str = "occupancy 30m; warning ..0.6 for 30s tell lead; ok 0.6..0.85; warning 0.85..0.9 for 1m tell lead; \
                         critical 0.9.. tell desk";

#[test]
fn worse_after_its_for_to_the_second() {
    check(
        ASA,
        "0:00:00 100
         0:01:00 1800
         0:03:01 100
         0:10:00 end",
        "0:03:00 i1 ok -> warning 1800..2700 range
         0:03:00 i1 #1 lead.email warning range
         0:04:01 i1 warning -> ok ..1800 recovered
         0:04:01 i1 #2 lead.email ok recovered",
    );
}

#[test]
fn a_break_starts_for_anew_and_pending_says_nothing() {
    check(
        ASA,
        "0:00:00 1800
         0:01:59 1799
         0:02:00 1800
         0:03:59 100
         0:10:00 end",
        "",
    );
}

#[test]
fn beyond_a_range_counts_for_it_and_of_several_the_worst_is_taken() {
    // Half of warning's `for` in warning, half in critical, whose own `for` is longer.
    check(
        "asa; ok ..10; warning 10..20 for 1m tell lead; critical 20.. for 2m tell desk",
        "0:00:00 15
         0:00:30 25
         0:03:00 end",
        "0:01:00 i1 ok -> warning 10..20 range
         0:01:00 i1 #1 lead.email warning range
         0:02:30 i1 warning -> critical 20.. range
         0:02:30 i1 #2 desk.webhook critical range
         0:02:30 i1 #3 lead.email critical range",
    );
    // Both due in the same second: only the worst.
    check(
        "asa; ok ..10; warning 10..20 for 1m tell lead; critical 20.. for 1m tell desk",
        "0:00:00 25
         0:01:30 end",
        "0:01:00 i1 ok -> critical 20.. range
         0:01:00 i1 #1 desk.webhook critical range",
    );
}

#[test]
fn too_high_says_nothing_of_too_low() {
    check(
        OCCUPANCY,
        "0:00:00 0.5
         0:00:20 0.95
         0:00:25 0.5
         0:00:54 0.7
         0:05:00 end",
        "0:00:20 i1 ok -> critical 0.9.. range
         0:00:20 i1 #1 desk.webhook critical range
         0:01:25 i1 critical -> warning ..0.6 improved
         0:01:25 i1 #2 desk.webhook warning improved
         0:01:25 i1 #3 lead.email warning improved
         0:01:54 i1 warning -> ok 0.6..0.85 recovered
         0:01:54 i1 #4 desk.webhook ok recovered
         0:01:54 i1 #5 lead.email ok recovered",
    );
}

#[test]
fn a_bad_patch_between_two_ok_ranges_is_a_side_of_its_own() {
    check(
        "backlog; ok ..10; warning 10..20 tell lead; ok 20..30; critical 30.. for 1m tell desk; recover 0 10s",
        "0:00:00 35
         0:00:30 15
         0:00:40 25
         0:01:00 end",
        "0:00:30 i1 ok -> warning 10..20 range
         0:00:30 i1 #1 lead.email warning range
         0:00:50 i1 warning -> ok 20..30 recovered
         0:00:50 i1 #2 lead.email ok recovered",
    );
}

#[test]
fn ok_at_one_end_or_in_the_middle_of_a_scale() {
    check(
        "service_level 30m; critical ..0.6 tell desk; warning 0.6..0.8 tell lead; ok 0.8..; recover 0.05 10s",
        "0:00:00 1
         0:00:10 0.7
         0:00:20 0.3
         0:00:30 0.82
         0:01:00 0.86
         0:01:20 end",
        "0:00:10 i1 ok -> warning 0.6..0.8 range
         0:00:10 i1 #1 lead.email warning range
         0:00:20 i1 warning -> critical ..0.6 range
         0:00:20 i1 #2 desk.webhook critical range
         0:00:20 i1 #3 lead.email critical range
         0:00:40 i1 critical -> warning 0.6..0.8 improved
         0:00:40 i1 #4 lead.email warning improved
         0:00:40 i1 #5 desk.webhook warning improved
         0:01:10 i1 warning -> ok 0.8.. recovered
         0:01:10 i1 #6 lead.email ok recovered
         0:01:10 i1 #7 desk.webhook ok recovered",
    );
}

#[test]
fn better_needs_the_margin_and_goes_straight_to_the_best() {
    // 1680 + 120 is not ok yet, 1679 is; critical goes to ok without a stop at warning.
    check(
        ASA,
        "0:00:00 3000
         0:00:10 1680
         0:00:40 1679
         0:02:00 end",
        "0:00:00 i1 ok -> critical 2700.. range
         0:00:00 i1 #1 lead.email critical range
         0:00:00 i1 #2 desk.webhook critical range
         0:01:10 i1 critical -> warning 1800..2700 improved
         0:01:10 i1 #3 lead.email warning improved
         0:01:10 i1 #4 desk.webhook warning improved
         0:01:40 i1 warning -> ok ..1800 recovered
         0:01:40 i1 #5 lead.email ok recovered
         0:01:40 i1 #6 desk.webhook ok recovered",
    );
    check(
        ASA,
        "0:00:00 3000
         0:00:10 1679
         0:02:00 end",
        "0:00:00 i1 ok -> critical 2700.. range
         0:00:00 i1 #1 lead.email critical range
         0:00:00 i1 #2 desk.webhook critical range
         0:01:10 i1 critical -> ok ..1800 recovered
         0:01:10 i1 #3 lead.email ok recovered
         0:01:10 i1 #4 desk.webhook ok recovered",
    );
}

#[test]
fn the_margin_is_looked_at_either_way() {
    // Too near the lower edge: the value moved down would be too low.
    check(
        "occupancy; warning ..0.6 tell lead; ok 0.6..0.8; critical 0.8.. tell desk; recover 0.05 10s",
        "0:00:00 0.9
         0:00:10 0.62
         0:01:00 0.7
         0:01:30 end",
        "0:00:00 i1 ok -> critical 0.8.. range
         0:00:00 i1 #1 desk.webhook critical range
         0:00:20 i1 critical -> warning ..0.6 improved
         0:00:20 i1 #2 desk.webhook warning improved
         0:00:20 i1 #3 lead.email warning improved
         0:01:10 i1 warning -> ok 0.6..0.8 recovered
         0:01:10 i1 #4 desk.webhook ok recovered
         0:01:10 i1 #5 lead.email ok recovered",
    );
}

#[test]
fn a_range_s_for_does_not_delay_the_way_back() {
    check(
        "asa; ok ..10; warning 10..20 for 1h tell lead; critical 20.. tell desk; recover 0 5s",
        "0:00:00 25
         0:00:10 15
         0:00:30 end",
        "0:00:00 i1 ok -> critical 20.. range
         0:00:00 i1 #1 desk.webhook critical range
         0:00:15 i1 critical -> warning 10..20 improved
         0:00:15 i1 #2 desk.webhook warning improved
         0:00:15 i1 #3 lead.email warning improved",
    );
}

#[test]
fn another_range_of_the_level_is_told_after_its_for_in_the_same_incident() {
    check(
        "occupancy; warning ..0.6 tell lead escalate 5m:manager; ok 0.6..0.8; \
         warning 0.8.. for 30s tell desk escalate 1m:manager; recover 0 1h",
        "0:00:00 0.5
         0:01:00 0.9
         0:01:29 0.7
         0:01:30 0.9
         0:03:10 end",
        "0:00:00 i1 ok -> warning ..0.6 range
         0:00:00 i1 #1 lead.email warning range
         0:02:00 i1 warning -> warning 0.8.. range
         0:02:00 i1 #2 desk.webhook warning range
         0:02:00 i1 #3 lead.email warning range
         0:03:00 i1 #4 manager.email warning escalation",
    );
}

#[test]
fn another_range_of_the_level_on_the_way_to_a_worse_one() {
    check(
        "occupancy; warning ..0.6 tell lead; ok 0.6..0.8; warning 0.8..0.9 for 10s tell lead; critical 0.9.. for 1m",
        "0:00:00 0.5
         0:01:00 0.95
         0:02:10 end",
        "0:00:00 i1 ok -> warning ..0.6 range
         0:00:00 i1 #1 lead.email warning range
         0:01:10 i1 warning -> warning 0.8..0.9 range
         0:01:10 i1 #2 lead.email warning range
         0:02:00 i1 warning -> critical 0.9.. range
         0:02:00 i1 #3 lead.email critical range",
    );
}

#[test]
fn two_ranges_of_a_level_on_one_side() {
    // The level is due by either range; told is the one that holds the value. The second `for` is counted in its range.
    check(
        "asa; ok ..10; info 10..20 tell lead; info 20..30 for 1m tell desk; critical 30.. for 1h",
        "0:00:00 15
         0:05:00 25
         0:06:10 35
         0:07:00 end",
        "0:00:00 i1 ok -> info 10..20 range
         0:00:00 i1 #1 lead.email info range
         0:06:00 i1 info -> info 20..30 range
         0:06:00 i1 #2 desk.webhook info range
         0:06:00 i1 #3 lead.email info range",
    );
    // On the way to a worse one, both are due: told is the nearer to the value.
    check(
        "asa; ok ..10; info 10..20 tell lead; info 20..30 tell desk; critical 30.. for 1h",
        "0:00:00 35
         0:01:00 end",
        "0:00:00 i1 ok -> info 20..30 range
         0:00:00 i1 #1 desk.webhook info range",
    );
}

#[test]
fn a_null_or_too_few_samples_pause_without_breaking() {
    // 60 evaluated seconds before, 60 after: the pause of 5 minutes adds nothing.
    for missing in ["null", "5000/9", "0/9"] {
        check(
            ASA,
            &format!(
                "0:00:00 2000
                 0:01:00 {missing}
                 0:06:00 2000
                 0:07:02 100
                 0:07:30 {missing}
                 0:10:00 100
                 0:11:00 end"
            ),
            "0:07:00 i1 ok -> warning 1800..2700 range
             0:07:00 i1 #1 lead.email warning range
             0:10:32 i1 warning -> ok ..1800 recovered
             0:10:32 i1 #2 lead.email ok recovered",
        );
    }
}

#[test]
fn without_data_repeats_go_on_and_escalation_waits_for_somebody_waiting() {
    let row = "asa; ok ..10; critical 10.. tell lead escalate 5m:manager repeat 4m";
    let taken = "0:00:00 i1 ok -> critical 10.. range
                 0:00:00 i1 #1 lead.email critical range
                 0:04:00 i1 #2 lead.email critical repeat";
    check(
        row,
        "0:00:00 15
         0:01:00 null
         0:06:00 null waiting 2
         0:09:00 end",
        &format!(
            "{taken}
             0:06:00 i1 #3 manager.email critical escalation
             0:08:00 i1 #4 lead.email critical repeat
             0:08:00 i1 #5 manager.email critical repeat"
        ),
    );
    check(
        row,
        "0:00:00 15
         0:01:00 null
         0:07:00 15
         0:07:30 end",
        &format!("{taken}\n0:07:00 i1 #3 manager.email critical escalation"),
    );
}

#[test]
fn no_data_ok_resolves_and_what_comes_back_is_counted_anew() {
    check(
        "asa; ok ..10; warning 10.. for 30s tell lead; no_data ok",
        "0:00:00 15
         0:01:00 null
         0:02:00 15
         0:03:00 end",
        "0:00:30 i1 ok -> warning 10.. range
         0:00:30 i1 #1 lead.email warning range
         0:01:00 i1 warning -> ok - no_data
         0:01:00 i1 #2 lead.email ok no_data
         0:02:30 i2 ok -> warning 10.. range
         0:02:30 i2 #1 lead.email warning range",
    );
}

#[test]
fn no_data_alert_raises_and_recovers() {
    let row = "asa; ok ..10; warning 10..20 for 30s tell lead; critical 20.. tell desk; no_data warning 10s manager; recover 0 20s";
    check(
        row,
        "0:00:00 5
         0:05:00 null
         0:05:09 5
         0:06:00 null
         0:07:00 5
         0:08:00 end",
        "0:06:10 i1 ok -> warning - no_data
         0:06:10 i1 #1 manager.email warning no_data
         0:07:20 i1 warning -> ok ..10 recovered
         0:07:20 i1 #2 manager.email ok recovered",
    );
    // A worse level stands; what comes back bad is another range of the level, after its `for`.
    check(
        row,
        "0:00:00 null
         0:01:00 15
         0:02:00 25
         0:03:00 null
         0:05:00 end",
        "0:00:10 i1 ok -> warning - no_data
         0:00:10 i1 #1 manager.email warning no_data
         0:01:30 i1 warning -> warning 10..20 range
         0:01:30 i1 #2 lead.email warning range
         0:01:30 i1 #3 manager.email warning range
         0:02:00 i1 warning -> critical 20.. range
         0:02:00 i1 #4 desk.webhook critical range
         0:02:00 i1 #5 manager.email critical range
         0:02:00 i1 #6 lead.email critical range",
    );
}

#[test]
fn a_count_and_the_oldest_of_nothing_are_zero() {
    for indicator in ["abandoned 15m", "oldest_wait", "state_time 15m"] {
        check(
            &format!("{indicator}; critical ..1 for 3s tell lead; ok 1..; no_data warning 0s desk; recover 0 0s"),
            "0:00:00 null
             0:00:05 2
             0:00:06 end",
            "0:00:03 i1 ok -> critical ..1 range
             0:00:03 i1 #1 lead.email critical range
             0:00:05 i1 critical -> ok 1.. recovered
             0:00:05 i1 #2 lead.email ok recovered",
        );
    }
}

#[test]
fn escalation_and_repeat_run_from_taking_the_level() {
    check(
        "asa; ok ..10; warning 10..20 for 1m tell lead escalate 2m:desk escalate 5m:manager,lead repeat 3m; critical 20..",
        "0:00:00 15
         0:10:30 end",
        "0:01:00 i1 ok -> warning 10..20 range
         0:01:00 i1 #1 lead.email warning range
         0:03:00 i1 #2 desk.webhook warning escalation
         0:04:00 i1 #3 lead.email warning repeat
         0:04:00 i1 #4 desk.webhook warning repeat
         0:06:00 i1 #5 manager.email warning escalation
         0:06:00 i1 #6 lead.email warning escalation
         0:07:00 i1 #7 lead.email warning repeat
         0:07:00 i1 #8 desk.webhook warning repeat
         0:07:00 i1 #9 manager.email warning repeat
         0:10:00 i1 #10 lead.email warning repeat
         0:10:00 i1 #11 desk.webhook warning repeat
         0:10:00 i1 #12 manager.email warning repeat",
    );
}

#[test]
fn a_worse_level_starts_the_timers_anew_and_a_better_one_keeps_its_steps_told() {
    check(
        "asa; ok ..10; warning 10..20 tell lead escalate 1m:manager escalate 2m:desk repeat 3m; \
         critical 20.. tell lead escalate 1m:manager; recover 0 10s",
        "0:00:00 15
         0:01:30 25
         0:02:40 15
         0:06:00 end",
        "0:00:00 i1 ok -> warning 10..20 range
         0:00:00 i1 #1 lead.email warning range
         0:01:00 i1 #2 manager.email warning escalation
         0:01:30 i1 warning -> critical 20.. range
         0:01:30 i1 #3 lead.email critical range
         0:01:30 i1 #4 manager.email critical range
         0:02:30 i1 #5 manager.email critical escalation
         0:02:50 i1 critical -> warning 10..20 improved
         0:02:50 i1 #6 lead.email warning improved
         0:02:50 i1 #7 manager.email warning improved
         0:04:50 i1 #8 desk.webhook warning escalation
         0:05:50 i1 #9 lead.email warning repeat
         0:05:50 i1 #10 manager.email warning repeat
         0:05:50 i1 #11 desk.webhook warning repeat",
    );
}

#[test]
fn a_contact_is_all_its_media_unless_one_is_picked_and_nobody_hears_twice() {
    check(
        "asa; ok ..10; info 10..15; warning 15..20 tell both.webhook escalate 0s:both,lead; critical 20.. tell both,both.email; recover 0 5s",
        "0:00:00 12
         0:00:10 17
         0:00:20 25
         0:00:30 5
         0:00:40 end",
        "0:00:00 i1 ok -> info 10..15 range
         0:00:10 i1 info -> warning 15..20 range
         0:00:10 i1 #1 both.webhook warning range
         0:00:10 i1 #2 both.email warning escalation
         0:00:10 i1 #3 lead.email warning escalation
         0:00:20 i1 warning -> critical 20.. range
         0:00:20 i1 #4 both.email critical range
         0:00:20 i1 #5 both.webhook critical range
         0:00:20 i1 #6 lead.email critical range
         0:00:35 i1 critical -> ok ..10 recovered
         0:00:35 i1 #7 both.webhook ok recovered
         0:00:35 i1 #8 both.email ok recovered
         0:00:35 i1 #9 lead.email ok recovered",
    );
}

const DAY: &str = "asa; ok ..10; warning 10..20 for 30s tell lead escalate 10m:manager repeat 8m; critical 20.. for 30s tell desk; \
                   recover 1 1m; hours 00:00-01:00 02:00-03:00";

#[test]
fn outside_the_hours_nothing_moves_and_for_begins_at_zero() {
    // Pending at 1:00, bad all the time: at 2:00 `for` begins again.
    check(
        DAY,
        "0:59:50 15
         2:00:40 end",
        "2:00:30 i1 ok -> warning 10..20 range
         2:00:30 i1 #1 lead.email warning range",
    );
}

#[test]
fn carried_over_and_still_bad_is_opened_at_once_and_the_timers_go_on() {
    check(
        DAY,
        "0:54:30 15
         2:06:00 end",
        "0:55:00 i1 ok -> warning 10..20 range
         0:55:00 i1 #1 lead.email warning range
         2:00:00 i1 #2 lead.email warning opened
         2:03:00 i1 #3 lead.email warning repeat
         2:05:00 i1 #4 manager.email warning escalation",
    );
}

#[test]
fn carried_over_and_well_again_resolves() {
    check(
        DAY,
        "0:54:30 15
         1:30:00 5
         2:06:00 end",
        "0:55:00 i1 ok -> warning 10..20 range
         0:55:00 i1 #1 lead.email warning range
         2:01:00 i1 warning -> ok ..10 recovered
         2:01:00 i1 #2 lead.email ok recovered",
    );
    // Inside ok and then out of it before recovery: opened then, and the timers stood until then.
    check(
        DAY,
        "0:54:30 15
         1:30:00 5
         2:00:40 15
         2:06:00 end",
        "0:55:00 i1 ok -> warning 10..20 range
         0:55:00 i1 #1 lead.email warning range
         2:00:40 i1 #2 lead.email warning opened
         2:03:40 i1 #3 lead.email warning repeat
         2:05:40 i1 #4 manager.email warning escalation",
    );
    // Inside ok, but by less than the margin: it has had its time, and is told.
    check(
        DAY,
        "0:54:30 15
         1:30:00 9.5
         2:02:00 end",
        "0:55:00 i1 ok -> warning 10..20 range
         0:55:00 i1 #1 lead.email warning range
         2:01:00 i1 #2 lead.email warning opened",
    );
}

#[test]
fn carried_over_without_data_waits_for_some() {
    check(
        DAY,
        "0:54:30 15
         1:30:00 null
         2:10:00 15
         2:14:00 end",
        "0:55:00 i1 ok -> warning 10..20 range
         0:55:00 i1 #1 lead.email warning range
         2:10:00 i1 #2 lead.email warning opened
         2:13:00 i1 #3 lead.email warning repeat",
    );
}

#[test]
fn settle_delays_everything_after_the_opening() {
    check(
        &format!("{DAY}; settle 5m"),
        "0:54:30 15
         2:10:00 end",
        "0:55:00 i1 ok -> warning 10..20 range
         0:55:00 i1 #1 lead.email warning range
         2:05:00 i1 #2 lead.email warning opened
         2:08:00 i1 #3 lead.email warning repeat",
    );
    check(
        &format!("{DAY}; settle 5m"),
        "2:00:00 15
         2:06:00 end",
        "2:05:30 i1 ok -> warning 10..20 range
         2:05:30 i1 #1 lead.email warning range",
    );
}

#[test]
fn worse_after_the_opening() {
    check(
        DAY,
        "0:54:30 15
         1:30:00 25
         2:01:00 end",
        "0:55:00 i1 ok -> warning 10..20 range
         0:55:00 i1 #1 lead.email warning range
         2:00:00 i1 #2 lead.email warning opened
         2:00:30 i1 warning -> critical 20.. range
         2:00:30 i1 #3 desk.webhook critical range
         2:00:30 i1 #4 lead.email critical range",
    );
}

#[test]
fn a_holiday_is_closed_and_carried_over() {
    check(
        "asa; ok ..10; warning 10.. tell lead; hours 12:00-12:01; holiday 2026-06-02",
        "12:00:30 15
         36:00:00 15
         60:00:10 end",
        "12:00:30 i1 ok -> warning 10.. range
         12:00:30 i1 #1 lead.email warning range
         60:00:00 i1 #2 lead.email warning opened",
    );
}

#[test]
fn a_pause_of_ticks_counts_if_the_value_still_holds() {
    check(
        ASA,
        "0:00:00 2000
         0:00:01 skip
         0:05:00 2000
         0:05:01 skip
         0:08:00 100
         0:08:01 skip
         0:20:00 100
         0:20:05 end",
        "0:05:00 i1 ok -> warning 1800..2700 range
         0:05:00 i1 #1 lead.email warning range
         0:20:00 i1 warning -> ok ..1800 recovered
         0:20:00 i1 #2 lead.email ok recovered",
    );
    // A pause that ends in a null adds nothing.
    check(
        ASA,
        "0:00:00 2000
         0:00:01 skip
         0:05:00 null
         0:05:01 2000
         0:06:59 end",
        "",
    );
    // Repeats that a pause swallowed are told once, and keep to their grid.
    check(
        "asa; ok ..10; warning 10.. tell lead repeat 1m escalate 2m:desk escalate 3m:manager",
        "0:00:00 15
         0:00:01 skip
         0:05:30 15
         0:06:01 end",
        "0:00:00 i1 ok -> warning 10.. range
         0:00:00 i1 #1 lead.email warning range
         0:05:30 i1 #2 desk.webhook warning escalation
         0:05:30 i1 #3 manager.email warning escalation
         0:05:30 i1 #4 lead.email warning repeat
         0:06:00 i1 #5 lead.email warning repeat
         0:06:00 i1 #6 desk.webhook warning repeat
         0:06:00 i1 #7 manager.email warning repeat",
    );
    // A pause over the closed hours is an opening all the same.
    check(
        DAY,
        "0:54:30 15
         0:55:10 skip
         2:00:10 15
         2:00:20 end",
        "0:55:00 i1 ok -> warning 10..20 range
         0:55:00 i1 #1 lead.email warning range
         2:00:10 i1 #2 lead.email warning opened",
    );
}

//! A case that changes its level too often is told so once, and then damped.

use crate::support::check;

/// Three changes in ten minutes are too many; two are not.
const ROW: &str = "asa; ok ..10; warning 10..20 tell lead; critical 20.. tell desk; recover 0 0s; flapping 2 10m";

#[test]
fn told_once_then_damped_until_it_settles() {
    check(
        ROW,
        "0:00:00 15
         0:01:00 5
         0:02:00 15
         0:03:00 5
         0:04:00 15
         0:05:00 5
         0:14:59 15
         0:15:30 5
         0:25:30 15
         0:26:00 end",
        "0:00:00 i1 ok -> warning 10..20 range
         0:00:00 i1 #1 lead.email warning range
         0:01:00 i1 warning -> ok ..10 recovered
         0:01:00 i1 #2 lead.email ok recovered
         0:02:00 i2 ok -> warning 10..20 range
         0:02:00 i2 #1 lead.email warning flapping 3 changes since 0:00:00
         0:03:00 i2 warning -> ok ..10 recovered
         0:03:00 i2 #2 lead.email ok recovered 4 changes since 0:00:00
         0:04:00 i3 ok -> warning 10..20 range
         0:05:00 i3 warning -> ok ..10 recovered
         0:14:59 i4 ok -> warning 10..20 range
         0:15:30 i4 warning -> ok ..10 recovered
         0:25:30 i5 ok -> warning 10..20 range
         0:25:30 i5 #1 lead.email warning range",
    );
}

#[test]
fn changes_count_while_they_are_younger_than_within() {
    // The first change is ten minutes old at the third: two are left.
    check(
        ROW,
        "0:00:00 15
         0:09:00 5
         0:10:00 15
         0:10:30 end",
        "0:00:00 i1 ok -> warning 10..20 range
         0:00:00 i1 #1 lead.email warning range
         0:09:00 i1 warning -> ok ..10 recovered
         0:09:00 i1 #2 lead.email ok recovered
         0:10:00 i2 ok -> warning 10..20 range
         0:10:00 i2 #1 lead.email warning range",
    );
}

#[test]
fn a_level_worse_than_any_told_in_the_stretch_is_never_held() {
    check(
        ROW,
        "0:00:00 15
         0:01:00 5
         0:02:00 15
         0:03:00 25
         0:04:00 15
         0:05:00 25
         0:06:00 5
         0:07:00 25
         0:08:00 5
         0:09:00 end",
        "0:00:00 i1 ok -> warning 10..20 range
         0:00:00 i1 #1 lead.email warning range
         0:01:00 i1 warning -> ok ..10 recovered
         0:01:00 i1 #2 lead.email ok recovered
         0:02:00 i2 ok -> warning 10..20 range
         0:02:00 i2 #1 lead.email warning flapping 3 changes since 0:00:00
         0:03:00 i2 warning -> critical 20.. range
         0:03:00 i2 #2 desk.webhook critical range 4 changes since 0:00:00
         0:03:00 i2 #3 lead.email critical range 4 changes since 0:00:00
         0:04:00 i2 critical -> warning 10..20 improved
         0:05:00 i2 warning -> critical 20.. range
         0:06:00 i2 critical -> ok ..10 recovered
         0:06:00 i2 #4 lead.email ok recovered 7 changes since 0:00:00
         0:06:00 i2 #5 desk.webhook ok recovered 7 changes since 0:00:00
         0:07:00 i3 ok -> critical 20.. range
         0:08:00 i3 critical -> ok ..10 recovered",
    );
}

#[test]
fn a_level_that_was_held_is_told_when_the_stretch_ends_and_escalates_meanwhile() {
    check(
        "asa; ok ..10; warning 10.. tell lead escalate 3m:manager; recover 0 0s; flapping 2 10m",
        "0:00:00 15
         0:01:00 5
         0:02:00 15
         0:03:00 5
         0:04:00 15
         0:15:00 end",
        "0:00:00 i1 ok -> warning 10.. range
         0:00:00 i1 #1 lead.email warning range
         0:01:00 i1 warning -> ok ..10 recovered
         0:01:00 i1 #2 lead.email ok recovered
         0:02:00 i2 ok -> warning 10.. range
         0:02:00 i2 #1 lead.email warning flapping 3 changes since 0:00:00
         0:03:00 i2 warning -> ok ..10 recovered
         0:03:00 i2 #2 lead.email ok recovered 4 changes since 0:00:00
         0:04:00 i3 ok -> warning 10.. range
         0:07:00 i3 #1 manager.email warning escalation 5 changes since 0:00:00
         0:14:00 i3 #2 lead.email warning range
         0:14:00 i3 #3 manager.email warning range",
    );
}

#[test]
fn a_level_that_was_held_is_told_at_the_opening() {
    check(
        "asa; ok ..10; warning 10.. tell lead; recover 0 0s; flapping 2 10m; hours 00:00-00:05 00:06-01:00",
        "0:00:00 15
         0:01:00 5
         0:02:00 15
         0:03:00 5
         0:04:00 15
         0:15:00 end",
        "0:00:00 i1 ok -> warning 10.. range
         0:00:00 i1 #1 lead.email warning range
         0:01:00 i1 warning -> ok ..10 recovered
         0:01:00 i1 #2 lead.email ok recovered
         0:02:00 i2 ok -> warning 10.. range
         0:02:00 i2 #1 lead.email warning flapping 3 changes since 0:00:00
         0:03:00 i2 warning -> ok ..10 recovered
         0:03:00 i2 #2 lead.email ok recovered 4 changes since 0:00:00
         0:04:00 i3 ok -> warning 10.. range
         0:06:00 i3 #1 lead.email warning opened 5 changes since 0:00:00",
    );
}

#[test]
fn a_silence_that_ends_tells_what_the_damping_held() {
    check(
        ROW,
        "0:00:00 15
         0:01:00 5
         0:02:00 15
         0:03:00 5
         0:03:30 silence s1 now 0:06:00 indicator=asa
         0:04:00 15
         0:20:00 end",
        "0:00:00 i1 ok -> warning 10..20 range
         0:00:00 i1 #1 lead.email warning range
         0:01:00 i1 warning -> ok ..10 recovered
         0:01:00 i1 #2 lead.email ok recovered
         0:02:00 i2 ok -> warning 10..20 range
         0:02:00 i2 #1 lead.email warning flapping 3 changes since 0:00:00
         0:03:00 i2 warning -> ok ..10 recovered
         0:03:00 i2 #2 lead.email ok recovered 4 changes since 0:00:00
         0:03:30 Silenced
         0:04:00 i3 ok -> warning 10..20 range
         0:06:00 i3 #1 lead.email warning silence_ended 5 changes since 0:00:00",
    );
}

#[test]
fn another_range_of_the_level_is_no_change_of_the_level() {
    let expected: String = (1..=4)
        .map(|minute| {
            let (range, who) = if minute % 2 == 1 { ("0.8..", "desk.webhook") } else { ("..0.6", "lead.email") };
            let other = if minute % 2 == 1 { "lead.email" } else { "desk.webhook" };
            let number = 2 * minute;
            format!(
                "0:0{minute}:00 i1 warning -> warning {range} range
                 0:0{minute}:00 i1 #{number} {who} warning range
                 0:0{minute}:00 i1 #{} {other} warning range\n",
                number + 1
            )
        })
        .collect();
    check(
        "occupancy; warning ..0.6 tell lead; ok 0.6..0.8; warning 0.8.. tell desk; recover 0 1h; flapping 2 1h",
        "0:00:00 0.5
         0:01:00 0.9
         0:02:00 0.5
         0:03:00 0.9
         0:04:00 0.5
         0:05:00 end",
        &format!("0:00:00 i1 ok -> warning ..0.6 range\n0:00:00 i1 #1 lead.email warning range\n{expected}"),
    );
}

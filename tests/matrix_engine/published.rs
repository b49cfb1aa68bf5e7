//! What other alerting programs publish of their rules, so that people who come from them find what they know.
//!
//! Prometheus, "Alerting rules": `for` (pending until then, a break resets), `keep_firing_for`. Alertmanager,
//! "Configuration" and "Silences": `repeat_interval`, resolved notices to those who had the alert, inhibition of the lesser
//! severity, silences; "Alertmanager": deduplication. Grafana, "Alert rule evaluation", "Mute timings": the pending period, recovery thresholds, "keep last
//! state" and "alerting" without data, errors of the data source. The cases are
//! rewritten in this program's words; the figures are those of the published examples.

use crate::support::check;

#[test]
fn prometheus_for_waits_ten_minutes_and_resets() {
    // HighRequestLatency: `expr: ... > 0.5`, `for: 10m`.
    let row = "occupancy; ok ..0.5; critical 0.5.. for 10m tell desk; recover 0 0s";
    check(
        row,
        "0:00:00 0.6
         0:09:59 0.4
         0:10:00 0.6
         0:20:00 0.6
         0:20:01 0.4
         0:21:00 end",
        "0:20:00 i1 ok -> critical 0.5.. range
         0:20:00 i1 #1 desk.webhook critical range
         0:20:01 i1 critical -> ok ..0.5 recovered
         0:20:01 i1 #2 desk.webhook ok recovered",
    );
}

#[test]
fn prometheus_without_for_fires_at_the_first_evaluation() {
    check(
        "agents; critical ..1 tell desk; ok 1..; recover 0 0s",
        "0:00:00 3
         0:00:10 0
         0:00:20 end",
        "0:00:10 i1 ok -> critical ..1 range
         0:00:10 i1 #1 desk.webhook critical range",
    );
}

#[test]
fn prometheus_keep_firing_for_holds_through_flapping() {
    // `keep_firing_for: 5m`: what comes back within five minutes was never resolved.
    check(
        "occupancy; ok ..0.5; critical 0.5.. tell desk; recover 0 5m",
        "0:00:00 0.6
         0:01:00 0.4
         0:05:59 0.6
         0:06:00 0.4
         0:12:00 end",
        "0:00:00 i1 ok -> critical 0.5.. range
         0:00:00 i1 #1 desk.webhook critical range
         0:11:00 i1 critical -> ok ..0.5 recovered
         0:11:00 i1 #2 desk.webhook ok recovered",
    );
}

#[test]
fn alertmanager_repeat_interval_and_send_resolved() {
    // `repeat_interval: 4h`, `send_resolved: true`.
    check(
        "asa; ok ..10; critical 10.. tell lead repeat 4h; recover 0 0s",
        "0:00:00 15
         9:00:00 5
         9:00:01 end",
        "0:00:00 i1 ok -> critical 10.. range
         0:00:00 i1 #1 lead.email critical range
         4:00:00 i1 #2 lead.email critical repeat
         8:00:00 i1 #3 lead.email critical repeat
         9:00:00 i1 critical -> ok ..10 recovered
         9:00:00 i1 #4 lead.email ok recovered",
    );
}

#[test]
fn alertmanager_inhibition_the_lesser_severity_is_quiet_while_the_worse_fires() {
    check(
        "asa; ok ..10; warning 10..20 tell lead repeat 1m; critical 20.. tell desk repeat 2m; recover 0 1h",
        "0:00:00 15
         0:00:30 25
         0:03:00 end",
        "0:00:00 i1 ok -> warning 10..20 range
         0:00:00 i1 #1 lead.email warning range
         0:00:30 i1 warning -> critical 20.. range
         0:00:30 i1 #2 desk.webhook critical range
         0:00:30 i1 #3 lead.email critical range
         0:02:30 i1 #4 desk.webhook critical repeat",
    );
}

#[test]
fn grafana_recovery_threshold_is_hysteresis() {
    // Alert above 1000, recover below 900: between them the alert stays as it is, whichever way it came.
    check(
        "asa; ok ..1000; critical 1000.. tell desk; recover 100 0s",
        "0:00:00 950
         0:01:00 1000
         0:02:00 950
         0:03:00 900
         0:04:00 899
         0:05:00 950
         0:06:00 end",
        "0:01:00 i1 ok -> critical 1000.. range
         0:01:00 i1 #1 desk.webhook critical range
         0:04:00 i1 critical -> ok ..1000 recovered
         0:04:00 i1 #2 desk.webhook ok recovered",
    );
}

#[test]
fn grafana_no_data_keep_last_state_and_alerting() {
    check(
        "asa; ok ..10; critical 10.. tell desk; no_data keep; recover 0 0s",
        "0:00:00 15
         0:01:00 null
         2:00:00 5
         2:00:01 end",
        "0:00:00 i1 ok -> critical 10.. range
         0:00:00 i1 #1 desk.webhook critical range
         2:00:00 i1 critical -> ok ..10 recovered
         2:00:00 i1 #2 desk.webhook ok recovered",
    );
    // "Alerting" after the pending period of five minutes.
    check(
        "asa; ok ..10; critical 10.. tell desk; no_data critical 5m desk; recover 0 0s",
        "0:00:00 null
         0:06:00 5
         0:06:01 end",
        "0:05:00 i1 ok -> critical - no_data
         0:05:00 i1 #1 desk.webhook critical no_data
         0:06:00 i1 critical -> ok ..10 recovered
         0:06:00 i1 #2 desk.webhook ok recovered",
    );
}

#[test]
fn alertmanager_a_silence_mutes_and_expires_while_the_alert_fires() {
    // "Silences are a straightforward way to simply mute alerts for a given time"; expired, the alert is sent again.
    check(
        "asa; ok ..10; critical 10.. tell lead repeat 4h; recover 0 0s",
        "0:00:00 silence s1 now 2:00:00 indicator=asa queue=rec*
         0:10:00 15
         3:00:00 5
         3:00:01 end",
        "0:00:00 Silenced
         0:10:00 i1 ok -> critical 10.. range
         2:00:00 i1 #1 lead.email critical silence_ended
         3:00:00 i1 critical -> ok ..10 recovered
         3:00:00 i1 #2 lead.email ok recovered",
    );
}

#[test]
fn alertmanager_refuses_a_silence_that_matches_everything() {
    check(
        "asa; ok ..10; critical 10.. tell lead",
        "0:00:00 silence s1 now 2:00:00
         0:00:00 15
         0:01:00 end",
        "0:00:00 refused: the silence names nothing and would hold everything; if that is meant, write `matrix: [\"*\"]`
         0:00:00 i1 ok -> critical 10.. range
         0:00:00 i1 #1 lead.email critical range",
    );
}

#[test]
fn alertmanager_a_resolved_alert_that_fires_again_in_a_silence_is_a_new_one() {
    check(
        "asa; ok ..10; critical 10.. tell lead; recover 0 0s",
        "0:00:00 15
         0:10:00 silence s1 now 1:00:00 indicator=asa
         0:20:00 5
         0:30:00 15
         1:00:01 end",
        "0:00:00 i1 ok -> critical 10.. range
         0:00:00 i1 #1 lead.email critical range
         0:10:00 Silenced
         0:20:00 i1 critical -> ok ..10 recovered
         0:20:00 i1 #2 lead.email ok recovered silenced by s1
         0:30:00 i2 ok -> critical 10.. range
         1:00:00 i2 #1 lead.email critical silence_ended",
    );
}

#[test]
fn prometheus_a_reload_keeps_the_state_of_rules_that_did_not_change() {
    // Prometheus copies the state of an alerting rule of the same name and labels; `for` goes on counting.
    check(
        "asa; ok ..10; critical 10.. for 10m tell desk; recover 0 0s",
        "0:00:00 15
         0:08:00 row waiting; ok ..99; critical 99.. | asa; ok ..10; critical 10.. for 10m tell lead; recover 0 0s
         0:12:00 end",
        "0:10:00 i1 ok -> critical 10.. range
         0:10:00 i1 #1 lead.email critical range",
    );
}

#[test]
fn prometheus_the_alerts_of_a_deleted_rule_end() {
    // There nothing renews them, and they end with their `endsAt`; here it is told at once.
    check(
        "asa; ok ..10; critical 10.. tell desk",
        "0:00:00 15
         0:05:00 row none
         0:06:00 end",
        "0:00:00 i1 ok -> critical 10.. range
         0:00:00 i1 #1 desk.webhook critical range
         0:05:00 i1 critical -> ok - removed
         0:05:00 i1 #2 desk.webhook ok removed",
    );
}

#[test]
fn grafana_a_broken_data_source_is_another_thing_than_no_data() {
    // Grafana's "Error" beside "No Data": the rule keeps its state, and the error has an alert of its own (DatasourceError).
    check(
        "asa; ok ..10; critical 10.. tell lead; no_data ok; recover 0 0s",
        "0:00:00 15
         0:05:00 feed events silent
         0:05:00 null
         0:15:00 feed events live
         0:16:00 end",
        "0:00:00 i1 ok -> critical 10.. range
         0:00:00 i1 #1 lead.email critical range
         0:05:00 i2 ok -> critical events feed
         0:05:00 i2 #1 desk.webhook critical feed
         0:15:00 i2 critical -> ok events recovered
         0:15:00 i1 critical -> ok - no_data
         0:15:00 i2 #2 desk.webhook ok recovered
         0:15:00 i1 #2 lead.email ok no_data",
    );
}

#[test]
fn grafana_a_mute_timing_holds_notices_at_set_times() {
    // Evaluation goes on in a mute timing; what still fires when it ends is told.
    check(
        "asa; ok ..10; critical 10.. tell lead; recover 0 0s",
        "0:00:00 silence lunch 0:30:00 1:00:00 matrix=care
         0:00:00 5
         0:40:00 15
         1:10:00 end",
        "0:00:00 Silenced
         0:40:00 i1 ok -> critical 10.. range
         1:00:00 i1 #1 lead.email critical silence_ended",
    );
}

#[test]
fn alertmanager_deduplicates_what_fires_again_and_again() {
    // "Alertmanager": it takes care of deduplicating the alerts that clients send. A client sends an alert again at every
    // evaluation, with another value too; it is told once and then by `repeat_interval` alone ("Configuration").
    check(
        "asa; ok ..10; critical 10.. tell lead repeat 5m; recover 0 1m",
        "0:00:00 15
         0:01:00 16
         0:02:00 9
         0:02:30 99
         0:06:00 null
         0:06:30 15
         0:10:01 end",
        "0:00:00 i1 ok -> critical 10.. range
         0:00:00 i1 #1 lead.email critical range
         0:05:00 i1 #2 lead.email critical repeat
         0:10:00 i1 #3 lead.email critical repeat",
    );
}

#[test]
fn alertmanager_time_intervals_begin_inclusive_end_exclusive_and_touch_at_midnight() {
    // "Configuration", `<time_interval_spec>`: a range has its beginning and not its end, and ends at 24:00 at the latest, so
    // that a night is two of them. Here a night may be written as one, and is the same: midnight is no opening. As there,
    // nothing is told outside; unlike there, `for` begins anew inside.
    for night in ["22:00-24:00 00:00-06:00", "22:00-06:00"] {
        check(
            &format!("asa; ok ..10; critical 10.. for 10m tell lead repeat 3h; recover 0 0s; hours {night}"),
            "21:00:00 15
             22:09:59 5
             23:55:00 15
             29:59:59 5
             30:00:00 15
             31:00:00 end",
            "24:05:00 i1 ok -> critical 10.. range
             24:05:00 i1 #1 lead.email critical range
             27:05:00 i1 #2 lead.email critical repeat
             29:59:59 i1 critical -> ok ..10 recovered
             29:59:59 i1 #3 lead.email ok recovered",
        );
    }
    // At the second of the beginning it is told, at that of the end no more.
    check(
        "asa; ok ..10; critical 10.. tell lead; recover 0 0s; hours 17:00-24:00",
        "16:59:59 15
         17:00:01 5
         24:00:00 15
         24:10:00 end",
        "17:00:00 i1 ok -> critical 10.. range
         17:00:00 i1 #1 lead.email critical range
         17:00:01 i1 critical -> ok ..10 recovered
         17:00:01 i1 #2 lead.email ok recovered",
    );
}

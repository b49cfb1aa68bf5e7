//! What other alerting programs publish of their rules, so that people who come from them find what they know.
//!
//! Prometheus, "Alerting rules": `for` (pending until then, a break resets), `keep_firing_for`. Alertmanager,
//! "Configuration": `repeat_interval`, resolved notices to those who had the alert, inhibition of the lesser severity.
//! Grafana, "Alert rule evaluation": the pending period, recovery thresholds, "keep last state" and "alerting" without
//! data. The cases are rewritten in this program's words; the figures are those of the published examples.

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

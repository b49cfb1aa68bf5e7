//! Acknowledgements and silences, each with the moments before and after.

use atalaya::domain::Millis;
use atalaya::matrix::engine::{Matcher, Operated, Operation, Refusal, SILENCES_MAX, What};

use crate::support::{LIVE, START, Table, check, engine, place};

const ROW: &str = "asa; ok ..10; warning 10..20 tell lead escalate 5m:manager repeat 4m; \
                   critical 20.. tell desk escalate 5m:manager repeat 4m; recover 0 10s";

#[test]
fn an_acknowledgement_stops_repeat_and_escalation_until_ok() {
    check(
        ROW,
        "0:00:00 15
         0:01:00 ack i1 ana
         1:00:00 5
         1:01:00 15
         1:05:30 end",
        "0:00:00 i1 ok -> warning 10..20 range
         0:00:00 i1 #1 lead.email warning range
         0:01:00 acknowledged until 4:01:00
         1:00:10 i1 warning -> ok ..10 recovered
         1:00:10 i1 #2 lead.email ok recovered seen by ana
         1:01:00 i2 ok -> warning 10..20 range
         1:01:00 i2 #1 lead.email warning range
         1:05:00 i2 #2 lead.email warning repeat",
    );
}

#[test]
fn when_ack_for_is_over_the_timers_go_on_from_where_they_stood() {
    // Taken at 0, seen after 3 minutes, over at 1:03:00: the fourth minute ends at 1:04:00, the fifth at 1:05:00.
    let expected = |until: &str| {
        format!(
            "0:00:00 i1 ok -> warning 10..20 range
             0:00:00 i1 #1 lead.email warning range
             0:03:00 acknowledged until {until}
             1:04:00 i1 #2 lead.email warning repeat
             1:05:00 i1 #3 manager.email warning escalation
             1:08:00 i1 #4 lead.email warning repeat
             1:08:00 i1 #5 manager.email warning repeat"
        )
    };
    check(
        &format!("{ROW}; ack_for 1h"),
        "0:00:00 15
         0:03:00 ack i1 ana
         1:09:00 end",
        &expected("1:03:00"),
    );
    check(
        ROW,
        "0:00:00 15
         0:03:00 ack i1 ana until 1:03:00
         1:09:00 end",
        &expected("1:03:00"),
    );
    // The second that ends it may fall into a pause of ticks.
    check(
        ROW,
        "0:00:00 15
         0:03:00 ack i1 ana until 1:03:00
         0:30:00 skip
         1:03:40 15
         1:09:00 end",
        &expected("1:03:00"),
    );
}

#[test]
fn a_second_acknowledgement_takes_the_place_of_the_first() {
    check(
        ROW,
        "0:00:00 15
         0:03:00 ack i1 ana until 1:00:00
         0:30:00 ack i1 luis until 0:40:00
         0:42:30 5
         0:43:00 end",
        "0:00:00 i1 ok -> warning 10..20 range
         0:00:00 i1 #1 lead.email warning range
         0:03:00 acknowledged until 1:00:00
         0:30:00 acknowledged until 0:40:00
         0:41:00 i1 #2 lead.email warning repeat
         0:42:00 i1 #3 manager.email warning escalation
         0:42:40 i1 warning -> ok ..10 recovered
         0:42:40 i1 #4 lead.email ok recovered
         0:42:40 i1 #5 manager.email ok recovered",
    );
}

#[test]
fn a_worse_level_voids_it_and_a_better_one_does_not() {
    check(
        ROW,
        "0:00:00 15
         0:01:00 ack i1 ana
         0:02:00 25
         0:08:00 end",
        "0:00:00 i1 ok -> warning 10..20 range
         0:00:00 i1 #1 lead.email warning range
         0:01:00 acknowledged until 4:01:00
         0:02:00 i1 warning -> critical 20.. range
         0:02:00 i1 #2 desk.webhook critical range
         0:02:00 i1 #3 lead.email critical range
         0:06:00 i1 #4 desk.webhook critical repeat
         0:07:00 i1 #5 manager.email critical escalation",
    );
    // Seen at critical: warning after it and critical again are no worse than what was seen. All of it is told once.
    check(
        ROW,
        "0:00:00 25
         0:01:00 ack i1 ana
         0:02:00 15
         0:20:00 25
         4:00:59 25
         4:05:30 end",
        "0:00:00 i1 ok -> critical 20.. range
         0:00:00 i1 #1 desk.webhook critical range
         0:01:00 acknowledged until 4:01:00
         0:02:10 i1 critical -> warning 10..20 improved
         0:02:10 i1 #2 desk.webhook warning improved seen by ana
         0:02:10 i1 #3 lead.email warning improved seen by ana
         0:20:00 i1 warning -> critical 20.. range
         0:20:00 i1 #4 desk.webhook critical range seen by ana
         0:20:00 i1 #5 lead.email critical range seen by ana
         4:05:00 i1 #6 desk.webhook critical repeat",
    );
}

#[test]
fn another_range_of_the_level_is_told_and_stays_acknowledged() {
    check(
        "occupancy; warning ..0.6 tell lead repeat 1m; ok 0.6..0.8; warning 0.8.. tell desk repeat 1m; recover 0 1h",
        "0:00:00 0.5
         0:00:30 ack i1 ana until 0:10:00
         0:02:00 0.9
         0:11:30 end",
        "0:00:00 i1 ok -> warning ..0.6 range
         0:00:00 i1 #1 lead.email warning range
         0:00:30 acknowledged until 0:10:00
         0:02:00 i1 warning -> warning 0.8.. range
         0:02:00 i1 #2 desk.webhook warning range seen by ana
         0:02:00 i1 #3 lead.email warning range seen by ana
         0:11:00 i1 #4 desk.webhook warning repeat",
    );
}

#[test]
fn what_is_over_or_unknown_is_not_acknowledged() {
    check(
        ROW,
        "0:00:00 15
         0:00:05 ack nobody ana
         0:01:00 5
         0:02:00 ack i1 ana
         0:03:00 15
         0:07:30 end",
        "0:00:00 i1 ok -> warning 10..20 range
         0:00:00 i1 #1 lead.email warning range
         0:00:05 NotOpen
         0:01:10 i1 warning -> ok ..10 recovered
         0:01:10 i1 #2 lead.email ok recovered
         0:02:00 NotOpen
         0:03:00 i2 ok -> warning 10..20 range
         0:03:00 i2 #1 lead.email warning range
         0:07:00 i2 #2 lead.email warning repeat",
    );
}

const DAY: &str = "asa; ok ..10; warning 10..20 tell lead escalate 10m:manager repeat 8m; recover 1 1m; \
                   hours 00:00-01:00 02:00-03:00";

#[test]
fn an_acknowledgement_and_closed_hours_stop_the_timers_once() {
    // Five minutes have run at 0:55:00. Over in the closed hour: they go on with the opening.
    check(
        DAY,
        "0:50:00 15
         0:55:00 ack i1 ana until 1:30:00
         2:06:00 end",
        "0:50:00 i1 ok -> warning 10..20 range
         0:50:00 i1 #1 lead.email warning range
         0:55:00 acknowledged until 1:30:00
         2:00:00 i1 #2 lead.email warning opened
         2:03:00 i1 #3 lead.email warning repeat
         2:05:00 i1 #4 manager.email warning escalation",
    );
    // Over after the opening: they go on then.
    check(
        DAY,
        "0:50:00 15
         0:55:00 ack i1 ana until 2:20:00
         2:25:30 end",
        "0:50:00 i1 ok -> warning 10..20 range
         0:50:00 i1 #1 lead.email warning range
         0:55:00 acknowledged until 2:20:00
         2:00:00 i1 #2 lead.email warning opened seen by ana
         2:23:00 i1 #3 lead.email warning repeat
         2:25:00 i1 #4 manager.email warning escalation",
    );
    // Given while it is closed: ten minutes had run.
    check(
        DAY,
        "0:50:00 15
         1:10:00 ack i1 ana until 2:20:00
         2:25:30 end",
        "0:50:00 i1 ok -> warning 10..20 range
         0:50:00 i1 #1 lead.email warning range
         0:58:00 i1 #2 lead.email warning repeat
         1:10:00 acknowledged until 2:20:00
         2:00:00 i1 #3 lead.email warning opened seen by ana
         2:20:00 i1 #4 manager.email warning escalation",
    );
}

#[test]
fn a_silence_holds_notices_while_the_level_runs() {
    // Told before, better and worse in the silence, and when it ends: once, and escalation from zero.
    check(
        ROW,
        "0:00:00 15
         0:01:00 silence s1 now 0:30:00 indicator=asa
         0:02:00 25
         0:40:00 end",
        "0:00:00 i1 ok -> warning 10..20 range
         0:00:00 i1 #1 lead.email warning range
         0:01:00 Silenced
         0:02:00 i1 warning -> critical 20.. range
         0:30:00 i1 #2 desk.webhook critical silence_ended
         0:30:00 i1 #3 lead.email critical silence_ended
         0:34:00 i1 #4 desk.webhook critical repeat
         0:35:00 i1 #5 manager.email critical escalation
         0:38:00 i1 #6 desk.webhook critical repeat
         0:38:00 i1 #7 manager.email critical repeat",
    );
}

#[test]
fn an_escalation_that_was_told_before_a_silence_is_told_again_after_it() {
    check(
        ROW,
        "0:00:00 15
         0:06:00 silence s1 now 0:10:00 matrix=c*
         0:16:00 end",
        "0:00:00 i1 ok -> warning 10..20 range
         0:00:00 i1 #1 lead.email warning range
         0:04:00 i1 #2 lead.email warning repeat
         0:05:00 i1 #3 manager.email warning escalation
         0:06:00 Silenced
         0:10:00 i1 #4 lead.email warning silence_ended
         0:10:00 i1 #5 manager.email warning silence_ended
         0:14:00 i1 #6 lead.email warning repeat
         0:15:00 i1 #7 manager.email warning escalation",
    );
}

#[test]
fn ok_is_told_to_everyone_told_silenced_or_not() {
    check(
        ROW,
        "0:00:00 15
         0:01:00 silence s1 now 0:30:00 queue=reclamos
         0:02:00 25
         0:03:00 5
         0:04:00 15
         0:05:00 5
         0:40:00 end",
        "0:00:00 i1 ok -> warning 10..20 range
         0:00:00 i1 #1 lead.email warning range
         0:01:00 Silenced
         0:02:00 i1 warning -> critical 20.. range
         0:03:10 i1 critical -> ok ..10 recovered
         0:03:10 i1 #2 lead.email ok recovered silenced by s1
         0:04:00 i2 ok -> warning 10..20 range
         0:05:10 i2 warning -> ok ..10 recovered",
    );
}

#[test]
fn several_silences_end_with_the_last_and_one_may_end_early() {
    check(
        ROW,
        "0:00:00 silence a now 0:10:00 channel=facebook
         0:00:00 silence b 0:05:00 0:20:00 window=15m
         0:00:00 silence other now 1:00:00 queue=vip
         0:00:00 15
         0:12:00 unsilence b
         0:12:30 unsilence b
         0:13:00 end",
        "0:00:00 Silenced
         0:00:00 Silenced
         0:00:00 Silenced
         0:00:00 i1 ok -> warning 10..20 range
         0:12:00 SilenceEnded
         0:12:00 i1 #1 lead.email warning silence_ended
         0:12:30 NoSilence",
    );
}

#[test]
fn a_silence_up_to_a_level_lets_a_worse_one_through() {
    check(
        ROW,
        "0:00:00 silence s1 now 1:00:00 indicator=asa level=warning
         0:00:00 15
         0:10:00 25
         0:16:00 15
         0:20:00 5
         0:30:00 end",
        "0:00:00 Silenced
         0:00:00 i1 ok -> warning 10..20 range
         0:10:00 i1 warning -> critical 20.. range
         0:10:00 i1 #1 desk.webhook critical range
         0:14:00 i1 #2 desk.webhook critical repeat
         0:15:00 i1 #3 manager.email critical escalation
         0:16:10 i1 critical -> warning 10..20 improved
         0:20:10 i1 warning -> ok ..10 recovered
         0:20:10 i1 #4 desk.webhook ok recovered silenced by s1
         0:20:10 i1 #5 manager.email ok recovered silenced by s1",
    );
}

#[test]
fn a_silence_that_ends_in_closed_hours_is_told_at_the_opening() {
    let silenced = "0:50:00 silence s1 now 1:30:00 indicator=asa";
    check(
        DAY,
        &format!("{silenced}\n0:50:00 15\n2:09:00 end"),
        "0:50:00 Silenced
         0:50:00 i1 ok -> warning 10..20 range
         2:00:00 i1 #1 lead.email warning silence_ended
         2:08:00 i1 #2 lead.email warning repeat",
    );
    // Well again by then, or still silent: nobody is told anything.
    check(
        DAY,
        &format!("{silenced}\n0:50:00 15\n1:30:00 5\n2:09:00 end"),
        "0:50:00 Silenced
         0:50:00 i1 ok -> warning 10..20 range
         2:01:00 i1 warning -> ok ..10 recovered",
    );
    check(
        DAY,
        "0:50:00 silence s1 now 2:02:00 indicator=asa\n0:50:00 15\n2:05:00 end",
        "0:50:00 Silenced
         0:50:00 i1 ok -> warning 10..20 range
         2:02:00 i1 #1 lead.email warning silence_ended",
    );
}

#[test]
fn a_silence_ends_over_an_acknowledged_incident() {
    check(
        ROW,
        "0:00:00 15
         0:01:00 ack i1 ana until 0:30:00
         0:02:00 silence s1 now 0:10:00 indicator=asa
         0:35:30 end",
        "0:00:00 i1 ok -> warning 10..20 range
         0:00:00 i1 #1 lead.email warning range
         0:01:00 acknowledged until 0:30:00
         0:02:00 Silenced
         0:10:00 i1 #2 lead.email warning silence_ended seen by ana
         0:34:00 i1 #3 lead.email warning repeat
         0:35:00 i1 #4 manager.email warning escalation",
    );
}

fn silence(id: &str, matcher: Matcher, minutes: i64) -> Operation {
    let until = START + Millis(minutes * 60_000);
    Operation {
        who: "ana".into(),
        why: "move".into(),
        what: What::Silence { id: id.into(), matcher, from: START, until },
    }
}

fn of(queue: &str) -> Matcher {
    Matcher { queue: vec![queue.to_owned()], ..Matcher::default() }
}

#[test]
fn silences_are_shown_and_forgotten_and_bounded() {
    let mut engine = engine(&[ROW]);
    let mut table = Table::new(&[place()]);
    table.set(Some(15.0), 1.0);
    assert_eq!(engine.operate(&silence("b", of("re*"), 5), START), Operated::Silenced);
    assert_eq!(engine.operate(&silence("a", of("!vip"), 9), START), Operated::Silenced);
    engine.tick(START, &mut table, &LIVE);
    let ids: Vec<_> = engine.silences().iter().map(|silence| silence.id.to_string()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(engine.open_cases()[0].silenced, ["a".into(), "b".into()]);
    engine.tick(START + Millis(5 * 60_000), &mut table, &LIVE);
    assert_eq!(engine.open_cases()[0].silenced, ["a".into()]);
    assert_eq!(engine.silences().len(), 1);

    // The same id is the same silence, with another end.
    assert_eq!(engine.operate(&silence("a", of("vip"), 8), START), Operated::Silenced);
    let later = START + Millis(6 * 60_000);
    assert_eq!(engine.tick(later, &mut table, &LIVE).notifications[0].reason.name(), "silence_ended");

    let refused = |operated: Operated| match operated {
        Operated::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(engine.operate(&silence("c", Matcher::default(), 9), later)), Refusal::Everything);
    assert_eq!(refused(engine.operate(&silence("c", of("x"), 6), later)), Refusal::Over);
    assert_eq!(refused(engine.operate(&silence("c", of("x"), 0), START)), Refusal::Over);
    let backwards = match silence("c", of("x"), 9) {
        Operation { what: What::Silence { id, matcher, until, .. }, who, why } => {
            Operation { what: What::Silence { id, matcher, from: until, until }, who, why }
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(engine.operate(&backwards, later)), Refusal::Over);
    let pattern = refused(engine.operate(&silence("c", of("[a"), 9), later));
    assert!(matches!(&pattern, Refusal::Pattern { pattern, .. } if pattern == "[a"), "{pattern:?}");
    assert_eq!(engine.silences().len(), 1);
    // One that is over, but no tick has noticed yet, and one that has a second left.
    let ends = START + Millis(8 * 60_000);
    let end = || Operation { who: "ana".into(), why: "".into(), what: What::EndSilence { id: "a".into() } };
    assert_eq!(engine.clone().operate(&end(), ends), Operated::NoSilence);
    assert_eq!(engine.operate(&end(), ends - Millis::SECOND), Operated::SilenceEnded);
    assert_eq!(engine.operate(&silence("a", of("vip"), 8), later), Operated::Silenced);
    for number in 1..SILENCES_MAX {
        assert_eq!(engine.operate(&silence(&format!("n{number}"), of("x"), 9), later), Operated::Silenced);
    }
    assert_eq!(refused(engine.operate(&silence("one more", of("x"), 9), later)), Refusal::TooMany);
    assert_eq!(engine.operate(&silence("n1", of("y"), 9), later), Operated::Silenced);
}

#[test]
fn a_silence_for_a_queue_does_not_reach_a_roll_up_over_queues() {
    let rows = ["asa; ok ..10; critical 10.. tell lead; per channel", "waiting; ok ..10; critical 10.. tell lead"];
    for (matcher, held) in [
        (of("reclamos"), [false, true]),
        (of("*"), [true, true]),
        (Matcher { channel: vec!["facebook".into()], ..Matcher::default() }, [true, true]),
        (Matcher { window: vec!["15m".into()], ..Matcher::default() }, [true, false]),
        (Matcher { indicator: vec!["wait*".into()], ..Matcher::default() }, [false, true]),
        (Matcher { matrix: vec!["sales".into()], ..Matcher::default() }, [false, false]),
    ] {
        let mut engine = engine(&rows);
        let mut table = Table::new(&[place(), atalaya::domain::Key { queue: None, channel: Some("facebook".into()) }]);
        table.set(Some(15.0), 1.0);
        table.waiting = 15.0;
        engine.operate(&silence("s", matcher.clone(), 5), START);
        engine.tick(START, &mut table, &LIVE);
        let silenced: Vec<_> = engine.open_cases().iter().map(|case| !case.silenced.is_empty()).collect();
        assert_eq!(silenced, held, "{matcher:?}");
    }
}

//! Feeds that lag or die: what freezes, what goes on, and the feed's own incident.

use std::sync::Arc;

use atalaya::domain::Millis;
use atalaya::indicators::{self, Topics};
use atalaya::matrix::engine::{Engine, Feed, FeedState, Feeds, Matcher, Operation, What};
use atalaya::matrix::{Language, Matrix};
use atalaya::notice::{Body, Context, render};
use atalaya::plan::Plan;

use crate::support::{LIVE, START, Table, check, matrix, people, place};

const ROW: &str = "asa; ok ..10; warning 10..20 for 1m tell lead escalate 10m:manager repeat 8m; critical 20..; \
                   recover 0 1m";

#[test]
fn a_frozen_case_keeps_its_level_and_what_has_been_counted() {
    for state in ["lags", "silent"] {
        // Half of `for` before, half after; and so with recovery.
        check(
            ROW,
            &format!(
                "0:00:00 15
                 0:00:30 feed events {state}
                 0:20:00 feed events live
                 0:21:00 5
                 0:21:30 feed events {state}
                 0:22:30 feed events live
                 0:24:00 end"
            ),
            "0:00:30 i1 ok -> critical events feed
             0:00:30 i1 #1 desk.webhook critical feed
             0:20:00 i1 critical -> ok events recovered
             0:20:00 i1 #2 desk.webhook ok recovered
             0:20:30 i2 ok -> warning 10..20 range
             0:20:30 i2 #1 lead.email warning range
             0:21:30 i3 ok -> critical events feed
             0:21:30 i3 #1 desk.webhook critical feed
             0:22:30 i3 critical -> ok events recovered
             0:22:30 i3 #2 desk.webhook ok recovered
             0:23:00 i2 warning -> ok ..10 recovered
             0:23:00 i2 #2 lead.email ok recovered",
        );
    }
}

#[test]
fn in_a_freeze_escalation_goes_on_and_repeats_stand() {
    check(
        ROW,
        "0:00:00 15
         0:02:00 feed events silent
         0:03:00 99
         0:30:00 15
         0:31:00 feed events live
         0:39:00 end",
        "0:01:00 i1 ok -> warning 10..20 range
         0:01:00 i1 #1 lead.email warning range
         0:02:00 i2 ok -> critical events feed
         0:02:00 i2 #1 desk.webhook critical feed
         0:11:00 i1 #2 manager.email warning escalation
         0:31:00 i2 critical -> ok events recovered
         0:31:00 i2 #2 desk.webhook ok recovered
         0:38:00 i1 #3 lead.email warning repeat
         0:38:00 i1 #4 manager.email warning repeat",
    );
}

#[test]
fn a_repeat_that_an_acknowledgement_stopped_waits_for_the_feed_too() {
    check(
        "asa; ok ..10; warning 10.. tell lead repeat 4m",
        "0:00:00 15
         0:04:00 ack i1 ana until 0:06:00
         0:05:00 feed events silent
         0:10:00 feed events live
         0:14:00 end",
        "0:00:00 i1 ok -> warning 10.. range
         0:00:00 i1 #1 lead.email warning range
         0:04:00 acknowledged until 0:06:00
         0:05:00 i2 ok -> critical events feed
         0:05:00 i2 #1 desk.webhook critical feed
         0:10:00 i2 critical -> ok events recovered
         0:10:00 i2 #2 desk.webhook ok recovered
         0:10:00 i1 #2 lead.email warning repeat
         0:13:59 i1 #3 lead.email warning repeat",
    );
}

#[test]
fn in_a_freeze_without_a_last_value_escalation_waits_for_somebody_waiting() {
    let froze = "0:01:00 i1 ok -> warning 10..20 range
                 0:01:00 i1 #1 lead.email warning range
                 0:03:00 i2 ok -> critical events feed
                 0:03:00 i2 #1 desk.webhook critical feed";
    check(
        ROW,
        "0:00:00 15
         0:02:00 null
         0:03:00 feed events silent
         0:12:00 null waiting 1
         0:13:00 end",
        &format!("{froze}\n0:12:00 i1 #2 manager.email warning escalation"),
    );
}

#[test]
fn no_data_is_for_a_live_feed() {
    check(
        "asa; ok ..10; warning 10.. tell lead; no_data critical 1m desk; recover 0 1m",
        "0:00:00 null
         0:00:30 feed events silent
         0:30:00 feed events live
         0:31:00 end",
        "0:00:30 i1 ok -> critical events feed
         0:00:30 i1 #1 desk.webhook critical feed
         0:30:00 i1 critical -> ok events recovered
         0:30:00 i1 #2 desk.webhook ok recovered
         0:30:30 i2 ok -> critical - no_data
         0:30:30 i2 #1 desk.webhook critical no_data",
    );
}

#[test]
fn a_row_freezes_with_the_feed_that_it_is_made_of() {
    for (row, feed, freezes) in [
        ("asa; ok ..10; warning 10.. tell lead", "events silent", true),
        ("asa; ok ..10; warning 10.. tell lead", "events silent agents", false),
        ("occupancy; ok ..10; warning 10.. tell lead", "events silent agents", true),
        ("occupancy; ok ..10; warning 10.. tell lead", "events silent", false),
        ("agents; ok ..10; warning 10.. tell lead", "events lags agents", true),
        ("waiting; ok ..10; warning 10.. tell lead", "events lags", true),
    ] {
        let expected = if freezes {
            "0:00:00 i1 ok -> critical events feed
             0:00:00 i1 #1 desk.webhook critical feed"
        } else {
            "0:00:10 i1 ok -> warning 10.. range
             0:00:10 i1 #1 lead.email warning range"
        };
        check(row, &format!("0:00:00 5\n0:00:00 feed {feed}\n0:00:10 15 waiting 15\n0:01:00 end"), expected);
    }
    // Every indicator is made of something.
    for indicator in indicators::all() {
        let Topics { interactions, agents } = indicator.topics();
        assert!(interactions || agents, "{}", indicator.name);
    }
}

#[test]
fn two_feeds_are_two_incidents_and_the_case_waits_for_both() {
    check(
        "asa; ok ..10; warning 10.. for 10s tell lead",
        "0:00:00 5
         0:01:00 feed mail silent
         0:02:00 feed chat lags
         0:02:00 15
         0:03:00 feed mail live
         0:04:00 feed chat live
         0:04:30 end",
        "0:01:00 i1 ok -> critical mail feed
         0:01:00 i1 #1 desk.webhook critical feed
         0:02:00 i2 ok -> critical chat feed
         0:02:00 i2 #1 desk.webhook critical feed
         0:03:00 i1 critical -> ok mail recovered
         0:03:00 i1 #2 desk.webhook ok recovered
         0:04:00 i2 critical -> ok chat recovered
         0:04:00 i2 #2 desk.webhook ok recovered
         0:04:10 i3 ok -> warning 10.. range
         0:04:10 i3 #1 lead.email warning range",
    );
}

#[test]
fn a_feed_s_incident_can_be_acknowledged_and_silenced() {
    check(
        "asa; ok ..10; warning 10.. for 10s tell lead",
        "0:00:00 5
         0:00:30 silence s1 now 0:05:00 indicator=feed
         0:01:00 feed mail silent
         0:02:00 ack i1 ana
         0:10:00 feed mail live
         0:11:00 end",
        "0:00:30 Silenced
         0:01:00 i1 ok -> critical mail feed
         0:02:00 acknowledged until 4:02:00
         0:05:00 i1 #1 desk.webhook critical silence_ended seen by ana
         0:10:00 i1 critical -> ok mail recovered
         0:10:00 i1 #2 desk.webhook ok recovered seen by ana",
    );
}

#[test]
fn a_freeze_over_the_closed_hours_and_the_opening() {
    // Carried over and frozen at the opening: nothing is said of it before something is known.
    check(
        "asa; ok ..10; warning 10.. tell lead escalate 10m:manager repeat 8m; hours 00:00-01:00 02:00-03:00",
        "0:55:00 15
         1:30:00 feed events silent
         2:20:00 feed events live
         2:26:00 end",
        "0:55:00 i1 ok -> warning 10.. range
         0:55:00 i1 #1 lead.email warning range
         1:30:00 i2 ok -> critical events feed
         1:30:00 i2 #1 desk.webhook critical feed
         2:20:00 i2 critical -> ok events recovered
         2:20:00 i2 #2 desk.webhook ok recovered
         2:20:00 i1 #2 lead.email warning opened
         2:23:00 i1 #3 lead.email warning repeat
         2:25:00 i1 #4 manager.email warning escalation",
    );
}

fn frozen(source: &str) -> Feeds {
    let carries = Topics { interactions: true, agents: false };
    let state = FeedState::Silent { since: START - Millis::MINUTE };
    Feeds(vec![Feed { source: source.into(), carries, state }])
}

fn owned(name: &str, row: &str, owner: &str) -> Arc<Matrix> {
    let mut matrix = Arc::try_unwrap(matrix(name, &[row])).unwrap();
    matrix.owner = (!owner.is_empty()).then(|| people(owner).remove(0));
    Arc::new(matrix)
}

#[test]
fn each_owner_hears_once_under_a_matrix_of_their_own() {
    let asa = "asa; ok ..10; warning 10.. tell lead";
    let matrices = vec![
        owned("care", asa, "desk"),
        owned("sales", asa, "both"),
        owned("more", asa, "desk.webhook"),
        owned("bare", asa, ""),
        owned("staff", "occupancy; ok ..10; warning 10.. tell lead", "manager"),
    ];
    let mut engine = Engine::new(matrices, Arc::new(Plan::default()));
    let mut table = Table::new(&[place()]);
    let tick = engine.tick(START, &mut table, &frozen("events"));
    assert_eq!(tick.transitions.len(), 1);
    let told: Vec<_> =
        tick.notifications.iter().map(|n| format!("{} {}", n.address, n.transition.matrix.name)).collect();
    assert_eq!(told, ["wfm-desk care", "both@acme.example sales", "both-hook sales"]);
    let open = engine.open_cases();
    assert_eq!((open.len(), open[0].value, open[0].frozen), (1, Some(60.0), true));
    assert_eq!(open[0].last.selector.indicator.name, "feed");
    assert!(engine.levels().iter().all(|(_, selector, ..)| selector.indicator.name != "feed"));

    // Whatever it is called, an address is told once.
    let mut twin = Arc::try_unwrap(owned("sales", asa, "manager")).unwrap();
    twin.contacts.insert("manager".into(), twin.contacts["lead"].clone());
    let mut twins = Engine::new(vec![owned("care", asa, "lead"), Arc::new(twin)], Arc::new(Plan::default()));
    assert_eq!(twins.tick(START, &mut table, &frozen("events")).notifications.len(), 1);

    // A source that is no longer named is no longer waited for.
    let tick = engine.tick(START + Millis::SECOND, &mut table, &LIVE);
    assert_eq!((tick.transitions[0].to.name(), tick.notifications.len()), ("ok", 3));
    assert!(engine.open_cases().is_empty());
}

#[test]
fn what_a_silence_held_of_a_feed_each_owner_hears_under_a_matrix_of_their_own() {
    let asa = "asa; ok ..10; warning 10.. tell lead";
    let matrices = vec![owned("care", asa, "lead"), owned("sales", asa, "manager")];
    let mut engine = Engine::new(matrices, Arc::new(Plan::default()));
    let matcher = Matcher { indicator: vec!["feed".to_owned()], ..Matcher::default() };
    let what = What::Silence { id: "s".into(), matcher, from: START, until: START + Millis::MINUTE };
    engine.operate(&Operation { who: "ana".into(), why: "".into(), what }, START);
    let mut table = Table::new(&[place()]);
    assert!(engine.tick(START, &mut table, &frozen("events")).notifications.is_empty());
    let tick = engine.tick(START + Millis::MINUTE, &mut table, &frozen("events"));
    let told: Vec<_> = tick.notifications.iter().map(|n| (&*n.to, &*n.transition.matrix.name)).collect();
    assert_eq!(told, [("lead", "care"), ("manager", "sales")]);
}

#[test]
fn a_feed_shows_for_how_long_it_has_been_frozen() {
    let row = "asa; ok ..10; warning 10.. tell lead";
    let mut engine = Engine::new(vec![owned("care", row, "desk")], Arc::new(Plan::default()));
    let mut table = Table::new(&[place()]);
    for (second, value) in [(0, 60.0), (30, 90.0)] {
        engine.tick(START + Millis::seconds(second), &mut table, &frozen("events"));
        assert_eq!(engine.open_cases()[0].value, Some(value));
    }
    // Under other matrices it is of one of them.
    engine.reload(vec![owned("sales", row, "desk")], Arc::new(Plan::default()));
    assert_eq!(&*engine.open_cases()[0].last.matrix.name, "sales");
    let tick = engine.tick(START + Millis::seconds(40), &mut table, &LIVE);
    assert_eq!(tick.transitions[0].value, Some(90.0));
}

#[test]
fn nobody_is_told_of_a_feed_that_no_row_needs() {
    let row = "occupancy; ok ..10; warning 10.. tell lead";
    let mut engine = Engine::new(vec![matrix("care", &[row])], Arc::new(Plan::default()));
    let tick = engine.tick(START, &mut Table::new(&[place()]), &frozen("events"));
    assert!(tick.transitions.is_empty() && engine.open_cases().is_empty());
}

#[test]
fn the_mail_of_a_feed_names_it_in_the_owner_s_language() {
    let asa = "asa; ok ..10; warning 10.. tell lead";
    let mut english = Arc::try_unwrap(owned("sales", asa, "manager")).unwrap();
    english.language = Language::En;
    let plan = Arc::new(Plan::default());
    let mut engine = Engine::new(vec![owned("care", asa, "lead"), Arc::new(english)], plan.clone());
    let mut table = Table::new(&[place()]);
    let context = Context::new(&plan, "acme.example");
    let mut mails = |now, feeds: &Feeds| -> Vec<(String, String)> {
        let tick = engine.tick(now, &mut table, feeds);
        let mail = |n| match render(n, &context).body {
            Body::Email(mail) => (mail.subject, mail.text),
            Body::Webhook(_) => panic!("not a mail"),
        };
        tick.notifications.iter().map(mail).collect()
    };
    let begun = mails(START, &frozen("events"));
    for ((subject, text), [level, what, why]) in begun.iter().zip([
        ["CRÍTICO", "Fuente de datos detenida: events", "la fuente de datos falla"],
        ["CRITICAL", "Data feed stopped: events", "the data feed fails"],
    ]) {
        assert!(subject.starts_with(level) && subject.contains(what), "{subject}");
        assert!(text.contains(why), "{text}");
    }
    let over = mails(START + Millis::MINUTE, &LIVE);
    let subjects: Vec<_> = over.iter().map(|(subject, _)| subject.split(' ').next().unwrap()).collect();
    assert_eq!((begun.len(), subjects), (2, vec!["RESUELTO", "RESOLVED"]));
}

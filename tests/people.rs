//! When and to whom: rotas, quiet hours and the cap on mails, from a matrix as people write it, in virtual time.
//!
//! A time-line is local time and value; what came out is compared whole, so that a notice too many fails as one too few.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that meets what it does not expect fails")]

mod follower;

use std::collections::BTreeMap;
use std::sync::Arc;

use atalaya::config;
use atalaya::domain::{Key, Millis, Timestamp};
use atalaya::indicators::{Reading, Selector};
use atalaya::matrix::engine::{Engine, Feeds, Matcher, Notification, Operated, Operation, Readings, Tick, What};
use atalaya::matrix::{Contact, Level, Matrix};
use atalaya::notice::{Body, Context, Refused, render_refused};
use atalaya::plan::Plan;

/// What every queue reads; `null` is no value.
struct Table {
    keys: Vec<Key>,
    values: BTreeMap<Key, f64>,
}

impl Readings for Table {
    fn keys(&self) -> Vec<Key> {
        self.keys.clone()
    }
    fn read(&mut self, key: &Key, _: &Selector) -> Reading {
        let value = self.values.get(key).copied();
        Reading { value, samples: if value.is_some() { 100.0 } else { 0.0 } }
    }
}

fn compiled(text: &str) -> (Vec<Arc<Matrix>>, Arc<Plan>) {
    let set = config::matrices(&[("care.yaml".to_owned(), text.to_owned())], None);
    let set = set.unwrap_or_else(|defects| panic!("{defects:?}"));
    (set.matrices, set.plan)
}

/// A matrix in a zone with these contacts and these ranges of `waiting`.
fn matrix(zone: &str, more: &str, ranges: &str) -> String {
    format!(
        "version: 1\nname: care\ntime_zone: {zone}\nscope: {{ channel: voice }}\n{more}\n\
         rows:\n  - {{ indicator: waiting, goal: \"< 10\", recover: {{ for: 0s }},\n      ranges: [ {ranges} ] }}\n"
    )
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Lines are `TIME VALUE` for the queue `a`, `TIME QUEUE VALUE`, `TIME ack` (of the newest incident), `TIME silence UNTIL`, `TIME skip` (no ticks until
/// the next line) or `TIME end`; times have an offset. Every second is evaluated, and every so many the engine is put down in bytes and taken up again.
fn play_from(text: &str, timeline: &str, restart_every: Option<i64>) -> Vec<String> {
    let (matrices, plan) = compiled(text);
    let mut engine = Engine::new(matrices.clone(), plan.clone());
    let mut table = Table { keys: Vec::new(), values: BTreeMap::new() };
    let steps: Vec<Vec<&str>> = timeline.lines().map(|line| line.split_whitespace().collect()).collect();
    let steps: Vec<&Vec<&str>> = steps.iter().filter(|words| !words.is_empty()).collect();
    let (first, last) = (at(steps.first().unwrap()[0]), at(steps.last().unwrap()[0]));
    assert_eq!(steps.last().unwrap()[1], "end");
    let (mut lines, mut incidents): (Vec<String>, Vec<Arc<str>>) = (Vec::new(), Vec::new());
    let (mut now, mut next, mut skips) = (first, 0, false);
    let mut follower = follower::Follower::default();
    while now < last {
        while at(steps[next][0]) <= now {
            skips = steps[next][1] == "skip";
            match steps[next][1..] {
                ["skip"] => {}
                ["ack"] => {
                    let what = What::Acknowledge { incident: incidents.last().unwrap().clone(), until: None };
                    engine.operate(&Operation { who: "eva".into(), why: "".into(), what }, now);
                }
                ["silence", until] => {
                    let (id, until) = ("s".into(), at(until));
                    let matcher = Matcher { matrix: vec!["*".to_owned()], ..Matcher::default() };
                    let what = What::Silence { id, matcher, from: now, until };
                    let operation = Operation { who: "eva".into(), why: "".into(), what };
                    assert_eq!(engine.operate(&operation, now), Operated::Silenced);
                }
                [value] => table.set("a", value),
                [queue, value] => table.set(queue, value),
                ref other => panic!("{other:?}"),
            }
            next += 1;
        }
        let tick = if skips { Tick::default() } else { engine.tick(now, &mut table, &Feeds::default()) };
        for notice in &tick.notifications {
            if !incidents.contains(&notice.incident) {
                incidents.push(notice.incident.clone());
            }
            let incident = incidents.iter().position(|id| *id == notice.incident).unwrap() + 1;
            let local = notice.time.in_zone(&matrices[0].zone).datetime();
            let (to, address, level) = (&notice.to, &notice.address, notice.level.name());
            let reason = notice.reason.name();
            let mut line = format!("{local} i{incident} #{} {to} {address} {level} {reason}", notice.sequence);
            line.push_str(&extra(notice, &matrices[0]));
            check_shown(notice, &table, now);
            lines.push(line);
        }
        if restart_every.is_some() {
            follower.follow(&mut engine);
        }
        if restart_every.is_some_and(|every| (now.0 / 1000) % every == 0) {
            engine = follower.engine(&matrices, &plan);
        }
        now = now + Millis::SECOND;
    }
    lines
}

/// What a notice says beyond the ordinary.
fn extra(notice: &Notification, matrix: &Matrix) -> String {
    let held = notice.held_since.map(|at| format!(" held since {}", at.in_zone(&matrix.zone).datetime().time()));
    let seen = notice.acknowledged.as_ref().map(|seen| format!(" seen by {}", seen.by));
    let unseen = notice.unacknowledged.then(|| " seen by nobody any more".to_owned());
    let more = notice.held_back.as_ref().map(|held| {
        let queue = |one: &Notification| one.transition.key.queue.as_deref().unwrap_or("-").to_owned();
        let each = held.incidents.iter().map(|(one, count)| format!(" {} {} x{count}", queue(one), one.level.name()));
        format!(": {}{} beyond {}", held.notices, each.collect::<String>(), held.beyond)
    });
    [held, seen, unseen, more].into_iter().flatten().collect()
}

/// Whenever it was decided, a notice shows the floor as it is when it is told.
fn check_shown(notice: &Notification, table: &Table, now: Timestamp) {
    if notice.held_back.is_some() {
        return;
    }
    let value = table.values.get(&notice.transition.key).copied();
    let around = notice.around.as_ref().expect("numbers around a row's case");
    assert_eq!((around.waiting, around.oldest_wait), (value, value), "{now}");
    let last = notice.trend.as_ref().and_then(|trend| trend.0.last().copied());
    assert_eq!(last, Some((now, value)), "{now}");
}

impl Table {
    fn set(&mut self, queue: &str, value: &str) {
        let key = Key::pair(queue, "voice");
        if !self.keys.contains(&key) {
            self.keys.push(key.clone());
            self.keys.sort();
        }
        self.values.insert(key, value.parse().unwrap());
    }
}

fn check(text: &str, timeline: &str, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(play_from(text, timeline, None), expected);
    assert_eq!(play_from(text, timeline, Some(97)), expected, "with restarts");
}

const ROTA: &str = "contacts:
  ana: { email: ana@x.example }
  luis: { email: luis@x.example, webhook: luis-hook }
  eva: { email: eva@x.example }
  night: { rota: [ { hours: { mon-fri: \"00:00-24:00\" }, contact: eva }, { hours: { sat-sun: \"00:00-24:00\" }, contact: ana } ] }
  lead: { rota: [
    { hours: { mon-sun: \"07:00-15:00\" }, contact: ana },
    { hours: { mon-sun: \"15:00-23:00\" }, contact: luis },
    { hours: { mon-sun: \"23:00-07:00\" }, contact: night } ] }";

const RANGES: &str = "{ when: \"< 10\", level: ok }, { when: \"10 .. 20\", level: warning, tell: [lead] }, \
                      { when: \">= 20\", level: critical, tell: [lead.email], repeat: 30m, \
                        escalate: [ { after: 20m, tell: [night] } ] }";

#[test]
fn a_rota_tells_who_is_on_duty_and_the_end_goes_to_who_was_told() {
    check(
        &matrix("America/Bogota", ROTA, RANGES),
        "2026-11-23T14:59:58-05:00 0
         2026-11-23T14:59:59-05:00 12
         2026-11-23T15:00:00-05:00 0
         2026-11-23T15:00:01-05:00 12
         2026-11-23T23:00:00-05:00 0
         2026-11-23T23:00:01-05:00 end",
        "2026-11-23T14:59:59 i1 #1 lead ana@x.example warning range
         2026-11-23T15:00:00 i1 #2 lead ana@x.example ok recovered
         2026-11-23T15:00:01 i2 #1 lead luis@x.example warning range
         2026-11-23T15:00:01 i2 #2 lead luis-hook warning range
         2026-11-23T23:00:00 i2 #3 lead luis@x.example ok recovered
         2026-11-23T23:00:00 i2 #4 lead luis-hook ok recovered",
    );
}

#[test]
fn repeats_and_steps_go_to_who_is_on_duty_then() {
    // Monday 00:00 is eva's by the rota within the rota, Sunday 23:59 is ana's.
    check(
        &matrix("America/Bogota", ROTA, RANGES),
        "2026-11-22T23:35:00-05:00 30
         2026-11-23T00:35:00-05:00 12
         2026-11-23T00:36:00-05:00 0
         2026-11-23T00:36:01-05:00 end",
        "2026-11-22T23:35:00 i1 #1 lead ana@x.example critical range
         2026-11-22T23:55:00 i1 #2 night ana@x.example critical escalation
         2026-11-23T00:05:00 i1 #3 lead eva@x.example critical repeat
         2026-11-23T00:05:00 i1 #4 night eva@x.example critical repeat
         2026-11-23T00:35:00 i1 #5 lead ana@x.example warning improved
         2026-11-23T00:35:00 i1 #6 night ana@x.example warning improved
         2026-11-23T00:35:00 i1 #7 lead eva@x.example warning improved
         2026-11-23T00:35:00 i1 #8 night eva@x.example warning improved
         2026-11-23T00:36:00 i1 #9 lead ana@x.example ok recovered
         2026-11-23T00:36:00 i1 #10 night ana@x.example ok recovered
         2026-11-23T00:36:00 i1 #11 lead eva@x.example ok recovered
         2026-11-23T00:36:00 i1 #12 night eva@x.example ok recovered",
    );
}

#[test]
fn duty_changes_by_the_wall_clock_on_daylight_saving_days() {
    let contacts = "contacts:
  ana: { email: ana@x.example }
  luis: { email: luis@x.example }
  lead: { rota: [ { hours: { mon-sun: \"02:30-14:00\" }, contact: ana }, { hours: { mon-sun: \"14:00-02:30\" }, contact: luis } ] }";
    let ranges = "{ when: \"< 10\", level: ok }, { when: \">= 10\", level: warning, tell: [lead] }";
    // 2026-10-25 in Madrid: 02:00-03:00 is twice, and ana's half hour of it too.
    check(
        &matrix("Europe/Madrid", contacts, ranges),
        "2026-10-25T00:29:58Z 12
         2026-10-25T00:29:59Z 0
         2026-10-25T00:30:00Z 12
         2026-10-25T00:59:59Z 0
         2026-10-25T01:00:00Z 12
         2026-10-25T01:29:59Z 0
         2026-10-25T01:30:00Z 12
         2026-10-25T01:30:01Z end",
        "2026-10-25T02:29:58 i1 #1 lead luis@x.example warning range
         2026-10-25T02:29:59 i1 #2 lead luis@x.example ok recovered
         2026-10-25T02:30:00 i2 #1 lead ana@x.example warning range
         2026-10-25T02:59:59 i2 #2 lead ana@x.example ok recovered
         2026-10-25T02:00:00 i3 #1 lead luis@x.example warning range
         2026-10-25T02:29:59 i3 #2 lead luis@x.example ok recovered
         2026-10-25T02:30:00 i4 #1 lead ana@x.example warning range",
    );
    // 2026-03-29: 02:00-03:00 is not there; after 01:59:59 comes 03:00:00, which is ana's.
    check(
        &matrix("Europe/Madrid", contacts, ranges),
        "2026-03-29T00:59:58Z 12
         2026-03-29T00:59:59Z 0
         2026-03-29T01:00:00Z 12
         2026-03-29T01:00:01Z end",
        "2026-03-29T01:59:58 i1 #1 lead luis@x.example warning range
         2026-03-29T01:59:59 i1 #2 lead luis@x.example ok recovered
         2026-03-29T03:00:00 i2 #1 lead ana@x.example warning range",
    );
}

const QUIET: &str = "contacts:
  lead: { email: lead@x.example, quiet: { mon-sun: \"22:00-07:00\" } }
  desk: { webhook: desk }";

const BOTH: &str = "{ when: \"< 10\", level: ok }, { when: \"10 .. 20\", level: info, tell: [lead] }, \
                    { when: \"20 .. 30\", level: warning, tell: [lead, desk] }, { when: \">= 30\", level: critical, tell: [lead] }";

#[test]
fn quiet_hours_hold_what_is_not_critical_until_their_end() {
    // To the second: one before they begin it is told, at their beginning it waits.
    check(
        &matrix("America/Bogota", QUIET, BOTH),
        "2026-11-23T21:59:59-05:00 a 12
         2026-11-23T22:00:00-05:00 b 22
         2026-11-24T06:59:59-05:00 c 22
         2026-11-24T07:00:00-05:00 d 22
         2026-11-24T07:00:01-05:00 end",
        "2026-11-23T21:59:59 i1 #1 lead lead@x.example info range
         2026-11-23T22:00:00 i2 #2 desk desk warning range
         2026-11-24T06:59:59 i3 #2 desk desk warning range
         2026-11-24T07:00:00 i4 #1 lead lead@x.example warning range
         2026-11-24T07:00:00 i4 #2 desk desk warning range
         2026-11-24T07:00:00 i2 #1 lead lead@x.example warning range held since 22:00:00
         2026-11-24T07:00:00 i3 #1 lead lead@x.example warning range held since 06:59:59",
    );
}

#[test]
fn of_an_incident_only_the_newest_is_told_and_nothing_of_one_that_is_over() {
    check(
        &matrix("America/Bogota", QUIET, BOTH),
        "2026-11-23T21:00:00-05:00 a 12
         2026-11-23T23:00:00-05:00 a 22
         2026-11-23T23:30:00-05:00 b 22
         2026-11-24T01:00:00-05:00 a 12
         2026-11-24T02:00:00-05:00 b 0
         2026-11-24T03:00:00-05:00 c 12
         2026-11-24T04:00:00-05:00 a 0
         2026-11-24T07:00:01-05:00 end",
        "2026-11-23T21:00:00 i1 #1 lead lead@x.example info range
         2026-11-23T23:00:00 i1 #3 desk desk warning range
         2026-11-23T23:30:00 i2 #2 desk desk warning range
         2026-11-24T01:00:00 i1 #5 desk desk info improved
         2026-11-24T02:00:00 i2 #4 desk desk ok recovered
         2026-11-24T04:00:00 i1 #7 desk desk ok recovered
         2026-11-24T07:00:00 i3 #1 lead lead@x.example info range held since 03:00:00
         2026-11-24T07:00:00 i1 #6 lead lead@x.example ok recovered held since 04:00:00",
    );
}

#[test]
fn a_critical_never_waits() {
    check(
        &matrix("America/Bogota", QUIET, BOTH),
        "2026-11-23T23:00:00-05:00 12
         2026-11-24T02:00:00-05:00 30
         2026-11-24T03:00:00-05:00 12
         2026-11-24T03:10:00-05:00 30
         2026-11-24T03:20:00-05:00 0
         2026-11-24T07:00:01-05:00 end",
        "2026-11-24T02:00:00 i1 #2 lead lead@x.example critical range
         2026-11-24T03:10:00 i1 #4 lead lead@x.example critical range
         2026-11-24T07:00:00 i1 #5 lead lead@x.example ok recovered held since 03:20:00",
    );
}

#[test]
fn what_waits_knows_of_acknowledgements_and_silences() {
    check(
        &matrix(
            "America/Bogota",
            QUIET,
            "{ when: \"< 10\", level: ok }, { when: \">= 10\", level: warning, tell: [lead] }",
        ),
        "2026-11-23T06:00:00-05:00 12
         2026-11-23T06:30:00-05:00 12
         2026-11-23T06:59:59-05:00 end",
        "",
    );
    check(
        &matrix(
            "America/Bogota",
            QUIET,
            "{ when: \"< 10\", level: ok }, { when: \">= 10\", level: warning, tell: [lead, desk] }",
        ),
        "2026-11-23T06:00:00-05:00 12
         2026-11-23T06:30:00-05:00 ack
         2026-11-23T07:00:01-05:00 end",
        "2026-11-23T06:00:00 i1 #2 desk desk warning range
         2026-11-23T07:00:00 i1 #1 lead lead@x.example warning range held since 06:00:00 seen by eva",
    );
    // A silence that is over it at seven holds it on; its end tells it anew.
    check(
        &matrix(
            "America/Bogota",
            QUIET,
            "{ when: \"< 10\", level: ok }, { when: \">= 10\", level: warning, tell: [lead] }",
        ),
        "2026-11-23T06:00:00-05:00 12
         2026-11-23T06:30:00-05:00 silence 2026-11-23T07:30:00-05:00
         2026-11-23T07:40:00-05:00 end",
        "2026-11-23T07:30:00 i1 #2 lead lead@x.example warning silence_ended",
    );
}

#[test]
fn what_waits_is_told_though_no_tick_falls_on_the_end_of_quiet_hours() {
    check(
        &matrix("America/Bogota", QUIET, BOTH),
        "2026-11-23T06:00:00-05:00 12
         2026-11-23T06:59:00-05:00 skip
         2026-11-23T07:05:00-05:00 12
         2026-11-23T07:05:02-05:00 end",
        "2026-11-23T07:05:00 i1 #1 lead lead@x.example info range held since 06:00:00",
    );
}

#[test]
fn who_heard_that_somebody_has_it_hears_when_nobody_has_it_any_more() {
    let contacts = "ack_for: 10m\ncontacts:\n  lead: { email: lead@x.example }";
    let ranges = "{ when: \"< 10\", level: ok }, { when: \"10 .. 30\", level: warning, tell: [lead] }, \
                  { when: \">= 30\", level: critical, tell: [lead] }";
    // What is over needs nobody.
    check(
        &matrix("UTC", contacts, ranges),
        "2026-11-23T08:00:00Z a 12
         2026-11-23T08:01:00Z ack
         2026-11-23T08:02:00Z a 30
         2026-11-23T08:03:00Z a 12
         2026-11-23T08:04:00Z ack
         2026-11-23T08:05:00Z a 0
         2026-11-23T09:00:00Z b 12
         2026-11-23T09:01:00Z ack
         2026-11-23T09:12:00Z b 0
         2026-11-23T09:12:01Z end",
        "2026-11-23T08:00:00 i1 #1 lead lead@x.example warning range
         2026-11-23T08:02:00 i1 #2 lead lead@x.example critical range seen by nobody any more
         2026-11-23T08:03:00 i1 #3 lead lead@x.example warning improved
         2026-11-23T08:05:00 i1 #4 lead lead@x.example ok recovered seen by eva
         2026-11-23T09:00:00 i2 #1 lead lead@x.example warning range
         2026-11-23T09:12:00 i2 #2 lead lead@x.example ok recovered",
    );
}

#[test]
fn what_waits_is_not_told_in_closed_hours() {
    let quiet = "hours: { mon-sun: \"08:00-21:00\" }\ncontacts:\n  lead: { email: lead@x.example, quiet: { mon-sun: \"20:00-22:00\" } }";
    check(
        &matrix(
            "America/Bogota",
            quiet,
            "{ when: \"< 10\", level: ok }, { when: \">= 10\", level: warning, tell: [lead] }",
        ),
        "2026-11-23T20:30:00-05:00 12
         2026-11-24T09:00:00-05:00 0
         2026-11-24T09:00:01-05:00 end",
        "2026-11-24T08:00:00 i1 #2 lead lead@x.example warning opened
         2026-11-24T09:00:00 i1 #3 lead lead@x.example ok recovered",
    );
}

#[test]
fn quiet_hours_end_by_the_wall_clock_and_are_the_persons_on_a_rota() {
    let contacts = "contacts:
  ana: { email: ana@x.example, quiet: { mon-sun: \"22:00-07:00\" } }
  lead: { rota: [ { hours: { mon-sun: \"00:00-24:00\" }, contact: ana } ] }";
    // 2026-03-29: the night is an hour shorter.
    check(
        &matrix(
            "Europe/Madrid",
            contacts,
            "{ when: \"< 10\", level: ok }, { when: \">= 10\", level: warning, tell: [lead] }",
        ),
        "2026-03-28T22:00:00Z 12
         2026-03-29T05:00:00Z 12
         2026-03-29T05:00:01Z end",
        "2026-03-29T07:00:00 i1 #1 lead ana@x.example warning range held since 23:00:00",
    );
}

const FEW: &str = "mails_per_hour: 2\ncontacts:\n  lead: { email: lead@x.example }\n  boss: { email: boss@x.example, mails_per_hour: 9 }";

const THREE: &str = "{ when: \"< 10\", level: ok }, { when: \"10 .. 30\", level: warning, tell: [lead] }, \
                     { when: \">= 30\", level: critical, tell: [lead], escalate: [ { after: 5m, tell: [boss] } ] }";

#[test]
fn more_mails_than_an_hour_has_are_told_of_in_one() {
    check(
        &matrix("UTC", FEW, THREE),
        "2026-11-23T08:00:00Z a 12
         2026-11-23T08:10:00Z b 12
         2026-11-23T08:20:00Z c 12
         2026-11-23T08:25:00Z d 12
         2026-11-23T08:30:00Z d 0
         2026-11-23T08:40:00Z e 12
         2026-11-23T08:59:59Z f 12
         2026-11-23T09:00:00Z g 12
         2026-11-23T09:05:00Z c 0
         2026-11-23T09:06:00Z d 12
         2026-11-23T10:00:01Z end",
        "2026-11-23T08:00:00 i1 #1 lead lead@x.example warning range
         2026-11-23T08:10:00 i2 #1 lead lead@x.example warning range
         2026-11-23T09:00:00 i3 #1 lead lead@x.example warning held_back: 5 c warning x1 e warning x1 f warning x1 d ok x2 beyond 0
         2026-11-23T09:00:00 i4 #1 lead lead@x.example warning range
         2026-11-23T09:05:00 i5 #2 lead lead@x.example ok recovered
         2026-11-23T10:00:00 i6 #1 lead lead@x.example warning held_back: 1 d warning x1 beyond 0",
    );
}

#[test]
fn the_first_critical_and_the_end_of_what_was_told_are_never_held_back() {
    check(
        &matrix("UTC", FEW, THREE),
        "2026-11-23T08:00:00Z a 12
         2026-11-23T08:00:01Z b 12
         2026-11-23T08:01:00Z c 12
         2026-11-23T08:02:00Z c 30
         2026-11-23T08:03:00Z c 12
         2026-11-23T08:04:00Z c 30
         2026-11-23T08:05:00Z c 0
         2026-11-23T08:06:00Z a 0
         2026-11-23T08:07:00Z c 12
         2026-11-23T08:08:00Z c 0
         2026-11-23T09:00:01Z end",
        "2026-11-23T08:00:00 i1 #1 lead lead@x.example warning range
         2026-11-23T08:00:01 i2 #1 lead lead@x.example warning range
         2026-11-23T08:02:00 i3 #2 lead lead@x.example critical range
         2026-11-23T08:05:00 i3 #5 lead lead@x.example ok recovered
         2026-11-23T08:06:00 i1 #2 lead lead@x.example ok recovered
         2026-11-23T09:00:00 i4 #1 lead lead@x.example ok held_back: 5 c ok x3 c ok x2 beyond 0",
    );
}

#[test]
fn an_hour_without_anything_held_back_tells_nothing_more_and_each_contact_has_its_own() {
    check(
        &matrix("UTC", FEW, THREE),
        "2026-11-23T08:00:00Z a 30
         2026-11-23T08:01:00Z b 30
         2026-11-23T08:10:00Z c 30
         2026-11-23T10:00:00Z a 0
         2026-11-23T11:30:00Z end",
        "2026-11-23T08:00:00 i1 #1 lead lead@x.example critical range
         2026-11-23T08:01:00 i2 #1 lead lead@x.example critical range
         2026-11-23T08:05:00 i1 #2 boss boss@x.example critical escalation
         2026-11-23T08:06:00 i2 #2 boss boss@x.example critical escalation
         2026-11-23T08:10:00 i3 #1 lead lead@x.example critical range
         2026-11-23T08:15:00 i3 #2 boss boss@x.example critical escalation
         2026-11-23T10:00:00 i1 #3 lead lead@x.example ok recovered
         2026-11-23T10:00:00 i1 #4 boss boss@x.example ok recovered",
    );
}

#[test]
fn the_mail_about_what_was_held_back_is_of_no_incident_that_somebody_has_or_that_waited() {
    check(
        &matrix("UTC", FEW, THREE),
        "2026-11-23T08:00:00Z a 30
         2026-11-23T08:01:00Z ack
         2026-11-23T08:02:00Z b 12
         2026-11-23T08:03:00Z a 12
         2026-11-23T09:00:01Z end",
        "2026-11-23T08:00:00 i1 #1 lead lead@x.example critical range
         2026-11-23T08:02:00 i2 #1 lead lead@x.example warning range
         2026-11-23T09:00:00 i3 #1 lead lead@x.example warning held_back: 1 a warning x1 beyond 0",
    );
    check(
        &matrix("America/Bogota", &format!("mails_per_hour: 1\n{QUIET}"), BOTH),
        "2026-11-23T06:00:00-05:00 a 12
         2026-11-23T06:00:00-05:00 b 12
         2026-11-23T08:00:01-05:00 end",
        "2026-11-23T07:00:00 i1 #1 lead lead@x.example info range held since 06:00:00
         2026-11-23T08:00:00 i2 #1 lead lead@x.example info held_back: 1 b info x1 beyond 0",
    );
}

#[test]
fn the_mail_about_what_was_held_back_waits_for_the_end_of_quiet_hours_unless_it_is_critical() {
    let few = format!("mails_per_hour: 1\n{QUIET}");
    check(
        &matrix("America/Bogota", &few, BOTH),
        "2026-11-23T21:30:00-05:00 30
         2026-11-23T21:31:00-05:00 12
         2026-11-23T21:32:00-05:00 30
         2026-11-23T22:30:01-05:00 end",
        "2026-11-23T21:30:00 i1 #1 lead lead@x.example critical range
         2026-11-23T22:30:00 i2 #1 lead lead@x.example critical held_back: 2 a critical x2 beyond 0",
    );
}

#[test]
fn of_many_incidents_held_back_fifty_are_named() {
    let (matrices, plan) = compiled(&matrix(
        "UTC",
        "mails_per_hour: 1\ncontacts:\n  lead: { email: lead@x.example }\n  desk: { webhook: desk }",
        BOTH,
    ));
    let mut engine = Engine::new(matrices, plan);
    let mut table = Table { keys: Vec::new(), values: BTreeMap::new() };
    (0..61).for_each(|queue| table.set(&format!("q{queue}"), "12"));
    let start = at("2026-11-23T08:00:00Z");
    assert_eq!(engine.tick(start, &mut table, &Feeds::default()).notifications.len(), 1);
    let mails = engine.tick(start + Millis::HOUR, &mut table, &Feeds::default()).notifications;
    let held = mails[0].held_back.as_ref().unwrap();
    assert_eq!((mails.len(), held.notices, held.incidents.len(), held.beyond), (1, 60, 50, 10));
}

#[test]
fn what_is_over_is_forgotten() {
    let (matrices, plan) = compiled(&matrix("UTC", FEW, THREE));
    let mut engine = Engine::new(matrices, plan);
    let mut table = Table { keys: Vec::new(), values: BTreeMap::new() };
    let start = at("2026-11-23T08:00:00Z");
    let mut incidents: Vec<Arc<str>> = Vec::new();
    for second in 0..=2 * 3600 {
        // The third is held back, and so is its end.
        match second {
            0 => ["a", "b", "c"].map(|queue| table.set(queue, "12")),
            60 => ["a", "b", "c"].map(|queue| table.set(queue, "0")),
            _ => [(); 3],
        };
        let tick = engine.tick(start + Millis::seconds(second), &mut table, &Feeds::default());
        incidents.extend(tick.transitions.iter().map(|transition| transition.incident.clone()));
    }
    assert_eq!(incidents.len(), 6);
    let bytes = engine.snapshot();
    let kept = |id: &Arc<str>| bytes.windows(id.len()).any(|part| part == id.as_bytes());
    assert!(!incidents.iter().any(kept), "nothing is to be told of them any more");
}

/// A refused matrix is told to whoever of the owner's rota is on duty, by every medium of that person.
#[test]
fn an_owner_on_a_rota_is_told_of_a_refused_matrix() {
    let text = matrix("America/Bogota", &format!("owner: lead\n{ROTA}"), RANGES);
    let (matrices, plan) = compiled(&text);
    let context = Context::new(&plan, "acme.example");
    let elsewhere = Contact { email: Some("ops@x.example".into()), ..Contact::default() };
    for (now, expected) in [
        ("2026-11-23T14:59:59-05:00", vec!["lead ana@x.example"]),
        ("2026-11-23T15:00:00-05:00", vec!["lead luis@x.example", "lead luis-hook"]),
        // By the rota within the rota.
        ("2026-11-23T23:00:00-05:00", vec!["lead eva@x.example"]),
        ("2026-11-22T23:00:00-05:00", vec!["lead ana@x.example"]),
    ] {
        let refused =
            Refused { now: at(now), matrix: &matrices[0], hash: "a1b2", defects: 2, why: "care.yaml:3:1: error: gap" };
        // The configuration's owner is not asked where the matrix has its own.
        let messages = render_refused(&refused, Some(&elsewhere), &context);
        let told: Vec<String> =
            messages.iter().map(|one| format!("{} {}", one.notification.to, one.notification.address)).collect();
        assert_eq!(told, expected, "{now}");
        for message in &messages {
            let written = match &message.body {
                Body::Email(mail) => mail.text.clone(),
                Body::Webhook(hook) => hook.json.clone(),
            };
            assert!(written.contains("care.yaml:3:1: error: gap"), "{written}");
        }
    }
}

/// Thousands that go off in quiet hours: each is found again when it changes, and told in the order in which it last did.
#[test]
fn thousands_wait_for_the_end_of_quiet_hours() {
    let desk = "contacts:\n  desk: { webhook: desk, quiet: { mon-sun: \"22:00-07:00\" } }";
    let ranges = "{ when: \"< 10\", level: ok }, { when: \"10 .. 20\", level: info, tell: [desk] }, \
                  { when: \">= 20\", level: warning, tell: [desk] }";
    let (matrices, plan) = compiled(&matrix("UTC", desk, ranges));
    let mut engine = Engine::new(matrices.clone(), plan.clone());
    let queues: Vec<String> = (0..6000).map(|n| format!("q{n:04}")).collect();
    let keys = queues.iter().map(|queue| Key::pair(queue, "voice")).collect();
    let mut table = Table { keys, values: BTreeMap::new() };
    let mut tick = |time: &str, value: &dyn Fn(usize) -> f64| -> Vec<(usize, Level)> {
        let values = table.keys.iter().enumerate().map(|(n, key)| (key.clone(), value(n)));
        table.values = values.collect();
        let tick = engine.tick(at(time), &mut table, &Feeds::default());
        engine = Engine::restore(matrices.clone(), plan.clone(), &engine.snapshot()).unwrap();
        let queue = |notice: &Notification| notice.transition.key.queue.as_deref().unwrap()[1..].parse().unwrap();
        tick.notifications.iter().map(|notice| (queue(notice), notice.level)).collect()
    };
    assert_eq!(tick("2026-11-23T23:00:00Z", &|_| 12.0), []);
    // Every third gets worse, every third is over.
    let second = |n: usize| [12.0, 22.0, 3.0][n % 3];
    assert_eq!(tick("2026-11-23T23:30:00Z", &second), []);
    assert_eq!(tick("2026-11-24T06:59:59Z", &second), []);
    let of = |third: usize, level: Level| (0..6000).filter(move |n| n % 3 == third).map(move |n| (n, level));
    let expected: Vec<(usize, Level)> = of(0, Level::Info).chain(of(1, Level::Warning)).collect();
    assert_eq!(tick("2026-11-24T07:00:00Z", &second), expected);
    assert_eq!(tick("2026-11-24T07:00:01Z", &second), []);
}

//! What is told together: a matrix as people write it with `group`, cases that go off, and every mail that follows, in
//! virtual time.
//!
//! A time-line is seconds, queue and value, or an operation; what came out is compared whole, so that a mail too many fails
//! as one too few. Every time-line is played again with restarts and with reloads all along.
#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect fails")]

#[path = "../follower/mod.rs"]
mod follower;
mod random;

use std::collections::BTreeMap;
use std::sync::Arc;

use atalaya::config;
use atalaya::domain::{Key, Millis, Timestamp};
use atalaya::indicators::{Reading, Selector};
use atalaya::matrix::engine::{Engine, Feeds, Matcher, Notification, Operated, Operation, Pending, Readings, What};
use atalaya::matrix::{Level, Matrix};
use atalaya::notice::{self, Acknowledging, Body, Context, Email};
use atalaya::plan::Plan;

/// Noon of a Monday in UTC.
const START: Timestamp = Timestamp(1_780_315_200_000);

#[derive(Default)]
struct Table {
    values: BTreeMap<Key, f64>,
}

impl Readings for Table {
    fn keys(&self) -> Vec<Key> {
        self.values.keys().cloned().collect()
    }
    fn read(&mut self, key: &Key, selector: &Selector) -> Reading {
        // A second row of a queue looks at a tenth of the first's value.
        let part = if selector.indicator.name == "waiting" { 1.0 } else { 0.1 };
        Reading { value: self.values.get(key).map(|value| value * part), samples: 100.0 }
    }
}

const RANGES: &str = "ranges: [ { when: \"< 10\", level: ok }, \
    { when: \"10 .. 20\", level: warning, tell: [lead], action: call }, \
    { when: \">= 20\", level: critical, tell: [lead, boss], action: run, repeat: 10m, escalate: [ { after: 5m, tell: [chief] } ] } ]";

/// A matrix whose head has `more`, and a row of `waiting` with `own`.
fn matrix(more: &str, own: &str) -> String {
    format!(
        "version: 1\nname: care\nlanguage: en\ntime_zone: UTC\nscope: {{ channel: chat }}\n\
         contacts:\n  lead: {{ email: lead@x.example{QUIET} }}\n  boss: {{ email: boss@x.example }}\n  \
         chief: {{ email: chief@x.example, webhook: hook }}\n{more}\n\
         rows:\n  - {{ indicator: waiting, goal: \"< 10\", recover: {{ for: 0s }}, {own}\n      {RANGES} }}\n"
    )
}

const QUIET: &str = ", quiet: { mon: \"13:00-14:00\" }";

fn compiled(text: &str) -> (Vec<Arc<Matrix>>, Arc<Plan>) {
    let set = config::matrices(&[("care.yaml".to_owned(), text.to_owned())], None);
    let set = set.unwrap_or_else(|defects| panic!("{defects:?}"));
    (set.matrices, set.plan)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Upset {
    None,
    Restarts,
    Reloads,
    /// Another goes on in its place now and then, of what it said has changed.
    Follows,
}

struct Play {
    lines: Vec<String>,
    mails: Vec<Notification>,
    engine: Engine,
    plan: Arc<Plan>,
}

/// Lines are `SECONDS QUEUE VALUE`, `SECONDS ack` (of the newest gathering), `SECONDS silence QUEUE UNTIL`, `SECONDS group WORDS`
/// (the same matrix with another `group`) or `SECONDS end`.
fn play(text: &str, timeline: &str, upset: Upset) -> Play {
    let (mut matrices, plan) = compiled(text);
    let mut engine = Engine::new(matrices.clone(), plan.clone());
    let (mut table, mut follower) = (Table::default(), follower::Follower::default());
    let steps: Vec<Vec<&str>> = timeline.lines().map(|line| line.split_whitespace().collect()).collect();
    let mut steps = steps.into_iter().filter(|words: &Vec<&str>| !words.is_empty()).peekable();
    let (mut lines, mut names, mut mails): (Vec<String>, Vec<Arc<str>>, Vec<Notification>) = Default::default();
    for second in 0i64.. {
        let now = START + Millis::seconds(second);
        while let Some(words) = steps.next_if(|words| words[0].parse::<i64>().unwrap() <= second) {
            let operate =
                |engine: &mut Engine, what| engine.operate(&Operation { who: "eva".into(), why: "".into(), what }, now);
            match words[1..] {
                ["end"] => return Play { lines, mails, engine, plan },
                ["ack"] => {
                    let incident = mails.last().unwrap().incident.clone();
                    let operated = operate(&mut engine, What::Acknowledge { incident, until: None });
                    let word = if operated == Operated::NotOpen { "not open" } else { "acknowledged" };
                    lines.push(format!("{second} {word}"));
                }
                ["silence", queue, until] => {
                    let matcher = Matcher { queue: vec![queue.to_owned()], ..Matcher::default() };
                    let until = START + Millis::seconds(until.parse().unwrap());
                    let what = What::Silence { id: queue.into(), matcher, from: now, until };
                    assert_eq!(operate(&mut engine, what), Operated::Silenced);
                }
                ["group", ..] => {
                    matrices = compiled(&matrix(&format!("group: {}", words[2..].join(" ")), "")).0;
                    engine.reload(matrices.clone(), plan.clone());
                }
                [queue, value] => {
                    table.values.insert(Key::pair(queue, "chat"), value.parse().unwrap());
                }
                ref other => panic!("{other:?}"),
            }
        }
        let tick = engine.tick(now, &mut table, &Feeds::default());
        let told_now = tick.notifications;
        let mut told_now =
            if upset == Upset::Restarts { taken_up(&mut engine, told_now, &matrices, &plan) } else { told_now };
        told_now.sort_by_key(|told| (told.gathered.is_none(), told.to != "lead".into()));
        for told in told_now {
            let name = names.iter().position(|name| *name == told.incident).unwrap_or_else(|| {
                names.push(told.incident.clone());
                names.len() - 1
            });
            let kind = if told.gathered.is_some() { "g" } else { "i" };
            let mut line = format!("{second} {kind}{} #{} {}", name + 1, told.sequence, told.address);
            for one in told.each() {
                assert_eq!(one.time, now, "every notice is told when the mail is");
                let queue = one.transition.key.queue.as_deref().unwrap_or("-");
                let seen = if one.acknowledged.is_some() { " seen" } else { "" };
                let held = if one.held_since.is_some() { " held" } else { "" };
                let also = if one.transition.selector.indicator.name == "waiting" { "" } else { "*" };
                line.push_str(&format!(" | {queue}{also} {} {}{seen}{held}", one.level.name(), one.reason.name()));
            }
            if let Some(gathered) = &told.gathered {
                assert_eq!((told.held_since, &told.acknowledged), (None, &None), "those of its notices are their own");
                assert!(engine.open_ids().contains(&told.incident) || gathered.entry.level == Level::Ok);
                let mut others: BTreeMap<Level, u32> = BTreeMap::new();
                gathered.others.iter().for_each(|other| *others.entry(other.last.to).or_default() += 1);
                let others = others.iter().rev().map(|(level, count)| format!(" +{count} {}", level.name()));
                line.push_str(&others.collect::<String>());
                line.push_str(&format!(" = {} {}", gathered.entry.level.name(), gathered.entry.cases));
            }
            if let Some(held) = &told.held_back {
                assert_eq!((told.held_since, &told.acknowledged), (None, &None), "those of its notices are their own");
                line.push_str(&format!(" held back {}", held.notices));
            }
            lines.push(line);
            mails.push(told);
        }
        if upset == Upset::Follows {
            follower.follow(&mut engine);
            if second % 11 == 0 {
                engine = follower.engine(&matrices, &plan);
            }
        }
        if upset == Upset::Reloads {
            engine.reload(matrices.clone(), plan.clone());
        }
    }
    unreachable!("a time-line ends")
}

/// The engine stops before it has sent anything, and another goes on: what that one has to send.
fn taken_up(
    engine: &mut Engine,
    told: Vec<Notification>,
    matrices: &[Arc<Matrix>],
    plan: &Arc<Plan>,
) -> Vec<Notification> {
    let missed =
        |told: &Notification| (told.to != "lead".into()).then(|| ("lead".into(), told.medium, "550".to_owned()));
    let pending: Vec<Pending> = told.into_iter().map(|notice| Pending { missed: missed(&notice), notice }).collect();
    let bytes: Vec<_> = pending.iter().map(|one| one.bytes(plan)).collect();
    *engine = Engine::restore(matrices.to_vec(), plan.clone(), &engine.snapshot()).unwrap();
    let again: Vec<_> = bytes.iter().map(|bytes| Pending::of_bytes(bytes, matrices, plan).unwrap()).collect();
    assert_eq!(again.iter().map(|one| one.bytes(plan)).collect::<Vec<_>>(), bytes);
    assert!(bytes.iter().all(|bytes| Pending::of_bytes(&bytes[..bytes.len() - 1], matrices, plan).is_err()));
    again
        .into_iter()
        .map(|one| {
            assert_eq!(one.missed, missed(&one.notice));
            one.notice
        })
        .collect()
}

fn check(text: &str, timeline: &str, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let upsets = [
        (Upset::None, "straight"),
        (Upset::Restarts, "restarts"),
        (Upset::Reloads, "reloads"),
        (Upset::Follows, "follows"),
    ];
    for (upset, what) in upsets {
        assert_eq!(play(text, timeline, upset).lines, expected, "{what}");
    }
}

const ROW: &str = "group: { by: row, wait: 20s }";

#[test]
fn what_goes_off_within_the_wait_is_one_mail_for_each_address() {
    // Alertmanager's `group_wait`: the first alert of a group begins it, what joins before it is over comes along. At the
    // second itself it is over: what comes then is in it still, what comes a second later is not.
    check(
        &matrix(ROW, ""),
        "0 b 12\n5 a 12\n10 c 25\n20 d 13\n21 e 14\n60 end",
        "20 g1 #1 lead@x.example | c critical range | a warning range | b warning range | d warning range = critical 4
         30 g2 #1 boss@x.example | c critical range = critical 1
         41 g1 #2 lead@x.example | e warning range +1 critical +3 warning = critical 4",
    );
}

#[test]
fn without_a_group_each_case_is_a_mail_at_once() {
    let expected = "0 i1 #1 lead@x.example | a warning range
         0 i2 #1 lead@x.example | b warning range";
    check(&matrix("", ""), "0 a 12\n0 b 12\n60 end", expected);
    check(&matrix(ROW, "group: none,"), "0 a 12\n0 b 12\n60 end", expected);
}

#[test]
fn what_recovers_within_the_wait_is_not_told() {
    // Alertmanager: alerts that are resolved before the first notification of the group are not notified.
    check(&matrix(ROW, ""), "0 a 12\n19 a 0\n60 end", "");
    check(&matrix(ROW, ""), "0 a 12\n1 b 12\n10 a 0\n60 end", "20 g1 #1 lead@x.example | b warning range = warning 1");
    // What empties a mail ends it: the next case opens another, with a wait of its own.
    check(&matrix(ROW, ""), "0 a 12\n10 a 0\n15 b 12\n60 end", "35 g1 #1 lead@x.example | b warning range = warning 1");
}

#[test]
fn later_changes_are_gathered_in_the_same_thread_until_all_is_over() {
    check(
        &matrix(ROW, ""),
        "0 a 12\n0 b 12\n100 a 25\n110 b 0\n200 a 0\n205 c 12\n300 c 0\n400 d 12\n450 end",
        "20 g1 #1 lead@x.example | a warning range | b warning range = warning 2
         120 g1 #2 lead@x.example | a critical range | b ok recovered = critical 1
         120 g2 #1 boss@x.example | a critical range = critical 1
         220 g1 #3 lead@x.example | c warning range | a ok recovered = warning 1
         220 g2 #2 boss@x.example | a ok recovered = ok 1
         320 g1 #4 lead@x.example | c ok recovered = ok 3
         420 g3 #1 lead@x.example | d warning range = warning 1",
    );
}

#[test]
fn after_the_first_mail_there_is_another_only_for_what_changed() {
    // Alertmanager, "Configuration", `group_interval`: a mail if new alerts fired or firing ones resolved, and otherwise none.
    // What fired and resolved in between (`b`) is told as little as within `group_wait`; of `c` only what it came to.
    check(
        &matrix(ROW, ""),
        "0 a 12\n50 a 13\n100 b 12\n110 b 0\n200 c 12\n210 c 25\n300 a 12\n500 end",
        "20 g1 #1 lead@x.example | a warning range = warning 1
         220 g1 #2 lead@x.example | c critical range +1 warning = critical 2
         230 g2 #1 boss@x.example | c critical range = critical 1",
    );
}

#[test]
fn the_newest_of_an_incident_is_told_and_repeats_and_steps_are_gathered_too() {
    check(
        &matrix(ROW, ""),
        "0 a 12\n10 a 25\n15 b 25\n700 end",
        "20 g1 #1 lead@x.example | a critical range | b critical range = critical 2
         30 g2 #1 boss@x.example | a critical range | b critical range = critical 2
         310 i3 #5 hook | a critical escalation
         315 i4 #4 hook | b critical escalation
         330 g5 #1 chief@x.example | a critical escalation | b critical escalation = critical 2
         610 i3 #9 hook | a critical repeat
         615 i4 #8 hook | b critical repeat
         630 g1 #2 lead@x.example | a critical repeat | b critical repeat = critical 2
         630 g2 #2 boss@x.example | a critical repeat | b critical repeat = critical 2
         630 g5 #2 chief@x.example | a critical repeat | b critical repeat = critical 2",
    );
}

#[test]
fn by_queue_the_rows_of_a_queue_are_one_mail_and_a_shorter_wait_brings_it_forward() {
    let second = "  - { indicator: unanswered, goal: \"< 1\", group: { by: queue, wait: 5s },\n      \
                  ranges: [ { when: \"< 1\", level: ok }, { when: \">= 1\", level: warning, tell: [lead] } ] }\n";
    check(
        &(matrix("group: { by: queue, wait: 20s }", "") + second),
        "0 a 12\n0 b 12\n40 end",
        "5 g1 #1 lead@x.example | a warning range | a* warning range = warning 2
         5 g2 #1 lead@x.example | b warning range | b* warning range = warning 2",
    );
}

#[test]
fn acknowledging_the_gathering_is_acknowledging_what_was_told_in_it() {
    let timeline = "0 a 25\n1 b 25\n2 c 12\n25 ack\n26 d 25\n700 end";
    check(
        &matrix(ROW, ""),
        timeline,
        // The newest mail is boss's, whose gathering has the criticals alone.
        "20 g1 #1 lead@x.example | a critical range | b critical range | c warning range = critical 3
         20 g2 #1 boss@x.example | a critical range | b critical range = critical 2
         25 acknowledged
         46 g1 #2 lead@x.example | d critical range +2 critical +1 warning = critical 3
         46 g2 #2 boss@x.example | d critical range +2 critical = critical 2
         326 i3 #4 hook | d critical escalation
         346 g4 #1 chief@x.example | d critical escalation = critical 1
         626 i3 #8 hook | d critical repeat
         646 g1 #3 lead@x.example | d critical repeat +2 critical +1 warning = critical 3
         646 g2 #3 boss@x.example | d critical repeat +2 critical = critical 2
         646 g4 #2 chief@x.example | d critical repeat = critical 1",
    );
    let played = play(&matrix(ROW, ""), timeline, Upset::None);
    let seen: Vec<_> =
        played.engine.open_cases().into_iter().map(|case| case.acknowledged.map(|seen| (seen.by, seen.at))).collect();
    let eva = Some((Arc::from("eva"), START + Millis::seconds(25)));
    assert_eq!(seen, [eva.clone(), eva, None, None], "a and b, not c and d");
    check(
        &matrix(ROW, ""),
        "0 a 12\n25 a 0\n50 ack\n60 end",
        "20 g1 #1 lead@x.example | a warning range = warning 1
         45 g1 #2 lead@x.example | a ok recovered = ok 1
         50 not open",
    );
}

#[test]
fn the_end_of_quiet_hours_is_one_mail_and_a_critical_does_not_wait_for_it() {
    // 3600 is 13:00, 7200 is 14:00. What would be told in them after all, `a`, waits for their end as well.
    let timeline = "3590 a 12\n3700 b 12\n3800 c 25\n3821 ack\n3900 d 12\n4000 d 0\n7300 end";
    check(
        &matrix(ROW, ""),
        timeline,
        "3820 g1 #1 lead@x.example | c critical range = critical 1
         3820 g2 #1 boss@x.example | c critical range = critical 1
         3821 acknowledged
         7220 g1 #2 lead@x.example | a warning range held | b warning range held +1 critical = critical 1",
    );
}

#[test]
fn a_critical_that_is_over_in_quiet_hours_within_the_wait_is_not_told() {
    check(
        &matrix(ROW, ""),
        "3700 a 25\n3710 a 12\n3715 b 25\n3719 b 0\n7300 end",
        "3720 g1 #1 boss@x.example | a warning improved = warning 1
         7220 g2 #1 lead@x.example | a warning improved held = warning 1",
    );
}

#[test]
fn a_silence_that_comes_within_the_wait_holds_what_waits() {
    check(
        &matrix(ROW, ""),
        "0 a 12\n1 b 12\n10 silence a 200\n300 end",
        "20 g1 #1 lead@x.example | b warning range = warning 1
         220 g1 #2 lead@x.example | a warning silence_ended +1 warning = warning 1",
    );
    // Whoever opens a gathering and is silenced before it is told may open another: it has a name of its own.
    check(
        &matrix(ROW, ""),
        "0 a 12\n1 b 12\n10 silence a 200\n100 b 0\n300 end",
        "20 g1 #1 lead@x.example | b warning range = warning 1
         120 g1 #2 lead@x.example | b ok recovered = ok 1
         220 g2 #1 lead@x.example | a warning silence_ended = warning 1",
    );
}

#[test]
fn what_is_over_and_may_not_be_told_so_yet_is_not_open() {
    check(
        &matrix(ROW, ""),
        "3500 a 12\n3700 a 0\n3800 c 25\n3900 end",
        "3520 g1 #1 lead@x.example | a warning range = warning 1
         3820 g1 #2 lead@x.example | c critical range = critical 1
         3820 g2 #1 boss@x.example | c critical range = critical 1",
    );
}

#[test]
fn a_mail_of_a_gathering_counts_once_and_what_is_held_back_is_told_one_by_one() {
    check(
        &matrix("mails_per_hour: 1\ngroup: { by: row, wait: 20s }", ""),
        "0 a 12\n0 b 12\n100 c 12\n100 d 12\n3650 end",
        "20 g1 #1 lead@x.example | a warning range | b warning range = warning 2",
    );
    // Of the hour that began with the first mail, at its end; quiet hours would hold it, so it is boss who is told here.
    let criticals =
        matrix("mails_per_hour: 1\ngroup: { by: row, wait: 20s }", "").replace("tell: [lead]", "tell: [boss]");
    check(
        &criticals,
        "0 a 12\n100 b 12\n101 c 12\n200 b 0\n3650 end",
        "20 g1 #1 boss@x.example | a warning range = warning 1
         3620 i2 #1 boss@x.example | c warning held_back held back 3",
    );
}

#[test]
fn an_incident_stays_in_the_thread_in_which_it_was_told() {
    let text = matrix("", "");
    let timeline = "0 a 12\n10 group { by: row, wait: 20s }\n15 b 12\n100 a 0\n110 b 25\n120 group { by: queue, wait: 5s }\n200 b 0\n201 c 12\n250 end";
    let expected = [
        "0 i1 #1 lead@x.example | a warning range",
        "35 g2 #1 lead@x.example | b warning range = warning 1",
        "100 i1 #2 lead@x.example | a ok recovered",
        "130 g2 #2 lead@x.example | b critical range = critical 1",
        "130 g3 #1 boss@x.example | b critical range = critical 1",
        "206 g4 #1 lead@x.example | c warning range = warning 1",
        "220 g2 #3 lead@x.example | b ok recovered = ok 1",
        "220 g3 #2 boss@x.example | b ok recovered = ok 1",
    ];
    for upset in [Upset::None, Upset::Restarts] {
        assert_eq!(play(&text, timeline, upset).lines, expected);
    }
    // A row that is gone tells its ends in the threads that they belong to.
    let text = matrix(ROW, "");
    let mut played = play(&text, "0 a 12\n0 b 12\n30 end", Upset::None);
    played.engine.reload(Vec::new(), played.plan.clone());
    let mut table = Table::default();
    let mut mails = Vec::new();
    for second in 30..60 {
        mails.extend(played.engine.tick(START + Millis::seconds(second), &mut table, &Feeds::default()).notifications);
    }
    let [mail] = &mails[..] else { panic!("{} mails", mails.len()) };
    assert_eq!((&mail.incident, mail.sequence, mail.each().len()), (&played.mails[0].incident, 2, 2));
    assert!(mail.each().iter().all(|one| one.level == Level::Ok && one.reason.name() == "removed"));
}

#[test]
fn an_incident_told_by_itself_goes_on_so_when_it_gets_worse() {
    let expected = [
        "0 i1 #1 lead@x.example | a warning range",
        "50 i1 #2 lead@x.example | a critical range",
        "70 g2 #1 boss@x.example | a critical range = critical 1",
    ];
    let timeline = "0 a 12\n10 group { by: row, wait: 20s }\n50 a 25\n100 end";
    assert_eq!(play(&matrix("", ""), timeline, Upset::None).lines, expected);
}

#[test]
fn what_was_held_back_and_is_over_in_quiet_hours_leaves_no_gathering() {
    let text = matrix("mails_per_hour: 1\ngroup: { by: row, wait: 20s }", "");
    let timeline = "3400 x 12\n3430 x 0\n3500 a 12\n3595 a 25\n3599 a 12\n3700 a 0\n7300 end";
    let played = play(&text, timeline, Upset::None);
    assert_eq!(
        played.lines,
        [
            "3420 g1 #1 lead@x.example | x warning range = warning 1",
            "3450 g1 #2 lead@x.example | x ok recovered = ok 1",
            "3615 g2 #1 boss@x.example | a warning improved = warning 1",
            "3720 g2 #2 boss@x.example | a ok recovered = ok 1",
            "7200 i3 #1 lead@x.example | a warning held_back held back 1",
        ]
    );
    assert!(played.engine.open_ids().is_empty());
}

// -- the mail --

#[derive(Debug)]
struct Tickets(bool);

impl Acknowledging for Tickets {
    fn code(&self, incident: &str) -> String {
        format!("CODE-{incident}")
    }
    fn link(&self, incident: &str, contact: &str, _: Timestamp) -> Option<String> {
        self.0.then(|| format!("https://x.example/ack?incident={incident}&by={contact}"))
    }
}

fn written(mail: &Notification, plan: &Plan, link: bool) -> Email {
    let tickets = Tickets(link);
    let context = Context { acknowledging: Some(&tickets), ..Context::new(plan, "x.example") };
    let Body::Email(mail) = notice::render(mail, &context).body else { panic!("not a mail") };
    *mail
}

#[test]
fn the_mail_says_what_to_do_then_the_worst_first_then_how_to_acknowledge_all() {
    let played = play(
        &matrix(ROW, ""),
        "0 b 12\n5 <a> 12\n10 c 25\n60 c 12\n60 d 12\n99 b 0\n99 <a> 0\n99 c 0\n99 d 0\n130 end",
        Upset::None,
    );
    let lead: Vec<&Notification> = played.mails.iter().filter(|mail| &*mail.to == "lead").collect();
    let [first, second, last] =
        lead.iter().map(|mail| written(mail, &played.plan, true)).collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(first.subject, "CRITICAL · 3 cases · c · chat and 2 more · Waiting 25 (goal < 10)");
    let id = &lead[0].incident;
    let expected = format!(
        "WHAT TO DO:\nrun\ncall\n\nCRITICAL · 3 cases\n\
         CRITICAL · c · chat · Waiting: 25 (goal < 10) · since 12:00\n\
         WARNING · <a> · chat · Waiting: 12 (goal < 10) · since 12:00\n\
         WARNING · b · chat · Waiting: 12 (goal < 10) · since 12:00\n\n\
         Acknowledge every case of this thread (link valid for 24 hours):\nhttps://x.example/ack?incident={id}&by=lead\n\n\
         -- \nMatrix: care · Gathering: {id} · 1 lead\n"
    );
    assert_eq!(first.text, expected);
    assert!(first.html.contains("&lt;a&gt;") && !first.html.contains("<a>"), "{}", first.html);
    for part in ["CRITICAL", "call", "c · chat", "goal &lt; 10", "since 12:00", "incident="] {
        assert!(first.html.contains(part), "{part} in {}", first.html);
    }
    assert!(
        first.late_text.starts_with("This notice comes late") && first.late_html.contains("This notice comes late")
    );
    // Another level is another subject in the same thread; the mail that ends it says so.
    assert_eq!(second.subject, "WARNING · 4 cases · c · chat and 3 more · Waiting 12 (goal < 10)");
    let before = "\n\nStill open, told before: WARNING 2\nWARNING · <a> · chat · Waiting 12 (goal < 10)\n\
                  WARNING · b · chat · Waiting 12 (goal < 10)\n\n";
    assert!(second.text.contains(before), "{}", second.text);
    assert!(second.text.contains("· better, but not well yet\n"), "{}", second.text);
    assert_eq!(last.subject, "RESOLVED · 4 cases · <a> · chat and 3 more · Waiting 0 (goal < 10)");
    assert!(!last.text.contains("WHAT TO DO") && !last.text.contains("Acknowledge"), "{}", last.text);
    assert!(
        last.text.contains("RESOLVED · b · chat · Waiting: 0 (goal < 10) · since 12:00 · Lasted: "),
        "{}",
        last.text
    );
    assert_eq!(second.thread.in_reply_to, first.thread.message_id);
    assert_eq!(
        (&second.thread.references, &last.thread.references),
        (&last.thread.references, &second.thread.references)
    );
    assert_ne!(second.thread.message_id, last.thread.message_id);
    assert!(second.thread.references.starts_with(&first.thread.references));
    let code = written(lead[0], &played.plan, false).text;
    assert!(code.contains(&format!("To acknowledge every case of this thread: atalaya ack CODE-{id}\n")), "{code}");
}

#[test]
fn the_subject_stays_while_the_level_lasts_and_many_cases_are_counted() {
    let many: String = (0..60).map(|n| format!("0 q{n:02} 12\n")).collect();
    let played = play(&matrix(ROW, ""), &format!("{many}100 z 25\n160 y 25\n220 end"), Upset::None);
    let lead: Vec<&Notification> = played.mails.iter().filter(|mail| &*mail.to == "lead").collect();
    let [first, second, third] =
        lead.iter().map(|mail| written(mail, &played.plan, true)).collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(first.subject, "WARNING · 60 cases · q00 · chat and 59 more · Waiting 12 (goal < 10)");
    assert_eq!(first.text.matches("· since ").count(), notice::NAMED_MAX);
    assert_eq!(first.html.matches("<tr>").count(), notice::NAMED_MAX);
    assert!(first.text.contains("\n\nBesides, in this mail: WARNING 10\n\n"), "{}", first.text);
    assert_eq!(second.subject, "CRITICAL · 61 cases · z · chat and 60 more · Waiting 25 (goal < 10)");
    assert_eq!(third.subject, second.subject);
    assert!(third.text.contains("Still open, told before: CRITICAL 1, WARNING 60"), "{}", third.text);
    assert_eq!(third.text.matches("WARNING · q").count(), notice::NAMED_MAX - 1, "{}", third.text);
    // One case alone has the subject of its own mails, in every language.
    let alone = play(&matrix(ROW, "").replace("language: en", "language: pt"), "0 a 25\n30 end", Upset::None);
    assert_eq!(written(&alone.mails[0], &alone.plan, true).subject, "CRÍTICO · a · chat · Em espera 25 (meta < 10)");
}

#[test]
fn by_queue_the_subject_names_the_queue() {
    let second = "  - { indicator: unanswered, goal: \"< 1\",\n      \
                  ranges: [ { when: \"< 1\", level: ok }, { when: \">= 1\", level: warning, tell: [lead] } ] }\n";
    let text = (matrix("group: { by: queue }", "") + second).replace("language: en", "language: es");
    let played = play(&text, "0 ventas 12\n30 end", Upset::None);
    let mail = written(&played.mails[0], &played.plan, true);
    assert_eq!(mail.subject, "ADVERTENCIA · 2 casos · ventas · En espera 12 (objetivo < 10) y 1 más");
}

#[test]
fn a_gathering_that_cannot_be_delivered_is_told_to_whoever_comes_next_case_by_case_on_webhooks() {
    let played = play(&matrix(ROW, ""), "0 a 25\n0 b 25\n0 c 12\n30 end", Upset::None);
    let mail = played.mails.iter().find(|mail| &*mail.to == "lead").unwrap();
    let messages = notice::render_missed(mail, "550 no such user", None, &Context::new(&played.plan, "x.example"));
    let told: Vec<String> = messages
        .iter()
        .map(|message| match &message.body {
            Body::Email(mail) => format!("{} {}", mail.to, mail.subject),
            Body::Webhook(hook) => {
                format!("{} {}", hook.name, message.notification.transition.key.queue.as_deref().unwrap())
            }
        })
        .collect();
    let subject = "CRITICAL · 3 cases · a · chat and 2 more · Waiting 25 (goal < 10) · not told: lead";
    assert_eq!(told, [&format!("chief@x.example {subject}"), "hook a", "hook b"]);
    let Body::Email(first) = &messages[0].body else { panic!("not a mail") };
    assert!(first.text.starts_with("lead could not be told by e-mail"), "{}", first.text);
    assert_ne!(messages[1].id, messages[2].id);
}

#[test]
fn a_mail_that_comes_late_gives_way_only_to_one_that_says_as_much() {
    let played =
        play(&matrix(ROW, ""), "0 a 12\n0 b 12\n60 a 0\n120 a 12\n120 b 25\n200 a 0\n200 b 0\n230 end", Upset::None);
    let lead: Vec<&Notification> = played.mails.iter().filter(|mail| &*mail.to == "lead").collect();
    let [both, one, ..] = &lead[..] else { panic!("{} mails", lead.len()) };
    assert!(!one.takes_the_place_of(both), "b is only in the first");
    let newest = lead.last().unwrap();
    assert!(newest.takes_the_place_of(lead[lead.len() - 2]), "the last tells of both");
}

#[test]
fn what_is_left_open_is_named_though_it_is_not_of_this_mail() {
    let played = play(&matrix(ROW, ""), "0 a 25\n0 b 12\n100 a 0\n130 end", Upset::None);
    let lead = played.mails.iter().filter(|mail| &*mail.to == "lead").nth(1).unwrap();
    let mail = written(lead, &played.plan, true);
    assert_eq!(mail.subject, "WARNING · b · chat · Waiting 12 (goal < 10)");
    let before = "Still open, told before: WARNING 1\nWARNING · b · chat · Waiting 12 (goal < 10)\n";
    assert!(mail.text.contains(before), "{}", mail.text);
    assert!(mail.html.contains("Still open, told before: WARNING 1<br>\nWARNING · b · chat"), "{}", mail.html);
}

#[test]
fn no_link_is_offered_while_somebody_has_all_of_them() {
    let timeline = "0 a 25\n1 b 25\n25 ack\n30 a 12\n60 end";
    let played = play(&matrix(ROW, ""), timeline, Upset::None);
    let last = |to: &str| {
        let mail = played.mails.iter().rfind(|mail| &*mail.to == to && mail.gathered.is_some()).unwrap();
        written(mail, &played.plan, true).text
    };
    let text = last("lead");
    assert!(text.contains("WARNING · a · chat") && !text.contains("Acknowledge every case"), "{text}");
    assert!(text.contains("CRITICAL · b · chat · Waiting 25 (goal < 10) · Acknowledged by: eva"), "{text}");
    let played = play(&matrix(ROW, ""), &timeline.replace("30 a 12", "30 c 12"), Upset::None);
    let mail = played.mails.iter().rfind(|mail| &*mail.to == "lead").unwrap();
    assert!(written(mail, &played.plan, true).text.contains("Acknowledge every case"), "c is anybody's");
}

#[test]
fn a_line_says_how_old_its_value_is_and_since_when_it_waits() {
    let played = play(&matrix(ROW, ""), "3590 a 12\n3700 b 12\n7300 end", Upset::None);
    let text = written(&played.mails[0], &played.plan, true).text;
    for part in [
        "a · chat · Waiting: 12 (goal < 10) · since 12:59 · Last value: 12:59 · \
                 Held in quiet hours, as of: 12:59\n",
        "b · chat",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn the_actions_are_those_of_every_case_however_many_there_are() {
    let many: String = (0..60).map(|n| format!("0 q{n:02} 25\n")).collect();
    let text = matrix(ROW, "").replace("action: run", "action: \"{{ queue }}, run\"");
    let played = play(&text, &format!("{many}0 z 12\n30 end"), Upset::None);
    let mail = written(&played.mails[0], &played.plan, true);
    // Those of the fifty that are named, and that of the warning, which is not.
    assert!(
        mail.text.starts_with("WHAT TO DO:\nq00, run\nq01, run\nq02, run\n(and 48 more actions)\n"),
        "{}",
        mail.text
    );
}

// -- the commands --

#[test]
fn unit_tests_of_a_matrix_see_what_is_gathered() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let second = "  - { indicator: unanswered, goal: \"< 1\",\n      \
                  ranges: [ { when: \"< 1\", level: ok }, { when: \">= 1\", level: warning, tell: [lead] } ] }\n";
    write("care.yaml", &(matrix("group: { by: queue }", "") + second));
    let test = |told: &str| {
        format!(
            "queue: a\nchannel: chat\ntests:\n  - name: two rows\n    start: 2026-06-01 12:00\n    \
             series: {{ waiting: 12, unanswered: 3 }}\n    expect:\n      \
             - {{ at: 19s, row: waiting, level: warning, told: {told} }}\n      \
             - {{ at: 20s, row: waiting, told: [lead], text: [2 cases, Unanswered] }}\n"
        )
    };
    let run =
        |path| atalaya::commands::test::examine(&atalaya::commands::test::Test { config: None, paths: vec![path] });
    let (said, result) = run(write("care.test.yaml", &test("[]")));
    assert!(result.is_ok(), "{said:?} {result:?}");
    let (said, result) = run(write("care.test.yaml", &test("[lead]")));
    assert!(result.is_err() && said.concat().contains("nobody"), "{said:?} {result:?}");
}

#[test]
fn records_name_the_gathering() {
    use atalaya::records::NotificationRecord;
    let played = play(&matrix(ROW, ""), "0 a 12\n0 b 12\n30 end", Upset::None);
    let records: Vec<_> = played.mails.iter().flat_map(NotificationRecord::each).collect();
    let written: Vec<serde_json::Value> = records.iter().map(|record| serde_json::to_value(record).unwrap()).collect();
    assert_eq!(written.len(), 2);
    for (record, told) in written.iter().zip(played.mails[0].each()) {
        assert_eq!(record["gathering"], *played.mails[0].incident);
        assert_eq!((&record["incident"], &record["time"]), (&(*told.incident).into(), &"2026-06-01T12:00:20Z".into()));
    }
}

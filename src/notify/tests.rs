//! The outbox in virtual time, with a carrier that does as it is told.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::time::Instant;

use super::*;
use crate::domain::Millis;
use crate::matrix::engine::{Acknowledged, Entry, Gathered};
use crate::matrix::{By, Language, Level, Medium};
use crate::notice::hooks::{Format, Formats};
use crate::notice::{Context, render, samples};
use crate::plan::Plan;

/// What a test's carrier does with the nth attempt at a recipient (from 0) at an instant since the start.
type Script = Box<dyn Fn(&str, usize, Duration) -> Act + Send + Sync>;

enum Act {
    Take,
    Fail(Retry),
    /// Takes no notice for so long, then fails.
    Hang(Duration),
}

struct Fake {
    script: Script,
    start: Instant,
    /// Recipient, id, seconds since the start, late: every attempt.
    tried: Mutex<Vec<(String, u32, f64, bool)>>,
    taken: Mutex<Vec<(String, u32, bool)>>,
    attempts: Mutex<BTreeMap<String, usize>>,
}

impl Carrier for Fake {
    fn send<'a>(&'a self, parcel: &'a Parcel, late: bool) -> Sending<'a> {
        let (to, sequence) = (parcel.message.notification.to.to_string(), parcel.message.notification.sequence);
        let since = self.start.elapsed();
        self.tried.lock().unwrap().push((to.clone(), sequence, since.as_secs_f64(), late));
        let nth = {
            let mut attempts = self.attempts.lock().unwrap();
            let nth = attempts.entry(to.clone()).or_default();
            *nth += 1;
            *nth - 1
        };
        Box::pin(async move {
            let failure = |retry| Failure { why: format!("no way to {to}"), retry, at: At::Destination };
            match (self.script)(&to, nth, since) {
                Act::Take => {
                    self.taken.lock().unwrap().push((to, sequence, late));
                    Ok(())
                }
                Act::Fail(retry) => Err(failure(retry)),
                Act::Hang(length) => {
                    tokio::time::sleep(length).await;
                    Err(failure(Retry::Later))
                }
            }
        })
    }
    fn server(&self, _: &Parcel) -> String {
        "server".to_owned()
    }
}

struct Bench {
    notifier: Notifier,
    fake: Arc<Fake>,
    outcomes: mpsc::UnboundedReceiver<Outcome>,
    undeliverable: mpsc::Receiver<Undeliverable>,
}

/// A limit of 0 notices is the default.
fn bench(limit: usize, script: impl Fn(&str, usize, Duration) -> Act + Send + Sync + 'static) -> Bench {
    let fake = Arc::new(Fake {
        script: Box::new(script),
        start: Instant::now(),
        tried: Mutex::default(),
        taken: Mutex::default(),
        attempts: Mutex::default(),
    });
    let from = "Atalaya <atalaya@acme.example>".parse().unwrap();
    let default = Limit::default();
    let limit = if limit == 0 { default } else { Limit { notices: limit, ..default } };
    let notifier = Notifier::with_carrier(fake.clone(), Some(from), Timing::default(), limit);
    let (outcomes, undeliverable) = (notifier.outcomes().unwrap(), notifier.undeliverable().unwrap());
    Bench { notifier, fake, outcomes, undeliverable }
}

fn notification(to: &str, incident: &str, sequence: u32, level: Level) -> Notification {
    let first = samples::critical(samples::matrix(Language::Es, "Actuar"));
    Notification {
        time: crate::clock::now() - Millis(1),
        to: to.into(),
        address: format!("{to}@acme.example").into(),
        incident: incident.into(),
        sequence,
        level,
        ..first
    }
}

fn message(to: &str, incident: &str, sequence: u32, level: Level) -> Message {
    let plan = Plan::default();
    render(&notification(to, incident, sequence, level), &Context::new(&plan, "acme.example"))
}

impl Bench {
    fn put(&self, to: &str, incident: &str, sequence: u32, level: Level) {
        self.notifier.enqueue(message(to, incident, sequence, level));
    }

    async fn settle(&self) {
        while self.notifier.depth() > 0 {
            tokio::time::advance(Duration::from_millis(100)).await;
        }
    }

    fn tried(&self) -> Vec<(String, u32, f64, bool)> {
        self.fake.tried.lock().unwrap().clone()
    }

    fn taken(&self) -> Vec<(String, u32, bool)> {
        self.fake.taken.lock().unwrap().clone()
    }

    fn fates(&mut self) -> Vec<(u32, Fate)> {
        let mut fates = Vec::new();
        while let Ok(outcome) = self.outcomes.try_recv() {
            fates.push((outcome.notification.sequence, outcome.result));
        }
        fates
    }
}

/// The stand-ins of one that could not be delivered are taken for delivery.
fn tell_stand_ins(notifier: &Notifier, missed: &Undeliverable, context: &Context<'_>) -> usize {
    let messages = crate::notice::render_missed(&missed.notification, &missed.why, None, context);
    let count = messages.len();
    messages.into_iter().for_each(|message| notifier.enqueue(message));
    count
}

#[tokio::test(start_paused = true)]
async fn a_failing_notice_is_tried_ever_more_seldom_and_given_up_after_hours() {
    let mut bench = bench(0, |_, _, _| Act::Fail(Retry::Later));
    bench.put("lead", "i", 1, Level::Critical);
    let report = bench.undeliverable.recv().await.unwrap();
    let reported = bench.fake.start.elapsed().as_secs_f64();
    assert!((300.0..305.0).contains(&reported), "reported after {reported} s");
    assert_eq!(report.why, "no way to lead");
    assert_eq!(bench.notifier.depth(), 1, "it is tried further");
    bench.settle().await;
    let times: Vec<f64> = bench.tried().iter().map(|tried| tried.2).collect();
    let pauses: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[0] <= 15.0, "the first retry came after {} s", pauses[0]);
    assert!(pauses.iter().all(|pause| (4.0..361.0).contains(pause)), "{pauses:?}");
    assert!(pauses.windows(2).take(5).all(|pair| pair[1] > pair[0]), "{pauses:?}");
    let end = times.last().unwrap() / 3600.0;
    assert!((5.8..=6.0).contains(&end), "given up after {end} h");
    assert!(matches!(bench.fates().last(), Some((1, Fate::GaveUp { .. }))));
    assert!(bench.undeliverable.try_recv().is_err(), "reported once");
    assert_eq!(bench.notifier.counters().get(crate::matrix::Medium::Email, Counted::GaveUp), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_reported_at_once_and_never_tried_again() {
    let mut bench = bench(0, |_, _, _| Act::Fail(Retry::Never));
    bench.put("lead", "i", 1, Level::Critical);
    bench.put("manager", "i", 2, Level::Warning);
    let report = bench.undeliverable.recv().await.unwrap();
    assert_eq!((report.notification.to.as_ref(), report.why.as_str()), ("lead", "no way to lead"));
    bench.settle().await;
    assert_eq!(bench.tried().len(), 2);
    assert!(bench.undeliverable.try_recv().is_err(), "a warning is not reported");
    assert_eq!(bench.notifier.health(), ["no way to lead", "no way to manager"]);
    // Those who are told instead are not told of in turn.
    let plan = Plan::default();
    let context = Context::new(&plan, "acme.example");
    assert_eq!(tell_stand_ins(&bench.notifier, &report, &context), 2);
    bench.settle().await;
    assert!(bench.undeliverable.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn one_dead_recipient_holds_up_no_other() {
    let bench = bench(0, |to, _, _| if to == "dead" { Act::Hang(Duration::from_secs(15)) } else { Act::Take });
    for sequence in 1..=20 {
        bench.put("dead", "i", sequence, Level::Critical);
        bench.put(&format!("live{sequence}"), "i", sequence, Level::Warning);
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(bench.taken().len(), 20);
    assert_eq!(bench.notifier.depth(), 20);
}

#[tokio::test(start_paused = true)]
async fn only_the_newest_of_an_incident_comes_late() {
    let mut bench = bench(0, |_, _, since| match since.as_secs() {
        0..400 => Act::Fail(Retry::Later),
        _ => Act::Take,
    });
    bench.put("lead", "a", 1, Level::Warning);
    bench.put("lead", "b", 2, Level::Warning);
    bench.put("lead", "a", 3, Level::Critical);
    bench.put("lead", "a", 4, Level::Ok);
    bench.settle().await;
    assert_eq!(bench.taken(), [("lead".to_owned(), 2, true), ("lead".to_owned(), 4, true)]);
    let superseded: Vec<u32> =
        bench.fates().iter().filter(|(_, fate)| *fate == Fate::Superseded).map(|(sequence, _)| *sequence).collect();
    assert_eq!(superseded, [1, 3]);
    assert_eq!(bench.notifier.counters().get(crate::matrix::Medium::Email, Counted::Superseded), 2);
}

/// Who was not told yet is told of the alert, not that somebody has taken it up.
#[tokio::test(start_paused = true)]
async fn an_acknowledgement_takes_no_late_notices_place() {
    let bench = bench(0, |_, _, since| match since.as_secs() {
        0..400 => Act::Fail(Retry::Later),
        _ => Act::Take,
    });
    let hook = |sequence: u32, acknowledges: bool| {
        let notification = Notification {
            medium: crate::matrix::Medium::Webhook,
            address: "duty".into(),
            ..notification("duty", "a", sequence, Level::Critical)
        };
        let plan = Plan::default();
        let mut message = render(&notification, &Context::new(&plan, "acme.example"));
        if let notice::Body::Webhook(hook) = &mut message.body {
            hook.acknowledges = acknowledges;
        }
        message
    };
    bench.notifier.enqueue(hook(1, false));
    bench.notifier.enqueue(hook(2, true));
    bench.settle().await;
    assert_eq!(bench.taken(), [1, 2].map(|sequence| ("duty".to_owned(), sequence, true)));
    // What comes after it is newer than the first; the acknowledgement is said all the same, before it.
    let bench = self::bench(0, |_, _, since| if since.as_secs() < 400 { Act::Fail(Retry::Later) } else { Act::Take });
    [hook(1, false), hook(2, true), hook(3, false)].into_iter().for_each(|message| bench.notifier.enqueue(message));
    bench.settle().await;
    assert_eq!(bench.taken(), [2, 3].map(|sequence| ("duty".to_owned(), sequence, true)));
}

#[tokio::test(start_paused = true)]
async fn in_time_everything_comes_in_order() {
    let bench = bench(0, |_, nth, _| if nth == 0 { Act::Fail(Retry::Later) } else { Act::Take });
    for sequence in 1..=3 {
        bench.put("lead", "a", sequence, Level::Critical);
    }
    bench.settle().await;
    assert_eq!(bench.taken(), [1, 2, 3].map(|sequence| ("lead".to_owned(), sequence, false)));
}

#[tokio::test(start_paused = true)]
async fn an_old_decision_is_late_at_the_first_try() {
    let bench = bench(0, |_, _, _| Act::Take);
    let mut old = notification("lead", "a", 1, Level::Critical);
    old.time = old.time - Millis(301_000);
    let plan = Plan::default();
    bench.notifier.enqueue(render(&old, &Context::new(&plan, "acme.example")));
    bench.settle().await;
    assert_eq!(bench.taken(), [("lead".to_owned(), 1, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_full_outbox_drops_the_least_important_and_keeps_criticals() {
    let mut bench = bench(3, |_, _, _| Act::Hang(Duration::from_secs(15)));
    bench.put("under-way", "x", 1, Level::Info);
    tokio::time::sleep(Duration::from_millis(1)).await;
    bench.put("a", "a", 2, Level::Critical);
    bench.put("b", "b", 3, Level::Info);
    bench.put("c", "c", 4, Level::Critical);
    bench.put("d", "d", 5, Level::Info);
    let dropped: Vec<u32> =
        bench.fates().iter().filter(|(_, fate)| *fate == Fate::Dropped).map(|(sequence, _)| *sequence).collect();
    assert_eq!(dropped, [3, 5], "the info, then the newcomer that ranks lowest; what is under way stays");
    assert_eq!(bench.notifier.depth(), 3);
    assert_eq!(bench.notifier.counters().get(crate::matrix::Medium::Email, Counted::Dropped), 2);
}

/// One case that has just gone off makes a mail of many recoveries no less than they are.
#[tokio::test(start_paused = true)]
async fn a_mail_of_many_cases_ranks_as_the_most_of_them_and_an_acknowledgement_last() {
    let mut bench = bench(3, |_, _, _| Act::Hang(Duration::from_secs(15)));
    bench.put("under-way", "x", 1, Level::Info);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let (info, over) = (notification("a", "a", 2, Level::Info), notification("a", "b", 3, Level::Ok));
    let entry = Entry { level: Level::Info, cases: 1, worst: info.transition.clone() };
    let gathered = Gathered { by: By::Row, notices: vec![info.clone(), over], others: Vec::new(), entry };
    let all = Notification { gathered: Some(Arc::new(gathered)), ..info };
    bench.notifier.enqueue(render(&all, &Context::new(&Plan::default(), "acme.example")));
    bench.put("b", "b", 4, Level::Warning);
    bench.put("c", "c", 5, Level::Critical);
    let formats = Formats::from([("duty".into(), Format::Pagerduty)]);
    let seen = Acknowledged { by: "eva".into(), at: all.time, until: all.time, why: "".into(), level: Level::Info };
    let duty = Notification {
        medium: Medium::Webhook,
        address: "duty".into(),
        acknowledged: Some(seen),
        ..notification("duty", "d", 6, Level::Critical)
    };
    let plan = Plan::default();
    let context = Context { formats: &formats, ..Context::new(&plan, "acme.example") };
    let messages = notice::with_acknowledgement(render(&duty, &context), &formats);
    assert_eq!(messages.len(), 2);
    messages.into_iter().rev().for_each(|message| bench.notifier.enqueue(message));
    let fates = bench.fates();
    let dropped: Vec<u32> = fates.iter().filter(|one| one.1 == Fate::Dropped).map(|one| one.0).collect();
    assert_eq!(dropped, [4, 6, 2], "the warning, the acknowledgement that comes last, the mail of a recovery");
}

#[tokio::test(start_paused = true)]
async fn of_many_criticals_dropped_one_report_says_how_many() {
    let mut bench = bench(10, |_, _, since| match since.as_secs() {
        0..600 => Act::Fail(Retry::Later),
        _ => Act::Take,
    });
    for sequence in 1..=15 {
        bench.put("lead", &format!("i{sequence}"), sequence, Level::Critical);
    }
    let dropped: Vec<u32> = bench.fates().iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(dropped, [1, 2, 3, 4, 5], "the oldest, and none has been tried yet");
    let report = bench.undeliverable.recv().await.unwrap();
    assert!(bench.fake.start.elapsed() <= Duration::from_secs(1));
    assert_eq!(&*report.notification.incident, "i1");
    assert_eq!(report.why, "the outbox is full; critical notices dropped besides this one: 4");
    assert!(bench.notifier.health().contains(&"the outbox is full; 5 notices were dropped".to_owned()));
    assert_eq!(bench.notifier.counters().undeliverable.load(Ordering::Relaxed), 5);

    // Who hears of it has a place, and takes nobody's.
    let plan = Plan::default();
    let context = Context::new(&plan, "acme.example");
    assert_eq!(tell_stand_ins(&bench.notifier, &report, &context), 2);
    assert_eq!(bench.notifier.depth(), 11, "ten, and one of the two stand-ins: a tenth");
    // What is dropped later is told later.
    bench.put("lead", "i16", 16, Level::Critical);
    tokio::time::sleep(Duration::from_secs(290)).await;
    assert!(bench.undeliverable.try_recv().is_err());
    tokio::time::sleep(Duration::from_secs(11)).await;
    let reports: Vec<String> = std::iter::from_fn(|| bench.undeliverable.try_recv().ok()).map(|one| one.why).collect();
    assert!(reports.contains(&"the outbox is full".to_owned()), "{reports:?}");
    assert_eq!(reports.len(), 11, "and each of the ten that have been tried for five minutes");
    bench.settle().await;
    assert_eq!(bench.taken().iter().filter(|(to, ..)| to == "lead").count(), 10);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(bench.notifier.health().is_empty(), "{:?}", bench.notifier.health());
}

/// Each matrix has an owner of its own.
#[tokio::test(start_paused = true)]
async fn of_criticals_dropped_each_matrix_has_a_report() {
    let mut bench = bench(1, |_, _, _| Act::Hang(Duration::from_secs(15)));
    let mut other = samples::matrix(Language::En, "Act");
    Arc::get_mut(&mut other).unwrap().name = "other".into();
    let other = samples::critical(other);
    let plan = Plan::default();
    for (sequence, is_other) in [(1, false), (2, true), (3, false), (4, false), (5, true)] {
        let mut notice = notification("lead", &format!("i{sequence}"), sequence, Level::Critical);
        if is_other {
            notice.transition = other.transition.clone();
        }
        bench.notifier.enqueue(render(&notice, &Context::new(&plan, "acme.example")));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let reports: BTreeMap<String, String> = std::iter::from_fn(|| bench.undeliverable.try_recv().ok())
        .map(|one| (one.notification.incident.to_string(), one.why))
        .collect();
    let said = |others: u32| format!("the outbox is full; critical notices dropped besides this one: {others}");
    assert_eq!(
        reports,
        BTreeMap::from([("i1".to_owned(), said(2)), ("i2".to_owned(), "the outbox is full".to_owned())])
    );
}

#[tokio::test(start_paused = true)]
async fn a_stand_in_takes_the_place_of_nothing_else() {
    let mut bench = bench(2, |_, _, _| Act::Hang(Duration::from_secs(15)));
    let plan = Plan::default();
    let context = Context::new(&plan, "acme.example");
    let missed = |incident: &str| Undeliverable {
        notification: notification("dead", incident, 1, Level::Critical),
        why: "no way".to_owned(),
    };
    bench.put("a", "a", 2, Level::Info);
    bench.put("a", "b", 3, Level::Info);
    assert_eq!(tell_stand_ins(&bench.notifier, &missed("x"), &context), 2);
    assert_eq!(tell_stand_ins(&bench.notifier, &missed("y"), &context), 2);
    assert_eq!(bench.notifier.depth(), 3);
    // A new notice goes before an older one of its rank, and not before a stand-in either.
    bench.put("a", "c", 4, Level::Info);
    assert_eq!(bench.notifier.depth(), 3);
    let dropped: Vec<u32> = bench.fates().iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(dropped, [1, 1, 1, 2], "three stand-ins for the last, and the oldest information");
}

#[tokio::test(start_paused = true)]
async fn a_bound_in_bytes_drops_as_many_as_it_takes() {
    let size = |message: &Message| {
        let from = "Atalaya <atalaya@acme.example>".parse().unwrap();
        Parcel::new(message.clone(), Some(&from)).map_err(|(_, why)| why).unwrap().bytes()
    };
    let small: Vec<Message> = (1..=4).map(|n| message("a", &format!("i{n}"), n, Level::Warning)).collect();
    let mut large = message("a", "large", 5, Level::Critical);
    if let notice::Body::Email(mail) = &mut large.body {
        mail.html = "x".repeat(size(&small[0]) * 3 / 2);
    }
    let mut bench = bench(0, |_, _, _| Act::Hang(Duration::from_secs(15)));
    let bytes = small.iter().map(size).sum();
    let limit = Limit { bytes, ..Limit::default() };
    let from = "Atalaya <atalaya@acme.example>".parse().unwrap();
    bench.notifier = Notifier::with_carrier(bench.fake.clone(), Some(from), Timing::default(), limit);
    bench.outcomes = bench.notifier.outcomes().unwrap();
    small.into_iter().for_each(|message| bench.notifier.enqueue(message));
    assert_eq!((bench.notifier.depth(), bench.notifier.bytes()), (4, bytes), "exactly full");
    bench.notifier.enqueue(large.clone());
    assert_eq!(bench.notifier.depth(), 2, "{} of {bytes} bytes", size(&large));
    assert!(bench.notifier.bytes() <= bytes);
    // What finds no room even so drops nothing but itself.
    bench.notifier.enqueue(message("a", "info", 6, Level::Info));
    let mut huge = message("a", "huge", 7, Level::Critical);
    if let notice::Body::Email(mail) = &mut huge.body {
        mail.html = "x".repeat(bytes);
    }
    let before = bench.notifier.depth();
    bench.notifier.enqueue(huge);
    assert_eq!(bench.notifier.depth(), before);
    let dropped: Vec<u32> = bench.fates().iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(dropped[..3], [1, 2, 3]);
    assert_eq!(dropped.last(), Some(&7));
}

#[tokio::test(start_paused = true)]
async fn a_new_notice_does_not_wait_for_the_end_of_a_long_pause() {
    let bench = bench(0, |_, _, _| Act::Fail(Retry::Later));
    bench.put("lead", "a", 1, Level::Warning);
    tokio::time::sleep(Duration::from_secs(900)).await;
    let before = bench.tried().len();
    bench.put("lead", "b", 2, Level::Critical);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(bench.tried().len() > before, "{:?}", bench.tried());
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured() {
    let wait = Duration::from_secs(120);
    let bench = bench(0, move |_, nth, _| if nth == 0 { Act::Fail(Retry::After(wait)) } else { Act::Take });
    bench.put("lead", "a", 1, Level::Warning);
    tokio::time::sleep(Duration::from_secs(30)).await;
    bench.put("lead", "a", 2, Level::Warning);
    bench.settle().await;
    assert!(bench.tried()[1].2 >= 120.0, "{:?}", bench.tried());
}

#[tokio::test(start_paused = true)]
async fn draining_tries_what_waits_at_once_and_says_what_is_left() {
    let bench = bench(0, |to, nth, _| match (to, nth) {
        ("later", 0..4) => Act::Fail(Retry::Later),
        ("never", _) => Act::Fail(Retry::Later),
        _ => Act::Take,
    });
    bench.put("later", "a", 1, Level::Warning);
    bench.put("never", "a", 2, Level::Warning);
    // Four attempts have failed by then, and the next pause is a long one.
    tokio::time::sleep(Duration::from_secs(45)).await;
    assert_eq!(bench.notifier.depth(), 2, "{:?}", bench.tried());
    let start = Instant::now();
    assert_eq!(bench.notifier.drain(Duration::from_secs(3)).await, 1);
    assert!(start.elapsed() <= Duration::from_secs(3));
    assert_eq!(bench.taken(), [("later".to_owned(), 1, false)]);
    bench.put("later", "a", 3, Level::Warning);
    assert_eq!(bench.notifier.depth(), 1, "nothing is taken after the drain");
}

#[tokio::test(start_paused = true)]
async fn health_mends_when_the_next_attempt_succeeds() {
    let bench = bench(0, |_, nth, _| if nth == 0 { Act::Fail(Retry::Later) } else { Act::Take });
    bench.put("lead", "a", 1, Level::Warning);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.notifier.health(), ["no way to lead"]);
    bench.settle().await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(bench.notifier.health().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_bad_address_is_refused_and_reported() {
    let mut bench = bench(0, |_, _, _| Act::Take);
    let plan = Plan::default();
    let mut bad = notification("lead", "a", 1, Level::Critical);
    bad.address = "lead@acme.example\r\nRCPT TO:<x@evil.example>".into();
    bench.notifier.enqueue(render(&bad, &Context::new(&plan, "acme.example")));
    let report = bench.undeliverable.recv().await.unwrap();
    assert!(report.why.contains("is no mail address"), "{}", report.why);
    assert!(bench.taken().is_empty());
}

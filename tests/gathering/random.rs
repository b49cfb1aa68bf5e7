//! Random cases that go off and recover: what holds of gatherings whatever happens.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Incident, or gathering, and address.
type At = (Arc<str>, Arc<str>);

/// Second, which of six queues, and its value.
fn changes() -> impl Strategy<Value = Vec<(i64, usize, u8)>> {
    let value = prop_oneof![Just(0u8), Just(12), Just(25)];
    prop::collection::vec((0i64..300, 0usize..6, value), 1..60)
}

fn timeline(mut changes: Vec<(i64, usize, u8)>) -> String {
    changes.sort_by_key(|change| change.0);
    let lines = changes.iter().map(|(second, queue, value)| format!("{second} q{queue} {value}\n"));
    // In the end all is well, and has been told.
    let end = (0..6).map(|queue| format!("300 q{queue} 0\n"));
    lines.chain(end).chain(["500 end".to_owned()]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn restarts_and_reloads_at_every_step_change_nothing(changes in changes(), by_queue: bool) {
        let by = if by_queue { "queue" } else { "row" };
        let text = matrix(&format!("group: {{ by: {by}, wait: 15s }}"), "");
        let timeline = timeline(changes);
        let straight = play(&text, &timeline, Upset::None).lines;
        prop_assert_eq!(&play(&text, &timeline, Upset::Restarts).lines, &straight);
        prop_assert_eq!(&play(&text, &timeline, Upset::Reloads).lines, &straight);
        prop_assert_eq!(&play(&text, &timeline, Upset::Follows).lines, &straight);
    }

    /// What is told together is what is told singly, but for what was over before its mail went out.
    #[test]
    fn nothing_is_lost_and_nothing_comes_late(changes in changes()) {
        let timeline = timeline(changes);
        let singly = play(&matrix("", ""), &timeline, Upset::None);
        let together = play(&matrix("group: { by: row, wait: 15s }", ""), &timeline, Upset::None);
        let mut open: BTreeMap<At, BTreeMap<Arc<str>, Level>> = BTreeMap::new();
        for mail in together.mails.iter().filter(|mail| mail.gathered.is_some()) {
            let gathered = mail.gathered.as_ref().unwrap();
            let thread = open.entry((mail.incident.clone(), mail.address.clone())).or_default();
            prop_assert!(mail.each().is_sorted_by_key(|one| std::cmp::Reverse(one.level)));
            for one in mail.each() {
                prop_assert!(mail.time - one.transition.time <= Millis::seconds(15) || one.reason.name() != "range");
                match one.level {
                    Level::Ok => prop_assert!(thread.remove(&one.incident).is_some(), "an end of what was not told"),
                    level => drop(thread.insert(one.incident.clone(), level)),
                }
            }
            let worst = thread.values().max().copied().unwrap_or_default();
            prop_assert_eq!(gathered.entry.level, worst);
            let told_here: BTreeSet<&Arc<str>> = mail.each().iter().map(|one| &one.incident).collect();
            let others = thread.keys().filter(|incident| !told_here.contains(incident)).count();
            prop_assert_eq!(gathered.others.len(), others);
        }
        prop_assert!(open.values().all(BTreeMap::is_empty), "what was told has ended");
        prop_assert!(together.engine.open_ids().is_empty());
        // Who stood at a level for longer than the wait is told so.
        let told = |played: &Play| -> BTreeSet<(Arc<str>, Arc<str>, Level)> {
            let each = played.mails.iter().flat_map(|mail| mail.each());
            each.map(|one| (one.incident.clone(), one.address.clone(), one.level)).collect()
        };
        prop_assert!(told(&together).is_subset(&told(&singly)));
        let mut last: BTreeMap<At, &Notification> = BTreeMap::new();
        for one in singly.mails.iter() {
            let before = last.insert((one.incident.clone(), one.address.clone()), one);
            if let Some(before) = before.filter(|before| one.time - before.time > Millis::seconds(15)) {
                let stood = (before.incident.clone(), before.address.clone(), before.level);
                prop_assert!(told(&together).contains(&stood), "{:?} was not told", stood);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    /// Two mails of one name would be one to whoever gets them, and to their thread. Few cases and silences that come within
    /// the wait, so that one gathering often follows another of the same first incident.
    #[test]
    fn no_two_mails_have_one_name(
        changes in prop::collection::vec((0i64..20, 0usize..2, prop_oneof![Just(0u8), Just(12)]), 3..7),
        silences in prop::collection::vec((0i64..6, 0usize..2, 5i64..30), 1..3),
    ) {
        let change = |(at, queue, value): (i64, usize, u8)| (5 * at, format!("q{queue} {value}"));
        let silence = |(at, queue, length): (i64, usize, i64)| {
            (5 * at + 1, format!("silence q{queue} {}", 5 * (at + length)))
        };
        let mut lines: Vec<(i64, String)> = changes.into_iter().map(change).collect();
        lines.extend(silences.into_iter().map(silence));
        lines.sort();
        let lines: String = lines.into_iter().map(|(second, what)| format!("{second} {what}\n")).collect();
        let played = play(&matrix("group: { by: row, wait: 15s }", ""), &(lines + "250 end"), Upset::None);
        let mut names = BTreeSet::new();
        for mail in &played.mails {
            prop_assert!(names.insert((&mail.incident, mail.sequence, &mail.address)), "{:?}", played.lines);
        }
    }
}

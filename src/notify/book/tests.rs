//! The book beside a plain list that is looked through from end to end.

use proptest::prelude::*;

use super::*;
use crate::matrix::{Language, Medium};
use crate::notice::{Context, Message, Missed, render, samples};
use crate::plan::Plan;

const LIMIT: Limit = Limit { notices: 10, bytes: 60_000 };
const LEVELS: [Level; 4] = [Level::Info, Level::Warning, Level::Ok, Level::Critical];

#[derive(Clone, Debug)]
enum Step {
    Put {
        lane: usize,
        incident: usize,
        level: usize,
        stands_in: bool,
        bytes: usize,
    },
    /// Whatever comes next of the lane is under way.
    Next {
        lane: usize,
    },
    /// What is under way is delivered, or it failed.
    End {
        lane: usize,
        delivered: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let put = (0..3usize, 0..4usize, 0..4usize, prop::bool::weighted(0.2), 0..12_000usize);
    prop_oneof![
        4 => put.prop_map(|(lane, incident, level, stands_in, bytes)| Step::Put { lane, incident, level, stands_in, bytes }),
        1 => (0..3usize).prop_map(|lane| Step::Next { lane }),
        1 => (0..3usize, any::<bool>()).prop_map(|(lane, delivered)| Step::End { lane, delivered }),
    ]
}

/// A notice in the list; `id` is also its sequence.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    id: u32,
    lane: usize,
    incident: usize,
    rank: usize,
    bytes: usize,
    busy: bool,
}

impl Plain {
    fn stands_in(&self) -> bool {
        self.rank == 0
    }
}

/// What the list drops for a new one, which is among its ids if it is dropped itself.
fn put(list: &mut Vec<Plain>, new: Plain) -> Vec<u32> {
    let limit = if new.stands_in() { Limit { notices: 1, bytes: LIMIT.bytes / 10 } } else { LIMIT };
    let fits = |list: &[Plain]| {
        let alike: Vec<&Plain> = list.iter().filter(|one| one.stands_in() == new.stands_in()).collect();
        alike.len() < limit.notices && alike.iter().map(|one| one.bytes).sum::<usize>() + new.bytes <= limit.bytes
    };
    let (mut left, mut dropped) = (list.clone(), Vec::new());
    while !fits(&left) {
        let may_go = |one: &&Plain| !one.busy && one.rank <= new.rank && one.stands_in() == new.stands_in();
        let Some(going) = left.iter().filter(may_go).min_by_key(|one| (one.rank, one.id)).cloned() else {
            return vec![new.id];
        };
        dropped.push(going.id);
        left.retain(|one| one.id != going.id);
    }
    left.push(new);
    *list = left;
    dropped
}

/// What of a lane is under way next, after those that a newer one supersedes: everything is late.
fn next(list: &mut Vec<Plain>, lane: usize) -> (Option<u32>, Vec<u32>) {
    let mut superseded = Vec::new();
    loop {
        let all: Vec<Plain> = list.iter().filter(|one| one.lane == lane).cloned().collect();
        let Some((head, behind)) = all.split_first() else { return (None, superseded) };
        let newer = |one: &Plain| one.incident == head.incident && one.stands_in() == head.stands_in();
        if !behind.iter().any(newer) {
            list.iter_mut().filter(|one| one.id == head.id).for_each(|one| one.busy = true);
            return (Some(head.id), superseded);
        }
        superseded.push(head.id);
        list.retain(|one| one.id != head.id);
    }
}

fn entry(template: &Message, id: u32, incident: usize, level: Level, stands_in: bool, bytes: usize) -> Entry {
    let mut message = template.clone();
    message.notification.incident = format!("i{incident}").into();
    (message.notification.sequence, message.notification.level) = (id, level);
    message.missed = stands_in.then(|| Missed { contact: "ana".into(), medium: Medium::Email, why: String::new() });
    if let Body::Email(mail) = &mut message.body {
        mail.html = "x".repeat(bytes);
    }
    let from = "Atalaya <atalaya@acme.example>".parse().unwrap();
    let parcel = Arc::new(Parcel::new(message, Some(&from)).map_err(|(_, why)| why).unwrap());
    let (taken, age_before) = (Instant::now(), Duration::from_secs(1));
    Entry { parcel, taken, age_before, tries: 0, last: None, reported: false }
}

fn ids(entries: &[Entry]) -> Vec<u32> {
    entries.iter().map(|entry| entry.parcel.message.notification.sequence).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_book_does_what_a_plain_list_does(steps in prop::collection::vec(step(), 1..80)) {
        let first = samples::critical(samples::matrix(Language::En, "Act"));
        let template = render(&first, &Context::new(&Plan::default(), "acme.example"));
        let lanes = ["a", "b", "c"].map(|name| Destination::Address(name.into()));
        let mut book = Book::new(LIMIT);
        let mut list = Vec::new();
        let now = Instant::now();
        for (id, step) in (0..).zip(steps) {
            let busy = |list: &[Plain], lane: usize| list.iter().find(|one| one.lane == lane && one.busy).map(|one| one.id);
            match step {
                Step::Put { lane, incident, level, stands_in, bytes } => {
                    let entry = entry(&template, id, incident, LEVELS[level], stands_in, bytes);
                    let (bytes, rank) = (entry.parcel.bytes(), if stands_in { 0 } else { level + 1 });
                    let put_plain = put(&mut list, Plain { id, lane, incident, rank, bytes, busy: false });
                    let put = book.put(lanes[lane].clone(), entry);
                    prop_assert_eq!(ids(&put.dropped), put_plain);
                }
                Step::Next { lane } if busy(&list, lane).is_none() => {
                    let (under_way, superseded) = book.next(&lanes[lane], now, Duration::ZERO);
                    let under_way = under_way.map(|entry| entry.parcel.message.notification.sequence);
                    prop_assert_eq!((under_way, ids(&superseded)), next(&mut list, lane));
                }
                Step::End { lane, delivered: true } => {
                    let expected = busy(&list, lane);
                    list.retain(|one| Some(one.id) != expected);
                    let done = book.done(&lanes[lane]).map(|entry| entry.parcel.message.notification.sequence);
                    prop_assert_eq!(done, expected);
                }
                Step::End { lane, delivered: false } => {
                    let expected = busy(&list, lane);
                    list.iter_mut().filter(|one| Some(one.id) == expected).for_each(|one| one.busy = false);
                    prop_assert_eq!(book.again(&lanes[lane], "no way").is_some(), expected.is_some());
                }
                Step::Next { .. } => {}
            }
            prop_assert_eq!(book.len(), list.len());
            prop_assert_eq!(book.bytes(), list.iter().map(|one| one.bytes).sum::<usize>());
        }
    }
}

//! One agent's snapshots as stretches of time in a class, for each pair and for the roll-ups.

use super::decode::{Entry, Snapshot};
use super::settings::Settings;

#[derive(Clone, Debug)]
pub struct Stay {
    pub from: i64,
    pub until: Option<i64>,
    /// The class of the person.
    pub class: String,
    /// The platform's own name of it.
    pub own: Option<String>,
    pub pairs: Vec<PairStay>,
    pub slots: i64,
    pub busy: Option<i64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PairStay {
    pub queue: String,
    pub channel: String,
    /// A class, or `elsewhere`.
    pub class: String,
    /// Where the entry of the pair says it.
    pub busy: Option<i64>,
    pub slots: Option<i64>,
}

/// The snapshots are in the order of their times.
pub fn stays(snapshots: &[(i64, String, Snapshot)], settings: &Settings) -> Vec<Stay> {
    let mut all = Vec::new();
    let mut queues: Vec<Entry> = Vec::new();
    let mut channels: Vec<String> = Vec::new();
    let mut slots = 1;
    for (index, (time, _, snapshot)) in snapshots.iter().enumerate() {
        if let Some(list) = &snapshot.queues {
            queues = list.clone();
        }
        if let Some(list) = &snapshot.channels {
            channels = list.clone();
        }
        slots = snapshot.slots.unwrap_or(slots);
        let next = snapshots.get(index + 1).map(|(time, _, _)| *time);
        let forgotten = time + settings.agent_timeout;
        let until = next.map_or(forgotten, |next| next.min(forgotten));
        let class = person(snapshot, &queues);
        all.push(Stay {
            from: *time,
            until: Some(until),
            pairs: pairs(snapshot, &class, &queues, &channels),
            class,
            own: snapshot.own.clone(),
            slots,
            busy: snapshot.busy,
        });
        if until == forgotten && next != Some(forgotten) {
            // CHOICE: a forgotten agent stays in the pairs of the last lists, as offline.
            let mut offline = snapshot.clone();
            offline.class = "offline".to_owned();
            let pairs = pairs(&offline, "offline", &queues, &channels);
            all.push(Stay {
                from: forgotten,
                until: next,
                class: "offline".to_owned(),
                own: None,
                pairs,
                slots,
                busy: None,
            });
        }
    }
    all
}

fn busy_in_pairs(queues: &[Entry]) -> i64 {
    let busy = |entry: &Entry| match entry {
        Entry::Pair { busy, .. } => busy.unwrap_or(0),
        Entry::Name(_) => 0,
    };
    queues.iter().map(busy).sum()
}

/// "`busy` > 0 turns `available` and `unproductive` into `handling`."
/// CHOICE: busy in any pair of the list is busy too. A snapshot that keeps the last lists keeps their `busy` with them;
/// the agent's own `busy` is of this snapshot only (left out, it is none).
fn person(snapshot: &Snapshot, queues: &[Entry]) -> String {
    let busy = snapshot.busy.unwrap_or(0) > 0 || busy_in_pairs(queues) > 0;
    let can_turn = snapshot.class == "available" || snapshot.class == "unproductive";
    if busy && can_turn { "handling".to_owned() } else { snapshot.class.clone() }
}

fn pairs(snapshot: &Snapshot, class: &str, queues: &[Entry], channels: &[String]) -> Vec<PairStay> {
    let named: Vec<(&String, &String, Option<i64>, Option<i64>)> = queues
        .iter()
        .filter_map(|entry| match entry {
            Entry::Pair { queue, channel, busy, slots } => Some((queue, channel, *busy, *slots)),
            Entry::Name(_) => None,
        })
        .collect();
    let mut list: Vec<PairStay> = Vec::new();
    let mut add = |queue: &String, channel: &String, class: &str, busy: Option<i64>, slots: Option<i64>| {
        if !list.iter().any(|pair| pair.queue == *queue && pair.channel == *channel) {
            list.push(PairStay {
                queue: queue.clone(),
                channel: channel.clone(),
                class: class.to_owned(),
                busy,
                slots,
            });
        }
    };
    if !named.is_empty() {
        // CHOICE: with one object in the list "only those pairs count": plain names beside it name no pair.
        let busy_somewhere = snapshot.busy.unwrap_or(0) > 0 || busy_in_pairs(queues) > 0;
        for (queue, channel, busy, slots) in named {
            // CHOICE: `elsewhere` replaces only `handling`: who wraps up or is offline is that everywhere.
            let elsewhere = busy == Some(0) && busy_somewhere && class == "handling";
            add(queue, channel, if elsewhere { "elsewhere" } else { class }, busy, slots);
        }
        return list;
    }
    for entry in queues {
        if let Entry::Name(queue) = entry {
            for channel in channels {
                add(queue, channel, class, None, None);
            }
        }
    }
    list
}

/// The class of a stay under a key: `None` if the agent does not count there.
/// CHOICE: agents without any pair count over all only. In a roll-up of several pairs an agent is `elsewhere` only if he
/// is so in each of them; over all he is what the person is.
pub fn class_under<'a>(stay: &'a Stay, queue: Option<&str>, channel: Option<&str>) -> Option<&'a str> {
    if queue.is_none() && channel.is_none() {
        return Some(&stay.class);
    }
    let mut class = None;
    for pair in &stay.pairs {
        let here = queue.is_none_or(|q| q == pair.queue) && channel.is_none_or(|c| c == pair.channel);
        if here && (class.is_none() || class == Some("elsewhere")) {
            class = Some(pair.class.as_str());
        }
    }
    class
}

/// Interactions in hand and slots under a key, while the agent counts there.
/// CHOICE: where the entries of pairs say `busy` or `slots` these are added up under the key, otherwise the agent's own
/// hold. Who says nothing of `busy` has one in hand while handling, else none.
pub fn slots_under(stay: &Stay, queue: Option<&str>, channel: Option<&str>) -> (i64, i64) {
    let here = |pair: &&PairStay| queue.is_none_or(|q| q == pair.queue) && channel.is_none_or(|c| c == pair.channel);
    let sum = |of: fn(&PairStay) -> Option<i64>| -> Option<i64> {
        let told: Vec<i64> = stay.pairs.iter().filter(here).filter_map(of).collect();
        (!told.is_empty()).then(|| told.iter().sum())
    };
    let handling = i64::from(class_under(stay, queue, channel) == Some("handling"));
    let busy = sum(|pair| pair.busy).or(stay.busy).unwrap_or(handling);
    let slots = sum(|pair| pair.slots).unwrap_or(stay.slots);
    (busy, slots)
}

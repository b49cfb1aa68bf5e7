//! Two rows of one matrix that would make the same case: the same indicator, window, labels and `per`, in scopes and
//! hours that meet. Each would alert on its own, and they could contradict each other.

use std::collections::BTreeMap;

use super::hours;
use super::reader::Report;
use super::row::ReadRow;
use super::scopes::{Parts, is_literal};
use crate::domain::Millis;
use crate::matrix::{Per, Row};
use crate::plan::Plan;

/// Channels that stand for all whose names the configuration does not have: one for each kind of default thresholds.
const KINDS: [&str; 6] = ["voice", "phone", "chat", "webchat", "email", "facebook"];

/// Reports each row that is the same case as an earlier one, once. `plan` has the channels' thresholds, if they are known.
pub(super) fn check(rows: &[ReadRow], plan: Option<&Plan>, report: &mut Report) {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, read) in rows.iter().enumerate() {
        let row = &read.row;
        let key = format!(
            "{} {:?} {:?} {:?} {:?} {:?} {:?}",
            row.indicator.name, row.window, row.treatment, row.state, row.stage, row.clock, row.per
        );
        groups.entry(key).or_default().push(index);
    }
    let weeks: Vec<_> = rows.iter().map(|read| hours::open_minutes(read.row.calendar.shifts.as_deref())).collect();
    let parts: Vec<_> = rows.iter().map(|read| Parts::new(read.row.per, &read.row.scope)).collect();
    let mut found: Vec<(usize, usize)> = Vec::new();
    for group in groups.values() {
        // Rows whose queues are all literal can only meet where they share a name: most matrices have one row per queue.
        let mut by_queue: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut wild: Vec<usize> = Vec::new();
        for &index in group {
            let Some(read) = rows.get(index) else { continue };
            let names = literal_queues(&read.row);
            let mut others: Vec<usize> = match &names {
                Some(names) => {
                    names.iter().flat_map(|n| by_queue.get(n).into_iter().flatten()).chain(&wild).copied().collect()
                }
                None => group.iter().copied().take_while(|other| *other < index).collect(),
            };
            others.sort_unstable();
            others.dedup();
            let first = others.into_iter().find(|other| {
                let (Some(a), Some(b)) = (rows.get(*other), weeks.get(*other).zip(weeks.get(index))) else {
                    return false;
                };
                same_threshold(&a.row, &read.row, plan)
                    && parts.get(*other).zip(parts.get(index)).is_some_and(|(a, b)| a.meet(b))
                    && hours::meet(b.0, b.1)
            });
            if let Some(first) = first {
                found.push((first, index));
            }
            match names {
                Some(names) => names.into_iter().for_each(|name| by_queue.entry(name).or_default().push(index)),
                None => wild.push(index),
            }
        }
    }
    for (first, second) in found {
        let (Some(first), Some(second)) = (rows.get(first), rows.get(second)) else { continue };
        let name = second.row.indicator.name;
        let what = format!("duplicate row for `{name}`: it is the same case as the row in line {}", first.row.line);
        let hint = "put all ranges into one row, or let their scopes or hours not meet";
        report.error(second.at, what, hint);
    }
}

/// The queue names of a row whose scope has no pattern but names; `None` where it has, or where queues do not matter.
fn literal_queues(row: &Row) -> Option<Vec<String>> {
    if !matches!(row.per, Per::Pair | Per::Queue) {
        return None;
    }
    let names: Vec<String> = row.scope.queue.patterns().filter(|pattern| !pattern.starts_with('!')).collect();
    (!names.is_empty() && names.iter().all(|name| is_literal(name))).then_some(names)
}

/// Whether there is a channel for which both rows mean the same threshold; one that is left out is the channel's first.
fn same_threshold(a: &Row, b: &Row, plan: Option<&Plan>) -> bool {
    if a.threshold == b.threshold {
        return true;
    }
    let Some(plan) = plan else { return false };
    let within = |row: &Row, channel: Option<&str>| -> Option<Millis> {
        let default = || plan.default_threshold(channel).and_then(|index| plan.thresholds.get(index)).map(|t| t.within);
        row.threshold.or_else(default)
    };
    if matches!(a.per, Per::Queue | Per::All) {
        return within(a, None) == within(b, None);
    }
    let (a_globs, b_globs) = (&a.scope.channel, &b.scope.channel);
    let named =
        a_globs.literals().chain(b_globs.literals()).chain(plan.channels.keys().map(String::as_str)).chain(KINDS);
    named
        .filter(|channel| a_globs.matches(channel) && b_globs.matches(channel))
        .any(|channel| within(a, Some(channel)) == within(b, Some(channel)))
}

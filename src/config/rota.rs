//! `rota: [ { hours: { mon-fri: "07:00-15:00" }, contact: ana }, ... ]`: who is on duty at which hours of the week.
//!
//! Every minute of the week has one line and no more: a notice must never find nobody, nor two leads. Holidays change
//! nothing here, because somebody is told on them too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::hours::{self, WEEK};
use super::node::Node;
use super::reader::{Fields, Report, did_you_mean, list, text};
use crate::domain::Calendar;
use crate::matrix::{Contact, Duty};

/// The lines of a rota, in the zone of the matrix. Defects are reported and left out.
pub(super) fn read(node: &Node, zone: &TimeZone, report: &mut Report) -> Vec<Duty> {
    let before = report.errors();
    let mut spans: Vec<(u16, u16, usize)> = Vec::new();
    let mut duties: Vec<Duty> = Vec::new();
    for (line, item) in list(node, report).iter().enumerate() {
        let Some(fields) = Fields::new(item, "a line of a rota", &["hours", "contact"], report) else { continue };
        let when = fields.require("hours", "write when: hours: { mon-fri: \"07:00-15:00\" }", report);
        let who = fields.require("contact", "write who it is: contact: ana", report);
        let shifts = when.map(|node| hours::read(node, report)).unwrap_or_default();
        let Some(contact) = who.and_then(|node| text(node, "contact", report)) else { continue };
        let minutes = hours::merged(hours::open_minutes(Some(&shifts)));
        spans.extend(minutes.into_iter().map(|(from, to)| (from, to, line)));
        let calendar = Calendar { zone: zone.clone(), shifts: Some(shifts), holidays: Arc::default() };
        duties.push(Duty { calendar, contact: contact.clone() });
    }
    if report.errors() == before {
        cover(node, spans, &duties, report);
    }
    duties
}

/// Reports the first gap or overlap of the week.
fn cover(node: &Node, mut spans: Vec<(u16, u16, usize)>, duties: &[Duty], report: &mut Report) {
    spans.sort_unstable();
    let (mut reached, mut last) = (0, None);
    for (from, to, line) in spans.into_iter().chain([(WEEK, WEEK, usize::MAX)]) {
        if from > reached {
            let what = format!("a gap in the rota: nobody from {} to {}", hours::shown(reached), hours::shown(from));
            report.error(
                node.at,
                what,
                "name somebody for every hour of the week: outside its hours a matrix is quiet",
            );
            return;
        }
        if from < reached {
            let name = |line: usize| duties.get(line).map_or("", |duty| &*duty.contact);
            let who = format!("`{}` and `{}`", last.map_or("", name), name(line));
            let (from, to) = (hours::shown(from), hours::shown(reached.min(to)));
            let what = format!("an overlap in the rota: {who} from {from} to {to}");
            report.error(node.at, what, "one at a time; who is to be told as well is another name in `tell`");
            return;
        }
        (reached, last) = (to, Some(line));
    }
}

/// The contacts whose rota names somebody who is not there, or comes back to itself: each is reported.
pub(super) fn check(
    written: &[(&Arc<str>, &Node)],
    contacts: &BTreeMap<Arc<str>, Contact>,
    broken: &BTreeSet<Arc<str>>,
    report: &mut Report,
) -> Vec<Arc<str>> {
    let mut wrong = Vec::new();
    for (name, node) in written {
        let Some(contact) = contacts.get(*name).filter(|contact| !contact.rota.is_empty()) else { continue };
        let before = report.errors();
        let lines = value(node, "rota").map(|node| list(node, report)).unwrap_or_default();
        for line in &lines {
            let Some(node) = value(line, "contact") else { continue };
            let Some(who) = text(node, "contact", report) else { continue };
            if !contacts.contains_key(who) && !broken.contains(who) {
                let hint = did_you_mean(who, contacts.keys().map(|key| &**key), "the contacts are");
                report.error(node.at, format!("unknown contact `{who}` in the rota of `{name}`"), hint);
            }
        }
        if let Some(cycle) = cycle(name, contact, contacts) {
            let what = format!("a rota that comes back to itself: {cycle}");
            report.error(node.at, what, "in the end a rota names people with media of their own");
        }
        if report.errors() > before {
            wrong.push((*name).clone());
        }
    }
    wrong
}

fn value<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    node.entries().iter().find(|entry| &*entry.key == key).map(|entry| &entry.value)
}

/// A way from the contact back to it: `lead -> night -> lead`.
fn cycle(name: &Arc<str>, contact: &Contact, contacts: &BTreeMap<Arc<str>, Contact>) -> Option<String> {
    let mut seen: BTreeSet<&Arc<str>> = BTreeSet::new();
    let mut open: Vec<(String, &Contact)> = vec![(name.to_string(), contact)];
    while let Some((way, contact)) = open.pop() {
        for duty in &contact.rota {
            let way = format!("{way} -> {}", duty.contact);
            if duty.contact == *name {
                return Some(way);
            }
            if seen.insert(&duty.contact) {
                open.extend(contacts.get(&duty.contact).map(|next| (way, next)));
            }
        }
    }
    None
}

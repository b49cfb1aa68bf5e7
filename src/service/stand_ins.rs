//! The Alertmanagers that were told of an incident in the place of somebody who could not be reached.
//!
//! The engine does not know of them, so they are kept here: as long as the incident is critical they are told of it again
//! like the others, or they would take it for over after some minutes. After that they are told no more, and do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::matrix::engine::OpenCase;
use crate::matrix::{Level, Medium};
use crate::notice::hooks::alertmanager::{Firing, firing};
use crate::notice::hooks::{Format, Formats};
use crate::notice::{Context, Message};

/// The most incidents that are kept; of one more the stand-ins are told once.
const INCIDENTS_MAX: usize = 10_000;

/// By webhook, the contact whom the first notice missed.
type Missed = BTreeMap<Arc<str>, Arc<str>>;

/// Those of each incident.
#[derive(Debug, Default)]
pub struct StandIns(Mutex<BTreeMap<Arc<str>, Missed>>);

impl StandIns {
    fn all(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Missed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message that stands in for another is on its way.
    pub fn note(&self, message: &Message, formats: &Formats) {
        let notice = &message.notification;
        let is_alertmanager = formats.get(&notice.address) == Some(&Format::Alertmanager);
        let (Some(missed), Medium::Webhook, true) = (&message.missed, notice.medium, is_alertmanager) else { return };
        let mut all = self.all();
        if all.len() < INCIDENTS_MAX || all.contains_key(&notice.incident) {
            let of = all.entry(notice.incident.clone()).or_default();
            of.entry(notice.address.clone()).or_insert_with(|| missed.contact.clone());
        }
    }

    /// What each Alertmanager is to be told again of the open cases. Stand-ins of incidents that are over, or no longer critical,
    /// are forgotten: of a later critical those are told whom it concerns.
    pub fn rounds(&self, open: &[OpenCase], context: &Context<'_>) -> BTreeMap<Arc<str>, Vec<Firing>> {
        let mut all = self.all();
        let critical = open.iter().filter(|case| case.last.to == Level::Critical);
        let critical: BTreeSet<&Arc<str>> = critical.map(|case| &case.last.incident).collect();
        all.retain(|incident, _| critical.contains(incident));
        let is_alertmanager = |name: &Arc<str>| context.formats.get(name) == Some(&Format::Alertmanager);
        let mut rounds: BTreeMap<Arc<str>, Vec<Firing>> = BTreeMap::new();
        for case in open {
            for webhook in case.webhooks.iter().filter(|name| is_alertmanager(name)) {
                rounds.entry(webhook.clone()).or_default().push(firing(case, context));
            }
            for (webhook, missed) in all.get(&case.last.incident).into_iter().flatten() {
                // It may have been told as itself since.
                if case.webhooks.contains(webhook) {
                    continue;
                }
                let mut again = firing(case, context);
                if let Some(annotations) = again.alert.get_mut("annotations").and_then(|all| all.as_object_mut()) {
                    annotations.insert("missed".to_owned(), (&**missed).into());
                }
                rounds.entry(webhook.clone()).or_default().push(again);
            }
        }
        rounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::engine::Notification;
    use crate::matrix::{Contact, Language};
    use crate::notice::{render_missed, samples};
    use crate::plan::Plan;

    #[test]
    fn a_stand_in_is_told_again_while_its_incident_is_critical() {
        let mut matrix = samples::matrix(Language::En, "Act");
        Arc::get_mut(&mut matrix).unwrap().owner = None;
        let first = samples::critical(matrix);
        let notice = Notification { medium: Medium::Webhook, address: "dead".into(), ..first };
        let mut case = OpenCase {
            last: notice.transition.clone(),
            since: notice.since,
            value: notice.value,
            samples: notice.samples,
            closed_hours: false,
            webhooks: vec!["dead".into(), "prom".into()],
            frozen: false,
            acknowledged: None,
            silenced: Vec::new(),
            flaps: None,
        };
        let alertmanager = |name: &str| (name.into(), Format::Alertmanager);
        let formats = Formats::from([alertmanager("prom"), alertmanager("owner-am"), ("chat".into(), Format::Slack)]);
        let plan = Plan::default();
        let context = Context { formats: &formats, ..Context::new(&plan, "acme.example") };
        let stand_ins = StandIns::default();
        let miss = |name: &str| {
            let owner = Contact { webhook: Some(name.into()), ..Contact::default() };
            let messages = render_missed(&notice, "no way", Some(&owner), &context);
            assert!(messages.iter().any(|message| &*message.notification.address == name));
            messages.iter().for_each(|message| stand_ins.note(message, &formats));
        };
        miss("owner-am");
        miss("chat");
        let rounds = stand_ins.rounds(std::slice::from_ref(&case), &context);
        let names: Vec<&str> = rounds.keys().map(|name| &**name).collect();
        assert_eq!(names, ["owner-am", "prom"]);
        let (stand_in, other) = (&rounds["owner-am"][0].alert, &rounds["prom"][0].alert);
        assert_eq!(stand_in["labels"], other["labels"]);
        assert_eq!(
            (stand_in["annotations"]["missed"].as_str(), &other["annotations"]["missed"]),
            (Some(&*notice.to), &serde_json::Value::Null)
        );

        // It stands in for what is critical alone, and for a later critical only if that misses somebody too.
        let critical = case.last.clone();
        case.last = Arc::new(crate::matrix::engine::Transition { to: Level::Warning, ..(*critical).clone() });
        assert!(!stand_ins.rounds(std::slice::from_ref(&case), &context).contains_key("owner-am"));
        case.last = critical;
        assert!(!stand_ins.rounds(std::slice::from_ref(&case), &context).contains_key("owner-am"));
        miss("owner-am");
        assert!(stand_ins.rounds(std::slice::from_ref(&case), &context).contains_key("owner-am"));

        // Told as itself it is told once; when the incident is over, no more, also if another begins.
        case.webhooks.push("owner-am".into());
        assert_eq!(stand_ins.rounds(std::slice::from_ref(&case), &context)["owner-am"].len(), 1);
        case.webhooks.pop();
        assert!(stand_ins.rounds(&[], &context).is_empty());
        assert!(!stand_ins.rounds(&[case], &context).contains_key("owner-am"));
    }
}

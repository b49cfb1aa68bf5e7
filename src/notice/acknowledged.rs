//! That somebody has taken an incident up, told to those services that keep who has: PagerDuty alone.
//!
//! People hear of it with the next notice. An Alertmanager knows silences and no acknowledgements.
//!
//! An incident that is acknowledged there calls nobody any more, however often and however badly it is triggered. So a notice
//! that comes when the acknowledgement is void or over goes behind a `resolve`: what it triggers then is an incident of its
//! own. And a notice that comes when there is one, as at the end of quiet hours, has it right behind it.

use std::sync::Arc;

use super::hooks::{Format, Formats, pagerduty};
use super::{Body, Hook, Message, notice_id, notification_of_case};
use crate::matrix::Level;
use crate::matrix::engine::{Notification, OpenCase};

/// A message for each webhook of that kind that was told of the incident; none where nobody has acknowledged it.
pub fn render_acknowledged(case: &OpenCase, formats: &Formats) -> Vec<Message> {
    let Some(acknowledged) = &case.acknowledged else { return Vec::new() };
    let message = |name: &Arc<str>| {
        let (time, to, address) = (acknowledged.at, name.clone(), name.clone());
        let about = Notification { time, to, address, ..notification_of_case(case) };
        acknowledgement(&about, &format!("a{}", acknowledged.at.0))
    };
    case.webhooks.iter().filter(|name| keeps_who(name, formats)).map(message).collect()
}

/// The message of a notice with what has to go before or behind it, in the order in which they go.
pub fn with_acknowledgement(message: Message, formats: &Formats) -> Vec<Message> {
    let about = &message.notification;
    let keeps = matches!(&message.body, Body::Webhook(hook) if keeps_who(&hook.name, formats));
    if !keeps || message.missed.is_some() || about.level == Level::Ok {
        return vec![message];
    }
    if about.acknowledged.is_some() {
        let behind = acknowledgement(about, "a");
        return vec![message, behind];
    }
    // Without it the notice would call nobody, so it is worth as much as a recovery.
    let before = beside(about, Level::Ok, "r", pagerduty::resolution(&about.incident));
    let before = about.unacknowledged.then_some(before);
    before.into_iter().chain([message]).collect()
}

fn keeps_who(webhook: &Arc<str>, formats: &Formats) -> bool {
    formats.get(webhook) == Some(&Format::Pagerduty)
}

/// What does not arrive is no alert that somebody misses, and the first that may go when there is too much.
fn acknowledgement(about: &Notification, id: &str) -> Message {
    beside(about, Level::Info, id, pagerduty::acknowledgement(&about.incident))
}

/// An event that is no notice of its own.
fn beside(about: &Notification, level: Level, id: &str, json: String) -> Message {
    let hook = Hook { name: about.address.clone(), late_json: json.clone(), json, acknowledges: true };
    Message {
        id: format!("{}_{id}", notice_id(about, false)).into(),
        notification: Notification { level, ..about.clone() },
        missed: None,
        body: Body::Webhook(hook),
        action_failed: None,
        texts_failed: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::domain::{Key, Millis, Timestamp};
    use crate::indicators::{Reading, Selector};
    use crate::matrix::Medium;
    use crate::matrix::engine::{Engine, Feeds, Operation, Readings, What};
    use crate::notice::{Context, render};

    /// Noon of a Monday in UTC.
    const START: Timestamp = Timestamp(1_780_315_200_000);

    struct Waiting(f64);

    impl Readings for Waiting {
        fn keys(&self) -> Vec<Key> {
            vec![Key::pair("a", "chat")]
        }
        fn read(&mut self, _: &Key, _: &Selector) -> Reading {
            Reading { value: Some(self.0), samples: 1.0 }
        }
    }

    enum Step {
        Value(f64),
        /// For so many seconds.
        Acknowledge(i64),
    }
    use Step::{Acknowledge, Value};

    /// What PagerDuty is told, by second: all of one key.
    fn events(contact: &str, steps: &[(i64, Step)], until: i64) -> Vec<String> {
        let text = format!(
            "version: 1\nname: care\ntime_zone: UTC\nscope: {{ channel: chat }}\ncontacts: {{ duty: {{ {contact} }} }}\nrows:\n  \
             - {{ indicator: waiting, goal: \"< 10\", recover: {{ for: 0s }}, ranges: [ {{ when: \"< 10\", level: ok }}, \
             {{ when: \"10 .. 20\", level: warning, tell: [duty], repeat: 1m }}, \
             {{ when: \">= 20\", level: critical, tell: [duty] }} ] }}\n"
        );
        let set = config::matrices(&[("care.yaml".to_owned(), text)], None).unwrap_or_else(|bad| panic!("{bad:?}"));
        let formats = Formats::from([("pager".into(), Format::Pagerduty), ("desk".into(), Format::Slack)]);
        let mut engine = Engine::new(set.matrices.clone(), set.plan.clone());
        let (mut waiting, mut said, mut keys) = (Waiting(0.0), Vec::new(), Vec::new());
        for second in 0..until {
            let now = START + Millis::seconds(second);
            let mut messages = Vec::new();
            for (_, step) in steps.iter().filter(|(at, _)| *at == second) {
                match step {
                    Value(value) => waiting.0 = *value,
                    Acknowledge(seconds) => {
                        let incident = engine.open_cases()[0].last.incident.clone();
                        let until = Some(now + Millis::seconds(*seconds));
                        let what = What::Acknowledge { incident, until };
                        engine.operate(&Operation { who: "eva".into(), why: "".into(), what }, now);
                        messages
                            .extend(engine.open_cases().iter().flat_map(|case| render_acknowledged(case, &formats)));
                    }
                }
            }
            for notice in engine.tick(now, &mut waiting, &Feeds::default()).notifications {
                assert_eq!(notice.medium, Medium::Webhook);
                let context = Context { formats: &formats, ..Context::new(&set.plan, "x.example") };
                messages.extend(with_acknowledgement(render(&notice, &context), &formats));
            }
            for message in messages {
                let Body::Webhook(hook) = message.body else { panic!("no webhook") };
                let event: serde_json::Value = serde_json::from_str(&hook.json).unwrap();
                match &*hook.name {
                    "pager" => said.push(format!("{second} {}", event["event_action"].as_str().unwrap())),
                    _ => assert!(!hook.acknowledges, "{event}"),
                }
                keys.extend(event.get("dedup_key").cloned());
            }
            // A restart forgets nothing of it.
            engine = Engine::restore(set.matrices.clone(), set.plan.clone(), &engine.snapshot()).unwrap();
        }
        keys.dedup();
        assert!(keys.len() <= 1, "{keys:?}");
        said
    }

    #[test]
    fn what_gets_worse_after_it_was_acknowledged_calls_again() {
        let steps = [(0, Value(12.0)), (10, Acknowledge(600)), (20, Value(25.0)), (30, Value(0.0))];
        let expected = ["0 trigger", "10 acknowledge", "20 resolve", "20 trigger", "30 resolve"];
        assert_eq!(events("webhook: pager", &steps, 40), expected);
        assert!(events("webhook: desk", &steps, 40).is_empty());
    }

    #[test]
    fn an_acknowledgement_that_is_over_calls_again_once() {
        // The repeats stand for the thirty seconds. What is acknowledged again meanwhile is still acknowledged there.
        let steps = [(0, Value(12.0)), (10, Acknowledge(30)), (220, Acknowledge(10)), (235, Acknowledge(600))];
        let expected = ["0 trigger", "10 acknowledge", "90 resolve", "90 trigger", "150 trigger", "210 trigger"];
        let again = ["220 acknowledge", "235 acknowledge"];
        assert_eq!(events("webhook: pager", &steps, 300), [&expected[..], &again].concat());
    }

    #[test]
    fn what_is_not_told_yet_is_acknowledged_behind_its_notice() {
        let contact = "webhook: pager, quiet: { mon: \"12:00-12:01\" }";
        let steps = [(0, Value(12.0)), (10, Acknowledge(600)), (100, Value(25.0))];
        let expected = ["60 trigger", "60 acknowledge", "100 resolve", "100 trigger"];
        assert_eq!(events(contact, &steps, 120), expected);
    }
}

//! That somebody has taken an incident up, told to those services that keep who has: PagerDuty alone.
//!
//! People hear of it with the next notice. An Alertmanager knows silences and no acknowledgements.

use std::sync::Arc;

use super::hooks::{Format, Formats, pagerduty};
use super::{Body, Hook, Message, notice_id, notification_of_case};
use crate::matrix::Level;
use crate::matrix::engine::{Notification, OpenCase};

/// A message for each webhook of that kind that was told of the incident; none where nobody has acknowledged it.
pub fn render_acknowledged(case: &OpenCase, formats: &Formats) -> Vec<Message> {
    let Some(acknowledged) = &case.acknowledged else { return Vec::new() };
    let told = case.webhooks.iter().filter(|name| formats.get(*name) == Some(&Format::Pagerduty));
    let message = |name: &Arc<str>| {
        // What does not arrive is no alert that somebody misses, and the first that may go when there is too much.
        let notification = Notification {
            time: acknowledged.at,
            to: name.clone(),
            address: name.clone(),
            level: Level::Info,
            ..notification_of_case(case)
        };
        let json = pagerduty::acknowledgement(&notification.incident);
        let hook = Hook { name: name.clone(), late_json: json.clone(), json, acknowledges: true };
        Message {
            id: format!("{}_a{}", notice_id(&notification, false), acknowledged.at.0).into(),
            notification,
            missed: None,
            body: Body::Webhook(hook),
            action_failed: None,
            texts_failed: Vec::new(),
        }
    };
    told.map(message).collect()
}

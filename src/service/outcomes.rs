//! What becomes of notices: counted, and told to somebody else where a critical one cannot be delivered.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Speech;
use crate::http::SharedReadiness;
use crate::matrix::Contact;
use crate::notice::Message;
use crate::notify::{Fate, Notifier, Outcome, tell_stand_ins};
use crate::telemetry::Telemetry;
use crate::telemetry::events::{Delivery, NotificationTried};

/// Runs until it is told to stop, which counts what has come by then.
pub async fn follow(
    notifier: Notifier,
    telemetry: Arc<Telemetry>,
    readiness: SharedReadiness,
    speech: Arc<Speech>,
    owner: Option<Contact>,
    mut stop: oneshot::Receiver<()>,
) {
    let (Some(mut outcomes), Some(mut undeliverable)) = (notifier.outcomes(), notifier.undeliverable()) else {
        return;
    };
    let mut unreached = None;
    loop {
        tokio::select! {
            _ = &mut stop => {
                while let Ok(outcome) = outcomes.try_recv() {
                    count(&telemetry, &outcome);
                }
                return;
            }
            outcome = outcomes.recv() => match outcome {
                Some(outcome) => {
                    count(&telemetry, &outcome);
                    let to = &outcome.notification.to;
                    if matches!(outcome.result, Fate::Sent { .. }) && unreached.as_ref() == Some(to) {
                        unreached = None;
                        readiness.set_degraded("undeliverable", None);
                    }
                }
                None => return,
            },
            missed = undeliverable.recv() => match missed {
                Some(missed) => {
                    let note = |message: &Message| speech.stand_ins.note(message, &speech.formats);
                    let context = speech.context(&missed.notification);
                    let told = tell_stand_ins(&notifier, &missed, owner.as_ref(), &context, &note);
                    let text = format!(
                        "a critical notice of incident {} did not reach {}: {}",
                        missed.notification.incident, missed.notification.to, missed.why
                    );
                    tracing::error!(told, "{text}");
                    readiness.set_degraded("undeliverable", Some(&text));
                    unreached = Some(missed.notification.to.clone());
                }
                None => return,
            },
        }
    }
}

fn count(telemetry: &Telemetry, outcome: &Outcome) {
    let delivery = match &outcome.result {
        Fate::Sent { .. } => Delivery::Sent,
        Fate::Retrying { why, .. } => Delivery::Retried(why),
        Fate::Refused { why } | Fate::GaveUp { why } => Delivery::Failed(why),
        Fate::Superseded => Delivery::Failed("a newer notice of the incident went instead"),
        Fate::Dropped => Delivery::Failed("the outbox was full"),
    };
    telemetry.emit(NotificationTried {
        medium: outcome.notification.medium,
        to: &outcome.notification.to,
        incident: &outcome.notification.incident,
        sequence: outcome.notification.sequence,
        delivery,
    });
}

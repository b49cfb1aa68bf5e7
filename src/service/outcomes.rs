//! What becomes of notices: counted, and told to somebody else where a critical one cannot be delivered.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use tokio::sync::oneshot;

use super::Speech;
use super::turn::Settled;
use crate::http::SharedReadiness;
use crate::instance::{decider, intent};
use crate::matrix::Contact;
use crate::notice::pending_missed;
use crate::notify::{Fate, Notifier, Outcome};
use crate::telemetry::Telemetry;
use crate::telemetry::events::{Delivery, NotificationTried};

/// Runs until it is told to stop, which counts what has come by then.
pub async fn follow(
    notifier: Notifier,
    telemetry: Arc<Telemetry>,
    readiness: SharedReadiness,
    speech: Arc<Speech>,
    owner: Option<Contact>,
    settle: Sender<Settled>,
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
                    tell(&settle, &outcome);
                }
                return;
            }
            outcome = outcomes.recv() => match outcome {
                Some(outcome) => {
                    count(&telemetry, &outcome);
                    tell(&settle, &outcome);
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
                    let besides = pending_missed(&missed.notification, &missed.why, owner.as_ref());
                    let besides: Vec<_> = besides.iter().map(|pending| intent(pending, &speech.plan)).collect();
                    let told = besides.len();
                    // Who decides may have stopped: then the notice is the next one's, and so is this.
                    let _ = settle.send(Settled::Besides(besides));
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

fn tell(settle: &Sender<Settled>, outcome: &Outcome) {
    let fate = match &outcome.result {
        Fate::Sent { .. } => decider::Fate::Sent,
        Fate::Refused { .. } => decider::Fate::Refused,
        Fate::GaveUp { .. } => decider::Fate::GaveUp,
        Fate::Superseded => decider::Fate::Superseded,
        Fate::Dropped => decider::Fate::Dropped,
        Fate::Retrying { .. } => return,
    };
    // As above.
    let _ = settle.send(Settled::Outcome(outcome.id.clone(), fate));
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

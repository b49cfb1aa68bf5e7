//! A real Alertmanager: our alerts show, group, change their severity, go on while they are told again, and resolve.
//!
//! What an alert holds is tested in `src/notice/hooks/tests.rs`.

#![cfg(feature = "shell")]
#![allow(clippy::disallowed_methods, reason = "this waits for a real program, on the real clock")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atalaya::config::{Webhook, WebhookFormat};
use atalaya::domain::{Key, Millis, Timestamp};
use atalaya::matrix::engine::{Notification, OpenCase, Reason, Transition};
use atalaya::matrix::{Language, Level, Medium};
use atalaya::notice::hooks::{Formats, alertmanager};
use atalaya::notice::{Context, render};
use atalaya::notify::{Counted, Notifier, Settings};
use atalaya::plan::Plan;
use atalaya::{domain, indicators, matrix, plan};
use serde_json::Value;
use support::alertmanager::Alertmanager;
use support::kafka::eventually;
use support::program::Files;
use support::receiver::Receiver;

mod support;

#[allow(dead_code, reason = "one of its notifications is enough here")]
#[path = "../src/notice/samples.rs"]
mod samples;

fn pairs(all: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    all.iter().map(|(channel, severity)| ((*channel).to_owned(), (*severity).to_owned())).collect()
}

/// An incident of (reclamos, `channel`) that began a minute ago, as a notice to the webhook.
fn notice(channel: &str, from: Level, to: Level, now: Timestamp) -> Notification {
    let first = samples::critical(samples::matrix(Language::Es, "Mover agentes a {{ queue }}"));
    let range = match to {
        Level::Ok => 0,
        Level::Warning => 1,
        _ => 2,
    };
    let transition = Transition {
        time: now,
        key: Key::pair("reclamos", channel),
        from,
        to,
        range: Some(range),
        incident: format!("care-{channel}").into(),
        ..(*first.transition).clone()
    };
    Notification {
        time: now,
        since: now - Millis::MINUTE,
        incident: transition.incident.clone(),
        to: "desk".into(),
        medium: Medium::Webhook,
        address: "alerts".into(),
        level: to,
        reason: if to == Level::Ok { Reason::Recovered } else { Reason::Range },
        transition: Arc::new(transition),
        ..first
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_show_group_change_severity_go_on_and_resolve() {
    let files = Files::new();
    let receiver = Receiver::start();
    let Some(server) = Alertmanager::start(&files, receiver.port) else { return };
    let url = format!("http://127.0.0.1:{}/", server.port);
    let webhooks = BTreeMap::from([("alerts".to_owned(), Webhook::new(WebhookFormat::Alertmanager, &url))]);
    let notifier = Notifier::new(Settings { webhooks, ..Settings::default() }).unwrap();
    let formats = Formats::from([("alerts".into(), WebhookFormat::Alertmanager)]);
    let plan = Plan::default();
    let context = Context { formats: &formats, ..Context::new(&plan, "acme.example") };
    let tell = |channel: &str, from, to| {
        notifier.enqueue(render(&notice(channel, from, to, atalaya::clock::now()), &context));
    };

    tell("facebook", Level::Ok, Level::Warning);
    tell("instagram", Level::Ok, Level::Warning);
    let both = pairs(&[("facebook", "warning"), ("instagram", "warning")]);
    eventually("both alerts", || server.firing() == both);
    let groups = server.api("alerts/groups");
    assert_eq!(groups.as_array().unwrap().len(), 1, "{groups}");
    assert_eq!(groups[0]["alerts"].as_array().unwrap().len(), 2, "{groups}");
    eventually("the group's notice", || {
        let told: Vec<Value> = receiver.taken().iter().map(|told| told.json()).collect();
        told.iter().any(|body| body["status"] == "firing" && body["alerts"].as_array().unwrap().len() == 2)
    });
    let alert = &server.api("alerts")[0];
    assert_eq!(alert["annotations"]["action"], "Mover agentes a reclamos");
    let time = |alert: &Value, name: &str| Timestamp::parse(alert[name].as_str().unwrap()).unwrap();
    let ahead = time(alert, "endsAt") - atalaya::clock::now();
    assert!((Millis::seconds(200)..=Millis::seconds(240)).contains(&ahead), "{ahead}");

    // The old severity ends with the new one's beginning.
    tell("facebook", Level::Warning, Level::Critical);
    let worse = pairs(&[("facebook", "critical"), ("instagram", "warning")]);
    eventually("the other severity", || server.firing() == worse);

    // Told again: the end moves on, and the value is that of now. A case that this process never told of comes too, as
    // after a restart.
    let open = |channel: &str, level| {
        let notice = notice(channel, Level::Ok, level, atalaya::clock::now());
        let case = OpenCase {
            last: notice.transition,
            since: notice.since,
            value: Some(3540.0),
            samples: 9.0,
            closed_hours: false,
            frozen: false,
            acknowledged: None,
            silenced: Vec::new(),
            flaps: None,
            webhooks: vec!["alerts".into()],
        };
        alertmanager::firing(&case, &context)
    };
    let before = time(&server.api("alerts?filter=channel%3D%22facebook%22")[0], "endsAt");
    let open_now = || [("facebook", Level::Critical), ("instagram", Level::Warning), ("whatsapp", Level::Warning)];
    notifier.keep_firing("alerts", open_now().into_iter().map(|(channel, level)| open(channel, level)).collect());
    let three = pairs(&[("facebook", "critical"), ("instagram", "warning"), ("whatsapp", "warning")]);
    eventually("the alert of before the restart", || server.firing() == three);
    let facebook = &server.api("alerts?filter=channel%3D%22facebook%22")[0];
    assert!(time(facebook, "endsAt") > before, "{facebook}");
    assert_eq!(facebook["annotations"]["value"], "59 min");

    // A round that was composed before the end was told does not bring it back.
    notifier.keep_firing("alerts", vec![open("whatsapp", Level::Warning), open("facebook", Level::Critical)]);
    tell("facebook", Level::Critical, Level::Ok);
    tell("instagram", Level::Warning, Level::Ok);
    tell("whatsapp", Level::Warning, Level::Ok);
    eventually("the end of all", || server.firing().is_empty());
    eventually("the notice of the end", || {
        receiver.taken().iter().any(|told| told.json()["status"] == "resolved" && !told.body.contains("firing"))
    });
    assert_eq!(notifier.drain(std::time::Duration::from_secs(5)).await, 0);
    assert_eq!(notifier.counters().get(Medium::Webhook, Counted::Sent), 6);
    assert!(server.firing().is_empty() && notifier.health().is_empty(), "{:?}", notifier.health());
}

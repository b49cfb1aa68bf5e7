//! What goes over the wire for each format of webhook: address, headers and body, to a loopback receiver; through a proxy; and
//! the ways in which none goes.

#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atalaya::config::{Secret, Webhook, WebhookFormat};
use atalaya::matrix::engine::Notification;
use atalaya::matrix::{Language, Medium};
use atalaya::notice::hooks::{Formats, alertmanager::Firing};
use atalaya::notice::{Context, render, render_acknowledged};
use atalaya::notify::{Fate, Notifier, Settings, Timing};
use atalaya::plan::Plan;
use atalaya::{domain, indicators, matrix, plan};
use serde_json::{Value, json};
use support::receiver::{Receiver, Request};

mod support;

#[allow(dead_code, reason = "one of its notifications is enough here")]
#[path = "../src/notice/samples.rs"]
mod samples;

const WITHIN: Duration = Duration::from_secs(10);

fn notifier(webhook: &Webhook) -> Notifier {
    let webhooks = BTreeMap::from([("out".to_owned(), webhook.clone())]);
    let ms = Duration::from_millis;
    let timing = Timing { step: ms(2_000), first_retry: ms(20), retry_max: ms(80), ..Timing::default() };
    Notifier::new(Settings { webhooks, timing, ..Settings::default() }).unwrap()
}

fn notice() -> Notification {
    let first = samples::critical(samples::matrix(Language::En, "Move agents to {{ queue }}"));
    let now = atalaya::clock::now();
    let transition = matrix::engine::Transition { time: now, ..(*first.transition).clone() };
    let transition = Arc::new(transition);
    Notification { time: now, medium: Medium::Webhook, address: "out".into(), transition, ..first }
}

/// What became of one notice.
async fn fate(webhook: &Webhook) -> Fate {
    let notifier = notifier(webhook);
    let mut outcomes = notifier.outcomes().unwrap();
    let formats = Formats::from([("out".into(), webhook.format)]);
    let plan = Plan::default();
    notifier.enqueue(render(&notice(), &Context { formats: &formats, ..Context::new(&plan, "acme.example") }));
    tokio::time::timeout(WITHIN, outcomes.recv()).await.unwrap().unwrap().result
}

/// The one request that a notice makes.
async fn request(receiver: &Receiver, webhook: &Webhook) -> Request {
    let before = receiver.taken().len();
    assert_eq!(fate(webhook).await, Fate::Sent { late: false });
    let taken = receiver.taken();
    assert_eq!(taken.len(), before + 1);
    taken.last().unwrap().clone()
}

fn at(receiver: &Receiver, format: WebhookFormat, path: &str) -> Webhook {
    Webhook::new(format, &format!("http://127.0.0.1:{}{path}", receiver.port))
}

#[tokio::test]
async fn each_format_goes_where_its_service_looks_for_it() {
    let receiver = Receiver::start();
    let secret = |text: &str| Some(Secret::new(text));

    let bearer = Webhook { secret: secret("t0ken\n"), ..at(&receiver, WebhookFormat::Alertmanager, "/prefix/") };
    let made = request(&receiver, &bearer).await;
    assert_eq!((made.path.as_str(), made.header("authorization")), ("/prefix/api/v2/alerts", "Bearer t0ken"));
    let ends = domain::Timestamp::parse(made.json()[0]["endsAt"].as_str().unwrap()).unwrap();
    let ahead = ends - atalaya::clock::now();
    assert!((domain::Millis::seconds(230)..=domain::Millis::seconds(240)).contains(&ahead), "{ahead}");

    let key = "0123456789abcdef0123456789abcdef";
    let duty = Webhook { secret: secret(key), ..at(&receiver, WebhookFormat::Pagerduty, "/v2/enqueue") };
    let made = request(&receiver, &duty).await;
    assert_eq!(made.path, "/v2/enqueue");
    let body = made.json();
    assert_eq!((&body["routing_key"], &body["event_action"]), (&json!(key), &json!("trigger")));
    assert_eq!(body["payload"]["severity"], "critical");

    let bot = Webhook {
        secret: secret("123456:AbC-d_9"),
        chat: Some("-1001".to_owned()),
        ..at(&receiver, WebhookFormat::Telegram, "")
    };
    let made = request(&receiver, &bot).await;
    assert_eq!(made.path, "/bot123456:AbC-d_9/sendMessage");
    assert_eq!(made.json()["chat_id"], -1001);
    let channel = request(&receiver, &Webhook { chat: Some("@turno".to_owned()), ..bot }).await;
    assert_eq!(channel.json()["chat_id"], "@turno");

    let space = at(&receiver, WebhookFormat::GoogleChat, "/v1/spaces/A/messages?key=k&token=t");
    let made = request(&receiver, &space).await;
    let reply = "messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD";
    assert_eq!(made.path, format!("/v1/spaces/A/messages?key=k&token=t&{reply}"));
    assert!(made.json()["cardsV2"].is_array());

    for (format, field) in [(WebhookFormat::Slack, "blocks"), (WebhookFormat::Teams, "attachments")] {
        let made = request(&receiver, &at(&receiver, format, "/services/T/B/x")).await;
        assert_eq!(made.path, "/services/T/B/x");
        assert!(made.json()[field].is_array(), "{format:?}");
    }
    for made in receiver.taken() {
        assert_eq!(made.header("content-type"), "application/json; charset=utf-8");
        assert!(made.header("user-agent").starts_with("atalaya/"));
        assert_eq!(made.header("webhook-signature"), "", "only the generic format is signed");
    }
}

/// An acknowledgement goes after the alert, of the same key, and is tried again like it.
#[tokio::test]
async fn an_acknowledgement_goes_to_pagerduty_and_is_tried_again() {
    let receiver = Receiver::failing(3);
    let key = "0123456789abcdef0123456789abcdef";
    let duty = Webhook { secret: Some(Secret::new(key)), ..at(&receiver, WebhookFormat::Pagerduty, "/v2/enqueue") };
    let notifier = notifier(&duty);
    let mut outcomes = notifier.outcomes().unwrap();
    let formats = Formats::from([
        ("out".into(), WebhookFormat::Pagerduty),
        ("chat".into(), WebhookFormat::Slack),
        ("am".into(), WebhookFormat::Alertmanager),
    ]);
    let (plan, notice) = (Plan::default(), notice());
    let open = matrix::engine::OpenCase {
        last: notice.transition.clone(),
        since: notice.since,
        value: None,
        samples: 0.0,
        closed_hours: false,
        webhooks: vec!["am".into(), "chat".into(), "out".into()],
        frozen: false,
        acknowledged: None,
        silenced: Vec::new(),
        flaps: None,
    };
    assert!(render_acknowledged(&open, &formats).is_empty(), "nobody has acknowledged it");
    let seen = matrix::engine::Acknowledged {
        by: "ana".into(),
        at: atalaya::clock::now(),
        until: atalaya::clock::now() + domain::Millis::HOUR,
        why: "".into(),
        level: matrix::Level::Critical,
    };
    let acknowledged = matrix::engine::OpenCase { acknowledged: Some(seen), ..open };
    let messages = render_acknowledged(&acknowledged, &formats);
    assert_eq!(messages.len(), 1, "neither a person nor an Alertmanager");

    notifier.enqueue(render(&notice, &Context { formats: &formats, ..Context::new(&plan, "acme.example") }));
    messages.into_iter().for_each(|message| notifier.enqueue(message));
    let mut sent = Vec::new();
    while sent.len() < 2 {
        let outcome = tokio::time::timeout(WITHIN, outcomes.recv()).await.unwrap().unwrap();
        match outcome.result {
            Fate::Retrying { .. } => {}
            fate => sent.push((outcome.id, fate)),
        }
    }
    assert!(sent[0].0 != sent[1].0 && sent.iter().all(|(_, fate)| *fate == Fate::Sent { late: false }), "{sent:?}");
    let taken: Vec<Value> = receiver.taken().iter().map(Request::json).collect();
    let actions: Vec<&str> = taken.iter().map(|body| body["event_action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["trigger", "trigger", "trigger", "trigger", "acknowledge"]);
    let last = taken.last().unwrap();
    assert_eq!((&last["dedup_key"], &last["routing_key"]), (&taken[0]["dedup_key"], &json!(key)));
    assert_eq!(last.as_object().unwrap().len(), 3, "nothing else: {last}");
}

#[tokio::test]
async fn a_proxy_is_gone_through_where_it_is_named() {
    let proxy = Receiver::start();
    let webhook = Webhook {
        proxy: Some(Secret::new(&format!("http://atalaya:geheim@127.0.0.1:{}", proxy.port))),
        ..Webhook::new(WebhookFormat::Slack, "http://hooks.example/services/x")
    };
    let made = request(&proxy, &webhook).await;
    assert_eq!((made.path.as_str(), made.header("host")), ("http://hooks.example/services/x", "hooks.example"));
    assert_eq!(made.header("proxy-authorization"), "Basic YXRhbGF5YTpnZWhlaW0=");
}

#[tokio::test]
async fn what_is_forbidden_or_half_configured_is_refused_at_the_start() {
    let refused = |webhook: Webhook| {
        let webhooks = BTreeMap::from([("out".to_owned(), webhook)]);
        let error = Notifier::new(Settings { webhooks, ..Settings::default() }).err();
        error.expect("an error").to_string()
    };
    let plain = |url: &str| Webhook::new(WebhookFormat::Generic, url);
    let linked = refused(plain("http://169.254.169.254/latest/meta-data"));
    assert!(linked.contains("webhook `out`") && linked.contains("allow_link_local: true"), "{linked}");
    let keyless = refused(Webhook::new(WebhookFormat::Pagerduty, "https://events.example/v2/enqueue"));
    assert!(keyless.contains("`out` has no secret") && keyless.contains("secret_file"), "{keyless}");
    let ca = refused(Webhook { ca_file: Some("/nonexistent/ca.pem".into()), ..plain("https://desk.example") });
    assert!(ca.contains("/nonexistent/ca.pem"), "{ca}");
    let empty = tempfile::NamedTempFile::new().unwrap();
    let path = empty.path().display().to_string();
    let ca = refused(Webhook { ca_file: Some(path), ..plain("https://desk.example") });
    assert!(ca.contains("it holds no certificate"), "{ca}");
    for bad in ["::", "socks5://u:geheim@proxy.example", "http://u:geheim@169.254.1.1:3128"] {
        let proxy = refused(Webhook { proxy: Some(Secret::new(bad)), ..plain("https://desk.example") });
        assert!(proxy.contains("`proxy` of webhook `out`") && !proxy.contains("geheim"), "{proxy}");
    }
}

/// Alerts are told again beside the notices: a server that says nothing holds up no other webhook, and is degraded.
#[tokio::test]
async fn a_round_of_alerts_that_hangs_holds_up_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hanging = format!("http://{}", listener.local_addr().unwrap());
    let receiver = Receiver::start();
    let webhooks = BTreeMap::from([
        ("dead".to_owned(), Webhook::new(WebhookFormat::Alertmanager, &hanging)),
        ("out".to_owned(), at(&receiver, WebhookFormat::Slack, "/x")),
        ("live".to_owned(), at(&receiver, WebhookFormat::Alertmanager, "")),
    ]);
    let timing = Timing { step: Duration::from_millis(300), ..Timing::default() };
    let notifier = Notifier::new(Settings { webhooks, timing, ..Settings::default() }).unwrap();
    let mut outcomes = notifier.outcomes().unwrap();
    let firing = |n: usize| Firing { incident: format!("i{n}").into(), alert: json!({ "labels": { "n": n } }) };
    notifier.keep_firing("dead", vec![firing(1)]);
    notifier.keep_firing("live", (0..70).map(firing).collect());
    let formats = Formats::from([("out".into(), WebhookFormat::Slack)]);
    let plan = Plan::default();
    notifier.enqueue(render(&notice(), &Context { formats: &formats, ..Context::new(&plan, "acme.example") }));
    let outcome = tokio::time::timeout(WITHIN, outcomes.recv()).await.unwrap().unwrap();
    assert_eq!(outcome.result, Fate::Sent { late: false });
    let degraded = async {
        while notifier.health().is_empty() || receiver.taken().len() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WITHIN, degraded).await.unwrap();
    assert!(notifier.health()[0].contains("webhook dead at 127.0.0.1 did not answer"), "{:?}", notifier.health());
    let rounds: Vec<Value> =
        receiver.taken().iter().filter(|made| made.path == "/api/v2/alerts").map(Request::json).collect();
    let lengths: Vec<usize> = rounds.iter().map(|round| round.as_array().unwrap().len()).collect();
    assert_eq!(lengths, [64, 6], "bounded requests, one after the other");
    assert!(rounds.iter().flat_map(|round| round.as_array().unwrap()).all(|alert| alert["endsAt"].is_string()));
}

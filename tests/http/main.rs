//! The servers over real sockets, with a table made by hand in place of the board.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod browser;
mod client;
mod commands;
mod desk;
mod fixture;
mod links;
mod metrics;
mod page;
mod page_desk;
mod tools;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};

use client::{Answer, connect, get, request};
use fixture::{NOW, Options, Server, Table, wall};
use serde_json::{Value, json};

fn records(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["indicators"].as_array().unwrap().clone()
}

fn places(records: &[Value]) -> BTreeSet<(Option<&str>, Option<&str>)> {
    records.iter().map(|record| (record["queue"].as_str(), record["channel"].as_str())).collect()
}

#[test]
fn indicators_are_every_record_of_one_instant() {
    let server = Server::floor();
    let answer = get(server.port, "/api/v1/indicators");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json()["time"], NOW.to_string());
    let all = records(&answer);
    assert!(all.iter().all(|record| record["kind"] == "indicator" && record["time"] == NOW.to_string()));
    let keys = server.table.lock().unwrap().keys.len();
    assert_eq!(places(&all).len(), keys);

    let asa = |queue: &str| {
        let found: Vec<&Value> = all
            .iter()
            .filter(|r| r["indicator"] == "asa" && r["queue"] == queue && r["window"] == "15m")
            .filter(|r| r["channel"] != Value::Null)
            .collect();
        found[0].clone()
    };
    assert_eq!(
        asa("reclamos"),
        json!({"kind": "indicator", "time": NOW.to_string(), "queue": "reclamos", "channel": "facebook",
               "window": "15m", "indicator": "asa", "value": 2822, "samples": 14})
    );
    assert_eq!(asa("soporte")["value"], Value::Null, "without samples a value is null");

    let levels: Vec<&Value> = all
        .iter()
        .filter(|r| r["indicator"] == "service_level" && r["queue"] == "reclamos" && r["channel"] == "facebook")
        .filter(|r| r["window"] == "1h")
        .collect();
    let labels: BTreeSet<(&str, &str)> =
        levels.iter().map(|r| (r["threshold"].as_str().unwrap(), r["treatment"].as_str().unwrap())).collect();
    assert_eq!((levels.len(), labels.len()), (20, 20), "four thresholds by five treatments, each once");
}

#[test]
fn filters_leave_in_what_they_name() {
    let server = Server::floor();
    let ask = |query: &str| records(&get(server.port, &format!("/api/v1/indicators?{query}")));
    let names = |records: &[Value]| -> BTreeSet<String> {
        records
            .iter()
            .map(|r| format!("{}/{}", r["indicator"].as_str().unwrap(), r["window"].as_str().unwrap_or("-")))
            .collect()
    };

    let some = ask("indicator=asa,waiting&window=15m&window=1h");
    assert_eq!(names(&some), ["asa/15m", "asa/1h", "waiting/-"].map(str::to_owned).into());
    let some = ask("queue=reclamos&indicator=waiting");
    assert_eq!(
        places(&some),
        [(Some("reclamos"), None), (Some("reclamos"), Some("facebook")), (Some("reclamos"), Some("whatsapp"))].into()
    );
    let some = ask("queue=reclamos%2Csoporte&channel=voice&indicator=waiting");
    assert_eq!(places(&some), [(Some("soporte"), Some("voice"))].into());
    let some = ask("queue=&channel=&indicator=waiting");
    assert_eq!(places(&some), [(None, None)].into());
    assert!(ask("queue=not-seen").is_empty());

    for (query, expected) in [
        ("indicator=nope", "no indicator is called `nope`: allowed are asa, asa_live,"),
        ("window=7m", "no window is called `7m`: allowed are 5m, 15m, 30m,"),
        ("queues=a", "unknown parameter `queues`: allowed are indicator, window, queue, channel"),
    ] {
        let answer = get(server.port, &format!("/api/v1/indicators?{query}"));
        assert_eq!(answer.status, 400);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn alerts_are_the_open_cases() {
    let server = Server::floor();
    let answer = get(server.port, "/api/v1/alerts").json();
    assert_eq!(answer["time"], NOW.to_string());
    let alerts = answer["alerts"].as_array().unwrap();
    assert_eq!(alerts.len(), 5);
    let expected = json!({
        "kind": "transition", "time": "2026-05-28T20:28:50Z", "matrix": "redes", "queue": "reclamos",
        "channel": "whatsapp", "window": "15m", "indicator": "service_level", "threshold": "24h", "treatment": "offered",
        "from": "ok", "to": "warning", "range": "90% .. 95%", "value": 0.914 * 0.97, "samples": 35, "reason": "range",
        "incident": "incident-2", "since": "2026-05-28T20:04:30Z", "acknowledged": null, "silenced": [], "frozen": false,
        "closed_hours": false, "goal": ">= 95%",
        "action": "Revisar lo que quedó abierto desde ayer en WhatsApp", "unit": "ratio", "value_now": 0.914,
        "samples_now": 35,
    });
    let mut alert = alerts[2].clone();
    // The two instants are computed from the fixture's.
    for (name, seconds) in [("since", 1530), ("time", 1470)] {
        let instant = (NOW - atalaya::domain::Millis::seconds(seconds)).to_string();
        assert_eq!(alert[name], instant, "{name}");
        alert[name] = expected[name].clone();
    }
    assert_eq!(alert, expected);
    assert_eq!(get(server.port, "/api/v1/alerts?level=critical").status, 400);
}

#[test]
fn readiness_follows_its_parts() {
    let server = Server::floor();
    let ask = || {
        let answer = get(server.port, "/readyz");
        (answer.status, answer.json())
    };
    assert_eq!(
        ask(),
        (503, json!({"ready": false, "reasons": ["the sources have not been read yet"], "degraded": []}))
    );
    server.readiness.set_degraded("smtp", Some("mail.acme.example refuses connections"));
    server.readiness.set_reason("start", None);
    let degraded = json!({"ready": true, "reasons": [], "degraded": ["mail.acme.example refuses connections"]});
    assert_eq!(ask(), (200, degraded));
    server.readiness.set_degraded("smtp", None);
    assert_eq!(ask(), (200, json!({"ready": true, "reasons": [], "degraded": []})));
    let health = get(server.port, "/healthz");
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
}

#[test]
fn what_is_not_there_and_what_is_not_taken() {
    let server = Server::floor();
    let head = request(server.port, "HEAD", "/api/v1/indicators", "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for path in ["/nothing", "/api/v2/indicators", "/assets/../Cargo.toml", "/assets/board.js", "/api/v1/mailbox"] {
        let answer = get(server.port, path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.json()["error"].as_str().unwrap().contains("nothing is at"), "{path}");
    }
    let answer = request(server.port, "POST", "/api/v1/indicators", "Content-Length: 0\r\n");
    assert_eq!(answer.status, 405);
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    assert!(answer.json()["error"].as_str().unwrap().contains("does not take POST"));
}

#[test]
fn the_description_names_what_is_served() {
    let server = Server::floor();
    let document = get(server.port, "/api/v1/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, _) in document["paths"].as_object().unwrap() {
        // One that takes no GET is there as well.
        if path != "/api/v1/stream" {
            assert_ne!(get(server.port, path).status, 404, "{path}");
        }
    }
    // Each field of a real record is described.
    for (list, path, schema) in
        [("indicators", "/api/v1/indicators?queue=reclamos", "Indicator"), ("alerts", "/api/v1/alerts", "Alert")]
    {
        let described = &document["components"]["schemas"][schema]["properties"];
        for record in get(server.port, path).json()[list].as_array().unwrap() {
            for name in record.as_object().unwrap().keys() {
                assert!(!described[name].is_null(), "{schema}.{name} is not described");
            }
        }
    }
}

#[test]
fn streams_begin_at_once_and_end_with_the_server() {
    let mut server = Server::start(Table::floor(), Options { demo: false, clock: wall });
    let mut stream = connect(server.port);
    write!(stream, "GET /api/v1/stream?window=1h HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines();
    let data = lines.by_ref().map(Result::unwrap).find(|line| line.starts_with("data: ")).unwrap();
    let view: Value = serde_json::from_str(&data["data: ".len()..]).unwrap();
    assert_eq!((view["window"].as_str(), view["time"].as_str()), (Some("1h"), Some(NOW.to_string().as_str())));
    let text = get(server.port, "/metrics").body;
    assert!(text.contains("\natalaya_live_streams 1\n"), "the page that is being fed is counted");
    server.stop().unwrap();
    // The rest of the stream ends; were it left open, this would time out with an error.
    assert!(lines.all(|line| line.is_ok()));
}

#[test]
fn a_port_in_use_and_an_address_that_is_none_are_explained() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = Server::floor();
    let listen = format!("127.0.0.1:{}", server.port);
    let error = runtime.block_on(atalaya::http::bind(&listen)).unwrap_err();
    assert!(!error.is_users());
    let text = error.to_string();
    assert!(text.contains(&listen) && text.contains("another program listens there already"), "{text}");
    for listen in ["9464", "localhost", "127.0.0.1:99999", "203.0.113.1:9464"] {
        let error = runtime.block_on(atalaya::http::bind(listen)).unwrap_err();
        assert!(error.is_users(), "{listen}: {error}");
        assert!(error.to_string().contains("write ADDRESS:PORT"), "{error}");
    }
}

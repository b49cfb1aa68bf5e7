//! Acknowledgements, silences and their trail, on an engine that runs.

use std::sync::PoisonError;

use atalaya::domain::{Millis, Timestamp};
use atalaya::matrix::engine::Notification;
use atalaya::pipeline::Evaluator;
use serde_json::{Value, json};

use super::client::{Answer, get, request, send};
use super::fixture::{NOW, Options, Server, wall};

/// Nobody works in the two queues, which is critical.
const MATRIX: &str = r#"
version: 1
name: care
language: en
owner: lead
contacts: { lead: { email: lead@acme.example } }
ack_for: 2h
rows:
  - indicator: agents
    state: available
    goal: ">= 1"
    scope: { queue: [ventas, soporte], channel: voice }
    ranges:
      - { when: ">= 1", level: ok }
      - { when: "< 1", level: critical, tell: [lead], action: "Call somebody" }
"#;

pub fn server() -> Server<Evaluator> {
    server_at(wall)
}

pub fn server_at(clock: fn() -> Timestamp) -> Server<Evaluator> {
    serve(MATRIX, clock).0
}

/// Both cases in one gathering, whose mail has gone out: the server, and the gathering's id.
pub fn gathered() -> (Server<Evaluator>, String) {
    let (server, _) = serve(&MATRIX.replace("ack_for: 2h", "ack_for: 2h\ngroup: { by: row, wait: 1s }"), wall);
    let told = tick(&server, 1);
    assert_eq!((told.len(), told[0].each().len()), (1, 2));
    let id = told[0].incident.to_string();
    (server, id)
}

fn serve(matrix: &str, clock: fn() -> Timestamp) -> (Server<Evaluator>, Vec<Notification>) {
    let set = atalaya::config::matrices(&[("care.yaml".to_owned(), matrix.to_owned())], None).unwrap();
    let mut evaluator = Evaluator::new(set.plan, set.matrices);
    evaluator.advance(NOW);
    let told = evaluator.tick().notifications;
    (Server::start(evaluator, Options { demo: false, clock }), told)
}

/// The open case of a queue, as the API has it.
pub fn alert(server: &Server<Evaluator>, queue: &str) -> Value {
    let all = get(server.port, "/api/v1/alerts").json();
    let found = all["alerts"].as_array().unwrap().iter().find(|alert| alert["queue"] == queue).cloned();
    found.unwrap_or_else(|| panic!("no alert of {queue}: {all}"))
}

pub fn tick(server: &Server<Evaluator>, seconds: i64) -> Vec<Notification> {
    let mut evaluator = server.table.lock().unwrap_or_else(PoisonError::into_inner);
    evaluator.advance(NOW + Millis::seconds(seconds));
    evaluator.tick().notifications
}

fn acknowledge(server: &Server<Evaluator>, incident: &str, body: &Value) -> Answer {
    send(server.port, "POST", &format!("/api/v1/alerts/{incident}/acknowledge"), "", body)
}

#[test]
fn acknowledging_a_gathering_acknowledges_each_of_its_incidents() {
    use atalaya::notice::Acknowledging as _;
    let (server, id) = gathered();
    let answer = acknowledge(&server, &super::fixture::tickets().code(&id), &json!({"who": "ana", "why": "on it"}));
    let (ventas, soporte) = (alert(&server, "ventas"), alert(&server, "soporte"));
    assert_eq!((&ventas["acknowledged"]["by"], &ventas["acknowledged"]), (&json!("ana"), &soporte["acknowledged"]));
    let said = answer.json();
    assert_eq!((answer.status, &said["incident"], &said["acknowledged"]), (200, &json!(id), &ventas["acknowledged"]));
    let mut incidents = [ventas["incident"].clone(), soporte["incident"].clone()];
    let mut listed = said["incidents"].as_array().unwrap().clone();
    incidents.sort_by_key(Value::to_string);
    listed.sort_by_key(Value::to_string);
    assert_eq!(listed, incidents);
    assert_eq!((trail(&server).len(), &trail(&server)[0]["incident"]), (1, &json!(id)));
}

pub fn trail(server: &Server<Evaluator>) -> Vec<Value> {
    get(server.port, "/api/v1/operations").json()["operations"].as_array().unwrap().clone()
}

fn error(answer: &Answer) -> String {
    answer.json()["error"].as_str().unwrap().to_owned()
}

#[test]
fn an_incident_is_acknowledged_and_the_trail_says_by_whom() {
    let server = server();
    let before = alert(&server, "ventas");
    assert_eq!((&before["acknowledged"], &before["frozen"]), (&Value::Null, &json!(false)));
    let incident = before["incident"].as_str().unwrap();
    let answer =
        acknowledge(&server, incident, &json!({"who": "ana\u{202e}", "why": "two are on their way", "for": "30m"}));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let expected = json!({
        "by": "ana", "at": wall(), "until": wall() + Millis::seconds(1800), "why": "two are on their way", "level": "critical",
    });
    assert_eq!(answer.json(), json!({"incident": incident, "acknowledged": expected}));
    assert_eq!(alert(&server, "ventas")["acknowledged"], expected);
    assert_eq!(alert(&server, "soporte")["acknowledged"], Value::Null);

    // Without a length it holds for the row's `ack_for`; what did not come to be is on the trail too.
    let answer = acknowledge(&server, incident, &json!({"who": "luis"}));
    assert_eq!(answer.json()["acknowledged"]["until"], json!(wall() + Millis::seconds(7200)));
    let answer = acknowledge(&server, "nothing", &json!({"who": "luis"}));
    assert_eq!(answer.status, 404);
    assert!(error(&answer).contains("no open incident is called `nothing`"));
    let trail = trail(&server);
    assert_eq!(trail.len(), 3);
    assert_eq!(
        trail[0],
        json!({"time": wall(), "outcome": "not_open", "who": "luis", "why": "", "operation": "acknowledge",
               "incident": "nothing", "until": null})
    );
    assert_eq!((&trail[2]["who"], &trail[2]["outcome"]), (&json!("ana"), &json!("acknowledged")));
    let metrics = get(server.port, "/metrics").body;
    assert!(metrics.contains("atalaya_operations_total{operation=\"acknowledge\",outcome=\"acknowledged\"} 2\n"));
}

#[test]
fn a_silence_holds_what_its_matcher_meets_until_it_is_ended() {
    let server = server();
    let body =
        json!({"who": "ana", "why": "training", "for": "1h", "matcher": {"queue": ["ven*"], "level": "critical"}});
    let answer = send(server.port, "POST", "/api/v1/silences", "", &body);
    assert_eq!(answer.status, 201, "{}", answer.body);
    let silence = answer.json();
    assert_eq!((&silence["from"], &silence["until"]), (&json!(wall()), &json!(wall() + Millis::HOUR)));
    assert_eq!(silence["active"], true);
    let again = send(server.port, "POST", "/api/v1/silences", "", &body).json();
    assert_ne!(again["id"], silence["id"], "of one instant, and still two");
    assert_eq!(get(server.port, "/api/v1/silences").json()["silences"], json!([silence, again]));

    tick(&server, 2);
    assert_eq!(alert(&server, "ventas")["silenced"], json!([silence["id"], again["id"]]));
    assert_eq!(alert(&server, "soporte")["silenced"], json!([]));

    let path = format!("/api/v1/silences/{}", silence["id"].as_str().unwrap());
    assert_eq!(send(server.port, "DELETE", &path, "", &json!({})).status, 400, "who is asked for");
    assert_eq!(send(server.port, "DELETE", &path, "", &json!({"who": "luis"})).status, 200);
    assert_eq!(send(server.port, "DELETE", &path, "", &json!({"who": "luis"})).status, 404);
    tick(&server, 3);
    assert_eq!(alert(&server, "ventas")["silenced"], json!([again["id"]]));
    let outcomes: Vec<String> =
        trail(&server).iter().map(|done| done["outcome"].as_str().unwrap().to_owned()).collect();
    assert_eq!(outcomes, ["no_silence", "silence_ended", "silenced", "silenced"]);
}

#[test]
fn the_page_lists_what_is_on_and_what_comes_next() {
    let server = server();
    let silence = |name: String, from: i64, seconds: i64| {
        let from = wall() + Millis::seconds(from);
        let until = from + Millis::seconds(seconds);
        let body = json!({"who": "a", "why": "b", "from": from, "until": until, "matcher": {"queue": [name]}});
        assert_eq!(send(server.port, "POST", "/api/v1/silences", "", &body).status, 201);
    };
    silence("later".to_owned(), 60, 60);
    silence("soon".to_owned(), 30, 600);
    silence("long".to_owned(), 0, 9000);
    silence("short".to_owned(), 0, 10);
    let listed = || {
        let board = get(server.port, "/api/v1/board").json();
        let silences = board["silences"].as_array().unwrap();
        let names: Vec<Value> = silences.iter().map(|silence| silence["matcher"]["queue"][0].clone()).collect();
        (json!(names), board["silences_total"].clone())
    };
    assert_eq!(listed(), (json!(["short", "long", "soon", "later"]), json!(4)));
    (0..50).for_each(|n| silence(format!("more-{n}"), 0, 20));
    let (names, total) = listed();
    assert_eq!((names.as_array().unwrap().len(), &names[0], total), (50, &json!("short"), json!(54)));
}

#[test]
fn what_cannot_be_is_refused_and_says_what_to_mend() {
    let server = server();
    let incident = alert(&server, "ventas")["incident"].as_str().unwrap().to_owned();
    for (body, expected) in [
        (json!({}), "missing field `who`"),
        (json!({"who": " "}), "`who` is empty"),
        (json!({"who": "a", "whom": "b"}), "unknown field `whom`"),
        (json!({"who": "a", "for": "soon"}), "`for` cannot be `soon`"),
        (json!({"who": "a", "for": "0s"}), "would be over already"),
        (json!({"who": "a", "until": "today"}), "`until` cannot be `today`"),
        (json!({"who": "a", "for": "1h", "until": "2030-01-01T00:00:00Z"}), "not both"),
        (json!({"who": "a", "why": "x".repeat(1001)}), "`why` is longer than 1000 bytes"),
        (json!(7), "the body is not what is expected"),
    ] {
        let answer = acknowledge(&server, &incident, &body);
        assert_eq!(answer.status, 400, "{body}");
        assert!(error(&answer).contains(expected), "{body}: {}", answer.body);
    }
    let day = |matcher: Value| json!({"who": "a", "why": "b", "for": "1d", "matcher": matcher});
    for (body, expected) in [
        (day(json!({})), "names nothing and would hold everything"),
        (day(json!({"queues": ["a"]})), "unknown field `queues`"),
        (day(json!({"queue": ["[a"]})), "`[a` is no pattern"),
        (day(json!({"queue": vec!["a"; 101]})), "more than 100 names"),
        (json!({"who": "a", "why": "b", "matcher": {"queue": ["a"]}}), "has no end"),
        (json!({"who": "a", "why": "", "for": "1h", "matcher": {"queue": ["a"]}}), "`why` is empty"),
        (json!({"who": "a", "why": "b", "until": "2020-01-01T00:00:00Z", "matcher": {"queue": ["a"]}}), "over before"),
    ] {
        let answer = send(server.port, "POST", "/api/v1/silences", "", &body);
        assert_eq!(answer.status, 400, "{body}");
        assert!(error(&answer).contains(expected), "{body}: {}", answer.body);
    }
    let long = json!({"who": "a", "why": "x".repeat(70_000)});
    assert_eq!(acknowledge(&server, &incident, &long).status, 413);
    assert_eq!(alert(&server, "ventas")["acknowledged"], Value::Null);
}

#[test]
fn pages_of_other_sites_cannot_operate() {
    let server = server();
    let incident = alert(&server, "ventas")["incident"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/alerts/{incident}/acknowledge");
    let who = json!({"who": "ana"});
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
        "http://localhost:1",
        "https://board.acme.example.evil.example",
    ] {
        let answer = send(server.port, "POST", &path, &format!("Origin: {origin}\r\n"), &who);
        assert_eq!(answer.status, 403, "{origin}");
        assert!(error(&answer).contains("a page of another site"), "{origin}");
    }
    let forms = ["", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"];
    for kind in forms {
        let answer = request(server.port, "POST", &path, &format!("{kind}Content-Length: 0\r\n"));
        assert_eq!(answer.status, 415, "{kind}");
    }
    assert_eq!(alert(&server, "ventas")["acknowledged"], Value::Null);
    assert!(trail(&server).is_empty());
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        assert_eq!(request(server.port, method, &path, "").status, 405, "{method}");
    }
    // The host that was asked; the address that people know, which has a path.
    for origin in ["http://localhost", "https://board.acme.example"] {
        assert_eq!(send(server.port, "POST", &path, &format!("Origin: {origin}\r\n"), &who).status, 200, "{origin}");
    }
}

#[test]
fn the_trail_holds_the_newest_and_its_fields_are_described() {
    let server = server();
    for n in 0..1_005 {
        assert_eq!(acknowledge(&server, &format!("none-{n}"), &json!({"who": "a"})).status, 404);
    }
    let silence = json!({"who": "a", "why": "b", "for": "1d", "matcher": {"queue": ["[a"]}});
    assert_eq!(send(server.port, "POST", "/api/v1/silences", "", &silence).status, 400);
    let trail = trail(&server);
    assert_eq!((trail.len(), &trail[1]["incident"]), (1_000, &json!("none-1004")));
    assert!(trail[0]["refused"].as_str().unwrap().contains("is no pattern"));
    let document = get(server.port, "/api/v1/openapi.json").json();
    let described = &document["components"]["schemas"]["Operation"]["properties"];
    for name in trail.iter().flat_map(|done| done.as_object().unwrap().keys()) {
        assert!(!described[name].is_null(), "{name} is not described");
    }
}

//! Links and codes of mails: what following one does, and what it does not.

use atalaya::domain::{Millis, Timestamp};
use atalaya::notice::Acknowledging as _;
use atalaya::pipeline::Evaluator;
use serde_json::{Value, json};

use super::client::{Answer, form, get, request, send};
use super::desk::{alert, gathered, server, trail};
use super::fixture::{Server, tickets, wall};

/// Path and query of the link for the lead, made at that time.
fn link(incident: &str, made: Timestamp) -> String {
    let link = tickets().link(incident, "lead", made).unwrap();
    link.strip_prefix("https://board.acme.example/wfm").unwrap().to_owned()
}

/// The fields of the page's form, as a browser sends them.
fn fields(page: &Answer, who: &str) -> String {
    let hidden = page.body.lines().filter_map(|line| line.strip_prefix("<input type=\"hidden\" name=\""));
    let pairs = hidden.map(|rest| rest.split_once("\" value=\"").unwrap());
    let sent: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", value.trim_end_matches("\">"))).collect();
    format!("{}&who={who}", sent.join("&"))
}

fn incident(server: &Server<Evaluator>) -> String {
    alert(server, "ventas")["incident"].as_str().unwrap().to_owned()
}

#[test]
fn following_a_link_shows_a_button_and_only_the_button_acknowledges() {
    let server = server();
    let incident = incident(&server);
    let path = link(&incident, wall());
    let page = get(server.port, &path);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"), "the signature goes nowhere else");
    for text in
        ["<html lang=\"en\">", "CRITICAL · ventas · voice", "<form method=\"post\" action=\"ack\">", "value=\"lead\""]
    {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    // Scanners follow links, by whatever method they know.
    for method in ["GET", "HEAD", "OPTIONS", "PUT"] {
        request(server.port, method, &path, "");
    }
    assert_eq!(form(server.port, &path, "").status, 400, "the link alone, posted");
    assert_eq!(alert(&server, "ventas")["acknowledged"], Value::Null);
    assert!(trail(&server).is_empty());

    let done = form(server.port, "/ack", &fields(&page, "ana+b%C3%A9"));
    assert_eq!(done.status, 200, "{}", done.body);
    assert!(done.body.contains("Acknowledged by: ana bé, until") && !done.body.contains("<form"), "{}", done.body);
    assert_eq!(alert(&server, "ventas")["acknowledged"]["by"], "ana bé");
    assert_eq!((&trail(&server)[0]["who"], &trail(&server)[0]["link_of"]), (&json!("ana bé"), &json!("lead")));
    // Somebody else who follows it sees who has it, and may take it over; an empty name is the contact's.
    let page = get(server.port, &path);
    assert!(page.body.contains("Acknowledged by: ana bé") && page.body.contains("<form"), "{}", page.body);
    assert_eq!(form(server.port, "/ack", &fields(&page, "")).status, 200);
    assert_eq!(alert(&server, "ventas")["acknowledged"]["by"], "lead");
}

#[test]
fn the_link_of_a_gathering_shows_and_acknowledges_all_of_its_cases() {
    let (server, id) = gathered();
    let page = get(server.port, &link(&id, wall()));
    for text in ["<p>2 cases</p>", "CRITICAL · ventas · voice", "CRITICAL · soporte · voice", "<form"] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    let done = form(server.port, "/ack", &fields(&page, "ana"));
    assert_eq!((done.status, done.body.matches("Acknowledged by: ana, until").count()), (200, 2), "{}", done.body);
    for queue in ["ventas", "soporte"] {
        assert_eq!(alert(&server, queue)["acknowledged"]["by"], "ana");
    }
}

#[test]
fn links_that_ended_or_were_changed_do_nothing() {
    let server = server();
    let incident = incident(&server);
    let good = link(&incident, wall());
    let day = Millis::DAY;
    let old = link(&incident, wall() - day);
    let other = incident.chars().rev().collect::<String>();
    let cases = [
        (old, 410, "Este enlace venció"),
        (good.replace("by=lead", "by=boss"), 403, "no es válido"),
        (good.replace(&incident, &other), 403, "no es válido"),
        (good.replace("sig=", "sig=A"), 403, "no es válido"),
        (good.replace("until=", "until=9"), 403, "no es válido"),
        (good.replace("until=", "till="), 400, "no es válido"),
        ("/ack".to_owned(), 400, "no es válido"),
        (link("care-9", wall()), 404, "ya terminó"),
    ];
    for (path, status, expected) in cases {
        let page = get(server.port, &path);
        assert_eq!(page.status, status, "{path}");
        assert!(page.body.contains(expected) && !page.body.contains("<form"), "{path}: {}", page.body);
        // The same posted.
        let sent = path.strip_prefix("/ack?").unwrap_or_default();
        assert_eq!(form(server.port, "/ack", &format!("{sent}&who=ana")).status, status, "{path}");
    }
    let just = link(&incident, wall() - day + Millis::SECOND);
    assert_eq!(get(server.port, &just).status, 200, "the last second of its day");
    assert_eq!(alert(&server, "ventas")["acknowledged"], Value::Null);
    assert!(trail(&server).is_empty());
}

#[test]
fn what_the_link_holds_is_escaped() {
    let server = server();
    let incident = incident(&server);
    let link = tickets().link(&incident, "<script>\"'", wall()).unwrap();
    let page = get(server.port, link.strip_prefix("https://board.acme.example/wfm").unwrap());
    assert_eq!(page.status, 200);
    assert!(
        page.body.contains("value=\"&lt;script&gt;&quot;&#39;\"") && !page.body.contains("<script"),
        "{}",
        page.body
    );
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
}

#[test]
fn a_code_stands_for_its_incident_while_it_is_open() {
    let server = server();
    let incident = incident(&server);
    let code = tickets().code(&incident).to_lowercase();
    let path = format!("/api/v1/alerts/{code}/acknowledge");
    let answer = send(server.port, "POST", &path, "", &json!({"who": "ana"}));
    assert_eq!((answer.status, &answer.json()["incident"]), (200, &json!(incident)), "{}", answer.body);
    assert_eq!(trail(&server)[0]["incident"], json!(incident));
    let closed = tickets().code("care-9");
    let path = format!("/api/v1/alerts/{closed}/acknowledge");
    assert_eq!(send(server.port, "POST", &path, "", &json!({"who": "ana"})).status, 404);
}

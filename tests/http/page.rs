//! The page: its files and headers, what its document says, and how a real browser shows it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use atalaya::matrix::Level;
use atalaya::matrix::engine::Acknowledged;
use serde_json::{Value, json};

use super::client::{get, request};
use super::fixture::{NOW, Options, Server, Table, late_wall, wall};
use super::tools;

/// What the demo's mailbox holds in these tests.
pub fn mailbox() -> Value {
    let html = "<html><body style=\"font-family:sans-serif;margin:16px\"><p style=\"background:#b3121d;color:#fff;padding:8px\"><b>CRÍTICO</b> reclamos · facebook</p><p><b>Mover agentes del canal chat a reclamos; avisar al gerente de turno</b></p><p>ASA (15m): 47 min, meta &lt; 30m</p><script>document.body.innerHTML='a script of a mail ran'</script></body></html>";
    let mail = |subject: &str, seconds: i64| {
        json!({
            "time": (NOW - atalaya::domain::Millis::seconds(seconds)).to_string(), "to": ["lider@acme.example"],
            "subject": subject, "text": "CRÍTICO\n\nMover agentes del canal chat a reclamos", "html": html,
        })
    };
    json!({
        "mails": [
            mail("ALERTA: reclamos · facebook · ASA 33 min (meta < 30m)", 700),
            mail("CRÍTICO: reclamos · facebook · ASA 47 min (meta < 30m)", 60),
        ],
        "webhooks": [{ "time": NOW.to_string(), "name": "wfm-desk", "body": { "type": "alert", "data": {
            "level": "critical", "queue": "reclamos", "channel": "facebook", "indicator": "asa",
        } } }],
    })
}

#[test]
fn the_page_is_whole_and_lets_nothing_in() {
    let server = Server::floor();
    let page = get(server.port, "/");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    let names: Vec<&str> = page.body.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    for name in names {
        let file = get(server.port, name);
        assert_eq!(file.status, 200, "{name}");
        assert!(file.header("cache-control").unwrap().contains("immutable"));
        for outside in ["http:", "https:", "@import", "//cdn", "eval("] {
            let found = file.body.matches(outside).count()
                - file.body.matches("http://www.w3.org/2000/svg").count().min(file.body.matches(outside).count());
            assert_eq!(found, 0, "{name} holds {outside}");
        }
    }
    let demo = Server::start(Table::floor(), Options { demo: true, clock: wall });
    let policy = get(demo.port, "/").header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("script-src 'self';"), "{policy}");
    assert_eq!(get(demo.port, "/api/v1/mailbox").json()["mails"].as_array().unwrap().len(), 2);
}

fn row<'v>(view: &'v Value, queue: &str, channel: &str) -> &'v Value {
    let rows = view["rows"].as_array().unwrap();
    let found = rows.iter().find(|row| row["queue"] == queue && row["channel"] == channel);
    &found.unwrap()["cells"]
}

#[test]
fn each_cell_has_the_level_of_its_case() {
    let server = Server::floor();
    let view = get(server.port, "/api/v1/board?window=15m").json();
    let facebook = row(&view, "reclamos", "facebook");
    assert_eq!(facebook["asa"]["level"], "critical");
    assert_eq!((&facebook["asa"]["value"], &facebook["asa"]["of"]), (&json!(2822), &Value::Null));
    assert_eq!(facebook["oldest_wait"]["level"], "warning");
    assert_eq!(facebook["asa_live"]["level"], Value::Null, "nobody watches it");
    // The case is about 24h; the cell shows the channel's first threshold, and says what the case looks at.
    let whatsapp = &row(&view, "reclamos", "whatsapp")["service_level"];
    assert_eq!(
        (&whatsapp["threshold"], &whatsapp["level"], &whatsapp["of"]),
        (&json!("30m"), &json!("warning"), &json!("≤ 24h"))
    );
    assert_eq!(row(&view, "ventas", "voice")["service_level"]["threshold"], "20s");
    // The case looks at 30m: the colour stands in every window.
    let occupancy = &row(&view, "ventas", "voice")["occupancy"];
    assert_eq!((&occupancy["level"], &occupancy["of"]), (&json!("info"), &json!("30m")));
    let half_hour = get(server.port, "/api/v1/board?window=30m").json();
    let occupancy = &row(&half_hour, "ventas", "voice")["occupancy"];
    assert_eq!((&occupancy["value"], &occupancy["of"]), (&json!(0.52), &Value::Null));
    // Outside its hours it is grey.
    let agents = &row(&view, "soporte", "voice")["agents"];
    assert_eq!((&agents["level"], &agents["closed_hours"]), (&json!("critical"), &json!(true)));
    assert_eq!(agents["states"]["available"], 0);
    // Nothing measured is null, whatever the case says.
    assert_eq!(row(&view, "soporte", "chat")["asa"]["value"], Value::Null);
    let order: Vec<&str> = view["alerts"].as_array().unwrap().iter().map(|a| a["to"].as_str().unwrap()).collect();
    assert_eq!(order, ["critical", "warning", "warning", "info", "critical"], "the worst first, closed ones last");
    assert_eq!((&view["age"], &view["cases"], &view["rows_total"]), (&json!(1.0), &json!(9), &json!(16)));

    let found = get(server.port, "/api/v1/board?find=VIP").json();
    assert_eq!(found["rows"].as_array().unwrap().len(), 2, "the queue and its pair");
    assert_eq!(get(server.port, "/api/v1/board?window=9m").status, 400);
}

/// The page as the browser has it after its scripts ran, and a picture of it. It polls: the browser's virtual time
/// stands still while a stream is open.
fn browse(server: &Server, query: &str, name: &str, width: u32, height: u32) -> Option<String> {
    let chromium = tools::find("chromium", "chromium")?;
    let profile = tempfile::tempdir().unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&folder).unwrap();
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--virtual-time-budget=2500",
        "--dump-dom",
    ];
    let mut command = Command::new(chromium);
    command
        .args(arguments)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--window-size={width},{height}"))
        .arg(format!("--screenshot={}", folder.join(name).display()))
        .arg(format!("http://127.0.0.1:{}/{query}", server.port));
    // Into a file, so that a browser that hangs can be given up without a full pipe in the way.
    let dom = profile.path().join("dom.html");
    let mut child = command.stdout(std::fs::File::create(&dom).unwrap()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = atalaya::clock::now() + atalaya::domain::Millis::MINUTE;
    while child.try_wait().unwrap().is_none() {
        if atalaya::clock::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the browser did not end within a minute");
        }
        // Another program works: there is nothing of ours to wait on.
        std::thread::sleep(Duration::from_millis(100));
    }
    let dom = std::fs::read_to_string(dom).unwrap();
    assert!(!dom.is_empty(), "the browser printed nothing");
    Some(dom)
}

#[test]
fn a_browser_shows_the_floor_and_its_incidents() {
    let server = Server::start(Table::floor(), Options { demo: true, clock: wall });
    server.readiness.set_reason("start", None);
    let seen = Acknowledged {
        by: "ana <b>".into(),
        at: NOW,
        until: NOW + atalaya::domain::Millis::HOUR,
        why: "en camino".into(),
        level: Level::Critical,
    };
    {
        let mut table = server.table.lock().unwrap();
        table.open[0].acknowledged = Some(seen);
        table.open[1].silenced = vec!["s1".into()];
    }
    let Some(dom) = browse(&server, "?poll=1", "floor.png", 1400, 900) else { return };
    for expected in [
        "<html lang=\"es\">",
        "Mover agentes del canal chat a reclamos; avisar al gerente de turno",
        "class=\"incident critical\"",
        "class=\"l-critical\"",
        "<span class=\"value\">47 min</span>",
        "meta &lt; 30m",
        "CRÍTICO: reclamos · facebook · ASA 47 min",
        "sandbox=\"\"",
        "<span title=\"en camino\">Reconocido por ana &lt;b&gt; hasta las 16:30:00</span><button type=\"button\" hidden=\"\"",
        "Nada está silenciado.",
        "advertencia (silenciado)",
    ] {
        assert!(dom.contains(expected), "{expected} is not in {dom}");
    }
    assert!(!dom.contains("class=\"old\""));
}

#[test]
fn a_browser_says_that_figures_are_old_and_what_is_missing() {
    let server = Server::start(Table::floor(), Options { demo: false, clock: late_wall });
    server.readiness.set_degraded("smtp", Some("smtp: mail.acme.example:587 refuses connections"));
    let Some(dom) = browse(&server, "?poll=1&lang=en", "old.png", 1400, 900) else { return };
    for expected in [
        "<body class=\"old\">",
        "OLD FIGURES. They are of",
        "1m 00s behind the clock",
        "the sources have not been read yet",
        "mail.acme.example:587 refuses connections",
    ] {
        assert!(dom.contains(expected), "{expected} is not in {dom}");
    }
}

#[test]
fn a_browser_says_what_to_do_where_nothing_is_seen() {
    let server = Server::start(Table::empty(), Options { demo: false, clock: wall });
    let Some(dom) = browse(&server, "?poll=1&lang=en", "empty.png", 1400, 900) else { return };
    assert!(dom.contains("No queue has been seen yet") && dom.contains("No case is watched yet"), "{dom}");
}

/// Serves the floor until it is killed, to look at the page by hand:
/// `cargo test --test http serve_the_floor -- --ignored --nocapture`.
#[test]
#[ignore = "it never ends: for looking at the page by hand"]
fn serve_the_floor() {
    let server = Server::start(Table::floor(), Options { demo: true, clock: wall });
    server.readiness.set_reason("start", None);
    eprintln!("http://127.0.0.1:{}/", server.port);
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

#[test]
fn the_icon_is_no_request() {
    let server = Server::floor();
    assert_eq!(request(server.port, "GET", "/favicon.ico", "").status, 404);
    assert!(get(server.port, "/").body.contains("rel=\"icon\" href=\"data:"));
}

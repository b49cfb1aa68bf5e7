//! What is done from the page: a real browser presses the buttons, an engine that runs does it, and the API has the trail.

use std::sync::atomic::{AtomicI64, Ordering};

use atalaya::domain::{Millis, Timestamp};
use serde_json::{Value, json};

use super::browser::Browser;
use super::client::get;
use super::desk::{alert, server, server_at, tick, trail};
use super::fixture::wall;

const ENTER: (&str, u32, &str) = ("Enter", 13, "\r");
const ESCAPE: (&str, u32, &str) = ("Escape", 27, "");

/// How far the clock of [`moving`] has gone on: a document is given out again until its clock has.
static SECONDS: AtomicI64 = AtomicI64::new(0);

fn moving() -> Timestamp {
    wall() + Millis::seconds(SECONDS.load(Ordering::Relaxed))
}

/// The button of the card of a queue: 1 acknowledges, 2 silences.
fn button(queue: &Value, number: u32) -> String {
    format!("li[data-id={:?}] .seen button:nth-of-type({number})", queue["incident"].as_str().unwrap())
}

fn opened(browser: &mut Browser) {
    browser.until("document.querySelectorAll('.incident').length === 2 && document.body.className === ''");
}

#[test]
fn a_person_acknowledges_silences_and_ends_the_silence() {
    let server = server_at(moving);
    let later = |seconds: i64| {
        tick(&server, seconds);
        SECONDS.store(seconds, Ordering::Relaxed);
    };
    server.readiness.set_reason("start", None);
    let Some(mut browser) = Browser::open(&format!("http://127.0.0.1:{}/?lang=en", server.port)) else { return };
    let (ventas, soporte) = (alert(&server, "ventas"), alert(&server, "soporte"));
    opened(&mut browser);

    // Escape closes the form, does nothing, and leaves the keyboard where it was.
    browser.press(&button(&ventas, 1));
    browser.until("document.activeElement.id === 'desk-who' && $('desk-title').textContent === 'Acknowledge'");
    browser.key(ESCAPE.0, ESCAPE.1, ESCAPE.2);
    browser.until("!$('desk').open && document.activeElement.textContent === 'Acknowledge'");
    assert!(trail(&server).is_empty());
    browser.key(ENTER.0, ENTER.1, ENTER.2);
    browser.until("document.activeElement.id === 'desk-who'");
    browser.text("ana <b>");
    browser.key(ENTER.0, ENTER.1, ENTER.2);
    browser.until("!$('desk').open && $('incidents').innerText.includes('Acknowledged by ana <b> until')");
    browser.until("document.activeElement.textContent === 'Silence'");
    assert_eq!(alert(&server, "ventas")["acknowledged"]["by"], "ana <b>");
    let done = &trail(&server)[0];
    assert_eq!((&done["outcome"], &done["who"]), (&json!("acknowledged"), &json!("ana <b>")));

    // The browser remembers who it is; the matcher is that of the case; what the service refuses stands in the form.
    browser.reload();
    opened(&mut browser);
    browser.press(&button(&soporte, 2));
    browser.until("document.activeElement.id === 'desk-why'");
    let fields = "['matrix', 'indicator', 'queue', 'channel', 'level', 'who'].map((name) => $(`desk-${name}`).value)";
    assert_eq!(browser.eval(fields), json!(["care", "agents", "soporte", "voice", "critical", "ana <b>"]));
    browser.text("<i>training</i>");
    browser.eval("$('desk-queue').value = '[sop'");
    browser.press("#desk-do");
    browser.until("$('desk').open && $('desk-error').textContent.includes('`[sop` is no pattern')");
    browser.eval("$('desk-queue').value = 'sop*'; $('desk-length').value = '30m'");
    browser.press("#desk-do");
    browser.until("!$('desk').open && $('silences').children.length === 1");
    let shown = "[...$('silences').querySelectorAll('span')].map((part) => part.textContent)";
    assert_eq!(
        browser.eval(shown),
        json!([
            "matrix care · indicator agents · queue sop* · channel voice",
            "<i>training</i>",
            "ana <b>",
            "until 21:00",
        ])
    );
    assert_eq!(
        browser.eval("document.querySelectorAll('.incident b, #silences i, #silences b').length"),
        0,
        "text is no HTML"
    );
    let silence = get(server.port, "/api/v1/silences").json()["silences"][0].clone();
    let names = json!([["care"], ["agents"], ["sop*"], ["voice"], []]);
    let matcher = &silence["matcher"];
    assert_eq!(json!(["matrix", "indicator", "queue", "channel", "window"].map(|name| &matcher[name])), names);
    assert_eq!((&silence["who"], &silence["why"]), (&json!("ana <b>"), &json!("<i>training</i>")));
    assert_eq!(silence["until"], json!(wall() + Millis::seconds(1800)));
    later(2);
    browser.until("$('incidents').innerText.includes('critical (silenced)')");
    browser.until("$('silences').innerText.includes('holds 1')");

    // It is ended, and the keyboard is not lost with the button.
    browser.press("#silences button");
    browser.until("document.activeElement.id === 'desk-who' && $('desk-who').value === 'ana <b>'");
    browser.press("#desk-do");
    browser.until("$('silences').children.length === 0 && document.activeElement.id === 'silences-title'");
    browser.until("$('silences-title').parentElement.parentElement.innerText.includes('Nothing is silenced.')");
    later(3);
    browser.until("!$('incidents').innerText.includes('silenced')");
    let outcomes: Vec<Value> = trail(&server).iter().map(|done| done["outcome"].clone()).collect();
    assert_eq!(json!(outcomes), json!(["silence_ended", "silenced", "refused", "acknowledged"]));
}

#[test]
fn a_silence_to_come_is_of_the_clock_of_the_service() {
    let mut server = server();
    server.readiness.set_reason("start", None);
    let Some(mut browser) = Browser::open(&format!("http://127.0.0.1:{}/?lang=es", server.port)) else { return };
    opened(&mut browser);
    // Days of 23 and of 25 hours, from any side of the change.
    for (zone, wall, instant) in [
        ("America/Bogota", "2026-05-29T08:00", "2026-05-29T13:00:00.000Z"),
        ("Europe/Madrid", "2026-03-29T01:59", "2026-03-29T00:59:00.000Z"),
        ("Europe/Madrid", "2026-03-29T03:00", "2026-03-29T01:00:00.000Z"),
        ("Europe/Madrid", "2026-10-25T01:59", "2026-10-24T23:59:00.000Z"),
        ("Europe/Madrid", "2026-10-25T03:00", "2026-10-25T02:00:00.000Z"),
        ("Asia/Kathmandu", "2026-12-31T23:30", "2026-12-31T17:45:00.000Z"),
    ] {
        let there = format!(
            "(() => {{ const own = view; view = {{ time_zone: {zone:?} }}; const found = instantAt({wall:?}); view = own; \
             return found; }})()"
        );
        assert_eq!(browser.eval(&there), json!(instant), "{zone} {wall}");
    }
    // Without a name it would hold everything: the service says so.
    browser.press("#new-silence");
    browser.until("document.activeElement.id === 'desk-who'");
    browser.text("luis");
    browser.eval("$('desk-why').value = 'mudanza'");
    browser.press("#desk-do");
    browser.until("$('desk-error').textContent.includes('would hold everything')");
    browser.eval("$('desk-channel').value = pattern('!vo*ce'); $('desk-level').value = 'warning'");
    browser.eval("$('desk-length').value = 'until'; $('desk-length').dispatchEvent(new Event('change'))");
    browser.eval("$('desk-from').value = wallClock(serviceNow() + 7200000)");
    browser.eval("$('desk-until').value = wallClock(serviceNow() + 10800000)");
    browser.press("#desk-do");
    browser.until("$('silences').querySelectorAll('li.later').length === 1");
    browser.until("$('silences').innerText.includes('canal \\\\!vo\\\\*ce · hasta advertencia')");
    let silence = get(server.port, "/api/v1/silences").json()["silences"][0].clone();
    // Fields hold minutes.
    let minute = |hours: i64| json!(Timestamp((wall().0 + hours * 3_600_000) / 60_000 * 60_000));
    assert_eq!((&silence["from"], &silence["until"]), (&minute(2), &minute(3)));
    assert_eq!((&silence["active"], &silence["matcher"]["level"]), (&json!(false), &json!("warning")));

    // What cannot be known to have happened is not said to have.
    browser.press("#silences button");
    browser.until("$('desk').open");
    server.stop().unwrap();
    browser.press("#desk-do");
    browser.until("$('desk').open && $('desk-error').textContent.includes('no se sabe si se hizo')");
}

#[test]
fn the_page_has_every_word_in_each_language() {
    let server = server();
    let Some(mut browser) = Browser::open(&format!("http://127.0.0.1:{}/", server.port)) else { return };
    opened(&mut browser);
    let keys = "Object.values(WORDS).map((each) => [each, each.names, each.columns, each.states, each.levels].map((w) => \
                Object.keys(w).sort().join()).join())";
    let keys = browser.eval(keys);
    assert_eq!(keys.as_array().unwrap().len(), 3);
    assert!(keys.as_array().unwrap().iter().all(|each| *each == keys[0]), "{keys}");
    let lacking = "[...document.querySelectorAll('[data-text], [data-placeholder]')].map((node) => node.dataset.text || \
                   node.dataset.placeholder).filter((name) => !words[name])";
    assert_eq!(browser.eval(lacking), json!([]));
}

/// To look at, under `target/tmp/pages`: the silences and the form, wide and narrow, light and dark; nothing may stick out.
#[test]
fn the_form_fits_a_phone() {
    let server = server();
    server.readiness.set_reason("start", None);
    let body = |matcher: Value, hours: i64| {
        let from = wall() + Millis::seconds(hours * 3600);
        let why = "La línea está en mantenimiento hasta la tarde";
        json!({"who": "ana", "why": why, "from": from, "for": "90m", "matcher": matcher})
    };
    for body in [body(json!({"queue": ["ventas"], "level": "warning"}), 0), body(json!({"channel": ["voice"]}), 30)] {
        assert_eq!(super::client::send(server.port, "POST", "/api/v1/silences", "", &body).status, 201);
    }
    tick(&server, 2);
    let Some(mut browser) = Browser::open(&format!("http://127.0.0.1:{}/", server.port)) else { return };
    let soporte = alert(&server, "soporte");
    for (width, height) in [(1280, 900), (390, 844)] {
        for scheme in ["light", "dark"] {
            browser.size(width, height, scheme);
            opened(&mut browser);
            browser.picture(&format!("silences-{width}-{scheme}.png"));
            browser.press(&button(&soporte, 2));
            browser.until("$('desk').open");
            browser.eval(
                "$('desk-length').value = 'until'; showEnd(); setText($('desk-error'), 'the silence would be over')",
            );
            browser.picture(&format!("silence-{width}-{scheme}.png"));
            let wide = "[document.documentElement, $('desk')].map((node) => node.scrollWidth > node.clientWidth)";
            assert_eq!(browser.eval(wide), json!([false, false]), "{width}");
            browser.key(ESCAPE.0, ESCAPE.1, ESCAPE.2);
            browser.until("!$('desk').open");
            browser.reload();
        }
    }
}

//! Every kind of record that a producer can write and that is no event, beside what must become of it.
//!
//! The reasons are written here out of the documentation, not asked of the decoder. A record names a queue, an agent and the `id`
//! of an event that count: whoever took one of them would show other figures.

use serde_json::{Value, json};

use crate::traffic::{HOUR, YEAR};

pub struct Poison {
    /// The reason in the dead letters; `None`: it is passed over, and must not be there.
    pub reason: Option<&'static str>,
    /// `None`: a tombstone.
    pub payload: Option<Vec<u8>>,
}

struct Kitchen {
    kinds: Vec<Poison>,
    /// An interaction's event with all fields, but for the type; and an agent's.
    event: Value,
    snapshot: Value,
}

/// Kinds of at most a few kilobytes, at `now`. `id`: of an event that comes next.
pub fn small(id: &str, now: i64) -> Vec<Poison> {
    let mut kitchen = Kitchen::new(id, now);
    kitchen.passed_over(now);
    kitchen.no_text();
    kitchen.no_object();
    kitchen.no_type_time_or_key(now);
    kitchen.missing_fields();
    kitchen.bad_fields();
    kitchen.bad_snapshots();
    kitchen.too_late(now);
    kitchen.kinds
}

/// Kinds of a megabyte and more. They are written compressed, so a broker takes them.
pub fn large(id: &str, now: i64) -> Vec<Poison> {
    let mut kitchen = Kitchen::new(id, now);
    let text = |length| "x".repeat(length);
    let Kitchen { event, snapshot, .. } = kitchen.bases();
    kitchen.refused("too_large", like(&event, "note", json!(text(1 << 20))));
    kitchen.refused("too_large", like(&snapshot, "note", json!(text(2_000_000))));
    kitchen.refused("not_json", text(1_000_000));
    kitchen.refused("too_deep", "[".repeat(1_000_000));
    kitchen.refused("bad_field", like(&event, "interaction", json!(text(1_000_000))));
    kitchen.refused("bad_field", like(&snapshot, "agent", json!(text(1_000_000))));
    kitchen.ignored(json!({ "type": "crm.note", "id": id, "note": text(1_000_000) }).to_string());
    kitchen.kinds
}

fn like(base: &Value, field: &str, value: Value) -> String {
    let mut event = base.clone();
    event[field] = value;
    event.to_string()
}

fn without(base: &Value, field: &str) -> String {
    let mut event = base.clone();
    event.as_object_mut().expect("an object").remove(field);
    event.to_string()
}

/// With a field of a text that no JSON writer would write.
fn written(base: &Value, field: &str, text: &str) -> String {
    let rest = without(base, field);
    format!(r#"{{"{field}":{text},{}"#, rest.trim_start_matches('{'))
}

fn of(kind: &str, event: &Value) -> Value {
    let mut event = event.clone();
    event["type"] = json!(format!("interaction.{kind}"));
    event
}

impl Kitchen {
    fn new(id: &str, now: i64) -> Self {
        let event = json!({
            "type": "interaction.arrived", "id": id, "interaction": "poison", "time": now, "queue": "q0", "channel": "voice",
            "agent": "p0", "outcome": "resolved", "errors": [],
        });
        let snapshot = json!({
            "type": "agent.state", "id": id, "agent": "p0", "time": now, "state": "wrapup", "queues": ["q0"],
            "channels": ["voice"],
        });
        Kitchen { kinds: Vec::new(), event, snapshot }
    }

    fn bases(&self) -> Self {
        Kitchen { kinds: Vec::new(), event: self.event.clone(), snapshot: self.snapshot.clone() }
    }

    fn refused(&mut self, reason: &'static str, payload: impl Into<Vec<u8>>) {
        self.kinds.push(Poison { reason: Some(reason), payload: Some(payload.into()) });
    }

    fn ignored(&mut self, payload: impl Into<Vec<u8>>) {
        self.kinds.push(Poison { reason: None, payload: Some(payload.into()) });
    }

    fn passed_over(&mut self, now: i64) {
        let Kitchen { event, .. } = self.bases();
        self.kinds.push(Poison { reason: None, payload: None });
        for kind in ["interaction.exploded", "Interaction.Arrived", "interaction.arrived ", "agent.login", "ticket"] {
            self.ignored(like(&event, "type", json!(kind)));
        }
        self.ignored(r#"{"type":"crm.changed","time":"never","interaction":[],"id":{},"slots":"many"}"#);
        self.ignored(
            json!({ "specversion": "1.0", "type": "crm.changed", "data": { "type": "interaction.arrived" } })
                .to_string(),
        );
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        self.ignored(format!(r#"{{"type":"crm.changed","x":{}}}"#, deep(99)));
        self.ignored(r#"{"type":"crm.changed","x":-1e999}"#);
        self.ignored(json!({ "type": "feed.heartbeat", "time": now }).to_string());
        // It is held until its time has come.
        let mut ahead = event;
        (ahead["id"], ahead["time"]) = (json!(format!("ahead-{now}")), json!(now + YEAR));
        self.ignored(ahead.to_string());
    }

    fn no_text(&mut self) {
        let event = self.event.to_string();
        let cut_in_a_letter = [&event.as_bytes()[..event.len() - 1], b",\"note\":\"\xc3"].concat();
        let utf16: Vec<u8> = [0xfeff].into_iter().chain(event.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let gzip = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0][..], event.as_bytes()].concat();
        let latin = event.replace("q0", "atenci\u{1}n").into_bytes();
        let latin: Vec<u8> = latin.into_iter().map(|byte| if byte == 1 { 0xf3 } else { byte }).collect();
        for bytes in [vec![0xff], vec![0xc0, 0x80], cut_in_a_letter, utf16, gzip, latin] {
            self.refused("not_utf8", bytes);
        }
    }

    fn no_object(&mut self) {
        let event = self.event.to_string();
        let cut = |length: usize| event[..length].to_owned();
        let inner = event.trim_start_matches('{').trim_end_matches('}');
        for text in [
            String::new(),
            " \r\n".to_owned(),
            "{".to_owned(),
            cut(8),
            cut(event.len() / 2),
            cut(event.len() - 1),
            format!("{event}{event}"),
            format!("{event}\n{event}\n"),
            format!("{event}\0"),
            format!("\0\0\0\0\u{7}{event}"),
            format!("{{{inner},}}"),
            event.replace('"', "'"),
            written(&self.event, "slots", "NaN"),
            written(&self.event, "slots", "+1"),
            written(&self.event, "note", "\"a\nb\""),
            format!("// an event\n{event}"),
            "<event type=\"interaction.arrived\"/>".to_owned(),
            "type=interaction.arrived&queue=q0".to_owned(),
            "nil".to_owned(),
        ] {
            self.refused("not_json", text);
        }
        let quoted = json!(event).to_string();
        for text in ["null", "true", "42", "-0.5", "1e999", "\"\"", "[]", &quoted, &format!("[{event}]")] {
            self.refused("not_an_object", text);
        }
        self.refused("not_an_object", "9".repeat(5_000));
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let field = |text: &str| written(&self.event, "note", text);
        let kinds =
            [field(&deep(100)), field(&deep(5_000)), deep(20_000), "[".repeat(20_000), "{\"a\":".repeat(20_000)];
        for text in kinds {
            self.refused("too_deep", text);
        }
    }

    fn no_type_time_or_key(&mut self, now: i64) {
        let Kitchen { event, snapshot, .. } = self.bases();
        self.refused("no_type", "{}");
        self.refused("no_type", without(&event, "type"));
        for value in
            [json!(null), json!(""), json!(7), json!(["interaction.arrived"]), json!({ "name": "agent.state" })]
        {
            self.refused("no_type", like(&event, "type", value));
        }
        self.refused("no_type", json!({ "specversion": "1.0", "data": event }).to_string());
        self.refused("no_time", r#"{"type":"feed.heartbeat"}"#);
        for base in [&event, &snapshot] {
            self.refused("no_time", without(base, "time"));
            self.refused("no_time", like(base, "time", json!(null)));
            for value in [
                json!(""),
                json!("now"),
                json!("2026-11-22T10:00:00"),
                json!("2026-11-22"),
                json!("2026-02-30T10:00:00Z"),
                json!("22/11/2026 10:00"),
                json!(now.to_string()),
                json!(now as f64 + 0.5),
                json!(u64::MAX),
                json!(i64::MIN),
                json!(true),
                json!({ "ms": now }),
            ] {
                self.refused("bad_time", like(base, "time", value));
            }
            self.refused("bad_time", written(base, "time", "123456789012345678901234567890"));
        }
        for (base, key) in [(&event, "interaction"), (&snapshot, "agent")] {
            self.refused("no_key", without(base, key));
            for value in [json!(null), json!(""), json!(false), json!(1.5), json!(["poison"]), json!({})] {
                self.refused("no_key", like(base, key, value));
            }
        }
        let envelope = json!({ "specversion": "1.0", "type": "interaction.closed", "id": event["id"], "time": now });
        self.refused("no_key", envelope.to_string());
    }

    fn missing_fields(&mut self) {
        let Kitchen { event, snapshot, .. } = self.bases();
        for (kind, field) in [
            ("arrived", "channel"),
            ("queued", "queue"),
            ("queued", "channel"),
            ("transferred", "queue"),
            ("assigned", "agent"),
            ("replied", "agent"),
            ("closed", "outcome"),
            ("evaluated", "agent"),
            ("evaluated", "errors"),
        ] {
            let event = of(kind, &event);
            self.refused("missing_field", without(&event, field));
            self.refused("missing_field", like(&event, field, json!(null)));
        }
        self.refused("missing_field", like(&of("queued", &event), "queue", json!("")));
        self.refused("missing_field", without(&snapshot, "state"));
        self.refused("missing_field", like(&snapshot, "state", json!("")));
    }

    fn bad_fields(&mut self) {
        let Kitchen { event, .. } = self.bases();
        for (kind, field, value) in [
            ("arrived", "channel", json!(5)),
            ("arrived", "queue", json!(["q0"])),
            ("arrived", "id", json!(true)),
            ("arrived", "interaction", json!("i".repeat(1_025))),
            ("queued", "queue", json!("q".repeat(257))),
            ("transferred", "queue", json!({ "name": "q0" })),
            ("assigned", "agent", json!([])),
            ("replied", "automatic", json!("yes")),
            ("closed", "outcome", json!("done")),
            ("closed", "outcome", json!(["resolved"])),
            ("reopened", "by", json!("robot")),
            ("evaluated", "errors", json!("none")),
            ("evaluated", "errors", json!(["customer_critical", "typo"])),
        ] {
            self.refused("bad_field", like(&of(kind, &event), field, value));
        }
        self.refused("bad_field", written(&event, "queue", r#""\ud800""#));
    }

    fn bad_snapshots(&mut self) {
        let Kitchen { snapshot, .. } = self.bases();
        let many = |count: usize| (0..count).map(|number| format!("q{number}")).collect::<Vec<_>>();
        for (field, value) in [
            ("state", json!(1)),
            ("slots", json!(-1)),
            ("slots", json!("3")),
            ("busy", json!(10_001)),
            ("busy", json!(0.5)),
            ("queues", json!("q0")),
            ("queues", json!(["q0", ""])),
            ("queues", json!([{ "queue": "q0", "channel": "voice", "busy": -1 }])),
            ("queues", json!(many(1_001))),
            ("channels", json!({})),
            ("channels", json!(many(65))),
        ] {
            self.refused("bad_field", like(&snapshot, field, value));
        }
        self.refused("bad_field", written(&snapshot, "slots", "1e999"));
        for state in ["almuerzo", "Available", "available ", "on_call"] {
            self.refused("unknown_state", like(&snapshot, "state", json!(state)));
        }
    }

    fn too_late(&mut self, now: i64) {
        let Kitchen { event, snapshot, .. } = self.bases();
        for kind in ["arrived", "queued", "closed", "rated"] {
            self.refused("too_late", like(&of(kind, &event), "time", json!(now - 25 * HOUR)));
        }
        self.refused("too_late", like(&event, "time", json!("1999-12-31T23:59:59Z")));
        self.refused("too_late", like(&snapshot, "time", json!(now - 25 * HOUR)));
    }
}

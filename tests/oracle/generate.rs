//! Random floors from a seed: interactions and agents with everything that producers do to their events.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::calendar::at_local;
use super::settings::{DAY, HOUR, MINUTE, SECOND, Settings};

#[derive(Clone, Debug)]
pub struct Case {
    pub title: String,
    pub settings: Settings,
    pub every: String,
    pub lines: Vec<String>,
}

/// How unruly the events are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chaos {
    /// Every life-cycle is whole and every event comes in its time.
    Calm,
    /// Late, out of order, twice with the same id, garbage between them.
    Disorder,
    /// Besides, some events never come and others are said twice with different ids, at times that fit nothing.
    Broken,
}

/// SplitMix64: small, and the same everywhere.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        // Mixed first: neighbouring seeds would otherwise throw the same numbers, one throw apart.
        let mut dice = Dice(seed ^ 0xA7A1_A7A1);
        Dice(dice.next().rotate_left(17) ^ dice.next())
    }
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: i64) -> i64 {
        (self.next() % n.max(1) as u64) as i64
    }
    pub fn chance(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as i64) as usize]
    }
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i as i64 + 1) as usize);
        }
    }
}

/// Zone and a day worth looking at: plain ones, half-hour and quarter-hour zones, days of 23, 23.5, 24.5 and 25 hours.
const DAYS: [(&str, &str); 10] = [
    ("UTC", "2026-11-23"),
    ("America/Bogota", "2026-11-23"),
    ("Asia/Kolkata", "2026-11-23"),
    ("Asia/Kathmandu", "2026-11-23"),
    ("Europe/Madrid", "2026-10-25"),
    ("Europe/Madrid", "2026-03-29"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("America/Santiago", "2026-09-06"),
];

const QUEUES: [&str; 3] = ["reclamos", "soporte", "ventas"];
const CHANNELS: [&str; 5] = ["voice", "facebook", "chat", "email", "whatsapp"];

struct Floor {
    dice: Dice,
    from: i64,
    span: i64,
    grain: i64,
    chaos: Chaos,
    queues: Vec<&'static str>,
    channels: Vec<&'static str>,
    events: Vec<(i64, Map<String, Value>)>,
}

pub fn case(seed: u64, chaos: Chaos) -> Case {
    let mut dice = Dice::new(seed);
    let (zone, date) = *dice.pick(&DAYS);
    let (span, everys): (i64, &[&str]) = match dice.below(4) {
        0 => (12 * MINUTE, &["3m", "1m", "30s"]),
        1 => (2 * HOUR, &["12m", "15m", "30m"]),
        2 => (9 * HOUR, &["1h", "90m"]),
        _ => (30 * HOUR, &["3h", "5h"]),
    };
    let every = (*dice.pick(everys)).to_owned();
    let settings = settings(&mut dice, zone, date);
    let from = at_local(date, "00:00", &settings) + dice.below(20 * HOUR) - 2 * HOUR;
    let mut floor = Floor {
        from,
        span,
        // Round times hit the edges of panes, windows and intervals; odd ones do not.
        grain: *dice.pick(&[1, SECOND, 10 * SECOND, MINUTE]),
        chaos,
        queues: QUEUES[..1 + dice.below(3) as usize].to_vec(),
        channels: {
            let mut list = CHANNELS.to_vec();
            dice.shuffle(&mut list);
            list.truncate(1 + dice.below(3) as usize);
            list
        },
        events: Vec::new(),
        dice,
    };
    for i in 0..1 + floor.dice.below(14) {
        floor.interaction(&format!("i{i}"));
    }
    for i in 0..floor.dice.below(5) {
        floor.agent(&format!("a{i}"));
    }
    let lines = floor.lines();
    Case { title: format!("seed {seed}, {chaos:?}, {zone} {date}"), settings, every, lines }
}

fn settings(dice: &mut Dice, zone: &str, date: &str) -> Settings {
    let mut all = json!({
        "time_zone": zone,
        "interval": *dice.pick(&["15m", "30m"]),
        "short_abandon": *dice.pick(&["5s", "10s", "1m"]),
        "agent_timeout": *dice.pick(&["12h", "1h", "10m"]),
        "agent_states": {"almuerzo": "unproductive", "en_llamada": "handling"},
    });
    if dice.chance(25) {
        all["lateness"] = json!(*dice.pick(&["2h", "20m"]));
    }
    if dice.chance(30) {
        all["windows"] = json!(["1m", "15m", "90m"]);
    }
    let mut channels = Map::new();
    if dice.chance(30) {
        channels.insert("facebook".into(), json!({"answer_on": "assigned", "service_level": ["2m", "30m", "10s"]}));
    }
    if dice.chance(30) {
        channels.insert("voice".into(), json!({"service_level": ["20s", "2m"], "idle_close": "30m", "give_up": "1h"}));
    }
    if dice.chance(30) {
        channels.insert("chat".into(), json!({"handling": "elapsed", "idle_close": "10m", "give_up": "20m"}));
    }
    if dice.chance(40) {
        // The desk's clock: with hours and without, over midnight, over the hours that the clocks repeat and skip.
        let ranges = ["08:00-20:00", "22:30-06:15", "00:00-24:00", "01:15-02:45", "23:00-01:30"];
        for channel in CHANNELS {
            let settings = channels.entry(channel).or_insert_with(|| json!({}));
            if dice.chance(50) {
                settings["clocks"] = json!(["elapsed", "open"]);
            }
            if dice.chance(70) {
                let weekend = [*dice.pick(&ranges), *dice.pick(&ranges)];
                settings["hours"] = json!({"mon-fri": *dice.pick(&ranges), "sat": weekend, "sun": *dice.pick(&ranges)});
            }
        }
        if dice.chance(40) {
            let date: jiff::civil::Date = date.parse().unwrap();
            all["holidays"] =
                json!([date.yesterday().unwrap().to_string(), date.to_string()][..1 + dice.below(2) as usize]);
        }
    }
    if !channels.is_empty() {
        all["channels"] = Value::Object(channels);
    }
    Settings::from_json(&all)
}

impl Floor {
    fn gap(&mut self) -> i64 {
        let scale =
            *self.dice.pick(&[0, SECOND, 5 * SECOND, 20 * SECOND, MINUTE, 5 * MINUTE, self.span / 20, self.span / 4]);
        let gap = if self.dice.chance(30) { scale } else { self.dice.below(scale + 1) };
        gap - gap % self.grain
    }

    fn moment(&mut self) -> i64 {
        let at = self.from + self.dice.below(self.span);
        at - at.rem_euclid(self.grain)
    }

    fn say(&mut self, at: i64, fields: Value) {
        // What would lie beyond the end of the recording has not happened.
        if at < self.from + self.span
            && let Value::Object(fields) = fields
        {
            self.events.push((at, fields));
        }
    }

    fn interaction(&mut self, id: &str) {
        let mut at = self.moment();
        let mut channel = *self.dice.pick(&self.channels.clone());
        let mut queue = *self.dice.pick(&self.queues.clone());
        let step = |kind: &str| json!({"type": format!("interaction.{kind}"), "interaction": id});
        let with = |kind: &str, more: Value| {
            let mut fields = step(kind);
            fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            fields
        };
        let arrived = match self.dice.chance(50) {
            true => with("arrived", json!({"channel": channel, "queue": queue})),
            false => with("arrived", json!({"channel": channel})),
        };
        self.say(at, arrived);
        at += self.gap();
        if self.chaos >= Chaos::Broken && self.dice.chance(10) {
            // Came in by one channel and was queued in another.
            channel = *self.dice.pick(&self.channels.clone());
        }
        if self.dice.chance(6) {
            let end =
                if self.dice.chance(50) { step("abandoned") } else { with("closed", json!({"outcome": "deflected"})) };
            self.say(at, end);
            return;
        }
        self.say(at, with("queued", json!({"queue": queue, "channel": channel})));
        let mut taken = false;
        for _ in 0..2 + self.dice.below(9) {
            at += self.gap();
            let agent = format!("a{}", self.dice.below(4));
            match self.dice.below(100) {
                0..22 => {
                    self.say(at, with("assigned", json!({"agent": agent})));
                    taken = true;
                }
                22..47 => {
                    if !taken {
                        self.say(at, with("assigned", json!({"agent": agent})));
                        taken = true;
                        at += self.gap();
                    }
                    let automatic = self.dice.chance(15);
                    self.say(at, with("replied", json!({"agent": agent, "automatic": automatic})));
                }
                47..62 => self.say(at, step("customer_message")),
                62..68 => {
                    self.say(at, step("parked"));
                    at += self.gap();
                    self.say(at, step("resumed"));
                }
                68..78 => {
                    queue = *self.dice.pick(&self.queues.clone());
                    let mut more = json!({"queue": queue});
                    if self.dice.chance(40) {
                        channel = *self.dice.pick(&self.channels.clone());
                        more["channel"] = json!(channel);
                    }
                    self.say(at, with("transferred", more));
                    taken = false;
                }
                78..82 => self.say(at, with("queued", json!({"queue": queue, "channel": channel}))),
                82..88 if !taken => {
                    self.say(at, step("abandoned"));
                    return;
                }
                _ => {
                    if taken && self.dice.chance(50) {
                        self.say(at, step("wrapup"));
                        at += self.gap();
                    }
                    let outcome = *self.dice.pick(&["resolved", "unresolved", "spam", "callback"]);
                    self.say(at, with("closed", json!({"outcome": outcome})));
                    if self.dice.chance(30) {
                        at += self.gap();
                        self.say(at, with("rated", json!({"csat": 4})));
                    }
                    if !self.dice.chance(30) {
                        return;
                    }
                    at += self.gap();
                    let by = if self.dice.chance(70) { json!({}) } else { json!({"by": "agent"}) };
                    self.say(at, with("reopened", by));
                    taken = false;
                }
            }
        }
    }

    fn agent(&mut self, id: &str) {
        let mut at = self.moment();
        let some = |dice: &mut Dice, list: &[&'static str]| -> Vec<&'static str> {
            list.iter().copied().filter(|_| dice.chance(70)).collect()
        };
        let mut last: Option<Value> = None;
        for n in 0..2 + self.dice.below(10) {
            if let Some(last) = last.clone().filter(|_| self.dice.chance(25)) {
                self.say(at, last);
                at += self.gap();
                continue;
            }
            let states =
                ["available", "available", "handling", "en_llamada", "wrapup", "almuerzo", "unproductive", "offline"];
            let mut fields = json!({"type": "agent.state", "agent": id, "state": *self.dice.pick(&states)});
            if n == 0 || self.dice.chance(30) {
                let queues = self.queues.clone();
                let channels = self.channels.clone();
                if self.dice.chance(35) {
                    let mut pairs = Vec::new();
                    let with_busy = self.dice.chance(60);
                    let with_slots = self.dice.chance(40);
                    for queue in &queues {
                        for channel in &channels {
                            if self.dice.chance(60) {
                                let mut pair = json!({"queue": queue, "channel": channel});
                                if with_busy {
                                    pair["busy"] = json!(self.dice.below(2));
                                }
                                if with_slots {
                                    pair["slots"] = json!(1 + self.dice.below(3));
                                }
                                pairs.push(pair);
                            }
                        }
                    }
                    fields["queues"] = json!(pairs);
                } else {
                    fields["queues"] = json!(some(&mut self.dice, &queues));
                    fields["channels"] = json!(some(&mut self.dice, &channels));
                }
            }
            if self.dice.chance(40) {
                fields["busy"] = json!(self.dice.below(3));
            }
            if self.dice.chance(20) {
                fields["slots"] = json!(1 + self.dice.below(4));
            }
            self.say(at, fields.clone());
            last = Some(fields);
            at += self.gap();
        }
    }

    /// The events as lines in the order of their arrival, with what producers do to them.
    fn lines(mut self) -> Vec<String> {
        if self.dice.chance(30) {
            let at = self.moment();
            self.say(at, json!({"type": "feed.heartbeat"}));
        }
        self.events.sort_by_key(|(at, _)| *at);
        let mut events = std::mem::take(&mut self.events);
        let unruly = |floor: &mut Floor, percent: i64| floor.chaos >= Chaos::Broken && floor.dice.chance(percent);
        let mut arriving: Vec<(i64, String)> = Vec::new();
        let mut ids: BTreeMap<String, usize> = BTreeMap::new();
        let mut more = Vec::new();
        events.retain(|_| !unruly(&mut self, 8));
        for (at, fields) in &events {
            if unruly(&mut self, 8) {
                let off = self.gap();
                more.push((if self.dice.chance(50) { at + off } else { at - off }, fields.clone()));
            }
        }
        events.extend(more);
        for (at, mut fields) in events {
            let of =
                fields.get("interaction").or(fields.get("agent")).and_then(Value::as_str).unwrap_or("feed").to_owned();
            let number = ids.entry(of.clone()).or_default();
            *number += 1;
            // The identity says nothing of the order: ties by id must be broken by its bytes, not by arrival.
            fields.insert("id".into(), json!(format!("{}-{of}-{number}", self.dice.below(1000))));
            fields.insert("time".into(), self.written(at));
            let line = Value::Object(fields).to_string();
            let delay =
                if self.chaos >= Chaos::Disorder && self.dice.chance(25) { self.dice.below(self.span) } else { 0 };
            if self.chaos >= Chaos::Disorder && self.dice.chance(12) {
                arriving.push((at + delay + self.dice.below(self.span), line.clone()));
            }
            arriving.push((at + delay, line));
        }
        arriving.sort_by_key(|(at, _)| *at);
        let mut lines: Vec<String> = arriving.into_iter().map(|(_, line)| line).collect();
        if self.chaos >= Chaos::Disorder && lines.len() > 1 {
            for garbage in [
                "{\"type\":\"interaction.arrived\"".to_owned(),
                json!({"type": "interaction.abandoned", "time": self.from}).to_string(),
                json!({"type": "interaction.arrived", "interaction": "x", "channel": "voice", "time": "yesterday"})
                    .to_string(),
                json!({"type": "agent.state", "agent": "x", "state": "dreaming", "time": self.from}).to_string(),
                json!({"type": "weather.changed", "time": self.from}).to_string(),
                json!({"type": "interaction.arrived", "interaction": "ahead", "channel": "voice", "queue": "ventas",
                       "time": self.from + self.span + 3 * DAY})
                .to_string(),
            ] {
                if self.dice.chance(20) {
                    let place = 1 + self.dice.below(lines.len() as i64 - 1) as usize;
                    lines.insert(place, garbage);
                }
            }
        }
        lines
    }

    /// RFC 3339 with some offset, or epoch milliseconds.
    fn written(&mut self, at: i64) -> Value {
        if self.dice.chance(30) {
            return json!(at);
        }
        let hours = *self.dice.pick(&[0, -5, 3]);
        let offset = jiff::tz::Offset::constant(hours);
        let instant = jiff::Timestamp::from_millisecond(at).unwrap();
        json!(instant.display_with_offset(offset).to_string())
    }
}

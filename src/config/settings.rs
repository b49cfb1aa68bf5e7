//! The keys of the configuration: joined tree -> [`Config`]. Each key's meaning and default is in `config/default.yaml`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::contacts;
use super::load::{Calendars, ReadFile, Whose};
use super::matrices::LANGUAGES;
use super::node::{Kind, Node};
use super::reader::{Fields, Report, did_you_mean, duration, list, map, not_utf8, text, whole, word};
use super::{Config, Source, Unknown, hours, ics, row};
use super::{outside, webhooks};
use crate::domain::{AgentClass, Millis};
use crate::indicators::Clock;
use crate::matrix::Contact;
use crate::plan::{AnswerOn, ChannelSettings, Handling, Limits, Plan, Window, WindowKind};
use crate::wire::Format;

pub(super) const KEYS: [&str; 21] = [
    "time_zone",
    "interval",
    "language",
    "short_abandon",
    "agent_timeout",
    "agent_states",
    "lateness",
    "max_ahead",
    "max_lag",
    "windows",
    "holidays",
    "holidays_file",
    "channels",
    "limits",
    "kafka",
    "sources",
    "matrices",
    "owner",
    "smtp",
    "webhooks",
    "http",
];

/// `None` only where the root is no map.
pub(super) fn read(
    root: &Node,
    files: Option<(ReadFile<'_>, Whose)>,
    calendars: Option<(Calendars<'_>, &Path)>,
    report: &mut Report,
) -> Option<Config> {
    let before = report.errors();
    let fields = Fields::new(root, "the configuration", &KEYS, report)?;
    // A key that is not known may have been meant as any other.
    let misspelt = report.errors() > before;
    let whose = files.as_ref().map(|(_, whose)| *whose);
    let mut files = files.map(|(read, _)| read);
    let kafka = outside::kafka(fields.get("kafka"), &mut files, report);
    files = files.filter(|_| whose == Some(Whose::All));
    let language = fields.get("language").and_then(|node| word(node, "language", &LANGUAGES, report));
    let webhooks = fields.get("webhooks").map(|node| webhooks::webhooks(node, &mut files, report)).unwrap_or_default();
    let no_names = misspelt || fields.get("webhooks").is_some_and(|node| !matches!(node.kind, Kind::Map(_)));
    let names: BTreeSet<&str> = webhooks.keys().map(String::as_str).collect();
    let owner =
        fields.get("owner").and_then(|node| contacts::contact(node, Some(&names).filter(|_| !no_names), report));
    // Somebody was meant: that nobody can be told is no defect of the matrices.
    let stand_in = || Contact { email: Some("".into()), webhook: Some("".into()), ..Contact::default() };
    let owner = owner.or_else(|| (misspelt || fields.get("owner").is_some()).then(stand_in));
    let listed = fields.get("holidays").map(|node| hours::holidays(node, report)).unwrap_or_default();
    let mut holidays: BTreeSet<Date> = listed.into_iter().collect();
    let read = fields.get("holidays_file").zip(calendars);
    let calendars = read.map(|(node, from)| holiday_files(node, from, &mut holidays, report)).unwrap_or_default();
    let holidays = Arc::new(holidays);
    let agent_states = fields.get("agent_states").map(|node| agent_states(node, report)).unwrap_or_default();
    let own = agent_states.keys().filter(|name| AgentClass::parse(name).is_none());
    let own = own.map(|name| name.as_str().into()).collect();
    let before = report.errors();
    let plan = plan(&fields, &holidays, report);
    let unknown = Unknown { names: no_names, channels: misspelt || report.errors() > before };
    Some(Config {
        plan: Plan { agent_states: own, ..plan },
        language: language.unwrap_or_default(),
        agent_states,
        max_lag: length(&fields, "max_lag", Millis::SECOND, report).unwrap_or(Millis::MINUTE),
        holidays,
        calendars,
        kafka,
        sources: fields.get("sources").map(|node| sources(node, report)).unwrap_or_default(),
        matrices: fields.get("matrices").map(|node| texts(node, "matrices", report)).unwrap_or_default(),
        owner,
        smtp: fields.get("smtp").and_then(|node| outside::smtp(node, &mut files, report)),
        webhooks,
        http: outside::http(fields.get("http"), &mut files, report),
        warnings: Vec::new(),
        unknown,
    })
}

/// Says which text a calendar had.
pub fn text_hash(text: &str) -> String {
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
}

/// Adds the holidays of the calendars that `node` names. Their paths are taken from the configuration's folder.
fn holiday_files(
    node: &Node,
    (from, folder): (Calendars<'_>, &Path),
    holidays: &mut BTreeSet<Date>,
    report: &mut Report,
) -> Vec<(String, String)> {
    let mut read = Vec::new();
    for item in list(node, report) {
        let Some(written) = text(&item, "holidays_file", report) else { continue };
        let path = folder.join(&**written).display().to_string();
        let content = match (from.read)(&path) {
            Ok(content) => content,
            Err(why) => {
                report.error(
                    item.at,
                    format!("`holidays_file`: {path} cannot be read: {why}"),
                    "its path is taken from the configuration's folder",
                );
                continue;
            }
        };
        report.enter(&path, false);
        let content = match String::from_utf8(content) {
            Ok(content) => content,
            Err(error) => {
                let (line, column) = not_utf8(&error);
                let at = report.mark(line, column);
                report.error(at, "this is not UTF-8 text", "save the file as UTF-8");
                continue;
            }
        };
        read.push((path, text_hash(&content)));
        let before = report.errors();
        let days = ics::read(&content, report);
        // The site's day is at most one off.
        let today = from.now.in_zone(&TimeZone::UTC).date();
        match days.iter().max().filter(|_| report.errors() == before) {
            Some((last, at)) if *last <= today => {
                let what = format!("the last holiday of this calendar is {last}: none is to come");
                report.warning(*at, what, "fetch the calendar of this year and the next");
            }
            None if report.errors() == before => {
                // In the calendar: it may be emptied while the configuration stays as it is.
                let at = report.mark(1, 1);
                report.warning(at, "this calendar holds no holiday", "all-day events are holidays");
            }
            _ => {}
        }
        holidays.extend(days.into_iter().map(|(day, _)| day));
    }
    read
}

fn length(fields: &Fields<'_>, key: &str, least: Millis, report: &mut Report) -> Option<Millis> {
    fields.get(key).and_then(|node| duration(node, key, least, report))
}

/// A list of texts.
pub(super) fn texts(node: &Node, key: &str, report: &mut Report) -> Vec<String> {
    list(node, report).iter().filter_map(|item| Some(text(item, key, report)?.to_string())).collect()
}

fn plan(fields: &Fields<'_>, holidays: &Arc<BTreeSet<Date>>, report: &mut Report) -> Plan {
    let mut plan = Plan::default();
    if let Some(zone) = fields.get("time_zone").and_then(|node| hours::zone(node, report)) {
        plan.zone = zone;
    }
    if let Some(node) = fields.get("interval") {
        let lengths = [("15m", Millis(15 * Millis::MINUTE.0)), ("30m", Millis(30 * Millis::MINUTE.0))];
        plan.interval = word(node, "interval", &lengths, report).unwrap_or(plan.interval);
    }
    let mut set = |key: &str, least: Millis, field: &mut Millis| {
        if let Some(length) = length(fields, key, least, report) {
            *field = length;
        }
    };
    set("short_abandon", Millis::ZERO, &mut plan.short_abandon);
    set("agent_timeout", Millis::SECOND, &mut plan.agent_timeout);
    set("lateness", Millis::ZERO, &mut plan.lateness);
    set("max_ahead", Millis::ZERO, &mut plan.max_ahead);
    if let Some(node) = fields.get("windows") {
        plan.windows = windows(node, report);
    }
    let mut labels = Vec::new();
    if let Some(node) = fields.get("channels") {
        for entry in map(node, "`channels`", report).unwrap_or_default() {
            let settings = channel(&entry.value, &mut plan, holidays, &mut labels, report);
            plan.channels.insert(entry.key.to_string(), settings);
        }
    }
    if let Some(node) = fields.get("limits") {
        limits(node, &mut plan.limits, report);
    }
    plan.set_thresholds(labels);
    plan
}

/// The sliding ones as written, each length once, and the named ones that are always there.
fn windows(node: &Node, report: &mut Report) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    for item in list(node, report) {
        let Some(kind) = row::window(&item, report) else { continue };
        let Some(label) = text(&item, "windows", report) else { continue };
        if !matches!(kind, WindowKind::Sliding(_)) {
            continue;
        }
        match windows.iter().find(|window| window.kind == kind) {
            Some(other) => {
                let what = format!("duplicate window `{label}`: it is `{}`", other.label);
                report.error(item.at, what, "name each length once");
            }
            None => windows.push(Window { label: label.clone(), kind }),
        }
    }
    windows.extend(Window::named());
    windows
}

fn channel(
    node: &Node,
    plan: &mut Plan,
    holidays: &Arc<BTreeSet<Date>>,
    labels: &mut Vec<(String, Millis)>,
    report: &mut Report,
) -> ChannelSettings {
    const KEYS: [&str; 7] = ["answer_on", "service_level", "hours", "clocks", "idle_close", "give_up", "handling"];
    let mut settings = ChannelSettings::default();
    let Some(fields) = Fields::new(node, "a channel", &KEYS, report) else { return settings };
    let answers = [("assigned", AnswerOn::Assigned), ("replied", AnswerOn::Replied)];
    settings.answer_on = fields.get("answer_on").and_then(|node| word(node, "answer_on", &answers, report));
    let handlings = [("working", Handling::Working), ("elapsed", Handling::Elapsed)];
    settings.handling = fields.get("handling").and_then(|node| word(node, "handling", &handlings, report));
    settings.idle_close = length(&fields, "idle_close", Millis::SECOND, report);
    settings.give_up = length(&fields, "give_up", Millis::SECOND, report);
    if let Some(node) = fields.get("service_level") {
        let mut own = Vec::new();
        for item in list(node, report) {
            let within = duration(&item, "service_level", Millis::SECOND, report);
            if let (Some(within), Some(label)) = (within, text(&item, "service_level", report)) {
                labels.push((label.to_string(), within));
                own.push(within);
            }
        }
        if matches!(&node.kind, Kind::List(items) if items.is_empty()) {
            report.error(node.at, "`service_level` names no threshold", "leave it out for the channel's default");
        }
        settings.service_level = Some(own).filter(|own| !own.is_empty());
    }
    if let Some(node) = fields.get("hours") {
        settings.hours = plan.open_time(hours::read(node, report), holidays);
    }
    if let Some(node) = fields.get("clocks") {
        let words: Vec<_> = Clock::ALL.iter().map(|clock| (clock.name(), *clock)).collect();
        for item in list(node, report) {
            settings.open_clock |= word(&item, "clocks", &words, report) == Some(Clock::Open);
        }
    }
    settings
}

fn limits(node: &Node, limits: &mut Limits, report: &mut Report) {
    const KEYS: [&str; 7] = [
        "keys",
        "open_interactions",
        "closed_interactions",
        "agents",
        "events_per_interaction",
        "identities",
        "held_ahead",
    ];
    let Some(fields) = Fields::new(node, "`limits`", &KEYS, report) else { return };
    let mut set = |key: &str, field: &mut usize| {
        if let Some(number) = fields.get(key).and_then(|node| whole(node, key, 1, report)) {
            *field = usize::try_from(number).unwrap_or(usize::MAX);
        }
    };
    set("keys", &mut limits.keys);
    set("open_interactions", &mut limits.open_interactions);
    set("closed_interactions", &mut limits.closed_interactions);
    set("agents", &mut limits.agents);
    set("events_per_interaction", &mut limits.events_per_interaction);
    set("identities", &mut limits.identities);
    set("held_ahead", &mut limits.held_ahead);
}

fn agent_states(node: &Node, report: &mut Report) -> BTreeMap<String, AgentClass> {
    let words = AgentClass::ALL.map(|class| (class.name(), class));
    let mut states = BTreeMap::new();
    for entry in map(node, "`agent_states`", report).unwrap_or_default() {
        let Some(class) = word(&entry.value, &entry.key, &words, report) else { continue };
        if AgentClass::parse(&entry.key).is_some_and(|own| own != class) {
            let what = format!("`{}` is a class itself and cannot mean `{}`", entry.key, class.name());
            report.error(entry.key_at, what, "the five classes map to themselves");
        }
        states.insert(entry.key.to_string(), class);
    }
    states
}

/// Formats that the documentation names and this version does not read.
const LATER: [&str; 5] =
    ["amazon-connect-agent", "amazon-connect-contact", "twilio-taskrouter", "genesys-cloud", "chatwoot"];

fn sources(node: &Node, report: &mut Report) -> Vec<Source> {
    let Kind::List(items) = &node.kind else {
        report.error(node.at, "`sources` must be a list", "- { topic: atalaya.interactions, format: canonical }");
        return Vec::new();
    };
    let mut sources: Vec<Source> = Vec::new();
    for item in items {
        let keys = ["topic", "format", "silent_after", "hours"];
        let Some(fields) = Fields::new(item, "a source", &keys, report) else { continue };
        let topic = fields.require("topic", "write the topic's name", report);
        let topic = topic.and_then(|node| Some((node, text(node, "topic", report)?)));
        let format = fields.get("format").map_or(Some(Format::Canonical), |node| format(node, report));
        let silent_after = length(&fields, "silent_after", Millis::SECOND, report);
        let hours = fields.get("hours").map(|node| hours::read(node, report));
        let (Some((node, topic)), Some(format)) = (topic, format) else { continue };
        if sources.iter().any(|source| *source.topic == **topic) {
            report.error(node.at, format!("duplicate source: the topic `{topic}` is named twice"), "");
        }
        let fine = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if topic.len() > 249 || !topic.chars().all(fine) {
            report.error(node.at, format!("`{topic}` is not the name of a topic"), "letters, digits, `.`, `-` and `_`");
        }
        if fields.get("silent_after").is_none() {
            let what = format!("nobody notices when the topic `{topic}` falls silent");
            report.warning(item.at, what, "write silent_after: how long without a record means that it is dead");
        }
        sources.push(Source { topic: topic.to_string(), format, silent_after, hours });
    }
    if items.is_empty() {
        report.error(node.at, "`sources` names no topic", "- { topic: atalaya.interactions, format: canonical }");
    }
    sources
}

fn format(node: &Node, report: &mut Report) -> Option<Format> {
    const FORMATS: [(&str, Format); 2] = [("canonical", Format::Canonical), ("cloudevents", Format::CloudEvents)];
    let written = text(node, "format", report)?;
    if let Some((_, format)) = FORMATS.iter().find(|(name, _)| *name == &**written) {
        return Some(*format);
    }
    let hint = match LATER.contains(&&**written) {
        true => "it is known and not read by this version: only `canonical` and `cloudevents` are".to_owned(),
        false => did_you_mean(written, FORMATS.iter().map(|(name, _)| *name), "one of"),
    };
    report.error(node.at, format!("`format` cannot be `{written}`"), hint);
    None
}

//! What the templates of notices may name: what the built-in mail shows, and the raw figures behind it.
//!
//! A text that there is not is empty, so that `{% if board %}` asks for it; a number that there is not is `none`.

use std::collections::BTreeMap;

use minijinja::value::Value;

use super::Said;
use crate::matrix::Medium;
use crate::matrix::engine::Notification;
use crate::notice::mail::{self, Acknowledge, Facts, Zone, headline};
use crate::notice::{Context, words};

/// Of a subject: what stays the same while the level lasts.
pub const SUBJECT_NAMES: [&str; 20] = [
    "channel",
    "entry",
    "from",
    "goal",
    "incident",
    "indicator",
    "indicator_name",
    "language",
    "level",
    "level_word",
    "matrix",
    "place",
    "queue",
    "range",
    "reason",
    "samples",
    "since",
    "value",
    "value_raw",
    "window",
];

/// Of all other texts.
pub const NAMES: [&str; 41] = [
    "acknowledge_command",
    "acknowledge_link",
    "action",
    "board",
    "channel",
    "entry",
    "foot",
    "from",
    "goal",
    "headline",
    "incident",
    "indicator",
    "indicator_name",
    "language",
    "late",
    "level",
    "level_word",
    "lines",
    "matrix",
    "medium",
    "missed",
    "picture",
    "place",
    "queue",
    "range",
    "reason",
    "remarks",
    "restarted",
    "samples",
    "sequence",
    "since",
    "subject",
    "test",
    "time",
    "timestamp",
    "to",
    "trend",
    "value",
    "value_raw",
    "why",
    "window",
];

type Values = BTreeMap<&'static str, Value>;

/// What a subject may name, `value` being how the value reads; texts as `say` has them.
pub(super) fn head(
    notification: &Notification,
    facts: &Facts,
    value: &str,
    context: &Context<'_>,
    say: &dyn Fn(&str) -> String,
) -> Values {
    let transition = &notification.transition;
    let zone = Zone::of(&transition.matrix, notification.time);
    let names = mail::names(notification, value, &facts.goal, &zone, context);
    let text = |text: &str| Value::from(say(text));
    BTreeMap::from([
        ("value", text(&names.value)),
        ("value_raw", Value::from(names.value_raw.filter(|value| value.is_finite()))),
        ("goal", text(&names.goal)),
        ("level", text(names.level)),
        ("queue", text(&names.queue)),
        ("channel", text(&names.channel)),
        ("indicator", text(&names.indicator)),
        ("window", text(&names.window)),
        ("samples", Value::from(names.samples)),
        ("matrix", text(&names.matrix)),
        ("range", text(&names.range)),
        ("since", text(&names.since)),
        ("incident", text(&names.incident)),
        ("level_word", text(facts.level_word)),
        ("place", text(&mail::place(&transition.key, facts.language))),
        ("indicator_name", text(&facts.indicator)),
        ("entry", text(&facts.entry)),
        ("from", text(transition.from.name())),
        ("reason", text(notification.reason.name())),
        ("language", text(words::page_language(facts.language))),
    ])
}

/// What every other text may name; what must not be cut, remarks and addresses, as `whole` has it.
pub(super) fn all(said: &Said<'_>, late: bool, say: &dyn Fn(&str) -> String, whole: &dyn Fn(&str) -> String) -> Values {
    let Said { notification, facts, missed, context } = said;
    let mut all = head(notification, facts, &facts.now, context, say);
    let text = |text: &str| Value::from(say(text));
    let mark = |text: Option<&str>| Value::from(text.map(whole).unwrap_or_default());
    let line = |label: &str, line: &str| Value::from(BTreeMap::from([("label", text(label)), ("text", text(line))]));
    let (link, command) = match &facts.acknowledge {
        Some(Acknowledge::Link(link)) => (&**link, ""),
        Some(Acknowledge::Command(command)) => ("", &**command),
        None => ("", ""),
    };
    let mail = notification.medium == Medium::Email;
    let picture = mail.then(|| mail::picture(notification, missed.is_some(), context)).flatten();
    let picture = picture.map(|picture| format!("cid:{}", picture.id)).unwrap_or_default();
    let zone = Zone::of(&notification.transition.matrix, notification.time);
    all.extend([
        ("action", text(facts.action.as_deref().unwrap_or_default())),
        ("headline", text(&headline(facts))),
        ("lines", facts.labelled().map(|(label, text)| line(label, text)).collect()),
        ("trend", text(facts.trend.as_ref().map_or("", |trend| &trend.line))),
        ("picture", Value::from(whole(&picture))),
        ("acknowledge_link", Value::from(whole(link))),
        ("acknowledge_command", Value::from(whole(command))),
        ("board", Value::from(whole(facts.board.as_deref().unwrap_or_default()))),
        ("foot", text(&facts.foot)),
        ("subject", text(&facts.subject)),
        ("why", text(words::why(facts.language, notification.reason))),
        ("to", text(&notification.to)),
        ("medium", text(if mail { "email" } else { "webhook" })),
        ("sequence", Value::from(notification.sequence)),
        ("time", text(&zone.with_name(notification.time))),
        ("timestamp", text(&notification.time.to_string())),
        ("test", mark(facts.test)),
        ("late", mark(late.then_some(&*facts.late))),
        ("missed", mark(facts.missed.as_deref())),
        ("restarted", mark(facts.restarted)),
        ("remarks", facts.remarks(late).into_iter().map(|text| Value::from(whole(text))).collect()),
    ]);
    all
}

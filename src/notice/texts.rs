//! The templates of a matrix in the place of the built-in words: subject, text and HTML of mails, and whole bodies of webhooks.
//!
//! Four things hold whatever a template says, because a reader relies on them:
//!
//! * a subject is one line, begins with the level's word, names the queue, and stays the same while the level lasts;
//! * that it is a test, comes late, stands in for another or may have been told before is shown: what the template does not show
//!   of it is put on top, and a webhook's body that does not show it is refused;
//! * names from outside are text: escaped in HTML, quoted by `tojson` in JSON, and as its service wants them in a webhook;
//! * a body holds the limits of its service: texts in it are cut for that.
//!
//! [`check`] proves a template against [`worst`] by the same code that sends. What fails all the same leaves the built-in text
//! standing. Which template is the nearest is in [`crate::matrix::texts`]; reading files is `config`'s work.

use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, HtmlEscape};

use super::hooks::{self, Format, limits};
use super::mail::{Facts, SUBJECT_MAX};
use super::template::{self, TemplateError, rendered};
use super::{Body, Context, Email, Missed, Picture, clean, words};
use crate::domain::Key;
use crate::matrix::engine::{Notification, Transition};
use crate::matrix::{Language, Part};

mod names;
#[cfg(test)]
mod tests;
mod worst;

pub use names::{NAMES, SUBJECT_NAMES};

/// Longest template, in bytes.
pub const LENGTH_MAX: usize = 20_000;
/// Longest text that comes out of one, in bytes.
const OUTPUT_MAX: usize = 200_000;
/// Longest name in a subject, in bytes, so that there is room for the rest.
const NAME_MAX: usize = 60;
/// Longest remark or address in the body of a webhook: none that there is reaches it.
const WHOLE_MAX: usize = 2_500;

/// A template that failed though it was proved; the built-in text was taken.
#[derive(Clone, Debug)]
pub struct Failed {
    pub part: Part,
    pub error: TemplateError,
}

/// One notice as templates see it.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub notification: &'a Notification,
    pub facts: &'a Facts,
    pub missed: Option<&'a Missed>,
    pub context: &'a Context<'a>,
}

/// What a template may name.
pub fn names_of(part: Part) -> &'static [&'static str] {
    if part == Part::Subject { &SUBJECT_NAMES } else { &NAMES }
}

/// Puts the matrix's own texts in the place of those of `body`. Notices that are not of one case keep theirs.
pub(super) fn apply(body: &mut Body, said: &Said<'_>) -> Vec<Failed> {
    let mut failed = Vec::new();
    let Notification { held_back, gathered, .. } = said.notification;
    if said.context.says.is_some() || held_back.is_some() || gathered.is_some() {
        return failed;
    }
    for part in Part::ALL {
        let Some(template) = nearest(said.notification, part) else { continue };
        let both = |render: &dyn Fn(bool) -> Result<String, TemplateError>| Ok((render(false)?, render(true)?));
        let done = match (part, &mut *body) {
            (Part::Subject, Body::Email(email)) => subject(template, said).map(|subject| email.subject = subject),
            (Part::Text, Body::Email(email)) => both(&|late| text(template, said, late))
                .map(|(text, late)| (email.text, email.late_text) = (text, late)),
            (Part::Html, Body::Email(email)) => both(&|late| html(template, said, late))
                .map(|(html, late)| (email.html, email.late_html) = (html, late))
                .map(|()| drop_unseen(email)),
            (Part::Webhook, Body::Webhook(hook)) => {
                let format = said.context.formats.get(&hook.name).copied().unwrap_or_default();
                if limits::escape(format).is_none() {
                    continue;
                }
                both(&|late| webhook(template, said, late, format))
                    .map(|(json, late)| (hook.json, hook.late_json) = (json, late))
            }
            _ => continue,
        };
        failed.extend(done.err().map(|error| Failed { part, error }));
    }
    failed
}

/// The template of the contact, else of the row, else of the matrix.
fn nearest(notification: &Notification, part: Part) -> Option<&Arc<str>> {
    let transition = &notification.transition;
    let contact = transition.matrix.person(&notification.to, part.medium(), &notification.address);
    let row = transition.matrix.rows.get(transition.row);
    let places = [contact.map(|contact| &contact.texts), row.map(|row| &row.texts), Some(&transition.matrix.texts)];
    places.into_iter().flatten().find_map(|texts| texts.get(part))
}

/// Whether a template can be trusted while an alert is going out: everything that it may have to say is rendered. `format` is that
/// of the webhook, where there is one.
pub fn check(part: Part, template: &str, language: Language, format: Format) -> Result<(), TemplateError> {
    worst::each(language, |what, said| {
        let one = |late| match part {
            Part::Subject => subject(template, said),
            Part::Text => text(template, said, late),
            Part::Html => html(template, said, late),
            Part::Webhook => webhook(template, said, late, format),
        };
        let done = one(false).and_then(|_| one(true));
        done.map(|_| ()).map_err(|error| TemplateError { message: format!("{} ({what})", error.message), ..error })
    })
}

/// One line: `test · LEVEL · what the template says · whom it missed`. All of it is of the entry into the level.
fn subject(template: &str, said: &Said<'_>) -> Result<String, TemplateError> {
    let Said { notification, facts, missed, context } = said;
    let short = |name: &Arc<str>| -> Arc<str> { clean(name, NAME_MAX, false).into() };
    let of = &notification.transition;
    let key = Key { queue: of.key.queue.as_ref().map(short), channel: of.key.channel.as_ref().map(short) };
    let transition = Arc::new(Transition { key, ..(**of).clone() });
    let at_entry = Notification {
        time: transition.time,
        value: transition.value,
        samples: transition.samples,
        reason: transition.reason,
        to: short(&notification.to),
        transition: transition.clone(),
        ..(*notification).clone()
    };
    let mut names = names::head(&at_entry, facts, &facts.entry, context, &str::to_owned);
    names.insert("matrix", Value::from(&*short(&of.matrix.name)));
    let line = rendered(&environment(Part::Subject), template, Value::from(names), OUTPUT_MAX)?;
    let line = clean(line.trim(), OUTPUT_MAX, false);
    let mut line = match line.starts_with(facts.level_word) {
        true => line,
        false => format!("{} · {line}", facts.level_word),
    };
    if facts.test.is_some() {
        line.insert_str(0, &format!("{} · ", words::test(facts.language)));
    }
    let whom = missed.map(|missed| format!(" · {}", words::not_told(facts.language, &short(&missed.contact))));
    let whom = whom.unwrap_or_default();
    let line = clean(&line, SUBJECT_MAX.saturating_sub(whom.len()), false) + &whom;
    if transition.key.queue.as_ref().is_some_and(|queue| !line.contains(&**queue)) {
        return Err(broken(format!(
            "the subject does not name the queue in its first {SUBJECT_MAX} bytes: write `queue` or `place` near its beginning"
        )));
    }
    Ok(line)
}

/// Plain text, with the remarks that it does not show on top.
fn text(template: &str, said: &Said<'_>, late: bool) -> Result<String, TemplateError> {
    let out = render(Part::Text, template, said, late, &str::to_owned)?;
    let mut remarks = said.facts.remarks(late);
    remarks.retain(|remark| !out.contains(remark));
    Ok(remarks.into_iter().map(|remark| format!("{remark}\n\n")).chain([out.clone()]).collect())
}

/// HTML in which everything that a name stands for is escaped, with the remarks that it does not show on top.
fn html(template: &str, said: &Said<'_>, late: bool) -> Result<String, TemplateError> {
    let mut out = render(Part::Html, template, said, late, &str::to_owned)?;
    let remarks = said.facts.remarks(late).into_iter().map(|remark| HtmlEscape(remark).to_string());
    let unseen: String =
        remarks.filter(|it| !out.contains(it)).map(|it| format!("<p><strong>{it}</strong></p>\n")).collect();
    out.insert_str(body_begins(&out), &unseen);
    Ok(out)
}

/// A picture that is not shown would come as an attachment that nobody asked for.
fn drop_unseen(email: &mut Email) {
    let Email { html, late_html, picture, .. } = email;
    let shown = |picture: &mut Picture| {
        let source = format!("cid:{}", picture.id);
        html.contains(&source) || late_html.contains(&source)
    };
    picture.take_if(|picture| !shown(picture));
}

/// Behind the tag that opens the body; at the very beginning where there is none, or where it is not clear which it is.
fn body_begins(html: &str) -> usize {
    let small = html.to_ascii_lowercase();
    let mut tags = small.match_indices("<body");
    match (tags.next(), tags.next()) {
        (Some((at, _)), None) => small.get(at..).and_then(|rest| rest.find('>')).map_or(0, |end| at + end + 1),
        _ => 0,
    }
}

fn render(
    part: Part,
    template: &str,
    said: &Said<'_>,
    late: bool,
    say: &dyn Fn(&str) -> String,
) -> Result<String, TemplateError> {
    let names = names::all(said, late, say, say);
    let out = rendered(&environment(part), template, Value::from(names), OUTPUT_MAX)?;
    let out = clean(&out, OUTPUT_MAX, true);
    if out.trim().is_empty() { Err(broken("nothing comes out of it".to_owned())) } else { Ok(out) }
}

/// The whole body, with the longest texts by which it holds the limits of its service.
fn webhook(template: &str, said: &Said<'_>, late: bool, format: Format) -> Result<String, TemplateError> {
    let Some(escape) = limits::escape(format) else { return Err(broken("its format has no such text".to_owned())) };
    let whole = |text: &str| hooks::fit(text, WHOLE_MAX, escape);
    let remarks = said.facts.remarks(late).into_iter().map(whole).collect::<Vec<_>>();
    let environment = environment(Part::Webhook);
    let mut why = String::new();
    for max in hooks::TEXT_MAX {
        let names = match format {
            Format::Generic => names::all(said, late, &str::to_owned, &whole),
            _ => names::all(said, late, &|text| hooks::fit(text, max, escape), &whole),
        };
        let out = rendered(&environment, template, Value::from(names), OUTPUT_MAX)?;
        let body: serde_json::Value = serde_json::from_str(&out).map_err(|error| {
            broken(format!("no JSON comes out of it: {error}; write {{{{ name | tojson }}}} without quotes"))
        })?;
        if let Some(unseen) = remarks.iter().find(|remark| !shows(&body, remark)) {
            return Err(broken(format!(
                "the body does not show the remark `{unseen}`: write `remarks`, as {{{{ remarks | tojson }}}}"
            )));
        }
        match limits::check(format, &body) {
            Ok(()) => return Ok(body.to_string()),
            Err(too_much) => why = too_much,
        }
    }
    Err(broken(why))
}

/// Whether a text stands in one of the strings.
fn shows(body: &serde_json::Value, text: &str) -> bool {
    match body {
        serde_json::Value::String(own) => own.contains(text),
        serde_json::Value::Array(items) => items.iter().any(|item| shows(item, text)),
        serde_json::Value::Object(fields) => fields.values().any(|item| shows(item, text)),
        _ => false,
    }
}

/// As [`template::environment`], and a line that is only a tag leaves no empty line behind.
fn environment(part: Part) -> Environment<'static> {
    let mut environment = template::environment();
    // Only delimiters could be refused, and these are the usual ones.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    match part {
        Part::Subject | Part::Text => {}
        Part::Html => {
            environment.set_auto_escape_callback(|_| AutoEscape::Html);
            // There is no way around the escaping: names of queues come from outside.
            environment.remove_filter("safe");
            environment.set_formatter(|out, state, value| match state.auto_escape() {
                AutoEscape::Html => minijinja::escape_formatter(out, state, value),
                _ => Err(Error::new(ErrorKind::InvalidOperation, "HTML is always escaped")),
            });
        }
        Part::Webhook => environment.add_filter("tojson", |value: Value| {
            serde_json::to_string(&value).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
        }),
    }
    environment
}

fn broken(message: String) -> TemplateError {
    TemplateError { line: None, column: None, message }
}

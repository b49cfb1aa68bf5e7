//! The mail of a gathering: what to do, then a table of its cases, the worst first, and how to acknowledge all of them.
//!
//! What a case says here is what its own mail would say ([`mail::facts`]), in a line. Which cases there are, and of what the
//! subject is made, is decided in `matrix::engine::gather`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::mail::{self, Acknowledge, Facts, Zone};
use super::template::TemplateError;
use super::{Context, Email, Missed, NAME_MAX, clean, html, thread, values, words};
use crate::domain::Millis;
use crate::matrix::engine::{Acknowledged, Gathered, Notification, Other, Reason, Transition};
use crate::matrix::{By, Language, Level};

/// So many cases are named; the rest are counted.
pub const NAMED_MAX: usize = 50;

/// So many different actions stand on top; the rest are counted.
const ACTIONS_MAX: usize = 3;

/// All that the mail says, in words.
struct Page<'f> {
    /// Of the whole: what comes late, what is real, whom it missed.
    facts: &'f Facts,
    level: Level,
    subject: String,
    actions: Vec<String>,
    action_failed: Option<TemplateError>,
    title: String,
    lines: Vec<Line>,
    /// What stands below the table: how many, and some of them in a line each.
    counts: Vec<(String, Vec<String>)>,
    acknowledge: Option<(&'static str, Acknowledge)>,
    foot: String,
}

/// A case.
struct Line {
    level: Level,
    level_word: &'static str,
    place: String,
    indicator: String,
    value: String,
    goal: String,
    since: String,
    /// Why it is told, where it did not simply go off, how old it is, and who has taken it up.
    notes: Vec<String>,
}

/// The mail, and why the first template of an action failed, if one did.
pub fn email(
    notification: &Notification,
    gathered: &Gathered,
    facts: &Facts,
    missed: Option<&Missed>,
    context: &Context<'_>,
) -> (Email, Option<TemplateError>) {
    let page = Page::of(notification, gathered, facts, missed, context);
    let email = Email {
        to: notification.address.clone(),
        thread: thread(notification, context.domain, missed.is_some()),
        list_id: mail::list_id(&notification.transition.matrix, context),
        text: page.text(false),
        html: page.html(false),
        late_text: page.text(true),
        late_html: page.html(true),
        subject: page.subject,
        picture: None,
    };
    (email, page.action_failed)
}

impl<'f> Page<'f> {
    fn of(
        notification: &Notification,
        gathered: &Gathered,
        facts: &'f Facts,
        missed: Option<&Missed>,
        context: &Context<'_>,
    ) -> Page<'f> {
        let matrix = &notification.transition.matrix;
        let (language, zone) = (matrix.language, Zone::of(matrix, notification.time));
        // How to acknowledge is said once, for all.
        let alone = Context { acknowledging: None, board: None, ..*context };
        let (mut lines, mut actions, mut action_failed) = (Vec::new(), Vec::<String>::new(), None);
        let mut ranges = BTreeSet::new();
        for notice in &gathered.notices {
            let new = ranges.insert((notice.transition.row, notice.transition.range, notice.level));
            let named = lines.len() < NAMED_MAX;
            // Those that are only counted say no more than what their range has to say.
            if !named && !new {
                continue;
            }
            let facts = mail::facts(notice, None, &alone);
            if named {
                lines.push(Line::of(notice, &facts, &zone));
            }
            actions.extend(facts.action.filter(|action| !actions.contains(action)));
            action_failed = action_failed.or(facts.action_failed);
        }
        let further = actions.len().saturating_sub(ACTIONS_MAX);
        actions.truncate(ACTIONS_MAX);
        actions.extend((further > 0).then(|| further_actions(language, further)));
        let rest = gathered.notices.iter().skip(NAMED_MAX).map(|notice| notice.level);
        let others = gathered.others.iter().map(|other| other.last.to);
        let before = gathered.others.iter().take(NAMED_MAX).map(|other| told_then(notification, other, &alone));
        let counts = [
            (by_level(language, beyond(language), rest), Vec::new()),
            (by_level(language, told_before(language), others), before.collect()),
        ];
        let mut title = cases(language, u32::try_from(gathered.notices.len()).unwrap_or(u32::MAX));
        if notification.sequence > 1 {
            // The subject says how many there are in all.
            title.push_str(in_this_mail(language));
        }
        Page {
            facts,
            level: gathered.entry.level,
            subject: subject(notification, gathered, missed, &alone),
            actions,
            action_failed,
            title,
            lines,
            counts: counts.into_iter().filter_map(|(count, which)| Some((count?, which))).collect(),
            acknowledge: acknowledge(notification, gathered, context),
            foot: format!(
                "{}: {} · {}: {} · {} {}",
                words::matrix(language),
                clean(&matrix.name, NAME_MAX, false),
                together(language),
                notification.incident,
                notification.sequence,
                clean(&notification.to, NAME_MAX, false),
            ),
        }
    }

    fn level_word(&self) -> &'static str {
        words::level(self.facts.language, self.level)
    }

    fn text(&self, late: bool) -> String {
        let language = self.facts.language;
        let mut out: Vec<String> = self.facts.remarks(late).into_iter().map(str::to_owned).collect();
        if !self.actions.is_empty() {
            out.push(format!("{}:\n{}", words::todo(language).to_uppercase(), self.actions.join("\n")));
        }
        let mut list = vec![format!("{} · {}", self.level_word(), self.title)];
        list.extend(self.lines.iter().map(Line::text));
        out.push(list.join("\n"));
        out.extend(self.counts.iter().map(|(count, which)| {
            let lines: Vec<&str> = std::iter::once(count).chain(which).map(String::as_str).collect();
            lines.join("\n")
        }));
        match &self.acknowledge {
            Some((what, Acknowledge::Link(link))) => out.push(format!("{what}:\n{link}")),
            Some((what, Acknowledge::Command(command))) => out.push(format!("{what}: {command}")),
            None => {}
        }
        out.extend(self.facts.board.as_ref().map(|board| format!("{}: {board}", words::board(language))));
        out.push(format!("-- \n{}\n", self.foot));
        out.join("\n\n")
    }

    fn html(&self, late: bool) -> String {
        let language = self.facts.language;
        let (ground, _) = html::colours(self.level);
        let mut out: String = self.facts.remarks(late).into_iter().map(|text| html::remark(text, ground)).collect();
        if !self.actions.is_empty() {
            let small = "margin:0;font-size:13px;letter-spacing:.04em;text-transform:uppercase;opacity:.75";
            out.push_str(&format!(
                "<div style=\"margin:0 0 16px;padding:4px 0 4px 14px;border-left:6px solid {ground}\">\n\
                 <p style=\"{small}\">{}</p>\n",
                html::escape(words::todo(language))
            ));
            for action in &self.actions {
                let action = html::escape(action).replace('\n', "<br>");
                out.push_str(&format!("<p style=\"margin:4px 0 0;font-size:18px;font-weight:600\">{action}</p>\n"));
            }
            out.push_str("</div>\n");
        }
        let (badge, title) = (html::badge(self.level, self.level_word()), html::escape(&self.title));
        out.push_str(&format!("<p style=\"margin:0 0 8px\">{badge} <strong>{title}</strong></p>\n"));
        out.push_str("<table style=\"width:100%;border-collapse:collapse;font-size:14px\">\n");
        out.extend(self.lines.iter().map(Line::html));
        out.push_str("</table>\n");
        for (count, which) in &self.counts {
            let which: String = which.iter().map(|one| format!("<br>\n{}", html::escape(one))).collect();
            out.push_str(&format!("<p style=\"margin:8px 0 0\">{}{which}</p>\n", html::escape(count)));
        }
        match &self.acknowledge {
            Some((what, Acknowledge::Link(link))) => out.push_str(&format!(
                "<p style=\"margin:12px 0 0\"><a href=\"{}\" style=\"font-weight:600\">{}</a></p>\n",
                html::escape(link),
                html::escape(what)
            )),
            Some((what, Acknowledge::Command(command))) => out.push_str(&format!(
                "<p style=\"margin:12px 0 0\">{}: <code>{}</code></p>\n",
                html::escape(what),
                html::escape(command)
            )),
            None => {}
        }
        out.extend(self.facts.board.as_ref().map(|url| html::board(url, language)));
        let foot = html::escape(&self.foot);
        out.push_str(&format!("<p style=\"margin:16px 0 0;font-size:12px;opacity:.75\">{foot}</p>\n"));
        html::frame(language, &self.subject, &out)
    }
}

impl Line {
    fn of(notice: &Notification, facts: &Facts, zone: &Zone) -> Line {
        let language = facts.language;
        let mut notes = Vec::new();
        if !matches!(notice.reason, Reason::Range | Reason::Recovered) {
            notes.push(words::why(language, notice.reason).to_owned());
        }
        if notice.level == Level::Ok {
            let length = (notice.transition.time - notice.since).as_seconds();
            notes.push(format!("{}: {}", words::lasted(language), values::duration(length, language, &[])));
        }
        if notice.time - notice.value_time >= Millis::MINUTE {
            notes.push(format!("{}: {}", words::value_last(language), zone.short(notice.value_time)));
        }
        if let Some(held) = notice.held_since {
            notes.push(format!("{}: {}", words::held_since(language), zone.short(held)));
        }
        if let Some(seen) = &notice.acknowledged {
            notes.push(seen_by(language, seen));
        }
        let goal =
            if facts.goal.is_empty() { String::new() } else { format!("{} {}", words::goal(language), facts.goal) };
        Line {
            level: facts.level,
            level_word: facts.level_word,
            place: facts.place.clone(),
            indicator: facts.indicator.clone(),
            value: facts.now.clone(),
            goal,
            since: format!("{} {}", words::since(language).to_lowercase(), zone.short(notice.since)),
            notes,
        }
    }

    fn text(&self) -> String {
        let goal = if self.goal.is_empty() { String::new() } else { format!(" ({})", self.goal) };
        let mut text = format!("{} · {} · {}: {}{goal}", self.level_word, self.place, self.indicator, self.value);
        for part in std::iter::once(&self.since).chain(&self.notes) {
            text.push_str(&format!(" · {part}"));
        }
        text
    }

    /// Two columns, since a telephone has no room for more; a name without a space breaks anywhere rather than push the value
    /// out of sight.
    fn html(&self) -> String {
        let cell = "padding:6px 0;border-top:1px solid #8888;vertical-align:top";
        let broken = "overflow-wrap:anywhere;word-break:break-word";
        let small = |text: &str| {
            format!("<span style=\"display:block;font-size:12px;opacity:.75\">{}</span>", html::escape(text))
        };
        let about = [&self.indicator, &self.goal, &self.since].map(String::as_str);
        let about = about.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ");
        let notes: String = self.notes.iter().map(|note| small(note)).collect();
        format!(
            "<tr><td style=\"{cell};{broken}\">{} <strong>{}</strong>{}{notes}</td>\
             <td style=\"{cell};padding-left:12px;text-align:right;white-space:nowrap\"><strong>{}</strong></td></tr>\n",
            html::badge(self.level, self.level_word),
            html::escape(&self.place),
            small(&about),
            html::escape(&self.value),
        )
    }
}

/// The level of the whole, how many cases, and the worst of them as it was when the level was taken. Of a single case, the
/// subject of its own mails.
fn subject(notification: &Notification, gathered: &Gathered, missed: Option<&Missed>, context: &Context<'_>) -> String {
    let entry = &gathered.entry;
    let facts = then(notification, &entry.worst, missed, context);
    if entry.cases == 1 {
        return facts.subject;
    }
    let language = facts.language;
    let goal =
        if facts.goal.is_empty() { String::new() } else { format!(" ({} {})", words::goal(language), facts.goal) };
    let more = and_more(language, entry.cases.saturating_sub(1));
    let queue = || match &entry.worst.key.queue {
        Some(queue) => clean(queue, NAME_MAX, false),
        None => words::all_queues(language).to_owned(),
    };
    let (place, indicator, value) = (&facts.place, &facts.indicator, &facts.entry);
    let what = match gathered.by {
        By::Row => format!("{place}{more} · {indicator} {value}{goal}"),
        By::Queue => format!("{} · {indicator} {value}{goal}{more}", queue()),
    };
    let mut subject = format!("{} · {} · {what}", words::level(language, entry.level), cases(language, entry.cases));
    if facts.test.is_some() {
        subject.insert_str(0, &format!("{} · ", words::test(language)));
    }
    if let Some(missed) = missed {
        let who = words::not_told(language, &clean(&missed.contact, NAME_MAX, false));
        subject.push_str(&format!(" · {who}"));
    }
    clean(&subject, mail::SUBJECT_MAX, false)
}

/// A case as it was when it took its level, told to whoever gets this mail.
fn then(notification: &Notification, last: &Arc<Transition>, missed: Option<&Missed>, context: &Context<'_>) -> Facts {
    let Notification { to, medium, address, .. } = notification;
    let first = Notification::first(last.clone(), to.clone(), *medium, address.clone());
    mail::facts(&first, missed, context)
}

/// A case that was told before, as the subject of its own mail has it, and who has taken it up.
fn told_then(notification: &Notification, other: &Other, context: &Context<'_>) -> String {
    let facts = then(notification, &other.last, None, &Context { test: false, ..*context });
    match &other.acknowledged {
        Some(seen) => format!("{} · {}", facts.subject, seen_by(facts.language, seen)),
        None => facts.subject,
    }
}

fn seen_by(language: Language, seen: &Acknowledged) -> String {
    format!("{}: {}", words::acknowledged_by(language), clean(&seen.by, NAME_MAX, false))
}

/// Nothing where there is nobody to acknowledge for: all are over, or somebody has them.
fn acknowledge(
    notification: &Notification,
    gathered: &Gathered,
    context: &Context<'_>,
) -> Option<(&'static str, Acknowledge)> {
    let by = context.acknowledging?;
    let free = |notice: &Notification| notice.level > Level::Ok && notice.acknowledged.is_none();
    if !gathered.notices.iter().any(free) && gathered.others.iter().all(|other| other.acknowledged.is_some()) {
        return None;
    }
    let language = notification.transition.matrix.language;
    Some(match by.link(&notification.incident, &notification.to, notification.time) {
        Some(link) => (acknowledge_link(language), Acknowledge::Link(link)),
        None => {
            let command = format!("atalaya ack {}", by.code(&notification.incident));
            (acknowledge_by(language), Acknowledge::Command(command))
        }
    })
}

/// `Siguen abiertos: CRÍTICO 3, ADVERTENCIA 2`: the worst first; nothing of none.
fn by_level(language: Language, what: &str, levels: impl Iterator<Item = Level>) -> Option<String> {
    let mut counts: BTreeMap<Level, u32> = BTreeMap::new();
    levels.for_each(|level| *counts.entry(level).or_default() += 1);
    let each = counts.iter().rev().map(|(level, count)| format!("{} {count}", words::level(language, *level)));
    (!counts.is_empty()).then(|| format!("{what}: {}", each.collect::<Vec<_>>().join(", ")))
}

/// A number of cases, as the mail and the page behind its link say it.
pub fn cases(language: Language, count: u32) -> String {
    match (language, count) {
        (Language::Es | Language::Pt, 1) => "1 caso".to_owned(),
        (Language::En, 1) => "1 case".to_owned(),
        (Language::Es | Language::Pt, count) => format!("{count} casos"),
        (Language::En, count) => format!("{count} cases"),
    }
}

fn and_more(language: Language, count: u32) -> String {
    match language {
        Language::Es => format!(" y {count} más"),
        Language::En => format!(" and {count} more"),
        Language::Pt => format!(" e mais {count}"),
    }
}

fn further_actions(language: Language, count: usize) -> String {
    match (language, count) {
        (Language::Es, 1) => "(y 1 acción más)".to_owned(),
        (Language::En, 1) => "(and 1 more action)".to_owned(),
        (Language::Pt, 1) => "(e mais 1 ação)".to_owned(),
        (Language::Es, count) => format!("(y {count} acciones más)"),
        (Language::En, count) => format!("(and {count} more actions)"),
        (Language::Pt, count) => format!("(e mais {count} ações)"),
    }
}

fn beyond(language: Language) -> &'static str {
    match language {
        Language::Es => "Además, en este correo",
        Language::En => "Besides, in this mail",
        Language::Pt => "Além disso, neste e-mail",
    }
}

fn in_this_mail(language: Language) -> &'static str {
    match language {
        Language::Es => " en este correo",
        Language::En => " in this mail",
        Language::Pt => " neste e-mail",
    }
}

fn told_before(language: Language) -> &'static str {
    match language {
        Language::Es => "Siguen abiertos, avisados antes",
        Language::En => "Still open, told before",
        Language::Pt => "Continuam abertos, avisados antes",
    }
}

fn together(language: Language) -> &'static str {
    match language {
        Language::Es => "Agrupación",
        Language::En => "Gathering",
        Language::Pt => "Agrupamento",
    }
}

fn acknowledge_link(language: Language) -> &'static str {
    match language {
        Language::Es => "Reconocer todos los casos de este hilo (enlace válido por 24 horas)",
        Language::En => "Acknowledge every case of this thread (link valid for 24 hours)",
        Language::Pt => "Reconhecer todos os casos desta conversa (link válido por 24 horas)",
    }
}

fn acknowledge_by(language: Language) -> &'static str {
    match language {
        Language::Es => "Para reconocer todos los casos de este hilo",
        Language::En => "To acknowledge every case of this thread",
        Language::Pt => "Para reconhecer todos os casos desta conversa",
    }
}

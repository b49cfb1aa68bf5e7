//! The facts of a notice in words, its subject and its text part. The HTML part says the same ([`super::html`]).

use crate::domain::{Key, Millis, Timestamp};
use crate::indicators::Unit;
use crate::matrix::engine::{Acknowledged, Notification, Reason};
use crate::matrix::{Language, Level, Matrix, Recipient};

use super::template::{self, Names, TemplateError};
use super::{
    Context, Email, Missed, NAME_MAX, Picture, action_of, around, chart, clean, html, notice_id, range_of, thread,
    values, words,
};

/// Longest subject in bytes before it is encoded.
pub const SUBJECT_MAX: usize = 240;

/// Everything that a mail says, in the matrix's language.
pub struct Facts {
    pub language: Language,
    pub level: Level,
    pub level_word: &'static str,
    pub place: String,
    pub indicator: String,
    /// The value that the subject tells: at entry.
    pub entry: String,
    /// The value now.
    pub now: String,
    pub goal: String,
    pub action: Option<String>,
    pub action_failed: Option<TemplateError>,
    /// What it has been until now, in words.
    pub trend: Option<around::Told>,
    /// Label and text of each further line, in the order of reading.
    pub lines: Vec<(&'static str, String)>,
    /// The same of what nobody needs at the first look.
    pub details: Vec<(&'static str, String)>,
    /// Whom it missed, on top.
    pub missed: Option<String>,
    /// That nothing of it is real, above all else.
    pub test: Option<&'static str>,
    /// That it may have been told before, on top.
    pub restarted: Option<&'static str>,
    /// The line on top of the same mail when it comes late.
    pub late: String,
    pub subject: String,
    pub board: Option<String>,
    /// The link that shows a button, or else what to type.
    pub acknowledge: Option<Acknowledge>,
    pub foot: String,
}

/// How the recipient acknowledges.
pub enum Acknowledge {
    Link(String),
    Command(String),
}

pub fn facts(notification: &Notification, missed: Option<&Missed>, context: &Context<'_>) -> Facts {
    let transition = &notification.transition;
    let matrix = &transition.matrix;
    let language = matrix.language;
    let selector = &transition.selector;
    let unit = selector.indicator.unit;
    let found = range_of(notification);
    let edges = found.map(|(row, _)| values::edges(row)).unwrap_or_default();
    let read = |value| match values::read(value, unit, language, &edges, words::no_data(language)) {
        count if transition.reason == Reason::Refused => words::defects(language, &count),
        text => text,
    };
    let goal = found.map(|(row, _)| values::bounds(&row.goal, unit, language)).unwrap_or_default();
    let zone = Zone::of(matrix, notification.time);
    let (action, action_failed) = action(notification, &read(notification.value), &goal, &zone, context);
    let mut facts = Facts {
        language,
        level: notification.level,
        level_word: words::level(language, notification.level),
        place: place(&transition.key, language),
        indicator: words::indicator(language, selector.indicator, &selector.labels, context.plan)
            + &transition.source.as_ref().map(|source| format!(": {}", name(source))).unwrap_or_default(),
        entry: read(transition.value),
        now: read(notification.value),
        goal,
        action,
        action_failed,
        trend: notification.trend.as_ref().and_then(|trend| around::trend(trend, unit, language, &zone)),
        lines: Vec::new(),
        details: details(notification, unit),
        missed: missed.map(|m| {
            words::missed(language, &name(&m.contact), words::medium(language, m.medium), &clean(&m.why, 300, false))
        }),
        test: context.test.then(|| words::test_notice(language)),
        restarted: context.restarted.then(|| words::restarted(language)),
        late: words::late(language, &zone.with_name(notification.time)),
        subject: String::new(),
        board: context.board.map(|url| clean(url, 500, false)),
        acknowledge: acknowledge(notification, context),
        foot: format!(
            "{}: {} · {}: {} · {} {}",
            words::matrix(language),
            name(&matrix.name),
            words::incident(language),
            name(&transition.incident),
            notification.sequence,
            name(&notification.to),
        ),
    };
    facts.lines = lines(notification, &facts, &zone, context);
    facts.subject = subject(&facts, missed);
    facts
}

impl Facts {
    /// What stands before everything else: a test, that it is late, stands in for another, may have been told before.
    pub fn remarks(&self, late: bool) -> Vec<&str> {
        let late = late.then_some(self.late.as_str());
        [self.test, late, self.missed.as_deref(), self.restarted].into_iter().flatten().collect()
    }

    /// Everything in words, for who sees no picture: trend, lines and details.
    pub fn told(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let trend = self.trend.iter().map(|trend| (words::trend(self.language), trend.line.as_str()));
        trend.chain(self.labelled())
    }

    /// Lines and details.
    pub fn labelled(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.lines.iter().chain(&self.details).map(|(label, text)| (*label, text.as_str()))
    }
}

pub fn email(notification: &Notification, facts: &Facts, missed: bool, context: &Context<'_>) -> Email {
    let picture = picture(notification, missed, context);
    let shown = picture.as_ref().map(|picture| picture.id.as_str());
    Email {
        to: notification.address.clone(),
        thread: thread(notification, context.domain, missed),
        list_id: list_id(&notification.transition.matrix, context),
        subject: facts.subject.clone(),
        text: text(facts, false),
        html: html::page(facts, shown, false),
        late_text: text(facts, true),
        late_html: html::page(facts, shown, true),
        picture,
    }
}

/// The trend as it can be drawn. Its id is unique to the notice, as a `Content-ID` has to be.
pub(super) fn picture(notification: &Notification, missed: bool, context: &Context<'_>) -> Option<Picture> {
    let trend = notification.trend.clone().filter(|trend| chart::can_draw(trend))?;
    let (matrix, row) = (notification.transition.matrix.clone(), notification.transition.row);
    let hash = xxhash_rust::xxh3::xxh3_128(notice_id(notification, missed).as_bytes());
    Some(Picture { id: format!("trend-{hash:032x}@{}", context.domain), trend, matrix, row })
}

/// The list of a matrix, by which mail programs can sort.
pub fn list_id(matrix: &Matrix, context: &Context<'_>) -> String {
    let list = clean(&matrix.name, 60, false).to_ascii_lowercase();
    let label: String = list.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("{label}.atalaya.{}", context.domain)
}

/// Local time of a matrix, with the name of its zone.
pub fn when(matrix: &Matrix, at: Timestamp) -> String {
    Zone::of(matrix, at).with_name(at)
}

/// Level, place, indicator, value at entry, goal. Made of the transition alone, so it is the same while the level lasts.
fn subject(facts: &Facts, missed: Option<&Missed>) -> String {
    let mut subject = format!("{} · {} · {} {}", facts.level_word, facts.place, facts.indicator, facts.entry);
    if facts.test.is_some() {
        subject.insert_str(0, &format!("{} · ", words::test(facts.language)));
    }
    if !facts.goal.is_empty() {
        subject.push_str(&format!(" ({} {})", words::goal(facts.language), facts.goal));
    }
    if let Some(missed) = missed {
        subject.push_str(&format!(" · {}", words::not_told(facts.language, &name(&missed.contact))));
    }
    clean(&subject, SUBJECT_MAX, false)
}

fn text(facts: &Facts, late: bool) -> String {
    let mut out = String::new();
    let mut paragraph = |text: &str| {
        if !text.is_empty() {
            out.push_str(text);
            out.push_str("\n\n");
        }
    };
    facts.remarks(late).into_iter().for_each(&mut paragraph);
    if let Some(action) = &facts.action {
        paragraph(&format!("{}:\n{action}", words::todo(facts.language).to_uppercase()));
    }
    paragraph(&format!("{} · {}\n{}", facts.level_word, facts.place, headline(facts)));
    let lines: Vec<String> = facts.told().map(|(label, text)| format!("{label}: {text}")).collect();
    paragraph(&lines.join("\n"));
    match &facts.acknowledge {
        Some(Acknowledge::Link(link)) => paragraph(&format!(
            "{} ({}):\n{link}",
            words::acknowledge_link(facts.language),
            words::link_holds(facts.language)
        )),
        Some(Acknowledge::Command(command)) => {
            paragraph(&format!("{}: {command}", words::acknowledge_by(facts.language)));
        }
        None => {}
    }
    if let Some(board) = &facts.board {
        paragraph(&format!("{}: {board}", words::board(facts.language)));
    }
    format!("{out}-- \n{}\n", facts.foot)
}

/// Indicator, value at entry and goal.
pub fn headline(facts: &Facts) -> String {
    match facts.goal.is_empty() {
        true => format!("{}: {}", facts.indicator, facts.entry),
        false => format!("{}: {} ({} {})", facts.indicator, facts.entry, words::goal(facts.language), facts.goal),
    }
}

fn lines(
    notification: &Notification,
    facts: &Facts,
    zone: &Zone,
    context: &Context<'_>,
) -> Vec<(&'static str, String)> {
    let language = facts.language;
    let transition = &notification.transition;
    let over = notification.level == Level::Ok;
    let mut lines = Vec::new();
    // A repeat while no value comes tells the last one, and how old it is.
    let old = notification.time - notification.value_time >= Millis::MINUTE;
    if old {
        lines.push((
            words::value_last(language),
            format!("{} ({})", facts.now, zone.with_name(notification.value_time)),
        ));
    } else if facts.now != facts.entry {
        lines.push((words::value_now(language), facts.now.clone()));
    }
    if let Some(held) = notification.held_since {
        lines.push((words::held_since(language), zone.with_name(held)));
    }
    lines.push((words::since(language), zone.with_name(notification.since)));
    if over {
        let length = (transition.time - notification.since).as_seconds();
        lines.push((words::lasted(language), values::duration(length, language, &[])));
    }
    lines.push((words::reason(language), words::why(language, notification.reason).to_owned()));
    lines.extend(notification.around.iter().flat_map(|around| around::lines(around, language)));
    if let Some(samples) = values::samples(notification.samples, transition.selector.indicator.samples, language) {
        lines.push((words::samples(language), samples));
    }
    if let Some(window) = transition.selector.window.and_then(|index| context.plan.windows.get(index)) {
        lines.push((words::window(language), words::window_of(language, window)));
    }
    let others: Vec<String> =
        notification.told.iter().filter(|who| **who != notification.to).map(|who| name(who)).collect();
    let others = if others.is_empty() { words::nobody_else(language).to_owned() } else { others.join(", ") };
    lines.push((words::told(language), others));
    if let Some(seen) = &notification.acknowledged {
        lines.push((words::acknowledged_by(language), seen_by(seen, language, zone)));
    }
    if !notification.silenced.is_empty() {
        lines.push((words::silenced(language), silenced(notification, language, zone, context)));
    }
    let next = if over { Vec::new() } else { next(notification, zone) };
    if !next.is_empty() {
        lines.push((words::next(language), next.join("; ")));
    }
    lines
}

fn details(notification: &Notification, unit: Unit) -> Vec<(&'static str, String)> {
    let transition = &notification.transition;
    let (language, indicator) = (transition.matrix.language, transition.selector.indicator);
    let range = range_of(notification).and_then(|(_, range)| range);
    let range = range.map(|range| (words::range(language), values::bounds(&range.bounds, unit, language)));
    let measures = (words::measures(language), format!("{}: {}", indicator.name, indicator.about()));
    range.into_iter().chain([measures]).collect()
}

/// Nothing once it is over or while somebody has it, and nothing of what is no case of the engine.
fn acknowledge(notification: &Notification, context: &Context<'_>) -> Option<Acknowledge> {
    let by = context.acknowledging?;
    if notification.level == Level::Ok || notification.acknowledged.is_some() || context.says.is_some() {
        return None;
    }
    let link = by.link(&notification.incident, &notification.to, notification.time);
    let command = || Acknowledge::Command(format!("atalaya ack {}", by.code(&notification.incident)));
    Some(link.map_or_else(command, Acknowledge::Link))
}

/// `ana, hasta 14:30 (America/Bogota): dos agentes en camino`.
pub fn seen_by(seen: &Acknowledged, language: Language, zone: &Zone) -> String {
    wanted_by(&seen.by, seen.until, &seen.why, language, zone)
}

/// Who wants that there be silence, until when and why; of one that is not known its id.
fn silenced(notification: &Notification, language: Language, zone: &Zone, context: &Context<'_>) -> String {
    let told = notification.silenced.iter().map(|id| match context.silences.iter().find(|silence| silence.id == *id) {
        Some(silence) => wanted_by(&silence.who, silence.until, &silence.why, language, zone),
        None => name(id),
    });
    told.collect::<Vec<_>>().join("; ")
}

fn wanted_by(who: &str, until: Timestamp, why: &str, language: Language, zone: &Zone) -> String {
    let why = if why.is_empty() { String::new() } else { format!(": {}", clean(why, 300, false)) };
    format!("{}, {} {}{why}", name(who), words::until(language), zone.with_name(until))
}

/// The escalation steps that have not come yet, with their times, and the next repeat: as it is if nothing stops the timers.
fn next(notification: &Notification, zone: &Zone) -> Vec<String> {
    let transition = &notification.transition;
    let language = transition.matrix.language;
    let Some((_, Some(range))) = range_of(notification) else { return Vec::new() };
    let (ran, decided) = (notification.ran, notification.held_since.unwrap_or(notification.time));
    if notification.acknowledged.is_some() && !(range.escalate.is_empty() && range.repeat.is_none()) {
        return vec![words::rests(language).to_owned()];
    }
    // From a worse level a step tells only whom nothing has told yet.
    let improved = transition.to < transition.from;
    let heard = |recipient: &Recipient| improved && notification.told.contains(&recipient.contact);
    let mut next = Vec::new();
    for step in range.escalate.iter().filter(|step| step.after > ran) {
        let at = decided + (step.after - ran);
        let tell: Vec<String> = step.tell.iter().filter(|one| !heard(one)).map(|one| name(&one.contact)).collect();
        if at > notification.time && !tell.is_empty() {
            next.push(words::escalates(language, &zone.short(at), &tell.join(", ")));
        }
    }
    if let Some(every) = range.repeat.filter(|every| *every > Millis::ZERO) {
        // Those that passed while the notice waited went elsewhere.
        let since = ran - notification.muted + (notification.time - decided);
        let at = notification.time + (every - Millis(since.0.rem_euclid(every.0)));
        next.push(words::repeats(language, &zone.short(at), &values::duration(every.as_seconds(), language, &[])));
    }
    next
}

/// The action's text. A template that fails now, though it was proved when the matrix was taken, gives its raw text:
/// half an instruction is better than none.
fn action(
    notification: &Notification,
    value: &str,
    goal: &str,
    zone: &Zone,
    context: &Context<'_>,
) -> (Option<String>, Option<TemplateError>) {
    if let Some(says) = context.says {
        return (Some(clean(says, template::LENGTH_MAX, true)), None);
    }
    if notification.transition.source.is_some() && notification.level > Level::Ok {
        return (Some(words::feed_action(notification.transition.matrix.language).to_owned()), None);
    }
    let Some(action) = action_of(notification) else { return (None, None) };
    let names = names(notification, value, goal, zone, context);
    let raw = || clean(action, template::LENGTH_MAX, true);
    match template::render(action, &names) {
        Ok(text) if text.trim().is_empty() => (None, None),
        Ok(text) => (Some(text.trim().to_owned()), None),
        Err(error) => (Some(raw()), Some(error)),
    }
}

/// What templates may name, told of a notification whose value reads `value`.
pub(super) fn names(notification: &Notification, value: &str, goal: &str, zone: &Zone, context: &Context<'_>) -> Names {
    let transition = &notification.transition;
    let language = transition.matrix.language;
    let window = transition.selector.window.and_then(|index| context.plan.windows.get(index));
    Names {
        value: value.to_owned(),
        value_raw: notification.value,
        goal: goal.to_owned(),
        level: notification.level.name(),
        queue: transition.key.queue.as_deref().map_or_else(|| words::all_queues(language).to_owned(), name),
        channel: transition.key.channel.as_deref().map_or_else(|| words::all_channels(language).to_owned(), name),
        indicator: transition.selector.indicator.name.to_owned(),
        window: window.map(|window| window.label.to_string()).unwrap_or_default(),
        samples: notification.samples,
        matrix: name(&transition.matrix.name),
        range: transition.range_text().map(|text| text.to_string()).unwrap_or_default(),
        since: zone.short(notification.since),
        incident: name(&transition.incident),
    }
}

fn name(name: &str) -> String {
    clean(name, NAME_MAX, false)
}

pub fn place(key: &Key, language: Language) -> String {
    match (&key.queue, &key.channel) {
        (Some(queue), Some(channel)) => format!("{} · {}", name(queue), name(channel)),
        (Some(queue), None) => format!("{} · {}", name(queue), words::all_channels(language)),
        (None, Some(channel)) => format!("{} · {}", words::all_queues(language), name(channel)),
        (None, None) => words::everything(language).to_owned(),
    }
}

/// Local times of a matrix, told from one instant: of another day they carry their date.
pub struct Zone {
    zone: jiff::tz::TimeZone,
    today: jiff::civil::Date,
}

impl Zone {
    pub fn of(matrix: &Matrix, now: Timestamp) -> Self {
        Zone { zone: matrix.zone.clone(), today: now.in_zone(&matrix.zone).date() }
    }

    pub fn short(&self, at: Timestamp) -> String {
        let local = at.in_zone(&self.zone);
        let format = if local.date() == self.today { "%H:%M" } else { "%Y-%m-%d %H:%M" };
        local.strftime(format).to_string()
    }

    pub(super) fn with_name(&self, at: Timestamp) -> String {
        format!("{} ({})", self.short(at), self.zone.iana_name().unwrap_or("UTC"))
    }
}

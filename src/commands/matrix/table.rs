//! A matrix as the table that people know: indicator, goal, ranges of results, level, action, who. Words and figures are
//! those of the mails, in the language of the matrix.

use crate::domain::{Globs, Millis, Shift};
use crate::indicators::Labels;
use crate::matrix::{Bounds, By, Contact, Duty, Language, Level, Matrix, Medium, NoData, Per, Range, Recipient, Row};
use crate::notice::{values, words};
use crate::plan::{Plan, Window};

/// One matrix.
#[derive(Debug)]
pub(super) struct Table {
    pub language: Language,
    pub name: String,
    /// Facts above the table: what, and what it is.
    pub about: Vec<(&'static str, String)>,
    pub head: [&'static str; 5],
    pub groups: Vec<Group>,
}

/// One row of the matrix.
#[derive(Debug)]
pub(super) struct Group {
    /// What is watched: the first line is its name.
    pub indicator: Vec<String>,
    pub goal: String,
    pub lines: Vec<Line>,
}

/// One range.
#[derive(Debug)]
pub(super) struct Line {
    pub level: Level,
    pub level_word: &'static str,
    pub range: Vec<String>,
    pub action: String,
    pub who: Vec<String>,
}

const fn pick(language: Language, es: &'static str, en: &'static str, pt: &'static str) -> &'static str {
    match language {
        Language::Es => es,
        Language::En => en,
        Language::Pt => pt,
    }
}

impl Table {
    pub fn of(matrix: &Matrix, plan: &Plan) -> Table {
        let language = matrix.language;
        let word = |es, en, pt| pick(language, es, en, pt);
        let mut about = vec![(word("Archivo", "File", "Arquivo"), matrix.file.to_string())];
        about.push((word("Zona", "Zone", "Fuso"), matrix.zone.iana_name().unwrap_or("UTC").to_owned()));
        if let Some(owner) = &matrix.owner {
            about.push((word("Responsable", "Owner", "Responsável"), recipient(owner)));
        }
        let contacts = matrix.contacts.iter().map(|(name, contact)| format!("{name} ({})", reached(contact, language)));
        about.push((word("Contactos", "Contacts", "Contatos"), contacts.collect::<Vec<_>>().join(", ")));
        let head = [
            word("Indicador", "Indicator", "Indicador"),
            word("Objetivo", "Goal", "Meta"),
            word("Resultado", "Result", "Resultado"),
            word("Acción", "Action", "Ação"),
            word("A quién", "Who", "Quem"),
        ];
        let groups = matrix.rows.iter().map(|row| group(row, language, plan)).collect();
        Table { language, name: matrix.name.to_string(), about, head, groups }
    }
}

fn group(row: &Row, language: Language, plan: &Plan) -> Group {
    let word = |es, en, pt| pick(language, es, en, pt);
    let threshold = row.threshold.and_then(|within| plan.threshold_index(within));
    let labels = Labels { threshold, state: row.state, stage: row.stage, clock: row.clock, ..Labels::default() };
    let mut indicator = vec![words::indicator(language, row.indicator, &labels, plan)];
    if let Some(kind) = row.window {
        indicator.push(words::window_of(language, &Window { label: "".into(), kind }));
    }
    if let Some(treatment) = row.treatment.filter(|treatment| *treatment != Default::default()) {
        indicator.push(treatment.name().to_owned());
    }
    indicator.push(place(row, language));
    if let Some(shifts) = &row.calendar.shifts {
        indicator.push(hours(shifts, language));
    }
    if row.min_samples > 0.0
        && let Some(least) = values::samples(row.min_samples, row.indicator.samples, language)
    {
        indicator.push(format!(
            "{} {least} {}",
            word("desde", "from", "desde"),
            word("muestras", "samples", "amostras")
        ));
    }
    if let Some(group) = row.group {
        let by = match group.by {
            By::Row => word("un correo por fila de la matriz", "one mail for the row", "um e-mail por linha da matriz"),
            By::Queue => word("un correo por cola", "one mail for each queue", "um e-mail por fila"),
        };
        indicator.push(format!("{by}, {} {}", word("espera", "waits", "espera"), group.wait));
    }
    let mut lines: Vec<Line> = row.ranges.iter().map(|range| line(row, range, language)).collect();
    if let NoData::Raise { level, hold, tell, action } = &row.no_data {
        lines.push(Line {
            level: *level,
            level_word: words::level(language, *level),
            range: range_text(words::no_data(language).to_owned(), *hold, language),
            action: action.as_deref().unwrap_or_default().to_owned(),
            who: vec![names(tell)],
        });
    }
    Group { indicator, goal: bounds(&row.goal, row, language), lines }
}

fn line(row: &Row, range: &Range, language: Language) -> Line {
    let word = |es, en, pt| pick(language, es, en, pt);
    let length =
        |length: Millis| values::read(Some(length.as_seconds()), crate::indicators::Unit::Seconds, language, &[], "");
    let mut who = vec![names(&range.tell)];
    for step in &range.escalate {
        who.push(format!("{} {}: {}", word("a los", "after", "após"), length(step.after), names(&step.tell)));
    }
    if let Some(every) = range.repeat {
        who.push(format!("{} {}", word("se repite cada", "repeated every", "repete-se a cada"), length(every)));
    }
    who.retain(|who| !who.is_empty());
    Line {
        level: range.level,
        // The word of a subject says that it is over; a table says that it is well.
        level_word: if range.level == Level::Ok { "OK" } else { words::level(language, range.level) },
        range: range_text(bounds(&range.bounds, row, language), range.hold, language),
        action: range.action.as_deref().unwrap_or_default().trim().to_owned(),
        who,
    }
}

fn range_text(values: String, hold: Millis, language: Language) -> Vec<String> {
    let mut lines = vec![values];
    if hold > Millis::ZERO {
        let length = values::read(Some(hold.as_seconds()), crate::indicators::Unit::Seconds, language, &[], "");
        lines.push(format!("{} {length}", pick(language, "durante", "for", "por")));
    }
    lines
}

fn bounds(bounds: &Bounds, row: &Row, language: Language) -> String {
    values::bounds(bounds, row.indicator.unit, language)
}

/// `reclamos, soporte, !vip / facebook`, and which cases the row makes of it.
pub(super) fn place(row: &Row, language: Language) -> String {
    let list = |globs: &Globs, any: &str| match globs.is_any() {
        true => any.to_owned(),
        false => globs.patterns().collect::<Vec<_>>().join(", "),
    };
    let queues = list(&row.scope.queue, pick(language, "cada cola", "each queue", "cada fila"));
    let channels = list(&row.scope.channel, pick(language, "cada canal", "each channel", "cada canal"));
    match row.per {
        Per::Pair => format!("{queues} / {channels}"),
        Per::Queue => format!("{queues} / {}", words::all_channels(language)),
        Per::Channel => format!("{} / {channels}", words::all_queues(language)),
        Per::All => words::everything(language).to_owned(),
    }
}

/// How a contact is reached: its media, or who is on duty when.
pub(super) fn reached(contact: &Contact, language: Language) -> String {
    let hook = contact.webhook.as_ref().map(|hook| format!("webhook {hook}"));
    let duty = |duty: &Duty| {
        let shifts = duty.calendar.shifts.as_deref().unwrap_or_default();
        format!("{}: {}", duty.contact, hours(shifts, language))
    };
    let rota = contact.rota.iter().map(duty);
    let shifts = contact.quiet.as_ref().and_then(|quiet| quiet.shifts.as_deref());
    let quiet =
        shifts.map(|shifts| format!("{} {}", pick(language, "silencio", "quiet", "silêncio"), hours(shifts, language)));
    contact.email.iter().map(ToString::to_string).chain(hook).chain(rota).chain(quiet).collect::<Vec<_>>().join(", ")
}

/// `mon-fri 07:00-13:00, 14:00-22:00; sat 08:00-02:00`, days of equal hours together.
pub(super) fn hours(shifts: &[Shift], language: Language) -> String {
    const DAYS: [[&str; 7]; 3] = [
        ["lun", "mar", "mié", "jue", "vie", "sáb", "dom"],
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        ["seg", "ter", "qua", "qui", "sex", "sáb", "dom"],
    ];
    let [es, en, pt] = DAYS;
    let names = match language {
        Language::Es => es,
        Language::En => en,
        Language::Pt => pt,
    };
    let clock = |minute: u16| match minute {
        1440 => "24:00".to_owned(),
        minute => format!("{:02}:{:02}", minute % 1440 / 60, minute % 60),
    };
    let of_day = |day: usize| {
        let own = shifts.iter().filter(|shift| usize::from(shift.day.to_monday_zero_offset().unsigned_abs()) == day);
        own.map(|shift| format!("{}-{}", clock(shift.from), clock(shift.to))).collect::<Vec<_>>().join(", ")
    };
    let mut spans: Vec<(&str, &str, String)> = Vec::new();
    for (day, name) in names.iter().enumerate() {
        let open = of_day(day);
        match spans.last_mut() {
            Some((_, last, same)) if *same == open => *last = name,
            _ => spans.push((name, name, open)),
        }
    }
    spans.retain(|(.., open)| !open.is_empty());
    let shown = spans.iter().map(|(first, last, open)| match first == last {
        true => format!("{first} {open}"),
        false => format!("{first}-{last} {open}"),
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() {
        pick(language, "nunca abre", "never open", "nunca abre").to_owned()
    } else {
        shown.join("; ")
    }
}

/// `lead, desk.webhook`.
pub(super) fn names(tell: &[Recipient]) -> String {
    tell.iter().map(recipient).collect::<Vec<_>>().join(", ")
}

fn recipient(recipient: &Recipient) -> String {
    let medium = recipient.medium.map(|medium| match medium {
        Medium::Email => ".email",
        Medium::Webhook => ".webhook",
    });
    format!("{}{}", recipient.contact, medium.unwrap_or_default())
}

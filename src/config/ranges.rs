//! The ranges of a row: what is said of each, and what its `no_data` and `recover` say.

use super::bounds::{self, Placed};
use super::contacts::Contacts;
use super::node::{Kind, Node};
use super::reader::{Fields, Mark, Report, duration, list, text, word};
use super::texts::Writing;
use crate::domain::Millis;
use crate::indicators::Indicator;
use crate::matrix::{Level, NoData, Range, Recipient, Recover, Step};

const LEVELS: [(&str, Level); 4] =
    [("ok", Level::Ok), ("info", Level::Info), ("warning", Level::Warning), ("critical", Level::Critical)];

/// The keys of a range.
pub(super) const KEYS: [&str; 7] = ["when", "level", "for", "tell", "action", "escalate", "repeat"];

/// What ranges need of the matrix around them.
pub(super) struct Around<'a> {
    pub contacts: &'a mut Contacts,
    pub writing: &'a Writing<'a>,
}

/// What a range says beside its bounds and level.
pub(super) struct Said {
    hold: Millis,
    tell: Vec<Recipient>,
    action: Option<std::sync::Arc<str>>,
    escalate: Vec<Step>,
    repeat: Option<Millis>,
}

impl Placed<'_, Said> {
    pub fn into_range(self) -> Range {
        let Said { hold, tell, action, escalate, repeat } = self.rest;
        Range { bounds: self.bounds, level: self.level, hold, tell, action, escalate, repeat }
    }
}

/// One item of `ranges`. `None` where its values or level cannot be known: then the row's are not checked together.
/// Without an indicator the values cannot be read, and everything else is checked all the same.
pub(super) fn read<'n>(
    node: &'n Node,
    indicator: Option<&Indicator>,
    window: Option<Millis>,
    around: &mut Around<'_>,
    report: &mut Report,
) -> Option<Placed<'n, Said>> {
    let fields = Fields::new(node, "a range", &KEYS, report)?;
    let when = fields.require("when", "write the values it is for: when: \"30m .. 45m\"", report);
    let bounds = when.zip(indicator).and_then(|(node, indicator)| bounds::read(node, "when", indicator, report));
    let level = fields.require("level", "one of `ok`, `info`, `warning`, `critical`", report);
    let level = level.and_then(|node| word(node, "level", &LEVELS, report));

    let hold = fields.get("for").and_then(|node| duration(node, "for", Millis::ZERO, report)).unwrap_or_default();
    if let (Some(window), Some(node)) = (window, fields.get("for"))
        && hold > window
    {
        let what = format!("`for` of {hold} is longer than the row's window of {window}");
        report.warning(node.at, what, "what began it has left the window by then");
    }
    let tell = around.contacts.tell(fields.get("tell"), "tell", report);
    let action = fields.get("action").and_then(|node| around.writing.templates.read(node, "action", report));
    let escalate = fields.get("escalate").map(|node| steps(node, around.contacts, report)).unwrap_or_default();
    let repeat = fields.get("repeat").and_then(|node| duration(node, "repeat", Millis::SECOND, report));

    match level {
        Some(Level::Ok) => {
            for key in ["for", "tell", "escalate", "repeat"] {
                if let Some(node) = fields.get(key) {
                    let what = format!("`{key}` of an `ok` range does nothing");
                    report.warning(node.at, what, "who was told of an incident is told that it is over");
                }
            }
        }
        Some(Level::Warning | Level::Critical) => {
            if let Some(at) = tells_nobody(&fields) {
                report.warning(at, "nobody is told of this range", "name contacts in `tell`");
            }
        }
        _ => {}
    }
    Some(Placed { node: when?, bounds: bounds?, level: level?, rest: Said { hold, tell, action, escalate, repeat } })
}

/// The place to say that nobody is told, where `tell` is left out or an empty list.
fn tells_nobody(fields: &Fields<'_>) -> Option<Mark> {
    match fields.get("tell") {
        None => Some(fields.at),
        Some(Node { at, kind: Kind::List(items) }) if items.is_empty() => Some(*at),
        Some(_) => None,
    }
}

fn steps(node: &Node, contacts: &mut Contacts, report: &mut Report) -> Vec<Step> {
    let mut steps = Vec::new();
    for item in list(node, report) {
        let Some(fields) = Fields::new(&item, "a step of `escalate`", &["after", "tell"], report) else { continue };
        let after = fields.require("after", "write how long after the level was taken: after: 10m", report);
        let after = after.and_then(|node| duration(node, "after", Millis::SECOND, report));
        let tell = contacts.tell(fields.require("tell", "write whom to tell: tell: [manager]", report), "tell", report);
        if fields.get("tell").is_some()
            && let Some(at) = tells_nobody(&fields)
        {
            report.warning(at, "nobody is told in this step of `escalate`", "name contacts in `tell`");
        }
        if let Some(after) = after {
            steps.push(Step { after, tell });
        }
    }
    steps.sort_by_key(|step| step.after);
    steps
}

/// `recover: { margin: 2m, for: 1m }`.
pub(super) fn recover<T>(
    node: &Node,
    indicator: &Indicator,
    ranges: &[Placed<'_, T>],
    report: &mut Report,
) -> Option<Recover> {
    let fields = Fields::new(node, "`recover`", &["margin", "for"], report)?;
    let mut recover = Recover::default();
    if let Some(hold) = fields.get("for").and_then(|node| duration(node, "for", Millis::ZERO, report)) {
        recover.hold = hold;
    }
    if let Some(node) = fields.get("margin")
        && let Some(written) = text(node, "margin", report)
    {
        match bounds::value(written, indicator) {
            Ok(margin) if margin >= 0.0 => {
                bounds::check_margin(margin, node, ranges, indicator, report);
                recover.margin = margin;
            }
            Ok(_) => report.error(node.at, format!("margin `{written}` is negative"), ""),
            Err((what, hint)) => report.error(node.at, format!("margin: {what}"), hint),
        }
    }
    Some(recover)
}

/// `keep`, `ok`, `alert`, or `{ level, for, tell, action }`.
pub(super) fn no_data(node: &Node, around: &mut Around<'_>, report: &mut Report) -> NoData {
    let owner: Vec<Recipient> = around.contacts.owner.iter().cloned().collect();
    if !matches!(node.kind, Kind::Map(_)) {
        #[derive(Clone, Copy)]
        enum Word {
            Keep,
            Ok,
            Alert,
        }
        let words = [("keep", Word::Keep), ("ok", Word::Ok), ("alert", Word::Alert)];
        return match word(node, "no_data", &words, report) {
            Some(Word::Ok) => NoData::Ok,
            Some(Word::Alert) => {
                if owner.is_empty() {
                    let what = "`no_data: alert` tells the owner, and there is none";
                    report.warning(node.at, what, "name an `owner`, or write { level: warning, tell: [...] }");
                }
                NoData::Raise { level: Level::Warning, hold: Millis::ZERO, tell: owner, action: None }
            }
            Some(Word::Keep) | None => NoData::Keep,
        };
    }
    let Some(fields) = Fields::new(node, "`no_data`", &["level", "for", "tell", "action"], report) else {
        return NoData::Keep;
    };
    let levels = LEVELS.get(1..).unwrap_or_default();
    NoData::Raise {
        level: fields.get("level").and_then(|node| word(node, "level", levels, report)).unwrap_or(Level::Warning),
        hold: fields.get("for").and_then(|node| duration(node, "for", Millis::ZERO, report)).unwrap_or_default(),
        tell: match fields.get("tell") {
            Some(node) => around.contacts.tell(Some(node), "tell", report),
            None => owner,
        },
        action: fields.get("action").and_then(|node| around.writing.templates.read(node, "action", report)),
    }
}

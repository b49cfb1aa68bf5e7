//! What differs between two matrices, in words. What is compared is the meaning: layout, comments, order of keys, `88%`
//! for `0.88` and a default that is written out are no difference.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::table::{hours, names, place, reached};
use crate::domain::{Globs, Millis};
use crate::indicators::Clock;
use crate::matrix::{Bounds, Contact, Language, Level, Matrix, NoData, Part, Range, Row, Texts};
use crate::notice::values;
use crate::plan::Plan;

/// Everything that differs; empty if nothing does.
pub(super) fn sets(old: &[Arc<Matrix>], new: &[Arc<Matrix>]) -> String {
    let mut out = String::new();
    if let ([old], [new]) = (old, new) {
        // Two files are two states of one matrix, whatever they call it.
        return matrices(old, new);
    }
    for before in old {
        match new.iter().find(|after| after.name == before.name) {
            Some(after) => out.push_str(&matrices(before, after)),
            None => out.push_str(&format!("- matrix {} is gone: {} rows\n", before.name, before.rows.len())),
        }
    }
    for after in new.iter().filter(|after| !old.iter().any(|before| before.name == after.name)) {
        out.push_str(&format!("+ matrix {} is new: {} rows\n", after.name, after.rows.len()));
    }
    out
}

/// What the numbers of a running service would have to be counted by anew: it refuses such matrices until it is restarted.
/// Empty if there is nothing of that kind.
pub(super) fn counted(old: &Plan, new: &Plan) -> String {
    let all = |plan: &Plan| -> Vec<String> {
        let windows = plan.windows.iter().map(|window| format!("window {}", window.label));
        let places = |globs: &Globs| match globs.is_any() {
            true => "any channel".to_owned(),
            false => globs.patterns().collect::<Vec<_>>().join(", "),
        };
        let extra = &plan.extra_thresholds;
        let thresholds = extra.iter().map(|(globs, within)| format!("threshold {within} of {}", places(globs)));
        let clock = Clock::Open.name();
        let clocks = plan.open_scopes.iter().map(|globs| format!("clock {clock} of {}", places(globs)));
        windows.chain(thresholds).chain(clocks).collect()
    };
    let (old, new) = (all(old), all(new));
    let missing = |of: &[String], other: &[String], how: &str| -> Vec<String> {
        of.iter().filter(|one| !other.contains(one)).map(|one| format!("{one} {how}")).collect()
    };
    [missing(&new, &old, "is new"), missing(&old, &new, "is gone")].concat().join(", ")
}

fn matrices(old: &Matrix, new: &Matrix) -> String {
    let mut lines: Vec<String> = Vec::new();
    change(&mut lines, "name", &old.name, &new.name);
    change(&mut lines, "language", &code(old.language), &code(new.language));
    let zone = |matrix: &Matrix| matrix.zone.iana_name().unwrap_or("UTC").to_owned();
    change(&mut lines, "time_zone", &zone(old), &zone(new));
    let owner = |matrix: &Matrix| some(names(matrix.owner.as_slice()));
    change(&mut lines, "owner", &owner(old), &owner(new));
    texts(&mut lines, "", &old.texts, &new.texts);
    contacts(old, new, &mut lines);

    let pairs = pair(&old.rows, &new.rows);
    let new_titles = titles(&new.rows);
    let mut changed: Vec<(&str, Vec<String>)> = Vec::new();
    for (before, after) in &pairs {
        let (before, row, title) = (old.rows.get(*before), new.rows.get(*after), new_titles.get(*after));
        let (Some(before), Some(row), Some(title)) = (before, row, title) else { continue };
        changed.push((title, rows(before, row)));
    }
    // What changed alike in all rows was changed in one place, the head of the file.
    let common: Vec<String> = match changed.split_first() {
        Some(((_, first), rest)) if !rest.is_empty() => {
            first.iter().filter(|line| rest.iter().all(|(_, lines)| lines.contains(line))).cloned().collect()
        }
        _ => Vec::new(),
    };
    lines.extend(common.iter().map(|line| format!("every row: {line}")));
    for (title, own) in changed {
        let own: Vec<String> = own.into_iter().filter(|line| !common.contains(line)).collect();
        if !own.is_empty() {
            lines.push(title.to_owned());
            lines.extend(own.iter().flat_map(|line| line.lines()).map(|line| format!("  {line}")));
        }
    }
    let (before, after): (BTreeSet<usize>, BTreeSet<usize>) = pairs.iter().copied().unzip();
    for (index, (row, title)) in old.rows.iter().zip(titles(&old.rows)).enumerate() {
        lines.extend((!before.contains(&index)).then(|| format!("- row {title} is gone: {}", summary(row))));
    }
    for (index, (row, title)) in new.rows.iter().zip(&new_titles).enumerate() {
        lines.extend((!after.contains(&index)).then(|| format!("+ row {title} is new: {}", summary(row))));
    }
    if lines.is_empty() {
        return String::new();
    }
    let body: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    format!("{}\n{body}", new.name)
}

fn contacts(old: &Matrix, new: &Matrix, lines: &mut Vec<String>) {
    let media = |contact: &Contact| reached(contact, Language::En);
    for (name, before) in &old.contacts {
        match new.contacts.get(name) {
            Some(after) => {
                change(lines, &format!("contact {name}"), &media(before), &media(after));
                texts(lines, &format!("contact {name}: "), &before.texts, &after.texts);
            }
            None => lines.push(format!("- contact {name} is gone ({})", media(before))),
        }
    }
    for (name, after) in new.contacts.iter().filter(|(name, _)| !old.contacts.contains_key(*name)) {
        lines.push(format!("+ contact {name} is new ({})", media(after)));
    }
}

/// Indices of the rows that are the same row before and after: by everything that makes their cases, then by less. Of
/// several alike the first goes with the first.
pub(in crate::commands) fn pair(old: &[Row], new: &[Row]) -> Vec<(usize, usize)> {
    let open = |row: &Row| row.calendar.shifts.as_deref().map(|shifts| hours(shifts, Language::En));
    let here = |row: &Row| place(row, Language::En);
    let labels = |row: &Row| (row.threshold, row.state, row.stage, row.per);
    // What two rows have in common that are taken for the same, from the strictest on.
    let stages: [&dyn Fn(&Row) -> String; 5] = [
        &|row| format!("{:?}", (row.words(), here(row), open(row))),
        &|row| format!("{:?}", (row.words(), here(row))),
        &|row| row.words(),
        &|row| format!("{} {:?}", row.indicator.name, labels(row)),
        &|row| row.indicator.name.to_owned(),
    ];
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    let mut left: [BTreeMap<usize, &Row>; 2] = [old, new].map(|rows| rows.iter().enumerate().collect());
    for identity in stages {
        let [before, after] = &mut left;
        let mut free: BTreeMap<String, VecDeque<usize>> = BTreeMap::new();
        for (index, row) in after.iter() {
            free.entry(identity(row)).or_default().push_back(*index);
        }
        before.retain(|index, row| {
            let Some(found) = free.get_mut(&identity(row)).and_then(VecDeque::pop_front) else { return true };
            pairs.push((*index, found));
            after.remove(&found);
            false
        });
    }
    pairs.sort_by_key(|(_, after)| *after);
    pairs
}

/// Of each row its words, and its place where others have the same words.
pub(in crate::commands) fn titles(rows: &[Row]) -> Vec<String> {
    let all: Vec<String> = rows.iter().map(Row::words).collect();
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    all.iter().for_each(|words| *times.entry(words).or_default() += 1);
    let alone = |words: &str| times.get(words) == Some(&1);
    let title = |(row, words): (&Row, &String)| match alone(words) {
        true => words.clone(),
        false => format!("{words} ({})", place(row, Language::En)),
    };
    rows.iter().zip(&all).map(title).collect()
}

/// `goal < 30m; 30m .. 45m warning, >= 45m critical`.
fn summary(row: &Row) -> String {
    let bad = row.ranges.iter().filter(|range| range.level != Level::Ok);
    let ranges: Vec<String> = bad.map(|range| format!("{} {}", range.bounds.text, range.level.name())).collect();
    format!("goal {}; {}", row.goal.text, ranges.join(", "))
}

fn rows(old: &Row, new: &Row) -> Vec<String> {
    let mut lines = Vec::new();
    change(&mut lines, "watches", &old.words(), &new.words());
    change(&mut lines, "scope", &place(old, Language::En), &place(new, Language::En));
    let open =
        |row: &Row| row.calendar.shifts.as_deref().map_or("always".to_owned(), |shifts| hours(shifts, Language::En));
    change(&mut lines, "hours", &open(old), &open(new));
    change(&mut lines, "settle", &old.settle.to_string(), &new.settle.to_string());
    if !same(&old.goal, &new.goal) {
        change(&mut lines, "goal", &old.goal.text, &new.goal.text);
    }
    let least = |row: &Row| values::samples(row.min_samples, row.indicator.samples, Language::En).unwrap_or_default();
    change(&mut lines, "min_samples", &least(old), &least(new));
    let margin = |row: &Row| values::read(Some(row.recover.margin), row.indicator.unit, Language::En, &[], "");
    change(&mut lines, "recover.margin", &margin(old), &margin(new));
    change(&mut lines, "recover.for", &old.recover.hold.to_string(), &new.recover.hold.to_string());
    change(&mut lines, "no_data", &no_data(&old.no_data), &no_data(&new.no_data));
    texts(&mut lines, "", &old.texts, &new.texts);
    let group =
        |row: &Row| row.group.map_or("none".to_owned(), |group| format!("by {}, wait {}", group.by.name(), group.wait));
    change(&mut lines, "group", &group(old), &group(new));
    change(&mut lines, "ack_for", &old.ack_for.to_string(), &new.ack_for.to_string());
    let flapping = |row: &Row| format!("{} changes within {}", row.flapping.changes, row.flapping.within);
    change(&mut lines, "flapping", &flapping(old), &flapping(new));
    all_ranges(&old.ranges, &new.ranges, &mut lines);
    lines
}

/// Which of the own texts are others; they are too long to be shown in a list of differences.
fn texts(lines: &mut Vec<String>, whose: &str, old: &Texts, new: &Texts) {
    for part in Part::ALL {
        let how = match (old.get(part), new.get(part)) {
            (None, Some(_)) => "is new",
            (Some(_), None) => "is gone",
            (before, after) if before != after => "is another",
            _ => continue,
        };
        lines.push(format!("{whose}texts.{} {how}", part.name()));
    }
}

fn no_data(no_data: &NoData) -> String {
    match no_data {
        NoData::Keep => "keep".to_owned(),
        NoData::Ok => "ok".to_owned(),
        NoData::Raise { level, hold, tell, action } => {
            let action = action.as_ref().map(|action| format!(", action {action:?}")).unwrap_or_default();
            format!("{} for {hold}, tells {}{action}", level.name(), some(names(tell)))
        }
    }
}

/// Ranges of equal values are the same range; of what is left those of equal level, in their order.
fn all_ranges(old: &[Range], new: &[Range], lines: &mut Vec<String>) {
    let mut before: Vec<&Range> = old.iter().collect();
    let mut pairs: Vec<(Option<&Range>, &Range)> = new.iter().map(|after| (None, after)).collect();
    type Alike<'a> = &'a dyn Fn(&Range, &Range) -> bool;
    let alike: [Alike<'_>; 2] = [&|a, b| same(&a.bounds, &b.bounds), &|a, b| a.level == b.level];
    for alike in alike {
        for (found, after) in pairs.iter_mut().filter(|(found, _)| found.is_none()) {
            if let Some(index) = before.iter().position(|before| alike(before, after)) {
                *found = Some(before.remove(index));
            }
        }
    }
    for gone in before {
        lines.push(format!("- range {} ({}) is gone", gone.bounds.text, gone.level.name()));
    }
    for (before, after) in pairs {
        match before {
            Some(before) => range(before, after, lines),
            None => {
                let told = some(names(&after.tell));
                let (text, level) = (&after.bounds.text, after.level.name());
                lines.push(format!("+ range {text} ({level}, for {}, tells {told}) is new", after.hold));
            }
        }
    }
}

fn range(old: &Range, new: &Range, lines: &mut Vec<String>) {
    let mut own = Vec::new();
    if !same(&old.bounds, &new.bounds) {
        change(&mut own, "values", &old.bounds.text, &new.bounds.text);
    }
    change(&mut own, "level", &old.level.name(), &new.level.name());
    change(&mut own, "for", &old.hold.to_string(), &new.hold.to_string());
    let missing = |of: &Range, other: &Range| {
        names(&of.tell.iter().filter(|who| !other.tell.contains(who)).cloned().collect::<Vec<_>>())
    };
    let (more, less) = (missing(new, old), missing(old, new));
    own.extend((!more.is_empty()).then(|| format!("also tells {more}")));
    own.extend((!less.is_empty()).then(|| format!("no longer tells {less}")));
    change(&mut own, "escalation", &steps(old), &steps(new));
    let every = |repeat: Option<Millis>| repeat.map_or("never".to_owned(), |every| format!("every {every}"));
    change(&mut own, "repeat", &every(old.repeat), &every(new.repeat));
    let action = |range: &Range| range.action.as_deref().unwrap_or("none").trim().to_owned();
    if action(old) != action(new) {
        own.push(format!("action:\n    - {}\n    + {}", action(old), action(new)));
    }
    if !own.is_empty() {
        let head = format!("{} ({})", new.bounds.text, new.level.name());
        lines.extend(own.into_iter().map(|line| format!("{head}: {line}")));
    }
}

fn steps(range: &Range) -> String {
    let steps = range.escalate.iter().map(|step| format!("after {} {}", step.after, some(names(&step.tell))));
    some(steps.collect::<Vec<_>>().join(", "))
}

/// The same values, however they are written.
fn same(a: &Bounds, b: &Bounds) -> bool {
    (a.low, a.high) == (b.low, b.high)
}

fn change(lines: &mut Vec<String>, what: &str, old: &impl AsRef<str>, new: &impl AsRef<str>) {
    let (old, new) = (old.as_ref(), new.as_ref());
    if old != new {
        lines.push(format!("{what}: {old} -> {new}"));
    }
}

fn some(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}

fn code(language: Language) -> &'static str {
    match language {
        Language::Es => "es",
        Language::En => "en",
        Language::Pt => "pt",
    }
}

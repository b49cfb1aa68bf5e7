//! A set of matrix files -> compiled matrices and the plan with their windows and thresholds, or every defect at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Config;
use super::contacts::{self, Contacts, Known};
use super::diagnostics::{Diagnostic, Severity};
use super::group;
use super::hours;
use super::lint;
use super::node::{self, Kind, Node};
use super::ranges::Around;
use super::reader::{Fields, Mark, Report, list, text, word};
use super::row::{self, Defaults, ReadRow};
use super::same_case;
use super::scopes::{Scopes, is_literal};
use super::template::Templates;
use super::texts::{self, Writing};
use crate::domain::{Globs, Millis};
use crate::indicators::{Clock, Label};
use crate::matrix::contacts::MAILS_PER_HOUR;
use crate::matrix::{ACK_FOR, Language, Matrix, Medium, Per, Recipient, Row};
use crate::plan::{Plan, Window, WindowKind};

/// What a set of files compiles to.
#[derive(Clone, Debug)]
pub struct MatrixSet {
    pub matrices: Vec<Arc<Matrix>>,
    /// The configuration's plan, or the default one, with what the rows name besides.
    pub plan: Arc<Plan>,
    pub warnings: Vec<Diagnostic>,
    /// Of the files' names and texts, and of the calendars': says which set is in force.
    pub hash: String,
}

pub(super) const LANGUAGES: [(&str, Language); 3] = [("es", Language::Es), ("en", Language::En), ("pt", Language::Pt)];

pub(super) const KEYS: [&str; 15] = [
    "version",
    "name",
    "language",
    "time_zone",
    "owner",
    "scope",
    "contacts",
    "hours",
    "ack_for",
    "flapping",
    "group",
    "mails_per_hour",
    "texts",
    "rows",
    "reports",
];

/// Compiles `files` (name and text each). Without a configuration any webhook's name is accepted, and the defaults of
/// the plan stand. The defects are in the order of the files, lines and columns, warnings among them.
pub fn matrices(files: &[(String, String)], config: Option<&Config>) -> Result<MatrixSet, Vec<Diagnostic>> {
    compile(files, config, config.is_some())
}

/// As [`matrices`], where nobody wrote a configuration: `defaults` are the built-in ones under the environment. What
/// they do not name, webhooks and an owner, may stand in the configuration that the matrices will run with.
pub fn matrices_alone(files: &[(String, String)], defaults: &Config) -> Result<MatrixSet, Vec<Diagnostic>> {
    compile(files, Some(defaults), false)
}

/// `written`: the configuration is somebody's own, so that what it does not name does not exist.
fn compile(files: &[(String, String)], config: Option<&Config>, written: bool) -> Result<MatrixSet, Vec<Diagnostic>> {
    let mut plan = config.map(|config| config.plan.clone()).unwrap_or_default();
    let mut all = Vec::new();
    let mut reports = Vec::new();
    let mut names: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
    for (file, text) in files {
        let mut report = Report::new(file);
        if let Some(root) = node::parse(text, &mut report)
            && let Some(read) = matrix(&root, file, (config, written), &plan, &mut report)
        {
            let (name, at) = (read.matrix.name.clone(), read.name_at);
            if let Some(other) = names.insert(name.clone(), file.as_str().into()) {
                report.error(
                    at,
                    format!("duplicate name `{name}`: {other} has it too"),
                    "each matrix has its own name",
                );
            }
            all.push((read, reports.len()));
        }
        reports.push(report);
    }
    let known = knows_channels(config);
    let own = plan.windows.iter().filter(|window| is_sliding(window)).count();
    for (read, index) in &all {
        if let Some(report) = reports.get_mut(*index) {
            extend(&mut plan, known, &read.rows, report);
        }
    }
    in_order(&mut plan, own);
    let failed = reports.iter().any(|report| report.errors() > 0);
    let mut said: Vec<Diagnostic> = reports.into_iter().flat_map(Report::finish).collect();
    if failed {
        return Err(said);
    }
    said.retain(|diagnostic| diagnostic.severity == Severity::Warning);
    let matrices = all.into_iter().map(|(read, _)| Arc::new(read.finish())).collect();
    let calendars = config.map(|config| config.calendars.as_slice()).unwrap_or_default();
    Ok(MatrixSet { matrices, plan: Arc::new(plan), warnings: said, hash: hash(files.iter().chain(calendars)) })
}

/// Whether the plan says what holds in a channel, or defects of the configuration leave it open.
fn knows_channels(config: Option<&Config>) -> bool {
    config.is_none_or(|config| !config.unknown.channels)
}

/// Of names and texts: says which files they are.
pub fn hash<'f>(files: impl IntoIterator<Item = &'f (String, String)>) -> String {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    for (name, text) in files {
        for part in [name, text] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
    }
    format!("{:016x}", hasher.digest())
}

/// A matrix whose rows still have their places.
struct ReadMatrix {
    matrix: Matrix,
    name_at: Mark,
    rows: Vec<ReadRow>,
}

impl ReadMatrix {
    fn finish(mut self) -> Matrix {
        self.matrix.rows = self.rows.into_iter().map(|read| read.row).collect();
        self.matrix
    }
}

/// `None` only where nothing of it can be read; a matrix with defects is read to its end for the sake of the others.
fn matrix(
    root: &Node,
    file: &str,
    (config, written): (Option<&Config>, bool),
    plan: &Plan,
    report: &mut Report,
) -> Option<ReadMatrix> {
    if is_configuration(root) {
        report.error(root.at, "this is a configuration, not a matrix", "give it with `-c`");
        return None;
    }
    // A key given twice, and the like: of that the tree holds a part only.
    let damaged = report.errors() > 0;
    let fields = Fields::new(root, "a matrix", &KEYS, report)?;
    if let Some(node) = fields.require("version", "write `version: 1`", report)
        && let Some(written) = text(node, "version", report).filter(|written| &***written != "1")
    {
        report.error(node.at, format!("`version: {written}` is not known"), "write `version: 1`");
    }
    let (name, name_at) = name(&fields, file, report);
    let language = fields.get("language").and_then(|node| word(node, "language", &LANGUAGES, report));
    let zone = fields.get("time_zone").and_then(|node| hours::zone(node, report)).unwrap_or_else(|| plan.zone.clone());

    let webhooks: Option<BTreeSet<&str>> = config
        .filter(|config| written && !config.unknown.names)
        .map(|config| config.webhooks.keys().map(String::as_str).collect());
    let mails_per_hour = contacts::mails_per_hour(&fields, report).unwrap_or(MAILS_PER_HOUR);
    let language = language.or(config.map(|config| config.language)).unwrap_or_default();
    let formats = config.map(Config::formats).unwrap_or_default();
    let templates = Templates::new();
    let writing = Writing { templates: &templates, language, formats: &formats };
    let known = Known { webhooks: webhooks.as_ref(), zone: &zone, mails_per_hour, writing: &writing };
    let mut contacts = Contacts::read(fields.get("contacts"), known, report);
    let own_owner = fields.get("owner").and_then(|node| contacts.recipient(node, "owner", report));
    contacts.owner = own_owner.or_else(|| configured_owner(config, &mut contacts));
    if written && fields.get("owner").is_none() && contacts.owner.is_none() {
        let hint = "name a contact as `owner`, or an `owner` in the configuration";
        report.warning(fields.at, "nobody owns this matrix: nobody is told when a notice cannot be delivered", hint);
    }

    let mut scopes = Scopes::default();
    let defaults = Defaults {
        scope: fields.get("scope").map(|node| scopes.read(node, report)).unwrap_or_default(),
        shifts: fields.get("hours").map(|node| hours::read(node, report)),
        zone: zone.clone(),
        holidays: config.map(|config| config.holidays.clone()).unwrap_or_default(),
        ack_for: row::ack_for(&fields, report).unwrap_or(ACK_FOR),
        flapping: row::flapping(&fields, report).unwrap_or_default(),
        group: group::read(&fields, report).flatten(),
    };
    let own_texts = texts::shared(&fields, contacts.all.values(), &writing, report);
    let rows =
        rows(&fields, &defaults, &mut scopes, &mut Around { contacts: &mut contacts, writing: &writing }, report);
    let of_channels = Some(plan).filter(|_| knows_channels(config));
    same_case::check(&rows, of_channels, report);
    lint::check(&rows, plan, of_channels, report);
    group::warn_of_late_criticals(&rows, fields.get("group").map(|node| node.at), report);
    if let Some(node) = fields.get("reports") {
        reports(node, &mut contacts, report);
    }
    contacts.unsure |= damaged;
    contacts.warn_unused(root, report);

    let matrix = Matrix {
        file: file.into(),
        name,
        language,
        zone,
        owner: contacts.owner.take(),
        contacts: contacts.all,
        texts: own_texts,
        rows: Vec::new(),
    };
    Some(ReadMatrix { matrix, name_at, rows })
}

/// The keys of a configuration that no matrix has, and none of those that every matrix has.
fn is_configuration(root: &Node) -> bool {
    const ONLY: [&str; 8] = ["kafka", "sources", "smtp", "http", "webhooks", "agent_states", "matrices", "channels"];
    let has = |key: &&str| root.entries().iter().any(|entry| *entry.key == **key);
    ONLY.iter().any(has) && !has(&"rows") && !has(&"version")
}

fn name(fields: &Fields<'_>, file: &str, report: &mut Report) -> (Arc<str>, Mark) {
    if let Some(node) = fields.get("name") {
        return match text(node, "name", report) {
            Some(name) => (name.clone(), node.at),
            None => (file.into(), node.at),
        };
    }
    // Not an error: a file that says nothing wrong must not be refused for what its path says as well.
    let base = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let stem = base.rsplit_once('.').map_or(base, |(stem, _)| stem);
    report.warning(fields.at, format!("a matrix without `name` has that of its file: `{stem}`"), "write `name:`");
    (stem.into(), fields.at)
}

/// The configuration's owner becomes a contact of the matrix, unless the name is taken.
fn configured_owner(config: Option<&Config>, contacts: &mut Contacts) -> Option<Recipient> {
    let owner = config?.owner.clone()?;
    let contact: Arc<str> = if contacts.all.contains_key("owner") { "owner (configuration)" } else { "owner" }.into();
    contacts.all.insert(contact.clone(), owner);
    Some(Recipient { contact, medium: None })
}

fn rows(
    fields: &Fields<'_>,
    defaults: &Defaults,
    scopes: &mut Scopes,
    around: &mut Around<'_>,
    report: &mut Report,
) -> Vec<ReadRow> {
    let Some(node) = fields.require("rows", "write at least one row", report) else {
        around.contacts.unsure = true;
        return Vec::new();
    };
    match &node.kind {
        Kind::List(items) if !items.is_empty() => {
            items.iter().filter_map(|item| row::read(item, defaults, scopes, around, report)).collect()
        }
        _ => {
            report.error(node.at, "`rows` must be a list of at least one row", "- indicator: asa");
            around.contacts.unsure = true;
            Vec::new()
        }
    }
}

/// Scheduled reports are checked and not sent by this version, which says so.
fn reports(node: &Node, contacts: &mut Contacts, report: &mut Report) {
    let media = [("email", Medium::Email), ("webhook", Medium::Webhook)];
    for item in list(node, report) {
        let keys = ["name", "every", "tell", "medium", "attach"];
        let Some(fields) = Fields::new(&item, "a report", &keys, report) else { continue };
        if let Some(node) = fields.require("name", "", report) {
            text(node, "name", report);
        }
        if let Some(node) = fields.require("every", "a cron line, as \"0 22 * * mon-sat\"", report)
            && let Some(written) = text(node, "every", report).filter(|written| !is_cron(written))
        {
            let hint = "minute, hour, day of the month, month, day of the week: \"0 22 * * mon-sat\"";
            report.error(node.at, format!("`{written}` is not a cron line"), hint);
        }
        contacts.tell(fields.require("tell", "write whom to send it to", report), "tell", report);
        if let Some(node) = fields.get("medium") {
            word(node, "medium", &media, report);
        }
        if let Some(node) = fields.get("attach") {
            word(node, "attach", &[("csv", ()), ("none", ())], report);
        }
        report.warning(item.at, "scheduled reports are checked and not sent by this version", "");
    }
}

/// Five fields, each a list of `*`, numbers or names, ranges and steps, with the numbers in their bounds.
fn is_cron(text: &str) -> bool {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let limits: [(u32, u32, &[&str]); 5] = [(0, 59, &[]), (0, 23, &[]), (1, 31, &[]), (1, 12, &MONTHS), (0, 7, &DAYS)];
    let fields: Vec<&str> = text.split_whitespace().collect();
    fields.len() == limits.len()
        && fields.iter().zip(limits).all(|(field, (least, greatest, names))| {
            let one = |s: &str| {
                let named = names.iter().any(|name| name.eq_ignore_ascii_case(s));
                named || s.parse::<u32>().is_ok_and(|n| (least..=greatest).contains(&n))
            };
            field.split(',').all(|item| {
                let (span, step) = item.split_once('/').map_or((item, "1"), |(span, step)| (span, step));
                let fits = span == "*" || span.split_once('-').map_or_else(|| one(span), |(a, b)| one(a) && one(b));
                fits && step.parse::<u32>().is_ok_and(|n| n > 0)
            })
        })
}

/// Adds the windows and thresholds that rows name to the plan. `known`: what channels list is.
fn extend(plan: &mut Plan, known: bool, rows: &[ReadRow], report: &mut Report) {
    let mut labels: Vec<(String, Millis)> = plan.thresholds.iter().map(|t| (t.label.to_string(), t.within)).collect();
    for read in rows {
        if let Some((label, kind)) = &read.window
            && plan.window_index(*kind).is_none()
        {
            // Sliding windows stand before the named ones.
            let place = plan.windows.iter().position(|window| !is_sliding(window)).unwrap_or(plan.windows.len());
            plan.windows.insert(place, Window { label: label.clone(), kind: *kind });
        }
        let row = &read.row;
        if row.clock == Clock::Open {
            keep_open_clock(plan, &row.scope.channel);
        }
        let (Some(within), Some((label, at))) = (row.threshold, &read.threshold) else {
            if known {
                warn_of_default_threshold(read, plan, report);
            }
            continue;
        };
        let globs = unmeasured(plan, row, within);
        if globs.is_empty() {
            continue;
        }
        let expected = !known || is_listed(plan, row, within);
        plan.extra_thresholds.extend(globs.into_iter().map(|globs| (globs, within)));
        if plan.threshold_index(within).is_none() {
            labels.push((label.to_string(), within));
            plan.set_thresholds(labels.iter().cloned());
        }
        if !expected {
            let what = format!(
                "threshold `{label}` is in no `service_level` of the channels in scope: it is measured for this row"
            );
            report.warning(*at, what, "list it under `channels` of the configuration to keep it in the histories");
        }
    }
}

fn is_sliding(window: &Window) -> bool {
    matches!(window.kind, WindowKind::Sliding(_))
}

/// What rows add does not depend on their order: a running service takes rows that have only changed places. The `own` sliding
/// windows of the configuration stay in the order of its list.
fn in_order(plan: &mut Plan, own: usize) {
    let added = plan.windows.iter().skip(own).take_while(|window| is_sliding(window)).count();
    if let Some(added) = plan.windows.get_mut(own..own + added) {
        added.sort_by_key(|window| match window.kind {
            WindowKind::Sliding(length) => length,
            WindowKind::Interval | WindowKind::LastInterval | WindowKind::Today => Millis::ZERO,
        });
    }
    let patterns = |globs: &Globs| globs.patterns().collect::<Vec<_>>();
    plan.extra_thresholds.sort_by_cached_key(|(globs, within)| (patterns(globs), *within));
    plan.open_scopes.sort_by_cached_key(patterns);
}

/// Has the desk's clock kept in the channels of a row, where it is not yet.
fn keep_open_clock(plan: &mut Plan, channels: &Globs) {
    let kept = is_named(channels) && channels.literals().all(|channel| plan.open_time_of(channel).is_some());
    let asked = plan.open_scopes.iter().any(|scope| scope.patterns().eq(channels.patterns()));
    if !kept && !asked {
        plan.open_scopes.push(channels.clone());
    }
}

/// Over channels there is no first threshold of the channel: what is taken instead is rarely what was meant.
fn warn_of_default_threshold(read: &ReadRow, plan: &Plan, report: &mut Report) {
    let row = &read.row;
    let per = match row.per {
        Per::Queue => "queue",
        Per::All => "all",
        Per::Pair | Per::Channel => return,
    };
    if !row.indicator.labels.contains(&Label::Threshold) {
        return;
    }
    let taken = plan.default_threshold(None).and_then(|index| plan.thresholds.get(index));
    let Some(taken) = taken.map(|threshold| &threshold.label) else { return };
    let name = row.indicator.name;
    let what =
        format!("`{name}` with `per: {per}` and without `threshold` takes {taken}, and only channels that list it");
    report.warning(read.at, what, "name the one that is meant, as threshold: 20s");
}

/// Whether the row's threshold stands in the lists of its channels: in that of each that it names, and with a pattern in
/// that of one kind of channel that fits.
fn is_listed(plan: &Plan, row: &Row, within: Millis) -> bool {
    let measures = |channel: &str| measures(plan, channel, within);
    let channels = &row.scope.channel;
    if !channels.literals().all(measures) {
        return false;
    }
    if is_named(channels) {
        return true;
    }
    let known = plan.channels.keys().map(String::as_str).chain(["voice", "chat", "email", "facebook"]);
    known.filter(|name| channels.matches(name)).any(measures)
}

/// The channels of a row for which nothing measures its threshold yet. Of a pattern that is not known, because channels
/// that nobody named may come.
fn unmeasured(plan: &Plan, row: &Row, within: Millis) -> Vec<Globs> {
    let channels = &row.scope.channel;
    if is_named(channels) {
        let names = channels.literals().filter(|name| !measures(plan, name, within));
        return names.filter_map(|name| Globs::new([name]).ok()).collect();
    }
    let same = |globs: &Globs| globs.patterns().eq(channels.patterns());
    let asked = plan.extra_thresholds.iter().any(|(globs, other)| *other == within && same(globs));
    if asked { Vec::new() } else { vec![channels.clone()] }
}

/// Whether there is no pattern in it, so that its literals are all its channels.
fn is_named(channels: &Globs) -> bool {
    let mut patterns = channels.patterns().filter(|pattern| !pattern.starts_with('!')).peekable();
    patterns.peek().is_some() && patterns.all(|pattern| is_literal(&pattern))
}

fn measures(plan: &Plan, channel: &str, within: Millis) -> bool {
    plan.threshold_index(within).is_some_and(|index| plan.channel(channel).thresholds.contains(&index))
}

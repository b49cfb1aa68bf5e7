//! `backtest --against PATH`: the same events through two sets of matrices, and what each would have told whom.
//!
//! Rows are held side by side as `atalaya matrix diff` does, so that a row whose window or goal was edited is one line.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use super::{Backtest, Format, past, play, read_events};
use crate::commands::matrix::diff;
use crate::commands::{Failure, say, setup};
use crate::domain::{Millis, Timestamp};
use crate::matrix::engine::Tick;
use crate::matrix::{Level, Matrix, Medium};
use crate::pipeline::Replay;

/// How often something happened, and when first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Count {
    times: u64,
    first: Option<Timestamp>,
}

impl Count {
    fn add(&mut self, time: Timestamp) {
        self.times += 1;
        self.first.get_or_insert(time);
    }
}

/// What a row did, or what reached a person.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    /// Incidents that began.
    alerts: Count,
    mails: Count,
    webhooks: Count,
}

/// Of one set of matrices: by matrix, row and, within it, person; the row itself stands under no person.
#[derive(Debug)]
struct Seen {
    counts: BTreeMap<Place, Counts>,
    /// What was before or after does not count.
    shown: Range<Timestamp>,
}

/// Matrix, row, person.
type Place = (Arc<str>, usize, Option<Arc<str>>);

impl Seen {
    fn new(shown: Range<Timestamp>) -> Seen {
        Seen { counts: BTreeMap::new(), shown }
    }

    fn note(&mut self, tick: &Tick) {
        let shown = self.shown.clone();
        let begun = tick.transitions.iter().filter(|transition| transition.from == Level::Ok);
        for transition in begun.filter(|transition| shown.contains(&transition.time)) {
            let row = (transition.matrix.name.clone(), transition.row, None);
            self.counts.entry(row).or_default().alerts.add(transition.time);
        }
        for notice in tick.notifications.iter().filter(|notice| shown.contains(&notice.time)) {
            let (matrix, row) = (notice.transition.matrix.name.clone(), notice.transition.row);
            for to in [None, Some(notice.to.clone())] {
                let counts = self.counts.entry((matrix.clone(), row, to)).or_default();
                match notice.medium {
                    Medium::Email => counts.mails.add(notice.time),
                    Medium::Webhook => counts.webhooks.add(notice.time),
                }
            }
        }
    }

    fn of(&self, row: Option<&(Arc<str>, usize)>, to: Option<&Arc<str>>) -> Counts {
        let found = row.and_then(|(matrix, row)| self.counts.get(&(matrix.clone(), *row, to.cloned())));
        found.copied().unwrap_or_default()
    }

    fn people(&self, row: Option<&(Arc<str>, usize)>) -> impl Iterator<Item = &Arc<str>> {
        let of_row = move |key: &&Place| row.is_some_and(|row| (&key.0, key.1) == (&row.0, row.1));
        self.counts.keys().filter(of_row).filter_map(|(.., to)| to.as_ref())
    }

    /// Everything that reached a person.
    fn total(&self, to: &Arc<str>) -> Counts {
        let mut total = Counts::default();
        for (_, counts) in self.counts.iter().filter(|((.., who), _)| who.as_ref() == Some(to)) {
            for (sum, one) in [(&mut total.mails, counts.mails), (&mut total.webhooks, counts.webhooks)] {
                sum.times += one.times;
                sum.first = [sum.first, one.first].into_iter().flatten().min();
            }
        }
        total
    }
}

/// A line of the comparison. JSON has it as it is.
#[derive(Debug, Serialize)]
struct Line {
    kind: &'static str,
    /// `None` in the sums over all rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    matrix: Option<Arc<str>>,
    /// The row in words, as it is after, or as it was if it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<String>,
    /// `None` where it is about the row itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Arc<str>>,
    before: Figures,
    after: Figures,
}

#[derive(Debug, PartialEq, Serialize)]
struct Figures {
    /// Of a row; what reaches a person are notices.
    #[serde(skip_serializing_if = "Option::is_none")]
    alerts: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_alert: Option<Timestamp>,
    mails: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_mail: Option<Timestamp>,
    webhooks: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_webhook: Option<Timestamp>,
}

impl Figures {
    fn of(counts: Counts, row: bool) -> Figures {
        Figures {
            alerts: row.then_some(counts.alerts.times),
            first_alert: counts.alerts.first,
            mails: counts.mails.times,
            first_mail: counts.mails.first,
            webhooks: counts.webhooks.times,
            first_webhook: counts.webhooks.first,
        }
    }
}

pub(super) fn run(args: &Backtest) -> Result<(), Failure> {
    let before = setup::load(args.config.as_deref(), Some(&args.against), args.secrets())?;
    let after = setup::load(args.config.as_deref(), Some(&args.matrix), args.secrets())?;
    let stretch = past::Stretch::of(args, &[&after.set.plan, &before.set.plan])?;
    let mut old = Replay::new(before.set.plan.clone(), before.set.matrices.clone());
    let mut new = Replay::new(after.set.plan.clone(), after.set.matrices.clone());
    let shown = stretch.map_or(Timestamp::MIN..Timestamp::MAX, |stretch| stretch.from..stretch.to);
    let (mut old_seen, mut new_seen) = (Seen::new(shown.clone()), Seen::new(shown));
    let told = read_events(args, stretch, &after.config, &mut |arrived, event| {
        play(&mut old, arrived, event, &mut |_, tick| old_seen.note(&tick));
        Some(play(&mut new, arrived, event, &mut |_, tick| new_seen.note(&tick)))
    })?;
    if let Some(latest) = new.latest() {
        let next = latest.floor_to(Millis::SECOND) + Millis::SECOND;
        let end = stretch.map_or(next, |stretch| stretch.last());
        old.run_to(end, &mut |_, tick| old_seen.note(&tick));
        new.run_to(end, &mut |_, tick| new_seen.note(&tick));
    }
    let lines = lines(&before.set.matrices, &after.set.matrices, &old_seen, &new_seen);
    let text = match args.format {
        Format::Json => {
            lines.iter().filter_map(|line| serde_json::to_string(line).ok()).map(|line| line + "\n").collect()
        }
        Format::Text => {
            let paths = |paths: &[std::path::PathBuf]| {
                paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" ")
            };
            format!("before: {}\nafter:  {}\n\n{}", paths(&args.against), paths(&args.matrix), table(&lines))
        }
    };
    say::text(text)?;
    told.print();
    Ok(())
}

/// Every row with its people, then every person over all rows.
fn lines(old: &[Arc<Matrix>], new: &[Arc<Matrix>], before: &Seen, after: &Seen) -> Vec<Line> {
    let mut lines = Vec::new();
    for (old, new) in sides(old, new) {
        let titles = [old, new].map(|matrix| matrix.map_or(Vec::new(), |matrix| diff::titles(&matrix.rows)));
        for (row_before, row_after) in rows(old, new) {
            let place = |matrix: Option<&Arc<Matrix>>, row: Option<usize>| Some((matrix?.name.clone(), row?));
            let (at_before, at_after) = (place(old, row_before), place(new, row_after));
            let named = |matrix: Option<&Arc<Matrix>>, titles: &[String], row: Option<usize>| {
                Some((matrix?.name.clone(), titles.get(row?)?.clone()))
            };
            let [was, is] = &titles;
            let (was, is) = (named(old, was, row_before), named(new, is, row_after));
            let title = match (&was, &is) {
                (Some((_, was)), Some((_, is))) if was != is => format!("{was} -> {is}"),
                (Some((_, was)), None) => format!("{was} (gone)"),
                (None, Some((_, is))) => format!("{is} (new)"),
                _ => is.as_ref().map(|(_, is)| is.clone()).unwrap_or_default(),
            };
            let matrix = is.or(was).map(|(name, _)| name);
            let mut people: Vec<&Arc<str>> =
                before.people(at_before.as_ref()).chain(after.people(at_after.as_ref())).collect();
            people.sort_unstable();
            people.dedup();
            for to in std::iter::once(None).chain(people.into_iter().map(Some)) {
                lines.push(Line {
                    kind: "comparison",
                    matrix: matrix.clone(),
                    row: Some(title.clone()),
                    to: to.cloned(),
                    before: Figures::of(before.of(at_before.as_ref(), to), to.is_none()),
                    after: Figures::of(after.of(at_after.as_ref(), to), to.is_none()),
                });
            }
        }
    }
    let mut people: Vec<&Arc<str>> =
        [before, after].iter().flat_map(|seen| seen.counts.keys()).filter_map(|(.., to)| to.as_ref()).collect();
    people.sort_unstable();
    people.dedup();
    lines.extend(people.into_iter().map(|to| Line {
        kind: "comparison",
        matrix: None,
        row: None,
        to: Some(to.clone()),
        before: Figures::of(before.total(to), false),
        after: Figures::of(after.total(to), false),
    }));
    lines
}

type Sides<'m> = (Option<&'m Arc<Matrix>>, Option<&'m Arc<Matrix>>);

/// Matrices of one name; two single ones whatever their names.
fn sides<'m>(old: &'m [Arc<Matrix>], new: &'m [Arc<Matrix>]) -> Vec<Sides<'m>> {
    if let ([old], [new]) = (old, new) {
        return vec![(Some(old), Some(new))];
    }
    let both = new.iter().map(|new| (old.iter().find(|old| old.name == new.name), Some(new)));
    let gone = old.iter().filter(|old| !new.iter().any(|new| new.name == old.name)).map(|old| (Some(old), None));
    both.chain(gone).collect()
}

fn rows(old: Option<&Arc<Matrix>>, new: Option<&Arc<Matrix>>) -> Vec<(Option<usize>, Option<usize>)> {
    let rows = |matrix: Option<&Arc<Matrix>>| matrix.map_or(0, |matrix| matrix.rows.len());
    let pairs = match (old, new) {
        (Some(old), Some(new)) => diff::pair(&old.rows, &new.rows),
        _ => Vec::new(),
    };
    let of_new = |index: usize| (pairs.iter().find(|(_, new)| *new == index).map(|(old, _)| *old), Some(index));
    let gone =
        (0..rows(old)).filter(|index| !pairs.iter().any(|(old, _)| old == index)).map(|index| (Some(index), None));
    (0..rows(new)).map(of_new).chain(gone).collect()
}

/// Rows that told nobody anything on either side are left out, and counted.
fn table(lines: &[Line]) -> String {
    let quiet = |figures: &Figures| figures.alerts.unwrap_or(0) + figures.mails + figures.webhooks == 0;
    let shown: Vec<&Line> = lines.iter().filter(|line| !(quiet(&line.before) && quiet(&line.after))).collect();
    let name = |line: &Line| match (&line.row, &line.to) {
        (Some(row), None) => format!("{}: {row}", line.matrix.as_deref().unwrap_or_default()),
        (Some(_), Some(to)) => format!("  {to}"),
        (None, to) => to.as_deref().unwrap_or_default().to_owned(),
    };
    let width = shown.iter().map(|line| name(line).chars().count()).max().unwrap_or(0).max(8);
    let hooks = shown.iter().any(|line| line.before.webhooks + line.after.webhooks > 0);
    let mut out = format!("{:<width$}  {:<15}  {:<15}", "", "alerts", "mails");
    if hooks {
        out.push_str(&format!("  {:<15}", "webhooks"));
    }
    out.push_str("  first\n");
    let pair = |before: Option<u64>, after: Option<u64>| match (before, after) {
        (Some(before), Some(after)) => {
            let change = if before == after { String::new() } else { format!(" ({:+})", after as i64 - before as i64) };
            format!("{before} -> {after}{change}")
        }
        _ => String::new(),
    };
    let mut totals = false;
    for line in shown {
        if line.row.is_none() && !totals {
            totals = true;
            out.push_str("\nby person, over all rows\n");
        }
        let (before, after) = (&line.before, &line.after);
        let mut text = format!(
            "{:<width$}  {:<15}  {:<15}",
            name(line),
            pair(before.alerts, after.alerts),
            pair(Some(before.mails), Some(after.mails))
        );
        if hooks {
            text.push_str(&format!("  {:<15}", pair(Some(before.webhooks), Some(after.webhooks))));
        }
        let first = |figures: &Figures| {
            let first = [figures.first_alert, figures.first_mail, figures.first_webhook].into_iter().flatten().min();
            first.map_or("none".to_owned(), |time| time.to_string())
        };
        let (first, then) = (first(before), first(after));
        text.push_str(&if first == then { format!("  {first}") } else { format!("  {first} -> {then}") });
        out.push_str(text.trim_end());
        out.push('\n');
    }
    let silent = lines.iter().filter(|line| line.row.is_some() && line.to.is_none());
    let silent = silent.filter(|line| quiet(&line.before) && quiet(&line.after)).count();
    if silent > 0 {
        let rows = if silent == 1 { "row" } else { "rows" };
        out.push_str(&format!("\n{silent} {rows} alerted neither before nor after\n"));
    }
    out
}

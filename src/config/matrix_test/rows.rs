//! Rows by the words of a test: `asa`, `service_level 1h threshold=30m`, `agents state=available per=queue`.

use std::sync::Arc;

use super::Case;
use crate::config::reader::{Mark, Report, did_you_mean};
use crate::domain::{Key, Millis};
use crate::matrix::{Matrix, Per, Row};

/// The case that `words` mean at `place`: of rows with other words one must remain, of rows with the same words all.
pub(super) fn find(matrix: &Matrix, words: &str, place: &Key, at: Mark, report: &mut Report) -> Option<Case> {
    let fitting: Vec<(usize, &Row)> = matrix.rows.iter().enumerate().filter(|(_, row)| fits(row, words)).collect();
    let Some((_, first)) = fitting.first() else {
        let known: Vec<String> = matrix.rows.iter().map(Row::words).collect();
        let hint = did_you_mean(words, known.iter().map(String::as_str), "the rows are");
        report.error(at, format!("the matrix has no row `{words}`"), hint);
        return None;
    };
    let mut ways: Vec<String> = fitting.iter().map(|(_, row)| row.words()).collect();
    ways.dedup();
    if let [_, _, ..] = ways.as_slice() {
        let hint = format!("write one of {}", ways.iter().map(|way| format!("`{way}`")).collect::<Vec<_>>().join(", "));
        report.error(at, format!("`{words}` fits several rows"), hint);
        return None;
    }
    let key = first.case_at(&filled(first, place));
    let missing = |name: &str| format!("`{words}` is a case of each {name}, and the test names none");
    for (name, part, needed) in [
        ("queue", &key.queue, matches!(first.per, Per::Pair | Per::Queue)),
        ("channel", &key.channel, matches!(first.per, Per::Pair | Per::Channel)),
    ] {
        if needed && part.is_none() {
            report.error(at, missing(name), format!("write `{name}: ...` in the test or at the top of the file"));
            return None;
        }
    }
    let rows: Vec<usize> = fitting.iter().filter(|(_, row)| row.scope.covers(&key)).map(|(index, _)| *index).collect();
    if rows.is_empty() {
        let what = format!("the row `{words}` is not about {}: its scope leaves it out", key.shown());
        report.error(at, what, "name a `queue` and a `channel` of its scope");
        return None;
    }
    Some(Case { rows, key })
}

/// The place with what it leaves open filled in by the first name that the row's scope names literally.
fn filled(row: &Row, place: &Key) -> Key {
    let first = |globs: &crate::domain::Globs| globs.literals().next().map(Arc::from);
    Key {
        queue: place.queue.clone().or_else(|| first(&row.scope.queue)),
        channel: place.channel.clone().or_else(|| first(&row.scope.channel)),
    }
}

fn fits(row: &Row, words: &str) -> bool {
    let mut words = words.split_whitespace();
    words.next() == Some(row.indicator.name)
        && words.all(|word| match word.split_once('=') {
            None => row.window.is_some_and(|kind| same(&kind.words(), word)),
            Some(("threshold", within)) => row.threshold.is_some_and(|own| Millis::parse(within) == Some(own)),
            Some(("treatment", name)) => row.treatment.is_some_and(|own| own.name() == name),
            Some(("state", name)) => row.state.is_some_and(|own| own.name() == name),
            Some(("stage", name)) => row.stage.is_some_and(|own| own.name() == name),
            Some(("clock", name)) => row.clock.name() == name,
            Some(("per", name)) => row.per.name() == name,
            Some(_) => false,
        })
}

/// The same window, however its length is written.
fn same(own: &str, written: &str) -> bool {
    own == written || Millis::parse(written).is_some_and(|length| length.to_string() == own)
}

//! `group: { by, wait }` of a matrix or a row: what is told together.

use super::node::Kind;
use super::reader::{Fields, Mark, Report, duration, word};
use super::row::ReadRow;
use crate::domain::Millis;
use crate::matrix::engine::GATHER_WAIT;
use crate::matrix::{By, Group, Level};

const BY: [(&str, By); 2] = [("row", By::Row), ("queue", By::Queue)];

/// What `wait` may be. More than the longest is no gathering of what goes off together, but a report.
pub(super) const WAIT: [Millis; 2] = [Millis::SECOND, Millis(5 * Millis::MINUTE.0)];

/// A critical that waits longer than this is worth a warning.
const CRITICAL_WAIT: Millis = Millis::MINUTE;

/// `None` where nothing is written, `Some(None)` for `none`.
pub(super) fn read(fields: &Fields<'_>, report: &mut Report) -> Option<Option<Group>> {
    let node = fields.get("group")?;
    if matches!(&node.kind, Kind::Scalar { text, .. } if &**text == "none") {
        return Some(None);
    }
    if !matches!(&node.kind, Kind::Map(_)) {
        let hint = "write `group: { by: row, wait: 20s }`, or `none`";
        report.error(node.at, "`group` says by what to gather and how long to wait", hint);
        return None;
    }
    let fields = Fields::new(node, "`group`", &["by", "wait"], report)?;
    let by = fields.require("by", "write `by: row` or `by: queue`", report);
    let by = by.and_then(|node| word(node, "by", &BY, report));
    let wait = match fields.get("wait") {
        Some(node) => {
            let [least, longest] = WAIT;
            let wait = duration(node, "wait", least, report)?;
            if wait > longest {
                let hint = format!("at most {longest}: nobody hears of anything before");
                report.error(node.at, format!("`wait: {wait}` is too long"), hint);
            } else if wait.0 % Millis::SECOND.0 != 0 {
                report.error(
                    node.at,
                    format!("`wait: {wait}` is not of whole seconds"),
                    "rules are judged each second",
                );
            }
            wait
        }
        None => GATHER_WAIT,
    };
    Some(Some(Group { by: by?, wait }))
}

/// Warns where a critical waits for long. `at` is where the group is written.
pub(super) fn warn_of_late_criticals(rows: &[ReadRow], at: Option<Mark>, report: &mut Report) {
    for read in rows {
        let Some(group) = read.row.group.filter(|group| group.wait > CRITICAL_WAIT) else { continue };
        if read.row.ranges.iter().any(|range| range.level == Level::Critical) {
            let what = format!("`wait: {}` holds back the mails of critical cases as well", group.wait);
            let hint = format!("make it {CRITICAL_WAIT} or less, or give the row `group: none`");
            report.warning(read.places.group.or(at).unwrap_or(read.at), what, hint);
        }
    }
}

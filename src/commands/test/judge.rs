//! What was expected beside what happened, as a person reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::acts::Order;
use super::play::Course;
use crate::config::MatrixSet;
use crate::config::matrix_test::meanwhile::What;
use crate::config::matrix_test::{Act, Expect, MatrixTest};
use crate::domain::{Millis, Timestamp};
use crate::matrix::contacts::people;
use crate::matrix::engine::{Notification, Transition};
use crate::matrix::{Level, Matrix, Medium, Recipient};
use crate::notice::{self, Body, Context, values};

/// So many lines of what happened are shown before an expectation.
const LINES_MAX: usize = 12;

/// One paragraph for each act that could not be done, and for each expectation that was not met.
pub(super) fn failures(test: &MatrixTest, file: &str, set: &MatrixSet, course: &Course) -> Vec<String> {
    let undone = course.undone.iter().filter_map(|(index, why)| {
        let act = test.meanwhile.get(*index)?;
        let expect = &expected_of(act);
        let (what, expected) = if expect.case.is_some() { ("open", "an incident") } else { ("silence", "taken") };
        let judge = Judge { test, file, set, course, index: usize::MAX, expect };
        Some(judge.paragraph(&[(what, expected.to_owned(), why.clone(), false)]))
    });
    let judged = test.expect.iter().enumerate();
    let judged = judged.filter_map(|(index, expect)| Judge { test, file, set, course, index, expect }.failure());
    undone.chain(judged).collect()
}

/// An act as an expectation: where it stands, when it is, and of which case.
fn expected_of(act: &Act) -> Expect {
    let case = match &act.what {
        What::Acknowledge { case, .. } => Some(case.clone()),
        What::Silence { .. } | What::Feed { .. } => None,
    };
    let Act { line, column, at, .. } = *act;
    Expect { line, column, written: "".into(), at, case, level: None, told: None, reason: None, texts: Vec::new() }
}

struct Judge<'a> {
    test: &'a MatrixTest,
    file: &'a str,
    set: &'a MatrixSet,
    course: &'a Course,
    index: usize,
    expect: &'a Expect,
}

/// A line of the comparison: what, expected, got; and whether they agree.
type Line = (&'static str, String, String, bool);

impl Judge<'_> {
    fn failure(&self) -> Option<String> {
        let lines = self.compare();
        if lines.iter().all(|(.., fits)| *fits) {
            return None;
        }
        Some(self.paragraph(&lines))
    }

    fn paragraph(&self, lines: &[Line]) -> String {
        let Judge { test, file, expect, .. } = self;
        let mut text = format!("{file}:{}:{}: failed: {}\n", expect.line, expect.column, test.name);
        // Writing into a String cannot fail.
        let _ = writeln!(text, "  at {}{}", self.clock(expect.at), self.of_what());
        let width = lines.iter().map(|(_, expected, ..)| expected.chars().count()).max().unwrap_or(0).max(8);
        let _ = writeln!(text, "    {:<8}{:<width$}  got", "", "expected");
        for (what, expected, got, fits) in lines {
            let mark = if *fits { ' ' } else { '!' };
            let _ = writeln!(text, "  {mark} {what:<8}{expected:<width$}  {got}");
        }
        if let Some(value) = self.value() {
            let _ = writeln!(text, "    {:<8}{:<width$}  {value}", "value", "");
        }
        self.story(&mut text);
        text.trim_end().to_owned()
    }

    fn compare(&self) -> Vec<Line> {
        let expect = self.expect;
        let mut lines: Vec<Line> = Vec::new();
        if let Some(level) = expect.level {
            let got = self.level();
            lines.push(("level", level.name().to_owned(), got.name().to_owned(), level == got));
        }
        let notices = self.notices();
        if let Some(told) = &expect.told {
            lines.push(("told", self.recipients(told), self.names(&notices), self.is_told(told, &notices)));
        }
        if let Some(reason) = expect.reason {
            let mut got: Vec<&str> = notices.iter().map(|notice| notice.reason.name()).collect();
            got.dedup();
            let fits = !notices.is_empty() && notices.iter().all(|notice| notice.reason == reason);
            lines.push(("reason", reason.name().to_owned(), some(got.join(", ")), fits));
        }
        let written = if expect.texts.is_empty() { Vec::new() } else { self.written(&notices) };
        for text in &expect.texts {
            let fits = written.iter().any(|written| written.contains(&**text));
            let got = if fits { "there".to_owned() } else { some(subjects(&written)) };
            lines.push(("text", format!("{text:?}"), got, fits));
        }
        lines
    }

    fn matrix(&self) -> Option<&Arc<Matrix>> {
        self.set.matrices.first()
    }

    fn is_meant(&self, transition: &Transition) -> bool {
        let of =
            |case: &crate::config::matrix_test::Case| case.rows.contains(&transition.row) && case.key == transition.key;
        self.expect.case.as_ref().map_or(transition.row != Transition::NO_ROW, of)
    }

    /// The level at the instant; of a day's and a night's row, and of several feeds, the worst.
    fn level(&self) -> Level {
        let before = self.course.transitions.iter().filter(|t| t.time <= self.expect.at && self.is_meant(t));
        let last: BTreeMap<_, Level> = before.map(|t| ((t.row, &t.source), t.to)).collect();
        last.into_values().max().unwrap_or_default()
    }

    /// What was told up to the instant, since the expectation before that says who was told of this case.
    fn notices(&self) -> Vec<&Notification> {
        let earlier = self.test.expect.iter().take(self.index);
        let same = earlier.filter(|other| other.told.is_some() && other.case == self.expect.case);
        let since = same.map(|other| other.at).max();
        let all = self.course.notifications.iter();
        all.filter(|n| n.time <= self.expect.at && since.is_none_or(|since| n.time > since))
            .filter(|n| self.is_meant(&n.transition))
            .collect()
    }

    fn is_told(&self, told: &[Recipient], notices: &[&Notification]) -> bool {
        let means = |recipient: &Recipient, notice: &Notification| {
            recipient.contact == notice.to && recipient.medium.is_none_or(|medium| medium == notice.medium)
        };
        told.iter().all(|recipient| notices.iter().any(|notice| means(recipient, notice)))
            && notices.iter().all(|notice| told.iter().any(|recipient| means(recipient, notice)))
    }

    fn recipients(&self, told: &[Recipient]) -> String {
        let names = told.iter().map(|recipient| match recipient.medium {
            None => recipient.contact.to_string(),
            Some(medium) => format!("{}.{}", recipient.contact, word(medium)),
        });
        nobody(names.collect::<Vec<_>>())
    }

    /// Each once; with its medium where the contact has several.
    fn names(&self, notices: &[&Notification]) -> String {
        let mut names: Vec<String> = Vec::new();
        for notice in notices {
            let people = self.matrix().map(|matrix| people(&matrix.contacts, &notice.to)).unwrap_or_default();
            let has = |medium| people.iter().any(|contact| contact.address(medium).is_some());
            let both = Medium::ALL.into_iter().all(has);
            let name = if both { format!("{}.{}", notice.to, word(notice.medium)) } else { notice.to.to_string() };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        nobody(names)
    }

    /// What people and programs would receive: of what is gathered, the mail that tells it, once.
    fn written(&self, notices: &[&Notification]) -> Vec<String> {
        let context = Context::new(&self.set.plan, "atalaya.invalid");
        let mut seen: BTreeSet<*const Notification> = BTreeSet::new();
        let mails = notices.iter().map(|notice| self.told_in(notice)).filter(|mail| seen.insert(&raw const **mail));
        let text = |mail: &Notification| match notice::render(mail, &context).body {
            Body::Email(mail) => format!("{}\n{}", mail.subject, mail.text.replace("\r\n", "\n")),
            Body::Webhook(hook) => hook.json,
        };
        mails.map(text).collect()
    }

    /// The mail of the gathering that a notice is told in, or itself.
    fn told_in<'n>(&'n self, notice: &'n Notification) -> &'n Notification {
        let tells = |mail: &&Notification| {
            (mail.time, &mail.to, &mail.address) == (notice.time, &notice.to, &notice.address)
                && mail.each().iter().any(|one| one.incident == notice.incident && one.sequence == notice.sequence)
        };
        self.course.gathered.iter().find(tells).unwrap_or(notice)
    }

    /// What the case read at the instant.
    fn value(&self) -> Option<String> {
        let reading = self.course.readings.get(self.index).copied().flatten()?;
        let matrix = self.matrix()?;
        let row = matrix.rows.get(*self.expect.case.as_ref()?.rows.first()?)?;
        let indicator = row.indicator;
        let value = values::read(reading.value, indicator.unit, matrix.language, &values::edges(row), "none");
        let samples = values::samples(reading.samples, indicator.samples, matrix.language);
        Some(format!("{value}{}", samples.map(|samples| format!(" ({samples} samples)")).unwrap_or_default()))
    }

    fn of_what(&self) -> String {
        let named = self.expect.case.as_ref().and_then(|case| {
            let row = *case.rows.first()?;
            if row == Transition::NO_ROW {
                return Some(": the feed".to_owned());
            }
            let row = self.matrix()?.rows.get(row)?;
            Some(format!(": {} of {}", row.words(), case.key.shown()))
        });
        named.unwrap_or_default()
    }

    /// What happened until then, the newest last.
    fn story(&self, text: &mut String) {
        let upto = |time: Timestamp| time <= self.expect.at;
        let mut lines: Vec<(Timestamp, Order, String)> = Vec::new();
        for t in self.course.transitions.iter().filter(|t| upto(t.time) && self.is_meant(t)) {
            let range = t.range_text().map(|range| format!(" ({range})")).unwrap_or_default();
            let row = t.matrix.rows.get(t.row).map_or_else(|| "feed".to_owned(), |row| row.words());
            lines.push((
                t.time,
                Order::Within,
                format!("{row}: {} -> {}{range}, {}", t.from.name(), t.to.name(), t.reason.name()),
            ));
        }
        for n in self.course.notifications.iter().filter(|n| upto(n.time) && self.is_meant(&n.transition)) {
            lines.push((n.time, Order::Within, format!("tells {} by {}, {}", n.to, word(n.medium), n.reason.name())));
        }
        lines.extend(self.course.done.iter().filter(|(time, ..)| upto(*time)).cloned());
        lines.sort_by_key(|(time, order, _)| (*time, *order));
        if lines.is_empty() {
            text.push_str("    until then nothing happened\n");
            return;
        }
        let _ = writeln!(text, "    until then");
        let left_out = lines.len().saturating_sub(LINES_MAX);
        if left_out > 0 {
            let _ = writeln!(text, "      ... {left_out} before");
        }
        let shown: Vec<(String, &String)> =
            lines.iter().skip(left_out).map(|(time, _, line)| (self.clock(*time), line)).collect();
        let width = shown.iter().map(|(clock, _)| clock.chars().count()).max().unwrap_or(0);
        for (clock, line) in shown {
            let _ = writeln!(text, "      {clock:>width$}  {line}");
        }
    }

    /// `7m (10:07:00)`: counted from the start, and on the wall of the matrix's zone.
    fn clock(&self, time: Timestamp) -> String {
        let after = time - self.course.start;
        let zone = self.matrix().map(|matrix| matrix.zone.clone()).unwrap_or(jiff::tz::TimeZone::UTC);
        let wall = time.in_zone(&zone);
        let format = if after < Millis::DAY { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
        format!("{after} ({})", wall.strftime(format))
    }
}

fn word(medium: Medium) -> &'static str {
    match medium {
        Medium::Email => "email",
        Medium::Webhook => "webhook",
    }
}

fn subjects(written: &[String]) -> String {
    let mut lines: Vec<&str> = written.iter().map(|text| text.lines().next().unwrap_or_default()).collect();
    lines.dedup();
    lines.join("; ")
}

fn nobody(names: Vec<String>) -> String {
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}

fn some(text: String) -> String {
    if text.is_empty() { "no notice".to_owned() } else { text }
}

//! Holidays out of an iCalendar file (RFC 5545), as states, schools and offices publish them.
//!
//! Read is the part in which holidays are written: all-day events of one or more days, once or every year. A rule that is
//! not understood is refused, because a desk that is taken for open on a holiday calls people who are at home. Crates
//! that read all of the format bring a second library of dates along, and none says in which line something stands.
//!
//! | in the file | means |
//! |---|---|
//! | `DTSTART;VALUE=DATE`, `DTEND` exclusive or `DURATION` in days or weeks | these days |
//! | `RRULE:FREQ=YEARLY` with `INTERVAL`, `COUNT`, `UNTIL`, `BYMONTH`, `BYMONTHDAY`, `BYDAY` | every year, up to [`YEAR_LAST`] |
//! | `EXDATE` | not on this day |
//! | `STATUS:CANCELLED` | nothing |
//! | an event at a time of day | nothing: a warning |
//! | `RDATE`, `EXRULE`, `RECURRENCE-ID`, any other rule | refused |
//! | what else an event says, and other components | nothing |

use std::collections::BTreeSet;

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

use super::reader::{Mark, Report};

/// Days before this are no holidays of a desk but a mistake, from which a rule would go on for centuries.
const YEAR_FIRST: i16 = 1900;

/// Rules without an end go as far as this.
const YEAR_LAST: i16 = 2060;

/// The longest event, in days.
const DAYS_MAX: i32 = 366;

/// The most days of one file.
const HOLIDAYS_MAX: usize = 20_000;

/// A line with its continuations.
struct Line {
    at: Mark,
    /// In capitals.
    name: String,
    /// Name in capitals and value.
    parameters: Vec<(String, String)>,
    value: String,
}

/// The days of the file that the report is in, each with the event it is of. Defects are reported.
pub(super) fn read(text: &str, report: &mut Report) -> Vec<(Date, Mark)> {
    let mut days = Vec::new();
    let mut within: Vec<(String, Mark)> = Vec::new();
    let mut event: Vec<Line> = Vec::new();
    let mut timed: Vec<(Mark, String)> = Vec::new();
    // Calendars that have ended.
    let mut ended = 0;
    for (at, text) in unfold(text, report) {
        let Some(line) = parse(at, &text) else {
            report.error(
                at,
                "this is no line of an iCalendar file",
                "each is NAME:VALUE, as DTSTART;VALUE=DATE:20261225",
            );
            return days;
        };
        let component = line.value.trim().to_uppercase();
        let outside = within.is_empty() && line.name != "END" && (line.name != "BEGIN" || component != "VCALENDAR");
        if outside && ended == 0 {
            break;
        }
        if outside {
            report.error(
                at,
                "this stands after `END:VCALENDAR`, where the calendar is over",
                "put it before that line, or begin another calendar with BEGIN:VCALENDAR",
            );
            return days;
        }
        match line.name.as_str() {
            "BEGIN" => {
                within.push((component, at));
                if is_event(&within) {
                    event.clear();
                }
            }
            "END" => {
                if within.last().is_none_or(|(open, _)| *open != component) {
                    report.error(
                        at,
                        format!("`END:{component}` ends nothing that is open here"),
                        "is the file damaged?",
                    );
                    return days;
                }
                if is_event(&within) {
                    let began = within.last().map_or(at, |(_, at)| *at);
                    read_event(&event, began, &mut timed, &mut days, report);
                }
                within.pop();
                ended += usize::from(within.is_empty());
            }
            _ if is_event(&within) => event.push(line),
            _ => {}
        }
        if days.len() > HOLIDAYS_MAX {
            report.error(at, format!("the file has more than {HOLIDAYS_MAX} holidays"), "leave old ones out");
            return days;
        }
    }
    if let Some((open, at)) = within.first() {
        report.error(*at, format!("`{open}` has no end: the file is cut off"), "fetch it again");
    } else if !text.trim_start_matches('\u{feff}').trim_start().to_uppercase().starts_with("BEGIN:VCALENDAR") {
        let at = report.mark(1, 1);
        report.error(at, "this is not an iCalendar file", "it begins with BEGIN:VCALENDAR; a page to log in does not");
    }
    if let Some((at, summary)) = timed.first() {
        let what = match timed.len() {
            1 => format!("the event `{summary}` has a time of day and closes nothing"),
            n => format!("{n} events have a time of day and close nothing; `{summary}` is the first"),
        };
        report.warning(*at, what, "holidays are whole days: DTSTART;VALUE=DATE:20261225");
    }
    days
}

fn is_event(within: &[(String, Mark)]) -> bool {
    matches!(within, [(calendar, _), (event, _)] if calendar == "VCALENDAR" && event == "VEVENT")
}

/// A line goes on in the next one if that begins with a blank.
fn unfold(text: &str, report: &Report) -> Vec<(Mark, String)> {
    let mut lines: Vec<(Mark, String)> = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(more), Some((_, open))) => open.push_str(more),
            _ if line.trim().is_empty() => {}
            _ => lines.push((report.mark(index + 1, 1), line.to_owned())),
        }
    }
    lines
}

/// `NAME;PARAMETER=VALUE;...:VALUE`; a value in quotes may hold what separates.
fn parse(at: Mark, text: &str) -> Option<Line> {
    let mut quoted = false;
    let mut cuts = Vec::new();
    let mut end = None;
    for (index, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ';' if !quoted => cuts.push(index),
            ':' if !quoted => {
                end = Some(index);
                break;
            }
            _ => {}
        }
    }
    let end = end?;
    cuts.push(end);
    let mut parts = cuts.iter().scan(0, |from, cut| {
        let part = text.get(*from..*cut);
        *from = cut + 1;
        part
    });
    let name = parts.next()?.to_uppercase();
    let named = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.is_empty() || !name.chars().all(named) {
        return None;
    }
    let parameters = parts
        .map(|part| part.split_once('=').map(|(key, value)| (key.to_uppercase(), value.trim_matches('"').to_owned())));
    let parameters = parameters.collect::<Option<Vec<_>>>()?;
    Some(Line { at, name, parameters, value: text.get(end + 1..)?.to_owned() })
}

fn read_event(
    lines: &[Line],
    began: Mark,
    timed: &mut Vec<(Mark, String)>,
    days: &mut Vec<(Date, Mark)>,
    report: &mut Report,
) -> Option<()> {
    let find = |name: &str| lines.iter().find(|line| line.name == name);
    for name in ["RECURRENCE-ID", "RDATE", "EXRULE"] {
        if let Some(line) = find(name) {
            report.error(
                line.at,
                format!("`{name}` is not understood"),
                "write each of these days as an event of its own",
            );
            return None;
        }
    }
    if find("STATUS").is_some_and(|line| line.value.trim().eq_ignore_ascii_case("CANCELLED")) {
        return None;
    }
    let Some(start) = find("DTSTART") else {
        report.error(began, "the event has no `DTSTART`", "as DTSTART;VALUE=DATE:20261225");
        return None;
    };
    if !is_day(start) {
        let summary = find("SUMMARY").map_or("", |line| line.value.trim());
        timed.push((start.at, summary.chars().take(60).collect()));
        return None;
    }
    let first = day(start, &start.value, report)?;
    let length = length(first, find("DTEND"), find("DURATION"), report)?;
    let mut rules = lines.iter().filter(|line| line.name == "RRULE");
    let beginnings = match rules.next() {
        None => vec![first],
        Some(line) => {
            let rule = Rule::read(line, report)?;
            let all = rule.days(first);
            if all.first() != Some(&first) {
                let hint = "a rule begins with the day of its event";
                report.error(
                    line.at,
                    format!("`{}` does not meet {first}, the day of DTSTART", line.value.trim()),
                    hint,
                );
                return None;
            }
            all
        }
    };
    if let Some(second) = rules.next() {
        report.error(second.at, "the event has two rules", "write an event for each");
        return None;
    }
    let mut except = BTreeSet::new();
    for line in lines.iter().filter(|line| line.name == "EXDATE") {
        for value in line.value.split(',') {
            except.insert(day(line, value, report)?);
        }
    }
    if beginnings.len().saturating_mul(length.unsigned_abs() as usize) > HOLIDAYS_MAX {
        report.error(began, format!("the event alone makes more than {HOLIDAYS_MAX} holidays"), "give its rule an end");
        return None;
    }
    for beginning in beginnings.into_iter().filter(|day| !except.contains(day)) {
        days.extend((0..length).filter_map(|n| Some((beginning.checked_add(n.days()).ok()?, began))));
    }
    Some(())
}

/// Whether a line's value is a day, not an instant.
fn is_day(line: &Line) -> bool {
    let said = line.parameters.iter().find(|(name, _)| name == "VALUE").map(|(_, value)| value.as_str());
    said.map_or_else(|| line.value.trim().len() == 8, |said| said.eq_ignore_ascii_case("DATE"))
}

/// `20261225`.
fn day(line: &Line, value: &str, report: &mut Report) -> Option<Date> {
    let value = value.trim();
    let found = parse_day(value);
    if found.is_none() {
        report.error(
            line.at,
            format!("`{}`: `{value}` is not a day", line.name),
            format!("as 20261225, from {YEAR_FIRST} on"),
        );
    }
    found
}

fn parse_day(text: &str) -> Option<Date> {
    let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i16>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let written = digits && year >= YEAR_FIRST;
    written.then(|| Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()).flatten()
}

/// In days.
fn length(first: Date, end: Option<&Line>, duration: Option<&Line>, report: &mut Report) -> Option<i32> {
    let (line, length) = match (end, duration) {
        (Some(line), _) if is_day(line) => {
            let end = day(line, &line.value, report)?;
            (line, first.until(end).ok().map(|span| span.get_days()))
        }
        (Some(line), _) | (None, Some(line)) => (line, days_of(line.value.trim())),
        (None, None) => return Some(1),
    };
    if let Some(length) = length.filter(|length| (1..=DAYS_MAX).contains(length)) {
        return Some(length);
    }
    let what = format!("`{}:{}` is no end of an event that begins on {first}", line.name, line.value.trim());
    report.error(line.at, what, format!("DTEND is the day after the last one; an event has 1 to {DAYS_MAX} days"));
    None
}

/// `P3D`, `P1W`.
fn days_of(duration: &str) -> Option<i32> {
    let rest = duration.strip_prefix('+').unwrap_or(duration).strip_prefix('P')?;
    let weeks = rest.strip_suffix('W').map(|weeks| weeks.parse::<i32>().ok()?.checked_mul(7));
    weeks.or_else(|| rest.strip_suffix('D').map(|days| days.parse().ok())).flatten()
}

/// Every `interval` years, on the days that fit all that it names.
struct Rule {
    interval: i16,
    count: Option<usize>,
    until: Option<Date>,
    months: Vec<i8>,
    /// From 1, or from -1 backwards.
    month_days: Vec<i8>,
    /// Which of the month (0 is each, -1 the last), and the day.
    weekdays: Vec<(i8, Weekday)>,
}

impl Rule {
    fn read(line: &Line, report: &mut Report) -> Option<Rule> {
        let rule = Rule::parse(line.value.trim());
        if rule.is_none() {
            let what = format!("`RRULE:{}` is not understood", line.value.trim());
            let hint = "understood is FREQ=YEARLY with INTERVAL, COUNT, UNTIL and BYMONTH, and with that BYMONTHDAY and \
                        BYDAY; write other days as events of their own";
            report.error(line.at, what, hint);
        }
        rule
    }

    fn parse(text: &str) -> Option<Rule> {
        let (mut interval, mut count, mut until, mut yearly) = (1, None, None, false);
        let (mut months, mut month_days, mut weekdays) = (Vec::new(), Vec::new(), Vec::new());
        for part in text.to_uppercase().split(';').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=')?;
            match key {
                "FREQ" => yearly = value == "YEARLY",
                "INTERVAL" => interval = value.parse().ok().filter(|years| (1..=100).contains(years))?,
                "COUNT" => count = Some(value.parse().ok().filter(|count| *count > 0)?),
                // Of an instant its day: what is a whole day has no other end.
                "UNTIL" => until = Some(parse_day(value.split('T').next()?)?),
                "BYMONTH" => months = numbers(value, 1..=12)?,
                "BYMONTHDAY" => month_days = numbers(value, -31..=31)?,
                "BYDAY" => weekdays = value.split(',').map(weekday).collect::<Option<Vec<_>>>()?,
                "WKST" => {}
                _ => return None,
            }
        }
        // Days without a month would be of the year, or of every month.
        let of_a_month = !months.is_empty() || (month_days.is_empty() && weekdays.is_empty());
        (yearly && of_a_month).then_some(Rule { interval, count, until, months, month_days, weekdays })
    }

    /// From `first` on; none where the rule does not meet that.
    fn days(&self, first: Date) -> Vec<Date> {
        if !self.meets(first, first) {
            return Vec::new();
        }
        let years = (first.year()..=YEAR_LAST).step_by(usize::from(self.interval.unsigned_abs()));
        let of_year = |year: i16| Date::constant(year, 1, 1).series(1.day()).take_while(move |day| day.year() == year);
        let days = years.flat_map(of_year).take_while(|day| self.until.is_none_or(|until| *day <= until));
        // Taken one by one, so that no day is looked at beyond the last.
        days.filter(|day| *day >= first && self.meets(*day, first)).take(self.count.unwrap_or(usize::MAX)).collect()
    }

    fn meets(&self, day: Date, first: Date) -> bool {
        let from_end = day.day() - day.days_in_month() - 1;
        let of_first = self.month_days.is_empty() && self.weekdays.is_empty() && day.day() == first.day();
        let month =
            if self.months.is_empty() { day.month() == first.month() } else { self.months.contains(&day.month()) };
        let named = self.month_days.is_empty() || self.month_days.iter().any(|n| [day.day(), from_end].contains(n));
        let (nth, nth_from_end) = ((day.day() + 6) / 7, (from_end - 6) / 7);
        let weekday = self.weekdays.is_empty()
            || self.weekdays.iter().any(|(n, weekday)| *weekday == day.weekday() && [0, nth, nth_from_end].contains(n));
        let given = !self.month_days.is_empty() || !self.weekdays.is_empty();
        month && (of_first || given && named && weekday)
    }
}

fn numbers(text: &str, within: std::ops::RangeInclusive<i8>) -> Option<Vec<i8>> {
    let number = |text: &str| text.parse::<i8>().ok().filter(|n| *n != 0 && within.contains(n));
    text.split(',').map(number).collect()
}

/// `MO`, `4TH`, `-1MO`.
fn weekday(text: &str) -> Option<(i8, Weekday)> {
    const DAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
    let (n, name) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let offset = DAYS.iter().position(|day| *day == name)?;
    let n = if n.is_empty() { Some(0) } else { n.parse::<i8>().ok().filter(|n| *n != 0 && (-5..=5).contains(n)) };
    Some((n?, Weekday::from_monday_zero_offset(i8::try_from(offset).ok()?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(event: &str) -> String {
        format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\n{}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
            event.replace('\n', "\r\n")
        )
    }

    fn of(text: &str) -> (Vec<String>, Vec<String>) {
        let mut report = Report::new("f.ics");
        let days = read(text, &mut report).into_iter().map(|(day, _)| day.to_string()).collect();
        (
            days,
            report
                .finish()
                .into_iter()
                .map(|d| format!("{:?} {}:{} {}", d.severity, d.line, d.column, d.what))
                .collect(),
        )
    }

    #[test]
    fn days_of_an_event() {
        for (event, expected) in [
            ("DTSTART;VALUE=DATE:20261225", "2026-12-25"),
            ("DTSTART:20261225\nDTEND:20261226", "2026-12-25"),
            ("dtstart;value=date:20261231\nDTEND;VALUE=DATE:20270103", "2026-12-31 2027-01-01 2027-01-02"),
            ("DTSTART;VALUE=DATE:20261224\nDURATION:P2D", "2026-12-24 2026-12-25"),
            (
                "DTSTART;X-A=\"a:b;c\";VALUE=DATE:20261225\nSUMMARY:Navi\n dad; c:d\nBEGIN:VALARM\nDTSTART:1\nEND:VALARM",
                "2026-12-25",
            ),
            ("DTSTART;VAL\n UE=DATE:2026\n\t1225", "2026-12-25"),
            ("DTSTART;VALUE=DATE:20261225\nSTATUS:CANCELLED", ""),
            (
                "DTSTART;VALUE=DATE:20261225\nRRULE:FREQ=YEARLY;UNTIL=20281225T235959Z",
                "2026-12-25 2027-12-25 2028-12-25",
            ),
            ("DTSTART;VALUE=DATE:20261225\nRRULE:FREQ=YEARLY;COUNT=3;INTERVAL=2", "2026-12-25 2028-12-25 2030-12-25"),
            ("DTSTART;VALUE=DATE:20240229\nRRULE:FREQ=YEARLY;COUNT=2", "2024-02-29 2028-02-29"),
            (
                "DTSTART;VALUE=DATE:20261126\nRRULE:FREQ=YEARLY;COUNT=3;BYMONTH=11;BYDAY=4TH",
                "2026-11-26 2027-11-25 2028-11-23",
            ),
            (
                "DTSTART;VALUE=DATE:20260525\nRRULE:FREQ=YEARLY;COUNT=3;BYMONTH=5;BYDAY=-1MO",
                "2026-05-25 2027-05-31 2028-05-29",
            ),
            (
                "DTSTART;VALUE=DATE:20260119\nRRULE:FREQ=YEARLY;COUNT=2;BYDAY=MO;BYMONTH=1;BYMONTHDAY=15,16,17,18,19,20,21",
                "2026-01-19 2027-01-18",
            ),
            (
                "DTSTART;VALUE=DATE:20260228\nRRULE:FREQ=YEARLY;COUNT=3;BYMONTH=2;BYMONTHDAY=-1",
                "2026-02-28 2027-02-28 2028-02-29",
            ),
            ("DTSTART;VALUE=DATE:20260106\nRRULE:FREQ=YEARLY;BYMONTH=1,6;COUNT=3", "2026-01-06 2026-06-06 2027-01-06"),
            (
                "DTSTART;VALUE=DATE:20261231\nDURATION:P2D\nRRULE:FREQ=YEARLY;COUNT=3\nEXDATE;VALUE=DATE:20271231",
                "2026-12-31 2027-01-01 2028-12-31 2029-01-01",
            ),
        ] {
            let (days, said) = of(&file(event));
            assert_eq!((days.join(" "), said), (expected.to_owned(), vec![]), "{event}");
        }
        let (days, _) = of(&file("DTSTART;VALUE=DATE:20261225\nRRULE:FREQ=YEARLY"));
        assert_eq!((days.len(), days.last().map(String::as_str)), (35, Some("2060-12-25")), "a rule without an end");
    }

    #[test]
    fn what_is_not_understood_is_refused_in_its_line() {
        let day = "DTSTART;VALUE=DATE:20261225";
        for (event, expected) in [
            ("SUMMARY:x".to_owned(), "Error 3:1 the event has no `DTSTART`"),
            ("SUMMARY:x\nDTSTART;VALUE=DATE:20261325".to_owned(), "Error 5:1 `DTSTART`: `20261325` is not a day"),
            ("SUMMARY:x\nDTSTART;VALUE=DATE:18991231".to_owned(), "Error 5:1 `DTSTART`: `18991231` is not a day"),
            (
                format!("{day}\nDTEND;VALUE=DATE:20261225"),
                "Error 5:1 `DTEND:20261225` is no end of an event that begins on 2026-12-25",
            ),
            (format!("{day}\nDTEND;VALUE=DATE:20291225"), "Error 5:1 `DTEND:20291225` is no end"),
            (format!("{day}\nDTEND:20261226T000000Z"), "Error 5:1 `DTEND:20261226T000000Z` is no end"),
            (format!("{day}\nDURATION:PT8H"), "Error 5:1 `DURATION:PT8H` is no end"),
            (format!("{day}\nRRULE:FREQ=WEEKLY"), "Error 5:1 `RRULE:FREQ=WEEKLY` is not understood"),
            (
                format!("{day}\nRRULE:FREQ=YEARLY;BYDAY=4TH"),
                "Error 5:1 `RRULE:FREQ=YEARLY;BYDAY=4TH` is not understood",
            ),
            (
                format!("{day}\nRRULE:FREQ=YEARLY;BYSETPOS=1"),
                "Error 5:1 `RRULE:FREQ=YEARLY;BYSETPOS=1` is not understood",
            ),
            (
                format!("{day}\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH"),
                "Error 5:1 `FREQ=YEARLY;BYMONTH=11;BYDAY=4TH` does not meet 2026-12-25",
            ),
            (
                "DTSTART;VALUE=DATE:20260101\nDURATION:P366D\nRRULE:FREQ=YEARLY;BYMONTH=1;BYDAY=MO,TU,WE,TH,FR"
                    .to_owned(),
                "Error 3:1 the event alone makes more than 20000 holidays",
            ),
            (format!("{day}\nRRULE:FREQ=YEARLY\nRRULE:FREQ=YEARLY"), "Error 6:1 the event has two rules"),
            (format!("{day}\nRDATE;VALUE=DATE:20270101"), "Error 5:1 `RDATE` is not understood"),
            (
                format!("{day}\nRECURRENCE-ID;VALUE=DATE:20270101\nSTATUS:CANCELLED"),
                "Error 5:1 `RECURRENCE-ID` is not understood",
            ),
            (format!("{day}\nEXDATE:x"), "Error 5:1 `EXDATE`: `x` is not a day"),
            (format!("{day}\nwithout a colon"), "Error 5:1 this is no line of an iCalendar file"),
            (
                "DTSTART:20261225T080000Z\nSUMMARY:Meeting".to_owned(),
                "Warning 4:1 the event `Meeting` has a time of day and closes nothing",
            ),
        ] {
            let (days, said) = of(&file(&event));
            assert!(days.is_empty() && said.len() == 1 && said[0].starts_with(expected), "{event}: {days:?} {said:?}");
        }
        for (text, expected) in [
            ("", "Error 1:1 this is not an iCalendar file"),
            ("<!doctype html>\n<p>Log in: here</p>", "Error 1:1 this is no line of an iCalendar file"),
            ("HTTP-EQUIV:refresh", "Error 1:1 this is not an iCalendar file"),
            ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261225\n", "Error 1:1 `VCALENDAR` has no end"),
            ("BEGIN:VCALENDAR\nEND:VEVENT\n", "Error 2:1 `END:VEVENT` ends nothing"),
            (
                "BEGIN:VCALENDAR\nEND:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261225\nEND:VEVENT\n",
                "Error 3:1 this stands after `END:VCALENDAR`",
            ),
        ] {
            let (days, said) = of(text);
            assert!(days.is_empty() && said.len() == 1 && said[0].starts_with(expected), "{text}: {days:?} {said:?}");
        }
        assert_eq!(of("\u{feff}BEGIN:VCALENDAR\nEND:VCALENDAR").1, Vec::<String>::new());
        let day = |day: &str| file(&format!("DTSTART:{day}"));
        assert_eq!(of(&(day("20261225") + &day("20270101"))).0, ["2026-12-25", "2027-01-01"], "two in one file");
    }

    /// A rule costs what it gives: if each were followed to the last year, this would take minutes.
    #[test]
    fn a_rule_ends_with_its_last_day() {
        let event = |end: &str| format!("BEGIN:VEVENT\nDTSTART:19000101\nRRULE:FREQ=YEARLY;{end}\nEND:VEVENT\n");
        let events = [event("COUNT=1"), event("UNTIL=19000101"), event("BYMONTH=2")].concat().repeat(6_000);
        let (days, said) = of(&format!("BEGIN:VCALENDAR\n{events}END:VCALENDAR\n"));
        assert_eq!((days.len(), said.len()), (12_000, 6_000));
    }

    proptest::proptest! {
        /// Whatever stands in a file, it is read or refused.
        #[test]
        fn no_text_brings_it_down(pieces in proptest::collection::vec(piece(), 0..12), noise in "\\PC{0,20}") {
            let event = pieces.concat();
            let (days, said) = of(&file(&format!("{event}{noise}")));
            proptest::prop_assert!(days.len() <= HOLIDAYS_MAX && said.len() < 30);
            of(&format!("{noise}{event}"));
        }
    }

    fn piece() -> impl proptest::strategy::Strategy<Value = String> {
        let words = [
            "DTSTART",
            "DTEND",
            "DURATION",
            "RRULE",
            "EXDATE",
            "BEGIN:",
            "END:",
            "VEVENT",
            ";VALUE=DATE",
            ":",
            ";",
            ",",
            "\n",
            "\n ",
            "20261231",
            "00000101",
            "99991231",
            "20240229",
            "P1D",
            "P9999999999W",
            "FREQ=YEARLY",
            ";INTERVAL=100",
            ";COUNT=2",
            ";BYMONTH=2",
            ";BYMONTHDAY=-31",
            ";BYDAY=-5MO",
            ";BYDAY=é",
            "\"",
            "é",
        ];
        proptest::sample::select(words.map(str::to_owned).to_vec())
    }
}

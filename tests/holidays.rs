//! `holidays_file`: a calendar beside the configuration, as every command reads it.
#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};

use atalaya::commands::check::{Args, examine};
use atalaya::commands::files::{Secrets, load_config, load_matrices};
use atalaya::domain::Timestamp;

/// As calendars that are published look: folded lines, a zone, an alarm, an event at a time of day, one that is off.
const COLOMBIA: &str = "BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Acme//Festivos//ES
BEGIN:VTIMEZONE
TZID:America/Bogota
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:-0500
TZOFFSETTO:-0500
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
UID:navidad@acme.example
DTSTART;VALUE=DATE:20201225
DTEND;VALUE=DATE:20201226
RRULE:FREQ=YEARLY
SUMMARY:Navidad\\, dí
 a de fiesta
BEGIN:VALARM
TRIGGER:-P1D
END:VALARM
END:VEVENT
BEGIN:VEVENT
UID:santa@acme.example
DTSTART;VALUE=DATE:20260402
DTEND;VALUE=DATE:20260404
SUMMARY:Jueves y viernes santo
END:VEVENT
BEGIN:VEVENT
UID:no@acme.example
DTSTART;VALUE=DATE:20260720
STATUS:CANCELLED
END:VEVENT
END:VCALENDAR
";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(configuration: &str, calendar: &str) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        fs::create_dir(folder.path("etc")).unwrap();
        fs::write(folder.path("etc/colombia.ics"), calendar.replace('\n', "\r\n")).unwrap();
        let sources = "matrices: []\nsources: [{ topic: t, silent_after: 1m }]\n";
        fs::write(folder.path("etc/c.yaml"), format!("{sources}time_zone: America/Bogota\n{configuration}\n")).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What `check` says of the configuration, with paths from the folder.
    fn check(&self) -> (Vec<String>, bool) {
        let (said, result) = examine(&Args { config: Some(self.path("etc/c.yaml")), paths: vec![] });
        let clean = |text: String| text.replace(&format!("{}/", self.0.path().display()), "");
        (said.into_iter().map(clean).collect(), result.is_ok())
    }
}

#[test]
fn a_calendars_days_close_what_the_listed_ones_close() {
    let folder = Folder::new("holidays: [\"2026-01-01\"]\nholidays_file: colombia.ics", COLOMBIA);
    assert_eq!(folder.check(), (vec![], true));
    let config = load_config(Some(&folder.path("etc/c.yaml")), Secrets::LeaveOut).unwrap();
    let days: Vec<String> = config.holidays.iter().map(ToString::to_string).collect();
    let of = |year: &str| days.iter().filter(|day| day.starts_with(year)).cloned().collect::<Vec<_>>();
    assert_eq!(of("2026"), ["2026-01-01", "2026-04-02", "2026-04-03", "2026-12-25"]);
    assert_eq!((of("2020"), of("2031")), (vec!["2020-12-25".to_owned()], vec!["2031-12-25".to_owned()]));

    let row = "{ indicator: waiting, goal: \"< 1\", ranges: [{ when: \"< 1\", level: ok }, { when: \">= 1\", level: info }] }";
    let text = format!("version: 1\nname: m\nhours: {{ mon-sun: \"08:00-18:00\" }}\nrows: [{row}]\n");
    fs::write(folder.path("m.yaml"), text).unwrap();
    let calendar = |configuration: &Path| {
        let config = load_config(Some(configuration), Secrets::LeaveOut).unwrap();
        let set = load_matrices(&[folder.path("m.yaml")], &config, true).unwrap();
        (set.matrices[0].rows[0].calendar.clone(), set.hash)
    };
    let (open, hash) = calendar(&folder.path("etc/c.yaml"));
    let is_open = |text: &str| open.is_open(Timestamp::parse(text).unwrap());
    assert!(!is_open("2026-04-03T12:00:00-05:00") && is_open("2026-04-04T12:00:00-05:00"));
    // The set is another one with another calendar.
    fs::write(folder.path("etc/colombia.ics"), COLOMBIA.replace("20260404", "20260405")).unwrap();
    let (changed, other) = calendar(&folder.path("etc/c.yaml"));
    assert!(!changed.is_open(Timestamp::parse("2026-04-04T12:00:00-05:00").unwrap()) && hash != other);
}

#[test]
fn several_calendars_and_paths_from_elsewhere() {
    let folder = Folder::new("", COLOMBIA);
    fs::write(folder.path("own.ics"), COLOMBIA.replace("20260402", "20260330")).unwrap();
    let absolute = folder.path("own.ics");
    let text = format!("holidays_file: [colombia.ics, ../own.ics, \"{}\"]\n", absolute.display());
    fs::write(folder.path("etc/c.yaml"), text).unwrap();
    let config = load_config(Some(&folder.path("etc/c.yaml")), Secrets::LeaveOut).unwrap();
    let days: Vec<String> = config.holidays.iter().map(ToString::to_string).collect();
    let spring = days.iter().filter(|day| day.starts_with("2026-0")).count();
    assert_eq!((spring, config.calendars.len()), (5, 3), "each day once: {days:?}");
}

#[test]
fn what_is_wrong_with_a_calendar_is_named_with_its_line() {
    let broken = COLOMBIA.replace("FREQ=YEARLY", "FREQ=MONTHLY");
    let past = COLOMBIA.replace("RRULE:FREQ=YEARLY\n", "");
    let timed = COLOMBIA.replace("DTSTART;VALUE=DATE:20260402", "DTSTART:20260402T080000Z");
    let none = "BEGIN:VCALENDAR\nEND:VCALENDAR\n";
    for (name, calendar, expected, ok) in [
        (
            "bogota.ics",
            COLOMBIA,
            "etc/c.yaml:4:16: error: `holidays_file`: etc/bogota.ics cannot be read: there is no such file",
            false,
        ),
        ("colombia.ics", &*broken, "etc/colombia.ics:16:1: error: `RRULE:FREQ=MONTHLY` is not understood", false),
        (
            "colombia.ics",
            &*past,
            "etc/colombia.ics:22:1: warning: the last holiday of this calendar is 2026-04-03: none is to come",
            true,
        ),
        (
            "colombia.ics",
            &*timed,
            "etc/colombia.ics:25:1: warning: the event `Jueves y viernes santo` has a time of day",
            true,
        ),
        ("colombia.ics", none, "etc/colombia.ics:1:1: warning: this calendar holds no holiday", true),
        ("colombia.ics", "", "etc/colombia.ics:1:1: error: this is not an iCalendar file", false),
    ] {
        let folder = Folder::new(&format!("holidays_file: {name}"), calendar);
        let (said, fine) = folder.check();
        assert!(said.len() == 1 && said[0].starts_with(expected) && fine == ok, "{expected}: {said:#?}");
    }
}

/// As old programs write them: Latin-1.
#[test]
fn a_calendar_of_another_encoding_is_named_with_the_place() {
    let folder = Folder::new("holidays_file: colombia.ics", COLOMBIA);
    fs::write(folder.path("etc/colombia.ics"), b"BEGIN:VCALENDAR\nX-WR-CALNAME:D\xedas\nEND:VCALENDAR\n").unwrap();
    let (said, fine) = folder.check();
    assert_eq!(said, ["etc/colombia.ics:2:15: error: this is not UTF-8 text\n  hint: save the file as UTF-8"]);
    assert!(!fine);
}

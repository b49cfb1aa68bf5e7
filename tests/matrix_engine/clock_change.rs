//! Opening hours on the days on which the clock is put forward or back: when a row is open follows the wall clock (IANA
//! time zone database, 2026); `for`, `repeat` and `escalate` count seconds that pass.
//!
//! Alertmanager, "Configuration", `<time_interval>`: the zone of `location` decides what the wall clock shows. In Santiago the
//! clock changes at midnight, so that a day begins at 01:00 or an evening hour comes twice; in Madrid at 02:00 or 03:00.
//! Times are hours after the start that each test names.

use crate::support::check_from;
use atalaya::domain::Timestamp;

fn at(time: &str) -> Timestamp {
    Timestamp(time.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

#[test]
fn a_night_shift_without_its_midnight_hour() {
    // Saturday 22:00; 24:00 is 01:00 on Sunday. The shift lasts three hours, the day until the next one 23.
    check_from(
        at("2026-09-05T22:00:00-04:00"),
        "asa; ok ..10; critical 10.. for 10m tell lead escalate 45m:manager repeat 30m; \
         hours 22:00-02:00; zone America/Santiago",
        "0:00:00 5
         1:55:00 15
         23:06:00 end",
        "2:05:00 i1 ok -> critical 10.. range
         2:05:00 i1 #1 lead.email critical range
         2:35:00 i1 #2 lead.email critical repeat
         2:50:00 i1 #3 manager.email critical escalation
         23:00:00 i1 #4 lead.email critical opened
         23:00:00 i1 #5 manager.email critical opened
         23:05:00 i1 #6 lead.email critical repeat
         23:05:00 i1 #7 manager.email critical repeat",
    );
}

#[test]
fn a_night_shift_whose_hour_before_midnight_comes_twice() {
    // Saturday 22:00; the first 24:00 is 23:00 again. The shift lasts five hours.
    check_from(
        at("2026-04-04T22:00:00-03:00"),
        "asa; ok ..10; critical 10.. for 10m tell lead escalate 90m:manager repeat 1h; recover 0 0s; \
         hours 22:00-02:00; zone America/Santiago",
        "0:00:00 5
         1:55:00 15
         5:30:00 end",
        "2:05:00 i1 ok -> critical 10.. range
         2:05:00 i1 #1 lead.email critical range
         3:05:00 i1 #2 lead.email critical repeat
         3:35:00 i1 #3 manager.email critical escalation
         4:05:00 i1 #4 lead.email critical repeat
         4:05:00 i1 #5 manager.email critical repeat",
    );
}

#[test]
fn hours_that_begin_or_end_in_the_hour_that_is_not_there() {
    // Sunday 00:00; after 01:59:59 comes 03:00:00.
    let start = at("2026-03-29T00:00:00+01:00");
    // 02:30 is never shown: open from 03:00 on, two hours after midnight. 10:00 is nine hours after it.
    check_from(
        start,
        "asa; ok ..10; critical 10.. for 10m tell lead repeat 3h; hours 02:30-10:00; zone Europe/Madrid",
        "0:00:00 15
         9:30:00 end",
        "2:10:00 i1 ok -> critical 10.. range
         2:10:00 i1 #1 lead.email critical range
         5:10:00 i1 #2 lead.email critical repeat
         8:10:00 i1 #3 lead.email critical repeat",
    );
    // Closed from 03:00 on, five minutes into `for`, which begins anew at 08:00.
    check_from(
        start,
        "asa; ok ..10; critical 10.. for 10m tell lead; hours 08:00-02:30; zone Europe/Madrid",
        "0:00:00 5
         1:55:00 15
         7:30:00 end",
        "7:10:00 i1 ok -> critical 10.. range
         7:10:00 i1 #1 lead.email critical range",
    );
}

#[test]
fn the_hour_that_comes_twice_counts_twice() {
    // Sunday 00:00; the first 03:00:00 is 02:00:00 again.
    let start = at("2026-10-25T00:00:00+02:00");
    check_from(
        start,
        "asa; ok ..10; critical 10.. for 90m tell lead repeat 1h; hours 00:00-05:00; zone Europe/Madrid",
        "0:00:00 5
         2:00:00 15
         6:30:00 end",
        "3:30:00 i1 ok -> critical 10.. range
         3:30:00 i1 #1 lead.email critical range
         4:30:00 i1 #2 lead.email critical repeat
         5:30:00 i1 #3 lead.email critical repeat",
    );
    // Open from 02:30 to 03:00, closed while the clock shows 02:00 to 02:30 again, and open from 02:30 on: an opening, at
    // which `for` begins at zero.
    check_from(
        start,
        "asa; ok ..10; critical 10.. for 40m tell lead; hours 02:30-10:00; zone Europe/Madrid",
        "0:00:00 15
         5:00:00 end",
        "4:10:00 i1 ok -> critical 10.. range
         4:10:00 i1 #1 lead.email critical range",
    );
}

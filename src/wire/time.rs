//! RFC 3339, and nothing beside it: fast, strict, on bytes.
//!
//! Not [`Timestamp::parse`], which reads what a person may write and costs several times as much: every record of a
//! feed passes here. A time without an offset, a date alone or a string of digits is not an instant.

use crate::domain::Timestamp;

/// `YYYY-MM-DDThh:mm:ss[.fraction](Z|+hh:mm|-hh:mm)`; `t`, `z` and a space for `T` as the RFC allows. A fraction is cut
/// to the millisecond it lies in, a leap second (`:60`) counts as the second before it. `None` for anything else and
/// outside [`Timestamp::MIN`]..[`Timestamp::MAX`].
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let (date, rest) = bytes.split_first_chunk::<19>()?;
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T' | b't' | b' ', h0, h1, b':', i0, i1, b':', s0, s1] = date
    else {
        return None;
    };
    let year = two(*y0, *y1)? * 100 + two(*y2, *y3)?;
    let (month, day) = (two(*m0, *m1)?, two(*d0, *d1)?);
    let (hour, minute, second) = (two(*h0, *h1)?, two(*i0, *i1)?, two(*s0, *s1)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (millis, offset) = match rest.split_first() {
        Some((b'.', fraction)) => fraction_of_second(fraction)?,
        _ => (0, rest),
    };
    let offset_minutes = match offset {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let (hours, minutes) = (two(*h0, *h1)?, two(*m0, *m1)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let seconds = (hour * 60 + minute - offset_minutes) * 60 + second.min(59);
    Timestamp((days_since_epoch(year, month, day) * 86_400 + seconds) * 1000 + millis).in_range()
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// Milliseconds of the digits after the point, and what follows them. At least one digit.
fn fraction_of_second(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let (fraction, rest) = bytes.split_at_checked(digits)?;
    let digit = |index: usize| fraction.get(index).map_or(0, |b| i64::from(b - b'0'));
    (digits > 0).then(|| (digit(0) * 100 + digit(1) * 10 + digit(2), rest))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 of a date of the proleptic Gregorian calendar. The year is counted from March, so that the
/// leap day is its last; see H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_rfc_3339_and_nothing_else() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01t00:00:00.0019z", Some(1)),
            ("1969-12-31T23:59:59.9999Z", Some(-1)),
            ("1999-08-01 00:10:10+03:00", Some(933_455_410_000)),
            ("2026-11-22T10:00:00.5-05:00", Some(1_795_359_600_500)),
            ("2026-11-22T10:00:00-00:00", Some(1_795_341_600_000)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_799_000)),
            ("2023-02-29T00:00:00Z", None),
            ("2026-11-22T10:00:00", None),
            ("2026-11-22T10:00Z", None),
            ("2026-11-22", None),
            ("2026-11-22T10:00:00+0300", None),
            ("2026-11-22T10:00:00+03", None),
            ("2026-11-22T10:00:00.Z", None),
            ("2026-11-22T24:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-00-01T00:00:00Z", None),
            ("2026-11-22T10:00:00Z[UTC]", None),
            ("2026-11-22T10:00:00Z ", None),
            ("1795341600000", None),
            ("0000-01-01T00:00:00Z", None),
            ("9999-01-02T00:00:00Z", None),
            ("２026-11-22T10:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected.map(Timestamp), "{text:?}");
        }
    }

    proptest! {
        /// The calendar against an independent one.
        #[test]
        fn agrees_with_jiff(ms in Timestamp::MIN.0..=Timestamp::MAX.0) {
            prop_assert_eq!(parse(&Timestamp(ms).to_string()), Some(Timestamp(ms)));
        }

        #[test]
        fn never_panics(text in "\\PC{0,40}|[0-9tTzZ:.+ -]{15,40}") {
            let _ = parse(&text);
        }
    }
}

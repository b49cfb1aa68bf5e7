//! Instants and durations in integer milliseconds.
//!
//! Milliseconds since 1970 in an `i64`: sums of them are exact, and they merge in any order.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant: milliseconds since 1970-01-01T00:00:00Z. Printed and serialised as RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// A length of time in milliseconds; may be negative as a difference. Serialised as seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub i64);

impl Timestamp {
    /// The earliest and latest instants accepted from outside: years 0001 to 9998, so that arithmetic never overflows.
    pub const MIN: Timestamp = Timestamp(-62_135_596_800_000);
    pub const MAX: Timestamp = Timestamp(253_370_764_800_000);

    pub fn from_seconds(seconds: i64) -> Self {
        Timestamp(seconds * 1000)
    }

    /// RFC 3339 with an offset; `None` for anything else or outside [`Timestamp::MIN`]..[`Timestamp::MAX`].
    pub fn parse(text: &str) -> Option<Self> {
        let instant: jiff::Timestamp = text.parse().ok()?;
        let stamp = Timestamp(instant.as_millisecond());
        // jiff rounds toward zero; an instant before 1970 with a fraction belongs to the millisecond before.
        let stamp = if instant.subsec_nanosecond() % 1_000_000 < 0 { Timestamp(stamp.0 - 1) } else { stamp };
        stamp.in_range()
    }

    pub fn in_range(self) -> Option<Self> {
        (Self::MIN..=Self::MAX).contains(&self).then_some(self)
    }

    /// The largest multiple of `step` (counted from 1970) at or before this instant.
    pub fn floor_to(self, step: Millis) -> Self {
        Timestamp(self.0 - self.0.rem_euclid(step.0))
    }

    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or_default()
    }

    pub fn in_zone(self, zone: &jiff::tz::TimeZone) -> jiff::Zoned {
        self.to_jiff().to_zoned(zone.clone())
    }
}

impl Millis {
    pub const ZERO: Millis = Millis(0);
    pub const SECOND: Millis = Millis(1_000);
    pub const MINUTE: Millis = Millis(60_000);
    pub const HOUR: Millis = Millis(3_600_000);
    pub const DAY: Millis = Millis(86_400_000);

    pub const fn seconds(n: i64) -> Self {
        Millis(n * 1_000)
    }

    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// `1500ms`, `30s`, `15m`, `2h`, `1d`, or several together as in `1h30m`; no sign, no spaces.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut total = 0i64;
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(letters);
            let scale = match unit {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return None,
            };
            total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(scale)?)?;
            rest = tail;
        }
        (total <= Millis::DAY.0 * 366 * 100).then_some(Millis(total))
    }
}

impl std::ops::Add<Millis> for Timestamp {
    type Output = Timestamp;
    fn add(self, rhs: Millis) -> Timestamp {
        Timestamp(self.0 + rhs.0)
    }
}
impl std::ops::Sub<Millis> for Timestamp {
    type Output = Timestamp;
    fn sub(self, rhs: Millis) -> Timestamp {
        Timestamp(self.0 - rhs.0)
    }
}
impl std::ops::Sub<Timestamp> for Timestamp {
    type Output = Millis;
    fn sub(self, rhs: Timestamp) -> Millis {
        Millis(self.0 - rhs.0)
    }
}
impl std::ops::Add for Millis {
    type Output = Millis;
    fn add(self, rhs: Millis) -> Millis {
        Millis(self.0 + rhs.0)
    }
}
impl std::ops::Sub for Millis {
    type Output = Millis;
    fn sub(self, rhs: Millis) -> Millis {
        Millis(self.0 - rhs.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_jiff())
    }
}
impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The shortest exact form people say: `90s` is `1m30s`, a day is `24h`, whole days from three on are `3d`, zero is `0s`.
/// Windows and thresholds are printed as they were written, not through this.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0;
        if left < 0 {
            f.write_str("-")?;
            left = -left;
        }
        if left == 0 {
            return f.write_str("0s");
        }
        for (unit, scale) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            if unit == "d" && (left % scale != 0 || left < 3 * scale) {
                continue;
            }
            if left >= scale {
                write!(f, "{}{unit}", left / scale)?;
                left %= scale;
            }
        }
        Ok(())
    }
}
impl fmt::Debug for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Timestamp::parse(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 time"))
    }
}
impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(self.as_seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print() {
        for (text, ms, printed) in [
            ("0s", 0, "0s"),
            ("1500ms", 1500, "1s500ms"),
            ("90s", 90_000, "1m30s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("24h", 86_400_000, "24h"),
            ("3d", 259_200_000, "3d"),
            ("30h", 108_000_000, "30h"),
        ] {
            assert_eq!(Millis::parse(text), Some(Millis(ms)), "{text}");
            assert_eq!(Millis(ms).to_string(), printed);
        }
        for bad in ["", "5", "m", "5x", "-5s", "5 s", "99999999999999999999s", "9999999d"] {
            assert_eq!(Millis::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn instants_are_whole_milliseconds_downward() {
        assert_eq!(Timestamp::parse("1970-01-01T00:00:00.0019Z"), Some(Timestamp(1)));
        assert_eq!(Timestamp::parse("1969-12-31T23:59:59.9999Z"), Some(Timestamp(-1)));
        assert_eq!(
            Timestamp::parse("1999-08-01T00:10:10+03:00").map(|t| t.to_string()).as_deref(),
            Some("1999-07-31T21:10:10Z")
        );
        assert_eq!(Timestamp::parse("1999-08-01T00:10:10"), None, "an offset is required");
    }
}

//! The envelope of a snapshot: a state put down in bytes, to be taken up by a later process.
//!
//! What a state holds is written by the module that keeps it (`floor::snapshot`, `board::snapshot`,
//! `matrix::engine::snapshot`); where the bytes are kept is the journal's matter. Here is what they have in common: from
//! bytes that are not whole, of another version or of other settings, nothing is restored, not even in part.
//!
//! # Layout
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 6 | `ATALSN` |
//! | 6 | 2 | the kind of state, see [`Kind`]; little-endian, as all that follows |
//! | 8 | 2 | version of the kind's layout and meaning |
//! | 10 | 8 | fingerprint of the settings that the state was made under |
//! | 18 | 8 | n, the length of the body |
//! | 26 | n | the body, in postcard's wire format (<https://postcard.jamesmunns.com/wire-format>): integers as variable-length ones, signed ones in zigzag, texts and lists behind their length, no names of fields |
//! | 26 + n | 8 | XXH3 of 64 bits of all before |
//!
//! A layout never changes under its version: whatever is added, moved or meant otherwise raises the version, and a reader
//! refuses what it does not know. A snapshot is a short cut; the sources and logs from which it can be made again remain.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

use crate::domain::Timestamp;

const MAGIC: &[u8; 6] = b"ATALSN";
const HEAD: usize = 26;
const TAIL: usize = 8;

/// What a snapshot is of, and the version of its layout that this program writes and reads.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    code: u16,
    version: u16,
    name: &'static str,
}

impl Kind {
    pub const FLOOR: Kind = Kind { code: 1, version: 1, name: "a floor" };
    pub const BOARD: Kind = Kind { code: 2, version: 1, name: "a board" };
    pub const ENGINE: Kind = Kind { code: 3, version: 7, name: "the cases of the matrices" };
    pub const EVALUATOR: Kind = Kind { code: 4, version: 1, name: "an evaluator" };
    pub const LEDGER: Kind = Kind { code: 8, version: 1, name: "what an instance saw of the decisions log" };
    pub const REPLICA: Kind = Kind { code: 6, version: 2, name: "what an instance saw of the deltas log" };
    pub const REPLAY: Kind = Kind { code: 5, version: 1, name: "a run in virtual time" };
}

/// Why nothing was restored. In every case the remedy is an older snapshot, or a start from the sources without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SnapshotError {
    #[error("the snapshot is cut off: {found} bytes, of at least {expected}; take an older one, or start without")]
    Truncated { expected: u64, found: u64 },
    #[error("these bytes are no snapshot of {0}; look at where they were read from")]
    NotOne(&'static str),
    #[error(
        "the snapshot has version {found}, this program reads {known}; run the version that wrote it, or start without"
    )]
    Version { found: u16, known: u16 },
    #[error("the snapshot is damaged: its check-sum does not fit; take an older one, or start without")]
    Damaged,
    #[error("the snapshot was made under other settings; start without, so that all is counted by those of now")]
    OtherSettings,
    #[error("the snapshot is whole, but its {0} cannot be: a fault of the program that wrote it; start without")]
    Invalid(&'static str),
}

type Result<T> = std::result::Result<T, SnapshotError>;

/// Writes a snapshot.
#[derive(Debug)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub fn new(kind: Kind, settings: u64) -> Writer {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(kind.code.to_le_bytes());
        bytes.extend(kind.version.to_le_bytes());
        bytes.extend(settings.to_le_bytes());
        bytes.extend([0; 8]);
        Writer(bytes)
    }

    pub fn put(&mut self, value: &impl Serialize) {
        let put = postcard::serialize_with_flavor(value, Append(&mut self.0));
        debug_assert!(put.is_ok(), "postcard refuses only lists without a length");
    }

    pub fn finish(mut self) -> Vec<u8> {
        let length = (self.0.len() - HEAD) as u64;
        if let Some(place) = self.0.get_mut(HEAD - 8..HEAD) {
            place.copy_from_slice(&length.to_le_bytes());
        }
        self.0.extend(xxh3_64(&self.0).to_le_bytes());
        self.0
    }
}

struct Append<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Append<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Reads a snapshot that is whole, and of the kind, version and settings asked for.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn open(kind: Kind, settings: u64, bytes: &'a [u8]) -> Result<Reader<'a>> {
        let found = bytes.len() as u64;
        let short = |expected| SnapshotError::Truncated { expected, found };
        let (head, rest) = bytes.split_at_checked(HEAD).ok_or(short((HEAD + TAIL) as u64))?;
        let number = |at: usize, length: usize| {
            let bytes = head.get(at..at + length).unwrap_or(&[]);
            bytes.iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
        };
        if !head.starts_with(MAGIC) || number(6, 2) != u64::from(kind.code) {
            return Err(SnapshotError::NotOne(kind.name));
        }
        let version = number(8, 2) as u16;
        if version != kind.version {
            return Err(SnapshotError::Version { found: version, known: kind.version });
        }
        let expected = number(18, 8).saturating_add((HEAD + TAIL) as u64);
        if found < expected {
            return Err(short(expected));
        }
        let body = rest.len().checked_sub(TAIL).filter(|_| found == expected).ok_or(SnapshotError::Damaged)?;
        let (body, sum) = rest.split_at_checked(body).ok_or(SnapshotError::Damaged)?;
        if xxh3_64(bytes.get(..HEAD + body.len()).unwrap_or(&[])).to_le_bytes() != sum {
            return Err(SnapshotError::Damaged);
        }
        if number(10, 8) != settings {
            return Err(SnapshotError::OtherSettings);
        }
        Ok(Reader(body))
    }

    /// The next value; `what` says of it in an error.
    pub fn take<T: Deserialize<'a>>(&mut self, what: &'static str) -> Result<T> {
        let (value, rest) = postcard::take_from_bytes(self.0).map_err(|_| SnapshotError::Invalid(what))?;
        self.0 = rest;
        Ok(value)
    }

    /// How many values follow. Each is a byte at least, so that there can be no more than there are bytes.
    pub fn count(&mut self, what: &'static str) -> Result<usize> {
        let count: u64 = self.take(what)?;
        usize::try_from(count).ok().filter(|count| *count <= self.0.len()).ok_or(SnapshotError::Invalid(what))
    }

    /// How many bytes are left, of which each value takes one at least.
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// All has been read.
    pub fn finish(self) -> Result<()> {
        ensure(self.0.is_empty(), "end")
    }
}

pub(crate) fn ensure(holds: bool, what: &'static str) -> Result<()> {
    if holds { Ok(()) } else { Err(SnapshotError::Invalid(what)) }
}

/// An instant as it could have come from outside, so that arithmetic with it never overflows.
pub(crate) fn instant(ms: Option<i64>, what: &'static str) -> Result<i64> {
    let instant = ms.and_then(|ms| Timestamp(ms).in_range());
    instant.map(|instant| instant.0).ok_or(SnapshotError::Invalid(what))
}

/// Bytes that are written and read in one piece.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a>(pub &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bytes<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        <&[u8]>::deserialize(from).map(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Vec<u8> {
        let mut writer = Writer::new(Kind::FLOOR, 0x0102_0304_0506_0708);
        writer.put(&(-1i64, "ab", Bytes(&[7, 8])));
        writer.put(&300u64);
        writer.finish()
    }

    fn read(bytes: &[u8]) -> Result<(i64, &str, Vec<u8>, u64)> {
        let mut reader = Reader::open(Kind::FLOOR, 0x0102_0304_0506_0708, bytes)?;
        let (number, text, bytes): (i64, &str, Bytes<'_>) = reader.take("test")?;
        let last = reader.take("test")?;
        reader.finish()?;
        Ok((number, text, bytes.0.to_vec(), last))
    }

    #[test]
    fn the_layout_is_as_documented() {
        let bytes = written();
        let expected =
            b"ATALSN\x01\0\x01\0\x08\x07\x06\x05\x04\x03\x02\x01\x09\0\0\0\0\0\0\0\x01\x02ab\x02\x07\x08\xac\x02";
        let (all_but_sum, sum) = bytes.split_at(bytes.len() - 8);
        assert_eq!(all_but_sum, expected);
        assert_eq!(sum, xxh3_64(expected).to_le_bytes());
        assert_eq!(read(&bytes), Ok((-1, "ab", vec![7, 8], 300)));
    }

    #[test]
    fn nothing_else_is_read() {
        let bytes = written();
        for end in 0..bytes.len() {
            let expected = if end < HEAD { HEAD + TAIL } else { bytes.len() } as u64;
            assert_eq!(read(&bytes[..end]), Err(SnapshotError::Truncated { expected, found: end as u64 }));
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut other = bytes.clone();
                other[at] ^= 1 << bit;
                let error = read(&other).unwrap_err();
                match at {
                    0..8 => assert_eq!(error, SnapshotError::NotOne("a floor")),
                    8..10 => assert!(matches!(error, SnapshotError::Version { known: 1, .. })),
                    18..26 => assert!(matches!(error, SnapshotError::Truncated { .. } | SnapshotError::Damaged)),
                    _ => assert_eq!(error, SnapshotError::Damaged),
                }
            }
        }
        assert_eq!(read(&[bytes.as_slice(), &[0]].concat()), Err(SnapshotError::Damaged));
        let other = Writer::new(Kind::FLOOR, 1).finish();
        assert_eq!(read(&other), Err(SnapshotError::OtherSettings));
        let short = Writer::new(Kind::FLOOR, 0x0102_0304_0506_0708).finish();
        assert_eq!(read(&short), Err(SnapshotError::Invalid("test")));
    }
}

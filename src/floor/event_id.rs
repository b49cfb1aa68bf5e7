//! Ids of events, kept exactly in sixteen bytes where they are short, UUIDs or hashes in hexadecimal, as most are.
//!
//! They tell repeated events apart and order what is otherwise equal, bytewise as text. So nothing may be lost of them; the
//! text of a longer one is kept beside the time-line.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::snapshot::{Bytes, SnapshotError};

/// Equal where the texts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EventId {
    pub form: Form,
    pub bits: u128,
}

/// What the bits are: this many bytes of text, or one of the other forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form(pub u8);

impl Form {
    const SHORT_MAX: u8 = 16;
    /// `01234567-89ab-cdef-0123-456789abcdef`, in lower case.
    const UUID: Form = Form(17);
    /// 32 hexadecimal digits in lower case.
    const HEX: Form = Form(18);
    /// A hash; the text is in [`LongIds`].
    pub const LONG: Form = Form(19);
}

const DASHES: [usize; 4] = [8, 13, 18, 23];

impl EventId {
    pub fn of(text: &str) -> EventId {
        let bytes = text.as_bytes();
        if bytes.len() <= usize::from(Form::SHORT_MAX) {
            let mut padded = [0; 16];
            for (to, from) in padded.iter_mut().zip(bytes) {
                *to = *from;
            }
            return EventId { form: Form(bytes.len() as u8), bits: u128::from_be_bytes(padded) };
        }
        let (form, digits) = match bytes.len() {
            36 if DASHES.iter().all(|at| bytes.get(*at) == Some(&b'-')) => {
                (Form::UUID, hex(bytes, [0, 4, 9, 14, 19, 24, 28, 32]))
            }
            32 => (Form::HEX, hex(bytes, [0, 4, 8, 12, 16, 20, 24, 28])),
            _ => (Form::LONG, None),
        };
        match digits {
            Some(bits) => EventId { form, bits },
            None => EventId { form: Form::LONG, bits: xxh3_128(bytes) },
        }
    }

    /// The text itself, in `room` unless it is a long one.
    fn text<'a>(&self, room: &'a mut [u8; 36], long: &'a LongIds) -> &'a [u8] {
        let digits = |room: &mut [u8; 36], dashes: &[usize]| {
            let mut nibbles = (0..32).rev().map(|n| (self.bits >> (n * 4)) as u8 & 15);
            for (at, byte) in room.iter_mut().enumerate() {
                let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
                *byte = if dashes.contains(&at) { b'-' } else { nibbles.next().map_or(b' ', digit) };
            }
        };
        let length = match self.form {
            Form::UUID => {
                digits(room, &DASHES);
                36
            }
            Form::HEX => {
                digits(room, &[]);
                32
            }
            Form::LONG => return long.text(self.bits),
            Form(length) => {
                for (to, from) in room.iter_mut().zip(self.bits.to_be_bytes()) {
                    *to = from;
                }
                usize::from(length)
            }
        };
        room.get(..length).unwrap_or(&[])
    }

    /// Bytewise, as text.
    pub fn compare(&self, other: &EventId, long: &LongIds) -> Ordering {
        let (mut one, mut two) = ([0; 36], [0; 36]);
        self.text(&mut one, long).cmp(other.text(&mut two, long))
    }
}

/// An id as it is written down: its text where it is short or none of the other forms, else what the digits mean.
#[derive(Serialize, Deserialize)]
pub(super) enum WrittenId<'a> {
    #[serde(borrow)]
    Text(Bytes<'a>),
    Uuid([u8; 16]),
    Hex([u8; 16]),
}

impl EventId {
    pub fn written<'a>(&self, room: &'a mut [u8; 36], long: &'a LongIds) -> WrittenId<'a> {
        match self.form {
            Form::UUID => WrittenId::Uuid(self.bits.to_be_bytes()),
            Form::HEX => WrittenId::Hex(self.bits.to_be_bytes()),
            _ => WrittenId::Text(Bytes(self.text(room, long))),
        }
    }

    /// The id that was written; `long` keeps its text where it is a long one.
    pub fn read(written: WrittenId<'_>, long: &mut LongIds) -> Result<EventId, SnapshotError> {
        match written {
            WrittenId::Uuid(bits) => Ok(EventId { form: Form::UUID, bits: u128::from_be_bytes(bits) }),
            WrittenId::Hex(bits) => Ok(EventId { form: Form::HEX, bits: u128::from_be_bytes(bits) }),
            WrittenId::Text(Bytes(text)) => {
                let text = std::str::from_utf8(text).map_err(|_| SnapshotError::Invalid("id of an event"))?;
                let id = EventId::of(text);
                long.keep(id, text);
                Ok(id)
            }
        }
    }
}

/// The number that 32 hexadecimal digits in lower case mean, four from each of these places on. Eight are read at a time:
/// the id of every event is.
fn hex(bytes: &[u8], places: [usize; 8]) -> Option<u128> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let mut bits = 0u128;
    for [high, low] in places.as_chunks::<2>().0 {
        let four = |at: usize| bytes.get(at..)?.first_chunk::<4>().map(|four| u32::from_be_bytes(*four));
        let text = u64::from(four(*high)?) << 32 | u64::from(four(*low)?);
        // Letters have bit 6, and stand nine behind the digits in their lower halves.
        let digits = (text & (EACH * 0x0f)) + (text >> 6 & EACH) * 9;
        let letters = (digits + EACH * 6) >> 4 & EACH;
        if digits & (EACH * 0xf0) != 0 || digits + EACH * 0x30 + letters * 0x27 != text {
            return None;
        }
        let pairs = (digits | digits >> 4) & 0x00ff_00ff_00ff_00ff;
        let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
        bits = bits << 32 | u128::from((fours | fours >> 16) as u32);
    }
    Some(bits)
}

/// The texts of the ids of one interaction that do not fit, each behind its length.
#[derive(Clone, Debug, Default)]
pub(super) struct LongIds(
    #[expect(clippy::box_collection, reason = "most interactions have none: a third of the bytes")]
    Option<Box<Vec<u8>>>,
);

impl LongIds {
    pub fn keep(&mut self, id: EventId, text: &str) {
        if id.form == Form::LONG {
            let texts = self.0.get_or_insert_default();
            texts.extend_from_slice(&(text.len() as u32).to_le_bytes());
            texts.extend_from_slice(text.as_bytes());
        }
    }

    /// Looked for one by one: it is asked for only where two events are otherwise equal.
    fn text(&self, bits: u128) -> &[u8] {
        let mut rest = self.0.as_deref().map_or(&[][..], |texts| texts);
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let Some((text, after)) = after.split_at_checked(u32::from_le_bytes(*length) as usize) else { break };
            if xxh3_128(text) == bits {
                return text;
            }
            rest = after;
        }
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_as_their_texts() {
        let texts = [
            "",
            "\0",
            "a",
            "a\0",
            "b",
            "sixteen bytes at",
            "seventeen bytes a",
            "0f2b7a70-0a3c-4b1e-9f00-00a1b2c3d4e5",
            "0f2b7a70-0a3c-4b1e-9f00-00a1b2c3d4e6",
            "0F2B7A70-0A3C-4B1E-9F00-00A1B2C3D4E5",
            "0f2b7a70-0a3c-4b1e-9f00-00a1b2c3d4eg",
            "0f2b7a700a3c-4b1e-9f00-00a1b2c3d4e5-",
            "0f2b7a70-0a3c-4b1e-9f00-00a1b2c3d-e5",
            "0f2b7a700a3c4b1e9f0000a1b2c3d4e5",
            "0f2b7a700a3c4b1e9f0000a1b2c3d4eX",
            "ñandú",
            "the id of a producer that likes its identifiers long and telling",
        ];
        let mut long = LongIds::default();
        let ids = texts.map(|text| {
            let id = EventId::of(text);
            long.keep(id, text);
            id
        });
        for (one, text) in ids.iter().zip(texts) {
            assert_eq!(one.text(&mut [0; 36], &long), text.as_bytes());
            for (two, other) in ids.iter().zip(texts) {
                assert_eq!(one == two, text == other, "{text} {other}");
                assert_eq!(one.compare(two, &long), text.cmp(other), "{text} {other}");
            }
        }
    }
}

//! Numbers put down in as few bytes as they need: in groups of seven bits, the lowest first, the top bit saying that another
//! follows (LEB128); signed ones in zigzag, so that a small difference is short whichever way it goes.
//!
//! Reading trusts nothing: what is cut off, does not fit or claims more than there are bytes is an error that names what
//! was to be read.

/// What was read, or the name of what could not be.
pub type Taken<T> = Result<T, &'static str>;

pub fn put(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

pub fn put_signed(to: &mut Vec<u8>, number: i64) {
    put(to, (number << 1 ^ number >> 63) as u64);
}

/// Bytes that are read from the front.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a>(pub &'a [u8]);

impl<'a> Source<'a> {
    pub fn byte(&mut self, what: &'static str) -> Taken<u8> {
        let (byte, rest) = self.0.split_first().ok_or(what)?;
        self.0 = rest;
        Ok(*byte)
    }

    pub fn flag(&mut self, what: &'static str) -> Taken<bool> {
        match self.byte(what)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(what),
        }
    }

    /// One that was put by [`put`].
    pub fn number(&mut self, what: &'static str) -> Taken<u64> {
        let (mut number, mut shift) = (0u64, 0);
        loop {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit, and nothing follows it.
            if shift >= 63 && (shift > 63 || bits > 1) {
                return Err(what);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
            shift += 7;
        }
    }

    /// One that was put by [`put_signed`].
    pub fn signed(&mut self, what: &'static str) -> Taken<i64> {
        let number = self.number(what)?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// A number that fits a smaller type.
    pub fn small<T: TryFrom<u64>>(&mut self, what: &'static str) -> Taken<T> {
        T::try_from(self.number(what)?).map_err(|_| what)
    }

    /// How many things follow. Each is a byte at least, so that there can be no more than there are bytes.
    pub fn count(&mut self, what: &'static str) -> Taken<usize> {
        let count: usize = self.small(what)?;
        if count <= self.0.len() { Ok(count) } else { Err(what) }
    }

    pub fn slice(&mut self, length: usize, what: &'static str) -> Taken<&'a [u8]> {
        let (slice, rest) = self.0.split_at_checked(length).ok_or(what)?;
        self.0 = rest;
        Ok(slice)
    }

    /// Eight bytes, little-endian: of numbers that are as likely long as short.
    pub fn word(&mut self, what: &'static str) -> Taken<u64> {
        let (word, rest) = self.0.split_first_chunk().ok_or(what)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*word))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_put_is_taken_again(unsigned: u64, signed: i64, shift in 0..64u32) {
            let (unsigned, signed) = (unsigned >> shift, signed >> shift);
            let mut bytes = Vec::new();
            put(&mut bytes, unsigned);
            put_signed(&mut bytes, signed);
            let mut source = Source(&bytes);
            prop_assert_eq!(source.number("unsigned"), Ok(unsigned));
            prop_assert_eq!(source.signed("signed"), Ok(signed));
            prop_assert_eq!(source.byte("end"), Err("end"));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let number = |bytes: &[u8]| Source(bytes).number("n");
        assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Ok(u64::MAX));
        assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), Err("n"));
        assert_eq!(number(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]), Err("n"));
        assert_eq!(number(&[0x80]), Err("n"));
        assert_eq!(Source(&[0x80, 2]).small::<u8>("n"), Err("n"));
        assert_eq!(Source(&[2, 0]).count("n"), Err("n"));
        assert_eq!(Source(&[2]).flag("n"), Err("n"));
        assert_eq!(Source(&[2]).slice(2, "n"), Err("n"));
        assert_eq!(Source(&[2]).word("n"), Err("n"));
    }
}

//! How a state lies in a compacted topic: in pieces under an id of its own, and a manifest, written last, that says which they are.
//!
//! | key | value |
//! |---|---|
//! | `NAME/ID/N` | piece N, from 0 on; a tombstone once a later state has taken its place |
//! | `NAME` | the manifest: JSON with `id`, `pieces`, `bytes` and `xxh3`, the hash of all pieces |
//!
//! So whatever stops half-way leaves the manifest before it, and the pieces that it names; and what two write at once under one
//! name is never mixed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Says which pieces are the state of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub id: String,
    pub pieces: usize,
    pub bytes: usize,
    pub xxh3: String,
}

impl Manifest {
    /// Of a state in pieces of `piece` bytes. `id` is drawn anew for each state.
    pub fn new(id: u64, bytes: &[u8], piece: usize) -> Manifest {
        Manifest {
            id: format!("{id:016x}"),
            pieces: bytes.len().div_ceil(piece),
            bytes: bytes.len(),
            xxh3: format!("{:016x}", xxh3_64(bytes)),
        }
    }

    /// What is to be written of the state under a name, in this order: its pieces, and once all of them are confirmed, what is
    /// last.
    pub fn records<'b>(&self, name: &str, bytes: &'b [u8], piece: usize) -> Vec<(String, Cow<'b, [u8]>)> {
        let pieces = self.keys(name).zip(bytes.chunks(piece).map(Cow::Borrowed));
        let json = serde_json::to_vec(self).unwrap_or_default();
        pieces.chain([(name.to_owned(), json.into())]).collect()
    }

    /// The keys of its pieces, in their order.
    pub fn keys(&self, name: &str) -> impl Iterator<Item = String> {
        (0..self.pieces).map(move |number| format!("{name}/{}/{number}", self.id))
    }

    /// The bytes of its state out of the records of a topic, whose pieces it takes; why not, where it is not whole.
    pub fn whole(&self, name: &str, records: &mut BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        for (number, key) in self.keys(name).enumerate() {
            let piece = records.remove(&key);
            bytes.extend(piece.ok_or_else(|| format!("piece {number} of {} is missing", self.pieces))?);
        }
        if bytes.len() != self.bytes || format!("{:016x}", xxh3_64(&bytes)) != self.xxh3 {
            return Err("its hash does not fit".to_owned());
        }
        Ok(bytes)
    }
}

/// Whether a key is that of a piece: `.../ID/N`.
pub fn is_piece(key: &str) -> bool {
    let mut parts = key.rsplit('/');
    let number = parts.next().is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    number && parts.next().is_some_and(|part| part.len() == 16 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

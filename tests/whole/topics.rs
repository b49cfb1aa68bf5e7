//! Logs and a compacted topic as a broker keeps them: what is written comes late, twice, out of order, in halves or not at all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use atalaya::domain::Timestamp;
use atalaya::journal::pieces::Manifest;
use atalaya::journal::{Claim, SourcePartition};

/// A log, and what is on its way to it, by when it arrives.
pub struct Log<E> {
    pub entries: Vec<E>,
    air: BTreeMap<(Timestamp, u64), E>,
    flown: u64,
}

impl<E> Default for Log<E> {
    fn default() -> Self {
        Log { entries: Vec::new(), air: BTreeMap::new(), flown: 0 }
    }
}

impl<E> Log<E> {
    pub fn fly(&mut self, at: Timestamp, entry: E) {
        self.flown += 1;
        self.air.insert((at, self.flown), entry);
    }

    pub fn arrive(&mut self, now: Timestamp) {
        while let Some(first) = self.air.first_entry().filter(|first| first.key().0 <= now) {
            self.entries.push(first.remove());
        }
    }
}

/// A state on its way into the topic, record by record: its pieces, the manifest, and then tombstones for the pieces before.
pub struct Write {
    pub name: String,
    pub manifest: Manifest,
    puts: VecDeque<(String, Vec<u8>)>,
    pub begun: bool,
    /// Who is to be told that it is kept.
    pub floor: Option<(SourcePartition, u64)>,
    /// Under which claim a floor was to be written.
    pub claim: Option<Claim>,
}

impl Write {
    pub fn new(
        name: String,
        id: u64,
        bytes: &[u8],
        piece: usize,
        floor: Option<(SourcePartition, u64)>,
        claim: Option<Claim>,
    ) -> Write {
        let manifest = Manifest::new(id, bytes, piece);
        let records = manifest.records(&name, bytes, piece);
        let puts = records.into_iter().map(|(key, value)| (key, value.into_owned())).collect();
        Write { name, manifest, puts, begun: false, floor, claim }
    }
}

/// The compacted topic, and what it must give back.
#[derive(Default)]
pub struct Store {
    records: BTreeMap<String, Vec<u8>>,
    /// Of every state that was ever to be kept its bytes.
    written: BTreeMap<(String, String), Vec<u8>>,
    damaged: BTreeSet<(String, String)>,
}

impl Store {
    pub fn begin(&mut self, name: &str, manifest: &Manifest, bytes: Vec<u8>) {
        self.written.insert((name.to_owned(), manifest.id.clone()), bytes);
    }

    /// Puts the next record of a state. Whether that was the manifest, behind which nothing comes.
    pub fn put(&mut self, write: &mut Write) -> bool {
        write.begun = true;
        let Some((key, value)) = write.puts.pop_front() else { return true };
        self.records.insert(key, value);
        write.puts.is_empty()
    }

    pub fn give_up(&mut self, name: &str, manifest: &Manifest) {
        manifest.keys(name).for_each(|key| drop(self.records.remove(&key)));
    }

    /// A bit of the state that is kept under a name turns over.
    pub fn damage(&mut self, name: &str, bit: u64) {
        let Some(manifest) = self.manifest(name) else { return };
        let Some(piece) = manifest.keys(name).next().and_then(|key| self.records.get_mut(&key)) else { return };
        let at = (bit >> 3) as usize % piece.len();
        piece[at] ^= 1 << (bit & 7);
        self.damaged.insert((name.to_owned(), manifest.id));
    }

    pub fn manifest(&self, name: &str) -> Option<Manifest> {
        self.records.get(name).map(|json| serde_json::from_slice(json).unwrap())
    }

    /// The state that is kept under a name, and its id; `None` where there is none, or it is damaged. It is what somebody had
    /// to keep, to the byte, and whatever is there can be read.
    pub fn read(&self, name: &str) -> Result<Option<(String, Vec<u8>)>, String> {
        let Some(manifest) = self.manifest(name) else { return Ok(None) };
        let mut records = self
            .records
            .range(format!("{name}/")..format!("{name}0"))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let state = (name.to_owned(), manifest.id.clone());
        match manifest.whole(name, &mut records) {
            Ok(bytes) if self.written.get(&state) == Some(&bytes) => Ok(Some((manifest.id, bytes))),
            Err(_) if self.damaged.contains(&state) => Ok(None),
            Ok(_) => Err(format!("other bytes are found under {name} than were kept as {}", manifest.id)),
            Err(why) => Err(format!("what is kept under {name} is not found: {why}")),
        }
    }
}

//! The state of an engine as items: a sorted map of names to bytes, and patches between two such maps.
//!
//! Who decides writes after each tick what has changed of them ([`Engine::changes`]); who only follows applies that and needs
//! no engine until it is to decide itself ([`Engine::of_items`]). A name is made of what the item is, never of a place in a
//! list, so that it means the same to every version of the matrices.
//!
//! # What is not written every second
//!
//! Ten thousand values move every second, and no decision depends on those of a second ago: the next tick reads them anew.
//! So an item is written when something has changed that the next tick could tell - a level, an instant from which something
//! is counted, who was told - and at that with the value of that second. A value of the trend falls due every one to five
//! minutes, so that no value is older than that. It is shown to somebody only where the first tick of a new engine reads
//! nothing, because a feed is frozen, and then with the time at which it was true. Timers that run, and pauses that last, are
//! written as what they are counted from.
//!
//! # Layout, version 7 of [`Kind::ENGINE`]
//!
//! A name is a byte and what follows it; values are in postcard's wire format, times epoch milliseconds.
//!
//! | name | value |
//! |---|---|
//! | 0 | the last tick; none before it |
//! | 1, key | nothing: a key that has been seen |
//! | 2, id | a silence that is on or will be |
//! | 3, source | a feed that is frozen |
//! | 4, row | the row's matrix (name, language, zone), its shape, its place among the rows, of which those that are gone and whose end is not told yet come last |
//! | 5, row, key | a case: `case::snapshot`, the values of its trend at the end |
//! | 6, place | where something of an open incident has been told: `hold::snapshot`, as the next three |
//! | 7, number | a notice that waits for the end of quiet hours |
//! | 8, address | a running hour of mails |
//! | 9, circle, 0 | an open gathering: `gather::snapshot`; with 1 and an incident what waits in it, with 2 and an incident what was told |
//!
//! `row` and `circle` are hashes of 16 bytes, of what the row is and of whose cases are gathered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::case::{Case, WrittenCase};
use super::reload::Left;
use super::shape::Shape;
use super::snapshot::{WrittenFeed, WrittenMatrix, at};
use super::track::Track;
use super::{Engine, Matrix, Operated, Silence, State};
use crate::domain::{Key, Timestamp};
use crate::plan::Plan;
use crate::snapshot::{SnapshotError, ensure};

/// The state of an engine, by name.
pub type Items = BTreeMap<Vec<u8>, Vec<u8>>;

/// What becomes of one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edit {
    Set(Vec<u8>),
    /// From `at` on so many bytes are replaced.
    Splice {
        at: u32,
        cut: u32,
        put: Vec<u8>,
    },
    Remove,
}

/// How one map becomes another: of each name at most one edit, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch(pub Vec<(Vec<u8>, Edit)>);

/// A patch that is of another map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the patch is of another state than this one; read the log again from a snapshot or from its beginning")]
pub struct Misfit;

impl Patch {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn note(&mut self, name: Vec<u8>, old: Option<&Vec<u8>>, new: Option<Vec<u8>>) {
        let edit = match (old, new) {
            (Some(old), Some(new)) if *old == new => return,
            (Some(old), Some(new)) => Edit::between(old, new),
            (None, Some(new)) => Edit::Set(new),
            (Some(_), None) => Edit::Remove,
            (None, None) => return,
        };
        self.0.push((name, edit));
    }
}

impl Edit {
    fn between(old: &[u8], new: Vec<u8>) -> Edit {
        let same = |(a, b): &(&u8, &u8)| a == b;
        let head = old.iter().zip(&new).take_while(same).count();
        let rest = old.len().min(new.len()) - head;
        let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(same).count();
        let put = new.get(head..new.len() - tail).unwrap_or_default();
        match (u32::try_from(head), u32::try_from(old.len() - head - tail)) {
            // A few bytes of saving are not worth the two numbers.
            (Ok(at), Ok(cut)) if put.len() + 8 < new.len() => Edit::Splice { at, cut, put: put.to_vec() },
            _ => Edit::Set(new),
        }
    }

    fn fits(&self, old: Option<&Vec<u8>>) -> bool {
        match self {
            Edit::Set(_) => true,
            Edit::Remove => old.is_some(),
            Edit::Splice { at, cut, .. } => old.is_some_and(|old| u64::from(*at) + u64::from(*cut) <= old.len() as u64),
        }
    }
}

/// How `old` becomes `new`.
pub fn diff(old: &Items, new: &Items) -> Patch {
    let names: BTreeSet<&Vec<u8>> = old.keys().chain(new.keys()).collect();
    let mut patch = Patch::default();
    for name in names {
        let new = new.get(name);
        if old.get(name) != new {
            patch.note(name.clone(), old.get(name), new.cloned());
        }
    }
    patch
}

/// Makes of `items` what they become; nothing, where the patch is not of them.
pub fn apply(items: &mut Items, patch: &Patch) -> Result<(), Misfit> {
    let Patch(edits) = patch;
    let sorted = edits.is_sorted_by(|(a, _), (b, _)| a < b);
    if !sorted || !edits.iter().all(|(name, edit)| edit.fits(items.get(name))) {
        return Err(Misfit);
    }
    for (name, edit) in edits {
        match edit {
            Edit::Set(value) => drop(items.insert(name.clone(), value.clone())),
            Edit::Remove => drop(items.remove(name)),
            Edit::Splice { at, cut, put } => {
                if let Some(value) = items.get_mut(name) {
                    let (at, cut) = (*at as usize, *cut as usize);
                    value.splice(at..at + cut, put.iter().copied());
                }
            }
        }
    }
    Ok(())
}

/// What an item is.
#[derive(Clone, Copy)]
pub(super) enum Of {
    Ticked,
    Known,
    Silence,
    Feed,
    Row,
    Case,
    Told,
    Waiting,
    Hour,
    Gathering,
}

impl Of {
    pub fn name(self, rest: &[&[u8]]) -> Vec<u8> {
        let mut name = vec![self as u8];
        rest.iter().for_each(|part| name.extend_from_slice(part));
        name
    }

    /// Those of this kind whose names go on so: what follows, and the value.
    pub fn all<'i>(self, items: &'i Items, rest: &[&[u8]]) -> impl Iterator<Item = (&'i [u8], &'i [u8])> + use<'i> {
        let first = self.name(rest);
        let length = first.len();
        let from = items.range(first.clone()..);
        let of_it = from.take_while(move |(name, _)| name.starts_with(&first));
        of_it.map(move |(name, value)| (name.get(length..).unwrap_or_default(), value.as_slice()))
    }
}

/// A value as it is written.
pub(super) fn bytes(value: &impl Serialize) -> Vec<u8> {
    let bytes = postcard::to_allocvec(value);
    debug_assert!(bytes.is_ok(), "postcard refuses only lists without a length");
    bytes.unwrap_or_default()
}

/// A value that was written, and nothing behind it; `what` says of it in an error.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T, SnapshotError> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|_| SnapshotError::Invalid(what))?;
    ensure(rest.is_empty(), what)?;
    Ok(value)
}

/// An id or a name at the end of the name of an item.
pub(super) fn text(rest: &[u8], what: &'static str) -> Result<Arc<str>, SnapshotError> {
    std::str::from_utf8(rest).map(Arc::from).map_err(|_| SnapshotError::Invalid(what))
}

/// 16 bytes that no other value has.
pub(super) fn hash(value: &impl Serialize) -> [u8; 16] {
    xxhash_rust::xxh3::xxh3_128(&bytes(value)).to_be_bytes()
}

/// What has changed of what is written down.
pub(super) struct Changes<'a> {
    pub kept: &'a Items,
    pub plan: &'a Plan,
    patch: Patch,
}

impl Changes<'_> {
    /// An item is so now, or there is none.
    pub fn item(&mut self, name: Vec<u8>, value: Option<Vec<u8>>) {
        let old = self.kept.get(&name);
        self.patch.note(name, old, value);
    }

    /// These are all that there are now of the names that begin so.
    pub fn all(&mut self, first: &[u8], items: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) {
        let new: Items = items.collect();
        let gone = self.kept.range(first.to_vec()..).map(|(name, _)| name).take_while(|name| name.starts_with(first));
        let gone: Vec<Vec<u8>> = gone.filter(|name| !new.contains_key(*name)).cloned().collect();
        gone.into_iter().for_each(|name| self.item(name, None));
        new.into_iter().for_each(|(name, value)| self.item(name, Some(value)));
    }
}

/// A row by what it is: its hash, with the next number where there is another of it.
fn row_name(matrix: &Matrix, shape: &Shape, taken: &mut BTreeSet<u128>) -> [u8; 16] {
    let mut name = u128::from_be_bytes(hash(&(WrittenMatrix::of(matrix), shape)));
    while !taken.insert(name) {
        name = name.wrapping_add(1);
    }
    name.to_be_bytes()
}

impl Engine {
    /// The names of the rows that are followed, then of those that are gone.
    fn rows(&self) -> Vec<[u8; 16]> {
        let followed = self.tracks.iter().map(|track| (&track.matrix, &track.shape));
        let gone = self.state.gone.iter().map(|gone| (&gone.matrix, &gone.shape));
        let mut taken = BTreeSet::new();
        followed.chain(gone).map(|(matrix, shape)| row_name(matrix, shape, &mut taken)).collect()
    }

    fn case(&self, name: &[u8; 16], track: Option<&Track>, case: &Case) -> (Vec<u8>, Vec<u8>) {
        let ticked = self.state.ticked.unwrap_or_default();
        let value = bytes(&case.written(track.map(Track::row), &self.plan, ticked));
        (Of::Case.name(&[name, &bytes(&case.key)]), value)
    }

    fn feed_items(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        let ticked = self.state.ticked.unwrap_or_default();
        let feeds = self.state.feeds.iter();
        feeds.map(move |feed| {
            (Of::Feed.name(&[feed.source.as_bytes()]), bytes(&WrittenFeed::of(feed, &self.plan, ticked)))
        })
    }

    fn known_items(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        self.state.known.iter().map(|key| (Of::Known.name(&[&bytes(key)]), Vec::new()))
    }

    /// All of its state.
    pub fn items(&self) -> Items {
        let State { cases, ticked, silences, gone, hold, .. } = &self.state;
        let mut items: Items = self.known_items().chain(self.feed_items()).collect();
        items.extend(ticked.map(|at| (Of::Ticked.name(&[]), bytes(&at.0))));
        items.extend(silences.all.iter().map(|(id, held)| (Of::Silence.name(&[id.as_bytes()]), bytes(&held.silence))));
        let followed = self.tracks.iter().zip(cases);
        let followed = followed.map(|(track, cases)| (Some(track), &track.matrix, &track.shape, cases));
        let gone = gone.iter().map(|gone| (None, &gone.matrix, &gone.shape, &gone.cases));
        for (place, ((track, matrix, shape, cases), name)) in followed.chain(gone).zip(self.rows()).enumerate() {
            let row = bytes(&(WrittenMatrix::of(matrix), shape, place as u64));
            items.insert(Of::Row.name(&[&name]), row);
            items.extend(cases.iter().map(|case| self.case(&name, track, case)));
        }
        hold.items(&self.plan, &mut |name, value| drop(items.insert(name, value)));
        items
    }

    /// How `kept`, which its items were when it was asked last, become what they are now. Asked for the first time, or after a
    /// reload, it looks at all of them; later only at what may have changed.
    pub fn changes(&mut self, kept: &Items) -> Patch {
        if !self.state.is_watched() {
            return self.all_changes(kept);
        }
        let ticked = self.state.ticked.unwrap_or_default();
        let mut touched: Vec<(usize, usize)> = Vec::new();
        for (row, (track, cases)) in self.tracks.iter().zip(&mut self.state.cases).enumerate() {
            let changed = cases
                .iter_mut()
                .enumerate()
                .filter_map(|(at, case)| case.changed(track.row(), ticked).then_some((row, at)));
            touched.extend(changed);
        }
        let silences = self.state.silences.all.touched();
        let mut hold = std::mem::take(&mut self.state.hold);
        let mut changes = Changes { kept, plan: &self.plan, patch: Patch::default() };
        changes.item(Of::Ticked.name(&[]), self.state.ticked.map(|at| bytes(&at.0)));
        if self.state.known.len() != self.state.known_written {
            changes.all(&Of::Known.name(&[]), self.known_items());
        }
        changes.all(&Of::Feed.name(&[]), self.feed_items());
        for id in silences {
            let held = self.state.silences.all.get(&id).map(|held| bytes(&held.silence));
            changes.item(Of::Silence.name(&[id.as_bytes()]), held);
        }
        for (row, at) in touched {
            let case = self.state.cases.get(row).and_then(|cases| cases.get(at));
            if let (Some(track), Some(name), Some(case)) = (self.tracks.get(row), self.state.names.get(row), case) {
                let (name, value) = self.case(name, Some(track), case);
                changes.item(name, Some(value));
            }
        }
        hold.changes(&mut changes);
        let Patch(mut edits) = changes.patch;
        edits.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.state.hold = hold;
        self.state.known_written = self.state.known.len();
        Patch(edits)
    }

    fn all_changes(&mut self, kept: &Items) -> Patch {
        self.state.cases.iter_mut().flatten().for_each(Case::unwritten);
        let patch = diff(kept, &self.items());
        self.state.names = self.rows();
        let ticked = self.state.ticked.unwrap_or_default();
        for (track, cases) in self.tracks.iter().zip(&mut self.state.cases) {
            for case in cases {
                case.changed(track.row(), ticked);
            }
        }
        self.state.watch();
        patch
    }

    /// Goes on with these items instead, under the matrices that are in force.
    pub fn go_on(&mut self, items: &Items) -> Result<(), SnapshotError> {
        *self = Engine::of_items(self.matrices(), self.plan.clone(), items)?;
        Ok(())
    }

    /// An engine that goes on as the one did of which these are the items, as far as these matrices let it.
    pub fn of_items(matrices: Vec<Arc<Matrix>>, plan: Arc<Plan>, items: &Items) -> Result<Engine, SnapshotError> {
        let mut engine = Engine::new(matrices.clone(), plan);
        let ticked = items.get(&Of::Ticked.name(&[])).map(|value| read::<i64>(value, "last tick")).transpose()?;
        let ticked = at(ticked)?;
        let since = ticked.unwrap_or_default();
        let known = Of::Known.all(items, &[]).map(|(rest, _)| read::<Key>(rest, "key"));
        let mut known = known.collect::<Result<Vec<Key>, _>>()?;
        known.sort_unstable();
        for (_, value) in Of::Silence.all(items, &[]) {
            let put = engine.state.silences.put(read::<Silence>(value, "silence")?, Timestamp::MIN);
            ensure(put == Operated::Silenced, "silences")?;
        }
        let feeds = Of::Feed.all(items, &[]);
        let feeds = feeds.map(|(_, value)| read::<WrittenFeed>(value, "feed")?.again(&engine.plan, since));
        let feeds = feeds.collect::<Result<Vec<_>, _>>()?;
        ensure(feeds.is_sorted_by(|a, b| a.source < b.source), "order of feeds")?;
        let mut left: Vec<(u64, Left)> = Vec::new();
        let mut of_rows = 0;
        for (name, value) in Of::Row.all(items, &[]) {
            let (matrix, shape, place): (WrittenMatrix, Shape, u64) = read(value, "row")?;
            ensure(name.len() == 16, "name of a row")?;
            let mut row = Left { matrix: matrix.again(), shape, cases: Vec::new() };
            for (rest, value) in Of::Case.all(items, &[name]) {
                let written: WrittenCase = read(value, "case")?;
                row.cases.push(Case::again((read(rest, "key of a case")?, written), &row, &engine.plan, since)?);
            }
            row.cases.sort_by(|a, b| a.key.cmp(&b.key));
            ensure(row.cases.is_sorted_by(|a, b| a.key < b.key), "cases of a row")?;
            of_rows += row.cases.len();
            left.push((place, row));
        }
        ensure(Of::Case.all(items, &[]).count() == of_rows, "rows of cases")?;
        left.sort_by_key(|(place, _)| *place);
        engine.state.hold = super::Hold::of_items(items, &matrices, &engine.plan)?;
        engine.state.known = known;
        engine.state.ticked = ticked;
        engine.adopt(left.into_iter().map(|(_, row)| row).collect(), feeds);
        Ok(engine)
    }
}

impl State {
    /// Whether it is known what has changed since [`Engine::changes`] was asked last.
    fn is_watched(&self) -> bool {
        self.written && self.silences.all.is_watched() && self.hold.is_watched()
    }

    /// From now on it is known.
    fn watch(&mut self) {
        self.silences.all.touched();
        self.hold.watch();
        self.known_written = self.known.len();
        self.written = true;
    }
}

//! A batch in bytes, for the log: what a flush of hundreds of keys amounts to many times a second, so size counts.
//!
//! Things of one sort stand together, in columns, which a compressor likes:
//!
//! | column | for each |
//! |---|---|
//! | names | queues and channels, each once: its length and its bytes |
//! | cells | that occur, sorted, each once: what it lies behind the one before |
//! | keys | what its number lies behind the one before; queue and channel as places among the names, from 1 on, 0 where rolled over; how many panes << 6, which ages are running << 3, which ages changed |
//! | panes | how many cells |
//! | pane starts | in widths of a pane: of a key's first since the base, of the others since the one before |
//! | pane cells | places among the cells: what each lies behind the one before |
//! | values | in the order of the cells' kinds, then of the panes: signed; the sum of starts of waits less what it would be had all begun with the pane |
//! | oldest | starts of ages that are running: how far before the base |
//!
//! Each of the first three is preceded by how many there are. All are numbers of [`crate::bytes`], and the base is an
//! instant that the reader knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Batch, Entry};
use crate::bytes::{Source, Taken, put, put_signed};
use crate::domain::{Key, Timestamp};
use crate::floor::cells::{Cell, EPOCH, Level, PANE, Sum};
use crate::floor::contribution::Age;

const WAIT_STARTS: Cell = Cell::sum(Sum::WaitStarts);
const AGES: [Age; Age::COUNT] = [Age::Wait, Age::Unanswered, Age::Unqueued];

impl Batch {
    /// Appends it. `base` is an instant near those of the batch.
    pub(crate) fn put(&self, base: Timestamp, to: &mut Vec<u8>) {
        let names = self.put_names(to);
        let cells = self.put_cells(to);
        let place = |name: &Option<Arc<str>>| name.as_ref().and_then(|name| names.get(name)).map_or(0, |at| at + 1);
        put(to, self.keys.len() as u64);
        let (mut next, mut panes, mut oldest) = (0, 0, 0);
        for entry in &self.keys {
            debug_assert!(entry.number >= next, "keys are sorted");
            put(to, u64::from(entry.number.wrapping_sub(next)));
            put(to, place(&entry.key.queue));
            put(to, place(&entry.key.channel));
            let ages = self.oldest.get(oldest as usize..entry.oldest_end as usize).unwrap_or(&[]);
            let mask = |keep: fn(&Option<Timestamp>) -> bool| {
                ages.iter().filter(|(_, start)| keep(start)).fold(0, |mask, (age, _)| mask | 1 << *age as u64)
            };
            put(to, u64::from(entry.panes_end - panes) << 6 | mask(Option::is_some) << 3 | mask(|_| true));
            next = entry.number.wrapping_add(1);
            (panes, oldest) = (entry.panes_end, entry.oldest_end);
        }
        let mut begun = 0;
        for (_, end) in &self.panes {
            put(to, u64::from(end - begun));
            begun = *end;
        }
        self.put_starts(base, to);
        self.put_values(&cells, to);
        for start in self.oldest.iter().filter_map(|(_, start)| *start) {
            put_signed(to, base.0.wrapping_sub(start.0));
        }
    }

    /// Every name and where it stands.
    fn put_names(&self, to: &mut Vec<u8>) -> BTreeMap<Arc<str>, u64> {
        let (mut places, mut bytes) = (BTreeMap::<Arc<str>, u64>::new(), Vec::new());
        for name in self.keys.iter().flat_map(|entry| [&entry.key.queue, &entry.key.channel]).flatten() {
            if !places.contains_key(name) {
                places.insert(name.clone(), places.len() as u64);
                put(&mut bytes, name.len() as u64);
                bytes.extend(name.as_bytes());
            }
        }
        put(to, places.len() as u64);
        to.append(&mut bytes);
        places
    }

    /// The cells that occur, sorted.
    fn put_cells(&self, to: &mut Vec<u8>) -> Vec<Cell> {
        let mut cells: Vec<_> = self.cells.iter().map(|(cell, _)| *cell).collect();
        cells.sort_unstable();
        cells.dedup();
        put(to, cells.len() as u64);
        let mut next = 0;
        for cell in &cells {
            put(to, u64::from(cell.0.wrapping_sub(next)));
            next = cell.0.wrapping_add(1);
        }
        cells
    }

    fn put_starts(&self, base: Timestamp, to: &mut Vec<u8>) {
        for delta in self.keys() {
            let mut before = base.0.div_euclid(PANE.0);
            for (start, _) in delta.panes() {
                debug_assert_eq!(start.0.rem_euclid(PANE.0), 0, "panes begin at multiples of their width");
                let number = start.0.div_euclid(PANE.0);
                put_signed(to, number.wrapping_sub(before));
                before = number;
            }
        }
    }

    fn put_values(&self, cells: &[Cell], to: &mut Vec<u8>) {
        let (mut places, mut values) = (Vec::with_capacity(self.cells.len()), Vec::with_capacity(self.cells.len()));
        for (start, pane) in self.keys().flat_map(|delta| delta.panes().collect::<Vec<_>>()) {
            let mut next = 0;
            for (cell, value) in pane {
                let at = cells.binary_search(cell).unwrap_or_default();
                put(to, at.wrapping_sub(next) as u64);
                next = at + 1;
                let value = if *cell == WAIT_STARTS { value.wrapping_sub(foretold(start.0, pane)) } else { *value };
                places.push(at as u32);
                values.push(value);
            }
        }
        for value in by_kind(&places, cells.len()).filter_map(|at| values.get(at)) {
            put_signed(to, *value);
        }
    }

    /// The next one, which was put with this base. Everything that its methods rely on is checked.
    pub(crate) fn take(base: Timestamp, from: &mut Source<'_>) -> Taken<Batch> {
        let names = take_names(from)?;
        let cells = take_cells(from)?;
        let mut batch = Batch::default();
        let running = batch.take_keys(&names, from)?;
        batch.take_panes(base, from)?;
        batch.take_values(&cells, from)?;
        for ((_, start), runs) in batch.oldest.iter_mut().zip(running) {
            *start = if runs {
                let start = base.0.checked_sub(from.signed("oldest")?).and_then(|at| Timestamp(at).in_range());
                Some(start.ok_or("oldest")?)
            } else {
                None
            };
        }
        Ok(batch)
    }

    /// The keys with their panes and ages counted; for each age whether something runs.
    fn take_keys(&mut self, names: &[Arc<str>], from: &mut Source<'_>) -> Taken<Vec<bool>> {
        let count = from.count("keys")?;
        let (mut next, mut panes, mut running) = (0u32, 0u32, Vec::new());
        let name = |from: &mut Source<'_>| match from.small::<usize>("name of a key")? {
            0 => Ok(None),
            at => names.get(at - 1).cloned().map(Some).ok_or("name of a key"),
        };
        for _ in 0..count {
            let number = next.checked_add(from.small("number of a key")?).ok_or("number of a key")?;
            // A number that leaves no next one cannot come from a floor, whose keys have a limit.
            next = number.checked_add(1).ok_or("number of a key")?;
            let key = Key { queue: name(from)?, channel: name(from)? };
            let has = from.number("what a key has")?;
            let (some, changed) = (has >> 3 & 7, has & 7);
            if has == 0 || some & !changed != 0 {
                return Err("what a key has");
            }
            let more = u32::try_from(has >> 6).map_err(|_| "panes of a key")?;
            panes = panes.checked_add(more).ok_or("panes of a key")?;
            for age in AGES.into_iter().filter(|age| changed >> *age as u32 & 1 == 1) {
                self.oldest.push((age, None));
                running.push(some >> age as u32 & 1 == 1);
            }
            self.keys.push(Entry { number, key, panes_end: panes, oldest_end: self.oldest.len() as u32 });
        }
        Ok(running)
    }

    fn take_panes(&mut self, base: Timestamp, from: &mut Source<'_>) -> Taken<()> {
        let count = self.keys.last().map_or(0, |last| last.panes_end) as usize;
        // Each has two bytes at least, so that no more room is taken than there are bytes.
        if count > from.0.len() {
            return Err("panes");
        }
        self.panes.reserve_exact(count);
        let mut end = 0u32;
        for _ in 0..count {
            let cells = from.small::<u32>("cells of a pane")?;
            end = end.checked_add(cells).filter(|_| cells > 0).ok_or("cells of a pane")?;
            self.panes.push((0, end));
        }
        let mut panes = self.panes.iter_mut();
        let mut begun = 0;
        for entry in &self.keys {
            let mut number = base.0.div_euclid(PANE.0);
            for (start, _) in panes.by_ref().take((entry.panes_end - begun) as usize) {
                number = number.checked_add(from.signed("start of a pane")?).ok_or("start of a pane")?;
                let at = number.checked_mul(PANE.0).and_then(|at| Timestamp(at).in_range());
                *start = at.ok_or("start of a pane")?.0;
            }
            begun = entry.panes_end;
        }
        Ok(())
    }

    fn take_values(&mut self, cells: &[Cell], from: &mut Source<'_>) -> Taken<()> {
        let count = self.panes.last().map_or(0, |(_, end)| *end) as usize;
        if count > from.0.len() {
            return Err("cells");
        }
        self.cells.reserve_exact(count);
        let mut places = Vec::with_capacity(count);
        for (_, end) in &self.panes {
            let mut next = 0usize;
            while self.cells.len() < *end as usize {
                let at = next.checked_add(from.small("cell")?).ok_or("cell")?;
                self.cells.push((*cells.get(at).ok_or("cell")?, 0));
                places.push(at as u32);
                next = at + 1;
            }
        }
        for at in by_kind(&places, cells.len()) {
            let (_, value) = self.cells.get_mut(at).ok_or("cell")?;
            *value = from.signed("value")?;
        }
        let mut begun = 0;
        for (start, end) in &self.panes {
            let pane = self.cells.get_mut(begun..*end as usize).ok_or("cells")?;
            let more = foretold(*start, pane);
            if let Some((_, value)) = pane.iter_mut().find(|(cell, _)| *cell == WAIT_STARTS) {
                *value = value.wrapping_add(more);
            }
            if pane.iter().any(|(_, value)| *value == 0) {
                return Err("value");
            }
            begun = *end as usize;
        }
        Ok(())
    }
}

/// The cells of all panes, given by their places among the kinds: those of the first kind first, each kind in the order of the
/// panes. Values of one kind are alike, which takes an eighth off what a compressor leaves.
fn by_kind(places: &[u32], kinds: usize) -> impl Iterator<Item = usize> + use<> {
    let mut of_kind = vec![Vec::new(); kinds];
    for (at, place) in places.iter().enumerate() {
        if let Some(cells) = of_kind.get_mut(*place as usize) {
            cells.push(at);
        }
    }
    of_kind.into_iter().flatten()
}

/// What the starts of waits would add up to, had all of those that more wait after the pane begun with it.
fn foretold(start: i64, pane: &[(Cell, i64)]) -> i64 {
    let waiting = Cell::level(Level::Waiting);
    let more = pane.iter().find(|(cell, _)| *cell == waiting).map_or(0, |(_, value)| *value);
    more.wrapping_mul(start.wrapping_sub(EPOCH))
}

fn take_names(from: &mut Source<'_>) -> Taken<Vec<Arc<str>>> {
    let count = from.count("names")?;
    let mut names = Vec::new();
    for _ in 0..count {
        let length = from.count("name")?;
        let name = std::str::from_utf8(from.slice(length, "name")?).map_err(|_| "name")?;
        names.push(name.into());
    }
    Ok(names)
}

fn take_cells(from: &mut Source<'_>) -> Taken<Vec<Cell>> {
    let count = from.count("kinds of cells")?;
    let mut cells = Vec::with_capacity(count);
    let mut next = Some(0u32);
    for _ in 0..count {
        let gap: u32 = from.small("kinds of cells")?;
        let cell = next.and_then(|next| next.checked_add(gap)).ok_or("kinds of cells")?;
        cells.push(Cell(cell));
        next = cell.checked_add(1);
    }
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Timestamp = Timestamp(EPOCH + 25_000);

    fn batch() -> Batch {
        let mut batch = Batch::default();
        let (waiting, start) = (Cell::level(Level::Waiting), EPOCH + 10_000);
        batch.add(Cell::sum(Sum::Queued), 300);
        batch.add(WAIT_STARTS, 2 * 10_000 - 1);
        batch.add(waiting, 2);
        batch.end_pane(start);
        batch.add(Cell::sum(Sum::Queued), -1);
        batch.end_pane(start - PANE.0);
        batch.add_oldest(Age::Wait, Some(Timestamp(EPOCH + 24_000)));
        batch.add_oldest(Age::Unqueued, None);
        batch.end_key(4, || Key::pair("care", "voice"));
        batch.add_oldest(Age::Unanswered, Some(BASE));
        batch.end_key(6, || Key { queue: None, channel: Some("voice".into()) });
        batch
    }

    #[test]
    fn the_layout_is_as_documented() {
        let expected: [&[u8]; 8] = [
            b"\x02\x04care\x05voice",
            &[3, 1, 18, 0xeb, 0xff, 0xff, 0x7f],
            &[2, 4, 1, 2, 0x80 | 1 << 3 | 0b101, 1, 1, 0, 2, 0b010_010],
            &[3, 1],
            &[1, 1],
            &[0, 0, 0, 0],
            &[0xd8, 4, 1, 1, 4],
            &[0xd0, 0x0f, 0],
        ];
        let mut bytes = Vec::new();
        batch().put(BASE, &mut bytes);
        assert_eq!(bytes, expected.concat());
        let mut from = Source(&bytes);
        assert_eq!(Batch::take(BASE, &mut from), Ok(batch()));
        assert!(from.0.is_empty());
    }
}

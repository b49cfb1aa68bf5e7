//! The cells of a pane that is no longer open, in as few bytes as they need: most values are small and most cells follow
//! each other closely. A day of panes of a busy key is mostly this.
//!
//! For each cell, sorted: what it lies behind the one before (less one after the first), and its value, as numbers of
//! [`crate::bytes`].

use crate::bytes::{Source, put, put_signed};
use crate::floor::cells::Cell;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed(Box<[u8]>);

impl Packed {
    /// Of cells that are sorted; those of nothing are left out.
    pub fn of(cells: impl Iterator<Item = (Cell, i64)>) -> Packed {
        let (mut bytes, mut next) = (Vec::with_capacity(128), 0);
        for (cell, value) in cells.filter(|(_, value)| *value != 0) {
            put(&mut bytes, u64::from(cell.0.wrapping_sub(next)));
            put_signed(&mut bytes, value);
            next = cell.0.wrapping_add(1);
        }
        // A copy of the right size: to shrink in place would leave a scrap of memory behind each pane.
        Packed(bytes.as_slice().into())
    }

    pub fn iter(&self) -> impl Iterator<Item = (Cell, i64)> {
        let (mut bytes, mut next) = (Source(&self.0), 0u32);
        std::iter::from_fn(move || {
            let cell = next.wrapping_add(bytes.number("cell").ok()? as u32);
            let value = bytes.signed("value").ok()?;
            next = cell.wrapping_add(1);
            Some((Cell(cell), value))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_out_again(cells in prop::collection::btree_map(any::<u32>(), any::<i64>(), 0..40)) {
            let cells: BTreeMap<Cell, i64> = cells.into_iter().map(|(cell, value)| (Cell(cell), value)).collect();
            let packed = Packed::of(cells.iter().map(|(cell, value)| (*cell, *value)));
            let cells: BTreeMap<Cell, i64> = cells.into_iter().filter(|(_, value)| *value != 0).collect();
            prop_assert_eq!(packed.iter().collect::<BTreeMap<_, _>>(), cells);
        }
    }

    #[test]
    fn small_values_of_neighbours_take_two_bytes() {
        let cells = (3..10).map(|cell| (Cell(cell), 5));
        assert_eq!(Packed::of(cells).0.len(), 14);
        assert_eq!(
            Packed::of([(Cell(u32::MAX), i64::MIN),].into_iter()).iter().next(),
            Some((Cell(u32::MAX), i64::MIN))
        );
    }
}

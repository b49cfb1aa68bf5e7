//! A board put down in bytes, and taken up again: the copy shows the figures that the board showed, and goes on alike.
//!
//! Sums of windows are not written: they are those of the panes in them. So the settings that decide which panes are kept
//! and what they mean must be the same, [`crate::plan::Plan::figures_fingerprint`].
//!
//! # Body of [`Kind::BOARD`], version 1
//!
//! | values | what |
//! |---|---|
//! | now | epoch milliseconds |
//! | keys | how many; then, sorted, of each the parts below |
//! | name | queue, channel (optional texts), and whether it exists whatever was seen |
//! | oldest | how many; then source, age (0 wait, 1 unanswered, 2 unqueued), start; sorted |
//! | totals | how many; then the cell less the one before, the total, how far it lies below its peak |
//! | panes | how many; then how many panes of 10 s after the one before it begins, its cells: how many, then the cell less the one before, the value |
//!
//! Cells are numbered as in `floor::cells`. Panes that no window reaches are left out; older ones are of a minute.

use std::sync::Arc;

use super::Board;
use super::key::KeyState;
use super::windows::Frame;
use crate::domain::{Key, Timestamp};
use crate::plan::Plan;
use crate::snapshot::{Kind, Reader, SnapshotError, Writer, ensure, instant};

impl Board {
    /// The board as it stands, in bytes. Every key is brought to the board's instant by this, as reading it would do.
    pub fn snapshot(&mut self) -> Vec<u8> {
        let mut to = Writer::new(Kind::BOARD, self.plan.figures_fingerprint());
        to.put(&(self.now.0, self.keys.len() as u64));
        for (key, index) in &self.keys {
            let Some(state) = self.states.get_mut(*index) else { continue };
            state.slide(&self.frame);
            to.put(&(key, self.pinned.contains(key)));
            state.write(&mut to);
        }
        to.finish()
    }

    /// A board that goes on as the one did of which `bytes` are the snapshot.
    pub fn restore(plan: Arc<Plan>, bytes: &[u8]) -> Result<Board, SnapshotError> {
        let mut from = Reader::open(Kind::BOARD, plan.figures_fingerprint(), bytes)?;
        let mut board = Board::new(plan);
        board.now = Timestamp(instant(Some(from.take("now")?), "now")?);
        board.frame = Arc::new(Frame::at(&board.plan, board.now));
        for index in 0..from.count("keys")? {
            let (key, pinned): (Key, bool) = from.take("key")?;
            ensure(board.names.last().is_none_or(|last| *last < key), "order of keys")?;
            let state = KeyState::read(&board.frame, &mut from)?;
            board.seen += usize::from(pinned || state.is_seen());
            if pinned {
                board.pinned.insert(key.clone());
            }
            board.states.push(state);
            board.applied.push(0);
            board.names.push(key.clone());
            board.keys.insert(key, index);
        }
        from.finish()?;
        Ok(board)
    }
}

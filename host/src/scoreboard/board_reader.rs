//! The slave's side of the scoreboard: makes the file, and reads it, without mapping it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::layout::{
    BEGUN_AT, BOARD_BYTES, FLUSHING_AT, HALF_BYTES, HALVES, ITEM_AT, OUTCOMES_AT, OUTCOMES_MAX, PART_AT,
    PROGRESS_AT, ROWS_AT, ROWS_MAX, SETTLED_AT, TURN_AT, WORDS_BYTES,
};
use super::outcome::{OUTCOME_BYTES, Outcome};
use crate::ids::BatchId;

/// A scoreboard's file.
#[derive(Debug)]
pub(crate) struct BoardReader {
    file: File,
}

/// What a half says at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The item in the half.
    pub item: BatchId,
    /// Parts of it that were already read.
    pub part: u64,
    /// Records of it that were handed to the task.
    pub begun: u64,
    /// Records of it that have returned.
    pub returned: u64,
    /// Outcomes that count.
    pub outcomes: usize,
    /// Whether the task is in `flush`.
    pub flushing: bool,
    /// Changes while a call for many records gets on.
    pub progress: u64,
}

/// Records of an item that were handed to the task in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InHand {
    /// The place of the first one.
    pub first: u16,
    /// How many there are, at least one.
    pub records: u16,
}

impl Snapshot {
    /// The record or records in hand, if there are any.
    pub(crate) fn in_hand(&self) -> Option<InHand> {
        let records = self.begun.checked_sub(self.returned).filter(|records| *records > 0)?;
        Some(InHand { first: self.returned.try_into().ok()?, records: records.try_into().ok()? })
    }
}

impl BoardReader {
    /// Makes a new scoreboard: sparse, sealed against being made shorter, closed on exec.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn create() -> io::Result<Self> {
        let file =
            memfd_create("simplegrid-scoreboard", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        let file = File::from(file);
        file.set_len(BOARD_BYTES as u64)?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        Ok(Self { file })
    }

    /// The file, to be passed to the worker.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// What the half says of the item with that turn; `None` if the worker has not begun it.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn snapshot(&self, turn: u64) -> io::Result<Option<Snapshot>> {
        let mut words = [0; WORDS_BYTES];
        self.file.read_exact_at(&mut words, half_at(turn))?;
        let word = |at: usize| u64::from_le_bytes(words[at..at + 8].try_into().expect("eight bytes"));
        let settled = word(SETTLED_AT);
        let snapshot = Snapshot {
            item: BatchId(word(ITEM_AT)),
            part: word(PART_AT),
            begun: word(BEGUN_AT),
            returned: settled & u64::from(u32::MAX),
            outcomes: (settled >> 32) as usize,
            flushing: word(FLUSHING_AT) != 0,
            progress: word(PROGRESS_AT),
        };
        Ok((word(TURN_AT) == turn + 1).then_some(snapshot))
    }

    /// The first outcomes of the half, as they travel in a report.
    ///
    /// # Errors
    /// Those of the system, or if there cannot be so many.
    pub(crate) fn outcomes(&self, turn: u64, outcomes: usize) -> io::Result<Bytes> {
        if outcomes > OUTCOMES_MAX {
            return Err(io::Error::other("a scoreboard claims more outcomes than it can hold"));
        }
        self.read(half_at(turn) + OUTCOMES_AT as u64, outcomes * OUTCOME_BYTES)
    }

    /// The first bytes of the half's rows.
    ///
    /// # Errors
    /// Those of the system, or if there cannot be so many.
    pub(crate) fn rows(&self, turn: u64, bytes: u64) -> io::Result<Bytes> {
        if bytes > ROWS_MAX as u64 {
            return Err(io::Error::other("a scoreboard claims more rows than it can hold"));
        }
        self.read(half_at(turn) + ROWS_AT as u64, bytes as usize)
    }

    /// The outcomes that count, and the rows up to the end of the last one: what is left of a dead worker's
    /// item.
    ///
    /// # Errors
    /// Those of the system, or if an outcome is invalid.
    pub(crate) fn remains(&self, turn: u64, snapshot: &Snapshot) -> io::Result<(Bytes, Bytes)> {
        let outcomes = self.outcomes(turn, snapshot.outcomes)?;
        let end = match outcomes.last_chunk::<OUTCOME_BYTES>() {
            None => 0,
            Some(last) => {
                let last = Outcome::from_bytes(*last);
                last.ok_or_else(|| io::Error::other("a scoreboard holds an unknown outcome"))?.end
            }
        };
        Ok((outcomes, self.rows(turn, end)?))
    }

    fn read(&self, at: u64, bytes: usize) -> io::Result<Bytes> {
        if bytes == 0 {
            return Ok(Bytes::new());
        }
        let mut buffer = vec![0; bytes];
        self.file.read_exact_at(&mut buffer, at)?;
        Ok(buffer.into())
    }
}

fn half_at(turn: u64) -> u64 {
    turn % HALVES as u64 * HALF_BYTES as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ROWS_BYTES_MAX;
    use crate::scoreboard::board::{Board, BoardFull};
    use crate::scoreboard::outcome::Status;

    fn outcome(board: &Board, index: u16, status: Status) -> Outcome {
        Outcome { end: board.rows_bytes() as u64, batch_low: 7, index, status }
    }

    #[test]
    fn what_is_settled_survives_and_what_is_not_does_not_count() {
        let reader = BoardReader::create().unwrap();
        let mut board = Board::map(reader.file()).unwrap();
        board.start_item(BatchId(7), 1);
        board.begin_record();
        board.write(b"row\n").unwrap();
        board.push_outcome(outcome(&board, 0, Status::Done));
        board.settle_record();
        board.begin_record();
        board.write(b"half a r").unwrap();
        drop(board);

        assert!(reader.snapshot(3).unwrap().is_none());
        let snapshot = reader.snapshot(1).unwrap().unwrap();
        assert_eq!(snapshot.item, BatchId(7));
        assert_eq!(snapshot.in_hand(), Some(InHand { first: 1, records: 1 }));
        let (outcomes, rows) = reader.remains(1, &snapshot).unwrap();
        assert_eq!(&rows[..], b"row\n");
        let outcomes: Vec<_> = Outcome::all(&outcomes).flatten().collect();
        assert_eq!(outcomes, [Outcome { end: 4, batch_low: 7, index: 0, status: Status::Done }]);
    }

    #[test]
    fn halves_do_not_touch_each_other() {
        let reader = BoardReader::create().unwrap();
        let mut board = Board::map(reader.file()).unwrap();
        for turn in 0..2 {
            board.start_item(BatchId(turn), turn);
            board.begin_record();
            board.write(format!("item {turn}").as_bytes()).unwrap();
            board.push_outcome(outcome(&board, 0, Status::Done));
            board.settle_record();
        }
        assert_eq!(&reader.rows(0, 6).unwrap()[..], b"item 0");
        assert_eq!(&reader.rows(1, 6).unwrap()[..], b"item 1");
        assert_eq!(reader.snapshot(0).unwrap().unwrap().in_hand(), None);
    }

    #[test]
    fn a_call_that_writes_too_much_is_told_and_its_memory_is_given_back() {
        use std::os::unix::fs::MetadataExt;
        let reader = BoardReader::create().unwrap();
        let mut board = Board::map(reader.file()).unwrap();
        board.start_item(BatchId(0), 0);
        let piece = vec![b'x'; ROWS_BYTES_MAX / 2];
        board.write(&piece).unwrap();
        board.write(&piece).unwrap();
        assert_eq!(board.write(&piece), Err(BoardFull));
        board.drop_rows_after(0);
        board.start_item(BatchId(1), 2);
        let kept = reader.file().metadata().unwrap().blocks() * 512;
        assert!(kept < 8 << 20, "{kept} bytes are kept");
    }
}

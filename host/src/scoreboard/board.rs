//! The worker's side of the scoreboard: shared memory that it writes. It must not know what a task is.
#![expect(unsafe_code, reason = "mapped memory that another process reads")]

use std::fs::File;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};

use super::layout::{
    BEGUN_AT, BOARD_BYTES, FLUSHING_AT, HALF_BYTES, HALVES, ITEM_AT, OUTCOMES_AT, OUTCOMES_MAX, PAGE_BYTES,
    PART_AT, PROGRESS_AT, ROWS_AT, ROWS_MAX, SETTLED_AT, TURN_AT,
};
use super::outcome::{OUTCOME_BYTES, Outcome};
use crate::ids::BatchId;
use crate::limits::ROWS_BYTES_SOFT;

/// Why a scoreboard cannot be mapped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BoardError {
    /// The file is not a scoreboard.
    #[error("the scoreboard has {0} bytes instead of {BOARD_BYTES}")]
    WrongSize(u64),
    /// The system refused.
    #[error("the scoreboard cannot be mapped: {0}")]
    Io(std::io::Error),
}

impl From<std::io::Error> for BoardError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// One call has written more than there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("one call may emit at most {} MiB of rows", crate::limits::ROWS_BYTES_MAX >> 20)]
pub(crate) struct BoardFull;

/// A mapped scoreboard.
///
/// What a call of the task writes counts only once [`settle_record`](Self::settle_record) says so.
#[derive(Debug)]
pub(crate) struct Board {
    map: NonNull<u8>,
    /// Start of the half in use, in bytes from `map`.
    half: usize,
    /// Bytes of rows in the half, those of the call in hand included.
    rows: usize,
    /// The most that each half's rows have reached since its memory was last given back.
    rows_touched: [usize; HALVES],
    /// Outcomes in the half, those of the call in hand included.
    outcomes: usize,
    /// Records of the item that have returned from the task.
    returned: u64,
    /// Parts of the item that the slave has read.
    part: u64,
    /// `rows` and `outcomes` when the last flush began.
    before_flush: (usize, usize),
}

impl Board {
    /// Maps the scoreboard in `file`.
    ///
    /// # Errors
    /// If it has another size, or the system refuses.
    pub(crate) fn map(file: &File) -> Result<Self, BoardError> {
        let bytes = file.metadata()?.len();
        if bytes != BOARD_BYTES as u64 {
            return Err(BoardError::WrongSize(bytes));
        }
        let length = NonZeroUsize::new(BOARD_BYTES).expect("a scoreboard is not empty");
        // SAFETY: the address is chosen by the kernel, so no live memory is replaced; the file has exactly
        // `length` bytes and is never made shorter (its maker seals it), so no access faults.
        let map = unsafe {
            mmap(None, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED, file, 0)
        };
        let map = map.map_err(std::io::Error::from)?.cast();
        Ok(Self {
            map,
            half: 0,
            rows: 0,
            rows_touched: [0; HALVES],
            outcomes: 0,
            returned: 0,
            part: 0,
            before_flush: (0, 0),
        })
    }

    /// Starts an item in the half that is its by `turn`, the number of items before this one.
    pub(crate) fn start_item(&mut self, item: BatchId, turn: u64) {
        self.half = (turn % HALVES as u64) as usize * HALF_BYTES;
        self.word(TURN_AT).store(0, Ordering::Release);
        self.returned = 0;
        self.part = 0;
        self.word(BEGUN_AT).store(0, Ordering::Release);
        self.word(ITEM_AT).store(item.0, Ordering::Release);
        self.clear();
        self.word(TURN_AT).store(turn + 1, Ordering::Release);
    }

    /// Forgets what is in the half, because the slave has read it. The item goes on.
    pub(crate) fn start_part(&mut self) {
        self.part += 1;
        self.clear();
    }

    fn clear(&mut self) {
        self.give_back_memory();
        (self.rows, self.outcomes) = (0, 0);
        self.publish();
        self.word(PART_AT).store(self.part, Ordering::Release);
    }

    /// Says that the next record is about to be handed to the task.
    #[inline]
    pub(crate) fn begin_record(&mut self) {
        self.word(BEGUN_AT).store(self.returned + 1, Ordering::Release);
    }

    /// Says that the next so many records are about to be handed to the task in one call.
    pub(crate) fn begin_records(&mut self, records: u64) {
        self.word(BEGUN_AT).store(self.returned + records, Ordering::Release);
    }

    /// Says that a call for many records gets on.
    #[inline]
    pub(crate) fn show_progress(&mut self) {
        self.word(PROGRESS_AT).store(self.outcomes as u64, Ordering::Release);
    }

    /// Says that the task is in `flush`.
    pub(crate) fn start_flush(&mut self) {
        self.before_flush = (self.rows, self.outcomes);
        self.word(FLUSHING_AT).store(1, Ordering::Release);
    }

    /// Says that the record in hand has returned, and makes what the call wrote count.
    #[inline]
    pub(crate) fn settle_record(&mut self) {
        self.settle_records(1);
    }

    /// Says that so many records have returned, and makes what was written count.
    #[inline]
    pub(crate) fn settle_records(&mut self, records: u64) {
        self.returned += records;
        self.publish();
    }

    /// Says that the flush is over, and makes what it wrote count.
    pub(crate) fn settle_flush(&mut self) {
        self.publish();
        self.word(FLUSHING_AT).store(0, Ordering::Release);
    }

    /// Drops what the flush wrote, because it failed.
    pub(crate) fn undo_flush(&mut self) {
        self.note_touched();
        (self.rows, self.outcomes) = self.before_flush;
        self.word(FLUSHING_AT).store(0, Ordering::Release);
    }

    /// Bytes of rows in the half.
    #[inline]
    pub(crate) fn rows_bytes(&self) -> usize {
        self.rows
    }

    /// Outcomes in the half.
    #[inline]
    pub(crate) fn outcomes(&self) -> usize {
        self.outcomes
    }

    /// Adds bytes to the rows of the call in hand.
    ///
    /// # Errors
    /// If one call writes too much.
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), BoardFull> {
        if bytes.len() > ROWS_MAX - self.rows {
            return Err(BoardFull);
        }
        // SAFETY: `rows + bytes.len() <= ROWS_MAX`, so the target lies in this half's rows, inside the
        // mapping; `bytes` is a live slice, and cannot overlap the mapping, of which no reference is given
        // out. Another process can read there, but only after `settle` publishes the length.
        unsafe {
            let to = self.map.as_ptr().add(self.half + ROWS_AT + self.rows);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        }
        self.rows += bytes.len();
        Ok(())
    }

    /// Drops the rows past `rows_bytes`: of a call that failed.
    pub(crate) fn drop_rows_after(&mut self, rows_bytes: usize) {
        self.note_touched();
        self.rows = self.rows.min(rows_bytes);
    }

    /// Adds an outcome whose span ends where the rows end now.
    ///
    /// # Panics
    /// If there are more than an item can have: the caller counts records, and none has two outcomes.
    #[inline]
    pub(crate) fn push_outcome(&mut self, outcome: Outcome) {
        assert!(self.outcomes < OUTCOMES_MAX, "a record has one outcome");
        let at = self.half + OUTCOMES_AT + self.outcomes * OUTCOME_BYTES;
        // SAFETY: `outcomes < OUTCOMES_MAX`, so both words lie in this half's outcomes, inside the mapping,
        // and are aligned to 8 bytes (the mapping to a page, all offsets to 16). Only this thread writes.
        unsafe { self.map.as_ptr().add(at).cast::<[u64; 2]>().write(outcome.to_words().map(u64::to_le)) };
        self.outcomes += 1;
    }

    #[inline]
    fn publish(&self) {
        let settled = (self.outcomes as u64) << 32 | self.returned;
        self.word(SETTLED_AT).store(settled, Ordering::Release);
    }

    #[inline]
    fn word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: `at` is an 8-byte aligned offset in a half's header page, inside the mapping, which lives
        // as long as `self`; every access to these words, here and in the reader, is atomic or through a
        // file descriptor.
        unsafe { AtomicU64::from_ptr(self.map.as_ptr().add(self.half + at).cast()) }
    }

    fn note_touched(&mut self) {
        let touched = &mut self.rows_touched[self.half / HALF_BYTES];
        *touched = (*touched).max(self.rows);
    }

    /// Gives back the memory that an unusually large output has filled.
    fn give_back_memory(&mut self) {
        const KEEP: usize = (4 * ROWS_BYTES_SOFT).next_multiple_of(PAGE_BYTES);
        self.note_touched();
        let touched = std::mem::take(&mut self.rows_touched[self.half / HALF_BYTES]);
        if touched > KEEP {
            // SAFETY: the range starts and ends inside this half's rows, at page boundaries; no reference
            // to it exists, and what was in it has been read.
            let freed = unsafe {
                let from = self.map.add(self.half + ROWS_AT + KEEP).cast();
                let length = touched.next_multiple_of(PAGE_BYTES).min(HALF_BYTES - ROWS_AT) - KEEP;
                madvise(from, length, MmapAdvise::MADV_REMOVE)
            };
            if let Err(error) = freed {
                tracing::debug!(%error, "the memory of a large output could not be given back");
            }
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `map` made, of that length, and nothing refers to it any more.
        let unmapped = unsafe { munmap(self.map.cast(), BOARD_BYTES) };
        debug_assert!(unmapped.is_ok(), "a mapping of ours can be undone");
    }
}

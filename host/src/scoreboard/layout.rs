//! Where everything lies in a scoreboard. Both sides are the same program, so this is not a wire format.

use super::outcome::OUTCOME_BYTES;
use crate::limits::{
    BATCH_RECORDS_MAX, HELD_BATCHES_MAX, ITEMS_PER_WORKER_MAX, ROWS_BYTES_MAX, ROWS_BYTES_SOFT,
};

/// Bytes of a page: what a hole in the file is made of.
pub(super) const PAGE_BYTES: usize = 4096;

/// Outcomes that one item can have: its own records, and all that a task may hold.
pub(super) const OUTCOMES_MAX: usize = (HELD_BATCHES_MAX + ITEMS_PER_WORKER_MAX) * BATCH_RECORDS_MAX;

/// Bytes of rows and messages in a half: what may be there when a call begins, and what a call may add.
pub(super) const ROWS_MAX: usize = ROWS_BYTES_SOFT + ROWS_BYTES_MAX;

/// How many items the worker had begun before the one in the half, plus one: a `u64`, written last, so that
/// what is left of this half's previous item cannot be mistaken for this one.
pub(super) const TURN_AT: usize = 0;
/// The number of the item in the half: a `u64`.
pub(super) const ITEM_AT: usize = 8;
/// How many parts of the item the slave has already read: a `u64`.
pub(super) const PART_AT: usize = 16;
/// How many records of the item were begun: a `u64`, written just before they are handed to the task.
pub(super) const BEGUN_AT: usize = 24;
/// How many outcomes are valid (upper 32 bits) and how many records have returned from the task (lower 32
/// bits): one `u64`, so that a record's outcome and its end are one store.
pub(super) const SETTLED_AT: usize = 32;
/// Whether the task is in `flush`: a `u64`, 0 or 1.
pub(super) const FLUSHING_AT: usize = 40;
/// How many outcomes there are, counted or not: a `u64`, written only in a call for many records, to show
/// that it gets on.
pub(super) const PROGRESS_AT: usize = 48;
/// Bytes of all these words.
pub(super) const WORDS_BYTES: usize = 56;
/// Where the outcomes start.
pub(super) const OUTCOMES_AT: usize = PAGE_BYTES;
/// Where the rows start.
pub(super) const ROWS_AT: usize = OUTCOMES_AT + OUTCOMES_MAX * OUTCOME_BYTES;

/// Bytes of a half: sparse, only what is written takes memory.
pub(super) const HALF_BYTES: usize = (ROWS_AT + ROWS_MAX).next_multiple_of(PAGE_BYTES);
/// Halves in a scoreboard.
pub(super) const HALVES: usize = 2;
/// Bytes of a scoreboard.
pub(super) const BOARD_BYTES: usize = HALVES * HALF_BYTES;

const _: () = assert!(ROWS_AT.is_multiple_of(PAGE_BYTES), "a hole in the rows is made of whole pages");

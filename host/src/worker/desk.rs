//! What a task sees of its host: it takes the rows and outcomes of a call and puts them into the scoreboard.
//! It must not know sockets.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::held::{Held, HeldBatch};
use super::row_text::RowText;
use super::window::{InCall, Window};
use crate::ids::BatchId;
use crate::limits::{FORGOTTEN, HELD_BATCHES_MAX, MESSAGE_BYTES_MAX};
use crate::plugin::{Bytes, Cells, RowFormat, Splitter, Status as CallStatus, TaskHost};
use crate::scoreboard::{Board, BoardFull, Outcome, Status};

/// The host of one task.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) board: Board,
    pub(super) held: Held,
    /// How rows are written.
    row_text: RowText,
    /// The item in hand.
    item: BatchId,
    /// The record in hand, if there is one.
    in_hand: Option<u16>,
    /// The records in hand, if the task has got several in one call.
    window: Option<Window>,
    /// Where the rows end that already belong to a finished record.
    finished_rows: usize,
    /// Whether there are other outcomes than “done, in order”.
    all_done: bool,
    /// What the task has already said of the record in hand: how it ends, and why.
    verdict: Option<CallStatus>,
    message: Vec<u8>,
    /// Why the task cannot go on, although the call in hand does not say so.
    spoiled: Option<String>,
    /// Whether records have failed because the task seemed to have forgotten them.
    has_forgotten: bool,
    splitter: Splitter,
    /// Those of records that came in one call, and how many are in use.
    splitters: (Vec<Splitter>, usize),
    stopping: Arc<AtomicBool>,
    /// One row, while it is put together.
    row: Vec<u8>,
}

/// A record's id across the boundary: never 0, which stands for “no record”.
fn record_id(batch_low: u32, index: u16) -> u64 {
    1 + (u64::from(batch_low) << 16 | u64::from(index))
}

impl Desk {
    pub(super) fn new(board: Board, row_text: RowText, stopping: Arc<AtomicBool>) -> Self {
        Self {
            board,
            held: Held::default(),
            row_text,
            item: BatchId(0),
            in_hand: None,
            window: None,
            finished_rows: 0,
            all_done: true,
            verdict: None,
            message: Vec::new(),
            spoiled: None,
            has_forgotten: false,
            splitter: Splitter::default(),
            splitters: (Vec::new(), 0),
            stopping,
            row: Vec::new(),
        }
    }

    /// A run begins that wants its rows in this format.
    pub(super) fn begin_run(&mut self, rows: RowFormat) {
        self.row_text.format = rows;
    }

    /// Starts an item.
    pub(super) fn start_item(&mut self, item: BatchId, turn: u64) {
        self.board.start_item(item, turn);
        self.item = item;
        self.in_hand = None;
        self.finished_rows = 0;
        self.all_done = true;
    }

    /// Starts a call for a record; returns its id.
    #[inline]
    pub(super) fn start_record(&mut self, index: u16) -> u64 {
        self.message.clear();
        self.verdict = None;
        self.board.begin_record();
        self.in_hand = Some(index);
        record_id(self.item.0 as u32, index)
    }

    /// Ends a call for a record: what it did counts from now on.
    #[inline]
    pub(super) fn settle_record(&mut self, index: u16, status: CallStatus) {
        if status == CallStatus::Ok {
            self.push(self.item.0 as u32, index, Status::Done);
        } else {
            self.settle_unusual(index, status);
        }
        self.in_hand = None;
        self.board.settle_record();
    }

    #[cold]
    fn settle_unusual(&mut self, index: u16, status: CallStatus) {
        self.all_done = false;
        // A record can be held and finished in one call: then it is finished.
        let status = if status == CallStatus::Held { self.verdict.unwrap_or(status) } else { status };
        let status = match status {
            CallStatus::Ok => Status::Done,
            CallStatus::Held => Status::Held,
            CallStatus::Reject => Status::Rejected,
            CallStatus::Retry => Status::Retry,
            CallStatus::Panic => Status::Panicked,
            CallStatus::Fatal => Status::Fatal,
        };
        let batch = self.item.0 as u32;
        if status == Status::Held {
            self.held.add(batch, index);
        } else if status != Status::Done {
            let message = std::mem::take(&mut self.message);
            self.replace_rows(&message);
            self.message = message;
        }
        self.push(batch, index, status);
    }

    /// Starts a call for so many records, from the one with that place on; returns the id of the first.
    pub(super) fn start_window(&mut self, first: u16, records: usize) -> u64 {
        self.message.clear();
        self.verdict = None;
        self.splitters.1 = 0;
        self.board.begin_records(records as u64);
        self.window = Some(Window::new(first, records));
        record_id(self.item.0 as u32, first)
    }

    /// Ends a call for many records that went well: those that the task has neither finished nor kept are
    /// done, and everything counts from now on.
    pub(super) fn settle_window(&mut self) {
        let Some(window) = self.window.take() else { return };
        let batch = self.item.0 as u32;
        for index in window.of(InCall::Open) {
            self.all_done &= usize::from(index) == self.board.outcomes();
            self.push(batch, index, Status::Done);
        }
        for index in window.of(InCall::Held) {
            self.all_done = false;
            self.held.add(batch, index);
            self.push(batch, index, Status::Held);
        }
        self.board.settle_records(window.records() as u64);
    }

    /// Whether the task has kept any of the records in hand.
    pub(super) fn window_holds_any(&self) -> bool {
        self.window.as_ref().is_some_and(|window| window.of(InCall::Held).next().is_some())
    }

    /// Ends a call for many records that failed: what it has finished counts from the next call on. Gives the
    /// places of all of them, and whether each is still to be run.
    pub(super) fn break_window(&mut self) -> Vec<(u16, bool)> {
        self.board.drop_rows_after(self.finished_rows);
        self.window.take().map(|window| window.into_places().collect()).unwrap_or_default()
    }

    /// Starts a flush.
    pub(super) fn start_flush(&mut self) {
        self.message.clear();
        self.in_hand = None;
        self.board.start_flush();
    }

    /// Ends a flush that went well.
    pub(super) fn settle_flush(&mut self) {
        self.board.settle_flush();
    }

    /// Fails records that the task should have finished by now. No rows may be there that belong to no
    /// record: they would have to come behind these.
    pub(super) fn fail_forgotten(&mut self, forgotten: &[HeldBatch]) {
        self.all_done = false;
        self.has_forgotten = true;
        for (batch_low, indexes) in forgotten {
            for index in indexes {
                self.replace_rows(FORGOTTEN.as_bytes());
                self.push(*batch_low, *index, Status::Rejected);
            }
        }
        self.board.settle_flush();
    }

    /// Why the task cannot go on, if that was found out during the call that has just returned.
    #[inline]
    pub(super) fn take_spoiled(&mut self) -> Option<String> {
        self.spoiled.take()
    }

    /// Ends a flush that failed: nothing that it did counts.
    pub(super) fn undo_flush(&mut self) {
        self.board.undo_flush();
    }

    /// What the task said about the call that has just failed.
    pub(super) fn take_message(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.message)).into_owned()
    }

    /// The slave has read what was there so far.
    pub(super) fn forget_reported(&mut self) {
        self.board.start_part();
        self.finished_rows = 0;
        self.all_done = false;
    }

    /// Whether every outcome since the item began is “done”, in order.
    pub(super) fn is_all_done(&self) -> bool {
        self.all_done
    }

    /// Whether rows were written that belong to no finished record.
    pub(super) fn has_loose_rows(&self) -> bool {
        self.board.rows_bytes() > self.finished_rows
    }

    #[inline]
    fn push(&mut self, batch_low: u32, index: u16, status: Status) {
        let end = self.board.rows_bytes();
        self.board.push_outcome(Outcome { end: end as u64, batch_low, index, status });
        self.finished_rows = end;
    }

    /// Drops the rows of the failed record and puts its message in their place.
    fn replace_rows(&mut self, message: &[u8]) {
        self.board.drop_rows_after(self.finished_rows);
        let message = &message[..message.len().min(MESSAGE_BYTES_MAX)];
        if self.board.write(message).is_err() {
            tracing::warn!("a failed record's message is left out: the scoreboard is full");
        }
    }

    /// The task finishes a record in hand, of which it has several, or keeps it beyond the call.
    fn finish_in_window(&mut self, index: u16, status: CallStatus, message: &[u8]) {
        let Some(window) = &mut self.window else { return };
        if window.place(index) == InCall::Finished {
            tracing::warn!(index, "the task finished a record twice; the second time is ignored");
            return;
        }
        if status == CallStatus::Held {
            window.set(index, InCall::Held);
            return;
        }
        window.set(index, InCall::Finished);
        self.all_done &= status == CallStatus::Ok && usize::from(index) == self.board.outcomes();
        self.push_finished(self.item.0 as u32, index, status, message);
        self.board.show_progress();
    }

    fn finish_held(&mut self, record: u64, status: CallStatus, message: &[u8]) {
        let place = record.wrapping_sub(1);
        let (batch_low, index) = ((place >> 16) as u32, place as u16);
        if record == 0 || !self.held.remove(batch_low, index) {
            self.finish_unknown(record, status);
            return;
        }
        self.all_done = false;
        self.push_finished(batch_low, index, status, message);
    }

    fn push_finished(&mut self, batch_low: u32, index: u16, status: CallStatus, message: &[u8]) {
        let status = match status {
            CallStatus::Ok | CallStatus::Held => Status::Done,
            CallStatus::Reject => Status::Rejected,
            CallStatus::Retry => Status::Retry,
            CallStatus::Fatal | CallStatus::Panic => Status::Fatal,
        };
        if status == Status::Fatal {
            self.spoiled.get_or_insert_with(|| String::from_utf8_lossy(message).into_owned());
        }
        if status != Status::Done {
            self.replace_rows(message);
        }
        self.push(batch_low, index, status);
    }

    /// The task finishes a record that it does not hold. If records have failed because it seemed to have
    /// forgotten them, this can be one of those, and the rows before this call are its rows: then nothing of
    /// the call in hand may count.
    #[cold]
    fn finish_unknown(&mut self, record: u64, status: CallStatus) {
        if self.has_forgotten && (status == CallStatus::Ok || self.has_loose_rows()) {
            self.spoiled.get_or_insert_with(|| {
                format!(
                    "the task finished a record too late: it can hold records of no more than {HELD_BATCHES_MAX} \
                     batches, so its flush must finish the oldest"
                )
            });
        } else {
            tracing::warn!(record, "the task finished a record that it does not hold; ignored");
        }
    }

    /// What the task is told about a row. If it does not fit, that is the record's fault.
    #[inline]
    fn accepted(&self, written: Result<(), BoardFull>) -> CallStatus {
        if written.is_ok() { CallStatus::Ok } else { CallStatus::Reject }
    }

    fn write_row(&mut self, cells: Cells<'_>) -> CallStatus {
        self.row.clear();
        if let Err(wrong) = self.row_text.write(cells.iter(), &mut self.row) {
            self.spoiled.get_or_insert_with(|| wrong.to_string());
            return CallStatus::Fatal;
        }
        let written = self.board.write(&self.row);
        self.accepted(written)
    }
}

impl TaskHost for Desk {
    fn emit(&mut self, cells: Cells<'_>) -> CallStatus {
        self.write_row(cells)
    }

    #[inline]
    fn line(&mut self, line: &[u8]) -> CallStatus {
        let written = self.board.write(line).and_then(|()| self.board.write(b"\n"));
        self.accepted(written)
    }

    fn fields(&mut self, record: &[u8]) -> &[Bytes] {
        self.splitter.split(record)
    }

    fn fields_of(&mut self, record: &[u8]) -> &[Bytes] {
        let (splitters, used) = &mut self.splitters;
        if splitters.len() == *used {
            splitters.push(Splitter::default());
        }
        *used += 1;
        splitters[*used - 1].split(record)
    }

    fn done(&mut self, record: u64, status: CallStatus, message: &[u8]) {
        let first = record_id(self.item.0 as u32, 0);
        if let Some(index) = self.window.as_ref().and_then(|window| window.index_of(first, record)) {
            self.finish_in_window(index, status, message);
            return;
        }
        let in_hand = self.in_hand.map_or(0, |index| record_id(self.item.0 as u32, index));
        if record == in_hand || record == 0 {
            self.verdict = Some(status);
            self.message.clear();
            self.message.extend_from_slice(&message[..message.len().min(MESSAGE_BYTES_MAX)]);
        } else {
            self.finish_held(record, status, message);
        }
    }

    fn stopping(&self) -> Arc<AtomicBool> {
        self.stopping.clone()
    }
}

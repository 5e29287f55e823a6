//! The life of a worker: an item comes in, its records go through the task, and the scoreboard is handed
//! over. All of it blocks, and nothing here knows of other workers.

use std::io::{PipeReader, Read};
use std::time::Instant;

use super::desk::Desk;
use super::error::WorkerError;
use super::held::HeldBatch;
use crate::ids::BatchId;
use crate::limits::{HELD_BATCHES_MAX, ROWS_BYTES_SOFT};
use crate::plugin::{LoadedTask, Status, TaskHost};
use crate::record::{Format, RawRecords};
use crate::wire::{
    BlockingReader, BlockingWriter, HostToWorker, ItemDone, LossKind, MoreInput, WorkerToHost,
};

/// What is wrong with a call for many records that leaves rows.
const LOOSE_ROWS: &str = "the task has written rows in a batch and has not said which record they belong to";

/// Whether the worker goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    /// The task is spoiled, or no longer needed: this process must end.
    Leave,
}

/// Serves items until the slave says stop, or is gone.
pub(super) fn serve(
    mut input: BlockingReader,
    mut output: BlockingWriter,
    task: LoadedTask<Desk>,
    receipts: PipeReader,
) -> Result<(), WorkerError> {
    let more = input.more_input()?;
    // Said last: what the worker has open from now on, the task has opened.
    output.send(WorkerToHost::Created)?;
    let mut worker = Worker {
        task,
        output,
        receipts,
        more,
        format: Format::Lines,
        turn: 0,
        item: BatchId(0),
        with_row_ends: false,
        began: Instant::now(),
        has_warned: false,
    };
    while let Some(frame) = input.read_frame::<HostToWorker>()? {
        let flow = match frame.head {
            HostToWorker::Begin { format, rows } => {
                worker.format = format;
                worker.task.host().begin_run(rows);
                Flow::On
            }
            HostToWorker::Batch { item, base, with_row_ends } => {
                let records = RawRecords::new(base, frame.table, frame.body);
                worker.run_batch(item, records, frame.more_is_read, with_row_ends)?
            }
            HostToWorker::Flush { item, last } => worker.run_flush(item, last)?,
            HostToWorker::Stop => Flow::Leave,
            HostToWorker::Start(_)
            | HostToWorker::StartKeys(_)
            | HostToWorker::Prepare
            | HostToWorker::Create => {
                return Err(WorkerError::Protocol("a second start message"));
            }
        };
        if flow == Flow::Leave {
            break;
        }
    }
    Ok(())
}

/// What running records has led to.
enum Ran {
    /// The worker goes on.
    On,
    /// The task cannot go on, because of the record that was run last.
    SpoiledByOne(Status),
    /// The task cannot go on, and which of the records in hand is the reason is not known.
    SpoiledBySeveral(Status),
}

impl Ran {
    /// What one record has led to.
    fn of(status: Status) -> Self {
        match status {
            Status::Panic | Status::Fatal => Self::SpoiledByOne(status),
            Status::Ok | Status::Held | Status::Reject | Status::Retry => Self::On,
        }
    }
}

struct Worker {
    task: LoadedTask<Desk>,
    output: BlockingWriter,
    receipts: PipeReader,
    more: MoreInput,
    format: Format,
    /// Items before this one: they alternate between the halves of the scoreboard.
    turn: u64,
    item: BatchId,
    with_row_ends: bool,
    began: Instant,
    /// Whether the log says already that rows of a batch belonged to no record.
    has_warned: bool,
}

impl Worker {
    fn run_batch(
        &mut self,
        item: BatchId,
        records: RawRecords<'_>,
        more_is_read: bool,
        with_row_ends: bool,
    ) -> Result<Flow, WorkerError> {
        self.start_item(item);
        self.with_row_ends = with_row_ends;
        if self.task.batch_max() > 1 {
            return self.run_windows(records, more_is_read);
        }
        for (index, record) in records.iter().enumerate() {
            let record = record.ok_or(WorkerError::Protocol("a batch with a wrong table of ends"))?;
            let index =
                u16::try_from(index).map_err(|_| WorkerError::Protocol("too many records in a batch"))?;
            let status = self.run_record(index, record);
            if matches!(status, Status::Panic | Status::Fatal) {
                return self.leave_after_record(status);
            }
            if self.task.host().board.rows_bytes() >= ROWS_BYTES_SOFT {
                self.hand_over_part()?;
            }
        }
        self.end_batch(more_is_read, records.len())
    }

    /// Runs the records of an item in windows: as many in one call as the task takes.
    fn run_windows(&mut self, records: RawRecords<'_>, more_is_read: bool) -> Result<Flow, WorkerError> {
        let max = self.task.batch_max();
        let mut left = records.iter();
        let mut window = Vec::with_capacity(max.min(records.len()));
        for first in (0..records.len()).step_by(max) {
            let first =
                u16::try_from(first).map_err(|_| WorkerError::Protocol("too many records in a batch"))?;
            window.clear();
            for record in left.by_ref().take(max) {
                let record = record.ok_or(WorkerError::Protocol("a batch with a wrong table of ends"))?;
                window.push(record);
            }
            let ran = match *window {
                [record] => Ran::of(self.run_record(first, record)),
                _ => self.run_window(first, &window)?,
            };
            match ran {
                Ran::On => {}
                Ran::SpoiledByOne(status) => return self.leave_after_record(status),
                Ran::SpoiledBySeveral(status) => return self.leave_in_window(status),
            }
            if self.task.host().board.rows_bytes() >= ROWS_BYTES_SOFT {
                self.hand_over_part()?;
            }
        }
        self.end_batch(more_is_read, records.len())
    }

    /// Runs records of the item in one call, and if that fails, one by one.
    fn run_window(&mut self, first: u16, window: &[&[u8]]) -> Result<Ran, WorkerError> {
        let format = self.format;
        let id = self.task.host().start_window(first, window.len());
        let status = self.task.handle_batch(id, window.iter().map(|record| format.content(record)));
        let status = match self.or_fatal(status) {
            status @ (Status::Panic | Status::Fatal) => return Ok(Ran::SpoiledBySeveral(status)),
            status => status,
        };
        let desk = self.task.host();
        if matches!(status, Status::Ok | Status::Held) {
            if !desk.has_loose_rows() {
                desk.settle_window();
                return Ok(Ran::On);
            }
            desk.done(0, Status::Reject, LOOSE_ROWS.as_bytes());
            self.warn_of_loose_rows();
        }
        let desk = self.task.host();
        // What it holds could not be told from what it holds after another call for the same record.
        if desk.window_holds_any() {
            return Ok(Ran::SpoiledBySeveral(Status::Panic));
        }
        for (index, is_open) in desk.break_window() {
            if !is_open {
                self.task.host().board.settle_record();
                continue;
            }
            // A record that fits alone must not fail because of the rows before it.
            if self.task.host().board.rows_bytes() >= ROWS_BYTES_SOFT {
                self.hand_over_part()?;
            }
            let record = window[usize::from(index - first)];
            match Ran::of(self.run_record(index, record)) {
                Ran::On => {}
                spoiled => return Ok(spoiled),
            }
        }
        Ok(Ran::On)
    }

    #[cold]
    fn warn_of_loose_rows(&mut self) {
        if !std::mem::replace(&mut self.has_warned, true) {
            tracing::warn!("{LOOSE_ROWS}; such batches are run again, one record at a time");
        }
    }

    /// After the last record of an item.
    fn end_batch(&mut self, more_is_read: bool, records: usize) -> Result<Flow, WorkerError> {
        if self.should_flush(more_is_read)? {
            self.flush(false, records)
        } else {
            self.hand_over(true, records)?;
            Ok(Flow::On)
        }
    }

    #[inline]
    fn run_record(&mut self, index: u16, record: &[u8]) -> Status {
        let line = self.format.content(record);
        let id = self.task.host().start_record(index);
        let status = self.task.handle(id, line);
        let status = self.or_fatal(status);
        self.task.host().settle_record(index, status);
        status
    }

    /// What a call said, unless it has shown that the task cannot go on.
    #[inline]
    fn or_fatal(&mut self, status: Status) -> Status {
        match self.task.host().take_spoiled() {
            None => status,
            Some(why) => {
                self.task.host().done(0, Status::Fatal, why.as_bytes());
                Status::Fatal
            }
        }
    }

    fn run_flush(&mut self, item: BatchId, last: bool) -> Result<Flow, WorkerError> {
        self.start_item(item);
        self.flush(last, 0)
    }

    /// Whether to ask the task to finish what it holds: when its window is full, or when there is nothing
    /// else to do.
    fn should_flush(&mut self, more_is_read: bool) -> Result<bool, WorkerError> {
        let held = &self.task.host().held;
        if held.records() == 0 {
            return Ok(false);
        }
        Ok(held.batches() >= HELD_BATCHES_MAX || !(more_is_read || self.more.is_waiting()?))
    }

    /// Calls the task's flush, and hands the item over.
    fn flush(&mut self, last: bool, records: usize) -> Result<Flow, WorkerError> {
        self.task.host().start_flush();
        let status = self.task.flush(last);
        let status = self.or_fatal(status);
        if status != Status::Ok {
            return self.leave_after_flush(status);
        }
        self.task.host().settle_flush();
        let forgotten = self.forgotten(last);
        if !forgotten.is_empty() {
            // Rows that belong to no record come behind all outcomes of their report.
            if self.task.host().has_loose_rows() {
                self.hand_over_part()?;
            }
            self.task.host().fail_forgotten(&forgotten);
        }
        self.hand_over(true, records)?;
        let held = &self.task.host().held;
        match (held.records(), held.batches()) {
            (records, HELD_BATCHES_MAX..) => self.fatal(format!(
                "records still held after the task's flush: {records}, of {HELD_BATCHES_MAX} batches; a task can hold \
                 no more than that, so its flush must finish some"
            )),
            _ => Ok(Flow::On),
        }
    }

    /// Records that the task should have finished by this flush, and has not. They fail; the others are not
    /// to suffer.
    fn forgotten(&mut self, last: bool) -> Vec<HeldBatch> {
        let held = &mut self.task.host().held;
        if last {
            return held.take_all();
        }
        let mut forgotten = Vec::new();
        while held.batches() >= HELD_BATCHES_MAX
            && let Some(batch) = held.take_forgotten()
        {
            forgotten.push(batch);
        }
        forgotten
    }

    fn start_item(&mut self, item: BatchId) {
        self.item = item;
        self.task.host().start_item(item, self.turn);
        self.turn += 1;
        self.began = Instant::now();
    }

    /// Tells the slave what is in the scoreboard. `records` is how many the item has.
    fn hand_over(&mut self, last: bool, records: usize) -> Result<(), WorkerError> {
        let busy_ns = self.began.elapsed().as_nanos() as u64;
        let desk = self.task.host();
        let done = ItemDone {
            item: self.item,
            outcomes: desk.board.outcomes() as u32,
            rows_bytes: desk.board.rows_bytes() as u64,
            all_done: last
                && records > 0
                && !self.with_row_ends
                && desk.is_all_done()
                && !desk.has_loose_rows(),
            last,
            held: desk.held.records(),
            busy_ns,
        };
        Ok(self.output.send(WorkerToHost::Done(done))?)
    }

    /// Hands over what there is so far, and waits until the slave has read it.
    #[cold]
    fn hand_over_part(&mut self) -> Result<(), WorkerError> {
        self.hand_over(false, 0)?;
        self.receipts.read_exact(&mut [0])?;
        self.task.host().forget_reported();
        self.began = Instant::now();
        Ok(())
    }

    #[cold]
    fn leave_after_record(&mut self, status: Status) -> Result<Flow, WorkerError> {
        let message = self.task.host().take_message();
        self.hand_over(false, 0)?;
        match status {
            Status::Fatal => self.fatal(message),
            _ => self.leave(LossKind::Panic, message),
        }
    }

    /// Ends the worker with records in hand, of which its slave sees in the scoreboard that they have not
    /// returned.
    #[cold]
    fn leave_in_window(&mut self, status: Status) -> Result<Flow, WorkerError> {
        let desk = self.task.host();
        desk.break_window();
        let message = desk.take_message();
        self.hand_over(false, 0)?;
        match status {
            Status::Fatal => self.fatal(message),
            _ => self.leave(LossKind::Panic, message),
        }
    }

    #[cold]
    fn leave_after_flush(&mut self, status: Status) -> Result<Flow, WorkerError> {
        let message = self.task.host().take_message();
        self.task.host().undo_flush();
        self.hand_over(false, 0)?;
        match status {
            Status::Fatal => self.fatal(message),
            _ => self.leave(LossKind::Flush, message),
        }
    }

    fn leave(&mut self, kind: LossKind, message: String) -> Result<Flow, WorkerError> {
        self.output.send(WorkerToHost::Leaving { kind, message })?;
        Ok(Flow::Leave)
    }

    fn fatal(&mut self, message: String) -> Result<Flow, WorkerError> {
        self.output.send(WorkerToHost::Fatal { message })?;
        Ok(Flow::Leave)
    }
}

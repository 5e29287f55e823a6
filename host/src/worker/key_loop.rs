//! The life of a process that computes partition keys: records come in as they do for a task, and what stands
//! for their keys goes into the scoreboard, so that a record that ends the process can be told from the
//! others.

use super::error::WorkerError;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::plugin::LoadedPartitioner;
use crate::record::{Format, RawRecords};
use crate::schedule::key_hash;
use crate::scoreboard::{Board, Outcome, Status};
use crate::wire::{BlockingReader, BlockingWriter, HostToWorker, ItemDone, WorkerToHost};

/// Serves items until the master says stop, or is gone.
pub(super) fn serve(
    mut input: BlockingReader,
    mut output: BlockingWriter,
    partitioner: LoadedPartitioner,
    board: Board,
    format: Format,
) -> Result<(), WorkerError> {
    let mut keys = KeyServer { partitioner, board, format, key: Vec::new() };
    let mut turn = 0;
    while let Some(frame) = input.read_frame::<HostToWorker>()? {
        match frame.head {
            HostToWorker::Batch { item, base, .. } => {
                keys.board.start_item(item, turn);
                turn += 1;
                let records = RawRecords::new(base, frame.table, frame.body);
                let all_done = keys.run(item.0 as u32, records)?;
                let done = ItemDone {
                    item,
                    outcomes: keys.board.outcomes() as u32,
                    rows_bytes: keys.board.rows_bytes() as u64,
                    all_done,
                    last: true,
                    held: 0,
                    busy_ns: 0,
                };
                output.send(WorkerToHost::Done(done))?;
            }
            HostToWorker::Stop => break,
            _ => return Err(WorkerError::Protocol("something else than records that need keys")),
        }
    }
    Ok(())
}

struct KeyServer {
    partitioner: LoadedPartitioner,
    board: Board,
    format: Format,
    key: Vec<u8>,
}

impl KeyServer {
    /// Computes the keys of a batch; whether each record has one.
    fn run(&mut self, batch_low: u32, records: RawRecords<'_>) -> Result<bool, WorkerError> {
        let mut all_done = true;
        for (index, record) in records.iter().enumerate() {
            let record = record.ok_or(WorkerError::Protocol("a batch with a wrong table of ends"))?;
            let index =
                u16::try_from(index).map_err(|_| WorkerError::Protocol("too many records in a batch"))?;
            self.board.begin_record();
            let status = self.run_record(record);
            let end = self.board.rows_bytes() as u64;
            self.board.push_outcome(Outcome { end, batch_low, index, status });
            self.board.settle_record();
            all_done &= status == Status::Done;
        }
        Ok(all_done)
    }

    fn run_record(&mut self, record: &[u8]) -> Status {
        let (written, status) = match self.partitioner.key(self.format.content(record), &mut self.key) {
            Ok(()) => (self.board.write(&key_hash(&self.key).0.to_le_bytes()), Status::Done),
            Err(error) => {
                let message = error.to_string();
                let message = &message.as_bytes()[..message.len().min(MESSAGE_BYTES_MAX)];
                (self.board.write(message), Status::Rejected)
            }
        };
        // Keys always fit, so this was a message, after thousands of others.
        if written.is_err() { Status::Rejected } else { status }
    }
}

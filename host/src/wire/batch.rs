//! A batch and its frames: the one place where records become a frame of a master, and such a frame an item
//! of a worker. It must not know the layout of a table of ends, which belongs to `record/`.

use bytes::Bytes;

use super::frame::Frame;
use super::message::{BatchHead, MasterToSlave};
use super::seq_ranges::SeqRanges;
use super::worker_message::HostToWorker;
use crate::ids::{BatchId, Epoch, SlotIndex};
use crate::record::{Parts, Records};

/// Records for a slot, with what the slave is told about them.
#[derive(Debug)]
pub struct Batch {
    /// Its number in this run.
    pub batch: BatchId,
    /// Where it goes.
    pub slot: SlotIndex,
    /// The worker it is meant for; if that worker is gone, the batch is void.
    pub epoch: Epoch,
    /// The records, terminators included.
    pub records: Records,
    /// Whether its report must say where each record's rows end, even if all are done.
    pub with_row_ends: bool,
    /// The numbers of its records in the run's input, if the slave has a sink; else nothing.
    pub seqs: SeqRanges,
}

impl Batch {
    /// The frame that takes it to a slave. Nothing is copied.
    pub fn into_frame(self) -> Frame<MasterToSlave> {
        let Self { batch, slot, epoch, records, with_row_ends, seqs } = self;
        let Parts { base, table, data } = records.into_parts();
        let head = BatchHead { batch, slot, epoch, base, with_row_ends, seqs };
        Frame { head: MasterToSlave::Batch(head), table, body: data }
    }

    /// The batch in a frame that [`into_frame`](Self::into_frame) made in this process.
    ///
    /// # Panics
    /// If another process made the frame, and its ends are wrong.
    pub(crate) fn of_own_frame(head: BatchHead, table: Bytes, body: Bytes) -> Self {
        let BatchHead { batch, slot, epoch, base, with_row_ends, seqs } = head;
        let records = Records::of_parts(Parts { base, table, data: body });
        Self { batch, slot, epoch, records, with_row_ends, seqs }
    }
}

/// What a worker gets of a master's batch: table and body as they came, without a look at them.
pub(crate) fn worker_item(
    head: &BatchHead,
    with_row_ends: bool,
    table: Bytes,
    body: Bytes,
) -> Frame<HostToWorker> {
    Frame { head: HostToWorker::Batch { item: head.batch, base: head.base, with_row_ends }, table, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_sent_without_a_copy_and_comes_out_as_it_went_in() {
        let whole = Records::from_iter(["a\n", "bb\n", "ccc\n"]);
        let sent = whole.slice(1..3);
        let frame = Batch {
            batch: BatchId(7),
            slot: SlotIndex(1),
            epoch: Epoch(2),
            records: sent.clone(),
            with_row_ends: true,
            seqs: SeqRanges::default(),
        }
        .into_frame();
        assert_eq!(frame.body.as_ptr(), whole.data()[2..].as_ptr());
        let MasterToSlave::Batch(head) = frame.head else { panic!("a batch has the head of one") };
        let item = worker_item(&head, false, frame.table.clone(), frame.body.clone());
        assert_eq!(item.head, HostToWorker::Batch { item: BatchId(7), base: 2, with_row_ends: false });
        assert_eq!((item.table.as_ptr(), item.body.as_ptr()), (frame.table.as_ptr(), frame.body.as_ptr()));
        let got = Batch::of_own_frame(head, frame.table, frame.body);
        assert!(got.records == sent && got.with_row_ends);
    }
}

//! What travels between processes: frames, the messages in them, and who sends which.
//!
//! The only place that knows the bytes on a socket. `docs/protocol.md` is the specification.

mod batch;
mod blocking_frames;
mod connection;
mod dial;
mod ends;
mod frame;
mod frame_reader;
mod frame_writer;
mod handshake;
mod line_protocol;
mod message;
mod seq_ranges;
mod worker_message;

pub use batch::Batch;
pub(crate) use batch::worker_item;
pub use blocking_frames::BlockingReader;
pub(crate) use blocking_frames::{BlockingWriter, MoreInput};
pub(crate) use connection::{Heard, PeerError, ReceivingHalf, halves};
pub(crate) use dial::{ConnectError, Connection, Dialer, reload, tell};
pub(crate) use ends::{ReadEnd, WriteEnd};
pub use frame::{Frame, FrameError, FrameLimits};
pub use frame_reader::FrameReader;
pub use frame_writer::FrameWriter;
pub(crate) use handshake::{HandshakeError, PREAMBLE_BYTES, answer_preamble, exchange_preambles};
pub(crate) use line_protocol::{
    HASH_PREFIX_BYTES, LineCommand, LineScheduler, is_yes, may_be_preamble, split_hash,
};
pub use message::{
    BatchHead, Blame, Hello, LossKind, MasterToSlave, Refusal, ReportHead, Role, SlaveToMaster, SlotLost,
    Welcome,
};
pub(crate) use message::{PIN_BUILD, SinkPlace};
pub(crate) use seq_ranges::BatchSeqs;
pub use seq_ranges::SeqRanges;
pub use worker_message::{HostToWorker, WorkerToHost};
pub(crate) use worker_message::{ItemDone, KeyStart, WorkerLimits, WorkerStart};

//! What travels between processes: frames, the messages in them, and who says what to whom.
//!
//! The only place that knows bytes on a socket. `docs/protocol.md` is the specification.

mod blocking_frames;
mod connection;
mod dial;
mod frame;
mod frame_reader;
mod frame_writer;
mod handshake;
mod line_protocol;
mod message;
mod seq_ranges;
mod worker_message;

pub use blocking_frames::{BlockingReader, BlockingWriter, FrameRef, MoreInput};
pub use connection::{Beats, Heard, PeerError, ReceivingHalf, SendingHalf, halves};
pub use dial::{ConnectError, Connection, connect, tell};
pub use frame::{Frame, FrameError, FrameLimits};
pub use frame_reader::FrameReader;
pub use frame_writer::FrameWriter;
pub use handshake::{HandshakeError, PREAMBLE_BYTES, answer_preamble, exchange_preambles};
pub use line_protocol::{
    HASH_PREFIX_BYTES, LineCommand, LineScheduler, NoHash, is_yes, may_be_preamble, split_hash,
};
pub use message::{
    BatchHead, Blame, Hello, LossKind, MasterToSlave, Refusal, ReportHead, Role, SinkPlace, SlaveToMaster,
    SlotLost, Welcome,
};
pub use seq_ranges::{BatchSeqs, SeqRanges};
pub use worker_message::{HostToWorker, ItemDone, WorkerLimits, WorkerStart, WorkerToHost};

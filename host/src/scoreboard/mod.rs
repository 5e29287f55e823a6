//! What must survive a worker: the shared memory between a worker and its slave.
//!
//! The slave makes a memfd for each worker. The worker maps it and writes ([`Board`]); the slave only reads
//! the file ([`BoardReader`]), so all unsafe code is on one side. When a worker dies, the slave knows which
//! records were finished (with their rows), which one was in hand, and which were never begun.
//!
//! ```text
//! | half 0                                              | half 1 ... |
//! | header page | outcomes: 16 bytes each | rows, messages |
//! ```
//! Two halves alternate from item to item: the worker fills one while the slave reads the other. Credit keeps
//! them from colliding: a worker never has a third item before the slave has read the first one's rows.

mod board;
mod board_reader;
mod layout;
mod outcome;
mod passing;

pub(crate) use board::{Board, BoardError, BoardFull};
pub(crate) use board_reader::{BoardReader, Snapshot};
pub(crate) use outcome::Spans;
pub use outcome::{Outcome, Status};
pub(crate) use passing::{pass, receive};

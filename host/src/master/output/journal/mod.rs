//! The journal of a run: what a master that was killed needs, to go on where it stood.
//!
//! In reading order: `entry` (what the file holds, byte for
//! byte), `identity` (which run it belongs to), `stream_head` (how another standard input is noticed),
//! `earlier` (what a journal says of the runs before), `run_journal` (when a run may begin, and when a
//! checkpoint is due), `journal_file` and `pen` (the files). The first five do no I/O.
//!
//! **Invariant:** the journal never claims more than the files hold: rows and failed records are on the disk
//! before the entry that counts them is written.

mod earlier;
mod entry;
mod error;
mod identity;
mod journal_file;
mod open;
mod pen;
mod run_journal;
mod stream_head;
#[cfg(test)]
mod tests;

pub(crate) use earlier::Earlier;
pub(crate) use entry::{Checkpoint, Header};
pub(crate) use error::JournalError;
pub(crate) use identity::TaskIdentity;
pub(crate) use open::{Opened, open};
pub(crate) use pen::{JournalPen, NamedFile};
pub(crate) use run_journal::{Admitted, RunJournal};

//! The journal of a run: what a master needs to go on where it stood, if it is killed.
//!
//! In reading order: `tail` (how a file ends), `checkpoint` (how far a run was), `saved` (what all
//! checkpoints say together), `identity` (which run a journal belongs to), `stream_head` (how another
//! standard input is noticed), `entry` (what the file holds, byte for byte), `run_journal` (when a run may
//! begin, and when a checkpoint is due); these are pure. Then the files: `journal_file`, `pen` and `open`.
//!
//! **Invariant:** the journal never claims more than the files hold: rows and failed records are on the disk
//! before the entry that counts them is written.

mod checkpoint;
mod entry;
mod error;
mod identity;
mod journal_file;
mod open;
mod pen;
mod run_journal;
mod saved;
mod stream_head;
mod tail;
#[cfg(test)]
mod tests;

pub(crate) use checkpoint::Checkpoint;
pub(crate) use entry::Header;
pub(crate) use error::JournalError;
pub(crate) use identity::TaskIdentity;
pub(crate) use open::{Opened, open};
pub(crate) use pen::{JournalPen, NamedFile};
pub(crate) use run_journal::{Admission, RunJournal};
pub(crate) use saved::Saved;
pub(crate) use tail::{FileMark, Tail};

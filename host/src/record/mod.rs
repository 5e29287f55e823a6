//! Records: how the input is cut into them, and how many of them travel in one buffer.
//!
//! In reading order: `format` (what a record is), `ends` (the table that says where records end), `records`
//! (many in one buffer), `raw_records` (the same, as a peer sent them), `cutter` (finds the ends), `block` (a
//! buffer that fills and is handed on in blocks), `failed_lines` (records in lines of a failed-records file),
//! `compression` (how an input is compressed), `unpack` (what it is then), `input` (files and standard
//! input), `unpacked_input` (one that a thread unpacks), `feed` (either), `keys` (partition keys that come
//! with records), `reader` (the thread that joins them).

#[doc(hidden)]
pub(crate) mod block;
mod compression;
mod cutter;
mod ends;
mod failed_lines;
mod feed;
mod format;
mod input;
mod keys;
mod raw_records;
mod reader;
mod records;
mod unpack;
mod unpacked_input;

pub(crate) use compression::Compression;
pub(crate) use failed_lines::{FailedLines, Unusable};
pub use format::Format;
pub(crate) use input::{InputName, InputSource, ReadError};
pub(crate) use keys::{NoKey, NoKeyCause, RecordKeys};
pub use raw_records::RawRecords;
pub(crate) use reader::{Input, ReadLimits, RecordReader, start, start_failed_lines};
pub use records::Records;
pub(crate) use records::{Parts, RecordsBuilder};

//! Records: how the input is cut into them, and how many of them travel in one buffer.
//!
//! In reading order: `format` (what a record is), `cutter` (where records end), `block` (a buffer that fills
//! and is handed on in blocks), `input` (files and standard input), `reader` (the thread that joins them).

mod block;
mod cutter;
mod format;
mod input;
mod reader;
mod records;

pub use format::{Format, UnknownFormat};
pub use input::{InputName, InputSource, ReadError};
pub use reader::{Input, ReadLimits, RecordReader, start};
pub use records::{Records, RecordsBuilder};

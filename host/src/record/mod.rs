//! Records: how the input is cut into them, and how many of them travel in one buffer.

mod records;

pub use records::{Records, RecordsBuilder};

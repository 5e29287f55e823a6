//! serde over plain text: arguments, records and rows are flat lists of text cells.
//!
//! This module knows nothing about the boundary, the host or CSV.

mod arguments;
mod cell_writer;
mod error;
mod record_fields;
mod row_buffer;
mod row_cells;
pub(crate) mod serde_calls;
mod value;

pub(crate) use arguments::from_args;
pub(crate) use error::TextError;
pub(crate) use record_fields::from_fields;
pub(crate) use row_cells::RowCells;

//! CSV files, which are complete when they have their final name, and how they are delivered.

pub(super) mod csv_files;
pub(super) mod harvest;
mod part_file;

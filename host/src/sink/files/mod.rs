//! CSV files, which are complete when they have their final name, and how they are delivered.

mod csv_files;
mod harvest;
mod part_file;

pub(super) use csv_files::CsvFiles;
pub(super) use harvest::Package;

//! CSV files, which are complete when they have their final name, and how they are delivered. Beside them
//! stands a ledger for each run, so that each record's rows are in one of the files, once.

mod csv_files;
mod harvest;
mod ledger_entry;
mod ledger_state;
mod orphans;
mod part_file;
mod run_ledger;

pub(super) use csv_files::CsvFiles;
pub(super) use harvest::Package;

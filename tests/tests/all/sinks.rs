//! Rows in sinks, which are files or tables in databases: each record's rows are there once, whatever is
//! killed.

mod files;
mod harvest;
mod kills;
mod late;
mod outages;
pub(crate) mod place;
mod start;
mod tables;
mod widths;

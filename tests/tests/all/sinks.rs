//! Rows in sinks: files, and tables of databases; each record's rows once, whatever is killed.

mod files;
mod harvest;
mod kills;
mod late;
mod outages;
mod place;
mod start;
mod tables;

//! Where a slave puts rows that do not go back to the master: CSV files, or a table in a database.
//!
//! In the order in which a report passes them: `session` gathers what workers report, and `report_books`
//! knows which records the reports are about. A `group` of these records goes through the `handle` to the
//! `store`, which is one of the kinds in `tables` and `files`. When the group is committed, what is left of
//! the reports goes on to the master. `judgement` decides which records of a group are inserted, from the
//! bits that the ledger (`pages`) already has for them.
//!
//! **Invariant:** a record is reported as done only after its rows are in the sink (see `report_books`).

mod blocking;
mod destination;
mod encoded;
mod error;
mod files;
mod group;
mod handle;
mod judgement;
mod narrow;
mod pages;
mod report_books;
mod rows;
mod session;
mod shape;
mod store;
mod tables;
mod url;

pub(crate) use destination::{Destination, DestinationError, HARVEST};
pub(crate) use error::OpenError;
pub(crate) use handle::{SinkHandle, start};
pub(crate) use session::{SinkSession, SinkTrouble};
pub(crate) use shape::Shape;
pub(crate) use store::{Store, open};
pub(crate) use url::{SinkUrl, SinkUrlError};

//! Where a slave puts rows, if they do not go back to the master: files of CSV, or a table of a database.
//!
//! In the order of a report's way: `session` gathers what workers report, `report_books` knows which records
//! that is about, a `group` of them goes through the `handle` to the `store`, and what is left of the reports
//! goes on to the master when the group is committed. `judgement` decides what of a group is inserted, by
//! what the ledger (`pages`) has of its records.
//!
//! **Invariant:** a record is reported as done only after its rows are in the sink (`report_books`).

mod blocking;
mod destination;
mod encoded;
mod error;
mod files;
mod group;
mod handle;
mod judgement;
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

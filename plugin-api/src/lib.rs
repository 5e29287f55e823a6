//! The crate that SimpleGrid plugins are written against.
//!
//! A plugin is a shared library with tasks in it: functions that SimpleGrid runs over a stream of records, in
//! many processes and on many machines, retrying what fails and losing nothing. You implement [`Task`] and
//! name the type in [`export!`]; a plugin has no other public interface.
//!
//! Here is a complete plugin. Its `Cargo.toml` says `crate-type = ["cdylib", "rlib"]`, and depends on this
//! crate and on serde with its `derive` feature.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use simplegrid_plugin_api::{Error, Output, Partitioner, Record, Result, Task};
//!
//! pub struct EmailDomain {
//!     lower: bool,
//! }
//!
//! /// `--task-arg lower=true`
//! #[derive(Deserialize)]
//! pub struct Args {
//!     #[serde(default)]
//!     lower: bool,
//! }
//!
//! /// Its fields are the output's columns.
//! #[derive(Serialize, Deserialize)]
//! pub struct Row {
//!     address: String,
//!     domain: String,
//! }
//!
//! impl Task for EmailDomain {
//!     type Args = Args;
//!     type Row = Row;
//!
//!     fn new(args: Args) -> Result<Self> {
//!         Ok(Self { lower: args.lower })
//!     }
//!
//!     fn handle(&mut self, record: Record<'_>, output: &mut Output<Row>) -> Result {
//!         let address = record.text(0)?;
//!         let (_, domain) = address.rsplit_once('@').ok_or_else(|| Error::reject("no @ in the address"))?;
//!         let domain = if self.lower { domain.to_lowercase() } else { domain.to_owned() };
//!         output.emit(&Row { address: address.to_owned(), domain })
//!     }
//! }
//!
//! /// Records of one domain meet in one worker: `--partition-by FILE:by-email-domain`.
//! pub struct ByEmailDomain;
//!
//! impl Partitioner for ByEmailDomain {
//!     fn key(&self, record: &Record<'_>, key: &mut Vec<u8>) -> Result {
//!         let domain = record.text(0)?.rsplit('@').next().unwrap_or_default();
//!         key.extend_from_slice(domain.to_lowercase().as_bytes());
//!         Ok(())
//!     }
//! }
//!
//! simplegrid_plugin_api::export! {
//!     tasks: { "email-domain" => EmailDomain },
//!     partitioners: { "by-email-domain" => ByEmailDomain },
//! }
//!
//! # fn main() {
//! use simplegrid_plugin_api::{Status, testing::{TestGrid, key_of}};
//!
//! let mut grid = TestGrid::start::<EmailDomain>(&[("lower", "true")]).expect("good arguments");
//! assert_eq!(grid.handle("joe@Example.COM"), Status::Ok);
//! assert_eq!(grid.handle("nobody"), Status::Reject);
//! assert_eq!(grid.rows(), [[Some("joe@Example.COM".into()), Some("example.com".into())]]);
//! assert_eq!(key_of(&ByEmailDomain, "joe@Example.COM").expect("a key"), b"example.com");
//! # }
//! ```
//!
//! [`abi`] describes the boundary itself, for hosts and for plugins in other languages. **Invariant:** this
//! crate depends on nothing else of SimpleGrid, and has no async runtime.

pub mod abi;
mod batch;
mod bridge;
mod error;
mod export;
pub mod fields;
#[doc(hidden)]
pub mod glue;
mod manifest;
mod output;
mod record;
mod schema;
mod status;
mod task;
pub mod testing;
mod text;

pub use batch::{Batch, Records};
pub use error::{Error, Result};
pub use output::{Line, Output};
pub use record::{Held, Record};
pub use status::Status;
pub use task::{NoArgs, Partitioner, Task};

/// For the `export!` macro.
#[doc(hidden)]
pub use abi_stable as __abi_stable;

//! What a company's web page says about itself: the text of its `<meta name="description">`.
//!
//! A record's first field is a URL or a domain (`target.rs`). The page is fetched (`fetch.rs`), by default
//! from public addresses only (`resolver.rs`, `addresses.rs`), decompressed (`body.rs`), decoded
//! (`charset.rs`) and read as far as the description (`meta.rs`). This is Net::SimpleGrid's
//! CompanyDescriptionTask, but no record is lost in silence: if its page cannot be fetched, the record is
//! rejected, or tried again.

mod addresses;
mod arguments;
mod body;
mod charset;
mod fetch;
mod meta;
mod resolver;
mod target;

use serde::{Deserialize, Serialize};
use simplegrid_plugin_api::{Error, Output, Record, Result, Task};

pub use crate::arguments::Args;
use crate::fetch::{FetchError, Fetcher};

/// The task `company-description`.
#[derive(Debug)]
pub struct CompanyDescription {
    fetcher: Fetcher,
}

/// One output row; its fields are the columns.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    /// The field as it was read, whether a domain or a URL.
    pub domain: String,
    /// What the page says about itself, in one line; NULL if it says nothing.
    pub description: Option<String>,
}

impl Task for CompanyDescription {
    type Args = Args;
    type Row = Row;

    fn prepare(args: &Args) -> Result {
        args.check()
    }

    fn new(args: Args) -> Result<Self> {
        args.check()?;
        Ok(Self { fetcher: Fetcher::new(&args)? })
    }

    fn handle(&mut self, record: Record<'_>, output: &mut Output<Row>) -> Result {
        let domain = record.text(0)?;
        let pages = target::targets(domain).map_err(Error::reject)?;
        let description = self.fetcher.description(&pages).map_err(|error| match error {
            FetchError::Permanent(why) => Error::reject(why),
            FetchError::Temporary(why) | FetchError::NoConnection(why) => Error::retry(why),
        })?;
        output.emit(&Row { domain: domain.to_owned(), description })
    }
}

simplegrid_plugin_api::export! { tasks: { "company-description" => CompanyDescription } }

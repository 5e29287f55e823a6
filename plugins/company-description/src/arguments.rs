//! The task's arguments: their names, defaults and checks.

use std::path::PathBuf;

use serde::Deserialize;
use simplegrid_network::{NameServer, Timeout};
use simplegrid_plugin_api::{Error, Result};
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

/// Bytes of a page that are read, unless told otherwise. The head of a page that is longer says nothing for
/// people.
const SIZE_MAX: u64 = 1024 * 1024;

/// Redirects that are followed, unless told otherwise.
const REDIRECTS: u32 = 5;

/// The `--task-arg`s.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Args {
    /// For all of a record: names, connections, redirects and the page.
    #[serde(default = "thirty_seconds")]
    pub timeout: Timeout,
    /// For a name, and for a connection with its TLS.
    #[serde(default = "ten_seconds")]
    pub connect_timeout: Timeout,
    /// For each pause of a server.
    #[serde(default = "ten_seconds")]
    pub read_timeout: Timeout,
    /// Bytes of a page that are read, as they come and as they are when they are uncompressed.
    #[serde(default = "size_max")]
    pub size_max: u64,
    /// Redirects that are followed.
    #[serde(default = "redirects")]
    pub redirects: u32,
    /// How we introduce ourselves.
    #[serde(default = "user_agent")]
    pub user_agent: String,
    /// Fetches from private, loopback and other addresses that are not the public internet's, too.
    #[serde(default)]
    pub allow_private: bool,
    /// The name server to ask, instead of the system's.
    #[serde(default)]
    pub resolver: Option<NameServer>,
    /// Certificates (PEM) of those whom to trust instead of Mozilla's list.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl Args {
    /// Checks what the types do not.
    pub(crate) fn check(&self) -> Result {
        if self.size_max == 0 {
            return Err(Error::fatal(
                "the task argument `size-max` must be at least 1: a page of no bytes says nothing",
            ));
        }
        if self.user_agent.is_empty() || !self.user_agent.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(Error::fatal("the task argument `user-agent` must be ASCII text on one line"));
        }
        self.roots().map(|_| ())
    }

    /// Whom to trust.
    pub(crate) fn roots(&self) -> Result<RootCerts> {
        let Some(path) = &self.ca_file else { return Ok(RootCerts::WebPki) };
        let wrong = |why: &dyn std::fmt::Display| {
            Error::fatal(format_args!("the task argument `ca-file`: {}: {why}", path.display()))
        };
        let pem = std::fs::read(path).map_err(|error| wrong(&error))?;
        let mut certificates: Vec<Certificate<'static>> = Vec::new();
        for item in parse_pem(&pem) {
            if let PemItem::Certificate(certificate) = item.map_err(|error| wrong(&error))? {
                certificates.push(certificate);
            }
        }
        if certificates.is_empty() {
            return Err(wrong(&"it contains no certificate in PEM form"));
        }
        Ok(RootCerts::from(certificates))
    }
}

fn thirty_seconds() -> Timeout {
    Timeout::from_secs(30)
}

fn ten_seconds() -> Timeout {
    Timeout::from_secs(10)
}

fn size_max() -> u64 {
    SIZE_MAX
}

fn redirects() -> u32 {
    REDIRECTS
}

fn user_agent() -> String {
    concat!("simplegrid/", env!("CARGO_PKG_VERSION")).to_owned()
}

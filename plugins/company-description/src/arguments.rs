//! The task's arguments: their names, defaults and checks.

use std::path::PathBuf;

use serde::Deserialize;
use simplegrid_network::{NameServer, Timeout};
use simplegrid_plugin_api::{Error, Result};
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

/// How many bytes of a page are read by default. A page whose head is longer than that was not written for
/// people.
const SIZE_MAX: u64 = 1024 * 1024;

/// How many redirects are followed by default.
const REDIRECTS: u32 = 5;

/// The `--task-arg`s.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Args {
    /// How long everything about a record may take: names, connections, redirects and the page.
    #[serde(default = "thirty_seconds")]
    pub timeout: Timeout,
    /// How long a name may take, and a connection with its TLS.
    #[serde(default = "ten_seconds")]
    pub connect_timeout: Timeout,
    /// How long each pause of a server may be.
    #[serde(default = "ten_seconds")]
    pub read_timeout: Timeout,
    /// How many bytes of a page are read, counted both as they arrive and after decompression.
    #[serde(default = "size_max")]
    pub size_max: u64,
    /// How many redirects are followed.
    #[serde(default = "redirects")]
    pub redirects: u32,
    /// How the worker introduces itself.
    #[serde(default = "user_agent")]
    pub user_agent: String,
    /// Whether to fetch also from private, loopback and other addresses outside the public internet.
    #[serde(default)]
    pub allow_private: bool,
    /// The name server to ask, instead of the system's.
    #[serde(default)]
    pub resolver: Option<NameServer>,
    /// A file of certificates (PEM) to trust instead of Mozilla's list.
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

    /// The authorities to trust.
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

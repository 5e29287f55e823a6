//! The addresses that a page may be fetched from.
//!
//! **Invariant:** ureq connects only to what this returns. No second lookup can give another answer, and each
//! redirect comes through here again.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use simplegrid_network::{LookupError, Names};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How many addresses of one host are tried; ureq has room for sixteen.
const ADDRESSES_MAX: usize = 8;

/// How long a lookup may take if ureq sets no limit. It always does, but “forever” cannot be added to a
/// moment.
const LOOKUP_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Looks names up, and leaves out the addresses that must not be fetched from.
pub(crate) struct Gatekeeper {
    names: Names,
    may_fetch: fn(IpAddr) -> bool,
}

/// Why a host has no address to fetch from.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatekeeperError {
    #[error("`{0}` has no public address; allow-private=true would fetch from it")]
    Private(String),
    #[error(transparent)]
    Lookup(#[from] LookupError),
}

impl Gatekeeper {
    /// A gatekeeper that lets those addresses pass that `may_fetch` allows.
    pub(crate) fn new(names: Names, may_fetch: fn(IpAddr) -> bool) -> Self {
        Self { names, may_fetch }
    }

    fn addresses(&self, host: &str, until: Instant) -> Result<Vec<IpAddr>, GatekeeperError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let mut addresses = match bare.parse() {
            Ok(address) => vec![address],
            // A name can end in a dot for the root, which is not part of the question to DNS.
            Err(_) => self.names.addresses_by(bare.strip_suffix('.').unwrap_or(bare), until)?,
        };
        addresses.retain(|address| (self.may_fetch)(*address));
        if addresses.is_empty() {
            return Err(GatekeeperError::Private(host.to_owned()));
        }
        addresses.truncate(ADDRESSES_MAX);
        Ok(addresses)
    }
}

impl Resolver for Gatekeeper {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or_else(|| ureq::Error::BadUri("it has no host".to_owned()))?;
        let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(usual);
        let until = Instant::now() + (*timeout.after).min(LOOKUP_MAX);
        let addresses = self.addresses(host, until).map_err(|error| ureq::Error::Other(error.into()))?;
        let mut resolved = self.empty();
        for address in addresses {
            resolved.push(SocketAddr::new(address, port));
        }
        Ok(resolved)
    }
}

impl fmt::Debug for Gatekeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gatekeeper").field("names", &self.names).finish_non_exhaustive()
    }
}

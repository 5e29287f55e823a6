//! The addresses that a page may be fetched from.
//!
//! **Invariant:** ureq connects to what this returns, and to nothing else: no second lookup can say something
//! else, and each redirect comes through here again.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use simplegrid_network::{LookupError, Names};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Addresses of one host that are tried; ureq has room for sixteen.
const ADDRESSES_MAX: usize = 8;

/// How long a lookup may take if ureq has no end for it, which it always has; forever cannot be added to now.
const LOOKUP_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Looks names up, and leaves out addresses that may not be fetched from.
pub(crate) struct Gatekeeper {
    names: Names,
    may_fetch: fn(IpAddr) -> bool,
}

/// Why there is no address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatekeeperError {
    #[error("`{0}` has no public address; allow-private=true would fetch from it")]
    Private(String),
    #[error(transparent)]
    Lookup(#[from] LookupError),
}

impl Gatekeeper {
    /// One that lets pass what `may_fetch` does.
    pub(crate) fn new(names: Names, may_fetch: fn(IpAddr) -> bool) -> Self {
        Self { names, may_fetch }
    }

    fn addresses(&self, host: &str, until: Instant) -> Result<Vec<IpAddr>, GatekeeperError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let mut addresses = match bare.parse() {
            Ok(address) => vec![address],
            // The root, which a name may end in, is no part of what DNS is asked.
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

//! DNS for a blocking worker: mail exchangers and addresses, and the difference between "there is none" and
//! "that is unknown at the moment".
//!
//! Aliases (CNAME) are followed. Names are complete: the search list of `/etc/resolv.conf` would turn
//! `joe@exampel` into a colleague's address.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use serde::{Deserialize, Deserializer, de};
use tokio::runtime::Runtime;

/// How often one server is asked the same question, within the time that a question may take, because a
/// packet can get lost.
const ATTEMPTS: u32 = 2;

/// A host's addresses take two questions, one for each family.
const FAMILIES: u32 = 2;

/// How many answers are kept, for as long as DNS allows. A worker that sees one domain after the other needs
/// few of them, and a worker that sees them mixed must not grow with its input.
const ANSWERS_KEPT_MAX: u64 = 4096;

/// A task's argument: the name server to ask instead of the system's, as `IP`, `IP:PORT` or `[IPV6]:PORT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameServer(pub SocketAddr);

impl NameServer {
    const LOCAL: Self = Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53));
}

impl FromStr for NameServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let whole = text.parse().ok().or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, 53)));
        match whole {
            Some(address) if address.port() != 0 => Ok(Self(address)),
            _ => Err(format!(
                "`{text}` is not a name server: write its address, with its port unless that is 53, as in 192.0.2.1:53"
            )),
        }
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for NameServer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Why a name has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// DNS says that there is no such name.
    #[error("there is no name `{0}`")]
    NoSuchName(String),
    /// The name exists, but has no such records.
    #[error("`{0}` has no {1}")]
    NoRecords(String, &'static str),
    /// The text cannot be a name.
    #[error("`{0}` is not a valid name: {1}")]
    NotAName(String, String),
    /// There was no answer, because a server failed or was silent. There may be one later.
    #[error("`{0}` could not be looked up: {1}")]
    Temporary(String, String),
}

impl LookupError {
    /// Whether the same question may be answered later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Temporary(..))
    }
}

/// One MX record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MailExchanger {
    /// The lower it is, the sooner this host should be asked.
    pub preference: u16,
    /// The host's name in lower case, without a dot at its end. It is empty for the root, which says that
    /// the domain takes no mail (RFC 7505).
    pub host: String,
}

/// Looks names up, and remembers the answers for as long as they allow.
pub struct Names {
    runtime: Runtime,
    resolver: TokioResolver,
    patience: Duration,
}

impl Names {
    /// Asks `server`, or those that `/etc/resolv.conf` names. If that file does not exist or names none, asks
    /// the server on this machine, as resolv.conf(5) prescribes. A question takes `patience` at most.
    ///
    /// # Errors
    /// The process lacks what a runtime needs.
    pub fn new(server: Option<NameServer>, patience: Duration) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("the name lookup cannot start: {error}"))?;
        let provider = TokioRuntimeProvider::default();
        let by_address =
            |server| TokioResolver::builder_with_config(config(server), TokioRuntimeProvider::default());
        let mut builder = match server {
            Some(server) => by_address(server),
            None => TokioResolver::builder(provider).unwrap_or_else(|_| by_address(NameServer::LOCAL)),
        };
        set(builder.options_mut(), server.is_none(), patience);
        let resolver = builder.build().map_err(|error| format!("the name lookup cannot start: {error}"))?;
        Ok(Self { runtime, resolver, patience })
    }

    /// The mail exchangers of a domain, the preferred ones first.
    ///
    /// # Errors
    /// See [`LookupError`].
    pub fn mail_exchangers(&self, domain: &str) -> Result<Vec<MailExchanger>, LookupError> {
        let found = self.lookup(domain, RecordType::MX, "mail exchanger", self.patience)?;
        // A set, because a record may be there twice.
        let exchangers: BTreeSet<_> = found.iter().filter_map(exchanger).collect();
        if exchangers.is_empty() {
            return Err(LookupError::NoRecords(domain.to_owned(), "mail exchanger"));
        }
        Ok(exchangers.into_iter().collect())
    }

    /// The addresses of a host, with IPv4 first, because most of the world can be reached that way.
    ///
    /// # Errors
    /// See [`LookupError`]. If one family has none and the other cannot be looked up, the error is temporary.
    pub fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        self.addresses_by(host, Instant::now() + FAMILIES * self.patience)
    }

    /// The same, for a caller that cannot wait beyond `until`.
    ///
    /// # Errors
    /// As above.
    pub fn addresses_by(&self, host: &str, until: Instant) -> Result<Vec<IpAddr>, LookupError> {
        let of = |family| -> Result<Vec<IpAddr>, LookupError> {
            let patience = self.patience.min(until.saturating_duration_since(Instant::now()));
            let found = self.lookup(host, family, "address", patience)?;
            Ok(found.iter().filter_map(RData::ip_addr).collect())
        };
        let (four, six) = (of(RecordType::A), of(RecordType::AAAA));
        match (four, six) {
            (Ok(four), Ok(six)) if four.is_empty() && six.is_empty() => {
                Err(LookupError::NoRecords(host.to_owned(), "address"))
            }
            (Ok(four), Ok(six)) => Ok([four, six].concat()),
            (Ok(found), Err(_)) | (Err(_), Ok(found)) if !found.is_empty() => Ok(found),
            (Err(four), Err(six)) if !four.is_temporary() => Err(six),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// The data of all records of one kind that a name has.
    fn lookup(
        &self,
        name: &str,
        kind: RecordType,
        what: &'static str,
        patience: Duration,
    ) -> Result<Vec<RData>, LookupError> {
        let query = query_name(name)?;
        let asked = async { tokio::time::timeout(patience, self.resolver.lookup(query, kind)).await };
        let temporary = |why: String| LookupError::Temporary(name.to_owned(), why);
        match self.runtime.block_on(asked) {
            Err(_) => Err(temporary(format!("no answer within {patience:?}"))),
            Ok(Ok(found)) => Ok(found
                .answers()
                .iter()
                .filter(|record| record.record_type() == kind)
                .map(|record| record.data.clone())
                .collect()),
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => match none.response_code {
                ResponseCode::NXDomain => Err(LookupError::NoSuchName(name.to_owned())),
                ResponseCode::NoError => Err(LookupError::NoRecords(name.to_owned(), what)),
                code => Err(temporary(format!("the name server says {code}"))),
            },
            Ok(Err(NetError::Dns(DnsError::ResponseCode(code)))) => {
                Err(temporary(format!("the name server says {code}")))
            }
            Ok(Err(error)) => Err(temporary(error.to_string())),
        }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("patience", &self.patience).finish_non_exhaustive()
    }
}

fn config(server: NameServer) -> ResolverConfig {
    let mut ways = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for way in &mut ways {
        way.port = server.0.port();
    }
    let server = NameServerConfig::new(server.0.ip(), true, ways.to_vec());
    ResolverConfig::from_parts(None, Vec::new(), vec![server])
}

fn set(options: &mut ResolverOpts, is_systems: bool, patience: Duration) {
    options.timeout = patience / ATTEMPTS;
    options.attempts = ATTEMPTS as usize - 1;
    // A server that the user names may be of any kind, and all kinds understand the plain question.
    options.edns0 &= is_systems;
    options.cache_size = ANSWERS_KEPT_MAX;
    // The system's hosts file counts only where the system's name servers do.
    options.use_hosts_file = if is_systems { ResolveHosts::Auto } else { ResolveHosts::Never };
}

fn query_name(name: &str) -> Result<Name, LookupError> {
    let mut query =
        Name::from_ascii(name).map_err(|error| LookupError::NotAName(name.to_owned(), error.to_string()))?;
    query.set_fqdn(true);
    Ok(query)
}

fn exchanger(data: &RData) -> Option<MailExchanger> {
    let RData::MX(mx) = data else { return None };
    let host = mx.exchange.to_ascii().to_ascii_lowercase();
    Some(MailExchanger { preference: mx.preference, host: host.trim_end_matches('.').to_owned() })
}

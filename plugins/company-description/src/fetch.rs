//! Fetches a page, follows where it leads, and reads as far as its description.
//!
//! Everything has a limit: the time, the bytes, the redirects.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use simplegrid_network::Names;
use simplegrid_plugin_api::{Error, Result};
use ureq::http::{HeaderName, Response, StatusCode, header};
use ureq::tls::TlsConfig;
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body};
use url::Url;

use crate::addresses::is_public;
use crate::arguments::Args;
use crate::body::{self, Coding};
use crate::resolver::{Gatekeeper, GatekeeperError};
use crate::{charset, meta, target};

/// The most bytes of a response's head. It must fit into ureq's buffer (128 KiB), because a longer head looks
/// like a closed connection.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Fetches pages, one after the other.
#[derive(Debug)]
pub(crate) struct Fetcher {
    agent: Agent,
    timeout: Duration,
    size_max: u64,
    redirects_max: u32,
}

/// Why a page could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FetchError {
    /// The result would be the same tomorrow.
    Permanent(String),
    /// Another time it may work.
    Temporary(String),
    /// No connection could be made. Another time, or with another scheme, it may work.
    NoConnection(String),
}

impl Fetcher {
    /// A fetcher with the user's settings.
    pub(crate) fn new(args: &Args) -> Result<Self> {
        Self::guarded(args, if args.allow_private { |_| true } else { is_public })
    }

    /// A fetcher that uses only the addresses that `may_fetch` allows.
    pub(crate) fn guarded(args: &Args, may_fetch: fn(IpAddr) -> bool) -> Result<Self> {
        let names = Names::new(args.resolver, args.connect_timeout.get()).map_err(Error::fatal)?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A proxy would connect to addresses that were never checked.
            .proxy(None)
            // Redirects are followed here, so that each is checked as a record is.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(HEAD_BYTES_MAX)
            // The next record is another site, so keeping a connection would be of no use.
            .max_idle_connections(0)
            .timeout_connect(Some(args.connect_timeout.get()))
            .timeout_per_read(Some(args.read_timeout.get()))
            .user_agent(&args.user_agent)
            .accept("text/html, application/xhtml+xml, */*;q=0.1")
            .accept_encoding(Coding::ACCEPTED)
            .tls_config(TlsConfig::builder().root_certs(args.roots()?).build())
            .build();
        let agent = Agent::with_parts(config, DefaultConnector::default(), Gatekeeper::new(names, may_fetch));
        Ok(Self {
            agent,
            timeout: args.timeout.get(),
            size_max: args.size_max,
            redirects_max: args.redirects,
        })
    }

    /// The description of the first of these pages for which there is a server. `None` if the page has none.
    pub(crate) fn description(&self, pages: &[Url]) -> std::result::Result<Option<String>, FetchError> {
        let until = Instant::now() + self.timeout;
        let mut unreachable = Vec::new();
        for page in pages {
            match self.follow(page.clone(), until) {
                Err(FetchError::NoConnection(why)) => unreachable.push(format!("{page}: {why}")),
                Err(FetchError::Permanent(why)) if !unreachable.is_empty() => {
                    // Whatever kept the page before from being reached may pass.
                    unreachable.push(why);
                    return Err(FetchError::Temporary(unreachable.join("; ")));
                }
                result => return result,
            }
        }
        Err(FetchError::Temporary(unreachable.join("; ")))
    }

    /// The description of a page, or of the page that it redirects to.
    fn follow(&self, mut page: Url, until: Instant) -> std::result::Result<Option<String>, FetchError> {
        for _ in 0..=self.redirects_max {
            let response = self.get(&page, until).map_err(|error| error.at(&page))?;
            match next(&page, &response)? {
                Some(to) => page = to,
                None => return self.read(response).map_err(|error| error.at(&page)),
            }
        }
        let max = self.redirects_max;
        Err(FetchError::Permanent(format!(
            "{page}: more than {max} redirects; perhaps they lead round in a circle"
        )))
    }

    fn get(&self, page: &Url, until: Instant) -> std::result::Result<Response<Body>, FetchError> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(FetchError::Temporary("there is no time left for it".to_owned()));
        }
        let request = self.agent.get(page.as_str()).config().timeout_global(Some(left)).build();
        request.call().map_err(|error| judge(&error))
    }

    fn read(&self, response: Response<Body>) -> std::result::Result<Option<String>, FetchError> {
        let status = response.status();
        if !status.is_success() {
            let why = format!("the server answers {status}");
            return Err(if is_temporary(status) {
                FetchError::Temporary(why)
            } else {
                FetchError::Permanent(why)
            });
        }
        let content_type = header(&response, &header::CONTENT_TYPE).map(str::to_owned);
        if !is_html(content_type.as_deref()) {
            return Ok(None);
        }
        let coding =
            Coding::of(header(&response, &header::CONTENT_ENCODING).unwrap_or_default()).map_err(|name| {
                FetchError::Permanent(format!("it is compressed in a way that was not asked for: {name}"))
            })?;
        let body = body::open(response.into_body().into_reader(), coding, self.size_max);
        body.and_then(|page| {
            charset::with_utf8(page, content_type.as_deref(), |page| meta::description(page))
        })
        .map_err(|error| judge_read(error, coding))
    }
}

impl FetchError {
    /// The error with the page that it is about.
    fn at(self, page: &Url) -> Self {
        match self {
            Self::Permanent(why) => Self::Permanent(format!("{page}: {why}")),
            Self::Temporary(why) => Self::Temporary(format!("{page}: {why}")),
            // `description` adds the page, because it knows all of them.
            Self::NoConnection(why) => Self::NoConnection(why),
        }
    }
}

/// The page that a response redirects to, if it does.
fn next(page: &Url, response: &Response<Body>) -> std::result::Result<Option<Url>, FetchError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let wrong = |why: String| FetchError::Permanent(format!("{page}: a redirect that leads nowhere: {why}"));
    let Some(location) = response.headers().get(header::LOCATION) else {
        return Err(wrong("it does not say where".to_owned()));
    };
    // Some servers write UTF-8 into this header.
    let location = String::from_utf8_lossy(location.as_bytes());
    target::follow(page, &location).map(Some).map_err(|error| wrong(error.to_string()))
}

fn header<'r>(response: &'r Response<Body>, name: &HeaderName) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

/// Whether the server may answer something else another time.
fn is_temporary(status: StatusCode) -> bool {
    match status.as_u16() {
        // The server waited too long for the request, has locked the page, or was asked too early or too
        // often.
        408 | 423 | 425 | 429 => true,
        // The server cannot do what was asked, and will not learn it.
        501 | 505 => false,
        code => code >= 500,
    }
}

/// Whether a page of this type can have a description. A page without a type counts as HTML, as in browsers.
fn is_html(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return true };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(essence.as_str(), "" | "text/html" | "application/xhtml+xml" | "text/xml" | "application/xml")
}

/// What an error of a request means.
fn judge(error: &ureq::Error) -> FetchError {
    use ureq::Timeout;
    let text = error.to_string();
    match error {
        ureq::Error::Other(cause) => match cause.downcast_ref::<GatekeeperError>() {
            Some(GatekeeperError::Lookup(lookup)) if lookup.is_temporary() => FetchError::Temporary(text),
            _ => FetchError::Permanent(text),
        },
        ureq::Error::Timeout(Timeout::Connect) | ureq::Error::ConnectionFailed => {
            FetchError::NoConnection(text)
        }
        ureq::Error::Io(error) => match error.kind() {
            // This is how rustls reports a problem with a certificate or a handshake.
            ErrorKind::InvalidData => FetchError::Permanent(text),
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::TimedOut => FetchError::NoConnection(text),
            _ => FetchError::Temporary(text),
        },
        ureq::Error::Timeout(_) | ureq::Error::BodyStalled => FetchError::Temporary(text),
        // Something is wrong with the URL, the protocol or the certificate.
        _ => FetchError::Permanent(text),
    }
}

/// What an error means that happens while a page is being read.
fn judge_read(error: io::Error, coding: Coding) -> FetchError {
    let is_of_request = error.get_ref().is_some_and(|cause| cause.is::<ureq::Error>());
    match error.kind() {
        _ if is_of_request => match judge(&ureq::Error::from(error)) {
            FetchError::NoConnection(why) => FetchError::Temporary(why),
            other => other,
        },
        ErrorKind::InvalidInput | ErrorKind::InvalidData if coding != Coding::Identity => {
            FetchError::Permanent(format!("it cannot be decompressed: {error}"))
        }
        _ => FetchError::Temporary(format!("it breaks off: {error}")),
    }
}

#[cfg(test)]
mod tests;

//! Asks a domain's hosts about a user, one after the other, and keeps the connections for the next user.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use simplegrid_network::Names;
use tracing::debug;

use crate::address::Address;
use crate::mail_hosts::MailHost;
use crate::memory::Memory;
use crate::session::{Answer, Manners, Session, SessionError};
use crate::verdict::Verdict;

/// How many connections a worker keeps. Sorted or partitioned input needs one or two, and a server counts
/// those of all workers.
const SESSIONS_MAX: usize = 4;

/// How many addresses of one host are tried. Large hosts have dozens, and one will do.
const ADDRESSES_MAX: usize = 4;

/// How long a host is left alone after it made us wait for a connection or a greeting. Otherwise each address
/// of a dead domain would take a timeout.
const SILENT_HOST_REST: Duration = Duration::from_secs(60);

/// How many silent hosts are remembered. A worker must not grow with its input.
const SILENT_HOSTS_MAX: usize = 10_000;

/// How many connections to a host are opened for one address. If one breaks off in the middle, the next one
/// may not.
const NEW_CONNECTIONS_MAX: usize = 2;

/// Asks mail hosts about users, over the connections that it keeps.
#[derive(Debug)]
pub(crate) struct Postman {
    manners: Manners,
    port: u16,
    /// By the name of the host; the session that was used last comes last.
    sessions: Vec<(String, Session)>,
    silent: Memory<(Instant, String)>,
}

impl Postman {
    /// A postman without connections.
    pub(crate) fn new(manners: Manners, port: u16) -> Self {
        Self { manners, port, sessions: Vec::new(), silent: Memory::of(SILENT_HOSTS_MAX) }
    }

    /// Asks until a host knows, no host is left, or the time is over. `None` if `is_stopping` became true
    /// before that.
    pub(crate) fn ask(
        &mut self,
        names: &Names,
        hosts: &[MailHost],
        address: &Address,
        until: Instant,
        is_stopping: &dyn Fn() -> bool,
    ) -> Option<Verdict> {
        let mut why = "there was no time to ask".to_owned();
        for host in hosts {
            if Instant::now() >= until {
                break;
            }
            if is_stopping() {
                return None;
            }
            match self.ask_host(names, host, address, until) {
                Ok(verdict) => return Some(verdict),
                Err(reason) => {
                    debug!(host = host.name, "{reason}");
                    why = format!("mail host {} {reason}", host.name);
                }
            }
        }
        Some(Verdict::NotTold(why))
    }

    /// Says goodbye to all hosts.
    pub(crate) fn quit(&mut self) {
        for (_, session) in self.sessions.drain(..) {
            session.quit();
        }
    }

    /// What one host says, or why another one must be asked.
    fn ask_host(
        &mut self,
        names: &Names,
        host: &MailHost,
        address: &Address,
        until: Instant,
    ) -> Result<Verdict, String> {
        let mut new_connections = 0;
        loop {
            let mut session = match self.take(&host.name) {
                Some(session) => session,
                None => {
                    new_connections += 1;
                    self.open(names, host, until)?
                }
            };
            let (answer, is_usable) = session.ask(address, &self.manners, until);
            if is_usable {
                self.keep(&host.name, session);
            }
            match answer {
                Answer::Verdict(verdict) => return Ok(verdict),
                Answer::AskAnother(reply) => return Err(format!("says: {reply}")),
                // A second try would only make us wait again.
                Answer::Broken(error) if error.is_silence() => return Err(error.to_string()),
                Answer::Broken(error) if new_connections >= NEW_CONNECTIONS_MAX => {
                    return Err(error.to_string());
                }
                Answer::Broken(error) => debug!(host = host.name, "{error}"),
            }
        }
    }

    fn open(&mut self, names: &Names, host: &MailHost, until: Instant) -> Result<Session, String> {
        if let Some((since, why)) = self.silent.get(&host.name) {
            if since.elapsed() < SILENT_HOST_REST {
                return Err(why.clone());
            }
            self.silent.remove(&host.name);
        }
        let addresses = match &host.addresses {
            Some(addresses) => addresses.clone(),
            None => {
                names.addresses_by(&host.name, until).map_err(|error| format!("has no address: {error}"))?
            }
        };
        let mut why = "has no address".to_owned();
        let mut is_silent = true;
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            match Session::open(SocketAddr::new(address, self.port), &self.manners, until) {
                Ok(session) => return Ok(session),
                Err(error) => {
                    is_silent &= error.is_silence();
                    why = describe(address.to_string().as_str(), &error);
                }
            }
        }
        // If the time ran out, that is not the host's fault.
        if is_silent && Instant::now() < until {
            self.silent.insert(&host.name, (Instant::now(), why.clone()));
        }
        Err(why)
    }

    fn take(&mut self, host: &str) -> Option<Session> {
        let index = self.sessions.iter().position(|(known, _)| known == host)?;
        Some(self.sessions.remove(index).1)
    }

    fn keep(&mut self, host: &str, session: Session) {
        if self.sessions.len() >= SESSIONS_MAX {
            self.sessions.remove(0).1.quit();
        }
        self.sessions.push((host.to_owned(), session));
    }
}

impl Drop for Postman {
    fn drop(&mut self) {
        self.quit();
    }
}

fn describe(address: &str, error: &SessionError) -> String {
    format!("({address}) {error}")
}

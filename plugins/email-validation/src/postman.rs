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

/// How long a host is left alone after it made us wait for a connection, a greeting or an answer. Otherwise
/// each address of a dead domain would take a timeout.
const SILENT_HOST_REST: Duration = Duration::from_secs(60);

/// How long a host is left alone after it sent us away. The time doubles with each time in succession.
const BUSY_HOST_REST: Duration = Duration::from_secs(1);

/// The longest time for which a host is left alone that sends us away again and again.
const BUSY_HOST_REST_MAX: Duration = Duration::from_secs(60);

/// How many hosts that need a rest are remembered. A worker must not grow with its input.
const RESTS_MAX: usize = 10_000;

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
    rests: Memory<Rest>,
}

/// A host that is left alone for a while.
#[derive(Debug)]
struct Rest {
    until: Instant,
    no_answer: NoAnswer,
    /// How often it has sent us away in succession.
    dismissals: u32,
}

/// Why one host did not answer, as the end of a sentence about it.
#[derive(Debug, Clone)]
enum NoAnswer {
    /// It cannot be asked, and another try soon would not help.
    Unknown(String),
    /// It sent us away, so it may answer later.
    Busy(String),
}

impl Postman {
    /// A postman without connections.
    pub(crate) fn new(manners: Manners, port: u16) -> Self {
        Self { manners, port, sessions: Vec::new(), rests: Memory::of(RESTS_MAX) }
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
        let mut busy = None;
        for host in hosts {
            if Instant::now() >= until {
                break;
            }
            if is_stopping() {
                return None;
            }
            match self.ask_host(names, host, address, until) {
                Ok(verdict) => return Some(verdict),
                Err(NoAnswer::Unknown(reason)) => why = format!("mail host {} {reason}", host.name),
                Err(NoAnswer::Busy(reason)) => busy = Some(format!("mail host {} {reason}", host.name)),
            }
            debug!(host = host.name, busy, "did not answer: {why}");
        }
        Some(busy.map_or(Verdict::NotTold(why), Verdict::NotNow))
    }

    /// Says goodbye to all hosts.
    pub(crate) fn quit(&mut self) {
        for (_, session) in self.sessions.drain(..) {
            session.quit();
        }
    }

    /// What one host says, or why another one must be asked. A host that did not say anything gets a rest.
    fn ask_host(
        &mut self,
        names: &Names,
        host: &MailHost,
        address: &Address,
        until: Instant,
    ) -> Result<Verdict, NoAnswer> {
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
                Answer::Verdict(verdict) => {
                    self.rests.remove(&host.name);
                    return Ok(verdict);
                }
                Answer::AskAnother(reply) => return Err(NoAnswer::Unknown(format!("says: {reply}"))),
                // A second try would only make us wait again.
                Answer::Broken(error) if error.is_silence() => {
                    return Err(self.rest_silent(&host.name, error.to_string(), until));
                }
                Answer::Broken(error) if new_connections >= NEW_CONNECTIONS_MAX => {
                    return Err(match error.is_dismissal() {
                        true => self.rest_busy(&host.name, error.to_string()),
                        false => NoAnswer::Unknown(error.to_string()),
                    });
                }
                Answer::Broken(error) => debug!(host = host.name, "{error}"),
            }
        }
    }

    fn open(&mut self, names: &Names, host: &MailHost, until: Instant) -> Result<Session, NoAnswer> {
        if let Some(rest) = self.rests.get(&host.name)
            && Instant::now() < rest.until
        {
            return Err(rest.no_answer.clone());
        }
        let addresses = match &host.addresses {
            Some(addresses) => addresses.clone(),
            None => names
                .addresses_by(&host.name, until)
                .map_err(|error| NoAnswer::Unknown(format!("has no address: {error}")))?,
        };
        let mut why = "has no address".to_owned();
        let (mut is_silent, mut is_busy) = (true, false);
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            match Session::open(SocketAddr::new(address, self.port), &self.manners, until) {
                Ok(session) => return Ok(session),
                Err(error) => {
                    is_silent &= error.is_silence();
                    is_busy |= error.is_dismissal();
                    why = describe(address.to_string().as_str(), &error);
                }
            }
        }
        Err(match (is_busy, is_silent) {
            (true, _) => self.rest_busy(&host.name, why),
            (false, true) => self.rest_silent(&host.name, why, until),
            (false, false) => NoAnswer::Unknown(why),
        })
    }

    /// Leaves a host alone that made us wait for nothing. If the address's time ran out, that is not the
    /// host's fault.
    fn rest_silent(&mut self, host: &str, why: String, until: Instant) -> NoAnswer {
        let no_answer = NoAnswer::Unknown(why);
        let now = Instant::now();
        if now < until {
            let until = now + SILENT_HOST_REST;
            self.rests.insert(host, Rest { until, no_answer: no_answer.clone(), dismissals: 0 });
        }
        no_answer
    }

    /// Leaves a host alone that sent us away, longer each time.
    fn rest_busy(&mut self, host: &str, why: String) -> NoAnswer {
        let before = self.rests.get(host).map_or(0, |rest| rest.dismissals);
        let no_answer = NoAnswer::Busy(why);
        let until = Instant::now() + busy_rest(before);
        self.rests.insert(host, Rest { until, no_answer: no_answer.clone(), dismissals: before + 1 });
        no_answer
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

/// How long a host is left alone that has sent us away, and had done so this often before.
fn busy_rest(before: u32) -> Duration {
    BUSY_HOST_REST.saturating_mul(2_u32.saturating_pow(before)).min(BUSY_HOST_REST_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_host_is_left_alone_longer_each_time_but_not_for_ever() {
        let seconds = [0, 1, 2, 5, 6, 1000, u32::MAX].map(|before| busy_rest(before).as_secs());
        assert_eq!(seconds, [1, 2, 4, 32, 60, 60, 60]);
    }
}

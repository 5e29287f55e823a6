//! A conversation with one mail server, up to RCPT but never as far as DATA: no mail is ever sent.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::address::Address;
use crate::connection::{Connection, ConnectionError};
use crate::reply::Reply;
use crate::verdict::Verdict;

/// How long a server may take to say goodbye. It is short because QUIT is only a courtesy.
const QUIT_PATIENCE: Duration = Duration::from_secs(2);

/// What the worker says about itself, and how long it waits.
#[derive(Debug)]
pub(crate) struct Manners {
    /// The name in EHLO.
    pub(crate) ehlo: String,
    /// The sender, without brackets; empty for none.
    pub(crate) from: String,
    /// How long a connection may take.
    pub(crate) connect: Duration,
    /// How long a reply may take.
    pub(crate) command: Duration,
}

/// A server that has greeted us.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    knows_utf8: bool,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("does not want us: {0}")]
    Refused(Reply),
}

impl SessionError {
    /// Whether the server made us wait for nothing.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self, Self::Connection(error) if error.is_silence())
    }

    /// Whether the server sent us away before we could ask.
    pub(crate) fn is_dismissal(&self) -> bool {
        matches!(self, Self::Connection(error) if error.is_dismissal())
    }
}

/// The result of asking about a user.
#[derive(Debug)]
pub(crate) enum Answer {
    /// This verdict, and there is no need to ask another server.
    Verdict(Verdict),
    /// This server does not want to talk about the user now; another one may.
    AskAnother(Reply),
    /// The conversation broke off before there was an answer.
    Broken(ConnectionError),
}

impl Session {
    /// Connects and says hello, all before `until`.
    pub(crate) fn open(address: SocketAddr, manners: &Manners, until: Instant) -> Result<Self, SessionError> {
        let left = until.saturating_duration_since(Instant::now());
        let mut connection = Connection::open(address, manners.connect.min(left))?;
        let greeting = connection.reply(manners.by(until))?;
        if !greeting.is_good() {
            return Err(SessionError::Refused(greeting));
        }
        let mut hello = connection.ask(&format!("EHLO {}", manners.ehlo), manners.by(until))?;
        let knows_utf8 = hello.is_good() && hello.offers("SMTPUTF8");
        // RFC 5321, 3.2: a server that does not know EHLO may know HELO.
        if hello.is_permanent() {
            hello = connection.ask(&format!("HELO {}", manners.ehlo), manners.by(until))?;
        }
        if !hello.is_good() {
            return Err(SessionError::Refused(hello));
        }
        Ok(Self { connection, knows_utf8 })
    }

    /// Asks about a user. The second value is whether the session can be used again.
    pub(crate) fn ask(&mut self, address: &Address, manners: &Manners, until: Instant) -> (Answer, bool) {
        if address.needs_utf8() && !self.knows_utf8 {
            let why = "the mail server does not know SMTPUTF8, which the address needs".to_owned();
            return (Answer::Verdict(Verdict::NotTold(why)), true);
        }
        match self.try_ask(address, manners, until) {
            Ok(answer) => {
                match self.connection.ask("RSET", manners.by(until)) {
                    // There were two answers, so it is unknown which one was meant.
                    Err(error @ ConnectionError::OutOfTurn) => (Answer::Broken(error), false),
                    // Whatever else the server says to RSET, the answer is known.
                    reset => (answer, reset.is_ok_and(|reply| reply.is_good())),
                }
            }
            Err(error) => (Answer::Broken(error), false),
        }
    }

    fn try_ask(
        &mut self,
        address: &Address,
        manners: &Manners,
        until: Instant,
    ) -> Result<Answer, ConnectionError> {
        let utf8 = if address.needs_utf8() { " SMTPUTF8" } else { "" };
        let reply = self.connection.ask(&format!("MAIL FROM:<{}>{utf8}", manners.from), manners.by(until))?;
        if !reply.is_good() {
            // If the sender or the worker is refused for good, all hosts of the domain will refuse. If it is
            // only for now, another host may not.
            return Ok(match reply.is_permanent() {
                true => Answer::Verdict(Verdict::NotTold(reply.to_string())),
                false => Answer::AskAnother(reply),
            });
        }
        let reply = self.connection.ask(&format!("RCPT TO:<{address}>"), manners.by(until))?;
        Ok(Answer::Verdict(Verdict::of_recipient(&reply)))
    }

    /// Says goodbye.
    pub(crate) fn quit(mut self) {
        let _ = self.connection.ask("QUIT", Instant::now() + QUIT_PATIENCE);
    }
}

impl Manners {
    /// The moment by which a reply must have arrived.
    fn by(&self, until: Instant) -> Instant {
        until.min(Instant::now() + self.command)
    }
}

//! A conversation with one mail server, as far as RCPT and never to DATA: no mail is ever sent.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::address::Address;
use crate::connection::{Connection, ConnectionError};
use crate::reply::Reply;
use crate::verdict::Verdict;

/// How long a server may take to say goodbye: it is only courtesy.
const QUIT_PATIENCE: Duration = Duration::from_secs(2);

/// What we say about ourselves, and how long we wait.
#[derive(Debug)]
pub(crate) struct Manners {
    /// The name in EHLO.
    pub(crate) ehlo: String,
    /// The sender, without brackets; empty for none.
    pub(crate) from: String,
    /// For a connection.
    pub(crate) connect: Duration,
    /// For a reply.
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
    /// Whether it let us wait.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self, Self::Connection(error) if error.is_silence())
    }
}

/// What came of asking about a user.
#[derive(Debug)]
pub(crate) enum Answer {
    /// This, and no other server need be asked.
    Verdict(Verdict),
    /// This server does not want to talk about it now; another one may.
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
                    // Then there were two answers, and nobody knows which one was meant.
                    Err(error @ ConnectionError::OutOfTurn) => (Answer::Broken(error), false),
                    // Whatever else it says to this, the answer is known.
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
            // What is wrong with the sender or with us is so for all hosts of the domain, unless it is so for
            // now only.
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
    /// When a reply must be there.
    fn by(&self, until: Instant) -> Instant {
        until.min(Instant::now() + self.command)
    }
}

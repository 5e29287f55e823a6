//! What a task returns when it cannot do a record: the error, and with it what SimpleGrid should do next.

use std::fmt;

use crate::Status;

/// The result of a task's functions.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why a record (or the task itself) failed, and what SimpleGrid should do about it.
///
/// `?` turns any other error into a [`Retry`](Error::Retry): most things that go wrong in a task (a server
/// that does not answer, a full disk) may work the next time, and SimpleGrid limits how often it tries.
#[derive(Debug)]
pub enum Error {
    /// The record is bad. It fails and is not tried again.
    Reject(anyhow::Error),
    /// The record may be tried again, elsewhere if possible, a bounded number of times.
    Retry(anyhow::Error),
    /// The task cannot continue, whatever the record. The node says so and disables itself.
    Fatal(anyhow::Error),
}

impl Error {
    /// A bad record; `message` says what is wrong with it.
    pub fn reject(message: impl fmt::Display) -> Self {
        Self::Reject(anyhow::Error::msg(message.to_string()))
    }

    /// A failure that may pass.
    pub fn retry(message: impl fmt::Display) -> Self {
        Self::Retry(anyhow::Error::msg(message.to_string()))
    }

    /// A failure that any other record would meet, too.
    pub fn fatal(message: impl fmt::Display) -> Self {
        Self::Fatal(anyhow::Error::msg(message.to_string()))
    }

    /// What SimpleGrid is told to do.
    pub const fn status(&self) -> Status {
        match self {
            Self::Reject(_) => Status::Reject,
            Self::Retry(_) => Status::Retry,
            Self::Fatal(_) => Status::Fatal,
        }
    }

    /// The message with all its causes, in one line.
    pub fn message(&self) -> String {
        match self {
            Self::Reject(cause) | Self::Retry(cause) | Self::Fatal(cause) => format!("{cause:#}"),
        }
    }
}

// `Error` does not implement `std::error::Error`: if it did, this conversion would overlap with the
// standard `From<T> for T`.
impl<E: Into<anyhow::Error>> From<E> for Error {
    fn from(cause: E) -> Self {
        Self::Retry(cause.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_mark_on_any_error_means_retry() {
        fn parse() -> Result<u32> {
            Ok("x".parse::<u32>()?)
        }
        assert_eq!(parse().unwrap_err().status(), Status::Retry);
    }

    #[test]
    fn the_message_names_every_cause() {
        let cause = anyhow::anyhow!("connection refused").context("no answer from the server");
        assert_eq!(Error::Fatal(cause).message(), "no answer from the server: connection refused");
    }
}

//! What the records of a simulation tell their worker to do.

use std::fmt;
use std::str::FromStr;

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// It writes so many rows.
    Echo(usize),
    /// It takes so many milliseconds, and writes one row.
    Slow(u64),
    /// It never ends.
    Hang,
    /// It is a bad record.
    Reject,
    /// It fails the first time, and writes one row the second time.
    RetryOnce,
    /// It fails each time.
    Retry,
    /// It panics each time.
    Panic,
    /// Its worker dies of it each time.
    Crash,
    /// Its worker dies of it each time, and leaves a process behind that holds all that it had open.
    Orphan,
    /// Its worker stops for ever, each time.
    Stop,
    /// Its whole slave is killed, each time.
    KillNode,
    /// It is held, and finished in a flush.
    Hold,
    /// It is held, and the worker dies in each flush that finds it.
    HoldCrash,
}

impl Order {
    /// How many rows it writes if it is done.
    pub(super) fn rows(self) -> usize {
        match self {
            Self::Echo(rows) => rows,
            Self::Slow(_) | Self::RetryOnce | Self::Hold => 1,
            _ => 0,
        }
    }

    /// The reason for which it fails, if it never succeeds. One that stops its worker, or never ends, needs a
    /// limit for that.
    pub(super) fn reason(self) -> Option<&'static str> {
        match self {
            Self::Echo(_) | Self::Slow(_) | Self::RetryOnce | Self::Hold => None,
            Self::Hang | Self::Stop => Some("timeout"),
            Self::Reject => Some("rejected"),
            Self::Retry => Some("error"),
            Self::Panic => Some("panic"),
            Self::Crash | Self::Orphan | Self::HoldCrash => Some("crash"),
            Self::KillNode => Some("lost"),
        }
    }
}

/// A record: its number and its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Planned {
    /// Its place in the input.
    pub id: usize,
    /// What becomes of it.
    pub order: Order,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.order {
            Order::Echo(rows) => return write!(f, "{} echo {rows}", self.id),
            Order::Slow(ms) => return write!(f, "{} slow {ms}", self.id),
            Order::Hang => "hang",
            Order::Reject => "reject",
            Order::RetryOnce => "retry-once",
            Order::Retry => "retry",
            Order::Panic => "panic",
            Order::Crash => "crash",
            Order::Orphan => "orphan",
            Order::Stop => "stop",
            Order::KillNode => "kill-node",
            Order::Hold => "hold",
            Order::HoldCrash => "hold-crash",
        };
        write!(f, "{} {word}", self.id)
    }
}

impl FromStr for Planned {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let not_ours = || format!("{text:?} is no record of a simulation");
        let mut words = text.split(' ');
        let mut word = || words.next().ok_or_else(not_ours);
        let id = word()?.parse().map_err(|_| not_ours())?;
        let order = match word()? {
            "echo" => Order::Echo(word()?.parse().map_err(|_| not_ours())?),
            "slow" => Order::Slow(word()?.parse().map_err(|_| not_ours())?),
            "hang" => Order::Hang,
            "reject" => Order::Reject,
            "retry-once" => Order::RetryOnce,
            "retry" => Order::Retry,
            "panic" => Order::Panic,
            "crash" => Order::Crash,
            "orphan" => Order::Orphan,
            "stop" => Order::Stop,
            "kill-node" => Order::KillNode,
            "hold" => Order::Hold,
            "hold-crash" => Order::HoldCrash,
            _ => return Err(not_ours()),
        };
        Ok(Self { id, order })
    }
}

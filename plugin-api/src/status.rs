//! The outcome of a call into a plugin, as a Rust type.

use crate::abi;

/// How a call into a plugin ended. The numbers that cross the boundary are in [`crate::abi`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Done.
    Ok,
    /// The task holds the record and finishes it later.
    Held,
    /// The record is bad: it fails and is not tried again.
    Reject,
    /// The record may be tried again.
    Retry,
    /// The task cannot continue.
    Fatal,
    /// The task panicked and is gone.
    Panic,
}

impl Status {
    /// The status that a number stands for. A number that this version does not know (a C plugin can return
    /// anything) is `Fatal`: there is no telling what the plugin meant, so nothing may count as done.
    #[inline]
    pub const fn from_code(code: i32) -> Self {
        match code {
            abi::OK => Self::Ok,
            abi::HELD => Self::Held,
            abi::REJECT => Self::Reject,
            abi::RETRY => Self::Retry,
            abi::PANIC => Self::Panic,
            _ => Self::Fatal,
        }
    }

    /// The number that crosses the boundary.
    #[inline]
    pub const fn code(self) -> i32 {
        match self {
            Self::Ok => abi::OK,
            Self::Held => abi::HELD,
            Self::Reject => abi::REJECT,
            Self::Retry => abi::RETRY,
            Self::Fatal => abi::FATAL,
            Self::Panic => abi::PANIC,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_survives_the_boundary() {
        for status in [Status::Ok, Status::Held, Status::Reject, Status::Retry, Status::Fatal, Status::Panic]
        {
            assert_eq!(Status::from_code(status.code()), status);
        }
    }

    #[test]
    fn an_unknown_number_is_fatal() {
        assert_eq!(Status::from_code(2), Status::Fatal);
        assert_eq!(Status::from_code(-5), Status::Fatal);
        assert_eq!(Status::from_code(i32::MIN), Status::Fatal);
    }
}

//! What a slave's log says about peers: so much and no more, however many there are and whatever they do.

use super::closed::Closed;
use crate::slave::log_budget::LogBudget;
use crate::wire::HandshakeError;

/// Lines of one kind that peers may cause in a second.
const LINES_A_SECOND_MAX: u32 = 20;

/// The budgets of what the log says about peers.
#[derive(Debug)]
pub(crate) struct DoorLog {
    /// For connections that were closed.
    closings: LogBudget,
    /// For masters, and for what they and administrators say.
    pub sessions: LogBudget,
}

impl Default for DoorLog {
    fn default() -> Self {
        Self { closings: LogBudget::new(LINES_A_SECOND_MAX), sessions: LogBudget::new(LINES_A_SECOND_MAX) }
    }
}

impl DoorLog {
    /// A second has passed: what was left out is said as a number.
    pub(crate) fn on_second(&self) {
        let (closings, sessions) = (self.closings.start_period(), self.sessions.start_period());
        if closings > 0 {
            tracing::warn!("… and {closings} more connections were closed");
        }
        if sessions > 0 {
            tracing::warn!("… and {sessions} more lines about masters and administrators");
        }
    }

    /// A connection was closed.
    pub(crate) fn on_closed(&self, peer: &str, closed: &Closed) {
        match closed {
            // A peer that only checks whether the port is open does no harm.
            Closed::Handshake(HandshakeError::Io(error)) => {
                tracing::debug!(peer, "a connection was closed: {error}");
            }
            closed if self.closings.allows_one() => tracing::warn!(peer, "a connection was closed: {closed}"),
            _ => {}
        }
    }
}

//! The time by which actors live: the clock of their runtime, which goes with the machine's unless a test
//! stops it. Decisions are handed the time, and look at no clock.

use std::time::Instant;

/// The time now.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

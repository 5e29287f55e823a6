//! Time in which this process itself ran: what is judged by it is no longer than what was seen of it.
//!
//! A process can be stopped, starved, or asleep with its machine. When it runs again, its clock has gone on,
//! and its timers are due all at once, although the peers and records that they are about had no chance
//! meanwhile.

use std::time::{Duration, Instant};

/// The most that one look counts. Looks come more often; after a longer gap, this process did not run.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// How long something lasts. Pure; to be looked at several times a second.
#[derive(Debug)]
pub(crate) struct OwnTime {
    lasted: Duration,
    looked: Instant,
}

impl OwnTime {
    /// It begins now.
    pub(crate) fn new(now: Instant) -> Self {
        Self { lasted: Duration::ZERO, looked: now }
    }

    /// How long it has lasted now.
    pub(crate) fn on_look(&mut self, now: Instant) -> Duration {
        self.lasted += now.duration_since(self.looked).min(LOOK_MAX);
        self.looked = now;
        self.lasted
    }
}

/// Waits for something, but not longer than `limit`; `None` if that is over. Cancel safe if the future is.
pub(crate) async fn timeout<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut left = limit;
    loop {
        let step = left.min(LOOK_MAX);
        if let Ok(result) = tokio::time::timeout(step, &mut future).await {
            return Some(result);
        }
        left -= step;
        if left.is_zero() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[test]
    fn a_gap_between_two_looks_is_no_time_that_has_passed() {
        let start = Instant::now();
        let mut time = OwnTime::new(start);
        assert_eq!(time.on_look(start + LOOK_MAX / 2), LOOK_MAX / 2);
        assert_eq!(time.on_look(start + 100 * LOOK_MAX), LOOK_MAX * 3 / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_ends_a_wait_after_its_time() {
        let began = tokio::time::Instant::now();
        assert!(timeout(LIMIT + LIMIT / 4, std::future::pending::<()>()).await.is_none());
        assert_eq!(began.elapsed().as_secs(), 6);
        assert_eq!(timeout(Duration::ZERO, std::future::ready(7)).await, Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_of_the_clock_ends_no_wait() {
        let wait = timeout(LIMIT, tokio::time::sleep(100 * LIMIT + LIMIT / 2));
        let jump = async {
            tokio::task::yield_now().await;
            tokio::time::advance(100 * LIMIT).await;
        };
        assert!(tokio::join!(wait, jump).0.is_some(), "what comes soon after the jump is in time");
    }
}

//! Time in which this process itself ran. While it is stopped, or its machine asleep, it hears of nothing
//! that others do: such time must not be held against those that it waits for.

use std::time::{Duration, Instant};

use crate::time;

/// Looks within one limit: what is waited for is given up at most a tenth of the limit too late.
const LOOKS_PER_LIMIT: u32 = 10;

/// The shortest time between two looks, so that tiny limits do not keep this process busy with looking.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(2);

/// The longest time between two looks: a second more or less does not matter to limits that are so long.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(1);

/// How many look intervals a look counts at most: it may be a little late, and the time of a longer delay is
/// one in which this process did not run.
const LATE_LOOKS_MAX: u32 = 2;

/// How often to look at something that has this limit, if it has one.
pub(crate) fn look_every(limit: Option<Duration>) -> Duration {
    limit.map_or(LOOK_EVERY_MAX, |limit| (limit / LOOKS_PER_LIMIT).clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX))
}

/// Counts the time between looks.
#[derive(Debug)]
pub(crate) struct OwnTime {
    looked: Instant,
}

impl OwnTime {
    /// From now on.
    pub(crate) fn new(now: Instant) -> Self {
        Self { looked: now }
    }

    /// Looks, `every` so often: how much time has passed since the last look in which this process ran.
    pub(crate) fn on_look(&mut self, every: Duration, now: Instant) -> Duration {
        let passed = now.duration_since(self.looked).min(every * LATE_LOOKS_MAX);
        self.looked = now;
        passed
    }
}

/// Waits until so much time has passed in which this process ran.
pub(crate) async fn pass(time: Duration) {
    let every = look_every(Some(time));
    let mut own_time = OwnTime::new(time::now());
    let mut passed = Duration::ZERO;
    while passed < time {
        tokio::time::sleep(every.min(time - passed)).await;
        passed += own_time.on_look(every, time::now());
    }
}

/// Does something that may take so much time; `None` if it takes longer.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = pass(limit) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(100);

    #[test]
    fn time_in_which_this_process_was_stopped_does_not_count() {
        let start = Instant::now();
        let mut own_time = OwnTime::new(start);
        let every = look_every(Some(LIMIT));
        assert_eq!(own_time.on_look(every, start + every), every);
        assert_eq!(own_time.on_look(every, start + every * 5 / 2), every * 3 / 2, "a look may be late");
        assert_eq!(own_time.on_look(every, start + every * 1000), every * LATE_LOOKS_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_given_up_at_the_limit() {
        let began = tokio::time::Instant::now();
        assert_eq!(within(LIMIT, std::future::pending::<()>()).await, None);
        assert_eq!(began.elapsed(), LIMIT);
        assert_eq!(within(LIMIT, tokio::time::sleep(LIMIT / 2)).await, Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_of_the_clock_ends_no_wait() {
        let wait = within(LIMIT, tokio::time::sleep(100 * LIMIT + LIMIT / 2));
        let jump = async {
            tokio::task::yield_now().await;
            tokio::time::advance(100 * LIMIT).await;
        };
        assert!(tokio::join!(wait, jump).0.is_some(), "what comes soon after the jump is in time");
    }
}

//! The line about its speed that a slave logs now and then, as the original did.

use std::time::{Duration, Instant};

use crate::registry::Stats;

/// Records that ended, as seen from one moment to the next.
#[derive(Debug)]
pub(super) struct SampleRate {
    since: Instant,
    ended: u64,
}

impl SampleRate {
    /// Starts to count.
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, ended: 0 }
    }

    /// Records per second since the last sample.
    pub(super) fn sample(&mut self, stats: Stats, now: Instant) -> f64 {
        let ended = stats.done + stats.failed;
        let elapsed = now.duration_since(self.since).max(Duration::from_millis(1));
        let rate = ended.saturating_sub(self.ended) as f64 / elapsed.as_secs_f64();
        (self.since, self.ended) = (now, ended);
        rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_the_time_since_the_last_one() {
        let start = Instant::now();
        let mut rate = SampleRate::new(start);
        let stats = |done, failed| Stats { done, failed, rate: 0.0 };
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(rate.sample(stats(90, 10), at(10)), 10.0);
        assert_eq!(rate.sample(stats(90, 10), at(20)), 0.0);
        assert_eq!(rate.sample(stats(190, 10), at(25)), 20.0);
    }
}

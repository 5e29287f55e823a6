//! The figures that a slave shows: in its row, and now and then, as Net::SimpleGrid does, in its log.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::pool::Counters;
use super::registration::RowEvent;
use crate::registry::Stats;

/// How short a time between two samples may seem: it is divided by.
const ELAPSED_MIN: Duration = Duration::from_millis(1);

/// What the workers have done so far; without a rate, which takes two samples.
pub(super) fn stats(counters: &Counters) -> Stats {
    Stats { done: counters.done(), failed: counters.failed(), rate: 0.0 }
}

/// The figures from one moment to the next.
#[derive(Debug)]
pub(super) struct Figures {
    /// How often the log gets them; never if this is zero.
    log_every: Duration,
    last_logged: Instant,
    row_rate: SampleRate,
    log_rate: SampleRate,
}

impl Figures {
    /// Starts to count.
    pub(super) fn new(log_every: Duration, now: Instant) -> Self {
        let (row_rate, log_rate) = (SampleRate::new(now), SampleRate::new(now));
        Self { log_every, last_logged: now, row_rate, log_rate }
    }

    /// Time has passed: the row gets its figures, and the log if it is due.
    pub(super) fn on_time(
        &mut self,
        counters: &Counters,
        line_clients: Option<usize>,
        row: &mpsc::Sender<RowEvent>,
        now: Instant,
    ) {
        let mut stats = stats(counters);
        stats.rate = self.row_rate.sample(stats, now);
        // A full channel means that the registry is slow: the next figures will do.
        let _ = row.try_send(RowEvent::Stats(stats, line_clients));
        if !self.log_every.is_zero() && now.duration_since(self.last_logged) >= self.log_every {
            self.last_logged = now;
            let rate = self.log_rate.sample(stats, now);
            tracing::info!(done = stats.done, failed = stats.failed, "sample rate: {rate:.1} records/s");
        }
    }
}

/// Records that ended, as seen from one moment to the next.
#[derive(Debug)]
struct SampleRate {
    since: Instant,
    ended: u64,
}

impl SampleRate {
    /// Starts to count.
    fn new(now: Instant) -> Self {
        Self { since: now, ended: 0 }
    }

    /// Records per second since the last sample.
    fn sample(&mut self, stats: Stats, now: Instant) -> f64 {
        let ended = stats.done + stats.failed;
        let elapsed = now.duration_since(self.since).max(ELAPSED_MIN);
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

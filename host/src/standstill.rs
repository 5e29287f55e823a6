//! When it is said that nothing has ended for a while. Pure.

use std::time::{Duration, Instant};

/// After so long without an end of anything, it is said what is waited for: sooner would be noise where
/// records take seconds, and later you would have begun to wonder.
const FIRST_AFTER: Duration = Duration::from_secs(10);
/// The second time.
const SECOND_AFTER: Duration = Duration::from_secs(60);
/// Then again and again: a log of a night should not be full of it.
const AGAIN_EVERY: Duration = Duration::from_secs(600);

/// Between two looks lie milliseconds. A gap like this means that this process itself was stopped, or its
/// machine asleep: such time does not count.
const GAP_MAX: Duration = Duration::from_secs(1);

/// How long nothing has ended.
#[derive(Debug)]
pub(crate) struct Standstill {
    ended: u64,
    since: Instant,
    looked: Instant,
    said: u32,
}

impl Standstill {
    /// From now on.
    pub(crate) fn new(now: Instant) -> Self {
        Self { ended: 0, since: now, looked: now, said: 0 }
    }

    /// Looks: so many things have ended by now, and there is work or not. Returns for how long nothing has
    /// ended, if that should be said now. To be called several times a second.
    pub(crate) fn on_look(&mut self, ended: u64, has_work: bool, now: Instant) -> Option<Duration> {
        let gap = now.duration_since(self.looked);
        self.looked = now;
        if ended != self.ended || !has_work {
            (self.ended, self.since, self.said) = (ended, now, 0);
        } else if gap > GAP_MAX {
            self.since += gap;
        }
        let still = now.duration_since(self.since);
        let due = match self.said {
            0 => FIRST_AFTER,
            1 => SECOND_AFTER,
            said => AGAIN_EVERY * (said - 1),
        };
        if still < due {
            return None;
        }
        self.said += 1;
        Some(Duration::from_secs(still.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When something is said, in seconds, if one looks ten times a second until `end`.
    fn said(still: &mut Standstill, start: Instant, seconds: std::ops::Range<u64>) -> Vec<u64> {
        let looks = (seconds.start * 10..seconds.end * 10).map(|tenth| Duration::from_millis(tenth * 100));
        looks.filter_map(|after| still.on_look(7, true, start + after)).map(|still| still.as_secs()).collect()
    }

    #[test]
    fn it_is_said_after_ten_seconds_a_minute_and_then_every_ten_minutes() {
        let start = Instant::now();
        let mut still = Standstill::new(start);
        assert_eq!(said(&mut still, start, 0..1900), [10, 60, 600, 1200, 1800]);
    }

    #[test]
    fn an_end_of_something_and_a_pause_without_work_begin_anew() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut still = Standstill::new(start);
        assert_eq!(said(&mut still, start, 0..9), [0; 0]);
        still.on_look(8, true, at(9));
        assert_eq!(said(&mut still, start, 9..19), [0; 0]);
        still.on_look(7, false, at(19));
        assert_eq!(said(&mut still, start, 19..30), [10]);
    }

    #[test]
    fn time_in_which_the_run_itself_was_stopped_does_not_count() {
        let start = Instant::now();
        let mut still = Standstill::new(start);
        assert_eq!(said(&mut still, start, 0..5), [0; 0]);
        assert_eq!(said(&mut still, start, 3600..3604), [0; 0]);
        assert_eq!(said(&mut still, start, 3604..3610), [10]);
    }
}

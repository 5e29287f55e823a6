//! The time, as the registry counts it. It owns the unit (whole unix seconds, as Net::SimpleGrid writes
//! them), and does not know what the times are used for.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The source of every time that the registry writes or compares: unix seconds.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The clock of the database, the same for all who share it, whatever their own clocks say.
    #[default]
    OfTheDatabase,
    /// A clock that moves only when a test advances it, so that tests of leases need not wait.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands still at `unix_seconds` until it is advanced. Its clones move with it.
    pub fn manual(unix_seconds: i64) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(unix_seconds)))
    }

    /// The time now, in unix seconds, if the database says that it is `of_the_database`.
    pub(super) fn now(&self, of_the_database: i64) -> i64 {
        match self {
            Self::OfTheDatabase => of_the_database,
            Self::Manual(seconds) => seconds.load(Ordering::SeqCst),
        }
    }

    /// Moves a manual clock forward, by whole seconds.
    ///
    /// # Panics
    /// If this is the database's clock, which is not ours to move.
    pub fn advance(&self, by: Duration) {
        match self {
            Self::OfTheDatabase => panic!("the database's clock is not ours to move"),
            Self::Manual(seconds) => {
                seconds.fetch_add(saturating_seconds(by), Ordering::SeqCst);
            }
        }
    }
}

/// This machine's time: that of a database which is a file, since all its users are on one machine.
pub(super) fn of_this_machine() -> i64 {
    saturating_seconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The time `duration` after `now`, rounded up to a whole second, so that nothing runs out early.
pub(super) fn seconds_after(now: i64, duration: Duration) -> i64 {
    let part_of_a_second = i64::from(duration.subsec_nanos() > 0);
    now.saturating_add(saturating_seconds(duration)).saturating_add(part_of_a_second)
}

/// The time `duration` before `now`, without the parts of a second.
pub(super) fn seconds_before(now: i64, duration: Duration) -> i64 {
    now.saturating_sub(saturating_seconds(duration))
}

fn saturating_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_with_its_clones() {
        let clock = Clock::manual(100);
        let clone = clock.clone();
        clock.advance(Duration::from_secs(5));
        assert_eq!(clone.now(7), 105);
    }

    #[test]
    fn it_is_as_late_as_the_database_says() {
        assert_eq!(Clock::default().now(105), 105);
        assert!(of_this_machine() > 1_700_000_000);
    }

    #[test]
    fn parts_of_a_second_round_up_and_eternity_does_not_overflow() {
        assert_eq!(seconds_after(10, Duration::from_secs(5)), 15);
        assert_eq!(seconds_after(10, Duration::from_millis(5_001)), 16);
        assert_eq!(seconds_after(10, Duration::MAX), i64::MAX);
        assert_eq!(seconds_before(10, Duration::from_millis(4_999)), 6);
        assert_eq!(seconds_before(-10, Duration::MAX), i64::MIN);
    }
}

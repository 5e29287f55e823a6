//! How many log lines of one kind there may be in a period: a peer that floods a port must not flood its log.

use std::sync::{Mutex, PoisonError};

/// The budget of one kind of line.
#[derive(Debug)]
pub(crate) struct LogBudget {
    lines_max: u32,
    /// Lines that were asked for in this period.
    asked_for: Mutex<u32>,
}

impl LogBudget {
    /// Allows so many lines between two calls of [`start_period`](Self::start_period).
    pub(crate) fn new(lines_max: u32) -> Self {
        Self { lines_max, asked_for: Mutex::new(0) }
    }

    /// Whether one more may be logged now.
    pub(crate) fn allows_one(&self) -> bool {
        let mut asked_for = self.asked_for.lock().unwrap_or_else(PoisonError::into_inner);
        *asked_for = asked_for.saturating_add(1);
        *asked_for <= self.lines_max
    }

    /// A new period begins. Returns how many lines were left out in the one before.
    pub(crate) fn start_period(&self) -> u32 {
        let mut asked_for = self.asked_for.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *asked_for).saturating_sub(self.lines_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_gives_few_lines_and_their_number() {
        let budget = LogBudget::new(3);
        let allowed = (0..10).filter(|_| budget.allows_one()).count();
        assert_eq!((allowed, budget.start_period()), (3, 7));
        assert!(budget.allows_one(), "the next period has its own lines");
        assert_eq!(budget.start_period(), 0);
    }
}

//! Finds the few entries that a database refuses among many that it accepts: all at once, then halves. Pure.

use std::ops::Range;

/// What has not been tried yet, in ranges.
#[derive(Debug)]
pub(super) struct Bisection {
    waiting: Vec<Range<usize>>,
}

impl Bisection {
    /// All of `things`, in ranges of at most `at_once`.
    pub(super) fn new(things: usize, at_once: usize) -> Self {
        let starts = (0..things).step_by(at_once.max(1));
        let waiting = starts.map(|start| start..things.min(start + at_once.max(1))).rev().collect();
        Self { waiting }
    }

    /// The next range to try. Ranges come in order.
    pub(super) fn next(&mut self) -> Option<Range<usize>> {
        self.waiting.pop()
    }

    /// Notes that a range was refused, so that none of it was inserted. Returns its one member if it has no
    /// others.
    pub(super) fn on_refused(&mut self, tried: Range<usize>) -> Option<usize> {
        if tried.len() <= 1 {
            return Some(tried.start);
        }
        let middle = tried.start + tried.len() / 2;
        self.waiting.push(middle..tried.end);
        self.waiting.push(tried.start..middle);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bad_ones_are_found_and_all_others_are_inserted_in_order() {
        for bad in [vec![], vec![0], vec![99], vec![3, 4, 50]] {
            let mut bisection = Bisection::new(100, 64);
            let (mut taken, mut refused, mut tries) = (Vec::new(), Vec::new(), 0);
            while let Some(range) = bisection.next() {
                tries += 1;
                if bad.iter().any(|bad| range.contains(bad)) {
                    refused.extend(bisection.on_refused(range));
                } else {
                    taken.extend(range);
                }
            }
            assert_eq!(refused, bad);
            assert_eq!(taken, (0..100).filter(|thing| !bad.contains(thing)).collect::<Vec<_>>());
            assert!(tries <= 2 + bad.len() * 14, "{tries} tries for {bad:?}");
        }
        assert!(Bisection::new(0, 10).next().is_none());
    }
}

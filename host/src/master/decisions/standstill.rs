//! When a run says that nothing has ended for a while, and what it waits for. Pure.

use std::fmt;
use std::time::{Duration, Instant};

use super::failure::Place;
use crate::ids::Seq;

/// After so long without an end of anything, a run says what it waits for: sooner would be noise where
/// records take seconds, and later you would have begun to wonder.
const FIRST_AFTER: Duration = Duration::from_secs(10);
/// The second time.
const SECOND_AFTER: Duration = Duration::from_secs(60);
/// Then again and again: a log of a night should not be full of it.
const AGAIN_EVERY: Duration = Duration::from_secs(600);

/// Between two looks lie milliseconds. A gap like this means that this process itself was stopped, or its
/// machine asleep: such time does not count.
const GAP_MAX: Duration = Duration::from_secs(1);

/// What a run waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WaitsFor {
    /// The rows that wait must be written first.
    Output,
    /// There is no node.
    Node,
    /// There are nodes, but none has a worker that is ready.
    Worker,
    /// Records that are at a slot, or on their way there.
    Records {
        /// The first of them.
        first: Seq,
        /// How many come with it.
        others: usize,
        /// Where they are.
        place: Option<Place>,
        /// How many other slots have records.
        busy: usize,
    },
    /// A task that holds records.
    Held {
        /// The first of them.
        first: Seq,
        /// Where its task is.
        place: Option<Place>,
    },
    /// The last flush of a task.
    Flush(Option<Place>),
    /// The pause before a record's next attempt.
    NextAttempt,
}

impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |place: &Option<Place>| match place {
            Some(Place { node, slot }) => format!("slot {slot} of {node}"),
            None => "a slot".to_owned(),
        };
        match self {
            Self::Output => f.write_str("the reader of the output takes no more rows"),
            Self::Node => f.write_str("the run has no node"),
            Self::Worker => f.write_str("no worker is ready"),
            Self::Records { first, others, place, busy } => {
                let number = first.0 + 1;
                match others {
                    0 => write!(f, "record {number} is at {}", at(place))?,
                    1 => write!(f, "record {number} and another one are at {}", at(place))?,
                    _ => write!(f, "record {number} and {others} others are at {}", at(place))?,
                }
                match busy {
                    0 => Ok(()),
                    1 => f.write_str("; another slot is busy, too"),
                    _ => write!(f, "; {busy} other slots are busy, too"),
                }
            }
            Self::Held { first, place } => {
                write!(f, "the task of {} holds record {} and does not finish it", at(place), first.0 + 1)
            }
            Self::Flush(place) => write!(f, "the task of {} is in its last flush", at(place)),
            Self::NextAttempt => f.write_str("records that failed wait for their next attempt"),
        }
    }
}

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
    use crate::ids::SlotIndex;

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

    #[test]
    fn what_is_waited_for_is_named() {
        let place = Some(Place { node: "n0:1".to_owned(), slot: SlotIndex(3) });
        let records = |others, busy| WaitsFor::Records { first: Seq(6), others, place: place.clone(), busy };
        let said = [
            (records(0, 0), "record 7 is at slot 3 of n0:1"),
            (records(1, 1), "record 7 and another one are at slot 3 of n0:1; another slot is busy, too"),
            (records(9, 2), "record 7 and 9 others are at slot 3 of n0:1; 2 other slots are busy, too"),
            (WaitsFor::Flush(place.clone()), "the task of slot 3 of n0:1 is in its last flush"),
        ];
        said.into_iter().for_each(|(waits_for, text)| assert_eq!(waits_for.to_string(), text));
    }
}

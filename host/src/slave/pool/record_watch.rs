//! How long the record in a worker's hand has been there, judged by what the scoreboard says.
//!
//! Pure: no I/O, no clock, no tokio.
//!
//! The worker stores no time: reading the clock for each record would cost as much as a small record itself.
//! Its slave looks now and then, and counts from when it first saw the record, so a limit is kept to within
//! one look.

use std::time::{Duration, Instant};

use crate::ids::BatchId;
use crate::scoreboard::Snapshot;

/// A record without a limit that runs longer than this is named in the log, once.
const SLOW_RECORD: Duration = Duration::from_secs(60);

/// Looks within one limit: a worker is killed at most a tenth of the limit too late.
const LOOKS_PER_LIMIT: u32 = 10;

/// The shortest time between two looks, so that tiny limits do not keep the slave busy with looking.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(2);

/// The longest time between two looks: a second more or less does not matter to limits that are so long.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(1);

/// What to do about the record in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeVerdict {
    /// Nothing.
    Fine,
    /// The log should name it.
    Slow {
        /// Its batch.
        batch: BatchId,
        /// Its place in the batch; `None` in a flush.
        index: Option<u16>,
    },
    /// Its worker must be killed.
    Overdue,
}

/// Watches one worker.
#[derive(Debug)]
pub(super) struct RecordWatch {
    limit: Option<Duration>,
    seen: Option<(u64, BatchId, u64)>,
    since: Instant,
    named: bool,
}

impl RecordWatch {
    /// Watches with that limit.
    pub(super) fn new(limit: Option<Duration>, now: Instant) -> Self {
        Self { limit, seen: None, since: now, named: false }
    }

    /// Sets another limit. A master's limit has precedence over its slave's.
    pub(super) fn set_limit(&mut self, limit: Option<Duration>) {
        self.limit = limit;
    }

    /// How long to wait until the next look.
    pub(super) fn look_every(&self) -> Duration {
        self.limit
            .map_or(LOOK_EVERY_MAX, |limit| (limit / LOOKS_PER_LIMIT).clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX))
    }

    /// Judges what the scoreboard says of the item with that turn.
    pub(super) fn on_look(&mut self, turn: u64, snapshot: Option<&Snapshot>, now: Instant) -> TimeVerdict {
        let in_hand = snapshot.filter(|snapshot| snapshot.flushing || snapshot.in_hand().is_some());
        let Some(snapshot) = in_hand else {
            self.seen = None;
            return TimeVerdict::Fine;
        };
        let place = (turn, snapshot.item, snapshot.begun + u64::from(snapshot.flushing));
        if self.seen != Some(place) {
            (self.seen, self.since, self.named) = (Some(place), now, false);
            return TimeVerdict::Fine;
        }
        let age = now.duration_since(self.since);
        match self.limit {
            Some(limit) if age >= limit => TimeVerdict::Overdue,
            None if age >= SLOW_RECORD && !self.named => {
                self.named = true;
                let index = if snapshot.flushing { None } else { snapshot.in_hand() };
                TimeVerdict::Slow { batch: snapshot.item, index }
            }
            _ => TimeVerdict::Fine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_hand(begun: u64) -> Snapshot {
        Snapshot { item: BatchId(1), part: 0, begun, returned: begun - 1, outcomes: 0, flushing: false }
    }

    #[test]
    fn only_a_record_that_stays_is_overdue() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut watch = RecordWatch::new(Some(Duration::from_millis(100)), start);
        assert_eq!(watch.on_look(0, Some(&in_hand(1)), at(0)), TimeVerdict::Fine);
        assert_eq!(watch.on_look(0, Some(&in_hand(2)), at(90)), TimeVerdict::Fine);
        assert_eq!(watch.on_look(0, Some(&in_hand(2)), at(180)), TimeVerdict::Fine);
        assert_eq!(watch.on_look(1, Some(&in_hand(2)), at(200)), TimeVerdict::Fine, "the next item");
        assert_eq!(watch.on_look(1, None, at(310)), TimeVerdict::Fine, "nothing in hand");
        assert_eq!(watch.on_look(1, Some(&in_hand(2)), at(311)), TimeVerdict::Fine);
        assert_eq!(watch.on_look(1, Some(&in_hand(2)), at(411)), TimeVerdict::Overdue);
    }

    #[test]
    fn without_a_limit_a_slow_record_is_named_once() {
        let start = Instant::now();
        let mut watch = RecordWatch::new(None, start);
        watch.on_look(0, Some(&in_hand(3)), start);
        let named = TimeVerdict::Slow { batch: BatchId(1), index: Some(2) };
        assert_eq!(watch.on_look(0, Some(&in_hand(3)), start + SLOW_RECORD), named);
        assert_eq!(watch.on_look(0, Some(&in_hand(3)), start + 2 * SLOW_RECORD), TimeVerdict::Fine);
    }
}

//! How long the record in a worker's hand has been there, how long a worker that could begin a record has
//! begun none, and how long one that should end has not, judged by what the scoreboard says.
//!
//! Pure: no I/O, no clock, no tokio.
//!
//! The worker stores no time: reading the clock for each record would cost as much as a small record itself.
//! Its slave looks now and then, and counts from when it first saw the record, so a limit is kept to within
//! one look. Time in which the slave itself did not run is not counted (`own_time.rs`).

use std::time::{Duration, Instant};

use crate::ids::BatchId;
use crate::limits::{BEGIN_MAX, STOP_GRACE};
use crate::own_time::{self, OwnTime};
use crate::scoreboard::Snapshot;

/// A record without a limit that runs longer than this is named in the log, once.
const SLOW_RECORD: Duration = Duration::from_secs(60);

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
    /// There is none, though its worker has had an item for long: the worker must be killed.
    NotBegun,
    /// The worker has nothing left to do but to end, and does not: it must be killed.
    NotEnded,
}

/// What the worker has before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// An item whose next record it could begin.
    Record,
    /// Its end: it was told to stop, or said that it leaves, and has handed over all that it had.
    End,
    /// Nothing, or what it has waits for its slave.
    Nothing,
}

/// Watches one worker.
#[derive(Debug)]
pub(super) struct RecordWatch {
    limit: Option<Duration>,
    seen: Option<Seen>,
    /// How long that has been seen.
    age: Duration,
    own_time: OwnTime,
    named: bool,
}

/// What a look has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Records or a flush in hand: the turn, the batch, how many of its records were begun, and how far the
    /// call has got.
    InHand(u64, BatchId, u64, u64),
    /// No record, though one could begin: the turn, and how far the scoreboard has got.
    NoneBegun(u64, Option<(BatchId, u64, u64)>),
    /// Nothing that is left to do.
    NotEnded,
}

impl RecordWatch {
    /// Watches with that limit.
    pub(super) fn new(limit: Option<Duration>, now: Instant) -> Self {
        Self { limit, seen: None, age: Duration::ZERO, own_time: OwnTime::new(now), named: false }
    }

    /// Sets another limit. A master's limit has precedence over its slave's.
    pub(super) fn set_limit(&mut self, limit: Option<Duration>) {
        self.limit = limit;
    }

    /// How long to wait until the next look.
    pub(super) fn look_every(&self) -> Duration {
        own_time::look_every(self.limit)
    }

    /// Judges what the scoreboard says of the item with that turn.
    pub(super) fn on_look(
        &mut self,
        turn: u64,
        snapshot: Option<&Snapshot>,
        expected: Expected,
        now: Instant,
    ) -> TimeVerdict {
        let passed = self.own_time.on_look(self.look_every(), now);
        let in_hand = snapshot.filter(|snapshot| snapshot.flushing || snapshot.in_hand().is_some());
        let in_hand = in_hand.filter(|_| expected != Expected::End);
        let seen = match (in_hand, expected) {
            (_, Expected::End) => Some(Seen::NotEnded),
            (Some(here), _) => {
                Some(Seen::InHand(turn, here.item, here.begun + u64::from(here.flushing), here.progress))
            }
            (None, Expected::Record) => {
                Some(Seen::NoneBegun(turn, snapshot.map(|here| (here.item, here.part, here.begun))))
            }
            (None, Expected::Nothing) => None,
        };
        if seen.is_none() || self.seen != seen {
            (self.seen, self.age, self.named) = (seen, Duration::ZERO, false);
            return TimeVerdict::Fine;
        }
        self.age += passed;
        match in_hand {
            Some(snapshot) => self.judge_record(snapshot),
            None if expected == Expected::End && self.age >= STOP_GRACE => TimeVerdict::NotEnded,
            None if expected == Expected::Record && self.age >= BEGIN_MAX => TimeVerdict::NotBegun,
            None => TimeVerdict::Fine,
        }
    }

    fn judge_record(&mut self, snapshot: &Snapshot) -> TimeVerdict {
        match self.limit {
            Some(limit) if self.age >= limit => TimeVerdict::Overdue,
            None if self.age >= SLOW_RECORD && !self.named => {
                self.named = true;
                let in_hand = snapshot.in_hand().filter(|_| !snapshot.flushing);
                let index = in_hand.map(|in_hand| in_hand.first);
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
        Snapshot {
            item: BatchId(1),
            part: 0,
            begun,
            returned: begun - 1,
            outcomes: 0,
            flushing: false,
            progress: 0,
        }
    }

    /// Looks at a worker every `step` until a look finds something, for `until` at most; says after which
    /// time.
    fn watched(
        watch: &mut RecordWatch,
        start: Instant,
        snapshot: Option<&Snapshot>,
        expected: Expected,
        until: Duration,
    ) -> Option<(Duration, TimeVerdict)> {
        let step = watch.look_every();
        (0..).map(|look| step * look).take_while(|at| *at <= until).find_map(|at| {
            let verdict = watch.on_look(0, snapshot, expected, start + at);
            (verdict != TimeVerdict::Fine).then_some((at, verdict))
        })
    }

    const LIMIT: Duration = Duration::from_millis(100);

    #[test]
    fn only_a_record_that_stays_is_overdue() {
        let start = Instant::now();
        let mut watch = RecordWatch::new(Some(LIMIT), start);
        for (number, turn) in [(1, 0), (2, 0), (2, 1), (3, 1)] {
            let at = start + (LIMIT * 9 / 10) * number as u32;
            assert_eq!(watch.on_look(turn, Some(&in_hand(number)), Expected::Record, at), TimeVerdict::Fine);
        }
        let mut watch = RecordWatch::new(Some(LIMIT), start);
        let overdue = watched(&mut watch, start, Some(&in_hand(2)), Expected::Record, 2 * LIMIT);
        assert_eq!(overdue, Some((LIMIT, TimeVerdict::Overdue)));
    }

    #[test]
    fn a_batch_that_gets_on_is_not_overdue() {
        let start = Instant::now();
        let mut watch = RecordWatch::new(Some(LIMIT), start);
        let at = |looks: u32| start + (LIMIT * 9 / 10) * looks;
        let batch = |progress| Snapshot { begun: 100, returned: 0, progress, ..in_hand(1) };
        for looks in 0..5 {
            let verdict = watch.on_look(0, Some(&batch(looks.into())), Expected::Record, at(looks));
            assert_eq!(verdict, TimeVerdict::Fine);
        }
        let overdue = watched(&mut watch, at(5), Some(&batch(4)), Expected::Record, 2 * LIMIT);
        assert!(overdue.is_some_and(|(_, verdict)| verdict == TimeVerdict::Overdue));
    }

    #[test]
    fn time_without_a_look_is_not_counted() {
        let start = Instant::now();
        let mut watch = RecordWatch::new(Some(LIMIT), start);
        watch.on_look(0, Some(&in_hand(1)), Expected::Record, start);
        let late = watch.on_look(0, Some(&in_hand(1)), Expected::Record, start + 50 * LIMIT);
        assert_eq!(late, TimeVerdict::Fine, "the slave was stopped meanwhile");
    }

    #[test]
    fn without_a_limit_a_slow_record_is_named_once() {
        let start = Instant::now();
        let mut watch = RecordWatch::new(None, start);
        let named = TimeVerdict::Slow { batch: BatchId(1), index: Some(2) };
        let slow = watched(&mut watch, start, Some(&in_hand(3)), Expected::Record, 2 * SLOW_RECORD);
        assert_eq!(slow, Some((SLOW_RECORD, named)));
        let later = start + SLOW_RECORD;
        assert_eq!(watched(&mut watch, later, Some(&in_hand(3)), Expected::Record, 2 * SLOW_RECORD), None);
    }

    #[test]
    fn a_worker_that_could_begin_and_does_not_is_found() {
        let start = Instant::now();
        let between = Snapshot { returned: 3, ..in_hand(3) };
        for snapshot in [None, Some(&between)] {
            let mut watch = RecordWatch::new(None, start);
            let found = watched(&mut watch, start, snapshot, Expected::Record, 2 * BEGIN_MAX);
            assert_eq!(found, Some((BEGIN_MAX, TimeVerdict::NotBegun)));
            let mut watch = RecordWatch::new(None, start);
            assert_eq!(watched(&mut watch, start, snapshot, Expected::Nothing, 2 * BEGIN_MAX), None);
        }
    }

    #[test]
    fn a_worker_that_should_end_and_does_not_is_found() {
        let start = Instant::now();
        for snapshot in [None, Some(&in_hand(3))] {
            let mut watch = RecordWatch::new(None, start);
            let found = watched(&mut watch, start, snapshot, Expected::End, 2 * STOP_GRACE);
            assert_eq!(found, Some((STOP_GRACE, TimeVerdict::NotEnded)));
        }
    }
}

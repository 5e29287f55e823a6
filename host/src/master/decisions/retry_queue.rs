//! Records that wait for another attempt. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::attempt::Again;
use crate::ids::{Seq, SlotId};

/// Pause before the second attempt of a record that failed, doubled for each further one: long enough for a
/// hiccup to pass, short enough that no one notices.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: a run that waits for one record should not seem to hang.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Records that may wait before no more input is read: a task that asks for another try each time must not
/// fill the memory. Each costs its bytes, and some more to keep track of it.
const RECORDS_MAX: usize = 250_000;
/// The bytes that those records may have, for the same reason.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// Records that wait.
#[derive(Debug, Default)]
pub(super) struct RetryQueue {
    /// Those that may be sent at once.
    ready: VecDeque<Again>,
    /// Those of them that need a node of their own: the others do not wait behind them.
    for_a_node: VecDeque<Again>,
    /// Those that must wait, by when they may be sent.
    later: BTreeMap<(Instant, Seq), Again>,
    bytes: usize,
}

impl RetryQueue {
    /// Adds a record that may be sent at once: it was returned through no fault of its own.
    pub(super) fn push_ready(&mut self, again: Again) {
        self.bytes += again.record.len();
        self.make_ready(again);
    }

    /// Adds a record that failed, to be tried after a pause that grows with its faults.
    pub(super) fn push_after_pause(&mut self, again: Again, now: Instant) {
        self.bytes += again.record.len();
        self.later.insert((now + pause(&again), again.seq), again);
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.ready.len() + self.for_a_node.len() + self.later.len()
    }

    /// Whether so many wait that no more should be read.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= RECORDS_MAX || self.bytes >= BYTES_MAX
    }

    /// Whether no record waits.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next record that may be sent now, of those that need no node of their own.
    pub(super) fn peek(&mut self, now: Instant) -> Option<&Again> {
        self.ripen(now);
        self.ready.front()
    }

    /// Whether a record that may be sent now needs a node of its own.
    pub(super) fn has_any_for_a_node(&mut self, now: Instant) -> bool {
        self.ripen(now);
        self.holds_any_for_a_node()
    }

    /// The same, as far as pauses have ended by the last look.
    pub(super) fn holds_any_for_a_node(&self) -> bool {
        !self.for_a_node.is_empty()
    }

    /// Takes the next record that needs a node of its own.
    pub(super) fn take_for_a_node(&mut self) -> Option<Again> {
        let again = self.for_a_node.pop_front()?;
        self.bytes -= again.record.len();
        Some(again)
    }

    /// Takes all records that may be sent now.
    pub(super) fn take_all_ready(&mut self, now: Instant) -> Vec<Again> {
        self.ripen(now);
        let ready: Vec<Again> = self.ready.drain(..).chain(self.for_a_node.drain(..)).collect();
        self.bytes -= ready.iter().map(|again| again.record.len()).sum::<usize>();
        ready
    }

    /// Pauses end.
    fn ripen(&mut self, now: Instant) {
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            let again = entry.remove();
            self.make_ready(again);
        }
    }

    fn make_ready(&mut self, again: Again) {
        let queue = if again.tries.needs_node() { &mut self.for_a_node } else { &mut self.ready };
        queue.push_back(again);
    }

    /// Takes the next records that may be sent now to `slot`, as one batch.
    pub(super) fn take(
        &mut self,
        slot: SlotId,
        any_slot: bool,
        records_max: usize,
        bytes_max: usize,
    ) -> Vec<Again> {
        let fits = |again: &Again| any_slot || again.not_on != Some(slot);
        let batch = take_batch(&mut self.ready, fits, records_max, bytes_max);
        self.bytes -= batch.iter().map(|again| again.record.len()).sum::<usize>();
        batch
    }
}

/// Takes the first records of a queue that may travel together, as one batch; at least one, if it fits.
pub(super) fn take_batch(
    queue: &mut VecDeque<Again>,
    fits: impl Fn(&Again) -> bool,
    mut records_max: usize,
    bytes_max: usize,
) -> Vec<Again> {
    let mut batch: Vec<Again> = Vec::new();
    let mut bytes = 0;
    while let Some(again) = queue.front().filter(|again| fits(again)) {
        bytes += again.record.len();
        records_max = records_max.min(again.tries.batch_records_max());
        if !batch.is_empty() && (batch.len() >= records_max || bytes > bytes_max) {
            break;
        }
        batch.extend(queue.pop_front());
    }
    batch
}

/// 0.1 s, doubling, and between half and all of that: records that failed together do not come back together.
/// The share is computed from the record's number, so that a run can be repeated.
fn pause(again: &Again) -> Duration {
    let doublings = again.tries.faults.saturating_sub(1).min(16);
    let full = (PAUSE * 2u32.pow(doublings)).min(PAUSE_MAX);
    let share = xxhash_rust::xxh3::xxh3_64_with_seed(&again.seq.0.to_le_bytes(), again.tries.faults.into());
    full / 2 + full.mul_f64((share % 1024) as f64 / 2048.0)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::attempt::Tries;
    use super::*;
    use crate::ids::{KeyHash, NodeId, SlotIndex};

    const HERE: SlotId = SlotId { node: NodeId(0), index: SlotIndex(0) };
    const THERE: SlotId = SlotId { node: NodeId(0), index: SlotIndex(1) };

    fn again(seq: u64, faults: u32) -> Again {
        let tries = Tries { faults, ..Tries::default() };
        let (record, key) = (Bytes::from_static(b"r\n"), KeyHash(0));
        Again { seq: Seq(seq), record, key, tries, not_on: Some(HERE) }
    }

    #[test]
    fn a_failed_record_waits_longer_each_time_and_avoids_its_slot() {
        let now = Instant::now();
        let mut queue = RetryQueue::default();
        queue.push_after_pause(again(1, 1), now);
        queue.push_after_pause(again(2, 3), now);
        assert!(queue.peek(now).is_none());
        assert_eq!(queue.peek(now + Duration::from_millis(100)).unwrap().seq, Seq(1));
        assert!(queue.take(HERE, false, 10, 1000).is_empty());
        assert_eq!(queue.take(THERE, false, 10, 1000).len(), 1);
        assert!(queue.peek(now + Duration::from_millis(199)).is_none());
        assert!(queue.peek(now + Duration::from_millis(400)).is_some());
        assert_eq!(queue.take(HERE, true, 10, 1000).len(), 1, "the only slot is good enough");
        assert!(queue.is_empty());
    }

    #[test]
    fn a_queue_that_holds_too_much_is_full_until_it_is_taken() {
        let now = Instant::now();
        let mut queue = RetryQueue::default();
        let large = Bytes::from(vec![b'x'; BYTES_MAX / 2]);
        for seq in 0..2 {
            assert!(!queue.is_full());
            queue.push_after_pause(Again { record: large.clone(), ..again(seq, 1) }, now);
        }
        assert!(queue.is_full());
        assert_eq!(queue.take_all_ready(now + PAUSE_MAX).len(), 2);
        assert!(!queue.is_full());
    }

    #[test]
    fn suspects_travel_alone_and_others_together() {
        let mut queue = RetryQueue::default();
        for seq in 0..5 {
            let mut record = again(seq, 1);
            record.tries.flush_crashes = if seq == 2 { 2 } else { 0 };
            queue.push_ready(record);
        }
        let sizes: Vec<_> = (0..4).map(|_| queue.take(THERE, false, 10, 1000).len()).collect();
        assert_eq!(sizes, [2, 1, 2, 0]);
    }

    #[test]
    fn records_that_were_lost_with_a_node_travel_in_small_groups() {
        let mut queue = RetryQueue::default();
        for seq in 0..100 {
            let mut record = again(seq, 0);
            record.tries.node_losses = u32::from((20..60).contains(&seq));
            queue.push_ready(record);
        }
        let sizes: Vec<_> = (0..6).map(|_| queue.take(THERE, false, 1000, 1000).len()).collect();
        assert_eq!(sizes, [20, 16, 16, 16, 32, 0]);
    }
}

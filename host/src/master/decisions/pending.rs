//! Records that were read and fit no slot yet, in the order of the input. Pure.

use std::collections::VecDeque;

use crate::ids::Seq;
use crate::record::Records;

/// Records that wait, in pieces: within one, each record follows the one before it in the input. There is one
/// piece, unless records between others were finished by an earlier run.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pieces: VecDeque<(Seq, Records)>,
    records: u64,
    bytes: u64,
}

impl Pending {
    /// Adds records, the first of which is `first`.
    pub(super) fn push(&mut self, first: Seq, records: Records) {
        if !records.is_empty() {
            self.records += records.len() as u64;
            self.bytes += records.data().len() as u64;
            self.pieces.push_back((first, records));
        }
    }

    /// Takes the next records that follow each other, and the number of the first: as many as fit, and at
    /// least one.
    pub(super) fn take(&mut self, records_max: usize, bytes_max: usize) -> Option<(Seq, Records)> {
        let (first, piece) = self.pieces.front_mut()?;
        let records = piece.split_off_front(records_max, bytes_max);
        let taken = (*first, records.clone());
        *first = first.plus(records.len());
        if piece.is_empty() {
            self.pieces.pop_front();
        }
        self.records -= records.len() as u64;
        self.bytes -= records.data().len() as u64;
        Some(taken)
    }

    /// How many records wait.
    pub(super) fn len(&self) -> u64 {
        self.records
    }

    /// Whether no record waits.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Their bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_never_reaches_over_a_hole() {
        let mut pending = Pending::default();
        pending.push(Seq(3), Records::from_iter(["a", "b", "c"]));
        pending.push(Seq(9), Records::from_iter(["d"]));
        assert_eq!((pending.len(), pending.bytes()), (4, 4));
        let mut taken = || pending.take(2, 100).map(|(first, records)| (first.0, records.len()));
        assert_eq!([taken(), taken(), taken(), taken()], [Some((3, 2)), Some((5, 1)), Some((9, 1)), None]);
        assert_eq!((pending.is_empty(), pending.len(), pending.bytes()), (true, 0, 0));
    }
}

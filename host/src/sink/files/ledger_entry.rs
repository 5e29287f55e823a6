//! The bytes of a ledger beside files: entries, each with a checksum. Pure; any bytes give an answer.
//!
//! ```text
//! | SGLE | length of the payload: u32 | xxh3 of the payload, low half: u32 | payload |    little-endian
//! ```
//! Entries are appended by several slaves, each with one call. One that was cut off, because its slave was
//! killed or the disk was full, is followed by whole ones: a reader looks for the next.

use memchr::memmem;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::limits::LEDGER_ENTRY_BYTES_MAX;
use crate::wire::SeqRanges;

/// The first bytes of every entry.
const MAGIC: &[u8; 4] = b"SGLE";

/// Bytes before the payload.
const FRAME_BYTES: usize = 4 + 4 + 4;

/// What a slave says about its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum LedgerEntry {
    /// A part is begun. `part` is a random number, which the other entries about it have.
    Part {
        /// The part.
        part: u64,
        /// The name of its file, without the directory.
        name: String,
    },
    /// These records are in the sink, with their rows in the part, if none of them was there before.
    Commit {
        /// The part.
        part: u64,
        /// Bytes of the part up to the end of these rows.
        bytes: u64,
        /// The xxh3 of all these bytes.
        hash: u64,
        /// The numbers of the records.
        seqs: SeqRanges,
    },
    /// No record of the run may be added any more.
    Over,
}

/// The bytes of an entry; `None` if it is larger than an entry can be.
pub(super) fn encode(entry: &LedgerEntry) -> Option<Vec<u8>> {
    let mut bytes = Vec::from([0; FRAME_BYTES]);
    bytes = postcard::to_extend(entry, bytes).ok()?;
    let payload = &bytes[FRAME_BYTES..];
    if payload.len() > LEDGER_ENTRY_BYTES_MAX {
        return None;
    }
    let (length, sum) = (payload.len() as u32, xxh3_64(payload) as u32);
    bytes[..4].copy_from_slice(MAGIC);
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    Some(bytes)
}

/// The next whole entry, and where it ends. `None` if there is none yet: what is left may be one that is
/// still being written.
pub(super) fn next(bytes: &[u8]) -> Option<(LedgerEntry, usize)> {
    memmem::find_iter(bytes, MAGIC).find_map(|start| {
        let (entry, length) = at_start(&bytes[start..])?;
        Some((entry, start + length))
    })
}

fn at_start(bytes: &[u8]) -> Option<(LedgerEntry, usize)> {
    let number = |at: usize| bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    let length =
        number(4).map(|length| length as usize).filter(|length| *length <= LEDGER_ENTRY_BYTES_MAX)?;
    let payload = bytes.get(FRAME_BYTES..FRAME_BYTES + length)?;
    if number(8)? != xxh3_64(payload) as u32 {
        return None;
    }
    Some((postcard::from_bytes(payload).ok()?, FRAME_BYTES + length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Seq;
    use proptest::prelude::*;

    fn commit(bytes: u64, seqs: &[u64]) -> LedgerEntry {
        LedgerEntry::Commit { part: 7, bytes, hash: 9, seqs: seqs.iter().copied().map(Seq).collect() }
    }

    fn all(mut bytes: &[u8]) -> Vec<LedgerEntry> {
        let mut entries = Vec::new();
        while let Some((entry, end)) = next(bytes) {
            entries.push(entry);
            bytes = &bytes[end..];
        }
        entries
    }

    #[test]
    fn an_entry_that_is_cut_off_anywhere_hides_none_that_follows() {
        let entries =
            [LedgerEntry::Part { part: 7, name: "a".into() }, commit(3, &[1, 2, 9]), LedgerEntry::Over];
        let [first, second, third] = [0, 1, 2].map(|index| encode(&entries[index]).unwrap());
        for end in 0..second.len() {
            let whole = [&first[..], &second[..end], &third].concat();
            assert_eq!(all(&whole), [entries[0].clone(), entries[2].clone()], "cut off after {end} bytes");
            assert_eq!(all(&whole[..first.len() + end]), [entries[0].clone()]);
        }
        assert_eq!(all(&[first, vec![0; 99], second, third].concat()), entries);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop_oneof![Just(b'S'), Just(b'G'), Just(b'L'), Just(b'E'), Just(0), any::<u8>()], 0..60)) {
            all(&bytes);
        }

        #[test]
        fn a_flipped_bit_is_noticed(seqs in prop::collection::vec(any::<u64>(), 0..9), bit in any::<usize>()) {
            let mut bytes = encode(&commit(5, &seqs)).unwrap();
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(all(&bytes), []);
        }
    }
}

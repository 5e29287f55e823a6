//! Partition keys that come with the records: a number that stands for each key, or why a record has none.
//! Pure. It must not know who has computed them.

use crate::ids::KeyHash;

/// The keys of records, in the order of the records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RecordKeys {
    hashes: Vec<KeyHash>,
    /// Records without a key: their places, in order. What stands for their keys means nothing.
    missing: Vec<(usize, NoKey)>,
}

/// Why a record has no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoKey {
    /// What happened.
    pub cause: NoKeyCause,
    /// The same for people.
    pub message: String,
}

/// What happened to a record that has no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoKeyCause {
    /// The partitioner says that it has none.
    Refused,
    /// The partitioner died on it, each time.
    Crash,
    /// The partitioner took too long, each time.
    Timeout,
}

impl RecordKeys {
    /// Adds the key of the next record.
    pub(crate) fn push(&mut self, hash: KeyHash) {
        self.hashes.push(hash);
    }

    /// Says that the next record has no key.
    pub(crate) fn push_missing(&mut self, why: NoKey) {
        self.missing.push((self.hashes.len(), why));
        self.hashes.push(KeyHash(0));
    }

    /// Adds those of the records that follow.
    pub(crate) fn append(&mut self, others: Self) {
        let before = self.hashes.len();
        self.hashes.extend(others.hashes);
        self.missing.extend(others.missing.into_iter().map(|(place, why)| (before + place, why)));
    }

    /// Of how many records something is known.
    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// The key of a record.
    ///
    /// # Errors
    /// Why it has none.
    ///
    /// # Panics
    /// If there are fewer records.
    pub(crate) fn get(&self, index: usize) -> Result<KeyHash, &NoKey> {
        match self.missing.binary_search_by_key(&index, |(place, _)| *place) {
            Ok(place) => Err(&self.missing[place].1),
            Err(_) => Ok(self.hashes[index]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_has_its_key_or_the_reason_why_not() {
        let no = |message: &str| NoKey { cause: NoKeyCause::Refused, message: message.to_owned() };
        let mut keys = RecordKeys::default();
        keys.push_missing(no("first"));
        keys.push(KeyHash(5));
        keys.push_missing(no("third"));
        assert_eq!(keys.len(), 3);
        let mut all = RecordKeys::default();
        all.push(KeyHash(4));
        all.append(keys.clone());
        assert_eq!((all.len(), all.get(1), all.get(2)), (4, Err(&no("first")), Ok(KeyHash(5))));
        assert_eq!(
            (keys.get(0), keys.get(1), keys.get(2)),
            (Err(&no("first")), Ok(KeyHash(5)), Err(&no("third")))
        );
    }
}

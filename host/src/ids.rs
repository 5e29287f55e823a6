//! The names of things: small types, so that a batch cannot be mistaken for a slot.

use std::fmt;
use std::io::Read;

use serde::{Deserialize, Serialize};

/// A record's position in the input of the run, counted from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seq(pub u64);

/// The name of a run, which it keeps when the same command continues after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct RunId(pub [u8; 16]);

/// The number of a batch. The master of the run counts from zero and uses no number twice, so a late answer
/// is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BatchId(pub u64);

/// One connection of a master to a slave. A slave that returns after it was given up gets a new number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// A worker's place in its slave, counted from zero. The worker that replaces it has the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SlotIndex(pub u16);

/// A worker's place in the whole grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId {
    /// The slave's connection.
    pub node: NodeId,
    /// The place in that slave.
    pub index: SlotIndex,
}

/// How often a slot's worker has been replaced. What was sent to an earlier worker no longer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Epoch(pub u32);

impl BatchId {
    /// A flush that a slave asks for itself. No master counts that far, and no credit returns with it.
    pub const OWN_FLUSH: Self = Self(u64::MAX);
}

impl RunId {
    /// A new name, different from all others.
    ///
    /// # Errors
    /// If the system cannot provide random numbers.
    pub fn random() -> std::io::Result<Self> {
        let mut bytes = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl Seq {
    /// The position `records` records later.
    pub fn plus(self, records: usize) -> Self {
        Self(self.0 + records as u64)
    }
}

impl Epoch {
    /// The epoch of the next worker of the slot.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// What stands for a partition key: records whose keys are equal have equal ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct KeyHash(pub u64);

/// As 32 hexadecimal digits.
impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for SlotIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

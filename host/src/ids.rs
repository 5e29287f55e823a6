//! The names of things: small types, so that a batch cannot be taken for a slot.

use std::fmt;
use std::io::Read;

use serde::{Deserialize, Serialize};

/// A record's place in the run's input, counted from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seq(pub u64);

/// A run, by a name that it keeps when the same command goes on after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct RunId(pub [u8; 16]);

/// A batch, numbered by the master of the run from zero; never used twice, so a late answer is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BatchId(pub u64);

/// One connection of a master to a slave. A slave that returns after it was given up gets a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// A worker's place in its slave, counted from zero; a respawned worker takes the same one.
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

/// How often a slot's worker has been replaced. What was sent to an earlier worker is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Epoch(pub u32);

impl BatchId {
    /// A flush that a slave asks for by itself: no master counts so far, and no credit returns with it.
    pub const OWN_FLUSH: Self = Self(u64::MAX);
}

impl RunId {
    /// A new one, different from all others.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn random() -> std::io::Result<Self> {
        let mut bytes = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl Seq {
    /// The record `records` places later.
    pub fn plus(self, records: usize) -> Self {
        Self(self.0 + records as u64)
    }
}

impl Epoch {
    /// The epoch of the worker that replaces this one's.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

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

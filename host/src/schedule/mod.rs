//! Which slot a record goes to, if that matters. Pure: no clock, no I/O, no state of a run.

mod partition_key;
mod rendezvous;

pub use partition_key::FieldKey;
pub(crate) use partition_key::PartitionBy;
pub(crate) use rendezvous::key_hash;
pub use rendezvous::{Rendezvous, node_identity};

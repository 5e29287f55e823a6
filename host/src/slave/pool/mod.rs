//! The workers of a slave: an actor that owns them, what it decides, and the line to each.

mod pool_state;
mod record_watch;
mod worker_link;
mod worker_pool;

pub(super) use worker_link::WorkerId;
pub(crate) use worker_pool::{PoolCommand, PoolConfig, PoolHandle, PoolStatus, RunRequest, start};

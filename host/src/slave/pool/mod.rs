//! The workers of a slave. `pool_handle` is the way to them; `worker_pool` is the actor that owns them, and
//! performs what `pool_state` decides; `worker_link` is the line to one of them.

mod counters;
mod outbox;
mod pool_action;
mod pool_handle;
mod pool_state;
mod record_watch;
mod worker_event;
mod worker_link;
mod worker_pool;

pub(super) use counters::Counters;
pub(super) use pool_handle::NotReady;
pub(crate) use pool_handle::{PoolHandle, RunRequest, StopPatience};
pub(super) use worker_event::WorkerId;
pub(crate) use worker_pool::{PoolConfig, start_pool};

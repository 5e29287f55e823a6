//! Peers that mean harm, while an honest run goes on: they get nothing, cost little, and no one else notices.

mod bad_master;
mod bad_slave;
mod flood;
pub(crate) mod peer;

//! Seeds that are played with each `cargo test`, and scenarios: each shows one thing that once kept a run
//! from its end, with several schedules.

mod links;
mod seeds;
mod waits;
mod workers;

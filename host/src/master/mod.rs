//! A master: reads records, has them run by slaves, and writes what comes back.
//!
//! In the order of a record's way: `record::reader` → `dispatcher` (which asks `decisions`, where every
//! decision is) → `nodes` (a link to each slave) ⇢ and back to `output`.

pub(crate) mod decisions;
mod dispatcher;
mod grid_run;
mod key_process;
mod keyed_input;
mod nodes;
mod output;
mod record_key;
mod run;
mod run_end;
#[cfg(any(test, feature = "simulation"))]
mod simulated;
mod streamed_run;
#[cfg(test)]
mod tests;

pub(crate) use decisions::{KeyOf, KeySource};
pub(crate) use grid_run::run;
pub(crate) use nodes::{Joined, LinkEvent, frames_max};
pub(crate) use output::TaskIdentity;
pub(crate) use run::{LINK_EVENTS, open_run, run_records};
pub(crate) use run_end::{Ending, RunEnd};
#[cfg(any(test, feature = "simulation"))]
pub(crate) use simulated::{SimulatedMaster, master_over, run_over};
pub(crate) use streamed_run::{StreamedEnd, StreamedRun, run_stream};

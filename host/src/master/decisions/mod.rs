//! What a run decides: which batch goes to which slot, what follows from each end of a record, in which order
//! rows come out, and when the run is over. Pure: the rule of this folder is no I/O, no clock but the one
//! that is handed in, no tokio, no threads, and no imports from the actors, `nodes` or `output`.
//!
//! `dispatch_state` turns events into a list of `action`s, and asks the others: `books` (what became of each
//! record) with `ledger` (what is in flight), `attempt` and `failure` (what follows from an end), `tally`
//! (how often records were tried, for the journal), `arranger` and `strand` (the order of rows) and
//! `range_set` (which records are finished); `slots`, `slot` and `pace` (which slot has room, and how much);
//! `pending`, `retry_queue` and `partition` (what waits).

mod action;
mod arranger;
mod attempt;
mod books;
mod dispatch_state;
mod earlier;
mod failure;
mod ledger;
mod pace;
mod partition;
mod pending;
mod range_set;
mod retry_queue;
mod slot;
mod slots;
mod strand;
mod tally;
mod waits_for;

pub use action::{Action, ReadyRows};
pub use dispatch_state::{DispatchState, RunRules};
pub use partition::{KeyOf, KeySource};

pub(super) use books::{Counts, RunProgress};
pub(super) use earlier::Earlier;
pub(super) use failure::{FailedRecord, Reason};
pub(super) use range_set::RangeSet;
pub(super) use tally::Tally;
pub(super) use waits_for::WaitsFor;

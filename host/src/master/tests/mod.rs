//! The rules of a run, shown by feeding events to its state: no clock, no socket, no thread.

mod bad_slaves;
mod lost_nodes;
mod random_runs;
mod rules;
mod test_run;
mod waiting;

//! Whose turn it is, in a simulation: a scheduler on top of tokio's. Each task that the program starts takes
//! part; of those that are ready, the dice say which one is polled next, so the same seed gives the same
//! schedule. Tasks belong to a *process*, which can be stopped: its tasks get no turn until it goes on, while
//! time passes for all others.
//!
//! Outside a simulation a task is polled when tokio says so.

mod dice;
mod schedule;
mod turn;

pub(crate) use dice::Dice;
pub(crate) use schedule::{ProcessId, Schedule};
pub(crate) use turn::{current_process, in_turn, in_turn_apart};

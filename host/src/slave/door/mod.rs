//! The door of a slave: where connections come in, which protocol they speak, and which of them may stay.
//!
//! `port` accepts them; `waiting_room` bounds how many have not got further; `admission` finds out who is
//! there, and lets one master in at a time (`occupancy`). What masters and clients do inside is not known
//! here.

mod admission;
mod closed;
mod door_log;
mod first_bytes;
mod line_queue;
mod occupancy;
mod port;
mod slave_door;
mod waiting_room;

#[cfg(any(test, feature = "simulation"))]
pub(super) use admission::let_in_ours;
pub(super) use admission::{Admitted, Inside, let_in};
pub(super) use closed::Closed;
pub(super) use line_queue::{LINE_CLIENTS_MAX, LineQueue};
pub(super) use occupancy::Occupied;
pub(super) use port::{accept, open};
pub(super) use slave_door::{Door, EndOrder, Orders, ReloadOrder, Reloaded};
pub(super) use waiting_room::{Guest, WaitingRoom};

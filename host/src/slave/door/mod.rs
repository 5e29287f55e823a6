//! Who comes in: connections, what they speak, and which of them may stay.

mod first_bytes;
mod master_listener;
mod waiting_room;

pub(super) use master_listener::{Door, DoorLog, EndOrder, Occupied, serve};
pub(super) use waiting_room::WaitingRoom;

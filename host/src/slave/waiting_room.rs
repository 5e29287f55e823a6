//! The connections that are no master's session: a bounded number, of which the oldest makes room for the newest.
//!
//! To stop accepting instead would be worse: whoever holds idle connections would keep everyone else out.

use std::collections::VecDeque;

use tokio::sync::oneshot;

/// Connections that have not got through the handshake, and those of administrators. A flood must not take all
/// descriptors. An honest peer is through within a round trip: it is driven out only if so many others come in
/// that time.
pub const GUESTS_MAX: usize = 128;

/// Tells a connection that it must make room.
pub type MakeRoom = oneshot::Receiver<()>;

/// Connections by age.
#[derive(Debug, Default)]
pub struct WaitingRoom {
    guests: VecDeque<oneshot::Sender<()>>,
}

impl WaitingRoom {
    /// A connection comes in. It is a guest until it drops what it gets here.
    pub fn enter(&mut self) -> MakeRoom {
        self.guests.retain(|guest| !guest.is_closed());
        if self.guests.len() >= GUESTS_MAX
            && let Some(oldest) = self.guests.pop_front()
        {
            // One that has just gone has made room, too.
            let _ = oldest.send(());
        }
        let (guest, make_room) = oneshot::channel();
        self.guests.push_back(guest);
        make_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_guest_makes_room_and_who_has_left_counts_no_more() {
        let mut room = WaitingRoom::default();
        let mut guests: Vec<_> = (0..GUESTS_MAX).map(|_| room.enter()).collect();
        assert!(guests.iter_mut().all(|guest| guest.try_recv().is_err()), "there is room for so many");
        guests.push(room.enter());
        assert_eq!(guests[0].try_recv(), Ok(()));
        assert!(guests[1].try_recv().is_err());

        drop(guests.remove(1));
        guests.push(room.enter());
        assert!(guests[1].try_recv().is_err(), "the place of one that has left is free");
        assert!(room.guests.len() <= GUESTS_MAX);
    }
}

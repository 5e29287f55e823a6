//! The connections that are not, or not yet, a master's or a client's with lines. Their number is bounded,
//! and the oldest makes room for the newest.
//!
//! To accept no more until one leaves by itself would be worse: a peer with many idle connections would keep
//! everyone else out.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Connections that are still in the handshake, and those of administrators. A flood must not take all
/// descriptors.
pub(crate) const GUESTS_MAX: usize = 128;

/// How long a guest may stay, however many wait outside: an honest one is through within a round trip or two,
/// and the system can keep more than a second's worth of new ones waiting.
const STAY_MIN: Duration = Duration::from_millis(100);

/// Tells a connection that it must make room.
pub(crate) type MakeRoom = oneshot::Receiver<()>;

/// Connections by age.
#[derive(Debug, Default)]
pub(crate) struct WaitingRoom {
    guests: VecDeque<(Instant, oneshot::Sender<()>)>,
}

impl WaitingRoom {
    /// Until when no one may come in: there is a time only if the room is full and all guests have just come.
    pub(crate) fn closed_until(&mut self, now: Instant) -> Option<Instant> {
        self.guests.retain(|(_, guest)| !guest.is_closed());
        let (since, _) = self.guests.front().filter(|_| self.guests.len() >= GUESTS_MAX)?;
        Some(*since + STAY_MIN).filter(|until| *until > now)
    }

    /// A connection comes in. It is a guest until it drops the receiver.
    pub(crate) fn enter(&mut self, now: Instant) -> MakeRoom {
        self.guests.retain(|(_, guest)| !guest.is_closed());
        if self.guests.len() >= GUESTS_MAX
            && let Some((_, oldest)) = self.guests.pop_front()
        {
            // A guest that has just left has made room, too.
            let _ = oldest.send(());
        }
        let (guest, make_room) = oneshot::channel();
        self.guests.push_back((now, guest));
        make_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A room full of guests that came at `now`.
    fn full(now: Instant) -> (WaitingRoom, Vec<MakeRoom>) {
        let mut room = WaitingRoom::default();
        let guests = (0..GUESTS_MAX).map(|_| room.enter(now)).collect();
        (room, guests)
    }

    #[test]
    fn the_oldest_guest_makes_room_and_one_that_has_left_does_not_count() {
        let now = Instant::now();
        let (mut room, mut guests) = full(now);
        assert!(guests.iter_mut().all(|guest| guest.try_recv().is_err()), "there is room for that many");
        guests.push(room.enter(now));
        assert_eq!(guests[0].try_recv(), Ok(()));
        assert!(guests[1].try_recv().is_err());

        drop(guests.remove(1));
        guests.push(room.enter(now));
        assert!(guests[1].try_recv().is_err(), "the place of one that has left is free");
        assert!(room.guests.len() <= GUESTS_MAX);
    }

    #[test]
    fn a_guest_that_has_just_come_is_not_driven_out() {
        let now = Instant::now();
        let (mut room, mut guests) = full(now);
        assert_eq!(room.closed_until(now), Some(now + STAY_MIN));
        assert_eq!(room.closed_until(now + STAY_MIN), None, "the oldest has had its time");
        guests.pop();
        assert_eq!(room.closed_until(now), None, "one has left");
    }
}

//! The connections that are no master's session: a bounded number, of which the oldest makes room for the
//! newest.
//!
//! To stop accepting until one leaves by itself would be worse: whoever holds idle connections would keep
//! everyone else out.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Connections that have not got through the handshake, and those of administrators. A flood must not take
/// all descriptors.
pub(crate) const GUESTS_MAX: usize = 128;

/// How long a guest may stay, however many wait outside: an honest one is through within a round trip or two,
/// and the system lets more than a second's worth of them wait.
const STAY_MIN: Duration = Duration::from_millis(100);

/// Tells a connection that it must make room.
pub(crate) type MakeRoom = oneshot::Receiver<()>;

/// Connections by age.
#[derive(Debug, Default)]
pub(crate) struct WaitingRoom {
    guests: VecDeque<(Instant, oneshot::Sender<()>)>,
}

impl WaitingRoom {
    /// Until when nobody may come in, if that is so: all have just come.
    pub(crate) fn closed_until(&mut self, now: Instant) -> Option<Instant> {
        self.guests.retain(|(_, guest)| !guest.is_closed());
        let (since, _) = self.guests.front().filter(|_| self.guests.len() >= GUESTS_MAX)?;
        Some(*since + STAY_MIN).filter(|until| *until > now)
    }

    /// A connection comes in. It is a guest until it drops what it gets here.
    pub(crate) fn enter(&mut self, now: Instant) -> MakeRoom {
        self.guests.retain(|(_, guest)| !guest.is_closed());
        if self.guests.len() >= GUESTS_MAX
            && let Some((_, oldest)) = self.guests.pop_front()
        {
            // One that has just gone has made room, too.
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

    /// A room that is full of guests who came at `now`.
    fn full(now: Instant) -> (WaitingRoom, Vec<MakeRoom>) {
        let mut room = WaitingRoom::default();
        let guests = (0..GUESTS_MAX).map(|_| room.enter(now)).collect();
        (room, guests)
    }

    #[test]
    fn the_oldest_guest_makes_room_and_who_has_left_counts_no_more() {
        let now = Instant::now();
        let (mut room, mut guests) = full(now);
        assert!(guests.iter_mut().all(|guest| guest.try_recv().is_err()), "there is room for so many");
        guests.push(room.enter(now));
        assert_eq!(guests[0].try_recv(), Ok(()));
        assert!(guests[1].try_recv().is_err());

        drop(guests.remove(1));
        guests.push(room.enter(now));
        assert!(guests[1].try_recv().is_err(), "the place of one that has left is free");
        assert!(room.guests.len() <= GUESTS_MAX);
    }

    #[test]
    fn nobody_is_driven_out_who_has_just_come() {
        let now = Instant::now();
        let (mut room, mut guests) = full(now);
        assert_eq!(room.closed_until(now), Some(now + STAY_MIN));
        assert_eq!(room.closed_until(now + STAY_MIN), None, "the oldest has had its time");
        guests.pop();
        assert_eq!(room.closed_until(now), None, "one has left");
    }
}

//! The connections that are not, or not yet, a master's or a client's with lines. Their number is bounded,
//! and the oldest makes room for the newest: of those that have said nothing, if there are such.
//!
//! To accept no more until one leaves by itself would be worse: a peer with many idle connections would keep
//! everyone else out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Connections that are still in the handshake, and those of administrators. A flood must not take all
/// descriptors.
pub(crate) const GUESTS_MAX: usize = 128;

/// How long a guest may stay, however many wait outside: an honest one is through within a round trip or two,
/// and the system can keep more than a second's worth of new ones waiting.
const STAY_MIN: Duration = Duration::from_millis(100);

/// A connection's place in the waiting room.
#[derive(Debug)]
pub(crate) struct Guest {
    /// Tells the connection that it must make room. The place is free when this is dropped.
    pub make_room: oneshot::Receiver<()>,
    /// Whether its peer has shown that it speaks our protocol: then it is not the first to make room.
    pub has_spoken: HasSpoken,
}

/// Set by the connection, read by the waiting room.
#[derive(Debug, Clone, Default)]
pub(crate) struct HasSpoken(Arc<AtomicBool>);

impl HasSpoken {
    /// The peer has spoken.
    pub(super) fn note(&self) {
        self.0.store(true, Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// What the waiting room knows of a guest.
#[derive(Debug)]
struct Seat {
    since: Instant,
    has_spoken: HasSpoken,
    leave: oneshot::Sender<()>,
}

/// Connections by age.
#[derive(Debug, Default)]
pub(crate) struct WaitingRoom {
    seats: VecDeque<Seat>,
}

impl WaitingRoom {
    /// Until when no one may come in: there is a time only if the room is full and all guests have just come.
    pub(crate) fn closed_until(&mut self, now: Instant) -> Option<Instant> {
        self.forget_those_that_left();
        let next = self.seats.get(self.next_to_leave()?)?;
        Some(next.since + STAY_MIN).filter(|until| *until > now)
    }

    /// A connection comes in. It is a guest until it drops its `make_room`.
    pub(crate) fn enter(&mut self, now: Instant) -> Guest {
        self.forget_those_that_left();
        if let Some(seat) = self.next_to_leave().and_then(|index| self.seats.remove(index)) {
            // A guest that has just left has made room, too.
            let _ = seat.leave.send(());
        }
        let (leave, make_room) = oneshot::channel();
        let has_spoken = HasSpoken::default();
        self.seats.push_back(Seat { since: now, has_spoken: has_spoken.clone(), leave });
        Guest { make_room, has_spoken }
    }

    fn forget_those_that_left(&mut self) {
        self.seats.retain(|seat| !seat.leave.is_closed());
    }

    /// Which guest makes room for one more; none has to while there is room.
    fn next_to_leave(&self) -> Option<usize> {
        let is_full = self.seats.len() >= GUESTS_MAX;
        let silent = || self.seats.iter().position(|seat| !seat.has_spoken.get());
        is_full.then(|| silent().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A room full of guests that came at `now`.
    fn full(now: Instant) -> (WaitingRoom, Vec<Guest>) {
        let mut room = WaitingRoom::default();
        let guests = (0..GUESTS_MAX).map(|_| room.enter(now)).collect();
        (room, guests)
    }

    fn stays(guest: &mut Guest) -> bool {
        guest.make_room.try_recv().is_err()
    }

    #[test]
    fn a_guest_that_has_spoken_stays_as_long_as_others_are_silent() {
        let now = Instant::now();
        let (mut room, mut guests) = full(now);
        guests[0].has_spoken.note();
        guests.push(room.enter(now));
        assert!(stays(&mut guests[0]) && !stays(&mut guests[1]));
        guests.iter().for_each(|guest| guest.has_spoken.note());
        guests.push(room.enter(now));
        assert!(!stays(&mut guests[0]), "all have spoken, and it is the oldest");
    }

    #[test]
    fn the_oldest_guest_makes_room_and_one_that_has_left_does_not_count() {
        let now = Instant::now();
        let (mut room, mut guests) = full(now);
        assert!(guests.iter_mut().all(stays), "there is room for that many");
        guests.push(room.enter(now));
        assert!(!stays(&mut guests[0]));
        assert!(stays(&mut guests[1]));

        drop(guests.remove(1));
        guests.push(room.enter(now));
        assert!(stays(&mut guests[1]), "the place of one that has left is free");
        assert!(room.seats.len() <= GUESTS_MAX);
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

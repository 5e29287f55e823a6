//! Who has the slave: one master, or one client with lines, at a time.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{Notify, watch};

use crate::wire::Refusal;

/// Lets one in at a time, and no one once the slave drains.
#[derive(Debug)]
pub(crate) struct Occupancy {
    /// The name of the one that is in.
    occupant: Mutex<Option<String>>,
    /// Wakes the one that waits for the slave to be free.
    left: Notify,
    draining: watch::Receiver<bool>,
}

impl Occupancy {
    /// A slave that is free, until `draining` says that it is about to end.
    pub(crate) fn new(draining: watch::Receiver<bool>) -> Self {
        Self { occupant: Mutex::new(None), left: Notify::new(), draining }
    }

    /// Takes the slave, if it is free and does not drain.
    ///
    /// # Errors
    /// Why it cannot be had, as a master is told.
    pub(crate) fn occupy(&self, name: &str) -> Result<Occupied<'_>, Refusal> {
        if *self.draining.borrow() {
            return Err(Refusal::Draining);
        }
        let mut occupant = self.occupant.lock().unwrap_or_else(PoisonError::into_inner);
        match &*occupant {
            Some(other) => Err(Refusal::Busy { reservation: other.clone() }),
            None => {
                *occupant = Some(name.to_owned());
                Ok(Occupied(self))
            }
        }
    }

    /// Waits until the slave is free, and takes it. Only one may wait at a time, because only one is woken.
    /// While the slave drains, this waits for ever.
    pub(crate) async fn occupy_when_free(&self, name: &str) -> Occupied<'_> {
        loop {
            if let Ok(occupied) = self.occupy(name) {
                return occupied;
            }
            self.left.notified().await;
        }
    }
}

/// The slave is someone's. Dropping this frees it, however the session has ended.
#[derive(Debug)]
pub(crate) struct Occupied<'a>(&'a Occupancy);

impl Drop for Occupied<'_> {
    fn drop(&mut self) {
        *self.0.occupant.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_is_let_in_at_a_time_and_none_while_the_slave_drains() {
        let (draining, is_draining) = watch::channel(false);
        let occupancy = Occupancy::new(is_draining);
        let first = occupancy.occupy("a").unwrap();
        assert!(
            matches!(occupancy.occupy("b"), Err(Refusal::Busy { reservation }) if reservation == "a"),
            "it is told who has the slave"
        );
        let waiting = occupancy.occupy_when_free("c");
        let leaving = async { drop(first) };
        let (second, ()) = tokio::join!(waiting, leaving);
        drop(second);
        draining.send(true).unwrap();
        assert!(matches!(occupancy.occupy("d"), Err(Refusal::Draining)));
    }
}

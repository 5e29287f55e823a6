//! The door to the registry: every operation, whatever the database behind it. It owns the clock and the
//! choice of the database; it knows no SQL.

use std::time::Duration;

use super::announcement::{Announcement, Stats};
use super::backend::Backend;
use super::clock::Clock;
use super::error::RegistryError;
use super::moves::Move;
use super::node::{Node, NodeKey};
use super::queue::Queue;
use super::request::{Answer, Change, Request, Wish};
use super::reservation::Reservation;
use super::url::RegistryUrl;

/// An open registry. Clones share one connection, over which one operation is done after the other.
///
/// An operation whose future is dropped is still carried out. A master that stops waiting for [`reserve`]
/// should therefore call [`release_reservation`], or let the leases run out.
///
/// [`reserve`]: Registry::reserve
/// [`release_reservation`]: Registry::release_reservation
#[derive(Debug, Clone)]
pub struct Registry {
    queue: Queue,
    clock: Clock,
}

impl Registry {
    /// Opens the registry, and makes or migrates its table if need be.
    ///
    /// # Errors
    /// If the database cannot be used; the message says what to do.
    pub async fn open(url: &RegistryUrl) -> Result<Self, RegistryError> {
        Self::open_with_clock(url, Clock::System).await
    }

    /// Opens the registry with a clock of the caller's.
    ///
    /// # Errors
    /// As [`Registry::open`].
    pub async fn open_with_clock(url: &RegistryUrl, clock: Clock) -> Result<Self, RegistryError> {
        Ok(Self { queue: Queue::start(Backend::open(url).await?), clock })
    }

    /// The time now as the registry counts it, in unix seconds: for comparing with a node's times.
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// All nodes, by host name and port.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list(&self) -> Result<Vec<Node>, RegistryError> {
        Ok(self.ask(Request::List).await?.nodes())
    }

    /// One node, if there is such a row.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find(&self, key: &NodeKey) -> Result<Option<Node>, RegistryError> {
        Ok(self.ask(Request::Find(key.clone())).await?.nodes().pop())
    }

    /// Makes a slave known, disabled: it is not used before [`Registry::enable`]. An abandoned row under the
    /// same key is taken over, whatever its state. Best called with the port already bound: then no other
    /// slave of this machine can have it.
    ///
    /// # Errors
    /// [`RegistryError::Live`] if a process that may be alive has the row.
    pub async fn announce(&self, announcement: &Announcement) -> Result<(), RegistryError> {
        self.change(&announcement.key, Change::Announce(announcement.clone())).await.map(drop)
    }

    /// Makes a disabled or invalid node available; an enabled one stays so. A reserved one is refused.
    ///
    /// # Errors
    /// [`RegistryError::NotAllowed`], [`RegistryError::NoSuchNode`], or if the database fails.
    pub async fn enable(&self, key: &NodeKey) -> Result<Node, RegistryError> {
        self.make(Move::Enable, key).await
    }

    /// Takes a node out, whoever holds it.
    ///
    /// # Errors
    /// As [`Registry::enable`].
    pub async fn disable(&self, key: &NodeKey) -> Result<Node, RegistryError> {
        self.make(Move::Disable, key).await
    }

    /// Gives a node up until it is enabled or released by hand or starts again: for one that answers but
    /// cannot be used, like a slave of another protocol. For one that went silent see [`Registry::lost`].
    ///
    /// # Errors
    /// As [`Registry::enable`].
    pub async fn invalidate(&self, key: &NodeKey) -> Result<Node, RegistryError> {
        self.make(Move::Invalidate, key).await
    }

    /// Takes a reserved node from its master, or forgives an invalid one: it is enabled afterwards.
    ///
    /// # Errors
    /// As [`Registry::enable`].
    pub async fn release(&self, key: &NodeKey) -> Result<Node, RegistryError> {
        self.make(Move::Release, key).await
    }

    /// Says that a node is draining: nobody reserves it any more, and its master may go on until it is done.
    ///
    /// # Errors
    /// As [`Registry::enable`]. A disabled or invalid node is refused: nobody would use it anyway.
    pub async fn begin_cleanup(&self, key: &NodeKey) -> Result<Node, RegistryError> {
        self.make(Move::BeginCleanup, key).await
    }

    /// Says that a slave has shut down as it should: its row stays, disabled and without a process.
    ///
    /// # Errors
    /// As [`Registry::enable`]; every state is allowed.
    pub async fn retire(&self, key: &NodeKey) -> Result<Node, RegistryError> {
        self.make(Move::Retire, key).await
    }

    /// Deletes the rows whose slaves have not been seen for so long, unless a master renews its hold on them.
    /// A slave that is alive after all announces itself again.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn prune(&self, silent_for: Duration) -> Result<Vec<NodeKey>, RegistryError> {
        let pruned = self.ask(Request::Prune { silent_for }).await?;
        Ok(keys(pruned))
    }

    /// Reserves up to `max` nodes beyond those already held, in one atomic step: enabled ones, the longest
    /// available first, then those whose master let its lease run out. Nodes that have gone silent are left
    /// alone. With `task`, only nodes that run this task.
    ///
    /// # Errors
    /// If the database fails; then nothing is reserved.
    pub async fn reserve(
        &self,
        reservation: &Reservation,
        max: usize,
        task: Option<&str>,
        lease: Duration,
    ) -> Result<Vec<Node>, RegistryError> {
        let (reservation, task) = (reservation.clone(), task.map(str::to_owned));
        Ok(self.ask(Request::Reserve(Wish { reservation, max, task, lease })).await?.nodes())
    }

    /// Renews the lease of every node that is still held, draining ones among them, and says which these are:
    /// a node that is missing was released, disabled or taken over. A lease that ran out is renewed too, as
    /// long as nobody has taken the node.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn renew(
        &self,
        reservation: &Reservation,
        lease: Duration,
    ) -> Result<Vec<NodeKey>, RegistryError> {
        let renewed = self.ask(Request::Renew { reservation: reservation.clone(), lease }).await?;
        Ok(keys(renewed))
    }

    /// Frees every node of a reservation, and says how many these were. Draining ones go on draining.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn release_reservation(&self, reservation: &Reservation) -> Result<usize, RegistryError> {
        Ok(self.ask(Request::Release(reservation.clone())).await?.count())
    }

    /// Gives up a node that went silent on its master. It rests for [`GIVEN_UP_REST`](super::GIVEN_UP_REST), and the first beat
    /// after that brings it back. Says whether the reservation still held it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn lost(&self, key: &NodeKey, reservation: &Reservation) -> Result<bool, RegistryError> {
        self.make_if_held(Move::GiveUp, key, reservation).await
    }

    /// Frees one node of a reservation: for a slave that saw its master go, and for a master that needs it no
    /// more. Says whether the reservation still held it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn free_if_reserved_by(
        &self,
        key: &NodeKey,
        reservation: &Reservation,
    ) -> Result<bool, RegistryError> {
        self.make_if_held(Move::Free, key, reservation).await
    }

    /// Frees a node whose lease has run out: for a slave that is reserved by a master that never came. Says
    /// whether that was so. A slave with a session must not ask for it: its master may only have lost sight
    /// of the registry.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn free_if_expired(&self, key: &NodeKey) -> Result<bool, RegistryError> {
        Ok(self.change(key, Change::Expire).await?.count() > 0)
    }

    /// Says that a slave is alive, with its figures. A node that was given up as silent and has rested is
    /// enabled again. Returns the row, so that the slave sees whether it is still enabled and who holds it.
    ///
    /// # Errors
    /// [`RegistryError::NoSuchNode`] if the row is gone, or the registry with it: the slave should announce
    /// itself again.
    pub async fn beat(&self, key: &NodeKey, stats: Stats) -> Result<Node, RegistryError> {
        Ok(self.change(key, Change::Beat(stats)).await?.node())
    }

    async fn make(&self, verb: Move, key: &NodeKey) -> Result<Node, RegistryError> {
        Ok(self.change(key, Change::Make(verb)).await?.node())
    }

    async fn make_if_held(
        &self,
        verb: Move,
        key: &NodeKey,
        reservation: &Reservation,
    ) -> Result<bool, RegistryError> {
        let change = Change::MakeIfHeld(verb, reservation.clone());
        Ok(self.change(key, change).await?.count() > 0)
    }

    async fn change(&self, key: &NodeKey, change: Change) -> Result<Answer, RegistryError> {
        self.ask(Request::Change { key: key.clone(), change }).await
    }

    async fn ask(&self, request: Request) -> Result<Answer, RegistryError> {
        self.queue.ask(request, self.now()).await
    }
}

fn keys(answer: Answer) -> Vec<NodeKey> {
    answer.nodes().into_iter().map(|node| node.key).collect()
}

//! The door to the registry: a method for each operation. It knows neither databases nor SQL.

use std::time::Duration;

use super::announcement::{Announcement, Stats};
use super::backend::Backend;
use super::clock::Clock;
use super::error::RegistryError;
use super::moves::Move;
use super::node::{Node, NodeKey};
use super::queue::RequestQueue;
use super::request::{Answer, Change, Listing, Request, Wanted, Wish};
use super::reservation::Reservation;
use super::url::RegistryUrl;

/// An open registry. Clones share one connection, over which operations are carried out one after the other.
///
/// An operation whose future is dropped is still carried out, as long as a clone of the registry is left. A
/// master that stops waiting for [`reserve`] should therefore call [`release_reservation`], or let the leases
/// run out.
///
/// [`reserve`]: Registry::reserve
/// [`release_reservation`]: Registry::release_reservation
#[derive(Debug, Clone)]
pub struct Registry {
    queue: RequestQueue,
}

impl Registry {
    /// Opens the registry, and makes or completes its tables where they are missing something.
    ///
    /// # Errors
    /// If the database cannot be used. The message says what to do.
    pub async fn open(url: &RegistryUrl) -> Result<Self, RegistryError> {
        Self::open_with_clock(url, Clock::OfTheDatabase).await
    }

    /// Opens the registry with the caller's clock.
    ///
    /// # Errors
    /// As [`Registry::open`].
    pub async fn open_with_clock(url: &RegistryUrl, clock: Clock) -> Result<Self, RegistryError> {
        Ok(Self { queue: RequestQueue::start(Backend::open(url).await?, clock) })
    }

    /// Opens a registry that is only a table in memory.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn simulated(table: super::simulated::SimulatedTable) -> Self {
        Self { queue: RequestQueue::start(Backend::Simulated(table), Clock::default()) }
    }

    /// All nodes, by host name and port.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list(&self) -> Result<Vec<Node>, RegistryError> {
        Ok(self.listing().await?.nodes)
    }

    /// All nodes, and the time of the registry, with which theirs can be compared.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn listing(&self) -> Result<Listing, RegistryError> {
        Ok(self.ask(Request::List).await?.listing())
    }

    /// One node, if it has a row.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find(&self, key: &NodeKey) -> Result<Option<Node>, RegistryError> {
        Ok(self.ask(Request::Find(key.clone())).await?.nodes().pop())
    }

    /// Announces a slave, as disabled: it is not used before [`Registry::enable`]. An abandoned row with the
    /// same key is taken over, whatever its state. Best called when the port is already bound, so that no
    /// other slave of this machine can have it.
    ///
    /// # Errors
    /// [`RegistryError::Live`] if a process that could be alive has the row.
    pub async fn announce(&self, announcement: &Announcement) -> Result<(), RegistryError> {
        self.change(&announcement.key, Change::Announce(Box::new(announcement.clone()))).await.map(drop)
    }

    /// Makes a disabled or invalid node available; an enabled one stays so. A reserved one is refused.
    ///
    /// # Errors
    /// [`RegistryError::NotAllowed`], [`RegistryError::NoSuchNode`], or if the database fails.
    pub async fn enable(&self, key: &NodeKey) -> Result<Node, RegistryError> {
        self.make(Move::Enable, key).await
    }

    /// Takes a node out, even if a master holds it.
    ///
    /// # Errors
    /// As [`Registry::enable`].
    pub async fn disable(&self, key: &NodeKey) -> Result<Node, RegistryError> {
        self.make(Move::Disable, key).await
    }

    /// Gives a node up until it is enabled or released by hand, or its slave starts again: for a node that
    /// answers but cannot be used, such as a slave with another protocol. For one that went silent, see
    /// [`Registry::lost`].
    ///
    /// # Errors
    /// As [`Registry::enable`].
    pub async fn invalidate(&self, key: &NodeKey) -> Result<Node, RegistryError> {
        self.make(Move::Invalidate, key).await
    }

    /// Takes a reserved node from its master, or forgives an invalid one. Either is enabled afterwards.
    ///
    /// # Errors
    /// As [`Registry::enable`].
    pub async fn release(&self, key: &NodeKey) -> Result<Node, RegistryError> {
        self.make(Move::Release, key).await
    }

    /// Notes that a node is draining: it is not reserved any more, and its master can go on until it is done.
    ///
    /// # Errors
    /// As [`Registry::enable`]. A disabled or invalid node is refused: no master would use it anyway.
    pub async fn begin_cleanup(&self, key: &NodeKey) -> Result<Node, RegistryError> {
        self.make(Move::BeginCleanup, key).await
    }

    /// Notes that a slave has shut down as it should. Its row stays, disabled and without a process.
    ///
    /// # Errors
    /// As [`Registry::enable`]; every state is allowed.
    pub async fn retire(&self, key: &NodeKey) -> Result<Node, RegistryError> {
        self.make(Move::Retire, key).await
    }

    /// Deletes the rows whose slaves have not been seen for that long, unless a master renews its hold on
    /// them. A slave that turns out to be alive announces itself again.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn prune(&self, silent_for: Duration) -> Result<Vec<NodeKey>, RegistryError> {
        let pruned = self.ask(Request::Prune { silent_for }).await?;
        Ok(keys(pruned))
    }

    /// Reserves up to `max` nodes beyond those already held, in one atomic step: enabled ones, the longest
    /// available first, then those whose master let its lease run out. Nodes that have gone silent are left
    /// out, and so are those that are not as `wanted`.
    ///
    /// # Errors
    /// If the database fails. Nothing is reserved then.
    pub async fn reserve(
        &self,
        reservation: &Reservation,
        max: usize,
        wanted: impl Into<Wanted>,
        lease: Duration,
    ) -> Result<Vec<Node>, RegistryError> {
        let (reservation, wanted) = (reservation.clone(), wanted.into());
        Ok(self.ask(Request::Reserve(Wish { reservation, max, wanted, lease })).await?.nodes())
    }

    /// Renews the lease of every node that the reservation still holds, draining ones included, and says
    /// which these are: a node that is missing was released, disabled or taken over. A lease that ran out is
    /// renewed too, unless another master has taken the node.
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

    /// Frees every node of a reservation, and says how many there were. Draining ones go on draining.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn release_reservation(&self, reservation: &Reservation) -> Result<usize, RegistryError> {
        Ok(self.ask(Request::Release(reservation.clone())).await?.count())
    }

    /// Gives up a node that went silent on its master. The node rests for
    /// [`GIVEN_UP_REST`](super::GIVEN_UP_REST), and the first beat after that brings it back. Says
    /// whether the reservation still held it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn lost(&self, key: &NodeKey, reservation: &Reservation) -> Result<bool, RegistryError> {
        self.make_if_held(Move::GiveUp, key, reservation).await
    }

    /// Frees one node of a reservation: for a slave that saw its master go, and for a master that does not
    /// need the node any more. Says whether the reservation still held it.
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

    /// Frees a node if its lease has run out, and says whether it had: for a slave that was reserved by a
    /// master that never came. A slave with a session must not ask for this, since its master may only have
    /// lost sight of the registry.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn free_if_expired(&self, key: &NodeKey) -> Result<bool, RegistryError> {
        Ok(self.change(key, Change::Expire).await?.count() > 0)
    }

    /// Notes that a slave is alive, and its figures. A node that was given up as silent and has rested is
    /// enabled again. Returns the row, so that the slave sees whether it is still enabled, and which
    /// reservation holds it.
    ///
    /// # Errors
    /// [`RegistryError::NoSuchNode`] if the row is gone, or the whole registry. The slave should announce
    /// itself again.
    pub async fn beat(&self, key: &NodeKey, stats: Stats) -> Result<Node, RegistryError> {
        Ok(self.change(key, Change::Beat(stats)).await?.node())
    }

    /// Puts the build that a slave has loaded since it announced itself into its row.
    ///
    /// # Errors
    /// [`RegistryError::NoSuchNode`], or if the database fails.
    pub async fn show_build(&self, announcement: &Announcement) -> Result<Node, RegistryError> {
        let change = Change::ShowBuild(Box::new(announcement.clone()));
        Ok(self.change(&announcement.key, change).await?.node())
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
        self.queue.ask(request).await
    }
}

fn keys(answer: Answer) -> Vec<NodeKey> {
    answer.nodes().into_iter().map(|node| node.key).collect()
}

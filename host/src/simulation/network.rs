//! The network of a simulation: slaves listen at addresses, masters dial them, and every link can be broken.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::pipe::Pipe;
use crate::turns::Dice;
use crate::wire::{Dialer, ReadEnd, WriteEnd};

/// How long bytes usually take.
const DELAY: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(2));

/// How long a connection takes to be made.
const DIALING: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(5));

/// Connections that wait until a slave accepts them: those of a slave that is stopped, too.
const BACKLOG: usize = 64;

/// Who connects to a slave.
pub(super) type Arrivals = mpsc::Receiver<(ReadEnd, WriteEnd)>;

/// The network. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Network(Arc<Mutex<Wiring>>);

#[derive(Debug)]
struct Wiring {
    listeners: BTreeMap<String, mpsc::Sender<(ReadEnd, WriteEnd)>>,
    links: BTreeMap<String, Link>,
    dice: Dice,
}

/// The last link to a slave.
#[derive(Debug, Clone)]
pub(super) struct Link {
    /// What the slave hears.
    pub to_slave: Pipe,
    /// What the master hears.
    pub to_master: Pipe,
}

impl Network {
    /// A network without anyone.
    pub(super) fn new(dice: Dice) -> Self {
        Self(Arc::new(Mutex::new(Wiring { listeners: BTreeMap::new(), links: BTreeMap::new(), dice })))
    }

    /// A slave listens there. Connections that wait for the one before are lost.
    pub(super) fn listen(&self, address: &str) -> Arrivals {
        let (sender, arrivals) = mpsc::channel(BACKLOG);
        self.wiring().listeners.insert(address.to_owned(), sender);
        arrivals
    }

    /// The last link to a slave, if there was one.
    pub(super) fn link(&self, address: &str) -> Option<Link> {
        self.wiring().links.get(address).cloned()
    }

    /// Connects masters.
    pub(super) fn dialer(&self) -> Dialer {
        let network = self.clone();
        Dialer::new(move |address| Box::pin(dial(network.clone(), address.to_owned())))
    }

    fn connect(&self, address: &str) -> Option<(ReadEnd, WriteEnd)> {
        let mut wiring = self.wiring();
        let listener = wiring.listeners.get(address)?.clone();
        let link = Link {
            to_slave: Pipe::new(DELAY, wiring.dice.fork()),
            to_master: Pipe::new(DELAY, wiring.dice.fork()),
        };
        listener.try_send((link.to_slave.read_end(), link.to_master.write_end())).ok()?;
        let ends = (link.to_master.read_end(), link.to_slave.write_end());
        wiring.links.insert(address.to_owned(), link);
        Some(ends)
    }

    fn wiring(&self) -> MutexGuard<'_, Wiring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn dial(network: Network, address: String) -> io::Result<(ReadEnd, WriteEnd)> {
    let (least, most) = DIALING;
    let pause = network.wiring().dice.duration(least, most);
    tokio::time::sleep(pause).await;
    network.connect(&address).ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
}

impl Link {
    /// Both sides learn that it is broken.
    pub(super) fn cut(&self) {
        self.to_slave.cut();
        self.to_master.cut();
    }

    /// Everything takes so long, in both directions.
    pub(super) fn set_delay(&self, delay: Option<Duration>) {
        let delay = delay.map_or(DELAY, |most| (DELAY.0, most));
        self.to_slave.set_delay(delay);
        self.to_master.set_delay(delay);
    }
}

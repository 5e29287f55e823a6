//! The registry: the table in which slaves announce themselves and masters reserve them.
//!
//! It decides who holds which node, and nothing else: it talks to no slave, knows no record and starts no
//! process. The table is that of Net::SimpleGrid with more columns, so that both programs can share it.
//!
//! From the top: [`Registry`] (`handle`) is the door that all others use. It makes a `request` of each call
//! and puts it into the `queue`. A `backend` keeps the database open and carries each request out in one
//! `transaction`: `nodes_table` has the SQL, and asks `transition`, which does no I/O, what a row becomes by
//! the rules of `node` and `moves`. `schema` and `migrations` say how a database comes to have its tables.
//! What differs between SQLite, PostgreSQL and MySQL is in `dialects`, behind the one interface in `session`.
//!
//! ```text
//!   announce: a new row, or an abandoned one in any state
//!      │
//!      ▼      enable              reserve
//!   disabled ────────► enabled ──────────────────────► reserved ──┐ reserve by another,
//!      ▲               │  ▲  │ ◄──── release, free ─────  │  │ ▲──┘ once the lease ran out
//!      │               │  │  │                            │  │
//!      │    invalidate │  │  │ begin_cleanup              │  │ lost, invalidate
//!      │               ▼  │  └───────────► cleanup ◄──────┘  │
//!      │               invalid ◄─────────────────────────────┘
//!      │               (back by beat, release or enable)
//!      │
//!      └── disable, retire: from every state
//! ```
//!
//! **disabled**: known, but not in use. **enabled**: waits for a master. **reserved**: a master holds it for
//! as long as it renews the lease. **invalid**: given up, by [`Registry::lost`] until its slave is heard from
//! again, or by [`Registry::invalidate`] until someone says otherwise. **cleanup**: finishes what it has and
//! takes nothing new. `announce` takes over a row in any state, if no live process has it any more.
//!
//! **Invariant:** every change of a state is one transaction that names the states in which it can start, so
//! two masters never hold one node.

mod announcement;
mod backend;
mod backend_error;
mod clock;
mod dbi;
mod dialects;
mod error;
mod handle;
mod migrations;
mod moves;
mod node;
mod nodes_table;
mod queue;
mod request;
mod reservation;
mod schema;
mod session;
#[cfg(any(test, feature = "simulation"))]
mod simulated;
mod transaction;
mod transition;
mod url;
mod value;

pub use announcement::{Announcement, Stats};
pub use backend_error::BackendError;
pub use clock::Clock;
pub use error::RegistryError;
pub use handle::Registry;
pub use moves::GIVEN_UP_REST;
pub use node::{Node, NodeKey, NodeState, SILENCE};
pub use request::{Listing, Wanted};
pub use reservation::Reservation;
#[cfg(any(test, feature = "simulation"))]
pub(crate) use simulated::SimulatedTable;
pub use url::RegistryUrl;

//! The registry: the table in which slaves make themselves known and masters reserve them.
//!
//! It owns who holds which node, and nothing else: it talks to no slave, knows no record and starts no
//! process. The table is the Perl original's with more columns, so that the Perl tools can share it. `node`
//! and `moves` hold the rules and do no I/O, and neither does `transition`, which says what a row becomes.
//! SQL is in `sqlite` and, for PostgreSQL and MySQL, in `server`. [`Registry`] is the door that all others
//! use.
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
//! **disabled**: known, not to be used. **enabled**: waits for a master. **reserved**: a master holds it for
//! as long as it renews the lease. **invalid**: given up; [`Registry::lost`] gives it up until it is well
//! again, [`Registry::invalidate`] until someone says otherwise. **cleanup**: finishes what it has and takes
//! nothing new. `announce` takes a row over in any state, if no process answers for it any more.
//!
//! **Invariant:** every change of a state is one transaction that names the states it may start from, so two
//! masters never hold one node.

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
pub use reservation::Reservation;
pub use url::RegistryUrl;

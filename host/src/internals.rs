//! What the tests, benches and fuzz targets of this workspace use of the inside, under the names that it has
//! there.
//!
//! This is not part of the public interface and promises nothing: it changes with the inside.

pub mod build {
    //! Which build of a library is meant.
    pub use crate::build::{Build, Digest};
}

pub mod database {
    //! Connections to databases on servers.

    pub use crate::database::{DatabaseError, Server, Trouble};

    pub mod mysql {
        //! Connections to MySQL and MariaDB.
        pub use crate::database::mysql::connect;
    }

    pub mod postgres {
        //! Connections to PostgreSQL.
        pub use crate::database::postgres::{PostgresConnection, connect};
    }
}

pub mod ids {
    //! The names of things in a run.
    pub use crate::ids::{BatchId, Epoch, NodeId, RunId, Seq, SlotId, SlotIndex};
}

pub mod limits {
    //! The maxima that tests need.
    pub use crate::limits::BATCHES_PER_SLOT_MAX;
}

pub mod master {
    //! The decisions of a run.
    pub use crate::master::decisions::{Action, DispatchState, KeyOf, KeySource, ReadyRows, RunRules};
}

pub mod plugin {
    //! Loaded plugins and calls into them.
    pub use crate::plugin::{Cells, LoadedPlugin, OutputKind, RowFormat, TaskHost, TaskOutput};
}

pub mod record {
    //! Formats, blocks and records.
    pub use crate::record::block::{Block, Piece};
    pub use crate::record::{Format, RawRecords, Records};
}

pub mod registry {
    //! The table of nodes.
    pub use crate::registry::{
        Announcement, BackendError, Clock, GIVEN_UP_REST, Listing, Node, NodeKey, NodeState, Registry,
        RegistryError, RegistryUrl, Reservation, SILENCE, Stats, Wanted,
    };
}

pub mod schedule {
    //! Which slot a key belongs to.
    pub use crate::schedule::{FieldKey, Rendezvous, node_identity};
}

pub mod scoreboard {
    //! How records ended.
    pub use crate::scoreboard::{Outcome, Status};
}

#[cfg(feature = "simulation")]
pub mod simulation {
    //! Whole grids in one thread.
    pub use crate::simulation::seeds::{Played, play, play_and_tell};
}

pub mod wire {
    //! Frames and messages.
    pub use crate::wire::{
        Batch, BatchHead, Blame, BlockingReader, Frame, FrameError, FrameLimits, FrameReader, FrameWriter,
        Hello, HostToWorker, LossKind, MasterToSlave, Refusal, ReportHead, Role, SeqRanges, SlaveToMaster,
        SlotLost, Welcome, WorkerToHost,
    };
}

//! Every maximum of the program, each with its reason.

use std::time::Duration;

/// Bytes of records in one batch, unless one record alone is larger. Large enough that a hop's cost vanishes,
/// small enough that a worker's share of the processor's cache still holds it.
pub(crate) const BATCH_BYTES_MAX: usize = 256 * 1024;

/// Records in one batch. An index fits 16 bits, and a batch of empty lines stays a small one.
pub(crate) const BATCH_RECORDS_MAX: usize = 65_536;

/// How long a worker should be busy with one batch: long against a hop, short against a person's patience.
pub(crate) const BATCH_WORK_TARGET: Duration = Duration::from_millis(8);

/// Items (batches and flushes) that may be at one worker at once: one in hand, one waiting, so that it never
/// idles for a round trip. Two, not more: the scoreboard has two halves (see `scoreboard`).
pub(crate) const ITEMS_PER_WORKER_MAX: usize = 2;

/// Batches that one slot may have in flight: those at its worker, and two more that wait in its slave, so
/// that very fast workers do not wait for the network.
pub const BATCHES_PER_SLOT_MAX: usize = 4;

/// Slots of one slave.
pub(crate) const SLOTS_MAX: u16 = 4096;

/// Batches of which a worker may hold records. Their bytes stay in the master's ledger until they are
/// finished, so this bounds what holding costs.
pub(crate) const HELD_BATCHES_MAX: usize = 16;

/// Bytes of the longest record, unless `--max-record-bytes` says otherwise.
pub(crate) const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of output rows after which a worker hands over what it has before it goes on with its batch: keeps
/// the memory behind a scoreboard small, whatever a task writes.
pub(crate) const ROWS_BYTES_SOFT: usize = 1024 * 1024;

/// Bytes of output rows that one call of a task may emit.
pub(crate) const ROWS_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of a frame's header: names, arguments and messages, never records or rows.
pub(crate) const HEADER_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a failure's message; a longer one is cut.
pub(crate) const MESSAGE_BYTES_MAX: usize = 8 * 1024;

/// How often each side of a link says that it is alive.
pub(crate) const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);

/// Silence after which a peer is given up: five heartbeats, so that one lost segment is no reason.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(5);

/// Bytes of a frame's table and body together: a batch with one record of the greatest length that may be
/// asked for, or the rows of one call, and the tables that go with them.
pub(crate) const FRAME_RAW_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// How often a run with a journal writes a checkpoint at most: each waits for the disk, and what was done
/// since the last one is done again after a crash. A second of either hardly counts.
pub(crate) const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// Bytes of the input's beginning that a journal remembers: enough to tell inputs apart, and never more than
/// the reader hands over at once.
pub(crate) const JOURNAL_HEAD_BYTES: u64 = 64 * 1024;

/// Bytes of one entry of a journal. A range of finished records takes some four bytes, and the records
/// between ranges are in memory, so no run comes near it; a damaged length does.
pub(crate) const JOURNAL_ENTRY_BYTES_MAX: usize = 256 * 1024 * 1024;

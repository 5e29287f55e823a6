//! Every maximum of the program, each with its reason.

use std::time::Duration;

/// Bytes of records in one batch, unless one record alone is larger. Large enough that the cost of a hop
/// vanishes, small enough to fit a worker's share of the processor's cache.
pub(crate) const BATCH_BYTES_MAX: usize = 256 * 1024;

/// Records in one batch, so that an index fits 16 bits and a batch of empty lines stays small.
pub(crate) const BATCH_RECORDS_MAX: usize = 65_536;

/// How long a worker should be busy with one batch: long compared with a hop, short compared with a person's
/// patience.
pub(crate) const BATCH_WORK_TARGET: Duration = Duration::from_millis(8);

/// Items (batches and flushes) that may be at one worker at once: one in hand and one waiting, so that it
/// never idles for a round trip. No more than two, because the scoreboard has two halves (see `scoreboard`).
pub(crate) const ITEMS_PER_WORKER_MAX: usize = 2;

/// Batches that one slot may have in flight: those at its worker, and two more that wait in its slave, so
/// that very fast workers do not wait for the network.
pub const BATCHES_PER_SLOT_MAX: usize = 4;

/// Slots of one slave.
pub(crate) const SLOTS_MAX: u16 = 4096;

/// Batches of which a worker may hold records. Their bytes stay in the master's ledger until they are
/// finished, so this bounds what holding costs.
pub(crate) const HELD_BATCHES_MAX: usize = 16;

/// What is said of a record that a task holds and does not finish in time.
pub(crate) const FORGOTTEN: &str = "the task held it and never finished it";

/// Bytes of the longest record, unless `--max-record-bytes` says otherwise.
pub(crate) const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The window that compressed input can ask for, as a power of two: 128 MiB is what the programs of zstd
/// grant too, unless they are told otherwise.
pub(crate) const UNPACK_WINDOW_LOG_MAX: u32 = 27;

/// Memory that compressed input can ask for with xz, whose strongest usual level needs 65 MiB.
pub(crate) const XZ_MEMORY_MAX: u64 = 256 * 1024 * 1024;

/// Bytes of output rows after which a worker hands over what it has before it continues with its batch. This
/// keeps the memory behind a scoreboard small, whatever a task writes.
pub(crate) const ROWS_BYTES_SOFT: usize = 1024 * 1024;

/// Bytes of output rows that one call of a task may emit.
pub(crate) const ROWS_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of a frame's header: names, arguments and messages, never records or rows.
pub(crate) const HEADER_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a failure's message; a longer one is cut.
pub(crate) const MESSAGE_BYTES_MAX: usize = 8 * 1024;

/// How often each side of a link says that it is alive.
pub(crate) const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);

/// Silence after which a peer is given up: five heartbeats, so that one lost segment is not enough.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(5);

/// Bytes of a frame's table and body together: enough for a batch with one record of the greatest permitted
/// length, or for the rows of one call, and for the tables that go with them.
pub(crate) const FRAME_RAW_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// How often a run with a journal writes a checkpoint at most. Each checkpoint waits for the disk, and what
/// was done since the last one is done again after a crash; a second of either hardly matters.
pub(crate) const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// Bytes of the beginning of the input that a journal remembers: enough to tell inputs apart, and never more
/// than the reader hands over at once.
pub(crate) const JOURNAL_HEAD_BYTES: u64 = 64 * 1024;

/// Bytes of the end of a file that a checkpoint vouches for: enough that an editor's change near the end is
/// noticed, and little to keep in memory and to read when a run continues.
pub(crate) const JOURNAL_TAIL_BYTES: usize = 64 * 1024;

/// Bytes of one entry of a journal. A range of finished records takes about four bytes, and the
/// records between ranges are in memory, so no run comes near this; only a damaged length exceeds it.
pub(crate) const JOURNAL_ENTRY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How long a worker that has an item, and no record in hand, may take to begin the next record. It takes
/// microseconds, unless the process is stopped or stuck.
pub(crate) const BEGIN_MAX: Duration = Duration::from_secs(10);

/// How long a worker may take to end once it was told to stop and has handed everything over. It has nothing
/// left to do but to drop its task: only one that hangs takes longer, and it is killed.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(5);

/// Bytes of one entry in the ledger of a directory of files. The records of a commit take some bytes each, so
/// no commit comes near this; only a damaged length exceeds it.
pub(crate) const LEDGER_ENTRY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long the partition key of one record may take without `--record-timeout`. It takes microseconds,
/// unless the partitioner never returns, and the run waits meanwhile.
pub(crate) const KEY_MAX: Duration = Duration::from_secs(10);

/// How long the process that computes partition keys may take to load its plugin: as long as the slowest disk
/// needs, because the run cannot begin without it.
pub(crate) const KEY_PROCESS_START_MAX: Duration = Duration::from_secs(60);
